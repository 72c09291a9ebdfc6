/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_LOAD_H
#define CW_LOAD_H

/*
 * One gateway's workers under load: as many as configured, each with a paced LAN and WAN port, on
 * the bench's tables.
 */
#include <cw_datapath.h>

#include "bench.h"
#include "paced.h"

#define LOAD_WORKERS_MAX 63u

/* Which ways frames go. */
enum load_way { LOAD_OUT, LOAD_IN, LOAD_BOTH, LOAD_WAYS };

struct load_worker {
	struct load *load;
	struct cw_worker *worker;
	struct cw_stats stats;
	struct paced lan, wan;
	struct paced_clock clock;
	unsigned long preempted; /* in the last trial: times it was taken off its CPU */
	unsigned int trials;	 /* it has been through; main waits for it */
} CW_CACHE_ALIGNED;

struct load {
	struct bench bench;
	unsigned int workers;
	bool one_queue; /* worker 0 polls for all */
	enum cw_idle idle;
	unsigned int ceiling_us;
	struct rte_ring **handover;
	struct load_worker *at;
	struct cw_burst_ops ops;
	float gaps[PACED_GAPS];
	/* What the templates are of. */
	char size[16];
	unsigned int hosts;
	/* main: w, workers: r */
	unsigned int trial; /* grows: there is one to run */
	bool trial_over, quit;
	bool settling; /* worker 0: nothing is given until nothing is under way */
	bool as_is;    /* time that others had is left in */
};

struct load_trial {
	enum load_way way;
	char size[16]; /* "64", "imix" */
	unsigned int hosts;
	double pps, seconds, warm_s; /* pps 0: as much as is taken */
	bool poisson;
	uint64_t begin_tsc; /* 0: soon */
};

struct load_result {
	uint64_t offered, lost, passed, drops, punts;
	double seconds;
	unsigned long preempted;
	double away;		     /* share of the time in which others had a worker's CPU */
	struct cw_histogram latency; /* units of 2^PACED_UNIT_SHIFT cycles */
};

/* Ports and workers for bench tables that are open. @return 0, or -1. */
int load_open(struct load *l);
void load_close(struct load *l);
/* What a worker's lcore does. */
int load_lcore(void *worker);
/* Templates for a trial; nothing is done when they are there. @return 0, or -1: no memory. */
int load_prepare(struct load *l, const char *size, unsigned int hosts);
/* @return 0, or -1: packets ended where they must not, said on stderr. */
int load_trial(struct load *l, const struct load_trial *t, struct load_result *out);
/* Cycles per packet of the ports alone. */
double load_port_cycles(struct load *l, enum load_way way);

#endif /* CW_LOAD_H */
