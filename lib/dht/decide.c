/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an operation does to a register: the leader's judgement, from committed records only.
 *
 * An operation may need several registers: a claim reads the sessions of every entry of the
 * mapping. Each is made ready first (read from a quorum, no write outstanding); while one is not,
 * the operation waits there and is judged anew from the beginning. A session that is over by its
 * proven age is ended as a version of its own before anything rests on that (R24, S2).
 *
 * A write names the version it expects, so it happens once; a repeat of the request that made the
 * next version gets the first answer (R22, R23). A refusal is a function of the records, confirmed
 * by a check before it is told.
 */
#include "internal.h"

static void answer_now(struct cw_dht *dht, struct op *op, enum cw_store_result result,
		       struct cw_store_answer *answer)
{
	answer->result = result;
	lead_confirm(dht, op, answer);
}

/* The rid of things that a leader does by itself. */
static struct rid own_rid(struct cw_dht *dht)
{
	return (struct rid){.node = dht->config.self,
			    .incarnation = dht->incarnation,
			    .counter = ++dht->counter};
}

static bool session_expired(struct cw_dht *dht, const struct lead *l)
{
	uint64_t over = dht->config.mutate == CW_DHT_MUT_NOSLACK ? CW_LAW_SESSION_NS
								 : cw_law_session_over_ns();

	return l->record.kind == RECORD_SESSION && l->record.session.state == SESSION_OPEN &&
	       age_now(dht, &l->renew) >= over;
}

/*
 * A session register, ready and not secretly over. @return NULL when the operation waits (or a
 * lapse is being written for it).
 */
static struct lead *session_ready(struct cw_dht *dht, const struct cw_node_id *node, struct op *op)
{
	uint8_t key[KEY_BYTES];
	struct lead *l;

	key_of(dht, "", 'S', node->b, CW_NODE_ID_BYTES, key);
	l = lead_of(dht, key);
	if (l == NULL) {
		op_free(op);
		return NULL;
	}
	if (!lead_ready(dht, l, op))
		return NULL;
	if (session_expired(dht, l)) {
		struct record dead = l->record;
		struct rid rid = own_rid(dht);

		dead.session.state = SESSION_DEAD;
		dead.held = false;
		record_made(&dead, &rid);
		lead_write(dht, l, &dead, NULL, NULL);
		lead_ready(dht, l, op);
		return NULL;
	}
	return l;
}

static void session_open(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct cw_store_answer answer = {0};
	struct record r = l->record;
	bool open = r.kind == RECORD_SESSION && r.session.state == SESSION_OPEN;

	if (open && same_rid(&r.rid, &op->rid)) {
		answer.sgen = r.session.sgen; /* a repeat */
		answer_now(dht, op, CW_STORE_OK, &answer);
		return;
	}
	/* One open session per node; the same disk and lock may end its own predecessor (S1). */
	if (open && r.session.sgen != op->request.sgen &&
	    dht->config.mutate != CW_DHT_MUT_DUPOPEN) {
		answer_now(dht, op, CW_STORE_BUSY, &answer);
		return;
	}
	r.kind = RECORD_SESSION;
	r.held = true;
	r.session.node = op->from;
	r.session.state = SESSION_OPEN;
	r.session.sgen = r.ver + 1;
	r.gen = r.ver + 1;
	r.rid = op->rid;
	record_made(&r, &op->rid);
	answer.result = CW_STORE_OK;
	answer.sgen = r.session.sgen;
	lead_write(dht, l, &r, op, &answer);
}

/* Counters of one process are ordered, incarnations too: a late copy of an older renewal changes
 * nothing (R17). */
static bool is_older(const struct rid *came, const struct rid *have)
{
	if (!cw_node_id_equal(&came->node, &have->node))
		return false;
	if (came->incarnation != have->incarnation)
		return came->incarnation < have->incarnation;
	return came->counter <= have->counter;
}

static void session_renew(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct cw_store_answer answer = {.sgen = op->request.sgen};
	struct record r = l->record;

	if (r.kind != RECORD_SESSION || r.session.state != SESSION_OPEN ||
	    r.session.sgen != op->request.sgen) {
		answer_now(dht, op, CW_STORE_LOST, &answer);
		return;
	}
	if (is_older(&op->rid, &r.rid)) {
		answer_now(dht, op, CW_STORE_OK, &answer);
		return;
	}
	r.rid = op->rid; /* a new rid: its age begins now; ver stays */
	answer.result = CW_STORE_OK;
	lead_write(dht, l, &r, op, &answer);
}

static void session_close(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct cw_store_answer answer = {.sgen = op->request.sgen};
	struct record r = l->record;

	if (r.kind != RECORD_SESSION || r.session.state != SESSION_OPEN ||
	    r.session.sgen != op->request.sgen) {
		answer_now(dht, op, CW_STORE_OK, &answer); /* over already, for ever */
		return;
	}
	r.session.state = SESSION_CLOSED;
	r.held = false;
	record_made(&r, &op->rid);
	answer.result = CW_STORE_OK;
	lead_write(dht, l, &r, op, &answer);
}

/* What the registers prove about one entry's generation. @return false when the operation waits. */
static bool prove(struct cw_dht *dht, struct op *op, const struct cw_mapping_entry *e,
		  struct cw_session_proof *out)
{
	struct lead *s = session_ready(dht, &e->node, op);
	struct cw_law_session session;

	if (s == NULL)
		return false;
	session = (struct cw_law_session){
		.exists = s->record.kind == RECORD_SESSION,
		.open = s->record.session.state == SESSION_OPEN,
		.sgen = s->record.session.sgen,
		.renewed_age_ns = age_now(dht, &s->renew),
		.opened_age_ns = age_now(dht, &s->open),
	};
	*out = cw_law_prove(&session, e->sgen, CW_LEASE_MUT_NONE);
	return true;
}

static void remember_watcher(struct cw_dht *dht, struct lead *l, const struct cw_node_id *node)
{
	unsigned int slot = 0;

	for (unsigned int i = 0; i < WATCHERS_MAX; i++) {
		if (cw_node_id_equal(&l->watchers[i].node, node)) {
			slot = i;
			break;
		}
		if (l->watchers[i].until_ns < l->watchers[slot].until_ns)
			slot = i;
	}
	l->watchers[slot].node = *node;
	l->watchers[slot].until_ns = dht->now_ns + WATCH_NS;
}

static struct cw_mapping mapping_of(const struct lead *l)
{
	struct cw_mapping m =
		l->record.kind == RECORD_MAPPING ? l->record.mapping : (struct cw_mapping){0};

	m.ver = l->record.ver;
	m.gen = l->record.gen;
	m.held = l->record.held;
	return m;
}

static void mapping_write(struct cw_dht *dht, struct op *op, struct lead *l,
			  const struct cw_mapping *after, struct cw_store_answer *answer)
{
	struct record r = l->record;

	r.kind = RECORD_MAPPING;
	r.ip = op->request.ip;
	r.held = after->held;
	r.gen = after->gen;
	r.mapping = *after;
	r.rid = op->rid;
	record_made(&r, &op->rid);
	answer->result = CW_STORE_OK;
	answer->mapping = r.mapping;
	lead_write(dht, l, &r, op, answer);
}

/* The register moved on from the expected version: was it this very request that moved it? */
static bool moved(struct cw_dht *dht, struct op *op, struct lead *l, struct cw_store_answer *answer)
{
	const struct record *r = &l->record;
	enum cw_store_result result = CW_STORE_CONFLICT;

	if (r->ver == op->request.ver)
		return false;
	if (dht->config.mutate != CW_DHT_MUT_NORID &&
	    record_made_by(r, op->request.ver + 1, &op->rid)) {
		/* Done. If others changed it since, what we would show is no longer what it made.
		 */
		result = r->ver == op->request.ver + 1 ? CW_STORE_OK : CW_STORE_STALE;
		for (unsigned int i = 0; i < r->mapping.entry_count; i++)
			if (cw_node_id_equal(&r->mapping.entries[i].node, &op->from))
				answer->old_cover_ns = r->mapping.entries[i].cover_ns;
	} else if (r->ver > op->request.ver + HIST) {
		result = CW_STORE_STALE;
	}
	answer_now(dht, op, result, answer);
	return true;
}

static void mapping_op(struct cw_dht *dht, struct op *op, struct lead *l)
{
	const struct cw_store_request *q = &op->request;
	struct cw_session_proof proofs[CW_MAPPING_ENTRIES_MAX] = {{0}};
	struct cw_law_claimant who = {.node = op->from, .site = op->site};
	struct cw_store_answer answer = {.mapping = mapping_of(l)};
	struct cw_mapping before = answer.mapping, after;
	enum cw_store_result result;
	bool open = false;
	uint8_t left;

	if (q->verb == CW_STORE_MAP_GET) {
		remember_watcher(dht, l, &op->from);
		answer.result = CW_STORE_OK;
		if (q->fresh)
			lead_confirm(dht, op, &answer);
		else
			lead_answer(dht, op,
				    &answer); /* bounded by how soon a deposed leader stops */
		return;
	}
	if (q->verb != CW_STORE_LOOK && moved(dht, op, l, &answer))
		return;
	for (unsigned int i = 0; q->verb == CW_STORE_CLAIM || q->verb == CW_STORE_LOOK; i++) {
		if (i == before.entry_count)
			break;
		if (!prove(dht, op, &before.entries[i], &proofs[i]))
			return;
	}
	if (q->verb == CW_STORE_CLAIM) {
		struct lead *s = session_ready(dht, &op->from, op);

		if (s == NULL)
			return;
		open = s->record.kind == RECORD_SESSION && s->record.session.sgen == q->sgen &&
		       s->record.session.state == SESSION_OPEN;
	}
	if (q->verb == CW_STORE_LOOK) {
		result = cw_law_judge(&before, proofs, &who, q, &left, &answer);
		answer_now(dht, op, result, &answer);
		return;
	}
	result = cw_law_apply(&before, proofs, &who, open, q, &after, &answer);
	if (result == CW_STORE_OK)
		mapping_write(dht, op, l, &after, &answer);
	else
		answer_now(dht, op, result, &answer);
}

static void clients_get(struct cw_dht *dht, struct op *op, struct lead *first)
{
	struct cw_store_answer answer = {0};

	for (unsigned int i = 0; i < op->request.client_count; i++) {
		struct lead *l = first;

		if (i > 0) {
			uint8_t key[KEY_BYTES];

			key_of(dht, op->scope, 'C', &op->request.clients[i],
			       sizeof(op->request.clients[i]), key);
			l = lead_of(dht, key);
			if (l == NULL) {
				op_free(op);
				return;
			}
			if (!lead_ready(dht, l, op))
				return;
		}
		answer.client_found[i] = l->record.kind == RECORD_CLIENT && l->record.held;
		answer.client_ip[i] = answer.client_found[i] ? l->record.ip : 0;
	}
	answer_now(dht, op, CW_STORE_OK, &answer);
}

/* A hint: it moves only when the mapping it points to is no longer this client's (leases.md R16).
 */
static void client_put(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct cw_store_answer answer = {0};
	struct record r = l->record;
	struct lead *m;
	struct op target = {.from = op->from, .request = {.verb = CW_STORE_LOOK}};

	if (r.kind == RECORD_CLIENT && r.held && r.ip == op->request.ip) {
		answer_now(dht, op, CW_STORE_OK, &answer);
		return;
	}
	if (r.kind == RECORD_CLIENT && r.held) {
		memcpy(target.scope, op->scope, sizeof(target.scope));
		target.request.ip = r.ip;
		op_key(dht, &target);
		m = lead_of(dht, target.key);
		if (m == NULL) {
			op_free(op);
			return;
		}
		if (!lead_ready(dht, m, op))
			return;
		if (m->record.kind == RECORD_MAPPING && m->record.mapping.entry_count > 0 &&
		    m->record.mapping.client_state == CW_CLIENT_BOUND &&
		    memcmp(&m->record.mapping.client, &op->request.client,
			   sizeof(op->request.client)) == 0) {
			answer_now(dht, op, CW_STORE_OK, &answer);
			return;
		}
	}
	r.kind = RECORD_CLIENT;
	r.held = true;
	r.client = op->request.client;
	r.ip = op->request.ip;
	r.rid = op->rid;
	record_made(&r, &op->rid);
	answer.result = CW_STORE_OK;
	lead_write(dht, l, &r, op, &answer);
}

static void ns_op(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct cw_store_answer answer = {0};
	struct record r = l->record;

	if (r.kind == RECORD_NS)
		answer.ns = r.ns;
	if (op->request.verb == CW_STORE_NS_GET) {
		remember_watcher(dht, l, &op->from);
		answer_now(dht, op, r.kind == RECORD_NS ? CW_STORE_OK : CW_STORE_NOT_FOUND,
			   &answer);
		return;
	}
	if (r.ver != op->request.ver) {
		bool done = record_made_by(&r, op->request.ver + 1, &op->rid);

		answer_now(dht, op,
			   done			  ? CW_STORE_OK
			   : op->request.ver == 0 ? CW_STORE_EXISTS
						  : CW_STORE_CONFLICT,
			   &answer);
		return;
	}
	r.kind = RECORD_NS;
	r.held = true;
	r.gen = r.gen == 0 ? r.ver + 1 : r.gen;
	r.ns = op->request.ns;
	r.rid = op->rid;
	record_made(&r, &op->rid);
	r.ns.ver = r.ver;
	answer.result = CW_STORE_OK;
	answer.ns = r.ns;
	lead_write(dht, l, &r, op, &answer);
}

void decide(struct cw_dht *dht, struct op *op)
{
	struct lead *l = lead_of(dht, op->key);

	if (l == NULL) {
		op_free(op);
		return;
	}
	if (!lead_ready(dht, l, op))
		return;
	switch (op->request.verb) {
	case CW_STORE_SESSION_OPEN:
	case CW_STORE_SESSION_RENEW:
	case CW_STORE_SESSION_CLOSE:
		if (session_ready(dht, &op->from, op) == NULL)
			return;
		if (op->request.verb == CW_STORE_SESSION_OPEN)
			session_open(dht, op, l);
		else if (op->request.verb == CW_STORE_SESSION_RENEW)
			session_renew(dht, op, l);
		else
			session_close(dht, op, l);
		return;
	case CW_STORE_CLIENTS_GET:
		clients_get(dht, op, l);
		return;
	case CW_STORE_CLIENT_PUT:
		client_put(dht, op, l);
		return;
	case CW_STORE_NS_GET:
	case CW_STORE_NS_PUT:
		ns_op(dht, op, l);
		return;
	case CW_STORE_NAME_GET:
	case CW_STORE_NAME_CREATE:
	case CW_STORE_NAME_RELEASE:
		decide_name(dht, op, l);
		return;
	case CW_STORE_MAP_WATCH:
	case CW_STORE_MAP_UNWATCH:
		op_free(op); /* answered at the caller: every MAP_GET is a watch for a while */
		return;
	default:
		mapping_op(dht, op, l);
	}
}
