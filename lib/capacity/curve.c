/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Latency against load.
 *
 * A worker takes in a turn what has gathered during the last one. A turn costs a cycles and b more
 * per packet, so with r packets a cycle it settles at a / (1 - b r): the same shape as waiting in
 * front of a server whose service is uneven (Kingman). Two parameters are what a handful of trials
 * can carry, and everything an operator asks has a closed form.
 */
#include "internal.h"

#include <errno.h>
#include <math.h>

/* A sleep is tens of turns long. From some load on nobody sleeps: a fall there is noise. */
#define ASLEEP_FACTOR	3.0
#define ASLEEP_LOAD_MAX 0.25

static double wait_of(double load)
{
	return load / (1 - load);
}

int cw_curve_fit(const struct cw_load_point *points, size_t n, struct cw_curve *out)
{
	double x[FIT_MAX], y[FIT_MAX];
	size_t kept = 0;

	for (size_t i = 0; i < n && kept < FIT_MAX; i++) {
		if (!(points[i].load >= 0) || points[i].load >= 1)
			continue;
		x[kept] = wait_of(points[i].load);
		y[kept++] = points[i].latency_us;
	}
	return fit_line(x, y, kept, &out->base_us, &out->wait_us);
}

size_t cw_curve_awake(const struct cw_load_point *points, size_t n)
{
	size_t first = 0;

	for (size_t i = 0; i + 1 < n && points[i].load < ASLEEP_LOAD_MAX; i++)
		if (points[i].latency_us > ASLEEP_FACTOR * points[i + 1].latency_us)
			first = i + 1;
	return first;
}

double cw_curve_latency(const struct cw_curve *c, double load)
{
	return load >= 1 ? INFINITY : c->base_us + c->wait_us * wait_of(load);
}

double cw_curve_load(const struct cw_curve *c, double latency_us)
{
	double w;

	if (latency_us < c->base_us)
		return 0;
	if (c->wait_us <= 0)
		return 1;
	w = (latency_us - c->base_us) / c->wait_us;
	return w / (1 + w);
}

double cw_curve_knee(const struct cw_curve *c)
{
	double s;

	if (c->wait_us <= 0)
		return 1;
	/* d/dl of l / latency(l) is 0 where wait l^2 = base (1 - l)^2. */
	s = sqrt(c->base_us / c->wait_us);
	return s / (1 + s);
}
