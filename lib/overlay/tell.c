/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What neighbours tell each other: who they are, where they can be reached, and who stands beside
 * them on the ring. Only linked nodes are spoken of, so hearsay about the dead dies out. Every
 * frame over a link says why its sender needs the link.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

bool id_unpack(const ProtobufCBinaryData *data, struct cw_node_id *out)
{
	if (data->len != CW_NODE_ID_BYTES)
		return false;
	memcpy(out->b, data->data, CW_NODE_ID_BYTES);
	return true;
}

ProtobufCBinaryData id_pack(const struct cw_node_id *id)
{
	return (ProtobufCBinaryData){CW_NODE_ID_BYTES, (uint8_t *)(uintptr_t)id->b};
}

static bool unpack_endpoint(const ProtobufCBinaryData *data, struct cw_endpoint *out)
{
	if (data->len != ENDPOINT_BYTES)
		return false;
	*out = (struct cw_endpoint){.family = data->data[0]};
	memcpy(&out->port, data->data + 1, 2);
	if (out->family == CW_FAMILY_IPV6)
		memcpy(out->ip6, data->data + 3, 16);
	else
		memcpy(&out->ip4, data->data + 3, 4);
	return true;
}

struct node *learn_one(struct cw_overlay *o, const Causeway__Overlay__Node *node,
		       const struct cw_node_id *teller, uint64_t now_ns)
{
	struct cw_node_id id;
	struct cw_endpoint ep;
	struct node *n;

	if (node == NULL || !id_unpack(&node->id, &id) || cw_node_id_equal(&id, &o->config.self))
		return NULL;
	n = node_find_or_add(o, &id, now_ns);
	if (n == NULL)
		return NULL;
	if (now_ns - n->known_ns > STALE_NS) {
		n->connect_ns = now_ns;
		n->backoff_ns = CONNECT_FIRST_NS;
	}
	n->known_ns = now_ns;
	if (teller != NULL) {
		n->teller = *teller;
		relay_note(n, teller);
	}
	for (size_t i = 0; i < node->n_endpoints && i < CW_OVERLAY_ENDPOINTS_MAX; i++)
		if (unpack_endpoint(&node->endpoints[i], &ep) && node_add_endpoint(o, n, &ep)) {
			n->connect_ns = cw_min_u64(n->connect_ns, now_ns + CONNECT_FIRST_NS);
			n->backoff_ns = CONNECT_FIRST_NS;
		}
	o->wake_ns = 0;
	return n;
}

void nodes_learn(struct cw_overlay *o, struct node *from, const Causeway__Overlay__Nodes *nodes,
		 uint64_t now_ns)
{
	struct cw_node_id id = from->node.identity.node;

	/* Only the link's other end may speak of itself as `self`. */
	if (nodes->self != NULL && nodes->self->id.len == CW_NODE_ID_BYTES &&
	    memcmp(nodes->self->id.data, id.b, CW_NODE_ID_BYTES) == 0)
		learn_one(o, nodes->self, NULL, now_ns);
	for (size_t i = 0; i < nodes->n_known && i < TOLD_MAX; i++)
		learn_one(o, nodes->known[i], &id, now_ns);
	ring_heard_estimate(o, nodes->estimate);
}

static void tell_node(struct told_node *t, const struct cw_node_id *id,
		      const struct cw_endpoint *endpoints, unsigned int count)
{
	causeway__overlay__node__init(&t->node);
	t->node.id = id_pack(id);
	t->node.endpoints = t->endpoints;
	t->node.n_endpoints = count;
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *b = t->bytes[i];

		memset(b, 0, ENDPOINT_BYTES);
		b[0] = endpoints[i].family;
		memcpy(b + 1, &endpoints[i].port, 2);
		if (endpoints[i].family == CW_FAMILY_IPV6)
			memcpy(b + 3, endpoints[i].ip6, 16);
		else
			memcpy(b + 3, &endpoints[i].ip4, 4);
		t->endpoints[i] = (ProtobufCBinaryData){ENDPOINT_BYTES, b};
	}
}

void tell_self(const struct cw_overlay *o, struct told_node *t)
{
	tell_node(t, &o->config.self, o->config.endpoints, o->config.endpoint_count);
}

unsigned int tell_near(const struct cw_overlay *o, const struct cw_node_id *to,
		       struct told_node *told, Causeway__Overlay__Node **list)
{
	unsigned int count = 0;

	if (o->config.mutate == CW_OVERLAY_MUT_NOTELL)
		return 0;
	for (unsigned int i = 0; i < o->near_count; i++) {
		const struct node *n = node_find(o, &o->near[i]);

		if (n == NULL || !node_ready(n) || cw_node_id_equal(&o->near[i], to))
			continue;
		tell_node(&told[count], &n->node.identity.node, n->node.endpoints,
			  n->node.endpoint_count);
		list[count] = &told[count].node;
		count++;
	}
	return count;
}

int overlay_send_frame(struct cw_overlay *o, struct node *to, Causeway__Overlay__Frame *frame,
		       bool keep, uint64_t now_ns)
{
	size_t len;
	uint8_t *bytes;
	int err;

	frame->version = CW_OVERLAY_VERSION;
	frame->need = to->need;
	len = causeway__overlay__frame__get_packed_size(frame);
	bytes = malloc(len);
	if (bytes == NULL)
		return -ENOMEM;
	causeway__overlay__frame__pack(frame, bytes);
	err = o->ops.send(o->ctx, &to->node.identity.node, bytes, len, now_ns);
	if (err == 0 && keep)
		kept_add(o, &to->node.identity.node, bytes, len, now_ns);
	else
		free(bytes);
	if (err == 0)
		to->said_need = to->need;
	return err;
}

void nodes_tell(struct cw_overlay *o, struct node *to, uint64_t now_ns)
{
	struct told_node told[2 * CW_OVERLAY_NEAR + 1];
	Causeway__Overlay__Node *known[2 * CW_OVERLAY_NEAR];
	Causeway__Overlay__Nodes nodes = CAUSEWAY__OVERLAY__NODES__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;

	tell_self(o, &told[2 * CW_OVERLAY_NEAR]);
	nodes.self = &told[2 * CW_OVERLAY_NEAR].node;
	nodes.known = known;
	nodes.n_known = tell_near(o, &to->node.identity.node, told, known);
	nodes.estimate = o->own_estimate;
	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_NODES;
	frame.nodes = &nodes;
	if (overlay_send_frame(o, to, &frame, false, now_ns) < 0)
		cw_log(o->config.log, CW_LOG_DEBUG, MODULE, "nodes not told");
}
