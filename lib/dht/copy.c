/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copies: a member without the state of its epoch gets it from an active one, in pieces.
 *
 * It may take the pieces at different times: each register in them is at least as new as the stage
 * that began the epoch, and the member has voted on nothing yet, so it is as if it had heard
 * nothing else. With the last piece come the giver's promise and config register; then it is a
 * member like all others.
 */
#include "internal.h"

struct filling {
	struct cw_dht *dht;
	struct arena *arena;
	Causeway__Dht__Record **list;
	size_t count, size, bytes, room;
};

static bool fill_record(void *arg, struct replica *r)
{
	struct filling *f = arg;

	if (f->count == f->size) {
		Causeway__Dht__Record **wider =
			arena_get(f->arena, sizeof(*wider) * (f->size * 2 + 16));

		if (f->count > 0)
			memcpy(wider, f->list, f->count * sizeof(*wider));
		f->list = wider;
		f->size = f->size * 2 + 16;
	}
	f->list[f->count] = replica_pack(f->dht, f->arena, r);
	f->bytes += causeway__dht__record__get_packed_size(f->list[f->count++]) + 4;
	return f->bytes < f->room;
}

size_t records_fill(struct cw_dht *dht, struct arena *a, const struct slotset *slots,
		    const struct cursor *from, struct cursor *next, Causeway__Dht__Record ***out,
		    size_t room)
{
	struct filling f = {.dht = dht, .arena = a, .room = room};
	uint32_t hash = from->hash;

	*next = (struct cursor){.slot = from->slot, .done = true};
	for (int i = set_next(slots, (int)from->slot); i >= 0; i = set_next(slots, i + 1)) {
		uint64_t at;

		if (f.bytes >= room) {
			*next = (struct cursor){.slot = (uint32_t)i};
			break;
		}
		at = keytab_walk(&dht->slots[i].regs, (uint32_t)i == from->slot ? hash : 0,
				 fill_record, &f);
		if (at != UINT64_MAX) {
			*next = (struct cursor){.slot = (uint32_t)i, .hash = (uint32_t)at};
			break;
		}
	}
	*out = f.list;
	return f.count;
}

static Causeway__Dht__Copy *copy_pack(struct cw_dht *dht, struct arena *a, uint32_t slot,
				      const struct cursor *from, size_t *bytes)
{
	const struct slot *s = &dht->slots[slot];
	struct slotset one = set_of(slot);
	struct config c = {.slots = one, .epoch = s->epoch, .members = s->members, .sid = s->sid};
	Causeway__Dht__Copy *m = arena_get(a, sizeof(*m));
	struct cursor next;

	causeway__dht__copy__init(m);
	m->config = config_pack(a, &c);
	m->promise = promise_pack(a, &one, s->epoch, &s->promised);
	m->cfg = register_pack(a, &one, &s->cfg);
	m->floor = s->floor;
	m->n_records = records_fill(dht, a, &one, from, &next, &m->records, CHUNK_BYTES);
	m->from = cursor_pack(a, from);
	m->next = cursor_pack(a, &next);
	*bytes += causeway__dht__copy__get_packed_size(m) + 8;
	return m;
}

static void send_copies(struct cw_dht *dht, const struct cw_node_id *to,
			const struct slotset *slots, const struct cursor *from)
{
	int at = set_next(slots, 0);

	for (unsigned int sent = 0; at >= 0 && sent < COPIES_MAX; sent++) {
		Causeway__Dht__Copies m = CAUSEWAY__DHT__COPIES__INIT;
		struct packing p;
		size_t bytes = 0;

		packing_init(&p);
		m.copies = arena_get(&p.arena, sizeof(*m.copies) * set_count(slots));
		for (; at >= 0 && bytes < CHUNK_BYTES; at = set_next(slots, at + 1)) {
			struct cursor begin = {.slot = (uint32_t)at};

			m.copies[m.n_copies++] = copy_pack(dht, &p.arena, (uint32_t)at,
							   from != NULL ? from : &begin, &bytes);
		}
		p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_COPY;
		p.frame.copy = &m;
		send_packing(dht, to, &p, dht->last_lsn);
		arena_free(&p.arena);
		dht->counts.copies++;
	}
}

void need_input(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in)
{
	struct slotset asked, give = {{0}}, old = {{0}};
	struct cursor cursor;
	bool has_cursor = in->need->from != NULL;

	if (!slots_unpack(dht, in->slots, &asked) ||
	    (has_cursor && !cursor_unpack(dht, in->need->from, &cursor)))
		return;
	for (int i = set_next(&asked, 0); i >= 0; i = set_next(&asked, i + 1)) {
		const struct slot *s = &dht->slots[i];
		int index = member_index(&s->members, from);

		if (s->epoch > in->epoch)
			set_add(&old, (uint32_t)i);
		else if (s->active && index >= 0 && s->members.v[index].disk == in->need->disk)
			set_add(&give, (uint32_t)i);
	}
	if (!set_empty(&give))
		send_copies(dht, from, &give, has_cursor ? &cursor : NULL);
	if (!set_empty(&old))
		send_configs(dht, from, &old, in->epoch, false);
}

static bool take_records(struct cw_dht *dht, struct slot *s, const Causeway__Dht__Copy *in)
{
	for (size_t i = 0; i < in->n_records; i++) {
		uint64_t renew_ns, open_ns;
		struct stamp stamp;
		struct record r;

		if (!record_unpack(in->records[i], &r, &stamp, &renew_ns, &open_ns) ||
		    &dht->slots[key_slot(dht, r.key)] != s ||
		    !record_warranted(dht, &r, replica_here(dht, r.key)) ||
		    replica_merge(dht, &s->regs, &r, &stamp, renew_ns, open_ns) < 0)
			return false;
		log_record(dht, s, keytab_find(&s->regs, r.key));
	}
	return true;
}

static void take_copy(struct cw_dht *dht, const struct cw_node_id *from,
		      const Causeway__Dht__Copy *in)
{
	struct cursor begin, next;
	struct ballot promised;
	struct slotset slots;
	struct cfgreg cfg;
	struct config c;
	struct slot *s;
	uint64_t epoch;

	if (!config_unpack(dht, in->config, &c) || set_count(&c.slots) != 1 ||
	    !promise_unpack(dht, in->promise, &slots, &epoch, &promised) ||
	    !register_unpack(dht, in->cfg, &slots, &cfg) || !cursor_unpack(dht, in->from, &begin) ||
	    !cursor_unpack(dht, in->next, &next))
		return;
	s = &dht->slots[set_next(&c.slots, 0)];
	if (c.epoch < s->epoch || (c.epoch == s->epoch && s->active) || !is_member(dht, &c.members))
		return;
	/* What comes after what we know is learnt first: it must be proven. */
	if (c.epoch != s->epoch) {
		send_need(dht, from, &c.slots, NULL);
		return;
	}
	if (begin.hash != s->copy_next || !take_records(dht, s, in))
		return;
	s->floor = in->floor;
	if (!next.done) {
		s->copy_next = next.hash;
		send_need(dht, from, &c.slots, &next);
		return;
	}
	s->promised = promised;
	s->cfg = cfg;
	s->active = true;
	s->lsn = log_state(dht, &c.slots, STATE_AGAIN);
	slot_impatient(dht, s, UINT64_MAX);
	stages_forget(dht, &c.slots);
	dht->counts.activations++;
}

void copy_input(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in)
{
	for (size_t i = 0; i < in->copy->n_copies; i++)
		take_copy(dht, from, in->copy->copies[i]);
}
