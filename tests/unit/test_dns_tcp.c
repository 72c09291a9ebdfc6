/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS over TCP: a connection from SYN to FIN, what is lost is sent again, what is wrong is not
 * believed, bounds. */
#include <string.h>

#include <cw_dns_tcp.h>
#include <cw_ip4.h>

#include "cw_test.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

struct world {
	struct cw_dns_tcp *tcp;
	uint64_t now_ns;
	/* what it sent last, and how much */
	unsigned int segments;
	uint8_t flags;
	uint32_t seq, ack;
	uint8_t data[2000];
	size_t data_len;
	/* the last question */
	unsigned int queries;
	cw_dns_tcp_id id;
	uint8_t query[600];
	size_t query_len;
};

static const struct cw_dns_tcp_peer peer = {.ip = 0x0500800a, .port = 0x1234};
static const rte_be32_t us = 0x0100800a;

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void on_send(void *ctx, const struct cw_dns_tcp_peer *to, const uint8_t *segment, size_t len)
{
	struct world *w = ctx;
	size_t header = (size_t)(segment[12] >> 4) * 4;

	CU_ASSERT_EQUAL(cw_checksum_fold(cw_checksum_add(
				cw_ip4_pseudo_sum(us, to->ip, CW_IP_PROTO_TCP, (uint16_t)len),
				segment, len)),
			0);
	w->segments++;
	w->seq = get32(segment + 4);
	w->ack = get32(segment + 8);
	w->flags = segment[13];
	w->data_len = len - header;
	memcpy(w->data, segment + header, w->data_len);
}

static void on_query(void *ctx, const struct cw_dns_tcp_peer *from, cw_dns_tcp_id id,
		     const uint8_t *query, size_t len)
{
	struct world *w = ctx;

	(void)from;
	w->queries++;
	w->id = id;
	w->query_len = len;
	memcpy(w->query, query, len);
}

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 0xff, len); /* sequence numbers that wrap at once */
}

static void open_world(struct world *w)
{
	static const struct cw_dns_tcp_ops ops = {.send = on_send, .query = on_query};
	static const struct cw_random_ops random = {.fill = fill};

	memset(w, 0, sizeof(*w));
	w->now_ns = 1;
	CU_ASSERT_EQUAL_FATAL(cw_dns_tcp_create(&w->tcp, &ops, w, &random), 0);
}

static void say(struct world *w, const struct cw_dns_tcp_peer *from, uint8_t flags, uint32_t seq,
		uint32_t ack, const void *data, size_t len)
{
	uint8_t s[700] = {0};
	uint16_t sum;

	memcpy(s, &from->port, 2);
	s[3] = 53;
	for (unsigned int i = 0; i < 4; i++) {
		s[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
		s[8 + i] = (uint8_t)(ack >> (24 - 8 * i));
	}
	s[12] = 0x50;
	s[13] = flags;
	s[14] = 0x40;
	if (len > 0)
		memcpy(s + 20, data, len);
	sum = cw_checksum_fold(cw_checksum_add(
		cw_ip4_pseudo_sum(from->ip, us, CW_IP_PROTO_TCP, (uint16_t)(20 + len)), s,
		20 + len));
	memcpy(s + 16, &sum, 2);
	cw_dns_tcp_input(w->tcp, from, us, s, 20 + len, w->now_ns);
}

/* @return our next sequence number at the server: what it acknowledges. */
static uint32_t connect_to(struct world *w)
{
	say(w, &peer, SYN, 1000, 0, NULL, 0);
	CU_ASSERT_EQUAL(w->flags, SYN | ACK);
	CU_ASSERT_EQUAL(w->ack, 1001);
	say(w, &peer, ACK, 1001, w->seq + 1, NULL, 0);
	CU_ASSERT_EQUAL(cw_dns_tcp_count(w->tcp), 1);
	return w->seq + 1;
}

static void test_a_question_and_its_answer(void)
{
	static const uint8_t asked[] = "\0\5hello", answer[] = "good day";
	struct world w;
	uint32_t theirs;

	open_world(&w);
	theirs = connect_to(&w);
	say(&w, &peer, ACK | PSH, 1001, theirs, asked, 7);
	CU_ASSERT_EQUAL(w.queries, 1);
	CU_ASSERT_EQUAL(w.query_len, 5);
	CU_ASSERT_EQUAL(memcmp(w.query, "hello", 5), 0);
	CU_ASSERT_EQUAL(w.ack, 1008);
	cw_dns_tcp_answer(w.tcp, w.id, answer, 8, w.now_ns);
	CU_ASSERT_EQUAL(w.data_len, 10);
	CU_ASSERT_EQUAL(memcmp(w.data, "\0\10good day", 10), 0);
	CU_ASSERT_EQUAL(w.seq, theirs);
	/* The host is done: our FIN, its last word. */
	say(&w, &peer, ACK | FIN, 1008, theirs + 10, NULL, 0);
	CU_ASSERT_EQUAL(w.flags, FIN | ACK);
	CU_ASSERT_EQUAL(w.ack, 1009);
	say(&w, &peer, ACK, 1009, theirs + 11, NULL, 0);
	CU_ASSERT_EQUAL(cw_dns_tcp_count(w.tcp), 0);
	cw_dns_tcp_destroy(w.tcp);
}

static void test_questions_come_in_pieces_and_in_a_row(void)
{
	static const uint8_t both[] = "\0\3one\0\3two";
	struct world w;
	uint32_t theirs;

	open_world(&w);
	theirs = connect_to(&w);
	for (uint32_t i = 0; i < 10; i++)
		say(&w, &peer, ACK, 1001 + i, theirs, both + i, 1);
	CU_ASSERT_EQUAL(w.queries, 1); /* the second waits for the first one's answer */
	cw_dns_tcp_answer(w.tcp, w.id, (const uint8_t *)"1", 1, w.now_ns);
	say(&w, &peer, ACK, 1011, theirs + 3, NULL, 0);
	CU_ASSERT_EQUAL(w.queries, 2);
	CU_ASSERT_EQUAL(memcmp(w.query, "two", 3), 0);
	/* Out of order, twice the same, beyond: only where we are comes back. */
	w.queries = 0;
	say(&w, &peer, ACK, 1005, theirs + 3, both, 5);
	say(&w, &peer, ACK, 1100, theirs + 3, both, 5);
	CU_ASSERT_EQUAL(w.ack, 1011);
	CU_ASSERT_EQUAL(w.queries, 0);
	cw_dns_tcp_destroy(w.tcp);
}

static void test_what_is_lost_is_sent_again(void)
{
	struct world w;
	uint32_t theirs;
	unsigned int before;

	open_world(&w);
	say(&w, &peer, SYN, 1000, 0, NULL, 0);
	before = w.segments;
	w.now_ns += CW_NS_PER_S;
	cw_dns_tcp_timer(w.tcp, w.now_ns);
	CU_ASSERT_EQUAL(w.segments, before + 1);
	CU_ASSERT_EQUAL(w.flags, SYN | ACK);
	theirs = w.seq + 1;
	say(&w, &peer, ACK | PSH, 1001, theirs, "\0\1x", 3);
	cw_dns_tcp_answer(w.tcp, w.id, (const uint8_t *)"answer", 6, w.now_ns);
	for (unsigned int i = 0; i < 3; i++) {
		w.data_len = 0;
		w.now_ns += 10 * CW_NS_PER_S;
		cw_dns_tcp_timer(w.tcp, w.now_ns);
		CU_ASSERT_EQUAL(w.data_len, 8);
		CU_ASSERT_EQUAL(w.seq, theirs);
	}
	/* Half of it arrived. */
	say(&w, &peer, ACK, 1004, theirs + 4, NULL, 0);
	CU_ASSERT_EQUAL(w.data_len, 4);
	CU_ASSERT_EQUAL(memcmp(w.data, "swer", 4), 0);
	CU_ASSERT_EQUAL(w.seq, theirs + 4);
	/* Nobody there: forgotten. */
	for (unsigned int i = 0; i < 10; i++) {
		w.now_ns += 60 * CW_NS_PER_S;
		cw_dns_tcp_timer(w.tcp, w.now_ns);
	}
	CU_ASSERT_EQUAL(cw_dns_tcp_count(w.tcp), 0);
	cw_dns_tcp_destroy(w.tcp);
}

static void test_what_is_wrong_is_not_believed(void)
{
	struct world w;
	uint32_t theirs;
	uint8_t bent[20] = {0};

	open_world(&w);
	/* No connection: reset, but never in answer to a reset. */
	say(&w, &peer, ACK, 5, 77, NULL, 0);
	CU_ASSERT_EQUAL(w.flags, RST);
	CU_ASSERT_EQUAL(w.seq, 77);
	w.segments = 0;
	say(&w, &peer, RST, 5, 77, NULL, 0);
	cw_dns_tcp_input(w.tcp, &peer, us, bent, sizeof(bent), 1);
	cw_dns_tcp_input(w.tcp, &peer, us, bent, 7, 1);
	CU_ASSERT_EQUAL(w.segments, 0);
	theirs = connect_to(&w);
	say(&w, &peer, ACK, 1001, theirs + 5000, NULL, 0); /* of what was never sent */
	say(&w, &peer, RST, 1500, theirs, NULL, 0);	   /* in the window is not enough */
	say(&w, &peer, SYN, 9, 0, NULL, 0);
	CU_ASSERT_EQUAL(w.flags, ACK);
	CU_ASSERT_EQUAL(cw_dns_tcp_count(w.tcp), 1);
	/* An answer to a connection that was here before. */
	cw_dns_tcp_answer(w.tcp, 0x777700, (const uint8_t *)"x", 1, 1);
	say(&w, &peer, RST, 1001, theirs, NULL, 0);
	CU_ASSERT_EQUAL(cw_dns_tcp_count(w.tcp), 0);
	/* A question longer than any: the connection ends. */
	theirs = connect_to(&w);
	say(&w, &peer, ACK, 1001, theirs, "\x40\0", 2);
	CU_ASSERT_EQUAL(w.flags, FIN | ACK);
	CU_ASSERT_EQUAL(w.queries, 0);
	cw_dns_tcp_destroy(w.tcp);
}

static void test_connections_are_bounded_and_end(void)
{
	struct cw_dns_tcp_peer p = peer;
	struct world w;

	open_world(&w);
	for (uint16_t i = 0; i < 100; i++) {
		p.port = i;
		say(&w, &p, SYN, 1000, 0, NULL, 0);
	}
	CU_ASSERT_EQUAL(cw_dns_tcp_count(w.tcp), CW_DNS_TCP_PER_HOST_MAX);
	for (uint32_t i = 0; i < 1000; i++) {
		p.ip = i << 8;
		say(&w, &p, SYN, 1000, 0, NULL, 0);
	}
	CU_ASSERT_EQUAL(cw_dns_tcp_count(w.tcp), CW_DNS_TCP_MAX);
	for (unsigned int i = 0; i < 200; i++) {
		w.now_ns += CW_NS_PER_S;
		cw_dns_tcp_timer(w.tcp, w.now_ns);
	}
	CU_ASSERT_EQUAL(cw_dns_tcp_count(w.tcp), 0);
	/* One that connects and says nothing. */
	connect_to(&w);
	for (unsigned int i = 0; i < 200; i++) {
		w.now_ns += CW_NS_PER_S;
		cw_dns_tcp_timer(w.tcp, w.now_ns);
	}
	CU_ASSERT_EQUAL(cw_dns_tcp_count(w.tcp), 0);
	cw_dns_tcp_destroy(w.tcp);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a question and its answer, from SYN to FIN", test_a_question_and_its_answer},
		{"questions come in pieces and in a row",
		 test_questions_come_in_pieces_and_in_a_row},
		{"what is lost is sent again", test_what_is_lost_is_sent_again},
		{"what is wrong is not believed", test_what_is_wrong_is_not_believed},
		{"connections are bounded and end", test_connections_are_bounded_and_end},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("dns over tcp", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
