/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables for causewayctl: hosts, leases, routes, peers, drops, workers. Each is a row function over
 * one of the core's own lists; nothing is kept for showing only.
 */
#include "internal.h"

#include <stdlib.h>

#include <cw_drop.h>
#include <cw_name_table.h>

struct page {
	struct cw_control *ctl;
	json_t *rows;
	size_t skip, limit, seen;
};

/* @return true when this row is on the page. */
static bool take(struct page *p)
{
	size_t at = p->seen++;

	return at >= p->skip && at - p->skip < p->limit;
}

static json_t *text_ip(rte_be32_t ip)
{
	char text[CW_IP4_TEXT_BYTES];

	return json_string(cw_ip4_format(ip, text));
}

static json_t *text_mac(const struct cw_mac *mac)
{
	char text[CW_MAC_TEXT_BYTES];

	return json_string(cw_mac_format(mac, text));
}

static json_t *text_node(const struct cw_node_id *node)
{
	char text[CW_NODE_ID_TEXT_BYTES];

	return json_string(cw_node_id_format(node, text));
}

static json_int_t seconds_left(const struct cw_control *ctl, uint64_t until_ns)
{
	return until_ns > ctl->now_ns ? (json_int_t)((until_ns - ctl->now_ns) / CW_NS_PER_S) : 0;
}

static json_int_t seconds_since(const struct cw_control *ctl, uint64_t then_ns)
{
	return then_ns < ctl->now_ns ? (json_int_t)((ctl->now_ns - then_ns) / CW_NS_PER_S) : 0;
}

static void host_row(void *arg, const struct cw_host *host)
{
	static const char *const states[] = {"offered", "bound", "silent"};
	struct page *p = arg;
	uint64_t heard = __atomic_load_n(&host->heard_tsc, __ATOMIC_RELAXED);

	if (!take(p))
		return;
	json_array_append_new(
		p->rows,
		json_pack(
			"{s:o, s:o, s:i, s:s, s:s, s:o}", "ip", text_ip(host->ip), "mac",
			text_mac(&host->mac), "vlan", (int)host->vlan, "state",
			host->state < 3 ? states[host->state] : "?", "name", host->name, "heard_s",
			heard == 0 ? json_null()
				   : json_integer(seconds_since(
					     p->ctl, p->ctl->ops.ns_of_tsc(p->ctl->ctx, heard)))));
}

static void lease_row(void *arg, const struct cw_lease_info *info)
{
	struct page *p = arg;
	bool pool = strcmp(info->state, "pool") == 0;

	if (!take(p))
		return;
	json_array_append_new(p->rows, json_pack("{s:o, s:s, s:o, s:s, s:I, s:I, s:b}", "ip",
						 text_ip(info->ip), "state", info->state, "mac",
						 pool ? json_null() : text_mac(&info->mac), "name",
						 info->name, "gen", (json_int_t)info->gen, "left_s",
						 seconds_left(p->ctl, info->until_ns), "written",
						 info->written));
}

static void name_row(void *arg, const struct cw_name *name)
{
	struct page *p = arg;

	if (!take(p))
		return;
	json_array_append_new(
		p->rows,
		json_pack("{s:s, s:o, s:s, s:o}", "name", name->label, "ip",
			  name->ip != 0 ? text_ip(name->ip) : json_null(), "where",
			  name->is_local  ? "here"
			  : name->ip != 0 ? "other site"
					  : "nobody",
			  "fresh_s",
			  name->expires_tsc == UINT64_MAX
				  ? json_null()
				  : json_integer(seconds_left(
					    p->ctl, p->ctl->ops.ns_of_tsc(p->ctl->ctx,
									  name->expires_tsc)))));
}

static void route_row(void *arg, const struct cw_route *route)
{
	static const char *const kinds[] = {"remote", "local", "none"};
	struct page *p = arg;
	const struct peer_facts *peer =
		route->peer < CW_PEER_MAX ? p->ctl->peers[route->peer] : NULL;
	json_t *node;

	if (!take(p))
		return;
	if (route->kind == CW_ROUTE_REMOTE && route->peer >= CW_ROUTE_GROUP)
		node = cw_nexthops_text(p->ctl, route);
	else
		node = route->kind == CW_ROUTE_REMOTE && peer != NULL ? text_node(&peer->node)
								      : json_null();
	json_array_append_new(
		p->rows,
		json_pack("{s:o, s:s, s:o, s:I, s:o}", "ip", text_ip(route->ip), "kind",
			  route->kind < 3 ? kinds[route->kind] : "?", "node", node, "gen",
			  (json_int_t)route->gen, "fresh_s",
			  route->expires_tsc == UINT64_MAX
				  ? json_null()
				  : json_integer(seconds_left(
					    p->ctl, p->ctl->ops.ns_of_tsc(p->ctl->ctx,
									  route->expires_tsc)))));
}

#define NEEDS_TEXT_BYTES 64u

/* Why the link is kept: our reasons or the other end's. */
static const char *needs_text(struct cw_control *ctl, const struct cw_node_id *node, char *out)
{
	static const char *const words[] = {"near", "far", "traffic", "join"};
	unsigned int ours, theirs, at = 0;

	cw_overlay_needs(ctl->overlay, node, &ours, &theirs);
	out[0] = '\0';
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(words); i++)
		if ((ours | theirs) & 1u << i)
			at += (unsigned int)snprintf(out + at, NEEDS_TEXT_BYTES - at, "%s%s",
						     at > 0 ? " " : "", words[i]);
	return out;
}

static void peer_row(void *arg, const struct cw_link_info *link)
{
	struct page *p = arg;
	char path[CW_ENDPOINT_TEXT_BYTES], needs[NEEDS_TEXT_BYTES];
	struct cw_endpoint via = link->path;
	struct cw_peer_info info = {0};
	uint16_t index = cw_peer_find(p->ctl->config.peers, &link->identity.node);

	if (!take(p))
		return;
	/* Through a relay: where that is. */
	(void)cw_links_via(p->ctl->links, &link->path, &via);
	if (index != CW_PEER_NONE)
		cw_peer_info(p->ctl->config.peers, index, &info);
	json_array_append_new(
		p->rows,
		json_pack(
			"{s:s, s:o, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:f, s:f, s:i, s:o, s:s, s:b, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
			"name", link->identity.name, "node", text_node(&link->identity.node),
			"site", link->identity.site, "path",
			link->path.family == CW_FAMILY_RELAY ? "relayed" : "direct", "why",
			cw_paths_why(p->ctl, link), "relay", cw_paths_relay(p->ctl, &link->path),
			"nat", cw_paths_nat(p->ctl, &link->identity.node), "needed",
			needs_text(p->ctl, &link->identity.node, needs), "endpoint",
			cw_endpoint_format(&via, path), "rtt_ms",
			(double)link->rtt_ns / (double)CW_NS_PER_MS, "loss_percent",
			link->pings > 0 ? 100.0 * link->pings_lost / link->pings : 0.0, "mtu",
			(int)info.params.mtu_bytes, "path_mtu", cw_path_mtu_json(link), "mtu_state",
			cw_path_mtu_state(link), "member",
			cw_control_is_member(p->ctl, &link->identity), "usable", info.usable,
			"cipher", cw_suite_name(link->suite), "sa_generation",
			(json_int_t)link->sa_generation, "rekeys", (json_int_t)link->rekeys,
			"renewals", (json_int_t)link->renewals, "tx_packets",
			(json_int_t)info.tx_packets, "tx_bytes", (json_int_t)info.tx_bytes,
			"rx_packets", (json_int_t)info.rx_packets, "rx_bytes",
			(json_int_t)info.rx_bytes, "age_s",
			seconds_since(p->ctl, link->up_since_ns), "expires",
			cw_trust_date(link->identity.not_after_unix_s)));
}

static void drop_rows(struct page *p)
{
	for (unsigned int i = 1; i < CW_DROP_COUNT; i++) {
		uint64_t n = cw_control_drops(p->ctl, (enum cw_drop)i);

		if (n != 0 && take(p))
			json_array_append_new(p->rows,
					      json_pack("{s:s, s:I, s:s}", "reason",
							cw_drop_name((enum cw_drop)i), "packets",
							(json_int_t)n, "meaning",
							cw_drop_text((enum cw_drop)i)));
	}
}

/* Seven sizes of at most 11 characters. */
#define BURSTS_TEXT_BYTES 96u

/* Sizes of bursts with their counts, and in @p shares which part of the turns with work had them.
 */
static json_t *burst_histogram(const struct cw_control_worker *w, char *shares, size_t size)
{
	static const char *const sizes[CW_CONTROL_BURSTS] = {"0",    "1",     "2-3",   "4-7",
							     "8-15", "16-31", "32-63", "64+"};
	json_t *counts = json_object();
	uint64_t busy = 0;
	size_t len = 0;

	shares[0] = '\0';
	for (unsigned int i = 1; i < CW_CONTROL_BURSTS; i++)
		busy += w->bursts[i];
	for (unsigned int i = 0; i < CW_CONTROL_BURSTS; i++) {
		double percent = busy > 0 ? 100.0 * (double)w->bursts[i] / (double)busy : 0.0;

		json_object_set_new(counts, sizes[i], json_integer((json_int_t)w->bursts[i]));
		if (i > 0 && percent >= 0.5 && len < size)
			len += (size_t)snprintf(shares + len, size - len, "%s%s:%.0f%%",
						len > 0 ? " " : "", sizes[i], percent);
	}
	return counts;
}

static void worker_rows(struct page *p)
{
	for (unsigned int i = 0; i < p->ctl->config.workers; i++) {
		struct cw_control_worker w = {0};
		char shares[BURSTS_TEXT_BYTES];
		double all, packets;
		json_t *bursts;

		p->ctl->ops.worker(p->ctl->ctx, i, &w);
		all = (double)(w.busy_cycles + w.idle_cycles);
		packets = (double)(w.rx_packets + w.taken_over);
		if (!take(p))
			continue;
		bursts = burst_histogram(&w, shares, sizeof(shares));
		json_array_append_new(
			p->rows,
			json_pack(
				"{s:i, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o}",
				"worker", (int)i, "busy_cycles", (json_int_t)w.busy_cycles,
				"idle_cycles", (json_int_t)w.idle_cycles, "busy_percent",
				all > 0 ? 100.0 * (double)w.busy_cycles / all : 0.0,
				"cycles_per_packet",
				packets > 0 ? (double)w.busy_cycles / packets : 0.0, "rx_packets",
				(json_int_t)w.rx_packets, "tx_packets", (json_int_t)w.tx_packets,
				"punted", (json_int_t)w.punted, "injected", (json_int_t)w.injected,
				"handed_over", (json_int_t)w.handed_over, "taken_over",
				(json_int_t)w.taken_over, "forwarded", (json_int_t)w.forwarded,
				"burst_sizes", shares, "bursts", bursts));
	}
}

static void revocation_row(void *arg, const struct cw_revocation *r, const void *record, size_t len)
{
	struct page *p = arg;

	(void)record;
	(void)len;
	if (take(p))
		json_array_append_new(p->rows, json_pack("{s:o, s:s, s:o, s:o, s:o}", "node",
							 text_node(&r->node), "reason", r->reason,
							 "since", cw_trust_date(r->when_unix_s),
							 "until", cw_trust_date(r->until_unix_s),
							 "ca", text_node(&r->ca)));
}

static void revocations(struct page *p)
{
	cw_revocations_visit(p->ctl->revocations, revocation_row, p);
}

/* One gateway serves one namespace: another one is another process (decision 0020). */
static void namespace_rows(struct page *p)
{
	const struct cw_control *ctl = p->ctl;
	const struct cw_namespace_record *ns = &ctl->ns;
	char ip[CW_IP4_TEXT_BYTES];

	if (ctl->config.namespace_name[0] == '\0' || !take(p))
		return;
	json_array_append_new(
		p->rows,
		json_pack("{s:s, s:o, s:i, s:I, s:i, s:b}", "name", ctl->config.namespace_name,
			  "subnet",
			  ctl->have_ns ? json_sprintf("%s/%u", cw_ip4_format(ns->subnet.ip, ip),
						      ns->subnet.len)
				       : json_null(),
			  "vlan", (int)ctl->config.vlan, "version", (json_int_t)ns->ver, "lease_s",
			  (int)ns->lease_s, "served", ctl->view != NULL));
}

static void hosts(struct page *p)
{
	if (p->ctl->hosts != NULL)
		cw_host_visit(p->ctl->hosts, host_row, p);
}

static void leases(struct page *p)
{
	if (p->ctl->lease != NULL)
		cw_lease_visit(p->ctl->lease, lease_row, p);
}

static void routes(struct page *p)
{
	if (p->ctl->routes != NULL)
		cw_route_visit(p->ctl->routes, route_row, p);
}

static void names(struct page *p)
{
	if (p->ctl->names != NULL)
		cw_name_visit(p->ctl->names, name_row, p);
}

static void take_row(void *arg, json_t *row)
{
	struct page *p = arg;

	if (take(p))
		json_array_append_new(p->rows, row);
	else
		json_decref(row);
}

static void foreign_dhcp(struct page *p)
{
	cw_sightings_rows(p->ctl, CW_SIGHTING_FOREIGN_DHCP, take_row, p);
}

static void conflicts(struct page *p)
{
	cw_sightings_rows(p->ctl, CW_SIGHTING_CONFLICT, take_row, p);
}

static void take_rows(struct page *p, json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		if (take(p))
			json_array_append(p->rows, row);
	}
	json_decref(rows);
}

static void dht(struct page *p)
{
	json_t *rows = json_array();

	cw_show_dht_rows(p->ctl, rows);
	take_rows(p, rows);
}

static void dht_operations(struct page *p)
{
	json_t *rows = json_array();

	cw_show_dht_operations(p->ctl, rows);
	take_rows(p, rows);
}

static void site(struct page *p)
{
	cw_segment_rows(p->ctl, take_row, p);
}

static void peers(struct page *p)
{
	cw_links_visit(p->ctl->links, peer_row, p);
}

static const struct {
	const char *name;
	void (*fill)(struct page *p);
	const char *columns; /* JSON array, in the order to show */
} tables[] = {
	{"namespaces", namespace_rows,
	 "[\"name\",\"subnet\",\"vlan\",\"version\",\"lease_s\",\"served\"]"},
	{"hosts", hosts, "[\"ip\",\"mac\",\"vlan\",\"state\",\"name\",\"heard_s\"]"},
	{"leases", leases, "[\"ip\",\"state\",\"mac\",\"name\",\"left_s\",\"gen\",\"written\"]"},
	{"names", names, "[\"name\",\"ip\",\"where\",\"fresh_s\"]"},
	{"routes", routes, "[\"ip\",\"kind\",\"node\",\"gen\",\"fresh_s\"]"},
	{"peers", peers,
	 "[\"name\",\"node\",\"site\",\"path\",\"why\",\"relay\",\"nat\",\"endpoint\",\"rtt_ms\",\"loss_percent\",\"mtu\",\"path_mtu\",\"mtu_state\",\"needed\",\"member\",\"usable\",\"cipher\",\"sa_generation\",\"renewals\","
	 "\"tx_packets\",\"tx_bytes\",\"rx_packets\",\"rx_bytes\",\"age_s\",\"expires\"]"},
	{"site", site,
	 "[\"name\",\"node\",\"state\",\"unwell\",\"slots\",\"epoch\",\"losses\",\"silent_ms\"]"},
	{"revocations", revocations, "[\"node\",\"reason\",\"since\",\"until\",\"ca\"]"},
	{"foreign-dhcp", foreign_dhcp,
	 "[\"ip\",\"mac\",\"vlan\",\"offered\",\"seen\",\"first_s\",\"last_s\"]"},
	{"conflicts", conflicts,
	 "[\"ip\",\"mac\",\"holder\",\"vlan\",\"seen\",\"first_s\",\"last_s\"]"},
	{"dht", dht,
	 "[\"first_slot\",\"slots\",\"epoch\",\"ballot\",\"state\",\"leader\",\"members\",\"records\"]"},
	{"dht-operations", dht_operations,
	 "[\"operation\",\"done\",\"refused\",\"unanswered\",\"p50_ms\",\"p90_ms\",\"p99_ms\",\"mean_ms\","
	 "\"longest_ms\"]"},
	{"drops", drop_rows, "[\"reason\",\"packets\",\"meaning\"]"},
	{"workers", worker_rows,
	 "[\"worker\",\"busy_percent\",\"cycles_per_packet\",\"rx_packets\",\"tx_packets\",\"punted\","
	 "\"injected\",\"handed_over\",\"taken_over\",\"forwarded\",\"burst_sizes\"]"},
};

json_t *cw_show_table(struct cw_control *ctl, const char *what, const json_t *request)
{
	json_int_t limit = json_integer_value(json_object_get(request, "limit"));
	const char *cursor = json_string_value(json_object_get(request, "cursor"));
	struct page p = {.ctl = ctl, .limit = CW_QUERY_ROWS_MAX};
	json_t *next = json_null();
	char text[24];

	if (limit > 0 && (size_t)limit < p.limit)
		p.limit = (size_t)limit;
	if (cursor != NULL)
		p.skip = strtoul(cursor, NULL, 10);
	for (size_t i = 0; i < CW_ARRAY_SIZE(tables); i++) {
		if (strcmp(tables[i].name, what) != 0)
			continue;
		p.rows = json_array();
		tables[i].fill(&p);
		if (p.seen > p.skip + p.limit) {
			snprintf(text, sizeof(text), "%zu", p.skip + p.limit);
			next = json_string(text);
		}
		return json_pack("{s:b, s:o, s:o, s:o}", "ok", 1, "columns",
				 json_loads(tables[i].columns, 0, NULL), "rows", p.rows, "next",
				 next);
	}
	return cw_query_error(
		"usage",
		"show: hosts, leases, names, routes, peers, site, foreign-dhcp, conflicts, dht, drops, workers or revocations");
}
