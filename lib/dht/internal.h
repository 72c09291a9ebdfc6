/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_INTERNAL_H
#define CW_DHT_INTERNAL_H

/* What the files of lib/dht share: slots and their records, groups that are led, the caller. */
#include <errno.h>
#include <stdlib.h>

#include "cw_dht.h"
#include "cw_histogram.h"
#include "cw_law.h"
#include "dht.pb-c.h"
#include "pace.h"

#define CW_DHT_VERSION 1u
#define MODULE	       "dht"

enum {
	KEY_BYTES = 20,
	HIST = 4,
	/* Operations that wait for one register; the rest is told nothing and retries. */
	QUEUE_MAX = 64,
	WAITING_MAX = 4096,  /* operations that wait for an election */
	CALLS_MAX = 8192,    /* questions of a leader under way */
	PENDING_MAX = 65536, /* messages that wait for the disk */
	OPS_MAX = 4096,	     /* own requests under way */
	REDIRECTS_MAX = 4,   /* followed by a request until its next try */
	WATCHERS_MAX = 16,   /* nodes told of one mapping's changes */
	RECONF_MAX = 4,	     /* configurations that one leader prepares at a time */
	STAGES_MAX = 64,     /* stages that one replica keeps */
	/* Pieces of a stage, a snapshot, a copy: well below what a link carries. */
	CHUNK_BYTES = 32768,
	CHUNKS_MAX = 65536,
	/* Pieces of a stage in a snapshot of the log: one a record. */
	STAGE_RECORDS_MAX = 1 << 24,
	COPIES_MAX = 16, /* messages that answer one need */
	/* Nodes beside the members that hear a leader: who might become one (dht.md section 7). */
	NEAREST = 8,
	DIGEST_BUCKETS = 64,
};

#define HB_NS		   (UINT64_C(500) * CW_NS_PER_MS)
#define ELECTION_FIRST_NS  (UINT64_C(1500) * CW_NS_PER_MS)
#define ELECTION_STEP_NS   (UINT64_C(200) * CW_NS_PER_MS) /* from one member to the next */
#define ELECTION_SPREAD_NS (UINT64_C(100) * CW_NS_PER_MS)
#define LEADER_LOST_NS	   (UINT64_C(2000) * CW_NS_PER_MS)
#define CALL_RETRY_NS	   (UINT64_C(300) * CW_NS_PER_MS)
#define RETRY_FIRST_NS	   (UINT64_C(400) * CW_NS_PER_MS)
#define RETRY_LAST_NS	   (UINT64_C(1000) * CW_NS_PER_MS)
#define RETRY_SOON_NS	   (UINT64_C(200) * CW_NS_PER_MS) /* somebody answered: nobody leads */
#define OP_BUDGET_NS	   (UINT64_C(5) * CW_NS_PER_S)
#define GENESIS_ASK_NS	   (UINT64_C(1) * CW_NS_PER_S)
#define WATCH_NS	   (UINT64_C(30) * CW_NS_PER_S)
#define STUCK_NS	   (UINT64_C(3) * CW_NS_PER_S) /* drain, or no progress of a stage */
#define ACT_NS		   (UINT64_C(400) * CW_NS_PER_MS)
#define NEED_NS		   (UINT64_C(100) * CW_NS_PER_MS)
#define RESIGNED_NS	   (UINT64_C(150) * CW_NS_PER_MS)
#define POINTER_NS	   (UINT64_C(20) * CW_NS_PER_S) /* a settled pointer is told again */
#define DIGEST_NS	   (UINT64_C(30) * CW_NS_PER_S)
#define PROOF_NS	   (UINT64_C(3) * CW_NS_PER_S) /* "the claimant's session is open" */

struct rid {
	struct cw_node_id node;
	uint64_t incarnation, counter;
};

struct ballot {
	uint64_t round;
	struct cw_node_id node;
};

struct stamp {
	uint64_t epoch;
	struct ballot ballot;
	uint64_t seq;
};

/* A member: a node with the disk it had (R5). */
struct voter {
	struct cw_node_id node;
	uint64_t disk;
};

struct members {
	unsigned int count;
	struct voter v[CW_DHT_VOTERS_MAX];
};

struct stage_id {
	uint64_t epoch;
	struct ballot ballot;
	uint64_t nonce;
};

struct slotset {
	uint64_t w[CW_DHT_SLOTS / 64];
};

enum record_kind {
	RECORD_NONE,
	RECORD_SESSION,
	RECORD_MAPPING,
	RECORD_CLIENT,
	RECORD_NS,
	RECORD_NAME,
	RECORD_REGISTER,
};
enum session_state { SESSION_OPEN, SESSION_CLOSED, SESSION_DEAD };

/* What a node signed: the request that made a register what it is. */
struct warrant {
	uint8_t verb;
	uint8_t public_key_len, signature_len; /* 0: none */
	struct rid rid;
	uint64_t ver, gen, sgen;
	uint8_t content[32];
	uint8_t public_key[CW_KEY_BYTES_MAX];
	uint8_t signature[CW_KEY_SIGNATURE_BYTES];
};

/* A register's content. */
struct record {
	uint8_t key[KEY_BYTES];
	uint8_t kind; /* enum record_kind */
	struct warrant warrant;
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
		/* Owner and tag: a process (leased) or a session generation. Only `len` bytes of
		 * the value are kept in memory by replicas. */
		struct {
			struct cw_node_id owner;
			uint64_t tag;
			bool leased;
			uint16_t len;
			uint8_t value[CW_STORE_VALUE_BYTES];
		} reg;
	};
};

/* Proven age: what was proven elsewhere plus our own clock since (dht.md section 4). */
struct age {
	uint64_t base_ns, at_ns;
};

/* A register as a replica stores it: what is behind the record's kind is cut off. */
struct replica {
	struct replica *next;
	struct stamp stamp;
	struct age renew, open;
	struct record record;
};

/* Replicas by key, in the order of their hash's first bits, so that a walk can stop and go on. */
struct keytab {
	struct replica **buckets;
	unsigned int bits, count;
};

struct op;
struct group;
struct arena;
struct packing;

/* A register as its leader sees it. */
struct lead {
	struct lead *next;
	uint8_t key[KEY_BYTES];
	/* known: read from a quorum. solid: also written under our own ballot (R7). */
	bool known, solid, asking, busy;
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

/* What was found out for an operation at other registers' leaders. */
struct finding {
	bool have;
	uint8_t verb;
	struct cw_node_id node;
	uint64_t sgen;
	bool over;
	struct age age;
	struct cw_mapping mapping;
};

#define FINDINGS_MAX (CW_MAPPING_ENTRIES_MAX + 2u)

/* One operation at the leader. */
struct op {
	struct op *next;
	uint64_t id; /* of one that waits for findings */
	struct cw_node_id from;
	struct rid rid;
	struct cw_site_id site;
	char scope[CW_NS_NAME_BYTES];
	struct cw_store_request request;
	struct cw_node_id about; /* VERB_PROVE */
	struct warrant warrant;
	uint8_t key[KEY_BYTES];
	uint32_t slot;
	uint8_t asked, found;
	uint64_t came_ns;
	struct finding findings[FINDINGS_MAX];
};

/* Verbs between nodes that no caller has. */
enum { VERB_PROVE = 64, VERB_TOUCH = 65 };

/* How long the members took that confirmed an answer, for a request that is traced. */
struct replies_trace {
	bool wanted;
	unsigned int count;
	struct cw_node_id node[CW_DHT_VOTERS_MAX];
	uint64_t took_ns[CW_DHT_VOTERS_MAX], leader_ns;
};

/* An answer with what only this room knows. */
struct reply {
	struct cw_store_answer answer;
	uint64_t ver; /* of the register */
	bool over;    /* PROVE */
	uint64_t age_ns;
	struct rid holder; /* OPEN refused */
	struct replies_trace trace;
};

enum call_kind {
	CALL_PREP,
	CALL_CFG,
	CALL_RREAD,
	CALL_ACC,
	CALL_CHK,
	CALL_SNAP,
	CALL_STAGE,
};

struct confirm {
	struct confirm *next;
	struct cw_node_id to;
	struct rid rid;
	uint32_t slot;
	uint64_t came_ns; /* the request */
	struct reply reply;
};

struct cfgreg {
	struct ballot ballot;
	uint64_t seq;
	bool has_next;
	struct members next;
	struct stage_id sid;
};

struct cursor {
	uint32_t slot, hash;
	bool done;
};

/* A question to a set of replicas, repeated until enough have answered. */
struct call {
	struct call *next, *prev; /* by time of sending */
	uint8_t kind;		  /* enum call_kind */
	uint64_t n, epoch, sent_ns, begun_ns, took_ns[CW_DHT_VOTERS_MAX];
	struct ballot ballot;
	struct members to;
	unsigned int need;
	uint32_t got; /* bit per voter */
	/* Questions about many slots: who has answered for which. */
	struct slotset slots, *cover;
	uint32_t slot; /* questions about one register */
	uint8_t key[KEY_BYTES];
	/* RREAD: the best so far; ACC: what is written. */
	bool have_best;
	struct stamp best_stamp;
	struct age best_renew, best_open;
	struct record *record;
	struct op *op;
	struct reply *reply;
	struct confirm *confirms; /* CHK */
	struct ack *acks;	  /* CFG, of what comes next */
	struct cfgreg *registers; /* PREP: best of each slot; CFG: the one that is written */
	struct cursor *cursors;	  /* SNAP: per member */
	uint32_t have[CW_DHT_VOTERS_MAX]; /* STAGE: chunks per member */
};

enum phase {
	PHASE_PREP,
	PHASE_CFG,
	PHASE_SERVE,
	PHASE_DRAIN,
	PHASE_SNAP,
	PHASE_STAGE,
	PHASE_CHOOSE,
	PHASE_ACT,
};

struct chunk {
	size_t len;
	uint8_t *data;
};

/* A change of members that is being prepared. */
struct reconf {
	struct members next;
	struct stage_id sid;
	uint64_t stuck_ns;
	struct keytab merged;
	uint64_t *floors; /* per slot */
	struct chunk *chunks;
	uint32_t chunk_count;
};

/* Slots that we lead, or stand for, under one ballot of one epoch with one set of members. */
struct group {
	struct group *next;
	struct slotset slots;
	uint64_t epoch;
	struct members members;
	struct ballot ballot;
	enum phase phase;
	uint64_t began_ns, hb_ns, act_ns, looked_ns, digest_ns;
	uint64_t heard_ns[CW_DHT_VOTERS_MAX];
	struct confirm *reads, **reads_tail; /* for the next check */
	bool checking;
	struct op *waiting, **waiting_tail; /* for the end of the election */
	unsigned int waiting_count;
	struct cfgreg chosen; /* being told, and what proves it */
	uint8_t *proof;
	size_t proof_len;
	bool force; /* one seat shall move (cw_dht_move) */
	struct reconf *re;
};

/* A slot as a replica knows it. Everything above the line is in the log. */
struct slot {
	uint64_t epoch; /* 0: nothing known */
	struct members members;
	struct stage_id sid;
	bool active, pointer; /* pointer: learnt as an old or new member, told on for good */
	struct ballot promised;
	struct cfgreg cfg;
	uint64_t floor;
	struct keytab regs;
	struct link *chain; /* how it came to this epoch; NULL: as founded, or nobody signs */
	/* --- */
	uint64_t lsn; /* promise and config register are durable from here */
	struct cw_node_id guide;
	uint64_t heard_ns, patience_ns, need_ns, round_seen;
	uint64_t voted_ns;  /* when we last promised another member's ballot */
	uint64_t copy_next; /* hash from which on a copy is missing; > UINT32_MAX: none is */
	struct group *led;
	struct lead **leads; /* LEADS buckets, while led */
	unsigned int busy;
	uint64_t fit_ns;	/* since when another placement would be better */
	uint64_t hold_until_ns; /* after a recovery: nothing is ended, created or claimed */
};

enum { LEADS = 64 };

/* A stage as it was sent: kept until its epoch is settled (R13). */
struct stage {
	struct stage *next;
	struct stage_id sid;
	struct members members;
	struct slotset slots;
	uint32_t have, chunks;
	uint64_t at_ns, lsn;
	uint64_t *floors;
	struct keytab regs;
};

/* A node we hear. */
struct peer {
	struct cw_node_id node;
	uint64_t disk;
	struct cw_site_id site;
	bool has_site, listed, was_listed, draining, low, known; /* known: its disk is */
	uint64_t heard_ns, up_ns, beat_ns;
	/* How far its log went, in this incarnation and in all before. */
	uint64_t incarnations[6], lsn_seen, lsn_before, lsn_disk;
	struct pace pace;
};

/* A message that may leave when the log is durable up to lsn. */
struct pending {
	struct pending *next;
	uint64_t lsn;
	struct cw_node_id to;
	size_t len;
	uint8_t data[];
};

#include "client.h"

struct proof_cached {
	struct cw_node_id node;
	uint64_t sgen;
	bool over;
	struct age age;
	uint64_t until_ns;
};
enum { PROOFS = 1024 };

struct cw_dht {
	struct cw_dht_config config;
	struct cw_dht_ops ops;
	void *ctx;
	uint64_t now_ns;

	bool founded, started, draining, low, disk_suspect;
	struct cw_dht_genesis genesis;
	uint64_t disk; /* identity of our disk; 0 until the first start */
	uint64_t genesis_ask_ns;

	struct slot *slots; /* genesis.slots */
	struct stage *stages;
	unsigned int stage_count;
	struct group *groups;
	struct call *calls[CALLS_MAX], *call_first, *call_last;
	uint64_t call_counter;
	unsigned int call_count;
	uint64_t chain_mark;
	uint64_t groups_ns; /* next look at groups and slots */
	struct op *asking;  /* operations that wait for findings */
	uint64_t ask_counter;
	struct proof_cached *proofs;
	struct members wanted; /* named at founding, not members yet */

	struct peer *peers;
	unsigned int peer_count;
	uint64_t neighbours_ns;

	struct pending *pending, **pending_tail;
	unsigned int pending_count;
	uint64_t durable_lsn, last_lsn, begun_lsn;

	/* caller */
	uint64_t incarnation, counter;
	struct request *requests;
	unsigned int request_count;
	uint64_t answered_ns, failed_ns, denied_logged_ns;
	uint64_t released_sgen; /* never believed again (R25) */
	uint64_t session_ver;	/* of our own session's register, as last seen */
	struct cw_dht_counts counts;
	struct cw_histogram *latency; /* by verb, in microseconds */
};

/* slots.c */
void set_add(struct slotset *s, uint32_t slot);
void set_del(struct slotset *s, uint32_t slot);
bool set_has(const struct slotset *s, uint32_t slot);
bool set_empty(const struct slotset *s);
bool set_within(const struct slotset *a, const struct slotset *b);
void set_join(struct slotset *a, const struct slotset *b);
void set_cut(struct slotset *a, const struct slotset *b);
unsigned int set_count(const struct slotset *s);
/* The first slot at or after `from`; -1: none. for (int s = set_next(x, 0); s >= 0; s =
 * set_next(x, s + 1)) */
int set_next(const struct slotset *s, int from);
struct slotset set_of(uint32_t slot);
int member_index(const struct members *m, const struct cw_node_id *node);
bool members_equal(const struct members *a, const struct members *b);
bool is_member(const struct cw_dht *dht, const struct members *m);
unsigned int majority(const struct cw_dht *dht, const struct members *m);
int ballot_compare(const struct cw_dht *dht, const struct ballot *a, const struct ballot *b);
bool ballot_same(const struct ballot *a, const struct ballot *b);
int stamp_compare(const struct cw_dht *dht, const struct stamp *a, const struct stamp *b);
int sid_compare(const struct cw_dht *dht, const struct stage_id *a, const struct stage_id *b);
int cfg_compare(const struct cw_dht *dht, const struct cfgreg *a, const struct cfgreg *b);
/* Equal in all, or in what comes next. */
bool cfg_same(const struct cw_dht *dht, const struct cfgreg *a, const struct cfgreg *b);
bool cfg_next_same(const struct cw_dht *dht, const struct cfgreg *a, const struct cfgreg *b);

/* registers.c */
/* Our replica of a register, whatever the epoch. */
const struct replica *replica_here(const struct cw_dht *dht, const uint8_t key[KEY_BYTES]);
bool same_rid(const struct rid *a, const struct rid *b);
void key_of(const struct cw_dht *dht, const char *scope, char kind, const void *name, size_t len,
	    uint8_t out[KEY_BYTES]);
void op_key(const struct cw_dht *dht, struct op *op);
uint64_t age_now(const struct cw_dht *dht, const struct age *age);
uint64_t lease_over_ns(const struct cw_dht *dht);
void record_made(struct record *r, const struct rid *by);
bool record_made_by(const struct record *r, uint64_t ver, const struct rid *by);
bool record_known_at(const struct record *r, uint64_t ver);
/* Same lease, same session generation: ages go on. */
bool same_lease(const struct cw_dht *dht, const struct record *a, const struct record *b);
bool same_opening(const struct record *a, const struct record *b);
int replica_store(struct cw_dht *dht, struct keytab *t, const struct record *r,
		  const struct stamp *stamp, uint64_t renew_age_ns, uint64_t open_age_ns);
/* As replica_store, but an older stamp changes nothing; ages of one rid: the greater. */
int replica_merge(struct cw_dht *dht, struct keytab *t, const struct record *r,
		  const struct stamp *stamp, uint64_t renew_age_ns, uint64_t open_age_ns);

/* dht.c */
void send_packing(struct cw_dht *dht, const struct cw_node_id *to, struct packing *p,
		  uint64_t after_lsn);
/* One that was packed before. */
void send_bytes(struct cw_dht *dht, const struct cw_node_id *to, const uint8_t *data, size_t len,
		uint64_t after_lsn);
uint8_t *pack_frame(struct cw_dht *dht, struct packing *p, size_t *len);

/* log.c */
uint64_t log_append(struct cw_dht *dht, enum cw_dht_log type, const ProtobufCMessage *message);
uint64_t log_record(struct cw_dht *dht, const struct slot *s, const struct replica *r);
uint64_t log_promise(struct cw_dht *dht, const struct slotset *slots, uint64_t epoch,
		     const struct ballot *b);
enum state_act {
	STATE_HEADER,  /* as it stands */
	STATE_BEGIN,   /* a new epoch, without records */
	STATE_INSTALL, /* a new epoch, with the records of its stage */
	STATE_AGAIN,   /* as it stands, in an epoch that is in the log */
};
uint64_t log_state(struct cw_dht *dht, const struct slotset *slots, enum state_act act);
/* What is known of slots that are not ours; their state is not kept. */
struct config;
void log_link(struct cw_dht *dht, const struct slotset *slots, const struct config *c);
bool take_genesis(struct cw_dht *dht, const Causeway__Dht__Genesis *m);
Causeway__Dht__Genesis *genesis_pack(struct arena *a, const struct cw_dht *dht);
void slots_release(struct cw_dht *dht);

/* acceptor.c: a replica's durable half */
void acceptor_input(struct cw_dht *dht, const struct cw_node_id *from,
		    const Causeway__Dht__Frame *frame);
void send_nack(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in,
	       const struct slotset *slots, uint64_t epoch, const struct ballot *ballot);
bool is_question(const Causeway__Dht__Frame *frame);
void send_need(struct cw_dht *dht, const struct cw_node_id *to, const struct slotset *slots,
	       const struct cursor *from);
/* What these slots have now, after what the other lacks since epoch `after`; NEWEST: only that. */
#define NEWEST UINT64_MAX
void send_configs(struct cw_dht *dht, const struct cw_node_id *to, const struct slotset *slots,
		  uint64_t after, bool act);
struct config config_of(const struct cw_dht *dht, struct slotset *slots);
/* From now on: so long without a leader, then we stand. UINT64_MAX: as our turn comes. */
void slot_impatient(struct cw_dht *dht, struct slot *s, uint64_t patience_ns);
/* How long to wait for this leader: the members' turns go around from the one behind it. */
uint64_t slot_patience(struct cw_dht *dht, const struct slot *s, const struct cw_node_id *leader);
/* Who leads, as far as we know, or is about to; NULL: nobody. */
const struct cw_node_id *slot_leader(const struct cw_dht *dht, const struct slot *s);

/* stage.c: staged copies, activation, what is learnt about configurations */
void stage_input(struct cw_dht *dht, const struct cw_node_id *from,
		 const Causeway__Dht__Frame *frame);
bool stage_take(struct cw_dht *dht, const Causeway__Dht__Stage *in, struct stage **out);
void config_learn(struct cw_dht *dht, const struct cw_node_id *from,
		  const Causeway__Dht__Config *in, bool direct);
void slot_begin(struct cw_dht *dht, uint32_t slot, const struct config *c);
bool slot_install(struct cw_dht *dht, const struct slotset *slots, const struct stage_id *sid);
void stages_forget(struct cw_dht *dht, const struct slotset *slots);
void stage_free(struct stage *s);

/* copy.c: need and copy */
void need_input(struct cw_dht *dht, const struct cw_node_id *from,
		const Causeway__Dht__Frame *frame);
void copy_input(struct cw_dht *dht, const struct cw_node_id *from,
		const Causeway__Dht__Frame *frame);
/* Records from a cursor on, as many as fit. */
size_t records_fill(struct cw_dht *dht, struct arena *a, const struct slotset *slots,
		    const struct cursor *from, struct cursor *next, Causeway__Dht__Record ***out,
		    size_t room);

/* group.c: what we lead */
struct group *group_stand(struct cw_dht *dht, const struct slotset *slots);
void group_lose(struct cw_dht *dht, const struct slotset *slots, const char *why);
struct group *group_split(struct cw_dht *dht, struct group *g, const struct slotset *slots);
void group_timer(struct cw_dht *dht);
bool group_serves(const struct cw_dht *dht, const struct group *g);
void group_heard(struct cw_dht *dht, const struct cw_node_id *from, const struct slotset *slots,
		 const struct ballot *ballot);
struct group *group_of_call(const struct cw_dht *dht, const struct call *c);
void groups_free(struct cw_dht *dht);

/* call.c: questions */
struct call *call_new(struct cw_dht *dht, enum call_kind kind, const struct group *g,
		      const struct slotset *slots);
void call_send(struct cw_dht *dht, struct call *c, uint64_t lsn);
void call_send_one(struct cw_dht *dht, struct call *c, unsigned int voter);
void call_free(struct cw_dht *dht, struct call *c);
void calls_drop_slots(struct cw_dht *dht, const struct slotset *slots);
void calls_of(struct cw_dht *dht, const struct group *g, uint32_t kinds);
void call_input(struct cw_dht *dht, const struct cw_node_id *from,
		const Causeway__Dht__Frame *frame);
uint64_t calls_timer(struct cw_dht *dht);

/* election.c */
void on_promised(struct cw_dht *dht, struct call *c);
void on_cfg_written(struct cw_dht *dht, struct call *c);
void prom_collect(struct cw_dht *dht, struct call *c, const struct slotset *fresh,
		  const Causeway__Dht__Prom *prom);
void group_serve(struct cw_dht *dht, struct group *g);
void group_act(struct cw_dht *dht, struct group *g, const struct cfgreg *next,
	       const struct call *written);
void tell_act(struct cw_dht *dht, struct group *g);

/* serve.c: registers at their leader */
void leader_request(struct cw_dht *dht, const struct cw_node_id *from, struct group *g,
		    struct op *op);
struct lead *lead_of(struct cw_dht *dht, uint32_t slot, const uint8_t key[KEY_BYTES]);
/* @return true when the register may be read; else the operation waits for it. */
bool lead_ready(struct cw_dht *dht, struct lead *l, struct op *op);
void lead_write(struct cw_dht *dht, struct lead *l, const struct record *r, struct op *op,
		const struct reply *reply);
void lead_confirm(struct cw_dht *dht, struct lead *l, struct op *op, const struct reply *reply);
void lead_answer(struct cw_dht *dht, struct op *op, const struct reply *reply);
void on_written(struct cw_dht *dht, struct call *c);
void on_read(struct cw_dht *dht, struct call *c);
void on_checked(struct cw_dht *dht, struct call *c);
bool best_of(struct cw_dht *dht, struct call *c, const Causeway__Dht__Record *in);
void op_free(struct cw_dht *dht, struct op *op);
void leads_drop(struct cw_dht *dht, uint32_t slot);
void confirms_free(struct confirm *list);

/* reconf.c */
void reconf_start(struct cw_dht *dht, struct group *g, const struct members *next);
void reconf_drained(struct cw_dht *dht, struct group *g);
void reconf_timer(struct cw_dht *dht, struct group *g);
void reconf_free(struct reconf *re);
void on_snapped(struct cw_dht *dht, struct call *c);
void on_staged(struct cw_dht *dht, struct call *c);
bool snap_collect(struct cw_dht *dht, struct call *c, unsigned int voter,
		  const Causeway__Dht__Snapv *in);
void stage_send(struct cw_dht *dht, struct call *c, unsigned int voter);

/* place.c */
struct peer *peer_find(const struct cw_dht *dht, const struct cw_node_id *node);
struct peer *peer_heard(struct cw_dht *dht, const struct cw_node_id *node, uint64_t disk);
void consider_move(struct cw_dht *dht, struct group *g);
bool member_lost(const struct cw_dht *dht, const struct group *g, unsigned int i);
bool peer_fresh(const struct cw_dht *dht, const struct peer *p);
/* Up to max reachable nodes nearest the slot's point. */
unsigned int nearest_peers(const struct cw_dht *dht, uint32_t slot, const struct peer **out,
			   unsigned int max);

/* beat.c */
void beat(struct cw_dht *dht);
/* Who has come within reach hears of us, and says how far it knew our log to go. */
void greet(struct cw_dht *dht);
void hb_input(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *frame);
void hbok_input(struct cw_dht *dht, const struct cw_node_id *from,
		const Causeway__Dht__Frame *frame);
void spread(struct cw_dht *dht);
/* digest.c */
void digests(struct cw_dht *dht);
void digest_input(struct cw_dht *dht, const struct cw_node_id *from,
		  const Causeway__Dht__Frame *frame);

/* decide.c, decide_name.c, decide_register.c */
void decide(struct cw_dht *dht, struct op *op);
void decide_name(struct cw_dht *dht, struct op *op, struct lead *l);
void decide_register(struct cw_dht *dht, struct op *op, struct lead *l);
void decide_session(struct cw_dht *dht, struct op *op, struct lead *l);
void decide_prove(struct cw_dht *dht, struct op *op, struct lead *l);
struct rid own_rid(struct cw_dht *dht);
bool rid_is_older(const struct cw_dht *dht, const struct rid *came, const struct rid *have);
/* Another register's leader is asked; the operation is decided anew with the finding. @return the
 * finding if it is there. */
const struct finding *finding_of(struct cw_dht *dht, struct op *op, uint8_t verb,
				 const struct cw_node_id *node, uint64_t sgen, rte_be32_t ip);

#include "chain.h"
#include "codec.h"
#include "keytab.h"
#include "warrant.h"

#endif /* CW_DHT_INTERNAL_H */
