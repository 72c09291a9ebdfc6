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

/** Gateways of a remote site in one next-hop group (more than one comes with several gateways per
 * segment). */
#define CW_NEXTHOP_PEERS_MAX 1u

struct cw_route {
	struct cw_rcu_head rcu;
	rte_be32_t ip;
	uint8_t kind;	      /* enum cw_route_kind */
	uint16_t peer;	      /* REMOTE: index into the peer table (cw_peer.h) */
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
/** [worker] n <= 64. */
void cw_route_find_bulk(const struct cw_route_table *table, const rte_be32_t *ip, unsigned int n,
			struct cw_route **out);
typedef void (*cw_route_visit_fn)(void *arg, const struct cw_route *route);
/** [control] */
void cw_route_visit(const struct cw_route_table *table, cw_route_visit_fn visit, void *arg);
unsigned int cw_route_count(const struct cw_route_table *table);

#endif /* CW_ROUTE_H */
