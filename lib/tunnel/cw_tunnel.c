/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet's clothes: what goes around an inner packet before it is sealed and comes off after it
 * was opened.
 *
 * Nothing is copied but headers; the inner packet stays where the port put it. The explicit IV is
 * the 64-bit sequence number, so a nonce is used twice only if a sequence number is, and that
 * counter belongs to one worker.
 *
 * Refuses: a sequence number beyond CW_SA_PACKETS_MAX, packets without room for trailer and ICV,
 * anything the replay window has seen. Invariant: the window moves only after the ICV was right.
 */
#include "cw_tunnel.h"

#include <cw_eth.h>
#include <cw_ip4.h>
#include <cw_udp.h>

#define ECN_MASK 3
#define ECN_CE	 3

static void fill_job(struct cw_crypto_job *job, const void *session, const uint8_t salt[4],
		     uint32_t spi, uint64_t seq)
{
	rte_be64_t iv = rte_cpu_to_be_64(seq);
	rte_be32_t spi_be = rte_cpu_to_be_32(spi);

	job->session = session;
	memcpy(job->nonce, salt, 4);
	memcpy(job->nonce + 4, &iv, 8);
	/* SPI, then the whole extended sequence number: its big-endian bytes are high and low half
	 * in order. */
	memcpy(job->aad, &spi_be, 4);
	memcpy(job->aad + 4, &iv, 8);
}

static void write_outer(uint8_t *outer, const struct cw_peer *peer, uint8_t tos, uint16_t udp_bytes)
{
	rte_be16_t total = rte_cpu_to_be_16((uint16_t)(CW_IP4_BYTES + udp_bytes));
	rte_be16_t udp = rte_cpu_to_be_16(udp_bytes);
	uint8_t *ip = outer + CW_ETH_BYTES;
	uint8_t tos_word[2] = {0, tos};
	uint16_t word, checksum;

	memcpy(outer, peer->outer, CW_OUTER_BYTES);
	ip[1] = tos;
	memcpy(ip + 2, &total, 2);
	memcpy(&word, tos_word, 2);
	checksum = cw_checksum_fold(peer->outer_sum + word + total);
	memcpy(ip + 10, &checksum, 2);
	memcpy(ip + CW_IP4_BYTES + 4, &udp, 2);
}

enum cw_drop cw_tunnel_encap(struct rte_mbuf *m, const struct cw_peer *peer, struct cw_sa_out *sa,
			     struct cw_crypto_job *job)
{
	unsigned int inner = m->data_len, pad = cw_esp_padding(inner);
	uint8_t tos = rte_pktmbuf_mtod_offset(m, const uint8_t *, 1)[0];
	struct cw_esp_header esp;
	uint8_t *tail, *head;
	uint64_t seq;

	if (CW_UNLIKELY(!peer->have_next_hop))
		return CW_DROP_NO_SA;
	if (CW_UNLIKELY(sa->seq >= CW_SA_PACKETS_MAX))
		return CW_DROP_SA_EXPIRED;
	tail = (uint8_t *)rte_pktmbuf_append(
		m, (uint16_t)(pad + CW_ESP_TRAILER_BYTES + CW_ESP_ICV_BYTES));
	if (CW_UNLIKELY(tail == NULL))
		return CW_DROP_TOO_BIG;
	head = (uint8_t *)rte_pktmbuf_prepend(m, CW_TUNNEL_HEAD_BYTES);
	if (CW_UNLIKELY(head == NULL))
		return CW_DROP_TOO_BIG;
	for (unsigned int i = 0; i < pad; i++)
		*tail++ = (uint8_t)(i + 1);
	*tail++ = (uint8_t)pad;
	*tail++ = CW_ESP_NEXT_IP4;

	seq = sa->seq + 1;
	cw_count(&sa->seq, 1);
	cw_count(&sa->packets, 1);
	cw_count(&sa->bytes, inner);
	esp = (struct cw_esp_header){.spi = rte_cpu_to_be_32(sa->spi),
				     .seq_lo = rte_cpu_to_be_32((uint32_t)seq),
				     .iv = rte_cpu_to_be_64(seq)};
	memcpy(head + CW_OUTER_BYTES, &esp, sizeof(esp));
	write_outer(head, peer, tos, (uint16_t)(CW_UDP_BYTES + cw_esp_bytes(inner)));
	job->data = head + CW_TUNNEL_HEAD_BYTES;
	job->len = inner + pad + CW_ESP_TRAILER_BYTES;
	job->icv = tail;
	fill_job(job, sa->session, sa->salt, sa->spi, seq);
	return CW_DROP_NONE;
}

enum cw_drop cw_tunnel_open_begin(struct rte_mbuf *m, struct cw_sa_in *sa, uint64_t *seq,
				  struct cw_crypto_job *job)
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
	fill_job(job, sa->session, sa->salt, sa->spi, *seq);
	/* The nonce is what the packet says (RFC 4106 section 3.1); other senders need not use the
	 * sequence number. */
	memcpy(job->nonce + 4, &esp.iv, 8);
	return CW_DROP_NONE;
}

/* RFC 6040 section 4.2: congestion marked outside goes inside; what cannot carry it is dropped. */
static enum cw_drop carry_ecn(uint8_t *ip, uint8_t outer_tos)
{
	uint16_t from, to, checksum;

	if (CW_LIKELY((outer_tos & ECN_MASK) != ECN_CE || (ip[1] & ECN_MASK) == ECN_CE))
		return CW_DROP_NONE;
	if ((ip[1] & ECN_MASK) == 0)
		return CW_DROP_ECN;
	memcpy(&from, ip, 2);
	ip[1] |= ECN_CE;
	memcpy(&to, ip, 2);
	memcpy(&checksum, ip + 10, 2);
	checksum = cw_checksum_update16(checksum, from, to);
	memcpy(ip + 10, &checksum, 2);
	return CW_DROP_NONE;
}

enum cw_drop cw_tunnel_open_end(struct rte_mbuf *m, struct cw_sa_in *sa, uint64_t seq,
				uint8_t outer_tos, const struct cw_crypto_job *job)
{
	struct cw_ip4_header ip;
	unsigned int inner, total;
	enum cw_drop why;
	uint8_t next;

	if (CW_UNLIKELY(!job->ok))
		return CW_DROP_ESP_AUTH;
	if (CW_UNLIKELY(!cw_replay_check(&sa->replay, seq)))
		return CW_DROP_ESP_REPLAY;
	cw_replay_update(&sa->replay, seq);
	why = cw_esp_trim(job->data, job->len, &next, &inner);
	if (CW_UNLIKELY(why != CW_DROP_NONE))
		return why;
	if (CW_UNLIKELY(next != CW_ESP_NEXT_IP4))
		return CW_DROP_ESP_PADDING;
	why = cw_ip4_parse_header(job->data, inner, &ip);
	if (CW_UNLIKELY(why != CW_DROP_NONE))
		return why;
	total = rte_be_to_cpu_16(ip.total_bytes);
	m->data_off = (uint16_t)(m->data_off + sizeof(struct cw_esp_header));
	m->data_len = (uint16_t)total;
	m->pkt_len = total;
	cw_count(&sa->packets, 1);
	cw_count(&sa->bytes, total);
	return carry_ecn(job->data, outer_tos);
}
