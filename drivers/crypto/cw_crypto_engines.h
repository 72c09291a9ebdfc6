/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CRYPTO_ENGINES_H
#define CW_CRYPTO_ENGINES_H

/**
 * @file
 * The AEAD engines behind cw_crypto_ops. `engine` is per process and read-only for workers.
 *
 * ipsec_mb: IPsec-MB called directly, the choice on CPUs with AES-NI. openssl: EVP, works
 * everywhere, several times slower. null: no cipher at all, for benchmarks of everything else;
 * never offered by the configuration.
 */
#include <cw_crypto.h>

extern const struct cw_crypto_ops cw_crypto_ipsec_mb;
extern const struct cw_crypto_ops cw_crypto_openssl;
extern const struct cw_crypto_ops cw_crypto_null;

/** @return the engine's state for ipsec_mb, or NULL when this CPU lacks AES-NI; freed by
 * cw_crypto_ipsec_mb_close. */
void *cw_crypto_ipsec_mb_open(void);
void cw_crypto_ipsec_mb_close(void *engine);

#endif /* CW_CRYPTO_ENGINES_H */
