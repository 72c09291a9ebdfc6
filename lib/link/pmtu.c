/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Path MTU by asking (RFC 8899): no answer from routers is needed, and none is believed.
 *
 * A path begins with the first hop's MTU and one probe of that size; nearly always it is answered,
 * and all is said. If not, the ladder of sizes that networks have is sent at once with it, then
 * what lies between the largest answered and the smallest lost, until no multiple of four is left
 * between. A size counts as lost only when a small probe sent beside it was answered, and only when
 * that happened CW_PMTU_TRIES times: a path that is dead is not narrow, and a datagram lost by
 * chance says nothing.
 *
 * While there is traffic the size in use is asked for again and again, for a path that becomes
 * narrower under way says nothing (a black hole). A narrow one is tried anew now and then. Nothing
 * is asked of a path that nobody uses.
 *
 * An ICMP message may be forged: it makes the machine ask at once, among others for the size that
 * was named, and then one loss is enough. Invariant: mtu_bytes falls only to a size that was
 * answered in this search while a larger one was not, or to CW_PMTU_MIN_BYTES.
 */
#include "cw_pmtu.h"

#include <string.h>

/* The least IPv6 link; tunnels over tunnels; WireGuard; VXLAN; clouds; GRE; PPPoE. */
static const uint16_t ladder[] = {
	CW_PMTU_MIN_BYTES, CW_PMTU_BASE_BYTES, 1360, 1400, 1420, 1448, 1460, 1476, 1492};

_Static_assert(CW_ARRAY_SIZE(ladder) < CW_PMTU_SIZES_MAX, "the ladder and one more in a round");

/* Of a round's tokens: 0 and up its sizes, this one the small probe. */
#define WITNESS	   15u
#define TOKEN_MASK UINT64_C(15)

/* How long an answer may take: a queue may stand before the large one. */
#define SLACK_NS   (UINT64_C(100) * CW_NS_PER_MS)
#define UNKNOWN_NS (UINT64_C(500) * CW_NS_PER_MS)
/* A dead path is asked more and more rarely. */
#define SILENT_MAX_NS (UINT64_C(10) * CW_NS_PER_S)
/* Of messages that anybody may send, so many are heeded. */
#define HINT_EVERY_NS CW_NS_PER_S

const char *cw_pmtu_state_name(enum cw_pmtu_state state)
{
	static const char *const names[] = {[CW_PMTU_ASSUMED] = "assumed",
					    [CW_PMTU_SEARCHING] = "searching",
					    [CW_PMTU_CONFIRMED] = "confirmed",
					    [CW_PMTU_FAILED] = "failed"};

	return (unsigned int)state < CW_PMTU_STATE_COUNT ? names[state] : "?";
}

/* -- rounds */

static void round_begin(struct cw_pmtu *m, bool all, uint64_t now_ns)
{
	m->open = true;
	m->sent = false;
	m->all = all;
	m->tries = 0;
	m->silent = 0;
	m->due_ns = now_ns;
}

static void add_size(struct cw_pmtu *m, uint16_t bytes)
{
	unsigned int at = m->count;

	if (m->count == CW_PMTU_SIZES_MAX)
		return;
	while (at > 0 && m->sizes[at - 1] > bytes)
		at--;
	if (at > 0 && m->sizes[at - 1] == bytes)
		return;
	memmove(&m->sizes[at + 1], &m->sizes[at], (m->count - at) * sizeof(m->sizes[0]));
	m->sizes[at] = bytes;
	m->count++;
}

/* Does so much get through? And if not, what does? */
static void round_target(struct cw_pmtu *m, uint16_t target, uint64_t now_ns)
{
	m->count = 0;
	add_size(m, target);
	if (m->hint_bytes > m->good_bytes && m->hint_bytes < target)
		add_size(m, m->hint_bytes);
	/* From above: the least are the ones to do without when there is no room. */
	for (unsigned int i = CW_ARRAY_SIZE(ladder); i-- > 0;)
		if (ladder[i] > m->good_bytes && ladder[i] < target &&
		    (m->count + 1u < CW_PMTU_SIZES_MAX || i == 0))
			add_size(m, ladder[i]);
	round_begin(m, m->hint_bytes != 0, now_ns);
}

/* What lies between the largest answered and the smallest lost, evenly. @return false: nothing. */
static bool round_between(struct cw_pmtu *m, uint64_t now_ns)
{
	unsigned int first = m->good_bytes / CW_PMTU_STEP_BYTES + 1;
	unsigned int last = (m->bad_bytes - 1u) / CW_PMTU_STEP_BYTES;
	unsigned int n;

	if (last < first)
		return false;
	n = last - first + 1 < CW_PMTU_SIZES_MAX ? last - first + 1 : CW_PMTU_SIZES_MAX;
	m->count = 0;
	for (unsigned int i = 1; i <= n; i++)
		add_size(m,
			 (uint16_t)((first - 1 + (last - first + 1) * i / n) * CW_PMTU_STEP_BYTES));
	round_begin(m, true, now_ns);
	return true;
}

/* -- a search's result */

static void finish(struct cw_pmtu *m, uint64_t now_ns)
{
	m->open = false;
	/* Whoever looked above what is in use and found nothing did not look at that. */
	if (!m->raising || m->good_bytes != m->mtu_bytes)
		m->confirmed_ns = now_ns;
	if (m->raising || m->state != CW_PMTU_CONFIRMED)
		m->raise_ns = now_ns + m->raise_every_ns;
	m->state = m->good_bytes != 0 ? CW_PMTU_CONFIRMED : CW_PMTU_FAILED;
	m->mtu_bytes = m->good_bytes != 0 ? m->good_bytes : CW_PMTU_MIN_BYTES;
}

/* The round's question is answered, one way or the other. */
static void advance(struct cw_pmtu *m, uint64_t now_ns)
{
	unsigned int i = 0;

	m->hint_bytes = 0;
	while (i < m->count && m->sizes[i] <= m->good_bytes)
		i++;
	if (i < m->count)
		m->bad_bytes = m->sizes[i];
	if (m->mtu_bytes >= m->bad_bytes) {
		/* What hosts send is lost until this is said: a good guess now, the rest later. */
		m->mtu_bytes = m->good_bytes != 0 ? m->good_bytes : CW_PMTU_MIN_BYTES;
		m->state = CW_PMTU_SEARCHING;
		m->narrowed++;
	}
	if (m->good_bytes == 0 || !round_between(m, now_ns))
		finish(m, now_ns);
}

/* Of `good` it is known that it gets through: does `target`, and if not, what does? */
static void search(struct cw_pmtu *m, uint16_t good, uint16_t target, uint64_t now_ns)
{
	m->good_bytes = good;
	m->bad_bytes = (uint16_t)(target + 1u);
	m->raising = target > m->mtu_bytes;
	round_target(m, target, now_ns);
}

void cw_pmtu_start(struct cw_pmtu *m, uint16_t max_bytes, uint64_t raise_every_ns, uint64_t now_ns)
{
	uint16_t mtu_bytes =
		m->mtu_bytes != 0 && m->mtu_bytes < max_bytes ? m->mtu_bytes : max_bytes;

	*m = (struct cw_pmtu){.max_bytes = max_bytes,
			      .mtu_bytes = mtu_bytes,
			      .state = CW_PMTU_ASSUMED,
			      .mutate = m->mutate,
			      .probes = m->probes,
			      .narrowed = m->narrowed,
			      .raise_every_ns = raise_every_ns ? raise_every_ns : CW_PMTU_RAISE_NS};
	search(m, 0, max_bytes, now_ns);
}

/* -- time */

/* Something to ask about? */
static void look(struct cw_pmtu *m, const struct cw_pmtu_now *now, uint64_t *next)
{
	bool narrow = m->mtu_bytes < m->max_bytes && m->mutate != CW_PMTU_MUT_NORAISE;
	bool confirms = m->mutate != CW_PMTU_MUT_NOCONFIRM || m->state == CW_PMTU_FAILED;
	uint64_t confirm_ns = confirms ? m->confirmed_ns + CW_PMTU_CONFIRM_NS : CW_NEVER;

	if (m->hint_bytes == 0 && !now->busy) {
		*next = CW_NEVER;
	} else if (m->hint_bytes != 0 || now->now_ns >= confirm_ns) {
		search(m, 0, m->state == CW_PMTU_FAILED ? m->max_bytes : m->mtu_bytes, now->now_ns);
	} else if (narrow && now->now_ns >= m->raise_ns) {
		search(m, m->mtu_bytes, m->max_bytes, now->now_ns);
	} else {
		*next = narrow ? cw_min_u64(confirm_ns, m->raise_ns) : confirm_ns;
	}
}

/* The time for answers is over. @return false: the round goes on. */
static bool judge_try(struct cw_pmtu *m)
{
	unsigned int enough =
		m->hint_bytes != 0 && m->good_bytes >= m->hint_bytes ? 1 : CW_PMTU_TRIES;

	if (!m->answered && m->mutate != CW_PMTU_MUT_NOWITNESS) {
		m->silent++;
		return false;
	}
	m->silent = 0;
	m->all = true;
	/* The next best guess: hosts keep what they are told for minutes. */
	if (m->state == CW_PMTU_SEARCHING && m->good_bytes > m->mtu_bytes)
		m->mtu_bytes = m->good_bytes;
	return ++m->tries >= enough;
}

static unsigned int send_try(struct cw_pmtu *m, const struct cw_pmtu_now *now,
			     struct cw_pmtu_probe *out)
{
	uint64_t wait_ns =
		now->rtt_ns != 0 ? now->rtt_ns + cw_max_u64(now->rtt_ns / 2, SLACK_NS) : UNKNOWN_NS;
	unsigned int n = 0;

	if (m->tries == 0 && m->silent == 0)
		m->token = cw_random_u64(now->random) & ~TOKEN_MASK;
	for (unsigned int i = m->all ? 0 : m->count - 1u; i < m->count; i++)
		if (m->sizes[i] > m->good_bytes)
			out[n++] =
				(struct cw_pmtu_probe){.token = m->token + i, .bytes = m->sizes[i]};
	m->probes += n;
	out[n++] = (struct cw_pmtu_probe){.token = m->token + WITNESS};
	m->sent = true;
	m->answered = false;
	m->due_ns =
		now->now_ns + cw_min_u64(wait_ns << (m->silent < 6 ? m->silent : 6), SILENT_MAX_NS);
	return n;
}

unsigned int cw_pmtu_timer(struct cw_pmtu *m, const struct cw_pmtu_now *now,
			   struct cw_pmtu_probe out[CW_PMTU_PROBES_MAX], uint64_t *next)
{
	unsigned int n;

	if (m->open && m->sent && now->now_ns >= m->due_ns && judge_try(m))
		advance(m, now->now_ns);
	if (!m->open)
		look(m, now, next);
	if (!m->open)
		return 0;
	n = now->now_ns >= m->due_ns ? send_try(m, now, out) : 0;
	*next = m->due_ns;
	return n;
}

bool cw_pmtu_answer(struct cw_pmtu *m, uint64_t token, uint64_t now_ns)
{
	uint64_t i = token - m->token;

	if (!m->open || !m->sent || (i != WITNESS && i >= m->count))
		return false;
	m->answered = true;
	if (i == WITNESS)
		return true;
	if (m->sizes[i] > m->good_bytes)
		m->good_bytes = m->sizes[i];
	if (m->good_bytes == m->sizes[m->count - 1])
		advance(m, now_ns);
	return true;
}

void cw_pmtu_again(struct cw_pmtu *m, uint64_t now_ns)
{
	m->sent = false;
	m->due_ns = now_ns;
}

bool cw_pmtu_hint(struct cw_pmtu *m, uint16_t bytes, uint64_t now_ns)
{
	if (bytes < CW_PMTU_MIN_BYTES || bytes >= m->mtu_bytes ||
	    (m->hint_ns != 0 && now_ns - m->hint_ns < HINT_EVERY_NS))
		return false;
	if (m->mutate == CW_PMTU_MUT_BLINDHINT) {
		m->mtu_bytes = bytes;
		return true;
	}
	/* A question that is on its way is worth more than the hint. */
	if (m->open && (m->tries > 0 || m->all))
		return false;
	m->hint_ns = now_ns;
	m->hint_bytes = bytes;
	m->open = false;
	return true;
}
