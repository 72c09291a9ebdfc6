/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The namespace's policy: who may begin to talk to whom, what passes as an answer, what fragments
 * and short packets get, whose groups count. Each row of the table is one packet under one policy.
 */
#include <string.h>

#include <cw_policy.h>

#include "cw_test.h"

enum { WEB, CLIENTS, BRANCH };
enum { SYN = 0x02, RST = 0x04, ACK = 0x10 };

#define IP(last)     ((uint32_t)rte_cpu_to_be_32(UINT32_C(0x0a800000) + (last)))
#define WEB_HOST     10
#define CLIENT_HOST  100
#define OTHER_HOST   200
#define BRANCH_PEER  7
#define NOBODYS_PEER 8

static struct cw_policy_rule rule(bool allow, uint8_t proto, uint8_t from, uint8_t to,
				  uint16_t first, uint16_t last)
{
	return (struct cw_policy_rule){allow, proto, from, to, first, last};
}

static struct cw_policy *policy;

static void compile(bool default_allow, const struct cw_policy_rule *rules, uint8_t n)
{
	struct cw_policy_source s = {
		.default_allow = default_allow,
		.rule_count = n,
		.range_count = 2,
		.ranges = {{WEB, IP(10), IP(19)}, {CLIENTS, IP(100), IP(100)}}};

	cw_policy_free(policy);
	policy = NULL;
	memcpy(s.rules, rules, n * sizeof(*rules));
	CU_ASSERT_EQUAL_FATAL(cw_policy_compile(&policy, &s), 0);
	cw_policy_set_peer(policy, BRANCH_PEER, 1u << BRANCH);
}

struct packet {
	uint32_t src, dst;
	uint8_t proto;
	uint16_t from, to;
	uint8_t flags; /* TCP's, or ICMP's type */
	uint16_t fragment;
	size_t bytes;
	uint16_t peer; /* who speaks for the source */
};

static struct cw_policy_verdict judge(const struct packet *k)
{
	uint8_t payload[64] = {(uint8_t)(k->from >> 8), (uint8_t)k->from, (uint8_t)(k->to >> 8),
			       (uint8_t)k->to};
	struct cw_policy_packet p = {.src = IP(k->src),
				     .dst = IP(k->dst),
				     .payload = payload,
				     .payload_bytes = k->bytes ? k->bytes : sizeof(payload),
				     .fragment = rte_cpu_to_be_16(k->fragment),
				     .proto = k->proto};
	struct cw_policy_side src = cw_policy_side_of(policy, p.src, k->peer ? &k->peer : NULL);
	struct cw_policy_side dst = cw_policy_side_of(policy, p.dst, NULL);

	payload[13] = k->proto == CW_IP_PROTO_TCP ? k->flags : 0;
	if (k->proto == CW_IP_PROTO_ICMP)
		payload[0] = k->flags;
	return cw_policy_judge(policy, &src, &dst, &p);
}

struct row {
	struct packet packet;
	bool pass, answer, malformed;
	int rule;
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct cw_policy_verdict v = judge(&rows[i].packet);

		if (v.pass != rows[i].pass || v.rule != rows[i].rule ||
		    v.answer != rows[i].answer || v.malformed != rows[i].malformed)
			printf("    row %zu: pass %d answer %d malformed %d rule %d\n", i, v.pass,
			       v.answer, v.malformed, v.rule);
		CU_ASSERT_EQUAL(v.pass, rows[i].pass);
		CU_ASSERT_EQUAL(v.answer, rows[i].answer);
		CU_ASSERT_EQUAL(v.malformed, rows[i].malformed);
		CU_ASSERT_EQUAL(v.rule, rows[i].rule);
	}
}

#define TCP  CW_IP_PROTO_TCP
#define UDP  CW_IP_PROTO_UDP
#define ICMP CW_IP_PROTO_ICMP

/* Clients may ask web servers, and nobody anybody else. */
static void test_what_is_not_allowed_is_refused(void)
{
	const struct cw_policy_rule rules[] = {rule(true, TCP, CLIENTS, WEB, 80, 80),
					       rule(true, UDP, CLIENTS, WEB, 53, 54),
					       rule(true, ICMP, CLIENTS, CW_POLICY_ANY, 0, 65535)};
	const struct row rows[] = {
		{{CLIENT_HOST, WEB_HOST, TCP, 4000, 80, SYN, 0, 0, 0}, true, false, false, 0},
		{{CLIENT_HOST, WEB_HOST, TCP, 4000, 81, SYN, 0, 0, 0}, false, false, false, -1},
		{{CLIENT_HOST, OTHER_HOST, TCP, 4000, 80, SYN, 0, 0, 0}, false, false, false, -1},
		{{OTHER_HOST, WEB_HOST, TCP, 4000, 80, SYN, 0, 0, 0}, false, false, false, -1},
		/* Answers, and what looks like one. */
		{{WEB_HOST, CLIENT_HOST, TCP, 80, 4000, SYN | ACK, 0, 0, 0}, true, true, false, 0},
		{{WEB_HOST, CLIENT_HOST, TCP, 80, 4000, RST, 0, 0, 0}, true, true, false, 0},
		{{WEB_HOST, CLIENT_HOST, TCP, 80, 4000, SYN, 0, 0, 0}, false, false, false, -1},
		{{WEB_HOST, CLIENT_HOST, TCP, 81, 4000, ACK, 0, 0, 0}, false, false, false, -1},
		{{CLIENT_HOST, WEB_HOST, UDP, 4000, 53, 0, 0, 0, 0}, true, false, false, 1},
		{{CLIENT_HOST, WEB_HOST, UDP, 4000, 54, 0, 0, 0, 0}, true, false, false, 1},
		{{CLIENT_HOST, WEB_HOST, UDP, 4000, 55, 0, 0, 0, 0}, false, false, false, -1},
		{{CLIENT_HOST, WEB_HOST, UDP, 4000, 52, 0, 0, 0, 0}, false, false, false, -1},
		{{WEB_HOST, CLIENT_HOST, UDP, 53, 4000, 0, 0, 0, 0}, true, true, false, 1},
		{{WEB_HOST, CLIENT_HOST, UDP, 52, 4000, 0, 0, 0, 0}, false, false, false, -1},
		/* ICMP: the request, its answer, not the request the other way, errors always. */
		{{CLIENT_HOST, OTHER_HOST, ICMP, 0, 0, 8, 0, 0, 0}, true, false, false, 2},
		{{OTHER_HOST, CLIENT_HOST, ICMP, 0, 0, 0, 0, 0, 0}, true, true, false, 2},
		{{OTHER_HOST, CLIENT_HOST, ICMP, 0, 0, 8, 0, 0, 0}, false, false, false, -1},
		{{OTHER_HOST, WEB_HOST, ICMP, 0, 0, 3, 0, 0, 0}, true, true, false, -1},
		{{OTHER_HOST, WEB_HOST, ICMP, 0, 0, 11, 0, 0, 0}, true, true, false, -1},
		{{OTHER_HOST, WEB_HOST, ICMP, 0, 0, 5, 0, 0, 0}, false, false, false, -1},
		/* Another protocol has no rule. */
		{{CLIENT_HOST, WEB_HOST, 47, 0, 0, 0, 0, 0, 0}, false, false, false, -1},
	};

	compile(false, rules, 3);
	check(rows, CW_ARRAY_SIZE(rows));
}

/* The first that fits decides. */
static void test_what_is_denied_under_a_default_that_allows(void)
{
	const struct cw_policy_rule rules[] = {rule(true, TCP, CLIENTS, WEB, 22, 22),
					       rule(false, TCP, CW_POLICY_ANY, WEB, 1, 1023),
					       rule(false, UDP, CW_POLICY_ANY, WEB, 0, 65535)};
	const struct row rows[] = {
		{{CLIENT_HOST, WEB_HOST, TCP, 4000, 22, SYN, 0, 0, 0}, true, false, false, 0},
		{{CLIENT_HOST, WEB_HOST, TCP, 4000, 23, SYN, 0, 0, 0}, false, false, false, 1},
		{{OTHER_HOST, WEB_HOST, TCP, 4000, 22, SYN, 0, 0, 0}, false, false, false, 1},
		{{OTHER_HOST, WEB_HOST, TCP, 4000, 1023, SYN, 0, 0, 0}, false, false, false, 1},
		{{OTHER_HOST, WEB_HOST, TCP, 4000, 1024, SYN, 0, 0, 0}, true, false, false, -1},
		{{OTHER_HOST, WEB_HOST, TCP, 4000, 0, SYN, 0, 0, 0}, true, false, false, -1},
		/* The web server's own connection is answered, from a low port too. */
		{{WEB_HOST, OTHER_HOST, TCP, 700, 80, SYN, 0, 0, 0}, true, false, false, -1},
		{{OTHER_HOST, WEB_HOST, TCP, 80, 700, SYN | ACK, 0, 0, 0}, true, true, false, -1},
		/* For UDP only a rule tells an answer, not the default. */
		{{OTHER_HOST, WEB_HOST, UDP, 53, 4000, 0, 0, 0, 0}, false, false, false, 2},
		{{WEB_HOST, OTHER_HOST, UDP, 4000, 53, 0, 0, 0, 0}, true, false, false, -1},
	};

	compile(true, rules, 3);
	check(rows, CW_ARRAY_SIZE(rows));
}

static void test_fragments(void)
{
	const struct cw_policy_rule rules[] = {rule(true, UDP, CLIENTS, WEB, 53, 53),
					       rule(true, TCP, CLIENTS, WEB, 80, 80)};
	const struct cw_policy_rule deny[] = {rule(false, UDP, CLIENTS, WEB, 53, 53)};
	const struct row rows[] = {
		{{CLIENT_HOST, WEB_HOST, UDP, 4000, 53, 0, 0x2000, 0, 0}, true, false, false, 0},
		{{CLIENT_HOST, WEB_HOST, UDP, 4000, 99, 0, 0x2000, 0, 0}, false, false, false, -1},
		/* Behind the first: whatever stands where ports would be. */
		{{CLIENT_HOST, WEB_HOST, UDP, 1, 2, 0, 185, 0, 0}, true, false, false, 0},
		{{OTHER_HOST, WEB_HOST, UDP, 1, 53, 0, 185, 0, 0}, false, false, false, -1},
		{{WEB_HOST, CLIENT_HOST, UDP, 1, 2, 0, 185, 0, 0}, true, true, false, 0},
		/* RFC 1858, 3128: what would be hidden from us, or written over. */
		{{CLIENT_HOST, WEB_HOST, TCP, 4000, 80, SYN, 1, 0, 0}, false, false, true, -1},
		{{CLIENT_HOST, WEB_HOST, TCP, 4000, 80, SYN, 2, 0, 0}, false, false, true, -1},
		{{CLIENT_HOST, WEB_HOST, TCP, 4000, 80, SYN, 3, 0, 0}, true, false, false, 1},
		{{CLIENT_HOST, WEB_HOST, TCP, 4000, 80, SYN, 0x2000, 16, 0},
		 false,
		 false,
		 true,
		 -1},
		{{CLIENT_HOST, WEB_HOST, UDP, 4000, 53, 0, 0, 7, 0}, false, false, true, -1},
		{{CLIENT_HOST, WEB_HOST, ICMP, 0, 0, 8, 0, 7, 0}, false, false, true, -1},
	};
	const struct row denied[] = {
		{{CLIENT_HOST, WEB_HOST, UDP, 4000, 53, 0, 0x2000, 0, 0}, false, false, false, 0},
		{{CLIENT_HOST, WEB_HOST, UDP, 1, 2, 0, 185, 0, 0}, true, false, false, -1},
	};

	compile(false, rules, 2);
	check(rows, CW_ARRAY_SIZE(rows));
	compile(true, deny, 1);
	check(denied, CW_ARRAY_SIZE(denied));
}

static void test_groups_of_gateways(void)
{
	const struct cw_policy_rule rules[] = {rule(true, 0, BRANCH, WEB, 0, 65535)};
	const struct row rows[] = {
		{{OTHER_HOST, WEB_HOST, TCP, 1, 2, SYN, 0, 0, BRANCH_PEER}, true, false, false, 0},
		{{OTHER_HOST, WEB_HOST, 47, 0, 0, 0, 0, 0, BRANCH_PEER}, true, false, false, 0},
		{{OTHER_HOST, WEB_HOST, TCP, 1, 2, SYN, 0, 0, NOBODYS_PEER},
		 false,
		 false,
		 false,
		 -1},
		{{OTHER_HOST, WEB_HOST, TCP, 1, 2, SYN, 0, 0, UINT16_MAX}, false, false, false, -1},
		{{OTHER_HOST, WEB_HOST, TCP, 1, 2, SYN, 0, 0, 0}, false, false, false, -1},
	};

	compile(false, rules, 1);
	check(rows, CW_ARRAY_SIZE(rows));
	/* An index used again brings nothing of who had it before. */
	cw_policy_set_peer(policy, BRANCH_PEER, 0);
	CU_ASSERT_FALSE(judge(&rows[0].packet).pass);
}

static void test_what_does_not_compile(void)
{
	struct cw_policy_source s = {.rule_count = CW_POLICY_RULES_MAX + 1};
	struct cw_policy *none = NULL;

	CU_ASSERT_EQUAL(cw_policy_compile(&none, &s), -22);
	s = (struct cw_policy_source){.rule_count = 1,
				      .rules = {{.port_first = 2, .port_last = 1}}};
	CU_ASSERT_EQUAL(cw_policy_compile(&none, &s), -22);
	s = (struct cw_policy_source){.rule_count = 1, .rules = {{.from = CW_POLICY_GROUPS_MAX}}};
	CU_ASSERT_EQUAL(cw_policy_compile(&none, &s), -22);
	s = (struct cw_policy_source){.range_count = 1, .ranges = {{0, IP(2), IP(1)}}};
	CU_ASSERT_EQUAL(cw_policy_compile(&none, &s), -22);
}

/* Everything at once: as many ranges and rules as there may be, the last of each found. */
static void test_the_largest(void)
{
	struct cw_policy_source s = {.rule_count = CW_POLICY_RULES_MAX,
				     .range_count = CW_POLICY_RANGES_MAX};
	struct packet k = {.src = 32, .dst = 200, .proto = TCP, .to = 640, .flags = SYN};
	struct cw_policy_verdict v;

	for (unsigned int i = 0; i < CW_POLICY_RANGES_MAX; i++)
		s.ranges[i] = (struct cw_policy_range){i % 16, IP(2 * i), IP(2 * i)};
	for (unsigned int i = 0; i < CW_POLICY_RULES_MAX; i++)
		s.rules[i] = rule(true, TCP, i % 16, CW_POLICY_ANY, (uint16_t)(20 * i + 20),
				  (uint16_t)(20 * i + 29));
	cw_policy_free(policy);
	policy = NULL;
	CU_ASSERT_EQUAL_FATAL(cw_policy_compile(&policy, &s), 0);
	k.src = 62;
	v = judge(&k);
	CU_ASSERT_TRUE(v.pass);
	CU_ASSERT_EQUAL(v.rule, 31);
	k.to = 650;
	CU_ASSERT_FALSE(judge(&k).pass);
	k.to = 640;
	k.src = 63;
	CU_ASSERT_FALSE(judge(&k).pass);
	cw_policy_free(policy);
	policy = NULL;
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"what is not allowed is refused", test_what_is_not_allowed_is_refused},
		{"deny under a default that allows",
		 test_what_is_denied_under_a_default_that_allows},
		{"fragments", test_fragments},
		{"groups of gateways", test_groups_of_gateways},
		{"what does not compile", test_what_does_not_compile},
		{"the largest", test_the_largest},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("policy", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
