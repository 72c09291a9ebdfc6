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

struct cw_dtls_openssl_params {
	const char *certificate, *key, *ca; /* PEM files */
	cw_dtls_send_fn send;
	void *send_ctx;
};

extern const struct cw_dtls_ops cw_dtls_openssl_ops;
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
/** Handshakes not begun because too many were begun by others this second. */
uint64_t cw_dtls_openssl_over_budget(const struct cw_dtls *engine);
/** Sessions must be closed before. */
void cw_dtls_openssl_destroy(struct cw_dtls *engine);

#endif /* CW_DTLS_OPENSSL_H */
