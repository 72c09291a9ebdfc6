/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-256-GCM and ChaCha20-Poly1305 by OpenSSL's EVP: the engine for CPUs that IPsec-MB does not
 * know. A session holds
 * two contexts made by control; a worker only resets the nonce, so it allocates nothing.
 */
#include "cw_crypto_engines.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

#define ICV_BYTES 16

struct session {
	EVP_CIPHER_CTX *seal, *open;
};

static void session_clear(void *engine, void *session)
{
	struct session *s = session;

	(void)engine;
	EVP_CIPHER_CTX_free(s->seal);
	EVP_CIPHER_CTX_free(s->open);
	memset(s, 0, sizeof(*s));
}

static int session_init(void *engine, void *session, enum cw_suite suite, const uint8_t key[32])
{
	struct session *s = session;
	const EVP_CIPHER *cipher = NULL;

	if (suite == CW_SUITE_AES_256_GCM)
		cipher = EVP_aes_256_gcm();
	else if (suite == CW_SUITE_CHACHA20_POLY1305)
		cipher = EVP_chacha20_poly1305();
	if (cipher == NULL)
		return -ENOTSUP;
	s->seal = EVP_CIPHER_CTX_new();
	s->open = EVP_CIPHER_CTX_new();
	if (s->seal == NULL || s->open == NULL ||
	    EVP_EncryptInit_ex(s->seal, cipher, NULL, key, NULL) != 1 ||
	    EVP_DecryptInit_ex(s->open, cipher, NULL, key, NULL) != 1) {
		session_clear(engine, session);
		return -EIO;
	}
	return 0;
}

static bool seal_one(const struct session *s, struct cw_crypto_job *j)
{
	int len;

	return EVP_EncryptInit_ex(s->seal, NULL, NULL, NULL, j->nonce) == 1 &&
	       EVP_EncryptUpdate(s->seal, NULL, &len, j->aad, sizeof(j->aad)) == 1 &&
	       EVP_EncryptUpdate(s->seal, j->data, &len, j->data, (int)j->len) == 1 &&
	       EVP_EncryptFinal_ex(s->seal, j->data + len, &len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(s->seal, EVP_CTRL_AEAD_GET_TAG, ICV_BYTES, j->icv) == 1;
}

static bool open_one(const struct session *s, struct cw_crypto_job *j)
{
	int len;

	return EVP_DecryptInit_ex(s->open, NULL, NULL, NULL, j->nonce) == 1 &&
	       EVP_DecryptUpdate(s->open, NULL, &len, j->aad, sizeof(j->aad)) == 1 &&
	       EVP_DecryptUpdate(s->open, j->data, &len, j->data, (int)j->len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(s->open, EVP_CTRL_AEAD_SET_TAG, ICV_BYTES, j->icv) == 1 &&
	       EVP_DecryptFinal_ex(s->open, j->data + len, &len) == 1;
}

static void seal(void *engine, struct cw_crypto_job *jobs, unsigned int n)
{
	(void)engine;
	for (unsigned int i = 0; i < n; i++)
		jobs[i].ok = seal_one(jobs[i].session, &jobs[i]);
}

static void open_burst(void *engine, struct cw_crypto_job *jobs, unsigned int n)
{
	(void)engine;
	for (unsigned int i = 0; i < n; i++)
		jobs[i].ok = open_one(jobs[i].session, &jobs[i]);
}

const struct cw_crypto_ops cw_crypto_openssl = {
	.name = "openssl",
	.session_bytes = sizeof(struct session),
	.session_init = session_init,
	.session_clear = session_clear,
	.seal = seal,
	.open = open_burst,
};
