/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker as a thing: made, unmade, and how it waits.
 *
 * Waiting: a worker that saw nothing pauses at first (the next burst is likely near), then sleeps,
 * doubling up to the configured ceiling, so that several gateways can share a small machine. The
 * first packet after a sleep pays at most the ceiling.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <rte_pause.h>

/* Turns without work before the first sleep: about 50 us of polling. */
#define PAUSES_BEFORE_SLEEP 256u
#define FIRST_SLEEP_US	    20u

/* Worker i of a port with fewer queues sends by worker i mod queues. */
static void open_side(struct cw_worker *w, enum cw_stats_side side, const struct cw_dp_port *port)
{
	unsigned int index = w->params.index;

	w->side[side].port = *port;
	w->side[side].carrier = port->queues == 0 ? index : index % port->queues;
	w->polls[side] = port->ops != NULL && w->side[side].carrier == index;
}

int cw_worker_create(struct cw_worker **out, const struct cw_worker_params *params)
{
	struct cw_worker *w = NULL;

	if (params->index >= params->workers || params->wan.ops == NULL ||
	    rte_pktmbuf_priv_size(params->pool) < CW_MBUF_PRIVATE_BYTES)
		return -EINVAL;
	if (posix_memalign((void **)&w, 64, sizeof(*w)) != 0)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->params = *params;
	w->stats = params->stats;
	w->peers = cw_peer_slots(params->peers);
	w->inbound = cw_sa_slots(params->peers, params->index);
	open_side(w, CW_SIDE_LAN, &params->lan);
	open_side(w, CW_SIDE_WAN, &params->wan);
	w->spreads = w->polls[CW_SIDE_LAN] && params->lan.queues != 0 &&
		     params->lan.queues < params->workers;
	cw_toeplitz_make(&w->toeplitz, cw_toeplitz_key);
	*out = w;
	return 0;
}

void cw_worker_destroy(struct cw_worker *worker)
{
	if (worker == NULL)
		return;
	for (unsigned int s = 0; s < CW_SIDE_COUNT; s++)
		rte_pktmbuf_free_bulk(worker->side[s].tx.pkt, worker->side[s].tx.n);
	rte_pktmbuf_free_bulk(worker->settling, worker->settling_count);
	free(worker);
}

unsigned int cw_worker_idle_us(struct cw_worker *w, unsigned int handled, enum cw_idle idle,
			       unsigned int ceiling_us)
{
	if (handled > 0) {
		w->idle_turns = 0;
		w->sleep_us = 0;
		return 0;
	}
	if (idle == CW_IDLE_SPIN)
		return 0;
	if (idle == CW_IDLE_PAUSE || ++w->idle_turns < PAUSES_BEFORE_SLEEP) {
		rte_pause();
		return 0;
	}
	w->sleep_us = w->sleep_us == 0 ? FIRST_SLEEP_US : w->sleep_us * 2;
	if (w->sleep_us > ceiling_us)
		w->sleep_us = ceiling_us;
	return w->sleep_us;
}
