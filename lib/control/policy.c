/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The namespace's policy as workers consult it: compiled from the record, filled with the groups
 * that peers bring, published with the view; and what it says of one packet, for `explain`.
 *
 * Invariant: ctl->policy belongs to the published view. It holds the groups of every peer that has
 * keys: link_up notes them before the first SA is agreed.
 */
#include "internal.h"

#include <cw_policy.h>

_Static_assert(CW_POLICY_RULES_MAX == CW_NS_RULES_MAX && CW_POLICY_GROUPS_MAX == CW_NS_GROUPS_MAX &&
		       CW_POLICY_RANGES_MAX == CW_NS_GROUP_RANGES_MAX &&
		       CW_POLICY_ANY == CW_NS_GROUP_ANY && CW_POLICY_PEERS_MAX == CW_PEER_MAX,
	       "the table has room for the record");

/* The hosts behind a gateway: by its certificate's groups, and by its site's. */
static cw_policy_groups groups_of(const struct cw_ns_policy *p, const struct cw_identity *id)
{
	unsigned int groups = 0;

	for (unsigned int g = 0; g < p->group_count; g++)
		for (unsigned int i = 0; i < id->group_count; i++)
			if (strcmp(p->groups[g], id->groups[i]) == 0)
				groups |= 1u << g;
	for (unsigned int i = 0; i < p->site_count; i++)
		if (id->site[0] != '\0' && strcmp(p->sites[i].name, id->site) == 0)
			groups |= 1u << p->sites[i].group;
	return (cw_policy_groups)groups;
}

static void fill(struct cw_policy_source *to, const struct cw_ns_policy *from)
{
	*to = (struct cw_policy_source){.default_allow = !from->default_deny,
					.rule_count = from->rule_count,
					.range_count = from->range_count};
	for (unsigned int i = 0; i < from->rule_count; i++)
		to->rules[i] = (struct cw_policy_rule){.allow = from->rules[i].allow,
						       .proto = from->rules[i].proto,
						       .from = from->rules[i].from,
						       .to = from->rules[i].to,
						       .port_first = from->rules[i].port_first,
						       .port_last = from->rules[i].port_last};
	for (unsigned int i = 0; i < from->range_count; i++)
		to->ranges[i] = (struct cw_policy_range){.group = from->ranges[i].group,
							 .first = from->ranges[i].range.first,
							 .last = from->ranges[i].range.last};
}

int cw_policy_build(const struct cw_control *ctl, struct cw_policy **out)
{
	const struct cw_ns_policy *from = &ctl->ns.policy;
	struct cw_policy_source source;
	int err;

	*out = NULL;
	if (from->rule_count == 0 && !from->default_deny)
		return 0;
	fill(&source, from);
	source.own = groups_of(from, &ctl->config.identity);
	err = cw_policy_compile(out, &source);
	for (uint16_t i = 0; err == 0 && i < CW_PEER_MAX; i++)
		if (ctl->peers[i] != NULL)
			cw_policy_set_peer(*out, i, groups_of(from, &ctl->peers[i]->groups));
	return err;
}

void cw_policy_peer(struct cw_control *ctl, uint16_t index)
{
	if (ctl->policy != NULL)
		cw_policy_set_peer(ctl->policy, index,
				   groups_of(&ctl->ns.policy, &ctl->peers[index]->groups));
}

static void free_policy(struct cw_rcu_head *head)
{
	cw_policy_free(CW_CONTAINER_OF(head, struct cw_policy, rcu));
}

void cw_policy_retire(struct cw_control *ctl, struct cw_policy *old)
{
	if (old != NULL)
		cw_rcu_retire(ctl->config.rcu, &old->rcu, free_policy);
}

/* A packet as an operator names it: whole, and for TCP the one that opens. */
static struct cw_policy_packet imagine(const struct cw_policy_query *q, uint8_t payload[64])
{
	memset(payload, 0, 64);
	payload[0] = (uint8_t)(q->proto == CW_IP_PROTO_ICMP ? 8 : 0); /* echo request */
	payload[2] = (uint8_t)(q->port >> 8);
	payload[3] = (uint8_t)q->port;
	return (struct cw_policy_packet){.src = q->src,
					 .dst = q->dst,
					 .payload = payload,
					 .payload_bytes = 64,
					 .proto = q->proto};
}

/* Without a protocol: every rule that could decide. */
static json_t *candidates(const struct cw_control *ctl, const struct cw_policy_side *src,
			  const struct cw_policy_side *dst)
{
	uint32_t rules = cw_policy_candidates(src, dst);
	char text[CW_NS_RULE_TEXT_BYTES];
	json_t *list = json_array();

	for (unsigned int i = 0; i < ctl->ns.policy.rule_count; i++)
		if (rules & 1u << i)
			json_array_append_new(
				list, json_string(cw_ns_rule_text(&ctl->ns.policy, i, text)));
	json_array_append_new(
		list, json_sprintf("default: %s", ctl->ns.policy.default_deny ? "deny" : "allow"));
	return list;
}

json_t *cw_policy_explain(const struct cw_control *ctl, const struct cw_policy_query *q, bool *pass)
{
	const struct cw_policy *p = ctl->policy;
	struct cw_policy_verdict verdict;
	struct cw_policy_side src, dst;
	struct cw_policy_packet packet;
	char text[CW_NS_RULE_TEXT_BYTES];
	uint8_t payload[64];

	*pass = true;
	if (p == NULL)
		return json_string("none: hosts of one namespace may talk to each other");
	src = cw_policy_side_of(p, q->src, q->outbound ? NULL : &q->peer);
	dst = cw_policy_side_of(p, q->dst, q->outbound ? &q->peer : NULL);
	if (q->proto == 0)
		return json_pack("{s:s, s:o}", "verdict", "depends on protocol and port: name them",
				 "rules", candidates(ctl, &src, &dst));
	packet = imagine(q, payload);
	verdict = cw_policy_judge(p, &src, &dst, &packet);
	*pass = verdict.pass;
	if (verdict.rule != CW_POLICY_DEFAULT)
		cw_ns_rule_text(&ctl->ns.policy, (unsigned int)verdict.rule, text);
	else
		snprintf(text, sizeof(text), "default: %s",
			 ctl->ns.policy.default_deny ? "deny" : "allow");
	return json_pack("{s:s, s:s}", "verdict",
			 !verdict.pass	  ? "refused"
			 : verdict.answer ? "passes as an answer"
					  : "passes",
			 "rule", text);
}
