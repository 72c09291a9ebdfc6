/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Host names at their leader: one register per (namespace, name), created once, first come, first
 * served. The law is cw_law_name; here is what makes it happen once however often it is asked for.
 *
 * Only the name's own register is looked at: whether the holder's mapping still stands is for the
 * caller to see, and its version says when it looked.
 */
#include "internal.h"

static struct cw_name_record name_of(const struct record *r)
{
	struct cw_name_record name = {.ver = r->ver};

	if (r->kind == RECORD_NAME && r->held) {
		name.held = true;
		name.ip = r->ip;
		name.client = r->client;
	}
	return name;
}

void decide_name(struct cw_dht *dht, struct op *op, struct lead *l)
{
	struct reply reply = {.answer.name = name_of(&l->record), .ver = l->record.ver};
	struct cw_name_record after;
	struct record r;

	record_copy(&r, &l->record);
	if (op->request.verb == CW_STORE_NAME_GET) {
		reply.answer.result = reply.answer.name.held ? CW_STORE_OK : CW_STORE_NOT_FOUND;
		lead_confirm(dht, l, op, &reply);
		return;
	}
	if (r.ver != op->request.ver && record_made_by(&r, op->request.ver + 1, &op->rid)) {
		/* Done before. If others changed it since, what we would show is not what it made.
		 */
		reply.answer.result = r.ver == op->request.ver + 1 ? CW_STORE_OK : CW_STORE_STALE;
		lead_confirm(dht, l, op, &reply);
		return;
	}
	reply.answer.result = cw_law_name(&reply.answer.name, &op->request, &after);
	if (reply.answer.result != CW_STORE_OK) {
		lead_confirm(dht, l, op, &reply);
		return;
	}
	r.kind = RECORD_NAME;
	r.held = after.held;
	r.gen = after.ver;
	r.ip = after.ip;
	r.client = after.client;
	r.rid = op->rid;
	record_made(&r, &op->rid);
	reply.answer.name = after;
	reply.ver = r.ver;
	lead_write(dht, l, &r, op, &reply);
}
