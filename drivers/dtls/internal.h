/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DTLS_INTERNAL_H
#define CW_DTLS_INTERNAL_H

/* What the files of drivers/dtls share. */
#include <openssl/ssl.h>

#include "cw_certificate.h"
#include "cw_dtls_openssl.h"

/* Largest datagram of a handshake or a message: fits a path of 1,280 bytes, the least that wan.mtu
 * may be, with a relay's header. */
#define DATAGRAM_BYTES_MAX 1200u
#define COOKIE_BYTES	   32u
/* Reading a public key costs as much as a check with it: those of the busiest nodes are kept. */
#define KEYS_KEPT 256u
#define REASON_BYTES	   96u
/*
 * Handshakes that others begin, a second: each costs about half a millisecond of signatures, so
 * this is a tenth of the control core. The burst lets a site that restarts join at once.
 */
#define HANDSHAKES_PER_S UINT64_C(200)
#define HANDSHAKES_BURST UINT64_C(256)
/* The same per source address (a bucket of them), so that one host cannot use up all: gateways
 * behind one NAT, several ports of one gateway. */
#define SOURCE_HANDSHAKES_PER_S UINT64_C(20)
#define SOURCE_HANDSHAKES_BURST UINT64_C(40)
#define SOURCES			256u
/* A cookie is good for one to two of these. */
#define COOKIE_KEY_NS (UINT64_C(60) * CW_NS_PER_S)

struct cw_dtls {
	SSL_CTX *ctx;
	BIO_METHOD *bio_method;
	cw_dtls_send_fn send;
	void *send_ctx;
	SSL *listener; /* the one that answers hellos without a cookie; becomes a session when one
			  has a good cookie */
	struct io *listener_io;
	uint8_t cookie_key[2][32]; /* now, and before */
	uint64_t cookie_turn_ns;   /* when the key changes next; 0: at the next hello */
	uint8_t source_key[32];
	uint8_t *certificate; /* our own, DER */
	size_t certificate_len;
	/* Our public key (SPKI, DER), and those that were checked lately, by their node's ID. */
	uint8_t *public_key;
	size_t public_key_len;
	struct {
		struct cw_node_id node;
		EVP_PKEY *key;
	} keys[KEYS_KEPT];
	/* Handshakes begun by others: when the next is due (session.c), and those refused. */
	uint64_t handshakes_at_ns, source_at_ns[SOURCES], over_budget;
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
void cw_dtls_cookie_turn(struct cw_dtls *engine, uint64_t now_ns);
/* A bucket of `source_at_ns` that nobody outside can choose. */
unsigned int cw_dtls_source_index(const struct cw_dtls *engine, const struct cw_endpoint *from);
/* certificate.c */
const char *cw_dtls_verify_reason(long verify_result);
/* engine.c: a context of these files, which are named when they are wrong. */
int cw_dtls_context_create(SSL_CTX **out, const struct cw_dtls_openssl_params *params,
			   struct cw_identity *self, char *err, size_t err_size);
/* trust.c: does our trust carry this certificate now? NULL, or why not. */
const char *cw_dtls_trust_objection(struct cw_dtls *engine, X509 *certificate);

#endif /* CW_DTLS_INTERNAL_H */
