/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers: keys, slots, order of ballots and stamps, proven ages, and the replica's table of
 * them.
 *
 * A proven age is what was proven elsewhere plus our own clock since this request-id was first
 * accepted here, less the drift a clock may have: never more than the truth (dht.md section 4). It
 * belongs to the request-id: a new copy of the same rid never makes it younger, a new rid begins
 * with the age that came along.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

bool same_rid(const struct rid *a, const struct rid *b)
{
	return a->counter == b->counter && a->incarnation == b->incarnation &&
	       cw_node_id_equal(&a->node, &b->node);
}

int ballot_compare(const struct cw_dht *dht, const struct ballot *a, const struct ballot *b)
{
	if (a->round != b->round)
		return a->round < b->round ? -1 : 1;
	if (dht->config.mutate == CW_DHT_MUT_TIE)
		return 0;
	return cw_node_id_compare(&a->node, &b->node);
}

int stamp_compare(const struct cw_dht *dht, const struct stamp *a, const struct stamp *b)
{
	int order = ballot_compare(dht, &a->ballot, &b->ballot);

	if (order != 0)
		return order;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* SHA-256(network id, namespace, kind, name), cut (dht.md section 1). */
void key_of(const struct cw_dht *dht, const char *scope, char kind, const void *name, size_t len,
	    uint8_t out[KEY_BYTES])
{
	uint8_t text[CW_DHT_NETWORK_ID_BYTES + CW_NS_NAME_BYTES + 1 + CW_NS_NAME_BYTES] = {0};
	uint8_t hash[32];

	CW_ASSERT(len <= CW_NS_NAME_BYTES);
	memcpy(text, dht->genesis.network_id, CW_DHT_NETWORK_ID_BYTES);
	memcpy(text + CW_DHT_NETWORK_ID_BYTES, scope, strnlen(scope, CW_NS_NAME_BYTES));
	text[CW_DHT_NETWORK_ID_BYTES + CW_NS_NAME_BYTES] = (uint8_t)kind;
	memcpy(text + CW_DHT_NETWORK_ID_BYTES + CW_NS_NAME_BYTES + 1, name, len);
	dht->config.digest.sha256(text, sizeof(text), hash);
	memcpy(out, hash, KEY_BYTES);
}

/* The register an operation is about. */
void op_key(const struct cw_dht *dht, struct op *op)
{
	const struct cw_store_request *q = &op->request;

	switch (q->verb) {
	case CW_STORE_SESSION_OPEN:
	case CW_STORE_SESSION_RENEW:
	case CW_STORE_SESSION_CLOSE:
		key_of(dht, "", 'S', op->from.b, CW_NODE_ID_BYTES, op->key);
		return;
	case CW_STORE_CLIENTS_GET:
		key_of(dht, op->scope, 'C', &q->clients[0], sizeof(q->clients[0]), op->key);
		return;
	case CW_STORE_CLIENT_PUT:
		key_of(dht, op->scope, 'C', &q->client, sizeof(q->client), op->key);
		return;
	case CW_STORE_NS_GET:
		key_of(dht, "", 'N', q->ns_name, strlen(q->ns_name), op->key);
		return;
	case CW_STORE_NS_PUT:
		key_of(dht, "", 'N', q->ns.name, strlen(q->ns.name), op->key);
		return;
	case CW_STORE_NAME_GET:
	case CW_STORE_NAME_CREATE:
	case CW_STORE_NAME_RELEASE:
		key_of(dht, op->scope, 'H', q->host_name, strlen(q->host_name), op->key);
		return;
	default:
		key_of(dht, op->scope, 'M', &q->ip, sizeof(q->ip), op->key);
	}
}

uint32_t key_bucket(const uint8_t key[KEY_BYTES])
{
	return ((uint32_t)key[4] << 8 | key[5]) % BUCKETS;
}

uint32_t key_slot(const uint8_t key[KEY_BYTES])
{
	return (uint32_t)key[0] << 2 | key[1] >> 6;
}

uint64_t age_now(const struct cw_dht *dht, const struct age *age)
{
	uint64_t since = dht->now_ns > age->at_ns ? dht->now_ns - age->at_ns : 0;

	if (dht->config.mutate != CW_DHT_MUT_NOSLACK)
		since -= since / CW_LAW_EPS_DIVISOR;
	return age->base_ns + since;
}

void record_made(struct record *r, const struct rid *by)
{
	r->ver++;
	for (unsigned int i = HIST - 1; i > 0; i--)
		r->hist[i] = r->hist[i - 1];
	r->hist[0].ver = r->ver;
	r->hist[0].rid = *by;
	if (r->kind == RECORD_MAPPING) {
		r->mapping.ver = r->ver;
		r->mapping.gen = r->gen;
		r->mapping.held = r->held;
	}
}

bool record_made_by(const struct record *r, uint64_t ver, const struct rid *by)
{
	for (unsigned int i = 0; i < HIST; i++)
		if (r->hist[i].ver == ver)
			return same_rid(&r->hist[i].rid, by);
	return false;
}

struct replica *replica_find(const struct cw_dht *dht, const uint8_t key[KEY_BYTES])
{
	struct replica *r = dht->replicas[key_bucket(key)];

	while (r != NULL && memcmp(r->record.key, key, KEY_BYTES) != 0)
		r = r->next;
	return r;
}

static void take_age(struct cw_dht *dht, struct age *age, bool same, uint64_t carried_ns)
{
	uint64_t here = same ? age_now(dht, age) : 0;

	if (dht->config.mutate == CW_DHT_MUT_AGERESET)
		carried_ns = here = 0;
	age->base_ns = cw_max_u64(here, carried_ns);
	age->at_ns = dht->now_ns;
}

int replica_store(struct cw_dht *dht, const struct record *r, const struct stamp *stamp,
		  uint64_t renew_age_ns, uint64_t open_age_ns)
{
	struct replica *x = replica_find(dht, r->key);
	bool same_renew = false, same_open = false;

	if (x == NULL) {
		x = calloc(1, sizeof(*x));
		if (x == NULL)
			return -ENOMEM;
		x->next = dht->replicas[key_bucket(r->key)];
		dht->replicas[key_bucket(r->key)] = x;
		dht->replica_count++;
	} else {
		same_renew = same_rid(&x->record.rid, &r->rid);
		same_open = x->record.kind == RECORD_SESSION && r->kind == RECORD_SESSION &&
			    x->record.session.sgen == r->session.sgen;
	}
	take_age(dht, &x->renew, same_renew, renew_age_ns);
	take_age(dht, &x->open, same_open, open_age_ns);
	x->record = *r;
	x->stamp = *stamp;
	return 0;
}

unsigned int quorum(const struct cw_dht *dht)
{
	return dht->config.mutate == CW_DHT_MUT_Q2 ? 1 : dht->genesis.voter_count / 2 + 1;
}

int voter_index(const struct cw_dht *dht, const struct cw_node_id *node)
{
	for (unsigned int i = 0; i < dht->genesis.voter_count; i++)
		if (cw_node_id_equal(&dht->genesis.voters[i], node))
			return (int)i;
	return -1;
}
