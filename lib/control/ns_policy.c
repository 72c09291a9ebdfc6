/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A namespace's policy between an operator's words and its record.
 *
 *   --group NAME=MEMBER[,MEMBER...]    ADDRESS, FIRST-LAST, PREFIX/LEN, site:SITE; cert: nobody but
 *                                      those whose gateway's certificate names the group
 *   --rule "allow|deny PROTO [PORTS] from GROUP to GROUP"
 *                                      PROTO any, tcp, udp, icmp or a number; PORTS N, N-M or a
 *                                      list of them (one rule each); GROUP may be any
 *   --default allow|deny               where no rule fits
 *
 * A list that is given replaces the one before, "none" alone empties it. Groups given anew keep the
 * rules, which find theirs by name. Refuses a rule for a group that is not there: a misspelt deny
 * would let everybody through.
 */
#include "internal.h"

#include <stdlib.h>

#include <cw_ip4.h>

#define WORD_BYTES CW_NS_SITE_NAME_BYTES

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{"any", 0}, {"icmp", CW_IP_PROTO_ICMP}, {"tcp", CW_IP_PROTO_TCP}, {"udp", CW_IP_PROTO_UDP}};

/* Up to `stop`, or the end, copied. @return behind it, NULL: too long. */
static const char *take_word(const char *text, char stop, char out[WORD_BYTES])
{
	const char *end = strchrnul(text, stop);
	size_t len = (size_t)(end - text);

	if (len >= WORD_BYTES)
		return NULL;
	memcpy(out, text, len);
	out[len] = '\0';
	return *end != '\0' ? end + 1 : end;
}

static bool number_of(const char *text, long max, long *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	*out = strtol(text, &end, 10);
	return *end == '\0' && *out <= max;
}

static bool parse_range(const char *text, struct cw_ip4_range *out)
{
	char first[WORD_BYTES];
	const char *rest = take_word(text, '-', first);
	struct cw_prefix4 prefix;

	if (strchr(text, '/') != NULL) {
		if (cw_prefix4_parse(text, &prefix) < 0)
			return false;
		out->first = prefix.ip;
		out->last = prefix.ip | ~cw_prefix4_mask(prefix.len);
		return true;
	}
	if (rest == NULL || cw_ip4_parse(first, &out->first) < 0)
		return false;
	out->last = out->first;
	if (*rest != '\0' && cw_ip4_parse(rest, &out->last) < 0)
		return false;
	return rte_be_to_cpu_32(out->first) <= rte_be_to_cpu_32(out->last);
}

static json_t *add_site(struct cw_ns_policy *p, uint8_t group, const char *name)
{
	if (!cw_identity_name_valid(name))
		return cw_query_error("usage", "--group: %s is no name of a site", name);
	if (p->site_count == CW_NS_GROUP_SITES_MAX)
		return cw_query_error("usage", "--group: more than %u sites",
				      CW_NS_GROUP_SITES_MAX);
	p->sites[p->site_count].group = group;
	memcpy(p->sites[p->site_count++].name, name, strlen(name) + 1);
	return NULL;
}

static json_t *add_member(struct cw_namespace_record *ns, uint8_t group, const char *text)
{
	struct cw_ns_policy *p = &ns->policy;
	struct cw_ip4_range range;

	if (strcmp(text, "cert") == 0)
		return NULL;
	if (strncmp(text, "site:", 5) == 0)
		return add_site(p, group, text + 5);
	if (!parse_range(text, &range))
		return cw_query_error(
			"usage",
			"--group: expected ADDRESS, FIRST-LAST, PREFIX/LEN, site:SITE or cert, got %s",
			text);
	if (!cw_prefix4_contains(&ns->subnet, range.first) ||
	    !cw_prefix4_contains(&ns->subnet, range.last))
		return cw_query_error("usage", "--group: %s lies outside the subnet", text);
	if (p->range_count == CW_NS_GROUP_RANGES_MAX)
		return cw_query_error("usage", "--group: more than %u ranges of addresses",
				      CW_NS_GROUP_RANGES_MAX);
	p->ranges[p->range_count].group = group;
	p->ranges[p->range_count++].range = range;
	return NULL;
}

static uint8_t group_of(const struct cw_ns_policy *p, const char *name)
{
	for (uint8_t g = 0; g < p->group_count; g++)
		if (strcmp(p->groups[g], name) == 0)
			return g;
	return CW_NS_GROUP_ANY;
}

static json_t *parse_group(struct cw_namespace_record *ns, const char *text)
{
	struct cw_ns_policy *p = &ns->policy;
	uint8_t group = p->group_count;
	char name[WORD_BYTES], member[WORD_BYTES];
	const char *at = take_word(text, '=', name);
	json_t *error = NULL;

	if (at == NULL || strchr(text, '=') == NULL || *at == '\0')
		return cw_query_error("usage", "--group: expected NAME=MEMBER[,MEMBER...], got %s",
				      text);
	if (!cw_identity_name_valid(name) || strlen(name) >= sizeof(p->groups[0]) ||
	    strcmp(name, "any") == 0)
		return cw_query_error("usage", "--group: %s: 1 to %zu of a-z 0-9 - . _, not any",
				      name, sizeof(p->groups[0]) - 1);
	if (group_of(p, name) != CW_NS_GROUP_ANY)
		return cw_query_error("usage", "--group: %s is there twice", name);
	if (group == CW_NS_GROUPS_MAX)
		return cw_query_error("usage", "--group: more than %u groups", CW_NS_GROUPS_MAX);
	memcpy(p->groups[p->group_count++], name, strlen(name) + 1);
	while (error == NULL && *at != '\0') {
		at = take_word(at, ',', member);
		if (at == NULL)
			return cw_query_error("usage", "--group: a member of %s is too long", name);
		error = add_member(ns, group, member);
	}
	return error;
}

static bool parse_ports(const char *text, struct cw_ns_rule *rule)
{
	char first[WORD_BYTES];
	const char *rest = take_word(text, '-', first);
	long from, to;

	if (rest == NULL || !number_of(first, UINT16_MAX, &from))
		return false;
	to = from;
	if (strchr(text, '-') != NULL && !number_of(rest, UINT16_MAX, &to))
		return false;
	rule->port_first = (uint16_t)from;
	rule->port_last = (uint16_t)to;
	return from <= to;
}

bool cw_ns_protocol_parse(const char *text, uint8_t *out)
{
	long number;

	for (size_t i = 0; i < CW_ARRAY_SIZE(protocols); i++)
		if (strcmp(protocols[i].name, text) == 0) {
			*out = protocols[i].number;
			return true;
		}
	if (!number_of(text, UINT8_MAX, &number) || number == 0)
		return false;
	*out = (uint8_t)number;
	return true;
}

static json_t *parse_end(const struct cw_ns_policy *p, const char *name, uint8_t *out)
{
	*out = group_of(p, name);
	return *out != CW_NS_GROUP_ANY || strcmp(name, "any") == 0
		       ? NULL
		       : cw_query_error("usage", "--rule: there is no group %s", name);
}

/* One rule per range of ports. */
static json_t *add_rules(struct cw_ns_policy *p, struct cw_ns_rule rule, const char *ports)
{
	do {
		char one[WORD_BYTES];

		if (ports[0] != '\0') {
			ports = take_word(ports, ',', one);
			if (ports == NULL || !parse_ports(one, &rule))
				return cw_query_error("usage",
						      "--rule: expected ports as N, N-M or a list");
		}
		if (p->rule_count == CW_NS_RULES_MAX)
			return cw_query_error("usage", "--rule: more than %u rules",
					      CW_NS_RULES_MAX);
		p->rules[p->rule_count++] = rule;
	} while (ports[0] != '\0');
	return NULL;
}

static json_t *parse_rule(struct cw_namespace_record *ns, const char *text)
{
	enum { VERDICT, PROTO, PORTS, FROM_WORD, FROM, TO_WORD, TO, WORDS };
	char words[WORDS][WORD_BYTES];
	struct cw_ns_rule rule = {.port_last = UINT16_MAX};
	unsigned int n = 0;
	json_t *error;

	for (const char *at = text; at != NULL && *at != '\0' && n < WORDS;) {
		/* Without ports the third word is "from". */
		if (n == PORTS && strncmp(at, "from ", 5) == 0)
			words[n++][0] = '\0';
		at = take_word(at, ' ', words[n++]);
		if (at == NULL || (n == WORDS && *at != '\0'))
			n = 0;
	}
	if (n != WORDS || strcmp(words[FROM_WORD], "from") != 0 ||
	    strcmp(words[TO_WORD], "to") != 0 || !cw_ns_protocol_parse(words[PROTO], &rule.proto) ||
	    (strcmp(words[VERDICT], "allow") != 0 && strcmp(words[VERDICT], "deny") != 0))
		return cw_query_error(
			"usage",
			"--rule: expected \"allow|deny PROTO [PORTS] from GROUP to GROUP\", got \"%s\"",
			text);
	if (words[PORTS][0] != '\0' && rule.proto != CW_IP_PROTO_TCP &&
	    rule.proto != CW_IP_PROTO_UDP)
		return cw_query_error("usage", "--rule: only tcp and udp have ports");
	rule.allow = words[VERDICT][0] == 'a';
	error = parse_end(&ns->policy, words[FROM], &rule.from);
	if (error == NULL)
		error = parse_end(&ns->policy, words[TO], &rule.to);
	return error != NULL ? error : add_rules(&ns->policy, rule, words[PORTS]);
}

static json_t *parse_list(struct cw_namespace_record *ns, const json_t *list,
			  json_t *(*parse)(struct cw_namespace_record *ns, const char *text))
{
	json_t *error = NULL;
	const json_t *item;
	size_t i;

	if (cw_ns_list_is_none(list))
		return NULL;
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);

		if (error == NULL)
			error = text != NULL ? parse(ns, text)
					     : cw_query_error("usage", "expected a text");
	}
	return error;
}

/* Rules that stay when groups are given anew: theirs by name. */
static json_t *keep_rules(struct cw_ns_policy *p, const struct cw_ns_policy *old)
{
	json_t *error = NULL;

	for (unsigned int i = 0; error == NULL && i < p->rule_count; i++) {
		struct cw_ns_rule *r = &p->rules[i];

		if (r->from != CW_NS_GROUP_ANY)
			error = parse_end(p, old->groups[r->from], &r->from);
		if (error == NULL && r->to != CW_NS_GROUP_ANY)
			error = parse_end(p, old->groups[r->to], &r->to);
	}
	return error;
}

json_t *cw_ns_policy_parse(const json_t *args, struct cw_namespace_record *ns)
{
	const json_t *groups = json_object_get(args, "group"),
		     *rules = json_object_get(args, "rule");
	const char *otherwise = json_string_value(json_object_get(args, "default"));
	struct cw_ns_policy old = ns->policy, *p = &ns->policy;
	json_t *error = NULL;

	if (otherwise != NULL && strcmp(otherwise, "allow") != 0 && strcmp(otherwise, "deny") != 0)
		return cw_query_error("usage", "--default: allow or deny");
	if (otherwise != NULL)
		p->default_deny = otherwise[0] == 'd';
	if (json_array_size(rules) > 0) {
		p->rule_count = 0;
		memset(p->rules, 0, sizeof(p->rules));
	}
	if (json_array_size(groups) > 0) {
		p->group_count = p->range_count = p->site_count = 0;
		memset(p->groups, 0, sizeof(p->groups));
		memset(p->ranges, 0, sizeof(p->ranges));
		memset(p->sites, 0, sizeof(p->sites));
		error = parse_list(ns, groups, parse_group);
		if (error == NULL)
			error = keep_rules(p, &old);
	}
	return error != NULL ? error : parse_list(ns, rules, parse_rule);
}

const char *cw_ns_rule_text(const struct cw_ns_policy *p, unsigned int rule,
			    char out[CW_NS_RULE_TEXT_BYTES])
{
	const struct cw_ns_rule *r = &p->rules[rule];
	char proto[8], ports[16] = "";

	snprintf(proto, sizeof(proto), "%u", r->proto);
	for (size_t i = 0; i < CW_ARRAY_SIZE(protocols); i++)
		if (protocols[i].number == r->proto)
			snprintf(proto, sizeof(proto), "%s", protocols[i].name);
	if (r->port_first != 0 || r->port_last != UINT16_MAX)
		snprintf(ports, sizeof(ports), r->port_first == r->port_last ? " %u" : " %u-%u",
			 r->port_first, r->port_last);
	snprintf(out, CW_NS_RULE_TEXT_BYTES, "%u: %s %s%s from %s to %s", rule + 1,
		 r->allow ? "allow" : "deny", proto, ports,
		 r->from == CW_NS_GROUP_ANY ? "any" : p->groups[r->from],
		 r->to == CW_NS_GROUP_ANY ? "any" : p->groups[r->to]);
	return out;
}

static json_t *show_members(const struct cw_ns_policy *p, unsigned int group)
{
	json_t *list = json_array();
	char first[CW_IP4_TEXT_BYTES], last[CW_IP4_TEXT_BYTES];

	for (unsigned int i = 0; i < p->range_count; i++) {
		const struct cw_ip4_range *r = &p->ranges[i].range;

		if (p->ranges[i].group == group)
			json_array_append_new(list,
					      r->first == r->last
						      ? json_string(cw_ip4_format(r->first, first))
						      : json_sprintf("%s-%s",
								     cw_ip4_format(r->first, first),
								     cw_ip4_format(r->last, last)));
	}
	for (unsigned int i = 0; i < p->site_count; i++)
		if (p->sites[i].group == group)
			json_array_append_new(list, json_sprintf("site:%s", p->sites[i].name));
	return list;
}

json_t *cw_ns_policy_show(const struct cw_ns_policy *p)
{
	json_t *groups = json_object(), *rules = json_array();
	char text[CW_NS_RULE_TEXT_BYTES];

	for (unsigned int g = 0; g < p->group_count; g++)
		json_object_set_new(groups, p->groups[g], show_members(p, g));
	for (unsigned int i = 0; i < p->rule_count; i++)
		json_array_append_new(rules, json_string(cw_ns_rule_text(p, i, text)));
	return json_pack("{s:s, s:o, s:o}", "default", p->default_deny ? "deny" : "allow", "groups",
			 groups, "rules", rules);
}
