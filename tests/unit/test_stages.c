/* SPDX-License-Identifier: BSD-3-Clause */
/* The data path: two workers whose WAN ports are each other's, packets in at one LAN and out at the
 * other; every way a packet can end; and that the common case and the full one never differ. */
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include <cw_crypto_engines.h>
#include <cw_datapath.h>
#include <cw_eth.h>
#include <cw_host.h>
#include <cw_route.h>
#include <cw_sa.h>
#include <cw_udp.h>

#include "cw_test.h"

#define FRAMES_MAX 128u
#define IP(last)   rte_cpu_to_be_32(0x0a800000 + (last))
#define WAN_IP(g)  rte_cpu_to_be_32(0xc6336401 + (g))
#define PORT	   rte_cpu_to_be_16(7845)

struct wire {
	struct rte_mbuf *in[FRAMES_MAX], *out[FRAMES_MAX];
	unsigned int ins, outs;
};

struct gateway {
	struct wire lan, wan;
	struct cw_host_table *hosts;
	struct cw_route_table *routes;
	struct cw_peer_table *peers;
	struct cw_ns_view view;
	struct cw_ns_deadline deadline;
	struct cw_view_slot slot;
	struct cw_stats stats;
	struct rte_ring *punt, *inject;
	struct cw_worker *worker;
	uint32_t spi; /* of the SA that the other one seals with */
};

static struct {
	struct rte_mempool *pool;
	struct cw_rcu *rcu;
	void *ipsec_mb;
	enum cw_suite suite;
	uint32_t generation;
	struct gateway g[2];
} t;

static const struct cw_mac host_mac[2] = {{{2, 0, 0, 0, 0, 10}}, {{2, 0, 0, 0, 0, 20}}};
static const struct cw_mac wan_mac[2] = {{{4, 0, 0, 0, 0, 1}}, {{4, 0, 0, 0, 0, 2}}};
static const struct cw_mac virtual_mac = {{0xfe, 0xfd, 0, 0, 0, 0}};
static const uint32_t host_last[2] = {10, 20};

/* -- two gateways */

static uint16_t wire_rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct wire *w = queue;

	n = (uint16_t)(n < w->ins ? n : w->ins);
	memcpy(pkts, w->in, n * sizeof(pkts[0]));
	memmove(w->in, w->in + n, (w->ins - n) * sizeof(pkts[0]));
	w->ins -= n;
	return n;
}

static uint16_t wire_tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct wire *w = queue;

	memcpy(w->out + w->outs, pkts, n * sizeof(pkts[0]));
	w->outs += n;
	return n;
}

static const struct cw_burst_ops ops = {.rx = wire_rx, .tx = wire_tx};

static struct rte_ring *make_ring(const char *what, unsigned int i)
{
	char name[32];

	snprintf(name, sizeof(name), "%s%u", what, i);
	return rte_ring_create(name, CW_RING_ENTRIES, SOCKET_ID_ANY, 0);
}

static int add_tables(struct gateway *g, unsigned int i)
{
	struct cw_host host = {.ip = IP(host_last[i]), .mac = host_mac[i], .state = CW_HOST_BOUND};
	struct cw_route route = {.ip = IP(host_last[!i]),
				 .kind = CW_ROUTE_REMOTE,
				 .expires_tsc = UINT64_MAX,
				 .site = {(uint8_t)(1 + !i)}};
	struct cw_route none = {.ip = IP(77), .kind = CW_ROUTE_NONE, .expires_tsc = UINT64_MAX};
	struct cw_underlay us = {.port_mac = wan_mac[i], .ip = WAN_IP(i), .port = PORT};
	struct cw_peer_params peer = {
		.node = {{(uint8_t)(1 + !i)}},
		.site = {(uint8_t)(1 + !i)},
		.path = {.family = CW_FAMILY_IPV4, .port = PORT, .ip4 = WAN_IP(!i)},
		.next_hop = wan_mac[!i],
		.have_next_hop = true,
		.mtu_bytes = 1438};
	uint16_t index;

	cw_peer_set_underlay(g->peers, &us);
	if (cw_peer_add(g->peers, &peer, &index) < 0)
		return -1;
	route.peer = index;
	return cw_host_publish(g->hosts, &host) < 0 || cw_route_publish(g->routes, &route) < 0 ||
	       cw_route_publish(g->routes, &none) < 0;
}

static int open_gateway(unsigned int i)
{
	struct gateway *g = &t.g[i];
	/* One end seals with each engine, so the other one opens what another library made. */
	const struct cw_crypto_ops *crypto =
		i == 0 && t.ipsec_mb != NULL ? &cw_crypto_ipsec_mb : &cw_crypto_openssl;
	struct cw_worker_params params = {.workers = 1,
					  .lan = {.ops = &ops, .queue = &g->lan},
					  .wan = {.ops = &ops, .queue = &g->wan, .mac = wan_mac[i]},
					  .wan_ip = WAN_IP(i),
					  .wan_port = PORT,
					  .pool = t.pool,
					  .crypto = crypto,
					  .engine =
						  crypto == &cw_crypto_ipsec_mb ? t.ipsec_mb : NULL,
					  .view = &g->slot,
					  .stats = &g->stats,
					  .tsc_hz = rte_get_tsc_hz()};

	params.punt = g->punt = make_ring("punt", i);
	params.inject = g->inject = make_ring("inject", i);
	if (cw_host_table_create(&g->hosts, t.rcu, 1024) < 0 ||
	    cw_route_table_create(&g->routes, t.rcu, 1024) < 0 ||
	    cw_peer_table_create(&g->peers, t.rcu, crypto, params.engine, 1) < 0)
		return -1;
	params.peers = g->peers;
	g->deadline.session_tsc = UINT64_MAX;
	g->deadline.slots = 1;
	g->deadline.slots_until_tsc = UINT64_MAX;
	g->view = (struct cw_ns_view){.subnet = {.ip = IP(0), .len = 16},
				      .broadcast = IP(0xffff),
				      .service_ip = IP(1),
				      .service_mac = virtual_mac,
				      .virtual_mac_slots = 1,
				      .mtu_bytes = 1420,
				      .deadline = &g->deadline,
				      .hosts = g->hosts,
				      .routes = g->routes};
	g->slot.view = &g->view;
	return add_tables(g, i) != 0 ? -1 : cw_worker_create(&g->worker, &params);
}

static int add_sa(unsigned int from)
{
	struct cw_sa_params sa = {.generation = t.generation, .suite = t.suite};

	memset(sa.key, (int)(7 + from), sizeof(sa.key));
	if (cw_sa_spi_alloc(t.g[!from].peers, 0, 3, &sa.spi) < 0 ||
	    cw_sa_add_inbound(t.g[!from].peers, &sa) < 0 ||
	    cw_sa_add_outbound(t.g[from].peers, &sa, 1) < 0)
		return -1;
	t.g[!from].spi = sa.spi;
	return cw_sa_switch(t.g[from].peers, 0, t.generation);
}

static int rekey(enum cw_suite suite)
{
	t.suite = suite;
	t.generation++;
	if (add_sa(0) < 0 || add_sa(1) < 0)
		return -1;
	for (unsigned int i = 0; i < 2 && t.generation > 1; i++)
		cw_sa_retire(t.g[i].peers, 0, false, t.generation - 1);
	return 0;
}

/* -- frames */

struct packet {
	struct cw_mac dst, src;
	uint16_t vlan;
	uint8_t tos, proto;
	uint16_t fragment;
	uint32_t from, to;
	unsigned int payload; /* bytes behind IPv4 */
};

static struct packet ordinary(void)
{
	return (struct packet){.dst = virtual_mac,
			       .src = host_mac[0],
			       .proto = CW_IP_PROTO_UDP,
			       .fragment = CW_IP4_DF,
			       .from = 10,
			       .to = 20,
			       .payload = 40};
}

static size_t build(uint8_t *frame, const struct packet *p)
{
	size_t at = cw_eth_write(frame, &p->dst, &p->src, p->vlan, CW_ETH_P_IP4);

	for (unsigned int i = 0; i < p->payload; i++)
		frame[at + CW_IP4_BYTES + i] = (uint8_t)(i * 7 + 1);
	cw_ip4_write(frame + at, p->tos, (uint16_t)p->payload, 99, p->fragment, 61, p->proto,
		     IP(p->from), IP(p->to));
	if (p->proto == CW_IP_PROTO_UDP)
		cw_udp_write(frame + at + CW_IP4_BYTES, IP(p->from), IP(p->to),
			     rte_cpu_to_be_16(5000), rte_cpu_to_be_16(6000),
			     (uint16_t)(p->payload - CW_UDP_BYTES));
	return at + CW_IP4_BYTES + p->payload;
}

static void put(struct wire *w, const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(t.pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	w->in[w->ins++] = m;
}

static void send_packet(const struct packet *p)
{
	static uint8_t frame[2048];
	size_t len = build(frame, p);

	put(&t.g[0].lan, frame, len);
	cw_worker_turn(t.g[0].worker, rte_rdtsc());
}

/* What left the first gateway's WAN port arrives at the second's. */
static void carry(void)
{
	struct wire *from = &t.g[0].wan, *to = &t.g[1].wan;

	memcpy(to->in, from->out, from->outs * sizeof(from->out[0]));
	to->ins = from->outs;
	from->outs = 0;
	while (to->ins > 0)
		cw_worker_turn(t.g[1].worker, rte_rdtsc());
}

static void forget(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct gateway *g = &t.g[i];
		struct rte_mbuf *m[32];
		unsigned int n;

		rte_pktmbuf_free_bulk(g->lan.out, g->lan.outs);
		rte_pktmbuf_free_bulk(g->wan.out, g->wan.outs);
		g->lan.outs = g->wan.outs = 0;
		while ((n = cw_punt_dequeue(g->punt, m, 32)) > 0)
			rte_pktmbuf_free_bulk(m, n);
		memset(&g->stats, 0, sizeof(g->stats));
	}
}

static const uint8_t *out_bytes(const struct wire *w, unsigned int i)
{
	return rte_pktmbuf_mtod(w->out[i], const uint8_t *);
}

/* -- tests */

static void test_a_packet_crosses_unchanged(void)
{
	struct packet p = ordinary();
	uint8_t frame[2048];
	size_t len;

	for (p.payload = 9; p.payload < 1390; p.payload += 7) {
		p.tos = (uint8_t)(p.payload & 0xfc);
		send_packet(&p);
		CU_ASSERT_EQUAL_FATAL(t.g[0].wan.outs, 1);
		CU_ASSERT_EQUAL(out_bytes(&t.g[0].wan, 0)[15], p.tos);
		carry();
		len = build(frame, &p);
		CU_ASSERT_EQUAL_FATAL(t.g[1].lan.outs, 1);
		CU_ASSERT_EQUAL(t.g[1].lan.out[0]->pkt_len, len);
		CU_ASSERT_EQUAL(memcmp(out_bytes(&t.g[1].lan, 0) + 14, frame + 14, len - 14), 0);
		CU_ASSERT_EQUAL(memcmp(out_bytes(&t.g[1].lan, 0), host_mac[1].b, 6), 0);
		CU_ASSERT_EQUAL(memcmp(out_bytes(&t.g[1].lan, 0) + 6, virtual_mac.b, 6), 0);
		CU_ASSERT_EQUAL(out_bytes(&t.g[1].lan, 0)[12], 8);
		forget();
	}
}

static void test_a_flow_keeps_its_order(void)
{
	struct packet p = ordinary();
	uint8_t frame[2048];

	for (unsigned int i = 0; i < 100; i++) {
		size_t len;

		p.payload = 20 + i;
		len = build(frame, &p);
		put(&t.g[0].lan, frame, len);
	}
	while (t.g[0].lan.ins > 0)
		cw_worker_turn(t.g[0].worker, rte_rdtsc());
	carry();
	CU_ASSERT_EQUAL_FATAL(t.g[1].lan.outs, 100);
	for (unsigned int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(t.g[1].lan.out[i]->pkt_len, 14 + 20 + 20 + i);
	forget();
}

/* The packet ends at the first gateway with this reason, and only this. */
static void expect_drop(const struct packet *p, enum cw_drop why)
{
	send_packet(p);
	for (unsigned int i = 1; i < CW_DROP_COUNT; i++)
		CU_ASSERT_EQUAL(t.g[0].stats.drops[i], i == why);
	CU_ASSERT_EQUAL(t.g[0].wan.outs + t.g[0].lan.outs, 0);
	forget();
}

static void test_what_the_lan_side_refuses(void)
{
	struct packet p = ordinary();

	p.src = host_mac[1];
	expect_drop(&p, CW_DROP_SOURCE_MAC);
	p = ordinary();
	p.dst = host_mac[1];
	expect_drop(&p, CW_DROP_NOT_FOR_US);
	p.dst = (struct cw_mac){{0xfe, 0xfd, 0, 0, 0, 1}};
	expect_drop(&p, CW_DROP_NOT_FOR_US);
	p = ordinary();
	p.to = 77;
	expect_drop(&p, CW_DROP_NO_MAPPING);
	p.to = 0x30000;
	expect_drop(&p, CW_DROP_NOT_IN_SUBNET);
	p.to = 0xffff;
	expect_drop(&p, CW_DROP_MULTICAST);
	p = ordinary();
	p.vlan = 5;
	expect_drop(&p, CW_DROP_VLAN);
	p = ordinary();
	p.from = 0x30000;
	expect_drop(&p, CW_DROP_SOURCE_UNBOUND);
	p = ordinary();
	t.g[0].deadline.session_tsc = 1;
	expect_drop(&p, CW_DROP_SESSION_DEADLINE);
	t.g[0].deadline.session_tsc = UINT64_MAX;
	t.g[0].slot.view = NULL;
	expect_drop(&p, CW_DROP_NO_NAMESPACE);
	t.g[0].slot.view = &t.g[0].view;
	p.from = 11; /* in the subnet, but bound to nobody: control hears of it */
	send_packet(&p);
	CU_ASSERT_EQUAL(t.g[0].stats.punted, 1);
	p = ordinary();
	p.to = 99;
	send_packet(&p);
	CU_ASSERT_EQUAL(t.g[0].stats.punted, 2);
	forget();
}

/* Seals one packet, bends the frame on the WAN, and says how it ended. */
static void expect_wan(unsigned int at, uint8_t flip, enum cw_drop why)
{
	struct packet p = ordinary();

	send_packet(&p);
	rte_pktmbuf_mtod(t.g[0].wan.out[0], uint8_t *)[at] ^= flip;
	carry();
	for (unsigned int i = 1; i < CW_DROP_COUNT; i++)
		CU_ASSERT_EQUAL(t.g[1].stats.drops[i], i == why);
	CU_ASSERT_EQUAL(t.g[1].lan.outs, why == CW_DROP_NONE);
	forget();
}

static void test_what_the_wan_side_refuses(void)
{
	expect_wan(0, 0, CW_DROP_NONE);
	expect_wan(0, 0x10, CW_DROP_NOT_FOR_US);
	expect_wan(33, 1, CW_DROP_IP_CHECKSUM);
	expect_wan(37, 1, CW_DROP_WAN_NOT_OURS);
	expect_wan(44, 4, CW_DROP_ESP_SPI);
	expect_wan(49, 1, CW_DROP_ESP_AUTH);
	expect_wan(70, 1, CW_DROP_ESP_AUTH);
	t.g[1].deadline.session_tsc = 1;
	expect_wan(0, 0, CW_DROP_SESSION_DEADLINE);
	t.g[1].deadline.session_tsc = UINT64_MAX;
}

static void test_a_packet_is_taken_once(void)
{
	struct packet p = ordinary();
	struct rte_mbuf *again;

	send_packet(&p);
	again = rte_pktmbuf_copy(t.g[0].wan.out[0], t.pool, 0, UINT32_MAX);
	t.g[0].wan.out[t.g[0].wan.outs++] = again;
	carry(); /* both in one burst */
	CU_ASSERT_EQUAL(t.g[1].lan.outs, 1);
	CU_ASSERT_EQUAL(t.g[1].stats.drops[CW_DROP_ESP_REPLAY], 1);
	forget();
}

static void test_a_source_must_be_of_the_peers_site(void)
{
	struct cw_route stolen = {
		.ip = IP(10), .kind = CW_ROUTE_REMOTE, .expires_tsc = UINT64_MAX, .site = {9}};
	struct cw_route right = stolen;

	right.site[0] = 1;
	CU_ASSERT_EQUAL(cw_route_publish(t.g[1].routes, &stolen), 0);
	expect_wan(0, 0, CW_DROP_ADMIT_SOURCE);
	CU_ASSERT_EQUAL(cw_route_publish(t.g[1].routes, &right), 0);
	expect_wan(0, 0, CW_DROP_NONE);
}

static void congested(uint8_t inner, enum cw_drop why)
{
	struct packet p = ordinary();
	struct cw_ip4_header ip;
	uint8_t *outer;
	uint16_t from, to, sum;

	p.tos = inner;
	send_packet(&p);
	outer = rte_pktmbuf_mtod(t.g[0].wan.out[0], uint8_t *) + 14;
	memcpy(&from, outer, 2);
	outer[1] |= 3;
	memcpy(&to, outer, 2);
	memcpy(&sum, outer + 10, 2);
	sum = cw_checksum_update16(sum, from, to);
	memcpy(outer + 10, &sum, 2);
	carry();
	CU_ASSERT_EQUAL(t.g[1].stats.drops[CW_DROP_ECN], why == CW_DROP_ECN);
	CU_ASSERT_EQUAL_FATAL(t.g[1].lan.outs, why == CW_DROP_NONE);
	if (why == CW_DROP_NONE) {
		memcpy(&ip, out_bytes(&t.g[1].lan, 0) + 14, sizeof(ip));
		CU_ASSERT_EQUAL(ip.tos, inner | 3);
		CU_ASSERT_TRUE(cw_ip4_checksum_right(&ip));
	}
	forget();
}

static void test_congestion_marks_go_inside(void)
{
	congested(0x28 | 1, CW_DROP_NONE);
	congested(0x28 | 2, CW_DROP_NONE);
	congested(0x28 | 3, CW_DROP_NONE);
	congested(0x28, CW_DROP_ECN);
}

static void test_what_is_too_large(void)
{
	struct packet p = ordinary();
	struct cw_ip4_header a, b;

	p.payload = 1450;
	send_packet(&p);
	CU_ASSERT_EQUAL(t.g[0].stats.drops[CW_DROP_TOO_BIG], 1);
	CU_ASSERT_EQUAL_FATAL(t.g[0].lan.outs, 1); /* fragmentation needed */
	CU_ASSERT_EQUAL(out_bytes(&t.g[0].lan, 0)[14 + 20], 3);
	forget();
	p.fragment = 0;
	send_packet(&p);
	carry();
	CU_ASSERT_EQUAL_FATAL(t.g[1].lan.outs, 2);
	memcpy(&a, out_bytes(&t.g[1].lan, 0) + 14, sizeof(a));
	memcpy(&b, out_bytes(&t.g[1].lan, 1) + 14, sizeof(b));
	CU_ASSERT_EQUAL(rte_be_to_cpu_16(a.total_bytes) + rte_be_to_cpu_16(b.total_bytes),
			1450 + 40);
	CU_ASSERT_EQUAL(a.fragment, rte_cpu_to_be_16(CW_IP4_MF));
	CU_ASSERT_EQUAL(rte_be_to_cpu_16(b.fragment) * 8,
			rte_be_to_cpu_16(a.total_bytes) - CW_IP4_BYTES);
	forget();
}

static void test_a_syn_is_clamped(void)
{
	struct packet p = ordinary();
	uint8_t frame[256];
	size_t len;

	p.proto = CW_IP_PROTO_TCP;
	p.payload = 24;
	len = build(frame, &p);
	memset(frame + 34, 0, 24);
	frame[34 + 12] = 6 << 4;
	frame[34 + 13] = 2;
	frame[34 + 20] = 2;
	frame[34 + 21] = 4;
	frame[34 + 22] = 1460 >> 8;
	frame[34 + 23] = 1460 & 0xff;
	put(&t.g[0].lan, frame, len);
	cw_worker_turn(t.g[0].worker, rte_rdtsc());
	carry();
	CU_ASSERT_EQUAL_FATAL(t.g[1].lan.outs, 1);
	CU_ASSERT_EQUAL(
		out_bytes(&t.g[1].lan, 0)[34 + 22] << 8 | out_bytes(&t.g[1].lan, 0)[34 + 23], 1380);
	forget();
}

static void test_a_tagged_segment(void)
{
	struct packet p = ordinary();
	struct cw_host tagged = {
		.ip = IP(10), .mac = host_mac[0], .vlan = 5, .state = CW_HOST_BOUND};

	t.g[0].view.vlan = 5;
	expect_drop(&p, CW_DROP_VLAN);
	p.vlan = 5;
	expect_drop(&p, CW_DROP_SOURCE_MAC); /* bound on the untagged one */
	CU_ASSERT_EQUAL(cw_host_publish(t.g[0].hosts, &tagged), 0);
	send_packet(&p);
	carry();
	CU_ASSERT_EQUAL(t.g[1].lan.outs, 1);
	forget();
	tagged.vlan = 0;
	CU_ASSERT_EQUAL(cw_host_publish(t.g[0].hosts, &tagged), 0);
	t.g[0].view.vlan = 0;
}

/* A priority tag (VLAN 0) changes nothing about a frame, but takes it off the short way. */
static void outcome(struct gateway *g, struct wire *in, const uint8_t *frame, size_t len, bool tag,
		    uint64_t *drops, unsigned int *left)
{
	static uint8_t bytes[256];
	size_t extra = tag && len >= 14 ? 4 : 0;

	memcpy(bytes, frame, len < 12 ? len : 12);
	if (extra) {
		memcpy(bytes + 12, (const uint8_t[]){0x81, 0, 0xe0, 0}, 4);
	}
	if (len > 12)
		memcpy(bytes + 12 + extra, frame + 12, len - 12);
	memset(&cw_sa_find(t.g[1].peers, t.g[1].spi)->replay, 0, sizeof(struct cw_replay));
	put(in, bytes, len + extra);
	cw_worker_turn(g->worker, rte_rdtsc());
	memcpy(drops, g->stats.drops, sizeof(g->stats.drops));
	*left = g->lan.outs << 16 | g->wan.outs << 8 | (unsigned int)g->stats.punted;
	forget();
}

static void differ(struct gateway *g, struct wire *in, const uint8_t *whole, size_t len)
{
	static uint64_t drops[2][CW_DROP_COUNT];
	unsigned int left[2];

	for (unsigned int round = 0; round < 20000; round++) {
		uint8_t frame[256];
		size_t cut = random() % 8 == 0 ? 15 + (size_t)random() % (len - 14) : len;

		memcpy(frame, whole, len);
		for (unsigned int n = (unsigned int)random() % 3; n > 0; n--) {
			unsigned int at = (unsigned int)random() % 60;

			if (at != 12 && at != 13)
				frame[at] = random() % 2 ? (uint8_t)random()
							 : frame[at] ^ (uint8_t)(1 << random() % 8);
		}
		outcome(g, in, frame, cut, false, drops[0], &left[0]);
		outcome(g, in, frame, cut, true, drops[1], &left[1]);
		CU_ASSERT_EQUAL_FATAL(memcmp(drops[0], drops[1], sizeof(drops[0])), 0);
		CU_ASSERT_EQUAL_FATAL(left[0], left[1]);
	}
}

static void test_the_common_case_and_the_full_one_never_differ(void)
{
	struct packet p = ordinary();
	uint8_t frame[256];
	size_t len = build(frame, &p);

	srandom(5);
	differ(&t.g[0], &t.g[0].lan, frame, len);
	send_packet(&p);
	len = t.g[0].wan.out[0]->pkt_len;
	memcpy(frame, out_bytes(&t.g[0].wan, 0), len);
	forget();
	differ(&t.g[1], &t.g[1].wan, frame, len);
}

/* The other suite, in both directions between the two libraries. */
static void test_all_that_with_chacha20_poly1305(void)
{
	CU_ASSERT_EQUAL_FATAL(rekey(CW_SUITE_CHACHA20_POLY1305), 0);
	test_a_packet_crosses_unchanged();
	test_a_flow_keeps_its_order();
	test_what_the_wan_side_refuses();
	test_a_packet_is_taken_once();
	test_congestion_marks_go_inside();
	test_what_is_too_large();
	test_the_common_case_and_the_full_one_never_differ();
}

static void test_nothing_is_lost_from_the_pool(void)
{
	forget();
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(t.pool), 0);
}

static int start(char *prefix, size_t size)
{
	char *eal[] = {(char *)"stages",
		       (char *)"--no-huge",
		       (char *)"-m",
		       (char *)"64",
		       (char *)"--no-pci",
		       (char *)"--no-telemetry",
		       (char *)"--no-shconf",
		       prefix,
		       (char *)"--lcores=0@(0-1)",
		       (char *)"--log-level=3"};

	snprintf(prefix, size, "--file-prefix=cwst%ld", (long)getpid());
	if (rte_eal_init(CW_ARRAY_SIZE(eal), eal) < 0)
		return -1;
	cw_rcu_thread_register();
	t.ipsec_mb = cw_crypto_ipsec_mb_open();
	t.pool = rte_pktmbuf_pool_create("pool", 1023, 0, CW_MBUF_PRIVATE_BYTES,
					 RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	if (t.pool == NULL || cw_rcu_create(&t.rcu) < 0 || open_gateway(0) < 0 ||
	    open_gateway(1) < 0)
		return -1;
	return rekey(CW_SUITE_AES_256_GCM);
}

static void stop(const char *prefix)
{
	char path[64];

	cw_rcu_drain(t.rcu);
	for (unsigned int i = 0; i < 2; i++) {
		cw_worker_destroy(t.g[i].worker);
		cw_peer_table_destroy(t.g[i].peers);
		cw_host_table_destroy(t.g[i].hosts);
		cw_route_table_destroy(t.g[i].routes);
	}
	cw_rcu_destroy(t.rcu);
	cw_rcu_thread_unregister();
	cw_crypto_ipsec_mb_close(t.ipsec_mb);
	rte_eal_cleanup();
	snprintf(path, sizeof(path), "/run/dpdk/%s", strchr(prefix, '=') + 1);
	rmdir(path);
}

static CU_TestInfo tests[] = {
	{"a packet crosses unchanged", test_a_packet_crosses_unchanged},
	{"a flow keeps its order", test_a_flow_keeps_its_order},
	{"what the LAN side refuses", test_what_the_lan_side_refuses},
	{"what the WAN side refuses", test_what_the_wan_side_refuses},
	{"a packet is taken once", test_a_packet_is_taken_once},
	{"a source must be of the peer's site", test_a_source_must_be_of_the_peers_site},
	{"congestion marks go inside", test_congestion_marks_go_inside},
	{"what is too large", test_what_is_too_large},
	{"a SYN is clamped", test_a_syn_is_clamped},
	{"a tagged segment", test_a_tagged_segment},
	{"the common case and the full one never differ",
	 test_the_common_case_and_the_full_one_never_differ},
	{"all that with ChaCha20-Poly1305", test_all_that_with_chacha20_poly1305},
	{"nothing is lost from the pool", test_nothing_is_lost_from_the_pool},
	CU_TEST_INFO_NULL,
};

int main(void)
{
	CU_SuiteInfo suites[] = {CW_SUITE("stages", tests), CU_SUITE_INFO_NULL};
	char prefix[64];
	int rc;

	if (start(prefix, sizeof(prefix)) < 0)
		return 1;
	rc = cw_test_run(suites);
	stop(prefix);
	return rc;
}
