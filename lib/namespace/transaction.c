/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exchanges under way: the client's message, kept whole while the store or the disk is asked.
 *
 * One exchange per client and kind of message at a time, TRANSACTIONS_MAX in all; beyond, the
 * client's own retry is the queue. How often a client was turned away is remembered in a table of
 * fixed size in which one client may overwrite another: it only decides how long its old address
 * is preferred to a new one.
 */
#include "internal.h"

#include <stdlib.h>

static bool keep(struct transaction *t, struct cw_dhcp_view *view, size_t *at)
{
	if (view->data == NULL)
		return true;
	if (*at + view->len > sizeof(t->storage))
		return false;
	memcpy(t->storage + *at, view->data, view->len);
	view->data = t->storage + *at;
	*at += view->len;
	return true;
}

static struct transaction **bucket_of(struct cw_lease_engine *e, const uint8_t chaddr[16],
				      uint8_t type)
{
	uint32_t h = UINT32_C(2166136261) ^ type;

	for (unsigned int i = 0; i < 16; i++)
		h = (h ^ chaddr[i]) * UINT32_C(16777619);
	return &e->transactions[(h ^ h >> 15) % TRANSACTION_BUCKETS];
}

static struct transaction *allocate(struct cw_lease_engine *e)
{
	struct transaction *t = e->free_transactions;

	if (t != NULL) {
		e->free_transactions = t->next;
		return t;
	}
	if (e->transaction_count >= TRANSACTIONS_MAX)
		return NULL;
	t = malloc(sizeof(*t));
	if (t != NULL)
		e->transaction_count++;
	return t;
}

static void identify(struct transaction *t)
{
	struct cw_lease_engine *e = t->e;
	struct cw_client client;

	if (!cw_dhcp_client(&t->m, &client)) {
		/* Longer than tables hold: its digest stands for it. */
		client = (struct cw_client){.kind = 2, .len = 32};
		e->config.digest.sha256(t->m.client_id.data, t->m.client_id.len, client.bytes);
	}
	identity_of(e, &client, NULL, &t->who);
	t->has_twin = identity_has_twin(&client, &t->m.chaddr);
	if (t->has_twin)
		identity_of(e, &client, &t->m.chaddr, &t->twin);
}

struct transaction *transaction_new(struct cw_lease_engine *e, const struct cw_dhcp_message *m,
				    const struct cw_mac *ether_src, uint16_t vlan)
{
	struct transaction **bucket = bucket_of(e, m->chaddr_raw, m->type), *t = *bucket;
	size_t at = 0;

	while (t != NULL && (t->m.type != m->type ||
			     memcmp(t->m.chaddr_raw, m->chaddr_raw, sizeof(m->chaddr_raw)) != 0))
		t = t->next;
	if (t != NULL)
		return NULL; /* a repeat while it is under way adds nothing */
	t = allocate(e);
	if (t == NULL)
		return NULL;
	memset(t, 0, offsetof(struct transaction, storage));
	t->e = e;
	t->m = *m;
	t->ether_src = *ether_src;
	t->vlan = vlan;
	if (!keep(t, &t->m.client_id, &at) || !keep(t, &t->m.host_name, &at) ||
	    !keep(t, &t->m.parameters, &at) || !keep(t, &t->m.relay_info, &at) ||
	    !keep(t, &t->m.vendor_class, &at) || !keep(t, &t->m.user_class, &at)) {
		t->next = e->free_transactions;
		e->free_transactions = t;
		return NULL;
	}
	identify(t);
	t->next = *bucket;
	*bucket = t;
	return t;
}

void transaction_free(struct transaction *t)
{
	struct cw_lease_engine *e = t->e;
	struct transaction **at = bucket_of(e, t->m.chaddr_raw, t->m.type);

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	t->next = e->free_transactions;
	e->free_transactions = t;
}

void transactions_free(struct cw_lease_engine *e)
{
	for (unsigned int i = 0; i < TRANSACTION_BUCKETS; i++)
		while (e->transactions[i] != NULL)
			transaction_free(e->transactions[i]);
	while (e->free_transactions != NULL) {
		struct transaction *t = e->free_transactions;

		e->free_transactions = t->next;
		free(t);
	}
}

void serve_reply(struct cw_lease_engine *e, const struct transaction *t, enum cw_dhcp_type type,
		 rte_be32_t yiaddr, uint32_t lease_s)
{
	e->ops.reply(e->ctx, &t->m, &t->ether_src, t->vlan, type, yiaddr, lease_s, e->now_ns);
}

uint32_t refusal_count(struct cw_lease_engine *e, const struct transaction *t, uint64_t salt)
{
	uint64_t key, mac = 0;
	struct refusal *r;

	memcpy(&key, t->who.hash.b, sizeof(key));
	memcpy(&mac, t->m.chaddr.b, sizeof(t->m.chaddr.b));
	key ^= (mac ^ salt) * UINT64_C(0x9E3779B97F4A7C15);
	r = &e->refusals[(key >> 32) % REFUSAL_SLOTS];
	if (r->key != key || e->now_ns >= r->until_ns)
		*r = (struct refusal){.key = key};
	r->until_ns = e->now_ns + REFUSAL_NS;
	return ++r->count;
}
