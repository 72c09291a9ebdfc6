/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Internet checksum and the writing of IPv4 headers. Sums are kept in the byte order of the
 * wire (RFC 1071 section 2 B: order does not matter to a ones' complement sum), so nothing is
 * swapped. Options are never written.
 */
#include "cw_ip4.h"

uint32_t cw_checksum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *b = data;
	uint64_t wide = sum;
	uint16_t word;

	for (; len >= 2; len -= 2, b += 2) {
		memcpy(&word, b, 2);
		wide += word;
	}
	if (len == 1) {
		uint8_t last[2] = {*b, 0};

		memcpy(&word, last, 2);
		wide += word;
	}
	while (wide >> 16 > 0xffff)
		wide = (wide & 0xffff) + (wide >> 16);
	return (uint32_t)wide;
}

void cw_ip4_write(uint8_t *data, uint8_t tos, uint16_t payload_bytes, uint16_t id,
		  uint16_t fragment, uint8_t ttl, uint8_t proto, rte_be32_t src, rte_be32_t dst)
{
	struct cw_ip4_header h = {
		.version_ihl = 0x45,
		.tos = tos,
		.total_bytes = rte_cpu_to_be_16((uint16_t)(CW_IP4_BYTES + payload_bytes)),
		.id = rte_cpu_to_be_16(id),
		.fragment = rte_cpu_to_be_16(fragment),
		.ttl = ttl,
		.proto = proto,
		.src = src,
		.dst = dst};

	h.checksum = (uint16_t)~cw_ip4_sum20(&h);
	memcpy(data, &h, sizeof(h));
}

uint32_t cw_ip4_pseudo_sum(rte_be32_t src, rte_be32_t dst, uint8_t proto, uint16_t bytes)
{
	struct {
		rte_be32_t src, dst;
		uint8_t zero, proto;
		rte_be16_t bytes;
	} CW_PACKED pseudo = {src, dst, 0, proto, rte_cpu_to_be_16(bytes)};

	return cw_checksum_add(0, &pseudo, sizeof(pseudo));
}
