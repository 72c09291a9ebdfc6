/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DATAPATH_H
#define CW_DATAPATH_H

/**
 * @file
 * A worker: what one lcore does with packets, from burst to burst.
 *
 * Created by the app before its lcore runs, then used by that lcore only. Ports come as burst ops,
 * so that tests and perf/ drive the very pipeline that ships. Control and a worker meet in the
 * tables (peer, route, host, view) and in two rings (cw_punt.h).
 */
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <cw_ns_view.h>
#include <cw_peer.h>
#include <cw_punt.h>
#include <cw_stats.h>

struct cw_worker;
struct cw_crypto_ops;

/** Packets of one burst: DPDK's sweet spot, and what every lane has room for. */
#define CW_BURST 32u
/** Entries of punt, inject and hand-over rings: 20 ms of a flood that control is slow to drain. */
#define CW_RING_ENTRIES 1024u
/** Room that mempools for workers must give: outer headers in front fit the default headroom,
 * private area as below. */
#define CW_MBUF_PRIVATE_BYTES 192u

/** Burst I/O of one queue. Semantics of rte_eth_rx_burst and rte_eth_tx_burst. */
struct cw_burst_ops {
	uint16_t (*rx)(void *queue, struct rte_mbuf **pkts, uint16_t n);
	uint16_t (*tx)(void *queue, struct rte_mbuf **pkts, uint16_t n);
};

struct cw_dp_port {
	const struct cw_burst_ops
		*ops; /* NULL: this side does not exist (nodes without a LAN port) */
	void *queue;
	unsigned int queues; /* of the port; 0: one for every worker. Workers beyond them send by
				one that has a queue, and are handed their share of what it polls */
	struct cw_mac mac;
	bool sees_own_frames; /* af_packet */
	bool owns_address;    /* WAN: we answer ARP and ICMP for its address */
};

/** The slot through which control publishes the namespace view of a LAN port to all workers. */
struct cw_view_slot {
	const struct cw_ns_view *view; /* control: w, workers: r */
};

struct cw_worker_params {
	unsigned int index, workers;
	struct cw_dp_port lan, wan;
	rte_be32_t wan_ip;
	rte_be16_t wan_port;
	bool discovery; /* hellos on the WAN segment are punted */
	struct rte_mempool *pool;
	struct cw_peer_table *peers;
	const struct cw_crypto_ops *crypto;
	void *engine;
	const struct cw_view_slot *view;
	struct cw_stats *stats;	    /* this worker's block */
	struct rte_ring *punt;	    /* SPSC: this worker -> control */
	struct rte_ring *inject;    /* SPSC: control -> this worker */
	struct rte_ring **handover; /* [from * workers + to], SPSC each; NULL with one worker */
	uint64_t tsc_hz;
	bool measure_stages; /* count cycles per stage (perf/) */
};

CW_MUST_USE int cw_worker_create(struct cw_worker **out, const struct cw_worker_params *params);
void cw_worker_destroy(struct cw_worker *worker);

/** One turn: LAN to WAN, WAN to LAN, inject, hand-over. [worker]
 * @param now_tsc the worker's clock, for the whole turn
 * @return packets handled: 0 means idle. */
unsigned int cw_worker_turn(struct cw_worker *worker, uint64_t now_tsc);

/** How a worker waits when there is nothing to do. */
enum cw_idle { CW_IDLE_SPIN, CW_IDLE_PAUSE, CW_IDLE_SLEEP };

/**
 * After a turn that handled @p handled packets: microseconds to sleep, 0 for none. Backs off from
 * pauses to sleeps that double up to @p ceiling_us. The caller goes RCU-offline around the sleep.
 * [worker]
 */
unsigned int cw_worker_idle_us(struct cw_worker *worker, unsigned int handled, enum cw_idle idle,
			       unsigned int ceiling_us);

/* The rings' other ends. [control] */

/** @return how many were taken; each mbuf's facts by cw_punt_meta_of. The caller frees them. */
unsigned int cw_punt_dequeue(struct rte_ring *punt, struct rte_mbuf **pkts, unsigned int n);
struct cw_punt_meta *cw_punt_meta_of(struct rte_mbuf *m);
/** @return false when the ring is full; the mbuf stays the caller's. */
bool cw_inject_enqueue(struct rte_ring *inject, struct rte_mbuf *m,
		       const struct cw_inject_meta *meta);

/** Stage names in pipeline order, for statistics and docs; NULL past the end. [any] */
const char *cw_datapath_stage_name(unsigned int stage);

#endif /* CW_DATAPATH_H */
