/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulator's command line: which suite, which seeds, how long. Exit 0 clean, 1 a violation
 * (its seed and the replay command on the last line, or the JSON object), 2 usage.
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

enum { VIOLATIONS_SHOWN = 100 };

static const struct sim_suite *const suites[] = {&sim_dht,     &sim_leases, &sim_link,	 &sim_nat,
						 &sim_overlay, &sim_site,   &sim_upgrade};

static int usage(void)
{
	fputs("usage: tests/sim/run SUITE [--nodes N] [--seeds A-B | --fresh N] [--seconds S] [--mutate NAME] [--first] [--trace] [--json]\n"
	      "SUITE: all",
	      stderr);
	for (size_t i = 0; i < CW_ARRAY_SIZE(suites); i++)
		fprintf(stderr, " | %s", suites[i]->name);
	fputs("\n", stderr);
	return 2;
}

static bool parse_number(const char *text, unsigned int *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*out = (unsigned int)value;
	return *text != '\0' && *end == '\0' && value <= UINT32_MAX;
}

static bool parse_seeds(const char *text, struct sim_options *o)
{
	char *end;

	o->seed_first = o->seed_last = strtoull(text, &end, 10);
	if (*end == '-')
		o->seed_last = strtoull(end + 1, &end, 10);
	return *text != '\0' && *end == '\0' && o->seed_last >= o->seed_first;
}

/* Seeds that nobody ran before; they are printed, so that they can be run again. tests/run names
 * the first (CAUSEWAY_FRESH_SEED): others with each commit, the same whoever runs that commit. */
static bool fresh_seeds(unsigned int count, struct sim_options *o)
{
	const char *given = getenv("CAUSEWAY_FRESH_SEED");
	uint32_t first;

	if (given != NULL)
		first = (uint32_t)strtoul(given, NULL, 10);
	else if (getrandom(&first, sizeof(first), 0) != sizeof(first))
		return false;
	if (count == 0)
		return false;
	o->seed_first = first;
	o->seed_last = o->seed_first + count - 1;
	printf("seeds %llu-%llu\n", (unsigned long long)o->seed_first,
	       (unsigned long long)o->seed_last);
	return true;
}

static int parse(struct sim_options *o, int argc, char **argv)
{
	unsigned int count;

	if (argc < 2)
		return usage();
	o->suite = argv[1];
	for (int i = 2; i < argc; i++) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
		bool good = true, flag = false;

		if (strcmp(name, "--json") == 0)
			o->json = flag = true;
		else if (strcmp(name, "--trace") == 0)
			o->verbose = flag = true;
		else if (strcmp(name, "--first") == 0)
			o->first = flag = true;
		else if (strcmp(name, "--nodes") == 0)
			good = parse_number(value, &o->nodes) && o->nodes > 0;
		else if (strcmp(name, "--seconds") == 0)
			good = parse_number(value, &o->seconds);
		else if (strcmp(name, "--seeds") == 0)
			good = parse_seeds(value, o);
		else if (strcmp(name, "--fresh") == 0)
			good = parse_number(value, &count) && fresh_seeds(count, o);
		else if (strcmp(name, "--mutate") == 0)
			o->mutate = value;
		else
			good = false;
		if (!good)
			return usage();
		i += flag ? 0 : 1;
	}
	return 0;
}

/* @return 0 when the suite can be run so, else 2 after a line that says why not. */
static int suite_fits(const struct sim_suite *suite, const struct sim_options *o)
{
	if (o->mutate != NULL && (suite->mutation == NULL || suite->mutation(o->mutate) < 0)) {
		fprintf(stderr, "suite %s has no mutation '%s'\n", suite->name, o->mutate);
		return 2;
	}
	if (o->nodes < suite->nodes_min || o->nodes > suite->nodes_max) {
		fprintf(stderr, "suite %s takes %u to %u nodes\n", suite->name, suite->nodes_min,
			suite->nodes_max);
		return 2;
	}
	return 0;
}

static void print_json(const struct sim_suite *suite, const struct sim_options *o, uint64_t runs,
		       uint64_t operations, uint64_t violations)
{
	printf("{\"suite\":\"%s\",\"nodes\":%u,\"runs\":%llu,\"virtual_seconds\":%llu,\"operations\":%llu,\"violations\":%llu",
	       suite->name, o->nodes, (unsigned long long)runs,
	       (unsigned long long)(runs * (o->seconds + suite->healing_s)),
	       (unsigned long long)operations, (unsigned long long)violations);
	if (suite->report != NULL)
		suite->report(stdout, true);
	printf("}\n");
}

static int run_suite(const struct sim_suite *suite, struct sim_options o)
{
	uint64_t runs = 0, violations = 0, operations = 0, first_bad = 0;
	char what[256] = "";
	int rc;

	if (o.nodes == 0)
		o.nodes = suite->nodes_usual;
	rc = suite_fits(suite, &o);
	if (rc != 0)
		return rc;
	for (uint64_t seed = o.seed_first; seed <= o.seed_last; seed++) {
		struct sim_result result = {0};

		suite->run(&o, seed, &result);
		runs++;
		operations += result.operations;
		if (!result.violated)
			continue;
		if (!o.json && violations < VIOLATIONS_SHOWN)
			printf("seed %llu: %s\n", (unsigned long long)seed, result.what);
		if (violations++ == 0) {
			first_bad = seed;
			snprintf(what, sizeof(what), "%s", result.what);
		}
		if (o.first)
			break;
	}
	if (!o.json) {
		printf("%s: %llu runs of %u virtual seconds, %llu operations, %llu violations\n",
		       suite->name, (unsigned long long)runs, o.seconds + suite->healing_s,
		       (unsigned long long)operations, (unsigned long long)violations);
		if (suite->report != NULL)
			suite->report(stdout, false);
	}
	if (violations > 0)
		printf("%s: seed %llu; replay: tests/sim/run %s --nodes %u --seeds %llu --seconds %u%s%s\n",
		       what, (unsigned long long)first_bad, suite->name, o.nodes,
		       (unsigned long long)first_bad, o.seconds, o.mutate ? " --mutate " : "",
		       o.mutate ? o.mutate : "");
	if (o.json)
		print_json(suite, &o, runs, operations, violations);
	return violations > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct sim_options o = {.seconds = 120, .seed_last = 19};
	bool found = false;
	int rc = parse(&o, argc, argv);

	for (size_t i = 0; rc == 0 && i < CW_ARRAY_SIZE(suites); i++) {
		if (strcmp(o.suite, suites[i]->name) != 0 && strcmp(o.suite, "all") != 0)
			continue;
		found = true;
		rc = run_suite(suites[i], o);
	}
	return rc != 0 || found ? rc : usage();
}
