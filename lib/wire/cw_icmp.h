/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_ICMP_H
#define CW_ICMP_H

/**
 * @file
 * ICMP (RFC 792): echo replies in place, and "fragmentation needed" (RFC 1191). [any]
 */
#include <cw_ip4.h>

#define CW_ICMP_BYTES	    8u
#define CW_ICMP_ECHO_REPLY  0
#define CW_ICMP_UNREACHABLE 3
#define CW_ICMP_ECHO	    8
#define CW_ICMP_FRAG_NEEDED 4 /* code of UNREACHABLE */
/** What of the offending packet comes back: header and 8 bytes (RFC 792). */
#define CW_ICMP_QUOTE_BYTES 28u
/** A whole fragmentation-needed packet from its IPv4 header on. */
#define CW_ICMP_TOO_BIG_BYTES (CW_IP4_BYTES + CW_ICMP_BYTES + CW_ICMP_QUOTE_BYTES)

/**
 * Turn an echo request into its reply, in place. @p ip is the IPv4 packet, its header already
 * checked.
 * @return true when it was an echo request with a right checksum; else it is untouched.
 */
bool cw_icmp_echo_reply(uint8_t *ip, size_t len);

/**
 * Build "fragmentation needed and DF set" for the IPv4 packet @p ip of @p len bytes.
 *
 * @param out at least CW_ICMP_TOO_BIG_BYTES
 * @param from source of the message
 * @param mtu next-hop MTU to report
 * @return bytes written, 0 when RFC 1122 section 3.2.2 forbids an answer (ICMP error, fragment,
 * multicast)
 */
size_t cw_icmp_too_big(const uint8_t *ip, size_t len, rte_be32_t from, uint16_t mtu, uint8_t *out);

/** A "fragmentation needed" that came, and what it quotes of a UDP packet. */
struct cw_icmp_needed {
	rte_be32_t src, dst; /* of the packet quoted */
	rte_be16_t src_port, dst_port;
	uint16_t total_bytes; /* of the packet quoted */
	uint16_t mtu_bytes;   /* what the sender of the message says fits */
};

/**
 * @param ip the message from its IPv4 header on
 * @return false: not one, damaged, or what it quotes is no unfragmented UDP packet with DF set that
 * is larger than the MTU it names. Nothing of it is authentic.
 */
bool cw_icmp_parse_needed(const uint8_t *ip, size_t len, struct cw_icmp_needed *out);

#endif /* CW_ICMP_H */
