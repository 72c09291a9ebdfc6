/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker and relays: what it forwards comes out byte for byte as it should, what it refuses is
 * named, what came or leaves through a relay is ESP like any other, and packets of a flow keep
 * their order when the path becomes shorter.
 */
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include <cw_channels.h>
#include <cw_eth.h>
#include <cw_udp.h>
#include <rig.h>

#include "cw_test.h"

#define ESP_BYTES 100u
/* Far away, whatever the machine's clock: a test never waits for it. */
#define FOR_EVER (UINT64_C(1) << 60)

static struct rig rig;
static uint8_t frame[RIG_FRAME_BYTES_MAX], esp[RIG_FRAME_BYTES_MAX];

static void drops(size_t len, enum cw_drop why)
{
	uint64_t before = rig.stats.drops[why];
	unsigned int sent = rig.wan.sent + rig.lan.sent + rig.punted;

	rig_put(&rig, &rig.wan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.stats.drops[why] - before, 1);
	CU_ASSERT_EQUAL(rig.wan.sent + rig.lan.sent + rig.punted, sent);
}

static void set_hops(uint8_t ttl)
{
	uint16_t sum;

	frame[CW_ETH_BYTES + 8] = ttl;
	memset(frame + CW_ETH_BYTES + 10, 0, 2);
	sum = cw_checksum_fold(cw_checksum_add(0, frame + CW_ETH_BYTES, CW_IP4_BYTES));
	memcpy(frame + CW_ETH_BYTES + 10, &sum, 2);
}

static void test_forwards_between_two_links(void)
{
	struct cw_udp_header udp;
	struct cw_ip4_header ip = {0};
	struct cw_channel channel = {0};
	size_t len = rig_wan_channel(frame, RIG_FROM_NEAR, esp, ESP_BYTES);

	frame[CW_ETH_BYTES + 1] = 0xb9; /* EF, and congestion was met */
	set_hops(9);
	rig_put(&rig, &rig.wan, frame, len + 3, 1); /* and padding of Ethernet's */
	rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(rig.wan.sent, 1);
	CU_ASSERT_EQUAL(rig.wan.last.len, len);
	CU_ASSERT_EQUAL(memcmp(rig.wan.last.bytes, rig_peer_mac.b, 6), 0);
	CU_ASSERT_EQUAL(memcmp(rig.wan.last.bytes + 6, rig_wan_mac.b, 6), 0);
	/* The parser checks the header's checksum. */
	CU_ASSERT_EQUAL(cw_ip4_parse_header(rig.wan.last.bytes + 14, len - 14, &ip), CW_DROP_NONE);
	CU_ASSERT_EQUAL(ip.src, rte_cpu_to_be_32(RIG_WAN));
	CU_ASSERT_EQUAL(ip.dst, rte_cpu_to_be_32(RIG_THIRD_WAN));
	CU_ASSERT_EQUAL(ip.ttl, 8);
	CU_ASSERT_EQUAL(ip.tos, 0xb9);
	CU_ASSERT_EQUAL(ip.fragment, rte_cpu_to_be_16(CW_IP4_DF));
	CU_ASSERT_EQUAL(cw_udp_parse(&ip, rig.wan.last.bytes + 34, len - 34, &udp), CW_DROP_NONE);
	CU_ASSERT_EQUAL(udp.src, rte_cpu_to_be_16(RIG_WAN_PORT));
	CU_ASSERT_EQUAL_FATAL(cw_channel_parse(rig.wan.last.bytes + 42, len - 42, &channel),
			      CW_DROP_NONE);
	CU_ASSERT_EQUAL(channel.number, 0x4004);
	CU_ASSERT_EQUAL(channel.bytes, ESP_BYTES);
	CU_ASSERT_EQUAL(memcmp(rig.wan.last.bytes + 46, esp, ESP_BYTES), 0);
	CU_ASSERT_EQUAL(rig.stats.relayed_packets, 1);
	CU_ASSERT_EQUAL(rig.stats.relayed_bytes, ESP_BYTES);
}

static void test_refuses_by_name(void)
{
	uint8_t nested[8];
	size_t len = rig_wan_channel(frame, RIG_FROM_NEAR, esp, ESP_BYTES);

	frame[CW_CHANNEL_OUTER_BYTES - 1]++; /* says more than there is */
	drops(len, CW_DROP_RELAY_CHANNEL);
	drops(rig_wan_channel(frame, RIG_FROM_NEAR, (const uint8_t[]){255}, 1),
	      CW_DROP_RELAY_CHANNEL);
	drops(rig_wan_channel(frame, RIG_FROM_NEAR, esp, 0), CW_DROP_RELAY_CHANNEL);
	drops(rig_wan_channel(frame, 0x4fff, esp, ESP_BYTES), CW_DROP_RELAY_UNKNOWN);
	/* The third node's number, from the near peer's address. */
	drops(rig_wan_channel(frame, RIG_FROM_THIRD, esp, ESP_BYTES), CW_DROP_RELAY_LINK);
	len = rig_wan_channel(frame, RIG_FROM_NEAR, esp, ESP_BYTES);
	set_hops(1);
	drops(len, CW_DROP_RELAY_HOPS);
	cw_channel_write(nested, RIG_FROM_NEAR, 4);
	drops(rig_wan_channel(frame, RIG_FROM_NEAR, nested, sizeof(nested)), CW_DROP_RELAY_HOPS);
	CU_ASSERT_EQUAL(cw_channels_publish(rig.peers, NULL, 0, 1, 1), 0);
	drops(rig_wan_channel(frame, RIG_FROM_NEAR, esp, ESP_BYTES), CW_DROP_RELAY_UNKNOWN);
}

static void test_control_traffic_goes_to_control(void)
{
	static const uint8_t record[] = {23, 254, 253, 0, 1};

	rig_put(&rig, &rig.wan, frame,
		rig_wan_channel(frame, RIG_FROM_NEAR, record, sizeof(record)), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.punted, 1);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_DTLS);
}

static void test_a_channel_has_its_rate(void)
{
	struct cw_channel_params p = {.from = {.family = CW_FAMILY_IPV4,
					       .port = rte_cpu_to_be_16(RIG_WAN_PORT),
					       .ip4 = rte_cpu_to_be_32(RIG_PEER_WAN)},
				      .number = RIG_FROM_NEAR,
				      .forward = true,
				      .next_hop = rig_peer_mac};
	struct cw_channel_index *index;
	struct cw_channel_entry *e;
	unsigned int passed = 0;
	enum cw_drop why;
	uint64_t now = 1000;

	/* 1,000,000 bytes a second of a clock of 1 GHz; 50 ms at once, 50,000 bytes. */
	CU_ASSERT_EQUAL(cw_channels_publish(rig.peers, &p, 1, 1000000, 1000000000), 0);
	index = cw_channels_of(rig.peers);
	e = cw_channels_find(index, cw_endpoint_key(&p.from), RIG_FROM_NEAR, &why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	for (unsigned int i = 0; i < 200; i++)
		passed += cw_channels_admit(index, e, 1000, now);
	CU_ASSERT_TRUE(passed >= 49 && passed <= 51);
	/* A second later a second's worth, however it is spread. */
	passed = 0;
	for (unsigned int i = 0; i < 10000; i++, now += 100000)
		passed += cw_channels_admit(index, e, 1000, now);
	CU_ASSERT_TRUE(passed >= 999 && passed <= 1051);
	/* And so in the pipeline. */
	__atomic_store_n(&e->empty_tsc, rte_rdtsc() + FOR_EVER, __ATOMIC_RELAXED);
	drops(rig_wan_channel(frame, RIG_FROM_NEAR, esp, ESP_BYTES), CW_DROP_RELAY_RATE);
}

static void count_used(void *arg, uint64_t from_key, uint16_t number)
{
	unsigned int *count = arg;

	(void)from_key;
	*count += number == RIG_FROM_NEAR;
}

static void test_what_is_used_is_told_once(void)
{
	unsigned int count = 0;

	rig_put(&rig, &rig.wan, frame, rig_wan_channel(frame, RIG_FROM_NEAR, esp, ESP_BYTES), 1);
	rig_turn(&rig);
	cw_channels_used(rig.peers, count_used, &count);
	cw_channels_used(rig.peers, count_used, &count);
	CU_ASSERT_EQUAL(count, 1);
}

/* The near peer sits behind a relay at this address, by our channel to it. */
static const struct cw_endpoint behind = {
	.family = CW_FAMILY_RELAY, .port = RTE_BE16(RIG_FOR_US), .ip6 = {7}};

static void move_near(bool relayed, uint64_t settle_tsc)
{
	struct cw_endpoint at = {.family = CW_FAMILY_IPV4,
				 .port = rte_cpu_to_be_16(RIG_WAN_PORT),
				 .ip4 = rte_cpu_to_be_32(RIG_PEER_WAN)};
	struct cw_peer_path to = {.path = relayed ? behind : at,
				  .via = at,
				  .next_hop = &rig_peer_mac,
				  .mtu_bytes = relayed ? 1434 : 1438,
				  .settle_tsc = settle_tsc};

	CU_ASSERT_EQUAL(cw_peer_move(rig.peers, rig.near, &to), 0);
}

static size_t sealed(uint8_t *payload)
{
	uint8_t ip[60];
	size_t len;

	memset(ip, 0x22, sizeof(ip));
	cw_ip4_write(ip, 0, 40, 1, 0, 64, CW_IP_PROTO_UDP, rte_cpu_to_be_32(RIG_NEAR),
		     rte_cpu_to_be_32(RIG_BOUND));
	len = rig_sealed(&rig, frame, ip, sizeof(ip)) - CW_OUTER_BYTES;
	memcpy(payload, frame + CW_OUTER_BYTES, len);
	return len;
}

static void test_opens_what_came_through_a_relay(void)
{
	struct cw_peer_info info;
	size_t len;

	move_near(true, 0);
	len = sealed(esp);
	rig_put(&rig, &rig.wan, frame, rig_wan_channel(frame, RIG_FOR_US, esp, len), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.lan.sent, 1);
	CU_ASSERT_EQUAL(rig.lan.last.len, CW_ETH_BYTES + 60);
	/* It says nothing about where the peer itself is. */
	CU_ASSERT_TRUE(cw_peer_info(rig.peers, rig.near, &info));
	CU_ASSERT_EQUAL(info.roam.family, CW_FAMILY_NONE);
	/* Directly it does: the path may become shorter. */
	len = sealed(esp);
	rig_put(&rig, &rig.wan, frame, rig_wan_udp(frame, esp, len), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.lan.sent, 2);
	CU_ASSERT_TRUE(cw_peer_info(rig.peers, rig.near, &info));
	CU_ASSERT_EQUAL(info.roam.ip4, rte_cpu_to_be_32(RIG_PEER_WAN));
}

static void lan(unsigned int mark, size_t payload, uint16_t fragment)
{
	size_t len = rig_lan_ip(frame, RIG_BOUND, RIG_NEAR, fragment, CW_IP_PROTO_UDP, payload);

	frame[len - 1] = (uint8_t)mark;
	rig_put(&rig, &rig.lan, frame, len, 1);
}

static void test_sends_through_a_relay(void)
{
	struct cw_channel channel = {0};
	struct cw_ip4_header ip = {0};
	const struct rig_frame *f = &rig.wan.last;

	move_near(true, 0);
	lan(1, 60, 0);
	rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(rig.wan.sent, 1);
	CU_ASSERT_EQUAL_FATAL(cw_ip4_parse_header(f->bytes + 14, f->len - 14, &ip), CW_DROP_NONE);
	CU_ASSERT_EQUAL(ip.total_bytes, rte_cpu_to_be_16((uint16_t)(f->len - 14)));
	CU_ASSERT_EQUAL(f->bytes[38] << 8 | f->bytes[39], (int)f->len - 34);
	CU_ASSERT_EQUAL_FATAL(cw_channel_parse(f->bytes + 42, f->len - 42, &channel), CW_DROP_NONE);
	CU_ASSERT_EQUAL(channel.number, RIG_FOR_US);
	CU_ASSERT_EQUAL(channel.bytes, f->len - 46);
	CU_ASSERT_EQUAL(f->len, CW_CHANNEL_OUTER_BYTES + 16 + 80 + 2 + 2 + 16);
	CU_ASSERT_TRUE(f->bytes[46] >= 128);
	/* The channel's header counts: what just fits directly does not any more. */
	rig.view.mtu_bytes = 1500;
	lan(2, 1438 - CW_IP4_BYTES, CW_IP4_DF);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.stats.too_big, 1);
	lan(3, 1434 - CW_IP4_BYTES, CW_IP4_DF);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.wan.sent, 2);
	CU_ASSERT_EQUAL(f->len, 14 + 1500);
	rig.view.mtu_bytes = 1420;
}

/* Low half of the ESP sequence number: in which order they were sealed. */
static unsigned int last_seq(void)
{
	return rig.wan.last.bytes[49];
}

static void test_a_shorter_path_overtakes_nobody(void)
{
	move_near(true, 0);
	lan(1, 60, 0);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.wan.sent, 1);
	move_near(false, rte_rdtsc() + FOR_EVER);
	for (unsigned int i = 0; i < 40; i++) {
		lan(2 + i, 60, 0);
		rig_turn(&rig);
	}
	CU_ASSERT_EQUAL(rig.wan.sent, 1);
	/* Its time is over: they go, and the next one behind them. */
	move_near(false, 0);
	lan(50, 60, 0);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.wan.sent, 42);
	CU_ASSERT_EQUAL(last_seq(), 42);
	/* The peer dies while they wait, and the record goes. */
	move_near(false, rte_rdtsc() + FOR_EVER);
	lan(1, 60, 0);
	rig_turn(&rig);
	rig.slot.view = NULL;
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.stats.drops[CW_DROP_NO_NAMESPACE], 1);
	rig.slot.view = &rig.view;
	lan(1, 60, 0);
	rig_turn(&rig);
	cw_peer_make_dead(rig.peers, rig.near);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.stats.drops[CW_DROP_NO_SA], 1);
}

static void test_what_waits_too_long_goes_early(void)
{
	/* 1024 may wait; what stands before the next one goes on, in its order. */
	move_near(false, rte_rdtsc() + FOR_EVER);
	for (unsigned int i = 0; i < 1024; i++) {
		lan(i, 60, 0);
		rig_turn(&rig);
	}
	CU_ASSERT_EQUAL(rig.wan.sent, 0);
	lan(0, 60, 0);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.wan.sent, 1024);
	/* One waits, and is freed with its worker: tear_down looks. */
}

static void set_up(void)
{
	rig_open(&rig, true, false);
	memset(esp, 0xa5, sizeof(esp));
}

static void tear_down(void)
{
	CU_ASSERT_EQUAL(rig_close(&rig), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"forwards between two links", test_forwards_between_two_links},
		{"refuses by name", test_refuses_by_name},
		{"control traffic goes to control", test_control_traffic_goes_to_control},
		{"a channel has its rate", test_a_channel_has_its_rate},
		{"what is used is told once", test_what_is_used_is_told_once},
		{"opens what came through a relay", test_opens_what_came_through_a_relay},
		{"sends through a relay", test_sends_through_a_relay},
		{"a shorter path overtakes nobody", test_a_shorter_path_overtakes_nobody},
		{"what waits too long goes early", test_what_waits_too_long_goes_early},
		CU_TEST_INFO_NULL};
	CU_SuiteInfo suites[] = {{"relay", NULL, NULL, set_up, tear_down, tests},
				 CU_SUITE_INFO_NULL};
	int failed;

	rig_start();
	failed = cw_test_run(suites);
	rig_stop();
	return failed;
}
