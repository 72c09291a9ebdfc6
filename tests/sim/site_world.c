/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A segment: two to four gateways on one switch, hosts that talk (or do not), links between the
 * gateways over a WAN. The engines are those that ship; time, wires and faults are made up.
 *
 * Even seeds have one fault at a time and no other loss, so that takeovers can be timed; odd seeds
 * have loss, replays and faults that overlap, and are judged by safety and by coming to rest.
 */
#include "site_world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const far_mutations[CW_SITES_MUT_COUNT] = {
	[CW_SITES_MUT_NOBALLOT] = "noballot",
	[CW_SITES_MUT_ONCE] = "once",
	[CW_SITES_MUT_NOOUTBID] = "nooutbid",
	[CW_SITES_MUT_FORGETS] = "forgets",
};

static const char *const mutations[CW_SITE_MUT_COUNT] = {
	[CW_SITE_MUT_NOWAIT] = "nowait",	   [CW_SITE_MUT_NODEADLINE] = "nodeadline",
	[CW_SITE_MUT_FROMRECEIPT] = "fromreceipt", [CW_SITE_MUT_UNBOUND] = "unbound",
	[CW_SITE_MUT_EARLYTAKE] = "earlytake",	   [CW_SITE_MUT_NOLISTEN] = "nolisten",
	[CW_SITE_MUT_STALLBLIND] = "stallblind",   [CW_SITE_MUT_NOPASSIVE] = "nopassive",
	[CW_SITE_MUT_NODAMP] = "nodamp",	   [CW_SITE_MUT_RESHUFFLE] = "reshuffle",
	[CW_SITE_MUT_NOREPLAY] = "noreplay",
};

void site_trace(const struct site_world *w, const char *fmt, ...)
{
	va_list args;

	if (!w->options->verbose)
		return;
	printf("%11.6f ", (double)w->now_ns / (double)CW_NS_PER_S);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

static bool before(const struct site_event *a, const struct site_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void site_world_push(struct site_world *w, const struct site_event *event)
{
	struct site_event *e = malloc(sizeof(*e));
	size_t i;

	CW_ASSERT(e != NULL);
	*e = *event;
	e->order = w->order++;
	if (w->used == w->size) {
		w->size = w->size ? w->size * 2 : 256;
		w->heap = realloc(w->heap, w->size * sizeof(struct site_event *));
		CW_ASSERT(w->heap != NULL);
	}
	for (i = w->used++; i > 0 && before(e, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = e;
}

static struct site_event *pop(struct site_world *w)
{
	struct site_event *top = w->heap[0], *last = w->heap[--w->used];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= w->used)
			break;
		if (child + 1 < w->used && before(w->heap[child + 1], w->heap[child]))
			child++;
		if (!before(w->heap[child], last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	if (w->used > 0)
		w->heap[i] = last;
	return top;
}

bool site_world_connected(const struct site_world *w, unsigned int from, unsigned int to)
{
	const struct site_node *a = &w->node[from], *b = &w->node[to];

	return a->side == b->side && !a->voiceless && !b->deaf;
}

/* -- ops */

static void op_send_lan(void *ctx, const uint8_t *payload, size_t len)
{
	struct site_node *n = ctx;
	struct site_world *w = n->world;
	struct site_event e = {.kind = SITE_LAN, .from = n->number, .len = len};

	bool is_hello;

	CW_ASSERT(len <= sizeof(e.data));
	memcpy(e.data, payload, len);
	for (e.to = 0; e.to < w->count; e.to++) {
		if (e.to == n->number)
			continue;
		/* A type above one is no beacon; then it says for whom it is. */
		is_hello = payload[3] > 1 && payload[36] == e.to;
		n->lost[e.to] += is_hello;
		if (!site_world_connected(w, n->number, e.to) || sim_chance(&w->random, w->loss))
			continue;
		n->lost[e.to] = is_hello ? 0 : n->lost[e.to];
		e.at_ns = w->now_ns + 20 * CW_NS_PER_US +
			  sim_random(&w->random) % (400 * CW_NS_PER_US);
		site_world_push(w, &e);
		if (w->replays && w->captured == NULL && sim_chance(&w->random, 2)) {
			w->captured = malloc(sizeof(e));
			CW_ASSERT(w->captured != NULL);
			*w->captured = e;
		}
	}
}

static void op_send_overlay(void *ctx, const struct cw_node_id *to, const uint8_t *data, size_t len)
{
	struct site_node *n = ctx;
	struct site_world *w = n->world;
	struct site_event e = {.kind = SITE_OVERLAY, .from = n->number, .to = to->b[0], .len = len};

	CW_ASSERT(len <= sizeof(e.data) && e.to < w->count);
	if (n->wan_bad || w->node[e.to].wan_bad || sim_chance(&w->random, w->loss))
		return;
	memcpy(e.data, data, len);
	e.at_ns = w->now_ns + CW_NS_PER_MS / 2 + sim_random(&w->random) % (3 * CW_NS_PER_MS);
	site_world_push(w, &e);
}

static void op_serve(void *ctx, uint64_t slots, uint64_t deadline_ns)
{
	struct site_node *n = ctx;

	if (slots != n->slots)
		site_trace(n->world, "gateway %u serves %016llx", n->number,
			   (unsigned long long)slots);
	n->slots = slots;
	n->deadline_ns = deadline_ns;
}

static void op_announce(void *ctx, uint64_t slots)
{
	struct site_node *n = ctx;

	if ((slots & ~n->slots) != 0)
		site_violated(n->world, "gateway %u shows slots that it does not serve", n->number);
	n->announced |= slots;
}

static void op_found(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *at)
{
	(void)ctx;
	(void)node;
	(void)at;
}

static void op_changed(void *ctx)
{
	site_far_tell(ctx);
}

static void op_random(void *ctx, void *buf, size_t len)
{
	struct site_world *w = ctx;
	uint8_t *out = buf;

	while (len-- > 0)
		*out++ = (uint8_t)sim_random(&w->random);
}

/* No digest, but every bit counts. */
static void op_sha256(const void *data, size_t len, uint8_t out[32])
{
	const uint8_t *in = data;
	uint64_t h = len;

	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, in + i, len - i < sizeof(word) ? len - i : sizeof(word));
		h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
		h ^= h >> 29;
	}
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t part = sim_random(&h);

		memcpy(out + 8 * i, &part, 8);
	}
}

__attribute__((format(printf, 4, 0))) static void op_log(void *ctx, enum cw_log_level level,
							 const char *module, const char *fmt,
							 va_list args)
{
	struct site_node *n = ctx;

	(void)level;
	(void)module;
	if (!n->world->options->verbose)
		return;
	site_trace(n->world, "gateway %u says:", n->number);
	printf("              ");
	vprintf(fmt, args);
	printf("\n");
}

static struct cw_node_id id_of(unsigned int node)
{
	return (struct cw_node_id){{(uint8_t)node}};
}

void site_start(struct site_world *w, unsigned int node)
{
	static const struct cw_site_ops ops = {.send_lan = op_send_lan,
					       .send_overlay = op_send_overlay,
					       .serve = op_serve,
					       .announce = op_announce,
					       .found = op_found,
					       .changed = op_changed};
	struct cw_site_config config = {.self = id_of(node),
					.site = "site",
					.segment = 7,
					.slots = CW_SITE_SLOTS_MAX,
					.weight = 1,
					.hello_ns = SITE_HELLO_NS,
					.endpoint = {.family = CW_FAMILY_IPV4, .port = 1, .ip4 = 1},
					.log = &w->node[node].log,
					.random = {op_random, w},
					.digest = {op_sha256},
					.mutate = w->mutate};
	struct site_node *n = &w->node[node];

	if (n->engine != NULL)
		return;
	n->number = node;
	n->world = w;
	n->log = (struct cw_log){op_log, n, CW_LOG_DEBUG};
	n->due_ns = w->now_ns;
	n->slots = n->deadline_ns = 0;
	CW_ASSERT(cw_site_create(&n->engine, &config, &ops, n, w->now_ns) == 0);
	site_far_gateway(w, node);
	for (unsigned int i = 0; i < w->count; i++) {
		struct site_event e = {.kind = SITE_LINK, .from = node, .to = i};

		e.at_ns = w->now_ns + sim_random(&w->random) % (300 * CW_NS_PER_MS);
		if (i != node)
			site_world_push(w, &e);
	}
}

void site_crash(struct site_world *w, unsigned int node)
{
	struct site_node *n = &w->node[node];

	cw_site_destroy(n->engine);
	cw_sites_destroy(n->sites);
	n->engine = NULL;
	n->sites = NULL;
	n->slots = 0;
	while (n->queued > 0)
		free(n->queue[--n->queued]);
}

void site_pause(struct site_world *w, unsigned int node, uint64_t for_ns)
{
	struct site_event e = {.kind = SITE_RESUME, .to = node, .at_ns = w->now_ns + for_ns};

	if (w->node[node].engine == NULL || w->node[node].paused)
		return;
	w->node[node].paused = true;
	site_world_push(w, &e);
}

static void deliver(struct site_world *w, const struct site_event *e)
{
	struct site_node *n = &w->node[e->to];
	struct cw_node_id from = id_of(e->from), to = id_of(e->to);
	struct site_node *other = &w->node[e->from];

	if (n->engine == NULL)
		return;
	switch (e->kind) {
	case SITE_LAN:
		cw_site_lan(n->engine, e->data, e->len, w->now_ns);
		break;
	case SITE_OVERLAY:
		cw_site_overlay(n->engine, &from, e->data, e->len, w->now_ns);
		break;
	case SITE_HOST:
		cw_site_lan_heard(n->engine, w->now_ns);
		break;
	case SITE_LINK:
		if (other->engine == NULL)
			break;
		cw_site_fellow_down(other->engine, &to, w->now_ns);
		CW_ASSERT(cw_site_fellow_up(other->engine, &to, w->now_ns) == 0);
		CW_ASSERT(cw_site_fellow_up(n->engine, &from, w->now_ns) == 0);
		break;
	case SITE_FROM_FAR:
	case SITE_FAR_LINK:
		site_far_deliver(w, e);
		break;
	default:
		break;
	}
	n->due_ns = w->now_ns;
	w->result->operations++;
}

/* What came meanwhile is there at once, before or after its timer. */
static void resume(struct site_world *w, struct site_node *n)
{
	site_trace(w, "gateway %u runs again", n->number);
	n->paused = false;
	if (n->engine != NULL && sim_chance(&w->random, 500))
		n->due_ns = cw_site_timer(n->engine, w->now_ns);
	for (unsigned int i = 0; i < n->queued; i++) {
		deliver(w, n->queue[i]);
		free(n->queue[i]);
	}
	n->queued = 0;
	site_set_inputs(w, n->number);
}

static void take(struct site_world *w, struct site_event *e)
{
	struct site_node *n = &w->node[e->to];

	if (e->kind == SITE_TO_FAR || e->kind == SITE_FAR_DEAD) {
		site_far_take(w, e);
		goto done;
	}
	if (e->kind == SITE_HOST) {
		struct site_event next = *e;

		next.at_ns = w->now_ns + sim_random(&w->random) % (20 * CW_NS_PER_MS);
		site_world_push(w, &next);
		if (n->deaf)
			goto done;
	}
	if (e->kind == SITE_RESUME) {
		resume(w, n);
	} else if (n->paused) {
		if (n->queued < SITE_QUEUE_MAX && e->kind != SITE_HOST) {
			n->queue[n->queued++] = e;
			return;
		}
		/* What its kernel holds for it may overflow; a link is made again. */
		if (e->kind == SITE_LINK || e->kind == SITE_FAR_LINK) {
			e->at_ns = w->now_ns + 50 * CW_NS_PER_MS;
			site_world_push(w, e);
		}
	} else {
		deliver(w, e);
	}
done:
	free(e);
}

static void replay(struct site_world *w)
{
	struct site_event e;

	if (w->captured == NULL || !sim_chance(&w->random, 1))
		return;
	e = *w->captured;
	e.at_ns = w->now_ns;
	free(w->captured);
	w->captured = NULL;
	if (site_world_connected(w, e.from, e.to))
		site_world_push(w, &e);
}

void site_world_run_until(struct site_world *w, uint64_t until_ns)
{
	for (;;) {
		struct site_node *first = NULL;
		uint64_t at = w->used > 0 ? w->heap[0]->at_ns : CW_NEVER;

		for (unsigned int i = 0; i < w->count; i++)
			if (w->node[i].engine != NULL && !w->node[i].paused &&
			    (first == NULL || w->node[i].due_ns < first->due_ns))
				first = &w->node[i];
		if (first != NULL && first->due_ns < at)
			at = first->due_ns;
		else
			first = NULL;
		if (at > until_ns || w->result->violated)
			break;
		w->now_ns = cw_max_u64(w->now_ns, at);
		site_judge_instant(w);
		if (first != NULL)
			first->due_ns =
				cw_max_u64(cw_min_u64(cw_site_timer(first->engine, w->now_ns),
						      cw_sites_timer(first->sites, w->now_ns)),
					   w->now_ns + 1);
		else
			take(w, pop(w));
		replay(w);
		site_judge_instant(w);
	}
	w->now_ns = cw_max_u64(w->now_ns, until_ns);
}

static void run(const struct sim_options *options, uint64_t seed, struct sim_result *result)
{
	struct site_world w = {.options = options,
			       .random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1,
			       .far_random = seed * UINT64_C(0xBF58476D1CE4E5B9) + 1,
			       .now_ns = CW_NS_PER_S,
			       .count = options->nodes,
			       .must_be_served_ns = CW_NEVER,
			       .result = result};
	uint64_t end = w.now_ns + options->seconds * CW_NS_PER_S;

	for (int m = 1; options->mutate != NULL && m < CW_SITE_MUT_COUNT; m++)
		if (strcmp(mutations[m], options->mutate) == 0)
			w.mutate = (enum cw_site_mutation)m;
	for (int m = 1; options->mutate != NULL && m < CW_SITES_MUT_COUNT; m++)
		if (strcmp(far_mutations[m], options->mutate) == 0)
			w.far_mutate = (enum cw_sites_mutation)m;
	site_hosts_start(&w);
	for (unsigned int i = 0; i < SITE_FARS; i++)
		site_far_start(&w, i);
	w.far_loss = seed % 2 == 0 ? 0 : 300;
	w.far_late = seed % 2 != 0;
	w.hosts_talk = seed % 4 != 3;
	for (unsigned int i = 0; i < w.count; i++) {
		struct site_event e = {.kind = SITE_HOST, .to = i, .at_ns = w.now_ns};

		if (w.hosts_talk)
			site_world_push(&w, &e);
		site_world_run_until(&w, w.now_ns + sim_random(&w.random) % (2 * CW_NS_PER_S));
		site_start(&w, i);
	}
	site_world_run_until(&w, w.now_ns + 8 * CW_NS_PER_S);
	if (seed % 8 == 0)
		site_fault_flapping(&w);
	if (seed % 4 == 2)
		site_fault_blackout(&w);
	while (w.now_ns < end && !result->violated) {
		if (seed % 2 == 0)
			site_fault_measured(&w);
		else
			site_fault_chaos(&w);
	}
	site_heal(&w);
	site_judge_end(&w);
	for (unsigned int i = 0; i < w.count; i++)
		site_crash(&w, i);
	site_far_end(&w);
	site_hosts_end(&w);
	while (w.used > 0)
		free(pop(&w));
	free(w.heap);
	free(w.captured);
}

static int mutation(const char *name)
{
	for (int m = 1; m < CW_SITE_MUT_COUNT; m++)
		if (strcmp(mutations[m], name) == 0)
			return m;
	for (int m = 1; m < CW_SITES_MUT_COUNT; m++)
		if (strcmp(far_mutations[m], name) == 0)
			return m;
	return -1;
}

const struct sim_suite sim_site = {.name = "site",
				   .nodes_min = 2,
				   .nodes_max = SITE_NODES_MAX,
				   .nodes_usual = 3,
				   .run = run,
				   .mutation = mutation,
				   .healing_s = 150};
