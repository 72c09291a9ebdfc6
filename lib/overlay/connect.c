/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How links come about.
 *
 * Alone: bootstrap endpoints, what LAN hellos named and remembered nodes, with back-off, for ever.
 * With a first link: ConnectTo to our own ID around the ring; whoever is nearest answers with its
 * neighbours, and the place is found. From then on neighbours tell of nearer ones. A wanted node
 * gets handshakes at its endpoints and a ConnectTo around the ring at the same time, so that it
 * sends too and NATs on both sides open (RFC 5128's simultaneous open).
 *
 * Two rings that were one find each other: lost neighbours stay candidates, and now and then one
 * lost node or bootstrap endpoint is tried; a link to the other ring is used to look for our place
 * there.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t random_ns(struct cw_overlay *o, uint64_t below_ns)
{
	return cw_random_u64(&o->config.random) % below_ns;
}

static uint64_t back_off(uint64_t *backoff_ns, uint64_t last_ns)
{
	uint64_t wait = *backoff_ns;

	*backoff_ns = cw_min_u64(wait * 2, last_ns);
	return wait;
}

/* Nodes that could relay to us: linked directly. */
static unsigned int list_relays(const struct cw_overlay *o, ProtobufCBinaryData *list)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < o->count && count < RELAYS_MAX; i++)
		if (node_ready(o->nodes[i]) && !o->nodes[i]->relayed)
			list[count++] = id_pack(&o->nodes[i]->node.identity.node);
	return count;
}

int connect_to_send(struct cw_overlay *o, const struct cw_node_id *to, enum mode mode,
		    enum kind kind, uint64_t token, const struct cw_node_id *via, uint64_t now_ns)
{
	Causeway__Overlay__ConnectTo connect_to = CAUSEWAY__OVERLAY__CONNECT_TO__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;
	ProtobufCBinaryData relays[RELAYS_MAX];
	struct told_node self;

	tell_self(o, &self);
	connect_to.node = &self.node;
	connect_to.relays = relays;
	connect_to.n_relays = list_relays(o, relays);
	connect_to.kind = kind;
	connect_to.token = token;
	if (via != NULL)
		connect_to.leaf = id_pack(via);
	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_CONNECT_TO;
	frame.connect_to = &connect_to;
	o->info.connect_to_out++;
	return route_begin(o, &frame, to, mode, via, now_ns);
}

static void place_via(struct cw_overlay *o, const struct cw_node_id *via, uint64_t now_ns)
{
	if (connect_to_send(o, &o->config.self, MODE_NEAREST_OTHER, KIND_NEAR, 0, via, now_ns) < 0)
		cw_log(o->config.log, CW_LOG_DEBUG, MODULE, "place not asked for");
}

void connect_place(struct cw_overlay *o, const struct node *n, uint64_t now_ns)
{
	o->place_ns = cw_max_u64(o->place_ns, now_ns + o->place_wait_ns);
	place_via(o, &n->node.identity.node, now_ns);
}

static void place_anyhow(struct cw_overlay *o, uint64_t now_ns)
{
	unsigned int start = (unsigned int)(cw_random_u64(&o->config.random) % o->count);

	for (unsigned int i = 0; i < o->count; i++) {
		struct node *n = o->nodes[(start + i) % o->count];

		if (!node_ready(n))
			continue;
		place_via(o, &n->node.identity.node, now_ns);
		return;
	}
}

void connect_node(struct cw_overlay *o, struct node *n, enum kind kind, uint64_t now_ns)
{
	struct cw_node_id id = n->node.identity.node;
	const struct node *teller = node_find(o, &n->teller);
	bool traffic = n->need & CW_OVERLAY_NEED_TRAFFIC;
	uint64_t last = now_ns - n->known_ns > STALE_NS ? CONNECT_LAST_STALE_NS : CONNECT_LAST_NS;

	if (n->relayed)
		last = CONNECT_LAST_STALE_NS; /* it works; a direct path would be better */
	n->connect_ns = now_ns + back_off(&n->backoff_ns, last) + random_ns(o, CONNECT_FIRST_NS);
	/* Nobody answered directly: both ends may be behind NATs that no opening helps. Where hosts
	 * wait, that is not waited for: the path becomes direct when it can. */
	if ((n->tries++ > 0 || traffic) && !n->node.linked)
		relay_ask(o, n, now_ns);
	if (n->node.endpoint_count > 0)
		o->ops.connect(o->ctx, &id, n->node.endpoints, n->node.endpoint_count, now_ns);
	if (o->linked > 0 &&
	    connect_to_send(o, &id, MODE_EXACT, kind, 0,
			    teller != NULL && node_ready(teller) ? &n->teller : NULL, now_ns) < 0)
		cw_log(o->config.log, CW_LOG_DEBUG, MODULE, "no way to ask a node to connect");
}

/* -- ConnectTo that arrived */

static void answer(struct cw_overlay *o, const Causeway__Overlay__ConnectTo *asked,
		   const struct cw_node_id *to, uint64_t now_ns)
{
	struct told_node self, near[2 * CW_OVERLAY_NEAR];
	ProtobufCBinaryData relays[RELAYS_MAX];
	Causeway__Overlay__Node *list[2 * CW_OVERLAY_NEAR];
	Causeway__Overlay__ConnectTo reply = CAUSEWAY__OVERLAY__CONNECT_TO__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;
	struct cw_node_id leaf;
	bool by_leaf = id_unpack(&asked->leaf, &leaf) && !cw_node_id_equal(&leaf, &o->config.self);

	tell_self(o, &self);
	reply.node = &self.node;
	reply.kind = asked->kind;
	reply.token = asked->token;
	reply.reply = true;
	reply.relays = relays;
	reply.n_relays = list_relays(o, relays);
	reply.near = list;
	reply.n_near = tell_near(o, to, near, list);
	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_CONNECT_TO;
	frame.connect_to = &reply;
	o->info.connect_to_out++;
	if (route_begin(o, &frame, to, MODE_EXACT, by_leaf ? &leaf : NULL, now_ns) < 0)
		cw_log(o->config.log, CW_LOG_DEBUG, MODULE, "no way to answer a ConnectTo");
}

static void take_reply(struct cw_overlay *o, struct node *n,
		       const Causeway__Overlay__ConnectTo *reply, uint64_t now_ns)
{
	struct cw_node_id id = n->node.identity.node;

	for (size_t i = 0; i < reply->n_near && i < TOLD_MAX; i++)
		learn_one(o, reply->near[i], &id, now_ns);
	if (reply->kind == KIND_NEAR && !o->placed) {
		o->placed = true;
		o->place_ns = now_ns + o->place_wait_ns;
		o->far_ns = now_ns + 2 * FAR_FIRST_NS;
	}
	/* Learning may have made room by forgetting. */
	n = node_find(o, &id);
	if (n != NULL && reply->kind == KIND_FAR && reply->token == o->far_token && !n->near) {
		o->far_token = 0;
		ring_need(o, n, CW_OVERLAY_NEED_FAR, 0, now_ns);
		if (n->node.linked)
			o->far_wait_ns = FAR_FIRST_NS;
	}
}

/* Whoever both are linked to directly stands between them if need be; without one, a link to the
 * first that the other end names is made. */
static void learn_relays(struct cw_overlay *o, struct node *n,
			 const Causeway__Overlay__ConnectTo *c, uint64_t now_ns)
{
	struct cw_node_id id, first = {0};
	size_t count = c->n_relays < RELAYS_MAX ? c->n_relays : RELAYS_MAX;
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		if (!id_unpack(&c->relays[i], &id) || cw_node_id_equal(&id, &o->config.self))
			continue;
		if (relay_could(o, &id)) {
			relay_note(n, &id);
			any = true;
		} else if (cw_node_id_is_zero(&first)) {
			first = id;
		}
	}
	if (any || n->tries <= 1 || cw_node_id_is_zero(&first))
		return;
	relay_note(n, &first);
	cw_overlay_want(o, &first, now_ns);
}

void connect_to_input(struct cw_overlay *o, const Causeway__Overlay__Frame *frame, uint64_t now_ns)
{
	const Causeway__Overlay__ConnectTo *c = frame->connect_to;
	struct cw_node_id source, leaf;
	struct node *n;

	if (!id_unpack(&frame->source, &source) || cw_node_id_equal(&source, &o->config.self) ||
	    c->node == NULL || c->node->id.len != CW_NODE_ID_BYTES ||
	    memcmp(c->node->id.data, source.b, CW_NODE_ID_BYTES) != 0)
		return;
	/* Each makes this node send handshakes somewhere: only so many. */
	if (now_ns - o->limit_ns >= CW_NS_PER_S) {
		o->limit_ns = now_ns;
		o->limit_count = 0;
	}
	if (o->limit_count++ >= CONNECT_TO_PER_S)
		return;
	o->info.connect_to_in++;
	n = learn_one(o, c->node, id_unpack(&c->leaf, &leaf) ? &leaf : NULL, now_ns);
	if (n == NULL)
		return;
	if (!c->reply)
		answer(o, c, &source, now_ns);
	else
		take_reply(o, n, c, now_ns);
	n = node_find(o, &source);
	if (n == NULL || (n->node.linked && !n->relayed))
		return;
	if (!n->node.linked)
		learn_relays(o, n, c, now_ns);
	n = node_find(o, &source);
	if (n == NULL || n->node.endpoint_count == 0)
		return;
	n->connect_ns = cw_max_u64(n->connect_ns, now_ns + CONNECT_FIRST_NS);
	o->ops.connect(o->ctx, &source, n->node.endpoints, n->node.endpoint_count, now_ns);
}

/* -- whom to try */

static bool linked_at(const struct cw_overlay *o, const struct cw_endpoint *ep)
{
	for (unsigned int i = 0; i < o->count; i++) {
		const struct cw_overlay_node *v = &o->nodes[i]->node;

		for (unsigned int e = 0; v->linked && e < v->endpoint_count; e++)
			if (cw_endpoint_equal(&v->endpoints[e], ep))
				return true;
	}
	return false;
}

static bool try_bootstrap(struct cw_overlay *o, struct bootstrap *b, uint64_t now_ns)
{
	if (!endpoint_usable(o, &b->endpoint) || linked_at(o, &b->endpoint) ||
	    now_ns < b->connect_ns)
		return false;
	o->ops.connect(o->ctx, NULL, &b->endpoint, 1, now_ns);
	b->connect_ns =
		now_ns + back_off(&b->backoff_ns, CONNECT_LAST_NS) + random_ns(o, CONNECT_FIRST_NS);
	return true;
}

/* So many of them, beginning at a random one, so that a dead one does not stand in the way. */
static void some_bootstrap(struct cw_overlay *o, unsigned int doors, uint64_t now_ns)
{
	unsigned int count = o->config.bootstrap_count;
	unsigned int start = count ? (unsigned int)(cw_random_u64(&o->config.random) % count) : 0;

	for (unsigned int i = 0; i < count; i++)
		if (try_bootstrap(o, &o->bootstrap[(start + i) % count], now_ns) && --doors == 0)
			return;
}

/* Endpoints that LAN hellos named; nobody who is linked there already. */
static void try_discovered(struct cw_overlay *o, uint64_t now_ns)
{
	while (o->discovered_count > 0) {
		const struct cw_endpoint *ep = &o->discovered[--o->discovered_count];

		if (!linked_at(o, ep))
			o->ops.connect(o->ctx, NULL, ep, 1, now_ns);
	}
}

static uint64_t when_alone(struct cw_overlay *o, uint64_t now_ns)
{
	unsigned int tried = 0;

	if (now_ns < o->probe_ns)
		return o->probe_ns;
	o->probe_ns = now_ns + CW_NS_PER_S / 2 + random_ns(o, CW_NS_PER_S / 2);
	o->lonely += o->lonely < 4;
	some_bootstrap(o, 1u << (o->lonely - 1), now_ns);
	for (unsigned int i = 0; i < o->count && tried < CANDIDATES_MAX; i++)
		if (now_ns >= o->nodes[i]->connect_ns && o->nodes[i]->node.endpoint_count > 0) {
			connect_node(o, o->nodes[i], KIND_NEAR, now_ns);
			tried++;
		}
	return o->probe_ns;
}

/* Nearer ones than those we have, on one side. */
static uint64_t candidates(struct cw_overlay *o, bool clockwise, uint64_t now_ns)
{
	unsigned int ready = 0, tried = 0;
	uint64_t next = CW_NEVER;

	for (unsigned int i = 0; i < o->count && ready < CW_OVERLAY_NEAR && tried < CANDIDATES_MAX;
	     i++) {
		struct node *n = node_step(o, clockwise, i);

		if (node_ready(n)) {
			ready++;
			continue;
		}
		if (n->node.linked)
			continue; /* it is leaving */
		tried++;
		if (now_ns >= n->connect_ns)
			connect_node(o, n, KIND_NEAR, now_ns);
		next = cw_min_u64(next, n->connect_ns);
	}
	return next;
}

/* Wanted for other reasons: shortcuts that were found, traffic. */
static uint64_t wanted(struct cw_overlay *o, uint64_t now_ns)
{
	uint64_t next = CW_NEVER;

	for (unsigned int i = 0; i < o->count; i++) {
		struct node *n = o->nodes[i];
		bool traffic = n->need & CW_OVERLAY_NEED_TRAFFIC;

		if (n->node.linked ? !n->relayed : !traffic)
			continue;
		if (n->node.linked) {
			if (now_ns >= n->connect_ns)
				connect_node(o, n, KIND_TRAFFIC, now_ns);
			next = cw_min_u64(next, n->connect_ns);
			continue;
		}
		if (now_ns - n->traffic_ns >= o->config.traffic_idle_ns) {
			n->need &= ~(unsigned int)CW_OVERLAY_NEED_TRAFFIC;
			continue;
		}
		if (now_ns >= n->connect_ns)
			connect_node(o, n, KIND_TRAFFIC, now_ns);
		next = cw_min_u64(next, n->connect_ns);
	}
	return next;
}

static uint64_t probe(struct cw_overlay *o, uint64_t now_ns)
{
	unsigned int start = (unsigned int)(cw_random_u64(&o->config.random) % o->count);

	if (now_ns < o->probe_ns)
		return o->probe_ns;
	o->probe_ns = now_ns + PROBE_NS / 2 + random_ns(o, PROBE_NS);
	/* Eight nodes of the whole ring knock at bootstrap doors in that time. */
	if (o->estimate <= 8 || cw_random_u64(&o->config.random) % o->estimate < 8)
		some_bootstrap(o, 1, now_ns);
	for (unsigned int i = 0; i < o->count; i++) {
		struct node *n = o->nodes[(start + i) % o->count];

		if (n->node.linked || !n->had_link || now_ns < n->connect_ns)
			continue;
		connect_node(o, n, KIND_NEAR, now_ns);
		break;
	}
	return o->probe_ns;
}

uint64_t connect_timer(struct cw_overlay *o, uint64_t now_ns)
{
	uint64_t next;

	try_discovered(o, now_ns);
	if (o->linked == 0) {
		o->placed = false;
		o->place_wait_ns = PLACE_FIRST_NS;
		return when_alone(o, now_ns);
	}
	if (now_ns >= o->place_ns) {
		place_anyhow(o, now_ns);
		o->place_ns = now_ns + o->place_wait_ns + random_ns(o, PLACE_FIRST_NS);
		o->place_wait_ns = cw_min_u64(o->place_wait_ns * 2, PLACE_LAST_NS);
	}
	next = cw_min_u64(o->place_ns, candidates(o, true, now_ns));
	next = cw_min_u64(next, candidates(o, false, now_ns));
	next = cw_min_u64(next, wanted(o, now_ns));
	return cw_min_u64(next, probe(o, now_ns));
}
