/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables of the Toeplitz hash: bit i of the input, counted from the first one's highest, adds the
 * 32 bits of the key that begin at bit i.
 */
#include "cw_toeplitz.h"

const uint8_t cw_toeplitz_key[CW_TOEPLITZ_KEY_BYTES] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b,
							0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d,
							0x43, 0xa3, 0x8f, 0xb0};

static uint32_t window(const uint8_t *key, unsigned int bit)
{
	uint64_t word = 0;

	/* Five bytes hold 32 bits from any place; the last window ends with the key. */
	for (unsigned int i = 0; i < 5; i++)
		word = word << 8 |
		       (bit / 8 + i < CW_TOEPLITZ_KEY_BYTES ? key[bit / 8 + i] : (uint8_t)0);
	return (uint32_t)(word >> (8 - bit % 8));
}

void cw_toeplitz_make(struct cw_toeplitz *out, const uint8_t key[CW_TOEPLITZ_KEY_BYTES])
{
	memset(out, 0, sizeof(*out));
	for (unsigned int n = 0; n < CW_TOEPLITZ_NIBBLES; n++)
		for (unsigned int value = 0; value < 16; value++)
			for (unsigned int bit = 0; bit < 4; bit++)
				if (value & 8u >> bit)
					out->nibble[n][value] ^= window(key, 4 * n + bit);
}
