/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_IP4_H
#define CW_IP4_H

/**
 * @file
 * IPv4 headers (RFC 791), the Internet checksum (RFC 1071, 1624), fragmentation arithmetic. [any]
 */
#include <cw_drop.h>
#include <cw_types.h>

#define CW_IP4_BYTES	 20u
#define CW_IP4_DF	 0x4000
#define CW_IP4_MF	 0x2000
#define CW_IP4_OFFSET	 0x1fff
#define CW_IP_PROTO_ICMP 1
#define CW_IP_PROTO_IP4	 4
#define CW_IP_PROTO_TCP	 6
#define CW_IP_PROTO_UDP	 17

struct cw_ip4_header {
	uint8_t version_ihl;
	uint8_t tos;
	rte_be16_t total_bytes;
	rte_be16_t id;
	rte_be16_t fragment; /* flags and offset */
	uint8_t ttl;
	uint8_t proto;
	uint16_t checksum; /* as on the wire */
	rte_be32_t src, dst;
} CW_PACKED;

_Static_assert(sizeof(struct cw_ip4_header) == CW_IP4_BYTES, "IPv4 without options");

/** Ones' complement sum of a buffer, not folded; add pieces at even offsets. */
uint32_t cw_checksum_add(uint32_t sum, const void *data, size_t len);

/** Fold and complement: what goes into the packet. */
static inline uint16_t cw_checksum_fold(uint32_t sum)
{
	/* Both halves added to each other in the upper one, with the lower one's carry. */
	return (uint16_t)(~(sum + (sum >> 16 | sum << 16)) >> 16);
}

/** RFC 1624 eqn. 3: the checksum after one 16-bit word changed; all as on the wire. */
static inline uint16_t cw_checksum_update16(uint16_t checksum, uint16_t from, uint16_t to)
{
	uint32_t sum = (uint16_t)~checksum + (uint32_t)(uint16_t)~from + to;

	return cw_checksum_fold(sum);
}

/** Sum of a 20-byte header; 0xffff when its checksum field is right. */
static inline uint32_t cw_ip4_sum20(const struct cw_ip4_header *h)
{
	const uint8_t *b = (const uint8_t *)h;
	uint64_t sum = 0;
	uint32_t w;

	for (unsigned int i = 0; i < CW_IP4_BYTES; i += 4) {
		memcpy(&w, b + i, 4);
		sum += w;
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

/** Is the checksum field of a 20-byte header right? */
static inline bool cw_ip4_checksum_right(const struct cw_ip4_header *h)
{
	const uint8_t *b = (const uint8_t *)h;
	uint64_t sum = 0;
	uint32_t w;

	for (unsigned int i = 0; i < CW_IP4_BYTES; i += 4) {
		memcpy(&w, b + i, 4);
		sum += w;
	}
	/* Folding 16 bits over is arithmetic modulo 65535, where "all ones" is zero; the sum of a
	 * header is never zero itself. */
	return sum % 65535 == 0;
}

/**
 * Check an IPv4 header in all that RFC 1812 section 5.2.2 asks for.
 *
 * @param len bytes there are; the packet may be shorter (Ethernet padding)
 * @param out copy of the 20 bytes
 * @return NONE, TRUNCATED, IP_VERSION, IP_LENGTH, IP_OPTIONS, IP_CHECKSUM
 */
static inline enum cw_drop cw_ip4_parse_header(const uint8_t *data, size_t len,
					       struct cw_ip4_header *out)
{
	uint16_t total;

	if (CW_UNLIKELY(len < CW_IP4_BYTES))
		return CW_DROP_TRUNCATED;
	memcpy(out, data, CW_IP4_BYTES);
	if (CW_UNLIKELY(out->version_ihl != 0x45)) {
		if (out->version_ihl >> 4 != 4)
			return CW_DROP_IP_VERSION;
		return (out->version_ihl & 15) < 5 ? CW_DROP_IP_LENGTH : CW_DROP_IP_OPTIONS;
	}
	total = cw_be_to_cpu_16(out->total_bytes);
	if (CW_UNLIKELY(total < CW_IP4_BYTES || total > len))
		return CW_DROP_IP_LENGTH;
	if (CW_UNLIKELY(!cw_ip4_checksum_right(out)))
		return CW_DROP_IP_CHECKSUM;
	return CW_DROP_NONE;
}

/** One hop less, checksum kept right (RFC 1141). The caller has seen that it was above 1. */
static inline void cw_ip4_decrement_ttl(struct cw_ip4_header *h)
{
	uint32_t sum = (uint32_t)cw_be_to_cpu_16(h->checksum) + 0x0100;

	h->ttl--;
	h->checksum = rte_cpu_to_be_16((uint16_t)(sum + (sum >> 16)));
}

/** Write a 20-byte header with its checksum. */
void cw_ip4_write(uint8_t *data, uint8_t tos, uint16_t payload_bytes, uint16_t id,
		  uint16_t fragment, uint8_t ttl, uint8_t proto, rte_be32_t src, rte_be32_t dst);

/** Ones' complement sum of the pseudo header for TCP and UDP. */
uint32_t cw_ip4_pseudo_sum(rte_be32_t src, rte_be32_t dst, uint8_t proto, uint16_t bytes);

#endif /* CW_IP4_H */
