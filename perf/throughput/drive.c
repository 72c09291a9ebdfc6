/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Driving a case: packets made once as templates, then windows of the whole pipeline, the bare
 * engine and the port alone, one after the other, so that whatever disturbs the machine disturbs
 * all three.
 *
 * WAN to LAN the templates are sealed packets with their sequence numbers; replay windows are set
 * back before each window, so every packet is new to the worker.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include <cw_eth.h>
#include <cw_tunnel.h>
#include <cw_udp.h>

#define FRAMES_MANY 8192u /* small frames: many flows */
#define FRAMES_FEW  2048u /* large frames, few peers: what fits the second-level cache */

static int add_outbound(struct drive *d, unsigned int i)
{
	static const struct cw_mac host = {{2, 0, 0, 0, 0, 1}}, us = {{0xfe, 0xfd, 0, 0, 0, 0}};
	unsigned int bytes = bench_frame_bytes(d->what->size, i);
	uint8_t *frame = replay_add(&d->port, (uint16_t)bytes);

	if (frame == NULL)
		return -1;
	cw_eth_write(frame, &us, &host, 0, CW_ETH_P_IP4);
	bench_inner(frame + CW_ETH_BYTES, bytes - CW_ETH_BYTES, LOCAL_IP + i % HOSTS,
		    REMOTE_IP + bench_mapping(i), i);
	return 0;
}

static void put_in_channel(uint8_t *frame, const struct rte_mbuf *m, unsigned int p)
{
	const uint8_t *sealed = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t bytes = (uint16_t)(m->data_len - CW_OUTER_BYTES);

	memcpy(frame, sealed, CW_ETH_BYTES);
	cw_channel_write(frame + CW_OUTER_BYTES, (uint16_t)(CW_CHANNEL_FIRST + p), bytes);
	memcpy(frame + CW_OUTER_BYTES_MAX, sealed + CW_OUTER_BYTES, bytes);
	cw_udp_write_ip4(frame + CW_ETH_BYTES, 0, 1, 0, rte_cpu_to_be_32(0xcb007102),
			 rte_cpu_to_be_32(0xc6336402), rte_cpu_to_be_16(7845),
			 rte_cpu_to_be_16(7845), (uint16_t)(bytes + CW_CHANNEL_BYTES));
}

/* A mapping's peer seals what comes from it. */
static int add_inbound(struct drive *d, unsigned int i)
{
	struct bench *b = d->b;
	unsigned int mapping = bench_mapping(i), p = bench_peer_of(b, mapping);
	unsigned int bytes = bench_frame_bytes(d->what->size, i) - CW_ETH_BYTES;
	const struct cw_peer *twin = cw_peer_at(b->twins, b->twin_index[p]);
	struct rte_mbuf *m = rte_pktmbuf_alloc(b->pool);
	struct cw_crypto_job job;
	uint8_t *frame = NULL;

	if (m == NULL)
		return -1;
	bench_inner((uint8_t *)rte_pktmbuf_append(m, (uint16_t)bytes), bytes, REMOTE_IP + mapping,
		    LOCAL_IP + i % HOSTS, i);
	if (cw_tunnel_encap(m, 0, twin, cw_sa_pick(twin, 0, 1, 0), &job) == CW_DROP_NONE) {
		b->crypto->seal(b->engine, &job, 1);
		frame = replay_add(
			&d->port,
			(uint16_t)(m->data_len + (d->what->with == RELAY ? CW_CHANNEL_BYTES : 0)));
	}
	if (frame != NULL && d->what->with == RELAY)
		put_in_channel(frame, m, p);
	else if (frame != NULL)
		memcpy(frame, rte_pktmbuf_mtod(m, void *), m->data_len);
	rte_pktmbuf_free(m);
	return frame == NULL ? -1 : 0;
}

/* A ClientHello of somebody whose address is made up. */
static int add_hello(struct drive *d, unsigned int i)
{
	static const uint8_t hello[] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 180, 1};
	uint8_t *frame = replay_add(&d->port, CW_ETH_BYTES + 28 + 193);
	const struct cw_mac from = {{4, 0, 0, 0, 0, 2}}, to = {{4, 0, 0, 0, 0, 1}};

	if (frame == NULL)
		return -1;
	memset(frame, 0, CW_ETH_BYTES + 28 + 193);
	cw_eth_write(frame, &to, &from, 0, CW_ETH_P_IP4);
	memcpy(frame + CW_ETH_BYTES + 28, hello, sizeof(hello));
	cw_udp_write_ip4(frame + CW_ETH_BYTES, 0, 1, 0, rte_cpu_to_be_32(0x0c000000 + i * 977),
			 rte_cpu_to_be_32(0xc6336402), rte_cpu_to_be_16((uint16_t)(1024 + i)),
			 rte_cpu_to_be_16(7845), 193);
	return 0;
}

static bool is_hello(const struct drive *d, unsigned int i)
{
	return d->what->with == FLOOD && i % FLOOD_EVERY == FLOOD_EVERY - 1;
}

static int make_frames(struct drive *d)
{
	bool many = bench_mean_bytes(d->what->size) < 600 || d->what->peers > 1024;
	unsigned int count = many ? FRAMES_MANY : FRAMES_FEW;
	int rc = replay_open(&d->port, d->b->pool, 0, count, (size_t)count * 1600);

	/* Each peer's outbound sequence begins anew, as its replay window does. */
	for (unsigned int p = 0; d->what->inbound && p < d->b->peer_count; p++)
		cw_peer_at(d->b->twins, d->b->twin_index[p])->set->sa[0]->seq = 0;
	for (unsigned int i = 0; rc == 0 && i < count; i++)
		rc = is_hello(d, i)	? add_hello(d, i)
		     : d->what->inbound ? add_inbound(d, i)
					: add_outbound(d, i);
	return rc;
}

static int make_worker(struct drive *d, struct cw_worker **out, struct cw_stats *stats, bool stages)
{
	struct bench *b = d->b;
	struct cw_worker_params params = {
		.workers = 1,
		.lan = {.ops = d->what->inbound ? &d->tx_ops : &d->rx_ops, .queue = &d->port},
		.wan = {.ops = d->what->inbound ? &d->rx_ops : &d->tx_ops,
			.queue = &d->port,
			.mac = {{4, 0, 0, 0, 0, 1}}},
		.wan_ip = rte_cpu_to_be_32(0xc6336402),
		.wan_port = rte_cpu_to_be_16(7845),
		.pool = b->pool,
		.peers = b->peers,
		.crypto = b->crypto,
		.engine = b->engine,
		.view = d->what->with == POLICY ? &b->policed : &b->slot,
		.stats = stats,
		.punt = b->punt,
		.inject = b->inject,
		.tsc_hz = b->tsc_hz,
		.measure_stages = stages};

	return cw_worker_create(out, &params);
}

int drive_open(struct drive *d, struct bench *b, const struct bench_case *what)
{
	memset(d, 0, sizeof(*d));
	d->what = what;
	d->b = b;
	d->rx_ops = (struct cw_burst_ops){.rx = replay_rx, .tx = replay_tx};
	d->tx_ops = (struct cw_burst_ops){.rx = replay_nothing, .tx = replay_tx};
	if (make_frames(d) < 0 || make_worker(d, &d->worker, &d->stats, false) < 0 ||
	    make_worker(d, &d->staged, &d->staged_stats, true) < 0)
		return -1;
	return what->with == COLD ? replay_cold_open(&d->port, 1) : 0;
}

/* What the port gives next begins at a place from which a whole window can be given. */
static int prepare(struct drive *d, unsigned int n)
{
	struct rte_mbuf *pkts[CW_BURST];
	unsigned int punted;

	if (d->port.next + n > d->port.count)
		d->port.next = 0;
	/* Control, elsewhere, takes what was punted. */
	while ((punted = cw_punt_dequeue(d->b->punt, pkts, CW_BURST)) > 0)
		rte_pktmbuf_free_bulk(pkts, punted);
	for (unsigned int p = 0; d->what->inbound && p < d->b->peer_count; p++)
		memset(&d->b->inbound[p]->replay, 0, sizeof(d->b->inbound[p]->replay));
	return d->what->with == COLD ? replay_cold_fill(&d->port, n) : 0;
}

static void run(struct drive *d, struct cw_worker *w, unsigned int n)
{
	d->port.left = n;
	if (w != NULL) {
		while (d->port.left > 0)
			cw_worker_turn(w);
		return;
	}
	while (d->port.left > 0) {
		struct rte_mbuf *pkts[CW_BURST];
		uint16_t got = replay_rx(&d->port, pkts, CW_BURST);

		replay_tx(&d->port, pkts, got);
	}
}

static int lost(const struct drive *d, const struct cw_stats *s)
{
	fprintf(stderr, "throughput: packets were lost in case %s %s %u\n",
		d->what->inbound ? "wan-lan" : "lan-wan", d->what->size, d->what->peers);
	for (unsigned int i = 1; i < CW_DROP_COUNT; i++)
		if (s->drops[i] != 0)
			fprintf(stderr, "  %s %llu\n", cw_drop_name((enum cw_drop)i),
				(unsigned long long)s->drops[i]);
	return -1;
}

/* One window; w NULL: the port alone. @return cycles per packet, 0 if packets were lost. */
static double window(struct drive *d, struct cw_worker *w)
{
	unsigned int n = d->what->with == COLD ? WINDOW_COLD : WINDOW;
	unsigned int carried = n;
	uint64_t began, cycles, sent;

	if (prepare(d, WARM) < 0)
		return 0;
	run(d, w, WARM);
	if (prepare(d, n) < 0)
		return 0;
	for (unsigned int i = 0; w != NULL && i < n; i++)
		carried -= is_hello(d, d->port.next + i);
	sent = d->port.sent;
	began = rte_rdtsc_precise();
	run(d, w, n);
	cycles = rte_rdtsc_precise() - began;
	return d->port.sent - sent == carried ? (double)cycles / carried : 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double lower_quartile(double *v, unsigned int n)
{
	qsort(v, n, sizeof(v[0]), compare);
	return v[n / 4];
}

int drive_round(struct drive *d, unsigned int windows, struct figures *out)
{
	double whole[WINDOWS_MAX], engine[WINDOWS_MAX], port[WINDOWS_MAX];
	static double stages[CW_STATS_STAGES_MAX][WINDOWS_MAX];

	for (unsigned int i = 0; i < windows; i++) {
		double staged;

		whole[i] = window(d, d->worker);
		engine[i] = engine_window(d, d->port.next);
		port[i] = window(d, NULL);
		memset(&d->staged_stats, 0, sizeof(d->staged_stats));
		staged = window(d, d->staged);
		if (whole[i] == 0 || staged == 0)
			return lost(d, whole[i] == 0 ? &d->stats : &d->staged_stats);
		for (unsigned int s = 0; s < CW_STATS_STAGES_MAX; s++)
			stages[s][i] = (double)d->staged_stats.stage_cycles[s] /
				       (WARM + (d->what->with == COLD ? WINDOW_COLD : WINDOW));
	}
	out->whole = lower_quartile(whole, windows);
	out->engine = lower_quartile(engine, windows);
	out->port = lower_quartile(port, windows);
	for (unsigned int s = 0; s < CW_STATS_STAGES_MAX; s++)
		out->stages[s] = lower_quartile(stages[s], windows);
	return 0;
}

void drive_close(struct drive *d)
{
	cw_worker_destroy(d->worker);
	cw_worker_destroy(d->staged);
	replay_close(&d->port);
}
