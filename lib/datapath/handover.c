/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hand-over between workers, by SPSC ring: whatever one worker holds and another must do.
 *
 * Three reasons. An ESP packet whose SA belongs to another worker is opened there, for its replay
 * window is nobody else's. A port with fewer queues than there are workers is polled by the first
 * ones only: they spread the LAN's packets by flow, and send for those who have no queue.
 *
 * Invariant: a flow goes through the same workers in the same order, every ring is first in first
 * out, so its packets keep their order. No pointer into a table crosses a ring: the worker that
 * takes a packet looks everything up itself.
 */
#include "internal.h"

void handover(struct cw_worker *w, struct rte_mbuf *m, unsigned int to, enum handover_kind kind)
{
	struct rte_ring **rings = w->params.handover;

	if (to >= w->params.workers || rings == NULL) {
		drop(w, m, CW_DROP_ESP_SPI);
		return;
	}
	facts_of(m)->handover = (uint8_t)kind;
	if (rte_ring_sp_enqueue(rings[w->params.index * w->params.workers + to], m) != 0) {
		drop(w, m, CW_DROP_WORKER_RING);
		return;
	}
	w->stats->handed_over++;
}

void stage_spread(struct cw_worker *w, struct lane *l)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		const struct facts *f = facts_of(m);
		unsigned int to =
			cw_toeplitz_queue(flow_hash(w, f, m, f->eth_bytes), w->params.workers);

		if (to == w->params.index)
			l->pkt[kept++] = m;
		else
			handover(w, m, to, HANDOVER_CARRY);
	}
	l->n = kept;
}

static void take(struct cw_worker *w, struct rte_mbuf *m, struct lane *esp, struct lane *ip)
{
	const struct facts *f = facts_of(m);

	switch (f->handover) {
	case HANDOVER_OPEN:
		lane_add(esp, m);
		break;
	case HANDOVER_CARRY:
		/* The record may be gone since it was classified. */
		if (w->view == NULL)
			drop(w, m, CW_DROP_NO_NAMESPACE);
		else
			lane_add(ip, m);
		break;
	default:
		port_send(w, f->handover == HANDOVER_LAN ? CW_SIDE_LAN : CW_SIDE_WAN, m);
	}
}

unsigned int stage_handover(struct cw_worker *w)
{
	unsigned int workers = w->params.workers, taken = 0;
	struct lane esp, ip;

	if (w->params.handover == NULL)
		return 0;
	esp.n = ip.n = 0;
	/* A burst from all of them together; who is asked first goes round. */
	for (unsigned int i = 0; i < workers && taken < CW_BURST; i++) {
		unsigned int from = (w->handover_first + i) % workers, n;
		struct rte_mbuf *pkts[CW_BURST];

		n = rte_ring_sc_dequeue_burst(w->params.handover[from * workers + w->params.index],
					      (void **)pkts, CW_BURST - taken, NULL);
		for (unsigned int p = 0; p < n; p++)
			take(w, pkts[p], &esp, &ip);
		taken += n;
	}
	w->handover_first = w->handover_first + 1 < workers ? w->handover_first + 1 : 0;
	if (ip.n > 0)
		pipeline_carry(w, &ip);
	if (esp.n > 0) {
		stage_open(w, &esp);
		pipeline_inbound_opened(w, &esp);
	}
	w->stats->taken_over += taken;
	return taken;
}
