/* SPDX-License-Identifier: BSD-3-Clause */
/* The rig's world and its two ports. The engine is OpenSSL's: nothing here measures. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_ring.h>

#include <cw_channels.h>
#include <cw_crypto_engines.h>
#include <cw_eth.h>
#include <cw_tunnel.h>
#include <cw_udp.h>

/* More than a worker keeps back. */
#define MBUFS 2047u

const struct cw_mac rig_host_mac = {{2, 0, 0, 0, 0, 5}};
const struct cw_mac rig_lan_mac = {{2, 0, 0, 0, 0, 0x1a}};
const struct cw_mac rig_wan_mac = {{4, 0, 0, 0, 0, 1}};
const struct cw_mac rig_peer_mac = {{4, 0, 0, 0, 0, 2}};
const struct cw_mac rig_virtual_mac = {{0xfe, 0xfd, 0, 0, 0, 0}};

static char prefix[64];

void rig_start(void)
{
	char *eal[] = {(char *)"rig",	       (char *)"--no-huge",
		       (char *)"-m",	       (char *)"32",
		       (char *)"--no-pci",     (char *)"--no-telemetry",
		       (char *)"--no-shconf",  prefix,
		       (char *)"--lcores=0@0", (char *)"--log-level=3"};

	snprintf(prefix, sizeof(prefix), "--file-prefix=cwrig%ld", (long)getpid());
	if (rte_eal_init(CW_ARRAY_SIZE(eal), eal) < 0) {
		puts("EAL does not come up here");
		exit(77);
	}
	cw_rcu_thread_register();
}

void rig_stop(void)
{
	char path[128];

	cw_rcu_thread_unregister();
	rte_eal_cleanup();
	snprintf(path, sizeof(path), "/run/dpdk/%s", strchr(prefix, '=') + 1);
	rmdir(path);
}

static uint16_t rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct rig_port *port = queue;
	uint16_t count = port->rx_count < n ? port->rx_count : n;

	memcpy(pkts, port->rx, count * sizeof(pkts[0]));
	port->rx_count = 0;
	return count;
}

static uint16_t tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct rig_port *port = queue;
	uint16_t count = n < port->tx_room ? n : port->tx_room;

	for (uint16_t i = 0; i < count; i++) {
		CW_ASSERT(pkts[i]->nb_segs == 1 && pkts[i]->pkt_len == pkts[i]->data_len &&
			  pkts[i]->data_len >= CW_ETH_BYTES &&
			  pkts[i]->data_len <= sizeof(port->last.bytes));
		port->last.len = pkts[i]->data_len;
		memcpy(port->last.bytes, rte_pktmbuf_mtod(pkts[i], void *), port->last.len);
		rte_pktmbuf_free(pkts[i]);
		port->sent++;
	}
	return count;
}

static const struct cw_burst_ops ops = {rx, tx};

static struct rte_ring *ring(const char *what, unsigned int i)
{
	static unsigned int serial;
	char name[32];
	struct rte_ring *r;

	snprintf(name, sizeof(name), "%s%u_%u", what, i, serial++);
	r = rte_ring_create(name, 64, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	CW_ASSERT(r != NULL);
	return r;
}

static void add_hosts(struct rig *rig)
{
	struct cw_host h = {.ip = rte_cpu_to_be_32(RIG_BOUND),
			    .mac = rig_host_mac,
			    .state = CW_HOST_BOUND,
			    .grant_until_tsc = UINT64_MAX,
			    .client = {0, 7, {1, 2, 0, 0, 0, 0, 5}}};

	CW_ASSERT(cw_host_publish(rig->view.hosts, &h) == 0);
	h.ip = rte_cpu_to_be_32(RIG_OFFERED);
	h.mac.b[5] = 6;
	h.client.bytes[6] = 6;
	h.state = CW_HOST_OFFERED;
	CW_ASSERT(cw_host_publish(rig->view.hosts, &h) == 0);
}

static void add_route(struct rig *rig, uint32_t ip, uint8_t kind, uint16_t peer, uint8_t site)
{
	struct cw_route r = {.ip = rte_cpu_to_be_32(ip),
			     .kind = kind,
			     .peer = peer,
			     .expires_tsc = UINT64_MAX,
			     .site = {site}};

	CW_ASSERT(cw_route_publish(rig->view.routes, &r) == 0);
}

static void add_keys(struct rig *rig)
{
	struct cw_sa_params sa = {
		.peer = rig->near, .generation = 1, .suite = CW_SUITE_AES_256_GCM};
	uint32_t ours, theirs;

	CW_ASSERT(cw_sa_spi_alloc(rig->peers, 0, 77, &ours) == 0 &&
		  cw_sa_spi_alloc(rig->twins, 0, 77, &theirs) == 0);
	memset(sa.key, 1, sizeof(sa.key));
	sa.spi = theirs;
	CW_ASSERT(cw_sa_add_outbound(rig->peers, &sa, 1) == 0 &&
		  cw_sa_switch(rig->peers, rig->near, 1) == 0);
	memset(sa.key, 2, sizeof(sa.key));
	sa.spi = ours;
	CW_ASSERT(cw_sa_add_inbound(rig->peers, &sa) == 0);
	sa.peer = rig->twin;
	CW_ASSERT(cw_sa_add_outbound(rig->twins, &sa, 1) == 0 &&
		  cw_sa_switch(rig->twins, rig->twin, 1) == 0);
}

static void add_peers(struct rig *rig)
{
	struct cw_underlay us = {rig_wan_mac, rte_cpu_to_be_32(RIG_WAN),
				 rte_cpu_to_be_16(RIG_WAN_PORT)};
	struct cw_underlay them = {rig_peer_mac, rte_cpu_to_be_32(RIG_PEER_WAN),
				   rte_cpu_to_be_16(RIG_WAN_PORT)};
	struct cw_peer_params p = {
		.node = {{1}},
		.site = {1},
		.path = {.family = CW_FAMILY_IPV4, .port = them.port, .ip4 = them.ip},
		.next_hop = rig_peer_mac,
		.have_next_hop = true,
		.mtu_bytes = 1438};

	cw_peer_set_underlay(rig->peers, &us);
	cw_peer_set_underlay(rig->twins, &them);
	CW_ASSERT(cw_peer_add(rig->peers, &p, &rig->near) == 0);
	p.node.b[0] = p.site[0] = 2;
	CW_ASSERT(cw_peer_add(rig->peers, &p, &rig->keyless) == 0);
	p.path.ip4 = us.ip;
	p.next_hop = rig_wan_mac;
	CW_ASSERT(cw_peer_add(rig->twins, &p, &rig->twin) == 0);
	add_keys(rig);
	add_route(rig, RIG_NEAR, CW_ROUTE_REMOTE, rig->near, 1);
	add_route(rig, RIG_KEYLESS, CW_ROUTE_REMOTE, rig->keyless, 2);
	add_route(rig, RIG_NOBODY, CW_ROUTE_NONE, 0, 0);
	add_route(rig, RIG_LOCAL, CW_ROUTE_LOCAL, 0, 7);
	add_route(rig, RIG_STRANGE, CW_ROUTE_REMOTE, rig->near, 3);
}

static void add_channels(struct rig *rig)
{
	struct cw_endpoint near = {.family = CW_FAMILY_IPV4,
				   .port = rte_cpu_to_be_16(RIG_WAN_PORT),
				   .ip4 = rte_cpu_to_be_32(RIG_PEER_WAN)};
	struct cw_endpoint third = near;
	struct cw_channel_params all[3];

	third.ip4 = rte_cpu_to_be_32(RIG_THIRD_WAN);
	all[0] = (struct cw_channel_params){near, RIG_FROM_NEAR, true, third, 0x4004, rig_peer_mac};
	all[1] = (struct cw_channel_params){third, RIG_FROM_THIRD, true,
					    near,  RIG_TO_NEAR,	   rig_peer_mac};
	all[2] = (struct cw_channel_params){.from = near, .number = RIG_FOR_US};
	CW_ASSERT(cw_channels_publish(rig->peers, all, 3, RIG_RELAY_BYTES_S, 1000000000) == 0);
}

static void make_view(struct rig *rig)
{
	rig->deadline.session_tsc = UINT64_MAX;
	rig->deadline.slots = 1;
	rig->deadline.slots_until_tsc = UINT64_MAX;
	rig->view.subnet = (struct cw_prefix4){rte_cpu_to_be_32(RIG_IP(0)), 16};
	rig->view.broadcast = rte_cpu_to_be_32(0x0a80ffff);
	rig->view.service_ip = rte_cpu_to_be_32(RIG_SERVICE);
	rig->view.service_mac = rig_virtual_mac;
	rig->view.virtual_mac_slots = 1;
	rig->view.mtu_bytes = 1420;
	rig->view.lease_s = 3600;
	rig->view.t1_s = 1800;
	rig->view.t2_s = 3150;
	rig->view.deadline = &rig->deadline;
	rig->slot.view = &rig->view;
}

static void make_worker(struct rig *rig, bool sees_own_frames, bool owns_address,
			unsigned int lan_queues)
{
	struct cw_worker_params params = {.workers = RIG_WORKERS,
					  .lan = {.ops = &ops,
						  .queue = &rig->lan,
						  .mac = rig_lan_mac,
						  .queues = lan_queues,
						  .sees_own_frames = sees_own_frames},
					  .wan = {.ops = &ops,
						  .queue = &rig->wan,
						  .mac = rig_wan_mac,
						  .sees_own_frames = sees_own_frames,
						  .owns_address = owns_address},
					  .wan_ip = rte_cpu_to_be_32(RIG_WAN),
					  .wan_port = rte_cpu_to_be_16(RIG_WAN_PORT),
					  .discovery = true,
					  .pool = rig->pool,
					  .peers = rig->peers,
					  .crypto = &cw_crypto_openssl,
					  .view = &rig->slot,
					  .stats = &rig->stats,
					  .punt = rig->punt,
					  .inject = rig->inject,
					  .handover = rig->handover,
					  .tsc_hz = 1000000000};

	CW_ASSERT(cw_worker_create(&rig->worker, &params) == 0);
}

void rig_open(struct rig *rig, bool sees_own_frames, bool owns_address)
{
	static struct rte_mempool *pool;

	memset(rig, 0, sizeof(*rig));
	if (pool == NULL)
		pool = rte_pktmbuf_pool_create("rig", MBUFS, 0, CW_MBUF_PRIVATE_BYTES,
					       RTE_PKTMBUF_HEADROOM + RIG_FRAME_BYTES_MAX,
					       SOCKET_ID_ANY);
	rig->pool = pool;
	CW_ASSERT(pool != NULL && cw_rcu_create(&rig->rcu) == 0 &&
		  cw_host_table_create(&rig->view.hosts, rig->rcu, 16) == 0 &&
		  cw_route_table_create(&rig->view.routes, rig->rcu, 16) == 0 &&
		  cw_peer_table_create(&rig->peers, rig->rcu, &cw_crypto_openssl, NULL,
				       RIG_WORKERS) == 0 &&
		  cw_peer_table_create(&rig->twins, rig->rcu, &cw_crypto_openssl, NULL, 1) == 0);
	rig->punt = ring("punt", 0);
	rig->inject = ring("inject", 0);
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(rig->handover); i++)
		rig->handover[i] = ring("hand", i);
	rig->lan.tx_room = rig->wan.tx_room = UINT16_MAX;
	make_view(rig);
	add_hosts(rig);
	add_peers(rig);
	add_channels(rig);
	make_worker(rig, sees_own_frames, owns_address, 0);
}

void rig_share_the_lan(struct rig *rig)
{
	cw_worker_destroy(rig->worker);
	make_worker(rig, false, false, 1);
}

static void empty(struct rte_ring *r)
{
	struct rte_mbuf *m;

	while (rte_ring_sc_dequeue(r, (void **)&m) == 0)
		rte_pktmbuf_free(m);
}

unsigned int rig_reset(struct rig *rig)
{
	rte_pktmbuf_free_bulk(rig->lan.rx, rig->lan.rx_count);
	rte_pktmbuf_free_bulk(rig->wan.rx, rig->wan.rx_count);
	empty(rig->punt);
	empty(rig->inject);
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(rig->handover); i++)
		empty(rig->handover[i]);
	rig->lan.rx_count = rig->wan.rx_count = 0;
	rig->lan.sent = rig->wan.sent = rig->punted = 0;
	memset(&rig->stats, 0, sizeof(rig->stats));
	return rte_mempool_in_use_count(rig->pool);
}

unsigned int rig_close(struct rig *rig)
{
	cw_worker_destroy(rig->worker);
	rig_reset(rig);
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(rig->handover); i++)
		rte_ring_free(rig->handover[i]);
	rte_ring_free(rig->punt);
	rte_ring_free(rig->inject);
	cw_peer_table_destroy(rig->peers);
	cw_peer_table_destroy(rig->twins);
	cw_rcu_drain(rig->rcu);
	cw_host_table_destroy(rig->view.hosts);
	cw_route_table_destroy(rig->view.routes);
	cw_rcu_destroy(rig->rcu);
	return rte_mempool_in_use_count(rig->pool);
}

void rig_put(struct rig *rig, struct rig_port *port, const void *frame, size_t len,
	     unsigned int segments)
{
	struct rte_mbuf *head = NULL;

	CW_ASSERT(port->rx_count < CW_BURST && len <= RIG_FRAME_BYTES_MAX);
	for (unsigned int s = 0; s < segments; s++) {
		size_t from = len * s / segments, bytes = len * (s + 1) / segments - from;
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig->pool);
		uint8_t *room;

		CW_ASSERT(m != NULL);
		room = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)bytes);
		CW_ASSERT(room != NULL);
		memcpy(room, (const uint8_t *)frame + from, bytes);
		if (head == NULL)
			head = m;
		else
			CW_ASSERT(rte_pktmbuf_chain(head, m) == 0);
	}
	port->rx[port->rx_count++] = head;
}

void rig_turn(struct rig *rig)
{
	struct rte_mbuf *m;

	cw_worker_turn(rig->worker, rte_rdtsc());
	while (cw_punt_dequeue(rig->punt, &m, 1) == 1) {
		rig->last_punt = cw_punt_meta_of(m)->kind;
		CW_ASSERT(rig->last_punt < CW_PUNT_KIND_COUNT && m->nb_segs == 1 &&
			  m->data_len == m->pkt_len);
		rig->punted++;
		rte_pktmbuf_free(m);
	}
	cw_rcu_quiescent();
	cw_rcu_reap(rig->rcu);
}

size_t rig_lan_ip(uint8_t *frame, uint32_t src, uint32_t dst, uint16_t fragment, uint8_t proto,
		  size_t payload)
{
	cw_eth_write(frame, &rig_virtual_mac, &rig_host_mac, 0, CW_ETH_P_IP4);
	memset(frame + CW_ETH_BYTES + CW_IP4_BYTES, 0x11, payload);
	cw_ip4_write(frame + CW_ETH_BYTES, 0, (uint16_t)payload, 1, fragment, 64, proto,
		     rte_cpu_to_be_32(src), rte_cpu_to_be_32(dst));
	return CW_ETH_BYTES + CW_IP4_BYTES + payload;
}

size_t rig_wan_udp(uint8_t *frame, const void *payload, size_t len)
{
	cw_eth_write(frame, &rig_wan_mac, &rig_peer_mac, 0, CW_ETH_P_IP4);
	memcpy(frame + CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES, payload, len);
	cw_udp_write_ip4(frame + CW_ETH_BYTES, 0, 1, 0, rte_cpu_to_be_32(RIG_PEER_WAN),
			 rte_cpu_to_be_32(RIG_WAN), rte_cpu_to_be_16(RIG_WAN_PORT),
			 rte_cpu_to_be_16(RIG_WAN_PORT), (uint16_t)len);
	return CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES + len;
}

size_t rig_wan_channel(uint8_t *frame, uint16_t number, const void *payload, size_t len)
{
	uint8_t framed[RIG_FRAME_BYTES_MAX];

	CW_ASSERT(len + CW_CHANNEL_OUTER_BYTES <= sizeof(framed));
	cw_channel_write(framed, number, (uint16_t)len);
	memcpy(framed + CW_CHANNEL_BYTES, payload, len);
	return rig_wan_udp(frame, framed, len + CW_CHANNEL_BYTES);
}

struct cw_sa_out *rig_twin_sa(struct rig *rig)
{
	return cw_sa_pick(cw_peer_at(rig->twins, rig->twin), 0, 1, 0);
}

size_t rig_sealed(struct rig *rig, uint8_t *frame, const void *inner, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig->pool);
	struct cw_crypto_job job;
	size_t bytes;

	CW_ASSERT(m != NULL);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), inner, len);
	CW_ASSERT(cw_tunnel_encap(m, 0, cw_peer_at(rig->twins, rig->twin), rig_twin_sa(rig),
				  &job) == CW_DROP_NONE);
	cw_crypto_openssl.seal(NULL, &job, 1);
	CW_ASSERT(job.ok);
	bytes = m->data_len;
	memcpy(frame, rte_pktmbuf_mtod(m, void *), bytes);
	rte_pktmbuf_free(m);
	return bytes;
}
