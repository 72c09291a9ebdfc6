/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Slots, members, configurations, ballots between their structs and their protobuf form. Everything
 * a message is made of lives in the arena of its packing.
 */
#include "internal.h"

void packing_init(struct packing *p)
{
	causeway__dht__frame__init(&p->frame);
	arena_init(&p->arena);
}

void packing_header(struct packing *p, const struct slotset *slots, uint64_t epoch,
		    const struct ballot *ballot, uint64_t call)
{
	p->frame.slots = slots_pack(&p->arena, slots);
	p->frame.epoch = epoch;
	p->frame.call = call;
	if (ballot != NULL) {
		struct ballot *kept = arena_get(&p->arena, sizeof(*kept));

		*kept = *ballot;
		p->frame.round = kept->round;
		p->frame.node = bytes_view(kept->node.b, CW_NODE_ID_BYTES);
	}
}

static ProtobufCBinaryData node_keep(struct arena *a, const struct cw_node_id *node)
{
	struct cw_node_id *kept = arena_get(a, sizeof(*kept));

	*kept = *node;
	return bytes_view(kept->b, CW_NODE_ID_BYTES);
}

Causeway__Dht__Slots *slots_pack(struct arena *a, const struct slotset *s)
{
	Causeway__Dht__Slots *m = arena_get(a, sizeof(*m));
	uint8_t *map;

	causeway__dht__slots__init(m);
	if (set_count(s) == 1) {
		m->one = (uint32_t)set_next(s, 0);
		return m;
	}
	map = arena_get(a, CW_DHT_SLOTS / 8);
	for (int i = set_next(s, 0); i >= 0; i = set_next(s, i + 1)) {
		map[i / 8] |= (uint8_t)(1u << i % 8);
		m->many.len = (size_t)i / 8 + 1;
	}
	m->many.data = map;
	return m;
}

bool slots_unpack(const struct cw_dht *dht, const Causeway__Dht__Slots *in, struct slotset *out)
{
	memset(out, 0, sizeof(*out));
	if (in == NULL)
		return false;
	if (in->many.len == 0) {
		if (in->one >= dht->genesis.slots)
			return false;
		set_add(out, in->one);
		return true;
	}
	for (size_t i = 0; i < in->many.len * 8; i++) {
		if (!(in->many.data[i / 8] >> i % 8 & 1))
			continue;
		if (i >= dht->genesis.slots)
			return false;
		set_add(out, (uint32_t)i);
	}
	return !set_empty(out);
}

Causeway__Dht__Voter **members_pack(struct arena *a, const struct members *m)
{
	Causeway__Dht__Voter **list = arena_get(a, sizeof(*list) * CW_DHT_VOTERS_MAX);

	for (unsigned int i = 0; i < m->count; i++) {
		list[i] = arena_get(a, sizeof(**list));
		causeway__dht__voter__init(list[i]);
		list[i]->node = node_keep(a, &m->v[i].node);
		list[i]->disk = m->v[i].disk;
	}
	return list;
}

bool members_unpack(Causeway__Dht__Voter *const *in, size_t n, struct members *out)
{
	*out = (struct members){0};
	if (n != 1 && n != 3 && n != 5)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!node_unpack(&in[i]->node, &out->v[i].node) ||
		    member_index(out, &out->v[i].node) >= 0)
			return false;
		out->v[i].disk = in[i]->disk;
		out->count++;
	}
	return true;
}

Causeway__Dht__StageId *sid_pack(struct arena *a, const struct stage_id *s)
{
	Causeway__Dht__StageId *m = arena_get(a, sizeof(*m));

	causeway__dht__stage_id__init(m);
	m->epoch = s->epoch;
	m->round = s->ballot.round;
	m->node = node_keep(a, &s->ballot.node);
	m->nonce = s->nonce;
	return m;
}

bool sid_unpack(const Causeway__Dht__StageId *in, struct stage_id *out)
{
	*out = (struct stage_id){0};
	if (in == NULL || !node_unpack(&in->node, &out->ballot.node))
		return false;
	out->epoch = in->epoch;
	out->ballot.round = in->round;
	out->nonce = in->nonce;
	return true;
}

Causeway__Dht__Register *register_pack(struct arena *a, const struct slotset *slots,
				       const struct cfgreg *c)
{
	Causeway__Dht__Register *m = arena_get(a, sizeof(*m));

	causeway__dht__register__init(m);
	m->slots = slots_pack(a, slots);
	m->round = c->ballot.round;
	m->node = node_keep(a, &c->ballot.node);
	m->seq = c->seq;
	if (c->has_next) {
		m->n_next = c->next.count;
		m->next = members_pack(a, &c->next);
		m->sid = sid_pack(a, &c->sid);
	}
	return m;
}

bool register_unpack(const struct cw_dht *dht, const Causeway__Dht__Register *in,
		     struct slotset *slots, struct cfgreg *out)
{
	*out = (struct cfgreg){0};
	if (in == NULL || !slots_unpack(dht, in->slots, slots) ||
	    !node_unpack(&in->node, &out->ballot.node))
		return false;
	out->ballot.round = in->round;
	out->seq = in->seq;
	out->has_next = in->n_next > 0;
	return !out->has_next ||
	       (members_unpack(in->next, in->n_next, &out->next) && sid_unpack(in->sid, &out->sid));
}

Causeway__Dht__Config *config_pack(struct arena *a, const struct config *c)
{
	Causeway__Dht__Config *m = arena_get(a, sizeof(*m));

	causeway__dht__config__init(m);
	m->slots = slots_pack(a, &c->slots);
	m->epoch = c->epoch;
	m->n_members = c->members.count;
	m->members = members_pack(a, &c->members);
	m->sid = sid_pack(a, &c->sid);
	if (!cw_node_id_is_zero(&c->leader))
		m->leader = node_keep(a, &c->leader);
	m->proof = c->proof;
	return m;
}

bool config_unpack(const struct cw_dht *dht, const Causeway__Dht__Config *in, struct config *out)
{
	memset(out, 0, sizeof(*out));
	if (in == NULL || in->epoch == 0 || in->proof.len > PROOF_BYTES_MAX ||
	    !slots_unpack(dht, in->slots, &out->slots) ||
	    !members_unpack(in->members, in->n_members, &out->members) ||
	    !sid_unpack(in->sid, &out->sid))
		return false;
	out->epoch = in->epoch;
	out->proof = in->proof;
	return in->leader.len == 0 || node_unpack(&in->leader, &out->leader);
}

Causeway__Dht__Promise *promise_pack(struct arena *a, const struct slotset *slots, uint64_t epoch,
				     const struct ballot *b)
{
	Causeway__Dht__Promise *m = arena_get(a, sizeof(*m));

	causeway__dht__promise__init(m);
	m->slots = slots_pack(a, slots);
	m->epoch = epoch;
	m->round = b->round;
	m->node = node_keep(a, &b->node);
	return m;
}

bool promise_unpack(const struct cw_dht *dht, const Causeway__Dht__Promise *in,
		    struct slotset *slots, uint64_t *epoch, struct ballot *b)
{
	if (in == NULL || !slots_unpack(dht, in->slots, slots) || !node_unpack(&in->node, &b->node))
		return false;
	*epoch = in->epoch;
	b->round = in->round;
	return true;
}

Causeway__Dht__Cursor *cursor_pack(struct arena *a, const struct cursor *c)
{
	Causeway__Dht__Cursor *m = arena_get(a, sizeof(*m));

	causeway__dht__cursor__init(m);
	m->slot = c->slot;
	m->hash = c->hash;
	m->done = c->done;
	return m;
}

bool cursor_unpack(const struct cw_dht *dht, const Causeway__Dht__Cursor *in, struct cursor *out)
{
	*out = (struct cursor){0};
	if (in == NULL || in->slot >= dht->genesis.slots)
		return false;
	*out = (struct cursor){.slot = in->slot, .hash = in->hash, .done = in->done};
	return true;
}

Causeway__Dht__Floor **floors_pack(struct arena *a, const struct slotset *slots,
				   const uint64_t *floors, size_t *n)
{
	Causeway__Dht__Floor **list = arena_get(a, sizeof(*list) * set_count(slots));

	*n = 0;
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		if (floors[i] == 0)
			continue;
		list[*n] = arena_get(a, sizeof(**list));
		causeway__dht__floor__init(list[*n]);
		list[*n]->slot = (uint32_t)i;
		list[*n]->floor = floors[i];
		(*n)++;
	}
	return list;
}
