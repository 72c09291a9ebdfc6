/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A trial: frames at a rate from one side or both, counted where they come out. Each carries its
 * flow, its number within the flow and the time it left, so loss, order and latency are seen of
 * every single one.
 *
 * A frame that its port refuses when it is due is offered and lost: a wire would not wait either.
 */
#include "generator.h"

#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <cw_eth.h>
#include <cw_udp.h>

#define MARK	UINT16_C(0xca5e)
#define MARK_AT (CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES)
/* Frames that may be under way when a trial's sending ends. */
#define DRAIN_S 0.3

struct mark {
	uint16_t magic;
	uint32_t flow, seq;
	uint64_t tsc;
} CW_PACKED;

_Static_assert(MARK_AT + sizeof(struct mark) <= 64, "the smallest frame holds its mark");

static unsigned int imix(uint32_t n)
{
	/* 7:4:1, mixed. */
	static const unsigned short sizes[12] = {64,   570, 64,	 64, 570, 64,
						 1420, 64,  570, 64, 570, 64};

	return sizes[n % 12];
}

int traffic_init(struct generator *g)
{
	for (unsigned int s = 0; s < SIDES; s++) {
		g->side[s].sent_seq = calloc(g->flows, sizeof(uint32_t));
		g->side[s].seen_seq = calloc(g->flows, sizeof(uint32_t));
		if (g->side[s].sent_seq == NULL || g->side[s].seen_seq == NULL)
			return -1;
	}
	return 0;
}

static void fill(const struct generator *g, unsigned int side, struct rte_mbuf *m, uint32_t flow,
		 unsigned int bytes)
{
	const struct host *from = &g->side[side].hosts[flow % g->hosts];
	const struct host *to = &g->side[!side].hosts[flow % g->hosts];
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct mark mark = {.magic = MARK, .flow = flow, .tsc = rte_rdtsc()};

	m->data_len = (uint16_t)bytes;
	m->pkt_len = bytes;
	cw_eth_write(frame, &from->next, &from->mac, 0, CW_ETH_P_IP4);
	mark.seq = ++g->side[side].sent_seq[flow];
	memcpy(frame + MARK_AT, &mark, sizeof(mark));
	cw_ip4_write(frame + CW_ETH_BYTES, 0, (uint16_t)(bytes - CW_ETH_BYTES - CW_IP4_BYTES),
		     (uint16_t)mark.seq, 0, 64, CW_IP_PROTO_UDP, from->ip, to->ip);
	/* No checksum: RFC 768 allows it, and the mark is the check. */
	memset(frame + CW_ETH_BYTES + CW_IP4_BYTES, 0, CW_UDP_BYTES);
	frame[CW_ETH_BYTES + CW_IP4_BYTES] = (uint8_t)(0x40 | (flow >> 8 & 0x3f));
	frame[CW_ETH_BYTES + CW_IP4_BYTES + 1] = (uint8_t)flow;
	frame[CW_ETH_BYTES + CW_IP4_BYTES + 2] = (uint8_t)(0x40 | (flow >> 14 & 0x3f));
	frame[CW_ETH_BYTES + CW_IP4_BYTES + 3] = 9;
	frame[CW_ETH_BYTES + CW_IP4_BYTES + 4] =
		(uint8_t)((bytes - CW_ETH_BYTES - CW_IP4_BYTES) >> 8);
	frame[CW_ETH_BYTES + CW_IP4_BYTES + 5] = (uint8_t)(bytes - CW_ETH_BYTES - CW_IP4_BYTES);
}

static void send_some(struct generator *g, unsigned int side, unsigned int size, uint64_t n,
		      uint32_t *next, struct trial *t)
{
	struct rte_mbuf *m[BURST];
	unsigned int count = n < BURST ? (unsigned int)n : BURST;
	uint16_t queue = (uint16_t)(*next / BURST % g->queues), sent;
	unsigned int taken = 0;

	if (rte_pktmbuf_alloc_bulk(g->pool, m, count) != 0)
		return; /* all of them are under way: the gateways hold them */
	/* A flow keeps its queue: flow modulo queues. */
	for (unsigned int i = 0; i < count; i++, (*next)++) {
		uint32_t flow = *next % g->flows;

		flow = flow - flow % g->queues + queue;
		fill(g, side, m[i], flow < g->flows ? flow : queue % g->flows,
		     size != 0 ? size : imix(*next));
	}
	sent = rte_eth_tx_burst(g->side[side].port, queue, m, (uint16_t)count);
	taken += sent;
	t->offered += count;
	t->refused += count - taken;
	rte_pktmbuf_free_bulk(m + sent, count - sent);
}

static void count_one(struct generator *g, unsigned int side, const uint8_t *frame, size_t len,
		      struct trial *t)
{
	struct mark mark;
	uint32_t *seen;

	memcpy(&mark, frame + MARK_AT, sizeof(mark));
	if (len < 64 || mark.magic != MARK || mark.flow >= g->flows) {
		t->foreign++;
		hosts_input(g, side, frame, len);
		return;
	}
	t->received++;
	seen = &g->side[side].seen_seq[mark.flow];
	if ((int32_t)(mark.seq - *seen) <= 0)
		t->reordered++;
	else
		*seen = mark.seq;
	if (t->samples < SAMPLES_MAX)
		t->latency_us[t->samples++] =
			(double)(rte_rdtsc() - mark.tsc) / (double)g->hz * 1e6;
}

static void receive(struct generator *g, struct trial *t)
{
	struct rte_mbuf *m[BURST];

	for (unsigned int s = 0; s < SIDES; s++) {
		for (uint16_t q = 0; q < g->queues; q++) {
			uint16_t n = rte_eth_rx_burst(g->side[s].port, q, m, BURST);

			for (uint16_t i = 0; i < n; i++)
				count_one(g, s, rte_pktmbuf_mtod(m[i], uint8_t *), m[i]->data_len,
					  t);
			rte_pktmbuf_free_bulk(m, n);
		}
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void traffic_trial(struct generator *g, unsigned int size, double pps, double seconds,
		   struct trial *t)
{
	unsigned int ways = t->ways, both = ways == 3 ? 2 : 1;
	uint64_t began = rte_rdtsc(), now = began,
		 end = began + (uint64_t)(seconds * (double)g->hz);
	uint64_t done[SIDES] = {0};
	uint32_t next[SIDES] = {0};

	*t = (struct trial){.ways = ways, .offered_pps = pps, .seconds = seconds};
	while (now < end) {
		double due = pps / both * (double)(now - began) / (double)g->hz;

		for (unsigned int s = 0; s < SIDES; s++) {
			uint64_t n = pps == 0 ? BURST : (uint64_t)due - done[s];

			if (!(ways >> s & 1) || n == 0)
				continue;
			send_some(g, s, size, n, &next[s], t);
			done[s] += n < BURST ? n : BURST;
		}
		receive(g, t);
		now = rte_rdtsc();
	}
	if (pps == 0) {
		/* Nothing was due: what was refused was not offered. */
		t->offered -= t->refused;
		t->refused = 0;
		t->offered_pps = (double)t->offered / seconds;
	}
	end = now + (uint64_t)(DRAIN_S * (double)g->hz);
	while (rte_rdtsc() < end && t->received < t->offered - t->refused)
		receive(g, t);
	qsort(t->latency_us, t->samples, sizeof(t->latency_us[0]), compare);
}
