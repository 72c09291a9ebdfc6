/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain registers for stores that keep one copy of each (etcd, memory): the table of dht.md section
 * 1 as a function of the register, the request and whether its holder's time is over. The DHT's
 * leader decides by the same table, but on records that also name the requests which made them
 * (decide_register.c); the conformance suite holds all of them to the same answers.
 *
 * Every refusal stays true, so a create never steps over a holder whose time is over: that is ended
 * as a version of its own first, and the caller is told.
 */
#include "cw_law.h"

#include <string.h>

#include "cw_dht.h"

enum cw_store_result cw_law_request(const struct cw_store_request *q)
{
	if (q->verb == CW_STORE_NS_PUT)
		return cw_dht_ns_bytes(&q->ns) > CW_STORE_VALUE_BYTES ? CW_STORE_TOO_LARGE
								      : CW_STORE_OK;
	if (q->verb < CW_STORE_REG_GET || q->verb > CW_STORE_REG_KILL)
		return CW_STORE_OK;
	if (q->reg_name_len > CW_STORE_REG_NAME_BYTES || q->value_len > CW_STORE_VALUE_BYTES)
		return CW_STORE_TOO_LARGE;
	return CW_STORE_OK;
}

static void free_it(struct cw_law_register *r)
{
	*r = (struct cw_law_register){.reg = {.ver = r->reg.ver + 1}};
}

static void take_it(struct cw_law_register *r, const struct cw_law_caller *who,
		    const struct cw_store_request *q)
{
	r->leased = q->sgen == 0;
	r->reg.ver++;
	r->reg.held = true;
	r->reg.gen = r->reg.ver;
	r->reg.owner = who->node;
	r->reg.tag = r->leased ? who->incarnation : q->sgen;
	r->reg.len = q->value_len;
	memcpy(r->reg.value, q->value, q->value_len);
}

static bool is_mine(const struct cw_law_register *r, const struct cw_law_caller *who,
		    const struct cw_store_request *q)
{
	return r->reg.held && r->reg.gen == q->gen &&
	       r->reg.tag == (q->sgen == 0 ? who->incarnation : q->sgen) &&
	       cw_node_id_equal(&r->reg.owner, &who->node);
}

static enum cw_store_result kill_it(const struct cw_store_request *q, bool over,
				    struct cw_law_register *after, bool *writes)
{
	if (!after->reg.held || after->reg.gen != q->gen)
		return CW_STORE_OK;
	if (!over)
		return CW_STORE_ALIVE;
	*writes = true;
	free_it(after);
	return CW_STORE_OK;
}

static enum cw_store_result create(const struct cw_law_caller *who,
				   const struct cw_store_request *q, bool over,
				   struct cw_law_register *after, bool *writes)
{
	if (after->reg.held && !over)
		return CW_STORE_EXISTS;
	*writes = true;
	if (after->reg.held) {
		free_it(after);
		return CW_STORE_LAPSED;
	}
	take_it(after, who, q);
	return CW_STORE_OK;
}

enum cw_store_result cw_law_register(const struct cw_law_register *before,
				     const struct cw_law_caller *who,
				     const struct cw_store_request *q, bool over,
				     struct cw_law_register *after, bool *writes)
{
	bool mine = is_mine(before, who, q);

	*after = *before;
	*writes = false;
	switch (q->verb) {
	case CW_STORE_REG_GET:
		return CW_STORE_OK;
	case CW_STORE_REG_KILL:
		return kill_it(q, over, after, writes);
	case CW_STORE_REG_RENEW:
		*writes = mine;
		return mine ? CW_STORE_OK : CW_STORE_NOT_OWNER;
	default:
		break;
	}
	if (before->reg.ver != q->ver)
		return CW_STORE_CONFLICT;
	if (q->verb == CW_STORE_REG_CREATE || q->verb == CW_STORE_REG_TAKEOVER)
		return create(who, q, over, after, writes);
	if (!mine)
		return CW_STORE_NOT_OWNER;
	*writes = true;
	if (q->verb == CW_STORE_REG_RELEASE) {
		free_it(after);
		return CW_STORE_OK;
	}
	after->reg.ver++;
	after->reg.len = q->value_len;
	memcpy(after->reg.value, q->value, q->value_len);
	return CW_STORE_OK;
}
