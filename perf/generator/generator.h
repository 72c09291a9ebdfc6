/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_GENERATOR_H
#define CW_GENERATOR_H

/*
 * What the generator's files share: two ports, the hosts behind each, frames ready to be sent.
 */
#include <stdbool.h>

#include <rte_mbuf.h>

#include <cw_types.h>

#define SIDES	    2u
#define HOSTS_MAX   4096u
#define FLOWS_MAX   65536u
#define BURST	    32u
#define QUEUES_MAX  16u
#define SAMPLES_MAX 65536u
#define FRAME_MAX   1514u

struct host {
	struct cw_mac mac, next; /* next: who carries what we send */
	rte_be32_t ip, server;	 /* 0: none yet */
	bool bound, resolved;
};

struct side {
	uint16_t port;
	unsigned int bound, resolved;
	struct host hosts[HOSTS_MAX];
	uint32_t *sent_seq, *seen_seq; /* per flow, of what this side sends and of what it gets */
};

struct generator {
	struct rte_mempool *pool;
	unsigned int hosts, flows, queues;
	uint64_t hz;
	struct side side[SIDES];
};

/* One trial: what was offered and what came out of the other side. */
struct trial {
	double offered_pps, seconds;
	unsigned int ways; /* bit 1: from side 0, bit 2: from side 1 */
	uint64_t offered, refused, received, reordered, foreign;
	unsigned int samples;
	double latency_us[SAMPLES_MAX]; /* sorted when the trial is over */
};

/* hosts.c: each host gets an address by DHCP and the MAC behind which its opposite is, by ARP. */
int hosts_join(struct generator *g, unsigned int deadline_s);
/* A frame that is not traffic: answers ARP for our hosts, takes what a joining host waits for. */
void hosts_input(struct generator *g, unsigned int side, const uint8_t *frame, size_t len);

/* traffic.c */
int traffic_init(struct generator *g);
/* @param size bytes of a frame, or 0: IMIX. @param pps 0: whatever the ports take. */
void traffic_trial(struct generator *g, unsigned int size, double pps, double seconds,
		   struct trial *t);

#endif /* CW_GENERATOR_H */
