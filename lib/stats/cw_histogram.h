/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_HISTOGRAM_H
#define CW_HISTOGRAM_H

/**
 * @file
 * How often which value: buckets that are 1/16 of their power of two wide, so that a percentile
 * is off by at most 6 % over the whole range of 32 bits, in 4 kB and without a search. The unit is
 * the caller's. Not shared: one writer; sums are made by cw_histogram_merge. [any]
 */
#include <cw_base.h>

#define CW_HISTOGRAM_STEPS   16u
#define CW_HISTOGRAM_BUCKETS (29u * CW_HISTOGRAM_STEPS)

struct cw_histogram {
	uint64_t count;
	uint32_t max;
	uint64_t at[CW_HISTOGRAM_BUCKETS];
};

/** Values below 16 have a bucket each. */
static inline unsigned int cw_histogram_bucket(uint32_t value)
{
	unsigned int shift;

	if (value < CW_HISTOGRAM_STEPS)
		return value;
	shift = 27u - (unsigned int)__builtin_clz(value);
	return (shift + 1) * CW_HISTOGRAM_STEPS + (value >> shift) - CW_HISTOGRAM_STEPS;
}

static inline void cw_histogram_add(struct cw_histogram *h, uint32_t value)
{
	h->count++;
	h->at[cw_histogram_bucket(value)]++;
	if (value > h->max)
		h->max = value;
}

void cw_histogram_merge(struct cw_histogram *to, const struct cw_histogram *from);

/** The value that @p share (0 to 1) of all are not above: the middle of its bucket, never more than
 * the largest seen. 0 when there is none. */
double cw_histogram_percentile(const struct cw_histogram *h, double share);

#endif /* CW_HISTOGRAM_H */
