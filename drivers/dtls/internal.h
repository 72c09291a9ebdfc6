/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DTLS_INTERNAL_H
#define CW_DTLS_INTERNAL_H

/* What the files of drivers/dtls share. */
#include <openssl/ssl.h>

#include "cw_certificate.h"
#include "cw_dtls_openssl.h"

/* Largest datagram we hand to the network: fits a 1500-byte path with room for a relay's header. */
#define DATAGRAM_BYTES_MAX 1400u
#define COOKIE_BYTES	   32u
#define REASON_BYTES	   96u

struct cw_dtls {
	SSL_CTX *ctx;
	BIO_METHOD *bio_method;
	cw_dtls_send_fn send;
	void *send_ctx;
	SSL *listener; /* the one that answers hellos without a cookie; becomes a session when one
			  has a good cookie */
	struct io *listener_io;
	uint8_t cookie_key[32];
};

/* The datagram side of one SSL: what it reads, where it writes. */
struct io {
	struct cw_dtls *engine;
	struct cw_endpoint to;
	const uint8_t *in; /* one datagram, consumed by one read */
	size_t in_len;
};

struct cw_dtls_session {
	struct cw_dtls *engine;
	SSL *ssl;
	struct io *io;
	enum cw_dtls_status status;
	char reason[REASON_BYTES];
	struct cw_identity peer;
};

/* bio.c */
BIO_METHOD *cw_dtls_bio_method(void);
SSL *cw_dtls_ssl_new(struct cw_dtls *engine, struct io **io);
/* cookie.c */
int cw_dtls_cookie_generate(SSL *ssl, unsigned char *cookie, unsigned int *len);
int cw_dtls_cookie_verify(SSL *ssl, const unsigned char *cookie, unsigned int len);
/* certificate.c */
const char *cw_dtls_verify_reason(long verify_result);

#endif /* CW_DTLS_INTERNAL_H */
