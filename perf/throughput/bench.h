/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_BENCH_H
#define CW_BENCH_H

/*
 * The bench: tables as a gateway of 64 k mappings has them, one worker of the shipped pipeline, and
 * replay ports in place of NICs.
 */
#include <stdbool.h>

#include <rte_mbuf.h>

#include <cw_crypto_engines.h>
#include <cw_datapath.h>
#include <cw_host.h>
#include <cw_route.h>
#include <cw_sa.h>

#define MAPPINGS  65536u
#define HOSTS	  256u
#define PEERS_MAX 256u
#define SIZES	  4u
#define SUBNET_IP UINT32_C(0x0a800000) /* 10.128.0.0/15 */
#define LOCAL_IP  UINT32_C(0x0a800100)
#define REMOTE_IP UINT32_C(0x0a810000)
#define WORK	  8192u /* packets of one measured round trip through memory */

struct bench_case {
	const char *name; /* "64", "570", "1420", "imix" */
	bool inbound;
	unsigned int frame_bytes; /* mean */
	unsigned int peers;
};

struct bench {
	struct rte_mempool *pool;
	struct cw_rcu *rcu;
	const struct cw_crypto_ops *crypto;
	void *engine;
	struct cw_host_table *hosts;
	struct cw_route_table *routes;
	struct cw_ns_view view;
	struct cw_ns_deadline deadline;
	struct cw_view_slot slot;
	struct cw_peer_table *peers, *twins; /* twins: the other ends, who seal what we open */
	unsigned int peer_count;
	uint16_t peer_index[PEERS_MAX], twin_index[PEERS_MAX];
	struct rte_ring *punt, *inject;
	struct cw_stats stats;
	struct cw_worker *worker;
	uint64_t tsc_hz;
};

int bench_open(struct bench *b, unsigned int peers);
void bench_close(struct bench *b);
int bench_worker(struct bench *b, const struct cw_burst_ops *lan, void *lan_queue,
		 const struct cw_burst_ops *wan, void *wan_queue, bool stages);
/* Size of the i-th frame of a case. */
unsigned int bench_frame_bytes(const char *name, unsigned int i);
/* An inner IPv4/UDP packet; deterministic for i. */
void bench_inner(uint8_t *ip, unsigned int ip_bytes, uint32_t src, uint32_t dst, unsigned int i);

/* Cycles per packet of one round; `stages` gets cycles per packet of each stage if not NULL. 0:
 * something was dropped. */
double outbound_round(struct bench *b, const char *size, double *stages);
double inbound_round(struct bench *b, const char *size, double *stages);
/* The replay port alone. */
double outbound_port_round(struct bench *b, const char *size);
/* The AEAD alone: same sizes, same sessions. */
double engine_round(struct bench *b, const char *size, bool open);

#endif /* CW_BENCH_H */
