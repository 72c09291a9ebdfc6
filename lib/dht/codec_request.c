/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests and answers between their structs and their protobuf form. The caller's site is not
 * believed from the message: the leader takes it from the caller's certificate.
 */
#include "internal.h"

#include <stdlib.h>

static ProtobufCBinaryData view(const void *data, size_t len)
{
	return (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)data};
}

/* The namespace inside a request travels as a record's value does. */
void send_request(struct cw_dht *dht, const struct cw_node_id *to, const struct request *r)
{
	const struct cw_store_request *q = &r->request;
	Causeway__Dht__Request m = CAUSEWAY__DHT__REQUEST__INIT;
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	ProtobufCBinaryData consents[CW_STORE_CONSENTS_MAX], clients[CW_STORE_CLIENTS_MAX];
	/* The packed form points into it until the frame is out. */
	struct record record = {.kind = RECORD_NS};
	struct packed_record *ns = NULL;
	Causeway__Dht__Rid rid;

	rid_pack(&r->rid, &rid);
	m.rid = &rid;
	m.verb = q->verb;
	m.fresh = q->fresh;
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
		record.ns = q->ns;
		ns = record_pack(&record, 0, 0, NULL);
		if (ns == NULL)
			return;
		m.ns = packed_record_message(ns)->ns;
	}
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_REQ;
	frame.req = &m;
	send_frame(dht, to, &frame, 0);
	free(ns);
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

	if (!rid_unpack(in->rid, &out->rid) || in->verb >= CW_STORE_VERB_COUNT ||
	    in->client.len != sizeof(q->client) || in->mac.len != sizeof(q->mac.b) ||
	    strlen(in->ns_name) >= sizeof(q->ns_name) || strlen(in->ns_scope) >= sizeof(out->scope))
		return false;
	q->verb = (uint8_t)in->verb;
	q->fresh = in->fresh;
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
	if (q->verb >= CW_STORE_NAME_GET && !cw_law_name_valid(q->host_name))
		return false;
	if (in->verb == CW_STORE_NS_PUT && (in->ns == NULL || !ns_unpack(in->ns, &q->ns)))
		return false;
	return unpack_lists(in, q);
}

void send_answer(struct cw_dht *dht, const struct cw_node_id *to, const struct rid *rid,
		 const struct cw_store_answer *answer)
{
	Causeway__Dht__Answer m = CAUSEWAY__DHT__ANSWER__INIT;
	Causeway__Dht__Frame frame = CAUSEWAY__DHT__FRAME__INIT;
	struct record mapping = {.kind = RECORD_MAPPING,
				 .ver = answer->mapping.ver,
				 .gen = answer->mapping.gen,
				 .held = answer->mapping.held,
				 .mapping = answer->mapping};
	struct record ns = {.kind = RECORD_NS, .ver = answer->ns.ver, .ns = answer->ns};
	struct record name = {.kind = RECORD_NAME,
			      .ver = answer->name.ver,
			      .held = answer->name.held,
			      .ip = answer->name.ip,
			      .client = answer->name.client};
	struct packed_record *pm = record_pack(&mapping, 0, 0, NULL), *pn = NULL, *ph = NULL;
	ProtobufCBinaryData ask[CW_MAPPING_ENTRIES_MAX];
	uint32_t ips[CW_STORE_CLIENTS_MAX];
	Causeway__Dht__Rid r;

	rid_pack(rid, &r);
	m.rid = &r;
	m.result = (uint32_t)answer->result;
	m.sgen = answer->sgen;
	m.old_cover_ns = answer->old_cover_ns;
	if (pm != NULL)
		m.mapping = packed_record_message(pm);
	if (answer->ns.name[0] != '\0') {
		pn = record_pack(&ns, 0, 0, NULL);
		if (pn != NULL)
			m.ns = packed_record_message(pn);
	}
	if (answer->name.ver != 0) {
		ph = record_pack(&name, 0, 0, NULL);
		if (ph != NULL)
			m.name = packed_record_message(ph);
	}
	m.n_ask = answer->ask_count;
	m.ask = ask;
	for (unsigned int i = 0; i < answer->ask_count; i++)
		ask[i] = view(answer->ask[i].b, CW_NODE_ID_BYTES);
	m.n_client_ips = CW_STORE_CLIENTS_MAX;
	m.client_ips = ips;
	for (unsigned int i = 0; i < CW_STORE_CLIENTS_MAX; i++)
		ips[i] = answer->client_found[i] ? answer->client_ip[i] : 0;
	frame.body_case = CAUSEWAY__DHT__FRAME__BODY_RSP;
	frame.rsp = &m;
	send_frame(dht, to, &frame, 0);
	free(pm);
	free(pn);
	free(ph);
}

bool answer_unpack(const Causeway__Dht__Answer *in, struct rid *rid, struct cw_store_answer *out)
{
	struct record r;

	memset(out, 0, sizeof(*out));
	if (!rid_unpack(in->rid, rid) || in->result >= CW_STORE_RESULT_COUNT ||
	    in->n_ask > CW_MAPPING_ENTRIES_MAX || in->n_client_ips > CW_STORE_CLIENTS_MAX)
		return false;
	out->result = (enum cw_store_result)in->result;
	out->sgen = in->sgen;
	out->old_cover_ns = in->old_cover_ns;
	if (in->mapping != NULL && record_unpack(in->mapping, &r, NULL, NULL, NULL) &&
	    r.kind == RECORD_MAPPING)
		out->mapping = r.mapping;
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
	for (size_t i = 0; i < in->n_ask; i++)
		if (!node_unpack(&in->ask[i], &out->ask[out->ask_count++]))
			return false;
	for (size_t i = 0; i < in->n_client_ips; i++) {
		out->client_ip[i] = in->client_ips[i];
		out->client_found[i] = in->client_ips[i] != 0;
	}
	return true;
}
