/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_RIG_H
#define CW_RIG_H

/*
 * A worker of the shipped pipeline between two ports of memory: frames are put in, a turn is taken,
 * what came out is looked at. Shared by the unit test of the data path and its fuzz harnesses.
 *
 * The world: subnet 10.128.0.0/16, service address .0.1. Hosts here: .0.5 bound, .0.6 under offer;
 * beyond: .0.9 at peer "near" (SAs both ways), .0.10 at a peer without SAs, .0.11 known to be
 * nobody's, .0.12 local to this site, .0.13 at the near peer by another site's name.
 */
#include <rte_mbuf.h>

#include <cw_datapath.h>
#include <cw_host.h>
#include <cw_route.h>
#include <cw_sa.h>

#define RIG_FRAME_BYTES_MAX 2048u

#define RIG_IP(last) (UINT32_C(0x0a800000) + (last))
#define RIG_SERVICE  RIG_IP(1)
#define RIG_BOUND    RIG_IP(5)
#define RIG_OFFERED  RIG_IP(6)
#define RIG_NEAR     RIG_IP(9)
#define RIG_KEYLESS  RIG_IP(10)
#define RIG_NOBODY   RIG_IP(11)
#define RIG_LOCAL    RIG_IP(12)
#define RIG_STRANGE  RIG_IP(13)
#define RIG_UNKNOWN  RIG_IP(99)
#define RIG_WAN	     UINT32_C(0xc6336402)
#define RIG_PEER_WAN UINT32_C(0xcb007102)
#define RIG_WAN_PORT 7845
/* We relay between the near peer's link and a third node's: what comes from one by its number
 * leaves to the other by the other's. A channel of the near peer's link ends here. */
#define RIG_THIRD_WAN	  UINT32_C(0xcb007103)
#define RIG_FROM_NEAR	  0x4000
#define RIG_TO_NEAR	  0x4001
#define RIG_FROM_THIRD	  0x4005
#define RIG_FOR_US	  0x4006
#define RIG_RELAY_BYTES_S 125000000u
#define RIG_WORKERS	  2u

struct rig_frame {
	size_t len;
	uint8_t bytes[RIG_FRAME_BYTES_MAX];
};

/* One port: what the worker will receive, what it sent last, how much it takes. */
struct rig_port {
	struct rte_mbuf *rx[CW_BURST];
	uint16_t rx_count;
	uint16_t tx_room; /* frames it takes per call */
	unsigned int sent;
	struct rig_frame last;
};

struct rig {
	struct rte_mempool *pool;
	struct cw_rcu *rcu;
	struct cw_peer_table *peers, *twins; /* twins: the near peer's own tables */
	struct cw_ns_view view;
	struct cw_ns_deadline deadline;
	struct cw_view_slot slot;
	struct rte_ring *punt, *inject, *handover[RIG_WORKERS * RIG_WORKERS];
	struct rig_port lan, wan;
	struct cw_stats stats;
	struct cw_worker *worker;
	uint16_t near, keyless, twin;
	unsigned int punted;
	uint8_t last_punt; /* enum cw_punt_kind */
};

extern const struct cw_mac rig_host_mac, rig_lan_mac, rig_wan_mac, rig_peer_mac, rig_virtual_mac;

/* EAL, once per program; exits 77 when it does not come up. */
void rig_start(void);
void rig_stop(void);
void rig_open(struct rig *rig, bool sees_own_frames, bool owns_address);
/* From now on the LAN port has one queue, which this worker polls for the other one too. */
void rig_share_the_lan(struct rig *rig);
/* Empties ports, rings and counters; tables stay. @return mbufs that are not back. */
unsigned int rig_reset(struct rig *rig);
/* Every mbuf must be back: @return how many are not. */
unsigned int rig_close(struct rig *rig);

/* Put a frame on a port's receive side; `segments` > 1 splits it. */
void rig_put(struct rig *rig, struct rig_port *port, const void *frame, size_t len,
	     unsigned int segments);
/* One turn; punts are taken away and counted. */
void rig_turn(struct rig *rig);

/* Frames. Each returns its length. */
size_t rig_lan_ip(uint8_t *frame, uint32_t src, uint32_t dst, uint16_t fragment, uint8_t proto,
		  size_t payload);
size_t rig_wan_udp(uint8_t *frame, const void *payload, size_t len);
/* What the near peer would send: inner packet sealed with the twin's SA. */
/* The same inside a channel of the near peer's link. */
size_t rig_wan_channel(uint8_t *frame, uint16_t number, const void *payload, size_t len);
size_t rig_sealed(struct rig *rig, uint8_t *frame, const void *inner, size_t len);
struct cw_sa_out *rig_twin_sa(struct rig *rig);

#endif /* CW_RIG_H */
