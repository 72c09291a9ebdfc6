/* SPDX-License-Identifier: BSD-3-Clause */
/* `status`: who this node is, how it stands, and if it is not well, why. */
#include "internal.h"

#include <cw_dht.h>

static json_t *show_options(const uint8_t *options, size_t len)
{
	json_t *list = json_array();

	for (size_t at = 0; at + 2 <= len; at += 2u + options[at + 1]) {
		char text[8 + 2 * UINT8_MAX];
		int n = snprintf(text, sizeof(text), "%u=hex:", options[at]);

		for (unsigned int i = 0; i < options[at + 1]; i++)
			n += snprintf(text + n, sizeof(text) - (size_t)n, "%02x",
				      options[at + 2 + i]);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *show_boot(const struct cw_ns_boot *boot, const uint8_t *options, size_t len)
{
	char ip[CW_IP4_TEXT_BYTES];

	return json_pack("{s:s, s:s, s:o}", "next_server",
			 boot->next_server != 0 ? cw_ip4_format(boot->next_server, ip) : "none",
			 "boot_file", boot->file, "options", show_options(options, len));
}

static json_t *show_dhcp(const struct cw_namespace_record *ns)
{
	json_t *all = show_boot(&ns->boot, ns->extra, ns->extra_bytes), *classes = json_array();
	json_t *hosts = json_array();
	char router[CW_IP4_TEXT_BYTES];

	for (unsigned int i = 0; i < ns->class_count; i++) {
		const struct cw_ns_class *c = &ns->classes[i];
		json_t *one = show_boot(&c->boot, c->extra, c->extra_bytes);

		json_object_set_new(one, c->option == 60 ? "vendor" : "user",
				    json_string(c->match));
		json_array_append_new(classes, one);
	}
	for (unsigned int i = 0; i < ns->host_count; i++) {
		char mac[CW_MAC_TEXT_BYTES], ip[CW_IP4_TEXT_BYTES];

		json_array_append_new(hosts,
				      json_sprintf("%s=%s", cw_mac_format(&ns->hosts[i].mac, mac),
						   cw_ip4_format(ns->hosts[i].ip, ip)));
	}
	json_object_set_new(all, "hosts", hosts);
	json_object_set_new(
		all, "router",
		json_string(ns->router != 0 ? cw_ip4_format(ns->router, router) : "none"));
	json_object_set_new(all, "rapid_commit", json_boolean(ns->rapid_commit));
	json_object_set_new(all, "authoritative", json_boolean(ns->authoritative));
	json_object_set_new(all, "static", json_string(cw_ns_static_word(ns->static_hosts)));
	json_object_set_new(all, "classes", classes);
	return all;
}

json_t *cw_show_namespace(const struct cw_namespace_record *ns)
{
	char ip[CW_IP4_TEXT_BYTES], service[CW_IP4_TEXT_BYTES], subnet[CW_IP4_TEXT_BYTES + 4];
	static const char *const policies[CW_NAMES_POLICY_COUNT] = {"numbered", "refused", "off"};
	json_t *reserved = json_array(), *upstream = json_array();

	for (unsigned int i = 0; i < ns->upstream_count; i++)
		json_array_append_new(upstream, json_string(cw_ip4_format(ns->upstream[i], ip)));

	for (unsigned int i = 0; i < ns->reserved_count; i++) {
		char first[CW_IP4_TEXT_BYTES], last[CW_IP4_TEXT_BYTES],
			range[2 * CW_IP4_TEXT_BYTES + 1];

		snprintf(range, sizeof(range), "%s-%s", cw_ip4_format(ns->reserved[i].first, first),
			 cw_ip4_format(ns->reserved[i].last, last));
		json_array_append_new(reserved, json_string(range));
	}
	snprintf(subnet, sizeof(subnet), "%s/%u", cw_ip4_format(ns->subnet.ip, ip), ns->subnet.len);
	return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:I}",
			 "name", ns->name, "subnet", subnet, "service_address",
			 cw_ip4_format(cw_namespace_service_ip(ns), service), "lease_s",
			 (int)ns->lease_s, "lease_longest_s", (int)ns->lease_longest_s, "mtu",
			 (int)ns->mtu_bytes, "domain", ns->domain, "names",
			 policies[ns->name_policy % CW_NAMES_POLICY_COUNT], "upstream", upstream,
			 "reserved", reserved, "dhcp", show_dhcp(ns), "policy",
			 cw_ns_policy_show(&ns->policy), "version", (json_int_t)ns->ver);
}

/* What hangs on the voters (dht.md section 7). */
static const char *voters_note(const struct cw_store_health *h)
{
	if (!h->founded)
		return "no network yet: run `causewayctl namespace create` on one gateway";
	if (h->voters == 1)
		return h->voter_here
			       ? "this gateway is the only voter: while it is down nobody gets a new address, and its disk is the only copy"
			       : "one voter elsewhere: while it is down nobody gets a new address";
	switch (h->voters) {
	case 0:
		return "its members are not known yet";
	case 2:
		return "two voters: either one's loss stops both";
	case 3:
		return "three voters: any one of them may fail";
	case 5:
		return "five voters: any two of them may fail";
	default:
		return "a minority of the voters may fail";
	}
}

static json_t *show_store(struct cw_control *ctl, const struct cw_store_health *h)
{
	return json_pack("{s:s, s:b, s:b, s:i, s:i, s:b, s:i, s:s}", "driver",
			 ctl->have_store ? ctl->store.ops->name : "none", "founded", h->founded,
			 "quorum", h->quorum, "voters", (int)h->voters, "voters_reachable",
			 (int)h->voters_reachable, "voter_here", h->voter_here, "records",
			 ctl->dht != NULL ? (int)cw_dht_record_count(ctl->dht) : 0, "note",
			 voters_note(h));
}

static json_t *reasons(struct cw_control *ctl, const struct cw_store_health *h,
		       const struct cw_lease_status *lease)
{
	json_t *list = json_array();
	bool serves = ctl->config.has_lan;

	if (ctl->stopping)
		json_array_append_new(list, json_string("stopping"));
	if (!h->founded)
		json_array_append_new(list, json_string("not part of a network yet"));
	else if (!h->quorum)
		json_array_append_new(list, json_string("no majority of voters is reachable"));
	if (serves && !ctl->have_ns)
		json_array_append_new(list, json_string("namespace record not known yet"));
	if (serves && ctl->have_ns && ctl->now_ns >= lease->session_deadline_ns)
		json_array_append_new(list, json_string("no session: hosts are not served"));
	if (serves && ctl->have_ns && cw_segment_waits(ctl))
		json_array_append_new(
			list, json_string("listening for other gateways before taking slots"));
	if (serves && ctl->have_ns && lease->pool == 0)
		json_array_append_new(list, json_string("pool of addresses is empty"));
	if (serves && lease->limited_now)
		json_array_append_new(list,
				      json_string("new DHCP clients come faster than they may"));
	if (ctl->log_waits)
		json_array_append_new(
			list,
			json_string("no room for the log in state_dir: no new host is served"));
	else if (ctl->log_low)
		json_array_append_new(
			list,
			json_string("little room in state_dir: the DHT's slots held here go to others"));
	if (ctl->wan_down)
		json_array_append_new(list, json_string("WAN link is down"));
	if (serves && ctl->lan_down)
		json_array_append_new(list, json_string("LAN link is down"));
	if (!cw_neighbours_router_known(ctl))
		json_array_append_new(list, json_string("WAN router does not answer ARP"));
	if (ctl->peer_count == 0 && ctl->config.bootstrap_count > 0)
		json_array_append_new(list, json_string("no peer is linked"));
	if (cw_revocations_has(ctl->revocations, &ctl->config.identity.node))
		json_array_append_new(list, json_string("this gateway's identity is revoked"));
	if (cw_trust_days_left(ctl, ctl->config.identity.not_after_unix_s) < 0)
		json_array_append_new(list, json_string("this gateway's certificate has expired"));
	if (ctl->twin_ns != 0 && ctl->now_ns - ctl->twin_ns < CW_TWIN_SHOWN_NS) {
		char node[CW_NODE_ID_TEXT_BYTES];

		json_array_append_new(list, json_sprintf("two gateways run with one identity: %s",
							 cw_node_id_format(&ctl->twin, node)));
	}
	return list;
}

static json_t *show_session(struct cw_control *ctl, const struct cw_lease_status *s)
{
	uint64_t left = s->session_deadline_ns > ctl->now_ns
				? (s->session_deadline_ns - ctl->now_ns) / CW_NS_PER_S
				: 0;

	return json_pack("{s:I, s:I, s:b}", "generation", (json_int_t)s->sgen, "left_s",
			 (json_int_t)left, "isolated", s->isolated);
}

static json_t *show_counts(struct cw_control *ctl, const struct cw_lease_status *s)
{
	return json_pack(
		"{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "hosts",
		ctl->hosts != NULL ? (int)cw_host_count(ctl->hosts) : 0, "bound", (int)s->bound,
		"offered", (int)s->offered, "pool", (int)s->pool, "peers", (int)ctl->peer_count,
		"routes", ctl->routes != NULL ? (int)cw_route_count(ctl->routes) : 0, "resolving",
		(int)cw_resolver_waiting(ctl), "handshakes_refused",
		(json_int_t)ctl->counts.handshakes_refused, "holds_expired",
		(json_int_t)ctl->counts.drops[CW_DROP_HOLD_TIMEOUT], "inject_failures",
		(json_int_t)ctl->counts.inject_failures, "arrived", (json_int_t)ctl->counts.arrived,
		"departed", (json_int_t)ctl->counts.departed, "releases_early",
		(json_int_t)s->releases_early);
}

static json_t *show_keys(struct cw_control *ctl)
{
	uint64_t bytes = 0, locked = 0;
	bool undumped;

	if (ctl->ops.key_memory == NULL)
		return json_string("on the heap");
	undumped = ctl->ops.key_memory(ctl->ctx, &bytes, &locked);
	return json_pack("{s:I, s:I, s:b}", "bytes", (json_int_t)bytes, "locked_bytes",
			 (json_int_t)locked, "in_core_dumps", !undumped);
}

json_t *cw_show_status(struct cw_control *ctl)
{
	const struct cw_control_config *c = &ctl->config;
	struct cw_lease_status lease = {0};
	struct cw_store_health health = {0};
	char node[CW_NODE_ID_TEXT_BYTES], address[CW_ENDPOINT_TEXT_BYTES],
		router[CW_IP4_TEXT_BYTES];
	struct cw_endpoint wan = {.family = CW_FAMILY_IPV4, .port = c->wan_port, .ip4 = c->wan_ip};
	json_t *why, *status;
	bool degraded;

	if (ctl->have_store)
		ctl->store.ops->health(ctl->store.self, &health);
	if (ctl->lease != NULL)
		cw_lease_status(ctl->lease, &lease);
	why = reasons(ctl, &health, &lease);
	degraded = json_array_size(why) > 0;
	status = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:{s:s, s:s, s:s, s:b}, s:{s:s}, s:o, s:o, s:I, s:s, s:o, s:o}",
		"version", c->version, "name", c->identity.name, "node",
		cw_node_id_format(&c->identity.node, node), "site", c->identity.site, "namespace",
		c->namespace_name, "state", degraded ? "degraded" : "ok", "session",
		show_session(ctl, &lease), "store", show_store(ctl, &health), "wan", "port",
		c->wan_text, "address", cw_endpoint_format(&wan, address), "next_hop",
		c->wan_gateway != 0 ? cw_ip4_format(c->wan_gateway, router) : "on-link",
		"next_hop_known", cw_neighbours_router_known(ctl), "lan", "port",
		c->has_lan ? c->lan_text : "none", "counts", show_counts(ctl, &lease),
		"certificate", cw_trust_show(ctl), "uptime_s",
		(json_int_t)((ctl->now_ns - ctl->started_ns) / CW_NS_PER_S), "last_refusal",
		ctl->refused_why, "warnings", cw_sightings_warnings(ctl), "reasons", why);
	json_object_set_new(status, "key_memory", show_keys(ctl));
	json_object_set_new(status, "port_mapping", cw_mapping_json(ctl));
	if (ctl->segment != NULL)
		json_object_set_new(status, "hellos_refused", cw_segment_refusals(ctl));
	json_object_set_new(status, "site_tables", cw_nexthops_show(ctl));
	return json_pack("{s:b, s:o, s:b}", "ok", 1, "status", status, "degraded", degraded);
}
