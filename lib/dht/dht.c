/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DHT's outside: messages in and out, the genesis, time.
 *
 * A network begins by an operator's act (cw_dht_found); a node without genesis asks its neighbours,
 * takes the first one it hears and refuses every other network's messages from then on. Messages
 * that tell of something durable wait for their lsn; messages to oneself go the same way as all
 * others, without the network.
 */
#include "internal.h"

static void set_tuning(struct cw_dht_tuning *t)
{
	static const struct cw_dht_tuning usual = {
		.slots = CW_DHT_SLOTS,
		.session_ns = CW_LAW_SESSION_NS,
		.eps_divisor = CW_LAW_EPS_DIVISOR,
		.guard_ns = CW_LAW_GUARD_NS,
		.dead_ns = UINT64_C(15) * CW_NS_PER_S,
		.settle_ns = UINT64_C(60) * CW_NS_PER_S,
		.move_ns = UINT64_C(600) * CW_NS_PER_S,
		/* Longer than any cover: the longest lease is 30 days. */
		.tombstone_ns = UINT64_C(31) * 86400 * CW_NS_PER_S,
		.shrink_ns = UINT64_C(600) * CW_NS_PER_S,
		/* A site of 65,536 hosts has 64 mappings and as many clients and names in each of
		 * 1,024 slots on average. */
		.quota = 4096,
	};

	t->slots = t->slots ? t->slots : usual.slots;
	t->session_ns = t->session_ns ? t->session_ns : usual.session_ns;
	t->eps_divisor = t->eps_divisor ? t->eps_divisor : usual.eps_divisor;
	t->guard_ns = t->guard_ns ? t->guard_ns : usual.guard_ns;
	t->dead_ns = t->dead_ns ? t->dead_ns : usual.dead_ns;
	t->settle_ns = t->settle_ns ? t->settle_ns : usual.settle_ns;
	t->move_ns = t->move_ns ? t->move_ns : usual.move_ns;
	t->tombstone_ns = t->tombstone_ns ? t->tombstone_ns : usual.tombstone_ns;
	t->shrink_ns = t->shrink_ns ? t->shrink_ns : usual.shrink_ns;
	t->quota = t->quota ? t->quota : usual.quota;
}

int cw_dht_create(struct cw_dht **out, const struct cw_dht_config *config,
		  const struct cw_dht_ops *ops, void *ctx)
{
	struct cw_dht *dht = calloc(1, sizeof(*dht));

	if (dht == NULL)
		return -ENOMEM;
	dht->config = *config;
	set_tuning(&dht->config.tuning);
	dht->ops = *ops;
	dht->ctx = ctx;
	dht->pending_tail = &dht->pending;
	dht->proofs = calloc(PROOFS, sizeof(*dht->proofs));
	dht->latency = calloc(CW_STORE_VERB_COUNT, sizeof(*dht->latency));
	if (dht->proofs == NULL || dht->latency == NULL) {
		cw_dht_destroy(dht);
		return -ENOMEM;
	}
	*out = dht;
	return 0;
}

void cw_dht_destroy(struct cw_dht *dht)
{
	if (dht == NULL)
		return;
	groups_free(dht);
	slots_release(dht);
	while (dht->stages != NULL) {
		struct stage *next = dht->stages->next;

		stage_free(dht->stages);
		dht->stages = next;
	}
	while (dht->pending != NULL) {
		struct pending *next = dht->pending->next;

		free(dht->pending);
		dht->pending = next;
	}
	while (dht->asking != NULL) {
		struct op *next = dht->asking->next;

		op_free(dht, dht->asking);
		dht->asking = next;
	}
	client_free(dht);
	free(dht->proofs);
	free(dht->latency);
	free(dht->peers);
	free(dht);
}

/* -- out */

uint8_t *pack_frame(struct cw_dht *dht, struct packing *p, size_t *len)
{
	uint8_t *bytes;

	p->frame.version = CW_DHT_VERSION;
	p->frame.disk = dht->disk;
	if (dht->founded)
		p->frame.network_id = bytes_view(dht->genesis.network_id, CW_DHT_NETWORK_ID_BYTES);
	*len = causeway__dht__frame__get_packed_size(&p->frame);
	bytes = p->arena.failed ? NULL : malloc(*len + 1);
	if (bytes != NULL)
		causeway__dht__frame__pack(&p->frame, bytes);
	return bytes;
}

void send_bytes(struct cw_dht *dht, const struct cw_node_id *to, const uint8_t *data, size_t len,
		uint64_t after_lsn)
{
	bool self = cw_node_id_equal(to, &dht->config.self);
	struct pending *p;

	if (!self && after_lsn <= dht->durable_lsn) {
		dht->ops.send(dht->ctx, to, data, len, dht->now_ns);
		return;
	}
	if (dht->pending_count >= PENDING_MAX)
		return; /* as if lost */
	p = malloc(sizeof(*p) + len);
	if (p == NULL)
		return;
	*p = (struct pending){.lsn = after_lsn, .to = *to, .len = len};
	memcpy(p->data, data, len);
	*dht->pending_tail = p;
	dht->pending_tail = &p->next;
	dht->pending_count++;
}

void send_packing(struct cw_dht *dht, const struct cw_node_id *to, struct packing *p,
		  uint64_t after_lsn)
{
	size_t len;
	uint8_t *bytes = pack_frame(dht, p, &len);

	if (bytes != NULL)
		send_bytes(dht, to, bytes, len, after_lsn);
	free(bytes);
}

static void dispatch(struct cw_dht *dht, const struct cw_node_id *from, const uint8_t *data,
		     size_t len);

/* Send what may leave; run what was meant for ourselves, until nothing more comes of it. */
static void flush(struct cw_dht *dht)
{
	struct pending **at = &dht->pending;

	while (*at != NULL) {
		struct pending *p = *at;

		if (p->lsn > dht->durable_lsn) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		if (*at == NULL)
			dht->pending_tail = at;
		dht->pending_count--;
		if (cw_node_id_equal(&p->to, &dht->config.self)) {
			/* Only appends to the list: what was passed over stays where it is. */
			dispatch(dht, &dht->config.self, p->data, p->len);
		} else {
			dht->ops.send(dht->ctx, &p->to, p->data, p->len, dht->now_ns);
		}
		free(p);
	}
}

/* -- the genesis */

int cw_dht_found(struct cw_dht *dht, const struct cw_node_id *voters, unsigned int count,
		 uint64_t now_ns)
{
	struct cw_dht_genesis *g = &dht->genesis;
	const struct cw_dht_tuning *t = &dht->config.tuning;
	bool here = false;
	struct arena a;
	uint64_t lsn;
	bool taken;

	dht->now_ns = now_ns;
	if (dht->founded)
		return -EEXIST;
	if ((count != 1 && count != 3) || !dht->started)
		return -EINVAL;
	for (unsigned int i = 0; i < count; i++) {
		here = here || cw_node_id_equal(&voters[i], &dht->config.self);
		for (unsigned int j = 0; j < i; j++)
			if (cw_node_id_equal(&voters[i], &voters[j]))
				return -EINVAL;
	}
	if (!here)
		return -EINVAL;
	dht->config.random.fill(dht->config.random.ctx, g->network_id, sizeof(g->network_id));
	g->founder = dht->config.self;
	g->founder_disk = dht->disk;
	g->slots = t->slots;
	g->session_ns = t->session_ns;
	g->eps_divisor = t->eps_divisor;
	g->guard_ns = t->guard_ns;
	arena_init(&a);
	lsn = log_append(dht, CW_DHT_LOG_GENESIS, &genesis_pack(&a, dht)->base);
	taken = lsn != 0 && take_genesis(dht, genesis_pack(&a, dht));
	arena_free(&a);
	if (!taken)
		return -EIO;
	dht->wanted.count = count > 1 ? count : 0;
	for (unsigned int i = 0; i < count; i++)
		dht->wanted.v[i].node = voters[i];
	return 0;
}

const struct cw_dht_genesis *cw_dht_genesis(const struct cw_dht *dht)
{
	return dht->founded ? &dht->genesis : NULL;
}

static void send_genesis(struct cw_dht *dht, const struct cw_node_id *to)
{
	struct packing p;

	packing_init(&p);
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_GENESIS;
	p.frame.genesis = genesis_pack(&p.arena, dht);
	send_packing(dht, to, &p, 0);
	arena_free(&p.arena);
}

static void ask_genesis(struct cw_dht *dht)
{
	Causeway__Dht__Empty empty = CAUSEWAY__DHT__EMPTY__INIT;
	struct packing p;

	packing_init(&p);
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_GENESIS_ASK;
	p.frame.genesis_ask = &empty;
	for (unsigned int i = 0; i < dht->peer_count; i++)
		if (dht->peers[i].listed)
			send_packing(dht, &dht->peers[i].node, &p, 0);
	arena_free(&p.arena);
}

static void on_genesis(struct cw_dht *dht, const struct cw_node_id *from,
		       const Causeway__Dht__Genesis *m)
{
	char text[CW_NODE_ID_TEXT_BYTES];
	struct arena a;

	if (!dht->founded) {
		if (!take_genesis(dht, m))
			return;
		arena_init(&a);
		log_append(dht, CW_DHT_LOG_GENESIS, &genesis_pack(&a, dht)->base);
		arena_free(&a);
		cw_log(dht->config.log, CW_LOG_NOTICE, MODULE, "joined the network of %s",
		       cw_node_id_format(from, text));
		return;
	}
	if (!take_genesis(dht, m))
		cw_log(dht->config.log, CW_LOG_ERROR, MODULE,
		       "%s belongs to another network: two were founded. Stop one of them and join its nodes anew",
		       cw_node_id_format(from, text));
}

/* -- in */

static void on_changed(struct cw_dht *dht, const struct cw_node_id *from,
		       const Causeway__Dht__Changed *in)
{
	struct record r;

	/* Only a member leads, only a leader pushes. */
	if (!record_unpack(in->mapping, &r, NULL, NULL, NULL) ||
	    member_index(&dht->slots[key_slot(dht, r.key)].members, from) < 0)
		return;
	if (r.kind == RECORD_MAPPING && dht->ops.changed != NULL)
		dht->ops.changed(dht->ctx, r.ip, &r.mapping, dht->now_ns);
	else if (r.kind == RECORD_NS && dht->ops.ns_changed != NULL)
		dht->ops.ns_changed(dht->ctx, &r.ns, dht->now_ns);
}

static void on_yield(struct cw_dht *dht, const Causeway__Dht__Yield *in)
{
	if (dht->ops.yield != NULL && in->kind <= INT8_MAX &&
	    in->name.len <= CW_STORE_REG_NAME_BYTES)
		dht->ops.yield(dht->ctx, (uint8_t)in->kind, in->name.data, in->name.len, in->gen,
			       dht->now_ns);
}

static void send_redirect(struct cw_dht *dht, const struct cw_node_id *to, const struct op *op)
{
	Causeway__Dht__Redirect m = CAUSEWAY__DHT__REDIRECT__INIT;
	struct slotset one = set_of(op->slot);
	struct config c = config_of(dht, &one);
	Causeway__Dht__Rid rid;
	struct packing p;

	packing_init(&p);
	rid_pack(&op->rid, &rid);
	m.rid = &rid;
	m.config = config_pack(&p.arena, &c);
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_REDIRECT;
	p.frame.redirect = &m;
	send_packing(dht, to, &p, 0);
	arena_free(&p.arena);
}

/* For good: a function of the request alone. */
static void deny(struct cw_dht *dht, struct op *op)
{
	struct reply reply = {.answer.result = CW_STORE_DENIED};
	char text[CW_NODE_ID_TEXT_BYTES];

	dht->counts.denied++;
	if (dht->denied_logged_ns == 0 || dht->now_ns - dht->denied_logged_ns >= CW_NS_PER_S) {
		dht->denied_logged_ns = dht->now_ns;
		cw_log(dht->config.log, CW_LOG_WARN, MODULE,
		       "request of %s denied: verb %u (%llu denied in all)",
		       cw_node_id_format(&op->from, text), op->request.verb,
		       (unsigned long long)dht->counts.denied);
	}
	send_reply(dht, &op->from, &op->rid, &reply);
	op_free(dht, op);
}

static void on_request(struct cw_dht *dht, const struct cw_node_id *from,
		       const Causeway__Dht__Request *in)
{
	struct op *op = calloc(1, sizeof(*op));
	struct slot *s;

	if (op == NULL)
		return;
	op->from = *from;
	op->came_ns = dht->now_ns;
	/* Site and identity come from the certificate, never from the message. */
	if (!request_unpack(in, op) || !cw_node_id_equal(&op->rid.node, from) ||
	    !dht->ops.site_of(dht->ctx, from, &op->site)) {
		free(op);
		return;
	}
	op_key(dht, op);
	s = &dht->slots[op->slot];
	if (s->led != NULL && !op_allowed(dht, op)) {
		deny(dht, op);
		return;
	}
	if (s->led != NULL) {
		leader_request(dht, from, s->led, op);
		return;
	}
	if (!cw_node_id_equal(from, &dht->config.self))
		send_redirect(dht, from, op);
	free(op);
}

static bool same_network(struct cw_dht *dht, const struct cw_node_id *from,
			 const Causeway__Dht__Frame *frame)
{
	char text[CW_NODE_ID_TEXT_BYTES];

	if (!dht->founded || frame->network_id.len == 0)
		return false;
	if (frame->network_id.len == CW_DHT_NETWORK_ID_BYTES &&
	    memcmp(frame->network_id.data, dht->genesis.network_id, CW_DHT_NETWORK_ID_BYTES) == 0)
		return true;
	cw_log(dht->config.log, CW_LOG_DEBUG, MODULE, "message of another network from %s",
	       cw_node_id_format(from, text));
	return false;
}

static void learn_all(struct cw_dht *dht, const struct cw_node_id *from,
		      const Causeway__Dht__Act *m, bool direct)
{
	struct config c;

	for (size_t i = 0; i < m->n_configs; i++)
		config_learn(dht, from, m->configs[i], direct);
	if (!m->more || m->n_configs == 0 ||
	    !config_unpack(dht, m->configs[m->n_configs - 1], &c))
		return;
	for (int i = set_next(&c.slots, 0); i >= 0; i = set_next(&c.slots, i + 1))
		dht->slots[i].need_ns = 0;
	send_need(dht, from, &c.slots, NULL);
}

static void dispatch_body(struct cw_dht *dht, const struct cw_node_id *from,
			  const Causeway__Dht__Frame *frame)
{
	switch (frame->body_case) {
	case CAUSEWAY__DHT__FRAME__BODY_HB:
		hb_input(dht, from, frame);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_HBOK:
		hbok_input(dht, from, frame);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_STAGE:
		stage_input(dht, from, frame);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_ACT:
		learn_all(dht, from, frame->act, true);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_OLD:
		learn_all(dht, from, frame->old, false);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_NEED:
		need_input(dht, from, frame);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_COPY:
		copy_input(dht, from, frame);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_REQ:
		on_request(dht, from, frame->req);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_RSP:
		client_answer(dht, from, frame->rsp);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_REDIRECT:
		client_redirect(dht, from, frame->redirect);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_CHANGED:
		on_changed(dht, from, frame->changed);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_YIELD:
		on_yield(dht, frame->yield);
		break;
	case CAUSEWAY__DHT__FRAME__BODY_DIGEST:
		digest_input(dht, from, frame);
		break;
	default:
		if (is_question(frame))
			acceptor_input(dht, from, frame);
		else
			call_input(dht, from, frame);
	}
}

static void dispatch(struct cw_dht *dht, const struct cw_node_id *from, const uint8_t *data,
		     size_t len)
{
	Causeway__Dht__Frame *frame = causeway__dht__frame__unpack(NULL, len, data);

	if (frame == NULL)
		return;
	if (!cw_node_id_equal(from, &dht->config.self) && frame->disk != 0)
		peer_heard(dht, from, frame->disk);
	if (frame->body_case == CAUSEWAY__DHT__FRAME__BODY_GENESIS_ASK) {
		if (dht->founded)
			send_genesis(dht, from);
	} else if (frame->body_case == CAUSEWAY__DHT__FRAME__BODY_GENESIS) {
		on_genesis(dht, from, frame->genesis);
	} else if (same_network(dht, from, frame)) {
		dispatch_body(dht, from, frame);
	}
	causeway__dht__frame__free_unpacked(frame, NULL);
}

void cw_dht_input(struct cw_dht *dht, const struct cw_node_id *from, const uint8_t *data,
		  size_t len, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	if (!dht->started)
		return;
	dispatch(dht, from, data, len);
	flush(dht);
}

void cw_dht_durable(struct cw_dht *dht, uint64_t lsn, int err, uint64_t now_ns)
{
	dht->now_ns = now_ns;
	if (err == 0 && lsn > dht->durable_lsn)
		dht->durable_lsn = lsn;
	flush(dht);
}

void cw_dht_neighbours(struct cw_dht *dht, const struct cw_dht_peer *peers, unsigned int n,
		       uint64_t now_ns)
{
	dht->now_ns = now_ns;
	for (unsigned int i = 0; i < dht->peer_count; i++) {
		dht->peers[i].was_listed = dht->peers[i].listed;
		dht->peers[i].listed = false;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct peer *p = peer_heard(dht, &peers[i].node, 0);

		if (p != NULL)
			p->listed = true;
	}
	if (!dht->started)
		return;
	greet(dht);
	if (!dht->founded)
		ask_genesis(dht);
	/* Joining and refusing are both decided by hearing each other's genesis. */
	for (unsigned int i = 0; dht->founded && i < n; i++)
		send_genesis(dht, &peers[i].node);
	flush(dht);
}

void cw_dht_start(struct cw_dht *dht, uint64_t now_ns)
{
	uint64_t lsn = 0;

	dht->now_ns = now_ns;
	if (dht->disk == 0) {
		/* Mutated, a node that lost its disk believes that it is the one it was (R5). */
		dht->disk = dht->config.mutate == CW_DHT_MUT_AMNESIA
				    ? 1
				    : cw_random_u64(&dht->config.random) | 1;
		lsn = dht->ops.append(dht->ctx, CW_DHT_LOG_DISK, &dht->disk, sizeof(dht->disk));
	}
	/* Ordered for one disk, different for two that were one: a cloned disk's processes must
	 * not share request-ids. */
	dht->incarnation = ((dht->incarnation >> 32) + 1) << 32 |
			   (cw_random_u64(&dht->config.random) & UINT32_MAX);
	dht->counter = 0;
	dht->begun_lsn = lsn;
	lsn = dht->ops.append(dht->ctx, CW_DHT_LOG_INCARNATION, &dht->incarnation,
			      sizeof(dht->incarnation));
	if (dht->begun_lsn == 0)
		dht->begun_lsn = lsn;
	dht->last_lsn = lsn;
	for (uint32_t i = 0; dht->founded && i < dht->genesis.slots; i++) {
		struct slot *s = &dht->slots[i];

		s->round_seen = s->promised.round;
		slot_impatient(dht, s, s->members.count == 1 ? 0 : UINT64_MAX);
	}
	dht->started = true;
}

/* -- time */

uint64_t cw_dht_timer(struct cw_dht *dht, uint64_t now_ns)
{
	uint64_t next;

	dht->now_ns = now_ns;
	if (!dht->started)
		return CW_NEVER;
	if (!dht->founded) {
		if (dht->peer_count > 0 && now_ns >= dht->genesis_ask_ns) {
			dht->genesis_ask_ns = now_ns + GENESIS_ASK_NS;
			ask_genesis(dht);
		}
		next = cw_min_u64(client_timer(dht), now_ns + GENESIS_ASK_NS);
		flush(dht);
		return next;
	}
	client_send_due(dht);
	flush(dht);
	if (now_ns >= dht->groups_ns) {
		dht->groups_ns = now_ns + HB_NS / 4;
		group_timer(dht);
		beat(dht);
		spread(dht);
		digests(dht);
	}
	next = cw_min_u64(dht->groups_ns, calls_timer(dht));
	flush(dht);
	next = cw_min_u64(next, client_timer(dht));
	flush(dht);
	return next;
}
