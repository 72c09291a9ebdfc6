/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PKI_H
#define CW_PKI_H

/* Certificates as the operator makes them: a CA, node certificates with causeway: URIs in their
 * SAN. */
#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

#define PKI_URIS_MAX 34

struct pki_subject {
	const char *name;
	int days;
	size_t uri_count;
	const char *uris[PKI_URIS_MAX];
};

EVP_PKEY *pki_key_new(void);
/* issuer NULL: a CA that signs itself. */
X509 *pki_certificate(const struct pki_subject *subject, EVP_PKEY *key, X509 *issuer,
		      EVP_PKEY *issuer_key);
/* @return true; else errno says why. Never over an existing file unless `force`. */
bool pki_write_key(const char *path, EVP_PKEY *key, bool force);
bool pki_write_certificate(const char *path, X509 *certificate, bool force);
X509 *pki_read_certificate(const char *path);
EVP_PKEY *pki_read_key(const char *path);

#endif /* CW_PKI_H */
