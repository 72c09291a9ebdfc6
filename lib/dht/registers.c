/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Registers: keys, proven ages, and what a replica does with a record that comes.
 *
 * A proven age is what was proven elsewhere plus our own clock since this request-id was first
 * accepted here, less the drift a clock may have: never more than the truth (dht.md section 4). It
 * belongs to the request-id: a new copy of the same rid never makes it younger, a new rid begins
 * with the age that came along (R15, R16).
 */
#include "internal.h"

bool same_rid(const struct rid *a, const struct rid *b)
{
	return a->counter == b->counter && a->incarnation == b->incarnation &&
	       cw_node_id_equal(&a->node, &b->node);
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

/* The register an operation is about, and the slot it lies in. */
void op_key(const struct cw_dht *dht, struct op *op)
{
	const struct cw_store_request *q = &op->request;
	const char *scope = op->scope;

	switch (q->verb) {
	case CW_STORE_SESSION_OPEN:
	case CW_STORE_SESSION_RENEW:
	case CW_STORE_SESSION_CLOSE:
		key_of(dht, "", 'S', op->from.b, CW_NODE_ID_BYTES, op->key);
		break;
	case VERB_PROVE:
		key_of(dht, "", 'S', op->about.b, CW_NODE_ID_BYTES, op->key);
		break;
	case CW_STORE_CLIENTS_GET:
		key_of(dht, scope, 'C', &q->clients[0], sizeof(q->clients[0]), op->key);
		break;
	case CW_STORE_CLIENT_PUT:
		key_of(dht, scope, 'C', &q->client, sizeof(q->client), op->key);
		break;
	case CW_STORE_NS_GET:
		key_of(dht, "", 'N', q->ns_name, strlen(q->ns_name), op->key);
		break;
	case CW_STORE_NS_PUT:
		key_of(dht, "", 'N', q->ns.name, strlen(q->ns.name), op->key);
		break;
	case CW_STORE_NAME_GET:
	case CW_STORE_NAME_CREATE:
	case CW_STORE_NAME_RELEASE:
		key_of(dht, scope, 'H', q->host_name, strlen(q->host_name), op->key);
		break;
	case CW_STORE_REG_GET:
	case CW_STORE_REG_CREATE:
	case CW_STORE_REG_RENEW:
	case CW_STORE_REG_RELEASE:
	case CW_STORE_REG_CAS:
	case CW_STORE_REG_TAKEOVER:
	case CW_STORE_REG_KILL:
		/* Kinds of callers are marked, so that they never meet ours. */
		key_of(dht, scope, (char)(q->reg_kind | 0x80), q->reg_name, q->reg_name_len,
		       op->key);
		break;
	default:
		key_of(dht, scope, 'M', &q->ip, sizeof(q->ip), op->key);
	}
	op->slot = key_slot(dht, op->key);
}

uint64_t age_now(const struct cw_dht *dht, const struct age *age)
{
	uint64_t since = dht->now_ns > age->at_ns ? dht->now_ns - age->at_ns : 0;

	if (dht->config.mutate != CW_DHT_MUT_NOSLACK && dht->genesis.eps_divisor != 0)
		since -= (since + dht->genesis.eps_divisor - 1) / dht->genesis.eps_divisor;
	return age->base_ns + since;
}

/* Proven age at which a lease is over: D(1+eps) + G. */
uint64_t lease_over_ns(const struct cw_dht *dht)
{
	const struct cw_dht_genesis *g = &dht->genesis;

	if (dht->config.mutate == CW_DHT_MUT_NOSLACK)
		return g->session_ns;
	return g->session_ns + g->session_ns / g->eps_divisor + 1 + g->guard_ns;
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

/* Does the history still say who made this version? */
bool record_known_at(const struct record *r, uint64_t ver)
{
	for (unsigned int i = 0; i < HIST; i++)
		if (r->hist[i].ver == ver && ver != 0)
			return true;
	return false;
}

bool same_lease(const struct cw_dht *dht, const struct record *a, const struct record *b)
{
	if (dht->config.mutate == CW_DHT_MUT_AGEVER)
		return a->ver == b->ver;
	return same_rid(&a->rid, &b->rid);
}

bool same_opening(const struct record *a, const struct record *b)
{
	return a->kind == RECORD_SESSION && b->kind == RECORD_SESSION &&
	       a->session.sgen == b->session.sgen;
}

static void take_age(struct cw_dht *dht, struct age *age, bool same, uint64_t carried_ns)
{
	uint64_t here = same ? age_now(dht, age) : 0;

	if (dht->config.mutate == CW_DHT_MUT_AGERESET)
		carried_ns = here = 0;
	age->base_ns = cw_max_u64(here, carried_ns);
	age->at_ns = dht->now_ns;
}

const struct replica *replica_here(const struct cw_dht *dht, const uint8_t key[KEY_BYTES])
{
	return keytab_find(&dht->slots[key_slot(dht, key)].regs, key);
}

int replica_store(struct cw_dht *dht, struct keytab *t, const struct record *r,
		  const struct stamp *stamp, uint64_t renew_age_ns, uint64_t open_age_ns)
{
	struct replica *x = keytab_find(t, r->key);
	bool same_renew = x != NULL && same_lease(dht, &x->record, r);
	bool same_open = x != NULL && same_opening(&x->record, r);

	x = keytab_put(t, r);
	if (x == NULL)
		return -ENOMEM;
	take_age(dht, &x->renew, same_renew, renew_age_ns);
	take_age(dht, &x->open, same_open, open_age_ns);
	x->stamp = *stamp;
	return 0;
}

int replica_merge(struct cw_dht *dht, struct keytab *t, const struct record *r,
		  const struct stamp *stamp, uint64_t renew_age_ns, uint64_t open_age_ns)
{
	struct replica *x = keytab_find(t, r->key);

	if (x == NULL || stamp_compare(dht, stamp, &x->stamp) > 0)
		return replica_store(dht, t, r, stamp, renew_age_ns, open_age_ns);
	if (same_lease(dht, &x->record, r))
		take_age(dht, &x->renew, true, renew_age_ns);
	if (same_opening(&x->record, r))
		take_age(dht, &x->open, true, open_age_ns);
	return 0;
}
