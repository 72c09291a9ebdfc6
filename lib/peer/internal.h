/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PEER_INTERNAL_H
#define CW_PEER_INTERNAL_H

/* What the files of lib/peer share: the table behind the public verbs. */
#include "cw_channels.h"
#include "cw_sa.h"

/* Inbound SA slots of one worker: the SPI's 16-bit index. */
#define SA_SLOTS 65536u

/* Nodes by ID; node IDs are hashes already. */
#define PEER_BUCKETS 16384u

/* Control's half of a peer. */
struct peer_control {
	uint16_t next;		  /* in its bucket: index + 1; 0: the last */
	struct cw_sa_in *inbound; /* live ones */
	struct cw_sa_set *staged; /* outbound generation not switched to yet */
	uint64_t retired_packets, retired_bytes, retired_rx_packets, retired_rx_bytes;
};

/* Control's half of an inbound slot of a worker. */
struct sa_slot {
	uint16_t tag;  /* last one used */
	bool reserved; /* an SPI was allocated for it */
};

/* The inbound SAs of one worker, by the SPI's index. */
struct sa_slots {
	struct cw_sa_in *sa[SA_SLOTS]; /* workers: r */
	struct sa_slot slot[SA_SLOTS];
	unsigned int reserved;
};

struct cw_peer_table {
	struct cw_peer *peers[CW_PEER_MAX]; /* workers: r */
	struct cw_channel_index *channels;  /* workers: r; NULL: none */
	struct sa_slots *slots[CW_SA_WORKERS_MAX];
	unsigned int workers;
	const struct cw_crypto_ops *crypto;
	void *engine;
	struct cw_key_memory memory; /* of SAs */
	struct cw_rcu *rcu;

	/* Control only. */
	struct cw_underlay underlay;
	struct peer_control control[CW_PEER_MAX];
	uint16_t buckets[PEER_BUCKETS]; /* by node: index + 1 of the first; 0: none */
	bool busy[CW_PEER_MAX];		/* live, or dead within its grace period */
	unsigned int count;
};

/* Publish a changed copy of a peer; the old one is retired. */
int cw_peer_replace(struct cw_peer_table *table, const struct cw_peer *changed);

/* An inbound slot is free for another SPI. */
void cw_sa_slot_give(struct sa_slots *slots, uint16_t index);

/* The heap as memory of SAs. */
void *cw_sa_heap_alloc(void *ctx, size_t bytes);
void cw_sa_heap_free(void *ctx, void *mem);

/* First half of the death of an outbound set; its counters are kept. */
void cw_sa_set_retire(struct cw_peer_table *table, uint16_t peer, struct cw_sa_set *set);

#endif /* CW_PEER_INTERNAL_H */
