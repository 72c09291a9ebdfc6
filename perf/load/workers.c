/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers and their trials.
 *
 * An lcore does what causewayd's does: turns, and between them pauses or sleeps as configured,
 * offline for RCU. Inbound templates carry sequence numbers, so a replay window is set back when
 * its templates begin anew; where another worker opens them than the one that polls, polling waits
 * until none of them is under way.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ring.h>

#define FRAME_ROOM	1600u /* of a template, at most */
#define BEGIN_IN_US	20000u
#define POLL_US		500u
#define DRAIN_POLLS_MAX 400u

static bool wrap_own(void *ctx)
{
	struct load_worker *w = ctx;

	bench_reset_replay(&w->load->bench, (unsigned int)(w - w->load->at));
	return true;
}

/* Given and not yet sent, dropped or punted. */
static uint64_t under_way(const struct load *l)
{
	uint64_t given = 0, ended = 0;

	for (unsigned int i = 0; i < l->workers; i++) {
		const struct load_worker *w = &l->at[i];

		given += cw_counted(&w->lan.given) + cw_counted(&w->wan.given);
		ended += cw_counted(&w->lan.replay.sent) + cw_counted(&w->wan.replay.sent);
		for (unsigned int d = 1; d < CW_DROP_COUNT; d++)
			ended += cw_counted(&w->stats.drops[d]);
		ended += cw_counted(&w->stats.punted);
	}
	return given > ended ? given - ended : 0;
}

static bool wrap_all(void *ctx)
{
	struct load *l = ((struct load_worker *)ctx)->load;

	l->settling = under_way(l) > 0;
	if (l->settling)
		return false;
	for (unsigned int w = 0; w < l->workers; w++)
		bench_reset_replay(&l->bench, w);
	return true;
}

static int make_handover(struct load *l)
{
	unsigned int n = l->workers;

	if (n == 1)
		return 0;
	l->handover = calloc((size_t)n * n, sizeof(struct rte_ring *));
	for (unsigned int i = 0; l->handover != NULL && i < n * n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "over_%u_%u", i / n, i % n);
		l->handover[i] = rte_ring_create(name, CW_RING_ENTRIES, SOCKET_ID_ANY,
						 RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (l->handover[i] == NULL)
			return -1;
	}
	return l->handover != NULL ? 0 : -1;
}

int load_open(struct load *l)
{
	size_t bytes = l->workers * sizeof(struct load_worker);

	l->ops = (struct cw_burst_ops){.rx = paced_rx, .tx = paced_tx};
	paced_poisson(l->gaps);
	if (make_handover(l) < 0 || posix_memalign((void **)&l->at, 64, bytes) != 0)
		return -1;
	memset(l->at, 0, bytes);
	for (unsigned int i = 0; i < l->workers; i++) {
		struct load_worker *w = &l->at[i];
		struct cw_worker_params params;

		w->load = l;
		bench_worker(&l->bench, i, &params);
		params.lan.ops = params.wan.ops = &l->ops;
		params.lan.queue = &w->lan;
		params.wan.queue = &w->wan;
		params.lan.queues = params.wan.queues = l->one_queue ? 1 : l->workers;
		params.stats = &w->stats;
		params.handover = l->handover;
		w->lan.clock = w->wan.clock = &w->clock;
		w->lan.held = &l->settling;
		w->wan.wrap = l->one_queue ? wrap_all : wrap_own;
		w->wan.ctx = w;
		if (cw_worker_create(&w->worker, &params) < 0)
			return -1;
	}
	return 0;
}

void load_close(struct load *l)
{
	for (unsigned int i = 0; i < l->workers; i++) {
		cw_worker_destroy(l->at[i].worker);
		replay_close(&l->at[i].lan.replay);
		replay_close(&l->at[i].wan.replay);
	}
	for (unsigned int i = 0; l->handover != NULL && i < l->workers * l->workers; i++)
		rte_ring_free(l->handover[i]);
	free(l->handover);
	free(l->at);
}

static int fill(struct load *l, struct load_worker *w, unsigned int count)
{
	unsigned int worker = (unsigned int)(w - l->at);
	int rc;

	replay_close(&w->lan.replay);
	replay_close(&w->wan.replay);
	rc = replay_open(&w->lan.replay, l->bench.pool, 0, count, (size_t)count * FRAME_ROOM) < 0 ||
	     replay_open(&w->wan.replay, l->bench.pool, 1, count, (size_t)count * FRAME_ROOM) < 0;
	/* On one queue frames for all workers come mixed. */
	for (unsigned int i = 0; rc == 0 && i < count; i++)
		rc = bench_add_outbound(&l->bench, &w->lan.replay, l->size, l->hosts, i) < 0 ||
		     bench_add_inbound(&l->bench, &w->wan.replay, l->size, l->hosts, i,
				       l->one_queue ? i % l->workers : worker) < 0;
	return rc == 0 ? 0 : -1;
}

int load_prepare(struct load *l, const char *size, unsigned int hosts)
{
	unsigned int pollers = l->one_queue ? 1 : l->workers;

	if (strcmp(l->size, size) == 0 && l->hosts == hosts)
		return 0;
	snprintf(l->size, sizeof(l->size), "%s", size);
	l->hosts = hosts;
	bench_restart_twins(&l->bench);
	for (unsigned int i = 0; i < pollers; i++)
		if (fill(l, &l->at[i], bench_frames(&l->bench, size)) < 0) {
			l->size[0] = '\0';
			return -1;
		}
	return 0;
}

static void turns(struct load_worker *w)
{
	struct load *l = w->load;

	while (!__atomic_load_n(&l->trial_over, __ATOMIC_ACQUIRE)) {
		unsigned int handled = cw_worker_turn(w->worker, rte_rdtsc());
		unsigned int us = cw_worker_idle_us(w->worker, handled, l->idle, l->ceiling_us);

		cw_rcu_quiescent();
		if (us == 0)
			continue;
		cw_rcu_offline();
		usleep(us);
		cw_rcu_online();
		paced_clock_slept(&w->clock);
	}
}

static unsigned long preemptions(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) == 0 ? (unsigned long)u.ru_nivcsw : 0;
}

int load_lcore(void *worker)
{
	struct load_worker *w = worker;
	struct load *l = w->load;
	unsigned int done = 0;

	cw_rcu_thread_register();
	while (!__atomic_load_n(&l->quit, __ATOMIC_ACQUIRE)) {
		unsigned int trial = __atomic_load_n(&l->trial, __ATOMIC_ACQUIRE);
		unsigned long before;

		if (trial == done) {
			cw_rcu_offline();
			usleep(POLL_US);
			cw_rcu_online();
			continue;
		}
		before = preemptions();
		turns(w);
		w->preempted = preemptions() - before;
		done = trial;
		__atomic_store_n(&w->trials, done, __ATOMIC_RELEASE);
	}
	cw_rcu_thread_unregister();
	return 0;
}

static void begin(struct load *l, const struct load_trial *t)
{
	uint64_t hz = l->bench.tsc_hz, now = rte_rdtsc();
	unsigned int pollers = l->one_queue ? 1 : l->workers, ways = t->way == LOAD_BOTH ? 2 : 1;
	struct paced_plan plan = {.gaps = t->poisson ? l->gaps : NULL};

	plan.begin = t->begin_tsc > now ? t->begin_tsc : now + hz / 1000000 * BEGIN_IN_US;
	plan.count_from = plan.begin + (uint64_t)(t->warm_s * (double)hz);
	plan.end = plan.count_from + (uint64_t)(t->seconds * (double)hz);
	if (t->pps > 0)
		plan.gap_cycles = (double)hz / t->pps * pollers * ways;
	for (unsigned int i = 0; i < l->workers; i++) {
		memset(&l->at[i].stats, 0, sizeof(l->at[i].stats));
		bench_reset_replay(&l->bench, i);
		paced_clock_begin(&l->at[i].clock, l->as_is ? 0 : hz / 1000000 * PACED_AWAY_US);
		plan.active = i < pollers && t->way != LOAD_IN;
		paced_begin(&l->at[i].lan, &plan);
		plan.active = i < pollers && t->way != LOAD_OUT;
		paced_begin(&l->at[i].wan, &plan);
	}
	l->settling = false;
	__atomic_store_n(&l->trial_over, false, __ATOMIC_RELEASE);
	__atomic_store_n(&l->trial, l->trial + 1, __ATOMIC_RELEASE);
}

static uint64_t waiting(const struct load *l)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < l->workers; i++)
		n += l->at[i].lan.tail - l->at[i].lan.head + l->at[i].wan.tail - l->at[i].wan.head;
	return n;
}

static bool is_past_end(const struct load *l)
{
	unsigned int pollers = l->one_queue ? 1 : l->workers;

	for (unsigned int i = 0; i < pollers; i++)
		if (cw_counted(&l->at[i].clock.now) < l->at[i].lan.plan.end)
			return false;
	return true;
}

/* Past the end, and until nothing is under way any more; what hangs is seen in the sums. */
static void finish(struct load *l)
{
	while (!is_past_end(l))
		usleep(POLL_US);
	for (unsigned int i = 0; i < DRAIN_POLLS_MAX && under_way(l) + waiting(l) > 0; i++)
		usleep(POLL_US);
	__atomic_store_n(&l->trial_over, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < l->workers; i++)
		while (__atomic_load_n(&l->at[i].trials, __ATOMIC_ACQUIRE) != l->trial)
			usleep(POLL_US);
}

static int complain(const struct load *l)
{
	for (unsigned int i = 0; i < l->workers; i++)
		for (unsigned int d = 1; d < CW_DROP_COUNT; d++)
			if (l->at[i].stats.drops[d] != 0)
				fprintf(stderr, "load: worker %u dropped %llu: %s\n", i,
					(unsigned long long)l->at[i].stats.drops[d],
					cw_drop_name((enum cw_drop)d));
	fprintf(stderr, "load: packets ended where they must not\n");
	return -1;
}

/* A ring between two workers is as much a place to lose a frame as the port's is. */
static void count(struct load *l, const struct load_trial *t, struct load_result *out)
{
	double cycles = (t->seconds + t->warm_s) * (double)l->bench.tsc_hz * l->workers, skew = 0;

	memset(out, 0, sizeof(*out));
	out->seconds = t->seconds;
	for (unsigned int i = 0; i < l->workers; i++) {
		const struct load_worker *w = &l->at[i];

		out->offered += w->lan.offered + w->wan.offered;
		out->lost += w->lan.lost + w->wan.lost + w->stats.drops[CW_DROP_WORKER_RING];
		out->passed += w->lan.passed + w->wan.passed;
		out->punts += w->stats.punted;
		for (unsigned int d = 1; d < CW_DROP_COUNT; d++)
			out->drops += d == CW_DROP_WORKER_RING ? 0 : w->stats.drops[d];
		out->preempted += w->preempted;
		cw_histogram_merge(&out->latency, &w->lan.latency);
		cw_histogram_merge(&out->latency, &w->wan.latency);
		skew += (double)w->clock.skew;
	}
	/* What hangs is a fault of ours. */
	out->drops += under_way(l) + waiting(l);
	out->away = skew / (cycles + skew);
	if (t->pps > 0)
		out->passed = out->latency.count;
}

int load_trial(struct load *l, const struct load_trial *t, struct load_result *out)
{
	if (load_prepare(l, t->size, t->hosts) < 0) {
		fprintf(stderr, "load: no memory for templates of %s bytes\n", t->size);
		return -1;
	}
	begin(l, t);
	finish(l);
	bench_drain_punts(&l->bench);
	count(l, t, out);
	return out->drops > 0 || out->punts > 0 ? complain(l) : 0;
}

double load_port_cycles(struct load *l, enum load_way way)
{
	struct paced *p = way == LOAD_IN ? &l->at[0].wan : &l->at[0].lan;
	struct paced_plan plan = {.end = UINT64_MAX, .count_from = UINT64_MAX, .active = true};
	double least = 0;

	/* The least of some rounds: what is wanted is the port, not who came between. */
	for (unsigned int round = 0; round < 16; round++) {
		struct rte_mbuf *pkts[CW_BURST];
		uint64_t began, n = 0;
		double cycles;

		paced_begin(p, &plan);
		began = rte_rdtsc();
		while (n < 2048) {
			uint16_t got = paced_rx(p, pkts, CW_BURST);

			paced_tx(p, pkts, got);
			n += got;
		}
		cycles = (double)(rte_rdtsc() - began) / (double)n;
		if (round == 0 || cycles < least)
			least = cycles;
	}
	return least;
}
