/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long operations take where every message is 20 ms under way: counted from when the request
 * came to the leader that answered it, and in all. Requests come from nodes anywhere, one at a
 * time. The way to the slot's leader is one hop to the node nearest the slot's point and what
 * redirects it takes; an overlay adds its hops.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define LINK_NS	 (UINT64_C(20) * CW_NS_PER_MS)
#define GROW_NS	 (UINT64_C(1800) * CW_NS_PER_S)
#define IDLE_NS	 (UINT64_C(10) * CW_NS_PER_S)
#define FAILURES 20u

struct probe {
	struct world *w;
	struct node *caller;
	struct cw_store_answer answer;
	bool answered;
	uint64_t begun_ns, took_ns, at_leader_ns;
	unsigned int by; /* who answered */
};

struct sample {
	double *ms;
	unsigned int count;
};

static void done(void *arg, const struct cw_store_answer *a, uint64_t now_ns)
{
	struct probe *p = arg;
	struct node *n = &p->w->nodes[p->w->sender];
	size_t caller = (size_t)(p->caller - p->w->nodes);
	uint64_t arrived = n->arrived != NULL ? n->arrived[caller] : 0;

	p->answer = *a;
	p->answered = true;
	p->by = p->w->sender;
	p->took_ns = now_ns - p->begun_ns;
	p->at_leader_ns = arrived != 0 ? now_ns - arrived : p->took_ns;
}

static enum cw_store_result ask(struct probe *p, enum cw_store_verb verb, uint32_t name,
				uint64_t ver)
{
	struct world *w = p->w;
	struct cw_store_request q = {.verb = (uint8_t)verb,
				     .reg_kind = 'P',
				     .reg_name_len = sizeof(name),
				     .ver = ver,
				     .budget_ns = 10 * CW_NS_PER_S};

	memcpy(q.reg_name, &name, sizeof(name));
	for (unsigned int i = 0; i < w->count; i++)
		w->nodes[i].arrived[p->caller - w->nodes] = 0;
	p->answered = false;
	p->begun_ns = w->now_ns;
	CW_ASSERT(cw_dht_submit(p->caller->dht, &q, done, p, w->now_ns) == 0);
	p->caller->timer_ns = 0;
	while (!p->answered)
		world_turn(w);
	return p->answer.result;
}

static void choose(struct probe *p)
{
	do
		p->caller = &p->w->nodes[world_random(p->w, p->w->count)];
	while (p->caller->dead);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double at(const struct sample *s, double share)
{
	return s->count > 0 ? s->ms[(unsigned int)(share * (s->count - 1))] : 0;
}

static void note(struct sample *s, uint64_t ns)
{
	s->ms[s->count++] = (double)ns / (double)CW_NS_PER_MS;
}

static void print_sample(const char *name, const struct sample *s)
{
	qsort(s->ms, s->count, sizeof(*s->ms), ascending);
	printf(",\"%s_p50_ms\":%.0f,\"%s_p99_ms\":%.0f", name, at(s, 0.5), name, at(s, 0.99));
}

/* Until every slot has its five members (or as many as there can be), a leader, and stands still.
 */
static double grow(struct world *w)
{
	uint64_t begun_ns = w->now_ns;
	unsigned int calm = 0;

	while (w->now_ns - begun_ns < GROW_NS && calm < 10) {
		unsigned int led = 0, moving = 0, seats = 0, slots = 0;

		world_run(w, CW_NS_PER_S);
		for (unsigned int i = 0; i < w->count; i++) {
			struct cw_dht_status s;

			cw_dht_status(w->nodes[i].dht, &s);
			slots = s.slots > slots ? s.slots : slots;
			led += s.led;
			moving += s.moving + s.behind;
			seats += s.seats;
		}
		calm = led == slots && moving == 0 && seats == 5 * slots ? calm + 1 : 0;
	}
	return (double)(w->now_ns - begun_ns) / (double)CW_NS_PER_S;
}

static void measure_operations(struct probe *p, unsigned int requests)
{
	static const char *const names[] = {"get", "create", "create_first_touch", "get_in_all",
					    "create_in_all"};
	struct sample s[CW_ARRAY_SIZE(names)] = {{0}};
	unsigned int refused = 0;

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(s); i++)
		CW_ASSERT((s[i].ms = calloc(requests, sizeof(double))) != NULL);
	for (uint32_t i = 0; i < requests; i++) {
		choose(p);
		refused += ask(p, CW_STORE_REG_CREATE, i, 0) != CW_STORE_OK;
		note(&s[2], p->at_leader_ns);
		choose(p);
		refused += ask(p, CW_STORE_REG_GET, i, 0) != CW_STORE_OK;
		note(&s[0], p->at_leader_ns);
		note(&s[3], p->took_ns);
		/* Known to its leader, and free. */
		choose(p);
		refused += ask(p, CW_STORE_REG_GET, i | 1u << 31, 0) != CW_STORE_OK;
		refused +=
			ask(p, CW_STORE_REG_CREATE, i | 1u << 31, p->answer.reg.ver) != CW_STORE_OK;
		note(&s[1], p->at_leader_ns);
		note(&s[4], p->took_ns);
	}
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(s); i++) {
		print_sample(names[i], &s[i]);
		free(s[i].ms);
	}
	printf(",\"requests\":%u,\"refused\":%u", requests, refused);
}

/* A leader dies; from then until its slot answers again. */
static void measure_failures(struct probe *p, unsigned int failures)
{
	struct sample s = {.ms = calloc(failures, sizeof(double))};
	unsigned int unanswered = 0;

	CW_ASSERT(s.ms != NULL);
	for (uint32_t i = 0; i < failures; i++) {
		uint64_t died_ns;

		choose(p);
		if (ask(p, CW_STORE_REG_GET, i, 0) != CW_STORE_OK)
			unanswered++;
		if (p->answer.result != CW_STORE_OK ||
		    p->by == (unsigned int)(p->caller - p->w->nodes))
			continue;
		world_kill(p->w, p->by);
		died_ns = p->w->now_ns;
		while (ask(p, CW_STORE_REG_GET, i, 0) != CW_STORE_OK)
			continue;
		note(&s, p->w->now_ns - died_ns);
		world_run(p->w, 20 * CW_NS_PER_S);
	}
	qsort(s.ms, s.count, sizeof(*s.ms), ascending);
	printf(",\"failover_s\":%.2f,\"failover_p50_s\":%.2f,\"failover_p90_s\":%.2f,\"failovers\":%u,"
	       "\"unanswered_between\":%u",
	       at(&s, 1) / 1000, at(&s, 0.5) / 1000, at(&s, 0.9) / 1000, s.count, unanswered);
	free(s.ms);
}

void delays_run(unsigned int nodes, unsigned int requests)
{
	struct world *w = calloc(1, sizeof(*w));
	struct world_plan plan = {.nodes = nodes,
				  .voters = 1,
				  .slots = nodes > 100 ? CW_DHT_SLOTS : 16,
				  .neighbours = nodes > 40 ? 40 : nodes - 1,
				  .delay_ns = LINK_NS,
				  .turn_ns = CW_NS_PER_MS,
				  .settle_ns = CW_NS_PER_S,
				  .move_ns = 5 * CW_NS_PER_S};
	struct probe p = {.w = w};
	uint64_t bytes = 0;
	double grew_s;

	CW_ASSERT(w != NULL);
	world_create(w, &plan);
	for (unsigned int i = 0; i < nodes; i++)
		CW_ASSERT((w->nodes[i].arrived = calloc(nodes, sizeof(uint64_t))) != NULL);
	grew_s = grow(w);
	for (unsigned int i = 0; i < nodes; i++)
		w->nodes[i].sent_bytes = 0;
	world_run(w, IDLE_NS);
	for (unsigned int i = 0; i < nodes; i++)
		bytes += w->nodes[i].sent_bytes;
	printf("{\"case\":\"delays/%u\",\"nodes\":%u,\"link_ms\":20,\"grew_s\":%.0f,\"idle_bytes_per_s\":%.0f",
	       nodes, nodes, grew_s, (double)bytes / nodes / ((double)IDLE_NS / CW_NS_PER_S));
	measure_operations(&p, requests);
	measure_failures(&p, requests < FAILURES ? 2 : FAILURES);
	puts("}");
	world_destroy(w);
	free(w);
}
