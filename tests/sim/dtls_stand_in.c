/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stand-in handshake (RFC 6347 section 4.2.4's flights):
 *
 *   client                                server
 *   1 ClientHello               ->
 *                               <-        2 HelloVerifyRequest (cookie; nothing is kept)
 *   3 ClientHello, cookie       ->
 *                               <-        4 ServerHello, Certificate, ... Done
 *   5 Certificate, ... Finished ->
 *                               <-        6 ChangeCipherSpec, Finished
 *
 * A flight is one datagram, or two of them where certificates make it long: losing either loses the
 * flight. Retransmission by timer, 1 s doubling to 60 s as in OpenSSL, at most 12 times; the server
 * repeats flight 6 when flight 5 comes again. Records are protected by a tag that only the two ends
 * can make; a record that does not verify, or was seen before, is dropped silently. Plaintext
 * alerts are ignored, as drivers/dtls does.
 */
#include "dtls_stand_in.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>

#include "sim.h"

enum {
	RECORD_ALERT = 21,
	RECORD_HANDSHAKE = 22,
	RECORD_APPLICATION = 23,
	HEADER_BYTES = 13,
	NONCE_BYTES = 8,
	TAG_BYTES = 16,
	OVERHEAD_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES,
	DATAGRAM_MAX = 1400,
	RETRANSMISSIONS_MAX = 12,
	/* What a certificate with its chain and a signature add to a flight. */
	CERTIFICATE_BYTES = 900,
};

enum message {
	HELLO = 1,
	SERVER_HELLO = 2,
	VERIFY = 3,
	SERVER_MORE = 11,
	FINISH = 16,
	FINISHED = 20
};

struct cw_dtls {
	struct dtls_stand_in_params params;
	struct cw_identity self;
	uint64_t cookie_secret;
};

/* A handshake datagram's body; on the wire behind the record header, then padding. */
struct flight {
	uint8_t message, with_cookie, part, parts;
	uint8_t unused[10]; /* so that the random stands where a ClientHello has it */
	uint64_t client_random;
	uint8_t more[24]; /* of the random: zeros */
	uint64_t server_random, cookie;
	struct cw_node_id node;
	char name[24], site[24];
} CW_PACKED;

struct cw_dtls_session {
	struct cw_dtls *engine;
	struct cw_endpoint to;
	bool client;
	enum cw_dtls_status status;
	uint64_t client_random, server_random, cookie;
	bool have_cookie, have_server[2], have_finish[2];
	struct cw_identity peer;
	uint64_t retry_ns, wait_ns;
	unsigned int retries;
	/* records */
	uint64_t write_seq, read_highest, read_window;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t state = a * UINT64_C(0x9E3779B97F4A7C15) ^ b;

	return sim_random(&state);
}

static uint64_t mix_bytes(uint64_t h, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len-- > 0)
		h = (h ^ *at++) * UINT64_C(0x100000001b3);
	return mix(h, len);
}

static uint64_t master_of(const struct cw_dtls_session *s)
{
	return mix(mix(s->client_random, s->server_random), UINT64_C(0x6d6173746572));
}

static void set_identity(struct cw_identity *id, const struct cw_node_id *node, const char *name,
			 const char *site)
{
	*id = (struct cw_identity){.node = *node, .roles = CW_ROLE_GATEWAY, .namespace_count = 1};
	snprintf(id->name, sizeof(id->name), "%.23s", name);
	snprintf(id->site, sizeof(id->site), "%.23s", site);
	snprintf(id->namespaces[0], sizeof(id->namespaces[0]), "demo");
	id->not_after_unix_s = UINT32_MAX;
}

struct cw_dtls *dtls_stand_in_create(const struct dtls_stand_in_params *params)
{
	struct cw_dtls *e = calloc(1, sizeof(*e));

	CW_ASSERT(e != NULL);
	e->params = *params;
	set_identity(&e->self, &params->node, params->name, params->site);
	e->cookie_secret = cw_random_u64(&params->random);
	return e;
}

void dtls_stand_in_destroy(struct cw_dtls *engine)
{
	free(engine);
}

const struct cw_identity *dtls_stand_in_self(const struct cw_dtls *engine)
{
	return &engine->self;
}

/* -- datagrams */

static size_t put_header(uint8_t *out, uint8_t type, uint16_t epoch, uint64_t seq, size_t len)
{
	out[0] = type;
	out[1] = 0xfe;
	out[2] = 0xfd;
	out[3] = (uint8_t)(epoch >> 8);
	out[4] = (uint8_t)epoch;
	for (unsigned int i = 0; i < 6; i++)
		out[5 + i] = (uint8_t)(seq >> 8 * (5 - i));
	out[11] = (uint8_t)(len >> 8);
	out[12] = (uint8_t)len;
	return HEADER_BYTES;
}

static void send_flight(struct cw_dtls *e, const struct cw_endpoint *to, struct flight f)
{
	uint8_t datagram[DATAGRAM_MAX] = {0};
	size_t body = sizeof(f) + (f.parts > 1 ? CERTIFICATE_BYTES : 60);

	f.node = e->self.node;
	memcpy(f.name, e->self.name, sizeof(f.name) - 1);
	memcpy(f.site, e->self.site, sizeof(f.site) - 1);
	for (f.part = 0; f.part < f.parts; f.part++) {
		put_header(datagram, RECORD_HANDSHAKE, 0, f.part, body);
		memcpy(datagram + HEADER_BYTES, &f, sizeof(f));
		e->params.send(e->params.send_ctx, to, datagram, HEADER_BYTES + body);
	}
}

/* What the session says at this point of the handshake. */
static void say(struct cw_dtls_session *s)
{
	struct flight f = {.parts = 1,
			   .client_random = s->client_random,
			   .server_random = s->server_random,
			   .cookie = s->cookie,
			   .with_cookie = s->have_cookie};

	if (s->client && !(s->have_server[0] && s->have_server[1])) {
		f.message = HELLO;
	} else if (s->client) {
		f.message = FINISH;
		f.parts = 2;
	} else if (s->status == CW_DTLS_HANDSHAKE) {
		f.message = SERVER_HELLO;
		f.parts = 2;
	} else {
		f.message = FINISHED;
	}
	send_flight(s->engine, &s->to, f);
}

static void say_and_wait(struct cw_dtls_session *s, uint64_t now_ns)
{
	s->retries = 0;
	s->wait_ns = CW_NS_PER_S;
	s->retry_ns = now_ns + s->wait_ns;
	say(s);
}

static bool take_flight(const uint8_t *data, size_t len, struct flight *f)
{
	if (len < HEADER_BYTES + sizeof(*f) || data[0] != RECORD_HANDSHAKE)
		return false;
	memcpy(f, data + HEADER_BYTES, sizeof(*f));
	f->name[sizeof(f->name) - 1] = f->site[sizeof(f->site) - 1] = '\0';
	return f->part < 2;
}

static struct cw_dtls_session *session_new(struct cw_dtls *e, const struct cw_endpoint *to)
{
	struct cw_dtls_session *s = calloc(1, sizeof(*s));

	CW_ASSERT(s != NULL);
	s->engine = e;
	s->to = *to;
	s->status = CW_DTLS_HANDSHAKE;
	s->retry_ns = CW_NEVER;
	return s;
}

static uint64_t cookie_of(const struct cw_dtls *e, const struct cw_endpoint *from)
{
	uint64_t h = mix_bytes(e->cookie_secret, &from->port, sizeof(from->port));

	if (from->family == CW_FAMILY_IPV4)
		return mix_bytes(h, &from->ip4, sizeof(from->ip4));
	return mix_bytes(h + from->family, from->ip6, sizeof(from->ip6));
}

static struct cw_dtls_session *stand_in_accept(struct cw_dtls *e, const struct cw_endpoint *from,
					       const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct cw_dtls_session *s;
	struct flight f;

	if (!take_flight(data, len, &f) || f.message != HELLO)
		return NULL;
	if (!f.with_cookie || f.cookie != cookie_of(e, from)) {
		struct flight verify = {.message = VERIFY,
					.parts = 1,
					.client_random = f.client_random,
					.cookie = cookie_of(e, from)};

		send_flight(e, from, verify);
		return NULL;
	}
	s = session_new(e, from);
	s->client_random = f.client_random;
	s->server_random = cw_random_u64(&e->params.random);
	say_and_wait(s, now_ns);
	return s;
}

static struct cw_dtls_session *stand_in_connect(struct cw_dtls *e, const struct cw_endpoint *to,
						uint64_t now_ns)
{
	struct cw_dtls_session *s = session_new(e, to);

	s->client = true;
	s->client_random = cw_random_u64(&e->params.random);
	say_and_wait(s, now_ns);
	return s;
}

static void establish(struct cw_dtls_session *s, const struct flight *f)
{
	if (s->client == false)
		set_identity(&s->peer, &f->node, f->name, f->site);
	s->status = CW_DTLS_ESTABLISHED;
	s->retry_ns = CW_NEVER;
}

static void client_flight(struct cw_dtls_session *s, const struct flight *f, uint64_t now_ns)
{
	if (s->status != CW_DTLS_HANDSHAKE || f->client_random != s->client_random)
		return;
	if (f->message == VERIFY && !s->have_cookie) {
		s->have_cookie = true;
		s->cookie = f->cookie;
		say_and_wait(s, now_ns);
	} else if (f->message == SERVER_HELLO && s->have_cookie) {
		bool had = s->have_server[0] && s->have_server[1];

		if (s->server_random != f->server_random)
			s->have_server[0] = s->have_server[1] = false;
		s->server_random = f->server_random;
		s->have_server[f->part] = true;
		set_identity(&s->peer, &f->node, f->name, f->site);
		if (!had && s->have_server[0] && s->have_server[1])
			say_and_wait(s, now_ns);
	} else if (f->message == FINISHED && f->server_random == s->server_random) {
		establish(s, f);
	}
}

static void server_flight(struct cw_dtls_session *s, const struct flight *f)
{
	if (f->client_random != s->client_random)
		return;
	if (f->message == HELLO) {
		if (s->status == CW_DTLS_HANDSHAKE)
			say(s);
	} else if (f->message == FINISH && f->server_random == s->server_random) {
		bool again = s->status == CW_DTLS_ESTABLISHED;

		s->have_finish[f->part] = true;
		if (!again && s->have_finish[0] && s->have_finish[1])
			establish(s, f);
		if (s->status == CW_DTLS_ESTABLISHED && (!again || f->part == 1))
			say(s);
	}
}

/* -- records */

static void make_tag(const struct cw_dtls_session *s, bool from_client, uint8_t type, uint64_t seq,
		     const void *data, size_t len, uint8_t tag[TAG_BYTES])
{
	uint64_t h = mix(master_of(s), (uint64_t)from_client << 8 | type);

	h = mix_bytes(mix(h, seq), data, len);
	memcpy(tag, &h, sizeof(h));
	h = mix(h, len);
	memcpy(tag + 8, &h, sizeof(h));
}

static void send_record(struct cw_dtls_session *s, uint8_t type, const void *data, size_t len)
{
	uint8_t datagram[CW_DTLS_PROBE_BYTES_MAX + OVERHEAD_BYTES] = {0};
	size_t at = put_header(datagram, type, 1, s->write_seq, NONCE_BYTES + len + TAG_BYTES);

	at += NONCE_BYTES;
	memcpy(datagram + at, data, len);
	make_tag(s, s->client, type, s->write_seq, data, len, datagram + at + len);
	s->write_seq++;
	s->engine->params.send(s->engine->params.send_ctx, &s->to, datagram, at + len + TAG_BYTES);
}

/* @return false when this number was seen, or is too old to tell. */
static bool fresh(struct cw_dtls_session *s, uint64_t seq)
{
	uint64_t n = seq + 1; /* 0: none seen */

	if (n > s->read_highest) {
		uint64_t by = n - s->read_highest;

		s->read_window = by >= 64 ? 0 : s->read_window << by;
		s->read_window |= 1;
		s->read_highest = n;
		return true;
	}
	if (s->read_highest - n >= 64 || s->read_window >> (s->read_highest - n) & 1)
		return false;
	s->read_window |= UINT64_C(1) << (s->read_highest - n);
	return true;
}

static size_t open_record(struct cw_dtls_session *s, const uint8_t *data, size_t len, uint8_t *out,
			  size_t out_size)
{
	const uint8_t *body = data + HEADER_BYTES + NONCE_BYTES;
	uint8_t tag[TAG_BYTES];
	uint64_t seq = 0;
	size_t bytes;

	if (len < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || data[4] != 1)
		return 0;
	bytes = len - HEADER_BYTES - NONCE_BYTES - TAG_BYTES;
	for (unsigned int i = 0; i < 6; i++)
		seq = seq << 8 | data[5 + i];
	make_tag(s, !s->client, data[0], seq, body, bytes, tag);
	if (memcmp(tag, body + bytes, sizeof(tag)) != 0 || !fresh(s, seq) || bytes > out_size)
		return 0;
	if (data[0] == RECORD_ALERT) {
		s->status = CW_DTLS_CLOSED;
		return 0;
	}
	memcpy(out, body, bytes);
	return bytes;
}

static size_t stand_in_input(struct cw_dtls_session *s, const uint8_t *data, size_t len,
			     uint8_t *out, size_t out_size, uint64_t now_ns)
{
	struct flight f;

	if (data == NULL)
		return 0;
	if (take_flight(data, len, &f)) {
		if (s->client)
			client_flight(s, &f, now_ns);
		else
			server_flight(s, &f);
		return 0;
	}
	return s->status == CW_DTLS_ESTABLISHED ? open_record(s, data, len, out, out_size) : 0;
}

static size_t stand_in_data_bytes_max(const struct cw_dtls_session *s)
{
	(void)s;
	return DATAGRAM_MAX - OVERHEAD_BYTES;
}

static int stand_in_write(struct cw_dtls_session *s, const void *data, size_t len)
{
	if (s->status != CW_DTLS_ESTABLISHED)
		return -ENOTCONN;
	if (len == 0 || len > stand_in_data_bytes_max(s))
		return -EMSGSIZE;
	send_record(s, RECORD_APPLICATION, data, len);
	return 0;
}

static int stand_in_probe(struct cw_dtls_session *s, const void *data, size_t len)
{
	if (s->status != CW_DTLS_ESTABLISHED)
		return -ENOTCONN;
	if (len == 0 || len > CW_DTLS_PROBE_BYTES_MAX)
		return -EMSGSIZE;
	send_record(s, RECORD_APPLICATION, data, len);
	return 0;
}

static size_t stand_in_overhead_bytes(const struct cw_dtls_session *s)
{
	(void)s;
	return OVERHEAD_BYTES;
}

static uint64_t stand_in_timer(struct cw_dtls_session *s, uint64_t now_ns)
{
	if (s->status != CW_DTLS_HANDSHAKE)
		return CW_NEVER;
	if (now_ns >= s->retry_ns) {
		if (s->retries++ == RETRANSMISSIONS_MAX) {
			s->status = CW_DTLS_FAILED;
			return CW_NEVER;
		}
		s->wait_ns = cw_min_u64(s->wait_ns * 2, 60 * CW_NS_PER_S);
		s->retry_ns = now_ns + s->wait_ns;
		say(s);
	}
	return s->retry_ns;
}

static enum cw_dtls_status stand_in_status(const struct cw_dtls_session *s)
{
	return s->status;
}

static const char *stand_in_reason(const struct cw_dtls_session *s)
{
	return s->status == CW_DTLS_FAILED ? "handshake timed out" : "";
}

static const struct cw_identity *stand_in_peer(const struct cw_dtls_session *s)
{
	return s->status == CW_DTLS_ESTABLISHED ? &s->peer : NULL;
}

static void stand_in_client_random(const struct cw_dtls_session *s,
				   uint8_t out[CW_DTLS_RANDOM_BYTES])
{
	/* What hello_in of lib/link reads at a ClientHello's place. */
	struct flight f = {.client_random = s->client_random};

	memset(out, 0, CW_DTLS_RANDOM_BYTES);
	memcpy(out, &f.client_random, sizeof(f.client_random));
}

static int stand_in_exporter(struct cw_dtls_session *s, const char *label, uint8_t *out, size_t len)
{
	uint64_t h = mix_bytes(master_of(s), label, strlen(label));

	if (s->status != CW_DTLS_ESTABLISHED)
		return -ENOTCONN;
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)sim_random(&h);
	return 0;
}

static void stand_in_move(struct cw_dtls_session *s, const struct cw_endpoint *to)
{
	s->to = *to;
}

static void stand_in_close(struct cw_dtls_session *s)
{
	static const uint8_t close_notify[2] = {1, 0};

	if (s == NULL)
		return;
	if (s->status == CW_DTLS_ESTABLISHED)
		send_record(s, RECORD_ALERT, close_notify, sizeof(close_notify));
	free(s);
}

const struct cw_dtls_ops dtls_stand_in_ops = {
	.accept = stand_in_accept,
	.connect = stand_in_connect,
	.input = stand_in_input,
	.write = stand_in_write,
	.probe = stand_in_probe,
	.overhead_bytes = stand_in_overhead_bytes,
	.timer = stand_in_timer,
	.status = stand_in_status,
	.reason = stand_in_reason,
	.peer = stand_in_peer,
	.client_random = stand_in_client_random,
	.exporter = stand_in_exporter,
	.move = stand_in_move,
	.data_bytes_max = stand_in_data_bytes_max,
	.close = stand_in_close,
};

static int hkdf_expand(const uint8_t prk[32], const uint8_t *info, size_t info_len, uint8_t *out,
		       size_t len)
{
	uint64_t h = mix_bytes(mix_bytes(len, prk, 32), info, info_len);

	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)sim_random(&h);
	return 0;
}

static void cleanse(void *data, size_t len)
{
	memset(data, 0, len);
}

const struct cw_kdf_ops dtls_stand_in_kdf = {.hkdf_expand = hkdf_expand, .cleanse = cleanse};
