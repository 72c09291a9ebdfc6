/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The verbs on mappings, client registers, names and namespaces: what each reads, and the law on
 * it.
 *
 * A claim rests on the mapping, on our own session and, for every entry, on its gateway's live key
 * and guard (etcd_session.c); all of them are conditions of the write. A generation that is over
 * stays so, hence what was judged about it stays true until then.
 */
#include <stdio.h>
#include <string.h>

#include "etcd_op.h"

enum { MAP_VALUE, OWN_VALUE, ENTRY_VALUES };

static bool needs_proofs(const struct etcd_op *op)
{
	return op->request.verb == CW_STORE_CLAIM || op->request.verb == CW_STORE_LOOK;
}

void registers_begin(struct etcd_op *op)
{
	const struct cw_store_etcd *s = op->store;
	const struct cw_store_request *q = &op->request;
	char ip[CW_IP4_TEXT_BYTES], client[2 * sizeof(q->client.b) + 1];

	switch (q->verb) {
	case CW_STORE_CLIENTS_GET:
		for (unsigned int i = 0; i < q->client_count; i++) {
			etcd_hex(q->clients[i].b, sizeof(q->clients[i].b), client);
			op_add_key(op, "c/%s/%s", s->ns_name, client);
		}
		break;
	case CW_STORE_CLIENT_PUT:
		etcd_hex(q->client.b, sizeof(q->client.b), client);
		op_add_key(op, "c/%s/%s", s->ns_name, client);
		break;
	case CW_STORE_NS_GET:
		op_add_key(op, "ns/%s", q->ns_name);
		break;
	case CW_STORE_NS_PUT:
		op_add_key(op, "ns/%s", q->ns.name);
		break;
	case CW_STORE_NAME_GET:
	case CW_STORE_NAME_CREATE:
	case CW_STORE_NAME_RELEASE:
		op_add_key(op, "n/%s/%s", s->ns_name, q->host_name);
		break;
	case CW_STORE_REG_GET:
	case CW_STORE_REG_CREATE:
	case CW_STORE_REG_RENEW:
	case CW_STORE_REG_RELEASE:
	case CW_STORE_REG_CAS:
	case CW_STORE_REG_TAKEOVER:
	case CW_STORE_REG_KILL:
		plain_begin(op);
		return;
	case CW_STORE_MAP_WATCH:
	case CW_STORE_MAP_UNWATCH:
		op_answer(op, CW_STORE_OK); /* one watch hears of every change of the namespace */
		return;
	default:
		op_add_key(op, "m/%s/%s", s->ns_name, cw_ip4_format(q->ip, ip));
		op_add_key(op, "l/%s", s->self);
	}
	op_read(op);
}

/* -- mappings */

static void read_entries(struct etcd_op *op)
{
	char node[2 * CW_NODE_ID_BYTES + 1];

	for (unsigned int i = 0; i < op->mapping.entry_count; i++) {
		const struct cw_mapping_entry *e = &op->mapping.entries[i];

		etcd_hex(e->node.b, sizeof(e->node.b), node);
		op_add_key(op, "l/%s", node);
		op_add_key(op, "g/%s/%llu", node, (unsigned long long)e->sgen);
	}
	op->stage = 1;
	op_read(op);
}

static void decide_mapping(struct etcd_op *op)
{
	const struct cw_store_etcd *s = op->store;
	const struct etcd_value *own = &op->values[OWN_VALUE];
	bool open = own->present && (uint64_t)json_integer_value(own->json) == op->request.sgen;
	struct cw_mapping after;
	enum cw_store_result result;
	uint8_t left;

	if (op->request.verb == CW_STORE_LOOK) {
		op_answer(op, cw_law_judge(&op->mapping, op->proofs, &s->who, &op->request, &left,
					   &op->answer));
		return;
	}
	result = cw_law_apply(&op->mapping, op->proofs, &s->who, open, &op->request, &after,
			      &op->answer);
	if (result != CW_STORE_OK) {
		/* The version has moved on, and a write of ours may be among those that did it. */
		op_answer(op, result == CW_STORE_CONFLICT && op->unknown ? CW_STORE_STALE : result);
		return;
	}
	op->answer.mapping = after;
	op->maker.old_cover_ns = op->answer.old_cover_ns;
	op_put(op, op->values[MAP_VALUE].key, etcd_mapping_json(&after, &op->maker), 0);
	op_write(op);
}

/* Ask the guards of generations that are over, one after the other; then decide. */
static void prove(struct etcd_op *op, unsigned int from)
{
	for (unsigned int i = from; i < op->mapping.entry_count; i++) {
		const struct etcd_value *live = &op->values[ENTRY_VALUES + 2 * i];
		const struct etcd_value *guard = &op->values[ENTRY_VALUES + 2 * i + 1];
		const char *lease = json_string_value(guard->json);

		op->proofs[i] = (struct cw_session_proof){
			.over = !live->present || (uint64_t)json_integer_value(live->json) !=
							  op->mapping.entries[i].sgen};
		if (!op->proofs[i].over)
			continue;
		if (!guard->present || lease == NULL) {
			op->proofs[i].age_ns = CW_LAW_AGE_FOREVER_NS;
			continue;
		}
		op->age_of = i;
		op_post(op, "/v3/lease/timetolive", json_pack("{s:s}", "ID", lease), OP_AGE);
		return;
	}
	decide_mapping(op);
}

/* Time since the last renewal, at least: whole seconds, rounded and drifting to the safe side. */
static void on_age(struct etcd_op *op, const json_t *reply)
{
	struct cw_session_proof *proof = &op->proofs[op->age_of];
	uint64_t granted_s = etcd_number(reply, "grantedTTL"), left_s = etcd_number(reply, "TTL");
	uint64_t age_ns;

	if (etcd_is_error(reply)) {
		op_again(op);
		return;
	}
	if (granted_s == 0) {
		proof->age_ns = CW_LAW_AGE_FOREVER_NS; /* it has run out just now */
	} else {
		age_ns = granted_s > left_s + 1 ? (granted_s - left_s - 1) * CW_NS_PER_S : 0;
		proof->age_ns = age_ns - age_ns / CW_LAW_EPS_DIVISOR;
	}
	prove(op, op->age_of + 1);
}

static void on_mapping(struct etcd_op *op)
{
	struct etcd_maker maker;

	if (!etcd_mapping_parse(op->values[MAP_VALUE].json, &op->mapping, &maker)) {
		cw_log(op->store->log, CW_LOG_ERROR, "etcd", "%s: is no mapping of ours",
		       op->values[MAP_VALUE].key);
		op_answer(op, CW_STORE_DENIED);
		return;
	}
	op->answer.mapping = op->mapping;
	if (op->request.verb == CW_STORE_MAP_GET) {
		op_answer(op, CW_STORE_OK);
		return;
	}
	if (op->unknown && strcmp(maker.rid, op->maker.rid) == 0) {
		op->answer.old_cover_ns = maker.old_cover_ns;
		op_answer(op, CW_STORE_OK);
		return;
	}
	if (needs_proofs(op) && op->mapping.entry_count > 0)
		read_entries(op);
	else
		decide_mapping(op);
}

/* -- hints */

static rte_be32_t hint_ip(const struct etcd_value *v)
{
	const char *text = json_string_value(v->json);
	rte_be32_t ip = 0;

	return text != NULL && cw_ip4_parse(text, &ip) == 0 ? ip : 0;
}

static void write_hint(struct etcd_op *op)
{
	char ip[CW_IP4_TEXT_BYTES];

	op_put(op, op->values[0].key, json_string(cw_ip4_format(op->request.ip, ip)), 0);
	op_write(op);
}

static void on_client(struct etcd_op *op)
{
	const struct cw_store_request *q = &op->request;
	rte_be32_t ip = hint_ip(&op->values[0]);
	char text[CW_IP4_TEXT_BYTES];
	struct cw_mapping m;

	if (q->verb == CW_STORE_CLIENTS_GET) {
		for (unsigned int i = 0; i < q->client_count; i++) {
			op->answer.client_ip[i] = hint_ip(&op->values[i]);
			op->answer.client_found[i] = op->answer.client_ip[i] != 0;
		}
		op_answer(op, CW_STORE_OK);
		return;
	}
	if (ip == q->ip) {
		op_answer(op, CW_STORE_OK);
		return;
	}
	if (ip != 0 && op->stage == 0) {
		op->stage = 1;
		op_add_key(op, "m/%s/%s", op->store->ns_name, cw_ip4_format(ip, text));
		op_read(op);
		return;
	}
	/* Another mapping of this client stands: the hint stays with it. */
	if (ip != 0 && etcd_mapping_parse(op->values[1].json, &m, NULL) && m.entry_count > 0 &&
	    m.client_state == CW_CLIENT_BOUND &&
	    memcmp(&m.client, &q->client, sizeof(m.client)) == 0) {
		op_answer(op, CW_STORE_OK);
		return;
	}
	write_hint(op);
}

/* -- namespaces and names */

static void on_ns(struct etcd_op *op)
{
	const struct cw_store_request *q = &op->request;
	struct cw_namespace_record ns;
	struct etcd_maker maker;

	if (!etcd_ns_parse(op->values[0].json, &ns, &maker)) {
		cw_log(op->store->log, CW_LOG_ERROR, "etcd", "%s: is no namespace of ours",
		       op->values[0].key);
		op_answer(op, CW_STORE_DENIED);
		return;
	}
	op->answer.ns = ns;
	if (q->verb == CW_STORE_NS_GET) {
		op_answer(op, ns.ver != 0 ? CW_STORE_OK : CW_STORE_NOT_FOUND);
		return;
	}
	if (op->unknown && strcmp(maker.rid, op->maker.rid) == 0) {
		op_answer(op, CW_STORE_OK);
		return;
	}
	if (ns.ver != q->ver) {
		op_answer(op, q->ver == 0 ? CW_STORE_EXISTS : CW_STORE_CONFLICT);
		return;
	}
	ns = q->ns;
	ns.ver = q->ver + 1;
	op->answer.ns = ns;
	op_put(op, op->values[0].key, etcd_ns_json(&ns, &op->maker), 0);
	op_write(op);
}

static void on_name(struct etcd_op *op)
{
	struct cw_name_record before, after;
	struct etcd_maker maker;
	enum cw_store_result result;

	if (!etcd_name_parse(op->values[0].json, &before, &maker)) {
		op_answer(op, CW_STORE_DENIED);
		return;
	}
	op->answer.name = before;
	if (op->request.verb == CW_STORE_NAME_GET) {
		op_answer(op, before.held ? CW_STORE_OK : CW_STORE_NOT_FOUND);
		return;
	}
	if (op->unknown && strcmp(maker.rid, op->maker.rid) == 0) {
		op_answer(op, CW_STORE_OK);
		return;
	}
	result = cw_law_name(&before, &op->request, &after);
	if (result != CW_STORE_OK) {
		op_answer(op, result == CW_STORE_CONFLICT && op->unknown ? CW_STORE_STALE : result);
		return;
	}
	op->answer.name = after;
	op_put(op, op->values[0].key, etcd_name_json(&after, &op->maker), 0);
	op_write(op);
}

void registers_step(struct etcd_op *op, const json_t *reply)
{
	switch (op->request.verb) {
	case CW_STORE_CLIENTS_GET:
	case CW_STORE_CLIENT_PUT:
		on_client(op);
		return;
	case CW_STORE_NS_GET:
	case CW_STORE_NS_PUT:
		on_ns(op);
		return;
	case CW_STORE_NAME_GET:
	case CW_STORE_NAME_CREATE:
	case CW_STORE_NAME_RELEASE:
		on_name(op);
		return;
	case CW_STORE_REG_GET:
	case CW_STORE_REG_CREATE:
	case CW_STORE_REG_RENEW:
	case CW_STORE_REG_RELEASE:
	case CW_STORE_REG_CAS:
	case CW_STORE_REG_TAKEOVER:
	case CW_STORE_REG_KILL:
		plain_step(op, reply);
		return;
	default:
		break;
	}
	if (op->step == OP_AGE)
		on_age(op, reply);
	else if (op->stage == 0)
		on_mapping(op);
	else
		prove(op, 0);
}
