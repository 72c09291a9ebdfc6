/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_STORE_ETCD_OP_H
#define CW_STORE_ETCD_OP_H

/*
 * One request on its way through etcd: read some keys, perhaps more, perhaps ages of leases; decide
 * by the law; write if all that was read is unchanged. store_etcd.c moves it on, etcd_registers.c
 * and etcd_session.c decide.
 */
#include <cw_law.h>

#include "etcd.h"

/* A mapping, our session, and two keys for each of its entries. */
#define OP_VALUES_MAX (2 + 2 * CW_MAPPING_ENTRIES_MAX)
#define OP_PUTS_MAX   3u

enum op_step {
	OP_BEGIN, /* due at wake_ns */
	OP_READ,
	OP_AGE,	  /* lease ages, one after the other */
	OP_GRANT, /* session: leases are made */
	OP_KEEP,  /* session: leases are kept alive */
	OP_WRITE,
};

struct etcd_op {
	struct etcd_op *next;
	struct cw_store_etcd *store;
	struct cw_store_request request;
	cw_store_done_fn done;
	void *arg;
	uint64_t first_ns, until_ns, wake_ns;
	enum op_step step;
	unsigned int stage; /* reads or leases done so far, per verb */
	bool unknown;	    /* a write of ours has an unknown outcome */
	bool finished;
	struct etcd_maker maker;
	struct etcd_transfer *transfer;
	unsigned int value_count, read_from, tries;
	struct etcd_value values[OP_VALUES_MAX];
	/* What was learnt. */
	struct cw_mapping mapping;
	struct cw_session_proof proofs[CW_MAPPING_ENTRIES_MAX];
	unsigned int age_of; /* entry whose guard's age is asked for */
	uint64_t sgen, lease_live, lease_guard;
	struct cw_law_register plain; /* as it was read, then as it is written */
	/* What is being written, and the answer if it succeeds. */
	enum cw_store_result written;
	unsigned int put_count;
	char put_keys[OP_PUTS_MAX][ETCD_KEY_BYTES];
	struct etcd_put puts[OP_PUTS_MAX];
	struct cw_store_answer answer;
};

struct cw_store_etcd {
	struct etcd_http *http;
	const struct cw_log *log;
	struct cw_random_ops random;
	struct cw_store_events events;
	struct cw_law_claimant who;
	char self[2 * CW_NODE_ID_BYTES + 1];
	char prefix[64], ns_name[CW_NS_NAME_BYTES];
	struct etcd_op *ops;
	unsigned int op_count;
	uint64_t now_ns, incarnation, counter;
	uint64_t answered_ns; /* etcd answered last; 0 never */
	uint64_t probe_ns;
	struct etcd_transfer *probing;
	unsigned int members;
	/* The session's leases; of this process, or found when it was opened. */
	uint64_t lease_live, lease_guard, lease_sgen;
	struct etcd_watch {
		struct cw_store_etcd *store;
		char prefix[ETCD_KEY_BYTES];
		struct etcd_transfer *stream;
		uint64_t revision, retry_ns;
		void (*event)(struct cw_store_etcd *s, const char *rest, const json_t *value,
			      uint64_t now_ns);
	} watch[2];
};

/* store_etcd.c */
/* Put a key behind the ones there are; @return its index. */
unsigned int op_add_key(struct etcd_op *op, const char *fmt, ...) CW_PRINTF(2, 3);
void op_read(struct etcd_op *op); /* all keys that were not read yet */
void op_put(struct etcd_op *op, const char *key, json_t *json, uint64_t lease);
void op_write(struct etcd_op *op);
void op_post(struct etcd_op *op, const char *path, json_t *body, enum op_step step);
/* A lease of our own number, so that a repeated grant is the same one; `lease` 0: choose it. */
void op_grant(struct etcd_op *op, uint64_t *lease, uint64_t ttl_s);
void op_answer(struct etcd_op *op, enum cw_store_result result);
/* Somebody was faster, or there was no answer: all over again, in a while. */
void op_again(struct etcd_op *op);

/* D(1+eps)+G in whole seconds, and one for etcd's rounding. */
#define ETCD_LIVE_TTL_S ((cw_law_session_over_ns() + CW_NS_PER_S - 1) / CW_NS_PER_S + 1)

/* etcd_registers.c, etcd_plain.c, etcd_session.c: the first step; a reply came for `step`; the
 * write was done. */
void registers_begin(struct etcd_op *op);
void registers_step(struct etcd_op *op, const json_t *reply);
void plain_begin(struct etcd_op *op);
void plain_step(struct etcd_op *op, const json_t *reply);
void session_begin(struct etcd_op *op);
void session_step(struct etcd_op *op, const json_t *reply);
void session_written(struct etcd_op *op);

/* etcd_watch.c */
void watch_timer(struct cw_store_etcd *s, uint64_t now_ns);
void watch_close(struct cw_store_etcd *s);

#endif /* CW_STORE_ETCD_OP_H */
