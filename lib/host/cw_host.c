/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts of this site: two fixed hash tables, by IP and by DHCP client, over entries that are
 * replaced whole.
 *
 * Chains are singly linked through the entries; a worker that walks one sees either the old or the
 * new entry of a host. Replacing puts the new entry in the old one's place in its chain by one
 * store. The number of buckets is fixed at creation (sites have at most CW_HOST_MAX hosts), so
 * nothing ever moves.
 *
 * Invariant: an entry is in the IP table exactly once, and in the client table exactly once if it
 * has a client. A new entry takes the old one's place in each chain by one store, so a host that is
 * there is found at every moment.
 */
#include "cw_host.h"

#include <errno.h>
#include <stdlib.h>

struct node {
	struct cw_host host; /* first: the public pointer is the node */
	struct node *client_next;
	struct cw_host_table *table;
};

struct cw_host_table {
	struct cw_host_index index;
	struct node **by_client;
	struct cw_rcu *rcu;
	unsigned int count, max;
};

/* FNV-1a: client identifiers are short and this is not a worker's hot path per packet. */
static uint32_t client_bucket(const struct cw_host_table *t, const struct cw_client *c)
{
	uint32_t h = UINT32_C(2166136261) ^ c->kind;

	for (unsigned int i = 0; i < c->len; i++)
		h = (h ^ c->bytes[i]) * UINT32_C(16777619);
	return (h ^ h >> 15) & t->index.mask;
}

static bool same_client(const struct cw_client *a, const struct cw_client *b)
{
	return a->kind == b->kind && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

int cw_host_table_create(struct cw_host_table **out, struct cw_rcu *rcu, unsigned int hosts_max)
{
	struct cw_host_table *t = calloc(1, sizeof(*t));
	uint32_t buckets = 1024;

	if (t == NULL)
		return -ENOMEM;
	while (buckets < hosts_max)
		buckets *= 2;
	t->rcu = rcu;
	t->max = hosts_max;
	t->index.mask = buckets - 1;
	t->index.by_ip = calloc(buckets, sizeof(struct cw_host *));
	t->by_client = calloc(buckets, sizeof(struct node *));
	if (t->index.by_ip == NULL || t->by_client == NULL) {
		cw_host_table_destroy(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void cw_host_table_destroy(struct cw_host_table *table)
{
	if (table == NULL)
		return;
	for (uint32_t i = 0; table->index.by_ip != NULL && i <= table->index.mask; i++) {
		struct cw_host *n = table->index.by_ip[i];

		while (n != NULL) {
			struct cw_host *next = n->chain;

			free(n);
			n = next;
		}
	}
	free(table->index.by_ip);
	free(table->by_client);
	free(table);
}

/* Only ever forward: a worker may be writing a later mark. */
static void raise_mark(uint64_t *mark, uint64_t to)
{
	uint64_t is = __atomic_load_n(mark, __ATOMIC_RELAXED);

	while (is < to && !__atomic_compare_exchange_n(mark, &is, to, true, __ATOMIC_RELAXED,
						       __ATOMIC_RELAXED))
		;
}

/* Its grace period is over. A worker that held it may have sent an ACK after its successor was
 * published: the mark goes on to whoever has the address now, else a lease would be forgotten. */
static void node_free(struct cw_rcu_head *head)
{
	struct node *old = CW_CONTAINER_OF(head, struct node, host.rcu);
	struct cw_host *now = cw_host_by_ip(old->table, old->host.ip);

	if (now != NULL) {
		raise_mark(&now->acked_tsc, old->host.acked_tsc);
		raise_mark(&now->heard_tsc, old->host.heard_tsc);
	}
	free(old);
}

/* The place that points to this IP's node, or the end of its chain. */
static struct cw_host **ip_place(struct cw_host_table *t, rte_be32_t ip)
{
	struct cw_host **at = cw_host_bucket(&t->index, ip);

	while (*at != NULL && (*at)->ip != ip)
		at = &(*at)->chain;
	return at;
}

static struct node *node_of(struct cw_host *host)
{
	return (struct node *)(void *)host;
}

/* The place that points to this node in its client's chain, or the end of it. */
static struct node **client_place(struct cw_host_table *t, const struct node *n)
{
	struct node **at = &t->by_client[client_bucket(t, &n->host.client)];

	while (*at != NULL && *at != n)
		at = &(*at)->client_next;
	return at;
}

static void client_unlink(struct cw_host_table *t, struct node *n)
{
	struct node **at = client_place(t, n);

	if (*at == n)
		__atomic_store_n(at, n->client_next, __ATOMIC_RELEASE);
}

/* With the same client the new one takes the old one's very place: put in front of the chain, it
 * could be missed by a reader that is past the front already and finds the old one gone. */
static void client_link(struct cw_host_table *t, struct node *n, struct node *old)
{
	struct node **at = &t->by_client[client_bucket(t, &n->host.client)];

	if (n->host.client.len == 0) {
		if (old != NULL)
			client_unlink(t, old);
		return;
	}
	if (old != NULL && same_client(&old->host.client, &n->host.client)) {
		at = client_place(t, old);
		n->client_next = old->client_next;
		__atomic_store_n(at, n, __ATOMIC_RELEASE);
		return;
	}
	n->client_next = *at;
	__atomic_store_n(at, n, __ATOMIC_RELEASE);
	if (old != NULL)
		client_unlink(t, old);
}

int cw_host_publish(struct cw_host_table *table, const struct cw_host *facts)
{
	struct cw_host **place = ip_place(table, facts->ip);
	struct node *old = node_of(*place), *n = NULL;

	if (old == NULL && table->count >= table->max)
		return -ENOSPC;
	if (posix_memalign((void **)&n, 64, sizeof(*n)) != 0)
		return -ENOSPC;
	n->host = *facts;
	n->host.chain = old != NULL ? old->host.chain : NULL;
	n->client_next = NULL;
	n->table = table;
	if (old != NULL) {
		/* A lease or a sign of life noted on the old entry must not be lost. */
		n->host.acked_tsc = cw_max_u64(
			facts->acked_tsc, __atomic_load_n(&old->host.acked_tsc, __ATOMIC_RELAXED));
		n->host.heard_tsc = cw_max_u64(
			facts->heard_tsc, __atomic_load_n(&old->host.heard_tsc, __ATOMIC_RELAXED));
	} else {
		table->count++;
	}
	__atomic_store_n(place, &n->host, __ATOMIC_RELEASE);
	client_link(table, n, old);
	/* Workers in a burst may hold it. */
	if (old != NULL)
		cw_rcu_retire(table->rcu, &old->host.rcu, node_free);
	return 0;
}

int cw_host_retire(struct cw_host_table *table, rte_be32_t ip)
{
	struct cw_host **place = ip_place(table, ip);
	struct node *n = node_of(*place);

	if (n == NULL)
		return -ENOENT;
	__atomic_store_n(place, n->host.chain, __ATOMIC_RELEASE);
	client_unlink(table, n);
	table->count--;
	/* Workers in a burst may hold it. */
	cw_rcu_retire(table->rcu, &n->host.rcu, node_free);
	return 0;
}

struct cw_host *cw_host_by_ip(const struct cw_host_table *table, rte_be32_t ip)
{
	return cw_host_find(&table->index, ip);
}

const struct cw_host_index *cw_host_index_of(const struct cw_host_table *table)
{
	return &table->index;
}

struct cw_host *cw_host_by_client(const struct cw_host_table *table, const struct cw_client *client)
{
	struct node *n =
		__atomic_load_n(&table->by_client[client_bucket(table, client)], __ATOMIC_ACQUIRE);

	while (n != NULL && !same_client(&n->host.client, client))
		n = __atomic_load_n(&n->client_next, __ATOMIC_ACQUIRE);
	return n == NULL ? NULL : &n->host;
}

void cw_host_visit(const struct cw_host_table *table, cw_host_visit_fn visit, void *arg)
{
	for (uint32_t i = 0; i <= table->index.mask; i++)
		for (struct cw_host *h = table->index.by_ip[i]; h != NULL; h = h->chain)
			visit(arg, h);
}

unsigned int cw_host_count(const struct cw_host_table *table)
{
	return table->count;
}
