/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operator's act: `causewayctl namespace create`. Founds the network if there is none (one
 * voter or three, named here or this node alone), then writes the namespace record and answers when
 * it is there. One at a time; the answer waits for a quorum as long as the client does.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cw_dht.h>
#include <cw_dns.h>

/* Shorter leases make renewals a flood, longer ones make covers last for weeks. */
#define LEASE_MIN_S 60
#define LEASE_MAX_S (30 * 86400)
#define MTU_MIN	    576
/* What ports carry: packet buffers are of one segment. */
#define MTU_MAX 1500

struct founding {
	cw_control_reply_fn reply;
	void *arg;
	struct cw_namespace_record ns;
	bool asking;
	uint64_t until_ns;
};

static void answer(struct cw_control *ctl, json_t *reply)
{
	struct founding *f = ctl->founding;

	ctl->founding = NULL;
	if (f->reply != NULL)
		f->reply(f->arg, reply);
	else
		json_decref(reply);
	free(f);
}

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
	for (uint8_t p = 0; p < CW_NAMES_POLICY_COUNT; p++)
		if (strcmp(policies[p], policy) == 0) {
			ns->name_policy = p;
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

static json_t *parse_ns(const json_t *args, struct cw_namespace_record *ns)
{
	const char *name = text_of(args, "name"), *domain = text_of(args, "domain");
	json_int_t lease, longest, mtu, base;
	json_t *error;

	memset(ns, 0, sizeof(*ns));
	if (!cw_identity_name_valid(name))
		return cw_query_error("usage", "namespace name: 1 to 63 of a-z 0-9 - . _");
	if (cw_prefix4_parse(text_of(args, "subnet"), &ns->subnet) < 0 || ns->subnet.len < 8 ||
	    ns->subnet.len > 29)
		return cw_query_error("usage",
				      "--subnet: expected a.b.c.d/len (8 to 29) without host bits");
	if (!subnet_usable(&ns->subnet))
		return cw_query_error("usage", "--subnet: hosts cannot have such addresses");
	if (!number_of(args, "lease_s", LEASE_MIN_S, LEASE_MAX_S, 3600, &lease))
		return cw_query_error("usage", "--lease: %d to %d seconds", LEASE_MIN_S,
				      LEASE_MAX_S);
	if (!number_of(args, "lease_longest_s", lease, LEASE_MAX_S, lease, &longest))
		return cw_query_error("usage", "--longest-lease: from --lease to %d seconds",
				      LEASE_MAX_S);
	if (!number_of(args, "mtu", MTU_MIN, MTU_MAX, 1420, &mtu))
		return cw_query_error("usage", "--mtu: %d to %d", MTU_MIN, MTU_MAX);
	if (!number_of(args, "mac_base", 0, UINT16_MAX, 0, &base))
		return cw_query_error("usage", "--mac-base: 0 to 65535");
	if (strlen(domain) >= sizeof(ns->domain))
		return cw_query_error("usage", "--domain: at most %zu characters",
				      sizeof(ns->domain) - 1);
	if (!domain_valid(domain))
		return cw_query_error(
			"usage", "--domain: labels of letters, digits and - with dots between");
	error = parse_dns(args, ns);
	if (error != NULL)
		return error;
	memcpy(ns->name, name, strlen(name) + 1);
	memcpy(ns->domain, domain, strlen(domain) + 1);
	ns->lease_s = (uint32_t)lease;
	ns->lease_longest_s = (uint32_t)longest;
	ns->mtu_bytes = (uint16_t)mtu;
	ns->mac_base = (uint16_t)base;
	return parse_reserved(args, ns);
}

static void find_by_name(void *arg, const struct cw_overlay_node *node)
{
	struct {
		const char *name;
		struct cw_node_id *out;
		bool found;
	} *want = arg;

	if (node->linked && strcmp(node->identity.name, want->name) == 0) {
		*want->out = node->identity.node;
		want->found = true;
	}
}

static json_t *parse_voters(struct cw_control *ctl, const json_t *args, struct cw_node_id *voters,
			    unsigned int *count)
{
	const json_t *list = json_object_get(args, "voters"), *item;
	size_t i;

	*count = 0;
	if (json_array_size(list) == 0) {
		voters[(*count)++] = ctl->config.identity.node;
		return NULL;
	}
	json_array_foreach(list, i, item)
	{
		struct {
			const char *name;
			struct cw_node_id *out;
			bool found;
		} want = {json_string_value(item), &voters[*count], false};

		if (want.name == NULL || *count == 3)
			return cw_query_error("usage", "--voters: one node or three");
		if (cw_node_id_parse(want.name, want.out) == 0 &&
		    cw_overlay_find(ctl->overlay, want.out) != NULL)
			want.found = true;
		else if (strcmp(want.name, ctl->config.identity.name) == 0 ||
			 cw_node_id_equal(want.out, &ctl->config.identity.node)) {
			*want.out = ctl->config.identity.node;
			want.found = true;
		} else {
			cw_overlay_visit(ctl->overlay, find_by_name, &want);
		}
		if (!want.found)
			return cw_query_error("not-found",
					      "--voters: %s is not linked to this gateway",
					      want.name);
		(*count)++;
	}
	return *count == 1 || *count == 3
		       ? NULL
		       : cw_query_error(
				 "usage",
				 "--voters: one node or three (two would both have to live)");
}

/* What the record would do to this gateway: it is written for good, so slips are caught here. */
static json_t *check_ours(const struct cw_control *ctl, const struct cw_namespace_record *ns)
{
	const struct cw_identity *id = &ctl->config.identity;
	char ip[CW_IP4_TEXT_BYTES];

	if (cw_prefix4_contains(&ns->subnet, ctl->config.wan_ip))
		return cw_query_error("usage", "--subnet: this gateway's WAN address %s lies in it",
				      cw_ip4_format(ctl->config.wan_ip, ip));
	if (id->namespace_count > 0 && !cw_identity_in_namespace(id, ns->name))
		return cw_query_error("usage",
				      "namespace %s: this gateway's certificate does not name it",
				      ns->name);
	return NULL;
}

static json_t *found(struct cw_control *ctl, const json_t *args)
{
	struct cw_node_id voters[4] = {{{0}}};
	unsigned int count;
	json_t *error;

	if (ctl->dht == NULL)
		return NULL;
	if (cw_dht_genesis(ctl->dht) != NULL)
		return json_array_size(json_object_get(args, "voters")) == 0
			       ? NULL
			       : cw_query_error(
					 "usage",
					 "--voters: the network is founded already, its voters stay");
	error = parse_voters(ctl, args, voters, &count);
	if (error != NULL)
		return error;
	switch (cw_dht_found(ctl->dht, voters, count, ctl->now_ns)) {
	case 0:
	case -EEXIST:
		return NULL;
	case -EINVAL:
		return cw_query_error("usage", "--voters: name one node, or three different ones");
	default:
		return cw_query_error("io", "the state directory's log takes no record");
	}
}

static void on_written(void *arg, const struct cw_store_answer *result, uint64_t now_ns)
{
	struct cw_control *ctl = arg;
	struct founding *f = ctl->founding;

	ctl->now_ns = now_ns;
	if (f == NULL)
		return;
	f->asking = false;
	switch (result->result) {
	case CW_STORE_OK:
		cw_log(ctl->config.log, CW_LOG_NOTICE, CW_CONTROL_MODULE,
		       "namespace %s written, version %llu", f->ns.name,
		       (unsigned long long)result->ns.ver);
		cw_membership_ns(ctl, &result->ns);
		answer(ctl,
		       json_pack("{s:b, s:o}", "ok", 1, "status", cw_show_namespace(&result->ns)));
		return;
	case CW_STORE_EXISTS:
	case CW_STORE_CONFLICT:
		answer(ctl, cw_query_error("exists", "namespace %s exists already", f->ns.name));
		return;
	case CW_STORE_TIMEOUT:
		return; /* cw_founding_timer tries again */
	default:
		answer(ctl, cw_query_error("refused", "the store says: %s",
					   cw_store_result_name(result->result)));
	}
}

static void submit(struct cw_control *ctl)
{
	struct founding *f = ctl->founding;
	struct cw_store_request request = {.verb = CW_STORE_NS_PUT, .ns = f->ns};

	f->asking = cw_store_submit(&ctl->store, &request, on_written, ctl, ctl->now_ns) == 0;
}

void cw_founding_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		       void *arg)
{
	const json_t *args = json_object_get(request, "args");
	struct cw_namespace_record ns;
	json_t *error = NULL;

	if (ctl->founding != NULL)
		error = cw_query_error("busy", "another namespace create is under way");
	else if (!ctl->have_store)
		error = cw_query_error("not-ready", "the daemon is still starting");
	if (error == NULL)
		error = parse_ns(args, &ns);
	if (error == NULL)
		error = check_ours(ctl, &ns);
	if (error == NULL)
		error = found(ctl, args);
	if (error == NULL) {
		ctl->founding = calloc(1, sizeof(*ctl->founding));
		if (ctl->founding == NULL)
			error = cw_query_error("memory", "out of memory");
	}
	if (error != NULL) {
		reply(arg, error);
		return;
	}
	*ctl->founding = (struct founding){
		.reply = reply, .arg = arg, .ns = ns, .until_ns = ctl->now_ns + 30 * CW_NS_PER_S};
	submit(ctl);
}

void cw_founding_timer(struct cw_control *ctl)
{
	struct founding *f = ctl->founding;

	if (f == NULL || f->asking)
		return;
	if (ctl->now_ns >= f->until_ns) {
		answer(ctl,
		       cw_query_error(
			       "no-quorum",
			       "no majority of the voters answered; try again when they are linked"));
		return;
	}
	submit(ctl);
}

void cw_founding_cancel(struct cw_control *ctl, void *arg)
{
	if (ctl->founding != NULL && ctl->founding->arg == arg)
		ctl->founding->reply = NULL;
}

void cw_founding_destroy(struct cw_control *ctl)
{
	free(ctl->founding);
	ctl->founding = NULL;
}
