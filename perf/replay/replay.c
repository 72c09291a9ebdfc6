/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The replay port. Its cost is that of moving buffers and of one copy, and is measured by itself:
 * rx and tx with nothing between them.
 */
#include "replay.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <rte_pause.h>
#include <rte_prefetch.h>

int replay_open(struct replay *r, struct rte_mempool *pool, uint16_t port, unsigned int frames_max,
		size_t bytes)
{
	struct rte_mbuf like = {.data_off = RTE_PKTMBUF_HEADROOM, .nb_segs = 1, .port = port};

	memset(r, 0, sizeof(*r));
	rte_mbuf_refcnt_set(&like, 1);
	memcpy(&r->rearm, &like.rearm_data, sizeof(r->rearm));
	r->pool = pool;
	r->max = frames_max;
	r->size = bytes + (size_t)frames_max * 64;
	r->frames = calloc(frames_max, sizeof(r->frames[0]));
	if (r->frames == NULL || posix_memalign((void **)&r->memory, 64, r->size) != 0)
		return -1;
	memset(r->memory, 0, r->size);
	return 0;
}

uint8_t *replay_add(struct replay *r, uint16_t len)
{
	size_t padded = (len + 63u) / 64 * 64;
	uint8_t *at = r->memory + r->used;

	if (r->count == r->max || r->used + padded > r->size)
		return NULL;
	r->frames[r->count++] = (struct replay_frame){.bytes = at, .len = len};
	r->used += padded;
	return at;
}

static inline void copy(uint8_t *to, const uint8_t *from, unsigned int len)
{
	for (unsigned int at = 0; at < len; at += 64)
		memcpy(to + at, from + at, 64);
}

/* What a driver writes into an mbuf for each descriptor. */
static inline void give(const struct replay *r, struct rte_mbuf *m, uint16_t len)
{
	memcpy(&m->rearm_data, &r->rearm, sizeof(r->rearm));
	m->ol_flags = 0;
	m->packet_type = 0;
	m->pkt_len = len;
	m->data_len = len;
	m->vlan_tci = 0;
	m->hash.rss = 0;
}

static uint16_t cold_rx(struct replay *r, struct rte_mbuf **pkts, uint16_t n)
{
	struct replay_cold *c = r->cold;

	if (n > c->n - c->taken)
		n = (uint16_t)(c->n - c->taken);
	for (uint16_t i = 0; i < n; i++) {
		pkts[i] = c->bufs[c->taken + i];
		give(r, pkts[i], r->frames[(r->next + i) % r->count].len);
	}
	c->taken += n;
	r->next = (r->next + n) % r->count;
	r->left -= n;
	return n;
}

uint16_t replay_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct replay *r = queue;

	if (n > r->left)
		n = (uint16_t)r->left;
	if (n == 0)
		return 0;
	if (r->cold != NULL)
		return cold_rx(r, pkts, n);
	if (rte_mempool_get_bulk(r->pool, (void **)pkts, n) != 0)
		return 0;
	for (uint16_t i = 0; i < n; i++) {
		const struct replay_frame *f = &r->frames[r->next];

		give(r, pkts[i], f->len);
		copy((uint8_t *)pkts[i]->buf_addr + RTE_PKTMBUF_HEADROOM, f->bytes, f->len);
		r->next = r->next + 1 == r->count ? 0 : r->next + 1;
	}
	r->left -= n;
	return n;
}

uint16_t replay_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct replay *r = queue;

	for (uint16_t i = 0; i < n; i++)
		r->sent_bytes += pkts[i]->pkt_len;
	rte_mempool_put_bulk(r->pool, (void **)pkts, n);
	r->sent += n;
	return n;
}

uint16_t replay_nothing(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	(void)pkts;
	(void)n;
	return 0;
}

static void *writer(void *arg)
{
	struct replay *r = arg;
	struct replay_cold *c = r->cold;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(c->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	while (__atomic_load_n(&c->running, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&c->wanted, __ATOMIC_ACQUIRE) == c->done) {
			rte_pause();
			continue;
		}
		for (unsigned int i = 0; i < c->n; i++) {
			const struct replay_frame *f = &r->frames[(r->next + i) % r->count];

			copy((uint8_t *)c->bufs[i]->buf_addr + RTE_PKTMBUF_HEADROOM, f->bytes,
			     f->len);
		}
		__atomic_store_n(&c->done, c->done + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

int replay_cold_open(struct replay *r, int cpu)
{
	r->cold = calloc(1, sizeof(*r->cold));
	if (r->cold == NULL)
		return -1;
	r->cold->cpu = cpu;
	r->cold->running = true;
	return pthread_create(&r->cold->thread, NULL, writer, r) == 0 ? 0 : -1;
}

int replay_cold_fill(struct replay *r, unsigned int n)
{
	struct replay_cold *c = r->cold;

	if (n > REPLAY_COLD_MAX || rte_mempool_get_bulk(r->pool, (void **)c->bufs, n) != 0)
		return -1;
	c->n = n;
	c->taken = 0;
	__atomic_store_n(&c->wanted, c->wanted + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&c->done, __ATOMIC_ACQUIRE) != c->wanted)
		rte_pause();
	return 0;
}

void replay_close(struct replay *r)
{
	if (r->cold != NULL) {
		__atomic_store_n(&r->cold->running, false, __ATOMIC_RELEASE);
		pthread_join(r->cold->thread, NULL);
		free(r->cold);
	}
	free(r->frames);
	free(r->memory);
	memset(r, 0, sizeof(*r));
}
