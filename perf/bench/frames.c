/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packets of a case, made once as templates of a replay port. Everything about the i-th one
 * follows from i, so two programs measure the same packets.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include <cw_channels.h>
#include <cw_eth.h>
#include <cw_tunnel.h>
#include <cw_udp.h>

#define FRAMES_MANY 8192u /* small frames: many flows */
#define FRAMES_FEW  2048u /* large frames, few peers: what fits the second-level cache */

unsigned int bench_frame_bytes(const char *size, unsigned int i)
{
	/* 7:4:1 of 64, 570 and 1420 bytes, mixed. */
	static const unsigned short imix[12] = {64,   570, 64,	64, 570, 64,
						1420, 64,  570, 64, 570, 64};

	return size[0] == 'i' ? imix[i % 12] : (unsigned int)atoi(size);
}

double bench_mean_bytes(const char *size)
{
	double sum = 0;

	for (unsigned int i = 0; i < 12; i++)
		sum += bench_frame_bytes(size, i);
	return sum / 12;
}

unsigned int bench_frames(const struct bench *b, const char *size)
{
	return bench_mean_bytes(size) < 600 || b->size.peers > 1024 ? FRAMES_MANY : FRAMES_FEW;
}

unsigned int bench_mapping(const struct bench *b, unsigned int i)
{
	return (i * 40503u) % b->size.mappings;
}

unsigned int bench_peer_of(const struct bench *b, unsigned int mapping)
{
	return mapping % b->size.peers;
}

void bench_inner(uint8_t *ip, unsigned int ip_bytes, uint32_t src, uint32_t dst, unsigned int i)
{
	memset(ip, (int)(i * 31), ip_bytes);
	cw_udp_write_ip4(ip, 0, (uint16_t)i, 0, rte_cpu_to_be_32(src), rte_cpu_to_be_32(dst),
			 rte_cpu_to_be_16((uint16_t)(1024 + i % 60000)), rte_cpu_to_be_16(9),
			 (uint16_t)(ip_bytes - 28));
}

int bench_add_outbound(const struct bench *b, struct replay *port, const char *size,
		       unsigned int hosts, unsigned int i)
{
	static const struct cw_mac host = {{2, 0, 0, 0, 0, 1}}, us = {{0xfe, 0xfd, 0, 0, 0, 0}};
	unsigned int bytes = bench_frame_bytes(size, i);
	uint8_t *frame = replay_add(port, (uint16_t)bytes);

	if (frame == NULL)
		return -1;
	cw_eth_write(frame, &us, &host, 0, CW_ETH_P_IP4);
	bench_inner(frame + CW_ETH_BYTES, bytes - CW_ETH_BYTES, LOCAL_IP + i % hosts,
		    REMOTE_IP + bench_mapping(b, i), i);
	return 0;
}

void bench_restart_twins(struct bench *b)
{
	for (unsigned int p = 0; p < b->size.peers; p++)
		for (unsigned int w = 0; w < b->size.workers; w++)
			cw_peer_at(b->twins, b->twin_index[p])->set->sa[w]->seq = 0;
}

/* A mapping's peer seals what comes from it. @return the mbuf, or NULL. */
static struct rte_mbuf *seal(struct bench *b, const char *size, unsigned int hosts, unsigned int i,
			     unsigned int worker)
{
	unsigned int mapping = bench_mapping(b, i), p = bench_peer_of(b, mapping);
	unsigned int bytes = bench_frame_bytes(size, i) - CW_ETH_BYTES;
	const struct cw_peer *twin = cw_peer_at(b->twins, b->twin_index[p]);
	struct rte_mbuf *m = rte_pktmbuf_alloc(b->pool);
	struct cw_crypto_job job;

	if (m == NULL)
		return NULL;
	bench_inner((uint8_t *)rte_pktmbuf_append(m, (uint16_t)bytes), bytes, REMOTE_IP + mapping,
		    LOCAL_IP + i % hosts, i);
	if (cw_tunnel_encap(m, 0, twin, cw_sa_pick(twin, worker, b->size.workers, 0), &job) !=
	    CW_DROP_NONE) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	b->crypto->seal(b->engine, &job, 1);
	return m;
}

int bench_add_inbound(struct bench *b, struct replay *port, const char *size, unsigned int hosts,
		      unsigned int i, unsigned int worker)
{
	struct rte_mbuf *m = seal(b, size, hosts, i, worker);
	uint8_t *frame = m != NULL ? replay_add(port, m->data_len) : NULL;

	if (frame != NULL)
		memcpy(frame, rte_pktmbuf_mtod(m, void *), m->data_len);
	rte_pktmbuf_free(m);
	return frame == NULL ? -1 : 0;
}

int bench_add_channel(struct bench *b, struct replay *port, const char *size, unsigned int i)
{
	struct rte_mbuf *m = seal(b, size, 1, i, 0);
	uint8_t *frame =
		m != NULL ? replay_add(port, (uint16_t)(m->data_len + CW_CHANNEL_BYTES)) : NULL;
	unsigned int p = bench_peer_of(b, bench_mapping(b, i));

	if (frame != NULL) {
		const uint8_t *sealed = rte_pktmbuf_mtod(m, const uint8_t *);
		uint16_t bytes = (uint16_t)(m->data_len - CW_OUTER_BYTES);

		memcpy(frame, sealed, CW_ETH_BYTES);
		cw_channel_write(frame + CW_OUTER_BYTES, (uint16_t)(CW_CHANNEL_FIRST + p), bytes);
		memcpy(frame + CW_OUTER_BYTES_MAX, sealed + CW_OUTER_BYTES, bytes);
		cw_udp_write_ip4(frame + CW_ETH_BYTES, 0, 1, 0, rte_cpu_to_be_32(0xcb007102),
				 rte_cpu_to_be_32(BENCH_WAN_IP), rte_cpu_to_be_16(BENCH_WAN_PORT),
				 rte_cpu_to_be_16(BENCH_WAN_PORT),
				 (uint16_t)(bytes + CW_CHANNEL_BYTES));
	}
	rte_pktmbuf_free(m);
	return frame == NULL ? -1 : 0;
}
