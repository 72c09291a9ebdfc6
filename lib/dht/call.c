/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions of a leader to replicas, each repeated until enough have answered.
 *
 * A question is about one register or about many slots. In the second case a member has answered
 * when its answers cover every slot of the question that is still ours. An answer counts only from
 * the disk that is a member (R5), under the question's own epoch and ballot.
 */
#include "internal.h"

static void unlink_call(struct cw_dht *dht, struct call *c)
{
	*(c->prev != NULL ? &c->prev->next : &dht->call_first) = c->next;
	*(c->next != NULL ? &c->next->prev : &dht->call_last) = c->prev;
	c->prev = c->next = NULL;
}

static void link_last(struct cw_dht *dht, struct call *c)
{
	c->prev = dht->call_last;
	c->next = NULL;
	*(dht->call_last != NULL ? &dht->call_last->next : &dht->call_first) = c;
	dht->call_last = c;
}

struct call *call_new(struct cw_dht *dht, enum call_kind kind, const struct group *g,
		      const struct slotset *slots)
{
	struct call *c;

	if (dht->call_count >= CALLS_MAX)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	do {
		c->n = ++dht->call_counter;
	} while (dht->calls[c->n % CALLS_MAX] != NULL);
	c->kind = (uint8_t)kind;
	c->begun_ns = dht->now_ns;
	c->epoch = g->epoch;
	c->ballot = g->ballot;
	c->to = g->members;
	c->need = majority(dht, &g->members);
	if (slots != NULL) {
		c->slots = *slots;
		c->cover = calloc(CW_DHT_VOTERS_MAX, sizeof(*c->cover));
		if (c->cover == NULL) {
			free(c);
			return NULL;
		}
	}
	dht->calls[c->n % CALLS_MAX] = c;
	dht->call_count++;
	link_last(dht, c);
	return c;
}

void call_free(struct cw_dht *dht, struct call *c)
{
	unlink_call(dht, c);
	dht->calls[c->n % CALLS_MAX] = NULL;
	dht->call_count--;
	if (c->op != NULL)
		op_free(dht, c->op);
	free(c->cover);
	free(c->record);
	free(c->reply);
	acks_free(c->acks);
	free(c->registers);
	free(c->cursors);
	confirms_free(c->confirms);
	free(c);
}

struct group *group_of_call(const struct cw_dht *dht, const struct call *c)
{
	int slot = c->cover != NULL ? set_next(&c->slots, 0) : (int)c->slot;
	struct group *g = slot < 0 ? NULL : dht->slots[slot].led;

	return g != NULL && g->epoch == c->epoch && ballot_same(&g->ballot, &c->ballot) ? g : NULL;
}

static void fill_body(struct cw_dht *dht, struct call *c, struct packing *p, unsigned int voter)
{
	Causeway__Dht__Empty *empty = arena_get(&p->arena, sizeof(*empty));
	struct stamp stamp = {0};

	causeway__dht__empty__init(empty);
	switch (c->kind) {
	case CALL_PREP:
		p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_PREP;
		p->frame.prep = empty;
		break;
	case CALL_CHK:
		p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_CHK;
		p->frame.chk = empty;
		break;
	case CALL_CFG:
		p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_CFGACC;
		p->frame.cfgacc = register_pack(&p->arena, &c->slots, c->registers);
		break;
	case CALL_RREAD:
		p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_RREAD;
		p->frame.rread = arena_get(&p->arena, sizeof(*p->frame.rread));
		causeway__dht__key__init(p->frame.rread);
		p->frame.rread->key = bytes_view(c->key, KEY_BYTES);
		break;
	case CALL_SNAP:
		p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_SNAP;
		p->frame.snap = arena_get(&p->arena, sizeof(*p->frame.snap));
		causeway__dht__snap__init(p->frame.snap);
		p->frame.snap->from = cursor_pack(&p->arena, &c->cursors[voter]);
		break;
	default:
		stamp.seq = c->best_stamp.seq;
		p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_ACC;
		p->frame.acc = record_pack(&p->arena, c->record, age_now(dht, &c->best_renew),
					   age_now(dht, &c->best_open), &stamp);
	}
}

static void send_packed(struct cw_dht *dht, struct call *c, unsigned int voter, uint32_t to,
			uint64_t lsn)
{
	struct slotset one = c->cover == NULL ? set_of(c->slot) : c->slots;
	struct packing p;
	uint8_t *bytes;
	size_t len;

	packing_init(&p);
	packing_header(&p, &one, c->epoch, &c->ballot, c->n);
	fill_body(dht, c, &p, voter);
	bytes = pack_frame(dht, &p, &len);
	for (unsigned int i = 0; bytes != NULL && i < c->to.count; i++)
		if (to & 1u << i)
			send_bytes(dht, &c->to.v[i].node, bytes, len, lsn);
	free(bytes);
	arena_free(&p.arena);
}

void call_send(struct cw_dht *dht, struct call *c, uint64_t lsn)
{
	uint32_t left = ((1u << c->to.count) - 1) & ~c->got;

	c->sent_ns = dht->now_ns;
	unlink_call(dht, c);
	link_last(dht, c);
	if (c->kind == CALL_STAGE) {
		for (unsigned int i = 0; i < c->to.count; i++)
			if (left & 1u << i)
				stage_send(dht, c, i);
	} else if (c->kind == CALL_SNAP) {
		for (unsigned int i = 0; i < c->to.count; i++)
			if (left & 1u << i)
				send_packed(dht, c, i, 1u << i, lsn);
	} else {
		send_packed(dht, c, 0, left, lsn);
	}
}

void call_send_one(struct cw_dht *dht, struct call *c, unsigned int voter)
{
	send_packed(dht, c, voter, 1u << voter, 0);
}

static void call_done(struct cw_dht *dht, struct call *c)
{
	switch (c->kind) {
	case CALL_PREP:
		on_promised(dht, c);
		break;
	case CALL_CFG:
		on_cfg_written(dht, c);
		break;
	case CALL_RREAD:
		on_read(dht, c);
		break;
	case CALL_ACC:
		on_written(dht, c);
		break;
	case CALL_CHK:
		on_checked(dht, c);
		break;
	case CALL_SNAP:
		on_snapped(dht, c);
		break;
	default:
		on_staged(dht, c);
	}
	call_free(dht, c);
}

static bool is_complete(const struct call *c)
{
	return (unsigned int)__builtin_popcount(c->got) >= c->need;
}

void calls_drop_slots(struct cw_dht *dht, const struct slotset *slots)
{
	struct call *c = dht->call_first;

	while (c != NULL) {
		struct call *next = c->next;

		if (c->cover == NULL && set_has(slots, c->slot)) {
			call_free(dht, c);
		} else if (c->cover != NULL) {
			set_cut(&c->slots, slots);
			if (set_empty(&c->slots))
				call_free(dht, c);
		}
		c = next;
	}
}

void calls_of(struct cw_dht *dht, const struct group *g, uint32_t kinds)
{
	struct call *c = dht->call_first;

	while (c != NULL) {
		struct call *next = c->next;

		if ((kinds >> c->kind & 1) && group_of_call(dht, c) == g)
			call_free(dht, c);
		c = next;
	}
}

static void on_nack(struct cw_dht *dht, const Causeway__Dht__Frame *in)
{
	struct slotset slots, lost = {{0}};
	struct ballot theirs;
	uint64_t epoch;

	if (!promise_unpack(dht, in->nack, &slots, &epoch, &theirs))
		return;
	for (int i = set_next(&slots, 0); i >= 0; i = set_next(&slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		if (s->epoch != epoch)
			continue;
		s->round_seen = cw_max_u64(s->round_seen, theirs.round);
		if (s->led != NULL && ballot_compare(dht, &theirs, &s->led->ballot) > 0)
			set_add(&lost, (uint32_t)i);
	}
	group_lose(dht, &lost, "a member promised another ballot");
}

/* @return true when this answer completes what the member has to say. */
static bool take_answer(struct cw_dht *dht, struct call *c, unsigned int voter,
			const struct slotset *slots, const Causeway__Dht__Frame *in)
{
	struct slotset fresh = *slots;

	switch (c->kind) {
	case CALL_RREAD:
		if (in->body_case != CAUSEWAY__DHT__FRAME__BODY_RVAL)
			return false;
		return best_of(dht, c, in->rval);
	case CALL_ACC:
		return in->body_case == CAUSEWAY__DHT__FRAME__BODY_ACK;
	case CALL_PREP:
		if (in->body_case != CAUSEWAY__DHT__FRAME__BODY_PROM)
			return false;
		set_cut(&fresh, &c->cover[voter]);
		prom_collect(dht, c, &fresh, in->prom);
		break;
	case CALL_CFG:
		if (in->body_case != CAUSEWAY__DHT__FRAME__BODY_CFGACK ||
		    !chain_collect(dht, c, voter, slots, in->cfgack))
			return false;
		break;
	case CALL_CHK:
		if (in->body_case != CAUSEWAY__DHT__FRAME__BODY_CHKOK)
			return false;
		break;
	case CALL_SNAP:
		return in->body_case == CAUSEWAY__DHT__FRAME__BODY_SNAPV &&
		       set_within(&c->slots, slots) && snap_collect(dht, c, voter, in->snapv);
	default:
		if (in->body_case != CAUSEWAY__DHT__FRAME__BODY_STAGED)
			return false;
		if (in->staged->have <= c->have[voter] || in->staged->have > STAGE_RECORDS_MAX)
			return false;
		c->have[voter] = in->staged->have;
		stage_send(dht, c, voter);
		return group_of_call(dht, c) != NULL && group_of_call(dht, c)->re != NULL &&
		       c->have[voter] >= group_of_call(dht, c)->re->chunk_count;
	}
	set_join(&c->cover[voter], slots);
	return set_within(&c->slots, &c->cover[voter]);
}

void call_input(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in)
{
	struct call *c = dht->calls[in->call % CALLS_MAX];
	struct ballot ballot = {.round = in->round};
	struct slotset slots;
	int voter;

	if (!node_unpack(&in->node, &ballot.node) || !slots_unpack(dht, in->slots, &slots))
		return;
	if (in->body_case == CAUSEWAY__DHT__FRAME__BODY_NACK) {
		on_nack(dht, in);
		return;
	}
	group_heard(dht, from, &slots, &ballot);
	if (c == NULL || c->n != in->call || c->epoch != in->epoch ||
	    !ballot_same(&c->ballot, &ballot) || group_of_call(dht, c) == NULL)
		return;
	voter = member_index(&c->to, from);
	if (voter < 0 || c->to.v[voter].disk != in->disk || (c->got & 1u << voter) ||
	    !take_answer(dht, c, (unsigned int)voter, &slots, in))
		return;
	c->got |= 1u << voter;
	c->took_ns[voter] = dht->now_ns - c->begun_ns;
	if (is_complete(c))
		call_done(dht, c);
}

uint64_t calls_timer(struct cw_dht *dht)
{
	struct call *c;

	/* call_free() takes it out of the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	while ((c = dht->call_first) != NULL && dht->now_ns - c->sent_ns >= CALL_RETRY_NS) {
		/* What is complete since slots were cut off it. */
		for (unsigned int i = 0; c->cover != NULL && i < c->to.count; i++)
			if (c->kind != CALL_SNAP && c->kind != CALL_STAGE &&
			    set_within(&c->slots, &c->cover[i]))
				c->got |= 1u << i;
		if (group_of_call(dht, c) == NULL)
			call_free(dht, c);
		else if (is_complete(c))
			call_done(dht, c);
		else
			call_send(dht, c, dht->durable_lsn); /* goes to the end of the list */
	}
	return c == NULL ? CW_NEVER : c->sent_ns + CALL_RETRY_NS;
}
