/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_HOST_H
#define CW_HOST_H

/**
 * @file
 * Hosts of this site, as workers see them: who may send from an address, whom DHCP is answered for.
 *
 * Control publishes, replaces and retires whole entries; workers look up by IP (guard, WAN to LAN
 * rewrite) and by client (DHCP). An entry is immutable but for the fields marked so. A pointer that
 * a worker got is valid until its next quiescent state. Addresses big endian, VLAN host order.
 */
#include <cw_rcu.h>
#include <cw_types.h>

struct cw_host_table;

/** Hosts a site may have; sizes the tables (design.md section 6). */
#define CW_HOST_MAX 65536u

/** Client identifiers longer than this are not answered in-line (RFC 2132 allows 255; real ones
 * have 7 to 19). */
#define CW_CLIENT_BYTES_MAX 64u

/** A DHCP client as the wire names it. */
struct cw_client {
	uint8_t kind; /* 0: chaddr (bytes = htype, address); 1: option 61 (bytes = its content) */
	uint8_t len;
	uint8_t bytes[CW_CLIENT_BYTES_MAX];
};

enum cw_host_state {
	CW_HOST_OFFERED, /* offer out, not committed: DISCOVER is answered in-line, REQUEST is
			    punted; no traffic */
	CW_HOST_BOUND,	 /* durable: everything is answered in-line */
	CW_HOST_SILENT,	 /* a binding that was stopped (moved, released, declined): no traffic, no
			    answers */
};

struct cw_host {
	/* One cache line: all that a packet needs. */
	rte_be32_t ip;
	uint8_t state;	/* enum cw_host_state */
	bool is_static; /* configured by hand and claimed: no DHCP answers */
	struct cw_mac mac __attribute__((aligned(8)));
	uint16_t vlan;		  /* behind the MAC: both are compared at once */
	uint64_t grant_until_tsc; /* past it DHCP is punted: the lease would have to be shorter than
				     usual (leases.md) */
	/* The only fields workers write, about once a second; relaxed stores, read by control now
	 * and then. */
	uint64_t acked_tsc;    /* when an ACK last left in-line: leases run from here */
	uint64_t heard_tsc;    /* last frame from this host (coarse) */
	struct cw_host *chain; /* the table's own */

	/* Of an address that changes sites: SILENT, packets for it go on to whoever holds it at a
	 * higher gen; BOUND, until then packets for it are taken from this site too, whose gateway
	 * sends on what still reaches it. */
	uint64_t gen;
	uint64_t permit_until_tsc; /* 0: no permit */
	uint8_t permit_site[8];

	struct cw_client client;
	char name[64]; /* option 12 as accepted; "" none */
	struct cw_rcu_head rcu;
} CW_CACHE_ALIGNED;

_Static_assert(offsetof(struct cw_host, chain) + sizeof(void *) <= 64,
	       "what a packet needs of a host is one cache line");
_Static_assert(offsetof(struct cw_host, mac) % 8 == 0 &&
		       offsetof(struct cw_host, vlan) == offsetof(struct cw_host, mac) + 6,
	       "MAC and VLAN are one word");

CW_MUST_USE int cw_host_table_create(struct cw_host_table **out, struct cw_rcu *rcu,
				     unsigned int hosts_max);
void cw_host_table_destroy(struct cw_host_table *table);

/**
 * Insert, or replace the entry with the same IP. [control]
 * acked_tsc and heard_tsc of a replaced entry are carried over (max): at once, and once more when
 * its grace period is over, for what workers noted on it meanwhile.
 * @return 0, -ENOSPC
 */
CW_MUST_USE int cw_host_publish(struct cw_host_table *table, const struct cw_host *facts);
/** [control] @return 0 or -ENOENT. */
int cw_host_retire(struct cw_host_table *table, rte_be32_t ip);

/** [worker] [control] NULL if none. */
struct cw_host *cw_host_by_ip(const struct cw_host_table *table, rte_be32_t ip);
struct cw_host *cw_host_by_client(const struct cw_host_table *table,
				  const struct cw_client *client);
/** What workers read of the table, for lookups inlined into loops over a burst. */
struct cw_host_index {
	struct cw_host **by_ip; /* buckets: chains by struct cw_host.chain */
	uint32_t mask;
};

const struct cw_host_index *cw_host_index_of(const struct cw_host_table *table);

static inline struct cw_host **cw_host_bucket(const struct cw_host_index *index, rte_be32_t ip)
{
	uint32_t h = (uint32_t)ip * UINT32_C(0x9E3779B1);

	return &index->by_ip[(h ^ h >> 15) & index->mask];
}

/** [worker] As cw_host_by_ip, the bucket being known and prefetched. */
static inline struct cw_host *cw_host_find_in(struct cw_host *const *bucket, rte_be32_t ip)
{
	struct cw_host *h = __atomic_load_n(bucket, __ATOMIC_ACQUIRE);

	while (CW_UNLIKELY(h != NULL && h->ip != ip))
		h = __atomic_load_n(&h->chain, __ATOMIC_ACQUIRE);
	return h;
}

/** [worker] As cw_host_by_ip. Prefetch the bucket before. */
static inline struct cw_host *cw_host_find(const struct cw_host_index *index, rte_be32_t ip)
{
	return cw_host_find_in(cw_host_bucket(index, ip), ip);
}

typedef void (*cw_host_visit_fn)(void *arg, const struct cw_host *host);
/** [control] */
void cw_host_visit(const struct cw_host_table *table, cw_host_visit_fn visit, void *arg);
unsigned int cw_host_count(const struct cw_host_table *table);

#endif /* CW_HOST_H */
