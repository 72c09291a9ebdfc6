/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures with the key of our certificate, and the checking of others': ECDSA with SHA-256, as
 * the ops that lib/overlay takes. The same engine, so the same key, the same CA and the same rules
 * judge links and messages. A certificate is judged when it comes; how long that holds is the
 * caller's. The keys' ops need no certificate: a node ID is the hash of its public key.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static int signer_sign(void *self, const void *data, size_t len,
		       uint8_t signature[CW_SIGNATURE_BYTES_MAX], size_t *signature_len)
{
	struct cw_dtls *engine = self;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done;

	*signature_len = CW_SIGNATURE_BYTES_MAX;
	done = ctx != NULL &&
	       EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL,
				  SSL_CTX_get0_privatekey(engine->ctx)) == 1 &&
	       EVP_DigestSign(ctx, signature, signature_len, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return done ? 0 : -EIO;
}

static const uint8_t *signer_certificate(void *self, size_t *len)
{
	struct cw_dtls *engine = self;

	*len = engine->certificate_len;
	return engine->certificate;
}

static struct cw_public_key *signer_verify(void *self, const uint8_t *der, size_t len,
					   struct cw_identity *out, const char **why)
{
	struct cw_dtls *engine = self;
	const unsigned char *at = der;
	X509 *certificate = d2i_X509(NULL, &at, (long)len);
	EVP_PKEY *key = NULL;
	char text[REASON_BYTES];

	*why = "it cannot be read";
	if (certificate != NULL && at == der + len) {
		*why = cw_dtls_trust_objection(engine, certificate);
		if (*why == NULL &&
		    cw_certificate_identity(certificate, out, text, sizeof(text)) < 0)
			*why = "its names contradict each other";
		if (*why == NULL)
			key = X509_get_pubkey(certificate);
	}
	X509_free(certificate);
	ERR_clear_error();
	return (struct cw_public_key *)key;
}

static bool signer_check(const struct cw_public_key *key, const void *data, size_t len,
			 const uint8_t *signature, size_t signature_len)
{
	EVP_PKEY *public = (EVP_PKEY *)(uintptr_t)key;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = ctx != NULL &&
		    EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, public) == 1 &&
		    EVP_DigestVerify(ctx, signature, signature_len, data, len) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

static void signer_release(struct cw_public_key *key)
{
	EVP_PKEY_free((EVP_PKEY *)key);
}

const struct cw_signer_ops cw_signer_openssl = {.sign = signer_sign,
						.certificate = signer_certificate,
						.verify = signer_verify,
						.check = signer_check,
						.release = signer_release};

static const uint8_t *own_key(void *self, size_t *len)
{
	struct cw_dtls *engine = self;

	*len = engine->public_key_len;
	return engine->public_key;
}

/* The key of this node, from its SPKI. Owned by the engine, valid until the next call. */
static EVP_PKEY *key_of(struct cw_dtls *engine, const struct cw_node_id *node, const uint8_t *spki,
			size_t len)
{
	unsigned int place = (node->b[0] ^ node->b[1] * 7u) % KEYS_KEPT;
	const unsigned char *at = spki;
	struct cw_node_id is;
	EVP_PKEY *key;

	if (engine->keys[place].key != NULL && cw_node_id_equal(&engine->keys[place].node, node))
		return engine->keys[place].key;
	cw_identity_node_id(&cw_digest_openssl, spki, len, &is);
	if (!cw_node_id_equal(&is, node))
		return NULL;
	key = d2i_PUBKEY(NULL, &at, (long)len);
	if (key == NULL || at != spki + len) {
		EVP_PKEY_free(key);
		return NULL;
	}
	EVP_PKEY_free(engine->keys[place].key);
	engine->keys[place].node = *node;
	engine->keys[place].key = key;
	return key;
}

static bool key_check(void *self, const struct cw_node_id *node, const uint8_t *spki,
		      size_t spki_len, const void *data, size_t len, const uint8_t *signature,
		      size_t signature_len)
{
	EVP_PKEY *key = key_of(self, node, spki, spki_len);

	ERR_clear_error();
	return key != NULL &&
	       signer_check((const struct cw_public_key *)key, data, len, signature, signature_len);
}

const struct cw_key_ops cw_keys_openssl = {.sign = signer_sign, .key = own_key, .check = key_check};
