/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perf/dht: the DHT without network and disk. One JSON line per case; docs/performance.md says what
 * they were.
 *
 * Without arguments what one core serves: reads and writes, 1 and 3 members, signatures off and on.
 * --delays: how long operations take among N nodes with links of 20 ms. --failovers: leaders die,
 * one after the other; how long until their slots answer again, and where the time went. --smoke: a
 * little of both, to see that the harness works.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

int main(int argc, char **argv)
{
	unsigned int nodes = 60, deaths = 0;
	bool delays = false, smoke = false, trace = false;
	uint64_t seed = 0;
	double seconds = 0.25;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--smoke") == 0)
			smoke = true;
		else if (strcmp(argv[i], "--delays") == 0)
			delays = true;
		else if (strcmp(argv[i], "--trace") == 0)
			trace = true;
		else if (strcmp(argv[i], "--failovers") == 0 && i + 1 < argc)
			deaths = (unsigned int)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
			seed = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--nodes") == 0 && i + 1 < argc)
			nodes = (unsigned int)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
			seconds = strtod(argv[++i], NULL);
		else
			nodes = 0;
	}
	if (nodes < 10 || nodes > 10000 || seconds <= 0) {
		fputs("usage: dht [--smoke] [--seconds S] | --delays [--nodes 10-10000] |\n"
		      "       --failovers DEATHS [--nodes 10-10000] [--seed N] [--trace]\n",
		      stderr);
		return 2;
	}
	if (smoke) {
		serve_run(3, false, 0.005);
		serve_run(1, true, 0.005);
		delays_run(12, 10);
		failover_run(12, 2, 0, false);
	} else if (deaths > 0) {
		failover_run(nodes, deaths, seed, trace);
	} else if (delays) {
		delays_run(nodes, 1000);
	} else {
		for (unsigned int members = 1; members <= 5; members += 2)
			for (unsigned int sign = 0; sign < 2; sign++)
				serve_run(members, sign, seconds);
	}
	return 0;
}
