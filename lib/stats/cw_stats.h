/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_STATS_H
#define CW_STATS_H

/**
 * @file
 * Counters of the data path: one block per worker, written by that worker only with plain 64-bit
 * stores, read by control whenever it likes (a count may be one burst old, never torn on 64-bit
 * machines).
 */
#include <cw_drop.h>

#define CW_STATS_STAGES_MAX 24u
/** Burst sizes 0, 1, 2-3, 4-7, 8-15, 16-31, 32-63, 64. */
#define CW_STATS_BURSTS 8u

enum cw_stats_side { CW_SIDE_LAN, CW_SIDE_WAN, CW_SIDE_COUNT };

struct cw_stats {
	uint64_t rx_packets[CW_SIDE_COUNT], rx_bytes[CW_SIDE_COUNT];
	uint64_t tx_packets[CW_SIDE_COUNT], tx_bytes[CW_SIDE_COUNT];
	uint64_t drops[CW_DROP_COUNT];
	uint64_t relayed_packets, relayed_bytes; /* of other pairs */
	uint64_t punted, injected, handed_over, taken_over;
	uint64_t arp_replies, dhcp_replies, dns_replies, echo_replies, too_big, forwarded;
	uint64_t turns, busy_turns, busy_cycles, idle_cycles;
	uint64_t bursts[CW_STATS_BURSTS];
	uint64_t stage_cycles[CW_STATS_STAGES_MAX]; /* only where the worker was built to measure */
	uint64_t stage_packets[CW_STATS_STAGES_MAX];
} CW_CACHE_ALIGNED;

/** Add @p from to @p to, counter by counter. [control] */
void cw_stats_add(struct cw_stats *to, const struct cw_stats *from);

/** Which of the histogram's buckets a burst of n falls into. [any] */
static inline unsigned int cw_stats_bucket(unsigned int n)
{
	unsigned int bits = n == 0 ? 0 : 32 - (unsigned int)__builtin_clz(n);

	return bits < CW_STATS_BURSTS ? bits : CW_STATS_BURSTS - 1;
}

#endif /* CW_STATS_H */
