/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet's clothes: what goes around an inner packet before it is sealed and comes off after it
 * was opened. cw_tunnel.h holds what every packet needs; here is what few do.
 *
 * Nothing is copied but headers; the inner packet stays where the port put it. The explicit IV is
 * the 64-bit sequence number, so a nonce is used twice only if a sequence number is, and that
 * counter belongs to one worker.
 *
 * Refuses: a sequence number beyond CW_SA_PACKETS_MAX, packets without room for trailer and ICV,
 * anything the replay window has seen. Invariant: the window moves only after the ICV was right.
 */
#include "cw_tunnel.h"

enum cw_drop cw_tunnel_carry_congestion(uint8_t *ip, struct cw_ip4_header *copy)
{
	uint16_t from, to, checksum;

	if ((ip[1] & CW_TUNNEL_ECN_MASK) == CW_TUNNEL_ECN_CE)
		return CW_DROP_NONE;
	if ((ip[1] & CW_TUNNEL_ECN_MASK) == 0)
		return CW_DROP_ECN;
	memcpy(&from, ip, 2);
	ip[1] |= CW_TUNNEL_ECN_CE;
	memcpy(&to, ip, 2);
	memcpy(&checksum, ip + 10, 2);
	checksum = cw_checksum_update16(checksum, from, to);
	memcpy(ip + 10, &checksum, 2);
	memcpy(copy, ip, sizeof(*copy));
	return CW_DROP_NONE;
}
