/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perf/throughput: one worker core driving the shipped pipeline, no NIC. One JSON line per case:
 * the median of interleaved rounds, the bare engine and the replay port measured in the same
 * rounds, cycles per stage from a run of their own (reading the clock costs too).
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <rte_eal.h>

#define ROUNDS_MAX 31

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(v[0]), compare);
	return v[n / 2];
}

static double mean_bytes(const char *size)
{
	double sum = 0;

	for (unsigned int i = 0; i < 12; i++)
		sum += bench_frame_bytes(size, i);
	return sum / 12;
}

static int one_case(struct bench *b, const char *size, bool inbound, unsigned int rounds)
{
	double whole[ROUNDS_MAX], engine[ROUNDS_MAX], port[ROUNDS_MAX], stages[CW_STATS_STAGES_MAX];
	double cpp, epp, mpps;

	for (unsigned int r = 0; r < rounds; r++) {
		whole[r] = inbound ? inbound_round(b, size, NULL) : outbound_round(b, size, NULL);
		engine[r] = engine_round(b, size, inbound);
		port[r] = inbound ? 0 : outbound_port_round(b, size);
		if (whole[r] == 0) {
			fprintf(stderr, "throughput: packets were lost in case %s %s\n", size,
				inbound ? "inbound" : "outbound");
			for (unsigned int d = 1; d < CW_DROP_COUNT; d++)
				if (b->stats.drops[d] != 0)
					fprintf(stderr, "  %s %llu\n",
						cw_drop_name((enum cw_drop)d),
						(unsigned long long)b->stats.drops[d]);
			return -1;
		}
	}
	if ((inbound ? inbound_round(b, size, stages) : outbound_round(b, size, stages)) == 0)
		return -1;
	cpp = median(whole, rounds);
	epp = median(engine, rounds);
	mpps = (double)b->tsc_hz / cpp / 1e6;
	printf("{\"case\":\"%s/%s/%u\",\"direction\":\"%s\",\"frame_bytes\":%.0f,\"peers\":%u,\"mappings\":%u,"
	       "\"mpps\":%.2f,\"gbps\":%.2f,\"cycles_per_packet\":%.0f,\"engine_cycles_per_packet\":%.0f,"
	       "\"ratio\":%.2f,\"port_cycles_per_packet\":%.0f,\"engine\":\"%s\",\"stages\":{",
	       inbound ? "wan-lan" : "lan-wan", size, b->peer_count,
	       inbound ? "wan-lan" : "lan-wan", mean_bytes(size), b->peer_count, MAPPINGS, mpps,
	       mpps * mean_bytes(size) * 8 / 1e3, cpp, epp, cpp / epp, median(port, rounds),
	       b->crypto->name);
	for (unsigned int s = 0, first = 1; cw_datapath_stage_name(s) != NULL; s++) {
		if (stages[s] < 0.5)
			continue;
		printf("%s\"%s\":%.0f", first ? "" : ",", cw_datapath_stage_name(s), stages[s]);
		first = 0;
	}
	printf("}}\n");
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const sizes[] = {"64", "570", "1420", "imix"};
	static const unsigned int peers[] = {1, 256};
	char prefix[64];
	char *eal[] = {(char *)"throughput",
		       (char *)"--no-huge",
		       (char *)"-m",
		       (char *)"256",
		       (char *)"--no-pci",
		       (char *)"--no-telemetry",
		       (char *)"--no-shconf",
		       prefix,
		       (char *)"--lcores=0@(0-1)",
		       (char *)"--log-level=3"};
	unsigned int rounds = 7;
	bool smoke = false;
	struct bench b;
	int rc = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--smoke") == 0)
			smoke = true;
		else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
			rounds = (unsigned int)atoi(argv[++i]);
		else
			return 2;
	}
	if (smoke || rounds < 1 || rounds > ROUNDS_MAX)
		rounds = 1;
	snprintf(prefix, sizeof(prefix), "--file-prefix=cwperf%ld", (long)getpid());
	if (rte_eal_init(CW_ARRAY_SIZE(eal), eal) < 0)
		return 1;
	cw_rcu_thread_register();
	for (size_t p = 0; rc == 0 && p < CW_ARRAY_SIZE(peers); p++) {
		if (bench_open(&b, peers[p]) < 0)
			return 1;
		for (size_t s = 0; rc == 0 && s < CW_ARRAY_SIZE(sizes); s++)
			rc = one_case(&b, sizes[s], false, rounds) < 0 ||
			     one_case(&b, sizes[s], true, rounds) < 0;
		bench_close(&b);
		if (smoke)
			break;
	}
	cw_rcu_thread_unregister();
	rte_eal_cleanup();
	snprintf(prefix, sizeof(prefix), "/run/dpdk/cwperf%ld", (long)getpid());
	rmdir(prefix);
	return rc;
}
