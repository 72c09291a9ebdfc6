/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers and their lcores: rings, statistics, one cw_worker each; an lcore does nothing but
 * turns, and sleeps between them when there is nothing to do, offline for RCU.
 */
#include "daemon.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include <cw_crypto_engines.h>

static int choose_crypto(struct daemon *d)
{
	if (d->config.crypto != 2) {
		d->crypto_engine = cw_crypto_ipsec_mb_open();
		if (d->crypto_engine != NULL) {
			d->crypto = &cw_crypto_ipsec_mb;
			return 0;
		}
		if (d->config.crypto == 1)
			return FAIL(d, "crypto: ipsec_mb needs a CPU with AES instructions");
	}
	d->crypto = &cw_crypto_openssl;
	return 0;
}

static struct rte_ring *make_ring(const char *what, unsigned int a, unsigned int b)
{
	char name[64];

	snprintf(name, sizeof(name), "cw_%.6s_%u_%u", what, a, b);
	return rte_ring_create(name, CW_RING_ENTRIES, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int make_handover(struct daemon *d)
{
	unsigned int n = d->workers;

	if (n == 1)
		return 0;
	d->handover = calloc((size_t)n * n, sizeof(struct rte_ring *));
	for (unsigned int i = 0; d->handover != NULL && i < n * n; i++) {
		d->handover[i] = make_ring("over", i / n, i % n);
		if (d->handover[i] == NULL)
			return -1;
	}
	return d->handover == NULL ? -1 : 0;
}

static int make_worker(struct daemon *d, unsigned int i)
{
	struct worker_slot *slot = &d->worker[i];
	struct cw_port_facts facts;
	struct cw_worker_params params = {
		.index = i,
		.workers = d->workers,
		.wan_ip = d->wan_ip,
		.wan_port = rte_cpu_to_be_16((uint16_t)d->config.wan_port),
		.discovery = d->config.discovery != CW_CONFIG_DISCOVERY_OFF,
		.pool = d->pool,
		.peers = d->peers,
		.crypto = d->crypto,
		.engine = d->crypto_engine,
		.view = &d->view,
		.handover = d->handover,
		.tsc_hz = d->tsc.hz};

	slot->daemon = d;
	slot->punt = params.punt = make_ring("punt", i, 0);
	slot->inject = params.inject = make_ring("inject", i, 0);
	if (posix_memalign((void **)&slot->stats, 64, sizeof(*slot->stats)) != 0)
		return -1;
	memset(slot->stats, 0, sizeof(*slot->stats));
	params.stats = slot->stats;
	cw_port_facts(d->wan, &facts);
	cw_port_queue(d->wan, i, &params.wan);
	params.wan.queues = facts.queues;
	if (d->lan != NULL) {
		cw_port_facts(d->lan, &facts);
		cw_port_queue(d->lan, i, &params.lan);
		params.lan.queues = facts.queues;
	}
	if (params.punt == NULL || params.inject == NULL)
		return -1;
	return cw_worker_create(&slot->worker, &params) < 0 ? -1 : 0;
}

static void tell_queues(const struct daemon *d, const char *name, const struct cw_port *port)
{
	struct cw_port_facts facts;

	cw_port_facts(port, &facts);
	if (facts.queues < d->workers)
		cw_log(&d->log.log, CW_LOG_NOTICE, "port",
		       "%s: %u queue(s) for %u workers: the first workers poll for the others",
		       name, facts.queues, d->workers);
}

int workers_open(struct daemon *d)
{
	d->workers = d->config.workers;
	tell_queues(d, "wan", d->wan);
	if (d->lan != NULL)
		tell_queues(d, "lan", d->lan);
	if (choose_crypto(d) < 0)
		return -1;
	cw_rcu_thread_register();
	if (cw_rcu_create(&d->rcu) < 0 ||
	    cw_peer_table_create(&d->peers, d->rcu, d->crypto, d->crypto_engine, d->workers) < 0 ||
	    make_handover(d) < 0)
		return FAIL(d, "no memory for the workers' tables");
	keys_for_sas(d);
	for (unsigned int i = 0; i < d->workers; i++)
		if (make_worker(d, i) < 0)
			return FAIL(d, "no memory for worker %u", i);
	return 0;
}

static int lcore_main(void *arg)
{
	struct worker_slot *slot = arg;
	struct daemon *d = slot->daemon;

	cw_rcu_thread_register();
	while (!d->workers_stop) {
		unsigned int handled = cw_worker_turn(slot->worker, rte_rdtsc());
		/* Both may change with a reload. */
		uint64_t ceiling_ns = __atomic_load_n(&d->config.idle_ceiling_ns, __ATOMIC_RELAXED);
		enum cw_idle idle =
			(enum cw_idle)__atomic_load_n(&d->config.idle, __ATOMIC_RELAXED);
		unsigned int us = cw_worker_idle_us(slot->worker, handled, idle,
						    (unsigned int)(ceiling_ns / CW_NS_PER_US));

		cw_rcu_quiescent();
		if (us == 0)
			continue;
		cw_rcu_offline();
		usleep(us);
		cw_rcu_online();
	}
	cw_rcu_thread_unregister();
	return 0;
}

int workers_start(struct daemon *d)
{
	unsigned int lcore, i = 0;

	d->workers_running = true;
	d->workers_stop = false;
	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (i == d->workers)
			break;
		d->worker[i].lcore = lcore;
		if (rte_eal_remote_launch(lcore_main, &d->worker[i], lcore) != 0)
			return FAIL(d, "lcore %u does not start", lcore);
		i++;
	}
	return 0;
}

void workers_stop(struct daemon *d)
{
	if (!d->workers_running)
		return;
	d->workers_stop = true;
	/* Workers may wait for nothing of ours, but a grace period must not wait for us. */
	cw_rcu_offline();
	rte_eal_mp_wait_lcore();
	cw_rcu_online();
	d->workers_running = false;
}

static void drain(struct rte_ring *ring)
{
	struct rte_mbuf *m;

	while (ring != NULL && rte_ring_dequeue(ring, (void **)&m) == 0)
		rte_pktmbuf_free(m);
}

void workers_close(struct daemon *d)
{
	workers_stop(d);
	for (unsigned int i = 0; i < d->workers; i++) {
		struct worker_slot *slot = &d->worker[i];

		drain(slot->punt);
		drain(slot->inject);
		cw_worker_destroy(slot->worker);
		rte_ring_free(slot->punt);
		rte_ring_free(slot->inject);
		free(slot->stats);
	}
	for (unsigned int i = 0; d->handover != NULL && i < d->workers * d->workers; i++) {
		drain(d->handover[i]);
		rte_ring_free(d->handover[i]);
	}
	free(d->handover);
	cw_peer_table_destroy(d->peers);
	if (d->rcu != NULL) {
		cw_rcu_destroy(d->rcu);
		cw_rcu_thread_unregister();
	}
	if (d->crypto == &cw_crypto_ipsec_mb)
		cw_crypto_ipsec_mb_close(d->crypto_engine);
}
