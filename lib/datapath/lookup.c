/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lookup: destination address to peer, the whole burst at once. A miss, or a mapping past its time,
 * is punted: control resolves it and gives the packet back. Marks entries as used about once a
 * second, so that control refreshes what carries traffic.
 */
#include "internal.h"

static enum cw_drop judge(const struct facts *f)
{
	switch (f->route->kind) {
	case CW_ROUTE_REMOTE:
		return CW_DROP_NONE;
	case CW_ROUTE_LOCAL:
		return CW_DROP_LOCAL_DESTINATION;
	default:
		return CW_DROP_NO_MAPPING;
	}
}

void stage_lookup(struct cw_worker *w, struct lane *l)
{
	struct cw_route *routes[CW_BURST];
	rte_be32_t dst[CW_BURST];
	uint16_t kept = 0;

	if (l->n == 0)
		return;
	for (uint16_t i = 0; i < l->n; i++)
		dst[i] = facts_of(l->pkt[i])->ip.dst;
	cw_route_find_bulk(w->view->routes, dst, l->n, routes);
	for (uint16_t i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		struct facts *f = facts_of(m);
		enum cw_drop why = CW_DROP_NONE;

		f->route = routes[i];
		if (CW_UNLIKELY(!cw_prefix4_contains(&w->view->subnet, dst[i]))) {
			why = CW_DROP_NOT_IN_SUBNET;
		} else if (CW_UNLIKELY(routes[i] == NULL || w->now_tsc >= routes[i]->expires_tsc)) {
			punt(w, m, CW_PUNT_MISS);
			continue;
		} else {
			why = judge(f);
		}
		if (CW_UNLIKELY(why != CW_DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		if (cw_counted(&routes[i]->used_tsc) + w->params.tsc_hz < w->now_tsc)
			__atomic_store_n(&routes[i]->used_tsc, w->now_tsc, __ATOMIC_RELAXED);
		f->peer = routes[i]->peer;
		l->pkt[kept++] = m;
	}
	l->n = kept;
}
