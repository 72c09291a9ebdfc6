/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_BENCH_H
#define CW_BENCH_H

/*
 * The bench: tables as a gateway of 64 k mappings has them, and cases that drive the shipped
 * pipeline over them with replay ports in place of NICs.
 */
#include <stdbool.h>

#include <rte_mbuf.h>

#include <cw_crypto_engines.h>
#include <cw_datapath.h>
#include <cw_policy.h>
#include <cw_host.h>
#include <cw_route.h>
#include <cw_sa.h>

#include "replay.h"

#define MAPPINGS  65536u
#define HOSTS	  256u
#define PEERS_MAX 4096u
#define SUBNET_IP UINT32_C(0x0a800000) /* 10.128.0.0/15 */
#define LOCAL_IP  UINT32_C(0x0a800100)
#define REMOTE_IP UINT32_C(0x0a810000)

/* Packets of one measured window: long enough for the clock, short enough (0.1 to 0.5 ms) that most
 * windows pass without an interrupt. */
#define WINDOW	    1024u
#define WINDOW_COLD 512u
#define WARM	    256u
/* One frame in so many is a hello: 100,000 a second beside 10 million packets. */
#define FLOOD_EVERY 100u
/* Windows of one round; a round's figure is their lower quartile. */
#define WINDOWS_MAX 64u

/* Tables for one number of peers. */
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
	unsigned int peer_count;
	uint16_t peer_index[PEERS_MAX], twin_index[PEERS_MAX];
	struct cw_sa_in *inbound[PEERS_MAX];
	struct rte_ring *punt, *inject;
	uint64_t tsc_hz;
};

/* One row of the table of cases. */
struct bench_case {
	bool inbound;
	const char *size; /* frame bytes, or "imix" */
	unsigned int peers;
	/* Beside the plain case: buffers written by the other core; the largest policy there can
	 * be; spoofed ClientHellos among the packets; the same packets in channels of two others,
	 * forwarded (the engine's figure is then what opening would cost). */
	enum bench_with { PLAIN, COLD, POLICY, FLOOD, RELAY, WITH_COUNT } with;
};

/* A case being driven. */
struct drive {
	const struct bench_case *what;
	struct bench *b;
	struct replay port;
	struct cw_burst_ops rx_ops, tx_ops;
	struct cw_stats stats;
	struct cw_worker *worker, *staged; /* staged: counts cycles per stage */
	struct cw_stats staged_stats;
};

/* Cycles per packet of one round. */
struct figures {
	double whole, engine, port;
	double stages[CW_STATS_STAGES_MAX];
};

/* The process-wide half: pool, engine. */
int bench_init(struct bench *b);
int bench_open(struct bench *b, const struct bench *shared, unsigned int peers);
void bench_close(struct bench *b);
/* Size of the i-th frame of a case. */
unsigned int bench_frame_bytes(const char *size, unsigned int i);
double bench_mean_bytes(const char *size);
/* An inner IPv4/UDP packet; deterministic for i. */
void bench_inner(uint8_t *ip, unsigned int ip_bytes, uint32_t src, uint32_t dst, unsigned int i);
/* Which mapping the i-th packet of a case is about, and whose it is. */
unsigned int bench_mapping(unsigned int i);
unsigned int bench_peer_of(const struct bench *b, unsigned int mapping);

/* @return 0, or -1: something was lost, said on stderr. */
int drive_open(struct drive *d, struct bench *b, const struct bench_case *what);
int drive_round(struct drive *d, unsigned int windows, struct figures *out);
void drive_close(struct drive *d);
/* The AEAD alone: same sizes, same sessions in the same order. */
double engine_window(const struct drive *d, unsigned int first);

#endif /* CW_BENCH_H */
