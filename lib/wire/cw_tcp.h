/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_TCP_H
#define CW_TCP_H

/**
 * @file
 * Of TCP (RFC 9293) only the MSS option of a SYN: lowered, never raised, with the checksum kept
 * right. [any]
 */
#include <cw_ip4.h>

#define CW_TCP_BYTES 20u

/**
 * Clamp the MSS in a SYN segment.
 *
 * @param tcp	TCP header, @p len bytes of it and what follows
 * @param mss_max largest segment that fits the path
 * @return true when something was changed. Segments that are no SYN, malformed, or small enough
 * stay as they are.
 */
static inline bool cw_tcp_clamp_mss(uint8_t *tcp, size_t len, uint16_t mss_max)
{
	size_t header, at = CW_TCP_BYTES;

	if (len < CW_TCP_BYTES || !(tcp[13] & 0x02))
		return false;
	header = (size_t)(tcp[12] >> 4) * 4;
	if (header < CW_TCP_BYTES || header > len)
		return false;
	while (at < header && tcp[at] != 0) {
		uint16_t mss, old, new, checksum;

		if (tcp[at] == 1) {
			at++;
			continue;
		}
		if (at + 1 >= header || tcp[at + 1] < 2 || at + tcp[at + 1] > header)
			return false;
		if (tcp[at] != 2 || tcp[at + 1] != 4) {
			at += tcp[at + 1];
			continue;
		}
		mss = (uint16_t)(tcp[at + 2] << 8 | tcp[at + 3]);
		/* An option at an odd offset would change two words: rewrite only the aligned case.
		 */
		if (mss <= mss_max || (at & 1))
			return false;
		memcpy(&old, tcp + at + 2, 2);
		new = rte_cpu_to_be_16(mss_max);
		memcpy(tcp + at + 2, &new, 2);
		memcpy(&checksum, tcp + 16, 2);
		checksum = cw_checksum_update16(checksum, old, new);
		memcpy(tcp + 16, &checksum, 2);
		return true;
	}
	return false;
}

#endif /* CW_TCP_H */
