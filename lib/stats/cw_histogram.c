/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is read off a histogram. Recording is in the header: it stands in loops over packets.
 */
#include "cw_histogram.h"

void cw_histogram_merge(struct cw_histogram *to, const struct cw_histogram *from)
{
	for (unsigned int i = 0; i < CW_HISTOGRAM_BUCKETS; i++)
		to->at[i] += from->at[i];
	to->count += from->count;
	if (from->max > to->max)
		to->max = from->max;
}

/* The middle of the values that fall into a bucket. */
static double middle(unsigned int bucket)
{
	unsigned int shift = bucket / CW_HISTOGRAM_STEPS;
	double low = bucket % CW_HISTOGRAM_STEPS;

	if (shift == 0)
		return low;
	low += CW_HISTOGRAM_STEPS;
	return (low + 0.5) * (double)(UINT64_C(1) << (shift - 1)) - 0.5;
}

double cw_histogram_percentile(const struct cw_histogram *h, double share)
{
	uint64_t seen = 0;

	if (h->count == 0)
		return 0;
	for (unsigned int i = 0; i < CW_HISTOGRAM_BUCKETS; i++) {
		seen += h->at[i];
		if (h->at[i] > 0 && (double)seen >= share * (double)h->count)
			return middle(i) < h->max ? middle(i) : h->max;
	}
	return h->max;
}
