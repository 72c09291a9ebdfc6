/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_SIGNER_H
#define CW_SIGNER_H

/**
 * @file
 * Signatures with the key of a node's certificate, as ops: what goes over several hops of the
 * overlay says who sent it. drivers/dtls implements it over OpenSSL (ECDSA P-256, SHA-256, DER).
 * [control].
 */
#include "cw_identity.h"

/** Largest ECDSA P-256 signature in DER, with room for P-384. */
#define CW_SIGNATURE_BYTES_MAX	 112u
#define CW_CERTIFICATE_BYTES_MAX 2048u

struct cw_public_key; /* a verified certificate's */

struct cw_signer_ops {
	/** Sign with our own key. @return 0 or -EIO. */
	int (*sign)(void *self, const void *data, size_t len,
		    uint8_t signature[CW_SIGNATURE_BYTES_MAX], size_t *signature_len);
	/** Our own certificate in DER; lives as long as @p self. */
	const uint8_t *(*certificate)(void *self, size_t *len);
	/**
	 * Judge a certificate against our CA.
	 * @param why out: one phrase when it is refused
	 * @return the key, to be given back with `release`, or NULL
	 */
	struct cw_public_key *(*verify)(void *self, const uint8_t *der, size_t len,
					struct cw_identity *out, const char **why);
	bool (*check)(const struct cw_public_key *key, const void *data, size_t len,
		      const uint8_t *signature, size_t signature_len);
	void (*release)(struct cw_public_key *key);
};

#endif /* CW_SIGNER_H */
