/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The resolver: what a lookup miss becomes.
 *
 * A worker punts a frame whose destination (or, from the WAN, whose inner source) has no published
 * mapping. The resolver keeps the frame, asks the store, publishes a route and gives the frame back
 * to the worker, so that the first packet of a flow is late and not lost. It also keeps what it
 * published true: a mapping in use is asked for again before CW_STORE_CACHE_NS and watched
 * meanwhile, one that nobody uses is forgotten, one whose gateway is not linked waits for the link.
 *
 * It refuses to be a cache of the world: at most CW_RESOLUTIONS_MAX mappings, CW_HOLD_ADDRESSES_MAX
 * addresses with frames waiting, CW_HOLD_PER_ADDRESS_MAX frames each, CW_HOLD_NS long.
 *
 * Invariant: a published REMOTE route names a peer that is linked, or a group of such (nexthops.c);
 * when the last link goes, so does the route. A host of our own (cw_resolver_local) always stands
 * before what the store says: who speaks for it is us until the lease engine retires it.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKETS (1u << 16)
/* Looked at per second for what a fellow should know. */
#define USED_LOOKS_MAX 4096u

struct hold {
	struct hold *next;
	struct cw_punt_meta meta;
	uint64_t since_ns;
	size_t len;
	uint8_t data[];
};

/* What is known of one address. */
struct resolution {
	struct resolution *hash_next;
	struct resolution *ring_next, *ring_prev; /* housekeeping goes around this ring */
	struct cw_control *ctl;
	rte_be32_t ip;
	bool asking; /* a MAP_GET is out; it holds a reference */
	bool dead;   /* forgotten while asking: freed by the answer */
	bool known;  /* `mapping` is valid, learnt at known_ns (first send) */
	bool local;  /* a host of ours */
	bool watched;
	uint64_t known_ns, used_ns, ask_again_ns;
	uint64_t wanted_ver; /* somebody has seen this version: a lower one is old news */
	struct cw_mapping mapping;
	struct hold *holds, **holds_tail;
	unsigned int hold_count;
};

struct resolver {
	struct resolution *buckets[BUCKETS];
	struct resolution *cursor; /* next for housekeeping */
	unsigned int count, holding, frames;
};

static unsigned int bucket_of(rte_be32_t ip)
{
	return (rte_be_to_cpu_32(ip) * UINT32_C(0x9E3779B1)) >> 16;
}

static struct resolution *find(struct resolver *r, rte_be32_t ip)
{
	struct resolution *x = r->buckets[bucket_of(ip)];

	while (x != NULL && x->ip != ip)
		x = x->hash_next;
	return x;
}

static struct resolution *find_or_add(struct cw_control *ctl, rte_be32_t ip)
{
	struct resolver *r = ctl->resolver;
	struct resolution *x = find(r, ip);

	if (x != NULL)
		return x;
	if (r->count >= CW_RESOLUTIONS_MAX)
		return NULL;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return NULL;
	x->ctl = ctl;
	x->ip = ip;
	x->holds_tail = &x->holds;
	x->hash_next = r->buckets[bucket_of(ip)];
	r->buckets[bucket_of(ip)] = x;
	if (r->cursor == NULL) {
		x->ring_next = x->ring_prev = x;
		r->cursor = x;
	} else {
		x->ring_next = r->cursor;
		x->ring_prev = r->cursor->ring_prev;
		x->ring_prev->ring_next = x;
		r->cursor->ring_prev = x;
	}
	r->count++;
	return x;
}

static void ignore_answer(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	(void)arg;
	(void)answer;
	(void)now_ns;
}

static void watch(struct resolution *x, bool on)
{
	struct cw_control *ctl = x->ctl;

	if (x->watched == on || !ctl->have_store)
		return;
	/* Soft state: when the store has no room for a watch, the refresh finds the change later.
	 */
	if (cw_store_submit(&ctl->store,
			    &(struct cw_store_request){.verb = on ? CW_STORE_MAP_WATCH
								  : CW_STORE_MAP_UNWATCH,
						       .ip = x->ip},
			    ignore_answer, NULL, ctl->now_ns) == 0)
		x->watched = on;
}

static void hold_end(struct resolution *x, struct hold *h)
{
	struct resolver *r = x->ctl->resolver;

	r->frames--;
	if (--x->hold_count == 0)
		r->holding--;
	free(h);
}

static void drop_holds(struct resolution *x)
{
	while (x->holds != NULL) {
		struct hold *h = x->holds;

		x->holds = h->next;
		x->ctl->counts.drops[CW_DROP_HOLD_TIMEOUT]++;
		hold_end(x, h);
	}
	x->holds_tail = &x->holds;
}

static void forget(struct resolution *x)
{
	struct resolver *r = x->ctl->resolver;
	struct resolution **at = &r->buckets[bucket_of(x->ip)];

	while (*at != x)
		at = &(*at)->hash_next;
	*at = x->hash_next;
	if (x->ring_next == x) {
		r->cursor = NULL;
	} else {
		x->ring_prev->ring_next = x->ring_next;
		x->ring_next->ring_prev = x->ring_prev;
		if (r->cursor == x)
			r->cursor = x->ring_next;
	}
	r->count--;
	drop_holds(x);
	watch(x, false);
	if (x->ctl->routes != NULL)
		cw_route_retire(x->ctl->routes, x->ip);
	if (x->asking)
		x->dead = true;
	else
		free(x);
}

static void give_one(struct cw_control *ctl, const struct hold *h)
{
	struct cw_inject_meta meta = {
		.worker = h->meta.worker, .vlan = h->meta.vlan, .peer = h->meta.peer};

	switch (h->meta.kind) {
	case CW_PUNT_ARP:
		cw_lan_arp_again(ctl, &h->meta, h->data, h->len);
		break;
	case CW_PUNT_ADMIT:
	case CW_PUNT_MOVED:
		meta.kind = CW_INJECT_INBOUND;
		cw_control_inject(ctl, &meta, h->data, h->len);
		break;
	default:
		meta.kind = CW_INJECT_OUTBOUND;
		cw_control_inject(ctl, &meta, h->data, h->len);
	}
}

/* The tables changed in favour of these frames, or for good against them: workers or lan.c decide
 * again. Those for a gateway that cannot be sent to yet go on waiting. */
static void give_back(struct resolution *x, bool outbound_too)
{
	struct hold *h = x->holds, *next;

	x->holds = NULL;
	x->holds_tail = &x->holds;
	for (; h != NULL; h = next) {
		next = h->next;
		if (h->meta.kind == CW_PUNT_MISS && !outbound_too) {
			h->next = NULL;
			*x->holds_tail = h;
			x->holds_tail = &h->next;
			continue;
		}
		give_one(x->ctl, h);
		hold_end(x, h);
	}
}

/* @return true when the mapping can be published now; false: its gateway is not linked yet. */
static bool route_of(struct resolution *x, struct cw_route *route)
{
	struct cw_control *ctl = x->ctl;
	const struct cw_mapping *m = &x->mapping;

	*route = (struct cw_route){.ip = x->ip, .peer = CW_PEER_NONE, .gen = m->gen};
	if (x->local) {
		route->kind = CW_ROUTE_LOCAL;
		route->expires_tsc = UINT64_MAX;
		memcpy(route->site, ctl->site.b, sizeof(route->site));
		return true;
	}
	if (!m->held || !m->owned || m->client_state != CW_CLIENT_BOUND) {
		route->kind = CW_ROUTE_NONE;
		route->expires_tsc = ctl->ops.tsc_of_ns(ctl->ctx, x->known_ns + CW_NEGATIVE_NS);
		return true;
	}
	route->expires_tsc = ctl->ops.tsc_of_ns(ctl->ctx, x->known_ns + CW_STORE_CACHE_NS);
	memcpy(route->site, m->owner_site.b, sizeof(route->site));
	if (memcmp(&m->owner_site, &ctl->site, sizeof(ctl->site)) == 0) {
		route->kind = CW_ROUTE_LOCAL;
		return true;
	}
	route->kind = CW_ROUTE_REMOTE;
	route->peer = cw_nexthops_of(ctl, &m->owner_site, &m->owner);
	return route->peer != CW_PEER_NONE;
}

static void publish(struct resolution *x)
{
	struct cw_control *ctl = x->ctl;
	struct cw_route route;

	if (ctl->routes == NULL || !(x->local || x->known))
		return;
	if (!route_of(x, &route)) {
		cw_route_retire(ctl->routes, x->ip);
		if (x->hold_count > 0 && ctl->overlay != NULL)
			cw_overlay_want(ctl->overlay, &x->mapping.owner, ctl->now_ns);
		return;
	}
	if (cw_route_publish(ctl->routes, &route) < 0) {
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE,
		       "no memory for a route; its packets stay unresolved");
		return;
	}
	watch(x, route.kind == CW_ROUTE_REMOTE);
	give_back(x, route.kind != CW_ROUTE_REMOTE || cw_nexthops_ready(ctl, &route));
}

static void on_mapping(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct resolution *x = arg;
	struct cw_control *ctl = x->ctl;

	ctl->now_ns = now_ns;
	x->asking = false;
	if (x->dead) {
		free(x);
		return;
	}
	if (answer->result != CW_STORE_OK) {
		/* No quorum, or cut off: an older mapping runs out by itself, frames wait until
		 * their time is over. */
		x->ask_again_ns = now_ns + CW_NS_PER_S;
		return;
	}
	if ((x->known && answer->mapping.ver < x->mapping.ver) ||
	    answer->mapping.ver < x->wanted_ver) {
		x->ask_again_ns = now_ns + CW_HOUSEKEEPING_NS;
		return;
	}
	x->mapping = answer->mapping;
	x->known = true;
	x->known_ns = answer->first_send_ns;
	publish(x);
}

static void ask(struct resolution *x, bool fresh)
{
	struct cw_control *ctl = x->ctl;
	struct cw_store_request request = {
		.verb = CW_STORE_MAP_GET, .fresh = fresh, .ip = x->ip, .budget_ns = CW_HOLD_NS};

	if (x->asking || x->local || !ctl->have_store || ctl->now_ns < x->ask_again_ns)
		return;
	x->asking = true;
	if (cw_store_submit(&ctl->store, &request, on_mapping, x, ctl->now_ns) < 0) {
		x->asking = false;
		x->ask_again_ns = ctl->now_ns + CW_HOUSEKEEPING_NS;
	}
}

void cw_resolver_hold(struct cw_control *ctl, rte_be32_t ip, const struct cw_punt_meta *meta,
		      const uint8_t *data, size_t len)
{
	struct resolver *r = ctl->resolver;
	struct resolution *x;
	struct hold *h;

	if (!ctl->have_ns || !cw_prefix4_contains(&ctl->ns.subnet, ip))
		return;
	x = find_or_add(ctl, ip);
	h = x != NULL && x->hold_count < CW_HOLD_PER_ADDRESS_MAX &&
			    r->frames < CW_HOLD_FRAMES_MAX &&
			    (x->hold_count > 0 || r->holding < CW_HOLD_ADDRESSES_MAX)
		    ? malloc(sizeof(*h) + len)
		    : NULL;
	if (h == NULL) {
		ctl->counts.drops[CW_DROP_HOLD_OVERFLOW]++;
		return;
	}
	*h = (struct hold){.meta = *meta, .since_ns = ctl->now_ns, .len = len};
	memcpy(h->data, data, len);
	x->used_ns = ctl->now_ns;
	r->frames++;
	if (x->hold_count++ == 0)
		r->holding++;
	*x->holds_tail = h;
	x->holds_tail = &h->next;

	/* The punt may be older than our last publication; an expired or missing route is asked for
	 * afresh. */
	if (x->local || (x->known && ctl->now_ns < x->known_ns + CW_NEGATIVE_NS))
		publish(x);
	ask(x, meta->kind == CW_PUNT_MOVED);
}

void cw_resolver_departed(struct cw_control *ctl, rte_be32_t ip, const struct cw_mapping *mapping)
{
	struct resolution *x = find_or_add(ctl, ip);

	if (x == NULL || x->local)
		return;
	x->used_ns = ctl->now_ns;
	cw_resolver_news(ctl, ip, mapping);
	if (x->known && mapping->owned && ctl->routes != NULL &&
	    cw_route_find(ctl->routes, ip) == NULL)
		cw_overlay_want(ctl->overlay, &mapping->owner, ctl->now_ns);
}

void cw_resolver_not_there(struct cw_control *ctl, const struct cw_site_id *from, rte_be32_t ip,
			   uint64_t ver)
{
	struct resolution *x = find(ctl->resolver, ip);

	if (x == NULL || x->local || !x->known || !x->mapping.owned || x->mapping.ver >= ver ||
	    memcmp(&x->mapping.owner_site, from, sizeof(*from)) != 0)
		return;
	x->wanted_ver = ver;
	x->ask_again_ns = 0;
	ask(x, true);
}

void cw_resolver_news(struct cw_control *ctl, rte_be32_t ip, const struct cw_mapping *mapping)
{
	struct resolution *x = find(ctl->resolver, ip);

	if (x == NULL || (x->known && mapping->ver <= x->mapping.ver))
		return;
	x->mapping = *mapping;
	x->known = true;
	x->known_ns = ctl->now_ns;
	publish(x);
}

void cw_resolver_local(struct cw_control *ctl, rte_be32_t ip, bool is_local)
{
	struct resolution *x = is_local ? find_or_add(ctl, ip) : find(ctl->resolver, ip);

	if (x == NULL)
		return;
	x->local = is_local;
	if (is_local) {
		publish(x);
		return;
	}
	/* Whoever asks next hears what the store says now. */
	x->known = false;
	cw_route_retire(ctl->routes, ip);
	if (x->hold_count == 0)
		forget(x);
}

/* @return whether the published route is what it should be by now. */
static bool stands(struct resolution *x)
{
	const struct cw_route *route = cw_route_find(x->ctl->routes, x->ip);
	struct cw_route wanted;

	if (!route_of(x, &wanted))
		return route == NULL;
	return route != NULL && route->kind == wanted.kind && route->peer == wanted.peer;
}

void cw_resolver_site(struct cw_control *ctl, const struct cw_site_id *site)
{
	struct resolver *r = ctl->resolver;
	struct resolution *x = r->cursor;

	for (unsigned int i = 0; i < r->count; i++, x = x->ring_next)
		if (x->known && !x->local && x->mapping.owned &&
		    memcmp(&x->mapping.owner_site, site, sizeof(*site)) == 0 &&
		    (x->hold_count > 0 || !stands(x)))
			publish(x);
}

static void expire_holds(struct resolution *x)
{
	while (x->holds != NULL && x->ctl->now_ns - x->holds->since_ns >= CW_HOLD_NS) {
		struct hold *h = x->holds;

		x->holds = h->next;
		if (x->holds == NULL)
			x->holds_tail = &x->holds;
		x->ctl->counts.drops[CW_DROP_HOLD_TIMEOUT]++;
		hold_end(x, h);
	}
}

/* @return false when the resolution was forgotten. */
static bool keep_house(struct resolution *x)
{
	struct cw_control *ctl = x->ctl;
	const struct cw_route *route;

	expire_holds(x);
	if (x->local)
		return true;
	if (x->hold_count > 0) {
		if (!x->known || ctl->now_ns >= x->known_ns + CW_NEGATIVE_NS)
			ask(x, false);
		return true;
	}
	route = ctl->routes != NULL ? cw_route_find(ctl->routes, x->ip) : NULL;
	if (route != NULL && cw_counted(&route->used_tsc) != 0)
		x->used_ns = cw_max_u64(x->used_ns,
					ctl->ops.ns_of_tsc(ctl->ctx, cw_counted(&route->used_tsc)));
	if (route == NULL || route->kind == CW_ROUTE_NONE) {
		if (!x->asking && ctl->now_ns >= x->known_ns + CW_STORE_CACHE_NS) {
			forget(x);
			return false;
		}
		return true;
	}
	if (ctl->now_ns >= x->used_ns + CW_UNUSED_NS) {
		forget(x);
		return false;
	}
	if (route->peer >= CW_ROUTE_GROUP)
		cw_nexthops_used(ctl, &x->mapping.owner_site);
	if (ctl->now_ns >= x->known_ns + CW_REFRESH_NS &&
	    x->used_ns + CW_STORE_CACHE_NS > ctl->now_ns)
		ask(x, false);
	return true;
}

void cw_resolver_timer(struct cw_control *ctl)
{
	struct resolver *r = ctl->resolver;
	/* All of it every 2 s: a twentieth each time, but everything while there is little. */
	unsigned int n = r->count <= 4096 ? r->count : r->count / 20 + 1;

	while (n-- > 0 && r->cursor != NULL) {
		struct resolution *x = r->cursor;

		r->cursor = x->ring_next;
		keep_house(x);
	}
}

unsigned int cw_resolver_used(struct cw_control *ctl, rte_be32_t *out, unsigned int max)
{
	struct resolver *r = ctl->resolver;
	struct resolution *x = r->cursor;
	unsigned int found = 0;

	/* Housekeeping moves the cursor on, so a large table is gone through bit by bit. */
	for (unsigned int i = 0; i < r->count && i < USED_LOOKS_MAX && found < max;
	     i++, x = x->ring_next)
		if (!x->local && x->known && x->mapping.owned &&
		    ctl->now_ns < x->used_ns + CW_STORE_CACHE_NS &&
		    memcmp(&x->mapping.owner_site, &ctl->site, sizeof(ctl->site)) != 0)
			out[found++] = x->ip;
	return found;
}

bool cw_resolver_warm(struct cw_control *ctl, rte_be32_t ip)
{
	const struct cw_route *route;
	struct resolution *x;

	if (!ctl->have_ns || ctl->routes == NULL || !cw_prefix4_contains(&ctl->ns.subnet, ip))
		return true;
	x = find_or_add(ctl, ip);
	if (x == NULL || x->local)
		return true;
	x->used_ns = ctl->now_ns;
	if (!x->known || ctl->now_ns >= x->known_ns + CW_REFRESH_NS)
		ask(x, false);
	route = cw_route_find(ctl->routes, ip);
	if (route == NULL && x->known && x->mapping.owned && ctl->overlay != NULL)
		cw_overlay_want(ctl->overlay, &x->mapping.owner, ctl->now_ns);
	return route != NULL && (route->kind != CW_ROUTE_REMOTE || cw_nexthops_ready(ctl, route));
}

unsigned int cw_resolver_waiting(const struct cw_control *ctl)
{
	return ctl->resolver->holding;
}

int cw_resolver_create(struct cw_control *ctl)
{
	ctl->resolver = calloc(1, sizeof(*ctl->resolver));
	return ctl->resolver == NULL ? -ENOMEM : 0;
}

void cw_resolver_destroy(struct cw_control *ctl)
{
	struct resolver *r = ctl->resolver;

	if (r == NULL)
		return;
	/* The store is gone by now: nobody answers any more, so nothing is left for `dead`. */
	ctl->have_store = false;
	while (r->cursor != NULL) {
		/* forget() moves the cursor on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		r->cursor->asking = false;
		forget(r->cursor);
	}
	free(r);
	ctl->resolver = NULL;
}
