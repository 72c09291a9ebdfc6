/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DTLS_OPENSSL_H
#define CW_DTLS_OPENSSL_H

/**
 * @file
 * DTLS 1.2 over OpenSSL behind cw_dtls_ops, and the digests and derivations that lib/ takes as ops.
 *
 * Mutual X.509, stateless cookies, ECDHE with AEAD only, Extended Master Secret (RFC 7627)
 * required, no resumption, no renegotiation. One engine per daemon; all of it [control].
 */
#include <cw_dtls.h>
#include <cw_ops.h>
#include <cw_signer.h>

struct cw_dtls_openssl_params {
	const char *certificate, *key; /* PEM files */
	const char *ca;		       /* PEM file: one CA certificate or a bundle */
	cw_dtls_send_fn send;
	void *send_ctx;
};

extern const struct cw_dtls_ops cw_dtls_openssl_ops;
/** Signatures with the engine's key; `self` is the engine (struct cw_dtls). */
extern const struct cw_signer_ops cw_signer_openssl;
/** Signatures under node IDs with the same key; `self` is the engine. */
extern const struct cw_key_ops cw_keys_openssl;
extern const struct cw_digest_ops cw_digest_openssl;
extern const struct cw_kdf_ops cw_kdf_openssl;

/**
 * @param self out: our own identity, from our certificate
 * @param err  out: one line that names the file at fault
 * @return 0, -EINVAL (a file is wrong), -ENOMEM
 */
CW_MUST_USE int cw_dtls_openssl_create(struct cw_dtls **out,
				       const struct cw_dtls_openssl_params *params,
				       struct cw_identity *self, char *err, size_t err_size);
/**
 * Take certificate and CA bundle from the files again. Sessions that stand keep what they have; new
 * ones use the new. On error nothing has changed.
 * @param self out: our identity as the new certificate says it
 * @return 0, -EINVAL with @p err (also when the key is another one), -ENOMEM
 */
CW_MUST_USE int cw_dtls_openssl_reload(struct cw_dtls *engine,
				       const struct cw_dtls_openssl_params *params,
				       struct cw_identity *self, char *err, size_t err_size);
/** Did the CA with this key ID, one of those we trust, sign these bytes (SHA-256)? */
bool cw_dtls_openssl_ca_signed(const struct cw_dtls *engine, const struct cw_node_id *ca,
			       const void *data, size_t len, const uint8_t *signature,
			       size_t signature_len);
/** End of validity of the CA that issued our certificate, seconds since 1970. */
uint64_t cw_dtls_openssl_issuer_ends(const struct cw_dtls *engine);
/** Key ID of the CA that issued our certificate, of those we trust. @return false: none did. */
bool cw_dtls_openssl_issuer(const struct cw_dtls *engine, struct cw_node_id *out);
/** Handshakes not begun because too many were begun by others this second. */
uint64_t cw_dtls_openssl_over_budget(const struct cw_dtls *engine);
/** Sessions must be closed before. */
void cw_dtls_openssl_destroy(struct cw_dtls *engine);

#endif /* CW_DTLS_OPENSSL_H */
