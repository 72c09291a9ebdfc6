/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_INTERNAL_H
#define CW_DHT_INTERNAL_H

/* What the files of lib/dht share: records, the acceptor's table, the leader, the caller. */
#include "cw_dht.h"
#include "cw_law.h"
#include "dht.pb-c.h"

#define CW_DHT_VERSION 1u
#define MODULE	       "dht"

enum {
	KEY_BYTES = 20,
	HIST = 4,
	/* Operations that wait for one register; the rest is told nothing and retries. */
	QUEUE_MAX = 64,
	CALLS_MAX = 4096,    /* questions of a leader under way */
	PENDING_MAX = 65536, /* messages that wait for the disk */
	OPS_MAX = 4096,	     /* own requests under way */
	WATCHERS_MAX = 16,   /* nodes told of one mapping's changes */
	BUCKETS = 1 << 16,
};

#define HB_NS		   (UINT64_C(500) * CW_NS_PER_MS)
#define ELECTION_FIRST_NS  (UINT64_C(1500) * CW_NS_PER_MS)
#define ELECTION_SPREAD_NS (UINT64_C(1000) * CW_NS_PER_MS)
#define LEADER_LOST_NS	   (UINT64_C(2000) * CW_NS_PER_MS)
#define CALL_RETRY_NS	   (UINT64_C(300) * CW_NS_PER_MS)
#define RETRY_FIRST_NS	   (UINT64_C(400) * CW_NS_PER_MS)
#define RETRY_LAST_NS	   (UINT64_C(1000) * CW_NS_PER_MS)
#define OP_BUDGET_NS	   (UINT64_C(5) * CW_NS_PER_S)
#define GENESIS_ASK_NS	   (UINT64_C(1) * CW_NS_PER_S)
#define WATCH_NS	   (UINT64_C(30) * CW_NS_PER_S)

struct rid {
	struct cw_node_id node;
	uint64_t incarnation, counter;
};

struct ballot {
	uint64_t round;
	struct cw_node_id node;
};

struct stamp {
	struct ballot ballot;
	uint64_t seq;
};

enum record_kind {
	RECORD_NONE,
	RECORD_SESSION,
	RECORD_MAPPING,
	RECORD_CLIENT,
	RECORD_NS,
	RECORD_NAME,
};
enum session_state { SESSION_OPEN, SESSION_CLOSED, SESSION_DEAD };

/* A register's content. */
struct record {
	uint8_t key[KEY_BYTES];
	uint8_t kind; /* enum record_kind */
	bool held;
	uint64_t gen, ver;
	struct rid rid;
	struct {
		uint64_t ver;
		struct rid rid;
	} hist[HIST];
	rte_be32_t ip; /* mapping: its address; client: the hint; name: whose it is */
	union {
		struct {
			struct cw_node_id node;
			uint64_t sgen;
			uint8_t state;
		} session;
		struct cw_mapping mapping;
		struct cw_client_hash client;
		struct cw_namespace_record ns;
	};
};

/* Proven age: what was proven elsewhere plus our own clock since (dht.md section 4). */
struct age {
	uint64_t base_ns, at_ns;
};

/* A register as a replica stores it. */
struct replica {
	struct replica *next;
	struct record record;
	struct stamp stamp;
	struct age renew, open;
};

struct op;

/* A register as its leader sees it. */
struct lead {
	struct lead *next;
	uint8_t key[KEY_BYTES];
	bool known, asking, busy;
	uint64_t seq;
	struct record record;
	struct age renew, open;
	struct op *waiters, *waiters_tail;
	unsigned int waiting;
	struct {
		struct cw_node_id node;
		uint64_t until_ns;
	} watchers[WATCHERS_MAX];
};

/* One operation at the leader. */
struct op {
	struct op *next;
	struct cw_node_id from;
	struct rid rid;
	struct cw_site_id site;
	char scope[CW_NS_NAME_BYTES];
	struct cw_store_request request;
	uint8_t key[KEY_BYTES];
};

enum call_kind { CALL_PREP, CALL_RREAD, CALL_ACC, CALL_CHK };

/* A question to all voters, repeated until a quorum has answered. */
struct call {
	bool used;
	uint8_t kind; /* enum call_kind */
	uint64_t n;
	uint64_t sent_ns;
	uint32_t got; /* bit per voter */
	uint8_t key[KEY_BYTES];
	/* RREAD: the best so far. */
	bool have_best;
	struct record best;
	struct stamp best_stamp;
	struct age best_renew, best_open;
	/* ACC: what is written, and what is answered then. */
	struct record write;
	struct op *op;
	enum cw_store_result result;
	struct cw_store_answer *answer;
	/* CHK: answers that wait. */
	struct confirm *confirms;
};

struct confirm {
	struct confirm *next;
	struct cw_node_id to;
	struct rid rid;
	struct cw_store_answer answer;
};

enum leader_phase { LEADER_NOT, LEADER_PREP, LEADER_SERVE };

struct leader {
	enum leader_phase phase;
	struct ballot ballot;
	uint64_t began_ns, hb_ns, call_counter;
	uint64_t heard_ns[CW_DHT_VOTERS_MAX];
	struct lead **table; /* BUCKETS */
	struct call *calls;  /* CALLS_MAX */
	unsigned int call_count;
	struct confirm *reads, **reads_tail; /* for the next check */
	bool checking;
};

/* A message that may leave when the log is durable up to lsn. */
struct pending {
	struct pending *next;
	uint64_t lsn;
	struct cw_node_id to;
	size_t len;
	uint8_t data[];
};

/* A request of this gateway. */
struct request {
	bool used;
	uint64_t first_ns, next_ns, wait_ns, budget_ns;
	struct rid rid;
	struct cw_store_request request;
	cw_store_done_fn done;
	void *arg;
};

struct cw_dht {
	struct cw_dht_config config;
	struct cw_dht_ops ops;
	void *ctx;
	uint64_t now_ns;

	bool founded;
	struct cw_dht_genesis genesis;
	uint64_t epoch;
	int self_voter; /* index, -1: none */
	uint64_t genesis_ask_ns;

	/* acceptor */
	struct replica **replicas; /* BUCKETS */
	unsigned int replica_count;
	struct ballot promised;
	struct cw_node_id guide; /* whom we believe to lead */
	uint64_t guide_ns;
	uint64_t patience_ns;
	uint64_t round_seen;

	struct leader leader;

	struct pending *pending, **pending_tail;
	unsigned int pending_count;
	uint64_t durable_lsn;

	/* caller */
	uint64_t incarnation, counter;
	bool started;
	struct request *requests; /* OPS_MAX */
	unsigned int request_count;
	struct cw_dht_peer *neighbours;
	unsigned int neighbour_count;
	uint64_t answered_ns;
};

/* codec.c */
void rid_pack(const struct rid *rid, Causeway__Dht__Rid *out);
bool rid_unpack(const Causeway__Dht__Rid *in, struct rid *out);
struct packed_record;
struct packed_record *record_pack(const struct record *r, uint64_t renew_age_ns,
				  uint64_t open_age_ns, const struct stamp *stamp);
Causeway__Dht__Record *packed_record_message(struct packed_record *p);
bool record_unpack(const Causeway__Dht__Record *in, struct record *out, struct stamp *stamp,
		   uint64_t *renew_age_ns, uint64_t *open_age_ns);
bool ns_unpack(const Causeway__Dht__Namespace *in, struct cw_namespace_record *out);
bool node_unpack(const ProtobufCBinaryData *in, struct cw_node_id *out);

/* codec_request.c */
void send_request(struct cw_dht *dht, const struct cw_node_id *to, const struct request *r);
bool request_unpack(const Causeway__Dht__Request *in, struct op *out);
void send_answer(struct cw_dht *dht, const struct cw_node_id *to, const struct rid *rid,
		 const struct cw_store_answer *answer);
bool answer_unpack(const Causeway__Dht__Answer *in, struct rid *rid, struct cw_store_answer *out);

/* registers.c */
bool same_rid(const struct rid *a, const struct rid *b);
int ballot_compare(const struct cw_dht *dht, const struct ballot *a, const struct ballot *b);
int stamp_compare(const struct cw_dht *dht, const struct stamp *a, const struct stamp *b);
void key_of(const struct cw_dht *dht, const char *scope, char kind, const void *name, size_t len,
	    uint8_t out[KEY_BYTES]);
void op_key(const struct cw_dht *dht, struct op *op);
uint32_t key_bucket(const uint8_t key[KEY_BYTES]);
uint32_t key_slot(const uint8_t key[KEY_BYTES]);
uint64_t age_now(const struct cw_dht *dht, const struct age *age);
void record_made(struct record *r, const struct rid *by);
bool record_made_by(const struct record *r, uint64_t ver, const struct rid *by);
struct replica *replica_find(const struct cw_dht *dht, const uint8_t key[KEY_BYTES]);
int replica_store(struct cw_dht *dht, const struct record *r, const struct stamp *stamp,
		  uint64_t renew_age_ns, uint64_t open_age_ns);
unsigned int quorum(const struct cw_dht *dht);
int voter_index(const struct cw_dht *dht, const struct cw_node_id *node);

/* dht.c */
void send_frame(struct cw_dht *dht, const struct cw_node_id *to, Causeway__Dht__Frame *frame,
		uint64_t after_lsn);
uint64_t append_record(struct cw_dht *dht, const struct replica *r);
uint64_t append_promise(struct cw_dht *dht);

/* acceptor.c */
void acceptor_input(struct cw_dht *dht, const struct cw_node_id *from,
		    const Causeway__Dht__Frame *frame);

/* leader.c */
void leader_stand(struct cw_dht *dht);
void leader_step_down(struct cw_dht *dht, const char *why);
void leader_timer(struct cw_dht *dht);
void leader_reply(struct cw_dht *dht, const struct cw_node_id *from,
		  const Causeway__Dht__Frame *frame);
void leader_request(struct cw_dht *dht, const struct cw_node_id *from,
		    const Causeway__Dht__Request *request);
struct lead *lead_of(struct cw_dht *dht, const uint8_t key[KEY_BYTES]);
/* @return true when the register may be read; else the operation waits for it. */
bool lead_ready(struct cw_dht *dht, struct lead *l, struct op *op);
void lead_write(struct cw_dht *dht, struct lead *l, const struct record *r, struct op *op,
		const struct cw_store_answer *answer);
void lead_confirm(struct cw_dht *dht, struct op *op, const struct cw_store_answer *answer);
void lead_answer(struct cw_dht *dht, struct op *op, const struct cw_store_answer *answer);
void op_free(struct op *op);
void leader_free(struct cw_dht *dht);

/* decide.c, decide_name.c */
void decide(struct cw_dht *dht, struct op *op);
void decide_name(struct cw_dht *dht, struct op *op, struct lead *l);

/* client.c */
void client_answer(struct cw_dht *dht, const Causeway__Dht__Answer *answer);
void client_redirect(struct cw_dht *dht, const Causeway__Dht__Redirect *redirect);
uint64_t client_timer(struct cw_dht *dht);

#endif /* CW_DHT_INTERNAL_H */
