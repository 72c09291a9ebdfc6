/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/base's values and lib/wire's formats: vectors of the RFCs, and tables of what must be
 * refused. */
#include <stdlib.h>
#include <string.h>

#include <cw_arp.h>
#include <cw_channel.h>
#include <cw_dhcp.h>
#include <cw_esp.h>
#include <cw_icmp.h>
#include <cw_tcp.h>
#include <cw_toeplitz.h>
#include <cw_udp.h>

#include "cw_test.h"

static void test_text_forms_are_strict(void)
{
	static const char *const bad_ip[] = {"",	  "1.2.3",    "1.2.3.4.5",
					     "256.1.1.1", "1.2.3.4 ", "01.2.3.4",
					     "1..2.3",	  "a.b.c.d",  "+1.2.3.4"};
	static const char *const bad_prefix[] = {"10.0.0.0", "10.0.0.1/8", "10.0.0.0/33",
						 "10.0.0.0/", "10.0.0.0/8x"};
	char text[CW_ENDPOINT_TEXT_BYTES];
	struct cw_prefix4 prefix;
	struct cw_endpoint ep;
	struct cw_mac mac;
	rte_be32_t ip;

	for (size_t i = 0; i < CW_ARRAY_SIZE(bad_ip); i++)
		CU_ASSERT_TRUE(cw_ip4_parse(bad_ip[i], &ip) < 0);
	for (size_t i = 0; i < CW_ARRAY_SIZE(bad_prefix); i++)
		CU_ASSERT_TRUE(cw_prefix4_parse(bad_prefix[i], &prefix) < 0);
	CU_ASSERT_EQUAL(cw_ip4_parse("10.128.0.1", &ip), 0);
	CU_ASSERT_STRING_EQUAL(cw_ip4_format(ip, text), "10.128.0.1");
	CU_ASSERT_EQUAL(cw_endpoint_parse("1.2.3.4:7845", 0, &ep), 0);
	CU_ASSERT_STRING_EQUAL(cw_endpoint_format(&ep, text), "1.2.3.4:7845");
	CU_ASSERT_TRUE(cw_endpoint_parse("1.2.3.4", 0, &ep) < 0);
	CU_ASSERT_TRUE(cw_endpoint_parse("1.2.3.4:0", 0, &ep) < 0);
	CU_ASSERT_EQUAL(cw_mac_parse("fe:fd:00:00:00:0a", &mac), 0);
	CU_ASSERT_STRING_EQUAL(cw_mac_format(&mac, text), "fe:fd:00:00:00:0a");
	CU_ASSERT_TRUE(cw_mac_parse("fe:fd:00:00:00", &mac) < 0);
}

static void test_ip4_headers_are_checked_in_every_field(void)
{
	uint8_t ip[64];
	struct cw_ip4_header h;

	cw_ip4_write(ip, 0, 20, 1, 0, 64, 17, 0x01020304, 0x05060708);
	CU_ASSERT_EQUAL(cw_ip4_parse_header(ip, 40, &h), CW_DROP_NONE);
	CU_ASSERT_EQUAL(cw_ip4_parse_header(ip, 39, &h), CW_DROP_IP_LENGTH);
	CU_ASSERT_EQUAL(cw_ip4_parse_header(ip, 19, &h), CW_DROP_TRUNCATED);
	ip[8]--;
	CU_ASSERT_EQUAL(cw_ip4_parse_header(ip, 40, &h), CW_DROP_IP_CHECKSUM);
	ip[0] = 0x46;
	CU_ASSERT_EQUAL(cw_ip4_parse_header(ip, 40, &h), CW_DROP_IP_OPTIONS);
	ip[0] = 0x65;
	CU_ASSERT_EQUAL(cw_ip4_parse_header(ip, 40, &h), CW_DROP_IP_VERSION);
	ip[0] = 0x44;
	CU_ASSERT_EQUAL(cw_ip4_parse_header(ip, 40, &h), CW_DROP_IP_LENGTH);
}

static void test_incremental_checksums_equal_full_ones(void)
{
	uint8_t data[40];
	uint16_t word, old, checksum;

	srandom(3);
	for (unsigned int round = 0; round < 1000; round++) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)random();
		data[0] = data[1] = 0;
		checksum = cw_checksum_fold(cw_checksum_add(0, data, sizeof(data)));
		memcpy(&old, data + 10, 2);
		word = (uint16_t)random();
		memcpy(data + 10, &word, 2);
		checksum = cw_checksum_update16(checksum, old, word);
		CU_ASSERT_EQUAL(checksum, cw_checksum_fold(cw_checksum_add(0, data, sizeof(data))));
	}
}

static void test_udp_is_written_as_it_is_read(void)
{
	uint8_t packet[64] = {0};
	struct cw_ip4_header ip;
	struct cw_udp_header udp;

	memcpy(packet + 28, "payload", 7);
	cw_udp_write_ip4(packet, 0, 0, 0, 0x0100000a, 0x0200000a, rte_cpu_to_be_16(1),
			 rte_cpu_to_be_16(2), 7);
	CU_ASSERT_EQUAL(cw_ip4_parse_header(packet, 35, &ip), CW_DROP_NONE);
	CU_ASSERT_EQUAL(cw_udp_parse(&ip, packet + 20, 15, &udp), CW_DROP_NONE);
	packet[30] ^= 1;
	CU_ASSERT_EQUAL(cw_udp_parse(&ip, packet + 20, 15, &udp), CW_DROP_UDP_CHECKSUM);
	CU_ASSERT_EQUAL(cw_udp_parse(&ip, packet + 20, 7, &udp), CW_DROP_TRUNCATED);
}

static void test_the_first_byte_tells_datagrams_apart(void)
{
	static const struct {
		uint8_t first;
		size_t len;
		enum cw_wan_kind kind;
	} cases[] = {
		{0, 20, CW_WAN_STUN},	    {3, 20, CW_WAN_STUN},     {4, 20, CW_WAN_UNKNOWN},
		{19, 20, CW_WAN_UNKNOWN},   {20, 20, CW_WAN_DTLS},    {63, 20, CW_WAN_DTLS},
		{64, 20, CW_WAN_CHANNEL},   {79, 20, CW_WAN_CHANNEL}, {80, 20, CW_WAN_UNKNOWN},
		{127, 20, CW_WAN_UNKNOWN},  {128, 20, CW_WAN_ESP},    {254, 20, CW_WAN_ESP},
		{255, 1, CW_WAN_KEEPALIVE}, {255, 2, CW_WAN_UNKNOWN}, {128, 0, CW_WAN_UNKNOWN}};

	for (size_t i = 0; i < CW_ARRAY_SIZE(cases); i++)
		CU_ASSERT_EQUAL(cw_wan_classify(&cases[i].first, cases[i].len), cases[i].kind);
}

static size_t dhcp_message(uint8_t *out, const uint8_t *options, size_t len)
{
	struct cw_dhcp_fixed f = {.op = 1,
				  .htype = 1,
				  .hlen = 6,
				  .xid = 7,
				  .flags = rte_cpu_to_be_16(CW_DHCP_BROADCAST),
				  .chaddr = {2, 0, 0, 0, 0, 1},
				  .cookie = rte_cpu_to_be_32(CW_DHCP_COOKIE)};

	memcpy(out, &f, sizeof(f));
	memcpy(out + sizeof(f), options, len);
	return sizeof(f) + len;
}

static void test_dhcp_reads_options_overload_and_refuses_the_malformed(void)
{
	static const uint8_t options[] = {53, 1,  3, 50, 4,  10, 0, 0, 9,  61, 3, 1, 2,
					  3,  55, 2, 1,	 26, 52, 1, 1, 82, 2,  1, 0, 255};
	static const uint8_t bad[][8] = {
		{53, 1, 0, 255}, {53, 1, 9, 255},   {53, 2, 1, 1, 255}, {50, 3, 1, 1, 1, 255},
		{61, 1, 0, 255}, {12, 200, 1, 255}, {52, 1, 4, 255},	{53},
	};
	static const size_t bad_len[] = {4, 4, 5, 6, 4, 4, 4, 1};
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	uint8_t data[600];
	size_t len = dhcp_message(data, options, sizeof(options));

	/* Overloaded file field: host name. */
	memcpy(data + 108, (const uint8_t[]){12, 2, 'a', 'b', 255}, 5);
	CU_ASSERT_EQUAL_FATAL(cw_dhcp_parse(data, len, &m, &pieces), CW_DROP_NONE);
	CU_ASSERT_EQUAL(m.type, CW_DHCP_REQUEST);
	CU_ASSERT_TRUE(m.broadcast);
	CU_ASSERT_EQUAL(m.requested_ip, rte_cpu_to_be_32(0x0a000009));
	CU_ASSERT_EQUAL(m.client_id.len, 3);
	CU_ASSERT_EQUAL(m.relay_info.len, 2);
	CU_ASSERT_EQUAL_FATAL(m.host_name.len, 2);
	CU_ASSERT_EQUAL(memcmp(m.host_name.data, "ab", 2), 0);
	CU_ASSERT_TRUE(cw_dhcp_wants(&m, 26));
	CU_ASSERT_FALSE(cw_dhcp_wants(&m, 15));
	for (size_t i = 0; i < CW_ARRAY_SIZE(bad); i++) {
		len = dhcp_message(data, bad[i], bad_len[i]);
		CU_ASSERT_EQUAL(cw_dhcp_parse(data, len, &m, &pieces), CW_DROP_DHCP_MALFORMED);
	}
	CU_ASSERT_EQUAL(cw_dhcp_parse(data, 100, &m, &pieces), CW_DROP_DHCP_MALFORMED);
}

static void test_a_dhcp_reply_echoes_relay_information_last(void)
{
	static const uint8_t options[] = {53, 1, 1, 82, 3, 1, 1, 9, 255};
	struct cw_dhcp_pieces pieces, more;
	struct cw_dhcp_message m, r;
	struct cw_dhcp_writer w;
	uint8_t data[600], out[600], big[255] = {0};
	size_t len = dhcp_message(data, options, sizeof(options));

	CU_ASSERT_EQUAL_FATAL(cw_dhcp_parse(data, len, &m, &pieces), CW_DROP_NONE);
	cw_dhcp_reply_begin(&w, out, 400, &m, CW_DHCP_OFFER, rte_cpu_to_be_32(0x0a000009));
	for (unsigned int i = 0; i < 3; i++)
		cw_dhcp_put(&w, 43, big, sizeof(big)); /* more than fits */
	CU_ASSERT_TRUE(w.full);
	len = cw_dhcp_reply_end(&w, &m);
	CU_ASSERT_TRUE(len >= CW_DHCP_MIN_BYTES && len <= 400);
	CU_ASSERT_EQUAL_FATAL(cw_dhcp_parse(out, len, &r, &more), CW_DROP_NONE);
	CU_ASSERT_EQUAL(r.type, CW_DHCP_OFFER);
	CU_ASSERT_EQUAL(r.relay_info.len, 3);
	CU_ASSERT_EQUAL(r.xid, m.xid);
	CU_ASSERT_EQUAL(r.flags, m.flags);
}

static void test_long_dhcp_options_are_put_together_and_taken_apart(void)
{
	uint8_t options[700] = {53, 1, 1}, data[1000], out[CW_DHCP_BYTES_MAX], id[300];
	struct cw_dhcp_pieces pieces, more;
	struct cw_dhcp_message m, r;
	struct cw_dhcp_writer w;
	size_t at = 3, len;

	for (size_t i = 0; i < sizeof(id); i++)
		id[i] = (uint8_t)i;
	/* A client identifier of 300 octets and relay information of 4, in pieces that mix. */
	options[at++] = 61, options[at++] = 255;
	memcpy(options + at, id, 255), at += 255;
	memcpy(options + at, "\x52\2ab\x3d\x2d", 6), at += 6;
	memcpy(options + at, id + 255, 45), at += 45;
	memcpy(options + at, "\x52\2cd\xff", 5), at += 5;
	len = dhcp_message(data, options, at);
	CU_ASSERT_EQUAL_FATAL(cw_dhcp_parse(data, len, &m, &pieces), CW_DROP_NONE);
	CU_ASSERT_EQUAL_FATAL(m.client_id.len, sizeof(id));
	CU_ASSERT_EQUAL(memcmp(m.client_id.data, id, sizeof(id)), 0);
	CU_ASSERT_EQUAL_FATAL(m.relay_info.len, 4);
	CU_ASSERT_EQUAL(memcmp(m.relay_info.data, "abcd", 4), 0);
	cw_dhcp_reply_begin(&w, out, sizeof(out), &m, CW_DHCP_ACK, 0);
	cw_dhcp_put(&w, CW_DHCP_OPT_CLIENT_ID, m.client_id.data, m.client_id.len);
	CU_ASSERT_FALSE(w.full);
	len = cw_dhcp_reply_end(&w, &m);
	CU_ASSERT_EQUAL_FATAL(cw_dhcp_parse(out, len, &r, &more), CW_DROP_NONE);
	CU_ASSERT_EQUAL_FATAL(r.client_id.len, sizeof(id));
	CU_ASSERT_EQUAL(memcmp(r.client_id.data, id, sizeof(id)), 0);
	CU_ASSERT_EQUAL(r.relay_info.len, 4);
	/* More pieces than are ever put together. */
	for (at = 3; at + 102 < sizeof(options); at += 102)
		options[at] = 61, options[at + 1] = 100;
	options[at] = 255;
	CU_ASSERT_EQUAL(cw_dhcp_parse(data, dhcp_message(data, options, at + 1), &m, &pieces),
			CW_DROP_DHCP_MALFORMED);
}

static void test_a_dhcp_reply_overflows_into_file_and_sname(void)
{
	static const uint8_t options[] = {53, 1, 3, 82, 2, 1, 0, 255};
	struct cw_dhcp_pieces pieces, more;
	struct cw_dhcp_message m, r;
	struct cw_dhcp_writer w;
	uint8_t data[600], out[600], id[60];
	size_t len = dhcp_message(data, options, sizeof(options));

	memset(id, 7, sizeof(id));
	CU_ASSERT_EQUAL_FATAL(cw_dhcp_parse(data, len, &m, &pieces), CW_DROP_NONE);
	/* 300 octets: 52 of options; the rest goes to file (128), then to sname (64). */
	cw_dhcp_reply_begin(&w, out, CW_DHCP_MIN_BYTES, &m, CW_DHCP_ACK, 1);
	cw_dhcp_put(&w, CW_DHCP_OPT_VENDOR_CLASS, id, 30);
	cw_dhcp_put(&w, CW_DHCP_OPT_CLIENT_ID, id, 60);
	cw_dhcp_put(&w, CW_DHCP_OPT_USER_CLASS, id, 60);
	cw_dhcp_put(&w, CW_DHCP_OPT_HOST_NAME, id, 60);
	CU_ASSERT_FALSE(w.full);
	CU_ASSERT_EQUAL(w.overload, 3);
	cw_dhcp_put(&w, CW_DHCP_OPT_PARAMETERS, id, 1); /* nothing is left */
	CU_ASSERT_TRUE(w.full);
	len = cw_dhcp_reply_end(&w, &m);
	CU_ASSERT_EQUAL(len, CW_DHCP_MIN_BYTES);
	CU_ASSERT_EQUAL_FATAL(cw_dhcp_parse(out, len, &r, &more), CW_DROP_NONE);
	CU_ASSERT_EQUAL(r.vendor_class.len, 30);
	CU_ASSERT_EQUAL(r.client_id.len, 60);
	CU_ASSERT_EQUAL(r.user_class.len, 60);
	CU_ASSERT_EQUAL(r.host_name.len, 60);
	CU_ASSERT_EQUAL(r.relay_info.len, 2);
	/* A boot file keeps its place. */
	cw_dhcp_reply_begin(&w, out, CW_DHCP_MIN_BYTES, &m, CW_DHCP_ACK, 1);
	cw_dhcp_put_boot(&w, 9, "pxelinux.0", "");
	cw_dhcp_put(&w, CW_DHCP_OPT_CLIENT_ID, id, 60);
	cw_dhcp_put(&w, CW_DHCP_OPT_USER_CLASS, id, 60);
	CU_ASSERT_TRUE(w.full);
	len = cw_dhcp_reply_end(&w, &m);
	CU_ASSERT_EQUAL(memcmp(out + 108, "pxelinux.0", 11), 0);
	CU_ASSERT_EQUAL_FATAL(cw_dhcp_parse(out, len, &r, &more), CW_DROP_NONE);
	CU_ASSERT_EQUAL(r.client_id.len, 60);
	CU_ASSERT_PTR_NULL(r.user_class.data);
}

static void test_a_nak_through_a_relay_agent_is_broadcast(void)
{
	static const uint8_t options[] = {53, 1, 3, 255};
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct cw_dhcp_writer w;
	uint8_t data[600], out[600];
	size_t len = dhcp_message(data, options, sizeof(options));

	data[10] = 0; /* the client asked for no broadcast */
	data[24] = 10;
	CU_ASSERT_EQUAL_FATAL(cw_dhcp_parse(data, len, &m, &pieces), CW_DROP_NONE);
	cw_dhcp_reply_begin(&w, out, sizeof(out), &m, CW_DHCP_NAK, 0);
	CU_ASSERT_EQUAL(out[10], 0x80);
	cw_dhcp_reply_begin(&w, out, sizeof(out), &m, CW_DHCP_ACK, 0);
	CU_ASSERT_EQUAL(out[10], 0);
}

static void test_icmp_answers_echo_and_never_errors(void)
{
	uint8_t ip[64] = {0}, out[CW_ICMP_TOO_BIG_BYTES];
	struct cw_ip4_header h;
	uint16_t sum;

	ip[20] = CW_ICMP_ECHO;
	ip[24] = 5;
	sum = cw_checksum_fold(cw_checksum_add(0, ip + 20, 16));
	memcpy(ip + 22, &sum, 2);
	cw_ip4_write(ip, 0, 16, 1, 0, 64, CW_IP_PROTO_ICMP, rte_cpu_to_be_32(0x0a000001),
		     rte_cpu_to_be_32(0x0a000002));
	CU_ASSERT_EQUAL(cw_icmp_too_big(ip, 36, 9, 1400, out), CW_IP4_BYTES + 8 + 28);
	CU_ASSERT_TRUE(cw_icmp_echo_reply(ip, 36));
	CU_ASSERT_EQUAL(ip[20], CW_ICMP_ECHO_REPLY);
	CU_ASSERT_EQUAL(cw_checksum_fold(cw_checksum_add(0, ip + 20, 16)), 0);
	CU_ASSERT_EQUAL(cw_ip4_parse_header(ip, 36, &h), CW_DROP_NONE);
	CU_ASSERT_EQUAL(h.dst, rte_cpu_to_be_32(0x0a000001));
	CU_ASSERT_FALSE(cw_icmp_echo_reply(ip, 36)); /* a reply is not answered */
	ip[20] = CW_ICMP_UNREACHABLE;
	CU_ASSERT_EQUAL(cw_icmp_too_big(ip, 36, 9, 1400, out), 0);
}

/* A datagram of ours that was too large, quoted by a router; `quote` bytes of it come back. */
static size_t needed(uint8_t *ip, uint16_t mtu, uint16_t fragment, uint8_t proto, uint16_t bytes)
{
	static const uint8_t ports[8] = {0x1e, 0xa5, 0x1e, 0xa6};
	uint8_t *icmp = ip + CW_IP4_BYTES;
	uint16_t sum;

	memset(ip, 0, 64);
	icmp[0] = CW_ICMP_UNREACHABLE;
	icmp[1] = CW_ICMP_FRAG_NEEDED;
	icmp[6] = (uint8_t)(mtu >> 8);
	icmp[7] = (uint8_t)mtu;
	cw_ip4_write(icmp + 8, 0, bytes, 1, fragment, 60, proto, rte_cpu_to_be_32(0x0a000001),
		     rte_cpu_to_be_32(0x0a000002));
	memcpy(icmp + 8 + CW_IP4_BYTES, ports, sizeof(ports));
	sum = cw_checksum_fold(cw_checksum_add(0, icmp, 36));
	memcpy(icmp + 2, &sum, 2);
	cw_ip4_write(ip, 0, 36, 1, 0, 64, CW_IP_PROTO_ICMP, rte_cpu_to_be_32(0x0a000009),
		     rte_cpu_to_be_32(0x0a000001));
	return CW_IP4_BYTES + 36;
}

static void test_fragmentation_needed_is_read_if_it_makes_sense(void)
{
	struct cw_icmp_needed n;
	uint8_t ip[64];
	size_t len = needed(ip, 1400, CW_IP4_DF, CW_IP_PROTO_UDP, 1464);

	CU_ASSERT_TRUE_FATAL(cw_icmp_parse_needed(ip, len, &n));
	CU_ASSERT_EQUAL(n.mtu_bytes, 1400);
	CU_ASSERT_EQUAL(n.total_bytes, 1484);
	CU_ASSERT_EQUAL(n.src, rte_cpu_to_be_32(0x0a000001));
	CU_ASSERT_EQUAL(n.dst, rte_cpu_to_be_32(0x0a000002));
	CU_ASSERT_EQUAL(n.src_port, rte_cpu_to_be_16(7845));
	CU_ASSERT_EQUAL(n.dst_port, rte_cpu_to_be_16(7846));
	for (size_t cut = 0; cut < len; cut++)
		CU_ASSERT_FALSE(cw_icmp_parse_needed(ip, cut, &n));
	ip[50] ^= 1; /* the checksum notices */
	CU_ASSERT_FALSE(cw_icmp_parse_needed(ip, len, &n));
	needed(ip, 0, CW_IP4_DF, CW_IP_PROTO_UDP, 1464);
	CU_ASSERT_FALSE(cw_icmp_parse_needed(ip, len, &n));
	needed(ip, 1484, CW_IP4_DF, CW_IP_PROTO_UDP, 1464); /* it fits */
	CU_ASSERT_FALSE(cw_icmp_parse_needed(ip, len, &n));
	needed(ip, 1400, 0, CW_IP_PROTO_UDP, 1464);
	CU_ASSERT_FALSE(cw_icmp_parse_needed(ip, len, &n));
	needed(ip, 1400, CW_IP4_DF | CW_IP4_MF, CW_IP_PROTO_UDP, 1464);
	CU_ASSERT_FALSE(cw_icmp_parse_needed(ip, len, &n));
	needed(ip, 1400, CW_IP4_DF, CW_IP_PROTO_TCP, 1464);
	CU_ASSERT_FALSE(cw_icmp_parse_needed(ip, len, &n));
}

static void test_mss_is_lowered_and_the_checksum_kept(void)
{
	uint8_t tcp[28] = {0};
	uint32_t before;

	tcp[12] = 7 << 4;
	tcp[13] = 0x02;
	memcpy(tcp + 20, (const uint8_t[]){1, 1, 1, 1, 2, 4, 0x05, 0xb4}, 8);
	before = cw_checksum_add(0, tcp, sizeof(tcp));
	CU_ASSERT_TRUE(cw_tcp_clamp_mss(tcp, sizeof(tcp), 1380));
	CU_ASSERT_EQUAL(tcp[26] << 8 | tcp[27], 1380);
	CU_ASSERT_EQUAL(cw_checksum_fold(cw_checksum_add(0, tcp, sizeof(tcp))),
			cw_checksum_fold(before));
	CU_ASSERT_FALSE(cw_tcp_clamp_mss(tcp, sizeof(tcp), 1380));
	tcp[13] = 0x10;
	CU_ASSERT_FALSE(cw_tcp_clamp_mss(tcp, sizeof(tcp), 100));
	tcp[13] = 0x02;
	tcp[21] = 2; /* a length that runs out */
	tcp[20] = 8;
	tcp[21] = 200;
	CU_ASSERT_FALSE(cw_tcp_clamp_mss(tcp, sizeof(tcp), 100));
}

static void test_esp_spi_padding_and_sequence_numbers(void)
{
	uint8_t plain[8] = {9, 9, 9, 1, 2, 3, 3, 4}, next;
	unsigned int bytes;

	for (unsigned int worker = 0; worker <= CW_SPI_WORKER_MAX; worker++) {
		uint32_t spi = cw_spi_make(worker, 54321, 300);

		CU_ASSERT_EQUAL(cw_spi_worker(spi), worker);
		CU_ASSERT_EQUAL(cw_spi_index(spi), 54321);
		CU_ASSERT_EQUAL(cw_spi_tag(spi), 300);
		CU_ASSERT_TRUE(spi >> 24 >= 128 && spi >> 24 < 255);
	}
	for (unsigned int n = 0; n < 100; n++)
		CU_ASSERT_EQUAL((n + cw_esp_padding(n) + 2) % 4, 0);
	CU_ASSERT_EQUAL(cw_esp_bytes(1420) + 28, 1484);
	CU_ASSERT_EQUAL(cw_esp_trim(plain, 8, &next, &bytes), CW_DROP_NONE);
	CU_ASSERT_EQUAL(bytes, 3);
	CU_ASSERT_EQUAL(next, 4);
	plain[4] = 9;
	CU_ASSERT_EQUAL(cw_esp_trim(plain, 8, &next, &bytes), CW_DROP_ESP_PADDING);
	plain[6] = 200;
	CU_ASSERT_EQUAL(cw_esp_trim(plain, 8, &next, &bytes), CW_DROP_ESP_PADDING);
	/* ESN: the high half is found around the wrap (RFC 4303 appendix A2.2). */
	CU_ASSERT_EQUAL(cw_esp_seq(5, UINT64_C(0xfffffff0), 1984), UINT64_C(0x100000005));
	CU_ASSERT_EQUAL(cw_esp_seq(0xfffffff0, UINT64_C(0x100000005), 1984), UINT64_C(0xfffffff0));
	CU_ASSERT_EQUAL(cw_esp_seq(7, 5, 1984), 7);
}

/* Microsoft's verification suite for RSS, IPv4. */
static void test_the_toeplitz_hash_by_its_vectors(void)
{
	static const struct {
		const char *src, *dst;
		uint16_t src_port, dst_port;
		uint32_t addresses, ports;
	} cases[] = {
		{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178},
		{"199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea},
		{"24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
		{"38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f},
		{"153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2},
	};
	struct cw_toeplitz t;

	cw_toeplitz_make(&t, cw_toeplitz_key);
	for (size_t i = 0; i < CW_ARRAY_SIZE(cases); i++) {
		rte_be16_t pair[2] = {rte_cpu_to_be_16(cases[i].src_port),
				      rte_cpu_to_be_16(cases[i].dst_port)};
		rte_be32_t src, dst;
		uint32_t ports;

		memcpy(&ports, pair, sizeof(ports));
		CU_ASSERT_EQUAL(cw_ip4_parse(cases[i].src, &src), 0);
		CU_ASSERT_EQUAL(cw_ip4_parse(cases[i].dst, &dst), 0);
		CU_ASSERT_EQUAL(cw_toeplitz_ip4(&t, src, dst, 0), cases[i].addresses);
		CU_ASSERT_EQUAL(cw_toeplitz_ip4(&t, src, dst, ports), cases[i].ports);
	}
	CU_ASSERT_EQUAL(cw_toeplitz_queue(0x51ccc178, 4), (0x51ccc178 & 127) % 4);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"text forms are strict", test_text_forms_are_strict},
		{"IPv4 headers are checked in every field",
		 test_ip4_headers_are_checked_in_every_field},
		{"incremental checksums equal full ones",
		 test_incremental_checksums_equal_full_ones},
		{"UDP is written as it is read", test_udp_is_written_as_it_is_read},
		{"the first byte tells datagrams apart", test_the_first_byte_tells_datagrams_apart},
		{"DHCP reads options, overload, and refuses the malformed",
		 test_dhcp_reads_options_overload_and_refuses_the_malformed},
		{"long DHCP options are put together and taken apart",
		 test_long_dhcp_options_are_put_together_and_taken_apart},
		{"a DHCP reply overflows into file and sname",
		 test_a_dhcp_reply_overflows_into_file_and_sname},
		{"a NAK through a relay agent is broadcast",
		 test_a_nak_through_a_relay_agent_is_broadcast},
		{"a DHCP reply echoes relay information last",
		 test_a_dhcp_reply_echoes_relay_information_last},
		{"ICMP answers echo and never errors", test_icmp_answers_echo_and_never_errors},
		{"fragmentation needed is read if it makes sense",
		 test_fragmentation_needed_is_read_if_it_makes_sense},
		{"MSS is lowered and the checksum kept", test_mss_is_lowered_and_the_checksum_kept},
		{"the Toeplitz hash by its vectors", test_the_toeplitz_hash_by_its_vectors},
		{"ESP: SPI, padding and sequence numbers",
		 test_esp_spi_padding_and_sequence_numbers},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("wire", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
