/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS: golden bytes, what each name is, negative answers, EDNS, responses of other servers, the
 * cache, the table of names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cw_dns_cache.h>
#include <cw_dns_respond.h>

#include "cw_test.h"

static struct cw_ns_view view;
static struct cw_rcu *rcu;

static void set_subnet(const char *text)
{
	CW_ASSERT(cw_prefix4_parse(text, &view.subnet) == 0);
	view.service_ip = rte_cpu_to_be_32(rte_be_to_cpu_32(view.subnet.ip) + 1);
}

static void add_name(const char *label, uint32_t ip, bool local, uint64_t expires)
{
	struct cw_name n = {.ip = rte_cpu_to_be_32(ip), .is_local = local, .expires_tsc = expires};

	strcpy(n.label, label);
	CW_ASSERT(cw_name_publish(view.names, &n) == 0);
}

static int set_up(void)
{
	cw_rcu_thread_register();
	if (cw_rcu_create(&rcu) < 0 || cw_name_table_create(&view.names, rcu, 64, 7) < 0)
		return 1;
	set_subnet("10.0.0.0/8");
	view.zone_bytes =
		(uint8_t)cw_dns_name_from_text("grid.example", view.zone, sizeof(view.zone));
	view.zone_labels = 2;
	view.zone_serial = 7;
	add_name("alpha", 0x0a800005, true, UINT64_MAX);
	add_name("away", 0x0a800009, false, 1000);
	add_name("old", 0x0a80000a, false, 10);
	add_name("nobody", 0, false, 1000);
	return 0;
}

static int tear_down(void)
{
	cw_rcu_drain(rcu);
	cw_name_table_destroy(view.names);
	cw_rcu_destroy(rcu);
	cw_rcu_thread_unregister();
	return 0;
}

/* A query for text; @return its bytes. */
static size_t query(uint8_t *out, const char *name, uint16_t type, bool edns)
{
	static const uint8_t head[12] = {0x12, 0x34, 1, 0, 0, 1};
	static const uint8_t opt[11] = {0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0};
	size_t at = 12;

	memcpy(out, head, sizeof(head));
	at += name[0] == '\0' ? 1 : cw_dns_name_from_text(name, out + at, 256);
	if (name[0] == '\0')
		out[12] = 0;
	out[at++] = (uint8_t)(type >> 8);
	out[at++] = (uint8_t)type;
	out[at++] = 0;
	out[at++] = 1;
	if (edns) {
		out[11] = 1;
		memcpy(out + at, opt, sizeof(opt));
		at += sizeof(opt);
	}
	return at;
}

static void test_a_computed_name_by_its_bytes(void)
{
	static const uint8_t asked[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x0a"
				       "c005123044\x04GrId\x07"
				       "example\x00\x00\x01\x00\x01";
	static const uint8_t expected[] =
		"\x12\x34\x85\x00\x00\x01\x00\x01\x00\x00\x00\x00\x0a"
		"c005123044\x04GrId\x07"
		"example\x00\x00\x01\x00\x01"
		"\xc0\x0c\x00\x01\x00\x01\x00\x00\x07\x08\x00\x04\x0a\x05\x7b\x2c";
	uint8_t buf[600];
	struct cw_dns_question q;
	size_t len;

	memcpy(buf, asked, sizeof(asked) - 1);
	CU_ASSERT_EQUAL(cw_dns_respond(&view, 0, buf, sizeof(asked) - 1, sizeof(buf), 5, &q, &len),
			CW_DNS_ANSWER);
	CU_ASSERT_EQUAL_FATAL(len, sizeof(expected) - 1);
	CU_ASSERT_EQUAL(memcmp(buf, expected, len), 0);
}

static void test_nodata_carries_the_soa_by_its_bytes(void)
{
	static const uint8_t expected[] =
		"\x12\x34\x85\x00\x00\x01\x00\x00\x00\x01\x00\x00\x05"
		"alpha\x04grid\x07"
		"example\x00\x00\x1c\x00\x01"
		"\xc0\x12\x00\x06\x00\x01\x00\x00\x00\x0a\x00\x26\x02ns\xc0\x12\x0ahostmaster\xc0\x12"
		"\x00\x00\x00\x07\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x01\x51\x80\x00\x00\x00\x0a";
	uint8_t buf[600];
	struct cw_dns_question q;
	size_t len = query(buf, "alpha.grid.example", CW_DNS_AAAA, false);

	CU_ASSERT_EQUAL(cw_dns_respond(&view, 0, buf, len, sizeof(buf), 5, &q, &len),
			CW_DNS_ANSWER);
	CU_ASSERT_EQUAL_FATAL(len, sizeof(expected) - 1);
	CU_ASSERT_EQUAL(memcmp(buf, expected, len), 0);
}

static void test_what_each_question_gets(void)
{
	static const struct {
		const char *name;
		uint16_t type;
		int rcode; /* -1: to control */
		uint8_t answers, authority;
	} rows[] = {
		{"C128200123.grid.example", CW_DNS_A, 0, 1, 0},
		{"C128200123.grid.example", CW_DNS_AAAA, 0, 0, 1},
		{"C128200123.grid.example", CW_DNS_ANY, 0, 1, 0},
		{"C128256001.grid.example", CW_DNS_A, 3, 0, 1}, /* no octet */
		{"C000000000.grid.example", CW_DNS_A, 3, 0, 1}, /* the network itself */
		{"C255255255.grid.example", CW_DNS_A, 3, 0, 1}, /* broadcast */
		{"C12820012.grid.example", CW_DNS_A, -1, 0, 0}, /* a host may be called so */
		{"ns.grid.example", CW_DNS_A, 0, 1, 0},
		{"ALPHA.grid.example", CW_DNS_A, 0, 1, 0},
		{"alpha.grid.example", 16, 0, 0, 1},
		{"away.grid.example", CW_DNS_A, 0, 1, 0},
		{"old.grid.example", CW_DNS_A, -1, 0, 0},
		{"nobody.grid.example", CW_DNS_A, 3, 0, 1},
		{"unheard.grid.example", CW_DNS_A, -1, 0, 0},
		{"a.alpha.grid.example", CW_DNS_A, 3, 0, 1},
		{"grid.example", CW_DNS_A, 0, 0, 1},
		{"grid.example", CW_DNS_SOA, 0, 1, 0},
		{"grid.example", CW_DNS_NS, 0, 1, 0},
		{"grid.example", CW_DNS_ANY, 0, 1, 0},
		{"grid.example", CW_DNS_AXFR, 5, 0, 0},
		{"grid.example", CW_DNS_OPT, 1, 0, 0},
		{"xgrid.example", CW_DNS_A, 5, 0, 0},
		{"example", CW_DNS_A, 5, 0, 0},
		{"", CW_DNS_NS, 5, 0, 0},
		{"www.elsewhere.test", CW_DNS_A, 5, 0, 0},
		{"44.123.5.10.in-addr.arpa", CW_DNS_PTR, 0, 1, 0},
		{"44.123.5.10.IN-ADDR.arpa", CW_DNS_A, 0, 0, 1},
		{"5.0.128.10.in-addr.arpa", CW_DNS_PTR, 0, 1, 0},
		{"0.0.0.10.in-addr.arpa", CW_DNS_PTR, 3, 0, 1},
		{"044.123.5.10.in-addr.arpa", CW_DNS_PTR, 5, 0, 0},
		{"256.123.5.10.in-addr.arpa", CW_DNS_PTR, 5, 0, 0},
		{"1.44.123.5.10.in-addr.arpa", CW_DNS_PTR, 3, 0, 1},
		{"5.10.in-addr.arpa", CW_DNS_PTR, 0, 0, 1},
		{"10.in-addr.arpa", CW_DNS_SOA, 0, 0, 1},
		{"11.in-addr.arpa", CW_DNS_PTR, 5, 0, 0},
		{"in-addr.arpa", CW_DNS_PTR, 5, 0, 0},
	};
	struct cw_dns_question q;
	uint8_t buf[600];
	size_t len;

	for (size_t i = 0; i < CW_ARRAY_SIZE(rows); i++) {
		size_t asked = query(buf, rows[i].name, rows[i].type, false);
		enum cw_dns_outcome got =
			cw_dns_respond(&view, 0, buf, asked, sizeof(buf), 50, &q, &len);

		if (rows[i].rcode < 0) {
			CU_ASSERT_EQUAL(got, CW_DNS_TO_CONTROL);
			continue;
		}
		CU_ASSERT_EQUAL(got, CW_DNS_ANSWER);
		CU_ASSERT_EQUAL(buf[3] & 15, rows[i].rcode);
		CU_ASSERT_EQUAL(buf[7], rows[i].answers);
		CU_ASSERT_EQUAL(buf[9], rows[i].authority);
		if (got != CW_DNS_ANSWER || (buf[3] & 15) != rows[i].rcode ||
		    buf[7] != rows[i].answers || buf[9] != rows[i].authority)
			printf("row %zu: %s\n", i, rows[i].name);
	}
}

static void test_computed_names_and_reverses_for_any_prefix(void)
{
	static const char *const subnets[] = {"10.0.0.0/8",    "10.128.0.0/9", "172.16.0.0/12",
					      "10.128.0.0/16", "10.5.16.0/20", "192.168.7.0/24",
					      "10.1.2.32/28",  "16.0.0.0/4",   "128.0.0.0/1"};

	for (size_t s = 0; s < CW_ARRAY_SIZE(subnets); s++) {
		uint32_t hosts;

		set_subnet(subnets[s]);
		hosts = UINT32_MAX >> view.subnet.len;
		for (unsigned int i = 0; i < 200; i++) {
			uint32_t ip = rte_be_to_cpu_32(view.subnet.ip) |
				      (uint32_t)(((uint64_t)i * hosts) / 199);
			bool edge = (ip & hosts) == 0 || (ip & hosts) == hosts;
			rte_be32_t be = rte_cpu_to_be_32(ip);
			char text[80], label[16];
			struct cw_dns_question q;
			uint8_t buf[600];
			size_t len;

			cw_dns_computed_label(&view.subnet, be, label);
			snprintf(text, sizeof(text), "%s.grid.example", label);
			len = query(buf, text, CW_DNS_A, true);
			CU_ASSERT_EQUAL(
				cw_dns_respond(&view, 0, buf, len, sizeof(buf), 5, &q, &len),
				CW_DNS_ANSWER);
			CU_ASSERT_EQUAL(buf[3] & 15, edge ? CW_DNS_NXDOMAIN : 0);
			if (!edge)
				CU_ASSERT_EQUAL(memcmp(buf + q.end + 12, &be, 4), 0);
			snprintf(text, sizeof(text), "%u.%u.%u.%u.in-addr.arpa", ip & 255,
				 ip >> 8 & 255, ip >> 16 & 255, ip >> 24);
			len = query(buf, text, CW_DNS_PTR, true);
			CU_ASSERT_EQUAL(
				cw_dns_respond(&view, 0, buf, len, sizeof(buf), 5, &q, &len),
				CW_DNS_ANSWER);
			CU_ASSERT_EQUAL(buf[3] & 15, edge ? CW_DNS_NXDOMAIN : 0);
			if (!edge && be != view.service_ip && buf[q.end + 12] != 5)
				CU_ASSERT_EQUAL(memcmp(buf + q.end + 13, label, strlen(label)), 0);
		}
	}
	set_subnet("10.0.0.0/8");
}

static void test_strangers_are_refused_in_as_many_bytes(void)
{
	struct cw_dns_question q;
	uint8_t buf[600];
	size_t asked = query(buf, "alpha.grid.example", CW_DNS_A, true), len;

	CU_ASSERT_EQUAL(
		cw_dns_respond(&view, CW_DNS_STRANGER, buf, asked, sizeof(buf), 5, &q, &len),
		CW_DNS_ANSWER);
	CU_ASSERT_EQUAL(buf[3] & 15, CW_DNS_REFUSED);
	CU_ASSERT_EQUAL(len, asked);
}

static void test_edns_is_answered_with_edns(void)
{
	struct cw_dns_question q;
	uint8_t buf[600];
	size_t asked = query(buf, "alpha.grid.example", CW_DNS_A, true), len;

	CU_ASSERT_EQUAL(cw_dns_respond(&view, 0, buf, asked, sizeof(buf), 5, &q, &len),
			CW_DNS_ANSWER);
	CU_ASSERT_EQUAL(q.udp_bytes, 1232);
	CU_ASSERT_EQUAL(buf[11], 1);
	CU_ASSERT_EQUAL(memcmp(buf + len - 11, "\0\0\x29\4\xd0\0\0\x80\0\0\0", 11), 0);
	/* A version that we do not speak: BADVERS, in the upper bits. */
	asked = query(buf, "alpha.grid.example", CW_DNS_A, true);
	buf[asked - 5] = 1;
	CU_ASSERT_EQUAL(cw_dns_respond(&view, 0, buf, asked, sizeof(buf), 5, &q, &len),
			CW_DNS_ANSWER);
	CU_ASSERT_EQUAL(buf[3] & 15, 0);
	CU_ASSERT_EQUAL(buf[len - 6], 1);
	CU_ASSERT_EQUAL(buf[7], 0);
}

static void test_malformed_questions_are_named(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum cw_dns_verdict verdict;
		enum cw_dns_rcode rcode;
	} rows[] = {
		{"\0\1\1\0\0\1\0\0\0\0\0", 11, CW_DNS_SILENT, 0},
		{"\0\1\x81\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19, CW_DNS_SILENT, 0},
		{"\0\1\x29\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19, CW_DNS_BAD, CW_DNS_NOTIMP},
		{"\0\1\1\0\0\0\0\0\0\0\0\0", 12, CW_DNS_BAD, CW_DNS_FORMERR},
		{"\0\1\1\0\0\2\0\0\0\0\0\0\1a\0\0\1\0\1", 19, CW_DNS_BAD, CW_DNS_FORMERR},
		{"\0\1\1\0\0\1\0\1\0\0\0\0\1a\0\0\1\0\1", 19, CW_DNS_BAD, CW_DNS_FORMERR},
		{"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0", 18, CW_DNS_BAD, CW_DNS_FORMERR},
		{"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", 18, CW_DNS_BAD, CW_DNS_FORMERR},
		{"\0\1\1\0\0\1\0\0\0\0\0\0\x40"
		 "a\0\0\1\0\1",
		 19, CW_DNS_BAD, CW_DNS_FORMERR},
		{"\0\1\1\0\0\1\0\0\0\0\0\1\1a\0\0\1\0\1", 19, CW_DNS_BAD, CW_DNS_FORMERR},
		{"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19, CW_DNS_QUESTION, 0},
	};
	uint8_t longest[12 + 300] = "\0\1\1\0\0\1";
	struct cw_dns_question q;
	enum cw_dns_rcode rcode;

	for (size_t i = 0; i < CW_ARRAY_SIZE(rows); i++) {
		CU_ASSERT_EQUAL(
			cw_dns_parse((const uint8_t *)rows[i].bytes, rows[i].len, &q, &rcode),
			rows[i].verdict);
		if (rows[i].verdict == CW_DNS_BAD)
			CU_ASSERT_EQUAL(rcode, rows[i].rcode);
	}
	/* 255 octets of name are a name, 256 are not. */
	for (size_t i = 0; i < 127; i++)
		longest[12 + 2 * i] = 1, longest[13 + 2 * i] = 'x';
	memcpy(longest + 12 + 254, "\0\0\1\0\1", 5);
	CU_ASSERT_EQUAL(cw_dns_parse(longest, 12 + 259, &q, &rcode), CW_DNS_QUESTION);
	CU_ASSERT_EQUAL(q.labels, 127);
	CU_ASSERT_EQUAL(q.name_bytes, 255);
	longest[12 + 252] = 2;
	memcpy(longest + 12 + 253, "xx\0\0\1\0\1", 7);
	CU_ASSERT_EQUAL(cw_dns_parse(longest, 12 + 261, &q, &rcode), CW_DNS_BAD);
}

/* www.elsewhere.test A, two records, OPT. */
static const uint8_t upstream[] =
	"\xab\xcd\x81\x80\0\1\0\2\0\0\0\1\3www\x09"
	"elsewhere\4test\0\0\1\0\1"
	"\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4\xc0\0\2\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\2"
	"\0\0\x29\4\xd0\0\0\0\0\0\4\0\x0a\0\0";

static void test_responses_are_walked_whole(void)
{
	uint8_t buf[sizeof(upstream)];
	struct cw_dns_response r;
	size_t len = sizeof(upstream) - 1;

	memcpy(buf, upstream, sizeof(buf));
	CU_ASSERT_TRUE(cw_dns_take_response(buf, &len, &r));
	CU_ASSERT_EQUAL(len, sizeof(upstream) - 1 - 15);
	CU_ASSERT_EQUAL(buf[11], 0);
	CU_ASSERT_EQUAL(r.id, 0xabcd);
	CU_ASSERT_EQUAL(r.ttl_s, 60);
	cw_dns_age(buf, len, 20);
	CU_ASSERT_EQUAL(memcmp(buf + len - 10, "\0\0\0\x28\0\4\xc0\0\2\2", 10), 0);
	for (size_t cut = 0; cut < sizeof(upstream) - 1; cut++) {
		len = cut;
		memcpy(buf, upstream, cut);
		CU_ASSERT_FALSE(cw_dns_take_response(buf, &len, &r));
	}
	/* A pointer forwards, and a byte too many. */
	memcpy(buf, upstream, sizeof(buf));
	buf[36 + 1] = 0xff;
	len = sizeof(upstream) - 1;
	CU_ASSERT_FALSE(cw_dns_take_response(buf, &len, &r));
	memcpy(buf, upstream, sizeof(buf));
	len = sizeof(upstream);
	CU_ASSERT_FALSE(cw_dns_take_response(buf, &len, &r));
}

static void test_negative_answers_live_as_the_soa_says(void)
{
	static const uint8_t nx[] =
		"\xab\xcd\x81\x83\0\1\0\0\0\1\0\0\1x\4test\0\0\1\0\1"
		"\xc0\x0e\0\6\0\1\0\0\x0e\x10\0\x18\xc0\x0e\xc0\x0e\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x1e";
	uint8_t buf[sizeof(nx)];
	struct cw_dns_response r;
	size_t len = sizeof(nx) - 1;

	memcpy(buf, nx, sizeof(buf));
	CU_ASSERT_TRUE(cw_dns_take_response(buf, &len, &r));
	CU_ASSERT_EQUAL(r.ttl_s, 30);
}

static void test_the_cache_keeps_its_bounds_and_ages(void)
{
	struct cw_dns_cache *cache;
	uint8_t asked[300], response[300], out[600];
	struct cw_dns_question q;
	enum cw_dns_rcode rcode;
	struct cw_dns_response r;
	size_t len, response_bytes = sizeof(upstream) - 1;

	CU_ASSERT_EQUAL_FATAL(cw_dns_cache_create(&cache, 3), 0);
	memcpy(response, upstream, sizeof(upstream));
	CU_ASSERT_TRUE(cw_dns_take_response(response, &response_bytes, &r));
	len = query(asked, "WWW.elsewhere.test", CW_DNS_A, false);
	CU_ASSERT_EQUAL(cw_dns_parse(asked, len, &q, &rcode), CW_DNS_QUESTION);
	cw_dns_cache_put(cache, &q, asked, response, response_bytes, r.ttl_s, CW_NS_PER_S);
	CU_ASSERT_EQUAL(cw_dns_cache_get(cache, &q, asked, 31 * CW_NS_PER_S, out, sizeof(out)),
			response_bytes);
	CU_ASSERT_EQUAL(memcmp(out, asked, 2), 0);
	CU_ASSERT_EQUAL(memcmp(out + 12, asked + 12, q.end - 12), 0); /* its case */
	CU_ASSERT_EQUAL(out[response_bytes - 7], 30);		      /* 60 s, 30 of them gone */
	q.dnssec_ok = true;					      /* another question */
	CU_ASSERT_EQUAL(cw_dns_cache_get(cache, &q, asked, 2 * CW_NS_PER_S, out, sizeof(out)), 0);
	q.dnssec_ok = false;
	CU_ASSERT_EQUAL(cw_dns_cache_get(cache, &q, asked, 61 * CW_NS_PER_S, out, sizeof(out)), 0);
	CU_ASSERT_EQUAL(cw_dns_cache_count(cache), 0);
	for (unsigned int i = 0; i < CW_DNS_CACHE_ENTRIES_MAX + 100; i++) {
		char name[40];

		snprintf(name, sizeof(name), "n%05u.test", i);
		len = query(asked, name, CW_DNS_A, false);
		cw_dns_parse(asked, len, &q, &rcode);
		cw_dns_cache_put(cache, &q, asked, asked, len, 60, 0);
	}
	CU_ASSERT_EQUAL(cw_dns_cache_count(cache), CW_DNS_CACHE_ENTRIES_MAX);
	CU_ASSERT_NOT_EQUAL(cw_dns_cache_get(cache, &q, asked, 0, out, sizeof(out)), 0);
	len = query(asked, "n00000.test", CW_DNS_A, false); /* the oldest went */
	cw_dns_parse(asked, len, &q, &rcode);
	CU_ASSERT_EQUAL(cw_dns_cache_get(cache, &q, asked, 0, out, sizeof(out)), 0);
	cw_dns_cache_destroy(cache);
}

static void test_names_are_found_by_label_and_address(void)
{
	struct cw_name_table *t;
	struct cw_name n = {.ip = 1, .expires_tsc = UINT64_MAX};

	CU_ASSERT_EQUAL_FATAL(cw_name_table_create(&t, rcu, 2, 1), 0);
	strcpy(n.label, "one");
	CU_ASSERT_EQUAL(cw_name_publish(t, &n), 0);
	n.is_local = true;
	strcpy(n.label, "two");
	CU_ASSERT_EQUAL(cw_name_publish(t, &n), 0);
	strcpy(n.label, "three");
	CU_ASSERT_EQUAL(cw_name_publish(t, &n), -28 /* ENOSPC */);
	CU_ASSERT_PTR_NOT_NULL(cw_name_find(t, "one", 3));
	CU_ASSERT_PTR_NULL(cw_name_find(t, "on", 2));
	/* Two names of one address: that of the host here. */
	CU_ASSERT_STRING_EQUAL(cw_name_by_ip(t, 1)->label, "two");
	CU_ASSERT_EQUAL(cw_name_retire(t, "two"), 0);
	CU_ASSERT_STRING_EQUAL(cw_name_by_ip(t, 1)->label, "one");
	strcpy(n.label, "one");
	n.ip = 2;
	CU_ASSERT_EQUAL(cw_name_publish(t, &n), 0); /* it moved */
	CU_ASSERT_PTR_NULL(cw_name_by_ip(t, 1));
	CU_ASSERT_EQUAL(cw_name_by_ip(t, 2), cw_name_find(t, "one", 3));
	CU_ASSERT_EQUAL(cw_name_count(t), 1);
	CU_ASSERT_EQUAL(cw_name_retire(t, "two"), -2 /* ENOENT */);
	cw_rcu_drain(rcu);
	cw_name_table_destroy(t);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a computed name, by its bytes", test_a_computed_name_by_its_bytes},
		{"NODATA carries the SOA, by its bytes", test_nodata_carries_the_soa_by_its_bytes},
		{"what each question gets", test_what_each_question_gets},
		{"computed names and reverses for any prefix",
		 test_computed_names_and_reverses_for_any_prefix},
		{"strangers are refused in as many bytes",
		 test_strangers_are_refused_in_as_many_bytes},
		{"EDNS is answered with EDNS", test_edns_is_answered_with_edns},
		{"malformed questions are named", test_malformed_questions_are_named},
		{"responses are walked whole or not taken", test_responses_are_walked_whole},
		{"negative answers live as the SOA says",
		 test_negative_answers_live_as_the_soa_says},
		{"the cache keeps its bounds and ages", test_the_cache_keeps_its_bounds_and_ages},
		{"names are found by label and by address",
		 test_names_are_found_by_label_and_address},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {{"dns", set_up, tear_down, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
