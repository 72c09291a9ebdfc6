/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_POLICY_H
#define CW_POLICY_H

/**
 * @file
 * The namespace's policy, compiled: who of its hosts may begin to talk to whom, by what.
 *
 * A policy is an ordered list of at most 32 rules; the first that fits decides, and where none fits
 * the default does. A rule fits by the groups of both addresses, by protocol and by destination
 * port. Groups are sets of addresses (of the record) and of gateways (whose certificates name the
 * group, or whose site the record names): a host belongs to those of its address and to those of
 * the gateway that speaks for it.
 *
 * Compiled, each rule is a bit. An address, a peer, a protocol and a port each give the word of
 * rules they fit; AND of the words is the rules that fit the packet, its lowest bit the one that
 * decides. No search grows with anything but the bounds below.
 *
 * There is no table of connections, so answers are told by what a packet says of itself:
 *  - TCP: a segment that opens nothing (ACK or RST is set) passes also where the opposite way is
 *    allowed. Without the SYN there is nobody to speak to.
 *  - UDP: passes also where a rule (not the default) allows the opposite way; so does an ICMP echo
 *    reply.
 *  - ICMP errors (types 3, 11, 12) always pass: without them path MTU discovery dies.
 *  - Fragments behind the first have no ports: rules that allow fit them by everything else, rules
 *    with ports that deny do not. The first one is judged in full, and without it nothing is put
 *    together; one too short to be judged ends (RFC 1858, RFC 3128).
 *
 * Published whole under RCU with the namespace's view; valid until the reader's next quiescent
 * state. One array is written later: what groups a peer brings (cw_policy_set_peer). Addresses and
 * ports big endian as on the wire; numbers of groups and rules count from 0.
 */
#include <cw_ip4.h>
#include <cw_rcu.h>

/** Bits of one word. */
#define CW_POLICY_RULES_MAX 32u
/** Bits of cw_policy_groups. */
#define CW_POLICY_GROUPS_MAX 16u
/** Ranges of addresses over all groups: the search stays within four cache lines. */
#define CW_POLICY_RANGES_MAX 32u
/** As cw_peer.h's CW_PEER_MAX. */
#define CW_POLICY_PEERS_MAX 10240u
/** A rule's group that is everybody, and the number of "no rule fits: the default". */
#define CW_POLICY_ANY	  UINT8_MAX
#define CW_POLICY_DEFAULT (-1)

/** A set of groups. */
typedef uint16_t cw_policy_groups;

struct cw_policy_rule {
	bool allow;
	uint8_t proto;			/* IPv4 protocol number; 0: every */
	uint8_t from, to;		/* group, or CW_POLICY_ANY */
	uint16_t port_first, port_last; /* host order, inclusive; 0 to 65535: every */
};

struct cw_policy_range {
	uint8_t group;
	rte_be32_t first, last; /* inclusive */
};

/** What is compiled. */
struct cw_policy_source {
	bool default_allow;
	uint8_t rule_count, range_count;
	struct cw_policy_rule rules[CW_POLICY_RULES_MAX];
	struct cw_policy_range ranges[CW_POLICY_RANGES_MAX];
	cw_policy_groups own; /* what hosts of this gateway belong to whatever their address */
};

/** Rules that fit one side of a packet as its source, and as its destination. */
struct cw_policy_side {
	uint32_t from, to;
};

/** Two bounds per range or rule, and the search runs over whole vectors of eight. */
#define CW_POLICY_BOUNDS_MAX (2u * CW_POLICY_RULES_MAX)

struct cw_policy_bounds {
	uint32_t count; /* a multiple of eight: what is over is UINT32_MAX */
	uint32_t at[CW_POLICY_BOUNDS_MAX] __attribute__((aligned(64)));
};

struct cw_policy {
	struct cw_rcu_head rcu;
	uint32_t allow;	 /* rules that allow */
	uint32_t ported; /* rules that look at ports */
	bool default_allow;
	uint8_t rule_count;
	struct cw_policy_side own;
	struct cw_policy_bounds addresses, ports;
	struct cw_policy_side by_address[CW_POLICY_BOUNDS_MAX + 1];
	uint32_t by_port[CW_POLICY_BOUNDS_MAX + 1];
	uint32_t by_proto[256];
	struct cw_policy_side by_group[CW_POLICY_GROUPS_MAX], by_nothing;
	/* control: w, workers: r, as one relaxed 64-bit word */
	uint64_t by_peer[CW_POLICY_PEERS_MAX];
};

/** [control] @return 0, -ENOMEM, -EINVAL (a number out of its range). */
CW_MUST_USE int cw_policy_compile(struct cw_policy **out, const struct cw_policy_source *source);
/** [control] One that was never published, or is past its grace period. */
void cw_policy_free(struct cw_policy *policy);
/** [control] The groups that hosts behind a peer belong to. Before the peer has keys: until then it
 * brings none. */
void cw_policy_set_peer(struct cw_policy *policy, uint16_t peer, cw_policy_groups groups);

/** What a packet says that the policy looks at. */
struct cw_policy_packet {
	rte_be32_t src, dst;
	const uint8_t *payload; /* behind the IPv4 header */
	size_t payload_bytes;	/* of it that are here */
	rte_be16_t fragment;	/* the header's own field */
	uint8_t proto;
};

struct cw_policy_verdict {
	bool pass;
	bool malformed; /* too short to be judged: ends whatever the rules say */
	bool answer;	/* passes as an answer only: the rule is that of the opposite way */
	int rule;	/* which decided, or CW_POLICY_DEFAULT */
};

/** A side's words. @p peer: who speaks for the address, or NULL for this gateway. */
static inline struct cw_policy_side cw_policy_side_of(const struct cw_policy *p, rte_be32_t ip,
						      const uint16_t *peer);

/** [worker] [control] */
struct cw_policy_verdict cw_policy_judge(const struct cw_policy *policy,
					 const struct cw_policy_side *src,
					 const struct cw_policy_side *dst,
					 const struct cw_policy_packet *packet);

/** Rules that fit the two sides, whatever protocol and port: for the operator. */
static inline uint32_t cw_policy_candidates(const struct cw_policy_side *src,
					    const struct cw_policy_side *dst)
{
	return src->from & dst->to;
}

/** How many bounds are at or below @p value: the number of its interval. */
static inline uint32_t cw_policy_interval(const struct cw_policy_bounds *bounds, uint32_t value)
{
	typedef uint32_t words __attribute__((vector_size(16), may_alias));
	const words *at = (const words *)bounds->at;
	words v = {value, value, value, value}, a = {0}, b = {0};

	/* A comparison that holds is all ones, that is -1. */
	for (uint32_t i = 0; i < bounds->count / 4; i += 2) {
		a -= (words)(at[i] <= v);
		b -= (words)(at[i + 1] <= v);
	}
	a += b;
	return a[0] + a[1] + a[2] + a[3];
}

static inline struct cw_policy_side cw_policy_side_of(const struct cw_policy *p, rte_be32_t ip,
						      const uint16_t *peer)
{
	struct cw_policy_side side =
		p->by_address[cw_policy_interval(&p->addresses, rte_be_to_cpu_32(ip))];
	uint64_t word;

	if (peer == NULL)
		return (struct cw_policy_side){side.from | p->own.from, side.to | p->own.to};
	word = *peer < CW_POLICY_PEERS_MAX ? __atomic_load_n(&p->by_peer[*peer], __ATOMIC_RELAXED)
					   : 0;
	return (struct cw_policy_side){side.from | (uint32_t)(word >> 32),
				       side.to | (uint32_t)word};
}

#endif /* CW_POLICY_H */
