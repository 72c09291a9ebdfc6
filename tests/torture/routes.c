/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The route table behind a namespace view: publish, replace, retire; growth from the smallest
 * array; and the view itself replaced, whose old table dies with it a grace period later.
 *
 * Promises: an entry found under a key is that key's, whole, and does not change until the
 * quiescent state; versions of a key never run backwards; a key that is never retired is always
 * found, at least as new as what was published before the lookup began.
 */
#include "torture.h"

#include <stdlib.h>
#include <string.h>

#include <cw_ns_view.h>
#include <cw_route.h>

#define STEADY	     512u   /* keys that are always there */
#define KEYS	     65536u /* keys 1.. in all; the others come and go */
#define BURST	     32u
#define REPLACE_STEP 200000u /* changes until a new view takes over */

struct routes {
	struct cw_rcu *rcu;
	struct cw_ns_view *view; /* published */
	uint64_t steps, version;
	uint64_t published[STEADY + 1];	      /* shared: version that a lookup must reach */
	uint64_t seen[READERS_MAX][KEYS + 1]; /* each reader its own */
};

static void fill(struct cw_route *r, uint32_t key, uint64_t version)
{
	uint64_t s = stamp(key, version);

	*r = (struct cw_route){.ip = rte_cpu_to_be_32(key),
			       .kind = CW_ROUTE_REMOTE,
			       .peer = (uint16_t)s,
			       .gen = version,
			       .expires_tsc = s};
	memcpy(r->site, &s, sizeof(r->site));
}

static void check(const struct cw_route *r, uint32_t key, uint64_t version)
{
	uint64_t s = stamp(key, version), site;

	memcpy(&site, r->site, sizeof(site));
	if (r->ip != rte_cpu_to_be_32(key))
		broken("entry of another key, or freed", key, rte_be_to_cpu_32(r->ip), key);
	if (r->gen != version || r->expires_tsc != s || site != s || r->peer != (uint16_t)s)
		broken("entry changed, or not whole", key, r->gen, version);
}

static void publish(struct routes *x, const struct cw_ns_view *view, uint32_t key)
{
	struct cw_route r;

	fill(&r, key, ++x->version);
	CW_ASSERT(cw_route_publish(view->routes, &r) == 0);
}

/* From now on a lookup must find the key at this version or a later one. */
static void promise(struct routes *x, uint32_t key, uint64_t version)
{
	COMPILER_BARRIER();
	SHARED_STORE(&x->published[key], version);
}

static void view_free(struct cw_rcu_head *head)
{
	struct cw_ns_view *view = CW_CONTAINER_OF(head, struct cw_ns_view, rcu);

	cw_route_table_destroy(view->routes);
	free(view);
}

static struct cw_ns_view *view_new(struct routes *x)
{
	struct cw_ns_view *view = calloc(1, sizeof(*view));

	CW_ASSERT(view != NULL && cw_route_table_create(&view->routes, x->rcu, 0) == 0);
	view->mtu_bytes = 1420;
	for (uint32_t key = 1; key <= STEADY; key++)
		publish(x, view, key);
	return view;
}

static void *open_routes(struct cw_rcu *rcu)
{
	struct routes *x = calloc(1, sizeof(*x));

	CW_ASSERT(x != NULL);
	x->rcu = rcu;
	x->view = view_new(x);
	return x;
}

static void replace_view(struct routes *x)
{
	struct cw_ns_view *old = x->view;
	uint64_t before = x->version;

	__atomic_store_n(&x->view, view_new(x), __ATOMIC_RELEASE);
	for (uint32_t key = 1; key <= STEADY; key++)
		promise(x, key, before + key);
	/* Entries that wait for their grace period name the table: they were retired before it, so
	 * they are through when it goes. */
	cw_rcu_retire(x->rcu, &old->rcu, view_free);
}

static void write_routes(void *scene, struct dice *dice)
{
	struct routes *x = scene;
	uint64_t what = roll(dice);
	/* Each view grows from its first array to the largest in steps. */
	uint32_t range = 1024u << (x->steps % REPLACE_STEP * 7 / REPLACE_STEP);
	uint32_t key = STEADY + 1 + (uint32_t)(what >> 8) % (range - STEADY);

	if (++x->steps % REPLACE_STEP == 0)
		replace_view(x);
	if (what % 4 <= 1) {
		key = 1 + (uint32_t)(what >> 8) % (what % 4 == 0 ? 64 : STEADY);
		publish(x, x->view, key);
		promise(x, key, x->version);
	} else if (what % 4 == 2) {
		publish(x, x->view, key);
	} else {
		(void)cw_route_retire(x->view->routes, rte_cpu_to_be_32(key));
	}
}

static void take(struct routes *x, unsigned int reader, uint32_t key, uint64_t least,
		 struct cw_route *r)
{
	uint64_t version;

	if (r == NULL) {
		if (key <= STEADY)
			broken("a key that was never retired is gone", key, 0, least);
		return;
	}
	version = r->gen;
	check(r, key, version);
	if (version < least)
		broken("older than what was published before the lookup", key, version, least);
	if (version < x->seen[reader][key])
		broken("versions of a key ran backwards", key, version, x->seen[reader][key]);
	x->seen[reader][key] = version;
	__atomic_store_n(&r->used_tsc, version, __ATOMIC_RELAXED);
}

static void read_routes(void *scene, unsigned int reader, struct dice *dice)
{
	struct routes *x = scene;
	rte_be32_t ips[BURST];
	uint32_t keys[BURST];
	uint64_t least[BURST], version[BURST];
	struct cw_route *found[BURST];
	const struct cw_ns_view *view;

	for (unsigned int i = 0; i < BURST; i++) {
		uint64_t die = roll(dice);
		uint32_t range = i % 4 == 0 ? 64 : i % 4 == 1 ? STEADY : i % 4 == 2 ? 1024 : KEYS;

		keys[i] = 1 + (uint32_t)(die >> 8) % range;
		ips[i] = rte_cpu_to_be_32(keys[i]);
		least[i] = keys[i] <= STEADY ? SHARED_LOAD(&x->published[keys[i]]) : 0;
	}
	COMPILER_BARRIER();
	view = __atomic_load_n(&x->view, __ATOMIC_ACQUIRE); /* until the quiescent state */
	if (view->mtu_bytes != 1420)
		broken("view was freed", 0, view->mtu_bytes, 1420);
	cw_route_find_bulk(view->routes, ips, BURST, found);
	for (unsigned int i = 0; i < BURST; i++) {
		take(x, reader, keys[i], least[i], found[i]);
		version[i] = found[i] != NULL ? found[i]->gen : 0;
	}
	for (unsigned int i = 0; i < BURST; i++)
		if (found[i] != NULL)
			check(found[i], keys[i], version[i]);
}

static void close_routes(void *scene)
{
	struct routes *x = scene;

	cw_route_table_destroy(x->view->routes);
	free(x->view);
	free(x);
}

const struct scene scene_routes = {"routes", open_routes, write_routes, read_routes, close_routes};
