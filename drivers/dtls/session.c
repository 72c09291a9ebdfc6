/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One association: handshake, records, end.
 *
 * Hellos without an association go to one reused listener SSL (DTLSv1_listen): it answers with a
 * cookie and keeps nothing; when a hello brings a good cookie, the listener becomes that
 * association and the next one is made.
 *
 * A plaintext alert is not authenticated, so while a handshake is in progress one from anybody
 * would end it, and a sealed record that is too short ends even an established association: neither
 * is shown to OpenSSL. A peer that really gave up is found by the timer. Invariant: ESTABLISHED
 * means a verified chain to our CA, an identity that does not contradict itself, and Extended
 * Master Secret.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <sys/time.h>

#include <openssl/err.h>

#define RECORD_ALERT	    21
#define RECORD_HEADER_BYTES 13u

static void fail(struct cw_dtls_session *s, const char *why)
{
	if (s->status == CW_DTLS_FAILED)
		return;
	s->status = CW_DTLS_FAILED;
	snprintf(s->reason, sizeof(s->reason), "%s", why);
}

static void fail_from_queue(struct cw_dtls_session *s)
{
	unsigned long code = ERR_peek_error();
	long verify = SSL_get_verify_result(s->ssl);

	if (verify != X509_V_OK)
		fail(s, cw_dtls_verify_reason(verify));
	else if (code != 0 && ERR_reason_error_string(code) != NULL)
		fail(s, ERR_reason_error_string(code));
	else
		fail(s, "handshake failed");
	ERR_clear_error();
}

static void finish_handshake(struct cw_dtls_session *s)
{
	X509 *certificate = SSL_get1_peer_certificate(s->ssl);
	char why[REASON_BYTES];

	if (SSL_get_extms_support(s->ssl) != 1)
		fail(s, "no extended master secret");
	else if (certificate == NULL || SSL_get_verify_result(s->ssl) != X509_V_OK)
		fail(s, cw_dtls_verify_reason(SSL_get_verify_result(s->ssl)));
	else if (cw_certificate_identity(certificate, &s->peer, why, sizeof(why)) < 0)
		fail(s, why);
	else
		s->status = CW_DTLS_ESTABLISHED;
	X509_free(certificate);
}

static void drive(struct cw_dtls_session *s)
{
	int rc, error;

	if (s->status != CW_DTLS_HANDSHAKE)
		return;
	ERR_clear_error();
	rc = SSL_do_handshake(s->ssl);
	if (rc == 1) {
		finish_handshake(s);
		return;
	}
	error = SSL_get_error(s->ssl, rc);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		fail_from_queue(s);
}

static struct cw_dtls_session *session_new(struct cw_dtls *engine, SSL *ssl, struct io *io)
{
	struct cw_dtls_session *s = OPENSSL_zalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	s->engine = engine;
	s->ssl = ssl;
	s->io = io;
	s->status = CW_DTLS_HANDSHAKE;
	return s;
}

/* Generic cell rate: `at_ns` is when the next one would be due if they came evenly. */
static bool conforms(uint64_t *at_ns, uint64_t interval_ns, uint64_t burst, uint64_t now_ns)
{
	uint64_t due = cw_max_u64(*at_ns, now_ns);

	if (due >= now_ns + burst * interval_ns)
		return false;
	*at_ns = due + interval_ns;
	return true;
}

/* Everything before this cost an HMAC; what follows are signatures. */
static bool take_token(struct cw_dtls *engine, const struct cw_endpoint *from, uint64_t now_ns)
{
	uint64_t *source = &engine->source_at_ns[cw_dtls_source_index(engine, from)];

	return conforms(source, CW_NS_PER_S / SOURCE_HANDSHAKES_PER_S, SOURCE_HANDSHAKES_BURST,
			now_ns) &&
	       conforms(&engine->handshakes_at_ns, CW_NS_PER_S / HANDSHAKES_PER_S, HANDSHAKES_BURST,
			now_ns);
}

uint64_t cw_dtls_openssl_over_budget(const struct cw_dtls *engine)
{
	return engine->over_budget;
}

static struct cw_dtls_session *dtls_accept(struct cw_dtls *engine, const struct cw_endpoint *from,
					   const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct cw_dtls_session *s;
	BIO_ADDR *unused;
	int rc;

	if (engine->listener == NULL) {
		engine->listener = cw_dtls_ssl_new(engine, &engine->listener_io);
		if (engine->listener == NULL)
			return NULL;
		SSL_set_accept_state(engine->listener);
	}
	unused = BIO_ADDR_new();
	if (unused == NULL)
		return NULL;
	cw_dtls_cookie_turn(engine, now_ns);
	engine->listener_io->to = *from;
	engine->listener_io->in = data;
	engine->listener_io->in_len = len;
	ERR_clear_error();
	rc = DTLSv1_listen(engine->listener, unused);
	BIO_ADDR_free(unused);
	engine->listener_io->in = NULL;
	ERR_clear_error();
	if (rc != 1)
		return NULL;
	if (!take_token(engine, from, now_ns)) {
		SSL_free(engine->listener);
		engine->listener = NULL;
		engine->listener_io = NULL;
		engine->over_budget++;
		return NULL;
	}
	s = session_new(engine, engine->listener, engine->listener_io);
	if (s == NULL)
		return NULL;
	engine->listener = NULL;
	engine->listener_io = NULL;
	drive(s);
	return s;
}

static struct cw_dtls_session *dtls_connect(struct cw_dtls *engine, const struct cw_endpoint *to,
					    uint64_t now_ns)
{
	struct cw_dtls_session *s;
	struct io *io;
	SSL *ssl = cw_dtls_ssl_new(engine, &io);

	(void)now_ns;
	if (ssl == NULL)
		return NULL;
	io->to = *to;
	SSL_set_connect_state(ssl);
	s = session_new(engine, ssl, io);
	if (s == NULL) {
		SSL_free(ssl);
		return NULL;
	}
	drive(s);
	return s;
}

/* Nonce and tag of the suites we allow: what is shorter cannot be a sealed record. */
static size_t sealed_bytes_min(const struct cw_dtls_session *s)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(s->ssl);

	return cipher != NULL && SSL_CIPHER_get_cipher_nid(cipher) == NID_chacha20_poly1305 ? 16
											    : 24;
}

/*
 * Whether a datagram may be shown to OpenSSL. Anybody can send one from the peer's address, and two
 * kinds of record that nobody signed would end the association: an alert in the clear, and a sealed
 * record shorter than nonce and tag, which libssl takes for an error of its own.
 */
static bool is_harmless(const struct cw_dtls_session *s, const uint8_t *data, size_t len)
{
	while (len >= RECORD_HEADER_BYTES) {
		bool clear = data[3] == 0 && data[4] == 0;
		size_t bytes = (size_t)data[11] << 8 | data[12];

		if (clear ? data[0] == RECORD_ALERT : bytes < sealed_bytes_min(s))
			return false;
		if (bytes > len - RECORD_HEADER_BYTES)
			return false;
		data += RECORD_HEADER_BYTES + bytes;
		len -= RECORD_HEADER_BYTES + bytes;
	}
	return len == 0;
}

static size_t dtls_input(struct cw_dtls_session *s, const uint8_t *data, size_t len, uint8_t *out,
			 size_t out_size, uint64_t now_ns)
{
	int rc;

	(void)now_ns;
	if (data != NULL) {
		if (!is_harmless(s, data, len))
			return 0;
		s->io->in = data;
		s->io->in_len = len;
	}
	drive(s);
	if (s->status != CW_DTLS_ESTABLISHED)
		return 0;
	ERR_clear_error();
	rc = SSL_read(s->ssl, out, (int)out_size);
	if (rc > 0)
		return (size_t)rc;
	s->io->in = NULL;
	if (SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN)
		s->status = CW_DTLS_CLOSED;
	else if (SSL_get_error(s->ssl, rc) == SSL_ERROR_SSL)
		fail_from_queue(s);
	ERR_clear_error();
	return 0;
}

static size_t dtls_data_bytes_max(const struct cw_dtls_session *s)
{
	return DTLS_get_data_mtu(s->ssl);
}

static int dtls_write(struct cw_dtls_session *s, const void *data, size_t len)
{
	if (s->status != CW_DTLS_ESTABLISHED)
		return -ENOTCONN;
	if (len == 0 || len > dtls_data_bytes_max(s))
		return -EMSGSIZE;
	ERR_clear_error();
	return SSL_write(s->ssl, data, (int)len) == (int)len ? 0 : -EIO;
}

static int dtls_probe(struct cw_dtls_session *s, const void *data, size_t len)
{
	if (s->status != CW_DTLS_ESTABLISHED)
		return -ENOTCONN;
	if (len == 0 || len > CW_DTLS_PROBE_BYTES_MAX)
		return -EMSGSIZE;
	ERR_clear_error();
	/* OpenSSL's own limit is for handshake messages; a record is never cut. */
	return SSL_write(s->ssl, data, (int)len) == (int)len ? 0 : -EIO;
}

static size_t dtls_overhead_bytes(const struct cw_dtls_session *s)
{
	return DATAGRAM_BYTES_MAX - DTLS_get_data_mtu(s->ssl);
}

static uint64_t dtls_timer(struct cw_dtls_session *s, uint64_t now_ns)
{
	struct timeval left;

	if (s->status != CW_DTLS_HANDSHAKE)
		return CW_NEVER;
	ERR_clear_error();
	if (DTLSv1_handle_timeout(s->ssl) < 0)
		fail(s, "handshake timed out");
	ERR_clear_error();
	if (s->status != CW_DTLS_HANDSHAKE || DTLSv1_get_timeout(s->ssl, &left) != 1)
		return CW_NEVER;
	return now_ns + (uint64_t)left.tv_sec * CW_NS_PER_S + (uint64_t)left.tv_usec * CW_NS_PER_US;
}

static enum cw_dtls_status dtls_status(const struct cw_dtls_session *s)
{
	return s->status;
}

static const char *dtls_reason(const struct cw_dtls_session *s)
{
	return s->reason;
}

static const struct cw_identity *dtls_peer(const struct cw_dtls_session *s)
{
	return s->status == CW_DTLS_ESTABLISHED ? &s->peer : NULL;
}

static void dtls_client_random(const struct cw_dtls_session *s, uint8_t out[CW_DTLS_RANDOM_BYTES])
{
	SSL_get_client_random(s->ssl, out, CW_DTLS_RANDOM_BYTES);
}

static int dtls_exporter(struct cw_dtls_session *s, const char *label, uint8_t *out, size_t len)
{
	if (s->status != CW_DTLS_ESTABLISHED ||
	    SSL_export_keying_material(s->ssl, out, len, label, strlen(label), NULL, 0, 0) != 1)
		return -ENOTCONN;
	return 0;
}

static void dtls_move(struct cw_dtls_session *s, const struct cw_endpoint *to)
{
	s->io->to = *to;
}

static const char *dtls_recheck(const struct cw_dtls_session *s)
{
	return cw_dtls_trust_objection(s->engine, SSL_get0_peer_certificate(s->ssl));
}

static void dtls_close(struct cw_dtls_session *s)
{
	if (s == NULL)
		return;
	if (s->status == CW_DTLS_ESTABLISHED)
		SSL_shutdown(s->ssl);
	ERR_clear_error();
	SSL_free(s->ssl);
	OPENSSL_free(s);
}

const struct cw_dtls_ops cw_dtls_openssl_ops = {
	.accept = dtls_accept,
	.connect = dtls_connect,
	.input = dtls_input,
	.write = dtls_write,
	.probe = dtls_probe,
	.overhead_bytes = dtls_overhead_bytes,
	.timer = dtls_timer,
	.status = dtls_status,
	.reason = dtls_reason,
	.peer = dtls_peer,
	.client_random = dtls_client_random,
	.exporter = dtls_exporter,
	.move = dtls_move,
	.data_bytes_max = dtls_data_bytes_max,
	.recheck = dtls_recheck,
	.close = dtls_close,
};
