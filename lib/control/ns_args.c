/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arguments of `namespace create` and `namespace set` into a record. What is not given stays as it
 * is; a list that is given replaces the one before, "none" alone empties it. Name, subnet and MAC
 * base are for ever.
 */
#include "internal.h"

#include <cw_dht.h>
#include <cw_dns.h>
#include <cw_law.h>

/* Shorter ones are granted only by who is cut off (CW_LAW_LEASE_SHORTEST_S), and half of it is the
 * time to renew; longer ones make covers last for weeks. */
#define LEASE_MIN_S (2 * (int)CW_LAW_LEASE_SHORTEST_S)
#define LEASE_MAX_S (30 * 86400)
#define MTU_MIN	    576
/* What ports carry: packet buffers are of one segment. */
#define MTU_MAX		1500
#define LEASE_DEFAULT_S 3600
#define MTU_DEFAULT	1420

static const char *text_of(const json_t *args, const char *key)
{
	const char *text = json_string_value(json_object_get(args, key));

	return text != NULL ? text : "";
}

static bool number_of(const json_t *args, const char *key, json_int_t min, json_int_t max,
		      json_int_t fallback, json_int_t *out)
{
	const json_t *value = json_object_get(args, key);

	*out = value == NULL ? fallback : json_integer_value(value);
	return value == NULL || (json_is_integer(value) && *out >= min && *out <= max);
}

/* "a.b.c.d" or "a.b.c.d-e.f.g.h". */
static bool parse_range(const char *text, struct cw_ip4_range *out)
{
	char first[CW_IP4_TEXT_BYTES];
	size_t len = strcspn(text, "-");

	if (len >= sizeof(first))
		return false;
	memcpy(first, text, len);
	first[len] = '\0';
	if (cw_ip4_parse(first, &out->first) < 0)
		return false;
	if (text[len] == '\0')
		out->last = out->first;
	else if (cw_ip4_parse(text + len + 1, &out->last) < 0)
		return false;
	return rte_be_to_cpu_32(out->first) <= rte_be_to_cpu_32(out->last);
}

static json_t *parse_reserved(const json_t *args, struct cw_namespace_record *ns)
{
	const json_t *list = json_object_get(args, "reserved"), *item;
	size_t i;

	if (json_array_size(list) > 0)
		ns->reserved_count = 0;
	if (cw_ns_list_is_none(list))
		return NULL;
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);

		if (ns->reserved_count == CW_NS_RESERVED_MAX)
			return cw_query_error("usage", "--reserve: more than %u ranges",
					      CW_NS_RESERVED_MAX);
		if (text == NULL || !parse_range(text, &ns->reserved[ns->reserved_count]))
			return cw_query_error(
				"usage", "--reserve: expected an address or FIRST-LAST, got %s",
				text != NULL ? text : "something else");
		if (!cw_prefix4_contains(&ns->subnet, ns->reserved[ns->reserved_count].first) ||
		    !cw_prefix4_contains(&ns->subnet, ns->reserved[ns->reserved_count].last))
			return cw_query_error("usage", "--reserve: %s lies outside the subnet",
					      text);
		ns->reserved_count++;
	}
	return NULL;
}

/* A domain that hosts can search: DNS names of letters, digits and hyphens. */
static bool domain_valid(const char *domain)
{
	uint8_t wire[CW_NS_ZONE_BYTES_MAX];

	if (domain[0] == '\0')
		return true;
	for (const char *c = domain; *c != '\0'; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || *c == '-' || *c == '.'))
			return false;
	return domain[strlen(domain) - 1] != '.' &&
	       cw_dns_name_from_text(domain, wire, sizeof(wire)) != 0;
}

static json_t *parse_dns(const json_t *args, struct cw_namespace_record *ns)
{
	static const char *const policies[CW_NAMES_POLICY_COUNT] = {[CW_NAMES_NUMBERED] =
									    "numbered",
								    [CW_NAMES_REFUSED] = "refused",
								    [CW_NAMES_OFF] = "off"};
	const json_t *list = json_object_get(args, "upstream"), *item;
	const char *policy = text_of(args, "names");
	size_t i;

	if (json_array_size(list) > 0) {
		ns->upstream_count = 0;
		memset(ns->upstream, 0, sizeof(ns->upstream));
	}
	if (cw_ns_list_is_none(list))
		list = NULL;
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);
		rte_be32_t *server = &ns->upstream[ns->upstream_count];

		if (ns->upstream_count == CW_NS_SERVERS_MAX)
			return cw_query_error("usage", "--upstream: more than %u servers",
					      CW_NS_SERVERS_MAX);
		if (text == NULL || cw_ip4_parse(text, server) < 0)
			return cw_query_error("usage", "--upstream: expected an address, got %s",
					      text != NULL ? text : "something else");
		/* It is asked over the WAN port, which does not lead into the virtual network. */
		if (cw_prefix4_contains(&ns->subnet, *server))
			return cw_query_error("usage", "--upstream: %s lies in the subnet itself",
					      text);
		ns->upstream_count++;
	}
	if (policy[0] == '\0')
		return NULL;
	for (unsigned int p = 0; p < CW_NAMES_POLICY_COUNT; p++)
		if (strcmp(policies[p], policy) == 0) {
			ns->name_policy = (uint8_t)p;
			return NULL;
		}
	return cw_query_error("usage", "--names: numbered, refused or off");
}

/* Not "this network", loopback, multicast nor reserved; a prefix of 8 or more is within one of them
 * or outside. */
static bool subnet_usable(const struct cw_prefix4 *subnet)
{
	uint8_t first = (uint8_t)(rte_be_to_cpu_32(subnet->ip) >> 24);

	return first != 0 && first != 127 && first < 224;
}

/* "MAC=ADDRESS": kept for that machine, whichever site it is at. */
static json_t *parse_hosts(const json_t *args, struct cw_namespace_record *ns)
{
	const json_t *list = json_object_get(args, "host"), *item;
	size_t i;

	if (json_array_size(list) > 0) {
		ns->host_count = 0;
		memset(ns->hosts, 0, sizeof(ns->hosts));
	}
	if (cw_ns_list_is_none(list))
		return NULL;
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);
		struct cw_ns_host *h = &ns->hosts[ns->host_count];
		char mac[CW_MAC_TEXT_BYTES] = "";

		if (ns->host_count == CW_NS_HOSTS_MAX)
			return cw_query_error("usage", "--host: more than %u hosts",
					      CW_NS_HOSTS_MAX);
		if (text != NULL && strlen(text) > CW_MAC_TEXT_BYTES)
			memcpy(mac, text, CW_MAC_TEXT_BYTES - 1);
		if (text == NULL || strlen(text) <= CW_MAC_TEXT_BYTES ||
		    text[CW_MAC_TEXT_BYTES - 1] != '=' || cw_mac_parse(mac, &h->mac) < 0 ||
		    cw_ip4_parse(text + CW_MAC_TEXT_BYTES, &h->ip) < 0)
			return cw_query_error("usage", "--host: expected MAC=ADDRESS, got %s",
					      text != NULL ? text : "something else");
		if (!cw_prefix4_contains(&ns->subnet, h->ip) ||
		    h->ip == cw_namespace_service_ip(ns))
			return cw_query_error("usage", "--host: %s is no host of the subnet",
					      text + CW_MAC_TEXT_BYTES);
		for (unsigned int k = 0; k < ns->host_count; k++)
			if (ns->hosts[k].ip == h->ip || cw_mac_equal(&ns->hosts[k].mac, &h->mac))
				return cw_query_error("usage", "--host: %s is there twice", text);
		ns->host_count++;
	}
	return NULL;
}

static json_t *parse_times(const json_t *args, struct cw_namespace_record *ns)
{
	json_int_t lease, longest, mtu, fallback;

	if (!number_of(args, "lease_s", LEASE_MIN_S, LEASE_MAX_S, ns->lease_s, &lease))
		return cw_query_error("usage", "--lease: %d to %d seconds", LEASE_MIN_S,
				      LEASE_MAX_S);
	fallback = ns->lease_longest_s > lease ? (json_int_t)ns->lease_longest_s : lease;
	if (!number_of(args, "lease_longest_s", lease, LEASE_MAX_S, fallback, &longest))
		return cw_query_error("usage", "--longest-lease: from --lease to %d seconds",
				      LEASE_MAX_S);
	if (!number_of(args, "mtu", MTU_MIN, MTU_MAX, ns->mtu_bytes, &mtu))
		return cw_query_error("usage", "--mtu: %d to %d", MTU_MIN, MTU_MAX);
	ns->lease_s = (uint32_t)lease;
	ns->lease_longest_s = (uint32_t)longest;
	ns->mtu_bytes = (uint16_t)mtu;
	return NULL;
}

static json_t *parse_domain(const json_t *args, struct cw_namespace_record *ns)
{
	const char *domain = text_of(args, "domain");

	if (domain[0] == '\0')
		return NULL;
	if (strcmp(domain, "none") == 0)
		domain = "";
	if (strlen(domain) >= sizeof(ns->domain))
		return cw_query_error("usage", "--domain: at most %zu characters",
				      sizeof(ns->domain) - 1);
	if (!domain_valid(domain))
		return cw_query_error(
			"usage", "--domain: labels of letters, digits and - with dots between");
	memset(ns->domain, 0, sizeof(ns->domain));
	memcpy(ns->domain, domain, strlen(domain));
	return NULL;
}

json_t *cw_ns_changes_parse(const json_t *args, struct cw_namespace_record *ns)
{
	json_t *error = parse_times(args, ns);
	const char *router = text_of(args, "router");

	if (error == NULL)
		error = parse_domain(args, ns);
	if (error == NULL)
		error = parse_dns(args, ns);
	if (error == NULL)
		error = parse_reserved(args, ns);
	if (error == NULL)
		error = parse_hosts(args, ns);
	if (error == NULL)
		error = cw_ns_options_parse(args, ns);
	if (error == NULL)
		error = cw_ns_policy_parse(args, ns);
	if (error == NULL && strcmp(router, "none") == 0)
		ns->router = 0;
	else if (error == NULL && router[0] != '\0' && cw_ip4_parse(router, &ns->router) < 0)
		error = cw_query_error("usage", "--router: expected an address or none");
	if (error == NULL && cw_dht_ns_bytes(ns) > CW_DHT_VALUE_BYTES)
		error = cw_query_error(
			"too-large",
			"the record would be longer than %u bytes: fewer options, groups or rules",
			CW_DHT_VALUE_BYTES);
	return error;
}

json_t *cw_ns_create_parse(const json_t *args, struct cw_namespace_record *ns)
{
	const char *name = text_of(args, "name");
	json_int_t base;

	memset(ns, 0, sizeof(*ns));
	if (!cw_identity_name_valid(name))
		return cw_query_error("usage", "namespace name: 1 to 63 of a-z 0-9 - . _");
	if (cw_prefix4_parse(text_of(args, "subnet"), &ns->subnet) < 0 || ns->subnet.len < 8 ||
	    ns->subnet.len > 29)
		return cw_query_error("usage",
				      "--subnet: expected a.b.c.d/len (8 to 29) without host bits");
	if (!subnet_usable(&ns->subnet))
		return cw_query_error("usage", "--subnet: hosts cannot have such addresses");
	if (!number_of(args, "mac_base", 0, UINT16_MAX, 0, &base))
		return cw_query_error("usage", "--mac-base: 0 to 65535");
	memcpy(ns->name, name, strlen(name) + 1);
	ns->mac_base = (uint16_t)base;
	ns->lease_s = LEASE_DEFAULT_S;
	ns->mtu_bytes = MTU_DEFAULT;
	return cw_ns_changes_parse(args, ns);
}
