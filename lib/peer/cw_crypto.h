/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CRYPTO_H
#define CW_CRYPTO_H

/**
 * @file
 * An AEAD engine as the tunnel needs it: AES-256-GCM and ChaCha20-Poly1305, in place, a burst at a
 * time; one burst may hold packets of both.
 *
 * drivers/crypto implements it (ipsec_mb, openssl, null). A session is the key schedule of one SA
 * and belongs to one direction of it; it lives inside the SA, so workers touch no second
 * allocation. Sessions are made by control and used by one worker.
 */
#include <cw_suite.h>

/** One packet for the engine: one cache line. */
struct cw_crypto_job {
	const void *session;
	uint8_t *data;	   /* plaintext or ciphertext, in place */
	uint8_t *icv;	   /* 16 bytes: written by seal, compared by open */
	uint32_t len;	   /* without the ICV */
	uint8_t nonce[12]; /* salt and explicit IV (RFC 4106 section 4) */
	uint8_t aad[12];   /* SPI, sequence number high and low (ESN) */
	uint8_t suite;	   /* enum cw_suite of the session */
	bool ok;	   /* out, open: the ICV was right; seal: done */
} CW_CACHE_ALIGNED;

_Static_assert(sizeof(struct cw_crypto_job) == 64, "a job is one cache line");

struct cw_crypto_ops {
	const char *name;
	/** Bytes and alignment (64) of one session. */
	size_t session_bytes;
	/** [control] @return 0, -EIO, -ENOTSUP (the suite). */
	int (*session_init)(void *engine, void *session, enum cw_suite suite,
			    const uint8_t key[32]);
	/** [control] Zero the schedule. */
	void (*session_clear)(void *engine, void *session);
	/** [worker] */
	void (*seal)(void *engine, struct cw_crypto_job *jobs, unsigned int n);
	void (*open)(void *engine, struct cw_crypto_job *jobs, unsigned int n);
};

#endif /* CW_CRYPTO_H */
