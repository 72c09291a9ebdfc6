/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_ARP_H
#define CW_ARP_H

/**
 * @file
 * ARP for IPv4 over Ethernet (RFC 826), the packet behind the Ethernet header. [any]
 */
#include <cw_drop.h>
#include <cw_types.h>

#define CW_ARP_REQUEST 1
#define CW_ARP_REPLY   2

struct cw_arp_packet {
	rte_be16_t hardware, protocol;
	uint8_t hardware_bytes, protocol_bytes;
	rte_be16_t op;
	struct cw_mac sender_mac;
	rte_be32_t sender_ip;
	struct cw_mac target_mac;
	rte_be32_t target_ip;
} CW_PACKED;

_Static_assert(sizeof(struct cw_arp_packet) == 28, "RFC 826 for Ethernet and IPv4");

/** @return NONE or ARP_MALFORMED (short, not Ethernet/IPv4, sender MAC multicast). */
static inline enum cw_drop cw_arp_parse(const uint8_t *data, size_t len, struct cw_arp_packet *out)
{
	if (len < sizeof(*out))
		return CW_DROP_ARP_MALFORMED;
	memcpy(out, data, sizeof(*out));
	if (out->hardware != rte_cpu_to_be_16(1) || out->protocol != rte_cpu_to_be_16(0x0800) ||
	    out->hardware_bytes != 6 || out->protocol_bytes != 4 || (out->sender_mac.b[0] & 1))
		return CW_DROP_ARP_MALFORMED;
	return CW_DROP_NONE;
}

static inline void cw_arp_write(uint8_t *data, uint16_t op, const struct cw_mac *sender_mac,
				rte_be32_t sender_ip, const struct cw_mac *target_mac,
				rte_be32_t target_ip)
{
	struct cw_arp_packet p = {.hardware = rte_cpu_to_be_16(1),
				  .protocol = rte_cpu_to_be_16(0x0800),
				  .hardware_bytes = 6,
				  .protocol_bytes = 4,
				  .op = rte_cpu_to_be_16(op),
				  .sender_mac = *sender_mac,
				  .sender_ip = sender_ip,
				  .target_mac = *target_mac,
				  .target_ip = target_ip};

	memcpy(data, &p, sizeof(p));
}

#endif /* CW_ARP_H */
