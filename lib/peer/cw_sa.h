/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SA_H
#define CW_SA_H

/**
 * @file
 * Security associations and peers as workers read them. One SA is used by one worker and one
 * direction only, so its counters and its window are plain memory.
 *
 * Pointers are valid until the worker's next quiescent state.
 */
#include <cw_channel.h>
#include <cw_esp.h>

#include "cw_crypto.h"
#include "cw_peer.h"

/** Replay window in bits (RFC 6479's ring of words; one word is always being turned over). */
#define CW_REPLAY_WORDS 32u
#define CW_REPLAY_BITS	((CW_REPLAY_WORDS - 1) * 64u)

/** Sliding window over 64-bit sequence numbers. */
struct cw_replay {
	uint64_t highest;
	uint64_t words[CW_REPLAY_WORDS];
};

/** Would this sequence number be accepted? Nothing is changed; 0 is never valid. */
static inline bool cw_replay_check(const struct cw_replay *r, uint64_t seq)
{
	if (CW_UNLIKELY(seq == 0))
		return false;
	if (CW_LIKELY(seq > r->highest))
		return true;
	if (r->highest - seq >= CW_REPLAY_BITS)
		return false;
	return !(r->words[seq / 64 % CW_REPLAY_WORDS] >> (seq % 64) & 1);
}

/** Mark an authenticated sequence number that cw_replay_check accepted. */
static inline void cw_replay_update(struct cw_replay *r, uint64_t seq)
{
	if (CW_LIKELY(seq > r->highest)) {
		uint64_t from = r->highest / 64, to = seq / 64;

		if (CW_UNLIKELY(to - from >= CW_REPLAY_WORDS)) {
			memset(r->words, 0, sizeof(r->words));
		} else {
			while (from != to)
				r->words[++from % CW_REPLAY_WORDS] = 0;
		}
		r->highest = seq;
	}
	r->words[seq / 64 % CW_REPLAY_WORDS] |= UINT64_C(1) << (seq % 64);
}

/** Both in one, for a number just authenticated. @return false: it was seen, or is too old. */
static inline bool cw_replay_accept(struct cw_replay *r, uint64_t seq)
{
	if (CW_UNLIKELY(seq <= r->highest && !cw_replay_check(r, seq)))
		return false;
	cw_replay_update(r, seq);
	return true;
}

/** Inbound: found by the SPI's worker and index. */
struct cw_sa_in {
	/* First line: what every packet needs. worker: r, except where said. */
	uint32_t spi; /* host order */
	uint16_t peer;
	uint8_t worker;
	uint8_t site[8];
	uint8_t salt[4];
	uint8_t suite;	   /* enum cw_suite */
	uint64_t path_key; /* where the peer is (cw_endpoint_key); a packet from elsewhere is a note
			      for control. control: w, worker: r, both relaxed */
	uint64_t packets, bytes; /* worker: w, control: r */
	uint64_t roam_seq; /* sequence number of the packet the note came from; 0: none, and the
			      worker may write one; else control may read it */
	struct cw_replay replay; /* worker: rw; the words begin with the second line */

	struct cw_endpoint roam; /* the note; whose turn it is says roam_seq */
	uint32_t generation;
	struct cw_rcu_head rcu;
	struct cw_peer_table *table;
	struct cw_sa_in *next; /* control: the peer's live ones */
	uint8_t session[] CW_CACHE_ALIGNED;
} CW_CACHE_ALIGNED;

_Static_assert(offsetof(struct cw_sa_in, replay.words) == 64,
	       "an inbound SA's hot state is one line and one of the window");

/** Outbound: one of a peer's set. */
struct cw_sa_out {
	/* worker: rw, control: r */
	uint64_t seq; /* last used, which is also the number of packets */
	uint64_t bytes;
	rte_be32_t spi_be;
	uint8_t salt[4];
	uint32_t spi; /* host order */
	uint8_t worker;
	uint8_t suite; /* enum cw_suite */
	uint8_t session[] CW_CACHE_ALIGNED;
} CW_CACHE_ALIGNED;

_Static_assert(sizeof(struct cw_sa_out) == 64, "an outbound SA's hot state is one line");

/** One generation of outbound SAs. */
struct cw_sa_set {
	uint32_t generation;
	uint8_t K;
	uint8_t have; /* installed so far */
	struct cw_peer_table *table;
	struct cw_sa_out *sa[CW_SA_WORKERS_MAX]; /* the first ones share the first line */
	struct cw_rcu_head rcu;
} CW_CACHE_ALIGNED;

/** Bytes of Ethernet, IPv4 and UDP in front of ESP; over a relay ChannelData comes behind them. */
#define CW_OUTER_BYTES	   42u
#define CW_OUTER_BYTES_MAX (CW_OUTER_BYTES + CW_CHANNEL_BYTES)

/** What becomes of packets to a peer. */
enum cw_peer_state {
	CW_PEER_NO_HOP, /* no next hop yet: they wait in control */
	CW_PEER_READY,
	CW_PEER_SETTLING, /* its path became shorter: they wait until settle_tsc, so that none
			     overtakes those on the longer one */
};

/** A peer as workers read it; replaced whole when anything but its counters changes. */
struct cw_peer {
	/* First line: what every packet needs. */
	struct cw_sa_set *set; /* NULL: no SA yet */
	uint32_t outer_sum;    /* ones' complement sum of the ready IPv4 header */
	uint16_t mtu_bytes;
	uint8_t state;	       /* enum cw_peer_state */
	uint8_t channel_bytes; /* of ChannelData behind the outer headers: 0, or over a relay 4 */
	uint8_t outer[CW_OUTER_BYTES_MAX]; /* ready: lengths, tos and checksum are filled per packet
					    */
	uint16_t index;

	uint64_t settle_tsc;

	uint8_t site[8];
	struct cw_node_id node;
	struct cw_endpoint path, via; /* via: where datagrams go, the relay's or the path itself */
	struct cw_mac next_hop;
	struct cw_peer_table *table; /* control: set when it dies */
	struct cw_rcu_head rcu;
} CW_CACHE_ALIGNED;

_Static_assert(offsetof(struct cw_peer, index) + sizeof(uint16_t) <= 64,
	       "what a packet needs of a peer is one cache line");

/**
 * The arrays behind the two lookups below, for workers that look up bursts: they never move while
 * the table lives. cw_peer_slots: CW_PEER_MAX pointers; cw_sa_slots: one per index of this worker's
 * SPIs. Load an element with acquire order; NULL: free. [any]
 */
struct cw_peer *const *cw_peer_slots(const struct cw_peer_table *table);
struct cw_sa_in *const *cw_sa_slots(const struct cw_peer_table *table, unsigned int worker);

/** [worker] NULL when the index is free. */
const struct cw_peer *cw_peer_at(const struct cw_peer_table *table, uint16_t index);

/** [worker] NULL when no SA of this worker has this SPI. */
struct cw_sa_in *cw_sa_find(const struct cw_peer_table *table, uint32_t spi);

/** [worker] The SA for an inner flow's hash: one of this worker's share; NULL without a set. */
static inline struct cw_sa_out *cw_sa_pick(const struct cw_peer *peer, unsigned int worker,
					   unsigned int workers, uint32_t flow_hash)
{
	const struct cw_sa_set *set = __atomic_load_n(&peer->set, __ATOMIC_CONSUME);
	unsigned int share;

	if (CW_UNLIKELY(set == NULL || set->K <= worker))
		return NULL;
	share = (set->K - worker + workers - 1) / workers;
	return set->sa[worker + workers * (share == 1 ? 0 : flow_hash % share)];
}

#endif /* CW_SA_H */
