/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The suite `dht`: runs of the DHT's world under faults, judged in true time.
 *
 *   two processes believe in one register, or in one node's session: never;
 *   every register's history is linearizable (dht_judge.c);
 *   after healing every register is answered within 10 s, and held again.
 *
 * A rule that is removed (--mutate) must be noticed. Rules whose absence chance rarely meets have a
 * schedule of their own (dht_scenarios.c), which every run of such a mutation begins with; without
 * mutation the schedules must pass.
 */
#include "dht_world.h"

#include <stdlib.h>
#include <string.h>

static const char *const mutations[CW_DHT_MUT_COUNT] = {
	[CW_DHT_MUT_NONE] = "none",
	[CW_DHT_MUT_Q2] = "q2",
	[CW_DHT_MUT_TIE] = "tie",
	[CW_DHT_MUT_NOPERSIST] = "nopersist",
	[CW_DHT_MUT_NOSYNC] = "nosync",
	[CW_DHT_MUT_AMNESIA] = "amnesia",
	[CW_DHT_MUT_NOCFGWB] = "nocfgwb",
	[CW_DHT_MUT_NOWB] = "nowb",
	[CW_DHT_MUT_NOCHK] = "nochk",
	[CW_DHT_MUT_NODRAIN] = "nodrain",
	[CW_DHT_MUT_EARLYACT] = "earlyact",
	[CW_DHT_MUT_ANYSTAGE] = "anystage",
	[CW_DHT_MUT_MERGE] = "merge",
	[CW_DHT_MUT_DROPSTAGE] = "dropstage",
	[CW_DHT_MUT_NOFLOOR] = "nofloor",
	[CW_DHT_MUT_AGEVER] = "agever",
	[CW_DHT_MUT_AGERESET] = "agereset",
	[CW_DHT_MUT_OLDRENEW] = "oldrenew",
	[CW_DHT_MUT_FROMRSP] = "fromrsp",
	[CW_DHT_MUT_LASTSEND] = "lastsend",
	[CW_DHT_MUT_NOSLACK] = "noslack",
	[CW_DHT_MUT_SUSPEND] = "suspend",
	[CW_DHT_MUT_NOVER] = "nover",
	[CW_DHT_MUT_NORID] = "norid",
	[CW_DHT_MUT_ONESTEP] = "onestep",
	[CW_DHT_MUT_UNRELEASE] = "unrelease",
	[CW_DHT_MUT_GRAB] = "grab",
	[CW_DHT_MUT_DUPOPEN] = "dupopen",
	[CW_DHT_MUT_NOPROOF] = "noproof",
	[CW_DHT_MUT_NOWARRANT] = "nowarrant",
	[CW_DHT_MUT_ANYCALLER] = "anycaller",
	[CW_DHT_MUT_NOQUOTA] = "noquota",
	[CW_DHT_MUT_NOPACE] = "nopace",
	[CW_DHT_MUT_ASKBEHIND] = "askbehind",
	[CW_DHT_MUT_OLDJUDGE] = "oldjudge",
	[CW_DHT_MUT_NOCHAIN] = "nochain",
	[CW_DHT_MUT_FORGE] = "forge",
};

static int dht_mutation(const char *name)
{
	for (int i = 0; i < CW_DHT_MUT_COUNT; i++)
		if (strcmp(mutations[i], name) == 0)
			return i;
	return -1;
}

static void judge(struct world *w)
{
	for (unsigned int k = 0; k < w->keys && !w->result->violated; k++) {
		const struct history *h = w->histories[k];
		const struct entry *bad = judge_history(h->entries, h->count);

		if (bad != NULL)
			world_fail(w,
				   "history of key %u: nothing explains the answer %s to verb %u "
				   "called at %.3f (expected version %llu, shown %llu)",
				   k, cw_store_result_name(bad->result), bad->verb,
				   (double)bad->called_ns / 1e9, (unsigned long long)bad->exp,
				   (unsigned long long)bad->s_ver);
	}
}

static void populate(struct world *w, unsigned int nodes)
{
	static const unsigned int slots[] = {1, 1, 2, 4, 16};
	unsigned int callers = 3 + (unsigned int)world_random(w, 2);
	unsigned int pace = world_random(w, 3) == 2 ? 3 : 1;

	w->sessions = world_chance(w, 300) || w->mutate == CW_DHT_MUT_DUPOPEN ||
		      w->mutate == CW_DHT_MUT_NOPROOF;
	w->slots = slots[world_random(w, CW_ARRAY_SIZE(slots))];
	w->keys = 1 + (unsigned int)world_random(w, KEYS_MAX);
	for (unsigned int i = 0; i < nodes; i++)
		world_add(w, NULL, false);
	for (unsigned int i = 0; i < callers; i++) {
		/* With sessions the third is a twin of the second. */
		const struct cw_node_id *id =
			i == 2 && w->sessions ? &w->procs[nodes + 1]->id : NULL;
		struct proc *p = world_add(w, id, true);

		p->caller.pace = pace;
		p->caller.lazy_permille = 350;
	}
}

static void begin(struct world *w)
{
	struct proc *first = w->procs[0];

	for (unsigned int i = 0; i < w->total; i++) {
		proc_start(w->procs[i]);
		if (w->procs[i]->caller.is)
			caller_start(w->procs[i], false);
	}
	if (cw_dht_found(first->dht, &first->id, 1, proc_clock(first)) != 0)
		world_fail(w, "founding failed");
}

static void random_run(enum cw_dht_mutation mutate, const struct sim_options *options,
		       uint64_t seed, struct sim_result *result)
{
	/* Small sets are where it is sharp; large ones where members come and go. */
	unsigned int nodes = options->nodes != 0 ? options->nodes : 6;
	struct world *w = world_new(seed, nodes, mutate, result);
	uint64_t length_ns = options->seconds * CW_NS_PER_S;

	populate(w, nodes);
	begin(w);
	faults_begin(w, w->now_ns + length_ns);
	world_run(w, w->now_ns + length_ns + FREE_NS + 2 * CW_NS_PER_S);
	judge(w);
	dht_totals.operations += result->operations;
	faults_end(w);
	world_free(w);
}

static void dht_run(const struct sim_options *options, uint64_t seed, struct sim_result *result)
{
	enum cw_dht_mutation mutate = options->mutate
					      ? (enum cw_dht_mutation)dht_mutation(options->mutate)
					      : CW_DHT_MUT_NONE;
	const char *wrong = seed == options->seed_first ? judge_selftest() : NULL;

	if (wrong != NULL) {
		result->violated = true;
		snprintf(result->what, sizeof(result->what), "the judge misjudges: %s", wrong);
		return;
	}
	if (seed == options->seed_first) {
		for (int rule = 0; rule < CW_DHT_MUT_FORGE && !result->violated; rule++)
			if (mutate == CW_DHT_MUT_NONE || (int)mutate == rule)
				scenario_run((enum cw_dht_mutation)rule, mutate, result);
	}
	if (!result->violated)
		random_run(mutate, options, seed, result);
}

static void report(FILE *out, bool json)
{
	static const char *const names[] = {"messages", "elections", "moves", "activations",
					    "lost_disks"};
	const uint64_t values[] = {dht_totals.messages, dht_totals.elections, dht_totals.moves,
				   dht_totals.activations, dht_totals.lost_disks};

	for (size_t i = 0; i < CW_ARRAY_SIZE(names); i++)
		fprintf(out, json ? ",\"%s\":%llu" : "%s %llu\n", names[i],
			(unsigned long long)values[i]);
	figures_report(out, json);
}

const struct sim_suite sim_dht = {.name = "dht",
				  .nodes_min = 3,
				  .nodes_max = 64,
				  .nodes_usual = 6,
				  .run = dht_run,
				  .mutation = dht_mutation,
				  .report = report,
				  .healing_s = 28};
