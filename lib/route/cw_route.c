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
 * hold it; a number is reused only after its entry's grace period. What only control needs of an
 * entry stands in a second array of its chunk, so that a reader touches one cache line.
 *
 * Groups of next hops are changed in place, slot by slot: a packet finds the slot's gateway of
 * before or of after, and both take it.
 *
 * Invariant: at most 3/4 of the slots are used (live or tombstone), so every probe ends. Key 0
 * (0.0.0.0) cannot be stored; a slot's key 0 means empty.
 */
#include "cw_route.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN     1024u
#define CHUNK_ENTRIES CW_ROUTE_CHUNK_ENTRIES
#define CHUNKS_MAX    CW_ROUTE_CHUNKS_MAX
#define TOMBSTONE     CW_ROUTE_TOMBSTONE

/* Control's half of an entry. */
struct grave {
	struct cw_rcu_head rcu;
	uint32_t number;
	struct cw_route_table *table;
};

/* Control's half of a group. */
struct group_grave {
	struct cw_rcu_head rcu;
	struct cw_route_table *table;
	bool used;
};

struct cw_route_table {
	struct cw_route_index index; /* control: w; workers: r */
	struct grave *graves[CHUNKS_MAX];
	struct group_grave *group_graves;
	struct cw_rcu *rcu;
	uint32_t *free_numbers;
	uint32_t free_count, free_size, numbers; /* numbers: handed out so far */
	uint32_t live, used;			 /* slots: live, live or tombstone */
};

static struct cw_route_array *array_new(uint32_t slots)
{
	struct cw_route_array *a = NULL;

	if (posix_memalign((void **)&a, 64, sizeof(*a) + (size_t)slots * sizeof(uint64_t)) != 0)
		return NULL;
	memset(a, 0, sizeof(*a) + (size_t)slots * sizeof(uint64_t));
	a->mask = slots - 1;
	return a;
}

static void array_free(struct cw_rcu_head *head)
{
	free(CW_CONTAINER_OF(head, struct cw_route_array, rcu));
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
	t->index.array = array_new(slots);
	t->group_graves = calloc(CW_ROUTE_GROUPS_MAX, sizeof(*t->group_graves));
	/* Touched only as far as there are groups. */
	t->index.groups = aligned_alloc(64, CW_ROUTE_GROUPS_MAX * sizeof(struct cw_route_group));
	if (t->index.array == NULL || t->group_graves == NULL || t->index.groups == NULL) {
		cw_route_table_destroy(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

void cw_route_table_destroy(struct cw_route_table *table)
{
	if (table == NULL)
		return;
	for (unsigned int i = 0; i < CHUNKS_MAX; i++) {
		free(table->index.chunks[i]);
		free(table->graves[i]);
	}
	free(table->free_numbers);
	free(table->group_graves);
	free(table->index.groups);
	free(table->index.array);
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

		if (chunk >= CHUNKS_MAX)
			return -ENOMEM;
		if (t->graves[chunk] == NULL)
			t->graves[chunk] = calloc(CHUNK_ENTRIES, sizeof(struct grave));
		if (t->graves[chunk] == NULL ||
		    posix_memalign(&mem, 64, CHUNK_ENTRIES * sizeof(struct cw_route)) != 0)
			return -ENOMEM;
		t->index.chunks[chunk] = mem;
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
	struct grave *g = CW_CONTAINER_OF(head, struct grave, rcu);

	number_give(g->table, g->number);
}

/* Readers in a burst may hold the entry: its number is reused after the grace period. */
static void entry_retire(struct cw_route_table *t, uint32_t number)
{
	struct grave *g = &t->graves[number / CHUNK_ENTRIES][number % CHUNK_ENTRIES];

	g->number = number;
	g->table = t;
	cw_rcu_retire(t->rcu, &g->rcu, entry_free);
}

static uint64_t slot_of(rte_be32_t ip, uint32_t number)
{
	return (uint64_t)ip << 32 | number;
}

/* Slot that holds the key, or the first empty one of its chain. */
static uint32_t probe(const struct cw_route_array *a, rte_be32_t ip)
{
	uint32_t i = (uint32_t)(cw_route_slot(a, ip) - a->slots);

	while (a->slots[i] != 0 && a->slots[i] >> 32 != ip)
		i = (i + 1) & a->mask;
	return i;
}

/* A new array without tombstones, twice as large if the live ones need it. */
static int rebuild(struct cw_route_table *t)
{
	struct cw_route_array *old = t->index.array, *new;
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
	__atomic_store_n(&t->index.array, new, __ATOMIC_RELEASE);
	/* Workers in a burst may still probe the old array. */
	cw_rcu_retire(t->rcu, &old->rcu, array_free);
	return 0;
}

int cw_route_publish(struct cw_route_table *table, const struct cw_route *facts)
{
	uint32_t number, i;
	struct cw_route *e, *old = NULL;
	uint64_t before;
	int err;

	if (facts->ip == 0)
		return -EINVAL;
	if (table->used * 4 >= (table->index.array->mask + 1) * 3) {
		err = rebuild(table);
		if (err < 0)
			return err;
	}
	err = number_take(table, &number);
	if (err < 0)
		return err;
	e = cw_route_entry(&table->index, number);
	*e = *facts;
	i = probe(table->index.array, facts->ip);
	before = table->index.array->slots[i];
	if (before != 0 && (uint32_t)before != TOMBSTONE) {
		old = cw_route_entry(&table->index, (uint32_t)before);
		e->used_tsc = __atomic_load_n(&old->used_tsc, __ATOMIC_RELAXED);
	} else {
		table->live++;
		if (before == 0)
			table->used++;
	}
	/* The entry is whole before its slot names it. */
	__atomic_store_n(&table->index.array->slots[i], slot_of(facts->ip, number),
			 __ATOMIC_RELEASE);
	if (old != NULL)
		entry_retire(table, (uint32_t)before);
	return 0;
}

int cw_route_retire(struct cw_route_table *table, rte_be32_t ip)
{
	uint32_t i = probe(table->index.array, ip);
	uint64_t slot = table->index.array->slots[i];

	if (ip == 0 || slot == 0 || (uint32_t)slot == TOMBSTONE)
		return -ENOENT;
	/* The tombstone keeps its key, so only the same key takes it again: chains never change
	 * under a reader. */
	__atomic_store_n(&table->index.array->slots[i], slot_of(ip, TOMBSTONE), __ATOMIC_RELEASE);
	table->live--;
	entry_retire(table, (uint32_t)slot);
	return 0;
}

/* -- groups */

void cw_route_group_set(struct cw_route_table *table, uint16_t peer, uint16_t slots,
			const uint16_t *owner)
{
	struct cw_route_group *g = &table->index.groups[peer - CW_ROUTE_GROUP];

	CW_ASSERT(slots >= 1 && slots <= CW_ROUTE_GROUP_SLOTS);
	for (unsigned int i = 0; i < CW_ROUTE_GROUP_SLOTS; i++)
		__atomic_store_n(&g->peer[i], owner[i], __ATOMIC_RELAXED);
	__atomic_store_n(&g->slots, slots, __ATOMIC_RELAXED);
}

int cw_route_group_create(struct cw_route_table *table, uint16_t slots, uint16_t *peer)
{
	uint16_t nobody[CW_ROUTE_GROUP_SLOTS];
	unsigned int i = 0;

	while (i < CW_ROUTE_GROUPS_MAX && table->group_graves[i].used)
		i++;
	if (i == CW_ROUTE_GROUPS_MAX)
		return -ENOSPC;
	for (unsigned int k = 0; k < CW_ROUTE_GROUP_SLOTS; k++)
		nobody[k] = CW_ROUTE_GROUP_NOBODY;
	table->group_graves[i].used = true;
	table->group_graves[i].table = table;
	*peer = (uint16_t)(CW_ROUTE_GROUP + i);
	cw_route_group_set(table, *peer, slots, nobody);
	return 0;
}

static void group_free(struct cw_rcu_head *head)
{
	CW_CONTAINER_OF(head, struct group_grave, rcu)->used = false;
}

void cw_route_group_retire(struct cw_route_table *table, uint16_t peer)
{
	/* Readers in a burst may hold a route that names it. */
	cw_rcu_retire(table->rcu, &table->group_graves[peer - CW_ROUTE_GROUP].rcu, group_free);
}

struct cw_route *cw_route_probe(const struct cw_route_index *index, const struct cw_route_array *a,
				rte_be32_t ip)
{
	uint32_t i = (uint32_t)(cw_route_slot(a, ip) - a->slots);

	for (;;) {
		uint64_t slot = __atomic_load_n(&a->slots[i], __ATOMIC_ACQUIRE);

		if (slot == 0)
			return NULL;
		if (slot >> 32 == ip)
			return (uint32_t)slot == TOMBSTONE ? NULL
							   : cw_route_entry(index, (uint32_t)slot);
		i = (i + 1) & a->mask;
	}
}

struct cw_route *cw_route_find(const struct cw_route_table *table, rte_be32_t ip)
{
	return cw_route_probe(&table->index, cw_route_array_of(&table->index), ip);
}

const struct cw_route_index *cw_route_index_of(const struct cw_route_table *table)
{
	return &table->index;
}

void cw_route_find_bulk(const struct cw_route_table *table, const rte_be32_t *ip, unsigned int n,
			struct cw_route **out)
{
	const struct cw_route_array *a = cw_route_array_of(&table->index);

	for (unsigned int i = 0; i < n; i++)
		__builtin_prefetch(cw_route_slot(a, ip[i]));
	for (unsigned int i = 0; i < n; i++) {
		out[i] = cw_route_lookup(&table->index, a, ip[i]);
		__builtin_prefetch(out[i]);
	}
}

void cw_route_visit(const struct cw_route_table *table, cw_route_visit_fn visit, void *arg)
{
	const struct cw_route_array *a = table->index.array;

	for (uint32_t i = 0; i <= a->mask; i++)
		if (a->slots[i] != 0 && (uint32_t)a->slots[i] != TOMBSTONE)
			visit(arg, cw_route_entry(&table->index, (uint32_t)a->slots[i]));
}

unsigned int cw_route_count(const struct cw_route_table *table)
{
	return table->live;
}
