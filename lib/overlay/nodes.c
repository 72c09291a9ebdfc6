/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whom this node knows, in the order of the ring. Everything that came from others is bounded:
 * nodes, endpoints per node; endpoints that are our own virtual subnet, that the underlay lists
 * refuse, a zero port or no unicast address are never tried.
 *
 * Invariant: nodes[] is sorted by ID, holds no duplicate and never ourselves.
 */
#include "internal.h"

#include <stdlib.h>

unsigned int node_index(const struct cw_overlay *o, const struct cw_node_id *id, bool *found)
{
	unsigned int low = 0, high = o->count;

	*found = false;
	while (low < high) {
		unsigned int middle = (low + high) / 2;
		int order = cw_node_id_compare(&o->nodes[middle]->node.identity.node, id);

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct node *node_find(const struct cw_overlay *o, const struct cw_node_id *id)
{
	bool found;
	unsigned int i = node_index(o, id, &found);

	return found ? o->nodes[i] : NULL;
}

struct node *node_step(const struct cw_overlay *o, bool clockwise, unsigned int step)
{
	bool found;
	unsigned int at;

	if (step >= o->count)
		return NULL;
	at = node_index(o, &o->config.self, &found);
	return o->nodes[clockwise ? (at + step) % o->count
				  : (at + 2 * o->count - 1 - step) % o->count];
}

void node_forget(struct cw_overlay *o, struct node *n)
{
	bool found;
	unsigned int at = node_index(o, &n->node.identity.node, &found);

	CW_ASSERT(found && !n->node.linked);
	memmove(o->nodes + at, o->nodes + at + 1, (o->count - at - 1) * sizeof(struct node *));
	o->count--;
	free(n);
}

/* Distance in rank from our own place. */
static unsigned int rank_of(const struct cw_overlay *o, unsigned int at, unsigned int place)
{
	unsigned int up = (at + o->count - place) % o->count;
	unsigned int down = (place + o->count - 1 - at) % o->count;

	return up < down ? up : down;
}

/* Of the unlinked ones that are not near, the one that nobody spoke of for longest. */
static struct node *least_useful(const struct cw_overlay *o)
{
	struct node *oldest = NULL, *farthest = NULL;
	unsigned int place, rank_max = 0;
	bool found;

	place = node_index(o, &o->config.self, &found);
	for (unsigned int i = 0; i < o->count; i++) {
		struct node *n = o->nodes[i];
		unsigned int rank = rank_of(o, i, place);

		if (n->node.linked)
			continue;
		if (rank >= NEAR_RANK && (oldest == NULL || n->known_ns < oldest->known_ns))
			oldest = n;
		if (farthest == NULL || rank > rank_max) {
			farthest = n;
			rank_max = rank;
		}
	}
	return oldest != NULL ? oldest : farthest;
}

void nodes_limit(struct cw_overlay *o, unsigned int unlinked)
{
	while (o->count - o->linked > unlinked)
		node_forget(o, least_useful(o));
}

static bool grow(struct cw_overlay *o)
{
	unsigned int size = o->size ? o->size * 2 : 16;
	struct node **nodes;

	if (o->count < o->size)
		return true;
	nodes = realloc(o->nodes, size * sizeof(struct node *));
	if (nodes == NULL)
		return false;
	o->nodes = nodes;
	o->size = size;
	return true;
}

struct node *node_find_or_add(struct cw_overlay *o, const struct cw_node_id *id, uint64_t now_ns)
{
	struct node *n = node_find(o, id);
	unsigned int at;
	bool found;

	if (n != NULL || cw_node_id_equal(id, &o->config.self))
		return n;
	nodes_limit(o, KNOWN_MAX - 1);
	if (!grow(o))
		return NULL;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->known_ns = now_ns;
	n->backoff_ns = CONNECT_FIRST_NS;
	n->node.identity.node = *id;
	at = node_index(o, id, &found);
	memmove(o->nodes + at + 1, o->nodes + at, (o->count - at) * sizeof(struct node *));
	o->nodes[at] = n;
	o->count++;
	return n;
}

static bool any_contains(const struct cw_prefix4 *list, unsigned int count, rte_be32_t ip)
{
	for (unsigned int i = 0; i < count; i++)
		if (cw_prefix4_contains(&list[i], ip))
			return true;
	return false;
}

bool cw_overlay_admits(const struct cw_overlay *overlay, const struct cw_endpoint *endpoint)
{
	const struct cw_overlay_config *c = &overlay->config;

	if (endpoint->family != CW_FAMILY_IPV4)
		return endpoint->family == CW_FAMILY_RELAY;
	return !any_contains(c->forbidden, c->forbidden_count, endpoint->ip4) &&
	       !any_contains(c->deny, c->deny_count, endpoint->ip4) &&
	       (c->allow_count == 0 || any_contains(c->allow, c->allow_count, endpoint->ip4));
}

bool endpoint_usable(const struct cw_overlay *o, const struct cw_endpoint *ep)
{
	const struct cw_overlay_config *c = &o->config;
	uint32_t ip = rte_be_to_cpu_32(ep->ip4);

	if (ep->family != CW_FAMILY_IPV4 || ep->port == 0 || ip == 0 || ip >> 28 >= 14 ||
	    !cw_overlay_admits(o, ep))
		return false;
	for (unsigned int i = 0; i < c->endpoint_count; i++)
		if (cw_endpoint_equal(&c->endpoints[i], ep))
			return false;
	return true;
}

bool cw_overlay_usable(const struct cw_overlay *overlay, const struct cw_endpoint *endpoint)
{
	return endpoint_usable(overlay, endpoint);
}

void nodes_forget_unusable(struct cw_overlay *o)
{
	for (unsigned int i = 0; i < o->count; i++) {
		struct cw_overlay_node *v = &o->nodes[i]->node;
		unsigned int kept = 0;

		for (unsigned int e = 0; e < v->endpoint_count; e++)
			if (endpoint_usable(o, &v->endpoints[e]))
				v->endpoints[kept++] = v->endpoints[e];
		v->endpoint_count = kept;
	}
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

static enum cw_overlay_nat nat_of(const struct cw_endpoint *all, unsigned int count)
{
	enum cw_overlay_nat nat = count == 0 ? CW_OVERLAY_NAT_UNKNOWN : CW_OVERLAY_NAT_NONE;

	for (unsigned int i = 0; i < count; i++)
		for (unsigned int j = 0; j < i; j++) {
			enum cw_overlay_nat pair = CW_OVERLAY_NAT_SYMMETRIC;

			if (all[i].ip4 != all[j].ip4)
				pair = all[i].port == all[j].port ? CW_OVERLAY_NAT_PORT_KEPT
								  : CW_OVERLAY_NAT_MAPPED;
			nat = pair > nat ? pair : nat;
		}
	return nat;
}

enum cw_overlay_nat cw_overlay_nat(const struct cw_overlay *overlay, const struct cw_node_id *node)
{
	const struct node *n = node_find(overlay, node);

	if (cw_node_id_equal(node, &overlay->config.self))
		return nat_of(overlay->config.endpoints, overlay->config.endpoint_count);
	return n != NULL ? nat_of(n->node.endpoints, n->node.endpoint_count)
			 : CW_OVERLAY_NAT_UNKNOWN;
}
