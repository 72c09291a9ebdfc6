/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * forward: packets that came over the WAN for a host that moved to another site go on to it, sealed
 * anew, until their senders have heard where it is (design.md section 9 "Migration").
 *
 * It never sends a packet in circles: only towards a mapping of a higher gen than the one this site
 * held, never back to the site it came from (a host of ours that is at a fellow has a local
 * mapping, and goes nowhere either), and with a hop less to live. The gateway at the other
 * end takes it by a permit of its own (admit.c). What the path is too small for is fragmented as
 * any packet is; with DF set it ends here, for the sender is no host of this site that could be
 * told.
 */
#include "internal.h"

/* Where it is now, and at which gateway; NULL: nobody said so yet, or the packet may not go there.
 */
static struct cw_route *route_on(struct cw_worker *w, const struct facts *f, uint16_t *to,
				 enum cw_drop *why)
{
	const struct cw_host *host = f->host;
	struct cw_route *route = cw_route_find(w->view->routes, f->ip.dst);

	*why = CW_DROP_NONE;
	if (route == NULL || w->now_tsc >= route->expires_tsc)
		return NULL;
	*why = CW_DROP_NOT_HERE;
	*to = cw_route_peer(cw_route_index_of(w->view->routes), route, f->ip.src);
	/* Nor to a fellow of whom it came from. */
	if (route->kind != CW_ROUTE_REMOTE || route->gen <= host->gen || *to == f->peer ||
	    memcmp(route->site, f->site, sizeof(route->site)) == 0)
		return NULL;
	*why = CW_DROP_NONE;
	return route;
}

static bool fits(const struct cw_worker *w, const struct rte_mbuf *m, const struct facts *f)
{
	return !(f->ip.fragment & rte_cpu_to_be_16(CW_IP4_DF)) ||
	       (m->data_len <= f->to->mtu_bytes && m->data_len <= w->view->mtu_bytes);
}

static enum cw_drop turn_around(struct cw_worker *w, struct rte_mbuf *m, struct cw_route *route,
				uint16_t to)
{
	struct facts *f = facts_of(m);

	if (f->ip.ttl <= 1)
		return CW_DROP_TTL;
	f->to = peer_at(w, to);
	if (f->to == NULL)
		return CW_DROP_NO_SA;
	if (!fits(w, m, f))
		return CW_DROP_TOO_BIG;
	cw_ip4_decrement_ttl(&f->ip);
	memcpy(rte_pktmbuf_mtod(m, uint8_t *), &f->ip, CW_IP4_BYTES);
	__atomic_store_n(&route->used_tsc, w->now_tsc, __ATOMIC_RELAXED);
	f->peer = to;
	f->eth_bytes = 0;
	return CW_DROP_NONE;
}

void stage_forward(struct cw_worker *w, struct lane *l)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < l->n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		enum cw_drop why;
		uint16_t to = CW_PEER_NONE;
		struct cw_route *route = route_on(w, facts_of(m), &to, &why);

		if (route != NULL)
			why = turn_around(w, m, route, to);
		else if (why == CW_DROP_NONE) {
			punt(w, m, CW_PUNT_MOVED);
			continue;
		}
		if (why != CW_DROP_NONE)
			drop(w, m, why);
		else
			l->pkt[kept++] = m;
	}
	w->stats->forwarded += kept;
	l->n = (uint16_t)kept;
	stage_mtu(w, l);
	stage_seal(w, l);
}
