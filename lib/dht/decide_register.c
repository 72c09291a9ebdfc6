/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain registers at their leader: the table of dht.md section 1, as a function of the record, the
 * request and whether the holder's time is proven over.
 *
 * Every refusal stays true: it is a function of the record at the expected version. So a create
 * never steps over a lease: one that is over is first ended as a version of its own (R24), and no
 * takeover overrides one that lives (R26): its owner is asked to yield.
 */
#include "internal.h"

struct verdict {
	enum cw_store_result result;
	bool writes;
	struct record after;
};

static void show(const struct record *r, struct cw_store_register *out)
{
	*out = (struct cw_store_register){.ver = r->ver, .gen = r->gen};
	if (r->kind != RECORD_REGISTER || !r->held)
		return;
	out->held = true;
	out->owner = r->reg.owner;
	out->tag = r->reg.tag;
	out->len = r->reg.len;
	memcpy(out->value, r->reg.value, r->reg.len);
}

static void free_it(struct record *r, const struct rid *by)
{
	r->held = false;
	r->gen = 0;
	r->reg.owner = (struct cw_node_id){{0}};
	r->reg.tag = 0;
	r->reg.len = 0;
	record_made(r, by);
}

static void take_it(struct record *r, const struct op *op)
{
	const struct cw_store_request *q = &op->request;

	r->kind = RECORD_REGISTER;
	r->held = true;
	r->gen = r->ver + 1;
	r->rid = op->rid;
	r->reg.owner = op->from;
	r->reg.leased = q->sgen == 0;
	r->reg.tag = q->sgen == 0 ? op->rid.incarnation : q->sgen;
	r->reg.len = q->value_len;
	memcpy(r->reg.value, q->value, q->value_len);
	record_made(r, &op->rid);
}

/* The record is not at the expected version: has this very request made the next one? */
static enum cw_store_result moved(const struct cw_dht *dht, const struct op *op,
				  const struct record *r)
{
	if (record_made_by(r, op->request.ver + 1, &op->rid) &&
	    dht->config.mutate != CW_DHT_MUT_NORID)
		return CW_STORE_OK;
	return record_known_at(r, op->request.ver + 1) || r->ver < op->request.ver
		       ? CW_STORE_CONFLICT
		       : CW_STORE_STALE;
}

static void lapse(struct cw_dht *dht, struct verdict *v, enum cw_store_result result)
{
	struct rid rid = own_rid(dht);

	v->result = result;
	v->writes = true;
	free_it(&v->after, &rid);
}

static void kill_it(struct cw_dht *dht, const struct op *op, const struct record *r, bool over,
		    struct verdict *v)
{
	if (!r->held || r->gen != op->request.gen)
		v->result = CW_STORE_OK;
	else if (over)
		lapse(dht, v, CW_STORE_OK);
	else
		v->result = CW_STORE_ALIVE;
}

static void create(struct cw_dht *dht, const struct op *op, const struct record *r, bool over,
		   struct verdict *v)
{
	bool grab =
		dht->config.mutate == CW_DHT_MUT_GRAB && op->request.verb == CW_STORE_REG_TAKEOVER;
	bool one_step = over && dht->config.mutate == CW_DHT_MUT_ONESTEP;

	if (r->held && !grab && !one_step) {
		if (over)
			lapse(dht, v, CW_STORE_LAPSED);
		else
			v->result = CW_STORE_EXISTS;
		return;
	}
	v->result = CW_STORE_OK;
	v->writes = true;
	take_it(&v->after, op);
}

static bool is_mine(const struct op *op, const struct record *r)
{
	uint64_t tag = op->request.sgen == 0 ? op->rid.incarnation : op->request.sgen;

	return r->kind == RECORD_REGISTER && r->held && r->gen == op->request.gen &&
	       r->reg.tag == tag && cw_node_id_equal(&r->reg.owner, &op->from);
}

static bool was_here(const struct record *r, const struct rid *rid)
{
	for (unsigned int i = 0; i < HIST; i++)
		if (r->hist[i].ver != 0 && same_rid(&r->hist[i].rid, rid))
			return true;
	return false;
}

static void apply(struct cw_dht *dht, const struct op *op, const struct record *r, bool over,
		  struct verdict *v)
{
	const struct cw_store_request *q = &op->request;

	record_copy(&v->after, r);
	v->writes = false;
	v->result = CW_STORE_OK;
	if (q->verb == CW_STORE_REG_GET)
		return;
	if (q->verb == CW_STORE_REG_KILL) {
		kill_it(dht, op, r, over, v);
		return;
	}
	if (q->verb == CW_STORE_REG_RENEW) {
		if (!is_mine(op, r)) {
			v->result = CW_STORE_NOT_OWNER;
		} else if (!rid_is_older(dht, &op->rid, &r->rid)) {
			v->writes = true;
			v->after.rid = op->rid; /* its age begins now; ver stays */
		}
		return;
	}
	if (dht->config.mutate == CW_DHT_MUT_NOVER) {
		if (was_here(r, &op->rid))
			return;
	} else if (r->ver != q->ver) {
		v->result = moved(dht, op, r);
		return;
	}
	if (q->verb == CW_STORE_REG_CREATE || q->verb == CW_STORE_REG_TAKEOVER) {
		create(dht, op, r, over, v);
		return;
	}
	if (!is_mine(op, r)) {
		v->result = CW_STORE_NOT_OWNER;
		return;
	}
	v->writes = true;
	if (q->verb == CW_STORE_REG_RELEASE) {
		free_it(&v->after, &op->rid);
		return;
	}
	v->after.reg.len = q->value_len;
	memcpy(v->after.reg.value, q->value, q->value_len);
	record_made(&v->after, &op->rid);
}

/* Somebody would like to have it: its owner may stop, then release. */
static void ask_to_yield(struct cw_dht *dht, const struct op *op, const struct record *r)
{
	Causeway__Dht__Yield m = CAUSEWAY__DHT__YIELD__INIT;
	struct packing p;

	packing_init(&p);
	m.kind = op->request.reg_kind;
	m.name = bytes_view(op->request.reg_name, op->request.reg_name_len);
	m.gen = r->gen;
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_YIELD;
	p.frame.yield = &m;
	send_packing(dht, &r->reg.owner, &p, 0);
	arena_free(&p.arena);
}

/* Is the holder's time over, by the age of its lease or by its session's end? @return false when
 * the operation waits. */
static bool holder_over(struct cw_dht *dht, struct op *op, const struct lead *l, bool *over)
{
	const struct record *r = &l->record;
	uint8_t verb = op->request.verb;

	*over = false;
	if (r->kind != RECORD_REGISTER || !r->held)
		return true;
	if (r->reg.leased) {
		*over = age_now(dht, &l->renew) >= lease_over_ns(dht);
		return true;
	}
	if ((verb == CW_STORE_REG_CREATE || verb == CW_STORE_REG_TAKEOVER) &&
	    r->ver != op->request.ver)
		return true;
	if (verb != CW_STORE_REG_CREATE && verb != CW_STORE_REG_TAKEOVER &&
	    verb != CW_STORE_REG_KILL)
		return true;
	if (dht->config.mutate == CW_DHT_MUT_NOPROOF) {
		*over = true;
	} else {
		const struct finding *f =
			finding_of(dht, op, VERB_PROVE, &r->reg.owner, r->reg.tag, 0);

		if (f == NULL)
			return false;
		*over = f->over;
	}
	return true;
}

void decide_register(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct reply reply = {0};
	struct verdict v;
	bool over;

	if (l->record.kind != RECORD_REGISTER && l->record.kind != RECORD_NONE) {
		reply.answer.result = CW_STORE_DENIED;
		lead_confirm(dht, l, op, &reply);
		return;
	}
	if (!holder_over(dht, op, l, &over))
		return;
	apply(dht, op, &l->record, over, &v);
	reply.answer.result = v.result;
	reply.ver = v.after.ver;
	show(&v.after, &reply.answer.reg);
	if (v.writes) {
		lead_write(dht, l, &v.after, op, &reply);
		return;
	}
	if (v.result == CW_STORE_EXISTS && op->request.verb == CW_STORE_REG_TAKEOVER)
		ask_to_yield(dht, op, &l->record);
	lead_confirm(dht, l, op, &reply);
}
