/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stages and activation: how a slot passes from one set of members to the next (R10 to R14).
 *
 * A staged copy is kept until its epoch or a later one is known to be chosen, however long; only a
 * greater stage id for the same epoch replaces it. Who learns that a configuration is chosen
 * activates exactly the stage that was chosen, and that replaces all it had for the slot. Without
 * the stage a member asks for a copy (copy.c) and votes on nothing before it has one.
 */
#include "internal.h"

void stage_free(struct stage *s)
{
	keytab_clear(&s->regs);
	free(s->floors);
	free(s);
}

/* Take these slots out of every stage that `gone` says is no longer needed for them. */
static void stages_cut(struct cw_dht *dht, const struct slotset *slots, uint64_t epoch,
		       const struct stage_id *below)
{
	struct stage **at = &dht->stages;

	while (*at != NULL) {
		struct stage *x = *at;
		bool settled = below == NULL ? x->sid.epoch <= epoch
					     : x->sid.epoch == below->epoch &&
						       sid_compare(dht, &x->sid, below) < 0;

		if (settled)
			set_cut(&x->slots, slots);
		if (!set_empty(&x->slots)) {
			at = &x->next;
			continue;
		}
		*at = x->next;
		dht->stage_count--;
		stage_free(x);
	}
}

void stages_forget(struct cw_dht *dht, const struct slotset *slots)
{
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		struct slotset one = set_of((uint32_t)i);

		stages_cut(dht, &one, dht->slots[i].epoch, NULL);
	}
}

static struct stage *stage_find(const struct cw_dht *dht, const struct stage_id *sid)
{
	struct stage *x = dht->stages;

	while (x != NULL && sid_compare(dht, &x->sid, sid) != 0)
		x = x->next;
	return x;
}

static struct stage *stage_begin(struct cw_dht *dht, const struct stage_id *sid,
				 const struct members *members, const struct slotset *slots,
				 uint32_t chunks)
{
	struct stage *x;

	/* A greater ballot of the old epoch has buried the earlier attempts. */
	for (x = dht->stages; x != NULL; x = x->next)
		for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1))
			if (x->sid.epoch == sid->epoch && set_has(&x->slots, (uint32_t)i) &&
			    sid_compare(dht, &x->sid, sid) > 0)
				return NULL;
	stages_cut(dht, slots, 0, sid);
	if (dht->stage_count >= STAGES_MAX)
		return NULL;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return NULL;
	x->floors = calloc(dht->genesis.slots, sizeof(*x->floors));
	if (x->floors == NULL) {
		free(x);
		return NULL;
	}
	x->sid = *sid;
	x->members = *members;
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1))
		if (dht->slots[i].epoch < sid->epoch)
			set_add(&x->slots, (uint32_t)i);
	x->chunks = chunks;
	x->at_ns = dht->now_ns;
	x->next = dht->stages;
	dht->stages = x;
	dht->stage_count++;
	return x;
}

/* A piece of a stage, in order. @return true when it was new and taken; *out is the stage it
 * belongs to in any case where that is known. */
bool stage_take(struct cw_dht *dht, const Causeway__Dht__Stage *in, struct stage **out)
{
	uint64_t renew_ns, open_ns;
	struct slotset slots;
	struct members members;
	struct stage_id sid;
	struct stage *x;

	*out = NULL;
	if (!slots_unpack(dht, in->slots, &slots) || !sid_unpack(in->sid, &sid) ||
	    !members_unpack(in->members, in->n_members, &members) || in->chunks == 0 ||
	    in->chunks > STAGE_RECORDS_MAX || in->chunk >= in->chunks)
		return false;
	x = stage_find(dht, &sid);
	if (x == NULL && in->chunk == 0)
		x = stage_begin(dht, &sid, &members, &slots, in->chunks);
	*out = x;
	if (x == NULL || in->chunk != x->have || in->chunks != x->chunks)
		return false;
	for (size_t i = 0; i < in->n_records; i++) {
		struct stamp stamp;
		struct record r;

		if (!record_unpack(in->records[i], &r, &stamp, &renew_ns, &open_ns) ||
		    !record_warranted(dht, &r, replica_here(dht, r.key)) ||
		    replica_store(dht, &x->regs, &r, &stamp, renew_ns, open_ns) < 0)
			return false;
	}
	for (size_t i = 0; i < in->n_floors; i++)
		if (in->floors[i]->slot < dht->genesis.slots)
			x->floors[in->floors[i]->slot] = in->floors[i]->floor;
	x->have++;
	return true;
}

void stage_input(struct cw_dht *dht, const struct cw_node_id *from, const Causeway__Dht__Frame *in)
{
	Causeway__Dht__Staged staged = CAUSEWAY__DHT__STAGED__INIT;
	struct ballot ballot = {.round = in->round};
	struct slotset slots, old = {{0}};
	struct stage_id sid;
	struct packing p;
	struct stage *x;

	if (!slots_unpack(dht, in->slots, &slots) || !sid_unpack(in->stage->sid, &sid) ||
	    !node_unpack(&in->node, &ballot.node) || !cw_node_id_equal(&ballot.node, from) ||
	    !ballot_same(&ballot, &sid.ballot) || sid.epoch != in->epoch + 1)
		return;
	for (int i = set_next(&slots, 0); i >= 0; i = set_next(&slots, i + 1))
		if (sid.epoch <= dht->slots[i].epoch)
			set_add(&old, (uint32_t)i);
	if (!set_empty(&old)) {
		send_configs(dht, from, &old, in->epoch, false);
		return;
	}
	if (stage_take(dht, in->stage, &x)) {
		x->lsn = log_append(dht, CW_DHT_LOG_STAGE, &in->stage->base);
		if (x->lsn == 0)
			x->lsn = UINT64_MAX; /* never said to be durable: the log refused */
		dht->counts.stages += x->have == x->chunks;
	}
	if (x == NULL)
		return;
	packing_init(&p);
	packing_header(&p, &slots, in->epoch, &ballot, in->call);
	staged.sid = sid_pack(&p.arena, &sid);
	staged.have = x->have;
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_STAGED;
	p.frame.staged = &staged;
	send_packing(dht, from, &p, x->lsn);
	arena_free(&p.arena);
}

/* -- activation */

void slot_begin(struct cw_dht *dht, uint32_t slot, const struct config *c)
{
	struct slot *s = &dht->slots[slot];

	chain_push(dht, slot, c);
	s->epoch = c->epoch;
	s->members = c->members;
	s->sid = c->sid;
	s->active = false;
	s->promised = (struct ballot){0};
	s->cfg = (struct cfgreg){0};
	s->floor = 0;
	s->copy_next = 0;
	s->round_seen = 0;
	s->fit_ns = 0;
	keytab_clear(&s->regs);
}

struct moving {
	struct cw_dht *dht;
	struct stage *stage;
	const struct slotset *slots;
};

static bool move_record(void *arg, struct replica *r)
{
	struct moving *m = arg;
	uint32_t slot = key_slot(m->dht, r->record.key);

	if (set_has(m->slots, slot))
		keytab_move(&m->stage->regs, &m->dht->slots[slot].regs, r);
	return true;
}

/* The stage's records become the slots'. @return false without that stage, whole. */
bool slot_install(struct cw_dht *dht, const struct slotset *slots, const struct stage_id *sid)
{
	struct stage *x = stage_find(dht, sid);
	struct moving moving = {dht, x, slots};

	if (x == NULL || x->have != x->chunks || !set_within(slots, &x->slots))
		return false;
	keytab_walk(&x->regs, 0, move_record, &moving);
	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		dht->slots[i].floor = x->floors[i];
		dht->slots[i].active = true;
	}
	return true;
}

/* The stage for this slot that a mutated rule would take. */
static const struct stage *usable(struct cw_dht *dht, uint32_t slot, const struct config *c)
{
	const struct stage *x = stage_find(dht, &c->sid);

	if (x != NULL && (x->have != x->chunks || !set_has(&x->slots, slot)))
		x = NULL;
	if (dht->config.mutate == CW_DHT_MUT_DROPSTAGE && x != NULL &&
	    dht->now_ns - x->at_ns > CW_NS_PER_S)
		return NULL; /* an orphan, it thought */
	if (dht->config.mutate == CW_DHT_MUT_ANYSTAGE && x == NULL)
		for (x = dht->stages; x != NULL; x = x->next)
			if (x->sid.epoch == c->epoch && x->have == x->chunks &&
			    set_has(&x->slots, slot))
				break;
	return x;
}

struct keeping {
	struct cw_dht *dht;
	struct keytab *to;
};

static bool keep_record(void *arg, struct replica *r)
{
	struct keeping *k = arg;

	CW_ASSERT(replica_merge(k->dht, k->to, &r->record, &r->stamp, age_now(k->dht, &r->renew),
				age_now(k->dht, &r->open)) == 0);
	return true;
}

/* One slot enters an epoch; @return true when it is active there. */
static bool enter(struct cw_dht *dht, uint32_t slot, const struct config *c)
{
	struct slot *s = &dht->slots[slot];
	struct slotset one = set_of(slot);
	const struct stage *x = is_member(dht, &c->members) ? usable(dht, slot, c) : NULL;
	struct keytab before = {0};
	bool was = s->active;

	if (was && dht->config.mutate == CW_DHT_MUT_MERGE) {
		before = s->regs;
		s->regs = (struct keytab){0};
	}
	s->pointer = s->pointer || was || is_member(dht, &s->members);
	slot_begin(dht, slot, c);
	if (x != NULL)
		slot_install(dht, &one, &x->sid);
	if (before.buckets != NULL && s->active) {
		struct keeping k = {dht, &s->regs};

		keytab_walk(&before, 0, keep_record, &k);
	}
	keytab_clear(&before);
	return s->active;
}

static void entered(struct cw_dht *dht, const struct slotset *slots, const struct config *c,
		    const struct slotset *led)
{
	int index = member_index(&c->members, &dht->config.self);

	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		s->guide = c->leader;
		/* The one that led goes on at once if it is a member; else the first of the
		 * members stands. */
		slot_impatient(dht, s,
			       !s->active ? UINT64_MAX
			       : set_has(led, (uint32_t)i)
				       ? 0
				       : ((uint64_t)index + 1) * 150 * CW_NS_PER_MS);
	}
	stages_forget(dht, slots);
}

static void log_entered(struct cw_dht *dht, const struct slotset *slots, enum state_act act)
{
	uint64_t lsn = set_empty(slots) ? 0 : log_state(dht, slots, act);

	for (int i = set_next(slots, 0); i >= 0; i = set_next(slots, i + 1))
		dht->slots[i].lsn = lsn;
}

/* Slots that this is news for, and those for which it cannot be said: links are missing. */
static struct slotset news_of(struct cw_dht *dht, const struct config *c, struct slotset *gap)
{
	struct slotset later = {{0}}, good, next;

	for (int i = set_next(&c->slots, 0); i >= 0; i = set_next(&c->slots, i + 1))
		if (c->epoch > dht->slots[i].epoch)
			set_add(&later, (uint32_t)i);
	if (!chain_required(dht) || set_empty(&later))
		return later;
	good = chain_check(dht, c, &later);
	set_cut(&later, &good);
	next = later;
	for (int i = set_next(&next, 0); i >= 0; i = set_next(&next, i + 1))
		if (c->epoch == dht->slots[i].epoch + 1)
			set_del(&later, (uint32_t)i);
	dht->counts.unproven += set_count(&next) - set_count(&later);
	*gap = later;
	return good;
}

/* The same epoch again: do we lack its state, is its leader news, did somebody ask? */
static void heard_again(struct cw_dht *dht, const struct config *c, bool direct,
			struct slotset *lack, struct slotset *told)
{
	for (int i = set_next(&c->slots, 0); i >= 0; i = set_next(&c->slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		if (c->epoch != s->epoch)
			continue;
		if (!s->active && is_member(dht, &s->members)) {
			set_add(lack, (uint32_t)i);
			continue;
		}
		if (direct && s->active)
			set_add(told, (uint32_t)i);
		if (cw_node_id_is_zero(&c->leader) || s->led != NULL)
			continue;
		s->guide = c->leader;
		if (!s->active)
			slot_impatient(dht, s, POINTER_NS);
	}
}

void config_learn(struct cw_dht *dht, const struct cw_node_id *from,
		  const Causeway__Dht__Config *in, bool direct)
{
	struct slotset news, led = {{0}}, got = {{0}}, lack = {{0}}, told = {{0}}, durable = {{0}},
			     gap = {{0}};
	struct config c;

	if (!config_unpack(dht, in, &c))
		return;
	heard_again(dht, &c, direct, &lack, &told);
	news = news_of(dht, &c, &gap);
	for (int i = set_next(&news, 0); i >= 0; i = set_next(&news, i + 1))
		if (dht->slots[i].led != NULL)
			set_add(&led, (uint32_t)i);
	group_lose(dht, &led, "the members have changed");
	for (int i = set_next(&news, 0); i >= 0; i = set_next(&news, i + 1)) {
		if (enter(dht, (uint32_t)i, &c))
			set_add(&got, (uint32_t)i);
		else if (is_member(dht, &c.members))
			set_add(&lack, (uint32_t)i);
		if (!dht->slots[i].active && (dht->slots[i].pointer || is_member(dht, &c.members)))
			set_add(&durable, (uint32_t)i);
	}
	dht->counts.activations += set_count(&got);
	log_entered(dht, &got, STATE_INSTALL);
	log_entered(dht, &durable, STATE_BEGIN);
	entered(dht, &news, &c, &led);
	set_cut(&news, &got);
	set_cut(&news, &durable);
	if (!set_empty(&news) && c.proof.len > 0)
		log_link(dht, &news, &c);
	set_join(&lack, &gap);
	if (!set_empty(&lack))
		send_need(dht, from, &lack, NULL);
	if (!set_empty(&told))
		send_configs(dht, from, &told, NEWEST, false);
}
