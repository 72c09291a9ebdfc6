/* SPDX-License-Identifier: BSD-3-Clause */
/* drivers/dtls: two engines joined in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cw_dtls_openssl.h>

#include "cw_test.h"
#include "pki_fixture.h"

#define QUEUE 64

struct datagram {
	size_t len;
	uint8_t data[2048];
};

struct wire {
	unsigned int count;
	struct datagram queue[QUEUE];
};

struct end {
	struct wire out;
	struct cw_dtls *engine;
	struct cw_identity self;
	struct cw_dtls_session *session;
	struct cw_endpoint at;
};

static const char *dir;
static const struct cw_dtls_ops *dtls = &cw_dtls_openssl_ops;

static void send_datagram(void *ctx, const struct cw_endpoint *to, const void *data, size_t len)
{
	struct end *e = ctx;

	(void)to;
	if (e->out.count < QUEUE && len <= sizeof(e->out.queue[0].data)) {
		memcpy(e->out.queue[e->out.count].data, data, len);
		e->out.queue[e->out.count++].len = len;
	}
}

static void open_end(struct end *e, const char *node, const char *ca, uint32_t ip)
{
	char crt[256], key[256], ca_crt[256], err[256] = "";
	struct cw_dtls_openssl_params params = {
		.certificate = crt, .key = key, .ca = ca_crt, .send = send_datagram, .send_ctx = e};

	memset(e, 0, sizeof(*e));
	snprintf(crt, sizeof(crt), "%s/%s.crt", dir, node);
	snprintf(key, sizeof(key), "%s/%s.key", dir, node);
	snprintf(ca_crt, sizeof(ca_crt), "%s/%s.ca.crt", dir, ca);
	e->at = (struct cw_endpoint){
		.family = CW_FAMILY_IPV4, .port = rte_cpu_to_be_16(7845), .ip4 = ip};
	CU_ASSERT_EQUAL_FATAL(
		cw_dtls_openssl_create(&e->engine, &params, &e->self, err, sizeof(err)), 0);
}

static void close_end(struct end *e)
{
	if (e->session != NULL)
		dtls->close(e->session);
	cw_dtls_openssl_destroy(e->engine);
}

/* Carry what `from` sent to `to`. @return datagrams carried. */
static unsigned int carry(struct end *from, struct end *to)
{
	struct wire w = from->out;
	uint8_t plain[2048];

	from->out.count = 0;
	for (unsigned int i = 0; i < w.count; i++) {
		if (to->session == NULL)
			to->session = dtls->accept(to->engine, &from->at, w.queue[i].data,
						   w.queue[i].len, 0);
		else
			dtls->input(to->session, w.queue[i].data, w.queue[i].len, plain,
				    sizeof(plain), 0);
	}
	return w.count;
}

static void shake(struct end *client, struct end *server)
{
	client->session = dtls->connect(client->engine, &server->at, 0);
	for (unsigned int round = 0; round < 20; round++)
		if (carry(client, server) + carry(server, client) == 0)
			break;
}

static void test_handshake_gives_both_ends_equal_exporters(void)
{
	struct end a, b;
	uint8_t ka[32], kb[32];

	open_end(&a, "node-a", "ca1", 1);
	open_end(&b, "node-b", "ca1", 2);
	shake(&a, &b);
	CU_ASSERT_EQUAL_FATAL(dtls->status(a.session), CW_DTLS_ESTABLISHED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.session);
	CU_ASSERT_EQUAL_FATAL(dtls->status(b.session), CW_DTLS_ESTABLISHED);
	CU_ASSERT_EQUAL(dtls->exporter(a.session, "EXPORTER-x", ka, sizeof(ka)), 0);
	CU_ASSERT_EQUAL(dtls->exporter(b.session, "EXPORTER-x", kb, sizeof(kb)), 0);
	CU_ASSERT_EQUAL(memcmp(ka, kb, sizeof(ka)), 0);
	CU_ASSERT_TRUE(cw_node_id_equal(&dtls->peer(a.session)->node, &b.self.node));
	CU_ASSERT_TRUE(cw_node_id_equal(&dtls->peer(b.session)->node, &a.self.node));
	CU_ASSERT_TRUE(cw_identity_in_namespace(dtls->peer(a.session), "demo"));
	close_end(&a);
	close_end(&b);
}

static void test_a_record_goes_through_and_a_long_one_is_refused(void)
{
	struct end a, b;
	uint8_t big[4096] = {0}, out[2048];

	open_end(&a, "node-a", "ca1", 1);
	open_end(&b, "node-b", "ca1", 2);
	shake(&a, &b);
	CU_ASSERT_EQUAL_FATAL(dtls->write(a.session, "hello", 5), 0);
	CU_ASSERT_EQUAL_FATAL(a.out.count, 1);
	CU_ASSERT_EQUAL(dtls->input(b.session, a.out.queue[0].data, a.out.queue[0].len, out,
				    sizeof(out), 0),
			5);
	CU_ASSERT_EQUAL(memcmp(out, "hello", 5), 0);
	CU_ASSERT_EQUAL(dtls->input(b.session, NULL, 0, out, sizeof(out), 0), 0);
	CU_ASSERT_TRUE(dtls->write(a.session, big, sizeof(big)) < 0);
	close_end(&a);
	close_end(&b);
}

static void test_a_foreign_ca_is_refused_by_name(void)
{
	struct end a, b;

	open_end(&a, "node-x", "ca2", 1);
	open_end(&b, "node-b", "ca1", 2);
	shake(&a, &b);
	CU_ASSERT_NOT_EQUAL(dtls->status(a.session), CW_DTLS_ESTABLISHED);
	CU_ASSERT_TRUE(b.session == NULL || dtls->status(b.session) != CW_DTLS_ESTABLISHED);
	CU_ASSERT_EQUAL(dtls->status(a.session), CW_DTLS_FAILED);
	CU_ASSERT_PTR_NOT_NULL(strstr(dtls->reason(a.session), "CA"));
	close_end(&a);
	close_end(&b);
}

static void test_hellos_from_forged_addresses_leave_nothing(void)
{
	struct end a, b;

	open_end(&a, "node-a", "ca1", 1);
	open_end(&b, "node-b", "ca1", 2);
	for (uint32_t i = 0; i < 200; i++) {
		struct cw_endpoint forged = {.family = CW_FAMILY_IPV4, .port = 1, .ip4 = i + 10};

		a.out.count = b.out.count = 0;
		a.session = dtls->connect(a.engine, &b.at, 0);
		CU_ASSERT_PTR_NULL(dtls->accept(b.engine, &forged, a.out.queue[0].data,
						a.out.queue[0].len, 0));
		CU_ASSERT_TRUE(b.out.count <= 1);
		dtls->close(a.session);
		a.session = NULL;
	}
	close_end(&a);
	close_end(&b);
}

static void test_a_forged_alert_does_not_end_a_handshake(void)
{
	static const uint8_t alert[] = {21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40};
	struct end a, b;
	uint8_t out[64];

	open_end(&a, "node-a", "ca1", 1);
	open_end(&b, "node-b", "ca1", 2);
	a.session = dtls->connect(a.engine, &b.at, 0);
	dtls->input(a.session, alert, sizeof(alert), out, sizeof(out), 0);
	CU_ASSERT_EQUAL(dtls->status(a.session), CW_DTLS_HANDSHAKE);
	for (unsigned int round = 0; round < 20; round++)
		if (carry(&a, &b) + carry(&b, &a) == 0)
			break;
	CU_ASSERT_EQUAL(dtls->status(a.session), CW_DTLS_ESTABLISHED);
	close_end(&a);
	close_end(&b);
}

static void test_no_record_from_a_stranger_ends_an_association(void)
{
	static const uint8_t types[] = {20, 21, 22, 23, 24, 63};
	uint8_t record[2 * 13 + 64] = {0}, out[256];
	struct end a, b;

	open_end(&a, "node-a", "ca1", 1);
	open_end(&b, "node-b", "ca1", 2);
	shake(&a, &b);
	for (unsigned int type = 0; type < sizeof(types); type++)
		for (unsigned int epoch = 0; epoch < 3; epoch++)
			for (uint8_t n = 0; n <= 64; n++) {
				size_t len = 13u + n;

				memset(record, 0, sizeof(record));
				memcpy(record,
				       (uint8_t[]){types[type], 0xfe, 0xfd, 0, (uint8_t)epoch}, 5);
				record[9] = 0xff;
				record[12] = n;
				dtls->input(a.session, record, len, out, sizeof(out), 0);
				/* Its length is a lie, and behind a good one. */
				record[12] = (uint8_t)(n + 1);
				dtls->input(a.session, record, len, out, sizeof(out), 0);
				memmove(record + 13, record, sizeof(record) - 13);
				record[12] = 0;
				dtls->input(a.session, record, len + 13, out, sizeof(out), 0);
				CU_ASSERT_EQUAL_FATAL(dtls->status(a.session), CW_DTLS_ESTABLISHED);
			}
	b.out.count = 0;
	CU_ASSERT_EQUAL(dtls->write(b.session, "still", 5), 0);
	CU_ASSERT_EQUAL(dtls->input(a.session, b.out.queue[0].data, b.out.queue[0].len, out,
				    sizeof(out), 0),
			5);
	close_end(&a);
	close_end(&b);
}

/* Hello, cookie, hello again, from port `port` of a's address. @return whether b began a handshake.
 */
static bool knock(struct end *a, struct end *b, uint16_t port, uint64_t now_ns)
{
	struct cw_endpoint from = a->at;
	struct cw_dtls_session *s;
	uint8_t out[64];

	from.port = rte_cpu_to_be_16(port);
	a->out.count = b->out.count = 0;
	a->session = dtls->connect(a->engine, &b->at, now_ns);
	CU_ASSERT_PTR_NULL(
		dtls->accept(b->engine, &from, a->out.queue[0].data, a->out.queue[0].len, now_ns));
	a->out.count = 0;
	dtls->input(a->session, b->out.queue[0].data, b->out.queue[0].len, out, sizeof(out),
		    now_ns);
	s = dtls->accept(b->engine, &from, a->out.queue[0].data, a->out.queue[0].len, now_ns);
	dtls->close(a->session);
	a->session = NULL;
	if (s != NULL)
		dtls->close(s);
	return s != NULL;
}

static void test_one_address_cannot_use_up_the_handshakes_of_all(void)
{
	struct end a, b, c;
	unsigned int begun = 0;

	open_end(&a, "node-a", "ca1", 1);
	open_end(&b, "node-b", "ca1", 2);
	open_end(&c, "node-a", "ca1", 3);
	for (uint16_t i = 0; i < 200; i++)
		begun += knock(&a, &b, (uint16_t)(1000 + i), CW_NS_PER_S);
	CU_ASSERT_EQUAL(begun, 40);
	CU_ASSERT_EQUAL(cw_dtls_openssl_over_budget(b.engine), 160);
	CU_ASSERT_TRUE(knock(&c, &b, 1, CW_NS_PER_S));
	CU_ASSERT_TRUE(knock(&a, &b, 1, 2 * CW_NS_PER_S));
	close_end(&a);
	close_end(&b);
	close_end(&c);
}

static void test_an_old_cookie_is_worth_nothing(void)
{
	struct end a, b;
	uint8_t out[64];
	struct datagram hello;
	struct cw_dtls_session *s;

	open_end(&a, "node-a", "ca1", 1);
	open_end(&b, "node-b", "ca1", 2);
	a.session = dtls->connect(a.engine, &b.at, 1);
	CU_ASSERT_PTR_NULL(
		dtls->accept(b.engine, &a.at, a.out.queue[0].data, a.out.queue[0].len, 1));
	a.out.count = 0;
	dtls->input(a.session, b.out.queue[0].data, b.out.queue[0].len, out, sizeof(out), 1);
	hello = a.out.queue[0];
	/* Once replaced, the key still counts; twice, no more. */
	s = dtls->accept(b.engine, &a.at, hello.data, hello.len, 61 * CW_NS_PER_S);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	dtls->close(s);
	CU_ASSERT_PTR_NULL(dtls->accept(b.engine, &a.at, hello.data, hello.len, 122 * CW_NS_PER_S));
	close_end(&a);
	close_end(&b);
}

static void test_only_the_key_that_a_node_id_is_made_of_signs_for_it(void)
{
	const struct cw_key_ops *keys = &cw_keys_openssl;
	uint8_t signature[CW_KEY_SIGNATURE_BYTES], text[] = "what node one asks for";
	const uint8_t *key, *other;
	size_t len, key_len, other_len;
	struct end one, two;

	open_end(&one, "node-a", "ca1", 1);
	open_end(&two, "node-b", "ca1", 2);
	key = keys->key(one.engine, &key_len);
	other = keys->key(two.engine, &other_len);
	CU_ASSERT_TRUE_FATAL(key_len <= CW_KEY_BYTES_MAX);
	CU_ASSERT_EQUAL(keys->sign(one.engine, text, sizeof(text), signature, &len), 0);
	CU_ASSERT_TRUE(keys->check(two.engine, &one.self.node, key, key_len, text, sizeof(text),
				   signature, len));
	/* Neither under another's name, nor with another's key, nor something else, nor half. */
	CU_ASSERT_FALSE(keys->check(two.engine, &two.self.node, key, key_len, text, sizeof(text),
				    signature, len));
	CU_ASSERT_FALSE(keys->check(one.engine, &one.self.node, other, other_len, text,
				    sizeof(text), signature, len));
	CU_ASSERT_FALSE(keys->check(two.engine, &one.self.node, key, key_len, text,
				    sizeof(text) - 1, signature, len));
	CU_ASSERT_FALSE(keys->check(two.engine, &one.self.node, key, key_len, text, sizeof(text),
				    signature, len - 1));
	close_end(&one);
	close_end(&two);
}

static void test_garbage_is_ignored(void)
{
	struct end a, b;
	uint8_t junk[200], out[2048];

	open_end(&a, "node-a", "ca1", 1);
	open_end(&b, "node-b", "ca1", 2);
	shake(&a, &b);
	srandom(7);
	for (unsigned int i = 0; i < 500; i++) {
		size_t len = (size_t)random() % sizeof(junk) + 1;

		for (size_t k = 0; k < len; k++)
			junk[k] = (uint8_t)random();
		CU_ASSERT_EQUAL(dtls->input(b.session, junk, len, out, sizeof(out), 0), 0);
		b.out.count = 0;
		CU_ASSERT_PTR_NULL(dtls->accept(b.engine, &a.at, junk, len, 0));
	}
	CU_ASSERT_EQUAL(dtls->status(b.session), CW_DTLS_ESTABLISHED);
	close_end(&a);
	close_end(&b);
}

static void test_close_is_seen_by_the_other_end(void)
{
	struct end a, b;

	open_end(&a, "node-a", "ca1", 1);
	open_end(&b, "node-b", "ca1", 2);
	shake(&a, &b);
	dtls->close(a.session);
	a.session = NULL;
	carry(&a, &b);
	CU_ASSERT_EQUAL(dtls->status(b.session), CW_DTLS_CLOSED);
	close_end(&a);
	close_end(&b);
}

static void test_a_wrong_key_is_named(void)
{
	struct cw_dtls *engine;
	struct cw_identity self;
	char crt[256], key[256], ca[256], err[256];
	struct cw_dtls_openssl_params p = {
		.certificate = crt, .key = key, .ca = ca, .send = send_datagram};

	snprintf(crt, sizeof(crt), "%s/node-a.crt", dir);
	snprintf(key, sizeof(key), "%s/node-b.key", dir);
	snprintf(ca, sizeof(ca), "%s/ca1.ca.crt", dir);
	CU_ASSERT_TRUE(cw_dtls_openssl_create(&engine, &p, &self, err, sizeof(err)) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "node-b.key"));
	snprintf(key, sizeof(key), "%s/node-a.key", dir);
	snprintf(ca, sizeof(ca), "%s/ca2.ca.crt", dir);
	CU_ASSERT_TRUE(cw_dtls_openssl_create(&engine, &p, &self, err, sizeof(err)) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "not signed by our CA"));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a handshake gives both ends equal exporters",
		 test_handshake_gives_both_ends_equal_exporters},
		{"a record goes through and a long one is refused",
		 test_a_record_goes_through_and_a_long_one_is_refused},
		{"a foreign CA is refused by name", test_a_foreign_ca_is_refused_by_name},
		{"hellos from forged addresses leave nothing",
		 test_hellos_from_forged_addresses_leave_nothing},
		{"a forged alert does not end a handshake",
		 test_a_forged_alert_does_not_end_a_handshake},
		{"no record from a stranger ends an association",
		 test_no_record_from_a_stranger_ends_an_association},
		{"one address cannot use up the handshakes of all",
		 test_one_address_cannot_use_up_the_handshakes_of_all},
		{"an old cookie is worth nothing", test_an_old_cookie_is_worth_nothing},
		{"only the key that a node ID is made of signs for it",
		 test_only_the_key_that_a_node_id_is_made_of_signs_for_it},
		{"garbage is ignored", test_garbage_is_ignored},
		{"a close is seen by the other end", test_close_is_seen_by_the_other_end},
		{"a wrong key or CA is named", test_a_wrong_key_is_named},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("dtls", tests), CU_SUITE_INFO_NULL};
	int rc;

	dir = pki_fixture_open();
	if (dir == NULL)
		return 1;
	pki_fixture_node("ca1", "node-a", 5);
	pki_fixture_node("ca1", "node-b", 5);
	pki_fixture_node("ca2", "node-x", 5);
	rc = cw_test_run(suites);
	pki_fixture_close();
	return rc;
}
