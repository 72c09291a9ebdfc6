/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PACED_H
#define CW_PACED_H

/*
 * A port at which frames arrive when they are due, whether the worker comes or not: an open loop,
 * as a NIC with a receive ring is. What does not find room in the ring is lost, what is sent is
 * timed from the moment it was due. Buffers and bytes are the replay port's (perf/replay).
 */
#include <cw_histogram.h>

#include "replay.h"

/* As causewayd sets its ports up (drivers/port). */
#define PACED_DESCRIPTORS 1024u
/* Latencies are counted in so many cycles. */
#define PACED_UNIT_SHIFT 4
/* Gaps between arrivals, as shares of their mean, over and over. */
#define PACED_GAPS 4096u

/* Longer than a worker is ever away by itself: then others had its CPU. */
#define PACED_AWAY_US 150u

/*
 * A worker's clock. Time in which others had its CPU is taken out, so that a trial says what the
 * worker does on a CPU of its own; how much that was is told. away_cycles 0: nothing is taken out.
 */
struct paced_clock {
	uint64_t last, skew, away_cycles;
	uint64_t now; /* as of the last look; main reads it */
	unsigned int times;
};

/* What arrives in one trial. All times are TSC, as the clock tells it. */
struct paced_plan {
	uint64_t begin, count_from, end; /* before count_from it only warms up */
	double gap_cycles;		 /* mean; 0: as much as is taken */
	const float *gaps;		 /* PACED_GAPS of mean 1; NULL: evenly */
	bool active;
};

struct paced {
	struct replay replay;
	struct paced_plan plan;
	double next; /* cycles since plan.begin */
	unsigned int gap_at, head, tail;
	uint32_t stamps[PACED_DESCRIPTORS];
	uint64_t offered, lost;	     /* of what is counted */
	uint64_t given, passed;	     /* given: to the worker, all; passed: counted, greedy only */
	struct cw_histogram latency; /* of what this port sent, by when it arrived at the other */
	struct paced_clock *clock;   /* both ports of a worker have one */
	const bool *held;	     /* not NULL, and true: gives nothing just now */
	/* The templates begin anew: may they (false: not yet)? */
	bool (*wrap)(void *ctx);
	void *ctx;
} CW_CACHE_ALIGNED;

void paced_clock_begin(struct paced_clock *c, uint64_t away_cycles);
/* It slept because it wanted to. */
void paced_clock_slept(struct paced_clock *c);
void paced_begin(struct paced *p, const struct paced_plan *plan);
uint16_t paced_rx(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t paced_tx(void *queue, struct rte_mbuf **pkts, uint16_t n);
/* PACED_GAPS gaps of a Poisson process: quantiles of the exponential distribution, shuffled. */
void paced_poisson(float *gaps);

#endif /* CW_PACED_H */
