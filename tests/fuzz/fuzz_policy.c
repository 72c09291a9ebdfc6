/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any policy, any packets: the compiled table says what the rules say when they are read one by
 * one, from the top. Six octets, then rules and ranges of 8 octets each, then packets of 40.
 */
#include <string.h>

#include <cw_policy.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RULES_AT = 2, ROW = 8, PACKET_ROW = 40, PEER = 3 };

/* Few addresses and ports, so that they meet. */
static uint32_t ip_of(uint8_t byte)
{
	return UINT32_C(0x0a800000) + byte;
}

struct world {
	struct cw_policy_source s;
	cw_policy_groups peer;
};

static size_t take(struct world *w, const uint8_t *data, size_t size)
{
	size_t at = RULES_AT + 4;

	w->s.default_allow = data[0] & 1;
	w->s.rule_count = data[1] % (CW_POLICY_RULES_MAX + 1);
	w->s.range_count = data[2] % (CW_POLICY_RANGES_MAX + 1);
	w->s.own = (cw_policy_groups)(data[3] * 257);
	w->peer = (cw_policy_groups)(data[4] << 4 | data[5]);
	if (at + ROW * ((size_t)w->s.rule_count + w->s.range_count) > size)
		return 0;
	for (unsigned int i = 0; i < w->s.rule_count; i++, at += ROW) {
		const uint8_t *d = data + at;
		uint16_t a = (uint16_t)(d[4] << 8 | d[5]), b = (uint16_t)(d[6] << 8 | d[7]);

		w->s.rules[i] = (struct cw_policy_rule){
			.allow = d[0] & 1,
			.proto = d[1],
			.from = d[2] & 0x80 ? CW_POLICY_ANY : d[2] % CW_POLICY_GROUPS_MAX,
			.to = d[3] & 0x80 ? CW_POLICY_ANY : d[3] % CW_POLICY_GROUPS_MAX,
			.port_first = a < b ? a : b,
			.port_last = a < b ? b : a};
	}
	for (unsigned int i = 0; i < w->s.range_count; i++, at += ROW) {
		const uint8_t *d = data + at;
		uint8_t first = d[1] < d[2] ? d[1] : d[2], last = d[1] < d[2] ? d[2] : d[1];

		w->s.ranges[i] = (struct cw_policy_range){d[0] % CW_POLICY_GROUPS_MAX,
							  rte_cpu_to_be_32(ip_of(first)),
							  rte_cpu_to_be_32(ip_of(last))};
	}
	return at;
}

static bool belongs(const struct world *w, uint8_t group, uint8_t ip, bool here)
{
	bool in = group == CW_POLICY_ANY || ((here ? w->s.own : w->peer) >> (group % 16) & 1);

	for (unsigned int i = 0; !in && i < w->s.range_count; i++)
		in = w->s.ranges[i].group == group &&
		     ip_of(ip) >= rte_be_to_cpu_32(w->s.ranges[i].first) &&
		     ip_of(ip) <= rte_be_to_cpu_32(w->s.ranges[i].last);
	return in;
}

struct shot {
	uint8_t src, dst, proto;
	uint16_t offset, from, to;
	bool src_here;
};

/* The first rule that fits, read from the top; -1. */
static int first_rule(const struct world *w, const struct shot *k, bool opposite)
{
	bool ported = k->proto == CW_IP_PROTO_TCP || k->proto == CW_IP_PROTO_UDP;
	uint8_t src = opposite ? k->dst : k->src, dst = opposite ? k->src : k->dst;
	bool here = opposite ? !k->src_here : k->src_here;
	uint16_t port = opposite ? k->from : k->to;

	for (unsigned int i = 0; i < w->s.rule_count; i++) {
		const struct cw_policy_rule *r = &w->s.rules[i];
		bool any_port = r->port_first == 0 && r->port_last == UINT16_MAX;
		bool port_fits = any_port;

		if (!any_port && ported)
			port_fits = k->offset != 0 ? r->allow
						   : port >= r->port_first && port <= r->port_last;
		if ((r->proto == 0 || r->proto == k->proto) && port_fits &&
		    belongs(w, r->from, src, here) && belongs(w, r->to, dst, !here))
			return (int)i;
	}
	return CW_POLICY_DEFAULT;
}

static bool allowed(const struct world *w, int rule)
{
	return rule == CW_POLICY_DEFAULT ? w->s.default_allow : w->s.rules[rule].allow;
}

static bool too_short(const struct shot *k, size_t bytes)
{
	if (k->offset != 0)
		return k->proto == CW_IP_PROTO_TCP && k->offset < 3;
	return (k->proto == CW_IP_PROTO_TCP && bytes < 20) ||
	       ((k->proto == CW_IP_PROTO_UDP || k->proto == CW_IP_PROTO_ICMP) && bytes < 8);
}

static bool expected(const struct world *w, const struct shot *k, const uint8_t *payload)
{
	int forward = first_rule(w, k, false), back = first_rule(w, k, true);

	if (allowed(w, forward))
		return true;
	if (k->proto == CW_IP_PROTO_TCP)
		return (k->offset != 0 || (payload[13] & 0x14)) && allowed(w, back);
	if (k->proto == CW_IP_PROTO_ICMP && k->offset == 0) {
		if (payload[0] == 3 || payload[0] == 11 || payload[0] == 12)
			return true;
		if (payload[0] != 0)
			return false;
	}
	return back != CW_POLICY_DEFAULT && allowed(w, back);
}

static void shoot(const struct world *w, const struct cw_policy *p, const uint8_t *d)
{
	uint16_t peer = PEER;
	struct shot k = {.src = d[0],
			 .dst = d[1],
			 .proto = d[2],
			 .src_here = d[3] & 1,
			 .offset = (uint16_t)((d[4] << 8 | d[5]) & CW_IP4_OFFSET),
			 .from = (uint16_t)(d[8] << 8 | d[9]),
			 .to = (uint16_t)(d[10] << 8 | d[11])};
	size_t bytes = d[6] % 32;
	struct cw_policy_packet packet = {.src = rte_cpu_to_be_32(ip_of(k.src)),
					  .dst = rte_cpu_to_be_32(ip_of(k.dst)),
					  .payload = d + 8,
					  .payload_bytes = bytes,
					  .fragment = rte_cpu_to_be_16(k.offset),
					  .proto = k.proto};
	struct cw_policy_side src = cw_policy_side_of(p, packet.src, k.src_here ? NULL : &peer);
	struct cw_policy_side dst = cw_policy_side_of(p, packet.dst, k.src_here ? &peer : NULL);
	struct cw_policy_verdict v = cw_policy_judge(p, &src, &dst, &packet);

	CW_ASSERT(v.malformed == too_short(&k, bytes));
	if (v.malformed)
		CW_ASSERT(!v.pass);
	else
		CW_ASSERT(v.pass == expected(w, &k, d + 8));
	CW_ASSERT(v.rule >= CW_POLICY_DEFAULT && v.rule < w->s.rule_count);
	if (v.pass && !v.answer)
		CW_ASSERT(v.rule == first_rule(w, &k, false));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.peer = 0};
	struct cw_policy *p;
	size_t at;

	if (size < RULES_AT + 4)
		return 0;
	at = take(&w, data, size);
	if (at == 0)
		return 0;
	CW_ASSERT(cw_policy_compile(&p, &w.s) == 0);
	cw_policy_set_peer(p, PEER, w.peer);
	for (; at + PACKET_ROW <= size; at += PACKET_ROW)
		shoot(&w, p, data + at);
	cw_policy_free(p);
	return 0;
}
