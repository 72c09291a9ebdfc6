/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayctl netcheck: what stands between this node and the others.
 *
 * Peers and bootstrap nodes are asked by STUN how we look from there, all from the one overlay
 * port. Do they agree, the NAT maps by our endpoint only (RFC 4787 section 4.1), and one that
 * stands open for one peer is open for all; else every peer needs a hole of its own. What is let in
 * is tried: a peer sends a datagram from a port we never sent to, and has one sent by a node that
 * we have nothing to do with. Our own reflexive endpoint is asked too: does the NAT turn back
 * (hairpin)? Padded questions with DF set find the largest packet that gets out.
 *
 * It measures and changes nothing: no mapping is kept, no link made. What it could not try is
 * "unknown", never guessed. It takes CHECK_NS.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

enum {
	/* Operators' checks under way. */
	CHECKS_MAX = 4,
	/* Who is asked: peers, then bootstrap endpoints. */
	ASKED_MAX = 12,
	TRANSACTION_BYTES = 12,
	/* Peers asked to knock, in case the first has no stranger at hand or a datagram is lost. */
	KNOCKERS_MAX = 3,
};

#define CHECK_NS (UINT64_C(2500) * CW_NS_PER_MS)
#define AGAIN_NS (UINT64_C(600) * CW_NS_PER_MS)

/* Packet sizes that matter: Ethernet, PPPoE, tunnels, what this design needs, IPv6's least. */
static const uint16_t sizes[] = {1500, 1492, 1484, 1460, 1420, 1400, 1360, 1280};
#define SIZES CW_ARRAY_SIZE(sizes)

struct asked {
	bool is_peer;
	struct cw_node_id node;
	struct cw_endpoint at;
	uint8_t transaction[TRANSACTION_BYTES];
	uint64_t sent_ns, rtt_ns; /* rtt_ns 0: no answer */
	struct cw_endpoint mapped;
};

struct netcheck {
	struct netcheck *next;
	struct cw_control *ctl;
	cw_control_reply_fn reply; /* NULL: the client has gone */
	void *arg;
	uint64_t begun_ns, again_ns;
	struct asked asked[ASKED_MAX];
	unsigned int count;
	/* One transaction for all sizes: the last byte says which. */
	uint8_t size_transaction[TRANSACTION_BYTES];
	uint16_t largest;
	uint8_t hairpin_transaction[TRANSACTION_BYTES];
	bool hairpin_asked, hairpin;
	/* 0: another port of a peer; 1: a stranger. */
	struct {
		uint8_t transaction[TRANSACTION_BYTES];
		uint64_t token;
		bool sent, arrived; /* somebody said that it was sent; it came */
	} knock[2];
};

struct netchecks {
	struct netcheck *list;
	unsigned int count;
};

int cw_netcheck_create(struct cw_control *ctl)
{
	ctl->netchecks = calloc(1, sizeof(*ctl->netchecks));
	return ctl->netchecks != NULL ? 0 : -ENOMEM;
}

void cw_netcheck_destroy(struct cw_control *ctl)
{
	while (ctl->netchecks != NULL && ctl->netchecks->list != NULL) {
		struct netcheck *next = ctl->netchecks->list->next;

		free(ctl->netchecks->list);
		ctl->netchecks->list = next;
	}
	free(ctl->netchecks);
	ctl->netchecks = NULL;
}

/* -- asking */

static void random_transaction(const struct cw_control *ctl, uint8_t *out)
{
	ctl->config.random.fill(ctl->config.random.ctx, out, TRANSACTION_BYTES);
}

static void add(struct netcheck *c, const struct cw_node_id *node, const struct cw_endpoint *at)
{
	struct asked *a = &c->asked[c->count];

	if (c->count == ASKED_MAX || at->family != CW_FAMILY_IPV4)
		return;
	for (unsigned int i = 0; i < c->count; i++)
		if (cw_endpoint_equal(&c->asked[i].at, at))
			return;
	c->count++;
	a->at = *at;
	a->is_peer = node != NULL;
	if (node != NULL)
		a->node = *node;
	random_transaction(c->ctl, a->transaction);
}

static void add_peer(void *arg, const struct cw_link_info *link)
{
	if (link->established)
		add(arg, &link->identity.node, &link->path);
}

static void ask_sizes(struct netcheck *c, const struct cw_endpoint *at)
{
	for (unsigned int i = 0; i < SIZES; i++) {
		if (sizes[i] > c->ctl->config.wan_mtu_bytes || sizes[i] <= c->largest)
			continue;
		c->size_transaction[TRANSACTION_BYTES - 1] = (uint8_t)i;
		cw_links_stun(c->ctl->links, at, c->size_transaction, sizes[i]);
	}
}

static void ask_knocks(struct netcheck *c)
{
	unsigned int knockers = 0;

	for (unsigned int i = 0; i < c->count && knockers < KNOCKERS_MAX; i++) {
		if (!c->asked[i].is_peer)
			continue;
		knockers++;
		for (unsigned int k = 0; k < 2; k++)
			if (!c->knock[k].arrived &&
			    cw_probe_knock(c->ctl, &c->asked[i].node, c->knock[k].token,
					   c->knock[k].transaction, k == 1) < 0)
				cw_log(c->ctl->config.log, CW_LOG_DEBUG, CW_CONTROL_MODULE,
				       "no way to ask a peer to knock");
	}
}

static void ask_all(struct netcheck *c)
{
	uint64_t now_ns = c->ctl->now_ns;
	bool sized = false;

	for (unsigned int i = 0; i < c->count; i++) {
		struct asked *a = &c->asked[i];

		/* Whoever answered to small ones is the one to ask how large they may be. */
		if (!sized && (a->rtt_ns != 0 || a->sent_ns == 0)) {
			sized = true;
			ask_sizes(c, &a->at);
		}
		if (a->rtt_ns != 0)
			continue;
		a->sent_ns = now_ns;
		cw_links_stun(c->ctl->links, &a->at, a->transaction, 0);
	}
	ask_knocks(c);
	c->again_ns = now_ns + AGAIN_NS;
}

/* -- what comes back */

void cw_netcheck_asked(struct cw_control *ctl, uint64_t token, bool somebody)
{
	for (struct netcheck *c = ctl->netchecks->list; c != NULL; c = c->next)
		for (unsigned int k = 0; k < 2; k++)
			if (c->knock[k].token == token)
				c->knock[k].sent |= somebody;
}

static bool is_self(const struct cw_control *ctl, const struct cw_endpoint *at)
{
	return at->family == CW_FAMILY_IPV4 && at->ip4 == ctl->config.wan_ip &&
	       at->port == ctl->config.wan_port;
}

static void take_answer(struct netcheck *c, struct asked *a, const struct cw_endpoint *mapped)
{
	if (a->rtt_ns != 0)
		return;
	a->rtt_ns = cw_max_u64(c->ctl->now_ns - a->sent_ns, 1);
	a->mapped = *mapped;
	if (c->hairpin_asked || is_self(c->ctl, mapped) || mapped->family != CW_FAMILY_IPV4)
		return;
	c->hairpin_asked = true;
	cw_links_stun(c->ctl->links, mapped, c->hairpin_transaction, 0);
}

static void take(struct netcheck *c, const struct cw_endpoint *from, const uint8_t *transaction,
		 const struct cw_endpoint *mapped)
{
	uint8_t last = transaction[TRANSACTION_BYTES - 1];

	for (unsigned int i = 0; i < c->count; i++)
		if (cw_endpoint_equal(&c->asked[i].at, from) &&
		    memcmp(c->asked[i].transaction, transaction, TRANSACTION_BYTES) == 0)
			take_answer(c, &c->asked[i], mapped);
	if (memcmp(c->hairpin_transaction, transaction, TRANSACTION_BYTES) == 0)
		c->hairpin = true;
	if (memcmp(c->size_transaction, transaction, TRANSACTION_BYTES - 1) == 0 && last < SIZES &&
	    sizes[last] > c->largest)
		c->largest = sizes[last];
	for (unsigned int k = 0; k < 2; k++)
		if (memcmp(c->knock[k].transaction, transaction, TRANSACTION_BYTES) == 0)
			c->knock[k].arrived = true;
}

void cw_netcheck_stun(struct cw_control *ctl, const struct cw_endpoint *from,
		      const uint8_t *transaction, const struct cw_endpoint *mapped)
{
	for (struct netcheck *c = ctl->netchecks->list; c != NULL; c = c->next)
		take(c, from, transaction, mapped);
}

/* -- the verdict */

struct verdict {
	unsigned int answers, through_nat;
	bool nat, many; /* more than one reflexive endpoint */
	bool other_ip, port_kept;
	struct cw_endpoint first;
	const char *mapping, *filtering, *reachable;
};

static void judge_mapping(const struct netcheck *c, struct verdict *v)
{
	for (unsigned int i = 0; i < c->count; i++) {
		const struct asked *a = &c->asked[i];

		if (a->rtt_ns == 0)
			continue;
		v->answers++;
		if (is_self(c->ctl, &a->mapped))
			continue;
		if (v->through_nat++ == 0) {
			v->first = a->mapped;
			v->port_kept = a->mapped.port == c->ctl->config.wan_port;
		} else if (!cw_endpoint_equal(&v->first, &a->mapped)) {
			v->many = true;
			v->other_ip |= v->first.ip4 != a->mapped.ip4;
			v->port_kept &= a->mapped.port == c->ctl->config.wan_port;
		}
	}
	v->nat = v->through_nat > 0;
	if (v->answers == 0)
		v->mapping = "unknown: nobody answered";
	else if (!v->nat)
		v->mapping = "none: peers see our own address";
	else if (v->many)
		v->mapping = "endpoint-dependent (symmetric)";
	else if (v->through_nat == 1)
		v->mapping = "unknown: only one peer outside answered";
	else
		v->mapping = "endpoint-independent";
}

static void judge_filtering(const struct netcheck *c, struct verdict *v)
{
	if (c->knock[1].arrived)
		v->filtering = "endpoint-independent";
	else if (c->knock[0].arrived)
		v->filtering = c->knock[1].sent ? "address-dependent"
						: "not port-dependent (no stranger could try)";
	else if (c->knock[0].sent)
		v->filtering = "address- and port-dependent";
	else
		v->filtering = "unknown: no peer could try";
}

static void judge_reachable(const struct netcheck *c, struct verdict *v)
{
	if (v->answers == 0)
		v->reachable = "no: no UDP comes back (is it blocked?)";
	else if (c->knock[1].arrived)
		v->reachable = "yes, from anywhere";
	else if (v->many)
		v->reachable =
			"directly by peers without port-dependent filters, by the others over a relay";
	else if (c->knock[0].arrived && !c->knock[1].sent)
		v->reachable = "yes, by whoever tried (every node has to do with us)";
	else if (c->knock[0].arrived || c->knock[0].sent)
		v->reachable = "yes, when both ends open a path (hole punching)";
	else
		v->reachable = "unknown";
}

/* -- as JSON */

static json_t *endpoint_json(const struct cw_endpoint *at)
{
	char text[CW_ENDPOINT_TEXT_BYTES];

	return json_string(cw_endpoint_format(at, text));
}

static json_t *asked_json(const struct netcheck *c)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < c->count; i++) {
		const struct asked *a = &c->asked[i];
		const struct cw_overlay_node *n =
			a->is_peer ? cw_overlay_find(c->ctl->overlay, &a->node) : NULL;
		json_t *name = n != NULL ? json_string(n->identity.name) : json_null();

		json_array_append_new(
			list, json_pack("{s:o, s:s, s:o, s:b, s:o, s:o}", "name", name, "is",
					a->is_peer ? "peer" : "bootstrap", "endpoint",
					endpoint_json(&a->at), "answered", a->rtt_ns != 0, "rtt_ms",
					a->rtt_ns != 0 ? json_real((double)a->rtt_ns /
								   (double)CW_NS_PER_MS)
						       : json_null(),
					"sees_us_at",
					a->rtt_ns != 0 ? endpoint_json(&a->mapped) : json_null()));
	}
	return list;
}

static void add_relay(void *arg, const struct cw_link_info *link)
{
	if (link->established && link->path.family == CW_FAMILY_IPV4)
		json_array_append_new(arg,
				      json_pack("{s:s, s:o, s:f}", "name", link->identity.name,
						"endpoint", endpoint_json(&link->path), "rtt_ms",
						(double)link->rtt_ns / (double)CW_NS_PER_MS));
}

static json_t *build(const struct netcheck *c)
{
	const struct cw_control *ctl = c->ctl;
	struct cw_endpoint self = {
		.family = CW_FAMILY_IPV4, .port = ctl->config.wan_port, .ip4 = ctl->config.wan_ip};
	struct verdict v = {.answers = 0};
	json_t *relays = json_array(), *status;

	judge_mapping(c, &v);
	judge_filtering(c, &v);
	judge_reachable(c, &v);
	cw_links_visit(ctl->links, add_relay, relays);
	status = json_pack("{s:b, s:o, s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:i, s:o}", "udp",
			   v.answers > 0, "own_endpoint", endpoint_json(&self), "nat",
			   v.answers > 0 ? json_boolean(v.nat) : json_null(), "reflexive_endpoint",
			   v.nat ? endpoint_json(&v.first) : json_null(), "mapping", v.mapping,
			   "filtering", v.filtering, "reachable", v.reachable, "port_preserved",
			   v.nat ? json_boolean(v.port_kept) : json_null(), "hairpin",
			   c->hairpin_asked ? json_boolean(c->hairpin) : json_null(),
			   "wan_mtu_bytes", (int)ctl->config.wan_mtu_bytes,
			   "largest_packet_out_bytes",
			   c->largest > 0 ? json_integer(c->largest) : json_null());
	json_object_set_new(status, "port_mapping", cw_mapping_json(ctl));
	json_object_set_new(status, "asked", asked_json(c));
	json_object_set_new(status, "relays", relays);
	return json_pack("{s:b, s:o, s:b}", "ok", 1, "status", status, "degraded", v.answers == 0);
}

/* -- life */

static void finish(struct netcheck *c)
{
	struct netcheck **at = &c->ctl->netchecks->list;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->ctl->netchecks->count--;
	if (c->reply != NULL)
		c->reply(c->arg, build(c));
	free(c);
}

void cw_netcheck_query(struct cw_control *ctl, cw_control_reply_fn reply, void *arg)
{
	struct netcheck *c = NULL;

	if (ctl->netchecks->count < CHECKS_MAX)
		c = calloc(1, sizeof(*c));
	if (c == NULL) {
		reply(arg, cw_query_error("busy", "too many checks are under way"));
		return;
	}
	*c = (struct netcheck){.next = ctl->netchecks->list,
			       .ctl = ctl,
			       .reply = reply,
			       .arg = arg,
			       .begun_ns = ctl->now_ns};
	ctl->netchecks->list = c;
	ctl->netchecks->count++;
	random_transaction(ctl, c->size_transaction);
	random_transaction(ctl, c->hairpin_transaction);
	for (unsigned int k = 0; k < 2; k++) {
		random_transaction(ctl, c->knock[k].transaction);
		c->knock[k].token = cw_random_u64(&ctl->config.random);
	}
	cw_links_visit(ctl->links, add_peer, c);
	for (unsigned int i = 0; i < ctl->config.bootstrap_count; i++)
		if (cw_overlay_usable(ctl->overlay, &ctl->config.bootstrap[i]))
			add(c, NULL, &ctl->config.bootstrap[i]);
	ask_all(c);
}

void cw_netcheck_cancel(struct cw_control *ctl, void *arg)
{
	for (struct netcheck *c = ctl->netchecks->list; c != NULL; c = c->next)
		if (c->arg == arg)
			c->reply = NULL;
}

void cw_netcheck_timer(struct cw_control *ctl)
{
	struct netcheck *next;

	for (struct netcheck *c = ctl->netchecks->list; c != NULL; c = next) {
		next = c->next;
		if (ctl->now_ns - c->begun_ns >= CHECK_NS)
			finish(c);
		else if (ctl->now_ns >= c->again_ns)
			ask_all(c);
	}
}
