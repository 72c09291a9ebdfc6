/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom this node knows, and the telling of it. Everything that came from others is bounded: nodes,
 * endpoints per node; endpoints that are our own virtual subnet, a zero port or no unicast address
 * are never tried.
 */
#include "internal.h"

#include <stdlib.h>

#define ENDPOINT_BYTES 19u

struct node *node_find(struct cw_overlay *o, const struct cw_node_id *id)
{
	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX; i++)
		if (o->nodes[i].used && cw_node_id_equal(&o->nodes[i].node.identity.node, id))
			return &o->nodes[i];
	return NULL;
}

struct node *node_find_or_add(struct cw_overlay *o, const struct cw_node_id *id, uint64_t now_ns)
{
	struct node *n = node_find(o, id), *oldest = NULL;

	if (n != NULL)
		return n;
	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX; i++) {
		n = &o->nodes[i];
		if (!n->used)
			break;
		if (!n->node.linked && (oldest == NULL || n->known_ns < oldest->known_ns))
			oldest = n;
	}
	if (n->used)
		n = oldest;
	if (n == NULL)
		return NULL;
	*n = (struct node){.used = true, .known_ns = now_ns, .backoff_ns = CONNECT_FIRST_NS};
	n->node.identity.node = *id;
	return n;
}

bool endpoint_usable(const struct cw_overlay *o, const struct cw_endpoint *ep)
{
	uint32_t ip = rte_be_to_cpu_32(ep->ip4);

	if (ep->family != CW_FAMILY_IPV4 || ep->port == 0 || ip == 0 || ip >> 28 >= 14)
		return false;
	for (unsigned int i = 0; i < o->config.forbidden_count; i++)
		if (cw_prefix4_contains(&o->config.forbidden[i], ep->ip4))
			return false;
	for (unsigned int i = 0; i < o->config.endpoint_count; i++)
		if (cw_endpoint_equal(&o->config.endpoints[i], ep))
			return false;
	return true;
}

bool node_add_endpoint(struct cw_overlay *o, struct node *n, const struct cw_endpoint *ep)
{
	struct cw_overlay_node *v = &n->node;

	if (!endpoint_usable(o, ep))
		return false;
	for (unsigned int i = 0; i < v->endpoint_count; i++)
		if (cw_endpoint_equal(&v->endpoints[i], ep))
			return false;
	if (v->endpoint_count == CW_OVERLAY_ENDPOINTS_MAX) {
		/* The oldest gives way: networks change, and what works is learnt again. */
		memmove(v->endpoints, v->endpoints + 1,
			(CW_OVERLAY_ENDPOINTS_MAX - 1) * sizeof(v->endpoints[0]));
		v->endpoint_count--;
	}
	v->endpoints[v->endpoint_count++] = *ep;
	return true;
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

static void learn_one(struct cw_overlay *o, const Causeway__Overlay__Node *node, uint64_t now_ns)
{
	struct cw_node_id id;
	struct cw_endpoint ep;
	struct node *n;

	if (node == NULL || node->id.len != CW_NODE_ID_BYTES)
		return;
	memcpy(id.b, node->id.data, sizeof(id.b));
	if (cw_node_id_equal(&id, &o->config.self))
		return;
	n = node_find_or_add(o, &id, now_ns);
	if (n == NULL)
		return;
	n->known_ns = now_ns;
	for (size_t i = 0; i < node->n_endpoints && i < CW_OVERLAY_ENDPOINTS_MAX; i++)
		if (unpack_endpoint(&node->endpoints[i], &ep) && node_add_endpoint(o, n, &ep)) {
			o->tell_soon = true;
			n->connect_ns = now_ns;
			n->backoff_ns = CONNECT_FIRST_NS;
		}
}

void nodes_learn(struct cw_overlay *o, const struct cw_node_id *from,
		 const Causeway__Overlay__Nodes *nodes, uint64_t now_ns)
{
	/* Only the link's other end may speak of itself as `self`. */
	if (nodes->self != NULL && nodes->self->id.len == CW_NODE_ID_BYTES &&
	    memcmp(nodes->self->id.data, from->b, CW_NODE_ID_BYTES) == 0)
		learn_one(o, nodes->self, now_ns);
	for (size_t i = 0; i < nodes->n_known && i < TOLD_MAX; i++)
		learn_one(o, nodes->known[i], now_ns);
}

/* Storage for one node's message, all in one piece. */
struct told {
	Causeway__Overlay__Node node;
	ProtobufCBinaryData endpoints[CW_OVERLAY_ENDPOINTS_MAX];
	uint8_t bytes[CW_OVERLAY_ENDPOINTS_MAX][ENDPOINT_BYTES];
};

static void tell_node(struct told *t, const struct cw_node_id *id,
		      const struct cw_endpoint *endpoints, unsigned int count)
{
	causeway__overlay__node__init(&t->node);
	t->node.id.data = (uint8_t *)(uintptr_t)id->b;
	t->node.id.len = CW_NODE_ID_BYTES;
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

void nodes_tell(struct cw_overlay *o, const struct cw_node_id *to, uint64_t now_ns)
{
	struct told *told = calloc(TOLD_MAX + 1, sizeof(*told));
	Causeway__Overlay__Node *known[TOLD_MAX];
	Causeway__Overlay__Nodes nodes = CAUSEWAY__OVERLAY__NODES__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;

	if (told == NULL)
		return;
	tell_node(&told[TOLD_MAX], &o->config.self, o->config.endpoints, o->config.endpoint_count);
	nodes.self = &told[TOLD_MAX].node;
	nodes.known = known;
	for (unsigned int i = 0; i < CW_OVERLAY_NODES_MAX && nodes.n_known < TOLD_MAX; i++) {
		const struct cw_overlay_node *v = &o->nodes[i].node;

		/* Only whom we are linked to: hearsay must die out. */
		if (!o->nodes[i].used || !v->linked || cw_node_id_equal(&v->identity.node, to))
			continue;
		tell_node(&told[nodes.n_known], &v->identity.node, v->endpoints, v->endpoint_count);
		known[nodes.n_known] = &told[nodes.n_known].node;
		nodes.n_known++;
	}
	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_NODES;
	frame.nodes = &nodes;
	if (overlay_send_frame(o, to, &frame, now_ns) < 0)
		cw_log(o->config.log, CW_LOG_DEBUG, MODULE, "nodes not told");
	free(told);
}
