/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a datagram goes and when. Its way is found when it is sent: outwards through the NATs of
 * the sender until some realm knows the address, then inwards through the NATs of the receiver; a
 * private address means something in its own realm only. Losses, delays and copies are drawn from
 * the seed; the delay of a pair has a part that stays, so that routes differ.
 */
#include "underlay.h"

#include <stdlib.h>

enum { HEADERS_BYTES = 28, PAIRS_MAX = 1024, BUCKETS = 1 << 14 };

struct event {
	uint64_t at_ns, order;
	unsigned int node;
	struct cw_endpoint from;
	size_t len;
	uint8_t *data; /* NULL: a timer */
};

struct host {
	unsigned int realm, group, mtu_bytes;
	struct cw_endpoint at;
	uint64_t wake_ns, bytes, datagrams;
	unsigned int next; /* chain of its bucket, + 1 */
};

struct underlay {
	uint64_t now_ns, order, *random;
	struct under_ops ops;
	void *ctx;
	struct under_conditions conditions;
	struct host *hosts;
	unsigned int count;
	struct under_nat **nats;
	unsigned int nat_count;
	unsigned int buckets[BUCKETS]; /* host + 1 by realm and address */
	struct {
		unsigned int from, to;
	} cuts[PAIRS_MAX];
	unsigned int cut_count;
	struct event *heap;
	size_t events, size;
};

struct underlay *under_create(unsigned int nodes, uint64_t *random, const struct under_ops *ops,
			      void *ctx)
{
	struct underlay *u = calloc(1, sizeof(*u));

	CW_ASSERT(u != NULL);
	u->hosts = calloc(nodes, sizeof(*u->hosts));
	CW_ASSERT(u->hosts != NULL);
	for (unsigned int i = 0; i < nodes; i++)
		u->hosts[i].wake_ns = CW_NEVER;
	u->count = nodes;
	u->random = random;
	u->ops = *ops;
	u->ctx = ctx;
	u->now_ns = CW_NS_PER_S;
	return u;
}

void under_destroy(struct underlay *u)
{
	for (size_t i = 0; i < u->events; i++)
		free(u->heap[i].data);
	for (unsigned int i = 0; i < u->nat_count; i++)
		nat_destroy(u->nats[i]);
	free(u->heap);
	free(u->nats);
	free(u->hosts);
	free(u);
}

uint64_t under_now(const struct underlay *u)
{
	return u->now_ns;
}

struct under_conditions *under_conditions(struct underlay *u)
{
	return &u->conditions;
}

unsigned int under_add_nat(struct underlay *u, const struct under_nat_params *params)
{
	u->nats = realloc(u->nats, (u->nat_count + 1) * sizeof(struct under_nat *));
	CW_ASSERT(u->nats != NULL);
	u->nats[u->nat_count++] = nat_create(params);
	return u->nat_count;
}

static unsigned int *bucket(struct underlay *u, unsigned int realm, const struct cw_endpoint *at)
{
	uint64_t key = (uint64_t)at->ip4 << 32 | (uint64_t)realm << 16 | at->port;

	return &u->buckets[sim_random(&key) % BUCKETS];
}

static unsigned int host_at(struct underlay *u, unsigned int realm, const struct cw_endpoint *at)
{
	unsigned int i = *bucket(u, realm, at);

	while (i != 0 &&
	       !(u->hosts[i - 1].realm == realm && cw_endpoint_equal(&u->hosts[i - 1].at, at)))
		i = u->hosts[i - 1].next;
	return i;
}

void under_place(struct underlay *u, unsigned int node, unsigned int realm,
		 const struct cw_endpoint *at)
{
	struct host *h = &u->hosts[node];
	unsigned int *place;

	if (h->at.family != CW_FAMILY_NONE) {
		place = bucket(u, h->realm, &h->at);
		while (*place != node + 1)
			place = &u->hosts[*place - 1].next;
		*place = h->next;
	}
	h->realm = realm;
	h->at = *at;
	place = bucket(u, realm, at);
	h->next = *place;
	*place = node + 1;
}

const struct cw_endpoint *under_address(const struct underlay *u, unsigned int node)
{
	return &u->hosts[node].at;
}

void under_set_group(struct underlay *u, unsigned int node, unsigned int group)
{
	u->hosts[node].group = group;
}

void under_set_mtu(struct underlay *u, unsigned int node, unsigned int mtu_bytes)
{
	u->hosts[node].mtu_bytes = mtu_bytes;
}

unsigned int under_mtu(const struct underlay *u, unsigned int one, unsigned int other)
{
	unsigned int a = u->hosts[one].mtu_bytes, b = u->hosts[other].mtu_bytes;

	return a == 0 || (b != 0 && b < a) ? b : a;
}

static bool fits(const struct underlay *u, unsigned int from, unsigned int to, size_t len)
{
	unsigned int mtu_bytes = under_mtu(u, from, to);

	return mtu_bytes == 0 || len + HEADERS_BYTES <= mtu_bytes;
}

void under_cut(struct underlay *u, unsigned int from, unsigned int to)
{
	if (u->cut_count < PAIRS_MAX && from != to) {
		u->cuts[u->cut_count].from = from;
		u->cuts[u->cut_count++].to = to;
	}
}

void under_heal(struct underlay *u)
{
	u->cut_count = 0;
	for (unsigned int i = 0; i < u->count; i++)
		u->hosts[i].group = 0;
}

static bool blocked(const struct underlay *u, unsigned int from, unsigned int to)
{
	if (u->hosts[from].group != u->hosts[to].group)
		return true;
	for (unsigned int i = 0; i < u->cut_count; i++)
		if (u->cuts[i].from == from && u->cuts[i].to == to)
			return true;
	return false;
}

/* -- the heap */

static bool before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void push(struct underlay *u, struct event e)
{
	size_t i;

	e.order = u->order++;
	if (u->events == u->size) {
		u->size = u->size ? u->size * 2 : 1024;
		u->heap = realloc(u->heap, u->size * sizeof(*u->heap));
		CW_ASSERT(u->heap != NULL);
	}
	i = u->events++;
	while (i > 0 && before(&e, &u->heap[(i - 1) / 2])) {
		u->heap[i] = u->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	u->heap[i] = e;
}

static struct event pop(struct underlay *u)
{
	struct event first = u->heap[0], last = u->heap[--u->events];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= u->events)
			break;
		if (child + 1 < u->events && before(&u->heap[child + 1], &u->heap[child]))
			child++;
		if (!before(&u->heap[child], &last))
			break;
		u->heap[i] = u->heap[child];
		i = child;
	}
	if (u->events > 0)
		u->heap[i] = last;
	return first;
}

/* -- the way of a datagram */

static unsigned int nat_at(const struct underlay *u, unsigned int realm, rte_be32_t ip)
{
	for (unsigned int i = 0; i < u->nat_count; i++)
		if (nat_params(u->nats[i])->realm == realm && nat_params(u->nats[i])->ip == ip)
			return i + 1;
	return 0;
}

/* @return host + 1 that it reaches, 0 none; *from becomes the source as that host sees it. */
static unsigned int find_way(struct underlay *u, unsigned int node, struct cw_endpoint *from,
			     struct cw_endpoint to)
{
	unsigned int realm = u->hosts[node].realm, nat;

	for (;;) {
		unsigned int found = host_at(u, realm, &to);

		if (found != 0)
			return found;
		nat = nat_at(u, realm, to.ip4);
		if (nat != 0) {
			if (!nat_in(u->nats[nat - 1], from, to.port, &to, u->now_ns))
				return 0;
			realm = nat;
			continue;
		}
		if (realm == 0)
			return 0;
		/* Outwards; to its own outer address only a hairpinning NAT turns it around. */
		nat = realm;
		*from = nat_out(u->nats[nat - 1], from, &to, u->now_ns);
		realm = nat_params(u->nats[nat - 1])->realm;
		if (to.ip4 == nat_params(u->nats[nat - 1])->ip &&
		    !nat_params(u->nats[nat - 1])->hairpin)
			return 0;
	}
}

static uint64_t delay_of(struct underlay *u, unsigned int from, unsigned int to)
{
	const struct under_conditions *c = &u->conditions;
	uint64_t pair = from < to ? (uint64_t)from << 32 | to : (uint64_t)to << 32 | from;
	uint64_t delay = c->delay_ns - c->delay_ns / 4 * (sim_random(&pair) % 1000) / 1000;

	if (c->jitter_ns > 0)
		delay += sim_random(u->random) % c->jitter_ns;
	if (sim_chance(u->random, c->slow) && c->slow_ns > 0)
		delay += sim_random(u->random) % c->slow_ns;
	return delay;
}

static void deliver_later(struct underlay *u, unsigned int node, const struct cw_endpoint *from,
			  const void *data, size_t len, uint64_t at_ns)
{
	struct event e = {
		.at_ns = at_ns, .node = node, .from = *from, .len = len, .data = malloc(len + 1)};

	CW_ASSERT(e.data != NULL);
	memcpy(e.data, data, len);
	push(u, e);
}

void under_send(struct underlay *u, unsigned int node, const struct cw_endpoint *to,
		const void *data, size_t len)
{
	const struct under_conditions *c = &u->conditions;
	struct cw_endpoint from = u->hosts[node].at;
	unsigned int found;
	uint64_t delay;

	u->hosts[node].bytes += len + HEADERS_BYTES;
	u->hosts[node].datagrams++;
	found = find_way(u, node, &from, *to);
	if (found == 0 || !fits(u, node, found - 1, len) || blocked(u, node, found - 1) ||
	    sim_chance(u->random, c->loss))
		return;
	delay = delay_of(u, node, found - 1);
	deliver_later(u, found - 1, &from, data, len, u->now_ns + delay);
	if (sim_chance(u->random, c->duplicate))
		deliver_later(u, found - 1, &from, data, len,
			      u->now_ns + delay + sim_random(u->random) % (c->duplicate_ns + 1));
}

void under_wake(struct underlay *u, unsigned int node, uint64_t at_ns)
{
	struct host *h = &u->hosts[node];

	if (at_ns < u->now_ns)
		at_ns = u->now_ns;
	if (at_ns >= h->wake_ns)
		return;
	h->wake_ns = at_ns;
	push(u, (struct event){.at_ns = at_ns, .node = node});
}

void under_run(struct underlay *u, uint64_t until_ns)
{
	while (u->events > 0 && u->heap[0].at_ns <= until_ns) {
		struct event e = pop(u);

		u->now_ns = e.at_ns;
		if (e.data != NULL) {
			u->ops.deliver(u->ctx, e.node, &e.from, e.data, e.len);
			free(e.data);
		} else if (u->hosts[e.node].wake_ns == e.at_ns) {
			/* A timer that was overtaken by an earlier one is not this one. */
			u->hosts[e.node].wake_ns = CW_NEVER;
			u->ops.timer(u->ctx, e.node);
		}
	}
	u->now_ns = until_ns;
}

uint64_t under_bytes(const struct underlay *u, unsigned int node)
{
	return u->hosts[node].bytes;
}

uint64_t under_datagrams(const struct underlay *u, unsigned int node)
{
	return u->hosts[node].datagrams;
}
