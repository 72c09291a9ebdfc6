/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A BIO that keeps datagrams apart: one write is one datagram out, one read is one datagram in.
 * OpenSSL's memory BIOs merge records, and its datagram BIO wants a socket; this one has neither.
 */
#include "internal.h"

static int bio_write(BIO *bio, const char *data, int len)
{
	struct io *io = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (io == NULL || len <= 0)
		return -1;
	io->engine->send(io->engine->send_ctx, &io->to, data, (size_t)len);
	return len;
}

static int bio_read(BIO *bio, char *out, int size)
{
	struct io *io = BIO_get_data(bio);
	size_t len;

	BIO_clear_retry_flags(bio);
	if (io == NULL || io->in == NULL) {
		BIO_set_retry_read(bio);
		return -1;
	}
	len = io->in_len < (size_t)size ? io->in_len : (size_t)size;
	memcpy(out, io->in, len);
	io->in = NULL;
	return (int)len;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio;
	(void)num;
	(void)ptr;
	switch (cmd) {
	case BIO_CTRL_FLUSH:
	case BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT:
	case BIO_CTRL_DGRAM_SET_PEER:
		return 1;
	case BIO_CTRL_DGRAM_QUERY_MTU:
	case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
		return DATAGRAM_BYTES_MAX;
	default:
		return 0;
	}
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static int bio_destroy(BIO *bio)
{
	struct io *io = BIO_get_data(bio);

	OPENSSL_free(io);
	BIO_set_data(bio, NULL);
	return 1;
}

BIO_METHOD *cw_dtls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "causeway");

	if (m == NULL)
		return NULL;
	BIO_meth_set_write(m, bio_write);
	BIO_meth_set_read(m, bio_read);
	BIO_meth_set_ctrl(m, bio_ctrl);
	BIO_meth_set_create(m, bio_create);
	BIO_meth_set_destroy(m, bio_destroy);
	return m;
}

SSL *cw_dtls_ssl_new(struct cw_dtls *engine, struct io **out)
{
	SSL *ssl = SSL_new(engine->ctx);
	BIO *bio = BIO_new(engine->bio_method);
	struct io *io = OPENSSL_zalloc(sizeof(*io));

	if (ssl == NULL || bio == NULL || io == NULL) {
		SSL_free(ssl);
		BIO_free(bio);
		OPENSSL_free(io);
		return NULL;
	}
	io->engine = engine;
	BIO_set_data(bio, io);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_options(ssl, SSL_OP_NO_QUERY_MTU | SSL_OP_COOKIE_EXCHANGE);
	DTLS_set_link_mtu(ssl, DATAGRAM_BYTES_MAX);
	SSL_set_app_data(ssl, io);
	*out = io;
	return ssl;
}
