/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may write what (dht.md section 11).
 *
 * Every request that writes is signed by its node, under the key whose hash its node ID is, over
 * network, register, verb, request-id, expected versions and what it asks for. The leader judges it
 * before anything is looked at: is it signed, does the certificate allow this (a namespace's
 * registers to its members, its record to an operator and to the node that founded the network),
 * has the node room left?
 *
 * The signature stays with the register as its warrant, and whoever takes a register from another
 * node looks at it first: a replica before it stores, a leader before it believes what it read, a
 * new member before it says that it has its stage. A held register must be what its owner asked
 * for, at that version. So a member that lies can deny and delay, and can end what is not over; it
 * cannot make an owner. Freeing needs no warrant: that is a leader's judgement.
 */
#include "internal.h"

#define LABEL "causeway-dht-request-1"

/* What a signature is over: all of fixed length. */
struct statement {
	char label[sizeof(LABEL) - 1];
	uint8_t network_id[CW_DHT_NETWORK_ID_BYTES];
	uint8_t key[KEY_BYTES];
	uint8_t verb;
	uint8_t node[CW_NODE_ID_BYTES];
	uint8_t numbers[5 * 8];
	uint8_t content[32];
} CW_PACKED;

static void put_number(uint8_t *out, uint64_t n)
{
	for (unsigned int i = 0; i < 8; i++)
		out[i] = (uint8_t)(n >> 8 * (7 - i));
}

static void state(const struct cw_dht *dht, const uint8_t key[KEY_BYTES], const struct warrant *w,
		  struct statement *out)
{
	const uint64_t numbers[] = {w->rid.incarnation, w->rid.counter, w->ver, w->gen, w->sgen};

	memcpy(out->label, LABEL, sizeof(out->label));
	memcpy(out->network_id, dht->genesis.network_id, sizeof(out->network_id));
	memcpy(out->key, key, sizeof(out->key));
	out->verb = w->verb;
	memcpy(out->node, w->rid.node.b, sizeof(out->node));
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(numbers); i++)
		put_number(out->numbers + 8 * i, numbers[i]);
	memcpy(out->content, w->content, sizeof(out->content));
}

/* -- what is asked for, as one digest */

static void digest_ns(const struct cw_dht *dht, const struct cw_namespace_record *ns,
		      uint8_t out[32])
{
	struct arena a;
	struct record *r;
	Causeway__Dht__Record *m;
	uint8_t *bytes;

	arena_init(&a);
	r = arena_get(&a, sizeof(*r));
	r->kind = RECORD_NS;
	r->ns = *ns;
	m = record_pack(&a, r, 0, 0, NULL);
	bytes = arena_get(&a, causeway__dht__namespace__get_packed_size(m->ns) + 1);
	dht->config.digest.sha256(bytes, causeway__dht__namespace__pack(m->ns, bytes), out);
	arena_free(&a);
}

static void digest_hint(const struct cw_dht *dht, rte_be32_t ip,
			const struct cw_client_hash *client, uint8_t out[32])
{
	uint8_t bytes[sizeof(ip) + sizeof(*client)];

	memcpy(bytes, &ip, sizeof(ip));
	memcpy(bytes + sizeof(ip), client, sizeof(*client));
	dht->config.digest.sha256(bytes, sizeof(bytes), out);
}

static void digest_mapping(const struct cw_dht *dht, const struct cw_store_request *q,
			   uint8_t out[32])
{
	struct {
		rte_be32_t ip;
		uint8_t flags, consents;
		uint8_t client[sizeof(q->client)], mac[sizeof(q->mac.b)];
		uint8_t cover[8], proof[8];
		uint8_t who[sizeof(q->consents)];
	} CW_PACKED bytes = {
		.ip = q->ip,
		.flags = (uint8_t)(q->has_client | q->has_proof << 1 | q->declined << 2),
		.consents = q->consent_count};

	memcpy(bytes.client, &q->client, sizeof(bytes.client));
	memcpy(bytes.mac, q->mac.b, sizeof(bytes.mac));
	put_number(bytes.cover, q->cover_ns);
	put_number(bytes.proof, q->proof_gen);
	memcpy(bytes.who, q->consents, q->consent_count * sizeof(q->consents[0]));
	dht->config.digest.sha256(&bytes, sizeof(bytes), out);
}

static void digest_request(const struct cw_dht *dht, const struct cw_store_request *q,
			   uint8_t out[32])
{
	switch (q->verb) {
	case CW_STORE_CLAIM:
	case CW_STORE_EDIT:
	case CW_STORE_SIGN_OFF:
		digest_mapping(dht, q, out);
		break;
	case CW_STORE_CLIENT_PUT:
	case CW_STORE_NAME_CREATE:
	case CW_STORE_NAME_RELEASE:
		digest_hint(dht, q->ip, &q->client, out);
		break;
	case CW_STORE_NS_PUT:
		digest_ns(dht, &q->ns, out);
		break;
	default:
		dht->config.digest.sha256(q->value, q->value_len, out);
	}
}

/* -- signing and checking */

static bool writes(uint8_t verb)
{
	switch (verb) {
	case CW_STORE_SESSION_OPEN:
	case CW_STORE_SESSION_RENEW:
	case CW_STORE_SESSION_CLOSE:
	case CW_STORE_CLAIM:
	case CW_STORE_EDIT:
	case CW_STORE_SIGN_OFF:
	case CW_STORE_CLIENT_PUT:
	case CW_STORE_NS_PUT:
	case CW_STORE_NAME_CREATE:
	case CW_STORE_NAME_RELEASE:
	case CW_STORE_REG_CREATE:
	case CW_STORE_REG_RENEW:
	case CW_STORE_REG_RELEASE:
	case CW_STORE_REG_CAS:
	case CW_STORE_REG_TAKEOVER:
		return true;
	default:
		return false;
	}
}

static void fill(const struct cw_dht *dht, const struct cw_store_request *q, const struct rid *rid,
		 struct warrant *out)
{
	out->verb = q->verb;
	out->rid = *rid;
	out->ver = q->ver;
	out->gen = q->gen;
	out->sgen = q->sgen;
	digest_request(dht, q, out->content);
}

void warrant_sign(struct cw_dht *dht, struct request *r, const uint8_t key[KEY_BYTES])
{
	const struct cw_key_ops *keys = dht->config.keys;
	struct warrant *w = &r->warrant;
	struct statement s;
	const uint8_t *own;
	size_t len;

	if (keys == NULL || w->signature_len != 0 || !writes(r->request.verb))
		return;
	own = keys->key(dht->config.keys_self, &len);
	if (own == NULL || len == 0 || len > sizeof(w->public_key))
		return; /* it is refused as one that nobody signed */
	memcpy(w->public_key, own, len);
	w->public_key_len = (uint8_t)len;
	fill(dht, &r->request, &r->rid, w);
	state(dht, key, w, &s);
	if (keys->sign(dht->config.keys_self, &s, sizeof(s), w->signature, &len) < 0)
		w->signature_len = 0;
	else
		w->signature_len = (uint8_t)len;
}

static bool is_signed(const struct cw_dht *dht, const uint8_t key[KEY_BYTES],
		      const struct warrant *w)
{
	struct statement s;

	if (w->signature_len == 0)
		return false;
	state(dht, key, w, &s);
	return dht->config.keys->check(dht->config.keys_self, &w->rid.node, w->public_key,
				       w->public_key_len, &s, sizeof(s), w->signature,
				       w->signature_len);
}

/* -- at the leader */

static enum cw_dht_may may(const struct cw_dht *dht, const struct cw_node_id *node,
			   enum cw_dht_right right, const char *ns)
{
	if (dht->ops.may == NULL || dht->config.mutate == CW_DHT_MUT_ANYCALLER)
		return CW_DHT_MAY;
	/* Founding is the operator's act: the node on which it was done goes on with it. */
	if (right == CW_DHT_RIGHT_OPERATE && cw_node_id_equal(node, &dht->genesis.founder))
		return CW_DHT_MAY;
	return dht->ops.may(dht->ctx, node, right, ns);
}

bool may_operate(const struct cw_dht *dht, const struct cw_node_id *node)
{
	return may(dht, node, CW_DHT_RIGHT_OPERATE, NULL) == CW_DHT_MAY;
}

bool op_allowed(struct cw_dht *dht, struct op *op)
{
	const struct cw_store_request *q = &op->request;

	if (writes(q->verb) && dht->config.keys != NULL) {
		fill(dht, q, &op->rid, &op->warrant);
		if (!is_signed(dht, op->key, &op->warrant) &&
		    dht->config.mutate != CW_DHT_MUT_ANYCALLER)
			return false;
	}
	switch (q->verb) {
	case CW_STORE_SESSION_OPEN:
	case CW_STORE_SESSION_RENEW:
	case CW_STORE_SESSION_CLOSE:
	case CW_STORE_NS_GET:
	case VERB_PROVE:
		return true; /* every node's */
	case CW_STORE_NS_PUT:
		return may(dht, &op->from, CW_DHT_RIGHT_OPERATE, q->ns.name) == CW_DHT_MAY;
	default:
		return may(dht, &op->from, CW_DHT_RIGHT_USE, op->scope) == CW_DHT_MAY;
	}
}

struct counting {
	const struct cw_node_id *node;
	uint32_t count;
};

static bool count_one(void *arg, struct replica *r)
{
	struct counting *c = arg;

	/* Who asked for it as it is; without signatures, who made its last version. */
	c->count += r->record.held && cw_node_id_equal(r->record.warrant.signature_len != 0
							       ? &r->record.warrant.rid.node
							       : &r->record.hist[0].rid.node,
						       c->node);
	return true;
}

bool over_quota(const struct cw_dht *dht, const struct op *op)
{
	const struct keytab *t = &dht->slots[op->slot].regs;
	struct counting c = {.node = &op->from};

	/* Only what takes a free register; a node's one session is always its own. */
	if (!writes(op->request.verb) || op->request.verb <= CW_STORE_SESSION_CLOSE ||
	    t->count < dht->config.tuning.quota || dht->config.mutate == CW_DHT_MUT_NOQUOTA)
		return false;
	keytab_walk(t, 0, count_one, &c);
	return c.count >= dht->config.tuning.quota;
}

/* -- at a replica */

static bool session_is(const struct record *r, const struct warrant *w)
{
	if (!cw_node_id_equal(&r->session.node, &w->rid.node) || !same_rid(&r->rid, &w->rid))
		return false;
	return w->verb == CW_STORE_SESSION_OPEN
		       ? r->session.sgen == w->ver + 1
		       : w->verb == CW_STORE_SESSION_RENEW && r->session.sgen == w->sgen;
}

static bool register_is(const struct cw_dht *dht, const struct record *r, const struct warrant *w,
			const struct record *have)
{
	uint64_t tag = w->sgen == 0 ? w->rid.incarnation : w->sgen;
	uint8_t value[32];

	if (!cw_node_id_equal(&r->reg.owner, &w->rid.node) || r->reg.tag != tag)
		return false;
	/* What it holds was judged with the version that brought it. Ours of that number may be
	 * another, of a ballot that lost: it says nothing about this one. */
	if (w->verb == CW_STORE_REG_RENEW)
		return r->gen == w->gen && same_rid(&r->rid, &w->rid) &&
		       (have == NULL || have->kind != RECORD_REGISTER || have->ver != r->ver ||
			(!same_rid(&have->hist[0].rid, &r->hist[0].rid) &&
			 dht->config.mutate != CW_DHT_MUT_OLDJUDGE) ||
			(have->reg.len == r->reg.len &&
			 memcmp(have->reg.value, r->reg.value, r->reg.len) == 0));
	dht->config.digest.sha256(r->reg.value, r->reg.len, value);
	if (r->ver != w->ver + 1 || memcmp(value, w->content, sizeof(value)) != 0)
		return false;
	if (w->verb == CW_STORE_REG_CAS)
		return r->gen == w->gen;
	return (w->verb == CW_STORE_REG_CREATE || w->verb == CW_STORE_REG_TAKEOVER) &&
	       r->gen == w->ver + 1;
}

/* Entries of others, and what an entry says, are the leader's to judge (law.c). */
static bool mapping_is(const struct record *r, const struct warrant *w)
{
	if (r->ver != w->ver + 1 || !same_rid(&r->hist[0].rid, &w->rid))
		return false;
	for (unsigned int i = 0; i < r->mapping.entry_count; i++)
		if (cw_node_id_equal(&r->mapping.entries[i].node, &w->rid.node) &&
		    r->mapping.entries[i].sgen == w->sgen)
			return w->verb == CW_STORE_CLAIM || w->verb == CW_STORE_EDIT ||
			       w->verb == CW_STORE_SIGN_OFF;
	return w->verb == CW_STORE_EDIT || w->verb == CW_STORE_SIGN_OFF;
}

static bool hint_is(const struct cw_dht *dht, const struct record *r, const struct warrant *w,
		    uint8_t verb)
{
	uint8_t content[32];

	digest_hint(dht, r->ip, &r->client, content);
	return w->verb == verb && same_rid(&r->hist[0].rid, &w->rid) &&
	       memcmp(content, w->content, sizeof(content)) == 0;
}

static bool ns_is(const struct cw_dht *dht, const struct record *r, const struct warrant *w)
{
	uint8_t content[32];

	digest_ns(dht, &r->ns, content);
	/* A certificate that is not at hand here was seen by the leader. */
	return w->verb == CW_STORE_NS_PUT && r->ver == w->ver + 1 &&
	       memcmp(content, w->content, sizeof(content)) == 0 &&
	       may(dht, &w->rid.node, CW_DHT_RIGHT_OPERATE, r->ns.name) != CW_DHT_MAY_NOT;
}

/* Is the record what the warrant asks for? */
static bool is_asked_for(const struct cw_dht *dht, const struct record *r,
			 const struct record *have)
{
	const struct warrant *w = &r->warrant;

	switch (r->kind) {
	case RECORD_SESSION:
		return session_is(r, w);
	case RECORD_REGISTER:
		return register_is(dht, r, w, have);
	case RECORD_MAPPING:
		return mapping_is(r, w);
	case RECORD_CLIENT:
		return hint_is(dht, r, w, CW_STORE_CLIENT_PUT);
	case RECORD_NAME:
		return r->ver == w->ver + 1 && hint_is(dht, r, w, CW_STORE_NAME_CREATE);
	case RECORD_NS:
		return ns_is(dht, r, w);
	default:
		return false;
	}
}

bool record_warranted(struct cw_dht *dht, const struct record *r, const struct replica *have)
{
	const struct record *old = have != NULL ? &have->record : NULL;

	/* Our own log is believed: what is in it was judged when it came. */
	if (dht->config.keys == NULL || !dht->started || !r->held ||
	    dht->config.mutate == CW_DHT_MUT_NOWARRANT)
		return true;
	/* Written back as it is here: its signature was checked when it came. */
	if (is_asked_for(dht, r, old) &&
	    ((old != NULL && old->ver == r->ver && old->warrant.verb == r->warrant.verb &&
	      old->warrant.signature_len == r->warrant.signature_len &&
	      memcmp(old->warrant.signature, r->warrant.signature, r->warrant.signature_len) ==
		      0) ||
	     is_signed(dht, r->key, &r->warrant)))
		return true;
	dht->counts.unwarranted++;
	return false;
}
