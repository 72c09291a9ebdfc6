/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which links this node needs, and which it does not.
 *
 * Ring neighbours: the nearest linked nodes, CW_OVERLAY_NEAR on each side; whoever is told of and
 * stands nearer is linked to (connect.c) and takes its place. Shortcuts: log2 N links whose lengths
 * are drawn harmonically (Symphony; Kleinberg's small world), so that greedy routing halves the
 * distance every few hops. N is estimated from how close the neighbours stand, the median of theirs
 * and ours. Each end says why it needs a link; one that neither needs goes after a while.
 *
 * Invariant: outside ring_update, n->near is exactly "among the first ready ones on its side".
 */
#include "internal.h"

#include <stdlib.h>

static unsigned int side(struct cw_overlay *o, bool clockwise, struct node **last)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < o->count && found < CW_OVERLAY_NEAR; i++) {
		struct node *n = node_step(o, clockwise, i);

		if (!node_ready(n))
			continue;
		found++;
		*last = n;
		if (!n->near)
			o->near[o->near_count++] = n->node.identity.node;
		n->near = true;
	}
	return found;
}

/* Leading 64 bits of the arc that the neighbours span, through our own place. */
static uint64_t arc_of(const struct node *from, const struct node *to)
{
	struct cw_node_id d = ring_distance(&from->node.identity.node, &to->node.identity.node);
	uint64_t top = 0;

	for (unsigned int i = 0; i < 8; i++)
		top = top << 8 | d.b[i];
	return top;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void estimate(struct cw_overlay *o, const struct node *up, const struct node *down,
		     bool closed)
{
	uint64_t all[CW_ARRAY_SIZE(o->heard_estimates) + 1], arc;
	unsigned int count = 0;

	if (closed) {
		o->own_estimate = o->estimate = o->near_count + 1;
		return;
	}
	arc = arc_of(down, up) / (2 * CW_OVERLAY_NEAR) + 1;
	o->own_estimate = UINT64_MAX / arc;
	all[count++] = o->own_estimate;
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(o->heard_estimates); i++)
		if (o->heard_estimates[i] != 0)
			all[count++] = o->heard_estimates[i];
	qsort(all, count, sizeof(all[0]), compare_u64);
	o->estimate = all[count / 2];
}

void ring_heard_estimate(struct cw_overlay *o, uint64_t heard)
{
	if (heard == 0)
		return;
	o->heard_estimates[o->heard_at++ % CW_ARRAY_SIZE(o->heard_estimates)] = heard;
}

void ring_need(struct cw_overlay *o, struct node *n, unsigned int set, unsigned int clear,
	       uint64_t now_ns)
{
	n->need = (n->need & ~clear) | set;
	if (n->need != 0)
		n->needed_ns = now_ns;
	if (n->need != n->said_need)
		o->wake_ns = 0;
}

static void classify(struct cw_overlay *o, struct node *n, uint64_t now_ns)
{
	enum cw_overlay_class class = (n->need | n->peer_need) & CW_OVERLAY_NEED_NEAR
					      ? CW_OVERLAY_CLASS_NEAR
					      : CW_OVERLAY_CLASS_FAR;

	if (n->class == class)
		return;
	n->class = class;
	o->ops.classify(o->ctx, &n->node.identity.node, class, now_ns);
}

void ring_update(struct cw_overlay *o, uint64_t now_ns)
{
	struct cw_node_id before[2 * CW_OVERLAY_NEAR];
	unsigned int count = o->near_count, ups, downs;
	struct node *up = NULL, *down = NULL;

	o->changed = false;
	memcpy(before, o->near, sizeof(before));
	o->near_count = 0;
	memset(o->near, 0, sizeof(o->near));
	for (unsigned int i = 0; i < o->count; i++)
		o->nodes[i]->near = false;
	ups = side(o, true, &up);
	downs = side(o, false, &down);
	estimate(o, up, down, ups < CW_OVERLAY_NEAR || o->near_count < ups + downs);
	for (unsigned int i = 0; i < o->count; i++) {
		struct node *n = o->nodes[i];

		if (!n->node.linked)
			continue;
		ring_need(o, n, n->near ? CW_OVERLAY_NEED_NEAR : 0,
			  n->near ? 0 : CW_OVERLAY_NEED_NEAR, now_ns);
		classify(o, n, now_ns);
	}
	if (count == o->near_count && memcmp(before, o->near, sizeof(before)) == 0)
		return;
	o->tell_ns = cw_min_u64(o->tell_ns, now_ns + TELL_SOON_NS);
	if (o->ops.neighbours != NULL)
		o->ops.neighbours(o->ctx, now_ns);
}

/* -- shortcuts */

/* log2 of the ring's size, in 256ths. */
static unsigned int log2_256(uint64_t n)
{
	unsigned int whole = 63 - (unsigned int)__builtin_clzll(n | 1);
	uint64_t rest = (n << (63 - whole)) << 1;

	return whole * 256 + (unsigned int)(rest >> 56);
}

static unsigned int shortcuts_wanted(const struct cw_overlay *o)
{
	if (o->estimate <= o->near_count + 1)
		return 0;
	return (log2_256(o->estimate) + 255) / 256;
}

/* A place at harmonic distance: 2^-y of half the ring, y uniform up to log2 N. */
static struct cw_node_id draw_target(struct cw_overlay *o)
{
	uint64_t random = cw_random_u64(&o->config.random);
	unsigned int y = (unsigned int)((random >> 1) % (log2_256(o->estimate) + 1));
	uint64_t top = (UINT64_MAX >> 1) >> (y / 256);
	struct cw_node_id d, zero = {0};

	/* 2^-f for f in [0, 1) by a line: close enough to draw from. */
	top -= (top / 512) * (y % 256);
	o->config.random.fill(o->config.random.ctx, d.b, sizeof(d.b));
	for (unsigned int i = 0; i < 8; i++)
		d.b[i] = (uint8_t)(top >> 8 * (7 - i));
	if (random & 1)
		d = ring_distance(&d, &zero);
	/* self + d = d - (0 - self) */
	zero = ring_distance(&o->config.self, &zero);
	return ring_distance(&zero, &d);
}

static uint64_t seek_shortcut(struct cw_overlay *o, uint64_t now_ns)
{
	unsigned int have = 0;
	struct cw_node_id target;

	for (unsigned int i = 0; i < o->count; i++)
		have += node_ready(o->nodes[i]) && !o->nodes[i]->near &&
			((o->nodes[i]->need | o->nodes[i]->peer_need) & CW_OVERLAY_NEED_FAR);
	if (!o->placed || have >= shortcuts_wanted(o))
		return CW_NEVER;
	if (now_ns < o->far_ns)
		return o->far_ns;
	target = draw_target(o);
	o->far_token = cw_random_u64(&o->config.random) | 1;
	connect_to_send(o, &target, MODE_NEAREST_OTHER, KIND_FAR, o->far_token, NULL, now_ns);
	o->far_ns = now_ns + o->far_wait_ns + cw_random_u64(&o->config.random) % FAR_FIRST_NS;
	o->far_wait_ns = cw_min_u64(o->far_wait_ns * 2, FAR_LAST_NS);
	return o->far_ns;
}

/* -- what is kept, and what goes */

static void consider(struct cw_overlay *o, struct node *n, uint64_t now_ns)
{
	unsigned int clear = o->placed ? CW_OVERLAY_NEED_JOIN : 0;

	if (now_ns - n->traffic_ns >= o->config.traffic_idle_ns)
		clear |= CW_OVERLAY_NEED_TRAFFIC;
	ring_need(o, n, 0, clear, now_ns);
	if (n->peer_need != 0 || (!n->heard_need && now_ns - n->linked_ns < ROLE_EVERY_NS))
		n->needed_ns = now_ns;
	if (o->placed && n->need == 0 && now_ns - n->needed_ns >= GRACE_NS)
		o->ops.close(o->ctx, &n->node.identity.node, now_ns);
}

static void keep_house(struct cw_overlay *o, uint64_t now_ns)
{
	bool again = now_ns >= o->role_ns;

	nodes_limit(o, KNOWN_MAX);
	if (again)
		o->role_ns = now_ns + ROLE_EVERY_NS;
	for (unsigned int i = 0; i < o->count; i++) {
		struct node *n = o->nodes[i];
		unsigned int count = o->count;

		if (n->node.linked)
			consider(o, n, now_ns);
		else if (now_ns - n->known_ns > FORGET_NS)
			node_forget(o, n);
		/* A close, or the forgetting, may have moved the rows. */
		i -= count != o->count;
	}
	for (unsigned int i = 0; again && i < o->count; i++)
		if (o->nodes[i]->node.linked && !o->nodes[i]->near)
			o->nodes[i]->said_need = ~o->nodes[i]->need;
}

static void say_roles(struct cw_overlay *o, uint64_t now_ns)
{
	Causeway__Overlay__Role role = CAUSEWAY__OVERLAY__ROLE__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;

	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_ROLE;
	frame.role = &role;
	for (unsigned int i = 0; i < o->count; i++)
		if (o->nodes[i]->node.linked && o->nodes[i]->need != o->nodes[i]->said_need &&
		    overlay_send_frame(o, o->nodes[i], &frame, false, now_ns) < 0)
			o->nodes[i]->said_need = o->nodes[i]->need; /* it goes with the next one */
}

uint64_t ring_timer(struct cw_overlay *o, uint64_t now_ns)
{
	uint64_t next;

	if (o->changed)
		ring_update(o, now_ns);
	if (now_ns >= o->house_ns) {
		o->house_ns = now_ns + 2 * CW_NS_PER_S;
		keep_house(o, now_ns);
	}
	next = cw_min_u64(o->house_ns, seek_shortcut(o, now_ns));
	if (now_ns >= o->tell_ns) {
		o->tell_ns = now_ns + TELL_EVERY_NS -
			     cw_random_u64(&o->config.random) % (TELL_EVERY_NS / 4);
		for (unsigned int i = 0; i < o->count; i++)
			if (o->nodes[i]->node.linked && o->nodes[i]->near)
				nodes_tell(o, o->nodes[i], now_ns);
	}
	say_roles(o, now_ns);
	return cw_min_u64(next, o->tell_ns);
}
