/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiling a policy, and judging a packet by it.
 *
 * Compiled: sorted bounds cut addresses and ports into intervals, and for each interval stands
 * which rules it fits. Judging: AND of words, lowest bit. It knows no names: those are control's.
 *
 * Invariant: the numbers of a packet never index anything but by_proto (256 entries) and what
 * cw_policy_interval counted (at most as many as there are bounds).
 */
#include "cw_policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cw_tcp.h>
#include <cw_udp.h>

enum { TCP_RST = 0x04, TCP_ACK = 0x10, TCP_FLAGS_AT = 13 };
enum { ICMP_ECHO_REPLY = 0, ICMP_UNREACHABLE = 3, ICMP_TIME_EXCEEDED = 11, ICMP_PARAMETER = 12 };

static bool valid(const struct cw_policy_source *s)
{
	if (s->rule_count > CW_POLICY_RULES_MAX || s->range_count > CW_POLICY_RANGES_MAX)
		return false;
	for (unsigned int i = 0; i < s->rule_count; i++) {
		const struct cw_policy_rule *r = &s->rules[i];

		if ((r->from != CW_POLICY_ANY && r->from >= CW_POLICY_GROUPS_MAX) ||
		    (r->to != CW_POLICY_ANY && r->to >= CW_POLICY_GROUPS_MAX) ||
		    r->port_first > r->port_last)
			return false;
	}
	for (unsigned int i = 0; i < s->range_count; i++)
		if (s->ranges[i].group >= CW_POLICY_GROUPS_MAX ||
		    rte_be_to_cpu_32(s->ranges[i].first) > rte_be_to_cpu_32(s->ranges[i].last))
			return false;
	return true;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorted, what is over filled up; two equal bounds make an interval that nothing falls into. */
static void sort_bounds(struct cw_policy_bounds *b)
{
	qsort(b->at, b->count, sizeof(b->at[0]), compare);
	while (b->count % 8 != 0)
		b->at[b->count++] = UINT32_MAX;
}

static bool is_ported(const struct cw_policy_rule *r)
{
	return r->port_first != 0 || r->port_last != UINT16_MAX;
}

static struct cw_policy_side side_of_groups(const struct cw_policy *p, cw_policy_groups groups)
{
	struct cw_policy_side side = p->by_nothing;

	for (unsigned int g = 0; g < CW_POLICY_GROUPS_MAX; g++)
		if (groups & 1u << g) {
			side.from |= p->by_group[g].from;
			side.to |= p->by_group[g].to;
		}
	return side;
}

static void compile_rules(struct cw_policy *p, const struct cw_policy_source *s)
{
	for (unsigned int i = 0; i < s->rule_count; i++) {
		const struct cw_policy_rule *r = &s->rules[i];
		uint32_t bit = UINT32_C(1) << i;

		p->allow |= r->allow ? bit : 0;
		p->ported |= is_ported(r) ? bit : 0;
		for (unsigned int proto = 0; proto < 256; proto++)
			p->by_proto[proto] |= r->proto == 0 || r->proto == proto ? bit : 0;
		if (r->from == CW_POLICY_ANY)
			p->by_nothing.from |= bit;
		else
			p->by_group[r->from].from |= bit;
		if (r->to == CW_POLICY_ANY)
			p->by_nothing.to |= bit;
		else
			p->by_group[r->to].to |= bit;
		if (is_ported(r)) {
			p->ports.at[p->ports.count++] = r->port_first;
			p->ports.at[p->ports.count++] = r->port_last + 1u;
		}
	}
}

/* Interval i begins at bound i - 1; which rules its ports fit. */
static void compile_ports(struct cw_policy *p, const struct cw_policy_source *s)
{
	sort_bounds(&p->ports);
	for (uint32_t i = 0; i <= p->ports.count; i++) {
		uint32_t port = i == 0 ? 0 : p->ports.at[i - 1];

		for (unsigned int r = 0; r < s->rule_count; r++)
			if (port >= s->rules[r].port_first && port <= s->rules[r].port_last)
				p->by_port[i] |= UINT32_C(1) << r;
	}
}

static void compile_addresses(struct cw_policy *p, const struct cw_policy_source *s)
{
	for (unsigned int i = 0; i < s->range_count; i++) {
		uint32_t last = rte_be_to_cpu_32(s->ranges[i].last);

		p->addresses.at[p->addresses.count++] = rte_be_to_cpu_32(s->ranges[i].first);
		p->addresses.at[p->addresses.count++] = last == UINT32_MAX ? last : last + 1;
	}
	sort_bounds(&p->addresses);
	for (uint32_t i = 0; i <= p->addresses.count; i++) {
		uint32_t ip = i == 0 ? 0 : p->addresses.at[i - 1];
		cw_policy_groups groups = 0;

		for (unsigned int r = 0; r < s->range_count; r++)
			if (ip >= rte_be_to_cpu_32(s->ranges[r].first) &&
			    ip <= rte_be_to_cpu_32(s->ranges[r].last))
				groups |= (cw_policy_groups)(1u << s->ranges[r].group);
		p->by_address[i] = side_of_groups(p, groups);
	}
}

int cw_policy_compile(struct cw_policy **out, const struct cw_policy_source *source)
{
	struct cw_policy *p;

	_Static_assert(CW_POLICY_BOUNDS_MAX >= 2 * CW_POLICY_RANGES_MAX, "room for every bound");
	_Static_assert(CW_POLICY_BOUNDS_MAX % 8 == 0, "whole vectors");
	if (!valid(source))
		return -EINVAL;
	p = aligned_alloc(_Alignof(struct cw_policy), sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	p->default_allow = source->default_allow;
	p->rule_count = source->rule_count;
	compile_rules(p, source);
	compile_ports(p, source);
	compile_addresses(p, source);
	p->own = side_of_groups(p, source->own);
	*out = p;
	return 0;
}

void cw_policy_free(struct cw_policy *policy)
{
	free(policy);
}

void cw_policy_set_peer(struct cw_policy *policy, uint16_t peer, cw_policy_groups groups)
{
	struct cw_policy_side side = side_of_groups(policy, groups);

	if (peer < CW_POLICY_PEERS_MAX)
		__atomic_store_n(&policy->by_peer[peer], (uint64_t)side.from << 32 | side.to,
				 __ATOMIC_RELAXED);
}

/* What of the rules one direction of a packet fits. */
struct sight {
	uint32_t proto; /* rules of its protocol */
	bool ports;	/* it has them */
	bool later;	/* a fragment behind the first: it has none to show */
};

static inline uint32_t fitting(const struct cw_policy *p, const struct sight *s,
			       const struct cw_policy_side *src, const struct cw_policy_side *dst,
			       uint16_t port)
{
	uint32_t rules = src->from & dst->to & s->proto;

	if (s->ports)
		return rules & p->by_port[cw_policy_interval(&p->ports, port)];
	return rules & ~(s->later ? p->ported & ~p->allow : p->ported);
}

static inline bool allows(const struct cw_policy *p, uint32_t rules)
{
	/* The lowest bit alone. */
	return rules != 0 ? (rules & -rules & p->allow) != 0 : p->default_allow;
}

static inline int rule_of(uint32_t rules)
{
	return rules != 0 ? __builtin_ctz(rules) : CW_POLICY_DEFAULT;
}

/* A first fragment that hides what is judged, and the second that would overwrite it. */
static bool is_malformed(const struct cw_policy_packet *k, uint16_t offset)
{
	if (offset != 0)
		return k->proto == CW_IP_PROTO_TCP && offset * 8u < CW_TCP_BYTES;
	switch (k->proto) {
	case CW_IP_PROTO_TCP:
		return k->payload_bytes < CW_TCP_BYTES;
	case CW_IP_PROTO_UDP:
		return k->payload_bytes < CW_UDP_BYTES;
	case CW_IP_PROTO_ICMP:
		return k->payload_bytes < 8;
	default:
		return false;
	}
}

static bool is_icmp_error(uint8_t type)
{
	return type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER;
}

/* May it pass because the opposite way is allowed? */
static bool is_answer(const struct cw_policy *p, const struct cw_policy_packet *k, bool later,
		      uint32_t opposite)
{
	if (k->proto == CW_IP_PROTO_TCP)
		return (later || k->payload[TCP_FLAGS_AT] & (TCP_ACK | TCP_RST)) &&
		       allows(p, opposite);
	if (k->proto == CW_IP_PROTO_ICMP && !later && k->payload[0] != ICMP_ECHO_REPLY)
		return false;
	return opposite != 0 && allows(p, opposite);
}

struct cw_policy_verdict cw_policy_judge(const struct cw_policy *p,
					 const struct cw_policy_side *src,
					 const struct cw_policy_side *dst,
					 const struct cw_policy_packet *k)
{
	uint16_t offset = rte_be_to_cpu_16(k->fragment) & CW_IP4_OFFSET, from = 0, to = 0;
	bool has_ports = k->proto == CW_IP_PROTO_TCP || k->proto == CW_IP_PROTO_UDP;
	struct sight s = {.proto = p->by_proto[k->proto],
			  .ports = has_ports && offset == 0,
			  .later = has_ports && offset != 0};
	uint32_t rules, opposite;

	if (CW_UNLIKELY(is_malformed(k, offset)))
		return (struct cw_policy_verdict){.malformed = true, .rule = CW_POLICY_DEFAULT};
	if (s.ports) {
		from = (uint16_t)(k->payload[0] << 8 | k->payload[1]);
		to = (uint16_t)(k->payload[2] << 8 | k->payload[3]);
	}
	rules = fitting(p, &s, src, dst, to);
	if (CW_LIKELY(allows(p, rules)))
		return (struct cw_policy_verdict){.pass = true, .rule = rule_of(rules)};
	if (k->proto == CW_IP_PROTO_ICMP && offset == 0 && is_icmp_error(k->payload[0]))
		return (struct cw_policy_verdict){
			.pass = true, .answer = true, .rule = CW_POLICY_DEFAULT};
	opposite = fitting(p, &s, dst, src, from);
	if (is_answer(p, k, offset != 0, opposite))
		return (struct cw_policy_verdict){
			.pass = true, .answer = true, .rule = rule_of(opposite)};
	return (struct cw_policy_verdict){.rule = rule_of(rules)};
}
