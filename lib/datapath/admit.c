/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admit: an opened packet may pass only if its inner source maps to the site that the sealing
 * peer's certificate names, and its destination is a host bound here. A source whose mapping is not
 * known yet waits in control, as a missed destination does.
 */
#include "internal.h"

static enum cw_drop judge(const struct cw_worker *w, const struct facts *f,
			  const struct cw_route *route)
{
	if (CW_UNLIKELY(route->kind != CW_ROUTE_REMOTE ||
			memcmp(route->site, f->site, sizeof(f->site)) != 0))
		return CW_DROP_ADMIT_SOURCE;
	if (CW_UNLIKELY(f->host == NULL || f->host->state != CW_HOST_BOUND))
		return CW_DROP_NOT_HERE;
	if (CW_UNLIKELY(w->now_tsc >=
			__atomic_load_n(&w->view->deadline->session_tsc, __ATOMIC_RELAXED)))
		return CW_DROP_SESSION_DEADLINE;
	return CW_DROP_NONE;
}

void stage_admit(struct cw_worker *w, struct lane *l)
{
	struct cw_route *routes[CW_BURST];
	struct cw_host *hosts[CW_BURST];
	rte_be32_t src[CW_BURST], dst[CW_BURST];
	uint16_t kept = 0, n = l->n;

	if (n == 0)
		return;
	if (CW_UNLIKELY(w->view == NULL)) {
		for (uint16_t i = 0; i < n; i++)
			drop(w, l->pkt[i], CW_DROP_NO_NAMESPACE);
		l->n = 0;
		return;
	}
	for (uint16_t i = 0; i < n; i++) {
		src[i] = facts_of(l->pkt[i])->ip.src;
		dst[i] = facts_of(l->pkt[i])->ip.dst;
	}
	cw_route_find_bulk(w->view->routes, src, n, routes);
	cw_host_by_ip_bulk(w->view->hosts, dst, n, hosts);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		struct facts *f = facts_of(m);
		enum cw_drop why;

		if (CW_UNLIKELY(!cw_prefix4_contains(&w->view->subnet, src[i]))) {
			drop(w, m, CW_DROP_ADMIT_SOURCE);
			continue;
		}
		if (CW_UNLIKELY(routes[i] == NULL || w->now_tsc >= routes[i]->expires_tsc)) {
			punt(w, m, CW_PUNT_ADMIT);
			continue;
		}
		f->host = hosts[i];
		why = judge(w, f, routes[i]);
		if (CW_UNLIKELY(why != CW_DROP_NONE)) {
			drop(w, m, why);
			continue;
		}
		if (cw_counted(&routes[i]->used_tsc) + w->params.tsc_hz < w->now_tsc)
			__atomic_store_n(&routes[i]->used_tsc, w->now_tsc, __ATOMIC_RELAXED);
		l->pkt[kept++] = m;
	}
	l->n = kept;
}
