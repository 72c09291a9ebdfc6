/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who should be a member of what: growth, repair, leaving, placement (dht.md sections 3 and 7).
 *
 * A slot's members are the nodes nearest its point of the ring, of different sites first, up for a
 * while, not leaving. One, three or five, never an even number. A member is replaced when it has
 * been silent, has lost its disk, leaves, or when another has been nearer for long. Only the leader
 * decides it, and slots that want the same members move together.
 */
#include "internal.h"

enum { ABLE_MAX = 64 };

struct able {
	unsigned int count;
	struct {
		struct voter voter;
		struct cw_site_id site;
		bool has_site;
		uint64_t distance;
	} v[ABLE_MAX];
};

static unsigned int place_of(const struct cw_dht *dht, const struct cw_node_id *node)
{
	unsigned int lo = 0, hi = dht->peer_count;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (cw_node_id_compare(&dht->peers[mid].node, node) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct peer *peer_find(const struct cw_dht *dht, const struct cw_node_id *node)
{
	unsigned int i = place_of(dht, node);

	return i < dht->peer_count && cw_node_id_equal(&dht->peers[i].node, node) ? &dht->peers[i]
										  : NULL;
}

/* disk 0: only named, not heard. */
struct peer *peer_heard(struct cw_dht *dht, const struct cw_node_id *node, uint64_t disk)
{
	struct peer *p = peer_find(dht, node);

	if (p == NULL) {
		unsigned int i = place_of(dht, node);
		struct peer *wider = realloc(dht->peers, (dht->peer_count + 1) * sizeof(*wider));

		if (wider == NULL)
			return NULL;
		dht->peers = wider;
		memmove(&wider[i + 1], &wider[i], (dht->peer_count - i) * sizeof(*wider));
		dht->peer_count++;
		p = &wider[i];
		*p = (struct peer){.node = *node};
	}
	if (disk == 0)
		return p;
	/* Time as a member begins anew with another disk, and after a silence. */
	if (!p->known || p->disk != disk || !peer_fresh(dht, p))
		p->up_ns = dht->now_ns;
	p->known = true;
	p->disk = disk;
	p->heard_ns = dht->now_ns;
	if (!p->has_site)
		p->has_site = dht->ops.site_of(dht->ctx, node, &p->site);
	return p;
}

bool peer_fresh(const struct cw_dht *dht, const struct peer *p)
{
	return p->known && dht->now_ns - p->heard_ns < 2 * HB_NS + CW_NS_PER_S / 2;
}

static uint64_t first_bits(const struct cw_node_id *node)
{
	uint64_t x = 0;

	for (unsigned int i = 0; i < 8; i++)
		x = x << 8 | node->b[i];
	return x;
}

void cw_dht_point(const struct cw_dht *dht, uint32_t slot, struct cw_node_id *out)
{
	uint64_t arc = UINT64_MAX / dht->genesis.slots, point = arc * slot + arc / 2;

	*out = (struct cw_node_id){{0}};
	for (unsigned int i = 0; i < 8; i++)
		out->b[i] = (uint8_t)(point >> (56 - 8 * i));
}

/* Around the ring, to the middle of the slot's arc. */
static uint64_t distance(const struct cw_dht *dht, uint32_t slot, const struct cw_node_id *node)
{
	uint64_t arc = UINT64_MAX / dht->genesis.slots;
	uint64_t d = first_bits(node) - (arc * slot + arc / 2);

	return d < -d ? d : -d;
}

unsigned int nearest_peers(const struct cw_dht *dht, uint32_t slot, const struct peer **out,
			   unsigned int max)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < dht->peer_count; i++) {
		const struct peer *p = &dht->peers[i];
		unsigned int at = count;

		if (!p->listed)
			continue;
		while (at > 0 &&
		       distance(dht, slot, &out[at - 1]->node) > distance(dht, slot, &p->node))
			at--;
		if (at == max)
			continue;
		if (count < max)
			count++;
		memmove(&out[at + 1], &out[at], (count - at - 1) * sizeof(*out));
		out[at] = p;
	}
	return count;
}

static void add_able(struct cw_dht *dht, struct able *a, uint32_t slot, const struct voter *v,
		     const struct cw_site_id *site)
{
	uint64_t d = distance(dht, slot, &v->node);
	unsigned int at = a->count;

	while (at > 0 && a->v[at - 1].distance > d)
		at--;
	if (at == ABLE_MAX)
		return;
	if (a->count < ABLE_MAX)
		a->count++;
	memmove(&a->v[at + 1], &a->v[at], (a->count - at - 1) * sizeof(a->v[0]));
	a->v[at].voter = *v;
	a->v[at].has_site = site != NULL;
	if (site != NULL)
		a->v[at].site = *site;
	a->v[at].distance = d;
}

/* Nodes that could be members, nearest first. */
static void find_able(struct cw_dht *dht, uint32_t slot, struct able *a)
{
	struct voter self = {dht->config.self, dht->disk};

	a->count = 0;
	if (!dht->draining && !dht->low)
		add_able(dht, a, slot, &self, &dht->config.site);
	for (unsigned int i = 0; i < dht->peer_count; i++) {
		const struct peer *p = &dht->peers[i];
		struct voter v = {p->node, p->disk};

		if (p->listed && peer_fresh(dht, p) && !p->draining && !p->low &&
		    dht->now_ns - p->up_ns >= dht->config.tuning.settle_ns)
			add_able(dht, a, slot, &v, p->has_site ? &p->site : NULL);
	}
}

/* Silent, with another disk, leaving, or short of room for its log. */
bool member_lost(const struct cw_dht *dht, const struct group *g, unsigned int i)
{
	const struct voter *v = &g->members.v[i];
	const struct peer *p;

	if (cw_node_id_equal(&v->node, &dht->config.self))
		return dht->draining || dht->low;
	p = peer_find(dht, &v->node);
	if (p != NULL && p->known && (p->disk != v->disk || p->draining || p->low))
		return true;
	return dht->now_ns - cw_max_u64(g->heard_ns[i], g->began_ns) >= dht->config.tuning.dead_ns;
}

static bool sits_at(const struct cw_dht *dht, const struct members *m, const struct able *a,
		    unsigned int k)
{
	for (unsigned int i = 0; i < m->count && a->v[k].has_site; i++) {
		const struct peer *p = peer_find(dht, &m->v[i].node);

		if (cw_node_id_equal(&m->v[i].node, &dht->config.self)
			    ? memcmp(&dht->config.site, &a->v[k].site, sizeof(a->v[k].site)) == 0
			    : p != NULL && p->has_site &&
				      memcmp(&p->site, &a->v[k].site, sizeof(p->site)) == 0)
			return true;
	}
	return false;
}

/* Fill up to `size` from the able, one of a site first. */
static void fill(const struct cw_dht *dht, struct members *m, unsigned int size,
		 const struct able *a)
{
	for (unsigned int pass = 0; pass < 2; pass++)
		for (unsigned int k = 0; k < a->count && m->count < size; k++)
			if (member_index(m, &a->v[k].voter.node) < 0 &&
			    (pass == 1 || !sits_at(dht, m, a, k)))
				m->v[m->count++] = a->v[k].voter;
}

static void sort(struct members *m)
{
	for (unsigned int i = 1; i < m->count; i++)
		for (unsigned int k = i;
		     k > 0 && cw_node_id_compare(&m->v[k].node, &m->v[k - 1].node) < 0; k--) {
			struct voter x = m->v[k];

			m->v[k] = m->v[k - 1];
			m->v[k - 1] = x;
		}
}

/* What the operator named at founding, as soon as all of it has been heard of. */
static bool as_wanted(struct cw_dht *dht, const struct members *now, struct members *next)
{
	*next = (struct members){.count = dht->wanted.count};
	if (dht->wanted.count <= now->count)
		return false;
	for (unsigned int i = 0; i < next->count; i++) {
		const struct cw_node_id *node = &dht->wanted.v[i].node;
		const struct peer *p = peer_find(dht, node);
		bool self = cw_node_id_equal(node, &dht->config.self);

		if (!self && (p == NULL || !peer_fresh(dht, p)))
			return false;
		next->v[i] = (struct voter){*node, self ? dht->disk : p->disk};
	}
	return true;
}

/* Has another set been better for long? Then one seat moves. */
static bool better_place(struct cw_dht *dht, struct slot *s, const struct able *a,
			 struct members *next)
{
	struct members best = {0};
	int gone = -1;

	fill(dht, &best, s->members.count, a);
	*next = s->members;
	for (unsigned int i = 0; i < next->count; i++)
		if (member_index(&best, &next->v[i].node) < 0 &&
		    (gone < 0 || !cw_node_id_equal(&next->v[i].node, &dht->config.self)))
			gone = (int)i;
	if (gone < 0 || best.count != next->count) {
		s->fit_ns = 0;
		return false;
	}
	if (s->fit_ns == 0)
		s->fit_ns = dht->now_ns;
	if (dht->now_ns - s->fit_ns < dht->config.tuning.move_ns)
		return false;
	for (unsigned int k = 0; k < best.count; k++) {
		if (member_index(next, &best.v[k].node) >= 0)
			continue;
		next->v[gone] = best.v[k];
		return true;
	}
	return false;
}

/* @return true with the members that this slot should have next. */
static bool next_members(struct cw_dht *dht, const struct group *g, uint32_t slot,
			 struct members *next)
{
	struct slot *s = &dht->slots[slot];
	struct members keep = {0};
	struct able able;
	unsigned int size = g->members.count;
	bool leaving = false;

	for (unsigned int i = 0; i < g->members.count; i++) {
		const struct peer *p = peer_find(dht, &g->members.v[i].node);

		if (!member_lost(dht, g, i))
			keep.v[keep.count++] = g->members.v[i];
		else if (p == NULL ? dht->draining : p->draining && peer_fresh(dht, p))
			leaving = true; /* NULL: ourselves */
	}
	if (as_wanted(dht, &g->members, next))
		return true;
	find_able(dht, slot, &able);
	*next = keep;
	if (keep.count == size) {
		if (size < 5 && able.count >= size + 2)
			fill(dht, next, size + 2, &able);
		if (next->count == size + 2)
			return true;
		return better_place(dht, s, &able, next);
	}
	fill(dht, next, size, &able);
	if (next->count == size)
		return true;
	/* No spare. Two of five gone for long, or whoever leaves in good order: fewer. */
	if (size == 1 || next->count < size - 2)
		return false;
	if (s->fit_ns == 0)
		s->fit_ns = dht->now_ns;
	if (!leaving &&
	    (size == 3 || keep.count > 3 || dht->now_ns - s->fit_ns < dht->config.tuning.shrink_ns))
		return false;
	next->count = size - 2;
	return true;
}

/* Replace one of the members that are there by one that is not, although nothing is wrong. */
static bool forced(struct cw_dht *dht, const struct group *g, uint32_t slot, struct members *next)
{
	struct able able;
	unsigned int gone = (unsigned int)(cw_random_u64(&dht->config.random) % g->members.count);
	unsigned int from;

	find_able(dht, slot, &able);
	*next = g->members;
	if (able.count == 0 ||
	    (g->members.count > 1 && cw_node_id_equal(&next->v[gone].node, &dht->config.self)))
		return false;
	from = (unsigned int)(cw_random_u64(&dht->config.random) % able.count);
	for (unsigned int k = 0; k < able.count; k++) {
		const struct voter *v = &able.v[(from + k) % able.count].voter;

		if (member_index(next, &v->node) >= 0)
			continue;
		next->v[gone] = *v;
		return true;
	}
	return false;
}

void consider_move(struct cw_dht *dht, struct group *g)
{
	struct members next = {0}, other;
	struct slotset same = {{0}};
	unsigned int moving = 0;
	bool force = g->force;

	g->looked_ns = dht->now_ns;
	g->force = false;
	for (const struct group *x = dht->groups; x != NULL; x = x->next)
		moving += x->re != NULL;
	if (moving >= RECONF_MAX)
		return;
	for (int i = set_next(&g->slots, 0); i >= 0; i = set_next(&g->slots, i + 1)) {
		if (force && set_empty(&same) ? !forced(dht, g, (uint32_t)i, &other)
					      : !next_members(dht, g, (uint32_t)i, &other))
			continue;
		sort(&other);
		if (set_empty(&same))
			next = other;
		if (members_equal(&other, &next))
			set_add(&same, (uint32_t)i);
	}
	if (set_empty(&same) || members_equal(&next, &g->members))
		return;
	if (!set_within(&g->slots, &same))
		g = group_split(dht, g, &same);
	if (g == NULL)
		return;
	cw_log(dht->config.log, CW_LOG_INFO, MODULE, "%u slot(s) go from %u to %u member(s)",
	       set_count(&same), g->members.count, next.count);
	reconf_start(dht, g, &next);
}

void cw_dht_move(struct cw_dht *dht, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	for (struct group *g = dht->groups; g != NULL; g = g->next)
		g->force = true;
}
