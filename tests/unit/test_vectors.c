/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers from elsewhere: HKDF-Expand against RFC 5869's test cases, the tunnel against AES-GCM
 * computed by itself from RFC 4106 and 4303's text, the in-line responders against golden bytes.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <rte_thash.h>

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

/* One AEAD vector whose associated data is as long as ours with ESN. */
struct aead_vector {
	enum cw_suite suite;
	const char *key, *nonce, *aad, *plain, *sealed, *icv;
};

static const struct aead_vector aead_vectors[] = {
	/* RFC 8439 section 2.8.2 */
	{CW_SUITE_CHACHA20_POLY1305,
	 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
	 "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
	 "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a"
	 "204966204920636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f72207468"
	 "65206675747572652c2073756e73637265656e20776f756c642062652069742e",
	 "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282"
	 "fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab3"
	 "24e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116",
	 "1ae10b594f09e26a7e902ecbd0600691"},
};

static void try_vector(const struct cw_crypto_ops *ops, void *engine, const struct aead_vector *v)
{
	uint8_t data[256], icv[16], want[256], want_icv[16], key[32];
	void *session = NULL;
	struct cw_crypto_job job = {.data = data, .icv = icv, .suite = (uint8_t)v->suite};

	hex(v->key, key);
	hex(v->nonce, job.nonce);
	hex(v->aad, job.aad);
	job.len = (uint32_t)hex(v->plain, data);
	CU_ASSERT_EQUAL(hex(v->sealed, want), job.len);
	hex(v->icv, want_icv);
	CU_ASSERT_EQUAL_FATAL(posix_memalign(&session, 64, (ops->session_bytes + 63) / 64 * 64), 0);
	job.session = session;
	CU_ASSERT_EQUAL_FATAL(ops->session_init(engine, session, v->suite, key), 0);
	ops->seal(engine, &job, 1);
	CU_ASSERT_TRUE(job.ok);
	CU_ASSERT_EQUAL(memcmp(data, want, job.len), 0);
	CU_ASSERT_EQUAL(memcmp(icv, want_icv, sizeof(icv)), 0);
	ops->open(engine, &job, 1);
	CU_ASSERT_TRUE(job.ok);
	CU_ASSERT_TRUE(hex(v->plain, want) == job.len && memcmp(data, want, job.len) == 0);
	memcpy(data, want, job.len);
	icv[15] ^= 1;
	ops->open(engine, &job, 1);
	CU_ASSERT_FALSE(job.ok);
	ops->session_clear(engine, session);
	free(session);
}

static void test_aeads_by_the_rfcs_vectors(void)
{
	void *ipsec_mb = cw_crypto_ipsec_mb_open();

	for (size_t i = 0; i < CW_ARRAY_SIZE(aead_vectors); i++) {
		try_vector(&cw_crypto_openssl, NULL, &aead_vectors[i]);
		if (ipsec_mb != NULL)
			try_vector(&cw_crypto_ipsec_mb, ipsec_mb, &aead_vectors[i]);
	}
	cw_crypto_ipsec_mb_close(ipsec_mb);
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

/* A port that cannot spread is spread for as a NIC would: DPDK's own Toeplitz says where to. */
static void test_flows_go_where_a_nic_would_send_them(void)
{
	static uint8_t key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
				  0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
				  0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
				  0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
	unsigned int other = 0, to;
	uint8_t frame[128];

	rig_open(&rig, false, false);
	rig_share_the_lan(&rig);
	for (unsigned int i = 0; i < 200; i++) {
		uint32_t tuple[3] = {RIG_BOUND, RIG_NEAR, (4000 + i) << 16 | (7 + i * i)};
		rte_be32_t ports = rte_cpu_to_be_32(tuple[2]);
		size_t len = rig_lan_ip(frame, RIG_BOUND, RIG_NEAR, 0, 17, 40);

		memcpy(frame + 34, &ports, 4);
		rig_put(&rig, &rig.lan, frame, len, 1);
		rig_turn(&rig);
		to = rte_softrss(tuple, 3, key) % 128 % RIG_WORKERS;
		CU_ASSERT_EQUAL(rig.stats.handed_over, to);
		CU_ASSERT_EQUAL(rig.wan.sent, !to);
		other += to;
		CU_ASSERT_EQUAL(rig_reset(&rig), 0);
	}
	CU_ASSERT_TRUE(other > 50 && other < 150);
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
		{"AEADs by the RFCs' vectors", test_aeads_by_the_rfcs_vectors},
		{"ESP as the RFCs say", test_esp_as_the_rfcs_say},
		{"flows go where a NIC would send them", test_flows_go_where_a_nic_would_send_them},
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
