/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Route lookups: bursts of 32 random keys, the 64-byte entry touched, while another thread changes
 * 10,000 mappings a second (replaced, retired, published again, each through a grace period).
 *
 *   micro_route [--smoke] [MAPPINGS...]     one JSON line each: nanoseconds per lookup
 *
 * The figure is the lower quartile over windows of 2,048 bursts. Keys are drawn anew for every
 * burst from all mappings, so that nothing but the table's own layout keeps them in a cache.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cw_rcu.h>
#include <cw_route.h>

#define BURST	    32u
#define BURSTS	    2048u
#define WINDOWS	    128u
#define CHANGES_S   10000u
#define FIRST	    UINT32_C(0x0a000000)
#define PER_ROUND   10u /* changes of the writer at once: a millisecond's */
#define SMOKE_COUNT 65536u

struct scene {
	struct cw_rcu *rcu;
	struct cw_route_table *table;
	unsigned int mappings;
	bool stop;
	uint64_t changes;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * CW_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t roll(uint64_t *dice)
{
	*dice ^= *dice << 13;
	*dice ^= *dice >> 7;
	*dice ^= *dice << 17;
	return *dice;
}

static rte_be32_t key(const struct scene *s, uint64_t die)
{
	return rte_cpu_to_be_32(FIRST + (uint32_t)(((die >> 32) * s->mappings) >> 32));
}

static int publish(struct scene *s, rte_be32_t ip, uint64_t gen)
{
	struct cw_route r = {.ip = ip,
			     .kind = CW_ROUTE_REMOTE,
			     .peer = (uint16_t)(gen & 63),
			     .gen = gen,
			     .expires_tsc = UINT64_MAX};

	return cw_route_publish(s->table, &r);
}

/* Control's thread: the only writer. */
static void *change(void *arg)
{
	struct scene *s = arg;
	uint64_t dice = 88172645463325252u, next = now_ns();

	cw_rcu_thread_register();
	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		for (unsigned int i = 0; i < PER_ROUND; i++, s->changes++) {
			rte_be32_t ip = key(s, roll(&dice));

			/* Every fourth one goes and comes back. */
			if (s->changes % 4 == 0)
				cw_route_retire(s->table, ip);
			if (publish(s, ip, s->changes) < 0)
				abort();
		}
		cw_rcu_reap(s->rcu);
		cw_rcu_quiescent();
		next += CW_NS_PER_S / CHANGES_S * PER_ROUND;
		cw_rcu_offline();
		while (now_ns() < next) {
			struct timespec nap = {.tv_nsec = 100000};

			nanosleep(&nap, NULL);
		}
		cw_rcu_online();
	}
	cw_rcu_thread_unregister();
	return NULL;
}

static double window(struct scene *s, uint64_t *dice, uint64_t *sum)
{
	struct cw_route *found[BURST];
	rte_be32_t ips[BURST];
	uint64_t spent = 0;

	for (unsigned int b = 0; b < BURSTS; b++) {
		uint64_t began;

		for (unsigned int i = 0; i < BURST; i++)
			ips[i] = key(s, roll(dice));
		began = now_ns();
		cw_route_find_bulk(s->table, ips, BURST, found);
		for (unsigned int i = 0; i < BURST; i++)
			*sum += found[i] != NULL ? found[i]->peer : 0;
		spent += now_ns() - began;
		cw_rcu_quiescent();
	}
	return (double)spent / (BURSTS * BURST);
}

/* What two looks at the clock cost, per lookup. */
static double clock_cost(void)
{
	uint64_t began = now_ns();

	for (unsigned int i = 0; i < 100000; i++)
		now_ns();
	return (double)(now_ns() - began) / 100000 / BURST;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int measure(unsigned int mappings, unsigned int windows)
{
	struct scene s = {.mappings = mappings};
	double ns[WINDOWS];
	uint64_t dice = 1442695040888963407u, sum = 0, began;
	pthread_t writer;

	if (cw_rcu_create(&s.rcu) < 0 || cw_route_table_create(&s.table, s.rcu, mappings) < 0)
		return -1;
	for (unsigned int i = 0; i < mappings; i++)
		if (publish(&s, rte_cpu_to_be_32(FIRST + i), i) < 0)
			return -1;
	if (pthread_create(&writer, NULL, change, &s) != 0)
		return -1;
	window(&s, &dice, &sum);
	began = now_ns();
	for (unsigned int i = 0; i < windows; i++)
		ns[i] = window(&s, &dice, &sum);
	began = now_ns() - began;
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	cw_rcu_offline();
	pthread_join(writer, NULL);
	cw_rcu_online();
	qsort(ns, windows, sizeof(ns[0]), compare);
	printf("{\"mappings\":%u,\"ns_per_lookup\":%.1f,\"median_ns\":%.1f,\"changes_per_s\":%.0f,"
	       "\"check\":%llu}\n",
	       mappings, ns[windows / 4] - clock_cost(), ns[windows / 2] - clock_cost(),
	       (double)s.changes / ((double)began / 1e9), (unsigned long long)(sum % 1000));
	fflush(stdout);
	cw_rcu_drain(s.rcu);
	cw_route_table_destroy(s.table);
	cw_rcu_destroy(s.rcu);
	return 0;
}

int main(int argc, char **argv)
{
	static const unsigned int counts[] = {65536, 1000000, 10000000};
	int rc = 0;

	cw_rcu_thread_register();
	if (argc == 2 && strcmp(argv[1], "--smoke") == 0) {
		rc = measure(SMOKE_COUNT, 2);
	} else if (argc > 1) {
		for (int i = 1; i < argc && rc == 0; i++)
			rc = measure((unsigned int)strtoul(argv[i], NULL, 10), WINDOWS);
	} else {
		for (size_t i = 0; i < CW_ARRAY_SIZE(counts) && rc == 0; i++)
			rc = measure(counts[i], WINDOWS);
	}
	cw_rcu_thread_unregister();
	return rc != 0;
}
