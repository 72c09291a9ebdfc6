/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lookup: destination address to peer, the whole burst at once. Where the destination's site has
 * several gateways the slot of the *source* picks one of them, so that both directions of a pair
 * meet there. A miss, or a mapping past its time,
 * is punted: control resolves it and gives the packet back. Marks entries as used about once a
 * second, so that control refreshes what carries traffic.
 *
 * Each packet then knows its peer, whose line is on its way to the cache.
 */
#include "internal.h"

static enum cw_drop judge(const struct cw_route *route)
{
	switch (route->kind) {
	case CW_ROUTE_REMOTE:
		return CW_DROP_NONE;
	case CW_ROUTE_LOCAL:
		return CW_DROP_LOCAL_DESTINATION;
	default:
		return CW_DROP_NO_MAPPING;
	}
}

/* Ends a packet whose mapping does not carry it. */
static void refuse(struct cw_worker *w, struct rte_mbuf *m, const struct cw_route *route)
{
	if (!cw_prefix4_contains(&w->view->subnet, facts_of(m)->ip.dst))
		drop(w, m, CW_DROP_NOT_IN_SUBNET);
	else if (route == NULL || w->now_tsc >= route->expires_tsc)
		punt(w, m, CW_PUNT_MISS);
	else
		drop(w, m, judge(route));
}

void stage_lookup(struct cw_worker *w, struct lane *l)
{
	const struct cw_route_index *index;
	const struct cw_route_array *slots;
	struct cw_route *routes[CW_BURST];
	rte_be32_t mask, subnet;
	uint64_t now = w->now_tsc, stale = now - w->params.tsc_hz;
	unsigned int kept = 0, n = l->n;

	if (n == 0)
		return;
	index = cw_route_index_of(w->view->routes);
	slots = cw_route_array_of(index);
	mask = cw_prefix4_mask(w->view->subnet.len);
	subnet = w->view->subnet.ip;
	for (unsigned int i = 0; i < n; i++) {
		routes[i] = cw_route_lookup(index, slots, facts_of(l->pkt[i])->ip.dst);
		rte_prefetch0(routes[i]);
	}
	for (unsigned int i = 0; i < n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		struct facts *f = facts_of(m);
		struct cw_route *route = routes[i];

		if (CW_UNLIKELY(route == NULL || (f->ip.dst & mask) != subnet ||
				now >= route->expires_tsc || route->kind != CW_ROUTE_REMOTE)) {
			refuse(w, m, route);
			continue;
		}
		if (CW_UNLIKELY((int64_t)(cw_counted(&route->used_tsc) - stale) < 0))
			__atomic_store_n(&route->used_tsc, now, __ATOMIC_RELAXED);
		f->peer = cw_route_peer(index, route, f->ip.src);
		f->to = peer_at(w, f->peer);
		rte_prefetch0(f->to);
		l->pkt[kept++] = m;
	}
	l->n = (uint16_t)kept;
}
