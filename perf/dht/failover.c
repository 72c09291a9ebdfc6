/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A leader dies; from then until somebody else gets an answer from its slot. The caller is a node
 * that was served by the dead one a moment before, so it knows the worst leader there is.
 *
 * Where the time went: until a member stood for the slot (nobody notices a silence at once), until
 * one of them served it (the election), until the caller was answered (who had to find it). With
 * --trace every death is a line of its own. Nodes of a world die one after the other, LONG_NS apart
 * so that members are replaced; then another world is made.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define LONG_NS (UINT64_C(20) * CW_NS_PER_S)
/* How often the nodes are looked at. */
#define LOOK_NS	  (UINT64_C(5) * CW_NS_PER_MS)
#define REGISTERS 64u

struct failover {
	uint64_t stood_ns, led_ns, answered_ns;
	unsigned int candidacies; /* members that stood, counted where they were seen */
	uint64_t attempts;	  /* of the caller */
};

struct measured {
	struct sample stood, led, found, answered;
	unsigned int unanswered; /* between two deaths */
};

/* Does anybody stand for the slot, does anybody serve it? */
static void look(struct world *w, const struct cw_store_request *q, uint64_t died_ns,
		 struct failover *f)
{
	for (unsigned int i = 0; i < w->count; i++) {
		struct cw_dht_row r;

		if (w->nodes[i].dead)
			continue;
		cw_dht_locate(w->nodes[i].dht, q, &r);
		if (!r.led)
			continue;
		if (f->stood_ns == 0)
			f->stood_ns = w->now_ns - died_ns;
		if (f->led_ns == 0 && r.leader_known)
			f->led_ns = w->now_ns - died_ns;
	}
}

static uint64_t count(const struct world *w, bool elections, const struct node *of)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < w->count; i++) {
		struct cw_dht_status s;

		if (w->nodes[i].dead || (of != NULL && of != &w->nodes[i]))
			continue;
		cw_dht_status(w->nodes[i].dht, &s);
		n += elections ? s.counts.elections : s.counts.retries + s.counts.redirects;
	}
	return n;
}

/* @return false when nobody died: the caller itself led */
static bool one_death(struct probe *p, uint32_t name, struct failover *f, struct measured *m)
{
	struct world *w = p->w;
	struct cw_store_request q = probe_request(CW_STORE_REG_GET, name, 0);
	uint64_t died_ns, looked_ns = 0, elections, attempts;

	probe_choose(p);
	if (probe_ask(p, CW_STORE_REG_GET, name, 0) != CW_STORE_OK) {
		m->unanswered++;
		return false;
	}
	if (p->by == (unsigned int)(p->caller - w->nodes))
		return false;
	/* At any moment between two heartbeats. */
	world_run(w, world_random(w, CW_NS_PER_S));
	*f = (struct failover){0};
	died_ns = w->now_ns;
	world_kill(w, p->by);
	elections = count(w, true, NULL);
	attempts = count(w, false, p->caller);
	do {
		probe_begin(p, &q);
		while (!p->answered) {
			world_turn(w);
			if (w->now_ns - looked_ns < LOOK_NS || f->led_ns != 0)
				continue;
			looked_ns = w->now_ns;
			look(w, &q, died_ns, f);
		}
	} while (p->answer.result != CW_STORE_OK);
	f->answered_ns = w->now_ns - died_ns;
	f->candidacies = (unsigned int)(count(w, true, NULL) - elections);
	f->attempts = count(w, false, p->caller) - attempts + 1;
	return true;
}

static void trace_one(const struct world *w, unsigned int world, const struct failover *f)
{
	printf("{\"world\":%u,\"at_s\":%.1f,\"stood_s\":%.2f,\"led_s\":%.2f,\"answered_s\":%.2f,"
	       "\"candidacies\":%u,\"attempts\":%" PRIu64 "}\n",
	       world, (double)w->now_ns / 1e9, (double)f->stood_ns / 1e9, (double)f->led_ns / 1e9,
	       (double)f->answered_ns / 1e9, f->candidacies, f->attempts);
}

/* Half of the nodes of a world die at most. */
static void one_world(unsigned int nodes, unsigned int deaths, uint64_t seed, bool trace,
		      struct measured *m)
{
	struct world *w = calloc(1, sizeof(*w));
	struct world_plan plan = delays_plan(nodes);
	struct probe p = {.w = w};
	unsigned int died = 0;

	CW_ASSERT(w != NULL);
	plan.seed = seed;
	world_create(w, &plan);
	delays_grow(w);
	probe_choose(&p);
	for (uint32_t name = 0; name < REGISTERS; name++)
		(void)probe_ask(&p, CW_STORE_REG_CREATE, name, 0);
	while (died < deaths && died < nodes / 3) {
		struct failover f;

		if (!one_death(&p, (uint32_t)world_random(w, REGISTERS), &f, m))
			continue;
		died++;
		if (trace)
			trace_one(w, (unsigned int)seed, &f);
		sample_note(&m->stood, f.stood_ns);
		sample_note(&m->led, f.led_ns);
		sample_note(&m->found, f.answered_ns - f.led_ns);
		sample_note(&m->answered, f.answered_ns);
		world_run(w, LONG_NS);
	}
	world_destroy(w);
	free(w);
}

static void print(const char *name, struct sample *s)
{
	sample_sort(s);
	printf(",\"%s_p50_s\":%.2f,\"%s_p90_s\":%.2f,\"%s_max_s\":%.2f", name,
	       sample_at(s, 0.5) / 1000, name, sample_at(s, 0.9) / 1000, name,
	       sample_at(s, 1) / 1000);
	free(s->ms);
}

void failover_run(unsigned int nodes, unsigned int deaths, uint64_t seed, bool trace)
{
	struct measured m = {0};
	struct sample *all[] = {&m.stood, &m.led, &m.found, &m.answered};

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(all); i++)
		CW_ASSERT((all[i]->ms = calloc(deaths, sizeof(double))) != NULL);
	while (m.answered.count < deaths)
		one_world(nodes, deaths - m.answered.count, seed++, trace, &m);
	printf("{\"case\":\"failover/%u\",\"nodes\":%u,\"link_ms\":20,\"failovers\":%u", nodes,
	       nodes, m.answered.count);
	print("stood", &m.stood);
	print("led", &m.led);
	print("found", &m.found);
	print("answered", &m.answered);
	printf(",\"unanswered_between\":%u}\n", m.unanswered);
}
