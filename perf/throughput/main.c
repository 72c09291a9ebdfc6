/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perf/throughput: one worker core driving the shipped pipeline, no NIC.
 *
 *   throughput --list           names of all cases
 *   throughput --serve CASE...  tables made, then one round per line of input: "CASE WINDOWS";
 *                               one JSON line of cycles per packet for each
 *   throughput --smoke          each case once, to see that the harness works
 *
 * The scripts beside it ask several programs in turn, so that what they compare is measured in the
 * same minutes, and take medians.
 */
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <rte_eal.h>

#define CASES_MAX 64u

static const char *const sizes[] = {"64", "570", "1420", "imix"};
static const unsigned int peer_counts[] = {1, 64, 256, 4096};

struct program {
	struct bench shared;
	struct bench benches[CW_ARRAY_SIZE(peer_counts)];
	bool opened[CW_ARRAY_SIZE(peer_counts)];
	unsigned int count;
	struct bench_case cases[CASES_MAX];
	struct drive *drives[CASES_MAX];
};

static void add_case(struct program *p, bool inbound, const char *size, unsigned int peers,
		     enum bench_with with)
{
	p->cases[p->count++] = (struct bench_case){inbound, size, peers, with};
}

static void list_cases(struct program *p)
{
	for (unsigned int n = 0; n < CW_ARRAY_SIZE(peer_counts); n++)
		for (unsigned int s = 0; s < CW_ARRAY_SIZE(sizes); s++)
			for (int inbound = 0; inbound < 2; inbound++) {
				add_case(p, inbound, sizes[s], peer_counts[n], PLAIN);
				if (peer_counts[n] != 64)
					continue;
				add_case(p, inbound, sizes[s], 64, COLD);
				add_case(p, inbound, sizes[s], 64, POLICY);
				if (!inbound)
					continue;
				add_case(p, inbound, sizes[s], 64, FLOOD);
				add_case(p, inbound, sizes[s], 64, RELAY);
			}
}

static const char *case_name(const struct bench_case *c, char *buf, size_t size)
{
	static const char *const with[WITH_COUNT] = {
		[COLD] = "/cold", [POLICY] = "/policy", [FLOOD] = "/flood", [RELAY] = "/relay"};

	snprintf(buf, size, "%s/%s/%u%s", c->inbound ? "wan-lan" : "lan-wan", c->size, c->peers,
		 with[c->with] != NULL ? with[c->with] : "");
	return buf;
}

static int find_case(const struct program *p, const char *name)
{
	char buf[64];

	for (unsigned int i = 0; i < p->count; i++)
		if (strcmp(case_name(&p->cases[i], buf, sizeof(buf)), name) == 0)
			return (int)i;
	return -1;
}

static struct drive *drive_of(struct program *p, unsigned int i)
{
	struct bench_size size = {.hosts = HOSTS, .mappings = MAPPINGS, .workers = 1};
	unsigned int n = 0;

	if (p->drives[i] != NULL)
		return p->drives[i];
	while (peer_counts[n] != p->cases[i].peers)
		n++;
	size.peers = peer_counts[n];
	if (!p->opened[n] && bench_open(&p->benches[n], &p->shared, &size) < 0)
		return NULL;
	p->opened[n] = true;
	if (posix_memalign((void **)&p->drives[i], 64, sizeof(struct drive)) != 0 ||
	    drive_open(p->drives[i], &p->benches[n], &p->cases[i]) < 0)
		return NULL;
	return p->drives[i];
}

static int round_of(struct program *p, unsigned int i, unsigned int windows)
{
	struct drive *d = drive_of(p, i);
	struct figures f;
	char name[64];

	if (d == NULL || drive_round(d, windows, &f) < 0)
		return -1;
	printf("{\"case\":\"%s\",\"tsc_hz\":%llu,\"engine_name\":\"%s\",\"frame_bytes\":%.1f,"
	       "\"whole\":%.1f,\"engine\":%.1f,\"port\":%.1f,\"stages\":{",
	       case_name(d->what, name, sizeof(name)), (unsigned long long)d->b->tsc_hz,
	       d->b->crypto->name, bench_mean_bytes(d->what->size), f.whole, f.engine, f.port);
	for (unsigned int s = 0, first = 1; cw_datapath_stage_name(s) != NULL; s++) {
		if (f.stages[s] < 0.05)
			continue;
		printf("%s\"%s\":%.1f", first ? "" : ",", cw_datapath_stage_name(s), f.stages[s]);
		first = 0;
	}
	printf("}}\n");
	fflush(stdout);
	return 0;
}

static int serve(struct program *p)
{
	char line[128], name[64];
	unsigned int windows;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		int i = sscanf(line, "%63s %u", name, &windows) == 2 ? find_case(p, name) : -1;

		if (i < 0 || windows < 1 || windows > WINDOWS_MAX) {
			fprintf(stderr, "throughput: no such case: %s", line);
			return 2;
		}
		if (round_of(p, (unsigned int)i, windows) < 0)
			return 1;
	}
	return 0;
}

static int start_eal(char *prefix, size_t size)
{
	char *eal[] = {(char *)"throughput",   (char *)"--no-huge",
		       (char *)"-m",	       (char *)"256",
		       (char *)"--no-pci",     (char *)"--no-telemetry",
		       (char *)"--no-shconf",  prefix,
		       (char *)"--lcores=0@0", (char *)"--log-level=3"};

	snprintf(prefix, size, "--file-prefix=cwperf%ld", (long)getpid());
	return rte_eal_init(CW_ARRAY_SIZE(eal), eal);
}

static int run(struct program *p, const char *verb)
{
	int rc = 0;

	cw_rcu_thread_register();
	if (bench_init(&p->shared, "auto", CW_SUITE_AES_256_GCM, 8191) < 0)
		return 1;
	if (strcmp(verb, "--serve") == 0)
		rc = serve(p);
	for (unsigned int i = 0; strcmp(verb, "--smoke") == 0 && i < p->count && rc == 0; i++)
		rc = p->cases[i].peers > 64 ? 0 : round_of(p, i, 1) < 0;
	for (unsigned int i = 0; i < p->count; i++)
		if (p->drives[i] != NULL)
			drive_close(p->drives[i]);
	for (unsigned int n = 0; n < CW_ARRAY_SIZE(peer_counts); n++)
		if (p->opened[n])
			bench_close(&p->benches[n]);
	cw_rcu_thread_unregister();
	return rc;
}

int main(int argc, char **argv)
{
	static struct program p;
	char prefix[64], buf[64];
	int rc;

	list_cases(&p);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (unsigned int i = 0; i < p.count; i++)
			printf("%s\n", case_name(&p.cases[i], buf, sizeof(buf)));
		return 0;
	}
	if (argc != 2 || (strcmp(argv[1], "--serve") != 0 && strcmp(argv[1], "--smoke") != 0)) {
		fprintf(stderr, "usage: throughput --list | --serve | --smoke\n");
		return 2;
	}
	if (start_eal(prefix, sizeof(prefix)) < 0)
		return 1;
	rc = run(&p, argv[1]);
	rte_eal_cleanup();
	snprintf(prefix, sizeof(prefix), "/run/dpdk/cwperf%ld", (long)getpid());
	rmdir(prefix);
	return rc;
}
