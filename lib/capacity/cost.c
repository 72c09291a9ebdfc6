/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a packet costs by its size, and the line fit that this and the latency curve stand on.
 *
 * Relative errors are what is squared: 20 cycles of 200 weigh as much as 60 of 600. A negative part
 * has no meaning here (a packet without bytes costs something, more bytes never cost less), so the
 * best fit without it is taken instead.
 */
#include "internal.h"

#include <errno.h>

int fit_line(const double *x, const double *y, size_t n, double *a, double *b)
{
	double s = 0, sx = 0, sxx = 0, r = 0, rx = 0, det;

	for (size_t i = 0; i < n; i++) {
		double w;

		if (!(y[i] > 0))
			return -EINVAL;
		w = 1 / y[i]; /* of each side of y = a + b x */
		s += w * w;
		sx += w * w * x[i];
		sxx += w * w * x[i] * x[i];
		r += w;
		rx += w * x[i];
	}
	det = s * sxx - sx * sx;
	if (n < 2 || !(det > 1e-9 * s * sxx))
		return -EINVAL;
	*a = (r * sxx - rx * sx) / det;
	*b = (rx * s - r * sx) / det;
	if (*a < 0) {
		*a = 0;
		*b = rx / sxx;
	} else if (*b < 0) {
		*a = r / s;
		*b = 0;
	}
	return 0;
}

int cw_cost_fit(const struct cw_cost_point *points, size_t n, struct cw_cost *out)
{
	double x[FIT_MAX] = {0}, y[FIT_MAX] = {0};

	if (n > FIT_MAX)
		n = FIT_MAX;
	for (size_t i = 0; i < n; i++) {
		x[i] = points[i].bytes;
		y[i] = points[i].cycles;
	}
	return fit_line(x, y, n, &out->fixed, &out->per_byte);
}

double cw_cost_cycles(const struct cw_cost *c, double bytes)
{
	return c->fixed + c->per_byte * bytes;
}
