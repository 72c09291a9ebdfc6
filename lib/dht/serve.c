/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers at their leader: read from a majority before first use, written one at a time.
 *
 * What a first touch read is written back under the own ballot before any answer rests on it; a
 * write by the operation that waits takes its place (R7). Reads and refusals are answered after a
 * check that was sent later than the request came has a majority (R8); one check serves all that
 * wait in its group. What comes while a write is out waits in order, QUEUE_MAX deep.
 *
 * Nothing is decided here about contents: decide.c does, with what is committed.
 */
#include "internal.h"

void op_free(struct cw_dht *dht, struct op *op)
{
	(void)dht;
	free(op);
}

void confirms_free(struct confirm *list)
{
	while (list != NULL) {
		struct confirm *next = list->next;

		free(list);
		list = next;
	}
}

void leads_drop(struct cw_dht *dht, uint32_t slot)
{
	struct slot *s = &dht->slots[slot];

	for (unsigned int i = 0; s->leads != NULL && i < LEADS; i++) {
		while (s->leads[i] != NULL) {
			struct lead *l = s->leads[i];

			s->leads[i] = l->next;
			while (l->waiters != NULL) {
				struct op *next = l->waiters->next;

				op_free(dht, l->waiters);
				l->waiters = next;
			}
			free(l);
		}
	}
	free(s->leads);
	s->leads = NULL;
	s->busy = 0;
}

struct lead *lead_of(struct cw_dht *dht, uint32_t slot, const uint8_t key[KEY_BYTES])
{
	struct slot *s = &dht->slots[slot];
	struct lead **bucket, *l;

	if (s->leads == NULL)
		s->leads = calloc(LEADS, sizeof(*s->leads));
	if (s->leads == NULL)
		return NULL;
	bucket = &s->leads[key[4] % LEADS];
	for (l = *bucket; l != NULL; l = l->next)
		if (memcmp(l->key, key, KEY_BYTES) == 0)
			return l;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	memcpy(l->key, key, KEY_BYTES);
	l->next = *bucket;
	*bucket = l;
	return l;
}

static bool same_process(const struct op *a, const struct op *b)
{
	return same_rid(&a->rid, &b->rid);
}

static void wait_for(struct cw_dht *dht, struct lead *l, struct op *op)
{
	for (const struct op *x = l->waiters; x != NULL; x = x->next) {
		if (same_process(x, op)) {
			op_free(dht, op); /* the same request waits already */
			return;
		}
	}
	if (l->waiting >= QUEUE_MAX) {
		op_free(dht, op); /* busy: the caller retries */
		return;
	}
	op->next = NULL;
	if (l->waiters == NULL)
		l->waiters = op;
	else
		l->waiters_tail->next = op;
	l->waiters_tail = op;
	l->waiting++;
}

static void wake(struct cw_dht *dht, uint32_t slot, struct lead *l)
{
	struct op *list = l->waiters;

	(void)slot;
	l->waiters = l->waiters_tail = NULL;
	l->waiting = 0;
	while (list != NULL) {
		struct op *next = list->next;

		list->next = NULL;
		decide(dht, list);
		list = next;
	}
}

void leader_request(struct cw_dht *dht, const struct cw_node_id *from, struct group *g,
		    struct op *op)
{
	(void)from;
	if (g == NULL || g->phase > PHASE_SERVE) {
		if (g == NULL || !group_serves(dht, g)) {
			op_free(dht, op);
			return;
		}
	} else if (g->phase < PHASE_SERVE) {
		if (g->waiting_count >= WAITING_MAX) {
			op_free(dht, op);
			return;
		}
		op->next = NULL;
		*g->waiting_tail = op;
		g->waiting_tail = &op->next;
		g->waiting_count++;
		return;
	}
	dht->counts.served++;
	decide(dht, op);
}

bool lead_ready(struct cw_dht *dht, struct lead *l, struct op *op)
{
	struct group *g = dht->slots[op->slot].led;
	struct call *c;

	if (l->known && !l->busy)
		return true;
	if (!l->known && !l->asking) {
		c = call_new(dht, CALL_RREAD, g, NULL);
		if (c == NULL) {
			op_free(dht, op);
			return false;
		}
		c->slot = op->slot;
		memcpy(c->key, l->key, KEY_BYTES);
		l->asking = true;
		call_send(dht, c, 0);
	}
	wait_for(dht, l, op);
	return false;
}

/* Takes the operation along. */
static void write_record(struct cw_dht *dht, uint32_t slot, struct lead *l, const struct record *r,
			 struct op *op, const struct reply *reply)
{
	struct call *c = call_new(dht, CALL_ACC, dht->slots[slot].led, NULL);

	if (c != NULL)
		c->record = malloc(record_bytes(r));
	if (c == NULL || c->record == NULL) {
		if (op != NULL)
			op_free(dht, op);
		if (c != NULL)
			call_free(dht, c);
		return;
	}
	c->slot = slot;
	memcpy(c->key, l->key, KEY_BYTES);
	record_copy(c->record, r);
	memcpy(c->record->key, l->key, KEY_BYTES);
	/* A write by this very request, neither a lapse nor a writing back. */
	if (reply != NULL && (same_rid(&r->hist[0].rid, &op->rid) || same_rid(&r->rid, &op->rid)))
		c->record->warrant = op->warrant;
	if (dht->config.mutate == CW_DHT_MUT_FORGE && r->kind == RECORD_REGISTER && r->held) {
		c->record->reg.owner = dht->config.self;
		c->record->reg.tag = dht->incarnation;
	}
	c->op = op;
	if (reply != NULL) {
		c->reply = malloc(sizeof(*c->reply));
		if (c->reply != NULL)
			*c->reply = *reply;
	}
	/* An rid brings its own age: a new one is of now, an old one keeps what is proven of it
	 * (R15, R16). */
	c->best_renew = same_lease(dht, &l->record, r) ? l->renew : (struct age){0, dht->now_ns};
	c->best_open = same_opening(&l->record, r) ? l->open : (struct age){0, dht->now_ns};
	l->busy = true;
	dht->slots[slot].busy++;
	c->best_stamp.seq = ++l->seq;
	call_send(dht, c, 0);
}

void lead_write(struct cw_dht *dht, struct lead *l, const struct record *r, struct op *op,
		const struct reply *reply)
{
	write_record(dht, op->slot, l, r, op, reply);
}

static void tell_watchers(struct cw_dht *dht, struct lead *l)
{
	Causeway__Dht__Changed changed = CAUSEWAY__DHT__CHANGED__INIT;
	struct packing p;

	if (l->record.kind != RECORD_MAPPING && l->record.kind != RECORD_NS)
		return;
	packing_init(&p);
	changed.mapping = record_pack(&p.arena, &l->record, 0, 0, NULL);
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_CHANGED;
	p.frame.changed = &changed;
	for (unsigned int i = 0; i < WATCHERS_MAX; i++)
		if (dht->now_ns < l->watchers[i].until_ns)
			send_packing(dht, &l->watchers[i].node, &p, 0);
	/* Who has an entry is told without having asked (leases.md: "the old gateway hears of
	 * it"). */
	for (unsigned int i = 0;
	     l->record.kind == RECORD_MAPPING && i < l->record.mapping.entry_count; i++)
		send_packing(dht, &l->record.mapping.entries[i].node, &p, 0);
	arena_free(&p.arena);
}

void on_written(struct cw_dht *dht, struct call *c)
{
	struct lead *l = lead_of(dht, c->slot, c->key);
	struct group *g = dht->slots[c->slot].led;
	bool changed = c->record->ver != l->record.ver;

	record_copy(&l->record, c->record);
	l->renew = c->best_renew;
	l->open = c->best_open;
	l->busy = false;
	l->known = l->solid = true;
	dht->slots[c->slot].busy--;
	if (c->op != NULL && c->reply != NULL) {
		lead_answer(dht, c->op, c->reply);
		c->op = NULL;
	} else if (c->op != NULL && c->op->id == UINT64_MAX) {
		/* It was its write-back: now it is decided. */
		struct op *op = c->op;

		c->op = NULL;
		op->id = 0;
		decide(dht, op);
	}
	if (changed)
		tell_watchers(dht, l);
	if (!l->busy)
		wake(dht, c->slot, l);
	if (g->phase == PHASE_DRAIN)
		reconf_drained(dht, g);
}

/* @return false when it is not to be believed: the member has not answered. */
bool best_of(struct cw_dht *dht, struct call *c, const Causeway__Dht__Record *in)
{
	uint64_t renew_ns, open_ns;
	struct stamp stamp;
	struct record r;
	int order;

	if (!record_unpack(in, &r, &stamp, &renew_ns, &open_ns) ||
	    !record_warranted(dht, &r, keytab_find(&dht->slots[c->slot].regs, r.key)))
		return false;
	if (c->record == NULL)
		c->record = calloc(1, sizeof(*c->record));
	if (c->record == NULL)
		return false;
	order = c->have_best ? stamp_compare(dht, &stamp, &c->best_stamp) : 1;
	/* The greatest stamp wins; of one rid the greatest proven age counts. */
	if (c->have_best && same_lease(dht, &r, c->record))
		renew_ns = cw_max_u64(renew_ns, age_now(dht, &c->best_renew));
	else if (order < 0)
		return true;
	if (c->have_best && same_opening(&r, c->record))
		open_ns = cw_max_u64(open_ns, age_now(dht, &c->best_open));
	c->best_renew = (struct age){renew_ns, dht->now_ns};
	c->best_open = (struct age){open_ns, dht->now_ns};
	if (order > 0) {
		record_copy(c->record, &r);
		c->best_stamp = stamp;
	}
	c->have_best = true;
	return true;
}

void on_read(struct cw_dht *dht, struct call *c)
{
	struct lead *l = lead_of(dht, c->slot, c->key);

	l->asking = false;
	if (!c->have_best)
		return;
	record_copy(&l->record, c->record);
	memcpy(l->record.key, l->key, KEY_BYTES);
	l->renew = c->best_renew;
	l->open = c->best_open;
	l->known = true;
	/* What no member ever had needs no writing back: all know the floor. */
	l->solid = dht->config.mutate == CW_DHT_MUT_NOWB || c->best_stamp.epoch == 0;
	if (dht->config.mutate == CW_DHT_MUT_AGERESET)
		l->renew = l->open = (struct age){0, dht->now_ns};
	wake(dht, c->slot, l);
}

static void check(struct cw_dht *dht, struct group *g)
{
	struct call *c = call_new(dht, CALL_CHK, g, &g->slots);

	if (c == NULL)
		return;
	c->confirms = g->reads;
	g->reads = NULL;
	g->reads_tail = &g->reads;
	g->checking = true;
	call_send(dht, c, 0);
}

static void note_confirmed(const struct cw_dht *dht, const struct call *c, struct confirm *confirm)
{
	struct replies_trace *t = &confirm->reply.trace;

	for (unsigned int i = 0; i < c->to.count; i++) {
		if (!(c->got & 1u << i))
			continue;
		t->node[t->count] = c->to.v[i].node;
		t->took_ns[t->count++] = c->took_ns[i];
	}
	t->leader_ns = dht->now_ns - confirm->came_ns;
}

void on_checked(struct cw_dht *dht, struct call *c)
{
	struct confirm *list = c->confirms;

	c->confirms = NULL;
	while (list != NULL) {
		struct confirm *next = list->next;

		/* Slots that were lost meanwhile were cut off the question. */
		if (list->reply.trace.wanted)
			note_confirmed(dht, c, list);
		if (set_has(&c->slots, list->slot))
			send_reply(dht, &list->to, &list->rid, &list->reply);
		free(list);
		list = next;
	}
	/* The group may have been parted since. */
	for (int i = set_next(&c->slots, 0); i >= 0; i = set_next(&c->slots, i + 1)) {
		struct group *g = dht->slots[i].led;

		if (g == NULL || !g->checking)
			continue;
		g->checking = false;
		if (g->reads != NULL)
			check(dht, g);
	}
}

void lead_answer(struct cw_dht *dht, struct op *op, const struct reply *reply)
{
	send_reply(dht, &op->from, &op->rid, reply);
	op_free(dht, op);
}

void lead_confirm(struct cw_dht *dht, struct lead *l, struct op *op, const struct reply *reply)
{
	struct group *g = dht->slots[op->slot].led;
	struct confirm *c;

	if (!l->solid) {
		op->id = UINT64_MAX;
		write_record(dht, op->slot, l, &l->record, op, NULL);
		return;
	}
	if (dht->config.mutate == CW_DHT_MUT_NOCHK) {
		lead_answer(dht, op, reply);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c != NULL) {
		c->to = op->from;
		c->rid = op->rid;
		c->slot = op->slot;
		c->came_ns = op->came_ns;
		c->reply = *reply;
		c->reply.trace.wanted = op->request.trace;
		*g->reads_tail = c;
		g->reads_tail = &c->next;
		if (!g->checking)
			check(dht, g);
	}
	op_free(dht, op);
}
