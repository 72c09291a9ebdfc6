/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frame's next hop. Greedy: to the linked node that is nearest to the destination, if it is
 * nearer than we are; so the distance shrinks with every hop and no frame goes in circles. `via`
 * first names a node to pass, for one that is not in the ring yet, or is known by hearsay.
 *
 * It refuses to keep anything: a frame without a next hop is counted and gone; services retry.
 */
#include "internal.h"

#include <errno.h>

/* Of the ready ones the nearest to the key, `except` excepted; NULL: none. */
static struct node *nearest(const struct cw_overlay *o, const struct cw_node_id *key,
			    const struct cw_node_id *except)
{
	struct node *best[2] = {NULL, NULL};
	bool found;
	unsigned int at = node_index(o, key, &found);

	for (unsigned int way = 0; way < 2; way++)
		for (unsigned int i = 0; i < o->count && best[way] == NULL; i++) {
			struct node *n =
				o->nodes[way == 0 ? (at + i) % o->count
						  : (at + 2 * o->count - 1 - i) % o->count];

			if (node_ready(n) &&
			    (except == NULL || !cw_node_id_equal(&n->node.identity.node, except)))
				best[way] = n;
		}
	if (best[0] == NULL || best[1] == NULL)
		return best[0] != NULL ? best[0] : best[1];
	return ring_nearer(key, &best[0]->node.identity.node, &best[1]->node.identity.node)
		       ? best[0]
		       : best[1];
}

bool cw_overlay_nearest(const struct cw_overlay *overlay, const struct cw_node_id *key)
{
	const struct node *n = nearest(overlay, key, NULL);

	return n == NULL || ring_nearer(key, &overlay->config.self, &n->node.identity.node);
}

static void take(struct cw_overlay *o, const Causeway__Overlay__Frame *frame, uint64_t now_ns)
{
	struct cw_node_id source;

	if (!id_unpack(&frame->source, &source))
		return;
	o->info.routed_in++;
	o->info.hops_in += TTL - (frame->ttl < TTL ? frame->ttl : TTL);
	switch (frame->body_case) {
	case CAUSEWAY__OVERLAY__FRAME__BODY_CONNECT_TO:
		connect_to_input(o, frame, now_ns);
		break;
	case CAUSEWAY__OVERLAY__FRAME__BODY_SIGNED:
		signed_input(o, frame->signed_, now_ns);
		break;
	case CAUSEWAY__OVERLAY__FRAME__BODY_CERTIFICATE_WANTED:
		signed_wanted(o, &source);
		break;
	default:
		break;
	}
}

/* @return the next hop; NULL: it is for us, or (*lost) it has none. */
static struct node *next_hop(struct cw_overlay *o, Causeway__Overlay__Frame *frame, bool *lost)
{
	const struct cw_node_id *self = &o->config.self, *except = NULL;
	struct cw_node_id target, source;
	enum mode mode = frame->mode;
	struct node *n;

	*lost = true;
	if (id_unpack(&frame->via, &target) && cw_node_id_equal(&target, self))
		frame->via.len = 0;
	if (frame->via.len != 0)
		mode = MODE_EXACT;
	else if (!id_unpack(&frame->destination, &target))
		return NULL;
	if (!id_unpack(&frame->source, &source))
		return NULL;
	if (mode == MODE_NEAREST_OTHER)
		except = &source;
	*lost = false;
	if (mode == MODE_EXACT && cw_node_id_equal(&target, self))
		return NULL;
	if (mode == MODE_NEAREST && o->config.mutate == CW_OVERLAY_MUT_ATHAND)
		return NULL;
	n = nearest(o, &target, except);
	if (n != NULL && except != NULL && cw_node_id_equal(self, except))
		return n;
	if (n != NULL && ring_nearer(&target, &n->node.identity.node, self))
		return n;
	*lost = mode == MODE_EXACT;
	return NULL;
}

int route_frame(struct cw_overlay *o, Causeway__Overlay__Frame *frame,
		const struct cw_node_id *from, uint64_t now_ns)
{
	bool lost;
	struct node *n = next_hop(o, frame, &lost);

	if (lost) {
		o->info.unreachable++;
		return -EHOSTUNREACH;
	}
	if (n == NULL) {
		take(o, frame, now_ns);
		return 0;
	}
	if (frame->ttl == 0) {
		o->info.expired++;
		return -EHOSTUNREACH;
	}
	frame->ttl--;
	if (from != NULL)
		o->info.forwarded++;
	if (o->ops.busy != NULL)
		o->ops.busy(o->ctx, &n->node.identity.node, now_ns);
	/* Whoever sent a ConnectTo says it again until it is linked. */
	return overlay_send_frame(
		o, n, frame, frame->body_case != CAUSEWAY__OVERLAY__FRAME__BODY_CONNECT_TO, now_ns);
}

int route_begin(struct cw_overlay *o, Causeway__Overlay__Frame *frame, const struct cw_node_id *to,
		enum mode mode, const struct cw_node_id *via, uint64_t now_ns)
{
	frame->source = id_pack(&o->config.self);
	frame->destination = id_pack(to);
	frame->mode = mode;
	frame->ttl = TTL;
	if (via != NULL)
		frame->via = id_pack(via);
	return route_frame(o, frame, NULL, now_ns);
}
