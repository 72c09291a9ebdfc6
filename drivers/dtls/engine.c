/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine: one SSL_CTX made of our certificate, key and CA, with every choice that TLS leaves
 * open closed to the strong one. Says which file is at fault and why, in one line, before anything
 * is opened to the network.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

/* A key of P-256 in PEM has 240 bytes; parameters and remarks may stand around it. */
#define KEY_FILE_BYTES_MAX 16384u

#define CIPHERS                                                                                    \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"                             \
	"ECDHE-ECDSA-CHACHA20-POLY1305"

/* A daemon asks nobody. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
	(void)buf, (void)size, (void)writing, (void)ctx;
	return -1;
}

/* Our private key, read without stdio: its buffers would keep the text. What libcrypto gives out
 * is memory for keys. */
static bool use_key(SSL_CTX *ctx, const char *path)
{
	char *text = OPENSSL_zalloc(KEY_FILE_BYTES_MAX);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	EVP_PKEY *key = NULL;
	ssize_t len = -1;
	BIO *bio;

	if (text != NULL && fd >= 0)
		len = read(fd, text, KEY_FILE_BYTES_MAX);
	bio = len > 0 ? BIO_new_mem_buf(text, (int)len) : NULL;
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	len = key != NULL ? SSL_CTX_use_PrivateKey(ctx, key) : 0;
	EVP_PKEY_free(key);
	BIO_free(bio);
	OPENSSL_clear_free(text, KEY_FILE_BYTES_MAX);
	if (fd >= 0)
		close(fd);
	return len == 1;
}

static int load_files(SSL_CTX *ctx, const struct cw_dtls_openssl_params *p, char *err,
		      size_t err_size)
{
	if (SSL_CTX_load_verify_locations(ctx, p->ca, NULL) != 1)
		snprintf(err, err_size, "%s: cannot read a CA certificate (PEM) from it", p->ca);
	else if (SSL_CTX_use_certificate_chain_file(ctx, p->certificate) != 1)
		snprintf(err, err_size, "%s: cannot read a certificate (PEM) from it",
			 p->certificate);
	else if (!use_key(ctx, p->key))
		snprintf(err, err_size, "%s: cannot read a private key for %s from it", p->key,
			 p->certificate);
	else if (SSL_CTX_check_private_key(ctx) != 1)
		snprintf(err, err_size, "%s: is not the key of %s", p->key, p->certificate);
	else
		return 0;
	ERR_clear_error();
	return -EINVAL;
}

/* Our own certificate must convince us first: everybody else will judge it the same way. */
static int check_own(SSL_CTX *ctx, const struct cw_dtls_openssl_params *p, struct cw_identity *self,
		     char *err, size_t err_size)
{
	X509 *own = SSL_CTX_get0_certificate(ctx);
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	char why[REASON_BYTES];
	int rc = -EINVAL;

	if (store == NULL ||
	    X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(ctx), own, NULL) != 1) {
		X509_STORE_CTX_free(store);
		return -ENOMEM;
	}
	if (X509_verify_cert(store) != 1)
		snprintf(err, err_size, "%s: %s (CA file %s)", p->certificate,
			 cw_dtls_verify_reason(X509_STORE_CTX_get_error(store)), p->ca);
	else if (cw_certificate_identity(own, self, why, sizeof(why)) < 0)
		snprintf(err, err_size, "%s: %s", p->certificate, why);
	else
		rc = 0;
	X509_STORE_CTX_free(store);
	return rc;
}

static SSL_CTX *make_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(DTLS_method());

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, DTLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(ctx, DTLS1_2_VERSION);
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					 SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_verify_depth(ctx, 2);
	SSL_CTX_set_cookie_generate_cb(ctx, cw_dtls_cookie_generate);
	SSL_CTX_set_cookie_verify_cb(ctx, cw_dtls_cookie_verify);
	if (SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

int cw_dtls_context_create(SSL_CTX **out, const struct cw_dtls_openssl_params *params,
			   struct cw_identity *self, char *err, size_t err_size)
{
	SSL_CTX *ctx = make_context();
	int rc;

	if (ctx == NULL) {
		snprintf(err, err_size, "out of memory");
		return -ENOMEM;
	}
	rc = load_files(ctx, params, err, err_size);
	if (rc == 0)
		rc = check_own(ctx, params, self, err, err_size);
	if (rc == 0)
		*out = ctx;
	else
		SSL_CTX_free(ctx);
	return rc;
}

int cw_dtls_openssl_create(struct cw_dtls **out, const struct cw_dtls_openssl_params *params,
			   struct cw_identity *self, char *err, size_t err_size)
{
	struct cw_dtls *engine = OPENSSL_zalloc(sizeof(*engine));
	int rc = -ENOMEM;

	snprintf(err, err_size, "out of memory");
	if (engine == NULL)
		return rc;
	engine->send = params->send;
	engine->send_ctx = params->send_ctx;
	engine->bio_method = cw_dtls_bio_method();
	if (engine->bio_method == NULL ||
	    RAND_bytes(engine->cookie_key[0], sizeof(engine->cookie_key)) != 1 ||
	    RAND_bytes(engine->source_key, sizeof(engine->source_key)) != 1)
		goto fail;
	rc = cw_dtls_context_create(&engine->ctx, params, self, err, err_size);
	if (rc < 0)
		goto fail;
	rc = i2d_X509(SSL_CTX_get0_certificate(engine->ctx), &engine->certificate);
	if (rc <= 0) {
		rc = -ENOMEM;
		goto fail;
	}
	engine->certificate_len = (size_t)rc;
	rc = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(SSL_CTX_get0_certificate(engine->ctx)),
			     &engine->public_key);
	if (rc <= 0) {
		rc = -ENOMEM;
		goto fail;
	}
	engine->public_key_len = (size_t)rc;
	*out = engine;
	return 0;
fail:
	cw_dtls_openssl_destroy(engine);
	return rc;
}

void cw_dtls_openssl_destroy(struct cw_dtls *engine)
{
	if (engine == NULL)
		return;
	SSL_free(engine->listener);
	SSL_CTX_free(engine->ctx);
	BIO_meth_free(engine->bio_method);
	OPENSSL_free(engine->certificate);
	OPENSSL_free(engine->public_key);
	for (unsigned int i = 0; i < KEYS_KEPT; i++)
		EVP_PKEY_free(engine->keys[i].key);
	OPENSSL_cleanse(engine->cookie_key, sizeof(engine->cookie_key));
	OPENSSL_cleanse(engine->source_key, sizeof(engine->source_key));
	OPENSSL_free(engine);
}
