/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Driving a case: packets made once as templates, then windows of the whole pipeline, the bare
 * engine and the port alone, one after the other, so that whatever disturbs the machine disturbs
 * all three.
 *
 * WAN to LAN the templates are sealed packets with their sequence numbers; replay windows are set
 * back before each window, so every packet is new to the worker.
 */
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include <cw_eth.h>
#include <cw_udp.h>

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

static int add_frame(struct drive *d, unsigned int i)
{
	if (is_hello(d, i))
		return add_hello(d, i);
	if (d->what->with == RELAY)
		return bench_add_channel(d->b, &d->port, d->what->size, i);
	return d->what->inbound ? bench_add_inbound(d->b, &d->port, d->what->size, HOSTS, i, 0)
				: bench_add_outbound(d->b, &d->port, d->what->size, HOSTS, i);
}

static int make_frames(struct drive *d)
{
	unsigned int count = bench_frames(d->b, d->what->size);
	int rc = replay_open(&d->port, d->b->pool, 0, count, (size_t)count * 1600);

	if (d->what->inbound)
		bench_restart_twins(d->b);
	for (unsigned int i = 0; rc == 0 && i < count; i++)
		rc = add_frame(d, i);
	return rc;
}

static int make_worker(struct drive *d, struct cw_worker **out, struct cw_stats *stats, bool stages)
{
	struct cw_worker_params params;

	bench_worker(d->b, 0, &params);
	params.lan.ops = d->what->inbound ? &d->tx_ops : &d->rx_ops;
	params.wan.ops = d->what->inbound ? &d->rx_ops : &d->tx_ops;
	params.lan.queue = params.wan.queue = &d->port;
	params.stats = stats;
	params.measure_stages = stages;
	if (d->what->with == POLICY)
		params.view = &d->b->policed;
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
	if (d->port.next + n > d->port.count)
		d->port.next = 0;
	bench_drain_punts(d->b);
	if (d->what->inbound)
		bench_reset_replay(d->b, 0);
	return d->what->with == COLD ? replay_cold_fill(&d->port, n) : 0;
}

static void run(struct drive *d, struct cw_worker *w, unsigned int n)
{
	d->port.left = n;
	if (w != NULL) {
		while (d->port.left > 0)
			cw_worker_turn(w, rte_rdtsc());
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
