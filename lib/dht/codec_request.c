/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests and answers between their structs and their protobuf form. The caller's site is not
 * believed from the message: the leader takes it from the caller's certificate.
 */
#include "internal.h"

static ProtobufCBinaryData view(const void *data, size_t len)
{
	return bytes_view(data, len);
}

/* The namespace inside a request travels as a record's value does. */
/* to NULL: towards the slot's point of the ring. */
void send_request(struct cw_dht *dht, const struct cw_node_id *to, uint32_t slot,
		  const struct request *r)
{
	const struct cw_store_request *q = &r->request;
	Causeway__Dht__Request m = CAUSEWAY__DHT__REQUEST__INIT;
	ProtobufCBinaryData consents[CW_STORE_CONSENTS_MAX], clients[CW_STORE_CLIENTS_MAX];
	Causeway__Dht__Rid rid;
	struct packing p;
	size_t size;

	packing_init(&p);
	rid_pack(&r->rid, &rid);
	m.rid = &rid;
	m.verb = q->verb;
	m.fresh = q->fresh;
	m.trace = q->trace;
	m.has_client = q->has_client;
	m.has_proof = q->has_proof;
	m.declined = q->declined;
	m.ip = q->ip;
	m.ver = q->ver;
	m.sgen = q->sgen;
	m.proof_gen = q->proof_gen;
	m.cover_ns = q->cover_ns;
	m.client = view(&q->client, sizeof(q->client));
	m.mac = view(q->mac.b, sizeof(q->mac.b));
	m.n_consents = q->consent_count;
	m.consents = consents;
	for (unsigned int i = 0; i < q->consent_count; i++)
		consents[i] = view(q->consents[i].b, CW_NODE_ID_BYTES);
	m.n_clients = q->client_count;
	m.clients = clients;
	for (unsigned int i = 0; i < q->client_count; i++)
		clients[i] = view(&q->clients[i], sizeof(q->clients[i]));
	m.ns_name = (char *)(uintptr_t)q->ns_name;
	m.ns_scope = dht->config.ns_name;
	m.host_name = (char *)(uintptr_t)q->host_name;
	if (q->verb == CW_STORE_NS_PUT) {
		struct record *record = arena_get(&p.arena, sizeof(*record));

		record->kind = RECORD_NS;
		record->ns = q->ns;
		m.ns = record_pack(&p.arena, record, 0, 0, NULL)->ns;
	}
	m.register_kind = q->reg_kind;
	m.register_name = view(q->reg_name, q->reg_name_len);
	m.gen = q->gen;
	m.value = view(q->value, q->value_len);
	m.public_key = view(r->warrant.public_key, r->warrant.public_key_len);
	m.signature = view(r->warrant.signature, r->warrant.signature_len);
	if (q->verb == VERB_PROVE)
		m.about = view(r->about.b, CW_NODE_ID_BYTES);
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_REQ;
	p.frame.req = &m;
	if (to != NULL) {
		send_packing(dht, to, &p, r->after_lsn);
	} else if (r->after_lsn <= dht->durable_lsn) {
		uint8_t *bytes = pack_frame(dht, &p, &size);

		if (bytes != NULL)
			dht->ops.route(dht->ctx, slot, bytes, size, dht->now_ns);
		free(bytes);
	}
	arena_free(&p.arena);
}

static bool unpack_register(const Causeway__Dht__Request *in, struct op *out)
{
	struct cw_store_request *q = &out->request;

	if (in->register_kind > INT8_MAX || in->register_name.len > sizeof(q->reg_name) ||
	    in->value.len > sizeof(q->value))
		return false;
	q->reg_kind = (uint8_t)in->register_kind;
	q->reg_name_len = (uint8_t)in->register_name.len;
	if (q->reg_name_len > 0) /* empty bytes have no address */
		memcpy(q->reg_name, in->register_name.data, q->reg_name_len);
	q->gen = in->gen;
	q->value_len = (uint16_t)in->value.len;
	if (q->value_len > 0)
		memcpy(q->value, in->value.data, q->value_len);
	return in->verb != VERB_PROVE || node_unpack(&in->about, &out->about);
}

static bool unpack_lists(const Causeway__Dht__Request *in, struct cw_store_request *q)
{
	if (in->n_consents > CW_STORE_CONSENTS_MAX || in->n_clients > CW_STORE_CLIENTS_MAX)
		return false;
	for (size_t i = 0; i < in->n_consents; i++)
		if (!node_unpack(&in->consents[i], &q->consents[q->consent_count++]))
			return false;
	for (size_t i = 0; i < in->n_clients; i++) {
		if (in->clients[i].len != sizeof(q->clients[0]))
			return false;
		memcpy(&q->clients[q->client_count++], in->clients[i].data, sizeof(q->clients[0]));
	}
	return true;
}

bool request_unpack(const Causeway__Dht__Request *in, struct op *out)
{
	struct cw_store_request *q = &out->request;

	if (!rid_unpack(in->rid, &out->rid) ||
	    (in->verb >= CW_STORE_VERB_COUNT && in->verb != VERB_PROVE) ||
	    in->client.len != sizeof(q->client) || in->mac.len != sizeof(q->mac.b) ||
	    strlen(in->ns_name) >= sizeof(q->ns_name) || strlen(in->ns_scope) >= sizeof(out->scope))
		return false;
	q->verb = (uint8_t)in->verb;
	q->fresh = in->fresh;
	q->trace = in->trace;
	q->has_client = in->has_client;
	q->has_proof = in->has_proof;
	q->declined = in->declined;
	q->ip = in->ip;
	q->ver = in->ver;
	q->sgen = in->sgen;
	q->proof_gen = in->proof_gen;
	q->cover_ns = in->cover_ns;
	memcpy(&q->client, in->client.data, sizeof(q->client));
	memcpy(q->mac.b, in->mac.data, sizeof(q->mac.b));
	memcpy(q->ns_name, in->ns_name, strlen(in->ns_name) + 1);
	memcpy(out->scope, in->ns_scope, strlen(in->ns_scope) + 1);
	if (strlen(in->host_name) >= sizeof(q->host_name))
		return false;
	memcpy(q->host_name, in->host_name, strlen(in->host_name) + 1);
	if (q->verb >= CW_STORE_NAME_GET && q->verb <= CW_STORE_NAME_RELEASE &&
	    !cw_law_name_valid(q->host_name))
		return false;
	if (in->verb == CW_STORE_NS_PUT && (in->ns == NULL || !ns_unpack(in->ns, &q->ns)))
		return false;
	if (in->signature.len > 0 &&
	    !signature_unpack(&in->public_key, &in->signature, &out->warrant))
		return false;
	return unpack_register(in, out) && unpack_lists(in, q);
}

/* The registers that an answer shows, as records. */
static void pack_shown(struct arena *a, const struct cw_store_answer *answer,
		       Causeway__Dht__Answer *m)
{
	struct record *r = arena_get(a, sizeof(*r));

	if (answer->mapping.ver != 0) {
		r->kind = RECORD_MAPPING;
		r->ver = answer->mapping.ver;
		r->gen = answer->mapping.gen;
		r->held = answer->mapping.held;
		r->mapping = answer->mapping;
		m->mapping = record_pack(a, r, 0, 0, NULL);
	}
	if (answer->ns.name[0] != '\0') {
		r = arena_get(a, sizeof(*r));
		r->kind = RECORD_NS;
		r->ver = answer->ns.ver;
		r->ns = answer->ns;
		m->ns = record_pack(a, r, 0, 0, NULL);
	}
	if (answer->name.ver != 0) {
		r = arena_get(a, sizeof(*r));
		r->kind = RECORD_NAME;
		r->ver = answer->name.ver;
		r->held = answer->name.held;
		r->ip = answer->name.ip;
		r->client = answer->name.client;
		m->name = record_pack(a, r, 0, 0, NULL);
	}
	if (answer->reg.ver != 0) {
		r = arena_get(a, sizeof(*r));
		r->kind = RECORD_REGISTER;
		r->ver = answer->reg.ver;
		r->gen = answer->reg.gen;
		r->held = answer->reg.held;
		r->reg.owner = answer->reg.owner;
		r->reg.tag = answer->reg.tag;
		r->reg.len = answer->reg.len;
		memcpy(r->reg.value, answer->reg.value, answer->reg.len);
		m->register_ = record_pack(a, r, 0, 0, NULL);
	}
}

void send_reply(struct cw_dht *dht, const struct cw_node_id *to, const struct rid *rid,
		const struct reply *reply)
{
	const struct cw_store_answer *answer = &reply->answer;
	Causeway__Dht__Answer m = CAUSEWAY__DHT__ANSWER__INIT;
	ProtobufCBinaryData ask[CW_MAPPING_ENTRIES_MAX];
	uint32_t ips[CW_STORE_CLIENTS_MAX];
	Causeway__Dht__Rid r, holder;
	struct packing p;

	packing_init(&p);
	rid_pack(rid, &r);
	m.rid = &r;
	m.result = (uint32_t)answer->result;
	m.sgen = answer->sgen;
	m.old_cover_ns = answer->old_cover_ns;
	m.ver = reply->ver;
	m.over = reply->over;
	m.age_ns = reply->age_ns;
	rid_pack(&reply->holder, &holder);
	if (reply->holder.incarnation != 0)
		m.holder = &holder;
	pack_shown(&p.arena, answer, &m);
	m.n_ask = answer->ask_count;
	m.ask = ask;
	for (unsigned int i = 0; i < answer->ask_count; i++)
		ask[i] = view(answer->ask[i].b, CW_NODE_ID_BYTES);
	m.n_client_ips = CW_STORE_CLIENTS_MAX;
	m.client_ips = ips;
	for (unsigned int i = 0; i < CW_STORE_CLIENTS_MAX; i++)
		ips[i] = answer->client_found[i] ? answer->client_ip[i] : 0;
	p.frame.body_case = CAUSEWAY__DHT__FRAME__BODY_RSP;
	p.frame.rsp = &m;
	if (reply->trace.wanted)
		trace_pack(&p.arena, &reply->trace, &m);
	send_packing(dht, to, &p, 0);
	arena_free(&p.arena);
}

static bool unpack_shown(const Causeway__Dht__Answer *in, struct cw_store_answer *out)
{
	struct record r;

	if (in->mapping != NULL) {
		if (!record_unpack(in->mapping, &r, NULL, NULL, NULL))
			return false;
		if (r.kind == RECORD_MAPPING)
			out->mapping = r.mapping;
		out->mapping.ver = r.ver;
	}
	if (in->ns != NULL) {
		if (!record_unpack(in->ns, &r, NULL, NULL, NULL) || r.kind != RECORD_NS)
			return false;
		out->ns = r.ns;
	}
	if (in->name != NULL) {
		if (!record_unpack(in->name, &r, NULL, NULL, NULL) || r.kind != RECORD_NAME)
			return false;
		out->name = (struct cw_name_record){
			.ver = r.ver, .held = r.held, .ip = r.ip, .client = r.client};
	}
	if (in->register_ != NULL) {
		if (!record_unpack(in->register_, &r, NULL, NULL, NULL) ||
		    r.kind != RECORD_REGISTER)
			return false;
		out->reg.held = r.held;
		out->reg.owner = r.reg.owner;
		out->reg.tag = r.reg.tag;
		out->reg.gen = r.gen;
		out->reg.ver = r.ver;
		out->reg.len = r.reg.len;
		memcpy(out->reg.value, r.reg.value, r.reg.len);
	}
	return true;
}

bool reply_unpack(const Causeway__Dht__Answer *in, struct rid *rid, struct reply *reply)
{
	struct cw_store_answer *out = &reply->answer;

	memset(reply, 0, sizeof(*reply));
	if (!rid_unpack(in->rid, rid) || in->result >= CW_STORE_RESULT_COUNT ||
	    in->n_ask > CW_MAPPING_ENTRIES_MAX || in->n_client_ips > CW_STORE_CLIENTS_MAX ||
	    !unpack_shown(in, out))
		return false;
	if (in->holder != NULL && !rid_unpack(in->holder, &reply->holder))
		return false;
	reply->ver = in->ver;
	reply->over = in->over;
	reply->age_ns = in->age_ns;
	if (!trace_unpack(in, &reply->trace))
		return false;
	out->result = (enum cw_store_result)in->result;
	out->sgen = in->sgen;
	out->old_cover_ns = in->old_cover_ns;
	for (size_t i = 0; i < in->n_ask; i++)
		if (!node_unpack(&in->ask[i], &out->ask[out->ask_count++]))
			return false;
	for (size_t i = 0; i < in->n_client_ips; i++) {
		out->client_ip[i] = in->client_ips[i];
		out->client_found[i] = in->client_ips[i] != 0;
	}
	return true;
}
