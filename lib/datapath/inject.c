/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inject: what control sends, and packets it held that are taken up again. A held packet goes
 * through the same stages as at first: the tables decide, not control's memory of them.
 */
#include "internal.h"

bool cw_inject_enqueue(struct rte_ring *inject, struct rte_mbuf *m,
		       const struct cw_inject_meta *meta)
{
	facts_of(m)->inject = *meta;
	return rte_ring_sp_enqueue(inject, m) == 0;
}

static bool take_inner(struct cw_worker *w, struct rte_mbuf *m)
{
	struct facts *f = facts_of(m);
	uint16_t index = f->inject.peer;
	const struct cw_peer *peer = cw_peer_at(w->params.peers, index);

	/* The peer that sealed it may be gone by now. */
	if (peer == NULL || cw_ip4_parse_header(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len,
						&f->ip) != CW_DROP_NONE)
		return false;
	f->peer = index;
	f->site = peer->site;
	return true;
}

unsigned int stage_inject(struct cw_worker *w)
{
	struct rte_mbuf *pkts[CW_BURST];
	struct lane outbound, inbound;
	unsigned int n = rte_ring_sc_dequeue_burst(w->params.inject, (void **)pkts, CW_BURST, NULL);

	outbound.n = inbound.n = 0;
	for (unsigned int i = 0; i < n; i++) {
		switch (facts_of(pkts[i])->inject.kind) {
		case CW_INJECT_LAN_FRAME:
			port_send(w, CW_SIDE_LAN, pkts[i]);
			break;
		case CW_INJECT_WAN_FRAME:
			port_send(w, CW_SIDE_WAN, pkts[i]);
			break;
		case CW_INJECT_OUTBOUND:
			lane_add(&outbound, pkts[i]);
			break;
		default:
			if (take_inner(w, pkts[i]))
				lane_add(&inbound, pkts[i]);
			else
				drop(w, pkts[i], CW_DROP_CONTROL_REFUSED);
		}
	}
	w->stats->injected += n;
	if (outbound.n > 0)
		pipeline_outbound(w, &outbound);
	if (inbound.n > 0)
		pipeline_inbound_opened(w, &inbound);
	return n;
}
