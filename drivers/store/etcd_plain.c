/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain registers (the REG verbs) in etcd. A register is never removed, so that its version
 * outlives it. Beside it, a leased one has a *live* key on an etcd lease, which says the generation
 * that may be believed in: without it the holder's time is over. One that is held by a session is
 * over with that session's live key (etcd_session.c). All keys that were read are conditions of the
 * write.
 *
 * A renewal is a new lease under the live key, granted after the request was first sent: it ends
 * later than what the holder counts from.
 */
#include <stdio.h>
#include <string.h>

#include "etcd_op.h"

enum { REG_VALUE, LIVE_VALUE, OWNER_VALUE };
enum { STAGE_READ, STAGE_OWNER, STAGE_LEASE };

void plain_begin(struct etcd_op *op)
{
	const struct cw_store_request *q = &op->request;
	char name[2 * CW_STORE_REG_NAME_BYTES + 1] = "";

	etcd_hex(q->reg_name, q->reg_name_len, name);
	op_add_key(op, "r/%02x/%s", q->reg_kind, name);
	op_add_key(op, "rl/%02x/%s", q->reg_kind, name);
	op_read(op);
}

static uint64_t number_at(const struct etcd_value *v)
{
	return v->present ? (uint64_t)json_integer_value(v->json) : 0;
}

static void write_register(struct etcd_op *op)
{
	const struct cw_law_register *after = &op->plain;
	uint8_t verb = op->request.verb;

	op_put(op, op->values[REG_VALUE].key, etcd_register_json(after, &op->maker), 0);
	if (!after->reg.held)
		op_put(op, op->values[LIVE_VALUE].key, NULL, 0);
	else if (after->leased && verb != CW_STORE_REG_CAS)
		op_put(op, op->values[LIVE_VALUE].key, json_integer((json_int_t)after->reg.gen),
		       op->lease_live);
	op_write(op);
}

static void decide(struct etcd_op *op, const struct etcd_maker *maker)
{
	const struct cw_store_request *q = &op->request;
	struct cw_law_caller who = {.node = op->store->who.node,
				    .incarnation = op->store->incarnation};
	struct cw_law_register before = op->plain;
	bool over, writes;

	over = before.reg.held &&
	       (before.leased ? number_at(&op->values[LIVE_VALUE]) != before.reg.gen
			      : number_at(&op->values[OWNER_VALUE]) != before.reg.tag);
	op->answer.reg = before.reg;
	if (op->unknown && strcmp(maker->rid, op->maker.rid) == 0) {
		bool creates = q->verb == CW_STORE_REG_CREATE || q->verb == CW_STORE_REG_TAKEOVER;

		op_answer(op, creates && !before.reg.held ? CW_STORE_LAPSED : CW_STORE_OK);
		return;
	}
	op->written = cw_law_register(&before, &who, q, over, &op->plain, &writes);
	op->answer.reg = op->plain.reg;
	if (!writes) {
		/* The version has moved on, and a write of ours may be among those that did it. */
		op_answer(op, op->written == CW_STORE_CONFLICT && op->unknown ? CW_STORE_STALE
									      : op->written);
		return;
	}
	if (!op->plain.reg.held || !op->plain.leased || q->verb == CW_STORE_REG_CAS) {
		write_register(op);
		return;
	}
	op->stage = STAGE_LEASE;
	op->lease_live = 0;
	op_grant(op, &op->lease_live, ETCD_LIVE_TTL_S);
}

void plain_step(struct etcd_op *op, const json_t *reply)
{
	char owner[2 * CW_NODE_ID_BYTES + 1];
	struct etcd_maker maker;

	if (op->stage == STAGE_LEASE) {
		if (etcd_is_error(reply))
			op_again(op);
		else
			write_register(op);
		return;
	}
	if (!etcd_register_parse(op->values[REG_VALUE].json, &op->plain, &maker)) {
		cw_log(op->store->log, CW_LOG_ERROR, "etcd", "%s: is no register of ours",
		       op->values[REG_VALUE].key);
		op_answer(op, CW_STORE_DENIED);
		return;
	}
	if (op->stage == STAGE_READ && op->plain.reg.held && !op->plain.leased) {
		etcd_hex(op->plain.reg.owner.b, sizeof(op->plain.reg.owner.b), owner);
		op_add_key(op, "l/%s", owner);
		op->stage = STAGE_OWNER;
		op_read(op);
		return;
	}
	decide(op, &maker);
}
