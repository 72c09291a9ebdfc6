/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seal: the SA of each packet's flow is picked, headers go around it, the engine seals the whole
 * burst at once, and it is off to the WAN. Packets of one flow keep their SA and their order.
 */
#include "internal.h"

void stage_seal(struct cw_worker *w, struct lane *l)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		const struct facts *f = facts_of(m);
		const struct cw_peer *peer = cw_peer_at(w->params.peers, f->peer);
		struct cw_sa_out *sa = NULL;
		enum cw_drop why = CW_DROP_NO_SA;

		if (CW_LIKELY(peer != NULL))
			sa = cw_sa_pick(peer, w->params.index, w->params.workers,
					flow_hash(f, m, 0));
		if (CW_LIKELY(sa != NULL))
			why = cw_tunnel_encap(m, peer, sa, &w->jobs[kept]);
		if (CW_LIKELY(why == CW_DROP_NONE))
			l->pkt[kept++] = m;
		else
			drop(w, m, why);
	}
	l->n = kept;
	if (kept == 0)
		return;
	w->params.crypto->seal(w->params.engine, w->jobs, kept);
	for (uint16_t i = 0; i < kept; i++) {
		if (CW_LIKELY(w->jobs[i].ok))
			port_send(w, CW_SIDE_WAN, l->pkt[i]);
		else
			drop(w, l->pkt[i], CW_DROP_CRYPTO);
	}
}
