/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Summing the workers' counters. The struct is nothing but 64-bit counters, so it is summed as an
 * array of them; reads are relaxed atomic loads since the workers go on writing.
 */
#include "cw_stats.h"

void cw_stats_add(struct cw_stats *to, const struct cw_stats *from)
{
	uint64_t *a = (uint64_t *)(void *)to;
	const uint64_t *b = (const uint64_t *)(const void *)from;

	for (size_t i = 0; i < sizeof(*to) / sizeof(uint64_t); i++)
		a[i] += __atomic_load_n(&b[i], __ATOMIC_RELAXED);
}
