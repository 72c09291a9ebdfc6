/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_ETH_H
#define CW_ETH_H

/**
 * @file
 * Ethernet II with at most one 802.1Q tag. Views into a frame; nothing is copied but addresses.
 * [any]
 */
#include <cw_drop.h>
#include <cw_types.h>

#define CW_ETH_BYTES	  14u
#define CW_ETH_VLAN_BYTES 4u
#define CW_ETH_P_IP4	  0x0800
#define CW_ETH_P_ARP	  0x0806
#define CW_ETH_P_RARP	  0x8035
#define CW_ETH_P_VLAN	  0x8100
#define CW_ETH_P_IP6	  0x86dd
/* IEEE 802 local experimental EtherType 1: hellos of gateways to each other. */
#define CW_ETH_P_SITE	  0x88b5

struct cw_eth_header {
	struct cw_mac dst, src;
	rte_be16_t type;
} CW_PACKED;

struct cw_eth {
	uint16_t type;	      /* EtherType behind the tag, host order */
	uint16_t vlan;	      /* VLAN ID, host order; 0 untagged or priority-tagged */
	uint8_t header_bytes; /* 14 or 18 */
};

static inline bool cw_mac_is_multicast(const struct cw_mac *mac)
{
	return mac->b[0] & 1;
}

/** @return NONE or TRUNCATED. */
static inline enum cw_drop cw_eth_parse(const uint8_t *frame, size_t len, struct cw_eth *out)
{
	if (CW_UNLIKELY(len < CW_ETH_BYTES))
		return CW_DROP_TRUNCATED;
	out->type = (uint16_t)(frame[12] << 8 | frame[13]);
	out->vlan = 0;
	out->header_bytes = CW_ETH_BYTES;
	if (CW_LIKELY(out->type != CW_ETH_P_VLAN))
		return CW_DROP_NONE;
	if (len < CW_ETH_BYTES + CW_ETH_VLAN_BYTES)
		return CW_DROP_TRUNCATED;
	out->vlan = (uint16_t)((frame[14] << 8 | frame[15]) & 0xfff);
	out->type = (uint16_t)(frame[16] << 8 | frame[17]);
	out->header_bytes = CW_ETH_BYTES + CW_ETH_VLAN_BYTES;
	return CW_DROP_NONE;
}

/** Write a header, tagged if @p vlan is not 0. @return its bytes (14 or 18). */
static inline size_t cw_eth_write(uint8_t *frame, const struct cw_mac *dst,
				  const struct cw_mac *src, uint16_t vlan, uint16_t type)
{
	size_t at = 12;

	memcpy(frame, dst->b, 6);
	memcpy(frame + 6, src->b, 6);
	if (vlan != 0) {
		frame[at++] = CW_ETH_P_VLAN >> 8;
		frame[at++] = CW_ETH_P_VLAN & 0xff;
		frame[at++] = (uint8_t)(vlan >> 8);
		frame[at++] = (uint8_t)vlan;
	}
	frame[at++] = (uint8_t)(type >> 8);
	frame[at++] = (uint8_t)type;
	return at;
}

#endif /* CW_ETH_H */
