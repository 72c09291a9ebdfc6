/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_UDP_H
#define CW_UDP_H

/**
 * @file
 * UDP (RFC 768), and what the first byte of a datagram between gateways says (RFC 7983's manner).
 * [any]
 */
#include <cw_ip4.h>

#define CW_UDP_BYTES 8u

struct cw_udp_header {
	rte_be16_t src, dst;
	rte_be16_t bytes;  /* header and payload */
	uint16_t checksum; /* as on the wire; 0: none */
} CW_PACKED;

/** What a datagram between gateways is (design.md section 3). */
enum cw_wan_kind {
	CW_WAN_UNKNOWN,
	CW_WAN_STUN,
	CW_WAN_DTLS,
	CW_WAN_CHANNEL,
	CW_WAN_ESP,
	CW_WAN_KEEPALIVE,
};

static inline enum cw_wan_kind cw_wan_classify(const uint8_t *payload, size_t len)
{
	uint8_t first;

	if (CW_UNLIKELY(len == 0))
		return CW_WAN_UNKNOWN;
	first = payload[0];
	if (CW_LIKELY(first >= 128 && first < 255))
		return CW_WAN_ESP;
	if (first <= 3)
		return CW_WAN_STUN;
	if (first >= 20 && first <= 63)
		return CW_WAN_DTLS;
	if (first >= 64 && first <= 79)
		return CW_WAN_CHANNEL;
	return first == 255 && len == 1 ? CW_WAN_KEEPALIVE : CW_WAN_UNKNOWN;
}

/**
 * Check a UDP header behind an IPv4 header.
 *
 * @param len bytes of IPv4 payload
 * @return NONE, TRUNCATED (length field disagrees), UDP_CHECKSUM
 */
enum cw_drop cw_udp_parse(const struct cw_ip4_header *ip, const uint8_t *data, size_t len,
			  struct cw_udp_header *out);

/** Write a header in front of a payload that is already in place, with its checksum. */
void cw_udp_write(uint8_t *data, rte_be32_t src_ip, rte_be32_t dst_ip, rte_be16_t src_port,
		  rte_be16_t dst_port, uint16_t payload_bytes);

/** Write IPv4 and UDP headers (28 bytes) in front of a payload that is already in place. */
void cw_udp_write_ip4(uint8_t *data, uint8_t tos, uint16_t id, uint16_t fragment, rte_be32_t src_ip,
		      rte_be32_t dst_ip, rte_be16_t src_port, rte_be16_t dst_port,
		      uint16_t payload_bytes);

/** A DTLS record in the clear that begins with a ClientHello (RFC 6347 sections 4.1, 4.2.2). */
static inline bool cw_wan_is_client_hello(const uint8_t *payload, size_t len)
{
	return len > 13 && payload[0] == 22 && payload[3] == 0 && payload[4] == 0 &&
	       payload[13] == 1;
}

#endif /* CW_UDP_H */
