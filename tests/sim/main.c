/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulator's command line: which suite, which seeds, how long. Exit 0 clean, 1 a violation, 2
 * usage. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(void)
{
	fputs("usage: tests/sim/run dht [--nodes N] [--seeds A-B] [--seconds S] [--mutate NAME] [--first] [--json]\n",
	      stderr);
	return 2;
}

static int parse(struct sim_options *o, int argc, char **argv)
{
	if (argc < 2)
		return usage();
	o->suite = argv[1];
	if (strcmp(o->suite, "dht") != 0 && strcmp(o->suite, "all") != 0)
		return usage();
	for (int i = 2; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		char *end;

		if (strcmp(argv[i], "--json") == 0) {
			o->json = true;
			continue;
		}
		if (strcmp(argv[i], "--first") == 0) {
			o->first = true;
			continue;
		}
		if (value == NULL)
			return usage();
		if (strcmp(argv[i], "--nodes") == 0) {
			o->nodes = (unsigned int)strtoul(value, &end, 10);
			if (o->nodes < 3 || o->nodes > SIM_NODES_MAX)
				return usage();
		} else if (strcmp(argv[i], "--seconds") == 0) {
			o->seconds = (unsigned int)strtoul(value, &end, 10);
		} else if (strcmp(argv[i], "--mutate") == 0) {
			o->mutate = value;
			if (dht_mutation(value) < 0)
				return usage();
		} else if (strcmp(argv[i], "--seeds") == 0) {
			o->seed_first = o->seed_last = strtoull(value, &end, 10);
			if (*end == '-')
				o->seed_last = strtoull(end + 1, &end, 10);
			if (*end != '\0' || o->seed_last < o->seed_first)
				return usage();
		} else {
			return usage();
		}
		i++;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sim_options o = {.seconds = 120, .seed_last = 19};
	uint64_t runs = 0, violations = 0, operations = 0;
	uint64_t first_bad = 0;
	char what[256] = "";
	int rc = parse(&o, argc, argv);

	if (rc != 0)
		return rc;
	for (uint64_t seed = o.seed_first; seed <= o.seed_last; seed++) {
		struct sim_result result = {0};

		dht_run(&o, seed, &result);
		runs++;
		operations += result.operations;
		if (!result.violated)
			continue;
		if (violations++ == 0) {
			first_bad = seed;
			snprintf(what, sizeof(what), "%s", result.what);
		}
		if (o.first)
			break;
	}
	if (o.json)
		printf("{\"suite\":\"dht\",\"nodes\":%u,\"runs\":%llu,\"virtual_seconds\":%llu,\"operations\":%llu,\"violations\":%llu}\n",
		       o.nodes ? o.nodes : 5, (unsigned long long)runs,
		       (unsigned long long)(runs * (o.seconds + 10)),
		       (unsigned long long)operations, (unsigned long long)violations);
	else
		printf("dht: %llu runs of %u virtual seconds, %llu operations, %llu violations\n",
		       (unsigned long long)runs, o.seconds + 10, (unsigned long long)operations,
		       (unsigned long long)violations);
	if (violations == 0)
		return 0;
	printf("%s: seed %llu; replay: tests/sim/run dht --nodes %u --seeds %llu --seconds %u%s%s\n",
	       what, (unsigned long long)first_bad, o.nodes ? o.nodes : 5,
	       (unsigned long long)first_bad, o.seconds, o.mutate ? " --mutate " : "",
	       o.mutate ? o.mutate : "");
	return 1;
}
