/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection's life: SYN (we answer with our own), the question, the answer, FIN of either side.
 *
 * What we have sent and not heard of is kept (SYN, one answer, FIN) and repeated by a timer that
 * doubles; after RETRIES_MAX the connection is forgotten. What comes out of order is not kept: the
 * acknowledgement says where we are, the host sends it again. A reset is believed only at exactly
 * the next octet (RFC 9293 section 3.10.7.4); an acknowledgement of what we never sent is answered
 * and ignored.
 *
 * Invariants: rcv_nxt + the window we offer never exceeds the buffer; snd_nxt - una is what `out`
 * holds, plus SYN or FIN.
 */
#include "cw_dns_tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cw_ip4.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

#define HEADER_BYTES 20u
#define MSS_LEAST    536u  /* RFC 9293 section 3.7.1: without the option */
#define MSS_OURS     1220u /* what any path of the virtual network carries */
#define LENGTH_BYTES 2u
#define RETRY_NS     (UINT64_C(500) * CW_NS_PER_MS)
#define RETRIES_MAX  5u
/* RFC 7766 section 6.2.3: a few seconds; a resolver that wants more connects again. */
#define IDLE_NS (UINT64_C(8) * CW_NS_PER_S)

enum state { FREE, SYN_RECEIVED, OPEN, CLOSING };

struct connection {
	enum state state;
	uint32_t generation; /* of this place */
	struct cw_dns_tcp_peer peer;
	rte_be32_t service_ip;
	uint32_t una, nxt, rcv; /* oldest not acknowledged, next to send, next to come */
	uint16_t window, mss;	/* the peer's */
	bool asked;		/* a question is out to be answered */
	bool peer_done, fin_sent;
	unsigned int retries;
	uint64_t retry_ns, wait_ns, used_ns;
	size_t in_len, out_len;
	uint8_t in[LENGTH_BYTES + CW_DNS_TCP_QUERY_BYTES];
	uint8_t out[LENGTH_BYTES + CW_DNS_TCP_ANSWER_BYTES];
};

struct cw_dns_tcp {
	struct cw_dns_tcp_ops ops;
	void *ctx;
	struct cw_random_ops random;
	unsigned int count;
	struct connection connection[CW_DNS_TCP_MAX];
};

struct segment {
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window, mss;
	const uint8_t *data;
	size_t len;
};

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put32(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 24);
	at[1] = (uint8_t)(v >> 16);
	at[2] = (uint8_t)(v >> 8);
	at[3] = (uint8_t)v;
}

int cw_dns_tcp_create(struct cw_dns_tcp **out, const struct cw_dns_tcp_ops *ops, void *ctx,
		      const struct cw_random_ops *random)
{
	struct cw_dns_tcp *tcp = calloc(1, sizeof(*tcp));

	if (tcp == NULL)
		return -ENOMEM;
	tcp->ops = *ops;
	tcp->ctx = ctx;
	tcp->random = *random;
	*out = tcp;
	return 0;
}

void cw_dns_tcp_destroy(struct cw_dns_tcp *tcp)
{
	free(tcp);
}

/* -- segments */

/* @return false when malformed or its checksum is wrong. */
static bool parse(const struct cw_dns_tcp_peer *from, rte_be32_t service_ip, const uint8_t *data,
		  size_t len, struct segment *out)
{
	size_t header, at = HEADER_BYTES;

	if (len < HEADER_BYTES || len > UINT16_MAX)
		return false;
	header = (size_t)(data[12] >> 4) * 4;
	if (header < HEADER_BYTES || header > len ||
	    cw_checksum_fold(cw_checksum_add(
		    cw_ip4_pseudo_sum(from->ip, service_ip, CW_IP_PROTO_TCP, (uint16_t)len), data,
		    len)) != 0)
		return false;
	*out = (struct segment){.seq = get32(data + 4),
				.ack = get32(data + 8),
				.flags = data[13],
				.window = (uint16_t)(data[14] << 8 | data[15]),
				.mss = MSS_LEAST,
				.data = data + header,
				.len = len - header};
	while (at < header && data[at] != 0) {
		if (data[at] == 1) {
			at++;
			continue;
		}
		if (at + 1 >= header || data[at + 1] < 2 || at + data[at + 1] > header)
			return false;
		if (data[at] == 2 && data[at + 1] == 4)
			out->mss = (uint16_t)(data[at + 2] << 8 | data[at + 3]);
		at += data[at + 1];
	}
	return true;
}

static void send(struct cw_dns_tcp *tcp, const struct cw_dns_tcp_peer *to, rte_be32_t service_ip,
		 uint8_t flags, uint32_t seq, uint32_t ack, uint16_t window, const uint8_t *data,
		 size_t len)
{
	uint8_t out[HEADER_BYTES + 4 + MSS_OURS] = {0};
	size_t header = flags & SYN ? HEADER_BYTES + 4 : HEADER_BYTES;
	uint16_t checksum;

	out[1] = CW_DNS_PORT;
	memcpy(out + 2, &to->port, 2);
	put32(out + 4, seq);
	put32(out + 8, flags & ACK ? ack : 0);
	out[12] = (uint8_t)(header / 4 << 4);
	out[13] = flags;
	out[14] = (uint8_t)(window >> 8);
	out[15] = (uint8_t)window;
	if (flags & SYN) {
		out[20] = 2;
		out[21] = 4;
		out[22] = MSS_OURS >> 8;
		out[23] = MSS_OURS & 255;
	}
	if (len > 0)
		memcpy(out + header, data, len);
	checksum = cw_checksum_fold(cw_checksum_add(
		cw_ip4_pseudo_sum(service_ip, to->ip, CW_IP_PROTO_TCP, (uint16_t)(header + len)),
		out, header + len));
	memcpy(out + 16, &checksum, 2);
	tcp->ops.send(tcp->ctx, to, out, header + len);
}

static void send_flags(struct cw_dns_tcp *tcp, const struct connection *c, uint8_t flags,
		       uint32_t seq)
{
	send(tcp, &c->peer, c->service_ip, flags, seq, c->rcv,
	     (uint16_t)(sizeof(c->in) - c->in_len), NULL, 0);
}

/* What is no connection of ours: RFC 9293 section 3.10.7.1. */
static void reset(struct cw_dns_tcp *tcp, const struct cw_dns_tcp_peer *to, rte_be32_t service_ip,
		  const struct segment *s)
{
	uint32_t next = s->seq + (uint32_t)s->len + !!(s->flags & SYN) + !!(s->flags & FIN);

	if (s->flags & RST)
		return;
	if (s->flags & ACK)
		send(tcp, to, service_ip, RST, s->ack, 0, 0, NULL, 0);
	else
		send(tcp, to, service_ip, RST | ACK, 0, next, 0, NULL, 0);
}

/* -- connections */

static cw_dns_tcp_id id_of(const struct cw_dns_tcp *tcp, const struct connection *c)
{
	return c->generation << 8 | (uint32_t)(c - tcp->connection);
}

static void forget(struct cw_dns_tcp *tcp, struct connection *c)
{
	c->state = FREE;
	tcp->count--;
}

static struct connection *find(struct cw_dns_tcp *tcp, const struct cw_dns_tcp_peer *from)
{
	for (unsigned int i = 0; i < CW_DNS_TCP_MAX && tcp->count > 0; i++) {
		struct connection *c = &tcp->connection[i];

		if (c->state != FREE && c->peer.ip == from->ip && c->peer.port == from->port)
			return c;
	}
	return NULL;
}

/* What was sent stays sent, even if the peer's window shrank since. */
static void sent_up_to(struct connection *c, uint32_t seq)
{
	if ((int32_t)(seq - c->nxt) > 0)
		c->nxt = seq;
}

/* Sends from `una` on, as far as the peer's window goes; again after a while if need be. */
static void push(struct cw_dns_tcp *tcp, struct connection *c, uint64_t now_ns)
{
	size_t window = c->window < c->out_len ? c->window : c->out_len, at = 0;

	if (c->state == SYN_RECEIVED) {
		send_flags(tcp, c, SYN | ACK, c->una);
		sent_up_to(c, c->una + 1);
	} else {
		while (at < window) {
			size_t n = window - at < c->mss ? window - at : c->mss;

			send(tcp, &c->peer, c->service_ip, ACK | PSH, c->una + (uint32_t)at, c->rcv,
			     (uint16_t)(sizeof(c->in) - c->in_len), c->out + at, n);
			at += n;
		}
		sent_up_to(c, c->una + (uint32_t)at);
		if (c->state == CLOSING && at == c->out_len) {
			send_flags(tcp, c, FIN | ACK, c->una + (uint32_t)at);
			sent_up_to(c, c->una + (uint32_t)at + 1);
			c->fin_sent = true;
		}
	}
	c->retry_ns = now_ns + c->wait_ns;
}

static void begin(struct cw_dns_tcp *tcp, const struct cw_dns_tcp_peer *from, rte_be32_t service_ip,
		  const struct segment *s, uint64_t now_ns)
{
	uint32_t iss = (uint32_t)cw_random_u64(&tcp->random);
	struct connection *c = NULL;
	unsigned int of_host = 0;

	for (unsigned int i = 0; i < CW_DNS_TCP_MAX; i++) {
		struct connection *x = &tcp->connection[i];

		if (x->state == FREE)
			c = c == NULL ? x : c;
		else
			of_host += x->peer.ip == from->ip;
	}
	/* Full: silence, and it tries again. */
	if (c == NULL || of_host >= CW_DNS_TCP_PER_HOST_MAX)
		return;
	tcp->count++;
	*c = (struct connection){.state = SYN_RECEIVED,
				 .generation = (c->generation + 1) & 0xffffff,
				 .peer = *from,
				 .service_ip = service_ip,
				 .una = iss,
				 .nxt = iss,
				 .rcv = s->seq + 1,
				 .window = s->window,
				 .mss = s->mss < MSS_OURS ? s->mss : MSS_OURS,
				 .wait_ns = RETRY_NS,
				 .used_ns = now_ns};
	c->mss = c->mss < 64 ? 64 : c->mss;
	c->generation += c->generation == 0;
	push(tcp, c, now_ns);
}

/* The next whole question, when the one before is answered and on its way. */
static void serve(struct cw_dns_tcp *tcp, struct connection *c, uint64_t now_ns)
{
	uint8_t query[CW_DNS_TCP_QUERY_BYTES];
	size_t len = (size_t)(c->in[0] << 8 | c->in[1]);

	if (c->state != OPEN || c->asked || c->out_len > 0)
		return;
	if (c->in_len < LENGTH_BYTES || c->in_len - LENGTH_BYTES < len) {
		if (c->peer_done || (c->in_len >= LENGTH_BYTES && len > sizeof(query))) {
			c->state = CLOSING;
			push(tcp, c, now_ns);
		}
		return;
	}
	memcpy(query, c->in + LENGTH_BYTES, len);
	c->in_len -= LENGTH_BYTES + len;
	memmove(c->in, c->in + LENGTH_BYTES + len, c->in_len);
	c->asked = true;
	tcp->ops.query(tcp->ctx, &c->peer, id_of(tcp, c), query, len);
}

void cw_dns_tcp_answer(struct cw_dns_tcp *tcp, cw_dns_tcp_id id, const uint8_t *answer, size_t len,
		       uint64_t now_ns)
{
	struct connection *c = &tcp->connection[id % CW_DNS_TCP_MAX];

	if (id == 0 || c->state == FREE || id_of(tcp, c) != id || !c->asked ||
	    len > CW_DNS_TCP_ANSWER_BYTES)
		return;
	c->asked = false;
	c->out[0] = (uint8_t)(len >> 8);
	c->out[1] = (uint8_t)len;
	memcpy(c->out + LENGTH_BYTES, answer, len);
	c->out_len = LENGTH_BYTES + len;
	c->used_ns = now_ns;
	push(tcp, c, now_ns);
}

/* @return false when the connection is over. */
static bool take_ack(struct cw_dns_tcp *tcp, struct connection *c, const struct segment *s,
		     uint64_t now_ns)
{
	uint32_t acked = s->ack - c->una, data;

	if (acked > c->nxt - c->una) {
		/* Of what we never sent, or an old one (RFC 5961 section 5). */
		if (c->state == SYN_RECEIVED)
			send(tcp, &c->peer, c->service_ip, RST, s->ack, 0, 0, NULL, 0);
		return true;
	}
	c->window = s->window;
	if (acked == 0)
		return true;
	c->retries = 0;
	c->wait_ns = RETRY_NS;
	c->una = s->ack;
	if (c->state == SYN_RECEIVED) {
		c->state = OPEN;
		return true;
	}
	data = acked < c->out_len ? acked : (uint32_t)c->out_len;
	c->out_len -= data;
	memmove(c->out, c->out + data, c->out_len);
	if (c->fin_sent && acked > data)
		return false; /* both directions are done, or the peer does not matter any more */
	if (c->out_len > 0)
		push(tcp, c, now_ns);
	return true;
}

static void take_data(struct cw_dns_tcp *tcp, struct connection *c, const struct segment *s)
{
	size_t room = sizeof(c->in) - c->in_len, n = s->len < room ? s->len : room;

	if (s->seq != c->rcv) {
		if (s->len > 0 || (s->flags & FIN))
			send_flags(tcp, c, ACK, c->nxt); /* where we are */
		return;
	}
	memcpy(c->in + c->in_len, s->data, n);
	c->in_len += n;
	c->rcv += (uint32_t)n;
	if ((s->flags & FIN) && n == s->len) {
		c->rcv++;
		c->peer_done = true;
	}
	if (s->len > 0 || (s->flags & FIN))
		send_flags(tcp, c, ACK, c->nxt);
}

void cw_dns_tcp_input(struct cw_dns_tcp *tcp, const struct cw_dns_tcp_peer *from,
		      rte_be32_t service_ip, const uint8_t *segment, size_t len, uint64_t now_ns)
{
	struct connection *c;
	struct segment s;

	if (!parse(from, service_ip, segment, len, &s))
		return;
	c = find(tcp, from);
	if (c == NULL) {
		if ((s.flags & (SYN | ACK | RST | FIN)) == SYN)
			begin(tcp, from, service_ip, &s, now_ns);
		else
			reset(tcp, from, service_ip, &s);
		return;
	}
	if (s.flags & RST) {
		if (s.seq == c->rcv)
			forget(tcp, c);
		return;
	}
	if (s.flags & SYN) {
		/* The same again: our answer was lost. Another one: where we are (RFC 5961 4). */
		if (c->state == SYN_RECEIVED && s.seq + 1 == c->rcv)
			push(tcp, c, now_ns);
		else
			send_flags(tcp, c, ACK, c->nxt);
		return;
	}
	if (!(s.flags & ACK))
		return;
	c->used_ns = now_ns;
	if (!take_ack(tcp, c, &s, now_ns)) {
		forget(tcp, c);
		return;
	}
	if (c->state == SYN_RECEIVED)
		return;
	take_data(tcp, c, &s);
	serve(tcp, c, now_ns);
}

uint64_t cw_dns_tcp_timer(struct cw_dns_tcp *tcp, uint64_t now_ns)
{
	uint64_t next = CW_NEVER;

	for (unsigned int i = 0; i < CW_DNS_TCP_MAX && tcp->count > 0; i++) {
		struct connection *c = &tcp->connection[i];
		bool waits = c->state == SYN_RECEIVED || c->state == CLOSING || c->out_len > 0;

		if (c->state == FREE)
			continue;
		if (waits && now_ns >= c->retry_ns) {
			if (++c->retries > RETRIES_MAX) {
				forget(tcp, c);
				continue;
			}
			c->wait_ns *= 2;
			push(tcp, c, now_ns);
		} else if (!waits && now_ns >= c->used_ns + IDLE_NS) {
			c->state = CLOSING;
			push(tcp, c, now_ns);
			waits = true;
		}
		next = cw_min_u64(next, waits ? c->retry_ns : c->used_ns + IDLE_NS);
	}
	return next;
}

unsigned int cw_dns_tcp_count(const struct cw_dns_tcp *tcp)
{
	return tcp->count;
}
