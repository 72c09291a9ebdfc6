/* SPDX-License-Identifier: BSD-3-Clause */
/* The bench's tables: hosts, mappings spread over the peers, an SA in each direction per peer and
 * worker, known on both sides. */
#include "bench.h"

#include <cw_channels.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ring.h>

static const struct cw_mac host_mac = {{2, 0, 0, 0, 0, 1}};

static int add_hosts(struct bench *b)
{
	for (uint32_t i = 0; i < b->size.hosts; i++) {
		struct cw_host h = {.ip = rte_cpu_to_be_32(LOCAL_IP + i),
				    .mac = host_mac,
				    .state = CW_HOST_BOUND,
				    .heard_tsc = UINT64_MAX / 2};

		if (cw_host_publish(b->hosts, &h) < 0)
			return -1;
	}
	return 0;
}

/* Worker w's SAs with peer p, of `workers` in each direction. */
static int add_sa_pair(struct bench *b, unsigned int p, unsigned int w)
{
	struct cw_sa_params sa = {.peer = b->peer_index[p],
				  .generation = 1,
				  .suite = b->suite,
				  .worker = (uint8_t)w,
				  .k = (uint8_t)w};
	unsigned int workers = b->size.workers;
	uint32_t ours, theirs;

	memset(sa.key, (int)(p + 7 * w) + 1, sizeof(sa.key));
	/* Outbound: the SPI is the twin's, who could open it. */
	if (cw_sa_spi_alloc(b->twins, w, p * 977, &theirs) < 0 ||
	    cw_sa_spi_alloc(b->peers, w, p * 977, &ours) < 0)
		return -1;
	sa.spi = theirs;
	if (cw_sa_add_outbound(b->peers, &sa, workers) < 0)
		return -1;
	/* Inbound: what the twin seals. */
	memset(sa.key, (int)(p + 7 * w) + 101, sizeof(sa.key));
	sa.spi = ours;
	if (cw_sa_add_inbound(b->peers, &sa) < 0)
		return -1;
	b->inbound[w * b->size.peers + p] = cw_sa_find(b->peers, ours);
	sa.peer = b->twin_index[p];
	return cw_sa_add_outbound(b->twins, &sa, workers);
}

static int add_sas(struct bench *b, unsigned int p)
{
	for (unsigned int w = 0; w < b->size.workers; w++)
		if (add_sa_pair(b, p, w) < 0)
			return -1;
	return cw_sa_switch(b->peers, b->peer_index[p], 1) < 0 ||
			       cw_sa_switch(b->twins, b->twin_index[p], 1) < 0
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
	for (unsigned int p = 0; p < b->size.peers; p++) {
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
		if (cw_peer_add(b->twins, &params, &b->twin_index[p]) < 0 || add_sas(b, p) < 0)
			return -1;
	}
	return 0;
}

/* Each peer's datagrams go on to somebody else, far below the limit. */
static int add_channels(struct bench *b)
{
	struct cw_channel_params all[PEERS_MAX];

	for (unsigned int p = 0; p < b->size.peers; p++) {
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
	return cw_channels_publish(b->peers, all, b->size.peers, UINT64_C(100000000000), b->tsc_hz);
}

static int add_routes(struct bench *b)
{
	for (uint32_t i = 0; i < b->size.mappings; i++) {
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

int bench_init(struct bench *b, const char *engine, enum cw_suite suite, unsigned int mbufs)
{
	memset(b, 0, sizeof(*b));
	b->tsc_hz = rte_get_tsc_hz();
	b->suite = suite;
	b->engine = strcmp(engine, "openssl") != 0 ? cw_crypto_ipsec_mb_open() : NULL;
	if (b->engine == NULL && strcmp(engine, "ipsec_mb") == 0)
		return -1;
	b->crypto = b->engine != NULL ? &cw_crypto_ipsec_mb : &cw_crypto_openssl;
	b->pool = rte_pktmbuf_pool_create("bench", mbufs, 512, CW_MBUF_PRIVATE_BYTES,
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

static struct rte_ring *make_ring(const char *what, unsigned int peers, unsigned int worker)
{
	char name[32];

	snprintf(name, sizeof(name), "%s_%u_%u", what, peers, worker);
	return rte_ring_create(name, CW_RING_ENTRIES, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int make_workers(struct bench *b)
{
	unsigned int n = b->size.workers;

	b->inbound = calloc((size_t)n * b->size.peers, sizeof(b->inbound[0]));
	b->punt = calloc(n, sizeof(b->punt[0]));
	b->inject = calloc(n, sizeof(b->inject[0]));
	if (b->inbound == NULL || b->punt == NULL || b->inject == NULL)
		return -1;
	for (unsigned int w = 0; w < n; w++) {
		b->punt[w] = make_ring("punt", b->size.peers, w);
		b->inject[w] = make_ring("inject", b->size.peers, w);
		if (b->punt[w] == NULL || b->inject[w] == NULL)
			return -1;
	}
	return 0;
}

int bench_open(struct bench *b, const struct bench *shared, const struct bench_size *size)
{
	*b = *shared;
	b->size = *size;
	if (make_workers(b) < 0 || cw_rcu_create(&b->rcu) < 0 ||
	    cw_host_table_create(&b->hosts, b->rcu, CW_HOST_MAX) < 0 ||
	    cw_route_table_create(&b->routes, b->rcu, size->mappings) < 0 ||
	    cw_peer_table_create(&b->peers, b->rcu, b->crypto, b->engine, size->workers) < 0 ||
	    cw_peer_table_create(&b->twins, b->rcu, b->crypto, b->engine, size->workers) < 0)
		return -1;
	b->deadline.session_tsc = UINT64_MAX;
	b->deadline.slots = 1;
	b->deadline.slots_until_tsc = UINT64_MAX;
	b->view = (struct cw_ns_view){.subnet = {.ip = rte_cpu_to_be_32(SUBNET_IP), .len = 9},
				      .broadcast = rte_cpu_to_be_32(0x0affffff),
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
	for (unsigned int w = 0; w < b->size.workers; w++) {
		rte_ring_free(b->punt[w]);
		rte_ring_free(b->inject[w]);
	}
	free(b->punt);
	free(b->inject);
	free(b->inbound);
}

void bench_worker(struct bench *b, unsigned int index, struct cw_worker_params *out)
{
	*out = (struct cw_worker_params){.index = index,
					 .workers = b->size.workers,
					 .wan.mac = {{4, 0, 0, 0, 0, 1}},
					 .wan_ip = rte_cpu_to_be_32(BENCH_WAN_IP),
					 .wan_port = rte_cpu_to_be_16(BENCH_WAN_PORT),
					 .pool = b->pool,
					 .peers = b->peers,
					 .crypto = b->crypto,
					 .engine = b->engine,
					 .view = &b->slot,
					 .punt = b->punt[index],
					 .inject = b->inject[index],
					 .tsc_hz = b->tsc_hz};
}

unsigned int bench_drain_punts(struct bench *b)
{
	struct rte_mbuf *pkts[CW_BURST];
	unsigned int n, all = 0;

	for (unsigned int w = 0; w < b->size.workers; w++)
		while ((n = cw_punt_dequeue(b->punt[w], pkts, CW_BURST)) > 0) {
			rte_pktmbuf_free_bulk(pkts, n);
			all += n;
		}
	return all;
}

void bench_reset_replay(struct bench *b, unsigned int worker)
{
	struct cw_sa_in **sa = &b->inbound[worker * b->size.peers];

	for (unsigned int p = 0; p < b->size.peers; p++)
		memset(&sa[p]->replay, 0, sizeof(sa[p]->replay));
}
