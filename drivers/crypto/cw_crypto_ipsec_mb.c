/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-256-GCM and ChaCha20-Poly1305 by Intel's IPsec-MB, its direct calls: no operation objects, no
 * rings. The library picks AVX2, AVX-512 and VAES at run time. A GCM session is the
 * expanded key with the GHASH tables, one of ChaCha20 is the key; the next packet's one is
 * prefetched while this one is worked on, since with many SAs they come from memory.
 */
#include "cw_crypto_engines.h"

#include <errno.h>
#include <string.h>

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#define ICV_BYTES	   16
#define CHACHA20_KEY_BYTES 32

void *cw_crypto_ipsec_mb_open(void)
{
	IMB_MGR *mgr = alloc_mb_mgr(0);

	if (mgr == NULL)
		return NULL;
	if (!(mgr->features & IMB_FEATURE_AESNI)) {
		free_mb_mgr(mgr);
		return NULL;
	}
	init_mb_mgr_auto(mgr, NULL);
	return mgr;
}

void cw_crypto_ipsec_mb_close(void *engine)
{
	if (engine != NULL)
		free_mb_mgr(engine);
}

static int session_init(void *engine, void *session, enum cw_suite suite, const uint8_t key[32])
{
	switch (suite) {
	case CW_SUITE_AES_256_GCM:
		IMB_AES256_GCM_PRE((IMB_MGR *)engine, key, (struct gcm_key_data *)session);
		return 0;
	case CW_SUITE_CHACHA20_POLY1305:
		memcpy(session, key, CHACHA20_KEY_BYTES);
		return 0;
	default:
		return -ENOTSUP;
	}
}

static void session_clear(void *engine, void *session)
{
	(void)engine;
	OPENSSL_cleanse(session, sizeof(struct gcm_key_data));
}

/* In time that does not depend on where they differ: no early exit. */
static inline bool same_icv(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

/* Packets ahead of the one worked on whose keys are fetched. */
#define AHEAD 3

/* The lines of a key schedule that every packet needs: the round keys, and the lowest powers of the
 * GHASH key, which stand last. With thousands of sessions they come from far away. */
static inline void prefetch_keys(const struct gcm_key_data *keys)
{
	const uint8_t *b = (const uint8_t *)keys;

	for (unsigned int at = 0; at < sizeof(keys->expanded_keys); at += 64)
		__builtin_prefetch(b + at);
	__builtin_prefetch(b + sizeof(*keys) - 128);
	__builtin_prefetch(b + sizeof(*keys) - 64);
}

static void chacha_seal(IMB_MGR *mgr, const struct cw_crypto_job *j)
{
	struct chacha20_poly1305_context_data ctx;

	IMB_CHACHA20_POLY1305_INIT(mgr, j->session, &ctx, j->nonce, j->aad, sizeof(j->aad));
	IMB_CHACHA20_POLY1305_ENC_UPDATE(mgr, j->session, &ctx, j->data, j->data, j->len);
	IMB_CHACHA20_POLY1305_ENC_FINALIZE(mgr, &ctx, j->icv, ICV_BYTES);
}

static void chacha_open(IMB_MGR *mgr, const struct cw_crypto_job *j, uint8_t *icv)
{
	struct chacha20_poly1305_context_data ctx;

	IMB_CHACHA20_POLY1305_INIT(mgr, j->session, &ctx, j->nonce, j->aad, sizeof(j->aad));
	IMB_CHACHA20_POLY1305_DEC_UPDATE(mgr, j->session, &ctx, j->data, j->data, j->len);
	IMB_CHACHA20_POLY1305_DEC_FINALIZE(mgr, &ctx, icv, ICV_BYTES);
}

static void seal(void *engine, struct cw_crypto_job *jobs, unsigned int n)
{
	IMB_MGR *mgr = engine;
	struct gcm_context_data ctx;

	for (unsigned int i = 0; i < n; i++) {
		struct cw_crypto_job *j = &jobs[i];

		j->ok = true;
		if (CW_UNLIKELY(j->suite != CW_SUITE_AES_256_GCM)) {
			chacha_seal(mgr, j);
			continue;
		}
		if (i + AHEAD < n)
			prefetch_keys(jobs[i + AHEAD].session);
		IMB_AES256_GCM_ENC(mgr, j->session, &ctx, j->data, j->data, j->len, j->nonce,
				   j->aad, sizeof(j->aad), j->icv, ICV_BYTES);
	}
}

static void open_burst(void *engine, struct cw_crypto_job *jobs, unsigned int n)
{
	IMB_MGR *mgr = engine;
	struct gcm_context_data ctx;
	uint8_t icv[ICV_BYTES];

	for (unsigned int i = 0; i < n; i++) {
		struct cw_crypto_job *j = &jobs[i];

		if (i + AHEAD < n)
			prefetch_keys(jobs[i + AHEAD].session);
		if (CW_LIKELY(j->suite == CW_SUITE_AES_256_GCM))
			IMB_AES256_GCM_DEC(mgr, j->session, &ctx, j->data, j->data, j->len,
					   j->nonce, j->aad, sizeof(j->aad), icv, ICV_BYTES);
		else
			chacha_open(mgr, j, icv);
		j->ok = same_icv(icv, j->icv);
	}
}

const struct cw_crypto_ops cw_crypto_ipsec_mb = {
	.name = "ipsec_mb",
	.session_bytes = sizeof(struct gcm_key_data),
	.session_init = session_init,
	.session_clear = session_clear,
	.seal = seal,
	.open = open_burst,
};
