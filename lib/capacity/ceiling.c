/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What limits a site, and how many gateways and workers it takes.
 *
 * Each resource has a rate of the whole site beyond which it is full. CPU and ports are those of
 * the busiest gateway: slots are dealt in whole numbers, so of n gateways one has ceil(slots / n)
 * of them. Link and switch are shared, and more gateways do not widen them. A worker is full at the
 * load that loss and the latency bound leave.
 */
#include "internal.h"

#include <math.h>
#include <string.h>

double cw_box_scale(const struct cw_box *box, unsigned int workers)
{
	unsigned int known = box->scale_known;
	double step;

	if (known == 0)
		return workers;
	if (workers <= known)
		return box->scale[workers];
	step = known > 1 ? box->scale[known] - box->scale[known - 1] : box->scale[1];
	if (step < 0)
		step = 0;
	return box->scale[known] + step * (workers - known);
}

double cw_box_latency(const struct cw_box *box, double load)
{
	double us = cw_curve_latency(&box->curve, load);

	return load < box->awake_load && us < box->idle_us ? box->idle_us : us;
}

double cw_busiest_share(unsigned int gateways, unsigned int slots)
{
	unsigned int most = (slots + gateways - 1) / gateways;

	return (double)most / slots;
}

/* What a way of so many Gbit/s carries of frames of so many bytes, if they are `share` of all. */
static double line_pps(double gbit, double bytes, double share)
{
	if (gbit <= 0 || share <= 0)
		return INFINITY;
	return gbit * 1e9 / 8 / (bytes + CW_WIRE_BYTES) / share;
}

static double load_max(const struct cw_box *box, double latency_us)
{
	double load;

	if (latency_us <= 0)
		return box->zero_loss;
	if (latency_us < box->idle_us)
		return 0;
	load = cw_curve_load(&box->curve, latency_us);
	return load < box->zero_loss ? load : box->zero_loss;
}

void cw_ceiling(const struct cw_box *box, const struct cw_site_limits *site,
		const struct cw_need *need, unsigned int gateways, unsigned int workers,
		struct cw_ceiling *out)
{
	double share = cw_busiest_share(gateways, site->slots);
	double way = need->out_share > 0.5 ? need->out_share : 1 - need->out_share;
	double worker_pps = box->hz / cw_cost_cycles(&box->cost, need->bytes);

	out->load_max = load_max(box, need->latency_us);
	out->pps[CW_LIMIT_CPU] = worker_pps * cw_box_scale(box, workers) * out->load_max / share;
	/* Ports and uplink are full duplex: the fuller way counts. */
	out->pps[CW_LIMIT_LAN_PORT] = line_pps(box->port_gbit, need->bytes, way * share);
	out->pps[CW_LIMIT_WAN_PORT] =
		line_pps(box->port_gbit, need->bytes + CW_TUNNEL_BYTES, way * share);
	out->pps[CW_LIMIT_LINK] = line_pps(site->link_gbit, need->bytes + CW_TUNNEL_BYTES, way);
	out->pps[CW_LIMIT_SWITCH] = line_pps(site->switch_gbit, need->bytes, 1);
}

enum cw_limit cw_ceiling_limit(const struct cw_ceiling *c)
{
	enum cw_limit least = CW_LIMIT_CPU;

	for (unsigned int i = 1; i < CW_LIMIT_COUNT; i++)
		if (c->pps[i] < c->pps[least])
			least = (enum cw_limit)i;
	return least;
}

const char *cw_limit_name(enum cw_limit limit)
{
	static const char *const names[CW_LIMIT_COUNT] = {"CPU", "LAN port", "WAN port", "link",
							  "switch"};

	return names[limit];
}

/* Does it fit, and how full is everything? */
static bool try_plan(const struct cw_box *box, const struct cw_site_limits *site,
		     const struct cw_need *need, unsigned int gateways, unsigned int workers,
		     struct cw_plan *out)
{
	struct cw_ceiling c;

	cw_ceiling(box, site, need, gateways, workers, &c);
	out->gateways = gateways;
	out->workers = workers;
	out->limit = cw_ceiling_limit(&c);
	for (unsigned int i = 0; i < CW_LIMIT_COUNT; i++)
		out->used[i] = c.pps[i] > 0 ? need->pps / c.pps[i] : INFINITY;
	out->load = out->used[CW_LIMIT_CPU] * c.load_max;
	/* At no load at all it is the idle worker's. */
	if (!(out->load >= 0))
		out->load = INFINITY;
	out->latency_us = cw_box_latency(box, out->load);
	return need->pps <= c.pps[out->limit];
}

void cw_plan(const struct cw_box *box, const struct cw_site_limits *site,
	     const struct cw_need *need, struct cw_plan *out)
{
	enum cw_limit alone;
	unsigned int most = CW_SITE_MEMBERS_MAX < site->slots ? CW_SITE_MEMBERS_MAX : site->slots;

	memset(out, 0, sizeof(*out));
	try_plan(box, site, need, 1, box->workers_max, out);
	alone = out->alone = out->limit;
	if (load_max(box, need->latency_us) <= 0) {
		out->end = CW_PLAN_LATENCY;
		return;
	}
	if (out->used[CW_LIMIT_LINK] > 1 || out->used[CW_LIMIT_SWITCH] > 1) {
		out->end = CW_PLAN_SHARED;
		return;
	}
	for (unsigned int n = 1; n <= most; n++)
		for (unsigned int w = 1; w <= box->workers_max; w++)
			if (try_plan(box, site, need, n, w, out)) {
				out->end = CW_PLAN_FITS;
				return;
			}
	out->alone = alone;
	out->end = CW_PLAN_TOO_MUCH;
}
