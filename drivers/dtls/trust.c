/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What we trust: the bundle of CA certificates (one, or two while a roll-over is under way), and
 * what those CAs signed beside certificates. Changing it is making a whole new context;
 * associations that stand keep the old one until they are renewed, and are looked at again
 * (recheck) meanwhile.
 *
 * It refuses to change who we are: a new key is a new node, and that takes a restart.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

const char *cw_dtls_trust_objection(struct cw_dtls *engine, X509 *certificate)
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	const char *why = "no memory to verify it";

	if (certificate != NULL && store != NULL &&
	    X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(engine->ctx), certificate, NULL) == 1)
		why = X509_verify_cert(store) == 1
			      ? NULL
			      : cw_dtls_verify_reason(X509_STORE_CTX_get_error(store));
	X509_STORE_CTX_free(store);
	ERR_clear_error();
	return why;
}

bool cw_certificate_key_id(X509 *certificate, struct cw_node_id *out)
{
	unsigned char *spki = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);

	if (len <= 0)
		return false;
	cw_identity_node_id(&cw_digest_openssl, spki, (size_t)len, out);
	OPENSSL_free(spki);
	return true;
}

static bool signed_by(X509 *ca, const void *data, size_t len, const uint8_t *signature,
		      size_t signature_len)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL &&
		  EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, X509_get0_pubkey(ca)) == 1 &&
		  EVP_DigestVerify(md, signature, signature_len, data, len) == 1;

	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return ok;
}

bool cw_dtls_openssl_ca_signed(const struct cw_dtls *engine, const struct cw_node_id *ca,
			       const void *data, size_t len, const uint8_t *signature,
			       size_t signature_len)
{
	const STACK_OF(X509_OBJECT) *objects =
		X509_STORE_get0_objects(SSL_CTX_get_cert_store(engine->ctx));

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
		struct cw_node_id id;

		if (x != NULL && cw_certificate_key_id(x, &id) && cw_node_id_equal(&id, ca))
			return signed_by(x, data, len, signature, signature_len);
	}
	return false;
}

uint64_t cw_dtls_openssl_issuer_ends(const struct cw_dtls *engine)
{
	const STACK_OF(X509_OBJECT) *objects =
		X509_STORE_get0_objects(SSL_CTX_get_cert_store(engine->ctx));
	X509 *own = SSL_CTX_get0_certificate(engine->ctx);
	uint64_t ends = 0;

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		if (x != NULL && X509_check_issued(x, own) == X509_V_OK)
			ends = cw_max_u64(ends, cw_certificate_not_after(x));
	}
	return ends;
}

bool cw_dtls_openssl_issuer(const struct cw_dtls *engine, struct cw_node_id *out)
{
	const STACK_OF(X509_OBJECT) *objects =
		X509_STORE_get0_objects(SSL_CTX_get_cert_store(engine->ctx));
	X509 *own = SSL_CTX_get0_certificate(engine->ctx);

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

		if (x != NULL && X509_check_issued(x, own) == X509_V_OK &&
		    cw_certificate_key_id(x, out))
			return true;
	}
	return false;
}

int cw_dtls_openssl_reload(struct cw_dtls *engine, const struct cw_dtls_openssl_params *params,
			   struct cw_identity *self, char *err, size_t err_size)
{
	struct cw_identity is, was;
	SSL_CTX *ctx = NULL;
	char why[REASON_BYTES];
	int rc = cw_certificate_identity(SSL_CTX_get0_certificate(engine->ctx), &was, why,
					 sizeof(why));

	if (rc == 0)
		rc = cw_dtls_context_create(&ctx, params, &is, err, err_size);
	else
		snprintf(err, err_size, "%s", why);
	if (rc < 0)
		return rc;
	if (!cw_node_id_equal(&was.node, &is.node)) {
		snprintf(err, err_size,
			 "%s: has another key: that is a new node, and takes a drain and a restart",
			 params->certificate);
		SSL_CTX_free(ctx);
		return -EINVAL;
	}
	SSL_free(engine->listener);
	engine->listener = NULL;
	engine->listener_io = NULL;
	SSL_CTX_free(engine->ctx);
	engine->ctx = ctx;
	*self = is;
	return 0;
}
