/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The acceptor: a replica's durable half. Slot and message in, slot and answer out; no timer.
 *
 * A message of ballot b is handled only if b is not below the slot's promise; a greater b raises
 * it. Promise, config register and record are in the log, durable, before the answer that tells of
 * them leaves (R3, R4): answers wait on their lsn. A question about many slots is answered for
 * those in which we are active members of that epoch; for the others the answer is what we know
 * instead: a greater promise, a later configuration, or that we lack the state.
 */
#include "internal.h"

enum admission { ADMITTED, NACK, OLD, NEED };

static enum admission admit(const struct cw_dht *dht, const struct slot *s, uint64_t epoch,
			    const struct ballot *ballot)
{
	if (epoch != s->epoch || !s->active) {
		/* Also a member without its state tells who is behind: that one may have the stage,
		 * and it has no copy of this epoch to give. */
		if (epoch < s->epoch && dht->config.mutate != CW_DHT_MUT_ASKBEHIND)
			return OLD;
		return epoch > s->epoch || is_member(dht, &s->members) ? NEED : OLD;
	}
	return ballot_compare(dht, ballot, &s->promised) < 0 ? NACK : ADMITTED;
}

static void send_need_of(struct cw_dht *dht, const struct cw_node_id *to,
			 const struct slotset *slots, uint64_t epoch, const struct cursor *from)
{
	Causeway__Dht__Need need = CAUSEWAY__DHT__NEED__INIT;
	struct packing p;

	packing_init(&p);
	packing_header(&p, slots, epoch, NULL, 0);
	need.disk = dht->disk;
	if (from != NULL)
		need.from = cursor_pack(&p.arena, from);
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_NEED;
	p.frame.need = &need;
	send_packing(dht, to, &p, 0);
	arena_free(&p.arena);
}

void send_need(struct cw_dht *dht, const struct cw_node_id *to, const struct slotset *slots,
	       const struct cursor *from)
{
	struct slotset due = *slots;

	if (cw_node_id_equal(to, &dht->config.self))
		return;
	for (int i = set_next(slots, 0); from == NULL && i >= 0; i = set_next(slots, i + 1)) {
		if (dht->now_ns - dht->slots[i].need_ns < NEED_NS)
			set_del(&due, (uint32_t)i);
		else
			dht->slots[i].need_ns = dht->now_ns;
	}
	/* The epoch says what we lack: links that follow it, or its state. */
	while (!set_empty(&due)) {
		uint64_t epoch = dht->slots[set_next(&due, 0)].epoch;
		struct slotset same = {{0}};

		for (int i = set_next(&due, 0); i >= 0; i = set_next(&due, i + 1))
			if (dht->slots[i].epoch == epoch)
				set_add(&same, (uint32_t)i);
		set_cut(&due, &same);
		send_need_of(dht, to, &same, epoch, from);
	}
}

static bool same_leader(const struct cw_node_id *a, const struct cw_node_id *b)
{
	return a == NULL || b == NULL ? a == b : cw_node_id_equal(a, b);
}

/* What is known of the first of these slots, and for which others the same is known: taken out. */
struct config config_of(const struct cw_dht *dht, struct slotset *slots)
{
	const struct slot *first = &dht->slots[set_next(slots, 0)];
	struct config c = {.epoch = first->epoch,
			   .members = first->members,
			   .sid = first->sid,
			   .proof = chain_proof(first)};
	const struct cw_node_id *leader = slot_leader(dht, first);

	if (first->led != NULL && first->led->phase == PHASE_SERVE)
		c.leader = dht->config.self;
	else if (first->led == NULL && leader != NULL &&
		 dht->now_ns - cw_max_u64(first->heard_ns, first->voted_ns) < LEADER_LOST_NS)
		c.leader = *leader;
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		const struct slot *s = &dht->slots[i];

		if (s->epoch == c.epoch && s->chain == first->chain &&
		    members_equal(&s->members, &c.members) &&
		    sid_compare(dht, &s->sid, &c.sid) == 0 &&
		    same_leader(slot_leader(dht, s), leader) && s->led == first->led)
			set_add(&c.slots, (uint32_t)i);
	}
	set_add(&c.slots, (uint32_t)set_next(slots, 0));
	set_cut(slots, &c.slots);
	return c;
}

void send_configs(struct cw_dht *dht, const struct cw_node_id *to, const struct slotset *slots,
		  uint64_t after, bool act)
{
	Causeway__Dht__Act m = CAUSEWAY__DHT__ACT__INIT;
	Causeway__Dht__Config **between;
	struct slotset left = *slots;
	struct packing p;
	size_t n;

	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1))
		if (dht->slots[i].epoch == 0)
			set_del(&left, (uint32_t)i);
	packing_init(&p);
	m.more = chain_pack(dht, &p.arena, &left, after, &between, &n);
	m.configs = arena_get(&p.arena, sizeof(*m.configs) * (n + set_count(&left) + 1));
	memcpy(m.configs, between, sizeof(*between) * n);
	m.n_configs = n;
	while (!set_empty(&left) && !m.more) {
		struct config c = config_of(dht, &left);

		m.configs[m.n_configs++] = config_pack(&p.arena, &c);
	}
	p.frame.body_case = act ? CAUSEWAY__DHT__FRAME__BODY_ACT : CAUSEWAY__DHT__FRAME__BODY_OLD;
	p.frame.act = &m;
	if (m.n_configs > 0)
		send_packing(dht, to, &p, 0);
	arena_free(&p.arena);
}

uint64_t slot_patience(struct cw_dht *dht, const struct slot *s, const struct cw_node_id *leader)
{
	int own = member_index(&s->members, &dht->config.self);
	int theirs = member_index(&s->members, leader);
	int turn = own < 0 ? 0 : own - theirs - 1;

	if (turn < 0)
		turn += (int)s->members.count;
	return ELECTION_FIRST_NS + (uint64_t)turn * ELECTION_STEP_NS +
	       cw_random_u64(&dht->config.random) % ELECTION_SPREAD_NS;
}

void slot_impatient(struct cw_dht *dht, struct slot *s, uint64_t patience_ns)
{
	s->heard_ns = dht->now_ns;
	s->patience_ns = patience_ns != UINT64_MAX ? patience_ns : slot_patience(dht, s, &s->guide);
}

const struct cw_node_id *slot_leader(const struct cw_dht *dht, const struct slot *s)
{
	if (s->led != NULL)
		return &dht->config.self;
	/* A candidate keeps what it is asked until it serves. */
	if (s->voted_ns != 0 && s->voted_ns >= s->heard_ns)
		return &s->promised.node;
	return cw_node_id_is_zero(&s->guide) ? NULL : &s->guide;
}

/* @return lsn that the answer must wait for; UINT64_MAX when the log refused. */
static uint64_t raise_promises(struct cw_dht *dht, const struct slotset *slots, uint64_t epoch,
			       const struct ballot *ballot)
{
	struct slotset raised = {{0}}, lost = {{0}};
	uint64_t lsn = 0;

	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		lsn = cw_max_u64(lsn, s->lsn);
		if (ballot_compare(dht, ballot, &s->promised) <= 0)
			continue;
		s->promised = *ballot;
		s->round_seen = cw_max_u64(s->round_seen, ballot->round);
		set_add(&raised, (uint32_t)i);
		if (s->led != NULL && ballot_compare(dht, ballot, &s->led->ballot) > 0)
			set_add(&lost, (uint32_t)i);
	}
	if (set_empty(&raised))
		return lsn;
	group_lose(dht, &lost, "another ballot is higher");
	/* Whoever was promised gets the time to win: standing against it at once would only undo
	 * both elections. */
	for (int i = set_next(&raised, 0); i >= 0; i = set_next(&raised, i + 1)) {
		struct slot *s = &dht->slots[i];

		if (s->led != NULL)
			continue;
		s->voted_ns = dht->now_ns;
		s->patience_ns = slot_patience(dht, s, &ballot->node);
	}
	lsn = log_promise(dht, &raised, epoch, ballot);
	if (dht->config.mutate == CW_DHT_MUT_NOPERSIST)
		return 0;
	if (lsn == 0)
		return UINT64_MAX;
	for (int i = set_next(&raised, 0); i >= 0; i = set_next(&raised, i + 1))
		dht->slots[i].lsn = lsn;
	return lsn;
}

static void answer_prep(struct cw_dht *dht, struct packing *p, const struct slotset *slots)
{
	Causeway__Dht__Prom *m = arena_get(&p->arena, sizeof(*m));
	struct slotset left = *slots;

	causeway__dht__prom__init(m);
	m->registers = arena_get(&p->arena, sizeof(*m->registers) * (set_count(slots) + 1));
	/* Equal registers of many slots travel as one. */
	while (!set_empty(&left)) {
		const struct cfgreg *c = &dht->slots[set_next(&left, 0)].cfg;
		struct slotset same = {{0}};

		for (int i = set_next(&left, 0); i >= 0; i = set_next(&left, i + 1))
			if (cfg_same(dht, &dht->slots[i].cfg, c))
				set_add(&same, (uint32_t)i);
		m->registers[m->n_registers++] = register_pack(&p->arena, &same, c);
		set_cut(&left, &same);
	}
	p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_PROM;
	p->frame.prom = m;
}

/* @return lsn, 0: nothing is answered */
static uint64_t answer_cfgacc(struct cw_dht *dht, struct packing *p, struct slotset *slots,
			      const struct ballot *ballot, const Causeway__Dht__Register *in)
{
	Causeway__Dht__Cfgack *m = arena_get(&p->arena, sizeof(*m));
	struct slotset taken = {{0}}, named;
	uint64_t epoch = dht->slots[set_next(slots, 0)].epoch;
	struct cfgreg c;
	uint64_t lsn;

	if (!register_unpack(dht, in, &named, &c))
		return 0;
	c.ballot = *ballot;
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		if (cfg_compare(dht, &c, &s->cfg) < 0)
			continue;
		s->cfg = c;
		set_add(&taken, (uint32_t)i);
	}
	if (set_empty(&taken))
		return 0;
	lsn = log_state(dht, &taken, STATE_AGAIN);
	for (int i = set_next(&taken, 0); i >= 0; i = set_next(&taken, i + 1))
		dht->slots[i].lsn = cw_max_u64(dht->slots[i].lsn, lsn);
	*slots = taken;
	causeway__dht__cfgack__init(m);
	chain_sign(dht, &p->arena, slots, epoch, &c, m);
	p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_CFGACK;
	p->frame.cfgack = m;
	return lsn;
}

static bool answer_rread(struct cw_dht *dht, struct packing *p, const struct slot *s,
			 const Causeway__Dht__Key *in)
{
	struct record *absent = arena_get(&p->arena, sizeof(*absent));
	struct stamp zero = {0};
	struct replica *r;

	if (in->key.len != KEY_BYTES)
		return false;
	r = keytab_find(&s->regs, in->key.data);
	memcpy(absent->key, in->key.data, KEY_BYTES);
	absent->ver = s->floor; /* R14: no younger than any tombstone that was collected */
	p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_RVAL;
	p->frame.rval = r != NULL ? replica_pack(dht, &p->arena, r)
				  : record_pack(&p->arena, absent, 0, 0, &zero);
	return true;
}

/* @return lsn, 0: nothing is answered */
static uint64_t answer_acc(struct cw_dht *dht, struct packing *p, struct slot *s,
			   const struct ballot *ballot, const Causeway__Dht__Record *in)
{
	Causeway__Dht__Empty *m = arena_get(&p->arena, sizeof(*m));
	struct record *r = arena_get(&p->arena, sizeof(*r));
	uint64_t renew_ns, open_ns, lsn;
	struct stamp stamp;
	struct replica *have;

	if (!record_unpack(in, r, &stamp, &renew_ns, &open_ns) ||
	    &dht->slots[key_slot(dht, r->key)] != s)
		return 0;
	stamp.epoch = s->epoch;
	stamp.ballot = *ballot;
	have = keytab_find(&s->regs, r->key);
	if (have != NULL && stamp_compare(dht, &stamp, &have->stamp) < 0)
		return 0;
	/* What we lead ourselves was judged when it was asked for. */
	if (!cw_node_id_equal(&ballot->node, &dht->config.self) && !record_warranted(dht, r, have))
		return 0;
	if (replica_store(dht, &s->regs, r, &stamp, renew_ns, open_ns) < 0)
		return 0;
	lsn = log_record(dht, s, keytab_find(&s->regs, r->key));
	causeway__dht__empty__init(m);
	p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_ACK;
	p->frame.ack = m;
	return lsn; /* 0: the log refused: no ack, the leader finds others */
}

static bool answer_snap(struct cw_dht *dht, struct packing *p, const struct slotset *slots,
			const Causeway__Dht__Snap *in)
{
	Causeway__Dht__Snapv *m = arena_get(&p->arena, sizeof(*m));
	uint64_t *floors = arena_get(&p->arena, sizeof(*floors) * CW_DHT_SLOTS);
	struct cursor from, next;

	causeway__dht__snapv__init(m);
	if (!cursor_unpack(dht, in->from, &from))
		return false;
	m->n_records = records_fill(dht, &p->arena, slots, &from, &next, &m->records, CHUNK_BYTES);
	m->from = cursor_pack(&p->arena, &from);
	m->next = cursor_pack(&p->arena, &next);
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1))
		floors[i] = dht->slots[i].floor;
	m->floors = floors_pack(&p->arena, slots, floors, &m->n_floors);
	p->frame.body_case = CAUSEWAY__DHT__FRAME__BODY_SNAPV;
	p->frame.snapv = m;
	return true;
}

static void answer(struct cw_dht *dht, const struct cw_node_id *from,
		   const Causeway__Dht__Frame *in, struct slotset *slots,
		   const struct ballot *ballot)
{
	Causeway__Dht__Empty empty = CAUSEWAY__DHT__EMPTY__INIT;
	uint64_t lsn = raise_promises(dht, slots, in->epoch, ballot), wrote = UINT64_MAX;
	struct slot *first = &dht->slots[set_next(slots, 0)];
	struct packing p;
	bool good = lsn != UINT64_MAX;

	packing_init(&p);
	switch (good ? in->body_case : CAUSEWAY__DHT__FRAME__BODY__NOT_SET) {
	case CAUSEWAY__DHT__FRAME__BODY_PREP:
		answer_prep(dht, &p, slots);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_CHK:
		p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_CHKOK;
		p.frame.chkok = &empty;
		break;
	case CAUSEWAY__DHT__FRAME__BODY_CFGACC:
		wrote = answer_cfgacc(dht, &p, slots, ballot, in->cfgacc);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_RREAD:
		good = answer_rread(dht, &p, first, in->rread);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_ACC:
		wrote = answer_acc(dht, &p, first, ballot, in->acc);
		if (wrote != 0 && dht->config.mutate == CW_DHT_MUT_NOSYNC)
			wrote = 1;
		break;
	case CAUSEWAY__DHT__FRAME__BODY_SNAP:
		good = answer_snap(dht, &p, slots, in->snap);
		break;
	default:
		good = false;
	}
	if (wrote != UINT64_MAX) {
		good = good && wrote != 0;
		lsn = dht->config.mutate == CW_DHT_MUT_NOPERSIST ? wrote : cw_max_u64(lsn, wrote);
	}
	if (good) {
		packing_header(&p, slots, in->epoch, ballot, in->call);
		send_packing(dht, from, &p, lsn);
	}
	arena_free(&p.arena);
}

void send_nack(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in,
	       const struct slotset *slots, uint64_t epoch, const struct ballot *ballot)
{
	struct ballot highest = {0};
	struct packing p;

	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1))
		if (ballot_compare(dht, &dht->slots[i].promised, &highest) > 0)
			highest = dht->slots[i].promised;
	packing_init(&p);
	packing_header(&p, slots, epoch, ballot, in->call);
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_NACK;
	p.frame.nack = promise_pack(&p.arena, slots, epoch, &highest);
	send_packing(dht, from, &p, 0);
	arena_free(&p.arena);
	dht->counts.nacks++;
}

bool is_question(const Causeway__Dht__Frame *frame)
{
	switch (frame->body_case) {
	case CAUSEWAY__DHT__FRAME__BODY_PREP:
	case CAUSEWAY__DHT__FRAME__BODY_RREAD:
	case CAUSEWAY__DHT__FRAME__BODY_ACC:
	case CAUSEWAY__DHT__FRAME__BODY_CHK:
	case CAUSEWAY__DHT__FRAME__BODY_CFGACC:
	case CAUSEWAY__DHT__FRAME__BODY_SNAP:
		return true;
	default:
		return false;
	}
}

void acceptor_input(struct cw_dht *dht, const struct cw_node_id *from,
		    const Causeway__Dht__Frame *in)
{
	struct slotset asked, by[NEED + 1] = {{{0}}};
	struct ballot ballot = {.round = in->round};

	/* Only the ballot's own node may speak for it, and only a member has one. */
	if (!node_unpack(&in->node, &ballot.node) || !cw_node_id_equal(&ballot.node, from) ||
	    !slots_unpack(dht, in->slots, &asked))
		return;
	for (int i = set_next(&asked, 0); i >= 0; i = set_next(&asked, i + 1)) {
		const struct slot *s = &dht->slots[i];
		enum admission a = admit(dht, s, in->epoch, &ballot);

		if (a == ADMITTED && member_index(&s->members, from) < 0)
			continue;
		set_add(&by[a], (uint32_t)i);
	}
	if (!set_empty(&by[NACK]))
		send_nack(dht, from, in, &by[NACK], in->epoch, &ballot);
	if (!set_empty(&by[OLD])) {
		dht->counts.refused_old++;
		send_configs(dht, from, &by[OLD], in->epoch, false);
	}
	if (!set_empty(&by[NEED]))
		send_need(dht, from, &by[NEED], NULL);
	if (!set_empty(&by[ADMITTED]))
		answer(dht, from, in, &by[ADMITTED], &ballot);
}
