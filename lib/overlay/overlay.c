/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay's first stage: a full mesh. Everybody links to everybody it hears of.
 *
 * A node knows bootstrap endpoints (tried for ever, with back-off, while nobody else is linked),
 * nodes remembered from an earlier life, and nodes that neighbours tell of. Links are lib/link's;
 * here is only who should be linked, and the carrying of services' messages over one hop. It
 * refuses to route: a frame with another destination is not ours yet (the ring brings that).
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
	free(overlay);
}

int overlay_send_frame(struct cw_overlay *o, const struct cw_node_id *to,
		       Causeway__Overlay__Frame *frame, uint64_t now_ns)
{
	size_t len;
	uint8_t *bytes;
	int err;

	frame->version = CW_OVERLAY_VERSION;
	len = causeway__overlay__frame__get_packed_size(frame);
	bytes = malloc(len);
	if (bytes == NULL)
		return -ENOMEM;
	causeway__overlay__frame__pack(frame, bytes);
	err = o->ops.send(o->ctx, to, bytes, len, now_ns);
	free(bytes);
	return err;
}

static uint64_t back_off(uint64_t *backoff_ns)
{
	uint64_t wait = *backoff_ns;

	*backoff_ns = cw_min_u64(wait * 2, CONNECT_LAST_NS);
	return wait;
}

static bool any_linked(const struct cw_overlay *o)
{
	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX; i++)
		if (o->nodes[i].used && o->nodes[i].node.linked)
			return true;
	return false;
}

static bool linked_at(const struct cw_overlay *o, const struct cw_endpoint *ep)
{
	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX; i++) {
		const struct cw_overlay_node *v = &o->nodes[i].node;

		if (!o->nodes[i].used || !v->linked)
			continue;
		for (unsigned int e = 0; e < v->endpoint_count; e++)
			if (cw_endpoint_equal(&v->endpoints[e], ep))
				return true;
	}
	return false;
}

static uint64_t connect_bootstrap(struct cw_overlay *o, uint64_t now_ns)
{
	uint64_t next = CW_NEVER;

	for (unsigned int i = 0; i < o->config.bootstrap_count; i++) {
		struct bootstrap *b = &o->bootstrap[i];

		if (!endpoint_usable(o, &b->endpoint) || linked_at(o, &b->endpoint))
			continue;
		if (now_ns >= b->connect_ns) {
			o->ops.connect(o->ctx, NULL, &b->endpoint, 1, now_ns);
			b->connect_ns = now_ns + back_off(&b->backoff_ns) +
					cw_random_u64(&o->config.random) % CONNECT_FIRST_NS;
		}
		next = cw_min_u64(next, b->connect_ns);
	}
	return next;
}

static uint64_t connect_nodes(struct cw_overlay *o, uint64_t now_ns)
{
	uint64_t next = CW_NEVER;

	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX; i++) {
		struct node *n = &o->nodes[i];

		if (!n->used || n->node.linked)
			continue;
		if (now_ns - n->known_ns > FORGET_NS) {
			n->used = false;
			continue;
		}
		if (n->node.endpoint_count == 0)
			continue;
		if (now_ns >= n->connect_ns) {
			o->ops.connect(o->ctx, &n->node.identity.node, n->node.endpoints,
				       n->node.endpoint_count, now_ns);
			n->connect_ns = now_ns + back_off(&n->backoff_ns) +
					cw_random_u64(&o->config.random) % CONNECT_FIRST_NS;
		}
		next = cw_min_u64(next, n->connect_ns);
	}
	return next;
}

static void tell_all(struct cw_overlay *o, uint64_t now_ns)
{
	o->tell_soon = false;
	o->tell_ns = now_ns + TELL_EVERY_NS;
	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX; i++)
		if (o->nodes[i].used && o->nodes[i].node.linked)
			nodes_tell(o, &o->nodes[i].node.identity.node, now_ns);
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
		return CW_NEVER;
	next = cw_min_u64(connect_bootstrap(overlay, now_ns), connect_nodes(overlay, now_ns));
	if (overlay->tell_soon || now_ns >= overlay->tell_ns)
		tell_all(overlay, now_ns);
	next = cw_min_u64(next, overlay->tell_ns);
	return overlay->loopback != NULL ? now_ns : next;
}

void cw_overlay_link_up(struct cw_overlay *overlay, const struct cw_identity *identity,
			const struct cw_endpoint *path, uint64_t now_ns)
{
	struct node *n = node_find_or_add(overlay, &identity->node, now_ns);

	if (n == NULL) {
		cw_log(overlay->config.log, CW_LOG_WARN, MODULE,
		       "more than %u nodes: %s is linked but not part of the mesh",
		       CW_OVERLAY_NODES_MAX, identity->name);
		return;
	}
	n->node.identity = *identity;
	n->node.linked = true;
	n->node.draining = false;
	n->node.seen_ns = n->known_ns = now_ns;
	n->backoff_ns = CONNECT_FIRST_NS;
	node_add_endpoint(overlay, n, path);
	overlay->tell_soon = true;
	overlay->ops.node(overlay->ctx, &n->node, true, now_ns);
	overlay->ops.remember(overlay->ctx, now_ns);
}

void cw_overlay_link_down(struct cw_overlay *overlay, const struct cw_node_id *node,
			  uint64_t now_ns)
{
	struct node *n = node_find(overlay, node);

	if (n == NULL || !n->node.linked)
		return;
	n->node.linked = false;
	n->node.seen_ns = now_ns;
	n->connect_ns = now_ns + cw_random_u64(&overlay->config.random) % CONNECT_FIRST_NS;
	overlay->ops.node(overlay->ctx, &n->node, false, now_ns);
	if (!any_linked(overlay))
		for (unsigned int i = 0; i < overlay->config.bootstrap_count; i++)
			overlay->bootstrap[i].backoff_ns = CONNECT_FIRST_NS;
}

void cw_overlay_input(struct cw_overlay *overlay, const struct cw_node_id *from,
		      const uint8_t *data, size_t len, uint64_t now_ns)
{
	Causeway__Overlay__Frame *frame = causeway__overlay__frame__unpack(NULL, len, data);
	struct node *n = node_find(overlay, from);

	if (frame == NULL)
		return;
	if (frame->destination.len != 0 || n == NULL || !n->node.linked) {
		causeway__overlay__frame__free_unpacked(frame, NULL);
		return;
	}
	n->node.seen_ns = n->known_ns = now_ns;
	switch (frame->body_case) {
	case CAUSEWAY__OVERLAY__FRAME__BODY_NODES:
		nodes_learn(overlay, from, frame->nodes, now_ns);
		break;
	case CAUSEWAY__OVERLAY__FRAME__BODY_LEAVING:
		n->node.draining = true;
		/* It comes back by itself: no reason to knock at a door that was just closed. */
		n->backoff_ns = CONNECT_LAST_NS;
		break;
	case CAUSEWAY__OVERLAY__FRAME__BODY_PAYLOAD:
		overlay->ops.deliver(overlay->ctx, (enum cw_overlay_service)frame->payload->service,
				     from, frame->payload->data.data, frame->payload->data.len,
				     now_ns);
		break;
	default:
		break;
	}
	causeway__overlay__frame__free_unpacked(frame, NULL);
}

void cw_overlay_endpoint(struct cw_overlay *overlay, const struct cw_endpoint *seen,
			 uint64_t now_ns)
{
	struct cw_overlay_config *c = &overlay->config;

	(void)now_ns;
	for (unsigned int i = 0; i < c->endpoint_count; i++)
		if (cw_endpoint_equal(&c->endpoints[i], seen))
			return;
	if (seen->family != CW_FAMILY_IPV4 || seen->port == 0)
		return;
	if (c->endpoint_count == CW_OVERLAY_ENDPOINTS_MAX) {
		/* The first is the configured one; of the learnt ones the oldest goes. */
		memmove(c->endpoints + 1, c->endpoints + 2,
			(CW_OVERLAY_ENDPOINTS_MAX - 2) * sizeof(c->endpoints[0]));
		c->endpoint_count--;
	}
	c->endpoints[c->endpoint_count++] = *seen;
	overlay->tell_soon = true;
}

void cw_overlay_forbid(struct cw_overlay *overlay, const struct cw_prefix4 *prefix)
{
	struct cw_overlay_config *c = &overlay->config;

	for (unsigned int i = 0; i < c->forbidden_count; i++)
		if (c->forbidden[i].ip == prefix->ip && c->forbidden[i].len == prefix->len)
			return;
	if (c->forbidden_count < CW_ARRAY_SIZE(c->forbidden))
		c->forbidden[c->forbidden_count++] = *prefix;
}

void cw_overlay_remembered(struct cw_overlay *overlay, const struct cw_node_id *node,
			   const struct cw_endpoint *endpoints, unsigned int count, uint64_t now_ns)
{
	struct node *n;

	if (cw_node_id_equal(node, &overlay->config.self))
		return;
	n = node_find_or_add(overlay, node, now_ns);
	for (unsigned int i = 0; n != NULL && i < count; i++)
		node_add_endpoint(overlay, n, &endpoints[i]);
}

void cw_overlay_leave(struct cw_overlay *overlay, uint64_t now_ns)
{
	Causeway__Overlay__Leaving leaving = CAUSEWAY__OVERLAY__LEAVING__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;

	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_LEAVING;
	frame.leaving = &leaving;
	overlay->leaving = true;
	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX; i++)
		if (overlay->nodes[i].used && overlay->nodes[i].node.linked)
			overlay_send_frame(overlay, &overlay->nodes[i].node.identity.node, &frame,
					   now_ns);
}

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

int cw_overlay_send(struct cw_overlay *overlay, enum cw_overlay_service service,
		    const struct cw_node_id *to, const void *data, size_t len, uint64_t now_ns)
{
	Causeway__Overlay__Payload payload = CAUSEWAY__OVERLAY__PAYLOAD__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;
	struct node *n;

	if (cw_node_id_equal(to, &overlay->config.self))
		return send_to_self(overlay, service, data, len);
	n = node_find(overlay, to);
	if (n == NULL || !n->node.linked)
		return -EHOSTUNREACH;
	payload.service = (uint32_t)service;
	payload.data.data = (uint8_t *)(uintptr_t)data;
	payload.data.len = len;
	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_PAYLOAD;
	frame.payload = &payload;
	return overlay_send_frame(overlay, to, &frame, now_ns);
}

const struct cw_overlay_node *cw_overlay_find(const struct cw_overlay *overlay,
					      const struct cw_node_id *node)
{
	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX; i++)
		if (overlay->nodes[i].used &&
		    cw_node_id_equal(&overlay->nodes[i].node.identity.node, node))
			return &overlay->nodes[i].node;
	return NULL;
}

void cw_overlay_visit(const struct cw_overlay *overlay, cw_overlay_visit_fn visit, void *arg)
{
	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX; i++)
		if (overlay->nodes[i].used)
			visit(arg, &overlay->nodes[i].node);
}
