/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_OPS_H
#define CW_OPS_H

/**
 * @file
 * What lib/ needs of the world besides messages: random bytes and digests.
 *
 * Time is never an op: it comes as `now_ns` with every call. All times are those of one clock,
 * which counts suspend and ignores steps and slew (dht.md section 4); the simulator hands in
 * virtual time.
 */
#include "cw_base.h"
#include "cw_types.h"

struct cw_random_ops {
	/** Fill @p buf with unpredictable bytes (drivers: the kernel; simulator: from its seed). */
	void (*fill)(void *ctx, void *buf, size_t len);
	void *ctx;
};

static inline uint64_t cw_random_u64(const struct cw_random_ops *random)
{
	uint64_t value;

	random->fill(random->ctx, &value, sizeof(value));
	return value;
}

/** SHA-256 of @p len bytes into @p out. Pure; OpenSSL in production. */
struct cw_digest_ops {
	void (*sha256)(const void *data, size_t len, uint8_t out[32]);
};

/** Longest public key (SPKI in DER; P-384 has 120) and signature (ECDSA in DER, P-384 as well). */
#define CW_KEY_BYTES_MAX       120u
#define CW_KEY_SIGNATURE_BYTES 112u

/**
 * Signatures under node IDs. A node ID is the hash of a public key, so that key proves itself:
 * whoever has it needs no certificate to say that a node signed something, only to say what that
 * node may do. [control].
 */
struct cw_key_ops {
	/** Sign with our own key. @return 0 or -EIO. */
	int (*sign)(void *self, const void *data, size_t len,
		    uint8_t signature[CW_KEY_SIGNATURE_BYTES], size_t *signature_len);
	/** Our own public key; lives as long as @p self. */
	const uint8_t *(*key)(void *self, size_t *len);
	/** Is this the key of @p node, and has it signed @p data? */
	bool (*check)(void *self, const struct cw_node_id *node, const uint8_t *key, size_t key_len,
		      const void *data, size_t len, const uint8_t *signature, size_t signature_len);
};

/** Where keys may stand: memory that is neither swapped nor dumped, zeroed when it is given back.
 * [control] */
struct cw_key_memory {
	/** Zeroed, aligned to 64; NULL when there is none. */
	void *(*alloc)(void *ctx, size_t bytes);
	void (*free)(void *ctx, void *mem);
	void *ctx;
};

#endif /* CW_OPS_H */
