/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A change of members, by the leader only (dht.md section 3): drain, snap, stage, choose; telling
 * it is in election.c.
 *
 * drain: admit nothing, no write outstanding. snap: the records of a majority of the old members,
 * greatest stamp per key. stage: the merged state to the new ones, in pieces; a majority of them
 * must have it durably. choose: the config register at the old members; from the first of these
 * messages on this epoch serves nothing. Before it, whatever takes too long is given up and the
 * group serves on; what was staged meanwhile are orphans.
 *
 * Tombstones leave only here, where all copies are replaced: the floor rises to their greatest
 * version (R14).
 */
#include "internal.h"

void reconf_free(struct reconf *re)
{
	if (re == NULL)
		return;
	for (uint32_t i = 0; i < re->chunk_count; i++)
		free(re->chunks[i].data);
	free(re->chunks);
	free(re->floors);
	keytab_clear(&re->merged);
	free(re);
}

static void give_up(struct cw_dht *dht, struct group *g)
{
	calls_of(dht, g, 1u << CALL_SNAP | 1u << CALL_STAGE);
	reconf_free(g->re);
	g->re = NULL;
	dht->counts.moves_given_up++;
	group_serve(dht, g);
}

void reconf_start(struct cw_dht *dht, struct group *g, const struct members *next)
{
	struct reconf *re = calloc(1, sizeof(*re));

	if (re == NULL)
		return;
	re->floors = calloc(dht->genesis.slots, sizeof(*re->floors));
	if (re->floors == NULL) {
		free(re);
		return;
	}
	re->next = *next;
	re->stuck_ns = dht->now_ns + STUCK_NS;
	g->re = re;
	g->phase = PHASE_DRAIN;
	dht->counts.moves++;
	reconf_drained(dht, g);
}

void reconf_drained(struct cw_dht *dht, struct group *g)
{
	struct call *c;

	for (int i = set_next(&g->slots, 0); i >= 0; i = set_next(&g->slots, i + 1))
		if (dht->slots[i].busy > 0 && dht->config.mutate != CW_DHT_MUT_NODRAIN)
			return;
	g->phase = PHASE_SNAP;
	g->re->stuck_ns = dht->now_ns + STUCK_NS;
	c = call_new(dht, CALL_SNAP, g, &g->slots);
	if (c != NULL)
		c->cursors = calloc(CW_DHT_VOTERS_MAX, sizeof(*c->cursors));
	if (c != NULL && c->cursors != NULL)
		call_send(dht, c, 0);
}

void reconf_timer(struct cw_dht *dht, struct group *g)
{
	if (dht->now_ns >= g->re->stuck_ns)
		give_up(dht, g);
}

/* A piece of one member's records. @return true when it was the last. */
bool snap_collect(struct cw_dht *dht, struct call *c, unsigned int voter,
		  const Causeway__Dht__Snapv *in)
{
	struct group *g = group_of_call(dht, c);
	struct cursor from, next;

	if (g->re == NULL || g->phase != PHASE_SNAP || !cursor_unpack(dht, in->from, &from) ||
	    !cursor_unpack(dht, in->next, &next) || from.slot != c->cursors[voter].slot ||
	    from.hash != c->cursors[voter].hash)
		return false;
	for (size_t i = 0; i < in->n_records; i++) {
		uint64_t renew_ns, open_ns;
		struct stamp stamp;
		struct record r;

		if (!record_unpack(in->records[i], &r, &stamp, &renew_ns, &open_ns) ||
		    !record_warranted(dht, &r, replica_here(dht, r.key)) ||
		    replica_merge(dht, &g->re->merged, &r, &stamp, renew_ns, open_ns) < 0)
			return false;
	}
	for (size_t i = 0; i < in->n_floors; i++) {
		uint32_t slot = in->floors[i]->slot;

		if (slot < dht->genesis.slots)
			g->re->floors[slot] = cw_max_u64(g->re->floors[slot], in->floors[i]->floor);
	}
	g->re->stuck_ns = dht->now_ns + STUCK_NS;
	c->cursors[voter] = next;
	if (!next.done)
		call_send_one(dht, c, voter);
	return next.done;
}

struct collecting {
	struct cw_dht *dht;
	struct reconf *re;
	uint8_t (*dead)[KEY_BYTES];
	size_t count, size;
};

static bool is_tombstone(struct cw_dht *dht, const struct replica *r)
{
	return !r->record.held && age_now(dht, &r->renew) >= dht->config.tuning.tombstone_ns;
}

static bool note_tombstone(void *arg, struct replica *r)
{
	struct collecting *c = arg;
	uint64_t *floor = &c->re->floors[key_slot(c->dht, r->record.key)];

	if (!is_tombstone(c->dht, r) || c->count == c->size)
		return true;
	if (c->dht->config.mutate != CW_DHT_MUT_NOFLOOR)
		*floor = cw_max_u64(*floor, r->record.ver);
	memcpy(c->dead[c->count++], r->record.key, KEY_BYTES);
	return true;
}

static void collect_tombstones(struct cw_dht *dht, struct reconf *re)
{
	struct collecting c = {.dht = dht, .re = re, .size = re->merged.count};

	c.dead = malloc((c.size + 1) * sizeof(*c.dead));
	if (c.dead == NULL)
		return; /* the next change collects them */
	keytab_walk(&re->merged, 0, note_tombstone, &c);
	for (size_t i = 0; i < c.count; i++)
		keytab_remove(&re->merged, c.dead[i]);
	free(c.dead);
}

struct cutting {
	struct cw_dht *dht;
	struct arena *arena;
	Causeway__Dht__Record **list;
	size_t count, size, bytes;
};

static bool cut_record(void *arg, struct replica *r)
{
	struct cutting *f = arg;

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
	return f->bytes < CHUNK_BYTES;
}

/* The merged state in pieces, as log and wire have them. Ages are those of now: a piece that waits
 * proves less than it could, never more. */
static bool cut_chunks(struct cw_dht *dht, struct group *g)
{
	struct reconf *re = g->re;
	uint64_t at = 0;

	while (at != UINT64_MAX && re->chunk_count < CHUNKS_MAX) {
		Causeway__Dht__Stage m = CAUSEWAY__DHT__STAGE__INIT;
		struct arena a;
		struct cutting f = {.dht = dht, .arena = &a};
		struct chunk *wider =
			realloc(re->chunks, (re->chunk_count + 1) * sizeof(*re->chunks));

		if (wider == NULL)
			return false;
		re->chunks = wider;
		arena_init(&a);
		at = keytab_walk(&re->merged, at, cut_record, &f);
		m.slots = slots_pack(&a, &g->slots);
		m.sid = sid_pack(&a, &re->sid);
		m.n_members = re->next.count;
		m.members = members_pack(&a, &re->next);
		m.chunk = re->chunk_count;
		/* Not known before the last is cut: see stage_send. */
		m.chunks = CHUNKS_MAX;
		m.n_records = f.count;
		m.records = f.list;
		if (re->chunk_count == 0)
			m.floors = floors_pack(&a, &g->slots, re->floors, &m.n_floors);
		wider = &re->chunks[re->chunk_count++];
		wider->len = causeway__dht__stage__get_packed_size(&m);
		wider->data = malloc(wider->len);
		if (wider->data != NULL)
			causeway__dht__stage__pack(&m, wider->data);
		arena_free(&a);
		if (wider->data == NULL)
			return false;
	}
	keytab_clear(&re->merged);
	return at == UINT64_MAX;
}

void on_snapped(struct cw_dht *dht, struct call *snap)
{
	struct group *g = group_of_call(dht, snap);
	struct call *c;

	if (g->re == NULL || g->phase != PHASE_SNAP)
		return;
	collect_tombstones(dht, g->re);
	g->phase = PHASE_STAGE;
	g->re->stuck_ns = dht->now_ns + STUCK_NS;
	/* Grows within a ballot; and two ballots of different slots that look the same (each slot
	 * counts its own) never make the same id. */
	g->re->sid = (struct stage_id){.epoch = g->epoch + 1,
				       .ballot = g->ballot,
				       .nonce = dht->call_counter << 32 |
						(cw_random_u64(&dht->config.random) & UINT32_MAX)};
	if (!cut_chunks(dht, g)) {
		give_up(dht, g);
		return;
	}
	c = call_new(dht, CALL_STAGE, g, &g->slots);
	if (c == NULL)
		return;
	c->to = g->re->next;
	c->need = majority(dht, &g->re->next);
	call_send(dht, c, 0);
}

/* The next piece to one of the new members. */
void stage_send(struct cw_dht *dht, struct call *c, unsigned int voter)
{
	struct group *g = group_of_call(dht, c);
	const struct reconf *re = g != NULL ? g->re : NULL;
	const struct chunk *chunk;
	struct packing p;

	if (re == NULL || c->have[voter] >= re->chunk_count)
		return;
	chunk = &re->chunks[c->have[voter]];
	packing_init(&p);
	packing_header(&p, &c->slots, c->epoch, &c->ballot, c->n);
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_STAGE;
	p.frame.stage = causeway__dht__stage__unpack(NULL, chunk->len, chunk->data);
	if (p.frame.stage != NULL) {
		/* Only for what is still ours: a slot that another leads since has its own stage,
		 * which this one must not bury (R13). */
		causeway__dht__slots__free_unpacked(p.frame.stage->slots, NULL);
		p.frame.stage->slots = slots_pack(&p.arena, &c->slots);
		p.frame.stage->chunks = re->chunk_count;
		send_packing(dht, &c->to.v[voter].node, &p, 0);
		p.frame.stage->slots = NULL;
		causeway__dht__stage__free_unpacked(p.frame.stage, NULL);
	}
	if (c->have[voter] > 0)
		g->re->stuck_ns = dht->now_ns + STUCK_NS;
	arena_free(&p.arena);
}

void on_staged(struct cw_dht *dht, struct call *staged)
{
	struct group *g = group_of_call(dht, staged);
	struct cfgreg next = {.ballot = g->ballot, .seq = 1, .has_next = true};
	struct call *c;

	if (g->re == NULL || g->phase != PHASE_STAGE)
		return;
	next.next = g->re->next;
	next.sid = g->re->sid;
	/* From here on this epoch serves nothing (R9). */
	g->phase = PHASE_CHOOSE;
	c = call_new(dht, CALL_CFG, g, &g->slots);
	if (c != NULL)
		c->registers = malloc(sizeof(*c->registers));
	if (c == NULL || c->registers == NULL)
		return;
	*c->registers = next;
	call_send(dht, c, 0);
	if (dht->config.mutate == CW_DHT_MUT_EARLYACT || dht->config.mutate == CW_DHT_MUT_FORGE)
		group_act(dht, g, &next, NULL); /* the calls go on */
}
