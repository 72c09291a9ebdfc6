/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Session registers at their leader (dht.md section 5): the leased register of a node.
 *
 * Opening names the version it expects. It never steps over an open session: one that is over is
 * first ended as a version of its own and the caller is told to open on that (R24); one that lives
 * is not opened over, also for the same node ID (S1), unless by the process that has its
 * predecessor's disk and lock and so knows its generation.
 */
#include "internal.h"

static bool is_open(const struct record *r)
{
	return r->kind == RECORD_SESSION && r->session.state == SESSION_OPEN;
}

static bool is_over(struct cw_dht *dht, const struct lead *l)
{
	return is_open(&l->record) && age_now(dht, &l->renew) >= lease_over_ns(dht);
}

static void refuse(struct cw_dht *dht, struct lead *l, struct op *op, enum cw_store_result result)
{
	struct reply reply = {.ver = l->record.ver};

	reply.answer.result = result;
	if (is_open(&l->record)) {
		reply.answer.sgen = l->record.session.sgen;
		reply.holder = l->record.rid;
	}
	lead_confirm(dht, l, op, &reply);
}

/* The end of a session that is over, as a version of its own. */
static void lapse(struct cw_dht *dht, struct lead *l, struct op *op, const struct reply *told)
{
	struct rid rid = own_rid(dht);
	struct record dead;

	record_copy(&dead, &l->record);
	dead.session.state = SESSION_DEAD;
	dead.held = false;
	record_made(&dead, &rid);
	lead_write(dht, l, &dead, op, told);
}

static bool open_moved(struct cw_dht *dht, struct op *op, struct lead *l)
{
	const struct record *r = &l->record;
	uint64_t made = op->request.ver + 1;

	if (dht->config.mutate == CW_DHT_MUT_NOVER ? !is_open(r) || !same_rid(&r->rid, &op->rid)
						   : r->ver == op->request.ver)
		return false;
	if (record_made_by(r, made, &op->rid) && dht->config.mutate != CW_DHT_MUT_NORID) {
		struct reply reply = {.ver = r->ver};

		/* A repeat gets the first answer (R23). */
		reply.answer.result = CW_STORE_OK;
		reply.answer.sgen = made;
		lead_confirm(dht, l, op, &reply);
		return true;
	}
	refuse(dht, l, op,
	       r->ver > op->request.ver && !record_known_at(r, made) ? CW_STORE_STALE
								     : CW_STORE_CONFLICT);
	return true;
}

static void session_open(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct reply reply = {0};
	struct record r;

	if (open_moved(dht, op, l))
		return;
	record_copy(&r, &l->record);
	if (is_open(&r) && r.session.sgen != op->request.sgen &&
	    dht->config.mutate != CW_DHT_MUT_DUPOPEN &&
	    !(is_over(dht, l) && dht->config.mutate == CW_DHT_MUT_ONESTEP)) {
		if (!is_over(dht, l)) {
			refuse(dht, l, op, CW_STORE_BUSY);
			return;
		}
		reply.answer.result = CW_STORE_LAPSED;
		reply.ver = r.ver + 1;
		lapse(dht, l, op, &reply);
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
	reply.answer.result = CW_STORE_OK;
	reply.answer.sgen = r.session.sgen;
	reply.ver = r.ver;
	lead_write(dht, l, &r, op, &reply);
}

static void session_renew(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct reply reply = {.answer.sgen = op->request.sgen, .ver = l->record.ver};
	struct record r;

	record_copy(&r, &l->record);
	reply.answer.result = CW_STORE_OK;
	if (!is_open(&r) || r.session.sgen != op->request.sgen) {
		refuse(dht, l, op, CW_STORE_LOST);
		return;
	}
	if (rid_is_older(dht, &op->rid, &r.rid)) {
		lead_confirm(dht, l, op, &reply);
		return;
	}
	r.rid = op->rid; /* a new rid: its age begins now; ver stays */
	lead_write(dht, l, &r, op, &reply);
}

static void session_close(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct reply reply = {.answer.sgen = op->request.sgen, .ver = l->record.ver};
	struct record r;

	record_copy(&r, &l->record);
	reply.answer.result = CW_STORE_OK;
	if (!is_open(&r) || r.session.sgen != op->request.sgen) {
		lead_confirm(dht, l, op, &reply); /* over already, for ever */
		return;
	}
	r.session.state = SESSION_CLOSED;
	r.held = false;
	record_made(&r, &op->rid);
	reply.ver = r.ver;
	lead_write(dht, l, &r, op, &reply);
}

void decide_session(struct cw_dht *dht, struct op *op, struct lead *l)
{
	if (op->request.verb == CW_STORE_SESSION_OPEN)
		session_open(dht, op, l);
	else if (op->request.verb == CW_STORE_SESSION_RENEW)
		session_renew(dht, op, l);
	else
		session_close(dht, op, l);
}

/* For another register's leader: is this generation over, and how old is that at least? */
void decide_prove(struct cw_dht *dht, struct op *op, struct lead *l)
{
	const struct record *r = &l->record;
	struct cw_law_session session = {
		.exists = r->kind == RECORD_SESSION,
		.open = is_open(r),
		.sgen = r->kind == RECORD_SESSION ? r->session.sgen : 0,
		.renewed_age_ns = age_now(dht, &l->renew),
		.opened_age_ns = age_now(dht, &l->open),
	};
	struct cw_session_proof proof;
	struct reply reply = {.ver = r->ver};

	if (is_over(dht, l) && r->session.sgen == op->request.sgen) {
		session.open = false;
		proof = cw_law_prove(&session, op->request.sgen, CW_LEASE_MUT_NONE);
		reply.over = true;
		reply.age_ns = proof.age_ns;
		lapse(dht, l, op, &reply);
		return;
	}
	proof = cw_law_prove(&session, op->request.sgen, CW_LEASE_MUT_NONE);
	reply.over = proof.over;
	reply.age_ns = proof.age_ns;
	lead_confirm(dht, l, op, &reply);
}
