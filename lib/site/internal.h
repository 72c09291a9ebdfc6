/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SITE_INTERNAL_H
#define CW_SITE_INTERNAL_H

/* What the files of lib/site share. */
#include "cw_site.h"

#define MODULE	  "site"
#define VERSION	  1u
#define TAG_BYTES 16u
#define KEY_BYTES 32u
/* Leading bytes of the receiver's node ID: a hello goes to the whole segment. */
#define TO_BYTES 4u

enum {
	/* Hellos whose times of sending are kept: far more than a deadline spans. */
	SENT_MAX = 64,
	FELLOWS_MAX = CW_SITE_MEMBERS_MAX - 1,
	/* A slot's address is shown so often when it moved. */
	ANNOUNCE_TIMES = 3,
	/* And then so many times more, REFRESH_NS apart: its former owner may still have had a
	   frame in hand, after which the switch goes by that one. */
	REFRESH_TIMES = 10,
	/* Damping, in the manner of RFC 2439: what a loss costs, and between which sums a gateway
	   stays out. */
	PENALTY_LOSS = 1000,
	PENALTY_OUT = 2500,
	PENALTY_IN = 1000,
	/* A minute until it is forgiven, however often. */
	PENALTY_MAX = 7900,
};

/* In hello intervals; the order of the first three is the promise in cw_site.h. */
#define SUSPECT_NS(s) ((s)->config.hello_ns * 9 / 4)
#define MUTE_NS(s)    ((s)->config.hello_ns * 7 / 2)
#define TAKE_NS(s)    ((s)->config.hello_ns * 15 / 4)
/* A gateway that hears no fellow goes on for so long after its last step ... */
#define LONE_NS(s) ((s)->config.hello_ns * 15)
/* ... and whoever starts, or was stopped for longer, listens longer than that. */
#define LISTEN_NS(s) ((s)->config.hello_ns * 25)
/* Between two steps no more than this counts as time in which we listened. */
#define CREDIT_NS(s) ((s)->config.hello_ns * 3 / 2)
/* A gateway takes slots back when it was well for so long; the first time a little sooner. */
#define HOLD_FIRST_NS(s) ((s)->config.hello_ns * 10)
#define HOLD_NS(s)	 (HOLD_FIRST_NS(s) + UINT64_C(2) * CW_NS_PER_S)
#define PENALTY_HALF_NS	 (UINT64_C(20) * CW_NS_PER_S)
/* An owned slot's address is shown again: switches forget after 5 minutes at the usual setting. */
#define FRESH_NS   (UINT64_C(30) * CW_NS_PER_S)
#define REFRESH_NS (UINT64_C(1) * CW_NS_PER_S)
/* Whoever listens hears several beacons of whoever is there. */
#define BEACON_NS(s) ((s)->config.hello_ns * 4)
/* Beacons of somebody with whom no keys can be agreed hold us up for so long in all, not for ever:
   anybody can send them. Each fellow that comes makes it as long again. */
#define STRANGER_NS (UINT64_C(10) * CW_NS_PER_S)
#define STATE_NS    CW_NS_PER_S
#define KEY_NS	    (UINT64_C(200) * CW_NS_PER_MS)
/* After so long a silence a fellow is told about less often. */
#define FORGOTTEN_NS (UINT64_C(30) * CW_NS_PER_S)
/* Where run time begins: long after "never". */
#define RUN_BEGIN (UINT64_C(1) << 50)

enum type {
	TYPE_BEACON = 1, /* LAN, to all, unauthenticated */
	TYPE_HELLO = 2,	 /* LAN, sealed for one fellow; it confirms at once */
	TYPE_ACK = 3,	 /* LAN: the same, and needs no confirmation */
	TYPE_STATE = 4,	 /* overlay: the same */
	TYPE_KEY = 5,	 /* overlay: what our hellos to you are sealed with */
	TYPE_KEY_ACK = 6,
	/* Over the overlay, to gateways of other sites (cw_sites.h). */
	TYPE_TABLE = 7,
	TYPE_TABLE_ACK = 8,
};

enum flag {
	FLAG_LISTENING = 1, /* takes nothing that it does not have */
	FLAG_PASSIVE = 2,   /* has nothing and takes nothing: deaf */
	FLAG_MUTE = 4,	    /* its deadline has passed */
	FLAG_DRAINING = 8,
};

/* Tables have an order; everybody goes by the highest it has seen. */
struct ballot {
	uint64_t epoch;
	struct cw_node_id proposer;
	uint32_t draw; /* random: a proposer that lost its memory cannot say one ballot twice */
};

struct table {
	struct ballot ballot;
	uint8_t count;
	struct cw_node_id member[CW_SITE_MEMBERS_MAX];
	uint8_t owner[CW_SITE_SLOTS_MAX]; /* index into member, or CW_SITE_NOBODY */
};

/* Bytes of a hello before members, owners and seal. */
#define HELLO_BYTES 106u

struct key {
	uint32_t id; /* 0: none */
	uint8_t bytes[KEY_BYTES];
};

/* HELLO, ACK and STATE. */
struct hello {
	uint8_t type, flags, health, slots;
	uint16_t weight;
	uint8_t site[CW_SITE_ID_BYTES];
	uint32_t segment;
	struct cw_node_id from;
	uint8_t to[TO_BYTES];
	uint32_t key_id, ack_key; /* of this hello; of the one that it confirms */
	uint64_t seq, ack_seq;
	uint32_t silence_us; /* how long the sender has not heard the receiver on the LAN */
	struct table table;
};

/* What damping and hold-down remember of a member, ourselves included. */
struct record {
	bool out; /* dropped out since the present table was adopted */
	bool damped;
	uint32_t losses;
	uint64_t well_run_ns; /* since when it is well without a break; CW_NEVER: it is not */
	uint64_t penalty, penalty_run_ns;
};

struct fellow {
	struct cw_node_id node;
	bool linked;
	struct record record;
	/* To it. */
	struct key tx, tx_next; /* in use; offered and not confirmed yet */
	uint64_t tx_seq;
	uint64_t sent_ns[SENT_MAX]; /* by sequence number */
	uint64_t key_due_ns, state_due_ns;
	/* From it. */
	struct key rx[2]; /* newest first; the other until the newest was used */
	uint64_t rx_seq[2];
	uint32_t ack_key; /* of the last hello from it */
	uint64_t ack_seq;
	uint64_t heard_run_ns;
	uint64_t reckon_run_ns; /* whatever was heard: taken for living from here */
	/* Its deadline depends on what we confirm: it heard us as one who takes part, and lately.
	 */
	bool bound;
	uint64_t acked_seq, acked_ns; /* newest hello of ours that it confirmed: when it was sent */
	uint64_t state_ns;	      /* newest STATE */
	uint32_t state_silence_us;
	struct ballot ballot;
	uint8_t flags, health;
	uint16_t weight;
};

struct cw_site {
	struct cw_site_config config;
	struct cw_site_ops ops;
	void *ctx;
	uint64_t now_ns;
	uint64_t run_ns; /* time in which we listened; never more than true time */
	bool draining, passive, listening;
	uint64_t part_ns;	   /* since when we do not listen only */
	uint64_t listen_run_ns;	   /* until then at least */
	uint64_t lan_run_ns;	   /* any frame */
	uint64_t stranger_run_ns;  /* a beacon of somebody without keys */
	uint64_t stranger_left_ns; /* how much longer it may hold us up */
	uint8_t health;
	struct record record;
	unsigned int count;
	struct fellow fellow[FELLOWS_MAX];
	struct table table;
	uint64_t active;	      /* slots we serve, deadline permitting */
	uint64_t served, deadline_ns; /* as told by ops.serve */
	uint64_t outbid_epoch;	      /* peers know of this one: the next table goes above it */
	uint64_t outbid_run_ns;
	bool split;	      /* as told by ops.changed */
	uint64_t need_run_ns; /* since when the table should be another; 0: it need not */
	uint64_t hello_due_ns, beacon_due_ns, fresh_due_ns;
	uint64_t announce; /* slots to be shown again, so many times */
	unsigned int announce_left, refresh_left;
	uint64_t refused[CW_SITE_REFUSED_COUNT];
	uint64_t takeovers;
};

/* wire.c */
size_t site_write_beacon(const struct cw_site *s, uint8_t *out);
size_t site_write_hello(const struct cw_site *s, struct fellow *f, enum type type, uint8_t *out);
size_t site_write_key(enum type type, const struct key *key, uint8_t *out);
/* @return 0 or a refusal + 1 */
unsigned int site_read_hello(const uint8_t *data, size_t len, struct hello *out);
/* @return false: it is none */
bool site_read_beacon(const struct cw_site *s, const uint8_t *data, size_t len,
		      struct cw_node_id *node, struct cw_endpoint *at);
size_t site_write_table(enum type type, const uint8_t site[CW_SITE_ID_BYTES],
			const struct cw_site_table *table, uint8_t *out);
bool site_read_table(const uint8_t *data, size_t len, enum type *type,
		     uint8_t site[CW_SITE_ID_BYTES], struct cw_site_table *out);
bool site_read_key(const uint8_t *data, size_t len, enum type *type, struct key *out);
void site_seal(const struct cw_site *s, const struct key *key, const uint8_t *data, size_t len,
	       uint8_t tag[TAG_BYTES]);

/* fellow.c */
struct fellow *site_fellow(struct cw_site *s, const struct cw_node_id *node);
uint64_t site_silence(const struct cw_site *s, const struct fellow *f);
/* Heard lately enough to be reckoned with. */
bool site_lives(const struct cw_site *s, const struct fellow *f);
bool site_confirms(const struct cw_site *s, const struct fellow *f);
/* By a STATE of just now: it lives, and whether it hears us on the LAN. */
bool site_state_fresh(const struct cw_site *s, const struct fellow *f);
bool site_hears_us(const struct cw_site *s, const struct fellow *f);
void site_hello_to(struct cw_site *s, struct fellow *f, enum type type);
void site_hello_all(struct cw_site *s);
void site_fellow_timer(struct cw_site *s, struct fellow *f);
uint8_t site_flags(const struct cw_site *s);

/* ballot.c */
int site_table_compare(const struct cw_site_table *a, const struct cw_site_table *b);
int site_ballot_compare(const struct ballot *a, const struct ballot *b);
/* Take this table over if it is above ours. @return whether it was */
bool site_adopt(struct cw_site *s, const struct table *table);
void site_propose(struct cw_site *s);
void site_activate(struct cw_site *s);
void site_publish(struct cw_site *s);
uint64_t site_own(const struct cw_site *s);
bool site_is_mute(const struct cw_site *s);
bool site_in_table(const struct cw_site *s, const struct cw_node_id *node);

/* judge.c */
void site_judge(struct cw_site *s);
void site_listen(struct cw_site *s, uint64_t for_ns);
/* A member dropped out: counted once per table, and it must be well for a while to come back. */
void site_lose(struct cw_site *s, struct record *r);
/* Somebody without keys is on the segment: nothing new is taken meanwhile. */
bool site_waits_for_stranger(const struct cw_site *s);
/* Who should have slots: nodes with weights, sorted by node ID. @return how many */
struct candidate {
	struct cw_node_id node;
	uint16_t weight;
};
unsigned int site_candidates(struct cw_site *s, struct candidate out[CW_SITE_MEMBERS_MAX]);

/* status.c */
/* A fellow lives and could serve, and the LAN is cut between us. */
bool site_is_split(const struct cw_site *s);

/* site.c */
/* Time passes. */
void site_enter(struct cw_site *s, uint64_t now_ns);
/* Everything that follows from what is known now. */
void site_evaluate(struct cw_site *s);

#endif /* CW_SITE_INTERNAL_H */
