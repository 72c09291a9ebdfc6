/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UDP in IPv4: checked on the way in, written around a payload on the way out.
 * A checksum of 0 means "none" (RFC 768) and is accepted; we always write one.
 */
#include "cw_udp.h"

enum cw_drop cw_udp_parse(const struct cw_ip4_header *ip, const uint8_t *data, size_t len,
			  struct cw_udp_header *out)
{
	uint16_t bytes;

	if (len < CW_UDP_BYTES)
		return CW_DROP_TRUNCATED;
	memcpy(out, data, sizeof(*out));
	bytes = rte_be_to_cpu_16(out->bytes);
	if (bytes < CW_UDP_BYTES || bytes > len)
		return CW_DROP_TRUNCATED;
	if (out->checksum != 0) {
		uint32_t sum = cw_ip4_pseudo_sum(ip->src, ip->dst, CW_IP_PROTO_UDP, bytes);

		if (cw_checksum_fold(cw_checksum_add(sum, data, bytes)) != 0)
			return CW_DROP_UDP_CHECKSUM;
	}
	return CW_DROP_NONE;
}

void cw_udp_write(uint8_t *data, rte_be32_t src_ip, rte_be32_t dst_ip, rte_be16_t src_port,
		  rte_be16_t dst_port, uint16_t payload_bytes)
{
	uint16_t bytes = (uint16_t)(CW_UDP_BYTES + payload_bytes);
	struct cw_udp_header h = {
		.src = src_port, .dst = dst_port, .bytes = rte_cpu_to_be_16(bytes)};
	uint32_t sum = cw_ip4_pseudo_sum(src_ip, dst_ip, CW_IP_PROTO_UDP, bytes);

	sum = cw_checksum_add(sum, &h, sizeof(h));
	sum = cw_checksum_add(sum, data + CW_UDP_BYTES, payload_bytes);
	h.checksum = cw_checksum_fold(sum);
	/* RFC 768: a computed 0 is sent as all ones, 0 means "no checksum". */
	if (h.checksum == 0)
		h.checksum = 0xffff;
	memcpy(data, &h, sizeof(h));
}

void cw_udp_write_ip4(uint8_t *data, uint8_t tos, uint16_t id, uint16_t fragment, rte_be32_t src_ip,
		      rte_be32_t dst_ip, rte_be16_t src_port, rte_be16_t dst_port,
		      uint16_t payload_bytes)
{
	cw_udp_write(data + CW_IP4_BYTES, src_ip, dst_ip, src_port, dst_port, payload_bytes);
	cw_ip4_write(data, tos, (uint16_t)(CW_UDP_BYTES + payload_bytes), id, fragment, 64,
		     CW_IP_PROTO_UDP, src_ip, dst_ip);
}
