/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LAN to WAN: the replay port's rx allocates a burst and copies templates into it, its tx frees.
 * Its own cost is measured apart, by the same rx and tx without a pipeline between them.
 */
#include "bench.h"

#include <string.h>

#include <rte_cycles.h>

#include <cw_eth.h>

#define TEMPLATES 1024u

struct replay {
	struct bench *b;
	unsigned int next, left;
	unsigned int sent;
	uint16_t bytes[TEMPLATES];
	uint8_t frame[TEMPLATES][1536];
};

static struct replay replay;

static uint16_t replay_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct replay *r = queue;

	if (n > r->left)
		n = (uint16_t)r->left;
	if (n == 0 || rte_pktmbuf_alloc_bulk(r->b->pool, pkts, n) != 0)
		return 0;
	for (uint16_t i = 0; i < n; i++) {
		unsigned int t = r->next++ % TEMPLATES;

		memcpy(rte_pktmbuf_mtod(pkts[i], void *), r->frame[t], r->bytes[t]);
		pkts[i]->data_len = r->bytes[t];
		pkts[i]->pkt_len = r->bytes[t];
	}
	r->left -= n;
	return n;
}

static uint16_t replay_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct replay *r = queue;

	rte_pktmbuf_free_bulk(pkts, n);
	r->sent += n;
	return n;
}

static uint16_t nothing_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static const struct cw_burst_ops lan_ops = {.rx = replay_rx, .tx = replay_tx};
static const struct cw_burst_ops wan_ops = {.rx = nothing_rx, .tx = replay_tx};

static void make_templates(struct bench *b, const char *size)
{
	static const struct cw_mac host = {{2, 0, 0, 0, 0, 1}}, us = {{0xfe, 0xfd, 0, 0, 0, 0}};

	replay.b = b;
	for (unsigned int i = 0; i < TEMPLATES; i++) {
		unsigned int bytes = bench_frame_bytes(size, i);

		replay.bytes[i] = (uint16_t)bytes;
		cw_eth_write(replay.frame[i], &us, &host, 0, CW_ETH_P_IP4);
		bench_inner(replay.frame[i] + CW_ETH_BYTES, bytes - CW_ETH_BYTES,
			    LOCAL_IP + i % HOSTS, REMOTE_IP + (i * 40503u) % MAPPINGS, i);
	}
}

double outbound_round(struct bench *b, const char *size, double *stages)
{
	uint64_t began;
	double cycles;

	make_templates(b, size);
	if (bench_worker(b, &lan_ops, &replay, &wan_ops, &replay, stages != NULL) < 0)
		return 0;
	replay.left = 2048; /* warm caches and predictors */
	while (replay.left > 0)
		cw_worker_turn(b->worker);
	memset(&b->stats, 0, sizeof(b->stats));
	replay.left = 32 * WORK;
	replay.sent = 0;
	began = rte_rdtsc_precise();
	while (replay.left > 0)
		cw_worker_turn(b->worker);
	cycles = (double)(rte_rdtsc_precise() - began) / (32 * WORK);
	for (unsigned int s = 0; stages != NULL && s < CW_STATS_STAGES_MAX; s++)
		stages[s] = (double)b->stats.stage_cycles[s] / (32 * WORK);
	cw_worker_destroy(b->worker);
	return replay.sent == 32 * WORK ? cycles : 0;
}

double outbound_port_round(struct bench *b, const char *size)
{
	struct rte_mbuf *pkts[CW_BURST];
	uint64_t began;
	uint16_t n;

	make_templates(b, size);
	replay.left = 32 * WORK;
	began = rte_rdtsc_precise();
	while ((n = replay_rx(&replay, pkts, CW_BURST)) > 0)
		replay_tx(&replay, pkts, n);
	return (double)(rte_rdtsc_precise() - began) / (32 * WORK);
}
