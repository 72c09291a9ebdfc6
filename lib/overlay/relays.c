/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who stands between us and a node that is not reached directly.
 *
 * A relay must be linked directly to both ends. What we know of a node's links: whoever told of it
 * is linked to it, and its own ConnectTo names its direct links. Of those that are also ours, the
 * one with the shortest round trip is asked; the relay itself knows best and answers with silence
 * when it is not linked to both, so a wrong guess costs one small message. When a path in use stops
 * answering, the nearest direct links are asked at once, known to be common or not: traffic waits.
 *
 * Invariant: nobody who is reached over a relay is ever asked to be one.
 */
#include "internal.h"

/* Round trips that differ by less are alike; among those chance spreads the load. */
#define ALIKE_NS (UINT64_C(2) * CW_NS_PER_MS)
/* Asked at once: when a path in use stops answering, or when others were asked in vain. */
#define ASKED_MAX 3u

bool relay_could(const struct cw_overlay *o, const struct cw_node_id *id)
{
	const struct node *n = node_find(o, id);

	return n != NULL && node_ready(n) && !n->relayed;
}

void relay_note(struct node *n, const struct cw_node_id *linked)
{
	for (unsigned int i = 0; i < COMMON_MAX; i++)
		if (cw_node_id_equal(&n->common[i], linked))
			return;
	/* The oldest gives way. */
	n->common[n->common_at] = *linked;
	n->common_at = (n->common_at + 1) % COMMON_MAX;
}

static bool is_common(const struct node *n, const struct cw_node_id *id)
{
	for (unsigned int i = 0; i < COMMON_MAX; i++)
		if (cw_node_id_equal(&n->common[i], id))
			return true;
	return false;
}

struct choice {
	const struct node *relay;
	uint64_t cost;
};

/* The best `max` of those that could, cheapest first. @return how many. */
static unsigned int choose(const struct cw_overlay *o, const struct node *n, bool common_only,
			   struct choice *out, unsigned int max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < o->count; i++) {
		const struct node *r = o->nodes[i];
		const struct cw_node_id *id = &r->node.identity.node;
		bool common = is_common(n, id);
		struct choice c = {r, 0};
		unsigned int at;

		if (r == n || !node_ready(r) || r->relayed || (common_only && !common))
			continue;
		c.cost = o->ops.rtt != NULL ? o->ops.rtt(o->ctx, id) / ALIKE_NS : 0;
		c.cost = (uint64_t)!common << 62 | c.cost << 16 |
			 (cw_random_u64(&o->config.random) & 0xffff);
		at = count < max ? count++ : max - 1;
		if (at == max - 1 && out[at].relay != NULL && out[at].cost <= c.cost)
			continue;
		for (; at > 0 && out[at - 1].cost > c.cost; at--)
			out[at] = out[at - 1];
		out[at] = c;
	}
	return count;
}

static unsigned int ask(struct cw_overlay *o, struct node *n, bool common_only, unsigned int max,
			uint64_t now_ns)
{
	struct choice best[ASKED_MAX] = {{0}};
	unsigned int count, asked = 0;

	if (o->ops.relay == NULL)
		return 0;
	count = choose(o, n, common_only, best, max < ASKED_MAX ? max : ASKED_MAX);
	for (unsigned int i = 0; i < count; i++)
		asked += o->ops.relay(o->ctx, &best[i].relay->node.identity.node,
				      &n->node.identity.node, now_ns) == 0;
	return asked;
}

void relay_ask(struct cw_overlay *o, struct node *n, uint64_t now_ns)
{
	/* The first choice may not be linked to it any more: with every try one more is asked. */
	if (ask(o, n, true, n->tries, now_ns) > 0)
		n->asked_relay = true;
}

void cw_overlay_ailing(struct cw_overlay *overlay, const struct cw_node_id *node, uint64_t now_ns)
{
	struct node *n = node_find(overlay, node);

	if (n != NULL)
		ask(overlay, n, false, ASKED_MAX, now_ns);
}
