/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers as JSON objects, as they stand in etcd: an operator reads them with etcdctl. Beside the
 * record stands who made this version ("rid"), so that a write whose answer was lost is found
 * again.
 *
 * Others may write there too; what does not parse is refused whole.
 */
#include "etcd.h"

#include <stdio.h>
#include <string.h>

static const char *const client_states[] = {
	[CW_CLIENT_NONE] = "none", [CW_CLIENT_BOUND] = "bound", [CW_CLIENT_DECLINED] = "declined"};

void etcd_hex(const void *data, size_t len, char *out)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", b[i]);
}

static json_t *hex_json(const void *data, size_t len)
{
	char text[2 * CW_STORE_VALUE_BYTES + 1] = "";

	etcd_hex(data, len, text);
	return json_string(text);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_parse(const json_t *json, void *out, size_t len)
{
	const char *text = json_string_value(json);
	uint8_t *b = out;

	if (text == NULL || strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int hi = digit(text[2 * i]), lo = digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		b[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static json_t *ip_json(rte_be32_t ip)
{
	char text[CW_IP4_TEXT_BYTES];

	return json_string(cw_ip4_format(ip, text));
}

static bool ip_parse(const json_t *json, rte_be32_t *out)
{
	const char *text = json_string_value(json);

	return text != NULL && cw_ip4_parse(text, out) == 0;
}

static uint64_t number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static bool text_parse(const json_t *json, char *out, size_t size)
{
	const char *text = json_string_value(json);

	if (text == NULL || strlen(text) >= size)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

static json_t *with_maker(json_t *json, const struct etcd_maker *maker)
{
	json_object_set_new(json, "rid", json_string(maker->rid));
	if (maker->old_cover_ns != 0)
		json_object_set_new(json, "old_cover_ns",
				    json_integer((json_int_t)maker->old_cover_ns));
	return json;
}

static void maker_parse(const json_t *json, struct etcd_maker *maker)
{
	if (maker == NULL)
		return;
	*maker = (struct etcd_maker){.old_cover_ns = number(json, "old_cover_ns")};
	text_parse(json_object_get(json, "rid"), maker->rid, sizeof(maker->rid));
}

static json_t *entry_json(const struct cw_mapping_entry *e)
{
	return json_pack("{s:o, s:o, s:I, s:I, s:b}", "node",
			 hex_json(e->node.b, sizeof(e->node.b)), "site",
			 hex_json(e->site.b, sizeof(e->site.b)), "sgen", (json_int_t)e->sgen,
			 "cover_ns", (json_int_t)e->cover_ns, "stopped", e->stopped);
}

json_t *etcd_mapping_json(const struct cw_mapping *m, const struct etcd_maker *maker)
{
	json_t *entries = json_array(), *json;
	char mac[CW_MAC_TEXT_BYTES];

	for (unsigned int i = 0; i < m->entry_count; i++)
		json_array_append_new(entries, entry_json(&m->entries[i]));
	json = json_pack("{s:I, s:I, s:b, s:s, s:o, s:s, s:b, s:o, s:o, s:o}", "ver",
			 (json_int_t)m->ver, "gen", (json_int_t)m->gen, "held", m->held,
			 "client_state", client_states[m->client_state], "client",
			 hex_json(m->client.b, sizeof(m->client.b)), "mac",
			 cw_mac_format(&m->mac, mac), "owned", m->owned, "owner",
			 hex_json(m->owner.b, sizeof(m->owner.b)), "site",
			 hex_json(m->owner_site.b, sizeof(m->owner_site.b)), "entries", entries);
	return with_maker(json, maker);
}

static bool entry_parse(const json_t *json, struct cw_mapping_entry *out)
{
	out->sgen = number(json, "sgen");
	out->cover_ns = number(json, "cover_ns");
	out->stopped = json_is_true(json_object_get(json, "stopped"));
	return hex_parse(json_object_get(json, "node"), out->node.b, sizeof(out->node.b)) &&
	       hex_parse(json_object_get(json, "site"), out->site.b, sizeof(out->site.b));
}

bool etcd_mapping_parse(const json_t *json, struct cw_mapping *out, struct etcd_maker *maker)
{
	const json_t *entries = json_object_get(json, "entries");
	const char *state = json_string_value(json_object_get(json, "client_state"));
	const char *mac = json_string_value(json_object_get(json, "mac"));

	*out = (struct cw_mapping){0};
	maker_parse(json, maker);
	if (json == NULL)
		return true;
	out->ver = number(json, "ver");
	out->gen = number(json, "gen");
	out->held = json_is_true(json_object_get(json, "held"));
	out->owned = json_is_true(json_object_get(json, "owned"));
	out->client_state = UINT8_MAX;
	for (uint8_t i = 0; state != NULL && i < CW_ARRAY_SIZE(client_states); i++)
		if (strcmp(state, client_states[i]) == 0)
			out->client_state = i;
	if (out->client_state == UINT8_MAX || mac == NULL || cw_mac_parse(mac, &out->mac) < 0 ||
	    json_array_size(entries) > CW_MAPPING_ENTRIES_MAX ||
	    !hex_parse(json_object_get(json, "client"), out->client.b, sizeof(out->client.b)) ||
	    !hex_parse(json_object_get(json, "owner"), out->owner.b, sizeof(out->owner.b)) ||
	    !hex_parse(json_object_get(json, "site"), out->owner_site.b, sizeof(out->owner_site.b)))
		return false;
	for (; out->entry_count < json_array_size(entries); out->entry_count++)
		if (!entry_parse(json_array_get(entries, out->entry_count),
				 &out->entries[out->entry_count]))
			return false;
	return true;
}

static json_t *ips_json(const rte_be32_t *ips, unsigned int count)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(list, ip_json(ips[i]));
	return list;
}

static bool ips_parse(const json_t *list, rte_be32_t *ips, uint8_t *count)
{
	if (json_array_size(list) > CW_NS_SERVERS_MAX)
		return false;
	for (*count = 0; *count < json_array_size(list); (*count)++)
		if (!ip_parse(json_array_get(list, *count), &ips[*count]))
			return false;
	return true;
}

static json_t *boot_json(const struct cw_ns_boot *boot)
{
	return json_pack("{s:o, s:s}", "next_server", ip_json(boot->next_server), "file",
			 boot->file);
}

static bool boot_parse(const json_t *json, struct cw_ns_boot *out)
{
	return json == NULL ||
	       (ip_parse(json_object_get(json, "next_server"), &out->next_server) &&
		text_parse(json_object_get(json, "file"), out->file, sizeof(out->file)));
}

static bool extra_parse(const json_t *json, uint8_t *out, size_t size, uint8_t *bytes)
{
	size_t len = json == NULL ? 0 : json_string_length(json) / 2;

	if (len > size || (len > 0 && !hex_parse(json, out, len)) || !cw_ns_extra_valid(out, len))
		return false;
	*bytes = (uint8_t)len;
	return true;
}

static json_t *hosts_json(const struct cw_namespace_record *ns)
{
	json_t *hosts = json_array();

	for (unsigned int i = 0; i < ns->host_count; i++)
		json_array_append_new(hosts, json_pack("[o, o]", hex_json(ns->hosts[i].mac.b, 6),
						       ip_json(ns->hosts[i].ip)));
	return hosts;
}

static bool hosts_parse(const json_t *list, struct cw_namespace_record *out)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) > CW_NS_HOSTS_MAX)
		return false;
	json_array_foreach(list, i, item)
	{
		struct cw_ns_host *h = &out->hosts[out->host_count++];

		if (!hex_parse(json_array_get(item, 0), h->mac.b, 6) ||
		    !ip_parse(json_array_get(item, 1), &h->ip))
			return false;
	}
	return true;
}

static json_t *policy_json(const struct cw_ns_policy *p)
{
	json_t *groups = json_array(), *ranges = json_array(), *sites = json_array();
	json_t *rules = json_array();

	for (unsigned int i = 0; i < p->group_count; i++)
		json_array_append_new(groups, json_string(p->groups[i]));
	for (unsigned int i = 0; i < p->range_count; i++)
		json_array_append_new(ranges, json_pack("[i, o, o]", (int)p->ranges[i].group,
							ip_json(p->ranges[i].range.first),
							ip_json(p->ranges[i].range.last)));
	for (unsigned int i = 0; i < p->site_count; i++)
		json_array_append_new(
			sites, json_pack("[i, s]", (int)p->sites[i].group, p->sites[i].name));
	for (unsigned int i = 0; i < p->rule_count; i++) {
		const struct cw_ns_rule *r = &p->rules[i];

		json_array_append_new(rules, json_pack("[b, i, i, i, i, i]", r->allow,
						       (int)r->proto, (int)r->from, (int)r->to,
						       (int)r->port_first, (int)r->port_last));
	}
	return json_pack("{s:b, s:o, s:o, s:o, s:o}", "default_deny", p->default_deny, "groups",
			 groups, "ranges", ranges, "sites", sites, "rules", rules);
}

/* A number of at most `max`; UINT32_MAX: it is none. */
static uint32_t small(const json_t *list, size_t at, uint32_t max)
{
	const json_t *item = json_array_get(list, at);
	json_int_t value = json_integer_value(item);

	return json_is_integer(item) && value >= 0 && value <= max ? (uint32_t)value : UINT32_MAX;
}

static bool rule_parse(const json_t *json, struct cw_ns_rule *out)
{
	uint32_t n[6];

	for (size_t i = 1; i < CW_ARRAY_SIZE(n); i++) {
		n[i] = small(json, i, i < 4 ? UINT8_MAX : UINT16_MAX);
		if (n[i] == UINT32_MAX)
			return false;
	}
	*out = (struct cw_ns_rule){.allow = json_is_true(json_array_get(json, 0)),
				   .proto = (uint8_t)n[1],
				   .from = (uint8_t)n[2],
				   .to = (uint8_t)n[3],
				   .port_first = (uint16_t)n[4],
				   .port_last = (uint16_t)n[5]};
	return true;
}

static bool groups_parse(const json_t *json, struct cw_ns_policy *out)
{
	const json_t *groups = json_object_get(json, "groups"),
		     *sites = json_object_get(json, "sites"), *item;
	size_t i;

	if (json_array_size(groups) > CW_NS_GROUPS_MAX ||
	    json_array_size(sites) > CW_NS_GROUP_SITES_MAX)
		return false;
	json_array_foreach(groups, i, item)
	{
		if (!text_parse(item, out->groups[i], sizeof(out->groups[i])))
			return false;
		out->group_count++;
	}
	json_array_foreach(sites, i, item)
	{
		uint32_t group = small(item, 0, CW_NS_GROUPS_MAX);

		if (group == UINT32_MAX || !text_parse(json_array_get(item, 1), out->sites[i].name,
						       sizeof(out->sites[i].name)))
			return false;
		out->sites[i].group = (uint8_t)group;
		out->site_count++;
	}
	return true;
}

static bool policy_parse(const json_t *json, struct cw_ns_policy *out)
{
	const json_t *ranges = json_object_get(json, "ranges"),
		     *rules = json_object_get(json, "rules"), *item;
	size_t i;

	out->default_deny = json_is_true(json_object_get(json, "default_deny"));
	if (json_array_size(ranges) > CW_NS_GROUP_RANGES_MAX ||
	    json_array_size(rules) > CW_NS_RULES_MAX || !groups_parse(json, out))
		return false;
	json_array_foreach(ranges, i, item)
	{
		uint32_t group = small(item, 0, CW_NS_GROUPS_MAX);

		if (group == UINT32_MAX ||
		    !ip_parse(json_array_get(item, 1), &out->ranges[i].range.first) ||
		    !ip_parse(json_array_get(item, 2), &out->ranges[i].range.last))
			return false;
		out->ranges[i].group = (uint8_t)group;
		out->range_count++;
	}
	json_array_foreach(rules, i, item)
	{
		if (!rule_parse(item, &out->rules[i]))
			return false;
		out->rule_count++;
	}
	return cw_ns_policy_valid(out);
}

/* What DHCP says beyond the constants every namespace has. */
static void add_options(json_t *json, const struct cw_namespace_record *ns)
{
	json_t *classes = json_array();

	for (unsigned int i = 0; i < ns->class_count; i++) {
		const struct cw_ns_class *c = &ns->classes[i];

		json_array_append_new(classes,
				      json_pack("{s:i, s:s, s:o, s:o}", "option", (int)c->option,
						"match", c->match, "boot", boot_json(&c->boot),
						"extra", hex_json(c->extra, c->extra_bytes)));
	}
	json_object_set_new(json, "rapid_commit", json_boolean(ns->rapid_commit));
	json_object_set_new(json, "authoritative", json_boolean(ns->authoritative));
	json_object_set_new(json, "static_hosts", json_integer(ns->static_hosts));
	json_object_set_new(json, "boot", boot_json(&ns->boot));
	json_object_set_new(json, "extra", hex_json(ns->extra, ns->extra_bytes));
	json_object_set_new(json, "classes", classes);
	json_object_set_new(json, "hosts", hosts_json(ns));
	json_object_set_new(json, "policy", policy_json(&ns->policy));
}

static bool options_parse(const json_t *json, struct cw_namespace_record *out)
{
	const json_t *list = json_object_get(json, "classes"), *item;
	json_int_t policy;
	size_t i;

	out->rapid_commit = json_is_true(json_object_get(json, "rapid_commit"));
	out->authoritative = json_is_true(json_object_get(json, "authoritative"));
	policy = json_integer_value(json_object_get(json, "static_hosts"));
	out->static_hosts = policy > 0 && policy < CW_STATIC_POLICY_COUNT ? (uint8_t)policy : 0;
	if (!hosts_parse(json_object_get(json, "hosts"), out) ||
	    !policy_parse(json_object_get(json, "policy"), &out->policy))
		return false;
	if (json_array_size(list) > CW_NS_CLASSES_MAX ||
	    !boot_parse(json_object_get(json, "boot"), &out->boot) ||
	    !extra_parse(json_object_get(json, "extra"), out->extra, sizeof(out->extra),
			 &out->extra_bytes))
		return false;
	json_array_foreach(list, i, item)
	{
		struct cw_ns_class *c = &out->classes[out->class_count++];

		c->option = (uint8_t)number(item, "option");
		if ((c->option != 60 && c->option != 77) ||
		    !text_parse(json_object_get(item, "match"), c->match, sizeof(c->match)) ||
		    !boot_parse(json_object_get(item, "boot"), &c->boot) ||
		    !extra_parse(json_object_get(item, "extra"), c->extra, sizeof(c->extra),
				 &c->extra_bytes))
			return false;
	}
	return true;
}

json_t *etcd_ns_json(const struct cw_namespace_record *ns, const struct etcd_maker *maker)
{
	json_t *reserved = json_array(), *json;

	for (unsigned int i = 0; i < ns->reserved_count; i++)
		json_array_append_new(reserved, json_pack("[o, o]", ip_json(ns->reserved[i].first),
							  ip_json(ns->reserved[i].last)));
	json = json_pack("{s:I, s:s, s:s, s:o, s:i, s:I, s:I, s:i, s:i, s:o, s:i, s:o, s:o, s:o}",
			 "ver", (json_int_t)ns->ver, "name", ns->name, "domain", ns->domain,
			 "subnet", ip_json(ns->subnet.ip), "subnet_len", (int)ns->subnet.len,
			 "lease_s", (json_int_t)ns->lease_s, "lease_longest_s",
			 (json_int_t)ns->lease_longest_s, "mtu", (int)ns->mtu_bytes, "mac_base",
			 (int)ns->mac_base, "router", ip_json(ns->router), "name_policy",
			 (int)ns->name_policy, "reserved", reserved, "ntp",
			 ips_json(ns->ntp, ns->ntp_count), "upstream",
			 ips_json(ns->upstream, ns->upstream_count));
	add_options(json, ns);
	return with_maker(json, maker);
}

bool etcd_ns_parse(const json_t *json, struct cw_namespace_record *out, struct etcd_maker *maker)
{
	const json_t *reserved = json_object_get(json, "reserved");

	*out = (struct cw_namespace_record){0};
	maker_parse(json, maker);
	if (json == NULL)
		return true;
	out->ver = number(json, "ver");
	out->subnet.len = (uint8_t)number(json, "subnet_len");
	out->lease_s = (uint32_t)number(json, "lease_s");
	out->lease_longest_s = (uint32_t)number(json, "lease_longest_s");
	out->mtu_bytes = (uint16_t)number(json, "mtu");
	out->mac_base = (uint16_t)number(json, "mac_base");
	out->name_policy = (uint8_t)number(json, "name_policy");
	if (out->subnet.len < 8 || out->subnet.len > 29 || out->lease_s == 0 ||
	    out->name_policy >= CW_NAMES_POLICY_COUNT ||
	    json_array_size(reserved) > CW_NS_RESERVED_MAX ||
	    !text_parse(json_object_get(json, "name"), out->name, sizeof(out->name)) ||
	    !text_parse(json_object_get(json, "domain"), out->domain, sizeof(out->domain)) ||
	    !ip_parse(json_object_get(json, "subnet"), &out->subnet.ip) ||
	    !ip_parse(json_object_get(json, "router"), &out->router) ||
	    !ips_parse(json_object_get(json, "ntp"), out->ntp, &out->ntp_count) ||
	    !ips_parse(json_object_get(json, "upstream"), out->upstream, &out->upstream_count))
		return false;
	for (; out->reserved_count < json_array_size(reserved); out->reserved_count++) {
		const json_t *range = json_array_get(reserved, out->reserved_count);
		struct cw_ip4_range *r = &out->reserved[out->reserved_count];

		if (!ip_parse(json_array_get(range, 0), &r->first) ||
		    !ip_parse(json_array_get(range, 1), &r->last))
			return false;
	}
	return options_parse(json, out);
}

json_t *etcd_name_json(const struct cw_name_record *name, const struct etcd_maker *maker)
{
	return with_maker(json_pack("{s:I, s:b, s:o, s:o}", "ver", (json_int_t)name->ver, "held",
				    name->held, "ip", ip_json(name->ip), "client",
				    hex_json(name->client.b, sizeof(name->client.b))),
			  maker);
}

bool etcd_name_parse(const json_t *json, struct cw_name_record *out, struct etcd_maker *maker)
{
	*out = (struct cw_name_record){0};
	maker_parse(json, maker);
	if (json == NULL)
		return true;
	out->ver = number(json, "ver");
	out->held = json_is_true(json_object_get(json, "held"));
	return ip_parse(json_object_get(json, "ip"), &out->ip) &&
	       hex_parse(json_object_get(json, "client"), out->client.b, sizeof(out->client.b));
}

json_t *etcd_register_json(const struct cw_law_register *r, const struct etcd_maker *maker)
{
	return with_maker(json_pack("{s:I, s:I, s:b, s:b, s:o, s:o, s:o}", "ver",
				    (json_int_t)r->reg.ver, "gen", (json_int_t)r->reg.gen, "held",
				    r->reg.held, "leased", r->leased, "owner",
				    hex_json(r->reg.owner.b, sizeof(r->reg.owner.b)), "tag",
				    etcd_number_json(r->reg.tag), "value",
				    hex_json(r->reg.value, r->reg.len)),
			  maker);
}

bool etcd_register_parse(const json_t *json, struct cw_law_register *out, struct etcd_maker *maker)
{
	const json_t *value = json_object_get(json, "value");

	*out = (struct cw_law_register){0};
	maker_parse(json, maker);
	if (json == NULL)
		return true;
	out->reg.ver = number(json, "ver");
	out->reg.gen = number(json, "gen");
	out->reg.held = json_is_true(json_object_get(json, "held"));
	out->leased = json_is_true(json_object_get(json, "leased"));
	out->reg.tag = etcd_number(json, "tag");
	if (json_string_length(value) > 2 * sizeof(out->reg.value))
		return false;
	out->reg.len = (uint16_t)(json_string_length(value) / 2);
	return hex_parse(json_object_get(json, "owner"), out->reg.owner.b,
			 sizeof(out->reg.owner.b)) &&
	       hex_parse(value, out->reg.value, out->reg.len);
}
