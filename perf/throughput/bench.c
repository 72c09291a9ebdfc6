/* SPDX-License-Identifier: BSD-3-Clause */
/* The bench's tables: 256 hosts, 64 k mappings spread over the peers, an SA in each direction per
 * peer, known on both sides; the packets of a case. */
#include "bench.h"

#include <cw_channels.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ring.h>

#include <cw_eth.h>
#include <cw_udp.h>

static const struct cw_mac host_mac = {{2, 0, 0, 0, 0, 1}};

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

unsigned int bench_mapping(unsigned int i)
{
	return (i * 40503u) % MAPPINGS;
}

unsigned int bench_peer_of(const struct bench *b, unsigned int mapping)
{
	return mapping % b->peer_count;
}

void bench_inner(uint8_t *ip, unsigned int ip_bytes, uint32_t src, uint32_t dst, unsigned int i)
{
	memset(ip, (int)(i * 31), ip_bytes);
	cw_udp_write_ip4(ip, 0, (uint16_t)i, 0, rte_cpu_to_be_32(src), rte_cpu_to_be_32(dst),
			 rte_cpu_to_be_16((uint16_t)(1024 + i % 60000)), rte_cpu_to_be_16(9),
			 (uint16_t)(ip_bytes - 28));
}

static int add_hosts(struct bench *b)
{
	for (uint32_t i = 0; i < HOSTS; i++) {
		struct cw_host h = {.ip = rte_cpu_to_be_32(LOCAL_IP + i),
				    .mac = host_mac,
				    .state = CW_HOST_BOUND,
				    .heard_tsc = UINT64_MAX / 2};

		if (cw_host_publish(b->hosts, &h) < 0)
			return -1;
	}
	return 0;
}

static int add_sa_pair(struct bench *b, unsigned int p)
{
	struct cw_sa_params sa = {.peer = b->peer_index[p], .generation = 1, .suite = b->suite};
	uint32_t ours, theirs;

	memset(sa.key, (int)p + 1, sizeof(sa.key));
	/* Outbound: the SPI is the twin's, who could open it. */
	if (cw_sa_spi_alloc(b->twins, 0, p * 977, &theirs) < 0 ||
	    cw_sa_spi_alloc(b->peers, 0, p * 977, &ours) < 0)
		return -1;
	sa.spi = theirs;
	if (cw_sa_add_outbound(b->peers, &sa, 1) < 0 || cw_sa_switch(b->peers, sa.peer, 1) < 0)
		return -1;
	/* Inbound: what the twin seals. */
	memset(sa.key, (int)p + 101, sizeof(sa.key));
	sa.spi = ours;
	if (cw_sa_add_inbound(b->peers, &sa) < 0)
		return -1;
	b->inbound[p] = cw_sa_find(b->peers, ours);
	sa.peer = b->twin_index[p];
	return cw_sa_add_outbound(b->twins, &sa, 1) < 0 || cw_sa_switch(b->twins, sa.peer, 1) < 0
		       ? -1
		       : 0;
}

static int add_peers(struct bench *b)
{
	struct cw_underlay us = {.port_mac = {{4, 0, 0, 0, 0, 1}},
				 .ip = rte_cpu_to_be_32(0xc6336402),
				 .port = rte_cpu_to_be_16(7845)};
	struct cw_underlay them = {.port_mac = {{4, 0, 0, 0, 0, 2}},
				   .ip = rte_cpu_to_be_32(0xcb007102),
				   .port = rte_cpu_to_be_16(7845)};

	cw_peer_set_underlay(b->peers, &us);
	cw_peer_set_underlay(b->twins, &them);
	for (unsigned int p = 0; p < b->peer_count; p++) {
		struct cw_peer_params params = {
			.node = {{(uint8_t)p, (uint8_t)(p >> 8), 1}},
			.site = {(uint8_t)p, (uint8_t)(p >> 8), 7},
			.path = {.family = CW_FAMILY_IPV4, .port = them.port, .ip4 = them.ip},
			.next_hop = them.port_mac,
			.have_next_hop = true,
			.mtu_bytes = 1438};

		if (cw_peer_add(b->peers, &params, &b->peer_index[p]) < 0)
			return -1;
		params.path.ip4 = us.ip;
		params.next_hop = us.port_mac;
		if (cw_peer_add(b->twins, &params, &b->twin_index[p]) < 0 || add_sa_pair(b, p) < 0)
			return -1;
	}
	return 0;
}

/* Each peer's datagrams go on to somebody else, far below the limit. */
static int add_channels(struct bench *b)
{
	struct cw_channel_params all[PEERS_MAX];

	for (unsigned int p = 0; p < b->peer_count; p++) {
		all[p] = (struct cw_channel_params){.from = {.family = CW_FAMILY_IPV4,
							     .port = rte_cpu_to_be_16(7845),
							     .ip4 = rte_cpu_to_be_32(0xcb007102)},
						    .number = (uint16_t)(CW_CHANNEL_FIRST + p),
						    .forward = true,
						    .to_number = (uint16_t)(CW_CHANNEL_FIRST + p),
						    .next_hop = {{4, 0, 0, 0, 0, 3}}};
		all[p].to = all[p].from;
		all[p].to.ip4 = rte_cpu_to_be_32(0xcb007103 + p);
	}
	return cw_channels_publish(b->peers, all, b->peer_count, UINT64_C(100000000000), b->tsc_hz);
}

static int add_routes(struct bench *b)
{
	for (uint32_t i = 0; i < MAPPINGS; i++) {
		unsigned int p = bench_peer_of(b, i);
		struct cw_route r = {.ip = rte_cpu_to_be_32(REMOTE_IP + i),
				     .kind = CW_ROUTE_REMOTE,
				     .peer = b->peer_index[p],
				     .expires_tsc = UINT64_MAX,
				     .site = {(uint8_t)p, (uint8_t)(p >> 8), 7},
				     .used_tsc = UINT64_MAX / 2};

		if (cw_route_publish(b->routes, &r) < 0)
			return -1;
	}
	return 0;
}

int bench_init(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	b->tsc_hz = rte_get_tsc_hz();
	b->suite = CW_SUITE_AES_256_GCM;
	b->engine = cw_crypto_ipsec_mb_open();
	b->crypto = b->engine != NULL ? &cw_crypto_ipsec_mb : &cw_crypto_openssl;
	b->pool = rte_pktmbuf_pool_create("bench", 8191, 512, CW_MBUF_PRIVATE_BYTES,
					  RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	return b->pool == NULL ? -1 : 0;
}

/* As many rules and ranges as there may be; the packets' own, of 200 hosts, comes last. */
static int make_policy(struct bench *b)
{
	struct cw_policy_source s = {.rule_count = CW_POLICY_RULES_MAX,
				     .range_count = CW_POLICY_RANGES_MAX};

	for (unsigned int i = 0; i < CW_POLICY_RANGES_MAX; i++)
		s.ranges[i] = (struct cw_policy_range){(uint8_t)(i % CW_POLICY_GROUPS_MAX),
						       rte_cpu_to_be_32(LOCAL_IP + 8 * i),
						       rte_cpu_to_be_32(LOCAL_IP + 8 * i + 6)};
	for (unsigned int i = 0; i < CW_POLICY_RULES_MAX; i++)
		s.rules[i] = (struct cw_policy_rule){
			true,	       CW_IP_PROTO_UDP,		  CW_POLICY_ANY,
			CW_POLICY_ANY, (uint16_t)(1000 + 10 * i), (uint16_t)(1005 + 10 * i)};
	s.rules[CW_POLICY_RULES_MAX - 1].port_first = s.rules[CW_POLICY_RULES_MAX - 1].port_last =
		9;
	if (cw_policy_compile(&b->policy, &s) < 0)
		return -1;
	b->policed_view = b->view;
	b->policed_view.policy = b->policy;
	b->policed.view = &b->policed_view;
	return 0;
}

static struct rte_ring *make_ring(const char *what, unsigned int peers)
{
	char name[32];

	snprintf(name, sizeof(name), "%s_%u", what, peers);
	return rte_ring_create(name, CW_RING_ENTRIES, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

int bench_open(struct bench *b, const struct bench *shared, unsigned int peers)
{
	*b = *shared;
	b->peer_count = peers;
	b->punt = make_ring("punt", peers);
	b->inject = make_ring("inject", peers);
	if (b->punt == NULL || b->inject == NULL || cw_rcu_create(&b->rcu) < 0 ||
	    cw_host_table_create(&b->hosts, b->rcu, CW_HOST_MAX) < 0 ||
	    cw_route_table_create(&b->routes, b->rcu, MAPPINGS) < 0 ||
	    cw_peer_table_create(&b->peers, b->rcu, b->crypto, b->engine, 1) < 0 ||
	    cw_peer_table_create(&b->twins, b->rcu, b->crypto, b->engine, 1) < 0)
		return -1;
	b->deadline.session_tsc = UINT64_MAX;
	b->deadline.slots = 1;
	b->deadline.slots_until_tsc = UINT64_MAX;
	b->view = (struct cw_ns_view){.subnet = {.ip = rte_cpu_to_be_32(SUBNET_IP), .len = 15},
				      .broadcast = rte_cpu_to_be_32(0x0a81ffff),
				      .service_ip = rte_cpu_to_be_32(SUBNET_IP + 1),
				      .virtual_mac_slots = 1,
				      .mtu_bytes = 1420,
				      .lease_s = 3600,
				      .deadline = &b->deadline,
				      .hosts = b->hosts,
				      .routes = b->routes};
	b->slot.view = &b->view;
	if (make_policy(b) < 0)
		return -1;
	return add_hosts(b) < 0 || add_peers(b) < 0 || add_channels(b) < 0 || add_routes(b) < 0 ? -1
												: 0;
}

void bench_close(struct bench *b)
{
	cw_rcu_drain(b->rcu);
	cw_peer_table_destroy(b->peers);
	cw_peer_table_destroy(b->twins);
	cw_host_table_destroy(b->hosts);
	cw_route_table_destroy(b->routes);
	cw_rcu_destroy(b->rcu);
	cw_policy_free(b->policy);
	rte_ring_free(b->punt);
	rte_ring_free(b->inject);
}
