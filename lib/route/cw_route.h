/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_ROUTE_H
#define CW_ROUTE_H

/**
 * @file
 * Virtual IP -> next-hop group: the table every packet asks.
 *
 * A flat open-addressing table of 8-byte {key, index} slots; one atomic 64-bit store publishes a
 * mapping, readers never lock, growth builds a new table that is swapped in; the old one and every
 * entry are freed after a grace period (design.md section 6). Looked up in bursts with prefetch.
 * Control writes at up to 10 k changes/s beside the readers.
 */
#include <cw_rcu.h>
#include <cw_types.h>

struct cw_route_table;

enum cw_route_kind {
	CW_ROUTE_REMOTE, /* behind another site's gateways */
	CW_ROUTE_LOCAL,	 /* a host of this site (bound here or at a fellow): ARP is silent, the
			    switch carries it */
	CW_ROUTE_NONE,	 /* known to be held by nobody, until expires_tsc */
};

/** A site with several gateways is a group of next hops, one per slot of the *source* (design.md
 * section 11): all mappings of the site name the group, so one store per slot moves them all. */
#define CW_ROUTE_GROUP	      0x8000u /* `peer` of an entry: from here on a group's number */
#define CW_ROUTE_GROUPS_MAX   4096u   /* sites with several gateways that are in use */
#define CW_ROUTE_GROUP_SLOTS  64u
#define CW_ROUTE_GROUP_NOBODY UINT16_MAX

struct cw_route_group {
	uint16_t peer[CW_ROUTE_GROUP_SLOTS]; /* control: w, worker: r, both relaxed atomic */
	uint16_t slots;			     /* of the site; likewise */
} CW_CACHE_ALIGNED;

/** One cache line: a lookup touches a slot and this. */
struct cw_route {
	rte_be32_t ip;
	uint8_t kind;	      /* enum cw_route_kind */
	uint16_t peer;	      /* REMOTE: index into the peer table (cw_peer.h), or of a group */
	uint64_t gen;	      /* of the mapping: only a higher one replaces another owner */
	uint64_t expires_tsc; /* past it the packet is punted again (negative and cached entries) */
	uint8_t site[8]; /* owner's site: admission from the WAN compares it with the sealing peer's
			  */
	uint64_t used_tsc; /* worker: coarse mark of last use; control: what is unused is not
			      refreshed */
};

CW_MUST_USE int cw_route_table_create(struct cw_route_table **out, struct cw_rcu *rcu,
				      unsigned int mappings_hint);
void cw_route_table_destroy(struct cw_route_table *table);

/** Insert or replace. [control] @return 0, -ENOMEM. */
CW_MUST_USE int cw_route_publish(struct cw_route_table *table, const struct cw_route *facts);
/** [control] @return 0 or -ENOENT. */
int cw_route_retire(struct cw_route_table *table, rte_be32_t ip);

/** [worker] [control] NULL if unknown. Valid until the next quiescent state. */
struct cw_route *cw_route_find(const struct cw_route_table *table, rte_be32_t ip);
/** Slots of the table at one time: {IPv4 key, entry number}. Valid until the next quiescent state.
 */
struct cw_route_array {
	struct cw_rcu_head rcu;
	uint32_t mask;
	uint64_t slots[]; /* key << 32 | entry */
};

#define CW_ROUTE_CHUNK_ENTRIES 4096u
#define CW_ROUTE_CHUNKS_MAX    4096u /* 16 M entries: design.md section 6 plans 10 M */
#define CW_ROUTE_TOMBSTONE     UINT32_MAX

/** What workers read of the table, for lookups inlined into loops over a burst. */
struct cw_route_index {
	struct cw_route_array *array;
	struct cw_route *chunks[CW_ROUTE_CHUNKS_MAX];
	struct cw_route_group *groups; /* CW_ROUTE_GROUPS_MAX, for the table's life */
};

const struct cw_route_index *cw_route_index_of(const struct cw_route_table *table);

/** [worker] The slots of this turn. */
static inline const struct cw_route_array *cw_route_array_of(const struct cw_route_index *index)
{
	return __atomic_load_n(&index->array, __ATOMIC_ACQUIRE);
}

/** Where the search for a key begins: prefetch it before. */
static inline const uint64_t *cw_route_slot(const struct cw_route_array *a, rte_be32_t ip)
{
	uint32_t h = (uint32_t)ip * UINT32_C(0x9E3779B1);

	return &a->slots[(h ^ h >> 15) & a->mask];
}

static inline struct cw_route *cw_route_entry(const struct cw_route_index *index, uint32_t number)
{
	return &index->chunks[number / CW_ROUTE_CHUNK_ENTRIES][number % CW_ROUTE_CHUNK_ENTRIES];
}

/** The search behind the first slot of a key. */
struct cw_route *cw_route_probe(const struct cw_route_index *index, const struct cw_route_array *a,
				rte_be32_t ip);

/** [worker] As cw_route_lookup, where the search begins being known. */
static inline struct cw_route *cw_route_lookup_at(const struct cw_route_index *index,
						  const struct cw_route_array *a,
						  const uint64_t *at, rte_be32_t ip)
{
	uint64_t slot = __atomic_load_n(at, __ATOMIC_ACQUIRE);

	if (CW_LIKELY(slot >> 32 == ip && (uint32_t)slot != CW_ROUTE_TOMBSTONE && ip != 0))
		return cw_route_entry(index, (uint32_t)slot);
	return cw_route_probe(index, a, ip);
}

/** [worker] As cw_route_find, without touching the entry. */
static inline struct cw_route *cw_route_lookup(const struct cw_route_index *index,
					       const struct cw_route_array *a, rte_be32_t ip)
{
	return cw_route_lookup_at(index, a, cw_route_slot(a, ip), ip);
}

/** [worker] Who gets a packet of this source: index into the peer table, or
 * CW_ROUTE_GROUP_NOBODY. */
static inline uint16_t cw_route_peer(const struct cw_route_index *index,
				     const struct cw_route *route, rte_be32_t source)
{
	const struct cw_route_group *g;

	if (CW_LIKELY(route->peer < CW_ROUTE_GROUP || route->peer == CW_ROUTE_GROUP_NOBODY))
		return route->peer;
	g = &index->groups[route->peer - CW_ROUTE_GROUP];
	return __atomic_load_n(
		&g->peer[cw_slot_of(source, __atomic_load_n(&g->slots, __ATOMIC_RELAXED))],
		__ATOMIC_RELAXED);
}

/** A group without next hops. [control] @param peer out: what routes name it by
 * @return 0, -ENOSPC: packets go to the mapping's own gateway then */
CW_MUST_USE int cw_route_group_create(struct cw_route_table *table, uint16_t slots, uint16_t *peer);
/** [control] @param owner peer per slot, CW_ROUTE_GROUP_SLOTS of them */
void cw_route_group_set(struct cw_route_table *table, uint16_t peer, uint16_t slots,
			const uint16_t *owner);
/** [control] No published route names it any more; its number is given anew after a grace period.
 */
void cw_route_group_retire(struct cw_route_table *table, uint16_t peer);

/** [worker] A burst: both halves, all slots and then all entries prefetched. n <= 64. */
void cw_route_find_bulk(const struct cw_route_table *table, const rte_be32_t *ip, unsigned int n,
			struct cw_route **out);
typedef void (*cw_route_visit_fn)(void *arg, const struct cw_route *route);
/** [control] */
void cw_route_visit(const struct cw_route_table *table, cw_route_visit_fn visit, void *arg);
unsigned int cw_route_count(const struct cw_route_table *table);

#endif /* CW_ROUTE_H */
