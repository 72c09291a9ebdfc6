/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * punt: packets that control must look at, by SPSC ring.
 *
 * Each kind of punt has tokens that come back with time, so that a flood of one kind (misses,
 * unknown sources) cannot keep control from hearing the others (DTLS, DHCP). A full ring or an
 * empty purse is a named drop. Facts travel in the mbuf's private area.
 */
#include "internal.h"

/* Refill interval: a hundredth of a second. */
#define REFILLS_PER_S 100u

/* Tokens per interval: what control can serve at leisure, times four. */
static const uint32_t tokens[CW_PUNT_KIND_COUNT] = {
	[CW_PUNT_ARP] = 200,	 [CW_PUNT_DHCP] = 250,	      [CW_PUNT_MISS] = 400,
	[CW_PUNT_UNBOUND] = 5,	 [CW_PUNT_LAN_SERVICE] = 100, [CW_PUNT_STUN] = 50,
	[CW_PUNT_DTLS] = 400,	 [CW_PUNT_HELLO] = 400,	      [CW_PUNT_WAN_ARP] = 50,
	[CW_PUNT_WAN_ICMP] = 20, [CW_PUNT_ADMIT] = 200,	      [CW_PUNT_FOREIGN_DHCP] = 2,
	[CW_PUNT_UPSTREAM] = 50, [CW_PUNT_RARP] = 5,	      [CW_PUNT_MOVED] = 200,
	[CW_PUNT_DISCOVERY] = 1, [CW_PUNT_SITE] = 40,
};

static bool take_token(struct cw_worker *w, enum cw_punt_kind kind)
{
	if (CW_UNLIKELY(w->now_tsc - w->budgets_refilled_tsc > w->params.tsc_hz / REFILLS_PER_S)) {
		w->budgets_refilled_tsc = w->now_tsc;
		for (unsigned int k = 0; k < CW_PUNT_KIND_COUNT; k++)
			w->budgets[k].left = tokens[k];
	}
	if (w->budgets[kind].left == 0)
		return false;
	w->budgets[kind].left--;
	return true;
}

void punt(struct cw_worker *w, struct rte_mbuf *m, enum cw_punt_kind kind)
{
	struct facts *f = facts_of(m);
	struct cw_punt_meta meta = {.kind = (uint8_t)kind,
				    .worker = (uint8_t)w->params.index,
				    .vlan = f->vlan,
				    .from = facts_from(f),
				    .to_port = f->to_port,
				    .peer = f->peer};

	if (!take_token(w, kind)) {
		drop(w, m, CW_DROP_PUNT_LIMIT);
		return;
	}
	f->punt = meta;
	if (rte_ring_sp_enqueue(w->params.punt, m) != 0) {
		drop(w, m, CW_DROP_PUNT_FULL);
		return;
	}
	w->stats->punted++;
}

unsigned int cw_punt_dequeue(struct rte_ring *ring, struct rte_mbuf **pkts, unsigned int n)
{
	return rte_ring_sc_dequeue_burst(ring, (void **)pkts, n, NULL);
}

struct cw_punt_meta *cw_punt_meta_of(struct rte_mbuf *m)
{
	return &facts_of(m)->punt;
}
