/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PEER_H
#define CW_PEER_H

/**
 * @file
 * Peers: the remote gateways we hold security associations with, as workers use them on every
 * packet.
 *
 * Created by control when a link comes up, read by every worker, freed in two halves:
 * cw_peer_make_dead unpublishes (routes to it punt or drop by name), and after the grace period the
 * index is reusable. SAs are per worker and direction: no sequence counter or replay window is
 * shared between cores. Outer headers are ready bytes per outbound SA.
 *
 * SPI = 1 | worker:6 (0 to 62) | index:16 | tag:9 (design.md section 3); index addresses the
 * worker's inbound SA slot, tag tells generations of one slot apart.
 */
#include <cw_ops.h>
#include <cw_rcu.h>
#include <cw_suite.h>
#include <cw_types.h>

struct cw_peer_table;
struct cw_crypto_ops; /* lib/tunnel/cw_crypto.h: the AEAD engine's sessions */

#define CW_PEER_MAX	  10240u /* design.md section 6: plan for 10,000 */
#define CW_PEER_NONE	  UINT16_MAX
#define CW_SA_WORKERS_MAX 63u
/** Outbound packets of one SA before it refuses to seal: far below 2^64, far above a rekey
 * interval. */
#define CW_SA_PACKETS_MAX (UINT64_C(1) << 48)

struct cw_peer_params {
	struct cw_node_id node;
	uint8_t site[8];
	struct cw_endpoint path; /* outer destination, or through a relay (CW_FAMILY_RELAY) */
	struct cw_endpoint via;	 /* through a relay: where that is; else not read */
	struct cw_mac next_hop;	 /* on the WAN segment: the router, or the peer itself where it is
				    on-link */
	bool have_next_hop; /* false: packets to it wait in control until cw_peer_set_next_hop */
	uint16_t mtu_bytes; /* largest inner packet towards it */
};

/** Key material of one SA: 32 bytes of key, 4 of salt (RFC 4106, RFC 7634). */
struct cw_sa_params {
	uint16_t peer;
	uint8_t worker; /* who uses it here */
	uint8_t k;
	uint32_t spi; /* host order */
	uint32_t generation;
	enum cw_suite suite;
	uint8_t key[36];
};

/** Our own side of the ready outer headers. */
struct cw_underlay {
	struct cw_mac port_mac;
	rte_be32_t ip;
	rte_be16_t port;
};

struct cw_peer_info {
	struct cw_peer_params params;
	uint16_t index;
	bool usable; /* has outbound SAs */
	uint32_t generation;
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes, drops;
	uint64_t seq_max; /* highest outbound sequence of any SA: near the limit control rekeys */
	struct cw_endpoint roam; /* family != NONE: newest authenticated packet came from elsewhere;
				    reading clears it */
};

CW_MUST_USE int cw_peer_table_create(struct cw_peer_table **out, struct cw_rcu *rcu,
				     const struct cw_crypto_ops *crypto, void *engine,
				     unsigned int workers);
void cw_peer_table_destroy(struct cw_peer_table *table);
/** Where SAs stand from now on; before the first one. Without it: the heap. */
void cw_peer_set_key_memory(struct cw_peer_table *table, const struct cw_key_memory *memory);

/* All [control]. */
/** New outer source: every peer's ready headers are rebuilt. */
void cw_peer_set_underlay(struct cw_peer_table *table, const struct cw_underlay *underlay);
/** @return 0, -ENOSPC, -EEXIST (node is there). */
CW_MUST_USE int cw_peer_add(struct cw_peer_table *table, const struct cw_peer_params *params,
			    uint16_t *index);
/** Where a peer is from now on. */
struct cw_peer_path {
	struct cw_endpoint path, via;  /* as in cw_peer_params */
	const struct cw_mac *next_hop; /* NULL: not known yet */
	uint16_t mtu_bytes;
	uint64_t settle_tsc; /* packets wait until then, so that none overtakes those on the path
				before; 0: at once */
};
CW_MUST_USE int cw_peer_move(struct cw_peer_table *table, uint16_t peer,
			     const struct cw_peer_path *to);
/** The WAN neighbour towards this peer was resolved, or changed. */
void cw_peer_set_next_hop(struct cw_peer_table *table, uint16_t peer,
			  const struct cw_mac *next_hop);
/** First half of its death: workers find no SA any more. Index and keys are freed after the grace
 * period (second half). */
void cw_peer_make_dead(struct cw_peer_table *table, uint16_t peer);
/** Packets to it need not wait any more, if their time is over. */
void cw_peer_settled(struct cw_peer_table *table, uint16_t peer, uint64_t now_tsc);
/** The largest inner packet towards it, as measured. */
void cw_peer_set_mtu(struct cw_peer_table *table, uint16_t peer, uint16_t mtu_bytes);
/** Are there SAs to seal with and a next hop to send to? */
bool cw_peer_ready(const struct cw_peer_table *table, uint16_t peer);
uint16_t cw_peer_find(const struct cw_peer_table *table, const struct cw_node_id *node);

/** An unused SPI for an inbound SA of this worker; the tag differs from the slot's last ones.
 * @return 0, -ENOSPC. */
CW_MUST_USE int cw_sa_spi_alloc(struct cw_peer_table *table, unsigned int worker, uint64_t random,
				uint32_t *spi);
void cw_sa_spi_free(struct cw_peer_table *table, uint32_t spi);
/** Inbound: packets with this SPI are opened from now on. @return 0, -ENOMEM, -ENOENT (peer), -EIO
 * (engine). */
CW_MUST_USE int cw_sa_add_inbound(struct cw_peer_table *table, const struct cw_sa_params *params);
/** Outbound: staged until cw_sa_switch makes this generation current for all workers at once. */
CW_MUST_USE int cw_sa_add_outbound(struct cw_peer_table *table, const struct cw_sa_params *params,
				   unsigned int K);
CW_MUST_USE int cw_sa_switch(struct cw_peer_table *table, uint16_t peer, uint32_t generation);
/** Retire the SAs of one generation (inbound: 0 = all) and direction. */
void cw_sa_retire(struct cw_peer_table *table, uint16_t peer, bool outbound, uint32_t generation);

/** @return false when the index is free. */
bool cw_peer_info(struct cw_peer_table *table, uint16_t peer, struct cw_peer_info *out);
typedef void (*cw_peer_visit_fn)(void *arg, const struct cw_peer_info *info);
void cw_peer_visit(struct cw_peer_table *table, cw_peer_visit_fn visit, void *arg);

/* What workers read (SA structs, lookup by SPI, current outbound SA of a peer) stands in cw_sa.h.
 */

#endif /* CW_PEER_H */
