/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * admit: an opened packet may pass only if its inner source maps to the site that the sealing
 * peer's certificate names, and its destination is a host bound here. A source whose mapping is not
 * known yet waits in control, as a missed destination does.
 *
 * Two exceptions, both about a host that changed sites lately. What comes for one that left goes on
 * to its new place (forward.c). What comes for one that arrived may have been sent on by its former
 * gateway: the permit in the host's entry names that site and an end.
 */
#include "internal.h"

static bool permits(const struct cw_worker *w, const struct facts *f, const struct cw_host *host)
{
	return host != NULL && w->now_tsc < host->permit_until_tsc &&
	       memcmp(host->permit_site, f->site, sizeof(host->permit_site)) == 0;
}

/* A packet that is not as nearly all are. @return true: it is admitted all the same; false: it was
 * ended, or is somebody else's now. */
static bool look_again(struct cw_worker *w, struct rte_mbuf *m, const struct cw_route *route,
		       struct cw_host *host, bool late)
{
	struct facts *f = facts_of(m);

	if (!cw_prefix4_contains(&w->view->subnet, f->ip.src))
		drop(w, m, CW_DROP_ADMIT_SOURCE);
	else if (route == NULL || w->now_tsc >= route->expires_tsc)
		punt(w, m, CW_PUNT_ADMIT);
	else if (route->kind != CW_ROUTE_REMOTE ||
		 (memcmp(route->site, f->site, sizeof(route->site)) != 0 && !permits(w, f, host)))
		drop(w, m, CW_DROP_ADMIT_SOURCE);
	else if (host == NULL || host->state == CW_HOST_OFFERED)
		drop(w, m, CW_DROP_NOT_HERE);
	else if (late)
		drop(w, m, CW_DROP_SESSION_DEADLINE);
	else if (host->state == CW_HOST_BOUND) {
		/* The policy asks who speaks for the source, not who sent it on. */
		f->peer = cw_route_peer(cw_route_index_of(w->view->routes), route, f->ip.dst);
		return true;
	} else {
		f->host = host;
		lane_add(&w->forward, m);
	}
	return false;
}

static inline bool same_site(const uint8_t *a, const uint8_t *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x == y;
}

static void no_namespace(struct cw_worker *w, struct lane *l)
{
	for (uint16_t i = 0; i < l->n; i++)
		drop(w, l->pkt[i], CW_DROP_NO_NAMESPACE);
	l->n = 0;
}

/* Mappings of the sources, hosts of the destinations: all slots and buckets are on their way before
 * the first is looked at, then all entries. */
static void find(const struct cw_ns_view *view, const struct lane *l, struct cw_route **routes,
		 struct cw_host **hosts_found)
{
	const struct cw_host_index *hosts = cw_host_index_of(view->hosts);
	const struct cw_route_index *index = cw_route_index_of(view->routes);
	const struct cw_route_array *slots = cw_route_array_of(index);
	struct cw_host *const *bucket[CW_BURST];
	const uint64_t *slot[CW_BURST];
	unsigned int n = l->n;

	for (unsigned int i = 0; i < n; i++) {
		const struct facts *f = facts_of(l->pkt[i]);

		slot[i] = cw_route_slot(slots, f->ip.src);
		bucket[i] = cw_host_bucket(hosts, f->ip.dst);
		rte_prefetch0(slot[i]);
		rte_prefetch0(bucket[i]);
	}
	for (unsigned int i = 0; i < n; i++) {
		const struct facts *f = facts_of(l->pkt[i]);

		routes[i] = cw_route_lookup_at(index, slots, slot[i], f->ip.src);
		rte_prefetch0(routes[i]);
		hosts_found[i] = cw_host_find_in(bucket[i], f->ip.dst);
	}
}

void stage_admit(struct cw_worker *w, struct lane *l)
{
	uint64_t now = w->now_tsc, stale = now - w->params.tsc_hz, until;
	struct cw_route *routes[CW_BURST];
	struct cw_host *hosts[CW_BURST];
	rte_be32_t mask, subnet;
	unsigned int kept = 0;
	bool late;

	if (l->n == 0)
		return;
	if (CW_UNLIKELY(w->view == NULL)) {
		no_namespace(w, l);
		return;
	}
	find(w->view, l, routes, hosts);
	late = now >= __atomic_load_n(&w->view->deadline->session_tsc, __ATOMIC_RELAXED);
	/* Once our own time to speak is over, so is that of every mapping. */
	until = late ? UINT64_MAX : now;
	mask = cw_prefix4_mask(w->view->subnet.len);
	subnet = w->view->subnet.ip;
	for (unsigned int i = 0, n = l->n; i < n; i++) {
		struct rte_mbuf *m = l->pkt[i];
		struct facts *f = facts_of(m);
		struct cw_host *host = hosts[i];
		struct cw_route *route = routes[i];

		if (CW_UNLIKELY(route == NULL || host == NULL) ||
		    CW_UNLIKELY((f->ip.src & mask) != subnet || until >= route->expires_tsc ||
				route->kind != CW_ROUTE_REMOTE ||
				!same_site(route->site, f->site) || host->state != CW_HOST_BOUND)) {
			if (!look_again(w, m, route, host, late))
				continue;
		}
		f->host = host;
		if (CW_UNLIKELY((int64_t)(cw_counted(&route->used_tsc) - stale) < 0))
			__atomic_store_n(&route->used_tsc, now, __ATOMIC_RELAXED);
		l->pkt[kept++] = m;
	}
	l->n = (uint16_t)kept;
}
