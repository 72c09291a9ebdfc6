/* SPDX-License-Identifier: BSD-3-Clause */
/* The small parsers: STUN, IPv4 with UDP, TCP's MSS and ICMP, ARP, ESP, ChannelData, Ethernet. */
#include <stdlib.h>
#include <string.h>

#include <cw_arp.h>
#include <cw_channel.h>
#include <cw_esp.h>
#include <cw_eth.h>
#include <cw_icmp.h>
#include <cw_stun.h>
#include <cw_tcp.h>
#include <cw_udp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_ip(const uint8_t *data, size_t size)
{
	uint8_t out[CW_ICMP_TOO_BIG_BYTES], *copy;
	struct cw_ip4_header ip;
	struct cw_icmp_needed needed;
	struct cw_udp_header udp;
	size_t total;

	if (cw_ip4_parse_header(data, size, &ip) != CW_DROP_NONE)
		return;
	total = rte_be_to_cpu_16(ip.total_bytes);
	if (cw_udp_parse(&ip, data + CW_IP4_BYTES, total - CW_IP4_BYTES, &udp) == CW_DROP_NONE)
		CW_ASSERT(rte_be_to_cpu_16(udp.bytes) <= total);
	if (cw_icmp_parse_needed(data, total, &needed))
		CW_ASSERT(needed.mtu_bytes < needed.total_bytes);
	cw_icmp_too_big(data, total, 1, 1400, out);
	copy = malloc(size);
	CW_ASSERT(copy != NULL);
	memcpy(copy, data, size);
	cw_tcp_clamp_mss(copy + CW_IP4_BYTES, total - CW_IP4_BYTES, 1000);
	cw_icmp_echo_reply(copy, size);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_stun_message stun;
	struct cw_arp_packet arp;
	struct cw_channel channel;
	struct cw_esp_header esp;
	struct cw_eth eth;
	unsigned int bytes;
	uint8_t next;

	if (cw_stun_parse(data, size, &stun) == 0)
		CW_ASSERT(size >= CW_STUN_HEADER_BYTES);
	if (cw_channel_parse(data, size, &channel) == CW_DROP_NONE)
		CW_ASSERT(channel.bytes + CW_CHANNEL_BYTES <= size);
	if (cw_esp_parse(data, size, &esp) == CW_DROP_NONE &&
	    cw_esp_trim(data, size, &next, &bytes) == CW_DROP_NONE)
		CW_ASSERT(bytes < size);
	if (cw_eth_parse(data, size, &eth) == CW_DROP_NONE)
		CW_ASSERT(eth.header_bytes <= size);
	(void)cw_arp_parse(data, size, &arp);
	(void)cw_wan_classify(data, size);
	fuzz_ip(data, size);
	return 0;
}
