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

#endif /* CW_OPS_H */
