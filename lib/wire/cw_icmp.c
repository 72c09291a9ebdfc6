/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Echo replies and fragmentation-needed messages. Refuses to answer what must not be answered (RFC
 * 1122 section 3.2.2): ICMP errors, fragments other than the first, sources that are no single
 * host.
 */
#include "cw_icmp.h"

bool cw_icmp_echo_reply(uint8_t *ip, size_t len)
{
	struct cw_ip4_header h;
	uint8_t *icmp = ip + CW_IP4_BYTES;
	uint16_t checksum, total;
	uint16_t from, to;
	rte_be32_t src;

	if (cw_ip4_parse_header(ip, len, &h) != CW_DROP_NONE || h.proto != CW_IP_PROTO_ICMP)
		return false;
	total = rte_be_to_cpu_16(h.total_bytes);
	if (total < CW_IP4_BYTES + CW_ICMP_BYTES ||
	    (h.fragment & rte_cpu_to_be_16(CW_IP4_MF | CW_IP4_OFFSET)) || icmp[0] != CW_ICMP_ECHO ||
	    icmp[1] != 0)
		return false;
	if (cw_checksum_fold(cw_checksum_add(0, icmp, total - CW_IP4_BYTES)) != 0)
		return false;
	memcpy(&from, icmp, 2);
	icmp[0] = CW_ICMP_ECHO_REPLY;
	memcpy(&to, icmp, 2);
	memcpy(&checksum, icmp + 2, 2);
	checksum = cw_checksum_update16(checksum, from, to);
	memcpy(icmp + 2, &checksum, 2);
	src = h.src;
	cw_ip4_write(ip, h.tos, (uint16_t)(total - CW_IP4_BYTES), rte_be_to_cpu_16(h.id), 0, 64,
		     CW_IP_PROTO_ICMP, h.dst, src);
	return true;
}

/* RFC 1122: no error about an error. */
static bool is_icmp_error(const uint8_t *icmp, size_t len)
{
	return len < 1 || !(icmp[0] == CW_ICMP_ECHO || icmp[0] == CW_ICMP_ECHO_REPLY ||
			    icmp[0] == 13 || icmp[0] == 14);
}

size_t cw_icmp_too_big(const uint8_t *ip, size_t len, rte_be32_t from, uint16_t mtu, uint8_t *out)
{
	struct cw_ip4_header h;
	uint8_t *icmp = out + CW_IP4_BYTES;
	size_t quote = len < CW_ICMP_QUOTE_BYTES ? len : CW_ICMP_QUOTE_BYTES;
	uint16_t checksum;
	uint32_t src;

	if (cw_ip4_parse_header(ip, len, &h) != CW_DROP_NONE ||
	    (h.fragment & rte_cpu_to_be_16(CW_IP4_OFFSET)))
		return 0;
	src = rte_be_to_cpu_32(h.src);
	if (src == 0 || src >> 28 >= 14 || src >> 24 == 127)
		return 0;
	if (h.proto == CW_IP_PROTO_ICMP && is_icmp_error(ip + CW_IP4_BYTES, len - CW_IP4_BYTES))
		return 0;
	memset(icmp, 0, CW_ICMP_BYTES);
	icmp[0] = CW_ICMP_UNREACHABLE;
	icmp[1] = CW_ICMP_FRAG_NEEDED;
	icmp[6] = (uint8_t)(mtu >> 8);
	icmp[7] = (uint8_t)mtu;
	memcpy(icmp + CW_ICMP_BYTES, ip, quote);
	checksum = cw_checksum_fold(cw_checksum_add(0, icmp, CW_ICMP_BYTES + quote));
	memcpy(icmp + 2, &checksum, 2);
	/* Precedence 6 (internetwork control), RFC 1812 section 4.3.2.5. */
	cw_ip4_write(out, 0xc0, (uint16_t)(CW_ICMP_BYTES + quote), 0, 0, 64, CW_IP_PROTO_ICMP, from,
		     h.src);
	return CW_IP4_BYTES + CW_ICMP_BYTES + quote;
}

bool cw_icmp_parse_needed(const uint8_t *ip, size_t len, struct cw_icmp_needed *out)
{
	const uint8_t *icmp = ip + CW_IP4_BYTES;
	struct cw_ip4_header h, quoted;
	size_t total;

	if (cw_ip4_parse_header(ip, len, &h) != CW_DROP_NONE || h.proto != CW_IP_PROTO_ICMP ||
	    (h.fragment & rte_cpu_to_be_16(CW_IP4_MF | CW_IP4_OFFSET)))
		return false;
	total = rte_be_to_cpu_16(h.total_bytes);
	if (total < CW_ICMP_TOO_BIG_BYTES || icmp[0] != CW_ICMP_UNREACHABLE ||
	    icmp[1] != CW_ICMP_FRAG_NEEDED ||
	    cw_checksum_fold(cw_checksum_add(0, icmp, total - CW_IP4_BYTES)) != 0)
		return false;
	memcpy(&quoted, icmp + CW_ICMP_BYTES, sizeof(quoted));
	if (quoted.version_ihl != 0x45 || quoted.proto != CW_IP_PROTO_UDP ||
	    (quoted.fragment & rte_cpu_to_be_16(CW_IP4_DF | CW_IP4_MF | CW_IP4_OFFSET)) !=
		    rte_cpu_to_be_16(CW_IP4_DF))
		return false;
	*out = (struct cw_icmp_needed){.src = quoted.src,
				       .dst = quoted.dst,
				       .total_bytes = rte_be_to_cpu_16(quoted.total_bytes),
				       .mtu_bytes = (uint16_t)(icmp[6] << 8 | icmp[7])};
	memcpy(&out->src_port, icmp + CW_ICMP_BYTES + CW_IP4_BYTES, 2);
	memcpy(&out->dst_port, icmp + CW_ICMP_BYTES + CW_IP4_BYTES + 2, 2);
	return out->mtu_bytes != 0 && out->mtu_bytes < out->total_bytes;
}
