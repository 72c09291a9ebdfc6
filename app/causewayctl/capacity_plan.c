/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From what was measured to what the model wants, and from its answer to the document. IMIX is kept
 * from the fit of cost over size, two loads from the fit of the curve: they say how far the model
 * is off.
 */
#include "capacity.h"

#include <math.h>
#include <string.h>

#define POINTS_MAX 32u
/* Frames of 7:4:1 of 64, 570 and 1420 bytes: what is assumed of frames when nothing is said. */
#define IMIX_BYTES 345.67
/* Of a point that latency is read from. */
#define LOST_MAX 0.01
/* Two measurements of one thing differ by so much, or by what was seen. */
#define NOISE_LEAST 0.05

double capacity_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static bool is_imix(const json_t *row)
{
	const char *size = json_string_value(json_object_get(row, "size"));

	return size != NULL && strcmp(size, "imix") == 0;
}

static bool is_held_out(double load)
{
	return fabs(load - 0.3) < 1e-6 || fabs(load - 0.7) < 1e-6;
}

static int fit_cost(const struct capacity *c, struct cw_box *box)
{
	struct cw_cost_point p[POINTS_MAX];
	const json_t *rows = json_object_get(c->doc, "sizes"), *row;
	unsigned int workers =
		(unsigned int)capacity_number(json_object_get(c->doc, "machine"), "workers");
	/* It was measured with so many together; what they cost each other is in the scale. */
	double alone = workers > 0 ? cw_box_scale(box, workers) / workers : 1;
	size_t i, n = 0;

	json_array_foreach(rows, i, row)
	{
		if (is_imix(row) || n == POINTS_MAX)
			continue;
		p[n].bytes = capacity_number(row, "frame_bytes");
		p[n++].cycles = capacity_number(row, "cycles_per_packet") * alone;
	}
	return cw_cost_fit(p, n, &box->cost);
}

/* The worst of the sizes: a plan must hold for any mix. */
static double zero_loss_share(const struct capacity *c)
{
	const json_t *rows = json_object_get(c->doc, "sizes"), *row;
	double least = 1;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		double pps = capacity_number(row, "saturated_pps");
		double share = pps > 0 ? capacity_number(row, "zero_loss_pps") / pps : 0;

		if (share < least)
			least = share;
	}
	return least;
}

static int fit_curve(const struct capacity *c, struct cw_box *box)
{
	struct cw_load_point p[POINTS_MAX] = {0}, kept[POINTS_MAX];
	const json_t *rows = json_object_get(json_object_get(c->doc, "curve"), "points"), *row;
	size_t i, n = 0, fit = 0;

	json_array_foreach(rows, i, row)
	{
		/* Where more than p99 was lost latency is how long the ring is. */
		if (n < POINTS_MAX &&
		    capacity_number(row, "lost") <= LOST_MAX * capacity_number(row, "offered"))
			p[n++] = (struct cw_load_point){capacity_number(row, "load"),
							capacity_number(row, "p99_us")};
	}
	/* The first one is next to no load: that is the idle worker's. */
	box->idle_us = n > 0 ? p[0].latency_us : 0;
	i = n > 1 ? 1 + cw_curve_awake(p + 1, n - 1) : n;
	box->awake_load = i < n ? p[i].load : 1;
	for (; i < n; i++)
		if (!is_held_out(p[i].load))
			kept[fit++] = p[i];
	return cw_curve_fit(kept, fit, &box->curve);
}

static void fill_scale(const struct capacity *c, struct cw_box *box)
{
	const json_t *rows = json_object_get(c->doc, "scaling"), *row;
	double one = 0;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		unsigned int w = (unsigned int)capacity_number(row, "workers");
		double pps = capacity_number(row, "saturated_pps");

		if (capacity_number(row, "processes") > 1)
			continue;
		if (w == 1)
			one = pps;
		/* Only without a gap: 1, 2, 3, then what the steps say. */
		if (one > 0 && w == box->scale_known + 1 && w <= CW_CAPACITY_WORKERS_MAX) {
			box->scale[w] = pps / one;
			box->scale_known = w;
		}
	}
}

int capacity_box(const struct capacity *c, struct cw_box *box)
{
	const json_t *machine = json_object_get(c->doc, "machine");

	memset(box, 0, sizeof(*box));
	box->hz = capacity_number(machine, "tsc_hz");
	box->port_gbit = c->port_gbit;
	box->workers_max = (unsigned int)capacity_number(machine, "workers_most");
	if (box->workers_max == 0)
		box->workers_max = 1;
	if (box->workers_max > CW_CAPACITY_WORKERS_MAX)
		box->workers_max = CW_CAPACITY_WORKERS_MAX;
	fill_scale(c, box);
	box->zero_loss = zero_loss_share(c);
	if (fit_cost(c, box) < 0 || fit_curve(c, box) < 0) {
		if (c->gbit <= 0 && c->pps <= 0)
			return CTL_FAILURE;
		fputs("causewayctl: a plan needs two frame sizes other than imix, and the curve, measured without loss\n",
		      stderr);
		return CTL_FAILURE;
	}
	return CTL_OK;
}

/* How far off the model is where it was not fitted. */
static void judge_model(struct capacity *c, const struct cw_box *box)
{
	const json_t *sizes = json_object_get(c->doc, "sizes"), *row;
	json_t *curve = json_object_get(c->doc, "curve"), *model = json_object();
	const json_t *points = json_object_get(curve, "points");
	size_t i;

	json_array_foreach(sizes, i, row)
	{
		double cycles = capacity_number(row, "cycles_per_packet");

		if (is_imix(row) && cycles > 0)
			json_object_set_new(
				model, "imix_cost_error",
				json_real(cw_cost_cycles(&box->cost,
							 capacity_number(row, "frame_bytes")) /
						  cycles -
					  1));
	}
	json_array_foreach(points, i, row)
	{
		double load = capacity_number(row, "load"), us = capacity_number(row, "p99_us");

		if (is_held_out(load) && us > 0)
			json_object_set_new(model,
					    load < 0.5 ? "p99_error_at_0.3" : "p99_error_at_0.7",
					    json_real(cw_box_latency(box, load) / us - 1));
	}
	json_object_update_new(model, json_pack("{s:f, s:f, s:f}", "cycles_fixed", box->cost.fixed,
						"cycles_per_byte", box->cost.per_byte,
						"zero_loss_share", box->zero_loss));
	json_object_set_new(c->doc, "model", model);
	json_object_update_new(curve, json_pack("{s:f, s:f, s:f, s:f, s:f}", "base_us",
						box->curve.base_us, "wait_us", box->curve.wait_us,
						"knee", cw_curve_knee(&box->curve), "idle_p99_us",
						box->idle_us, "awake_load", box->awake_load));
}

static void judge_scaling(struct capacity *c)
{
	struct cw_scaling_point p[POINTS_MAX];
	const json_t *rows = json_object_get(c->doc, "scaling"), *row;
	double noise = NOISE_LEAST;
	struct cw_scaling s;
	size_t i, n = 0;

	json_array_foreach(rows, i, row)
	{
		if (n == POINTS_MAX)
			break;
		p[n].processes = (unsigned int)capacity_number(row, "processes");
		p[n].workers = (unsigned int)capacity_number(row, "workers");
		p[n++].pps = capacity_number(row, "saturated_pps");
		if (capacity_number(row, "spread") > noise)
			noise = capacity_number(row, "spread");
	}
	if (cw_scaling_judge(p, n, noise, &s) < 0 || !s.compared)
		return;
	json_object_set_new(c->doc, "second_process",
			    json_pack("{s:b, s:f, s:f, s:i}", "helps", s.helps, "gain", s.gain,
				      "noise", noise, "crossover_workers", (int)s.crossover));
}

/* By calculation: 1 to 8 boxes like this one, IMIX. */
static void count_boxes(struct capacity *c, const struct cw_box *box,
			const struct cw_site_limits *site)
{
	struct cw_need need = {
		.bytes = IMIX_BYTES, .out_share = c->out_share, .latency_us = c->latency_us};
	json_t *rows = json_array();

	for (unsigned int n = 1; n <= CW_SITE_MEMBERS_MAX; n++) {
		struct cw_ceiling most;
		enum cw_limit limit;

		cw_ceiling(box, site, &need, n, c->workers, &most);
		limit = cw_ceiling_limit(&most);
		json_array_append_new(rows,
				      json_pack("{s:i, s:i, s:f, s:f, s:s}", "boxes", (int)n,
						"workers", (int)c->workers, "pps", most.pps[limit],
						"gbit", most.pps[limit] * need.bytes * 8 / 1e9,
						"limit", cw_limit_name(limit)));
	}
	json_object_set_new(c->doc, "boxes", rows);
}

static json_t *used(const struct cw_plan *plan)
{
	json_t *all = json_object();

	for (unsigned int i = 0; i < CW_LIMIT_COUNT; i++)
		if (isfinite(plan->used[i]) && plan->used[i] > 0)
			json_object_set_new(all, cw_limit_name((enum cw_limit)i),
					    json_real(plan->used[i]));
	return all;
}

static void answer(struct capacity *c, const struct cw_need *need, const struct cw_plan *plan)
{
	static const char *const ends[] = {"fits", "latency", "shared", "too_much"};

	json_object_set_new(c->doc, "need",
			    json_pack("{s:f, s:f, s:f, s:i, s:f, s:f}", "gbit",
				      need->pps * need->bytes * 8 / 1e9, "pps", need->pps,
				      "frame_bytes", need->bytes, "hosts", (int)c->hosts,
				      "latency_us", need->latency_us, "out_share",
				      need->out_share));
	json_object_set_new(c->doc, "plan",
			    json_pack("{s:s, s:i, s:i, s:s, s:s, s:o, s:f, s:f}", "end",
				      ends[plan->end], "gateways", (int)plan->gateways, "workers",
				      (int)plan->workers, "limit", cw_limit_name(plan->limit),
				      "alone_limit", cw_limit_name(plan->alone), "used", used(plan),
				      "load", isfinite(plan->load) ? plan->load : 0, "p99_us",
				      isfinite(plan->latency_us) ? plan->latency_us : 0));
}

int capacity_plan(struct capacity *c)
{
	struct cw_site_limits site = {
		.link_gbit = c->link_gbit, .switch_gbit = c->switch_gbit, .slots = c->slots};
	struct cw_need need = {
		.pps = c->pps, .out_share = c->out_share, .latency_us = c->latency_us};
	struct cw_plan plan;
	struct cw_box box;
	int rc;

	judge_scaling(c);
	rc = capacity_box(c, &box);
	if (rc != CTL_OK)
		return c->gbit > 0 || c->pps > 0 ? rc : CTL_OK;
	judge_model(c, &box);
	count_boxes(c, &box, &site);
	if (c->pps <= 0 && c->gbit <= 0)
		return CTL_OK;
	if (c->pps <= 0)
		need.pps = c->gbit * 1e9 / 8 / IMIX_BYTES;
	need.bytes = c->gbit > 0 ? c->gbit * 1e9 / 8 / need.pps : IMIX_BYTES;
	if (need.bytes < 60 || need.bytes > 1434) {
		fprintf(stderr,
			"causewayctl: --gbit and --pps make frames of %.0f bytes; 60 to 1434 are possible\n",
			need.bytes);
		return CTL_USAGE;
	}
	cw_plan(&box, &site, &need, &plan);
	answer(c, &need, &plan);
	if (plan.end != CW_PLAN_FITS || c->measured != NULL || !(c->parts & PART_CHECK))
		return plan.end == CW_PLAN_FITS ? CTL_OK : CTL_DEGRADED;
	return capacity_check(c, &box, &need, &plan);
}
