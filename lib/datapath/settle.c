/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * settle: a peer's path became shorter, and packets of its flows are still on the longer one. Those
 * that follow wait here for as long as they would overtake (the peer's settle_tsc), then go on in
 * their order, before anything that came later. A worker does this by itself; no other one has
 * packets of these flows.
 *
 * Not a queue for anything else: it holds SETTLE_MAX packets, and when it is full what waits goes
 * on early, for a packet that is overtaken is better than a lost one.
 *
 * Invariant: within one turn the clock stands still, so either all packets of a peer wait, behind
 * those that waited before, or none does and none waits.
 */
#include "internal.h"

bool settle_waits(const struct cw_worker *w, const struct cw_peer *to)
{
	return to->state == CW_PEER_SETTLING && (int64_t)(w->now_tsc - to->settle_tsc) < 0;
}

void settle_hold(struct cw_worker *w, struct rte_mbuf *m)
{
	if (w->settling_count == SETTLE_MAX)
		settle_release(w, true);
	w->settling[w->settling_count++] = m;
}

static void flush(struct cw_worker *w, struct lane *l)
{
	stage_mtu_settled(w, l);
	stage_seal(w, l);
	l->n = 0;
}

void settle_release(struct cw_worker *w, bool all)
{
	unsigned int kept = 0, count = w->settling_count;
	struct lane out = {.n = 0};

	w->settling_count = 0;
	for (unsigned int i = 0; i < count; i++) {
		struct rte_mbuf *m = w->settling[i];
		struct facts *f = facts_of(m);

		/* Nothing of the tables was kept over the turn's end. */
		f->to = peer_at(w, f->peer);
		if (f->to == NULL || w->view == NULL) {
			drop(w, m, f->to == NULL ? CW_DROP_NO_SA : CW_DROP_NO_NAMESPACE);
			continue;
		}
		if (!all && settle_waits(w, f->to)) {
			w->settling[kept++] = m;
			continue;
		}
		lane_add(&out, m);
		if (out.n == CW_BURST)
			flush(w, &out);
	}
	w->settling_count = kept;
	if (out.n > 0)
		flush(w, &out);
}
