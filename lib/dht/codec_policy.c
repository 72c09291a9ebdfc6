/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A namespace's policy between its struct and its protobuf form. Numbers stand as fixed octets, big
 * endian; what names a group that is not there is refused with the whole record.
 */
#include "internal.h"

#define RANGE_BYTES 9u
#define RULE_BYTES  8u

struct packed_policy {
	char *groups[CW_NS_GROUPS_MAX];
	uint8_t ranges[CW_NS_GROUP_RANGES_MAX * RANGE_BYTES];
	Causeway__Dht__GroupSite sites[CW_NS_GROUP_SITES_MAX], *site_at[CW_NS_GROUP_SITES_MAX];
	uint8_t rules[CW_NS_RULES_MAX * RULE_BYTES];
};

static void pack_rule(const struct cw_ns_rule *r, uint8_t *to)
{
	const uint8_t bytes[RULE_BYTES] = {r->allow,
					   r->proto,
					   r->from,
					   r->to,
					   (uint8_t)(r->port_first >> 8),
					   (uint8_t)r->port_first,
					   (uint8_t)(r->port_last >> 8),
					   (uint8_t)r->port_last};

	memcpy(to, bytes, sizeof(bytes));
}

void policy_pack(struct arena *a, const struct cw_ns_policy *from, Causeway__Dht__Namespace *out)
{
	struct packed_policy *p;

	out->default_deny = from->default_deny;
	if (from->group_count == 0 && from->rule_count == 0)
		return;
	p = arena_get(a, sizeof(*p));
	out->n_groups = from->group_count;
	out->groups = p->groups;
	for (unsigned int i = 0; i < from->group_count; i++)
		p->groups[i] = (char *)(uintptr_t)from->groups[i];
	for (unsigned int i = 0; i < from->range_count; i++) {
		uint8_t *to = p->ranges + (size_t)i * RANGE_BYTES;

		to[0] = from->ranges[i].group;
		memcpy(to + 1, &from->ranges[i].range.first, 4);
		memcpy(to + 5, &from->ranges[i].range.last, 4);
	}
	out->group_ranges = bytes_view(p->ranges, from->range_count * (size_t)RANGE_BYTES);
	out->n_group_sites = from->site_count;
	out->group_sites = p->site_at;
	for (unsigned int i = 0; i < from->site_count; i++) {
		causeway__dht__group_site__init(&p->sites[i]);
		p->sites[i].group = from->sites[i].group;
		p->sites[i].site = (char *)(uintptr_t)from->sites[i].name;
		p->site_at[i] = &p->sites[i];
	}
	for (unsigned int i = 0; i < from->rule_count; i++)
		pack_rule(&from->rules[i], p->rules + (size_t)i * RULE_BYTES);
	out->rules = bytes_view(p->rules, from->rule_count * (size_t)RULE_BYTES);
}

static bool take_text(const char *in, char *out, size_t size)
{
	size_t len = strlen(in);

	if (len == 0 || len >= size)
		return false;
	memcpy(out, in, len + 1);
	return true;
}

static bool unpack_groups(const Causeway__Dht__Namespace *in, struct cw_ns_policy *out)
{
	if (in->n_groups > CW_NS_GROUPS_MAX || in->n_group_sites > CW_NS_GROUP_SITES_MAX)
		return false;
	for (size_t i = 0; i < in->n_groups; i++)
		if (!take_text(in->groups[i], out->groups[out->group_count++],
			       sizeof(out->groups[0])))
			return false;
	for (size_t i = 0; i < in->n_group_sites; i++) {
		if (in->group_sites[i]->group >= CW_NS_GROUPS_MAX ||
		    !take_text(in->group_sites[i]->site, out->sites[i].name,
			       sizeof(out->sites[i].name)))
			return false;
		out->sites[i].group = (uint8_t)in->group_sites[i]->group;
		out->site_count++;
	}
	return true;
}

bool policy_unpack(const Causeway__Dht__Namespace *in, struct cw_ns_policy *out)
{
	const uint8_t *at = in->group_ranges.data, *rule = in->rules.data;

	if (in->group_ranges.len % RANGE_BYTES != 0 || in->rules.len % RULE_BYTES != 0 ||
	    in->group_ranges.len / RANGE_BYTES > CW_NS_GROUP_RANGES_MAX ||
	    in->rules.len / RULE_BYTES > CW_NS_RULES_MAX || !unpack_groups(in, out))
		return false;
	out->default_deny = in->default_deny;
	out->range_count = (uint8_t)(in->group_ranges.len / RANGE_BYTES);
	for (unsigned int i = 0; i < out->range_count; i++, at += RANGE_BYTES) {
		out->ranges[i].group = at[0];
		memcpy(&out->ranges[i].range.first, at + 1, 4);
		memcpy(&out->ranges[i].range.last, at + 5, 4);
	}
	out->rule_count = (uint8_t)(in->rules.len / RULE_BYTES);
	for (unsigned int i = 0; i < out->rule_count; i++, rule += RULE_BYTES)
		out->rules[i] =
			(struct cw_ns_rule){.allow = rule[0] == 1,
					    .proto = rule[1],
					    .from = rule[2],
					    .to = rule[3],
					    .port_first = (uint16_t)(rule[4] << 8 | rule[5]),
					    .port_last = (uint16_t)(rule[6] << 8 | rule[7])};
	return cw_ns_policy_valid(out);
}
