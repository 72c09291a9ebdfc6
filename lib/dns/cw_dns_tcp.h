/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DNS_TCP_H
#define CW_DNS_TCP_H

/**
 * @file
 * DNS over TCP (RFC 7766) at the service address: the little of TCP (RFC 9293) that a server of
 * short questions and short answers needs. Sans I/O, [control].
 *
 * For answers that were too long for UDP. Segments come in order or are asked for again; there is
 * no congestion control (an answer is one or two segments), no urgent data, no options but MSS.
 * Connections are bounded per host and in all, questions in length; a connection that does nothing
 * for a while is ended. Only hosts that passed the guard come this far.
 */
#include <cw_dns.h>
#include <cw_ops.h>
#include <cw_types.h>

struct cw_dns_tcp;

/** Connections at once, and of one host. */
#define CW_DNS_TCP_MAX		256u
#define CW_DNS_TCP_PER_HOST_MAX 8u
/** A question and an answer, without the two octets of length before them. */
#define CW_DNS_TCP_QUERY_BYTES	512u
#define CW_DNS_TCP_ANSWER_BYTES 1500u

/** The other end, and how frames get to it. */
struct cw_dns_tcp_peer {
	struct cw_mac mac;
	uint16_t vlan;
	rte_be32_t ip;
	rte_be16_t port;
};

/** Names a connection; 0 is none. Another connection in the same place has another name. */
typedef uint32_t cw_dns_tcp_id;

struct cw_dns_tcp_ops {
	/** A segment (TCP header and data, checksum set) to the peer. */
	void (*send)(void *ctx, const struct cw_dns_tcp_peer *to, const uint8_t *segment,
		     size_t len);
	/** A whole question. cw_dns_tcp_answer follows, perhaps from inside; until then no other of
	 * this connection comes. */
	void (*query)(void *ctx, const struct cw_dns_tcp_peer *from, cw_dns_tcp_id id,
		      const uint8_t *query, size_t len);
};

CW_MUST_USE int cw_dns_tcp_create(struct cw_dns_tcp **out, const struct cw_dns_tcp_ops *ops,
				  void *ctx, const struct cw_random_ops *random);
void cw_dns_tcp_destroy(struct cw_dns_tcp *tcp);

/** A segment from a host to port 53 of @p service_ip: TCP header and what follows. */
void cw_dns_tcp_input(struct cw_dns_tcp *tcp, const struct cw_dns_tcp_peer *from,
		      rte_be32_t service_ip, const uint8_t *segment, size_t len, uint64_t now_ns);
/** The answer to a question; a connection that is gone does not care. */
void cw_dns_tcp_answer(struct cw_dns_tcp *tcp, cw_dns_tcp_id id, const uint8_t *answer, size_t len,
		       uint64_t now_ns);
/** Repeats what was not acknowledged, ends what idles. @return next deadline. */
uint64_t cw_dns_tcp_timer(struct cw_dns_tcp *tcp, uint64_t now_ns);
unsigned int cw_dns_tcp_count(const struct cw_dns_tcp *tcp);

#endif /* CW_DNS_TCP_H */
