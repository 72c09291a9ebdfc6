/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DHT_H
#define CW_DHT_H

/**
 * @file
 * The DHT: replicated registers with leases, sans I/O (dht.md).
 *
 * The key space is cut into slots; each has members (one, three or five nodes), an epoch that grows
 * when they change, and a leader by ballot. Slots with the same members and epoch are elected and
 * led together.
 *
 * In: messages, time, durable notices, requests, who can be reached. Out: messages, log records,
 * answers, news. Time is the clock of dht.md section 4: it counts suspend and ignores slew and
 * steps. [control].
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
	CW_DHT_LOG_DISK = 5,	 /* who this disk is; how far its log went */
	CW_DHT_LOG_STATE = 6,	 /* epoch, members, promise and config register of slots */
	CW_DHT_LOG_STAGE = 7,	 /* a piece of a staged copy */
	CW_DHT_LOG_RELEASED = 8, /* a session generation that was given back */
	CW_DHT_LOG_LINK = 9,	 /* a past configuration of slots, with its proof */
	CW_DHT_LOG_LAST = 63,
};

/** What a node's certificate must allow. */
enum cw_dht_right {
	CW_DHT_RIGHT_USE,     /* registers of a namespace: mappings, clients, names */
	CW_DHT_RIGHT_OPERATE, /* write namespace records: an operator's certificate */
};
enum cw_dht_may { CW_DHT_MAY, CW_DHT_MAY_NOT, CW_DHT_MAY_UNKNOWN };

struct cw_dht_ops {
	/** To a node, by the overlay's DHT service; may be lost. */
	void (*send)(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		     uint64_t now_ns);
	/** Towards a slot's point of the ring; NULL or false: the DHT picks a neighbour itself. */
	bool (*route)(void *ctx, uint32_t slot, const void *data, size_t len, uint64_t now_ns);
	/** Append to the log. @return lsn; cw_dht_durable comes when it and all before are safe. 0:
	 * refused (disk full). */
	uint64_t (*append)(void *ctx, uint8_t type, const void *data, size_t len);
	/** Site of a node from its certificate. @return false while unknown. */
	bool (*site_of)(void *ctx, const struct cw_node_id *node, struct cw_site_id *out);
	/** Does the certificate of @p node allow this in this namespace? UNKNOWN: no certificate of
	 * it was seen lately. NULL: every node may everything. */
	enum cw_dht_may (*may)(void *ctx, const struct cw_node_id *node, enum cw_dht_right right,
			       const char *ns);
	/** A mapping that was asked for lately, or in which we have an entry, changed. */
	void (*changed)(void *ctx, rte_be32_t ip, const struct cw_mapping *mapping,
			uint64_t now_ns);
	void (*ns_changed)(void *ctx, const struct cw_namespace_record *ns, uint64_t now_ns);
	/** Somebody would like to have a plain register of ours. NULL: nobody is interested. */
	void (*yield)(void *ctx, uint8_t kind, const uint8_t *name, size_t len, uint64_t gen,
		      uint64_t now_ns);
	/** Our clock lost this much against those of most other nodes: whatever is held by it is
	 * to be let go at once; requests that would have granted time have ended as unanswered.
	 * NULL: nobody holds anything. */
	void (*clock_behind)(void *ctx, uint64_t by_ns, uint64_t now_ns);
};

/** Rules that the simulator removes to see that its checkers notice (dht.md section 15). Production
 * sets none. Those marked * are the caller's own and removed in the simulator's gateways. */
enum cw_dht_mutation {
	CW_DHT_MUT_NONE,
	CW_DHT_MUT_Q2,	      /* R1 two are a quorum, whatever the members */
	CW_DHT_MUT_TIE,	      /* R2 ballots are not ordered by node ID */
	CW_DHT_MUT_NOPERSIST, /* R3 promises are not durable before they are told */
	CW_DHT_MUT_NOSYNC,    /* R4 records are acked before they are durable */
	CW_DHT_MUT_AMNESIA,   /* R5 a lost disk keeps its identity */
	CW_DHT_MUT_NOCFGWB,   /* R6 no write-back of the config register */
	CW_DHT_MUT_NOWB,      /* R7 no write-back of what a takeover read */
	CW_DHT_MUT_NOCHK,     /* R8 reads and refusals without a check */
	CW_DHT_MUT_NODRAIN,   /* R9 no drain before the snapshot */
	CW_DHT_MUT_EARLYACT,  /* R10 activate before the old majority chose */
	CW_DHT_MUT_ANYSTAGE,  /* R11 activate whatever stage is there */
	CW_DHT_MUT_MERGE,     /* R12 activation merges with what was there */
	CW_DHT_MUT_DROPSTAGE, /* R13 an old stage is taken for an orphan */
	CW_DHT_MUT_NOFLOOR,   /* R14 the floor does not rise with collected tombstones */
	CW_DHT_MUT_AGEVER,    /* R15 age counts from the version */
	CW_DHT_MUT_AGERESET,  /* R16 age starts anew with every copy */
	CW_DHT_MUT_OLDRENEW,  /* R17 an older renewal counts */
	CW_DHT_MUT_FROMRSP,   /* R18 the holder counts from the answer */
	CW_DHT_MUT_LASTSEND,  /* R19 ... from the last try */
	CW_DHT_MUT_NOSLACK,   /* R20 no eps and no guard */
	CW_DHT_MUT_SUSPEND,   /* R21 * clocks stand still in suspend */
	CW_DHT_MUT_NOVER,     /* R22 a write does not name its version */
	CW_DHT_MUT_NORID,     /* R23 a repeat does not get the first answer */
	CW_DHT_MUT_ONESTEP,   /* R24 a lease is ended and passed on in one step */
	CW_DHT_MUT_UNRELEASE, /* R25 a released generation is believed again */
	CW_DHT_MUT_GRAB,      /* R26 a takeover takes a live lease */
	CW_DHT_MUT_DUPOPEN,   /* S1 a second session beside a live one */
	CW_DHT_MUT_NOPROOF,   /* S2 an address is taken from a session that lives */
	CW_DHT_MUT_NOWARRANT, /* A1 what its owner never signed is stored */
	CW_DHT_MUT_ANYCALLER, /* A2 what a certificate does not allow is done */
	CW_DHT_MUT_NOQUOTA,   /* A3 one node may have everything */
	CW_DHT_MUT_NOPACE,    /* T1 nobody looks whether its clock keeps pace */
	CW_DHT_MUT_ASKBEHIND, /* L1 who is behind is asked, not told */
	CW_DHT_MUT_OLDJUDGE,  /* L2 a renewal is judged by a record whose ballot lost */
	CW_DHT_MUT_NOCHAIN,   /* C1 configurations are believed without proof */
	CW_DHT_MUT_FORGE,     /* not a rule: a leader that writes registers nobody asked for */
	CW_DHT_MUT_COUNT
};

/** What a network's genesis fixes, and paces of this node. 0: as in dht.md section 9. The simulator
 * counts faster. */
struct cw_dht_tuning {
	uint32_t slots;	       /* a power of two, at most CW_DHT_SLOTS */
	uint64_t session_ns;   /* D */
	uint32_t eps_divisor;  /* 1 / eps */
	uint64_t guard_ns;     /* G */
	uint64_t dead_ns;      /* a member silent so long is replaced */
	uint64_t settle_ns;    /* a node up so long may become a member */
	uint64_t move_ns;      /* a better placement stands so long before it is taken */
	uint64_t tombstone_ns; /* free registers this old are collected */
	uint64_t shrink_ns;    /* two of five gone so long without a spare: three */
	uint32_t quota;	       /* registers that one node may have in one slot */
};

struct cw_dht_config {
	struct cw_node_id self;
	struct cw_site_id site;
	char ns_name[CW_NS_NAME_BYTES]; /* namespace of mapping and client verbs; "" none */
	const struct cw_log *log;
	struct cw_random_ops random;
	struct cw_digest_ops digest;
	/** NULL: nothing is signed and nothing needs to be. */
	const struct cw_key_ops *keys;
	void *keys_self;
	enum cw_dht_mutation mutate;
	struct cw_dht_tuning tuning;
};

struct cw_dht_peer {
	struct cw_node_id node;
};

/** Own requests of one verb: done, refused by what the register says, without an answer in time. */
struct cw_dht_verb_counts {
	uint64_t done, refused, unanswered;
	uint64_t took_us, longest_us; /* of those with an answer: sum, greatest */
};

/** What happened, for metrics; all only grow. */
struct cw_dht_counts {
	struct cw_dht_verb_counts verbs[CW_STORE_VERB_COUNT];
	uint64_t results[CW_STORE_RESULT_COUNT]; /* of own requests */
	/** Own requests by time to the answer: below 1 ms << i; the last: the rest. */
	uint64_t latency[16];
	uint64_t retries, redirects, served, elections, lost_leaderships, moves, moves_given_up,
		activations, copies, stages, repaired, refused_old, nacks,
		denied,	      /* requests that their sender may not make, or did not sign */
		unwarranted,  /* records of leaders that their owners did not ask for */
		unproven,     /* configurations of slots without proof */
		clock_behind; /* our clock lost time against others' */
};

struct cw_dht_genesis {
	uint8_t network_id[CW_DHT_NETWORK_ID_BYTES];
	struct cw_node_id founder;
	uint64_t founder_disk;
	uint32_t slots;
	uint64_t session_ns;
	uint32_t eps_divisor;
	uint64_t guard_ns;
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

/**
 * An operator's act: this node becomes the only member of every slot. Further voters are taken in
 * as soon as they are heard of, without the wait that a node has to pass which comes by itself.
 *
 * @return 0, -EEXIST (there is a network), -EINVAL (1 or 3 voters, all different, this node among
 * them), -EIO (log).
 */
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

/**
 * Ask to be replaced everywhere: no seat is kept, none is taken, until cw_dht_stay or a restart.
 * To be asked again until it is through.
 *
 * @param seats	 out: what is left
 * @param others out: nodes that could take a seat
 * @return true when no seat is left.
 */
bool cw_dht_leave(struct cw_dht *dht, unsigned int *seats, unsigned int *others, uint64_t now_ns);
void cw_dht_stay(struct cw_dht *dht, uint64_t now_ns);
/** Is there little room left for the log? Then no seat is taken, and those that we have go to
 * others as soon as there are some; until then they are kept, and the rest of the room serves
 * them. */
void cw_dht_room(struct cw_dht *dht, bool low, uint64_t now_ns);
/** About to stop: whoever follows us is told to elect somebody else at once. Seats are kept. */
void cw_dht_resign(struct cw_dht *dht, uint64_t now_ns);

/**
 * An operator's act when the majority of members is gone for good (dht.md section 7): slots of
 * which this node is a member and that nobody leads become its own, with what it holds. May lose
 * acknowledged writes. Claims and new sessions wait for two leases.
 *
 * @param slots	 out: how many
 * @return 0, -ENOENT (no slot here is without a leader), -EIO (log), -EPERM: this node's
 *	certificate is no operator's, and others would not believe it
 */
CW_MUST_USE int cw_dht_recover(struct cw_dht *dht, unsigned int *slots, uint64_t now_ns);

/** Every group of slots led here moves one of its seats to another node, if there is a spare one.
 * For operators who want to see that it can, and for the simulator. */
void cw_dht_move(struct cw_dht *dht, uint64_t now_ns);
/** Stand for every slot of which we are a member, although nothing is wrong. For the simulator. */
void cw_dht_stand(struct cw_dht *dht, uint64_t now_ns);

/** The middle of a slot's arc of the ring, as a node ID: its members are nearest to it. */
void cw_dht_point(const struct cw_dht *dht, uint32_t slot, struct cw_node_id *out);

/** How this node stands, for `dht status`. */
struct cw_dht_status {
	uint32_t slots, seats, led,
		leaderless;	   /* slots: all; ours; led here; ours without leader */
	uint32_t moving;	   /* slots whose members are being changed by us */
	uint32_t behind;	   /* seats whose copy is still being fetched: repair backlog */
	uint32_t short_of_members; /* slots led here with a silent member: repair backlog */
	uint32_t stages, records, pending_messages, outstanding;
	uint32_t clocks_compared; /* nodes by whose clocks it would be seen that ours stands */
	bool safe_to_allocate;
	const char *why_not; /* one line, valid if not */
	uint64_t disk;
	struct cw_dht_counts counts;
};
void cw_dht_status(const struct cw_dht *dht, struct cw_dht_status *out);
struct cw_histogram;
/** How long own requests of this verb took until they had an answer, in microseconds; those without
 * one are not in it. Lives as long as @p dht. [control] */
const struct cw_histogram *cw_dht_latency(const struct cw_dht *dht, enum cw_store_verb verb);

/** A row of `show dht`: slots with the same members, epoch and leader. */
struct cw_dht_row {
	uint32_t first_slot, slot_count;
	uint64_t epoch, round;
	unsigned int member_count;
	struct cw_node_id members[CW_DHT_VOTERS_MAX];
	bool fresh[CW_DHT_VOTERS_MAX]; /* heard lately (rows led here) */
	bool active, led, leader_known;
	struct cw_node_id leader;
	const char *phase;
	uint32_t records;
};
void cw_dht_rows(const struct cw_dht *dht, void (*row)(void *arg, const struct cw_dht_row *r),
		 void *arg);
/** Which slot a request's register lies in, and whom it would be sent to. For `dht get --trace`. */
uint32_t cw_dht_locate(struct cw_dht *dht, const struct cw_store_request *request,
		       struct cw_dht_row *out);

/** Of this process: what a leased plain register of ours names as its owner's tag. */
uint64_t cw_dht_incarnation(const struct cw_dht *dht);

/** A set of members that this node knows of, for the simulator's budget of lost disks. */
struct cw_dht_members {
	uint32_t slot;
	uint64_t epoch;
	bool active;   /* this node is active in it */
	bool proposed; /* not known to be chosen: in a config register, staged, or being prepared */
	unsigned int count;
	struct cw_node_id nodes[CW_DHT_VOTERS_MAX];
	uint64_t disks[CW_DHT_VOTERS_MAX];
};
void cw_dht_visit_members(const struct cw_dht *dht,
			  void (*visit)(void *arg, const struct cw_dht_members *m), void *arg);

#endif /* CW_DHT_H */
