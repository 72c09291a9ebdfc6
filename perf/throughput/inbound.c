/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WAN to LAN with the replay window on: a twin of each peer seals a batch of fresh packets (not
 * measured), then the worker opens all of them (measured). The port's rx only hands over what is
 * ready; a batch fits the second-level cache, as what a NIC has just written does with DDIO.
 */
#include "bench.h"

#include <string.h>

#include <rte_cycles.h>

#include <cw_tunnel.h>

#define BATCH	256u
#define BATCHES 512u

static struct {
	struct rte_mbuf *ready[BATCH];
	unsigned int next, count, sent;
} wire;

static uint16_t ready_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	unsigned int left = wire.count - wire.next;

	(void)queue;
	if (n > left)
		n = (uint16_t)left;
	memcpy(pkts, wire.ready + wire.next, n * sizeof(pkts[0]));
	wire.next += n;
	return n;
}

static uint16_t free_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	rte_pktmbuf_free_bulk(pkts, n);
	wire.sent += n;
	return n;
}

static uint16_t nothing_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static const struct cw_burst_ops lan_ops = {.rx = nothing_rx, .tx = free_tx};
static const struct cw_burst_ops wan_ops = {.rx = ready_rx, .tx = free_tx};

/* @return false when the pool is empty. */
static bool seal_all(struct bench *b, const char *size, unsigned int batch)
{
	wire.next = wire.count = 0;
	for (unsigned int i = batch * BATCH; i < (batch + 1) * BATCH; i++) {
		/* A mapping's peer seals what comes from it. */
		unsigned int mapping = (i * 40503u) % MAPPINGS, p = mapping % b->peer_count;
		const struct cw_peer *twin = cw_peer_at(b->twins, b->twin_index[p]);
		unsigned int bytes = bench_frame_bytes(size, i) - 14;
		struct rte_mbuf *m = rte_pktmbuf_alloc(b->pool);
		struct cw_crypto_job job;

		if (m == NULL)
			return false;
		bench_inner((uint8_t *)rte_pktmbuf_append(m, (uint16_t)bytes), bytes,
			    REMOTE_IP + mapping, LOCAL_IP + i % HOSTS, i);
		if (cw_tunnel_encap(m, twin, cw_sa_pick(twin, 0, 1, 0), &job) != CW_DROP_NONE)
			return false;
		b->crypto->seal(b->engine, &job, 1);
		wire.ready[wire.count++] = m;
	}
	return true;
}

double inbound_round(struct bench *b, const char *size, double *stages)
{
	uint64_t cycles = 0;

	if (bench_worker(b, &lan_ops, NULL, &wan_ops, NULL, stages != NULL) < 0)
		return 0;
	for (unsigned int batch = 0; batch < BATCHES + 8; batch++) {
		uint64_t began;

		if (!seal_all(b, size, batch))
			return 0;
		if (batch == 8) { /* the first ones warmed caches and predictors */
			cycles = 0;
			wire.sent = 0;
			memset(&b->stats, 0, sizeof(b->stats));
		}
		began = rte_rdtsc_precise();
		while (wire.next < wire.count)
			cw_worker_turn(b->worker);
		cycles += rte_rdtsc_precise() - began;
	}
	for (unsigned int s = 0; stages != NULL && s < CW_STATS_STAGES_MAX; s++)
		stages[s] = (double)b->stats.stage_cycles[s] / ((double)BATCHES * BATCH);
	cw_worker_destroy(b->worker);
	return wire.sent == BATCHES * BATCH ? (double)cycles / ((double)BATCHES * BATCH) : 0;
}
