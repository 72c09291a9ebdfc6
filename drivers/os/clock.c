/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The clock of dht.md section 4, and the workers' clock beside it.
 *
 * Ours is CLOCK_MONOTONIC_RAW plus the time spent suspended (BOOTTIME - MONOTONIC). The two
 * halves of that difference are read apart, and a thread may be stopped in between: such a
 * reading would jump ahead and back again. So a reading counts only if it was quick, and the time
 * suspended changes only when it grew by more than the readings' own jitter.
 *
 * Workers compare TSC values. Nothing is taken from DPDK's calibration: it rounds the TSC's rate to
 * 10 MHz, which is up to 0.2 %, and a mapping anchored once would be seconds off after an hour; a
 * session deadline is 30 s. Here the rate is measured over the whole time since the start and the
 * anchor moves along (cw_os_tsc_update, once a second), so what is left are microseconds.
 */
#include "cw_os.h"

#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

/* A reading that took longer was interrupted. */
#define QUICK_NS     (UINT64_C(50) * CW_NS_PER_US)
#define READINGS_MAX 16
/* Less than this is the distance of two readings, not a suspend. */
#define SUSPEND_MIN_NS (UINT64_C(1) * CW_NS_PER_MS)
/* What two clocks may differ by, in a window and at once, before one of them must have jumped. */
#define DRIFT_PER_MILLE 10u
#define DRIFT_NS	(UINT64_C(1) * CW_NS_PER_MS)
/* 2 us of jitter in 50 ms: 40 ppm, far below the eps of dht.md section 9. */
#define CALIBRATE_NS (UINT64_C(50) * CW_NS_PER_MS)

__extension__ typedef __int128 wide; /* the product of two 64-bit times */

static uint64_t offset;	   /* tests only: control: w, any thread: r */
static uint64_t not_below; /* likewise: where the clock stands until it is there again */
static uint64_t suspended; /* any thread, atomically */

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * CW_NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t time_suspended(void)
{
	uint64_t known = __atomic_load_n(&suspended, __ATOMIC_RELAXED);

	for (unsigned int i = 0; i < READINGS_MAX; i++) {
		uint64_t before = read_clock(CLOCK_MONOTONIC);
		uint64_t boot = read_clock(CLOCK_BOOTTIME);
		uint64_t after = read_clock(CLOCK_MONOTONIC);

		if (after - before > QUICK_NS || boot < before)
			continue;
		if (boot - before > known + SUSPEND_MIN_NS) {
			known = boot - before;
			__atomic_store_n(&suspended, known, __ATOMIC_RELAXED);
		}
		break;
	}
	return known;
}

uint64_t cw_os_now_ns(void)
{
	uint64_t slept = time_suspended();
	uint64_t now_ns = read_clock(CLOCK_MONOTONIC_RAW) + slept +
			  __atomic_load_n(&offset, __ATOMIC_RELAXED);

	return cw_max_u64(now_ns, __atomic_load_n(&not_below, __ATOMIC_RELAXED));
}

void cw_os_clock_offset(uint64_t offset_ns)
{
	__atomic_store_n(&not_below, cw_os_now_ns(), __ATOMIC_RELAXED);
	__atomic_store_n(&offset, offset_ns, __ATOMIC_RELAXED);
}

/* -- the workers' clock */

void cw_os_tsc_sample(uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	/* The closest of a few pairs: the thread may be preempted within one, hardly within all. */
	for (unsigned int i = 0; i < READINGS_MAX; i++) {
		uint64_t before = rte_rdtsc();
		uint64_t now_ns = cw_os_now_ns();
		uint64_t took = rte_rdtsc() - before;

		if (took >= best)
			continue;
		best = took;
		*tsc = before + took / 2;
		*ns = now_ns;
	}
}

void cw_os_tsc_begin(struct cw_os_tsc *map, uint64_t tsc, uint64_t ns, uint64_t hz)
{
	*map = (struct cw_os_tsc){.hz = hz, .tsc = tsc, .ns = ns, .first_tsc = tsc, .first_ns = ns};
}

bool cw_os_tsc_update(struct cw_os_tsc *map, uint64_t tsc, uint64_t ns)
{
	uint64_t expected = cw_os_ns_of_tsc(map, tsc);
	uint64_t apart = expected > ns ? expected - ns : ns - expected;

	if (tsc <= map->tsc || ns <= map->ns ||
	    apart > (ns - map->ns) / 1000 * DRIFT_PER_MILLE + DRIFT_NS) {
		cw_os_tsc_begin(map, tsc, ns, map->hz);
		return false;
	}
	map->tsc = tsc;
	map->ns = ns;
	if (ns - map->first_ns >= CALIBRATE_NS)
		map->hz = (uint64_t)((wide)(tsc - map->first_tsc) * (wide)CW_NS_PER_S /
				     (wide)(ns - map->first_ns));
	return true;
}

void cw_os_tsc_calibrate(struct cw_os_tsc *map)
{
	uint64_t first_tsc, first_ns, tsc, ns;

	cw_os_tsc_sample(&first_tsc, &first_ns);
	usleep((useconds_t)(CALIBRATE_NS / CW_NS_PER_US));
	cw_os_tsc_sample(&tsc, &ns);
	cw_os_tsc_begin(
		map, first_tsc, first_ns,
		(uint64_t)((wide)(tsc - first_tsc) * (wide)CW_NS_PER_S / (wide)(ns - first_ns)));
	map->tsc = tsc;
	map->ns = ns;
}

uint64_t cw_os_tsc_of_ns(const struct cw_os_tsc *map, uint64_t ns)
{
	wide tsc = (wide)map->tsc + ((wide)ns - (wide)map->ns) * (wide)map->hz / (wide)CW_NS_PER_S;

	return tsc < 0 ? 0 : tsc > (wide)UINT64_MAX ? UINT64_MAX : (uint64_t)tsc;
}

uint64_t cw_os_ns_of_tsc(const struct cw_os_tsc *map, uint64_t tsc)
{
	wide ns = (wide)map->ns + ((wide)tsc - (wide)map->tsc) * (wide)CW_NS_PER_S / (wide)map->hz;

	return ns < 0 ? 0 : ns > (wide)UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}
