/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: what must be known after a restart, as records that may be replayed over a later
 * snapshot without changing anything. So every record names the epoch it belongs to, promises and
 * config registers only rise, and a record of a register counts only in the epoch in which it was
 * taken. Nothing of it is believed unchecked: it is a file.
 */
#include "internal.h"

uint64_t log_append(struct cw_dht *dht, enum cw_dht_log type, const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(len + 1);
	uint64_t lsn = 0;

	if (bytes != NULL) {
		protobuf_c_message_pack(message, bytes);
		lsn = dht->ops.append(dht->ctx, (uint8_t)type, bytes, len);
	}
	free(bytes);
	dht->last_lsn = cw_max_u64(dht->last_lsn, lsn);
	return lsn;
}

static Causeway__Dht__Record *logged(const struct cw_dht *dht, struct arena *a,
				     const struct slot *s, const struct replica *r)
{
	Causeway__Dht__Record *m = replica_pack(dht, a, r);

	m->slot_epoch = s->epoch;
	return m;
}

uint64_t log_record(struct cw_dht *dht, const struct slot *s, const struct replica *r)
{
	struct arena a;
	uint64_t lsn;

	arena_init(&a);
	lsn = log_append(dht, CW_DHT_LOG_RECORD, &logged(dht, &a, s, r)->base);
	arena_free(&a);
	return lsn;
}

uint64_t log_promise(struct cw_dht *dht, const struct slotset *slots, uint64_t epoch,
		     const struct ballot *b)
{
	struct arena a;
	uint64_t lsn;

	arena_init(&a);
	lsn = log_append(dht, CW_DHT_LOG_PROMISE, &promise_pack(&a, slots, epoch, b)->base);
	arena_free(&a);
	return lsn;
}

static bool same_header(const struct cw_dht *dht, const struct slot *a, const struct slot *b)
{
	return a->epoch == b->epoch && a->chain == b->chain && a->active == b->active &&
	       a->floor == b->floor && ballot_same(&a->promised, &b->promised) &&
	       cfg_same(dht, &a->cfg, &b->cfg) && members_equal(&a->members, &b->members) &&
	       sid_compare(dht, &a->sid, &b->sid) == 0;
}

/* Headers of slots, equal ones in one record; each goes to `emit` or, without it, to the log. */
static uint64_t write_states(struct cw_dht *dht, const struct slotset *slots, enum state_act act,
			     void (*emit)(void *arg, uint8_t type, const void *data, size_t len),
			     void *arg)
{
	struct slotset left = *slots;
	uint64_t lsn = 0;

	while (!set_empty(&left)) {
		const struct slot *s = &dht->slots[set_next(&left, 0)];
		Causeway__Dht__State m = CAUSEWAY__DHT__STATE__INIT;
		struct config c = {.epoch = s->epoch,
				   .members = s->members,
				   .sid = s->sid};
		struct arena a;

		if (act != STATE_AGAIN)
			c.proof = chain_proof(s);

		for (int i = set_next(&left, 0); i >= 0; i = set_next(&left, i + 1))
			if (same_header(dht, &dht->slots[i], s))
				set_add(&c.slots, (uint32_t)i);
		set_cut(&left, &c.slots);
		arena_init(&a);
		m.slots = slots_pack(&a, &c.slots);
		m.act = act == STATE_AGAIN ? STATE_HEADER : act;
		m.config = config_pack(&a, &c);
		m.active = s->active;
		m.promise = promise_pack(&a, &c.slots, s->epoch, &s->promised);
		m.cfg = register_pack(&a, &c.slots, &s->cfg);
		m.floor = s->floor;
		if (emit == NULL) {
			lsn = log_append(dht, CW_DHT_LOG_STATE, &m.base);
		} else {
			size_t len = causeway__dht__state__get_packed_size(&m);
			uint8_t *bytes = arena_get(&a, len);

			causeway__dht__state__pack(&m, bytes);
			emit(arg, CW_DHT_LOG_STATE, bytes, len);
		}
		arena_free(&a);
	}
	return lsn;
}

uint64_t log_state(struct cw_dht *dht, const struct slotset *slots, enum state_act act)
{
	return write_states(dht, slots, act, NULL, NULL);
}

void log_link(struct cw_dht *dht, const struct slotset *slots, const struct config *c)
{
	struct config link = *c;
	struct arena a;

	link.slots = *slots;
	arena_init(&a);
	log_append(dht, CW_DHT_LOG_LINK, &config_pack(&a, &link)->base);
	arena_free(&a);
}

/* -- genesis */

Causeway__Dht__Genesis *genesis_pack(struct arena *a, const struct cw_dht *dht)
{
	const struct cw_dht_genesis *g = &dht->genesis;
	Causeway__Dht__Genesis *m = arena_get(a, sizeof(*m));
	struct members founder = {.count = 1, .v = {{g->founder, g->founder_disk}}};

	causeway__dht__genesis__init(m);
	m->network_id = bytes_view(g->network_id, CW_DHT_NETWORK_ID_BYTES);
	m->founder = members_pack(a, &founder)[0];
	m->slots = g->slots;
	m->session_ns = g->session_ns;
	m->eps_divisor = g->eps_divisor;
	m->guard_ns = g->guard_ns;
	return m;
}

bool take_genesis(struct cw_dht *dht, const Causeway__Dht__Genesis *m)
{
	struct cw_dht_genesis g = {.slots = m->slots,
				   .session_ns = m->session_ns,
				   .eps_divisor = m->eps_divisor,
				   .guard_ns = m->guard_ns};
	const struct cw_dht_tuning *t = &dht->config.tuning;
	struct members founder;

	if (dht->founded)
		return memcmp(dht->genesis.network_id, m->network_id.data,
			      cw_min_u64(m->network_id.len, CW_DHT_NETWORK_ID_BYTES)) == 0;
	/* Constants of the network's life: a node that counts otherwise must not take part. */
	if (m->network_id.len != CW_DHT_NETWORK_ID_BYTES || m->founder == NULL ||
	    !members_unpack(&(Causeway__Dht__Voter *){m->founder}, 1, &founder) ||
	    g.slots != t->slots || g.session_ns != t->session_ns ||
	    g.eps_divisor != t->eps_divisor || g.guard_ns != t->guard_ns)
		return false;
	memcpy(g.network_id, m->network_id.data, sizeof(g.network_id));
	g.founder = founder.v[0].node;
	g.founder_disk = founder.v[0].disk;
	dht->slots = calloc(g.slots, sizeof(*dht->slots));
	if (dht->slots == NULL)
		return false;
	dht->genesis = g;
	dht->founded = true;
	for (uint32_t i = 0; i < g.slots; i++) {
		struct slot *s = &dht->slots[i];

		s->epoch = 1;
		s->members = founder;
		/* What a lone founder has is all there is. */
		s->active = is_member(dht, &founder);
		s->pointer = s->active;
		slot_impatient(dht, s, s->active ? 0 : UINT64_MAX);
	}
	return true;
}

void slots_release(struct cw_dht *dht)
{
	for (uint32_t i = 0; dht->slots != NULL && i < dht->genesis.slots; i++) {
		keytab_clear(&dht->slots[i].regs);
		leads_drop(dht, i);
		chain_free(dht, i);
	}
	free(dht->slots);
	dht->slots = NULL;
}

/* -- replay */

static int replay_promise(struct cw_dht *dht, const Causeway__Dht__Promise *m)
{
	struct slotset slots;
	struct ballot b;
	uint64_t epoch;

	if (!promise_unpack(dht, m, &slots, &epoch, &b))
		return -EINVAL;
	for (int i = set_next(&slots, 0); i >= 0; i = set_next(&slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		if (s->epoch == epoch && ballot_compare(dht, &b, &s->promised) > 0 &&
		    dht->config.mutate != CW_DHT_MUT_NOPERSIST)
			s->promised = b;
	}
	return 0;
}

static void replay_header(struct cw_dht *dht, uint32_t slot, const Causeway__Dht__State *m,
			  const struct config *c, const struct ballot *promised,
			  const struct cfgreg *cfg)
{
	struct slot *s = &dht->slots[slot];

	if (c->epoch > s->epoch)
		slot_begin(dht, slot, c);
	if (c->epoch < s->epoch)
		return;
	s->active = s->active || m->active;
	s->floor = cw_max_u64(s->floor, m->floor);
	if (ballot_compare(dht, promised, &s->promised) > 0 &&
	    dht->config.mutate != CW_DHT_MUT_NOPERSIST)
		s->promised = *promised;
	if (cfg_compare(dht, cfg, &s->cfg) > 0)
		s->cfg = *cfg;
}

static int replay_state(struct cw_dht *dht, const Causeway__Dht__State *m)
{
	struct slotset slots, named, fresh = {{0}};
	struct ballot promised;
	struct cfgreg cfg;
	struct config c;
	uint64_t epoch;

	if (!slots_unpack(dht, m->slots, &slots) || m->act > STATE_INSTALL ||
	    !config_unpack(dht, m->config, &c) ||
	    !promise_unpack(dht, m->promise, &named, &epoch, &promised) ||
	    !register_unpack(dht, m->cfg, &named, &cfg))
		return -EINVAL;
	for (int i = set_next(&slots, 0); i >= 0; i = set_next(&slots, i + 1)) {
		struct slot *s = &dht->slots[i];

		s->pointer = true;
		if (m->act == STATE_HEADER) {
			replay_header(dht, (uint32_t)i, m, &c, &promised, &cfg);
		} else if (c.epoch > s->epoch) {
			slot_begin(dht, (uint32_t)i, &c);
			set_add(&fresh, (uint32_t)i);
		}
	}
	if (m->act != STATE_INSTALL || set_empty(&fresh))
		return 0;
	if (!slot_install(dht, &fresh, &c.sid) && dht->config.mutate != CW_DHT_MUT_ANYSTAGE)
		return -EINVAL;
	stages_forget(dht, &fresh);
	return 0;
}

/* One of the past: what it came to stands behind it. */
static int replay_link(struct cw_dht *dht, const Causeway__Dht__Config *m)
{
	struct config c;

	if (!config_unpack(dht, m, &c))
		return -EINVAL;
	for (int i = set_next(&c.slots, 0); i >= 0; i = set_next(&c.slots, i + 1)) {
		if (c.epoch <= dht->slots[i].epoch)
			continue;
		slot_begin(dht, (uint32_t)i, &c);
	}
	return 0;
}

static int replay_record(struct cw_dht *dht, const Causeway__Dht__Record *m)
{
	uint64_t renew_ns, open_ns;
	struct stamp stamp;
	struct record r;
	struct slot *s;

	if (!record_unpack(m, &r, &stamp, &renew_ns, &open_ns))
		return -EINVAL;
	s = &dht->slots[key_slot(dht, r.key)];
	if (m->slot_epoch != s->epoch)
		return 0;
	return replica_merge(dht, &s->regs, &r, &stamp, renew_ns, open_ns);
}

static int replay_stage(struct cw_dht *dht, const Causeway__Dht__Stage *m)
{
	struct slotset slots;
	struct stage_id sid;
	struct stage *x;

	if (!slots_unpack(dht, m->slots, &slots) || !sid_unpack(m->sid, &sid))
		return -EINVAL;
	/* Some of its slots may have gone on since; for the others it is needed. */
	for (int i = set_next(&slots, 0); i >= 0; i = set_next(&slots, i + 1)) {
		if (sid.epoch <= dht->slots[i].epoch)
			continue;
		stage_take(dht, m, &x);
		break;
	}
	return 0;
}

static int replay_disk(struct cw_dht *dht, const void *data, size_t len)
{
	uint64_t disk;

	if (len != sizeof(disk))
		return -EINVAL;
	memcpy(&disk, data, sizeof(disk));
	/* A later identity: what was ours as a member is another's. */
	if (dht->disk != 0 && dht->disk != disk)
		for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++)
			dht->slots[i].active = false;
	dht->disk = disk;
	return 0;
}

static int replay_message(struct cw_dht *dht, uint8_t type, const void *data, size_t len)
{
	static const struct {
		uint8_t type;
		const ProtobufCMessageDescriptor *descriptor;
	} forms[] = {
		{CW_DHT_LOG_GENESIS, &causeway__dht__genesis__descriptor},
		{CW_DHT_LOG_PROMISE, &causeway__dht__promise__descriptor},
		{CW_DHT_LOG_RECORD, &causeway__dht__record__descriptor},
		{CW_DHT_LOG_STATE, &causeway__dht__state__descriptor},
		{CW_DHT_LOG_STAGE, &causeway__dht__stage__descriptor},
		{CW_DHT_LOG_LINK, &causeway__dht__config__descriptor},
	};
	ProtobufCMessage *m = NULL;
	int rc = -EINVAL;

	for (size_t i = 0; i < CW_ARRAY_SIZE(forms); i++)
		if (forms[i].type == type)
			m = protobuf_c_message_unpack(forms[i].descriptor, NULL, len, data);
	if (m == NULL)
		return -EINVAL;
	if (type == CW_DHT_LOG_GENESIS)
		rc = take_genesis(dht, (Causeway__Dht__Genesis *)m) ? 0 : -EINVAL;
	else if (!dht->founded)
		rc = -EINVAL;
	else if (type == CW_DHT_LOG_PROMISE)
		rc = replay_promise(dht, (Causeway__Dht__Promise *)m);
	else if (type == CW_DHT_LOG_LINK)
		rc = replay_link(dht, (Causeway__Dht__Config *)m);
	else if (type == CW_DHT_LOG_RECORD)
		rc = replay_record(dht, (Causeway__Dht__Record *)m);
	else if (type == CW_DHT_LOG_STATE)
		rc = replay_state(dht, (Causeway__Dht__State *)m);
	else
		rc = replay_stage(dht, (Causeway__Dht__Stage *)m);
	protobuf_c_message_free_unpacked(m, NULL);
	return rc;
}

int cw_dht_replay(struct cw_dht *dht, uint8_t type, const void *data, size_t len, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	switch (type) {
	case CW_DHT_LOG_INCARNATION:
		if (len != sizeof(dht->incarnation))
			return -EINVAL;
		memcpy(&dht->incarnation, data, sizeof(dht->incarnation));
		return 0;
	case CW_DHT_LOG_RELEASED:
		if (len != sizeof(dht->released_sgen))
			return -EINVAL;
		memcpy(&dht->released_sgen, data, sizeof(dht->released_sgen));
		return 0;
	case CW_DHT_LOG_DISK:
		return replay_disk(dht, data, len);
	default:
		return replay_message(dht, type, data, len);
	}
}

/* -- snapshot */

struct emitting {
	struct cw_dht *dht;
	const struct slot *slot;
	const struct stage *stage;
	Causeway__Dht__Stage *piece;
	size_t bytes;
	struct arena arena;
	void (*emit)(void *arg, uint8_t type, const void *data, size_t len);
	void *arg;
};

static void emit_message(struct emitting *e, uint8_t type, const ProtobufCMessage *m)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint8_t *bytes = malloc(len + 1);

	/* A snapshot replaces the log: one that left a record out would be a lie. Better to end
	 * here, with the log as it was. */
	CW_ASSERT(bytes != NULL);
	protobuf_c_message_pack(m, bytes);
	e->emit(e->arg, type, bytes, len);
	free(bytes);
}

static bool emit_record(void *arg, struct replica *r)
{
	struct emitting *e = arg;

	arena_init(&e->arena);
	emit_message(e, CW_DHT_LOG_RECORD, &logged(e->dht, &e->arena, e->slot, r)->base);
	arena_free(&e->arena);
	return true;
}

/* A stage of one record a piece: rare, and simple to read back. */
static bool emit_staged(void *arg, struct replica *r)
{
	struct emitting *e = arg;
	Causeway__Dht__Record *record;
	struct arena a;

	arena_init(&a);
	record = replica_pack(e->dht, &a, r);
	e->piece->n_records = 1;
	e->piece->records = &record;
	emit_message(e, CW_DHT_LOG_STAGE, &e->piece->base);
	e->piece->n_floors = 0;
	e->piece->chunk++;
	arena_free(&a);
	return true;
}

static void emit_stage(struct emitting *e, const struct stage *x)
{
	Causeway__Dht__Stage m = CAUSEWAY__DHT__STAGE__INIT;

	/* One that is not whole was never said to be: it is asked for again. */
	if (x->have != x->chunks)
		return;
	arena_init(&e->arena);
	m.slots = slots_pack(&e->arena, &x->slots);
	m.sid = sid_pack(&e->arena, &x->sid);
	m.members = members_pack(&e->arena, &x->members);
	m.n_members = x->members.count;
	m.chunks = x->regs.count + 1;
	m.floors = floors_pack(&e->arena, &x->slots, x->floors, &m.n_floors);
	e->piece = &m;
	keytab_walk(&x->regs, 0, emit_staged, e);
	e->piece = NULL;
	m.n_records = 0;
	emit_message(e, CW_DHT_LOG_STAGE, &m.base);
	arena_free(&e->arena);
}

static void emit_link(void *arg, const struct config *c)
{
	struct emitting *e = arg;
	struct arena a;

	arena_init(&a);
	emit_message(e, CW_DHT_LOG_LINK, &config_pack(&a, c)->base);
	arena_free(&a);
}

void cw_dht_snapshot(struct cw_dht *dht,
		     void (*emit)(void *arg, uint8_t type, const void *data, size_t len), void *arg,
		     uint64_t now_ns)
{
	struct emitting *e = calloc(1, sizeof(*e));
	struct slotset known = {{0}};

	CW_ASSERT(e != NULL);
	dht->now_ns = now_ns;
	*e = (struct emitting){.dht = dht, .emit = emit, .arg = arg};
	emit(arg, CW_DHT_LOG_DISK, &dht->disk, sizeof(dht->disk));
	emit(arg, CW_DHT_LOG_INCARNATION, &dht->incarnation, sizeof(dht->incarnation));
	emit(arg, CW_DHT_LOG_RELEASED, &dht->released_sgen, sizeof(dht->released_sgen));
	if (dht->founded) {
		arena_init(&e->arena);
		emit_message(e, CW_DHT_LOG_GENESIS, &genesis_pack(&e->arena, dht)->base);
		arena_free(&e->arena);
	}
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++)
		if (dht->slots[i].pointer || is_member(dht, &dht->slots[i].members))
			set_add(&known, i);
	if (dht->founded)
		chain_visit(dht, emit_link, e);
	write_states(dht, &known, STATE_HEADER, emit, arg);
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++) {
		e->slot = &dht->slots[i];
		keytab_walk(&e->slot->regs, 0, emit_record, e);
	}
	for (const struct stage *x = dht->stages; x != NULL; x = x->next)
		emit_stage(e, x);
	free(e);
}
