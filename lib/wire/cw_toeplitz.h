/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_TOEPLITZ_H
#define CW_TOEPLITZ_H

/**
 * @file
 * The hash that NICs spread flows with (Microsoft's RSS specification), in software: a port that
 * cannot spread is spread for as a NIC would, so a flow meets the same share of workers either way.
 * [any]
 *
 * The hash is linear over XOR, so each nibble of the input has a table of sixteen words: 24 loads
 * from 1.5 kB for addresses and ports.
 */
#include <cw_types.h>

/** Bytes of a key for IPv4 addresses and ports: 12 of input, 4 of window. */
#define CW_TOEPLITZ_KEY_BYTES 16u
#define CW_TOEPLITZ_NIBBLES   24u
/** Entries of a NIC's indirection table: the hash's low bits pick one. */
#define CW_TOEPLITZ_ENTRIES 128u

/** The beginning of Microsoft's key, the one of the published vectors. */
extern const uint8_t cw_toeplitz_key[CW_TOEPLITZ_KEY_BYTES];

struct cw_toeplitz {
	uint32_t nibble[CW_TOEPLITZ_NIBBLES][16];
};

void cw_toeplitz_make(struct cw_toeplitz *out, const uint8_t key[CW_TOEPLITZ_KEY_BYTES]);

/** @param ports source, then destination, as they stand in the packet; 0: hash of addresses only */
static inline uint32_t cw_toeplitz_ip4(const struct cw_toeplitz *t, rte_be32_t src, rte_be32_t dst,
				       uint32_t ports)
{
	const uint32_t words[3] = {src, dst, ports};
	const uint32_t(*table)[16] = t->nibble;
	uint32_t h = 0;

	for (unsigned int w = 0; w < 3; w++) {
		uint8_t bytes[4];

		memcpy(bytes, &words[w], 4);
		for (unsigned int i = 0; i < 4; i++, table += 2)
			h ^= table[0][bytes[i] >> 4] ^ table[1][bytes[i] & 15];
	}
	return h;
}

/** The queue that a NIC with a table filled in turns would choose. */
static inline unsigned int cw_toeplitz_queue(uint32_t hash, unsigned int queues)
{
	return hash % CW_TOEPLITZ_ENTRIES % queues;
}

/** Bits that have no say in the queue, for a second choice. */
static inline uint32_t cw_toeplitz_rest(uint32_t hash)
{
	return hash / CW_TOEPLITZ_ENTRIES;
}

#endif /* CW_TOEPLITZ_H */
