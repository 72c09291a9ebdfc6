/* SPDX-License-Identifier: BSD-3-Clause */
/* ECDSA P-256 over SHA-256 by OpenSSL, with parsed keys at hand: the calls of
 * drivers/dtls/signer.c. */
#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "world.h"

static int sign(void *self, const void *data, size_t len, uint8_t signature[CW_KEY_SIGNATURE_BYTES],
		size_t *signature_len)
{
	struct node *n = self;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good;

	*signature_len = CW_KEY_SIGNATURE_BYTES;
	good = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, n->key) == 1 &&
	       EVP_DigestSign(ctx, signature, signature_len, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	return good ? 0 : -1;
}

static const uint8_t *own_key(void *self, size_t *len)
{
	const struct node *n = self;

	*len = n->public_key_len;
	return n->public_key;
}

static bool check(void *self, const struct cw_node_id *node, const uint8_t *key, size_t key_len,
		  const void *data, size_t len, const uint8_t *signature, size_t signature_len)
{
	struct node *n = self;
	struct world *w = n->w;
	int32_t i = w->by_id[node->b[0] << 8 | node->b[1]];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good;

	(void)key, (void)key_len;
	good = i >= 0 &&
	       EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, w->nodes[i].key) == 1 &&
	       EVP_DigestVerify(ctx, signature, signature_len, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

const struct cw_key_ops keys_ops = {.sign = sign, .key = own_key, .check = check};

bool keys_make(struct node *n)
{
	uint8_t *spki = NULL, digest[32];
	int len;

	EVP_PKEY_free(n->key);
	n->key = EVP_EC_gen("P-256");
	len = n->key != NULL ? i2d_PUBKEY(n->key, &spki) : 0;
	if (len <= 0 || (size_t)len > sizeof(n->public_key))
		return false;
	memcpy(n->public_key, spki, (size_t)len);
	n->public_key_len = (size_t)len;
	SHA256(spki, (size_t)len, digest);
	memcpy(n->id.b, digest, sizeof(n->id.b));
	OPENSSL_free(spki);
	return true;
}

void keys_free(struct node *n)
{
	EVP_PKEY_free(n->key);
}
