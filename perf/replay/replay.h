/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_REPLAY_H
#define CW_REPLAY_H

/*
 * The replay port: what stands in for a NIC where cycles are counted. rx takes buffers from the
 * pool and gives each the bytes of a template, tx puts buffers back, both as a vector driver with
 * fast free does. The same port drives this gateway and the programs it is compared with.
 *
 * Cold mode: the bytes are written by another core, as a NIC's DMA writes them; rx then only
 * fills in the mbufs, and whoever looks at a packet first pays for fetching it.
 */
#include <pthread.h>
#include <stdbool.h>

#include <rte_mbuf.h>

/* Buffers that the other core fills at once: they fit its second-level cache. */
#define REPLAY_COLD_MAX 512u

struct replay_frame {
	const uint8_t *bytes; /* readable to the next multiple of 64 */
	uint16_t len;
};

struct replay_cold {
	pthread_t thread;
	int cpu;
	bool running;
	unsigned int wanted, done; /* counts of batches; each written by one side */
	unsigned int n, taken;
	struct rte_mbuf *bufs[REPLAY_COLD_MAX];
};

struct replay {
	struct rte_mempool *pool;
	uint64_t rearm; /* the mbuf's data_off, refcnt, nb_segs, port */
	unsigned int count, max, next;
	unsigned int left; /* frames that rx still gives */
	uint64_t sent, sent_bytes;
	struct replay_frame *frames;
	uint8_t *memory;
	size_t used, size;
	struct replay_cold *cold; /* NULL: hot */
};

int replay_open(struct replay *r, struct rte_mempool *pool, uint16_t port, unsigned int frames_max,
		size_t bytes);
void replay_close(struct replay *r);
/* Room for a template of len bytes; NULL: full. */
uint8_t *replay_add(struct replay *r, uint16_t len);

uint16_t replay_rx(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t replay_tx(void *queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t replay_nothing(void *queue, struct rte_mbuf **pkts, uint16_t n);

/* A thread on another CPU writes from now on. */
int replay_cold_open(struct replay *r, int cpu);
/* Have n frames written and wait until they are: rx gives these. */
int replay_cold_fill(struct replay *r, unsigned int n);

#endif /* CW_REPLAY_H */
