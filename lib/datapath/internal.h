/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DATAPATH_INTERNAL_H
#define CW_DATAPATH_INTERNAL_H

/* What the stages share: the worker, lanes of packets, the facts of one packet. */
#include <rte_cycles.h>
#include <rte_prefetch.h>

#include <cw_eth.h>
#include <cw_host.h>
#include <cw_ip4.h>
#include <cw_route.h>
#include <cw_sa.h>
#include <cw_toeplitz.h>
#include <cw_tunnel.h>
#include <cw_udp.h>

#include "cw_datapath.h"

/* A lane: packets that go on, in order. Fragmentation may grow one burst to twice its size. */
#define LANE_MAX (2 * CW_BURST)

struct lane {
	uint16_t n;
	struct rte_mbuf *pkt[LANE_MAX];
};

/*
 * Facts of one packet, in the mbuf's private area. The first line is all that a packet on its way
 * needs; the second is written only when it leaves for another lcore.
 */
struct facts {
	struct cw_ip4_header ip; /* inner header from classify (LAN) or after open (WAN) */
	uint8_t eth_bytes;	 /* LAN: Ethernet header still in front */
	uint8_t outer_tos;
	uint16_t vlan;
	uint16_t peer; /* index: chosen by lookup, or who sealed */
	rte_be16_t from_port;
	rte_be32_t from_ip4; /* WAN: outer source */
	union {
		const struct cw_route *route; /* LAN to WAN */
		struct cw_sa_in *sa;	      /* WAN to LAN */
	};
	union {
		struct cw_host *host;
		const struct cw_peer *to; /* from the mtu stage on */
	};
	union {
		uint64_t seq;	     /* from open's begin to its end */
		const uint8_t *site; /* of the sealing peer, from open on; valid for this turn */
	};
	uint32_t spi; /* host order, from demux to open */
	rte_be16_t to_port;
	uint8_t handover; /* enum handover_kind, while it crosses a ring */
	bool stranger;	  /* dns lane: no host of ours sent it */
	union {
		struct cw_punt_meta punt;
		struct cw_inject_meta inject;
	} CW_CACHE_ALIGNED;
};

_Static_assert(sizeof(struct facts) <= CW_MBUF_PRIVATE_BYTES, "facts fit the private area");
_Static_assert(offsetof(struct facts, punt) == 64, "a packet's facts are one cache line");

static inline struct facts *facts_of(struct rte_mbuf *m)
{
	return (struct facts *)(m + 1);
}

/* The outer source as control wants it. */
static inline struct cw_endpoint facts_from(const struct facts *f)
{
	return (struct cw_endpoint){
		.family = CW_FAMILY_IPV4, .port = f->from_port, .ip4 = f->from_ip4};
}

/* Stages in the order of the path; the enum indexes the statistics. */
enum stage {
	STAGE_RX,
	STAGE_CLASSIFY,
	STAGE_ARP,
	STAGE_DHCP,
	STAGE_GUARD,
	STAGE_DNS,
	STAGE_LOOKUP,
	STAGE_POLICY,
	STAGE_MTU,
	STAGE_SEAL,
	STAGE_TX,
	STAGE_DEMUX,
	STAGE_OPEN,
	STAGE_ADMIT,
	STAGE_DECAP,
	STAGE_FORWARD,
	STAGE_INJECT,
	STAGE_COUNT
};

_Static_assert(STAGE_COUNT <= CW_STATS_STAGES_MAX, "every stage has a counter");

struct worker_port {
	struct cw_dp_port port;
	unsigned int carrier; /* who polls our queue: ourselves, or who sends for us */
	struct lane tx;	      /* frames ready to leave, flushed once per turn */
};

/* Packets that wait for a path to settle: 20 ms at 600 Mbit/s of full ones. */
#define SETTLE_MAX 1024u

/* Tokens of one kind of punt, refilled by time: a flood of one kind cannot starve the others. */
struct punt_budget {
	uint32_t left;
};

struct cw_worker {
	struct cw_worker_params params;
	struct cw_peer *const *peers;	 /* cw_peer_slots */
	struct cw_sa_in *const *inbound; /* cw_sa_slots of this worker */
	struct worker_port side[CW_SIDE_COUNT];
	struct cw_stats *stats;
	uint64_t now_tsc;
	uint64_t stage_began_tsc;
	bool polls[CW_SIDE_COUNT];     /* has a queue of its own there */
	bool spreads;		       /* polls a LAN for workers that have none */
	const struct cw_ns_view *view; /* loaded once per turn; valid until the turn ends */
	/* Slots as of the turn's beginning: whose addresses we speak for, and whose frames we take.
	 */
	uint64_t slots, slots_taken;
	unsigned int handover_first;   /* whose ring is looked at first this turn */
	struct punt_budget budgets[CW_PUNT_KIND_COUNT];
	uint64_t budgets_refilled_tsc;
	unsigned int idle_turns, sleep_us;

	unsigned int settling_count;
	struct rte_mbuf *settling[SETTLE_MAX];

	/* Lanes of the current burst. */
	struct lane rx, arp, dhcp, dns, ip, esp, forward;
	struct cw_crypto_job jobs[LANE_MAX];
	struct cw_toeplitz toeplitz; /* where flows must be told apart */
} CW_CACHE_ALIGNED;

static inline void lane_add(struct lane *l, struct rte_mbuf *m)
{
	l->pkt[l->n++] = m;
}

/* NULL when the index is free. Valid until the turn ends. */
static inline const struct cw_peer *peer_at(const struct cw_worker *w, uint16_t index)
{
	return CW_LIKELY(index < CW_PEER_MAX) ? __atomic_load_n(&w->peers[index], __ATOMIC_ACQUIRE)
					      : NULL;
}

/* port.c */
void stage_rx(struct cw_worker *w, enum cw_stats_side side, struct lane *out);
void port_send(struct cw_worker *w, enum cw_stats_side side, struct rte_mbuf *m);
void port_send_burst(struct cw_worker *w, enum cw_stats_side side, const struct lane *l);
void stage_tx(struct cw_worker *w, enum cw_stats_side side);
/* LAN to WAN */
void stage_classify(struct cw_worker *w, struct lane *in);
void stage_arp(struct cw_worker *w, struct lane *l);
void stage_dhcp(struct cw_worker *w, struct lane *l);
void stage_guard(struct cw_worker *w, struct lane *l);
void stage_dns(struct cw_worker *w, struct lane *l);
void stage_lookup(struct cw_worker *w, struct lane *l);
/* Both ways: on the way out behind lookup, on the way in behind admit. */
void stage_policy(struct cw_worker *w, struct lane *l, bool outbound);
void stage_mtu(struct cw_worker *w, struct lane *l);
/* The same for packets that waited long enough. */
void stage_mtu_settled(struct cw_worker *w, struct lane *l);
void stage_seal(struct cw_worker *w, struct lane *l);
/* WAN to LAN */
void stage_demux(struct cw_worker *w, struct lane *in);
void stage_open(struct cw_worker *w, struct lane *l);
void stage_admit(struct cw_worker *w, struct lane *l);
void stage_decap(struct cw_worker *w, struct lane *l);
void stage_forward(struct cw_worker *w, struct lane *l);
/* relay.c: ChannelData, its header at `at`. */
void demux_channel(struct cw_worker *w, struct rte_mbuf *m, const struct cw_ip4_header *ip,
		   size_t at, uint16_t bytes);
/* demux.c: ESP at `offset`, to the lane or to its worker. */
void demux_esp(struct cw_worker *w, struct rte_mbuf *m, size_t offset, uint16_t bytes);
/* settle.c: packets to a peer whose path became shorter. */
bool settle_waits(const struct cw_worker *w, const struct cw_peer *to);
void settle_hold(struct cw_worker *w, struct rte_mbuf *m);
/* Those whose time is over go on; or all of them. */
void settle_release(struct cw_worker *w, bool all);
/* rings */
void punt(struct cw_worker *w, struct rte_mbuf *m, enum cw_punt_kind kind);
unsigned int stage_inject(struct cw_worker *w);
/* handover.c: between workers. */
enum handover_kind {
	HANDOVER_OPEN,	/* ESP of an SA of yours */
	HANDOVER_CARRY, /* a packet of the LAN that you shall carry */
	HANDOVER_LAN,	/* a frame ready to leave by your queue */
	HANDOVER_WAN,
};
void handover(struct cw_worker *w, struct rte_mbuf *m, unsigned int to, enum handover_kind kind);
/* Packets of a LAN that fewer workers poll than there are: each flow to its worker. */
void stage_spread(struct cw_worker *w, struct lane *l);
unsigned int stage_handover(struct cw_worker *w);
/* drop.c: the only place that frees and counts. */
void drop(struct cw_worker *w, struct rte_mbuf *m, enum cw_drop why);
/* pipeline.c: the two ways, also for packets that come back from control. */
void pipeline_outbound(struct cw_worker *w, struct lane *in);
/* Its second half: classified, and this worker's to carry. */
void pipeline_carry(struct cw_worker *w, struct lane *ip);
void pipeline_inbound_opened(struct cw_worker *w, struct lane *in);

/* Same for all packets of a flow; of a fragmented one's too, so ports count only where all have
 * them.
 * @p at: where the IPv4 header is. */
static inline uint32_t flow_hash(const struct cw_worker *w, const struct facts *f,
				 const struct rte_mbuf *m, unsigned int at)
{
	uint32_t ports = 0;

	if ((f->ip.proto == CW_IP_PROTO_TCP || f->ip.proto == CW_IP_PROTO_UDP) &&
	    !(f->ip.fragment & rte_cpu_to_be_16(CW_IP4_MF | CW_IP4_OFFSET)) &&
	    m->data_len >= at + CW_IP4_BYTES + 4)
		memcpy(&ports, rte_pktmbuf_mtod_offset(m, const uint8_t *, at + CW_IP4_BYTES), 4);
	return cw_toeplitz_ip4(&w->toeplitz, f->ip.src, f->ip.dst, ports);
}

/* The port found the IPv4 header's checksum right. */
static inline bool port_checked_ip(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
}

/* Cycles of the stage that just ended, when the worker measures. */
static inline void stage_done(struct cw_worker *w, enum stage stage, unsigned int packets)
{
	uint64_t now;

	if (CW_LIKELY(!w->params.measure_stages))
		return;
	now = rte_rdtsc();
	w->stats->stage_cycles[stage] += now - w->stage_began_tsc;
	w->stats->stage_packets[stage] += packets;
	w->stage_began_tsc = now;
}

#endif /* CW_DATAPATH_INTERNAL_H */
