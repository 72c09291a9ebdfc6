/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS over TCP as a state machine: the input is a script of segments, answers and pauses; checksums
 * are made right so that the script gets past them, sequence numbers are relative to the server's.
 */
#include <string.h>

#include <cw_dns_tcp.h>
#include <cw_ip4.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct cw_dns_tcp *tcp;
	uint32_t seq, ack;
	cw_dns_tcp_id id;
};

static const rte_be32_t us = 0x0100800a;

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void on_send(void *ctx, const struct cw_dns_tcp_peer *to, const uint8_t *segment, size_t len)
{
	struct world *w = ctx;

	CW_ASSERT(len >= 20 && len <= 1400);
	CW_ASSERT(cw_checksum_fold(cw_checksum_add(
			  cw_ip4_pseudo_sum(us, to->ip, CW_IP_PROTO_TCP, (uint16_t)len), segment,
			  len)) == 0);
	w->seq = get32(segment + 4);
	w->ack = get32(segment + 8);
}

static void on_query(void *ctx, const struct cw_dns_tcp_peer *from, cw_dns_tcp_id id,
		     const uint8_t *query, size_t len)
{
	struct world *w = ctx;

	(void)from;
	(void)query;
	CW_ASSERT(len <= CW_DNS_TCP_QUERY_BYTES);
	w->id = id;
}

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 0x7f, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cw_dns_tcp_ops ops = {.send = on_send, .query = on_query};
	static const struct cw_random_ops random = {.fill = fill};
	struct world w = {0};
	uint64_t now_ns = 1;

	CW_ASSERT(cw_dns_tcp_create(&w.tcp, &ops, &w, &random) == 0);
	/* verb, flags, seq and ack as small differences, length, content */
	while (size >= 5) {
		struct cw_dns_tcp_peer from = {.ip = (uint32_t)(data[0] >> 4) + 1, .port = 7};
		size_t len = data[4] < size - 5 ? data[4] : size - 5;
		uint8_t s[300] = {0};
		uint32_t seq = w.ack + (uint32_t)(int8_t)data[2],
			 ack = w.seq + (uint32_t)(int8_t)data[3];
		uint16_t sum;

		switch (data[0] & 3) {
		case 0:
			now_ns += (uint64_t)data[1] * CW_NS_PER_MS * 20;
			cw_dns_tcp_timer(w.tcp, now_ns);
			break;
		case 1:
			cw_dns_tcp_answer(w.tcp, w.id, data + 5, len, now_ns);
			break;
		default:
			s[1] = 7;
			s[3] = 53;
			for (unsigned int i = 0; i < 4; i++) {
				s[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
				s[8 + i] = (uint8_t)(ack >> (24 - 8 * i));
			}
			s[12] = data[0] & 1 ? 0x50 : (uint8_t)(data[3] & 0xf0);
			s[13] = data[1];
			s[14] = data[2];
			memcpy(s + 20, data + 5, len);
			sum = cw_checksum_fold(
				cw_checksum_add(cw_ip4_pseudo_sum(from.ip, us, CW_IP_PROTO_TCP,
								  (uint16_t)(20 + len)),
						s, 20 + len));
			memcpy(s + 16, &sum, 2);
			cw_dns_tcp_input(w.tcp, &from, us, s, 20 + len, now_ns);
		}
		CW_ASSERT(cw_dns_tcp_count(w.tcp) <= CW_DNS_TCP_MAX);
		data += 5 + len;
		size -= 5 + len;
	}
	cw_dns_tcp_destroy(w.tcp);
	return 0;
}
