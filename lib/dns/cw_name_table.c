/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two hash tables over the same entries, by label and by address, chained, read under RCU.
 *
 * The size is fixed at creation (control knows how many names a site can have). Labels are hashed
 * with a seed: hosts choose their names.
 *
 * Invariant: an entry is linked in both chains or in neither; it is freed one grace period after it
 * left both.
 */
#include "cw_name_table.h"

#include <errno.h>
#include <stdlib.h>

/* A cache line has all that a search by address looks at, the next one the label. */
struct node {
	struct node *label_next, *ip_next;
	struct cw_name name;
} CW_CACHE_ALIGNED;

static bool has_label(const struct node *n, const char *label, size_t len)
{
	return memcmp(n->name.label, label, len) == 0 && n->name.label[len] == '\0';
}

struct cw_name_table {
	struct cw_rcu *rcu;
	struct node **by_label, **by_ip;
	uint32_t mask;
	uint64_t seed;
	unsigned int count, max;
};

static uint32_t label_bucket(const struct cw_name_table *t, const char *label, size_t len)
{
	uint64_t h = t->seed ^ len;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, label + i, len - i < 8 ? len - i : 8);
		h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
		h ^= h >> 29;
	}
	return (uint32_t)(h >> 32) & t->mask;
}

static uint32_t ip_bucket(const struct cw_name_table *t, rte_be32_t ip)
{
	return (uint32_t)((rte_be_to_cpu_32(ip) * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & t->mask;
}

int cw_name_table_create(struct cw_name_table **out, struct cw_rcu *rcu, unsigned int names_max,
			 uint64_t seed)
{
	struct cw_name_table *t = calloc(1, sizeof(*t));
	uint32_t buckets = 64;

	if (t == NULL)
		return -ENOMEM;
	while (buckets < names_max)
		buckets *= 2;
	t->rcu = rcu;
	t->max = names_max;
	t->mask = buckets - 1;
	t->seed = seed;
	t->by_label = calloc(buckets, sizeof(struct node *));
	t->by_ip = calloc(buckets, sizeof(struct node *));
	if (t->by_label == NULL || t->by_ip == NULL) {
		cw_name_table_destroy(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void cw_name_table_destroy(struct cw_name_table *table)
{
	if (table == NULL)
		return;
	for (uint32_t i = 0; table->by_label != NULL && i <= table->mask; i++) {
		struct node *n = table->by_label[i];

		while (n != NULL) {
			struct node *next = n->label_next;

			free(n);
			n = next;
		}
	}
	free(table->by_label);
	free(table->by_ip);
	free(table);
}

static void node_free(struct cw_rcu_head *head)
{
	free(CW_CONTAINER_OF(head, struct node, name.rcu));
}

/* The place that points to this label's node, or the end of its chain. */
static struct node **label_place(struct cw_name_table *t, const char *label, size_t len)
{
	struct node **at = &t->by_label[label_bucket(t, label, len)];

	while (*at != NULL && !has_label(*at, label, len))
		at = &(*at)->label_next;
	return at;
}

static void ip_unlink(struct cw_name_table *t, struct node *n)
{
	struct node **at = &t->by_ip[ip_bucket(t, n->name.ip)];

	while (*at != NULL && *at != n)
		at = &(*at)->ip_next;
	if (*at == n)
		__atomic_store_n(at, n->ip_next, __ATOMIC_RELEASE);
}

int cw_name_publish(struct cw_name_table *table, const struct cw_name *facts)
{
	size_t len = strnlen(facts->label, sizeof(facts->label) - 1);
	struct node **place = label_place(table, facts->label, len);
	struct node *old = *place, *n, **bucket;

	if (old == NULL && table->count >= table->max)
		return -ENOSPC;
	n = aligned_alloc(_Alignof(struct node), sizeof(*n));
	if (n == NULL)
		return -ENOSPC;
	memset(n, 0, sizeof(*n));
	n->name = *facts;
	n->label_next = old != NULL ? old->label_next : NULL;
	if (old != NULL) {
		n->name.used_tsc = cw_max_u64(
			facts->used_tsc, __atomic_load_n(&old->name.used_tsc, __ATOMIC_RELAXED));
		ip_unlink(table, old);
	} else {
		table->count++;
	}
	__atomic_store_n(place, n, __ATOMIC_RELEASE);
	if (facts->ip != 0) {
		bucket = &table->by_ip[ip_bucket(table, facts->ip)];
		n->ip_next = *bucket;
		__atomic_store_n(bucket, n, __ATOMIC_RELEASE);
	}
	if (old != NULL) /* Workers in a burst may hold it. */
		cw_rcu_retire(table->rcu, &old->name.rcu, node_free);
	return 0;
}

int cw_name_retire(struct cw_name_table *table, const char *label)
{
	struct node **place = label_place(table, label, strnlen(label, CW_NAME_LABEL_BYTES - 1));
	struct node *n = *place;

	if (n == NULL)
		return -ENOENT;
	__atomic_store_n(place, n->label_next, __ATOMIC_RELEASE);
	ip_unlink(table, n);
	table->count--;
	/* Workers in a burst may hold it. */
	cw_rcu_retire(table->rcu, &n->name.rcu, node_free);
	return 0;
}

struct cw_name *cw_name_find(const struct cw_name_table *table, const char *label, size_t len)
{
	struct node *n = __atomic_load_n(&table->by_label[label_bucket(table, label, len)],
					 __ATOMIC_ACQUIRE);

	while (n != NULL && !has_label(n, label, len))
		n = __atomic_load_n(&n->label_next, __ATOMIC_ACQUIRE);
	return n == NULL ? NULL : &n->name;
}

struct cw_name *cw_name_by_ip(const struct cw_name_table *table, rte_be32_t ip)
{
	struct node *n = __atomic_load_n(&table->by_ip[ip_bucket(table, ip)], __ATOMIC_ACQUIRE);
	struct node *found = NULL;

	for (; n != NULL; n = __atomic_load_n(&n->ip_next, __ATOMIC_ACQUIRE))
		if (n->name.ip == ip && (found == NULL || n->name.is_local))
			found = n;
	return found == NULL ? NULL : &found->name;
}

void cw_name_visit(const struct cw_name_table *table, cw_name_visit_fn visit, void *arg)
{
	for (uint32_t i = 0; i <= table->mask; i++)
		for (struct node *n = table->by_label[i]; n != NULL; n = n->label_next)
			visit(arg, &n->name);
}

unsigned int cw_name_count(const struct cw_name_table *table)
{
	return table->count;
}
