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
	struct cw_rcu_head rcu;
	rte_be32_t ip;
	struct cw_mac mac;
	uint16_t vlan;
	uint8_t state;		  /* enum cw_host_state */
	bool is_static;		  /* configured by hand and claimed: no DHCP answers */
	uint64_t grant_until_tsc; /* past it DHCP is punted: the lease would have to be shorter than
				     usual (leases.md) */
	struct cw_client client;
	char name[64]; /* option 12 as accepted; "" none */
	/* The only fields workers write; relaxed stores, read by control now and then. */
	uint64_t acked_tsc; /* when an ACK last left in-line: leases run from here */
	uint64_t heard_tsc; /* last frame from this host (coarse) */
};

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
/** [worker] A burst: out[i] is the host of ip[i] or NULL. n <= 64. */
void cw_host_by_ip_bulk(const struct cw_host_table *table, const rte_be32_t *ip, unsigned int n,
			struct cw_host **out);
typedef void (*cw_host_visit_fn)(void *arg, const struct cw_host *host);
/** [control] */
void cw_host_visit(const struct cw_host_table *table, cw_host_visit_fn visit, void *arg);
unsigned int cw_host_count(const struct cw_host_table *table);

#endif /* CW_HOST_H */
