/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay as a thing: made, told of links and frames, asked to send.
 *
 * Which links there should be is ring.c's, how they come about connect.c's, where a frame goes
 * route.c's, whose word is believed over several hops signed.c's. Here they meet lib/link's news
 * and the services.
 *
 * Invariant: a node is `linked` exactly between cw_overlay_link_up and cw_overlay_link_down of its
 * link.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

void cw_overlay_set_bootstrap(struct cw_overlay *overlay, const struct cw_endpoint *bootstrap,
			      unsigned int count)
{
	overlay->config.bootstrap_count =
		count < CW_OVERLAY_BOOTSTRAP_MAX ? count : CW_OVERLAY_BOOTSTRAP_MAX;
	for (unsigned int i = 0; i < overlay->config.bootstrap_count; i++) {
		overlay->config.bootstrap[i] = bootstrap[i];
		overlay->bootstrap[i] = (struct bootstrap){.endpoint = bootstrap[i],
							   .backoff_ns = CONNECT_FIRST_NS};
	}
	overlay->wake_ns = overlay->probe_ns = 0;
}

int cw_overlay_create(struct cw_overlay **out, const struct cw_overlay_config *config,
		      const struct cw_overlay_ops *ops, void *ctx)
{
	struct cw_overlay *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	o->config = *config;
	o->ops = *ops;
	o->ctx = ctx;
	o->loopback_tail = &o->loopback;
	if (o->config.traffic_idle_ns == 0)
		o->config.traffic_idle_ns = CW_OVERLAY_TRAFFIC_IDLE_NS;
	o->estimate = 1;
	o->place_wait_ns = PLACE_FIRST_NS;
	o->far_wait_ns = FAR_FIRST_NS;
	cw_overlay_set_bootstrap(o, config->bootstrap, config->bootstrap_count);
	*out = o;
	return 0;
}

void cw_overlay_destroy(struct cw_overlay *overlay)
{
	if (overlay == NULL)
		return;
	while (overlay->loopback != NULL) {
		struct loopback *next = overlay->loopback->next;

		free(overlay->loopback);
		overlay->loopback = next;
	}
	signed_free(overlay);
	kept_free(overlay);
	for (unsigned int i = 0; i < overlay->count; i++)
		free(overlay->nodes[i]);
	free(overlay->nodes);
	free(overlay);
}

static void run_loopback(struct cw_overlay *o, uint64_t now_ns)
{
	struct loopback *list = o->loopback;

	o->loopback = NULL;
	o->loopback_tail = &o->loopback;
	o->loopback_count = 0;
	while (list != NULL) {
		struct loopback *next = list->next;

		o->ops.deliver(o->ctx, list->service, &o->config.self, list->data, list->len,
			       now_ns);
		free(list);
		list = next;
	}
}

uint64_t cw_overlay_timer(struct cw_overlay *overlay, uint64_t now_ns)
{
	uint64_t next;

	run_loopback(overlay, now_ns);
	if (overlay->leaving)
		return overlay->loopback != NULL ? now_ns : CW_NEVER;
	if (overlay->changed || now_ns >= overlay->wake_ns) {
		/* What these cause is looked at in the next call. */
		overlay->wake_ns = CW_NEVER;
		next = ring_timer(overlay, now_ns);
		next = cw_min_u64(next, connect_timer(overlay, now_ns));
		next = cw_min_u64(next, kept_timer(overlay, now_ns));
		overlay->wake_ns = cw_min_u64(overlay->wake_ns, next);
	}
	return overlay->loopback != NULL || overlay->changed ? now_ns : overlay->wake_ns;
}

/* -- links */

void cw_overlay_link_up(struct cw_overlay *overlay, const struct cw_identity *identity,
			const struct cw_endpoint *path, uint64_t now_ns)
{
	struct node *n = node_find_or_add(overlay, &identity->node, now_ns);

	if (n == NULL) {
		cw_log(overlay->config.log, CW_LOG_WARN, MODULE,
		       "no memory for node %s: it is linked but not part of the ring",
		       identity->name);
		return;
	}
	overlay->linked += !n->node.linked;
	overlay->lonely = 0;
	n->node.identity = *identity;
	n->node.linked = true;
	n->node.draining = false;
	n->node.seen_ns = n->known_ns = n->linked_ns = n->needed_ns = now_ns;
	n->backoff_ns = CONNECT_FIRST_NS;
	n->peer_need = 0;
	n->heard_need = false;
	n->had_link = true;
	n->relayed = path->family == CW_FAMILY_RELAY;
	n->asked_relay = false;
	n->tries = 0;
	n->connect_ns = now_ns + CONNECT_FIRST_NS;
	n->class = CW_OVERLAY_CLASS_NEAR;
	if (!overlay->placed)
		n->need |= CW_OVERLAY_NEED_JOIN;
	n->said_need = ~n->need;
	node_add_endpoint(overlay, n, path);
	ring_update(overlay, now_ns);
	overlay->ops.node(overlay->ctx, &n->node, true, now_ns);
	overlay->ops.remember(overlay->ctx, now_ns);
	nodes_tell(overlay, n, now_ns);
	/* A link nobody here asked for may lead to another ring. */
	if (!overlay->placed)
		overlay->place_wait_ns = PLACE_FIRST_NS;
	if (!overlay->placed || n->need == 0)
		connect_place(overlay, n, now_ns);
	overlay->wake_ns = 0;
}

void cw_overlay_link_down(struct cw_overlay *overlay, const struct cw_node_id *node,
			  uint64_t now_ns)
{
	struct node *n = node_find(overlay, node);

	if (n == NULL || !n->node.linked)
		return;
	overlay->linked--;
	n->node.linked = false;
	n->node.seen_ns = now_ns;
	/* Dismissed, not lost: no reason to look for it. */
	n->had_link = n->need != 0 || n->peer_need != 0;
	n->need &= CW_OVERLAY_NEED_TRAFFIC;
	n->backoff_ns = n->node.draining ? CONNECT_LAST_NS : CONNECT_FIRST_NS;
	/* A relay will be needed again: no time for another try without. */
	n->tries = n->relayed;
	n->relayed = false;
	n->connect_ns = now_ns + cw_random_u64(&overlay->config.random) % CONNECT_FIRST_NS;
	if (n->near) {
		/* Its place on the ring is somebody else's now. */
		overlay->place_wait_ns = PLACE_FIRST_NS;
		overlay->place_ns = cw_min_u64(overlay->place_ns, now_ns + PLACE_FIRST_NS);
	}
	kept_link_down(overlay, node);
	overlay->changed = true;
	overlay->wake_ns = 0;
	overlay->ops.node(overlay->ctx, &n->node, false, now_ns);
	if (overlay->linked == 0) {
		overlay->probe_ns = 0;
		for (unsigned int i = 0; i < overlay->config.bootstrap_count; i++)
			overlay->bootstrap[i].backoff_ns = CONNECT_FIRST_NS;
	}
}

void cw_overlay_moved(struct cw_overlay *overlay, const struct cw_node_id *node,
		      const struct cw_endpoint *path, uint64_t now_ns)
{
	struct node *n = node_find(overlay, node);

	if (n == NULL || !n->node.linked)
		return;
	if (path->family == CW_FAMILY_RELAY && !n->relayed) {
		/* Perhaps it was only a moment: the direct path is tried anew at full pace. */
		n->backoff_ns = CONNECT_FIRST_NS;
		n->connect_ns = now_ns + CONNECT_FIRST_NS;
		overlay->wake_ns = 0;
	}
	n->relayed = path->family == CW_FAMILY_RELAY;
	node_add_endpoint(overlay, n, path);
}

void cw_overlay_relayed(struct cw_overlay *overlay, const struct cw_node_id *node,
			const struct cw_endpoint *path, uint64_t now_ns)
{
	struct node *n = node_find(overlay, node);

	/* The other end asked: its hello comes. */
	if (n == NULL || n->node.linked || !n->asked_relay)
		return;
	n->asked_relay = false;
	overlay->ops.connect(overlay->ctx, node, path, 1, now_ns);
}

static void take_frame(struct cw_overlay *o, struct node *n, Causeway__Overlay__Frame *frame,
		       uint64_t now_ns)
{
	struct cw_node_id from = n->node.identity.node;

	switch (frame->body_case) {
	case CAUSEWAY__OVERLAY__FRAME__BODY_NODES:
		nodes_learn(o, n, frame->nodes, now_ns);
		break;
	case CAUSEWAY__OVERLAY__FRAME__BODY_LEAVING:
		n->node.draining = true;
		o->changed = true;
		/* It comes back by itself: no reason to knock at a door that was just closed. */
		n->backoff_ns = CONNECT_LAST_NS;
		break;
	case CAUSEWAY__OVERLAY__FRAME__BODY_PAYLOAD:
		/* A later version's services are nobody's here. */
		if (frame->payload->service == 0 ||
		    frame->payload->service >= CW_OVERLAY_SERVICE_COUNT)
			break;
		o->ops.deliver(o->ctx, (enum cw_overlay_service)frame->payload->service, &from,
			       frame->payload->data.data, frame->payload->data.len, now_ns);
		break;
	default:
		break;
	}
}

void cw_overlay_input(struct cw_overlay *overlay, const struct cw_node_id *from,
		      const uint8_t *data, size_t len, uint64_t now_ns)
{
	Causeway__Overlay__Frame *frame = causeway__overlay__frame__unpack(NULL, len, data);
	struct node *n = node_find(overlay, from);

	if (frame == NULL)
		return;
	if (n != NULL && n->node.linked) {
		n->node.seen_ns = n->known_ns = now_ns;
		if (!n->heard_need || n->peer_need != frame->need) {
			n->heard_need = true;
			n->peer_need = frame->need;
			overlay->changed = true;
		}
		if (frame->destination.len == 0)
			take_frame(overlay, n, frame, now_ns);
		else
			route_frame(overlay, frame, from, now_ns);
	}
	causeway__overlay__frame__free_unpacked(frame, NULL);
}

/* -- what is known from elsewhere */

static void tell_soon(struct cw_overlay *o, uint64_t now_ns)
{
	o->tell_ns = cw_min_u64(o->tell_ns, now_ns + TELL_SOON_NS);
	o->wake_ns = 0;
}

static void forget_endpoint(struct cw_overlay_config *c, unsigned int at)
{
	memmove(c->endpoints + at, c->endpoints + at + 1,
		(c->endpoint_count - at - 1) * sizeof(c->endpoints[0]));
	c->endpoint_count--;
}

void cw_overlay_mapped(struct cw_overlay *overlay, const struct cw_endpoint *endpoint,
		       uint64_t now_ns)
{
	struct cw_overlay_config *c = &overlay->config;

	if (overlay->mapped)
		forget_endpoint(c, 1);
	overlay->mapped = false;
	tell_soon(overlay, now_ns);
	if (endpoint == NULL || endpoint->family != CW_FAMILY_IPV4 || endpoint->port == 0 ||
	    c->endpoint_count == 0)
		return;
	for (unsigned int i = 0; i < c->endpoint_count; i++) {
		if (!cw_endpoint_equal(&c->endpoints[i], endpoint))
			continue;
		if (i == 0)
			return; /* no NAT at all */
		forget_endpoint(c, i--);
	}
	if (c->endpoint_count == CW_OVERLAY_ENDPOINTS_MAX)
		forget_endpoint(c, 1);
	memmove(c->endpoints + 2, c->endpoints + 1,
		(c->endpoint_count - 1) * sizeof(c->endpoints[0]));
	c->endpoints[1] = *endpoint;
	c->endpoint_count++;
	overlay->mapped = true;
}

void cw_overlay_endpoint(struct cw_overlay *overlay, const struct cw_endpoint *seen,
			 uint64_t now_ns)
{
	struct cw_overlay_config *c = &overlay->config;

	for (unsigned int i = 0; i < c->endpoint_count; i++)
		if (cw_endpoint_equal(&c->endpoints[i], seen))
			return;
	if (seen->family != CW_FAMILY_IPV4 || seen->port == 0)
		return;
	/* The first is the configured one, then a mapped one; of the learnt ones the oldest goes.
	 */
	if (c->endpoint_count == CW_OVERLAY_ENDPOINTS_MAX)
		forget_endpoint(c, overlay->mapped ? 2 : 1);
	c->endpoints[c->endpoint_count++] = *seen;
	tell_soon(overlay, now_ns);
}

void cw_overlay_forbid(struct cw_overlay *overlay, const struct cw_prefix4 *prefix)
{
	struct cw_overlay_config *c = &overlay->config;

	for (unsigned int i = 0; i < c->forbidden_count; i++)
		if (c->forbidden[i].ip == prefix->ip && c->forbidden[i].len == prefix->len)
			return;
	if (c->forbidden_count == CW_ARRAY_SIZE(c->forbidden))
		return;
	c->forbidden[c->forbidden_count++] = *prefix;
	nodes_forget_unusable(overlay);
}

void cw_overlay_remembered(struct cw_overlay *overlay, const struct cw_node_id *node,
			   const struct cw_endpoint *endpoints, unsigned int count, uint64_t now_ns)
{
	struct node *n;

	if (cw_node_id_equal(node, &overlay->config.self))
		return;
	n = node_find_or_add(overlay, node, now_ns);
	if (n == NULL)
		return;
	n->had_link = true;
	for (unsigned int i = 0; i < count; i++)
		node_add_endpoint(overlay, n, &endpoints[i]);
	overlay->wake_ns = 0;
}

void cw_overlay_discovered(struct cw_overlay *overlay, const struct cw_endpoint *endpoint,
			   uint64_t now_ns)
{
	(void)now_ns;
	if (!endpoint_usable(overlay, endpoint))
		return;
	/* Eight nodes of the whole ring answer a hello. */
	if (overlay->linked > 0 && overlay->estimate > 8 &&
	    cw_random_u64(&overlay->config.random) % overlay->estimate >= 8)
		return;
	for (unsigned int i = 0; i < overlay->discovered_count; i++)
		if (cw_endpoint_equal(&overlay->discovered[i], endpoint))
			return;
	if (overlay->discovered_count == DISCOVERED_MAX)
		return;
	overlay->discovered[overlay->discovered_count++] = *endpoint;
	overlay->wake_ns = 0;
}

void cw_overlay_leave(struct cw_overlay *overlay, uint64_t now_ns)
{
	Causeway__Overlay__Leaving leaving = CAUSEWAY__OVERLAY__LEAVING__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;

	overlay->leaving = true;
	for (unsigned int i = 0; i < overlay->count; i++) {
		struct node *n = overlay->nodes[i];

		if (!n->node.linked)
			continue;
		/* Those who stood beside us must find each other. */
		if (n->near)
			nodes_tell(overlay, n, now_ns);
		frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_LEAVING;
		frame.leaving = &leaving;
		if (overlay_send_frame(overlay, n, &frame, false, now_ns) < 0)
			cw_log(overlay->config.log, CW_LOG_DEBUG, MODULE, "leaving not told");
	}
}

/* -- services */

static int send_to_self(struct cw_overlay *o, enum cw_overlay_service service, const void *data,
			size_t len)
{
	struct loopback *l;

	if (o->loopback_count >= LOOPBACK_MAX)
		return -ENOBUFS;
	l = malloc(sizeof(*l) + len);
	if (l == NULL)
		return -ENOMEM;
	*l = (struct loopback){.service = service, .len = len};
	memcpy(l->data, data, len);
	*o->loopback_tail = l;
	o->loopback_tail = &l->next;
	o->loopback_count++;
	return 0;
}

/* Whoever is sent to again within ten seconds deserves a link. */
static void note_sent(struct cw_overlay *o, const struct cw_node_id *to, uint64_t now_ns)
{
	struct sent *oldest = &o->sent[0];

	for (unsigned int i = 0; i < SENT_MAX; i++) {
		struct sent *s = &o->sent[i];

		if (s->count > 0 && cw_node_id_equal(&s->to, to)) {
			if (now_ns - s->at_ns > 10 * CW_NS_PER_S)
				s->count = 0;
			s->at_ns = now_ns;
			if (++s->count >= SENT_WANTS_LINK)
				cw_overlay_want(o, to, now_ns);
			return;
		}
		if (s->at_ns < oldest->at_ns)
			oldest = s;
	}
	*oldest = (struct sent){.to = *to, .count = 1, .at_ns = now_ns};
}

int cw_overlay_send(struct cw_overlay *overlay, enum cw_overlay_service service,
		    const struct cw_node_id *to, const void *data, size_t len, uint64_t now_ns)
{
	Causeway__Overlay__Payload payload = CAUSEWAY__OVERLAY__PAYLOAD__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;
	struct node *n;

	if (cw_node_id_equal(to, &overlay->config.self))
		return send_to_self(overlay, service, data, len);
	n = node_find(overlay, to);
	if (n == NULL || !n->node.linked) {
		note_sent(overlay, to, now_ns);
		return signed_send(overlay, service, to, MODE_EXACT, data, len, now_ns);
	}
	/* What is told to all neighbours is no reason to keep one. */
	if (service != CW_OVERLAY_REVOCATION) {
		n->traffic_ns = now_ns;
		if (!(n->need & CW_OVERLAY_NEED_TRAFFIC))
			ring_need(overlay, n, CW_OVERLAY_NEED_TRAFFIC, 0, now_ns);
	}
	payload.service = (uint32_t)service;
	payload.data.data = (uint8_t *)(uintptr_t)data;
	payload.data.len = len;
	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_PAYLOAD;
	frame.payload = &payload;
	return overlay_send_frame(overlay, n, &frame, false, now_ns);
}

int cw_overlay_route(struct cw_overlay *overlay, enum cw_overlay_service service,
		     const struct cw_node_id *key, const void *data, size_t len, uint64_t now_ns)
{
	if (cw_overlay_nearest(overlay, key))
		return send_to_self(overlay, service, data, len);
	return signed_send(overlay, service, key, MODE_NEAREST, data, len, now_ns);
}

void cw_overlay_want(struct cw_overlay *overlay, const struct cw_node_id *node, uint64_t now_ns)
{
	struct node *n = node_find(overlay, node);

	if (n == NULL) {
		if (overlay->count >= CW_OVERLAY_NODES_MAX)
			return;
		n = node_find_or_add(overlay, node, now_ns);
		if (n == NULL)
			return;
	}
	n->traffic_ns = now_ns;
	if (!(n->need & CW_OVERLAY_NEED_TRAFFIC)) {
		ring_need(overlay, n, CW_OVERLAY_NEED_TRAFFIC, 0, now_ns);
		n->connect_ns = now_ns;
		n->backoff_ns = CONNECT_FIRST_NS;
		overlay->wake_ns = 0;
	}
}

/* -- questions */

unsigned int cw_overlay_near(const struct cw_overlay *overlay, struct cw_node_id *out,
			     unsigned int max)
{
	unsigned int count = overlay->near_count < max ? overlay->near_count : max;

	memcpy(out, overlay->near, count * sizeof(out[0]));
	return count;
}

const struct cw_overlay_node *cw_overlay_find(const struct cw_overlay *overlay,
					      const struct cw_node_id *node)
{
	const struct node *n = node_find(overlay, node);

	return n != NULL ? &n->node : NULL;
}

const struct cw_identity *cw_overlay_identity(const struct cw_overlay *overlay,
					      const struct cw_node_id *node)
{
	const struct node *n = node_find(overlay, node);

	return n != NULL && n->node.linked ? &n->node.identity : signed_identity(overlay, node);
}

void cw_overlay_needs(const struct cw_overlay *overlay, const struct cw_node_id *node,
		      unsigned int *ours, unsigned int *theirs)
{
	const struct node *n = node_find(overlay, node);

	*ours = n != NULL ? n->need : 0;
	*theirs = n != NULL ? n->peer_need : 0;
}

void cw_overlay_visit(const struct cw_overlay *overlay, cw_overlay_visit_fn visit, void *arg)
{
	for (unsigned int i = 0; i < overlay->count; i++)
		visit(arg, &overlay->nodes[i]->node);
}

void cw_overlay_info(const struct cw_overlay *overlay, struct cw_overlay_info *out)
{
	*out = overlay->info;
	out->joined = overlay->placed && overlay->near_count > 0;
	out->estimate = overlay->estimate;
	out->links = overlay->linked;
	out->near = overlay->near_count;
	out->known = overlay->count;
	for (unsigned int i = 0; i < overlay->count; i++) {
		const struct node *n = overlay->nodes[i];

		out->far += node_ready(n) && ((n->need | n->peer_need) & CW_OVERLAY_NEED_FAR);
		out->relayed += node_ready(n) && n->relayed;
		out->traffic += node_ready(n) && (n->need & CW_OVERLAY_NEED_TRAFFIC);
	}
}
