/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SUITE_H
#define CW_SUITE_H

/**
 * @file
 * The AEADs that ESP may use between two gateways, and how two lists of them become one choice.
 *
 * Numbers are IKEv2's (IANA, Transform Type 1), so that they mean the same everywhere. Both suites
 * have a 32-byte key, 4 bytes of salt, an explicit IV of 8 bytes and an ICV of 16 (RFC 4106, RFC
 * 7634): nothing on the wire but the ciphertext tells them apart. All functions: [any].
 */
#include "cw_base.h"

enum cw_suite {
	CW_SUITE_NONE = 0,
	CW_SUITE_AES_256_GCM = 20,	 /* ENCR_AES_GCM_16 with 256-bit keys */
	CW_SUITE_CHACHA20_POLY1305 = 28, /* ENCR_CHACHA20_POLY1305 */
};

#define CW_SUITES_MAX 2u

/** Suites that a gateway accepts, the one it likes best first. */
struct cw_suites {
	uint8_t n;
	uint8_t at[CW_SUITES_MAX]; /* enum cw_suite */
};

/** What the configuration's `cipher` asks for. */
enum cw_suite_choice { CW_CIPHER_AUTO, CW_CIPHER_AES_256_GCM, CW_CIPHER_CHACHA20_POLY1305 };

/** auto: both, ChaCha20-Poly1305 first on a CPU without AES instructions. */
void cw_suites_choose(enum cw_suite_choice choice, bool cpu_has_aes, struct cw_suites *out);

/** Add one that a peer named; unknown ones and those beyond the list's room are left out. */
void cw_suites_add(struct cw_suites *list, uint32_t suite);

/**
 * The one that two gateways use: of those in both lists, the one whose worse place in them is best;
 * where that is a draw, ChaCha20-Poly1305, since without AES instructions AES costs far more than
 * ChaCha20 costs with them. Both ends come to the same answer, whatever the order of arguments.
 * @return CW_SUITE_NONE: nothing in common
 */
enum cw_suite cw_suites_agree(const struct cw_suites *a, const struct cw_suites *b);

/** "aes-256-gcm", "chacha20-poly1305", "none". */
const char *cw_suite_name(enum cw_suite suite);

#endif /* CW_SUITE_H */
