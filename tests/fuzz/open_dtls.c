/* SPDX-License-Identifier: BSD-3-Clause */
/* See open_dtls.h. A datagram of type 22 is a handshake that succeeds at once, 23 a record as it
 * stands, 21 an alert. */
#include "open_dtls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cw_dtls_session {
	enum cw_dtls_status status;
	struct cw_identity peer;
};

static struct cw_dtls_session *session(const struct cw_endpoint *at, enum cw_dtls_status status)
{
	struct cw_dtls_session *s = calloc(1, sizeof(*s));

	CW_ASSERT(s != NULL);
	s->status = status;
	s->peer.node.b[0] = (uint8_t)(at->ip4 % OPEN_DTLS_NODES);
	return s;
}

static struct cw_dtls_session *dtls_accept(struct cw_dtls *engine, const struct cw_endpoint *from,
					   const uint8_t *data, size_t len, uint64_t now_ns)
{
	(void)engine;
	(void)now_ns;
	return len > 1 && data[0] == 22 ? session(from, CW_DTLS_ESTABLISHED) : NULL;
}

static struct cw_dtls_session *dtls_connect(struct cw_dtls *engine, const struct cw_endpoint *to,
					    uint64_t now_ns)
{
	(void)engine;
	(void)now_ns;
	return session(to, CW_DTLS_HANDSHAKE);
}

static size_t dtls_input(struct cw_dtls_session *s, const uint8_t *data, size_t len, uint8_t *out,
			 size_t out_size, uint64_t now_ns)
{
	(void)now_ns;
	if (data == NULL || len < 2)
		return 0;
	if (data[0] == 22 && s->status == CW_DTLS_HANDSHAKE)
		s->status = CW_DTLS_ESTABLISHED;
	if (data[0] == 21)
		s->status = data[1] & 1 ? CW_DTLS_CLOSED : CW_DTLS_FAILED;
	if (data[0] != 23 || s->status != CW_DTLS_ESTABLISHED || len - 1 > out_size)
		return 0;
	memcpy(out, data + 1, len - 1);
	return len - 1;
}

static int dtls_write(struct cw_dtls_session *s, const void *data, size_t len)
{
	(void)data;
	return s->status != CW_DTLS_ESTABLISHED ? -ENOTCONN : len > 1300 ? -EMSGSIZE : 0;
}

static int dtls_probe(struct cw_dtls_session *s, const void *data, size_t len)
{
	(void)data;
	CW_ASSERT(len <= CW_DTLS_PROBE_BYTES_MAX);
	return s->status != CW_DTLS_ESTABLISHED ? -ENOTCONN : 0;
}

static size_t dtls_overhead_bytes(const struct cw_dtls_session *s)
{
	(void)s;
	return 37;
}

static uint64_t dtls_timer(struct cw_dtls_session *s, uint64_t now_ns)
{
	(void)s;
	(void)now_ns;
	return CW_NEVER;
}

static enum cw_dtls_status dtls_status(const struct cw_dtls_session *s)
{
	return s->status;
}

static const char *dtls_reason(const struct cw_dtls_session *s)
{
	return s->status == CW_DTLS_FAILED ? "as the input says" : "";
}

static const struct cw_identity *dtls_peer(const struct cw_dtls_session *s)
{
	return s->status == CW_DTLS_ESTABLISHED ? &s->peer : NULL;
}

static void dtls_client_random(const struct cw_dtls_session *s, uint8_t out[CW_DTLS_RANDOM_BYTES])
{
	(void)s;
	memset(out, 5, CW_DTLS_RANDOM_BYTES);
}

static int dtls_exporter(struct cw_dtls_session *s, const char *label, uint8_t *out, size_t len)
{
	(void)s;
	(void)label;
	memset(out, 3, len);
	return 0;
}

static void dtls_move(struct cw_dtls_session *s, const struct cw_endpoint *to)
{
	(void)s;
	(void)to;
}

static size_t dtls_data_bytes_max(const struct cw_dtls_session *s)
{
	(void)s;
	return 1300;
}

static void dtls_close(struct cw_dtls_session *s)
{
	free(s);
}

const struct cw_dtls_ops open_dtls = {.accept = dtls_accept,
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
				      .close = dtls_close};

static int hkdf_expand(const uint8_t prk[32], const uint8_t *info, size_t info_len, uint8_t *out,
		       size_t len)
{
	(void)info;
	(void)info_len;
	memset(out, prk[0], len);
	return 0;
}

static void cleanse(void *data, size_t len)
{
	memset(data, 0, len);
}

const struct cw_kdf_ops open_kdf = {hkdf_expand, cleanse};
