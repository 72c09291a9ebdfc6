/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's pipeline, frame by frame: each way a packet can end has a case that ends there and
 * nowhere else; what is carried comes out as it should. After each case every mbuf is back.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include <cw_arp.h>
#include <cw_crypto_engines.h>
#include <cw_dhcp.h>
#include <cw_eth.h>
#include <cw_icmp.h>
#include <cw_policy.h>
#include <cw_udp.h>
#include <rig.h>

#include "cw_test.h"

static struct rig rig;
static uint8_t frame[RIG_FRAME_BYTES_MAX];

struct bend {
	size_t at;
	uint8_t value;
};

/* One frame in; exactly this drop, nothing sent, nothing punted. */
static void expect_drop(enum cw_drop why, unsigned int n)
{
	struct cw_stats before = rig.stats;
	unsigned int sent = rig.lan.sent + rig.wan.sent, punted = rig.punted;

	rig_turn(&rig);
	for (unsigned int d = 0; d < CW_DROP_COUNT; d++) {
		unsigned int wanted = d == why ? n : 0;

		if (rig.stats.drops[d] - before.drops[d] != wanted)
			printf("    %s: %u instead of %u\n", cw_drop_name((enum cw_drop)d),
			       (unsigned int)(rig.stats.drops[d] - before.drops[d]), wanted);
		CU_ASSERT_EQUAL(rig.stats.drops[d] - before.drops[d], wanted);
	}
	CU_ASSERT_EQUAL(rig.lan.sent + rig.wan.sent, sent);
	CU_ASSERT_EQUAL(rig.punted, punted);
}

static void lan_drop(size_t len, enum cw_drop why)
{
	rig_put(&rig, &rig.lan, frame, len, 1);
	expect_drop(why, 1);
}

static void wan_drop(size_t len, enum cw_drop why)
{
	rig_put(&rig, &rig.wan, frame, len, 1);
	expect_drop(why, 1);
}

static size_t good(void)
{
	return rig_lan_ip(frame, RIG_BOUND, RIG_NEAR, 0, CW_IP_PROTO_UDP, 60);
}

/* The header's checksum made right again after a field was bent. */
static void mend(void)
{
	uint16_t sum;

	memset(frame + CW_ETH_BYTES + 10, 0, 2);
	sum = cw_checksum_fold(cw_checksum_add(0, frame + CW_ETH_BYTES, CW_IP4_BYTES));
	memcpy(frame + CW_ETH_BYTES + 10, &sum, 2);
}

static void test_frames_that_are_not_ours_to_carry(void)
{
	size_t len = good();

	lan_drop(13, CW_DROP_TRUNCATED);
	rig_put(&rig, &rig.lan, frame, len, 2); /* two segments */
	expect_drop(CW_DROP_TRUNCATED, 1);
	frame[12] = 0x88;
	frame[13] = 0xcc;
	lan_drop(len, CW_DROP_ETHERTYPE);
	frame[12] = 0x86;
	frame[13] = 0xdd;
	lan_drop(len, CW_DROP_IPV6);
	len = good();
	frame[0] = 2;
	lan_drop(len, CW_DROP_NOT_FOR_US);
	len = good();
	memcpy(frame + 6, rig_virtual_mac.b, 6);
	lan_drop(len, CW_DROP_OWN_FRAME);
	len = good();
	memset(frame, 0xff, 6);
	memcpy(frame + 6, rig_lan_mac.b, 6);
	lan_drop(len, CW_DROP_OWN_FRAME);
	good();
	memmove(frame + 18, frame + 14, 80);
	memcpy(frame + 12, (const uint8_t[]){0x81, 0, 0, 9, 8, 0}, 6);
	lan_drop(len + 4, CW_DROP_VLAN);
	len = rig_lan_ip(frame, RIG_BOUND, 0xe0000001, 0, CW_IP_PROTO_UDP, 20);
	lan_drop(len, CW_DROP_MULTICAST);
	len = rig_lan_ip(frame, RIG_BOUND, 0x0a80ffff, 0, CW_IP_PROTO_UDP, 20);
	lan_drop(len, CW_DROP_MULTICAST);
}

static void test_ipv4_headers(void)
{
	size_t len = good();

	frame[14] = 0x65;
	lan_drop(len, CW_DROP_IP_VERSION);
	good();
	frame[14] = 0x44;
	lan_drop(len, CW_DROP_IP_LENGTH);
	good();
	frame[14] = 0x46;
	lan_drop(len, CW_DROP_IP_OPTIONS);
	good();
	frame[17] = 200; /* longer than the frame */
	mend();
	lan_drop(len, CW_DROP_IP_LENGTH);
	good();
	frame[24] ^= 1;
	lan_drop(len, CW_DROP_IP_CHECKSUM);
	good();
	lan_drop(14 + 19, CW_DROP_TRUNCATED);
}

static void test_the_guard_and_the_lookup(void)
{
	size_t len = rig_lan_ip(frame, RIG_OFFERED, RIG_NEAR, 0, 17, 20);

	lan_drop(len, CW_DROP_SOURCE_UNBOUND);
	len = rig_lan_ip(frame, 0x01020304, RIG_NEAR, 0, 17, 20);
	lan_drop(len, CW_DROP_SOURCE_UNBOUND);
	len = good();
	frame[11] = 77;
	lan_drop(len, CW_DROP_SOURCE_MAC);
	len = rig_lan_ip(frame, RIG_BOUND, 0x08080808, 0, 17, 20);
	lan_drop(len, CW_DROP_NOT_IN_SUBNET);
	len = rig_lan_ip(frame, RIG_BOUND, RIG_LOCAL, 0, 17, 20);
	lan_drop(len, CW_DROP_LOCAL_DESTINATION);
	len = rig_lan_ip(frame, RIG_BOUND, RIG_NOBODY, 0, 17, 20);
	lan_drop(len, CW_DROP_NO_MAPPING);
	/* Not linked yet: control holds it until it is. */
	rig_put(&rig, &rig.lan, frame, rig_lan_ip(frame, RIG_BOUND, RIG_KEYLESS, 0, 17, 20), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.punted, 1);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_MISS);
	len = rig_lan_ip(frame, RIG_BOUND, RIG_SERVICE, 0, 6, 20);
	lan_drop(len, CW_DROP_SERVICE_PORT);
	rig.deadline.session_tsc = 1;
	len = good();
	lan_drop(len, CW_DROP_SESSION_DEADLINE);
	rig.deadline.session_tsc = UINT64_MAX;
	rig.slot.view = NULL;
	lan_drop(len, CW_DROP_NO_NAMESPACE);
	rig.slot.view = &rig.view;
}

static void test_what_does_not_fit(void)
{
	size_t len = rig_lan_ip(frame, RIG_BOUND, RIG_NEAR, CW_IP4_DF, 17, 1450);
	uint64_t before = rig.stats.drops[CW_DROP_TOO_BIG];

	rig_put(&rig, &rig.lan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.stats.drops[CW_DROP_TOO_BIG] - before, 1);
	CU_ASSERT_EQUAL(rig.lan.sent, 1); /* fragmentation needed, to the host */
	CU_ASSERT_EQUAL(rig.lan.last.bytes[14 + 9], CW_IP_PROTO_ICMP);
	CU_ASSERT_EQUAL(rig.lan.last.bytes[34], CW_ICMP_UNREACHABLE);
	CU_ASSERT_EQUAL(rig.lan.last.bytes[40] << 8 | rig.lan.last.bytes[41], 1420);
	CU_ASSERT_EQUAL(memcmp(rig.lan.last.bytes, rig_host_mac.b, 6), 0);
	/* DF clear: fragments. */
	len = rig_lan_ip(frame, RIG_BOUND, RIG_NEAR, 0, 17, 1450);
	rig_put(&rig, &rig.lan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.wan.sent, 2);
	/* More pieces than a burst has room for. */
	rig.view.mtu_bytes = 68;
	before = rig.stats.drops[CW_DROP_FRAGMENT_FAILED];
	for (unsigned int i = 0; i < 4; i++)
		rig_put(&rig, &rig.lan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_TRUE(rig.stats.drops[CW_DROP_FRAGMENT_FAILED] > before);
	rig.view.mtu_bytes = 1420;
}

static void test_an_sa_at_its_end(void)
{
	struct cw_sa_out *sa = cw_sa_pick(cw_peer_at(rig.peers, rig.near), 0, RIG_WORKERS, 0);
	uint64_t seq = sa->seq;
	struct cw_sa_set *set;

	EVP_CIPHER_CTX *none = EVP_CIPHER_CTX_new();
	uint8_t session[64];

	/* A set that has none for this worker. */
	set = cw_peer_at(rig.peers, rig.near)->set;
	set->K = 0;
	lan_drop(good(), CW_DROP_NO_SA);
	set->K = 1;
	sa->seq = CW_SA_PACKETS_MAX;
	lan_drop(good(), CW_DROP_SA_EXPIRED);
	sa->seq = seq;
	/* An engine that fails: its session has no cipher. */
	memcpy(session, sa->session, cw_crypto_openssl.session_bytes);
	memcpy(sa->session, &none, sizeof(none));
	lan_drop(good(), CW_DROP_CRYPTO);
	memcpy(sa->session, session, cw_crypto_openssl.session_bytes);
	EVP_CIPHER_CTX_free(none);
}

static size_t arp(uint16_t op, uint32_t sender, uint32_t target)
{
	cw_eth_write(frame, &rig_virtual_mac, &rig_host_mac, 0, CW_ETH_P_ARP);
	memset(frame, 0xff, 6);
	cw_arp_write(frame + 14, op, &rig_host_mac, rte_cpu_to_be_32(sender), &rig_virtual_mac,
		     rte_cpu_to_be_32(target));
	return 14 + 28;
}

static void test_arp_that_is_not_answered(void)
{
	size_t len = arp(CW_ARP_REQUEST, RIG_BOUND, RIG_NEAR);

	lan_drop(len - 1, CW_DROP_ARP_MALFORMED);
	frame[14] = 9;
	lan_drop(len, CW_DROP_ARP_MALFORMED);
	lan_drop(arp(CW_ARP_REQUEST, RIG_BOUND, RIG_NOBODY), CW_DROP_ARP_SILENT);
	lan_drop(arp(CW_ARP_REQUEST, RIG_BOUND, RIG_LOCAL), CW_DROP_ARP_SILENT);
	lan_drop(arp(CW_ARP_REQUEST, RIG_BOUND, RIG_OFFERED), CW_DROP_ARP_SILENT);
	lan_drop(arp(CW_ARP_REPLY, RIG_BOUND, RIG_NEAR), CW_DROP_ARP_REPLY);
}

/* A DHCP message of the bound host. */
static size_t dhcp(uint8_t op, uint8_t type)
{
	static const uint8_t magic[] = {99, 130, 83, 99};
	uint8_t *m = frame + 42;

	cw_eth_write(frame, &rig_virtual_mac, &rig_host_mac, 0, CW_ETH_P_IP4);
	memset(frame, 0xff, 6);
	memset(m, 0, 300);
	m[0] = op;
	m[1] = 1;
	m[2] = 6;
	memcpy(m + 28, rig_host_mac.b, 6);
	memcpy(m + 236, magic, 4);
	memcpy(m + 240, (const uint8_t[]){53, 1, type, 255}, 4);
	if (type == 0)
		m[240] = 255;
	cw_udp_write_ip4(frame + 14, 0, 1, 0, 0, UINT32_MAX, rte_cpu_to_be_16(68),
			 rte_cpu_to_be_16(67), 300);
	return 42 + 300;
}

static void test_dhcp_that_is_not_answered(void)
{
	size_t len = dhcp(1, 0);

	lan_drop(len, CW_DROP_DHCP_SILENT); /* plain BOOTP */
	/* Another server's answer: for control to see, not for the host. */
	rig_put(&rig, &rig.lan, frame, dhcp(2, CW_DHCP_OFFER), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_FOREIGN_DHCP);
	CU_ASSERT_EQUAL(rig.lan.sent, 0);
	CU_ASSERT_EQUAL(rig.stats.drops[CW_DROP_DHCP_FOREIGN], 1);
	len = dhcp(1, CW_DHCP_DISCOVER);
	frame[42 + 236] = 0;
	memset(frame + 40, 0, 2); /* no UDP checksum */
	lan_drop(len, CW_DROP_DHCP_MALFORMED);
	dhcp(1, CW_DHCP_DISCOVER);
	frame[60] ^= 1;
	lan_drop(len, CW_DROP_UDP_CHECKSUM);
}

static void test_a_query_that_is_none(void)
{
	size_t len = rig_lan_ip(frame, RIG_BOUND, RIG_SERVICE, 0, CW_IP_PROTO_UDP, 12);

	memcpy(frame + 34, (const uint8_t[]){4, 0, 0, 53, 0, 12, 0, 0}, 8);
	lan_drop(len, CW_DROP_DNS_MALFORMED);
}

static void test_datagrams_that_are_nothing(void)
{
	static const uint8_t unknown[] = {100, 1}, keepalive[] = {255}, esp[] = {128, 0, 0, 0};
	static const uint8_t channel[] = {64, 0, 0, 0}, stun[] = {0, 1, 0, 0};
	size_t len = rig_wan_udp(frame, unknown, sizeof(unknown));

	wan_drop(len, CW_DROP_WAN_UNKNOWN);
	wan_drop(rig_wan_udp(frame, keepalive, 1), CW_DROP_WAN_KEEPALIVE);
	wan_drop(rig_wan_udp(frame, channel, 4), CW_DROP_RELAY_CHANNEL);
	wan_drop(rig_wan_udp(frame, esp, 3), CW_DROP_ESP_MALFORMED);
	wan_drop(rig_wan_udp(frame, esp, 4), CW_DROP_ESP_SPI);
	len = rig_wan_udp(frame, stun, sizeof(stun));
	frame[45] ^= 1;
	wan_drop(len, CW_DROP_UDP_CHECKSUM);
	len = rig_wan_udp(frame, unknown, sizeof(unknown));
	frame[37] ^= 1; /* another port */
	wan_drop(len, CW_DROP_WAN_NOT_OURS);
	rig_wan_udp(frame, unknown, sizeof(unknown));
	frame[39] = 200;
	wan_drop(len, CW_DROP_TRUNCATED);
	rig_wan_udp(frame, unknown, sizeof(unknown));
	memcpy(frame + 6, rig_wan_mac.b, 6);
	wan_drop(len, CW_DROP_OWN_FRAME);
}

/* An inner packet from beyond to a host here, sealed by the near peer. */
static size_t inner(uint8_t *ip, uint32_t src, uint32_t dst, uint8_t tos)
{
	memset(ip, 0x22, 60);
	cw_ip4_write(ip, tos, 40, 1, 0, 64, CW_IP_PROTO_UDP, rte_cpu_to_be_32(src),
		     rte_cpu_to_be_32(dst));
	return 60;
}

static size_t sealed(uint32_t src, uint32_t dst, uint8_t tos)
{
	uint8_t ip[64];

	return rig_sealed(&rig, frame, ip, inner(ip, src, dst, tos));
}

static void test_what_opens_and_is_admitted(void)
{
	uint8_t ip[64];

	rig_put(&rig, &rig.wan, frame, sealed(RIG_NEAR, RIG_BOUND, 0), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(rig.lan.sent, 1);
	inner(ip, RIG_NEAR, RIG_BOUND, 0);
	CU_ASSERT_EQUAL(rig.lan.last.len, 14 + 60);
	CU_ASSERT_EQUAL(memcmp(rig.lan.last.bytes + 14, ip, 60), 0);
	CU_ASSERT_EQUAL(memcmp(rig.lan.last.bytes, rig_host_mac.b, 6), 0);
	CU_ASSERT_EQUAL(memcmp(rig.lan.last.bytes + 6, rig_virtual_mac.b, 6), 0);
	/* The same once more. */
	wan_drop(14 + 20 + 8 + 16 + 60 + 2 + 2 + 16, CW_DROP_ESP_REPLAY);
}

static void test_what_does_not_open(void)
{
	size_t len = sealed(RIG_NEAR, RIG_BOUND, 0);

	frame[70] ^= 1;
	wan_drop(len, CW_DROP_ESP_AUTH);
	frame[70] ^= 1;
	frame[5] ^= 1; /* another station */
	wan_drop(len, CW_DROP_NOT_FOR_US);
	sealed(RIG_NEAR, RIG_BOUND, 0);
	wan_drop(60, CW_DROP_IP_LENGTH);
}

/* With several gateways on the segment: slots 0 and 1, of which the first is ours. */
static void test_slots_of_other_gateways(void)
{
	uint16_t slot = cw_ns_slot(rte_cpu_to_be_32(RIG_NEAR), 2);
	size_t len;

	rig.view.virtual_mac_slots = 2;
	/* Its frames are carried, by the owner alone. */
	len = good();
	frame[5] = 1;
	lan_drop(len, CW_DROP_SLOT);
	frame[5] = 2;
	lan_drop(len, CW_DROP_NOT_FOR_US);
	/* What a slot's former owner still gets is carried until the new one shows itself. */
	rig.deadline.leaving = 2;
	rig.deadline.leaving_until_tsc = UINT64_MAX;
	frame[5] = 1;
	rig_put(&rig, &rig.lan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.wan.sent, 1);
	frame[5] = 0;
	memset(frame, 0, 60);
	memcpy(frame,
	       (const uint8_t[]){0xff, 0xfd, 0, 0, 0, 0xff, 0xfe, 0xfd, 0, 0, 0, 1, 0x88, 0xb5},
	       14);
	lan_drop(60, CW_DROP_SLOT_SHOWN);
	len = good();
	frame[5] = 1;
	lan_drop(len, CW_DROP_SLOT);
	/* From our own slot: it came back. */
	memset(frame, 0, 60);
	memcpy(frame,
	       (const uint8_t[]){0xff, 0xfd, 0, 0, 0, 0xff, 0xfe, 0xfd, 0, 0, 0, 0, 0x88, 0xb5},
	       14);
	lan_drop(60, CW_DROP_OWN_FRAME);
	/* A packet for a host leaves all the same, but not from the slot's address. */
	rig.deadline.slots = 2 >> slot;
	rig_put(&rig, &rig.wan, frame, sealed(RIG_NEAR, RIG_BOUND, 0), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL_FATAL(rig.lan.sent, 1);
	CU_ASSERT_EQUAL(memcmp(rig.lan.last.bytes + 6, rig_lan_mac.b, 6), 0);
	/* ARP: the owner of the address's slot answers, and nobody else. */
	lan_drop(arp(CW_ARP_REQUEST, RIG_BOUND, RIG_NEAR), CW_DROP_SLOT);
	rig.deadline.slots = UINT64_C(1) << slot;
	rig_put(&rig, &rig.lan, frame, arp(CW_ARP_REQUEST, RIG_BOUND, RIG_NEAR), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.lan.last.bytes[6 + 5], slot);
	CU_ASSERT_EQUAL(rig.stats.arp_replies, 1);
	/* Past the slots' deadline none is ours: a gateway that was stopped is mute. */
	rig.deadline.slots = 3;
	rig.deadline.slots_until_tsc = 1;
	lan_drop(good(), CW_DROP_SLOT);
	rig.deadline.slots = 1;
	rig.deadline.slots_until_tsc = UINT64_MAX;
	rig.view.virtual_mac_slots = 1;
}

static void test_what_is_not_admitted(void)
{
	wan_drop(sealed(RIG_STRANGE, RIG_BOUND, 0), CW_DROP_ADMIT_SOURCE);
	wan_drop(sealed(RIG_LOCAL, RIG_BOUND, 0), CW_DROP_ADMIT_SOURCE);
	wan_drop(sealed(0x08080808, RIG_BOUND, 0), CW_DROP_ADMIT_SOURCE);
	wan_drop(sealed(RIG_NEAR, RIG_OFFERED, 0), CW_DROP_NOT_HERE);
	wan_drop(sealed(RIG_NEAR, RIG_UNKNOWN, 0), CW_DROP_NOT_HERE);
	rig.deadline.session_tsc = 1;
	wan_drop(sealed(RIG_NEAR, RIG_BOUND, 0), CW_DROP_SESSION_DEADLINE);
	rig.deadline.session_tsc = UINT64_MAX;
}

/* Sealed by hand, since encap makes no wrong ones. */
static void test_padding_and_congestion(void)
{
	uint8_t ip[64];
	size_t len = inner(ip, RIG_NEAR, RIG_BOUND, 0);

	ip[0] = 0x65;
	wan_drop(rig_sealed(&rig, frame, ip, len), CW_DROP_IP_VERSION);
	len = sealed(RIG_NEAR, RIG_BOUND, 0);
	frame[15] |= 3; /* congestion outside, not capable inside */
	mend();
	wan_drop(len, CW_DROP_ECN);
	/* Capable inside: the mark goes in, and the packet on. */
	len = sealed(RIG_NEAR, RIG_BOUND, 2);
	frame[15] |= 3;
	mend();
	rig_put(&rig, &rig.wan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.lan.sent, 1);
	CU_ASSERT_EQUAL(rig.lan.last.bytes[15], 3);
}

static void test_rings_and_ports_that_are_full(void)
{
	uint8_t esp[64] = {0};
	uint32_t spi = rte_cpu_to_be_32(cw_spi_make(1, 5, 5));
	uint64_t before;

	rig.wan.tx_room = 0;
	lan_drop(good(), CW_DROP_TX_FULL);
	rig.wan.tx_room = UINT16_MAX;
	/* The other worker takes nothing: its ring has 63 places. */
	memcpy(esp, &spi, 4);
	before = rig.stats.drops[CW_DROP_WORKER_RING];
	for (unsigned int i = 0; i < 64; i++) {
		rig_put(&rig, &rig.wan, frame, rig_wan_udp(frame, esp, sizeof(esp)), 1);
		rig_turn(&rig);
	}
	CU_ASSERT_EQUAL(rig.stats.drops[CW_DROP_WORKER_RING] - before, 1);
}

static void test_punts_are_bounded(void)
{
	size_t len = rig_lan_ip(frame, RIG_UNKNOWN, RIG_NEAR, 0, 17, 20);
	uint64_t before = rig.stats.drops[CW_DROP_PUNT_LIMIT];

	/* Far more than one kind may have per interval, in one turn. */
	for (unsigned int i = 0; i < CW_BURST; i++)
		rig_put(&rig, &rig.lan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_TRUE(rig.punted > 0 && rig.punted < CW_BURST);
	CU_ASSERT_EQUAL(rig.stats.drops[CW_DROP_PUNT_LIMIT] - before, CW_BURST - rig.punted);
	/* A ring that control does not empty. */
	before = rig.stats.drops[CW_DROP_PUNT_FULL];
	len = rig_lan_ip(frame, RIG_BOUND, RIG_UNKNOWN, 0, 17, 20);
	for (unsigned int turn = 0; turn < 3; turn++) {
		for (unsigned int i = 0; i < CW_BURST; i++)
			rig_put(&rig, &rig.lan, frame, len, 1);
		cw_worker_turn(rig.worker, rte_rdtsc());
	}
	CU_ASSERT_EQUAL(rig.stats.drops[CW_DROP_PUNT_FULL] - before, 3 * CW_BURST - 63);
}

static void test_what_control_gives_back(void)
{
	struct cw_inject_meta meta = {.kind = CW_INJECT_INBOUND, .peer = 999};
	struct rte_mbuf *m = rte_pktmbuf_alloc(rig.pool);

	memset(rte_pktmbuf_append(m, 60), 0, 60);
	CU_ASSERT_TRUE(cw_inject_enqueue(rig.inject, m, &meta)); /* its peer is gone */
	expect_drop(CW_DROP_CONTROL_REFUSED, 1);
	/* No room for an Ethernet header in front. */
	m = rte_pktmbuf_alloc(rig.pool);
	meta.peer = rig.near;
	rte_pktmbuf_prepend(m, RTE_PKTMBUF_HEADROOM);
	m->data_len = m->pkt_len =
		(uint16_t)inner(rte_pktmbuf_mtod(m, uint8_t *), RIG_NEAR, RIG_BOUND, 0);
	CU_ASSERT_TRUE(cw_inject_enqueue(rig.inject, m, &meta));
	expect_drop(CW_DROP_NO_MBUF, 1);
	m = rte_pktmbuf_alloc(rig.pool);
	meta = (struct cw_inject_meta){.kind = CW_INJECT_OUTBOUND};
	memcpy(rte_pktmbuf_append(m, (uint16_t)good()), frame, good());
	CU_ASSERT_TRUE(cw_inject_enqueue(rig.inject, m, &meta));
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.wan.sent, 1);
}

/* A hello to all systems of the WAN's segment. @return its length. */
static size_t hello(rte_be16_t port, uint16_t fragment)
{
	static const uint8_t group_mac[] = {1, 0, 0x5e, 0, 0, 1}, indication[] = {0, 0x11, 0, 0};
	size_t len = rig_wan_udp(frame, indication, sizeof(indication));

	memcpy(frame, group_mac, sizeof(group_mac));
	cw_udp_write_ip4(frame + CW_ETH_BYTES, 0, 1, fragment, rte_cpu_to_be_32(RIG_PEER_WAN),
			 CW_DISCOVERY_GROUP, rte_cpu_to_be_16(9999), port, sizeof(indication));
	return len;
}

static void test_hellos_of_the_segment_are_punted(void)
{
	const rte_be16_t port = rte_cpu_to_be_16(CW_DISCOVERY_PORT);
	size_t len = hello(port, 0);

	rig_put(&rig, &rig.wan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_DISCOVERY);
	wan_drop(hello(rte_cpu_to_be_16(53), 0), CW_DROP_WAN_NOT_OURS);
	wan_drop(hello(port, CW_IP4_MF), CW_DROP_WAN_NOT_OURS);
	len = hello(port, 0);
	frame[33] = 251; /* another group */
	wan_drop(len, CW_DROP_IP_CHECKSUM);
	len = hello(port, 0);
	frame[len - 1] ^= 1;
	wan_drop(len, CW_DROP_WAN_NOT_OURS);
}

/* From our host to the near one only TCP port 80, and nothing back but answers. */
static void test_the_policy_on_both_ways(void)
{
	const struct cw_policy_source source = {
		.rule_count = 1,
		.range_count = 1,
		.rules = {{true, CW_IP_PROTO_TCP, 0, CW_POLICY_ANY, 80, 80}},
		.ranges = {{0, rte_cpu_to_be_32(RIG_BOUND), rte_cpu_to_be_32(RIG_BOUND)}}};
	struct cw_policy *policy;
	uint8_t ip[64];
	size_t len;

	CU_ASSERT_EQUAL_FATAL(cw_policy_compile(&policy, &source), 0);
	rig.view.policy = policy;
	lan_drop(good(), CW_DROP_POLICY_OUT);
	wan_drop(sealed(RIG_NEAR, RIG_BOUND, 0), CW_DROP_POLICY_IN);
	len = rig_lan_ip(frame, RIG_BOUND, RIG_NEAR, 0, CW_IP_PROTO_TCP, 20);
	memcpy(frame + 34, (const uint8_t[]){9, 9, 0, 80}, 4);
	frame[34 + 13] = 2;
	rig_put(&rig, &rig.lan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.wan.sent, 1);
	len = rig_lan_ip(frame, RIG_BOUND, RIG_NEAR, 0, CW_IP_PROTO_TCP, 19);
	lan_drop(len, CW_DROP_POLICY_MALFORMED);
	/* The answer, and the same without the flag that makes it one. */
	memset(ip, 0, sizeof(ip));
	cw_ip4_write(ip, 0, 20, 1, 0, 64, CW_IP_PROTO_TCP, rte_cpu_to_be_32(RIG_NEAR),
		     rte_cpu_to_be_32(RIG_BOUND));
	memcpy(ip + 20, (const uint8_t[]){0, 80, 9, 9}, 4);
	ip[20 + 13] = 0x12;
	rig_put(&rig, &rig.wan, frame, rig_sealed(&rig, frame, ip, 40), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.lan.sent, 1);
	ip[20 + 13] = 0x02;
	wan_drop(rig_sealed(&rig, frame, ip, 40), CW_DROP_POLICY_IN);
	rig.view.policy = NULL;
	cw_policy_free(policy);
}

static void test_punts_by_kind(void)
{
	static const uint8_t stun[] = {0, 1, 0, 0}, dtls[] = {22, 254, 253};

	rig_put(&rig, &rig.wan, frame, rig_wan_udp(frame, stun, sizeof(stun)), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_STUN);
	rig_put(&rig, &rig.wan, frame, rig_wan_udp(frame, dtls, sizeof(dtls)), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_DTLS);
	rig_put(&rig, &rig.lan, frame, rig_lan_ip(frame, RIG_BOUND, RIG_UNKNOWN, 0, 17, 20), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_MISS);
	rig_put(&rig, &rig.wan, frame, sealed(RIG_UNKNOWN, RIG_BOUND, 0), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_ADMIT);
	rig_put(&rig, &rig.lan, frame, arp(CW_ARP_REQUEST, RIG_BOUND, RIG_UNKNOWN), 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_ARP);
	CU_ASSERT_EQUAL(rig.punted, 5);
}

/* Where the kernel has the port's address, it has its ICMP too, but for what concerns our paths. */
static void test_fragmentation_needed_goes_to_control_other_icmp_does_not(void)
{
	static const uint8_t needed[8] = {CW_ICMP_UNREACHABLE, CW_ICMP_FRAG_NEEDED};
	size_t len = rig_wan_udp(frame, needed, sizeof(needed));
	struct cw_ip4_header *ip = (struct cw_ip4_header *)(frame + CW_ETH_BYTES);

	cw_ip4_write(frame + CW_ETH_BYTES, 0, 16, 1, 0, 64, CW_IP_PROTO_ICMP, ip->src, ip->dst);
	memcpy(frame + CW_ETH_BYTES + CW_IP4_BYTES, needed, sizeof(needed));
	rig_put(&rig, &rig.wan, frame, len, 1);
	rig_turn(&rig);
	CU_ASSERT_EQUAL(rig.last_punt, CW_PUNT_WAN_ICMP);
	CU_ASSERT_EQUAL(rig.punted, 1);
	frame[CW_ETH_BYTES + CW_IP4_BYTES + 1] = 3; /* port unreachable */
	wan_drop(len, CW_DROP_WAN_NOT_OURS);
	frame[CW_ETH_BYTES + CW_IP4_BYTES + 1] = CW_ICMP_FRAG_NEEDED;
	cw_ip4_write(frame + CW_ETH_BYTES, 0, 7, 1, 0, 64, CW_IP_PROTO_ICMP, ip->src, ip->dst);
	wan_drop(len, CW_DROP_WAN_NOT_OURS); /* too short to say anything */
}

/* A rig of its own around each test: nothing is left over, no mbuf is lost. */
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
		{"frames that are not ours to carry", test_frames_that_are_not_ours_to_carry},
		{"IPv4 headers", test_ipv4_headers},
		{"the guard and the lookup", test_the_guard_and_the_lookup},
		{"what does not fit", test_what_does_not_fit},
		{"an SA at its end", test_an_sa_at_its_end},
		{"ARP that is not answered", test_arp_that_is_not_answered},
		{"DHCP that is not answered", test_dhcp_that_is_not_answered},
		{"a query that is none", test_a_query_that_is_none},
		{"datagrams that are nothing", test_datagrams_that_are_nothing},
		{"what opens and is admitted", test_what_opens_and_is_admitted},
		{"what does not open", test_what_does_not_open},
		{"slots of other gateways", test_slots_of_other_gateways},
		{"what is not admitted", test_what_is_not_admitted},
		{"padding and congestion", test_padding_and_congestion},
		{"rings and ports that are full", test_rings_and_ports_that_are_full},
		{"punts are bounded", test_punts_are_bounded},
		{"what control gives back", test_what_control_gives_back},
		{"hellos of the segment are punted", test_hellos_of_the_segment_are_punted},
		{"the policy on both ways", test_the_policy_on_both_ways},
		{"punts by kind", test_punts_by_kind},
		{"fragmentation needed goes to control, other ICMP does not",
		 test_fragmentation_needed_goes_to_control_other_icmp_does_not},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {{"datapath", NULL, NULL, set_up, tear_down, tests},
				 CU_SUITE_INFO_NULL};
	int rc;

	rig_start();
	rc = cw_test_run(suites);
	rig_stop();
	return rc;
}
