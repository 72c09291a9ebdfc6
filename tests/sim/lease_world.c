/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lease simulator: events in virtual time, chance from one seed, and the suite `leases`.
 *
 * A run of chance is lease_faults.c, judged by lease_judge.c. The first seed of a call also plays
 * the directed schedules (lease_scripts.c): all of them when nothing is mutated, the one of the
 * rule when it is.
 */
#include "lease_world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool before(const struct lease_event *a, const struct lease_event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

struct lease_event *lease_after(struct lease_world *w, uint64_t dt_ns, lease_event_fn fn, void *who)
{
	struct lease_event *ev = calloc(1, sizeof(*ev));
	size_t i;

	CW_ASSERT(ev != NULL);
	*ev = (struct lease_event){
		.at_ns = w->now_ns + dt_ns, .order = ++w->order, .fn = fn, .who = who};
	if (w->heap_count == w->heap_size) {
		w->heap_size = w->heap_size * 2 + 256;
		w->heap = realloc(w->heap, w->heap_size * sizeof(*w->heap));
		CW_ASSERT(w->heap != NULL);
	}
	i = w->heap_count++;
	while (i > 0 && before(ev, w->heap[(i - 1) / 2])) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = ev;
	return ev;
}

static struct lease_event *take(struct lease_world *w)
{
	struct lease_event *first = w->heap[0], *last = w->heap[--w->heap_count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= w->heap_count)
			break;
		if (child + 1 < w->heap_count && before(w->heap[child + 1], w->heap[child]))
			child++;
		if (!before(w->heap[child], last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	if (w->heap_count > 0)
		w->heap[i] = last;
	return first;
}

/* A script leaves nothing to chance: never, the middle, the first. */
bool lease_chance(struct lease_world *w, double p)
{
	return w->script == NULL && (double)(sim_random(&w->random) % 1000000) < p * 1e6;
}

uint64_t lease_uniform(struct lease_world *w, double a_s, double b_s)
{
	uint64_t a = LEASE_S(a_s), b = LEASE_S(b_s);

	if (w->script != NULL)
		return (a + b) / 2;
	return a + (b > a ? sim_random(&w->random) % (b - a) : 0);
}

unsigned int lease_pick(struct lease_world *w, unsigned int n)
{
	return w->script != NULL ? 0 : (unsigned int)(sim_random(&w->random) % n);
}

uint64_t lease_clock(const struct lease_world *w, int rate_ppm)
{
	return (uint64_t)((int64_t)w->now_ns + (int64_t)(w->now_ns / 1000) * rate_ppm / 1000) +
	       1000 * CW_NS_PER_S;
}

/* True time that passes while this clock shows so much. */
uint64_t lease_time_of(const struct lease_world *w, int rate_ppm, uint64_t dt_ns)
{
	(void)w;
	return (uint64_t)((double)dt_ns / (1 + rate_ppm * 1e-6)) + 1;
}

int64_t lease_takes(struct lease_world *w, unsigned int wire, const struct lease_gateway *g)
{
	for (unsigned int i = 0; i < w->rule_count; i++) {
		struct lease_rule *r = &w->rules[i];

		if (r->wire == wire && w->now_ns >= r->since_ns && w->now_ns < r->until_ns &&
		    (r->g == NULL || r->g == g)) {
			if (r->skip == 0)
				return r->delay_ns;
			r->skip--;
			break;
		}
	}
	return (int64_t)(10 * CW_NS_PER_MS);
}

rte_be32_t lease_ip(unsigned int address)
{
	return rte_cpu_to_be_32(0x0a800002 + address);
}

int lease_address(rte_be32_t ip)
{
	uint32_t at = rte_be_to_cpu_32(ip) - 0x0a800002;

	return at < LEASE_ADDRESSES_MAX ? (int)at : -1;
}

bool lease_reach(const struct lease_world *w, const struct lease_host *h,
		 const struct lease_gateway *g)
{
	return h->site == g->site && (!w->split[g->site] || h->half == g->half);
}

void lease_fail(struct lease_world *w, const char *fmt, ...)
{
	va_list args;
	int len;

	if (w->result->violated)
		return;
	w->result->violated = true;
	len = snprintf(w->result->what, sizeof(w->result->what),
		       "%s%s%.3f s: ", w->script != NULL ? w->script : "",
		       w->script != NULL ? ", " : "", (double)w->now_ns / 1e9);
	va_start(args, fmt);
	vsnprintf(w->result->what + len, sizeof(w->result->what) - (size_t)len, fmt, args);
	va_end(args);
}

void lease_say(struct lease_world *w, const char *fmt, ...)
{
	va_list args;

	if (!w->trace)
		return;
	printf("%10.3f ", (double)w->now_ns / 1e9);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

void lease_run_until(struct lease_world *w, uint64_t end_ns)
{
	while (w->heap_count > 0 && w->heap[0]->at_ns < end_ns && !w->result->violated) {
		struct lease_event *ev = take(w);

		w->now_ns = ev->at_ns;
		lease_counts()->events++;
		ev->fn(w, ev);
		free(ev->data);
		free(ev);
	}
	w->now_ns = cw_max_u64(w->now_ns, w->result->violated ? 0 : end_ns);
}

struct lease_world *lease_world_new(uint64_t seed, struct sim_result *result,
				    enum cw_lease_mutation mutate)
{
	struct lease_world *w = calloc(1, sizeof(*w));

	CW_ASSERT(w != NULL);
	w->random = seed * UINT64_C(0x2545F4914F6CDD1D) + 7;
	w->result = result;
	w->mutate = mutate;
	w->regs.rate = (1 - 1.0 / CW_LAW_EPS_DIVISOR) * (1 - 1.0 / CW_LAW_EPS_DIVISOR);
	return w;
}

void lease_world_free(struct lease_world *w)
{
	for (unsigned int i = 0; i < w->gateway_count; i++)
		lease_gateway_crash(&w->gateways[i]);
	/* With every process gone, events only let go of what they hold. */
	while (w->heap_count > 0) {
		struct lease_event *ev = take(w);

		lease_registers_drop(ev);
		free(ev->data);
		free(ev);
	}
	for (unsigned int i = 0; i < w->gateway_count; i++)
		lease_gateway_free(&w->gateways[i]);
	free(w->heap);
	free(w);
}

/* -- the suite */

static const char *const mutations[CW_LEASE_MUT_COUNT] = {
	"none",	       "nocover",   "coverfromnow", "lastsend",	    "nomargin",	  "leaseshrink",
	"earlylonger", "dropentry", "reopenreset",  "tombstone",    "noreclaim",  "othergen",
	"adoptpool",   "nogen",	    "rebindlocal",  "oldpool",	    "noconsent",  "anyver",
	"nomute",      "inflight",  "poolfree",	    "earlyrelease", "stalequeue", "anymac",
	"declinefree", "nocommit",  "noreplica",    "lateack",	    "hintonly",	  "nosettle",
	"drift",
};

static int mutation(const char *name)
{
	for (int i = 0; i < CW_LEASE_MUT_COUNT; i++)
		if (strcmp(mutations[i], name) == 0)
			return i;
	return -1;
}

static void play_scripts(const struct sim_options *options, struct sim_result *result,
			 enum cw_lease_mutation mutate)
{
	const char *name;

	for (unsigned int i = 0; (name = lease_script_name(i)) != NULL && !result->violated; i++)
		if (mutate == CW_LEASE_MUT_NONE || strcmp(name, mutations[mutate]) == 0)
			lease_script_run(name, result, mutate, options->verbose);
}

static void leases_run(const struct sim_options *options, uint64_t seed, struct sim_result *result)
{
	enum cw_lease_mutation mutate = CW_LEASE_MUT_NONE;
	struct lease_world *w;

	if (options->mutate != NULL)
		mutate = (enum cw_lease_mutation)mutation(options->mutate);
	if (seed == options->seed_first)
		play_scripts(options, result, mutate);
	if (result->violated)
		return;
	w = lease_world_new(seed, result, mutate);
	w->company = mutate == CW_LEASE_MUT_NONE && seed % 2 == 1;
	w->trace = options->verbose;
	w->calm_ns = options->seconds * CW_NS_PER_S;
	lease_populate(w);
	lease_run_until(w, w->end_ns);
	if (!result->violated)
		lease_judge_end(w);
	lease_world_free(w);
}

static void report(FILE *out, bool json)
{
	const struct lease_counts *c = lease_counts();
	const struct {
		const char *key, *words;
		uint64_t value;
	} rows[] = {
		{"acks", "ACKs", c->acks},
		{"isolated_acks", "of them isolated", c->isolated_acks},
		{"stale_acks", "stale", c->stale_acks},
		{"stale_s", "s the longest after a move", c->stale_for_ns / CW_NS_PER_S},
		{"moved", "moves", c->moved},
		{"adopted", "adoptions", c->adopted},
		{"own_again", "times the own address again", c->own_again},
	};

	for (size_t i = 0; i < CW_ARRAY_SIZE(rows); i++) {
		if (json)
			fprintf(out, ",\"%s\":%llu", rows[i].key,
				(unsigned long long)rows[i].value);
		else
			fprintf(out, "%s%llu %s", i > 0 ? ", " : "  ",
				(unsigned long long)rows[i].value, rows[i].words);
	}
	if (!json)
		fputs("\n", out);
}

const struct sim_suite sim_leases = {.name = "leases",
				     .nodes_min = 1,
				     .nodes_max = LEASE_GATEWAYS_MAX,
				     .nodes_usual = LEASE_GATEWAYS_MAX,
				     .run = leases_run,
				     .mutation = mutation,
				     .report = report,
				     .healing_s = 1493};
