/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock of dht.md section 4: raw monotonic time plus what was spent suspended. */
#include "cw_os.h"

#include <time.h>

static int64_t offset; /* set once at start, tests only */

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * CW_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t cw_os_now_ns(void)
{
	uint64_t monotonic = read_clock(CLOCK_MONOTONIC);
	uint64_t suspended = read_clock(CLOCK_BOOTTIME) - monotonic;

	/* The two are read apart: what is less than a second of suspend is their distance. */
	if (suspended < CW_NS_PER_S)
		suspended = 0;
	return read_clock(CLOCK_MONOTONIC_RAW) + suspended + (uint64_t)offset;
}

void cw_os_clock_offset(int64_t offset_ns)
{
	offset = offset_ns;
}
