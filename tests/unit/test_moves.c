/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hosts that change sites, as a worker sees them: what comes for one that left goes on to a higher
 * gen and nowhere else, with a hop less; what its former site sends on for one that arrived is
 * taken for as long as its permit says, from that site only. And sites with several gateways: who
 * gets a packet, and that none goes in circles.
 */
#include <string.h>

#include <cw_arp.h>
#include <cw_eth.h>
#include <cw_ip4.h>
#include <rig.h>

#include "cw_test.h"

#define MOVED RIG_IP(50)

static struct rig rig;
static uint8_t frame[RIG_FRAME_BYTES_MAX];

static size_t inner(uint8_t *ip, uint32_t src, uint32_t dst, uint8_t ttl, uint16_t fragment,
		    size_t payload)
{
	memset(ip, 0x22, CW_IP4_BYTES + payload);
	cw_ip4_write(ip, 0, (uint16_t)payload, 1, fragment, ttl, CW_IP_PROTO_UDP,
		     rte_cpu_to_be_32(src), rte_cpu_to_be_32(dst));
	return CW_IP4_BYTES + payload;
}

/* A packet that the near peer sealed; one turn. */
static void comes(uint32_t src, uint32_t dst, uint8_t ttl, uint16_t fragment, size_t payload)
{
	uint8_t ip[1500];
	size_t len = inner(ip, src, dst, ttl, fragment, payload);

	rig_put(&rig, &rig.wan, frame, rig_sealed(&rig, frame, ip, len), 1);
	rig_turn(&rig);
}

static void expect(enum cw_drop why)
{
	for (unsigned int d = 0; d < CW_DROP_COUNT; d++)
		CU_ASSERT_EQUAL(rig.stats.drops[d], d == why && why != CW_DROP_NONE);
	memset(rig.stats.drops, 0, sizeof(rig.stats.drops));
}

static void host(uint32_t ip, uint8_t state, uint64_t gen, uint8_t permit_site, uint64_t until)
{
	struct cw_host h = {.ip = rte_cpu_to_be_32(ip),
			    .mac = rig_host_mac,
			    .state = state,
			    .gen = gen,
			    .permit_site = {permit_site},
			    .permit_until_tsc = until};

	CU_ASSERT_EQUAL(cw_host_publish(rig.view.hosts, &h), 0);
}

static void route_of_site(uint16_t peer, uint64_t gen, uint64_t expires_tsc, uint8_t site)
{
	struct cw_route r = {.ip = rte_cpu_to_be_32(MOVED),
			     .kind = CW_ROUTE_REMOTE,
			     .peer = peer,
			     .gen = gen,
			     .expires_tsc = expires_tsc,
			     .site = {site}};

	CU_ASSERT_EQUAL(cw_route_publish(rig.view.routes, &r), 0);
}

static void route(uint16_t peer, uint64_t gen, uint64_t expires_tsc)
{
	route_of_site(peer, gen, expires_tsc, 2);
}

/* The keyless peer gets keys: what goes there can be sealed. */
static void give_keys(void)
{
	struct cw_sa_params sa = {
		.peer = rig.keyless, .generation = 1, .suite = CW_SUITE_AES_256_GCM};
	uint32_t spi;

	CU_ASSERT_EQUAL(cw_sa_spi_alloc(rig.twins, 0, 78, &spi), 0);
	sa.spi = spi;
	CU_ASSERT_EQUAL(cw_sa_add_outbound(rig.peers, &sa, 1), 0);
	CU_ASSERT_EQUAL(cw_sa_switch(rig.peers, rig.keyless, 1), 0);
}

static void test_what_left_is_followed(void)
{
	host(MOVED, CW_HOST_SILENT, 7, 0, 0);
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_MOVED);
	CU_ASSERT_EQUAL(rig.punted, 1);
	give_keys();
	route(rig.keyless, 8, UINT64_MAX);
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	expect(CW_DROP_NONE);
	CU_ASSERT_EQUAL(rig.wan.sent, 1);
	CU_ASSERT_EQUAL(rig.lan.sent, 0);
	CU_ASSERT_EQUAL(rig.stats.forwarded, 1);
	/* Without DF it goes in pieces that fit. */
	comes(RIG_NEAR, MOVED, 64, 0, 1410);
	CU_ASSERT_EQUAL(rig.wan.sent, 3);
	expect(CW_DROP_NONE);
	/* The mapping is past its time: control is asked again. */
	route(rig.keyless, 8, 1);
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_MOVED);
	CU_ASSERT_EQUAL(rig.punted, 2);
}

static void test_what_is_not_followed(void)
{
	host(MOVED, CW_HOST_SILENT, 7, 0, 0);
	give_keys();
	route(rig.keyless, 8, UINT64_MAX);
	comes(RIG_NEAR, MOVED, 1, 0, 40);
	expect(CW_DROP_TTL);
	comes(RIG_NEAR, MOVED, 64, CW_IP4_DF, 1410);
	expect(CW_DROP_TOO_BIG);
	comes(RIG_STRANGE, MOVED, 64, 0, 40);
	expect(CW_DROP_ADMIT_SOURCE);
	route(rig.keyless, 7, UINT64_MAX); /* no newer than what we held */
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	expect(CW_DROP_NOT_HERE);
	route(rig.near, 8, UINT64_MAX); /* where it came from */
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	expect(CW_DROP_NOT_HERE);
	/* To a fellow of whom it came from. */
	route_of_site(rig.keyless, 8, UINT64_MAX, 1);
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	expect(CW_DROP_NOT_HERE);
	route(CW_PEER_NONE, 8, UINT64_MAX);
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	expect(CW_DROP_NO_SA);
	rig.deadline.session_tsc = 1;
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	expect(CW_DROP_SESSION_DEADLINE);
	rig.deadline.session_tsc = UINT64_MAX;
	CU_ASSERT_EQUAL(rig.wan.sent, 0);
	CU_ASSERT_EQUAL(rig.punted, 0);
}

static void from_host(void)
{
	rig_put(&rig, &rig.lan, frame, rig_lan_ip(frame, RIG_BOUND, MOVED, 0, CW_IP_PROTO_UDP, 40),
		1);
	rig_turn(&rig);
}

/* The slot of the source picks the gateway, and one store moves what goes there. */
static void test_a_site_with_two_gateways(void)
{
	uint16_t owner[CW_ROUTE_GROUP_SLOTS], group, other;
	unsigned int slot = cw_slot_of(rte_cpu_to_be_32(RIG_BOUND), CW_ROUTE_GROUP_SLOTS);

	for (unsigned int i = 0; i < CW_ROUTE_GROUP_SLOTS; i++)
		owner[i] = i == slot ? rig.near : rig.keyless;
	CU_ASSERT_EQUAL(cw_route_group_create(rig.view.routes, 64, &group), 0);
	CU_ASSERT_EQUAL(cw_route_group_create(rig.view.routes, 64, &other), 0);
	CU_ASSERT_TRUE(group >= CW_ROUTE_GROUP && other != group);
	route_of_site(group, 8, UINT64_MAX, 1);
	cw_route_group_set(rig.view.routes, group, 64, owner);
	from_host();
	expect(CW_DROP_NONE);
	CU_ASSERT_EQUAL(rig.wan.sent, 1);
	/* Of one slot (the paper's form) the first is all. */
	cw_route_group_set(rig.view.routes, group, 1, owner);
	from_host();
	CU_ASSERT_EQUAL(rig.wan.sent, slot == 0 ? 2 : 1);
	CU_ASSERT_EQUAL(rig.punted, slot == 0 ? 0 : 1); /* no keys: it waits in control */
	owner[slot] = rig.keyless;
	cw_route_group_set(rig.view.routes, group, 64, owner);
	from_host();
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_MISS);
	CU_ASSERT_EQUAL(rig.wan.sent, 1);
	/* What comes from any of them is admitted, by the site. */
	route_of_site(group, 8, UINT64_MAX, 1);
	comes(MOVED, RIG_BOUND, 64, 0, 40);
	CU_ASSERT_EQUAL(rig.lan.sent, 1);
	expect(CW_DROP_NONE);
	/* Nobody is left. */
	owner[slot] = CW_ROUTE_GROUP_NOBODY;
	cw_route_group_set(rig.view.routes, group, 64, owner);
	from_host();
	CU_ASSERT_EQUAL(rig.wan.sent, 1);
	/* A retired number is given anew, not before. */
	route_of_site(rig.near, 8, UINT64_MAX, 1);
	cw_route_group_retire(rig.view.routes, group);
	CU_ASSERT_EQUAL(cw_route_group_create(rig.view.routes, 64, &owner[0]), 0);
	CU_ASSERT_NOT_EQUAL(owner[0], group);
}

/* A host of this site, bound at a fellow: what comes for it over the WAN never goes back there. */
static void test_no_circles_within_a_site(void)
{
	struct cw_route r = {.ip = rte_cpu_to_be_32(MOVED),
			     .kind = CW_ROUTE_LOCAL,
			     .peer = CW_PEER_NONE,
			     .gen = 9,
			     .expires_tsc = UINT64_MAX};

	give_keys();
	CU_ASSERT_EQUAL(cw_route_publish(rig.view.routes, &r), 0);
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	expect(CW_DROP_NOT_HERE);
	host(MOVED, CW_HOST_SILENT, 7, 0, 0);
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	expect(CW_DROP_NOT_HERE);
	host(MOVED, CW_HOST_BOUND, 9, 0, 0);
	comes(RIG_NEAR, MOVED, 64, 0, 40);
	expect(CW_DROP_NONE);
	CU_ASSERT_EQUAL(rig.lan.sent, 1);
	from_host();
	expect(CW_DROP_LOCAL_DESTINATION);
	CU_ASSERT_EQUAL(rig.wan.sent, 0);
}

static void test_a_permit(void)
{
	/* A source of site 3 comes through the near peer's site, 1. */
	host(MOVED, CW_HOST_BOUND, 8, 1, UINT64_MAX);
	comes(RIG_STRANGE, MOVED, 63, 0, 40);
	expect(CW_DROP_NONE);
	CU_ASSERT_EQUAL(rig.lan.sent, 1);
	/* It speaks for nobody here, and for nobody outside. */
	comes(RIG_LOCAL, MOVED, 63, 0, 40);
	expect(CW_DROP_ADMIT_SOURCE);
	comes(0x08080808, MOVED, 63, 0, 40);
	expect(CW_DROP_ADMIT_SOURCE);
	/* For this destination only, from that site only, until its end. */
	comes(RIG_STRANGE, RIG_BOUND, 63, 0, 40);
	expect(CW_DROP_ADMIT_SOURCE);
	host(MOVED, CW_HOST_BOUND, 8, 2, UINT64_MAX);
	comes(RIG_STRANGE, MOVED, 63, 0, 40);
	expect(CW_DROP_ADMIT_SOURCE);
	host(MOVED, CW_HOST_BOUND, 8, 1, 1);
	comes(RIG_STRANGE, MOVED, 63, 0, 40);
	expect(CW_DROP_ADMIT_SOURCE);
	CU_ASSERT_EQUAL(rig.lan.sent, 1);
}

static void test_a_machine_says_its_mac(void)
{
	static const struct cw_mac everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	size_t len = cw_eth_write(frame, &everybody, &rig_host_mac, 0, CW_ETH_P_RARP);

	cw_arp_write(frame + len, 3, &rig_host_mac, 0, &rig_host_mac, 0);
	rig_put(&rig, &rig.lan, frame, len + sizeof(struct cw_arp_packet), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_RARP);
	/* And one that goes straight on from an address that left here before. */
	host(MOVED, CW_HOST_SILENT, 7, 0, 0);
	rig_put(&rig, &rig.lan, frame, rig_lan_ip(frame, MOVED, RIG_NEAR, 0, CW_IP_PROTO_UDP, 40),
		1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_UNBOUND);
	CU_ASSERT_EQUAL(rig.punted, 2);
}

static void test_a_hop_less(void)
{
	struct cw_ip4_header h;
	uint8_t ip[32];

	for (unsigned int ttl = 2; ttl < 256; ttl++) {
		inner(ip, RIG_NEAR, MOVED, (uint8_t)ttl, 0, 0);
		memcpy(&h, ip, sizeof(h));
		cw_ip4_decrement_ttl(&h);
		CU_ASSERT_EQUAL(h.ttl, ttl - 1);
		CU_ASSERT_TRUE(cw_ip4_checksum_right(&h));
	}
}

static void set_up(void)
{
	rig_open(&rig, true, false);
}

static void tear_down(void)
{
	CU_ASSERT_EQUAL(rig_close(&rig), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"what left is followed", test_what_left_is_followed},
		{"what is not followed", test_what_is_not_followed},
		{"a site with two gateways", test_a_site_with_two_gateways},
		{"no circles within a site", test_no_circles_within_a_site},
		{"a permit", test_a_permit},
		{"a machine says its MAC", test_a_machine_says_its_mac},
		{"a hop less", test_a_hop_less},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {{"moves", NULL, NULL, set_up, tear_down, tests},
				 CU_SUITE_INFO_NULL};
	int rc;

	rig_start();
	rc = cw_test_run(suites);
	rig_stop();
	return rc;
}
