/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is measured, and in which order; every figure goes into the document at once.
 *
 *   sizes     per frame size the saturated rate (the median of three trials), and the rate without
 *             loss (RFC 2544 section 26.1) with the latency there; even arrivals, both ways
 *   curve     latency at shares of IMIX's saturated rate, and next to no load; Poisson arrivals
 *   hosts     rate and latency with few hosts to many
 *   scaling   processes and workers on this box, as many as it has CPUs for
 */
#include "capacity.h"

#include <stdlib.h>
#include <string.h>

#define USUAL_HOSTS 256u
/* Trials of which the one in the middle counts; fewer if a rate is tried less often than that. */
#define TIMES	 3u
#define IDLE_PPS 1000.0
#define IDLE_S	 0.3
/* Scaling is searched more coarsely: what is compared differs by tenths. */
#define SCALING_RESOLUTION (1.0 / 32)
/* Where latency is compared: half of what is carried. */
#define LATENCY_LOAD 0.5

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static unsigned int times(const struct capacity *c)
{
	return c->attempts < TIMES ? c->attempts : TIMES;
}

static int compare_p99(const void *a, const void *b)
{
	const struct load_answer *x = a, *y = b;

	return (x->p99_us > y->p99_us) - (x->p99_us < y->p99_us);
}

/* Others' share of the CPUs, over everything measured: the greatest. */
static void note_away(struct capacity *c, double away)
{
	json_t *machine = json_object_get(c->doc, "machine");

	if (away > capacity_number(machine, "away"))
		json_object_set_new(machine, "away", json_real(away));
}

static int ask(struct capacity *c, struct load_group *g, const struct load_ask *what,
	       struct load_answer *out)
{
	int rc = load_group_ask(g, what, out);

	note_away(c, out->away);
	return rc;
}

/* The median of some trials, and how far they were apart, as a share of it. */
struct rate {
	double pps, bytes, spread;
};

static int saturated(struct capacity *c, struct load_group *g, const char *size, unsigned int hosts,
		     struct rate *out)
{
	struct load_ask a = {.way = "both", .size = size, .hosts = hosts, .seconds = c->trial_s};
	double seen[TIMES] = {0};
	struct load_answer r = {0};

	for (unsigned int i = 0; i < times(c); i++) {
		if (ask(c, g, &a, &r) != CTL_OK)
			return CTL_FAILURE;
		seen[i] = r.pps;
	}
	qsort(seen, times(c), sizeof(seen[0]), compare);
	out->pps = seen[times(c) / 2];
	out->bytes = r.bytes;
	out->spread = out->pps > 0 ? (seen[times(c) - 1] - seen[0]) / out->pps : 0;
	return CTL_OK;
}

/* @param best	out: the trial that proved the rate; pps 0: none */
static int search(struct capacity *c, struct load_group *g, struct load_ask a, double max_pps,
		  double resolution, struct load_answer *best, unsigned int *trials)
{
	struct cw_search s;

	memset(best, 0, sizeof(*best));
	cw_search_begin(&s, max_pps, resolution, c->attempts);
	while ((a.pps = cw_search_rate(&s)) > 0) {
		struct load_answer r;
		bool lossless;

		if (ask(c, g, &a, &r) != CTL_OK)
			return CTL_FAILURE;
		lossless = r.lost <= 0 && r.passed > 0 && r.passed >= r.offered;
		if (lossless)
			*best = r;
		cw_search_tell(&s, lossless);
	}
	*trials = s.trials;
	return CTL_OK;
}

static int measure_size(struct capacity *c, struct load_group *g, const char *size)
{
	struct load_ask a = {
		.way = "both", .size = size, .hosts = USUAL_HOSTS, .seconds = c->trial_s};
	struct rate most = {0};
	double port;
	struct load_answer best;
	unsigned int trials;

	if (saturated(c, g, size, a.hosts, &most) != CTL_OK ||
	    load_group_port(g, size, a.hosts, &port) != CTL_OK ||
	    search(c, g, a, most.pps, c->resolution, &best, &trials) != CTL_OK)
		return CTL_FAILURE;
	json_array_append_new(
		json_object_get(c->doc, "sizes"),
		json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:f}", "size",
			  size, "frame_bytes", most.bytes, "saturated_pps", most.pps,
			  "zero_loss_pps", best.pps, "zero_loss_gbit",
			  best.pps * most.bytes * 8 / 1e9, "p50_us", best.p50_us, "p99_us",
			  best.p99_us, "max_us", best.max_us, "cycles_per_packet",
			  most.pps > 0 ? g->tsc_hz / most.pps * c->workers : 0, "port_cycles", port,
			  "trials", (int)trials, "spread", most.spread));
	return CTL_OK;
}

static int measure_sizes(struct capacity *c, struct load_group *g)
{
	char sizes[128], *save = NULL;

	snprintf(sizes, sizeof(sizes), "%s", c->sizes);
	for (char *s = strtok_r(sizes, ",", &save); s != NULL; s = strtok_r(NULL, ",", &save))
		if (measure_size(c, g, s) != CTL_OK)
			return CTL_FAILURE;
	return CTL_OK;
}

static int measure_point(struct capacity *c, struct load_group *g, double pps, double load,
			 double seconds, json_t *points)
{
	struct load_ask a = {.way = "both",
			     .size = "imix",
			     .hosts = USUAL_HOSTS,
			     .pps = pps,
			     .seconds = seconds,
			     .poisson = true};
	struct load_answer seen[TIMES] = {0}, r;

	/* The trial in the middle: one that somebody disturbed says nothing about the load. */
	for (unsigned int i = 0; i < times(c); i++)
		if (ask(c, g, &a, &seen[i]) != CTL_OK)
			return CTL_FAILURE;
	qsort(seen, times(c), sizeof(seen[0]), compare_p99);
	r = seen[times(c) / 2];
	json_array_append_new(points, json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "load", load,
						"pps", pps, "p50_us", r.p50_us, "p99_us", r.p99_us,
						"lost", r.lost, "offered", r.offered));
	return CTL_OK;
}

static int measure_curve(struct capacity *c, struct load_group *g)
{
	/* 0.3 and 0.7 are kept from the fit: they judge it. */
	static const double loads[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0};
	json_t *points = json_array();
	struct rate most = {0};
	int rc;

	json_object_set_new(c->doc, "curve", json_pack("{s:o}", "points", points));
	rc = saturated(c, g, "imix", USUAL_HOSTS, &most);
	if (rc == CTL_OK)
		rc = measure_point(c, g, IDLE_PPS, IDLE_PPS / most.pps, IDLE_S, points);
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(loads) && rc == CTL_OK; i++)
		rc = measure_point(c, g, loads[i] * most.pps, loads[i], c->trial_s, points);
	json_object_set_new(json_object_get(c->doc, "curve"), "saturated_pps", json_real(most.pps));
	return rc;
}

static int measure_hosts(struct capacity *c, struct load_group *g)
{
	static const unsigned int usual[] = {1, 4, 16, 64, 256, 1024};
	json_t *rows = json_object_get(c->doc, "hosts");

	for (unsigned int i = 0; i <= CW_ARRAY_SIZE(usual); i++) {
		unsigned int hosts = i < CW_ARRAY_SIZE(usual) ? usual[i] : c->hosts;
		struct load_ask a = {.way = "both",
				     .size = "imix",
				     .hosts = hosts,
				     .seconds = c->trial_s,
				     .poisson = true};
		struct load_answer r;
		struct rate most = {0};

		/* One more for the number that is asked about. */
		if (hosts == 0 || (i == CW_ARRAY_SIZE(usual) && hosts <= usual[i - 1]))
			break;
		if (saturated(c, g, "imix", hosts, &most) != CTL_OK)
			return CTL_FAILURE;
		a.pps = most.pps * LATENCY_LOAD;
		if (ask(c, g, &a, &r) != CTL_OK)
			return CTL_FAILURE;
		json_array_append_new(rows,
				      json_pack("{s:i, s:f, s:f, s:f, s:f, s:f}", "hosts",
						(int)hosts, "saturated_pps", most.pps, "gbit",
						most.pps * most.bytes * 8 / 1e9, "mbit_per_host",
						most.pps * most.bytes * 8 / 1e6 / hosts, "p50_us",
						r.p50_us, "p99_us", r.p99_us));
	}
	return CTL_OK;
}

static int measure_box(struct capacity *c, unsigned int processes, unsigned int workers)
{
	struct load_ask a = {
		.way = "both", .size = "imix", .hosts = USUAL_HOSTS, .seconds = c->trial_s};
	struct load_answer best, half = {0};
	struct rate most = {0};
	struct load_group g;
	unsigned int trials;
	int rc = load_group_open(c, &g, processes, workers);

	if (rc == CTL_OK)
		rc = saturated(c, &g, a.size, a.hosts, &most);
	if (rc == CTL_OK)
		rc = search(c, &g, a, most.pps, SCALING_RESOLUTION, &best, &trials);
	a.pps = most.pps * LATENCY_LOAD;
	a.poisson = true;
	if (rc == CTL_OK)
		rc = ask(c, &g, &a, &half);
	load_group_close(&g);
	if (rc == CTL_OK)
		json_array_append_new(
			json_object_get(c->doc, "scaling"),
			json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "processes",
				  (int)processes, "workers", (int)workers, "saturated_pps",
				  most.pps, "zero_loss_pps", best.pps, "gbit",
				  most.pps * most.bytes * 8 / 1e9, "p50_us", half.p50_us, "p99_us",
				  half.p99_us, "spread", most.spread));
	return rc;
}

/* Every number of processes and workers that there are CPUs for; powers of two on large boxes. */
static int measure_scaling(struct capacity *c)
{
	for (unsigned int all = 1; all <= c->cpus; all = all < 4 ? all + 1 : all * 2)
		for (unsigned int n = 1; n <= all && n <= CAPACITY_PROCESSES_MAX; n++) {
			if (all % n != 0 || all / n > CW_CAPACITY_WORKERS_MAX ||
			    (n != 1 && n != 2 && n != all))
				continue;
			if (measure_box(c, n, all / n) != CTL_OK)
				return CTL_FAILURE;
		}
	return CTL_OK;
}

static void begin_doc(struct capacity *c)
{
	json_object_set_new(
		c->doc, "machine",
		json_pack("{s:i, s:i, s:i, s:i, s:s, s:i, s:i, s:f, s:f, s:f, s:i, s:b}", "cpus",
			  (int)c->cpus, "workers", (int)c->workers, "workers_most",
			  (int)(c->workers > c->cpus ? c->workers : c->cpus), "queues",
			  (int)c->config.lan.queues, "idle", capacity_idle[c->config.idle], "peers",
			  (int)c->peers, "mappings", (int)c->mappings, "away", 0.0, "trial_s",
			  c->trial_s, "resolution", c->resolution, "attempts", (int)c->attempts,
			  "as_is", c->as_is));
	json_object_set_new(c->doc, "sizes", json_array());
	json_object_set_new(c->doc, "hosts", json_array());
	json_object_set_new(c->doc, "scaling", json_array());
}

int capacity_measure(struct capacity *c)
{
	json_t *machine;
	struct load_group g;
	int rc;

	begin_doc(c);
	machine = json_object_get(c->doc, "machine");
	rc = load_group_open(c, &g, 1, c->workers);
	json_object_set_new(machine, "tsc_hz", json_real(g.tsc_hz));
	json_object_set_new(machine, "engine", json_string(g.engine));
	json_object_set_new(machine, "cipher", json_string(g.cipher));
	if (rc == CTL_OK && (c->parts & PART_SIZES))
		rc = measure_sizes(c, &g);
	if (rc == CTL_OK && (c->parts & PART_CURVE))
		rc = measure_curve(c, &g);
	if (rc == CTL_OK && (c->parts & PART_HOSTS))
		rc = measure_hosts(c, &g);
	load_group_close(&g);
	if (rc == CTL_OK && (c->parts & PART_SCALING))
		rc = measure_scaling(c);
	return rc;
}

int capacity_check(struct capacity *c, const struct cw_box *box, const struct cw_need *need,
		   const struct cw_plan *plan)
{
	unsigned int workers = plan->workers < c->cpus ? plan->workers : c->cpus;
	char size[16];
	struct load_ask a = {.way = "both",
			     .size = size,
			     .hosts = c->hosts > 0 ? c->hosts : USUAL_HOSTS,
			     .seconds = c->trial_s,
			     .poisson = true};
	struct load_answer r, most;
	double predicted;
	struct load_group g;
	int rc;

	/* So many workers' part of the busiest gateway's share, in frames of the mean size. */
	snprintf(size, sizeof(size), "%.0f", need->bytes < 64 ? 64 : need->bytes);
	a.pps = need->pps * cw_busiest_share(plan->gateways, c->slots) *
		cw_box_scale(box, workers) / cw_box_scale(box, plan->workers);
	predicted = box->hz / cw_cost_cycles(&box->cost, need->bytes) * cw_box_scale(box, workers);
	rc = load_group_open(c, &g, 1, workers);
	if (rc == CTL_OK)
		rc = ask(c, &g, &a, &r);
	a.pps = 0;
	if (rc == CTL_OK)
		rc = ask(c, &g, &a, &most);
	load_group_close(&g);
	if (rc != CTL_OK)
		return rc;
	json_object_set_new(
		c->doc, "check",
		json_pack("{s:i, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "workers",
			  (int)workers, "frame_bytes", size, "offered", r.offered, "lost", r.lost,
			  "p99_us", r.p99_us, "p99_predicted_us", plan->latency_us, "p99_error",
			  r.p99_us > 0 ? plan->latency_us / r.p99_us - 1 : 0, "saturated_pps",
			  most.pps, "saturated_predicted_pps", predicted, "saturated_error",
			  most.pps > 0 ? predicted / most.pps - 1 : 0));
	return CTL_OK;
}
