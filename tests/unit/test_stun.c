/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STUN against the sample messages of RFC 5769 (its passwords are not ours to know:
 * MESSAGE-INTEGRITY is passed over, as decided in lib/wire/cw_stun.c), and against itself.
 */
#include <cw_stun.h>

#include "cw_test.h"

/* Section 2.1: request. */
static const uint8_t request[] = {
	0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
	0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e,
	0x20, 0x74, 0x65, 0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24,
	0x00, 0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1,
	0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68,
	0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14, 0x9a, 0xea, 0xa7, 0x0c,
	0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5,
	0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf};

/* RFC 5769 section 2.2: sample IPv4 response. */
static const uint8_t rfc5769_response[] = {
	0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
	0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74,
	0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01,
	0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99,
	0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b,
	0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96};

/* Section 2.3: response with an IPv6 address. */
static const uint8_t response6[] = {
	0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
	0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74,
	0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02,
	0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5,
	0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14, 0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6,
	0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75, 0xbf, 0xe3, 0xed, 0x41,
	0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c};

/* Section 2.4: request with long-term authentication, without FINGERPRINT. */
static const uint8_t long_term[] = {
	0x00, 0x01, 0x00, 0x60, 0x21, 0x12, 0xa4, 0x42, 0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72,
	0xc0, 0x29, 0xda, 0x41, 0x2e, 0x00, 0x06, 0x00, 0x12, 0xe3, 0x83, 0x9e, 0xe3, 0x83, 0x88,
	0xe3, 0x83, 0xaa, 0xe3, 0x83, 0x83, 0xe3, 0x82, 0xaf, 0xe3, 0x82, 0xb9, 0x00, 0x00, 0x00,
	0x15, 0x00, 0x1c, 0x66, 0x2f, 0x2f, 0x34, 0x39, 0x39, 0x6b, 0x39, 0x35, 0x34, 0x64, 0x36,
	0x4f, 0x4c, 0x33, 0x34, 0x6f, 0x4c, 0x39, 0x46, 0x53, 0x54, 0x76, 0x79, 0x36, 0x34, 0x73,
	0x41, 0x00, 0x14, 0x00, 0x0b, 0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x2e, 0x6f, 0x72,
	0x67, 0x00, 0x00, 0x08, 0x00, 0x14, 0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02,
	0xb8, 0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66};

static void test_stun_reads_the_rfc_5769_requests(void)
{
	static const uint8_t transaction[] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
					      0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
	uint8_t bad[sizeof(request)];
	struct cw_stun_message m;

	CU_ASSERT_EQUAL_FATAL(cw_stun_parse(request, sizeof(request), &m), 0);
	CU_ASSERT_EQUAL(m.class, CW_STUN_REQUEST);
	CU_ASSERT_EQUAL(m.method, 1);
	CU_ASSERT_EQUAL(memcmp(m.transaction, transaction, sizeof(transaction)), 0);
	CU_ASSERT_EQUAL(m.unknown_required, 0);
	CU_ASSERT_TRUE(m.has_fingerprint && !m.has_mapped);
	for (size_t i = 0; i < sizeof(request); i++) {
		memcpy(bad, request, sizeof(bad));
		bad[i] ^= 0x10;
		/* Whatever is bent, the fingerprint, the cookie or the lengths tell. */
		CU_ASSERT_TRUE(cw_stun_parse(bad, sizeof(bad), &m) < 0 || !m.has_fingerprint);
	}
	CU_ASSERT_EQUAL_FATAL(cw_stun_parse(long_term, sizeof(long_term), &m), 0);
	CU_ASSERT_EQUAL(m.class, CW_STUN_REQUEST);
	CU_ASSERT_EQUAL(m.unknown_required, 0);
	CU_ASSERT_FALSE(m.has_fingerprint);
}

static void test_stun_reads_the_rfc_5769_ipv6_response(void)
{
	static const uint8_t address[] = {0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78,
					  0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77};
	struct cw_stun_message m;

	CU_ASSERT_EQUAL_FATAL(cw_stun_parse(response6, sizeof(response6), &m), 0);
	CU_ASSERT_EQUAL(m.class, CW_STUN_SUCCESS);
	CU_ASSERT_TRUE(m.has_mapped && m.has_fingerprint);
	CU_ASSERT_EQUAL(m.mapped.family, CW_FAMILY_IPV6);
	CU_ASSERT_EQUAL(m.mapped.port, rte_cpu_to_be_16(32853));
	CU_ASSERT_EQUAL(memcmp(m.mapped.ip6, address, sizeof(address)), 0);
}

/* What we say to the asker of section 2.1 names the address that section 2.2 does. */
static void test_stun_answers_as_rfc_5769_does(void)
{
	struct cw_endpoint seen = {.family = CW_FAMILY_IPV4,
				   .port = rte_cpu_to_be_16(32853),
				   .ip4 = rte_cpu_to_be_32(0xc0000201)};
	uint8_t out[CW_STUN_BYTES_MAX];
	struct cw_stun_message m;
	size_t len;

	CU_ASSERT_EQUAL_FATAL(cw_stun_parse(request, sizeof(request), &m), 0);
	len = cw_stun_write_response(out, m.transaction, &seen);
	/* Type, cookie, transaction; then their XOR-MAPPED-ADDRESS, byte for byte. */
	CU_ASSERT_EQUAL(memcmp(out, rfc5769_response, 2), 0);
	CU_ASSERT_EQUAL(memcmp(out + 4, rfc5769_response + 4, 16), 0);
	CU_ASSERT_EQUAL(memcmp(out + 20, rfc5769_response + 36, 12), 0);
	CU_ASSERT_EQUAL(len, 20 + 12 + 8);
}

static void test_a_hello_names_its_network(void)
{
	const uint8_t transaction[12] = {3}, network[] = {1, 2, 3, 4, 5, 6, 7, 8};
	uint8_t out[CW_STUN_BYTES_MAX];
	struct cw_stun_message m;
	size_t len = cw_stun_write_hello(out, transaction, network);

	CU_ASSERT_EQUAL_FATAL(cw_stun_parse(out, len, &m), 0);
	CU_ASSERT_EQUAL(m.class, CW_STUN_INDICATION);
	CU_ASSERT_EQUAL(m.method, 1);
	CU_ASSERT_TRUE(m.has_network && m.has_fingerprint && !m.has_mapped);
	CU_ASSERT_EQUAL(memcmp(m.network, network, sizeof(network)), 0);
	CU_ASSERT_EQUAL(m.unknown_required, 0);
}

static void test_stun_fills_up_to_a_size(void)
{
	const uint8_t transaction[12] = {9};
	uint8_t out[CW_STUN_PADDED_BYTES_MAX];
	struct cw_stun_message m;

	for (size_t bytes = 0; bytes <= sizeof(out); bytes++) {
		size_t len = cw_stun_write_padded(out, transaction, bytes);

		CU_ASSERT_TRUE(len >= bytes && len <= (bytes < 28 ? 28 : bytes + 3));
		CU_ASSERT_EQUAL(cw_stun_parse(out, len, &m), 0);
		CU_ASSERT_TRUE(m.class == CW_STUN_REQUEST && m.has_fingerprint);
		CU_ASSERT_EQUAL(m.unknown_required, 0);
	}
}

static void test_stun_reads_the_rfc_5769_response(void)
{
	uint8_t bad[sizeof(rfc5769_response)];
	char text[CW_ENDPOINT_TEXT_BYTES];
	struct cw_stun_message m;

	CU_ASSERT_EQUAL_FATAL(cw_stun_parse(rfc5769_response, sizeof(rfc5769_response), &m), 0);
	CU_ASSERT_EQUAL(m.class, CW_STUN_SUCCESS);
	CU_ASSERT_EQUAL(m.method, 1);
	CU_ASSERT_TRUE(m.has_mapped);
	CU_ASSERT_TRUE(m.has_fingerprint);
	CU_ASSERT_STRING_EQUAL(cw_endpoint_format(&m.mapped, text), "192.0.2.1:32853");
	memcpy(bad, rfc5769_response, sizeof(bad));
	bad[30] ^= 1;
	CU_ASSERT_TRUE(cw_stun_parse(bad, sizeof(bad), &m) < 0);
	for (size_t len = 0; len < sizeof(bad); len++)
		CU_ASSERT_TRUE(cw_stun_parse(rfc5769_response, len, &m) < 0);
}

static void test_stun_reads_what_it_writes(void)
{
	const uint8_t transaction[12] = {1, 2, 3};
	struct cw_endpoint seen = {
		.family = CW_FAMILY_IPV4, .port = rte_cpu_to_be_16(999), .ip4 = 0x01020304};
	struct cw_stun_message m;
	uint8_t out[CW_STUN_BYTES_MAX];

	CU_ASSERT_EQUAL(cw_stun_parse(out, cw_stun_write_request(out, transaction), &m), 0);
	CU_ASSERT_EQUAL(m.class, CW_STUN_REQUEST);
	CU_ASSERT_EQUAL(cw_stun_parse(out, cw_stun_write_response(out, transaction, &seen), &m), 0);
	CU_ASSERT_TRUE(m.has_mapped && cw_endpoint_equal(&m.mapped, &seen));
	seen.family = CW_FAMILY_IPV6;
	memset(seen.ip6, 7, 16);
	CU_ASSERT_EQUAL(cw_stun_parse(out, cw_stun_write_response(out, transaction, &seen), &m), 0);
	CU_ASSERT_TRUE(cw_endpoint_equal(&m.mapped, &seen));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"the requests of RFC 5769 are read", test_stun_reads_the_rfc_5769_requests},
		{"the response of RFC 5769 is read", test_stun_reads_the_rfc_5769_response},
		{"its IPv6 response is read", test_stun_reads_the_rfc_5769_ipv6_response},
		{"we answer as RFC 5769 does", test_stun_answers_as_rfc_5769_does},
		{"a question fills up to a size", test_stun_fills_up_to_a_size},
		{"a hello names its network", test_a_hello_names_its_network},
		{"STUN reads what it writes", test_stun_reads_what_it_writes},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("stun", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
