/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DTLS_H
#define CW_DTLS_H

/**
 * @file
 * The ops table of a DTLS engine, as lib/link needs it. Sans I/O: datagrams in, datagrams out.
 *
 * drivers/dtls implements it over OpenSSL (DTLS 1.2, mutual X.509, stateless cookie, ECDHE + AEAD
 * suites only, Extended Master Secret required); the simulator puts a stand-in with the same
 * flights in its place, since libssl reads the wall clock itself. All calls [control].
 */
#include <cw_identity.h>

struct cw_dtls;		/* one engine: certificate, key, CA, listener, cookie secret */
struct cw_dtls_session; /* one association, client or server side */

enum cw_dtls_status {
	CW_DTLS_HANDSHAKE,   /* in progress */
	CW_DTLS_ESTABLISHED, /* mutual authentication done; exporter and peer identity are valid */
	CW_DTLS_CLOSED,	     /* close_notify came */
	CW_DTLS_FAILED,	     /* see reason */
};

/** One datagram (one DTLS flight record group) to @p to. Called from inside the verbs below. */
typedef void (*cw_dtls_send_fn)(void *ctx, const struct cw_endpoint *to, const void *data,
				size_t len);

/** Application data in the largest datagram that is ever sent: an Ethernet's. */
#define CW_DTLS_PROBE_BYTES_MAX 1500u

/** Of a ClientHello (RFC 5246 section 7.4.1.2). */
#define CW_DTLS_RANDOM_BYTES 32u

struct cw_dtls_ops {
	/**
	 * A datagram from an endpoint without an association. Answers cookies statelessly.
	 * @return NULL: nothing to keep. Else a server session whose ClientHello carried a good
	 *cookie; the caller owns it.
	 */
	struct cw_dtls_session *(*accept)(struct cw_dtls *engine, const struct cw_endpoint *from,
					  const uint8_t *data, size_t len, uint64_t now_ns);
	/** Begin a client association. @return session owned by the caller, or NULL (no memory). */
	struct cw_dtls_session *(*connect)(struct cw_dtls *engine, const struct cw_endpoint *to,
					   uint64_t now_ns);
	/**
	 * A datagram for this session. Application data that it held is handed out one record a
	 * call:
	 * @return bytes put into @p out, 0 when none is left (call with data = NULL for further
	 * ones).
	 */
	size_t (*input)(struct cw_dtls_session *s, const uint8_t *data, size_t len, uint8_t *out,
			size_t out_size, uint64_t now_ns);
	/** Seal one record of application data and send it. @return 0, -EMSGSIZE, -ENOTCONN. */
	int (*write)(struct cw_dtls_session *s, const void *data, size_t len);
	/** The same with up to CW_DTLS_PROBE_BYTES_MAX, whatever the path takes: to find that out.
	 */
	int (*probe)(struct cw_dtls_session *s, const void *data, size_t len);
	/** How much longer a datagram is than the application data in it; valid when ESTABLISHED.
	 */
	size_t (*overhead_bytes)(const struct cw_dtls_session *s);
	/** Retransmit if due. @return next deadline or CW_NEVER. */
	uint64_t (*timer)(struct cw_dtls_session *s, uint64_t now_ns);
	enum cw_dtls_status (*status)(const struct cw_dtls_session *s);
	/** Why it failed, one phrase for the log and the counter; "" if it did not. */
	const char *(*reason)(const struct cw_dtls_session *s);
	/** Identity of the peer's verified certificate; NULL before ESTABLISHED. Lives as long as
	 * the session. */
	const struct cw_identity *(*peer)(const struct cw_dtls_session *s);
	/** Of a client session: the random of its ClientHello. */
	void (*client_random)(const struct cw_dtls_session *s, uint8_t out[CW_DTLS_RANDOM_BYTES]);
	/** RFC 5705. @return 0 or -ENOTCONN. */
	int (*exporter)(struct cw_dtls_session *s, const char *label, uint8_t *out, size_t len);
	/** Later datagrams go there (the path moved). */
	void (*move)(struct cw_dtls_session *s, const struct cw_endpoint *to);
	/** Largest application record in a datagram that fits every path of use. */
	size_t (*data_bytes_max)(const struct cw_dtls_session *s);
	/** Look at the peer's certificate again, under what the engine trusts now. @return NULL, or
	 * why not. May be NULL: never objects. */
	const char *(*recheck)(const struct cw_dtls_session *s);
	/** Send close_notify if established, zero the keys, free. */
	void (*close)(struct cw_dtls_session *s);
};

/** HMAC-based derivation for SA keys; pure. HKDF-Expand-SHA256 (RFC 5869). @return 0 or -EINVAL. */
struct cw_kdf_ops {
	int (*hkdf_expand)(const uint8_t prk[32], const uint8_t *info, size_t info_len,
			   uint8_t *out, size_t len);
	/** Overwrite secrets so that no compiler drops it. */
	void (*cleanse)(void *data, size_t len);
};

#endif /* CW_DTLS_H */
