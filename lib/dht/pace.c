/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clock guard (dht.md section 4): does our clock keep pace with those of other nodes?
 *
 * A machine that its hypervisor stops may not see time pass. Its replicas are only late, but a
 * holder errs: its deadline is ahead by the clock that stood still, while the replicas have let go.
 * So every heartbeat tells its sender's clock, and a node whose own progress is behind that of most
 * peers heard lately, by more than clocks may drift apart and messages vary, lets go of all leases.
 *
 * How far a peer's clock is ahead of ours when its message comes, less the message's delay, is
 * taken once per message; the greatest of a window had the least delay. A message that is further
 * ahead than the oldest ones that are remembered, by more than both clocks may have drifted since,
 * says that ours lost that time. A late message says less than there is: nothing is concluded from
 * it, and several must have come before anything is compared with them. Nor is anything concluded
 * from a clock that seems slower than ours.
 *
 * What it refuses: to name the one that is right. Where only one other node is heard, that one is
 * believed: letting go costs a renewal.
 */
#include "internal.h"

/* The windows reach back over two leases. */
static uint64_t window_ns(const struct cw_dht *dht)
{
	return dht->genesis.session_ns * 2 / PACE_WINDOWS;
}

/* Delays vary by less than half of what a holder's guard leaves. */
static int64_t slack_ns(const struct cw_dht *dht)
{
	return (int64_t)dht->genesis.guard_ns / 2;
}

/* What of a lead cannot be drift since then: one clock as fast, the other as slow as may be. */
static int64_t beyond_drift(const struct cw_dht *dht, int64_t lead_ns, uint64_t since_ns)
{
	uint64_t passed_ns = dht->now_ns - since_ns;

	return lead_ns - (int64_t)(passed_ns * 2 / (dht->genesis.eps_divisor - 1));
}

/* Against the oldest messages that are remembered, as many as cannot all have been late. */
static int64_t lost_ns(const struct cw_dht *dht, const struct pace *p, uint64_t window,
		       int64_t ahead_ns)
{
	int64_t most = INT64_MIN;
	unsigned int seen = 0;
	uint64_t since_ns = 0;

	for (uint64_t n = window - RTE_MIN(window, PACE_WINDOWS) + 1; n <= window; n++) {
		const struct pace_window *x = &p->windows[n % PACE_WINDOWS];

		if (x->number != n)
			continue;
		if (seen == 0)
			since_ns = x->begun_ns;
		most = RTE_MAX(most, x->ahead_ns);
		seen += x->seen;
		if (seen >= PACE_SEEN_MIN)
			return beyond_drift(dht, ahead_ns - most, since_ns);
	}
	return INT64_MIN;
}

static void pace_note(const struct cw_dht *dht, struct pace *p, int64_t ahead_ns)
{
	uint64_t window = dht->now_ns / window_ns(dht) + 1; /* 0: none */
	struct pace_window *x = &p->windows[window % PACE_WINDOWS];

	p->behind_ns = lost_ns(dht, p, window, ahead_ns);
	if (x->number != window)
		*x = (struct pace_window){window, dht->now_ns, ahead_ns, 0};
	x->ahead_ns = RTE_MAX(x->ahead_ns, ahead_ns);
	/* Of many that waited together, while we were stopped, all but the last were late. */
	if (p->heard_ns != 0 && dht->now_ns - p->heard_ns < HB_NS / 2)
		return;
	p->heard_ns = dht->now_ns;
	x->seen++;
}

static bool is_heard(const struct cw_dht *dht, const struct pace *p)
{
	return p->heard_ns != 0 && dht->now_ns - p->heard_ns <= 2 * HB_NS;
}

unsigned int pace_compared(const struct cw_dht *dht)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < dht->peer_count; i++)
		n += is_heard(dht, &dht->peers[i].pace) &&
		     dht->peers[i].pace.behind_ns != INT64_MIN;
	return n;
}

/* Most of those heard since a heartbeat ago must say so. */
static bool most_say_behind(const struct cw_dht *dht, unsigned int *say, unsigned int *heard)
{
	*say = *heard = 0;
	for (unsigned int i = 0; i < dht->peer_count; i++) {
		const struct pace *p = &dht->peers[i].pace;

		if (!is_heard(dht, p))
			continue;
		(*heard)++;
		*say += p->behind_ns > slack_ns(dht);
	}
	return *say * 2 > *heard;
}

static bool grants_time(uint8_t verb)
{
	return verb == CW_STORE_SESSION_OPEN || verb == CW_STORE_SESSION_RENEW ||
	       verb == CW_STORE_REG_CREATE || verb == CW_STORE_REG_RENEW ||
	       verb == CW_STORE_REG_TAKEOVER;
}

/* Time that is granted counts from its request's first sending, on a clock that stood still since:
 * what such a request came to is not known. */
static void end_requests(struct cw_dht *dht)
{
	struct reply *reply = calloc(1, sizeof(*reply));
	struct request *r = dht->requests;

	CW_ASSERT(reply != NULL);
	while (r != NULL) {
		if (r->done_inside != NULL || !grants_time(r->request.verb) ||
		    r->first_ns == dht->now_ns) {
			r = r->next;
			continue;
		}
		memset(reply, 0, sizeof(*reply));
		reply->answer.result = CW_STORE_TIMEOUT;
		request_end(dht, r, reply);
		r = dht->requests; /* the caller may have ended others, or begun some */
	}
	free(reply);
}

/* From here on the clocks are compared as they are now: what is lost next is noticed as well. */
static void begin_anew(const struct cw_dht *dht, struct pace *p)
{
	uint64_t window = dht->now_ns / window_ns(dht) + 1;
	struct pace_window now = {window, dht->now_ns, INT64_MIN, PACE_SEEN_MIN};

	/* Of a peer not heard since, drift counts from when it was. */
	for (unsigned int i = 0; i < PACE_WINDOWS; i++) {
		if (p->windows[i].number == 0 || p->windows[i].ahead_ns < now.ahead_ns)
			continue;
		now.ahead_ns = p->windows[i].ahead_ns;
		now.begun_ns = p->windows[i].begun_ns;
	}
	*p = (struct pace){.heard_ns = p->heard_ns};
	if (now.ahead_ns != INT64_MIN)
		p->windows[window % PACE_WINDOWS] = now;
}

static void fall_behind(struct cw_dht *dht, uint64_t by_ns, unsigned int say, unsigned int heard)
{
	cw_log(dht->config.log, CW_LOG_ERROR, MODULE,
	       "this node's clock lost %.1f s against %u of %u nodes heard lately (was the machine "
	       "stopped?): letting go of all leases",
	       (double)by_ns / 1e9, say, heard);
	for (unsigned int i = 0; i < dht->peer_count; i++)
		begin_anew(dht, &dht->peers[i].pace);
	for (unsigned int i = 0; i < PROOFS; i++)
		if (!dht->proofs[i].over)
			dht->proofs[i].until_ns = 0;
	dht->counts.clock_behind++;
	end_requests(dht);
	if (dht->ops.clock_behind != NULL)
		dht->ops.clock_behind(dht->ctx, by_ns, dht->now_ns);
}

void pace_heard(struct cw_dht *dht, struct peer *p, uint64_t clock_ns)
{
	unsigned int say, heard;

	if (clock_ns == 0 || clock_ns > INT64_MAX || dht->config.mutate == CW_DHT_MUT_NOPACE)
		return;
	pace_note(dht, &p->pace, (int64_t)(clock_ns - dht->now_ns));
	if (p->pace.behind_ns > slack_ns(dht) && most_say_behind(dht, &say, &heard))
		fall_behind(dht, (uint64_t)p->pace.behind_ns, say, heard);
}
