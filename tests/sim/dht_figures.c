/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the DHT's suite measures beside judging: how long callers wait for a create and a get that
 * came to something, faults and all, and how long after a leader's crash the first call begun since
 * then was answered. Over all runs; medians and a 99th percentile, in true time.
 */
#include "dht_world.h"

#include <stdlib.h>

enum { SAMPLES_MAX = 1 << 16 };

struct samples {
	unsigned int count;
	uint64_t ns[SAMPLES_MAX];
};

static struct samples creates, gets, failovers;

static void add(struct samples *s, uint64_t ns)
{
	if (s->count < SAMPLES_MAX)
		s->ns[s->count++] = ns;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile(struct samples *s, unsigned int percent)
{
	if (s->count == 0)
		return 0;
	qsort(s->ns, s->count, sizeof(s->ns[0]), compare);
	return (double)s->ns[(uint64_t)(s->count - 1) * percent / 100];
}

void figures_leader_lost(struct world *w)
{
	if (w->leader_lost_ns == 0)
		w->leader_lost_ns = w->now_ns;
}

void figures_answered(struct world *w, uint8_t verb, uint64_t begun_ns)
{
	if (verb == CW_STORE_REG_CREATE)
		add(&creates, w->now_ns - begun_ns);
	else if (verb == CW_STORE_REG_GET)
		add(&gets, w->now_ns - begun_ns);
	if (w->leader_lost_ns == 0 || begun_ns < w->leader_lost_ns)
		return;
	add(&failovers, w->now_ns - w->leader_lost_ns);
	w->leader_lost_ns = 0;
}

void figures_report(FILE *out, bool json)
{
	fprintf(out,
		json ? ",\"create_p50_ms\":%.1f,\"create_p99_ms\":%.1f,\"get_p50_ms\":%.1f,\"failover_s\":%.2f"
		     : "create %.1f ms (p99 %.1f ms), get %.1f ms, first answer %.2f s after a leader's crash\n",
		percentile(&creates, 50) / 1e6, percentile(&creates, 99) / 1e6,
		percentile(&gets, 50) / 1e6, percentile(&failovers, 50) / 1e9);
}
