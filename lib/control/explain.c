/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayctl explain SRC DST: what this gateway would do with a packet from one address to
 * another, and on what knowledge.
 *
 * It asks the tables that workers read (ARP by the very responder that answers hosts) and, beside
 * them, the registers afresh, so that a table that lags behind shows. From the destination's
 * gateway the same question explains the way in. It changes nothing and sends nothing to any host.
 */
#include "internal.h"

#include <stdlib.h>

#include <cw_arp.h>
#include <cw_arp_respond.h>
#include <cw_eth.h>

/* Questions under way: operators are few. */
#define EXPLAINS_MAX 16u

struct end {
	struct explain *of;
	rte_be32_t ip;
	bool asked, answered, ok;
	struct cw_mapping mapping;
};

struct explain {
	struct explain *next;
	struct cw_control *ctl;
	cw_control_reply_fn reply; /* NULL: the client has gone */
	void *arg;
	struct end source, destination;
	uint8_t proto; /* 0: not said */
	uint16_t port;
};

static const char *ip_text(rte_be32_t ip, char out[CW_IP4_TEXT_BYTES])
{
	return cw_ip4_format(ip, out);
}

static json_t *node_json(const struct cw_control *ctl, const struct cw_node_id *node)
{
	const struct cw_overlay_node *n = cw_overlay_find(ctl->overlay, node);
	char id[CW_NODE_ID_TEXT_BYTES];

	cw_node_id_format(node, id);
	if (cw_node_id_equal(node, &ctl->config.identity.node))
		return json_sprintf("%s (this gateway)", ctl->config.identity.name);
	return n != NULL && n->identity.name[0] != '\0'
		       ? json_sprintf("%s (%s)", n->identity.name, id)
		       : json_string(id);
}

static json_t *mapping_json(const struct cw_control *ctl, const struct end *e)
{
	static const char *const states[] = {"nobody (in a pool)", "a client", "declined"};
	const struct cw_mapping *m = &e->mapping;

	if (!e->ok)
		return json_string("the registers did not answer");
	if (!m->held)
		return json_string("free");
	return json_pack("{s:o, s:s, s:I, s:I, s:i}", "owner",
			 m->owned ? node_json(ctl, &m->owner) : json_string("nobody speaks for it"),
			 "bound_to", m->client_state < 3 ? states[m->client_state] : "?", "gen",
			 (json_int_t)m->gen, "version", (json_int_t)m->ver, "entries",
			 (int)m->entry_count);
}

static json_t *host_json(const struct cw_control *ctl, rte_be32_t ip)
{
	static const char *const states[] = {"offered", "bound", "silent"};
	const struct cw_host *h = ctl->hosts != NULL ? cw_host_by_ip(ctl->hosts, ip) : NULL;
	char mac[CW_MAC_TEXT_BYTES];

	if (h == NULL)
		return json_null();
	return json_pack("{s:s, s:s, s:i, s:s}", "mac", cw_mac_format(&h->mac, mac), "state",
			 h->state < 3 ? states[h->state] : "?", "vlan", (int)h->vlan, "name",
			 h->name);
}

static json_t *end_json(const struct cw_control *ctl, const struct end *e)
{
	char ip[CW_IP4_TEXT_BYTES];

	return json_pack("{s:s, s:o, s:o}", "ip", ip_text(e->ip, ip), "host_here",
			 host_json(ctl, e->ip), "register", mapping_json(ctl, e));
}

/* What the source hears when it asks for the destination's MAC. */
static json_t *arp_json(const struct cw_control *ctl, const struct cw_host *source, rte_be32_t dst)
{
	uint8_t frame[CW_ETH_BYTES + CW_ETH_VLAN_BYTES + sizeof(struct cw_arp_packet)];
	static const struct cw_mac broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, nobody;
	size_t header = cw_eth_write(frame, &broadcast, &source->mac, source->vlan, CW_ETH_P_ARP);
	char mac[CW_MAC_TEXT_BYTES];
	struct cw_mac answered;
	enum cw_drop why;

	cw_arp_write(frame + header, CW_ARP_REQUEST, &source->mac, source->ip, &nobody, dst);
	switch (cw_arp_respond(ctl->view, frame, header + sizeof(struct cw_arp_packet), header,
			       ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns), &why)) {
	case CW_ARP_ANSWER:
		memcpy(answered.b, frame + 6, sizeof(answered.b));
		return json_sprintf("answered with %s", cw_mac_format(&answered, mac));
	case CW_ARP_TO_CONTROL:
		return json_string(
			"not known to workers: control asks the registers, then answers");
	default:
		return json_sprintf("silence: %s", cw_drop_text(why));
	}
}

static const struct cw_route *route_of(const struct cw_control *ctl, rte_be32_t ip)
{
	const struct cw_route *r = ctl->routes != NULL ? cw_route_find(ctl->routes, ip) : NULL;

	return r != NULL && ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns) < r->expires_tsc ? r : NULL;
}

static json_t *path_json(const struct cw_control *ctl, uint16_t peer, bool *usable)
{
	struct cw_link_info link = {.rtt_ns = 0};
	struct cw_peer_info info;
	char at[CW_ENDPOINT_TEXT_BYTES];

	*usable = false;
	if (peer == CW_PEER_NONE || !cw_peer_info(ctl->config.peers, peer, &info))
		return json_null();
	(void)cw_links_info(ctl->links, &info.params.node, &link);
	*usable = info.usable && info.params.have_next_hop;
	return json_pack("{s:o, s:s, s:b, s:b, s:f, s:i, s:o, s:s, s:i, s:i}", "peer",
			 node_json(ctl, &info.params.node), "endpoint",
			 cw_endpoint_format(&info.params.path, at), "keys", info.usable, "next_hop",
			 info.params.have_next_hop, "rtt_ms",
			 (double)link.rtt_ns / (double)CW_NS_PER_MS, "sa_generation",
			 (int)info.generation, "path_mtu", cw_path_mtu_json(&link), "mtu_state",
			 cw_path_mtu_state(&link), "largest_packet", (int)info.params.mtu_bytes,
			 "announced_mtu", (int)ctl->ns.mtu_bytes);
}

static bool session_live(const struct cw_control *ctl)
{
	return ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns) <
	       __atomic_load_n(&ctl->deadline.session_tsc, __ATOMIC_RELAXED);
}

/* A drop's name and meaning; NONE: it goes through. */
static json_t *verdict(enum cw_drop why, const char *else_text)
{
	return why == CW_DROP_NONE
		       ? json_string(else_text)
		       : json_sprintf("dropped: %s (%s)", cw_drop_name(why), cw_drop_text(why));
}

/* From a host of this site. */
static json_t *outbound(const struct cw_control *ctl, rte_be32_t dst, bool usable, bool *passes)
{
	const struct cw_route *route = route_of(ctl, dst);
	enum cw_drop why = CW_DROP_NONE;

	*passes = true;
	if (dst == ctl->view->service_ip)
		return json_string("answered by this gateway: ping, DNS; nothing else");
	if (!session_live(ctl))
		why = CW_DROP_SESSION_DEADLINE;
	else if (!cw_prefix4_contains(&ctl->ns.subnet, dst))
		why = CW_DROP_NOT_IN_SUBNET;
	else if (route == NULL)
		return json_string("held while control asks the registers, then decided");
	else if (route->kind == CW_ROUTE_LOCAL)
		why = CW_DROP_LOCAL_DESTINATION;
	else if (route->kind == CW_ROUTE_NONE)
		why = CW_DROP_NO_MAPPING;
	else if (!usable)
		why = CW_DROP_NO_SA;
	*passes = why == CW_DROP_NONE || why == CW_DROP_LOCAL_DESTINATION;
	return verdict(why, "sealed and sent to the peer");
}

/* To a host of this site, from the peer that speaks for the source. */
static json_t *inbound(const struct cw_control *ctl, const struct explain *x, bool *passes)
{
	const struct cw_host *host = cw_host_by_ip(ctl->hosts, x->destination.ip);
	const struct cw_route *route = route_of(ctl, x->source.ip);
	enum cw_drop why = CW_DROP_NONE;

	*passes = true;
	if (route == NULL)
		return json_string("held until the registers say whose the source is");
	if (route->kind != CW_ROUTE_REMOTE)
		why = CW_DROP_ADMIT_SOURCE;
	else if (host == NULL || host->state != CW_HOST_BOUND)
		why = CW_DROP_NOT_HERE;
	else if (!session_live(ctl))
		why = CW_DROP_SESSION_DEADLINE;
	*passes = why == CW_DROP_NONE;
	return verdict(why, "admitted from a peer of the source's site only, sent to the host");
}

/* Does what workers go by agree with the registers? */
static json_t *agreement(const struct cw_control *ctl, const struct end *e)
{
	const struct cw_route *route = route_of(ctl, e->ip);

	if (!e->ok)
		return json_string("not known: the registers did not answer");
	if (route == NULL)
		return json_string("nothing published");
	if (route->kind == CW_ROUTE_NONE)
		return json_string(e->mapping.owned ? "no: published as held by nobody" : "yes");
	return json_string(route->gen == e->mapping.gen ? "yes"
							: "no: another generation is published");
}

/* Counters that this packet could have gone into. */
static json_t *drops_json(struct cw_control *ctl)
{
	static const enum cw_drop of_interest[] = {
		CW_DROP_SOURCE_UNBOUND, CW_DROP_SOURCE_MAC,	  CW_DROP_NO_MAPPING,
		CW_DROP_NO_SA,		CW_DROP_TOO_BIG,	  CW_DROP_ESP_AUTH,
		CW_DROP_ADMIT_SOURCE,	CW_DROP_NOT_HERE,	  CW_DROP_POLICY_OUT,
		CW_DROP_POLICY_IN,	CW_DROP_POLICY_MALFORMED, CW_DROP_PUNT_LIMIT,
		CW_DROP_PUNT_FULL,	CW_DROP_SESSION_DEADLINE};
	json_t *object = json_object();

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(of_interest); i++) {
		uint64_t n = cw_control_drops(ctl, of_interest[i]);

		if (n > 0)
			json_object_set_new(object, cw_drop_name(of_interest[i]),
					    json_integer((json_int_t)n));
	}
	return object;
}

static json_t *policy_json(const struct cw_control *ctl, const struct explain *x, bool here,
			   bool *passes)
{
	rte_be32_t far = here ? x->destination.ip : x->source.ip;
	const struct cw_route *route = route_of(ctl, far);
	struct cw_policy_query q = {
		.src = x->source.ip,
		.dst = x->destination.ip,
		.outbound = here,
		.peer = cw_nexthops_peer(ctl, route, here ? x->source.ip : x->destination.ip),
		.proto = x->proto,
		.port = x->port};
	json_t *policy;
	bool pass;

	if (here && q.dst == ctl->view->service_ip)
		return json_string("of no concern: the gateway itself answers");
	policy = cw_policy_explain(ctl, &q, &pass);
	*passes = *passes && pass;
	return policy;
}

static json_t *build(struct explain *x)
{
	struct cw_control *ctl = x->ctl;
	const struct cw_host *source = cw_host_by_ip(ctl->hosts, x->source.ip);
	bool here = source != NULL && source->state == CW_HOST_BOUND;
	const struct end *far = here ? &x->destination : &x->source;
	const struct cw_route *route = route_of(ctl, far->ip);
	bool usable, passes;
	/* The same gateway both ways: the slot is that of the host here. */
	json_t *path = path_json(
		ctl, cw_nexthops_peer(ctl, route, here ? x->source.ip : x->destination.ip),
		&usable);
	json_t *object = json_pack("{s:s, s:o, s:o, s:o}", "direction",
				   here ? "out: the source is a host of this site"
					: "in: the source is not of this site",
				   "source", end_json(ctl, &x->source), "destination",
				   end_json(ctl, &x->destination), "arp",
				   here ? arp_json(ctl, source, x->destination.ip) : json_null());

	json_object_set_new(object, "forwarding",
			    here ? outbound(ctl, x->destination.ip, usable, &passes)
				 : inbound(ctl, x, &passes));
	json_object_set_new(object, "tables_agree_with_registers", agreement(ctl, far));
	json_object_set_new(object, "path", path);
	json_object_set_new(object, "policy", policy_json(ctl, x, here, &passes));
	json_object_set_new(object, "drops_since_start", drops_json(ctl));
	return json_pack("{s:b, s:o, s:b}", "ok", 1, "status", object, "degraded", !passes);
}

static void unlink_explain(struct explain *x)
{
	struct explain **at = &x->ctl->explains;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	x->ctl->explain_count--;
}

static void finish(struct explain *x)
{
	if (!x->source.answered || !x->destination.answered)
		return;
	unlink_explain(x);
	if (x->reply != NULL)
		x->reply(x->arg, build(x));
	free(x);
}

static void on_mapping(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct end *e = arg;

	e->of->ctl->now_ns = now_ns;
	e->answered = true;
	e->ok = answer->result == CW_STORE_OK;
	e->mapping = answer->mapping;
	finish(e->of);
}

static void ask(struct end *e)
{
	struct cw_control *ctl = e->of->ctl;
	struct cw_store_request request = {.verb = CW_STORE_MAP_GET, .fresh = true, .ip = e->ip};

	if (!cw_prefix4_contains(&ctl->ns.subnet, e->ip) ||
	    cw_store_submit(&ctl->store, &request, on_mapping, e, ctl->now_ns) < 0)
		e->answered = true;
}

/* Protocol and port, which may be left out. */
static bool parse_kind(const json_t *args, uint8_t *proto, uint16_t *port)
{
	const char *name = json_string_value(json_object_get(args, "proto"));
	json_int_t number = json_integer_value(json_object_get(args, "port"));

	if (number < 0 || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return name == NULL || cw_ns_protocol_parse(name, proto);
}

void cw_explain_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		      void *arg)
{
	const json_t *args = json_object_get(request, "args");
	const char *src = json_string_value(json_object_get(args, "src"));
	const char *dst = json_string_value(json_object_get(args, "dst"));
	json_t *error = NULL;
	struct explain *x = NULL;
	uint8_t proto = 0;
	uint16_t port = 0;
	rte_be32_t from, to;

	if (src == NULL || dst == NULL || cw_ip4_parse(src, &from) < 0 ||
	    cw_ip4_parse(dst, &to) < 0)
		error = cw_query_error("usage", "explain: expected two IPv4 addresses");
	else if (!parse_kind(args, &proto, &port))
		error = cw_query_error("usage",
				       "explain: expected tcp PORT, udp PORT, icmp or a number");
	else if (!ctl->have_ns || ctl->view == NULL)
		error = cw_query_error("not-ready", "no namespace is served here");
	else if (ctl->explain_count >= EXPLAINS_MAX)
		error = cw_query_error("busy", "too many explanations at once");
	else if ((x = calloc(1, sizeof(*x))) == NULL)
		error = cw_query_error("memory", "out of memory");
	/* Without memory there may be no error to tell of it either. */
	if (error != NULL || x == NULL) {
		reply(arg, error);
		return;
	}
	*x = (struct explain){.next = ctl->explains,
			      .ctl = ctl,
			      .reply = reply,
			      .arg = arg,
			      .proto = proto,
			      .port = port};
	x->source = (struct end){.of = x, .ip = from};
	x->destination = (struct end){.of = x, .ip = to};
	ctl->explains = x;
	ctl->explain_count++;
	ask(&x->source);
	ask(&x->destination);
	finish(x);
}

void cw_explain_cancel(struct cw_control *ctl, void *arg)
{
	for (struct explain *x = ctl->explains; x != NULL; x = x->next)
		if (x->arg == arg)
			x->reply = NULL;
}

void cw_explain_destroy(struct cw_control *ctl)
{
	while (ctl->explains != NULL) {
		struct explain *next = ctl->explains->next;

		free(ctl->explains);
		ctl->explains = next;
	}
}
