/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_TUNNEL_H
#define CW_TUNNEL_H

/**
 * @file
 * ESP in UDP around inner IPv4 packets: encap and seal, open and decap, in place in mbufs. [worker]
 *
 * RFC 4303 tunnel mode with ESN, AES-GCM (RFC 4106) or ChaCha20-Poly1305 (RFC 7634) with 16-byte
 * ICV, RFC 3948 encapsulation. The
 * caller fills a burst of jobs packet by packet and has the engine work on all of them at once.
 */
#include <rte_mbuf.h>

#include <cw_drop.h>
#include <cw_eth.h>
#include <cw_ip4.h>
#include <cw_sa.h>
#include <cw_udp.h>

/** Bytes that encap puts in front of an inner packet (over a relay those of the channel too), and
 * at most behind it. */
#define CW_TUNNEL_HEAD_BYTES (CW_OUTER_BYTES + 16u)
#define CW_TUNNEL_TAIL_BYTES (3u + CW_ESP_TRAILER_BYTES + CW_ESP_ICV_BYTES)

/* Encap and open are inlined into the loops over a burst: the calls cost as much as the headers. */

static inline void cw_tunnel_fill_job(struct cw_crypto_job *job, const void *session, uint8_t suite,
				      const uint8_t salt[4], rte_be32_t spi, rte_be64_t seq)
{
	job->session = session;
	job->suite = suite;
	memcpy(job->nonce, salt, 4);
	memcpy(job->nonce + 4, &seq, 8);
	/* SPI, then the whole extended sequence number: its big-endian bytes are high and low half
	 * in order. */
	memcpy(job->aad, &spi, 4);
	memcpy(job->aad + 4, &seq, 8);
}

/* The ready outer headers, with what differs per packet: DSCP and ECN are the inner ones, beside
 * the same version and header length. Writes up to 6 bytes behind them, where the ESP header comes
 * next. */
static inline void cw_tunnel_write_outer(uint8_t *outer, const struct cw_peer *peer,
					 const uint8_t *inner, unsigned int udp_bytes)
{
	rte_be16_t total = cw_cpu_to_be_16((uint16_t)(CW_IP4_BYTES + udp_bytes));
	rte_be16_t udp = cw_cpu_to_be_16((uint16_t)udp_bytes);
	uint8_t *ip = outer + CW_ETH_BYTES;
	uint16_t word, checksum;

	memcpy(&word, inner, sizeof(word));
	memcpy(outer, peer->outer, 48);
	memcpy(ip, &word, sizeof(word));
	memcpy(ip + 2, &total, 2);
	checksum = cw_checksum_fold(peer->outer_sum + (word & rte_cpu_to_be_16(0x00ff)) + total);
	memcpy(ip + 10, &checksum, 2);
	memcpy(ip + CW_IP4_BYTES + 4, &udp, 2);
}

_Static_assert(offsetof(struct cw_peer, outer) + 48 <= sizeof(struct cw_peer) &&
		       CW_TUNNEL_HEAD_BYTES >= 48,
	       "48 bytes are copied where 42 or 46 are meant");

/** Padding, its length and the next header as one word, for each length of padding (RFC 4303
 * section 2.4); what is written behind them the ICV replaces. */
static inline uint64_t cw_tunnel_trailer(unsigned int pad)
{
	static const uint8_t trailers[4][8] = {{0, CW_ESP_NEXT_IP4},
					       {1, 1, CW_ESP_NEXT_IP4},
					       {1, 2, 2, CW_ESP_NEXT_IP4},
					       {1, 2, 3, 3, CW_ESP_NEXT_IP4}};
	uint64_t word;

	memcpy(&word, trailers[pad], sizeof(word));
	return word;
}

/**
 * Put outer headers, ESP header and trailer around the inner packet that fills the mbuf's data from
 * @p skip bytes on (its Ethernet header goes).
 *
 * @param job out: ready for the engine's seal
 * @return NONE; NO_SA (no next hop any more), SA_EXPIRED, TOO_BIG (no room in the mbuf)
 */
static inline enum cw_drop cw_tunnel_encap(struct rte_mbuf *m, unsigned int skip,
					   const struct cw_peer *peer, struct cw_sa_out *sa,
					   struct cw_crypto_job *job)
{
	unsigned int inner = m->data_len - skip, pad = cw_esp_padding(inner);
	unsigned int start = m->data_off + skip, sealed = inner + pad + CW_ESP_TRAILER_BYTES;
	unsigned int head = CW_TUNNEL_HEAD_BYTES + peer->channel_bytes;
	uint8_t *ip = (uint8_t *)m->buf_addr + start;
	uint64_t trailer = cw_tunnel_trailer(pad), seq = sa->seq + 1;
	rte_be64_t iv = rte_cpu_to_be_64(seq);
	rte_be32_t seq_lo = (rte_be32_t)(iv >> 32);

	if (CW_UNLIKELY(peer->state == CW_PEER_NO_HOP))
		return CW_DROP_NO_SA;
	if (CW_UNLIKELY(seq > CW_SA_PACKETS_MAX))
		return CW_DROP_SA_EXPIRED;
	if (CW_UNLIKELY(start < head || start + inner + CW_TUNNEL_TAIL_BYTES > m->buf_len))
		return CW_DROP_TOO_BIG;
	cw_count(&sa->seq, 1);
	cw_count(&sa->bytes, inner);
	memcpy(ip + inner, &trailer, sizeof(trailer));
	cw_tunnel_write_outer(ip - head, peer, ip,
			      CW_UDP_BYTES + peer->channel_bytes + 16 + sealed + CW_ESP_ICV_BYTES);
	if (CW_UNLIKELY(peer->channel_bytes != 0)) {
		rte_be16_t bytes = cw_cpu_to_be_16((uint16_t)(16 + sealed + CW_ESP_ICV_BYTES));

		memcpy(ip - 16 - 2, &bytes, sizeof(bytes));
	}
	memcpy(ip - 16, &sa->spi_be, 4);
	memcpy(ip - 12, &seq_lo, 4);
	memcpy(ip - 8, &iv, 8);
	job->data = ip;
	job->len = sealed;
	job->icv = ip + sealed;
	cw_tunnel_fill_job(job, sa->session, sa->suite, sa->salt, sa->spi_be, iv);
	m->data_off = (uint16_t)(start - head);
	m->data_len = (uint16_t)(head + sealed + CW_ESP_ICV_BYTES);
	m->pkt_len = m->data_len;
	return CW_DROP_NONE;
}

_Static_assert(RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN,
	       "the low half of a sequence number in network order is the upper half of its word");

/**
 * Prepare opening: data starts at the ESP header (UDP payload). The replay window is checked, not
 * yet moved.
 * @return NONE, ESP_MALFORMED, ESP_REPLAY
 */
static inline enum cw_drop cw_tunnel_open_begin(struct rte_mbuf *m, const struct cw_sa_in *sa,
						uint64_t *seq, struct cw_crypto_job *job)
{
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
	struct cw_esp_header esp;
	enum cw_drop why = cw_esp_parse(data, m->data_len, &esp);

	if (CW_UNLIKELY(why != CW_DROP_NONE))
		return why;
	*seq = cw_esp_seq(rte_be_to_cpu_32(esp.seq_lo), sa->replay.highest, CW_REPLAY_BITS);
	if (CW_UNLIKELY(!cw_replay_check(&sa->replay, *seq)))
		return CW_DROP_ESP_REPLAY;
	job->data = data + sizeof(esp);
	job->len = m->data_len - (uint32_t)sizeof(esp) - CW_ESP_ICV_BYTES;
	job->icv = data + m->data_len - CW_ESP_ICV_BYTES;
	cw_tunnel_fill_job(job, sa->session, sa->suite, sa->salt, esp.spi, rte_cpu_to_be_64(*seq));
	/* The nonce is what the packet says (RFC 4106 section 3.1); other senders need not use the
	 * sequence number. */
	memcpy(job->nonce + 4, &esp.iv, 8);
	return CW_DROP_NONE;
}

/** RFC 6040 section 4.2: congestion marked outside goes inside. @return NONE, or ECN where the
 * inner packet cannot carry it. */
enum cw_drop cw_tunnel_carry_congestion(uint8_t *ip, struct cw_ip4_header *copy);

#define CW_TUNNEL_ECN_MASK 3
#define CW_TUNNEL_ECN_CE   3

/**
 * Take trailer and padding off an opened packet of IPv4, all of them checked at once where they are
 * as cw_tunnel_encap writes them.
 * @param inner out: bytes of the inner packet
 * @return NONE, ESP_PADDING
 */
static inline enum cw_drop cw_tunnel_trim(const uint8_t *data, unsigned int len,
					  unsigned int *inner)
{
	uint32_t word, pad;
	enum cw_drop why;
	uint8_t next;

	/* Four bytes lie within one block that the engine has just written, eight would wait for
	 * two stores of it. */
	if (CW_LIKELY(len >= sizeof(word))) {
		memcpy(&word, data + len - sizeof(word), sizeof(word));
		pad = word >> 16 & 0xff;
		*inner = len - CW_ESP_TRAILER_BYTES - pad;
		if (CW_LIKELY(pad < 3 &&
			      word >> (16 - 8 * pad) == (uint32_t)cw_tunnel_trailer(pad)))
			return CW_DROP_NONE;
	}
	why = cw_esp_trim(data, len, &next, inner);
	if (why == CW_DROP_NONE && next != CW_ESP_NEXT_IP4)
		why = CW_DROP_ESP_PADDING;
	return why;
}

/**
 * After the engine: check the verdict, move the window, strip ESP and trailer; data is then the
 * inner packet.
 *
 * @param outer_tos of the outer header: ECN goes in by RFC 6040
 * @param ip out: the inner header as it now stands in the packet
 * @return NONE, ESP_AUTH, ESP_REPLAY (twice in one burst), ESP_PADDING, IP_*, ECN
 */
static inline enum cw_drop cw_tunnel_open_end(struct rte_mbuf *m, struct cw_sa_in *sa, uint64_t seq,
					      uint8_t outer_tos, const struct cw_crypto_job *job,
					      struct cw_ip4_header *ip)
{
	unsigned int inner, total;
	enum cw_drop why;

	if (CW_UNLIKELY(!job->ok))
		return CW_DROP_ESP_AUTH;
	if (CW_UNLIKELY(!cw_replay_accept(&sa->replay, seq)))
		return CW_DROP_ESP_REPLAY;
	why = cw_tunnel_trim(job->data, job->len, &inner);
	if (CW_UNLIKELY(why != CW_DROP_NONE))
		return why;
	why = cw_ip4_parse_header(job->data, inner, ip);
	if (CW_UNLIKELY(why != CW_DROP_NONE))
		return why;
	total = cw_be_to_cpu_16(ip->total_bytes);
	m->data_off = (uint16_t)(m->data_off + sizeof(struct cw_esp_header));
	m->data_len = (uint16_t)total;
	m->pkt_len = total;
	cw_count(&sa->packets, 1);
	cw_count(&sa->bytes, total);
	if (CW_LIKELY((outer_tos & CW_TUNNEL_ECN_MASK) != CW_TUNNEL_ECN_CE))
		return CW_DROP_NONE;
	return cw_tunnel_carry_congestion(job->data, ip);
}

#endif /* CW_TUNNEL_H */
