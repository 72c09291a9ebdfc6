/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The leader: one ballot, from standing for election to losing it.
 *
 * Every register it serves was read from a quorum under its ballot first, and written back before
 * any answer rests on it (R7). One write per register is outstanding; what comes meanwhile waits in
 * order, QUEUE_MAX deep. Reads and refusals are answered after a check that came later than the
 * request has a quorum (R8); one check serves all that wait. A leader that hears no quorum for
 * LEADER_LOST_NS stops; callers retry under the same request-id.
 *
 * It decides nothing about contents: decide.c does, with what is committed.
 */
#include "internal.h"

#include <stdlib.h>

static void header(const struct cw_dht *dht, Causeway__Dht__Frame *frame, uint64_t call)
{
	frame->round = dht->leader.ballot.round;
	frame->node.data = (uint8_t *)(uintptr_t)dht->leader.ballot.node.b;
	frame->node.len = CW_NODE_ID_BYTES;
	frame->call = call;
}

static void to_voters(struct cw_dht *dht, Causeway__Dht__Frame *frame, uint32_t got, uint64_t lsn)
{
	for (unsigned int i = 0; i < dht->genesis.voter_count; i++)
		if (!(got & 1u << i))
			send_frame(dht, &dht->genesis.voters[i], frame, lsn);
}

static void send_call(struct cw_dht *dht, struct call *c, uint64_t lsn)
{
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	Causeway__Dht__Empty empty = CAUSEWAY__DHT__EMPTY__INIT;
	Causeway__Dht__Key key = CAUSEWAY__DHT__KEY__INIT;
	struct packed_record *p = NULL;

	header(dht, &frame, c->n);
	c->sent_ns = dht->now_ns;
	switch (c->kind) {
	case CALL_PREP:
		frame.body_case = CAUSEWAY__DHT__FRAME__BODY_PREP;
		frame.prep = &empty;
		break;
	case CALL_CHK:
		frame.body_case = CAUSEWAY__DHT__FRAME__BODY_CHK;
		frame.chk = &empty;
		break;
	case CALL_RREAD:
		key.key.data = c->key;
		key.key.len = KEY_BYTES;
		frame.slot = key_slot(c->key);
		frame.body_case = CAUSEWAY__DHT__FRAME__BODY_RREAD;
		frame.rread = &key;
		break;
	default: {
		struct lead *l = lead_of(dht, c->key);
		struct stamp stamp = {.seq = l->seq};

		p = record_pack(&c->write, age_now(dht, &c->best_renew),
				age_now(dht, &c->best_open), &stamp);
		if (p == NULL)
			return;
		frame.slot = key_slot(c->key);
		frame.body_case = CAUSEWAY__DHT__FRAME__BODY_ACC;
		frame.acc = packed_record_message(p);
	}
	}
	to_voters(dht, &frame, c->got, lsn);
	free(p);
}

static void call_done(struct cw_dht *dht, struct call *c)
{
	c->used = false;
	dht->leader.call_count--;
}

static struct call *call_new(struct cw_dht *dht, enum call_kind kind)
{
	struct leader *lead = &dht->leader;

	for (unsigned int i = 0; i < CALLS_MAX; i++) {
		struct call *c = &lead->calls[i];

		if (c->used)
			continue;
		*c = (struct call){.used = true, .kind = (uint8_t)kind, .n = ++lead->call_counter};
		/* The slot is found again by its number. */
		c->n = c->n * CALLS_MAX + i;
		lead->call_count++;
		return c;
	}
	return NULL;
}

void leader_stand(struct cw_dht *dht)
{
	struct leader *lead = &dht->leader;
	struct call *c;
	uint64_t lsn;

	if (lead->table == NULL) {
		lead->table = calloc(BUCKETS, sizeof(*lead->table));
		lead->calls = calloc(CALLS_MAX, sizeof(*lead->calls));
		if (lead->table == NULL || lead->calls == NULL)
			return;
	}
	dht->round_seen = cw_max_u64(dht->round_seen, dht->promised.round) + 1;
	lead->ballot = (struct ballot){.round = dht->round_seen, .node = dht->config.self};
	lead->phase = LEADER_PREP;
	lead->began_ns = dht->now_ns;
	lead->hb_ns = 0;
	for (unsigned int i = 0; i < CW_DHT_VOTERS_MAX; i++)
		lead->heard_ns[i] = dht->now_ns;
	lead->reads = NULL;
	lead->reads_tail = &lead->reads;
	lead->checking = false;
	/* Our own promise is durable before prep leaves: no ballot is used twice, also over a
	 * restart (R3). */
	dht->promised = lead->ballot;
	lsn = append_promise(dht);
	c = call_new(dht, CALL_PREP);
	if (c != NULL && lsn != 0)
		send_call(dht, c, dht->config.mutate == CW_DHT_MUT_NOPERSIST ? 0 : lsn);
}

void op_free(struct op *op)
{
	free(op);
}

static void confirms_free(struct confirm *list)
{
	while (list != NULL) {
		struct confirm *next = list->next;

		free(list);
		list = next;
	}
}

static void lead_free(struct lead *l)
{
	while (l->waiters != NULL) {
		struct op *next = l->waiters->next;

		op_free(l->waiters);
		l->waiters = next;
	}
	free(l);
}

/* Forget everything: callers retry. */
static void clear(struct cw_dht *dht)
{
	struct leader *lead = &dht->leader;

	if (lead->table == NULL)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++) {
		while (lead->table[i] != NULL) {
			struct lead *next = lead->table[i]->next;

			lead_free(lead->table[i]);
			lead->table[i] = next;
		}
	}
	for (unsigned int i = 0; i < CALLS_MAX; i++) {
		struct call *c = &lead->calls[i];

		if (!c->used)
			continue;
		op_free(c->op);
		free(c->answer);
		confirms_free(c->confirms);
		call_done(dht, c);
	}
	confirms_free(lead->reads);
	lead->reads = NULL;
	lead->reads_tail = &lead->reads;
	lead->checking = false;
}

void leader_step_down(struct cw_dht *dht, const char *why)
{
	if (dht->leader.phase == LEADER_SERVE)
		cw_log(dht->config.log, CW_LOG_NOTICE, MODULE, "no longer leading: %s", why);
	dht->leader.phase = LEADER_NOT;
	clear(dht);
	dht->guide_ns = dht->now_ns;
	dht->patience_ns =
		ELECTION_FIRST_NS + cw_random_u64(&dht->config.random) % ELECTION_SPREAD_NS;
}

void leader_free(struct cw_dht *dht)
{
	clear(dht);
	free(dht->leader.table);
	free(dht->leader.calls);
}

struct lead *lead_of(struct cw_dht *dht, const uint8_t key[KEY_BYTES])
{
	struct lead **bucket = &dht->leader.table[key_bucket(key)];
	struct lead *l = *bucket;

	while (l != NULL && memcmp(l->key, key, KEY_BYTES) != 0)
		l = l->next;
	if (l != NULL)
		return l;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	memcpy(l->key, key, KEY_BYTES);
	l->waiters_tail = NULL;
	l->next = *bucket;
	*bucket = l;
	return l;
}

static void wait_for(struct lead *l, struct op *op)
{
	if (l->waiting >= QUEUE_MAX) {
		op_free(op); /* busy: the caller retries */
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

static void wake(struct cw_dht *dht, struct lead *l)
{
	struct op *list = l->waiters;

	l->waiters = l->waiters_tail = NULL;
	l->waiting = 0;
	while (list != NULL) {
		struct op *next = list->next;

		list->next = NULL;
		decide(dht, list);
		list = next;
	}
}

bool lead_ready(struct cw_dht *dht, struct lead *l, struct op *op)
{
	struct call *c;

	if (l->known && !l->busy)
		return true;
	/* While the write-back of a first touch is out, the register is known to be read: not a
	 * second time. */
	if (!l->known && !l->asking && !l->busy) {
		c = call_new(dht, CALL_RREAD);
		if (c == NULL) {
			op_free(op);
			return false;
		}
		memcpy(c->key, l->key, KEY_BYTES);
		l->asking = true;
		send_call(dht, c, 0);
	}
	wait_for(l, op);
	return false;
}

void lead_write(struct cw_dht *dht, struct lead *l, const struct record *r, struct op *op,
		const struct cw_store_answer *answer)
{
	struct call *c = call_new(dht, CALL_ACC);
	bool new_rid = !same_rid(&l->record.rid, &r->rid);
	bool new_gen = r->kind == RECORD_SESSION && (l->record.kind != RECORD_SESSION ||
						     l->record.session.sgen != r->session.sgen);

	if (c == NULL) {
		op_free(op);
		return;
	}
	memcpy(c->key, l->key, KEY_BYTES);
	c->write = *r;
	memcpy(c->write.key, l->key, KEY_BYTES);
	c->op = op;
	if (answer != NULL) {
		c->answer = malloc(sizeof(*c->answer));
		if (c->answer != NULL)
			*c->answer = *answer;
	}
	/* An rid brings its own age: a new one is of now, an old one keeps what is proven of it
	 * (R15, R16). */
	c->best_renew = new_rid ? (struct age){0, dht->now_ns} : l->renew;
	c->best_open = new_gen ? (struct age){0, dht->now_ns} : l->open;
	l->busy = true;
	l->seq++;
	send_call(dht, c, 0);
}

static void tell_watchers(struct cw_dht *dht, struct lead *l)
{
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	Causeway__Dht__Changed changed = CAUSEWAY__DHT__CHANGED__INIT;
	struct packed_record *p;

	if (l->record.kind != RECORD_MAPPING && l->record.kind != RECORD_NS)
		return;
	p = record_pack(&l->record, 0, 0, NULL);
	if (p == NULL)
		return;
	changed.mapping = packed_record_message(p);
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_CHANGED;
	frame.changed = &changed;
	for (unsigned int i = 0; i < WATCHERS_MAX; i++)
		if (dht->now_ns < l->watchers[i].until_ns)
			send_frame(dht, &l->watchers[i].node, &frame, 0);
	/* Who has an entry is told without having asked (leases.md: "the old gateway hears of it").
	 */
	for (unsigned int i = 0;
	     l->record.kind == RECORD_MAPPING && i < l->record.mapping.entry_count; i++)
		send_frame(dht, &l->record.mapping.entries[i].node, &frame, 0);
	free(p);
}

static void on_written(struct cw_dht *dht, struct call *c)
{
	struct lead *l = lead_of(dht, c->key);
	bool changed = c->write.ver != l->record.ver;

	l->record = c->write;
	l->renew = c->best_renew;
	l->open = c->best_open;
	l->busy = false;
	l->known = true;
	if (c->op != NULL && c->answer != NULL)
		lead_answer(dht, c->op, c->answer);
	else if (c->op != NULL)
		op_free(c->op);
	free(c->answer);
	call_done(dht, c);
	if (changed)
		tell_watchers(dht, l);
	wake(dht, l);
}

static void on_read(struct cw_dht *dht, struct call *c)
{
	struct lead *l = lead_of(dht, c->key);
	struct call *wb;

	l->asking = false;
	l->record = c->best;
	l->renew = c->best_renew;
	l->open = c->best_open;
	memcpy(l->record.key, l->key, KEY_BYTES);
	call_done(dht, c);
	if (c->best.ver == 0 || dht->config.mutate == CW_DHT_MUT_NOWB) {
		l->known = true;
		wake(dht, l);
		return;
	}
	/* Written back under our own ballot before any answer rests on it. */
	wb = call_new(dht, CALL_ACC);
	if (wb == NULL)
		return;
	memcpy(wb->key, l->key, KEY_BYTES);
	wb->write = l->record;
	wb->best_renew = l->renew;
	wb->best_open = l->open;
	l->busy = true;
	l->seq++;
	send_call(dht, wb, 0);
}

static void check(struct cw_dht *dht)
{
	struct leader *lead = &dht->leader;
	struct call *c = call_new(dht, CALL_CHK);

	if (c == NULL)
		return;
	c->confirms = lead->reads;
	lead->reads = NULL;
	lead->reads_tail = &lead->reads;
	lead->checking = true;
	send_call(dht, c, 0);
}

static void on_checked(struct cw_dht *dht, struct call *c)
{
	struct confirm *list = c->confirms;

	call_done(dht, c);
	c->confirms = NULL;
	dht->leader.checking = false;
	while (list != NULL) {
		struct confirm *next = list->next;

		send_answer(dht, &list->to, &list->rid, &list->answer);
		free(list);
		list = next;
	}
	if (dht->leader.reads != NULL)
		check(dht);
}

void lead_answer(struct cw_dht *dht, struct op *op, const struct cw_store_answer *answer)
{
	send_answer(dht, &op->from, &op->rid, answer);
	op_free(op);
}

void lead_confirm(struct cw_dht *dht, struct op *op, const struct cw_store_answer *answer)
{
	struct leader *lead = &dht->leader;
	struct confirm *c;

	if (dht->config.mutate == CW_DHT_MUT_NOCHK) {
		lead_answer(dht, op, answer);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c != NULL) {
		c->to = op->from;
		c->rid = op->rid;
		c->answer = *answer;
		*lead->reads_tail = c;
		lead->reads_tail = &c->next;
		if (!lead->checking)
			check(dht);
	}
	op_free(op);
}

static void on_elected(struct cw_dht *dht, struct call *c)
{
	call_done(dht, c);
	dht->leader.phase = LEADER_SERVE;
	dht->leader.hb_ns = 0;
	dht->guide = dht->config.self;
	cw_log(dht->config.log, CW_LOG_NOTICE, MODULE, "leading the registers, ballot %llu",
	       (unsigned long long)dht->leader.ballot.round);
}

static void best_of(struct cw_dht *dht, struct call *c, const Causeway__Dht__Record *in)
{
	uint64_t renew_ns, open_ns;
	struct stamp stamp;
	struct record r;
	int order;

	if (!record_unpack(in, &r, &stamp, &renew_ns, &open_ns))
		return;
	order = c->have_best ? stamp_compare(dht, &stamp, &c->best_stamp) : 1;
	if (order < 0 && !same_rid(&r.rid, &c->best.rid))
		return;
	/* The greatest stamp wins; of one rid the greatest proven age counts. */
	if (c->have_best && same_rid(&r.rid, &c->best.rid)) {
		renew_ns = cw_max_u64(renew_ns, age_now(dht, &c->best_renew));
		open_ns = cw_max_u64(open_ns, age_now(dht, &c->best_open));
	}
	c->best_renew = (struct age){renew_ns, dht->now_ns};
	c->best_open = (struct age){open_ns, dht->now_ns};
	if (order >= 0) {
		c->best = r;
		c->best_stamp = stamp;
	}
	c->have_best = true;
}

static void on_nack(struct cw_dht *dht, const Causeway__Dht__Promise *promise)
{
	struct ballot theirs = {.round = promise->round};

	if (!node_unpack(&promise->node, &theirs.node))
		return;
	dht->round_seen = cw_max_u64(dht->round_seen, promise->round);
	if (ballot_compare(dht, &theirs, &dht->leader.ballot) > 0)
		leader_step_down(dht, "a voter promised another ballot");
}

void leader_reply(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in)
{
	struct leader *lead = &dht->leader;
	int voter = voter_index(dht, from);
	struct ballot ballot = {.round = in->round};
	struct call *c;

	if (lead->phase == LEADER_NOT || voter < 0 || !node_unpack(&in->node, &ballot.node) ||
	    ballot.round != lead->ballot.round ||
	    !cw_node_id_equal(&ballot.node, &lead->ballot.node))
		return;
	if (in->body_case == CAUSEWAY__DHT__FRAME__BODY_NACK) {
		on_nack(dht, in->nack);
		return;
	}
	lead->heard_ns[voter] = dht->now_ns;
	if (in->body_case == CAUSEWAY__DHT__FRAME__BODY_HBOK)
		return;
	c = &lead->calls[in->call % CALLS_MAX];
	if (!c->used || c->n != in->call || (c->got & 1u << voter))
		return;
	if (c->kind == CALL_RREAD) {
		if (in->body_case != CAUSEWAY__DHT__FRAME__BODY_RVAL)
			return;
		best_of(dht, c, in->rval);
	}
	c->got |= 1u << voter;
	if ((unsigned int)__builtin_popcount(c->got) < quorum(dht))
		return;
	switch (c->kind) {
	case CALL_PREP:
		on_elected(dht, c);
		break;
	case CALL_RREAD:
		on_read(dht, c);
		break;
	case CALL_ACC:
		on_written(dht, c);
		break;
	default:
		on_checked(dht, c);
	}
}

void leader_request(struct cw_dht *dht, const struct cw_node_id *from,
		    const Causeway__Dht__Request *request)
{
	struct op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		return;
	op->from = *from;
	/* Site and identity come from the certificate, never from the message. */
	if (!request_unpack(request, op) || !cw_node_id_equal(&op->rid.node, from) ||
	    !dht->ops.site_of(dht->ctx, from, &op->site)) {
		op_free(op);
		return;
	}
	op_key(dht, op);
	decide(dht, op);
}

static void beat(struct cw_dht *dht)
{
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	Causeway__Dht__Heartbeat hb = CAUSEWAY__DHT__HEARTBEAT__INIT;

	hb.clock_ns = dht->now_ns;
	header(dht, &frame, 0);
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_HB;
	frame.hb = &hb;
	dht->leader.hb_ns = dht->now_ns + HB_NS;
	for (unsigned int i = 0; i < dht->neighbour_count; i++)
		send_frame(dht, &dht->neighbours[i].node, &frame, 0);
	dht->leader.heard_ns[dht->self_voter] = dht->now_ns;
	dht->guide_ns = dht->now_ns;
}

void leader_timer(struct cw_dht *dht)
{
	struct leader *lead = &dht->leader;
	unsigned int alive = 0;

	for (unsigned int i = 0, left = lead->call_count; i < CALLS_MAX && left > 0; i++) {
		if (!lead->calls[i].used)
			continue;
		left--;
		if (dht->now_ns - lead->calls[i].sent_ns >= CALL_RETRY_NS)
			send_call(dht, &lead->calls[i], dht->durable_lsn);
	}
	if (lead->phase == LEADER_SERVE && dht->now_ns >= lead->hb_ns)
		beat(dht);
	for (unsigned int i = 0; i < dht->genesis.voter_count; i++)
		alive += (int)i == dht->self_voter ||
			 dht->now_ns - lead->heard_ns[i] < LEADER_LOST_NS;
	if (alive < quorum(dht))
		leader_step_down(dht, "no quorum of voters answers");
}
