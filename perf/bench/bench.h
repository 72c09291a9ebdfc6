/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_BENCH_H
#define CW_BENCH_H

/*
 * The bench: tables as a gateway of so many hosts, mappings and peers has them, and the packets
 * that fit them. Programs that drive the shipped pipeline with replay ports in place of NICs
 * (perf/throughput, perf/load) stand on it.
 */
#include <stdbool.h>

#include <rte_mbuf.h>

#include <cw_crypto_engines.h>
#include <cw_datapath.h>
#include <cw_host.h>
#include <cw_policy.h>
#include <cw_route.h>
#include <cw_sa.h>

#include "replay.h"

#define PEERS_MAX    4096u
#define HOSTS_MAX    32768u
#define MAPPINGS_MAX 8000000u
#define SUBNET_IP    UINT32_C(0x0a800000) /* 10.128.0.0/9 */
#define LOCAL_IP     UINT32_C(0x0a800100)
#define REMOTE_IP    UINT32_C(0x0a810000)

/* The port's own address towards the WAN, and the twins'. */
#define BENCH_WAN_IP   UINT32_C(0xc6336402)
#define BENCH_WAN_PORT 7845

/* How large the tables are. */
struct bench_size {
	unsigned int peers, hosts, mappings, workers;
};

struct bench {
	const struct cw_crypto_ops *crypto;
	void *engine;
	enum cw_suite suite;
	struct rte_mempool *pool;
	struct cw_rcu *rcu;
	struct cw_host_table *hosts;
	struct cw_route_table *routes;
	struct cw_ns_view view;
	struct cw_ns_deadline deadline;
	struct cw_view_slot slot, policed;
	struct cw_ns_view policed_view; /* the same, with a policy */
	struct cw_policy *policy;
	struct cw_peer_table *peers, *twins; /* twins: the other ends, who seal what we open */
	struct bench_size size;
	uint16_t peer_index[PEERS_MAX], twin_index[PEERS_MAX];
	struct cw_sa_in **inbound;	  /* [worker * peers + peer] */
	struct rte_ring **punt, **inject; /* per worker */
	uint64_t tsc_hz;
};

/* The process-wide half: pool of so many mbufs, engine ("auto", "ipsec_mb", "openssl").
 * @return 0, or -1: no memory, or this CPU cannot do it. */
int bench_init(struct bench *b, const char *engine, enum cw_suite suite, unsigned int mbufs);
int bench_open(struct bench *b, const struct bench *shared, const struct bench_size *size);
void bench_close(struct bench *b);

/* What a worker needs of the bench; ports are the caller's. */
void bench_worker(struct bench *b, unsigned int index, struct cw_worker_params *out);
/* Control, elsewhere, takes what was punted. @return how many. */
unsigned int bench_drain_punts(struct bench *b);
/* Every packet of the templates is new again to this worker. */
void bench_reset_replay(struct bench *b, unsigned int worker);

/* frames.c */

/* Size of the i-th frame of a case: bytes, or "imix". */
unsigned int bench_frame_bytes(const char *size, unsigned int i);
double bench_mean_bytes(const char *size);
/* How many templates: many flows of small frames, but of large ones what caches hold. */
unsigned int bench_frames(const struct bench *b, const char *size);
/* An inner IPv4/UDP packet; deterministic for i. */
void bench_inner(uint8_t *ip, unsigned int ip_bytes, uint32_t src, uint32_t dst, unsigned int i);
/* Which mapping the i-th packet of a case is about, and whose it is. */
unsigned int bench_mapping(const struct bench *b, unsigned int i);
unsigned int bench_peer_of(const struct bench *b, unsigned int mapping);
/* The twins' sequence begins anew, as the replay windows do. */
void bench_restart_twins(struct bench *b);
/* The i-th template of a case: from a host, or sealed by a mapping's peer for a worker here; of the
 * first `hosts` hosts. */
int bench_add_outbound(const struct bench *b, struct replay *port, const char *size,
		       unsigned int hosts, unsigned int i);
int bench_add_inbound(struct bench *b, struct replay *port, const char *size, unsigned int hosts,
		      unsigned int i, unsigned int worker);
/* The same in a channel of two others. */
int bench_add_channel(struct bench *b, struct replay *port, const char *size, unsigned int i);

#endif /* CW_BENCH_H */
