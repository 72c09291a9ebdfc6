/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an operation does to a register: the leader's judgement, from committed records only.
 *
 * An operation may rest on registers of other slots: a claim on the sessions of every entry of the
 * mapping. Their leaders are asked (VERB_PROVE ends a session that is over as a version of its own
 * and says for ever that it is: R24, S2); when the findings are there, the operation is judged anew
 * from the beginning.
 *
 * A write names the version it expects, so it happens once; a repeat of the request that made the
 * next version gets the first answer (R22, R23). A refusal is a function of the record and the
 * findings, confirmed by a check before it is told.
 */
#include "internal.h"

static void answer_now(struct cw_dht *dht, struct lead *l, struct op *op,
		       enum cw_store_result result, struct reply *reply)
{
	reply->answer.result = result;
	reply->ver = l->record.ver;
	lead_confirm(dht, l, op, reply);
}

/* The rid of things that a leader does by itself. */
struct rid own_rid(struct cw_dht *dht)
{
	return (struct rid){.node = dht->config.self,
			    .incarnation = dht->incarnation,
			    .counter = ++dht->counter};
}

/* Counters of one process are ordered: a late copy of an older renewal changes nothing (R17). */
bool rid_is_older(const struct cw_dht *dht, const struct rid *came, const struct rid *have)
{
	if (dht->config.mutate == CW_DHT_MUT_OLDRENEW)
		return same_rid(came, have);
	return cw_node_id_equal(&came->node, &have->node) &&
	       came->incarnation == have->incarnation && came->counter <= have->counter;
}

/* -- findings */

static struct proof_cached *cached(const struct cw_dht *dht, const struct cw_node_id *node,
				   uint64_t sgen)
{
	uint32_t hash = (uint32_t)node->b[0] << 8 | node->b[1];

	return &dht->proofs[(hash ^ (uint32_t)sgen * 31) % PROOFS];
}

static void found(struct cw_dht *dht, uint64_t id, const struct request *r,
		  const struct reply *reply)
{
	struct op **at = &dht->asking, *op;
	bool good = reply->answer.result == CW_STORE_OK;

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	op = *at;
	if (good && r->request.verb == VERB_PROVE) {
		struct proof_cached *p = cached(dht, &r->about, r->request.sgen);

		/* "Over" never becomes untrue; "open" counts for a claimant's own session only, for
		 * a moment. */
		*p = (struct proof_cached){.node = r->about,
					   .sgen = r->request.sgen,
					   .over = reply->over,
					   .age = {reply->age_ns, dht->now_ns},
					   .until_ns = reply->over ? UINT64_MAX
								   : r->first_ns + PROOF_NS};
	}
	if (op == NULL)
		return;
	*at = op->next;
	op->next = NULL;
	op->id = 0;
	if (!good) {
		op_free(dht, op); /* the caller retries */
		return;
	}
	if (op->found < FINDINGS_MAX)
		op->findings[op->found++] = (struct finding){.have = true,
							     .verb = r->request.verb,
							     .node = r->about,
							     .sgen = r->request.sgen,
							     .over = reply->over,
							     .age = {reply->age_ns, dht->now_ns},
							     .mapping = reply->answer.mapping};
	decide(dht, op);
}

const struct finding *finding_of(struct cw_dht *dht, struct op *op, uint8_t verb,
				 const struct cw_node_id *node, uint64_t sgen, rte_be32_t ip)
{
	struct cw_store_request q = {.verb = verb, .sgen = sgen, .ip = ip};

	for (unsigned int i = 0; i < op->found; i++)
		if (op->findings[i].verb == verb && op->findings[i].sgen == sgen &&
		    (verb != VERB_PROVE || cw_node_id_equal(&op->findings[i].node, node)))
			return &op->findings[i];
	op->id = ++dht->ask_counter;
	op->next = dht->asking;
	dht->asking = op;
	if (op->found == FINDINGS_MAX || submit_inside(dht, &q, node, found, op->id) < 0) {
		dht->asking = op->next;
		op_free(dht, op);
	}
	return NULL;
}

/* What the session's register proves. @return false when the operation waits. */
static bool prove(struct cw_dht *dht, struct op *op, const struct cw_node_id *node, uint64_t sgen,
		  bool own, struct cw_session_proof *out)
{
	const struct proof_cached *p = cached(dht, node, sgen);
	const struct finding *f;

	if (dht->config.mutate == CW_DHT_MUT_NOPROOF && !own) {
		*out = (struct cw_session_proof){.over = true, .age_ns = CW_LAW_AGE_FOREVER_NS};
		return true;
	}
	if (p->sgen == sgen && cw_node_id_equal(&p->node, node) && dht->now_ns < p->until_ns &&
	    (p->over || own)) {
		*out = (struct cw_session_proof){.over = p->over, .age_ns = age_now(dht, &p->age)};
		return true;
	}
	f = finding_of(dht, op, VERB_PROVE, node, sgen, 0);
	if (f == NULL)
		return false;
	*out = (struct cw_session_proof){.over = f->over, .age_ns = age_now(dht, &f->age)};
	return true;
}

/* -- mappings */

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
			  const struct cw_mapping *after, struct reply *reply)
{
	struct record r;

	record_copy(&r, &l->record);
	r.kind = RECORD_MAPPING;
	r.ip = op->request.ip;
	r.held = after->held;
	r.gen = after->gen;
	r.mapping = *after;
	r.rid = op->rid;
	record_made(&r, &op->rid);
	reply->answer.result = CW_STORE_OK;
	reply->answer.mapping = r.mapping;
	lead_write(dht, l, &r, op, reply);
}

/* The register moved on from the expected version: was it this very request that moved it? */
static bool moved(struct cw_dht *dht, struct op *op, struct lead *l, struct reply *reply)
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
		for (unsigned int i = 0; r->kind == RECORD_MAPPING && i < r->mapping.entry_count;
		     i++)
			if (cw_node_id_equal(&r->mapping.entries[i].node, &op->from))
				reply->answer.old_cover_ns = r->mapping.entries[i].cover_ns;
	} else if (r->ver > op->request.ver && !record_known_at(r, op->request.ver + 1)) {
		result = CW_STORE_STALE;
	}
	answer_now(dht, l, op, result, reply);
	return true;
}

/* @return false when the operation waits. */
static bool prove_all(struct cw_dht *dht, struct op *op, const struct cw_mapping *before,
		      struct cw_session_proof *proofs, bool *open)
{
	struct cw_session_proof own;

	*open = false;
	if (op->request.verb != CW_STORE_CLAIM && op->request.verb != CW_STORE_LOOK)
		return true;
	for (unsigned int i = 0; i < before->entry_count; i++)
		if (!prove(dht, op, &before->entries[i].node, before->entries[i].sgen, false,
			   &proofs[i]))
			return false;
	if (op->request.verb == CW_STORE_CLAIM) {
		if (!prove(dht, op, &op->from, op->request.sgen, true, &own))
			return false;
		*open = !own.over;
	}
	return true;
}

static void mapping_op(struct cw_dht *dht, struct op *op, struct lead *l)
{
	const struct cw_store_request *q = &op->request;
	struct cw_session_proof proofs[CW_MAPPING_ENTRIES_MAX] = {{0}};
	struct cw_law_claimant who = {.node = op->from, .site = op->site};
	struct reply reply = {.answer.mapping = mapping_of(l)};
	struct cw_mapping before = reply.answer.mapping, after;
	enum cw_store_result result;
	uint8_t left;
	bool open;

	if (q->verb == CW_STORE_MAP_GET) {
		remember_watcher(dht, l, &op->from);
		reply.answer.result = CW_STORE_OK;
		if (q->fresh)
			lead_confirm(dht, l, op, &reply);
		else /* bounded by how soon a deposed leader stops */
			lead_answer(dht, op, &reply);
		return;
	}
	if (q->verb != CW_STORE_LOOK && moved(dht, op, l, &reply))
		return;
	if (!prove_all(dht, op, &before, proofs, &open))
		return;
	if (dht->config.mutate == CW_DHT_MUT_GRAB && q->verb == CW_STORE_CLAIM)
		before.entry_count = 0;
	if (q->verb == CW_STORE_LOOK) {
		result = cw_law_judge(&before, proofs, &who, q, &left, &reply.answer);
		answer_now(dht, l, op, result, &reply);
		return;
	}
	result = cw_law_apply(&before, proofs, &who, open, q, &after, &reply.answer);
	if (result == CW_STORE_OK)
		mapping_write(dht, op, l, &after, &reply);
	else
		answer_now(dht, l, op, result, &reply);
}

/* -- client registers and namespaces */

static void clients_get(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct reply reply = {0};

	reply.answer.client_found[0] = l->record.kind == RECORD_CLIENT && l->record.held;
	reply.answer.client_ip[0] = reply.answer.client_found[0] ? l->record.ip : 0;
	answer_now(dht, l, op, CW_STORE_OK, &reply);
}

/* A hint: it moves only when the mapping it points to is no longer this client's (leases.md R16).
 */
static void client_put(struct cw_dht *dht, struct op *op, struct lead *l)
{
	const struct finding *f;
	struct reply reply = {0};
	struct record r;

	record_copy(&r, &l->record);
	if (r.kind == RECORD_CLIENT && r.held && r.ip == op->request.ip) {
		answer_now(dht, l, op, CW_STORE_OK, &reply);
		return;
	}
	if (r.kind == RECORD_CLIENT && r.held &&
	    strncmp(op->scope, dht->config.ns_name, sizeof(op->scope)) == 0) {
		f = finding_of(dht, op, CW_STORE_MAP_GET, &op->from, 0, r.ip);
		if (f == NULL)
			return;
		if (f->mapping.entry_count > 0 && f->mapping.client_state == CW_CLIENT_BOUND &&
		    memcmp(&f->mapping.client, &op->request.client, sizeof(op->request.client)) ==
			    0) {
			answer_now(dht, l, op, CW_STORE_OK, &reply);
			return;
		}
	}
	r.kind = RECORD_CLIENT;
	r.held = true;
	r.client = op->request.client;
	r.ip = op->request.ip;
	r.rid = op->rid;
	record_made(&r, &op->rid);
	reply.answer.result = CW_STORE_OK;
	lead_write(dht, l, &r, op, &reply);
}

static void ns_op(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct reply reply = {0};
	struct record r;

	record_copy(&r, &l->record);
	if (r.kind == RECORD_NS)
		reply.answer.ns = r.ns;
	if (op->request.verb == CW_STORE_NS_GET) {
		remember_watcher(dht, l, &op->from);
		answer_now(dht, l, op, r.kind == RECORD_NS ? CW_STORE_OK : CW_STORE_NOT_FOUND,
			   &reply);
		return;
	}
	if (r.ver != op->request.ver) {
		bool done = record_made_by(&r, op->request.ver + 1, &op->rid);
		bool exists = op->request.ver == 0 && r.kind == RECORD_NS;

		answer_now(dht, l, op,
			   done	    ? CW_STORE_OK
			   : exists ? CW_STORE_EXISTS
				    : CW_STORE_CONFLICT,
			   &reply);
		return;
	}
	r.kind = RECORD_NS;
	r.held = true;
	r.gen = r.gen == 0 ? r.ver + 1 : r.gen;
	r.ns = op->request.ns;
	r.rid = op->rid;
	record_made(&r, &op->rid);
	r.ns.ver = r.ver;
	reply.answer.result = CW_STORE_OK;
	reply.answer.ns = r.ns;
	lead_write(dht, l, &r, op, &reply);
}

/* A refusal stays true: the expected version is used up, so that a late copy of this request does
 * not succeed when there is room again. */
static void deny_for_good(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct rid rid = own_rid(dht);
	struct reply reply = {.answer.result = CW_STORE_DENIED};
	struct record r;

	dht->counts.denied++;
	record_copy(&r, &l->record);
	record_made(&r, &rid);
	reply.ver = r.ver;
	lead_write(dht, l, &r, op, &reply);
}

/* After a recovery others may hold what we do not know of: until they have stopped, nothing begins.
 */
static bool begins_something(uint8_t verb)
{
	return verb == CW_STORE_SESSION_OPEN || verb == CW_STORE_CLAIM ||
	       verb == CW_STORE_REG_CREATE || verb == CW_STORE_REG_TAKEOVER ||
	       verb == CW_STORE_REG_KILL || verb == VERB_PROVE;
}

void decide(struct cw_dht *dht, struct op *op)
{
	struct group *g = dht->slots[op->slot].led;
	struct lead *l;

	if (g == NULL || !group_serves(dht, g) ||
	    (dht->now_ns < dht->slots[op->slot].hold_until_ns &&
	     begins_something(op->request.verb))) {
		op_free(dht, op); /* a change of members has begun: the caller tries again */
		return;
	}
	l = lead_of(dht, op->slot, op->key);
	if (l == NULL) {
		op_free(dht, op);
		return;
	}
	if (!lead_ready(dht, l, op))
		return;
	if (!l->record.held && l->record.ver == op->request.ver && over_quota(dht, op)) {
		deny_for_good(dht, op, l);
		return;
	}
	switch (op->request.verb) {
	case CW_STORE_SESSION_OPEN:
	case CW_STORE_SESSION_RENEW:
	case CW_STORE_SESSION_CLOSE:
		decide_session(dht, op, l);
		return;
	case VERB_PROVE:
		decide_prove(dht, op, l);
		return;
	case VERB_TOUCH: /* what is committed, once more to all members */
		lead_write(dht, l, &l->record, op, NULL);
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
	case CW_STORE_REG_GET:
	case CW_STORE_REG_CREATE:
	case CW_STORE_REG_RENEW:
	case CW_STORE_REG_RELEASE:
	case CW_STORE_REG_CAS:
	case CW_STORE_REG_TAKEOVER:
	case CW_STORE_REG_KILL:
		decide_register(dht, op, l);
		return;
	case CW_STORE_MAP_WATCH:
	case CW_STORE_MAP_UNWATCH:
		op_free(dht, op); /* answered at the caller: every MAP_GET is a watch for a while */
		return;
	default:
		mapping_op(dht, op, l);
	}
}
