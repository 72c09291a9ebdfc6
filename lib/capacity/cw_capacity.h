/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CAPACITY_H
#define CW_CAPACITY_H

/**
 * @file
 * The arithmetic of `causewayctl capacity` (the paper's section 7): how to look for the rate
 * without loss, what latency goes with what load, what a packet of a size costs, and from these how
 * many workers and gateways a site needs and what limits it. Nothing is measured here: figures come
 * in, figures go out. All functions: [any]; no allocation.
 *
 * Rates are frames per second (_pps), sizes bytes of an Ethernet frame without FCS, latencies
 * microseconds (_us). A load is a share of the saturated rate: what passes a worker when it is
 * always offered more than it takes.
 */
#include <cw_base.h>
#include <cw_site.h>

/* -- search.c: RFC 2544 section 26.1, the highest rate without loss */

/** A search by halves. Owned by the caller; ask cw_search_rate, drive a trial, tell. */
struct cw_search {
	double low_pps, high_pps, rate_pps, step_pps;
	unsigned int attempts, left, trials;
	bool done;
};

/**
 * @param max_pps	the first trial's rate, and the highest one
 * @param resolution	stop when the answer is known to this share of max_pps
 * @param attempts	trials of a rate before it counts as lossy, at least 1 (RFC 2544: 1); one
 *	without loss proves it. More on a machine that others use too
 */
void cw_search_begin(struct cw_search *s, double max_pps, double resolution, unsigned int attempts);
/** @return the next trial's rate; 0: the search is over. */
double cw_search_rate(const struct cw_search *s);
/** A trial of that rate is over. */
void cw_search_tell(struct cw_search *s, bool lossless);
/** @return the highest rate that was seen without loss; 0: none. */
double cw_search_found(const struct cw_search *s);

/* -- curve.c: latency against load */

struct cw_load_point {
	double load, latency_us;
};

/**
 * latency = base + wait * load / (1 - load): what a poll loop does whose turns grow with what has
 * gathered meanwhile (a turn of a + b n packets comes to a / (1 - load)), and the form of
 * Kingman's bound for whatever else makes service uneven.
 */
struct cw_curve {
	double base_us, wait_us;
};

/** Least squares of the relative error; neither part comes out negative. Points at a load of 1 and
 * above are beyond the curve and left out. @return 0, -EINVAL: not two loads that differ. */
CW_MUST_USE int cw_curve_fit(const struct cw_load_point *points, size_t n, struct cw_curve *out);
/** The first point, of points by growing load, at which workers do not sleep between packets any
 * more: before it latency falls steeply with load, which nothing else makes it do. Only from there
 * on a fit means something. */
size_t cw_curve_awake(const struct cw_load_point *points, size_t n);
/** @return infinity at a load of 1 and above. */
double cw_curve_latency(const struct cw_curve *c, double load);
/** The highest load whose latency is within a bound; 0: none is. */
double cw_curve_load(const struct cw_curve *c, double latency_us);
/** Where load / latency is highest (Kleinrock's power): beyond it latency grows faster than load.
 * 1: the curve is flat. */
double cw_curve_knee(const struct cw_curve *c);

/* -- cost.c: what a packet costs */

struct cw_cost_point {
	double bytes, cycles;
};

/** cycles = fixed + per_byte * bytes */
struct cw_cost {
	double fixed, per_byte;
};

/** As cw_curve_fit. @return 0, -EINVAL: not two sizes that differ. */
CW_MUST_USE int cw_cost_fit(const struct cw_cost_point *points, size_t n, struct cw_cost *out);
double cw_cost_cycles(const struct cw_cost *c, double bytes);

/* -- ceiling.c: what limits, and how many it takes */

enum cw_limit {
	CW_LIMIT_CPU,
	CW_LIMIT_LAN_PORT,
	CW_LIMIT_WAN_PORT,
	CW_LIMIT_LINK,
	CW_LIMIT_SWITCH,
	CW_LIMIT_COUNT
};

#define CW_CAPACITY_WORKERS_MAX 63u
/** FCS, preamble and the gap between frames. */
#define CW_WIRE_BYTES 24.0
/** ESP in UDP around an inner packet, less the inner Ethernet header: 62, and 0 to 3 of padding. */
#define CW_TUNNEL_BYTES 64.0

/** One gateway on one box. */
struct cw_box {
	double hz; /* what cycles are counted in */
	struct cw_cost cost;
	double zero_loss; /* the rate without loss as a share of the saturated one */
	struct cw_curve curve;
	double idle_us;	   /* latency when next to nothing comes: a sleeping worker's */
	double awake_load; /* from here on it is the curve's */
	unsigned int workers_max;
	unsigned int scale_known; /* scale[1] to scale[scale_known] were measured */
	double scale[CW_CAPACITY_WORKERS_MAX + 1]; /* of w workers together, as against one */
	double port_gbit;			   /* each way; 0: not known, and no limit */
};

/** What the gateways of a site share. */
struct cw_site_limits {
	double link_gbit;   /* uplink, each way; 0: not known */
	double switch_gbit; /* what the switch carries between hosts and gateways; 0: not known */
	unsigned int slots; /* of virtual MACs: with 1, one gateway carries everything */
};

/** What is asked for; sums of both directions. */
struct cw_need {
	double pps, bytes; /* bytes: of the mean frame */
	double out_share;  /* of it from the hosts to the WAN: 0 to 1 */
	double latency_us; /* p99 inside the gateway must not be above; 0: whatever it is */
};

/** Rates of the whole site beyond which something is full; infinity: known to be no limit. */
struct cw_ceiling {
	double pps[CW_LIMIT_COUNT];
	double load_max; /* of a worker: what loss and latency leave of the saturated rate */
};

/** Throughput of so many workers in one process as against one; what was not measured is taken to
 * grow as it last did. */
double cw_box_scale(const struct cw_box *box, unsigned int workers);

/** p99 at a load: the curve's, or below awake_load the sleeping worker's if that is more. */
double cw_box_latency(const struct cw_box *box, double load);

/** The share of traffic that the busiest of n gateways gets of so many slots. */
double cw_busiest_share(unsigned int gateways, unsigned int slots);

/** @param need	pps is not read */
void cw_ceiling(const struct cw_box *box, const struct cw_site_limits *site,
		const struct cw_need *need, unsigned int gateways, unsigned int workers,
		struct cw_ceiling *out);
/** What is full first. */
enum cw_limit cw_ceiling_limit(const struct cw_ceiling *c);
const char *cw_limit_name(enum cw_limit limit);

/** How a plan ends. */
enum cw_plan_end {
	CW_PLAN_FITS,
	CW_PLAN_LATENCY, /* the bound is below what an unloaded gateway takes */
	CW_PLAN_SHARED,	 /* link or switch are full: no number of gateways helps */
	CW_PLAN_TOO_MUCH /* more than CW_SITE_MEMBERS_MAX gateways, or than its slots can share */
};

struct cw_plan {
	enum cw_plan_end end;
	unsigned int gateways, workers; /* the fewest; the largest tried when it does not fit */
	enum cw_limit limit;		/* what is nearest to full in this plan */
	enum cw_limit alone;	     /* what is nearest to full in one gateway with all workers */
	double used[CW_LIMIT_COUNT]; /* share of each ceiling in this plan */
	double load;		     /* of the busiest gateway's workers */
	double latency_us;	     /* there, p99, as predicted */
};

void cw_plan(const struct cw_box *box, const struct cw_site_limits *site,
	     const struct cw_need *need, struct cw_plan *out);

/* -- scaling.c: processes and workers on one box */

struct cw_scaling_point {
	unsigned int processes, workers; /* workers of each process */
	double pps;			 /* of all together */
};

struct cw_scaling {
	size_t alone, many;	/* the best with one process, the best with several */
	bool compared;		/* there are both */
	double gain;		/* of many over alone: 0.1 is a tenth more */
	bool helps;		/* by more than the noise */
	unsigned int crossover; /* workers in all from which on several processes carry more than
				   one with as many; 0: never seen */
};

/** @return 0, -EINVAL: no point with one process. */
CW_MUST_USE int cw_scaling_judge(const struct cw_scaling_point *points, size_t n, double noise,
				 struct cw_scaling *out);

#endif /* CW_CAPACITY_H */
