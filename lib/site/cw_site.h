/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SITE_H
#define CW_SITE_H

/**
 * @file
 * Several gateways on one segment: who they are, and which of them answers for which slot.
 *
 * Sans I/O: hellos from the LAN, messages from the overlay and `now_ns` in; frames, messages, and
 * "these slots are yours until then" out through ops. [control] throughout. Source: design.md
 * section 11; docs/multi-gateway.md explains it, docs/wire.md has the bytes.
 *
 * The promise: of two gateways that hear each other in at least one direction never both serve one
 * slot, whatever crashes, stops, wakes or is lost. It rests on times that stand in this order, in
 * hello intervals (h):
 *
 *     silent for 9/4 h   a fellow no longer holds up those who keep what they have
 *     unheard for 7/2 h  own slots end: a fellow has not confirmed a hello sent since then
 *     silent for 15/4 h  its slots may be taken
 *
 * An owner's deadline counts from the *sending* of the newest hello that a fellow confirmed, the
 * taker's from hearing one, so the owner has always stopped before; a gateway that was stopped
 * wakes past its deadline. An owner that hears nobody goes by a longer deadline; who was not heard
 * by it waits for that one. A slot that moves between living gateways is served by the new owner
 * only once everybody it can hear has said that it goes by the same table.
 */
#include <cw_log.h>
#include <cw_ops.h>
#include <cw_types.h>

struct cw_site;

#define CW_SITE_SLOTS_MAX   64u
#define CW_SITE_MEMBERS_MAX 8u
#define CW_SITE_ID_BYTES    8u
#define CW_SITE_NOBODY	    0xffu
/** IEEE 802 local experimental EtherType 1: payload is a hello, a beacon, or nothing (a slot's
 * address shown to the switch). */
#define CW_SITE_ETHERTYPE 0x88b5u
/** Largest payload behind the Ethernet header, and largest overlay message. */
#define CW_SITE_BYTES_MAX 384u

/** Hello interval: bounds of the configuration, and its default. */
#define CW_SITE_HELLO_MIN_NS	 (UINT64_C(10) * CW_NS_PER_MS)
#define CW_SITE_HELLO_MAX_NS	 (UINT64_C(1000) * CW_NS_PER_MS)
#define CW_SITE_HELLO_DEFAULT_NS (UINT64_C(50) * CW_NS_PER_MS)
#define CW_SITE_WEIGHT_MAX	 1000u

/** What must be well for a gateway to own slots. All set: healthy. */
enum cw_site_health {
	CW_SITE_HEALTH_LAN = 1 << 0,	 /* carrier */
	CW_SITE_HEALTH_WAN = 1 << 1,	 /* carrier, and the overlay is reachable */
	CW_SITE_HEALTH_WORKERS = 1 << 2, /* every worker turns */
	CW_SITE_HEALTH_SESSION = 1 << 3, /* our session in the DHT lives */
	CW_SITE_HEALTH_ALL = 15,
};

/** Why a hello or beacon was refused. */
enum cw_site_refusal {
	CW_SITE_REFUSED_MALFORMED,
	CW_SITE_REFUSED_VERSION,
	CW_SITE_REFUSED_SITE,	  /* another site's gateway on our segment */
	CW_SITE_REFUSED_SEGMENT,  /* other namespace, VLAN, MAC base or slot count */
	CW_SITE_REFUSED_STRANGER, /* no key was agreed with its sender */
	CW_SITE_REFUSED_SEAL,
	CW_SITE_REFUSED_REPLAY,
	CW_SITE_REFUSED_COUNT
};

struct cw_site_ops {
	/** To the segment, behind an Ethernet header of type CW_SITE_ETHERTYPE, from the port's own
	 * address. */
	void (*send_lan)(void *ctx, const uint8_t *payload, size_t len);
	/** To a node over its link, authenticated and encrypted; may be lost. */
	void (*send_overlay)(void *ctx, const struct cw_node_id *to, const uint8_t *data,
			     size_t len);
	/** These slots are ours until @p deadline_ns and not a moment longer. NULL, as the next
	 * one: nothing is addressed by slots. */
	void (*serve)(void *ctx, uint64_t slots, uint64_t deadline_ns);
	/** Show the switch where these slots' addresses are now: a frame from each. */
	void (*announce)(void *ctx, uint64_t slots);
	/** A beacon named a node of our site that is no fellow yet: it can be reached there. */
	void (*found)(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *at);
	/** Members or slots changed (cw_site_status). May be NULL. */
	void (*changed)(void *ctx);
};

/** Rules that the simulator takes away to see that its judge notices. Production: none. */
enum cw_site_mutation {
	CW_SITE_MUT_NONE,
	CW_SITE_MUT_NOWAIT,	 /* slots that moved are served at once */
	CW_SITE_MUT_NODEADLINE,	 /* what is owned stays so without being confirmed */
	CW_SITE_MUT_FROMRECEIPT, /* the deadline counts from hearing the confirmation */
	CW_SITE_MUT_UNBOUND,   /* ... or while it did not hear us and went by the longer deadline */
	CW_SITE_MUT_EARLYTAKE, /* a fellow's slots are taken when it is only suspect */
	CW_SITE_MUT_NOLISTEN,  /* a start does not listen first */
	CW_SITE_MUT_STALLBLIND, /* silence during an own stop counts as the fellow's */
	CW_SITE_MUT_NOPASSIVE,	/* a deaf gateway does not step back */
	CW_SITE_MUT_NODAMP,	/* flapping is not damped */
	CW_SITE_MUT_RESHUFFLE,	/* a change deals all slots anew */
	CW_SITE_MUT_NOREPLAY,	/* old hellos are believed */
	CW_SITE_MUT_COUNT
};

struct cw_site_config {
	struct cw_node_id self;
	uint8_t site[CW_SITE_ID_BYTES];
	/** All that gateways of one segment must agree on besides the site, hashed by the caller:
	 * namespace, VLAN, MAC base, hello interval (one's deadline depends on the other's). The
	 * slot count is compared apart. */
	uint32_t segment;
	uint8_t slots;	 /* 1 to CW_SITE_SLOTS_MAX; 1 is the paper's form */
	uint16_t weight; /* 1 to CW_SITE_WEIGHT_MAX: share of the slots */
	uint64_t hello_ns;
	struct cw_endpoint endpoint; /* where fellows reach us; family NONE: no beacons */
	const struct cw_log *log;
	struct cw_random_ops random;
	struct cw_digest_ops digest;
	enum cw_site_mutation mutate;
};

struct cw_site_member {
	struct cw_node_id node;
	bool self, heard, confirmed; /* on the LAN: we hear it, it hears us */
	bool listening, passive, mute, draining, damped, split;
	uint8_t health;
	uint16_t weight;
	uint8_t slots; /* by the table */
	uint64_t epoch;
	uint32_t losses;     /* times it dropped out */
	uint64_t silence_ns; /* since it was heard last; CW_NEVER: not yet */
};

struct cw_site_status {
	uint64_t epoch;
	struct cw_node_id proposer;
	uint8_t slots;
	struct cw_node_id owner[CW_SITE_SLOTS_MAX]; /* zero: nobody */
	uint64_t serving;			    /* bit per slot */
	uint64_t deadline_ns;
	unsigned int count; /* of members, ourselves first */
	struct cw_site_member member[CW_SITE_MEMBERS_MAX];
	uint64_t refused[CW_SITE_REFUSED_COUNT];
	uint64_t takeovers; /* slots that became ours */
};

/** By which table a site goes. Of two tables of one site the one with the higher ballot counts:
 * epoch first, then proposer, then draw. Epoch 0: none yet. */
struct cw_site_table {
	uint64_t epoch;
	struct cw_node_id proposer;
	uint32_t draw;
	/** A member lives that whoever says this does not hear on the LAN: hosts may be out of its
	 * reach, and tables of their own in force there. */
	bool split;
	uint8_t slots, count; /* 1 to CW_SITE_SLOTS_MAX; of members */
	struct cw_node_id member[CW_SITE_MEMBERS_MAX];
	uint8_t owner[CW_SITE_SLOTS_MAX]; /* index of the member, or CW_SITE_NOBODY */
};

CW_MUST_USE int cw_site_create(struct cw_site **out, const struct cw_site_config *config,
			       const struct cw_site_ops *ops, void *ctx, uint64_t now_ns);
void cw_site_destroy(struct cw_site *site);

/** A link to a node whose certificate names our site is up: keys are agreed over it. @return 0 or
 * -ENOSPC. */
CW_MUST_USE int cw_site_fellow_up(struct cw_site *site, const struct cw_node_id *node,
				  uint64_t now_ns);
void cw_site_fellow_down(struct cw_site *site, const struct cw_node_id *node, uint64_t now_ns);

/** Payload of a frame of CW_SITE_ETHERTYPE. */
void cw_site_lan(struct cw_site *site, const uint8_t *payload, size_t len, uint64_t now_ns);
/** A message that a fellow's send_overlay sent. @p from is authenticated by the link. */
void cw_site_overlay(struct cw_site *site, const struct cw_node_id *from, const uint8_t *data,
		     size_t len, uint64_t now_ns);
/** Some station's frame came from the LAN: we are not deaf. */
void cw_site_lan_heard(struct cw_site *site, uint64_t now_ns);
/** @param health enum cw_site_health bits that are well */
void cw_site_set_health(struct cw_site *site, uint8_t health, uint64_t now_ns);
/** Hand all slots over (and take none), or no longer. */
void cw_site_drain(struct cw_site *site, bool drain, uint64_t now_ns);
/** Nothing is ours any more, and somebody else has it. */
bool cw_site_drained(const struct cw_site *site);
/** @return next deadline */
uint64_t cw_site_timer(struct cw_site *site, uint64_t now_ns);
void cw_site_status(const struct cw_site *site, struct cw_site_status *out);
/** The table that we go by: what peers are told (cw_sites.h). */
void cw_site_table(const struct cw_site *site, struct cw_site_table *out);
/** A peer goes by a table of this site with that epoch, which is above ours: all who knew it are
 * gone. The next table, proposed soon, goes above it. */
void cw_site_outbid(struct cw_site *site, uint64_t epoch, uint64_t now_ns);

/** Name of a refusal, for texts and counters. [any] */
const char *cw_site_refusal_name(enum cw_site_refusal why);

/* -- the table of slots, pure. [any] */

/**
 * To whom a packet of a slot is sent: its owner, or where that one cannot be reached any other
 * member, which delivers it as well.
 * @param reachable a bit per member
 * @return index of the member, or CW_SITE_NOBODY
 */
uint8_t cw_site_pick(const struct cw_site_table *table, unsigned int slot, uint32_t reachable);

/**
 * Deal @p slots slots to @p count members by weight: nobody gets more than its share rounded up,
 * and only what must move moves.
 * @param owner in: index of the present owner, CW_SITE_NOBODY: none or gone; out: the new one
 * @param weight each at least 1
 */
void cw_site_deal(uint8_t *owner, unsigned int slots, const uint16_t *weight, unsigned int count);

#endif /* CW_SITE_H */
