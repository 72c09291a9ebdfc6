/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is the other end alive? Asked only when it has been silent, so traffic costs nothing extra and on
 * an idle link one end's ping and the other's pong tell both.
 *
 * How soon death must be noticed depends on what the link is for (design.md section 7): 5 s for a
 * ring neighbour, 2 s while we send traffic, 30 s for an idle far link, whose pings every 10 s also
 * hold a NAT's mapping. A ping that is not answered is repeated at a faster pace, so that a single
 * lost datagram is never a death. A one-way cut is noticed by the end that hears nothing; its close
 * reaches the other.
 *
 * Invariant: a link is dead only after its class's dead_ns of silence, and after
 * it was asked again and again.
 */
#include "internal.h"

static const struct keepalive classes[] = {
	[CW_LINK_NEAR] = {.ping_ns = UINT64_C(1500) * CW_NS_PER_MS,
			  .again_ns = UINT64_C(500) * CW_NS_PER_MS,
			  .dead_ns = UINT64_C(5) * CW_NS_PER_S},
	[CW_LINK_FAR] = {.ping_ns = UINT64_C(10) * CW_NS_PER_S,
			 .again_ns = UINT64_C(2) * CW_NS_PER_S,
			 .dead_ns = UINT64_C(30) * CW_NS_PER_S},
};
static const struct keepalive busy = {.ping_ns = UINT64_C(400) * CW_NS_PER_MS,
				      .again_ns = UINT64_C(200) * CW_NS_PER_MS,
				      .dead_ns = UINT64_C(2) * CW_NS_PER_S};

/* A ping without an answer, while hosts send: relays are looked for so often. */
#define AILING_EVERY_NS (UINT64_C(400) * CW_NS_PER_MS)

/* A link stays busy this long after the last traffic of ours. */
#define BUSY_NS (UINT64_C(3) * CW_NS_PER_S)

bool keepalive_is_busy(const struct association *a, uint64_t now_ns)
{
	return now_ns < a->busy_until_ns;
}

static const struct keepalive *rule_of(const struct association *a, uint64_t now_ns)
{
	return keepalive_is_busy(a, now_ns) ? &busy : &classes[a->class];
}

void keepalive_heard(struct association *a, const struct cw_endpoint *from, uint64_t now_ns)
{
	a->heard_ns = now_ns;
	if (cw_endpoint_equal(from, &a->path))
		a->path_heard_ns = now_ns;
}

void keepalive_busy(struct association *a, uint64_t now_ns)
{
	if (!keepalive_is_busy(a, now_ns))
		a->busy_ns = now_ns;
	a->busy_until_ns = now_ns + BUSY_NS;
	association_touch(a);
}

void keepalive_pong(struct association *a, uint64_t token, uint64_t now_ns)
{
	uint64_t sample;

	if (token != a->ping_token || a->ping_sent_ns == 0)
		return;
	sample = now_ns - a->ping_sent_ns;
	a->rtt_ns = a->rtt_ns == 0 ? sample : (a->rtt_ns * 7 + sample) / 8;
	a->ping_sent_ns = 0;
	a->unanswered = 0;
}

static void send_ping(struct association *a, uint64_t now_ns)
{
	Causeway__Link__Ping ping = CAUSEWAY__LINK__PING__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	a->pings++;
	if (a->ping_sent_ns != 0) {
		a->pings_lost++;
		a->unanswered++;
	}
	a->ping_token = cw_random_u64(&a->links->config.random);
	a->ping_sent_ns = now_ns;
	a->jitter_ns = a->ping_token % (rule_of(a, now_ns)->ping_ns / 4);
	ping.token = a->ping_token;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_PING;
	frame.ping = &ping;
	if (association_send(a, &frame) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "ping not sent");
}

bool keepalive_silent(const struct association *a, uint64_t now_ns)
{
	return now_ns - a->path_heard_ns >= rule_of(a, now_ns)->ping_ns;
}

bool keepalive_unanswered(const struct association *a)
{
	return a->ping_sent_ns != 0 && a->unanswered > 0;
}

bool keepalive_timer(struct association *a, uint64_t now_ns, uint64_t *next)
{
	const struct keepalive *rule = rule_of(a, now_ns);
	/* Whoever begins to send first gives the other end the time to be asked. */
	uint64_t since_ns =
		keepalive_is_busy(a, now_ns) ? cw_max_u64(a->heard_ns, a->busy_ns) : a->heard_ns;
	uint64_t due_ns = a->heard_ns + rule->ping_ns + a->jitter_ns % rule->ping_ns;

	if (now_ns >= since_ns + rule->dead_ns)
		return false;
	if (a->rtt_ns == 0 && a->ping_sent_ns == 0)
		due_ns = now_ns; /* the first one measures */
	else if (a->ping_sent_ns != 0)
		due_ns = cw_max_u64(due_ns, a->ping_sent_ns + rule->again_ns + a->rtt_ns);
	if (now_ns >= due_ns) {
		if (keepalive_is_busy(a, now_ns) && a->ping_sent_ns != 0 &&
		    now_ns - a->ailing_ns >= AILING_EVERY_NS) {
			a->ailing_ns = now_ns;
			relay_ailing(a, now_ns);
		}
		send_ping(a, now_ns);
		due_ns = now_ns + rule->again_ns + a->rtt_ns;
	}
	*next = cw_min_u64(*next, cw_min_u64(due_ns, since_ns + rule->dead_ns));
	if (keepalive_is_busy(a, now_ns))
		*next = cw_min_u64(*next, a->busy_until_ns);
	return true;
}
