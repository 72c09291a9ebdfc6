/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Would a second gateway process on the same machine help? The paper's section 7 leaves it open;
 * what is measured decides: the best of one process with any number of workers against the best of
 * several, and, for equal numbers of workers in all, from which number on several are better.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

/* The point with so many workers in one process; n: none. */
static size_t find_alone(const struct cw_scaling_point *p, size_t n, unsigned int workers)
{
	for (size_t i = 0; i < n; i++)
		if (p[i].processes == 1 && p[i].workers == workers)
			return i;
	return n;
}

static unsigned int crossover(const struct cw_scaling_point *p, size_t n, double noise)
{
	unsigned int least = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned int all = p[i].processes * p[i].workers;
		size_t one = p[i].processes > 1 ? find_alone(p, n, all) : n;

		if (one < n && p[i].pps > p[one].pps * (1 + noise) && (least == 0 || all < least))
			least = all;
	}
	return least;
}

int cw_scaling_judge(const struct cw_scaling_point *points, size_t n, double noise,
		     struct cw_scaling *out)
{
	memset(out, 0, sizeof(*out));
	out->alone = out->many = n;
	for (size_t i = 0; i < n; i++) {
		size_t *best = points[i].processes == 1 ? &out->alone : &out->many;

		if (*best == n || points[i].pps > points[*best].pps)
			*best = i;
	}
	if (out->alone == n || !(points[out->alone].pps > 0))
		return -EINVAL;
	out->compared = out->many < n;
	if (out->compared)
		out->gain = points[out->many].pps / points[out->alone].pps - 1;
	out->helps = out->compared && out->gain > noise;
	out->crossover = crossover(points, n, noise);
	return 0;
}
