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

#define LINK_NS (UINT64_C(20) * CW_NS_PER_MS)
#define GROW_NS (UINT64_C(1800) * CW_NS_PER_S)
#define IDLE_NS (UINT64_C(10) * CW_NS_PER_S)

static void print_sample(const char *name, struct sample *s)
{
	sample_sort(s);
	printf(",\"%s_p50_ms\":%.0f,\"%s_p99_ms\":%.0f", name, sample_at(s, 0.5), name,
	       sample_at(s, 0.99));
}

/* Until every slot has its five members (or as many as there can be), a leader, and stands still.
 */
double delays_grow(struct world *w)
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
		probe_choose(p);
		refused += probe_ask(p, CW_STORE_REG_CREATE, i, 0) != CW_STORE_OK;
		sample_note(&s[2], p->at_leader_ns);
		probe_choose(p);
		refused += probe_ask(p, CW_STORE_REG_GET, i, 0) != CW_STORE_OK;
		sample_note(&s[0], p->at_leader_ns);
		sample_note(&s[3], p->took_ns);
		/* Known to its leader, and free. */
		probe_choose(p);
		refused += probe_ask(p, CW_STORE_REG_GET, i | 1u << 31, 0) != CW_STORE_OK;
		refused += probe_ask(p, CW_STORE_REG_CREATE, i | 1u << 31, p->answer.reg.ver) !=
			   CW_STORE_OK;
		sample_note(&s[1], p->at_leader_ns);
		sample_note(&s[4], p->took_ns);
	}
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(s); i++) {
		print_sample(names[i], &s[i]);
		free(s[i].ms);
	}
	printf(",\"requests\":%u,\"refused\":%u", requests, refused);
}

struct world_plan delays_plan(unsigned int nodes)
{
	return (struct world_plan){.nodes = nodes,
				   .voters = 1,
				   .slots = nodes > 100 ? CW_DHT_SLOTS : 16,
				   .neighbours = nodes > 40 ? 40 : nodes - 1,
				   .delay_ns = LINK_NS,
				   .turn_ns = CW_NS_PER_MS,
				   .settle_ns = CW_NS_PER_S,
				   .move_ns = 5 * CW_NS_PER_S};
}

void delays_run(unsigned int nodes, unsigned int requests)
{
	struct world *w = calloc(1, sizeof(*w));
	struct world_plan plan = delays_plan(nodes);
	struct probe p = {.w = w};
	uint64_t bytes = 0;
	double grew_s;

	CW_ASSERT(w != NULL);
	world_create(w, &plan);
	for (unsigned int i = 0; i < nodes; i++)
		CW_ASSERT((w->nodes[i].arrived = calloc(nodes, sizeof(uint64_t))) != NULL);
	grew_s = delays_grow(w);
	for (unsigned int i = 0; i < nodes; i++)
		w->nodes[i].sent_bytes = 0;
	world_run(w, IDLE_NS);
	for (unsigned int i = 0; i < nodes; i++)
		bytes += w->nodes[i].sent_bytes;
	printf("{\"case\":\"delays/%u\",\"nodes\":%u,\"link_ms\":20,\"grew_s\":%.0f,\"idle_bytes_per_s\":%.0f",
	       nodes, nodes, grew_s, (double)bytes / nodes / ((double)IDLE_NS / CW_NS_PER_S));
	measure_operations(&p, requests);
	puts("}");
	world_destroy(w);
	free(w);
}
