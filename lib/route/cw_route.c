/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The route table: a flat open-addressing array of 8-byte slots, {IPv4 key, entry number}, and an
 * array of entries.
 *
 * A mapping is published by one atomic 64-bit store of its slot; readers load a slot once and never
 * lock. Probing is linear within the array; a deleted slot becomes a tombstone that keeps its key,
 * so that only the same key takes it again and chains never change under a reader. Growth, and
 * cleaning when tombstones pile up, build a new array that is swapped in by one pointer store; old
 * array and replaced entries are retired.
 *
 * Entries live in fixed chunks that never move, so a slot's number stays valid while any reader may
 * hold it; a number is reused only after its entry's grace period.
 *
 * Invariant: at most 3/4 of the slots are used (live or tombstone), so every probe ends. Key 0
 * (0.0.0.0) cannot be stored; a slot's key 0 means empty.
 */
#include "cw_route.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN      1024u
#define CHUNK_ENTRIES  4096u
#define CHUNKS_MAX     4096u /* 16 M entries: design.md section 6 plans 10 M */
#define TOMBSTONE      UINT32_MAX
#define PREFETCH_BURST 64u

struct array {
	struct cw_rcu_head rcu;
	uint32_t mask;
	uint64_t slots[]; /* key << 32 | entry */
};

struct entry {
	struct cw_route route; /* first: the public pointer is the entry */
	uint32_t number;
	struct cw_route_table *table;
} CW_CACHE_ALIGNED;

struct cw_route_table {
	struct array *array; /* control: w; workers: r, by consume */
	struct entry *chunks[CHUNKS_MAX];
	struct cw_rcu *rcu;
	uint32_t *free_numbers;
	uint32_t free_count, free_size, numbers; /* numbers: handed out so far */
	uint32_t live, used;			 /* slots: live, live or tombstone */
};

static uint32_t hash_ip(rte_be32_t ip)
{
	uint32_t h = (uint32_t)ip * UINT32_C(0x9E3779B1);

	return h ^ h >> 15;
}

static struct entry *entry_at(const struct cw_route_table *t, uint32_t number)
{
	return &t->chunks[number / CHUNK_ENTRIES][number % CHUNK_ENTRIES];
}

static struct array *array_new(uint32_t slots)
{
	struct array *a = NULL;

	if (posix_memalign((void **)&a, 64, sizeof(*a) + (size_t)slots * sizeof(uint64_t)) != 0)
		return NULL;
	memset(a, 0, sizeof(*a) + (size_t)slots * sizeof(uint64_t));
	a->mask = slots - 1;
	return a;
}

static void array_free(struct cw_rcu_head *head)
{
	free(CW_CONTAINER_OF(head, struct array, rcu));
}

int cw_route_table_create(struct cw_route_table **out, struct cw_rcu *rcu,
			  unsigned int mappings_hint)
{
	struct cw_route_table *t = calloc(1, sizeof(*t));
	uint32_t slots = SLOTS_MIN;

	if (t == NULL)
		return -ENOMEM;
	while (slots < mappings_hint * 2 && slots < 1u << 30)
		slots *= 2;
	t->rcu = rcu;
	t->array = array_new(slots);
	if (t->array == NULL) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void cw_route_table_destroy(struct cw_route_table *table)
{
	if (table == NULL)
		return;
	for (unsigned int i = 0; i < CHUNKS_MAX; i++)
		free(table->chunks[i]);
	free(table->free_numbers);
	free(table->array);
	free(table);
}

static int number_take(struct cw_route_table *t, uint32_t *number)
{
	if (t->free_count > 0) {
		*number = t->free_numbers[--t->free_count];
		return 0;
	}
	if (t->numbers % CHUNK_ENTRIES == 0) {
		uint32_t chunk = t->numbers / CHUNK_ENTRIES;
		void *mem = NULL;

		if (chunk >= CHUNKS_MAX ||
		    posix_memalign(&mem, 64, CHUNK_ENTRIES * sizeof(struct entry)) != 0)
			return -ENOMEM;
		t->chunks[chunk] = mem;
	}
	*number = t->numbers++;
	return 0;
}

static void number_give(struct cw_route_table *t, uint32_t number)
{
	if (t->free_count == t->free_size) {
		uint32_t size = t->free_size ? t->free_size * 2 : 1024;
		uint32_t *grown = realloc(t->free_numbers, size * sizeof(*grown));

		/* Out of memory: the number stays unused, nothing else is lost. */
		if (grown == NULL)
			return;
		t->free_numbers = grown;
		t->free_size = size;
	}
	t->free_numbers[t->free_count++] = number;
}

static void entry_free(struct cw_rcu_head *head)
{
	struct entry *e = CW_CONTAINER_OF(head, struct entry, route.rcu);

	number_give(e->table, e->number);
}

static uint64_t slot_of(rte_be32_t ip, uint32_t number)
{
	return (uint64_t)ip << 32 | number;
}

/* Slot that holds the key, or the first empty one of its chain. */
static uint32_t probe(const struct array *a, rte_be32_t ip)
{
	uint32_t i = hash_ip(ip) & a->mask;

	while (a->slots[i] != 0 && a->slots[i] >> 32 != ip)
		i = (i + 1) & a->mask;
	return i;
}

/* A new array without tombstones, twice as large if the live ones need it. */
static int rebuild(struct cw_route_table *t)
{
	struct array *old = t->array, *new;
	uint32_t slots = old->mask + 1;

	if (t->live * 2 >= slots)
		slots *= 2;
	new = array_new(slots);
	if (new == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i <= old->mask; i++) {
		uint64_t slot = old->slots[i];

		if (slot != 0 && (uint32_t)slot != TOMBSTONE)
			new->slots[probe(new, (rte_be32_t)(slot >> 32))] = slot;
	}
	t->used = t->live;
	__atomic_store_n(&t->array, new, __ATOMIC_RELEASE);
	/* Workers in a burst may still probe the old array. */
	cw_rcu_retire(t->rcu, &old->rcu, array_free);
	return 0;
}

int cw_route_publish(struct cw_route_table *table, const struct cw_route *facts)
{
	uint32_t number, i;
	struct entry *e, *old = NULL;
	uint64_t before;
	int err;

	if (facts->ip == 0)
		return -EINVAL;
	if (table->used * 4 >= (table->array->mask + 1) * 3) {
		err = rebuild(table);
		if (err < 0)
			return err;
	}
	err = number_take(table, &number);
	if (err < 0)
		return err;
	e = entry_at(table, number);
	e->route = *facts;
	e->number = number;
	e->table = table;
	i = probe(table->array, facts->ip);
	before = table->array->slots[i];
	if (before != 0 && (uint32_t)before != TOMBSTONE) {
		old = entry_at(table, (uint32_t)before);
		e->route.used_tsc = __atomic_load_n(&old->route.used_tsc, __ATOMIC_RELAXED);
	} else {
		table->live++;
		if (before == 0)
			table->used++;
	}
	/* The entry is whole before its slot names it. */
	__atomic_store_n(&table->array->slots[i], slot_of(facts->ip, number), __ATOMIC_RELEASE);
	if (old != NULL)
		cw_rcu_retire(table->rcu, &old->route.rcu, entry_free);
	return 0;
}

int cw_route_retire(struct cw_route_table *table, rte_be32_t ip)
{
	uint32_t i = probe(table->array, ip);
	uint64_t slot = table->array->slots[i];

	if (ip == 0 || slot == 0 || (uint32_t)slot == TOMBSTONE)
		return -ENOENT;
	/* The tombstone keeps its key, so only the same key takes it again: chains never change
	 * under a reader. */
	__atomic_store_n(&table->array->slots[i], slot_of(ip, TOMBSTONE), __ATOMIC_RELEASE);
	table->live--;
	cw_rcu_retire(table->rcu, &entry_at(table, (uint32_t)slot)->route.rcu, entry_free);
	return 0;
}

static struct cw_route *find_in(const struct cw_route_table *t, const struct array *a,
				rte_be32_t ip)
{
	uint32_t i = hash_ip(ip) & a->mask;

	for (;;) {
		uint64_t slot = __atomic_load_n(&a->slots[i], __ATOMIC_ACQUIRE);

		if (slot == 0)
			return NULL;
		if (slot >> 32 == ip)
			return (uint32_t)slot == TOMBSTONE ? NULL
							   : &entry_at(t, (uint32_t)slot)->route;
		i = (i + 1) & a->mask;
	}
}

struct cw_route *cw_route_find(const struct cw_route_table *table, rte_be32_t ip)
{
	return find_in(table, __atomic_load_n(&table->array, __ATOMIC_ACQUIRE), ip);
}

void cw_route_find_bulk(const struct cw_route_table *table, const rte_be32_t *ip, unsigned int n,
			struct cw_route **out)
{
	const struct array *a = __atomic_load_n(&table->array, __ATOMIC_ACQUIRE);
	uint32_t at[PREFETCH_BURST];

	for (unsigned int i = 0; i < n; i++) {
		at[i] = hash_ip(ip[i]) & a->mask;
		__builtin_prefetch(&a->slots[at[i]]);
	}
	for (unsigned int i = 0; i < n; i++) {
		out[i] = find_in(table, a, ip[i]);
		__builtin_prefetch(out[i]);
	}
}

void cw_route_visit(const struct cw_route_table *table, cw_route_visit_fn visit, void *arg)
{
	const struct array *a = table->array;

	for (uint32_t i = 0; i <= a->mask; i++)
		if (a->slots[i] != 0 && (uint32_t)a->slots[i] != TOMBSTONE)
			visit(arg, &entry_at(table, (uint32_t)a->slots[i])->route);
}

unsigned int cw_route_count(const struct cw_route_table *table)
{
	return table->live;
}
