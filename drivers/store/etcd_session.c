/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions on etcd's leases. A generation has two: *live* keeps the key l/NODE = generation for as
 * long as the session may be believed in, so that a claimant's transaction sees in one act whether
 * it is over; *guard* lives for weeks, and its remaining time tells how long ago it was renewed
 * last: the proven age that covers are measured with.
 *
 * Renewing keeps the guard alive first and the live one after it: an age is then never more than
 * the time since the first send of the last renewal that was acknowledged. etcd prolongs leases
 * when its leader changes; that makes sessions end late, which is safe.
 */
#include <stdio.h>
#include <string.h>

#include "etcd_op.h"

/* Outlives the longest cover there can be: leases are at most 30 days. */
#define GUARD_TTL_S (40ull * 86400)

enum { S_VALUE, L_VALUE };

void session_begin(struct etcd_op *op)
{
	struct cw_store_etcd *s = op->store;

	if (op->request.verb == CW_STORE_SESSION_RENEW && s->lease_sgen == op->request.sgen) {
		op->stage = 0;
		op_post(op, "/v3/lease/keepalive",
			json_pack("{s:o}", "ID", etcd_number_json(s->lease_guard)), OP_KEEP);
		return;
	}
	op_add_key(op, "s/%s", s->self);
	op_add_key(op, "l/%s", s->self);
	op_read(op);
}

/* The session's record counts generations and is never removed. */
static void write_open(struct etcd_op *op)
{
	struct cw_store_etcd *s = op->store;
	char key[ETCD_KEY_BYTES];

	op_put(op, op->values[S_VALUE].key,
	       json_pack("{s:I, s:o, s:o, s:s}", "sgen", (json_int_t)op->sgen, "live",
			 etcd_number_json(op->lease_live), "guard",
			 etcd_number_json(op->lease_guard), "rid", op->maker.rid),
	       0);
	op_put(op, op->values[L_VALUE].key, json_integer((json_int_t)op->sgen), op->lease_live);
	snprintf(key, sizeof(key), "%s/g/%s/%llu", s->prefix, s->self,
		 (unsigned long long)op->sgen);
	op_put(op, key, etcd_number_json(op->lease_guard), op->lease_guard);
	op_write(op);
}

static uint64_t stored_sgen(const struct etcd_op *op)
{
	return (uint64_t)json_integer_value(json_object_get(op->values[S_VALUE].json, "sgen"));
}

static uint64_t live_sgen(const struct etcd_op *op)
{
	return op->values[L_VALUE].present ? (uint64_t)json_integer_value(op->values[L_VALUE].json)
					   : 0;
}

static bool made_by_us(const struct etcd_op *op)
{
	const char *rid = json_string_value(json_object_get(op->values[S_VALUE].json, "rid"));

	return rid != NULL && strcmp(rid, op->maker.rid) == 0;
}

void session_written(struct etcd_op *op)
{
	struct cw_store_etcd *s = op->store;

	if (op->request.verb == CW_STORE_SESSION_OPEN) {
		s->lease_live = op->lease_live;
		s->lease_guard = op->lease_guard;
		s->lease_sgen = op->sgen;
		op->answer.sgen = op->sgen;
	}
	op_answer(op, CW_STORE_OK);
}

static void open_step(struct etcd_op *op, const json_t *reply)
{
	const char *error = json_string_value(json_object_get(reply, "error"));

	if (op->step == OP_READ) {
		if (made_by_us(op)) {
			session_written(op);
			return;
		}
		if (live_sgen(op) != 0 && live_sgen(op) != op->request.sgen) {
			op_answer(op, CW_STORE_BUSY);
			return;
		}
		op->sgen = stored_sgen(op) + 1;
		op->stage = 0;
		op_grant(op, &op->lease_live, ETCD_LIVE_TTL_S);
		return;
	}
	if (error != NULL && strstr(error, "already exists") == NULL) {
		op_again(op);
		return;
	}
	if (op->stage++ == 0)
		op_grant(op, &op->lease_guard, GUARD_TTL_S);
	else
		write_open(op);
}

static void close_step(struct etcd_op *op)
{
	if (live_sgen(op) != op->request.sgen) {
		op_answer(op, CW_STORE_OK); /* over already */
		return;
	}
	op_put(op, op->values[L_VALUE].key, NULL, 0);
	op_write(op);
}

static void renew_step(struct etcd_op *op, const json_t *reply)
{
	struct cw_store_etcd *s = op->store;

	if (op->step == OP_KEEP) {
		if (etcd_is_error(reply)) {
			op_again(op);
			return;
		}
		if (etcd_number(json_object_get(reply, "result"), "TTL") == 0) {
			op_answer(op, CW_STORE_LOST);
			return;
		}
		if (op->stage++ == 0) {
			op_post(op, "/v3/lease/keepalive",
				json_pack("{s:o}", "ID", etcd_number_json(s->lease_live)), OP_KEEP);
			return;
		}
		/* A twin may have opened anew: the key must still be ours. */
		op_add_key(op, "s/%s", s->self);
		op_add_key(op, "l/%s", s->self);
		op_read(op);
		return;
	}
	/* Without kept leases (another process opened it) there is nothing to renew with. */
	op_answer(op, s->lease_sgen == op->request.sgen && live_sgen(op) == op->request.sgen
			      ? CW_STORE_OK
			      : CW_STORE_LOST);
}

void session_step(struct etcd_op *op, const json_t *reply)
{
	op->answer.sgen = op->request.sgen;
	switch (op->request.verb) {
	case CW_STORE_SESSION_OPEN:
		open_step(op, reply);
		break;
	case CW_STORE_SESSION_RENEW:
		renew_step(op, reply);
		break;
	default:
		close_step(op);
	}
}
