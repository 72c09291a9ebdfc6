/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_H
#define CW_DHT_H

/**
 * @file
 * The DHT: replicated registers with leases, sans I/O (dht.md section 13). First stage: the voters
 * are named at founding, one or three, and stay; all slots share them, so one ballot leads all
 * slots.
 *
 * In: messages, time, durable notices, requests. Out: messages, log records, answers, news. Time is
 * the clock of dht.md section 4: it counts suspend and ignores slew and steps. [control].
 */
#include <cw_log.h>
#include <cw_ops.h>

#include "cw_store.h"

struct cw_dht;

#define CW_DHT_NETWORK_ID_BYTES 16u
#define CW_DHT_SLOTS		1024u
#define CW_DHT_VOTERS_MAX	5u

/** Types of log records; 64 and above belong to others (cw_lease.h). */
enum cw_dht_log {
	CW_DHT_LOG_GENESIS = 1,
	CW_DHT_LOG_PROMISE = 2,
	CW_DHT_LOG_RECORD = 3,
	CW_DHT_LOG_INCARNATION = 4,
	CW_DHT_LOG_LAST = 63,
};

struct cw_dht_ops {
	/** To a node, by the overlay's DHT service; may be lost. */
	void (*send)(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		     uint64_t now_ns);
	/** Append to the log. @return lsn; cw_dht_durable comes when it and all before are safe. 0:
	 * refused (disk full). */
	uint64_t (*append)(void *ctx, uint8_t type, const void *data, size_t len);
	/** Site of a node from its certificate. @return false while unknown. */
	bool (*site_of)(void *ctx, const struct cw_node_id *node, struct cw_site_id *out);
	/** A mapping that was asked for lately, or in which we have an entry, changed. */
	void (*changed)(void *ctx, rte_be32_t ip, const struct cw_mapping *mapping,
			uint64_t now_ns);
	void (*ns_changed)(void *ctx, const struct cw_namespace_record *ns, uint64_t now_ns);
};

/** Rules that the simulator removes to see that its checkers notice (dht.md section 15). Production
 * sets none. */
enum cw_dht_mutation {
	CW_DHT_MUT_NONE,
	CW_DHT_MUT_NOPERSIST, /* R3 promises are not kept over a restart */
	CW_DHT_MUT_NOSYNC,    /* R4 acks before the record is durable */
	CW_DHT_MUT_NOWB,      /* R7 no write-back of what a takeover read */
	CW_DHT_MUT_NOCHK,     /* R8 reads and refusals without a check */
	CW_DHT_MUT_TIE,	      /* R2 ballots are not ordered by node ID */
	CW_DHT_MUT_Q2,	      /* R1 any one replica is a quorum */
	CW_DHT_MUT_NORID,     /* R23 a repeat does not get the first answer */
	CW_DHT_MUT_NOSLACK,   /* R20 no eps and no guard */
	CW_DHT_MUT_AGERESET,  /* R16 age starts anew with every copy */
	CW_DHT_MUT_DUPOPEN,   /* S1 a second session beside a live one */
	CW_DHT_MUT_COUNT
};

struct cw_dht_config {
	struct cw_node_id self;
	struct cw_site_id site;
	char ns_name[CW_NS_NAME_BYTES]; /* namespace of mapping and client verbs; "" none */
	const struct cw_log *log;
	struct cw_random_ops random;
	struct cw_digest_ops digest;
	enum cw_dht_mutation mutate;
};

struct cw_dht_peer {
	struct cw_node_id node;
};

struct cw_dht_genesis {
	uint8_t network_id[CW_DHT_NETWORK_ID_BYTES];
	unsigned int voter_count;
	struct cw_node_id voters[CW_DHT_VOTERS_MAX];
};

CW_MUST_USE int cw_dht_create(struct cw_dht **out, const struct cw_dht_config *config,
			      const struct cw_dht_ops *ops, void *ctx);
void cw_dht_destroy(struct cw_dht *dht);

/** A record of the own log at start, in order. @return 0 or -EINVAL. */
CW_MUST_USE int cw_dht_replay(struct cw_dht *dht, uint8_t type, const void *data, size_t len,
			      uint64_t now_ns);
/** After the replay, before anything else: begins a new incarnation. */
void cw_dht_start(struct cw_dht *dht, uint64_t now_ns);
/** Everything that must be known after a restart. */
void cw_dht_snapshot(struct cw_dht *dht,
		     void (*emit)(void *arg, uint8_t type, const void *data, size_t len), void *arg,
		     uint64_t now_ns);

void cw_dht_input(struct cw_dht *dht, const struct cw_node_id *from, const uint8_t *data,
		  size_t len, uint64_t now_ns);
uint64_t cw_dht_timer(struct cw_dht *dht, uint64_t now_ns);
void cw_dht_durable(struct cw_dht *dht, uint64_t lsn, int err, uint64_t now_ns);
/** Nodes that can be reached now. */
void cw_dht_neighbours(struct cw_dht *dht, const struct cw_dht_peer *peers, unsigned int n,
		       uint64_t now_ns);

/** An operator's act. @return 0, -EEXIST (there is a network), -EINVAL (1 or 3 voters, all
 * different), -EIO (log). */
CW_MUST_USE int cw_dht_found(struct cw_dht *dht, const struct cw_node_id *voters,
			     unsigned int count, uint64_t now_ns);
/** Bytes of a namespace record in its register; at most CW_DHT_VALUE_BYTES may be written. */
#define CW_DHT_VALUE_BYTES 1024u
size_t cw_dht_ns_bytes(const struct cw_namespace_record *ns);
/** NULL while none is known. */
const struct cw_dht_genesis *cw_dht_genesis(const struct cw_dht *dht);

/** Semantics of cw_store_ops.submit. */
CW_MUST_USE int cw_dht_submit(struct cw_dht *dht, const struct cw_store_request *request,
			      cw_store_done_fn done, void *arg, uint64_t now_ns);
void cw_dht_health(const struct cw_dht *dht, struct cw_store_health *out);
/** The leader as far as known; false if none. */
bool cw_dht_leader(const struct cw_dht *dht, struct cw_node_id *out);
unsigned int cw_dht_record_count(const struct cw_dht *dht);

#endif /* CW_DHT_H */
