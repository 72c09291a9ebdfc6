/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CTL_CAPACITY_H
#define CW_CTL_CAPACITY_H

/* What the files of `causewayctl capacity` share. */
#include <stdio.h>

#include <cw_capacity.h>
#include <cw_gateway_config.h>

#include "ctl.h"

#define CAPACITY_PROCESSES_MAX 16u
#define CAPACITY_HOSTS_LEAST   1024u

/* Parts of what is measured. */
enum capacity_part {
	PART_SIZES = 1 << 0,
	PART_CURVE = 1 << 1,
	PART_HOSTS = 1 << 2,
	PART_SCALING = 1 << 3,
	PART_CHECK = 1 << 4,
	PARTS_ALL = 31,
};

struct capacity {
	struct ctl *ctl;
	/* What is asked. */
	double gbit, pps, latency_us, out_share;
	unsigned int hosts;
	double port_gbit, link_gbit, switch_gbit;
	unsigned int slots;
	/* The gateway that is measured. */
	const char *config_file;
	struct cw_gateway_config config;
	unsigned int workers, peers, mappings, cpus;
	int idle; /* instead of the configuration's; -1: not said */
	/* How it is measured. */
	double trial_s, resolution;
	unsigned int attempts, parts;
	const char *sizes;
	bool as_is;
	unsigned int load_cpus; /* --load: beside a daemon, so many CPUs; 0: not said */
	bool beside;		/* a daemon runs on this box */
	const char *save, *measured, *svg;
	json_t *doc; /* everything that was found */
};

/* -- capacity_options.c */

/* Words of `idle`, in the configuration's order. */
#define CAPACITY_IDLE_WORDS 3u
extern const char *const capacity_idle[CAPACITY_IDLE_WORDS];

int capacity_parse(struct capacity *c, int argc, char **argv);

/* -- capacity_run.c: causeway-load, once per gateway that is asked about */

struct load_process {
	int pid;
	FILE *to, *from;
};

struct load_group {
	unsigned int count;
	struct load_process at[CAPACITY_PROCESSES_MAX];
	double tsc_hz;
	char engine[32], cipher[32];
};

struct load_ask {
	const char *way, *size;
	unsigned int hosts;
	double pps; /* of the group; 0: as much as is taken */
	double seconds;
	bool poisson;
};

/* Sums over the group; latencies are the worst process's. */
struct load_answer {
	double offered, lost, passed, pps, bytes;
	double p50_us, p99_us, max_us;
	double away; /* share of time that other programs had the workers' CPUs */
};

/* @return CTL_OK, or CTL_FAILURE after a message. */
int load_group_open(const struct capacity *c, struct load_group *g, unsigned int processes,
		    unsigned int workers);
int load_group_ask(struct load_group *g, const struct load_ask *ask, struct load_answer *out);
/* Cycles per packet of the ports alone, both ways' mean. */
int load_group_port(struct load_group *g, const char *size, unsigned int hosts, double *cycles);
void load_group_close(struct load_group *g);

/* -- capacity_measure.c */
int capacity_measure(struct capacity *c);
/* The plan's prediction beside a measured run. */
int capacity_check(struct capacity *c, const struct cw_box *box, const struct cw_need *need,
		   const struct cw_plan *plan);

/* -- capacity_plan.c */
/* What was measured, as the model wants it. @return CTL_OK, or CTL_FAILURE, after a message if
 * something was asked. */
int capacity_box(const struct capacity *c, struct cw_box *box);
int capacity_plan(struct capacity *c);

/* -- capacity_print.c, capacity_svg.c */
void capacity_print(const struct capacity *c);
int capacity_svg(const struct capacity *c);

/* A number of an object, 0 when it is not there. */
double capacity_number(const json_t *object, const char *key);

#endif /* CW_CTL_CAPACITY_H */
