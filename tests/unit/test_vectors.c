/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers from elsewhere: HKDF-Expand against RFC 5869's test cases, the tunnel against AES-GCM
 * computed by itself from RFC 4106 and 4303's text, the in-line responders against golden bytes.
 */
#include <string.h>

#include <openssl/evp.h>

#include <cw_arp_respond.h>
#include <cw_crypto_engines.h>
#include <cw_dtls_openssl.h>
#include <cw_eth.h>
#include <rig.h>

#include "cw_test.h"

static size_t hex(const char *text, uint8_t *out)
{
	size_t n = 0;
	unsigned int byte;

	while (sscanf(text + 2 * n, "%2x", &byte) == 1)
		out[n++] = (uint8_t)byte;
	return n;
}

static void test_hkdf_expand_by_rfc_5869(void)
{
	static const struct {
		const char *prk, *info, *okm;
	} cases[] = {
		{"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
		 "f0f1f2f3f4f5f6f7f8f9",
		 "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
		{"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04", "",
		 "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	};

	for (size_t i = 0; i < CW_ARRAY_SIZE(cases); i++) {
		uint8_t prk[32], info[64], okm[64], out[64];
		size_t info_len = hex(cases[i].info, info), len = hex(cases[i].okm, okm);

		hex(cases[i].prk, prk);
		CU_ASSERT_EQUAL(cw_kdf_openssl.hkdf_expand(prk, info, info_len, out, len), 0);
		CU_ASSERT_EQUAL(memcmp(out, okm, len), 0);
	}
}

static struct rig rig;

/* The rig's outbound key is all ones (add_keys): 32 bytes of key, 4 of salt. */
static void expect_esp(const uint8_t *udp_payload, size_t len, uint64_t seq, const uint8_t *inner,
		       size_t inner_len)
{
	uint8_t key[32], nonce[12], aad[12], plain[256], sealed[256], tag[16];
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t pad = (4 - (inner_len + 2) % 4) % 4, total = inner_len + pad + 2;
	int n;

	memset(key, 1, sizeof(key));
	memset(nonce, 1, 4);
	for (unsigned int i = 0; i < 8; i++)
		nonce[4 + i] = aad[4 + i] = (uint8_t)(seq >> (56 - 8 * i));
	memcpy(aad, udp_payload, 4);
	memcpy(plain, inner, inner_len);
	for (size_t i = 0; i < pad; i++)
		plain[inner_len + i] = (uint8_t)(i + 1);
	plain[total - 2] = (uint8_t)pad;
	plain[total - 1] = 4; /* IPv4 */
	CU_ASSERT_TRUE(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce) &&
		       EVP_EncryptUpdate(c, NULL, &n, aad, sizeof(aad)) &&
		       EVP_EncryptUpdate(c, sealed, &n, plain, (int)total) &&
		       EVP_EncryptFinal_ex(c, sealed + n, &n) &&
		       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag));
	EVP_CIPHER_CTX_free(c);
	CU_ASSERT_EQUAL_FATAL(len, 16 + total + 16);
	CU_ASSERT_EQUAL(memcmp(udp_payload + 4, aad + 8, 4), 0);   /* low sequence number */
	CU_ASSERT_EQUAL(memcmp(udp_payload + 8, nonce + 4, 8), 0); /* explicit IV */
	CU_ASSERT_EQUAL(memcmp(udp_payload + 16, sealed, total), 0);
	CU_ASSERT_EQUAL(memcmp(udp_payload + 16 + total, tag, 16), 0);
}

static void test_esp_as_the_rfcs_say(void)
{
	struct cw_sa_out *sa;
	uint8_t frame[256];

	rig_open(&rig, false, false);
	sa = cw_sa_pick(cw_peer_at(rig.peers, rig.near), 0, RIG_WORKERS, 0);
	/* Every padding, and a sequence number with a high half. */
	for (unsigned int i = 0; i < 6; i++) {
		size_t len = rig_lan_ip(frame, RIG_BOUND, RIG_NEAR, 0, 17, 40 + i);

		if (i == 5)
			sa->seq = UINT64_C(0x1fffffffe);
		rig_put(&rig, &rig.lan, frame, len, 1);
		rig_turn(&rig);
		CU_ASSERT_EQUAL_FATAL(rig.wan.sent, i + 1);
		expect_esp(rig.wan.last.bytes + 42, rig.wan.last.len - 42, sa->seq, frame + 14,
			   len - 14);
	}
	CU_ASSERT_EQUAL(rig_close(&rig), 0);
}

/* In, out by the worker; the bytes were written down by hand from RFC 826. */
static void test_arp_by_golden_bytes(void)
{
	static const char ask[] =
		"ffffffffffff020000000005080600010800060400010200000000050a8000050000000000000a800009";
	static const char answer[] =
		"020000000005fefd0000000008060001080006040002fefd000000000a8000090200000000050a800005";
	static const char probe[] =
		"ffffffffffff0200000000070806000108000604000102000000000700000000000000000000"
		"0a800009";
	static const char defence[] =
		"020000000007fefd0000000008060001080006040002fefd000000000a80000902000000000700000000";
	static const char *const cases[][2] = {{ask, answer}, {probe, defence}};

	rig_open(&rig, false, false);
	for (size_t i = 0; i < CW_ARRAY_SIZE(cases); i++) {
		uint8_t in[64], out[64];
		size_t len = hex(cases[i][0], in);

		CU_ASSERT_EQUAL_FATAL(hex(cases[i][1], out), len);
		rig_put(&rig, &rig.lan, in, len, 1);
		rig_turn(&rig);
		CU_ASSERT_EQUAL_FATAL(rig.lan.sent, i + 1);
		CU_ASSERT_EQUAL(rig.lan.last.len, len);
		CU_ASSERT_EQUAL(memcmp(rig.lan.last.bytes, out, len), 0);
	}
	CU_ASSERT_EQUAL(rig_close(&rig), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"HKDF-Expand by RFC 5869", test_hkdf_expand_by_rfc_5869},
		{"ESP as the RFCs say", test_esp_as_the_rfcs_say},
		{"ARP by golden bytes", test_arp_by_golden_bytes},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("vectors", tests), CU_SUITE_INFO_NULL};
	int rc;

	rig_start();
	rc = cw_test_run(suites);
	rig_stop();
	return rc;
}
