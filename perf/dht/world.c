/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes, their network and their time. One delay for all links, so what was sent first comes first.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/sha.h>

struct packet {
	struct packet *next;
	uint64_t due_ns;
	unsigned int from;
	size_t len;
	uint8_t data[];
};

static const struct cw_log quiet;

static uint64_t next_random(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = *state;

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t world_random(struct world *w, uint64_t below)
{
	return next_random(&w->nodes[0].random) % below;
}

static void fill(void *ctx, void *buf, size_t len)
{
	struct node *n = ctx;
	uint8_t *at = buf;

	while (len-- > 0)
		*at++ = (uint8_t)next_random(&n->random);
}

static void sha256(const void *data, size_t len, uint8_t out[32])
{
	SHA256(data, len, out);
}

static struct node *find(struct world *w, const struct cw_node_id *id)
{
	int32_t i = w->by_id[id->b[0] << 8 | id->b[1]];

	return i >= 0 && cw_node_id_equal(&w->nodes[i].id, id) ? &w->nodes[i] : NULL;
}

static void put(struct node *from, struct node *to, const void *data, size_t len)
{
	struct world *w = from->w;
	struct packet *p;

	from->sent++;
	from->sent_bytes += len;
	if (to == NULL || to->dead)
		return;
	p = malloc(sizeof(*p) + len);
	CW_ASSERT(p != NULL);
	*p = (struct packet){.due_ns = w->now_ns + (to == from ? 0 : w->delay_ns),
			     .from = (unsigned int)(from - w->nodes),
			     .len = len};
	memcpy(p->data, data, len);
	*to->inbox_tail = p;
	to->inbox_tail = &p->next;
}

static void op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		    uint64_t now_ns)
{
	struct node *n = ctx;

	(void)now_ns;
	put(n, find(n->w, to), data, len);
}

/* Distance on the ring, first 64 bits. */
static uint64_t distance(const struct cw_node_id *a, const struct cw_node_id *b)
{
	uint64_t x = 0, y = 0;

	for (unsigned int i = 0; i < 8; i++) {
		x = x << 8 | a->b[i];
		y = y << 8 | b->b[i];
	}
	return x - y < y - x ? x - y : y - x;
}

/* To the node nearest the slot's point, in one hop: hops are measured with the overlay. */
static bool op_route(void *ctx, uint32_t slot, const void *data, size_t len, uint64_t now_ns)
{
	struct node *n = ctx, *best = NULL;
	struct world *w = n->w;
	struct cw_node_id point;

	(void)now_ns;
	cw_dht_point(n->dht, slot, &point);
	for (unsigned int i = 0; i < w->count; i++)
		if (!w->nodes[i].dead && (best == NULL || distance(&w->nodes[i].id, &point) <
								  distance(&best->id, &point)))
			best = &w->nodes[i];
	put(n, best, data, len);
	return true;
}

static uint64_t op_append(void *ctx, uint8_t type, const void *data, size_t len)
{
	struct node *n = ctx;

	(void)type, (void)data, (void)len;
	return ++n->lsn;
}

static bool op_site_of(void *ctx, const struct cw_node_id *node, struct cw_site_id *out)
{
	(void)ctx;
	memcpy(out->b, node->b, sizeof(out->b));
	return true;
}

static void op_changed(void *ctx, rte_be32_t ip, const struct cw_mapping *m, uint64_t now_ns)
{
	(void)ctx, (void)ip, (void)m, (void)now_ns;
}

static void op_ns_changed(void *ctx, const struct cw_namespace_record *ns, uint64_t now_ns)
{
	(void)ctx, (void)ns, (void)now_ns;
}

/* Of this thread: who else is on the core does not count. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * CW_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* What is due for one node; the whole turn is its cost. */
static void node_turn(struct world *w, struct node *n)
{
	uint64_t begun;

	if (n->dead ||
	    (n->timer_ns > w->now_ns && (n->inbox == NULL || n->inbox->due_ns > w->now_ns)))
		return;
	begun = cpu_ns();
	while (n->inbox != NULL && n->inbox->due_ns <= w->now_ns) {
		struct packet *p = n->inbox;

		n->inbox = p->next;
		if (n->inbox == NULL)
			n->inbox_tail = &n->inbox;
		n->received++;
		w->sender = p->from;
		if (n->arrived != NULL && n->arrived[p->from] == 0)
			n->arrived[p->from] = w->now_ns;
		cw_dht_input(n->dht, &w->nodes[p->from].id, p->data, p->len, w->now_ns);
		free(p);
	}
	cw_dht_durable(n->dht, n->lsn, 0, w->now_ns);
	n->timer_ns = cw_dht_timer(n->dht, w->now_ns);
	cw_dht_durable(n->dht, n->lsn, 0, w->now_ns);
	n->cpu_ns += cpu_ns() - begun;
}

void world_turn(struct world *w)
{
	w->now_ns += w->turn_ns;
	for (unsigned int i = 0; i < w->count; i++)
		node_turn(w, &w->nodes[i]);
}

void world_run(struct world *w, uint64_t ns)
{
	uint64_t until_ns = w->now_ns + ns;

	while (w->now_ns < until_ns)
		world_turn(w);
}

static int by_id(const void *a, const void *b)
{
	const struct cw_node_id *x = a, *y = b;

	return memcmp(x->b, y->b, sizeof(x->b));
}

/* The nearest on the ring, as an overlay has them, and some far ones. */
static void tell_neighbours(struct world *w)
{
	struct cw_dht_peer *peers = calloc(w->neighbours, sizeof(*peers));
	struct node **alive = calloc(w->count, sizeof(struct node *));
	unsigned int many = w->neighbours, count = 0;

	CW_ASSERT(peers != NULL && alive != NULL);
	for (unsigned int i = 0; i < w->count; i++) {
		struct node *n = find(w, &w->ring[i]);

		if (!n->dead)
			alive[count++] = n;
	}
	for (unsigned int i = 0; i < count; i++) {
		unsigned int have = 0;

		for (unsigned int k = 1; k < count && have < many; k++) {
			unsigned int step =
				k <= many / 2 ? (k + 1) / 2 : k * (uint64_t)count / many / 2;

			step %= count;
			if (count <= many + 1) { /* all of them */
				peers[have++].node = alive[(i + k) % count]->id;
				continue;
			}
			peers[have++].node = alive[(i + (k % 2 ? step : count - step)) % count]->id;
		}
		cw_dht_neighbours(alive[i]->dht, peers, have, w->now_ns);
	}
	free(peers);
	free(alive);
}

void world_kill(struct world *w, unsigned int node)
{
	w->nodes[node].dead = true;
	tell_neighbours(w);
}

static void make_node(struct world *w, const struct world_plan *plan, struct node *n)
{
	static const struct cw_dht_ops ops = {.send = op_send,
					      .append = op_append,
					      .site_of = op_site_of,
					      .changed = op_changed,
					      .ns_changed = op_ns_changed};
	static const struct cw_dht_ops routed = {.send = op_send,
						 .route = op_route,
						 .append = op_append,
						 .site_of = op_site_of,
						 .changed = op_changed,
						 .ns_changed = op_ns_changed};
	struct cw_dht_config config = {.ns_name = "perf",
				       .log = &quiet,
				       .random = {.ctx = n, .fill = fill},
				       .digest = {.sha256 = sha256},
				       .tuning = {.slots = plan->slots,
						  .settle_ns = plan->settle_ns,
						  .move_ns = plan->move_ns,
						  .quota = UINT32_MAX}};

	do {
		if (plan->sign)
			CW_ASSERT(keys_make(n)); /* and the node ID with it */
		else
			fill(n, n->id.b, sizeof(n->id.b));
	} while (w->by_id[n->id.b[0] << 8 | n->id.b[1]] >= 0);
	w->by_id[n->id.b[0] << 8 | n->id.b[1]] = (int32_t)(n - w->nodes);
	config.self = n->id;
	memcpy(config.site.b, n->id.b, sizeof(config.site.b));
	if (plan->sign) {
		config.keys = &keys_ops;
		config.keys_self = n;
	}
	CW_ASSERT(cw_dht_create(&n->dht, &config, plan->nodes > 8 ? &routed : &ops, n) == 0);
	cw_dht_start(n->dht, w->now_ns);
}

void world_create(struct world *w, const struct world_plan *plan)
{
	struct cw_node_id *ids = calloc(plan->nodes, sizeof(*ids));

	*w = (struct world){.count = plan->nodes,
			    .now_ns = CW_NS_PER_S,
			    .delay_ns = plan->delay_ns,
			    .turn_ns = plan->turn_ns};
	memset(w->by_id, -1, sizeof(w->by_id));
	w->nodes = calloc(plan->nodes, sizeof(*w->nodes));
	CW_ASSERT(ids != NULL && w->nodes != NULL);
	for (unsigned int i = 0; i < w->count; i++) {
		struct node *n = &w->nodes[i];

		*n = (struct node){.w = w, .random = (plan->seed << 32) + i + 1};
		n->inbox_tail = &n->inbox;
		make_node(w, plan, n);
		ids[i] = n->id;
	}
	CW_ASSERT(cw_dht_found(w->nodes[0].dht, ids, plan->voters, w->now_ns) == 0);
	qsort(ids, w->count, sizeof(*ids), by_id);
	w->ring = ids;
	w->neighbours = plan->neighbours;
	tell_neighbours(w);
}

void world_destroy(struct world *w)
{
	for (unsigned int i = 0; i < w->count; i++) {
		struct node *n = &w->nodes[i];

		while (n->inbox != NULL) {
			struct packet *next = n->inbox->next;

			free(n->inbox);
			n->inbox = next;
		}
		cw_dht_destroy(n->dht);
		keys_free(n);
		free(n->arrived);
	}
	free(w->nodes);
	free(w->ring);
}
