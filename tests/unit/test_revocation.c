/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Revocations: records that only a CA makes, and their spreading over a ring of nodes whose
 * messages get lost. All must end with the same set; what no CA signed must go nowhere.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cw_dtls_openssl.h>
#include <cw_os.h>
#include <cw_revocation.h>

#include "cw_test.h"

#define NODES 40u
#define QUEUE 65536u

struct message {
	unsigned int from, to;
	size_t len;
	void *data;
};

static struct cw_revocations *sets[NODES];
static unsigned int told[NODES];
static struct message queue[QUEUE];
static unsigned int head, tail, lose_percent;
static uint64_t now, wall;
static bool cut; /* nothing arrives */

static struct cw_node_id id_of(unsigned int i)
{
	struct cw_node_id id = {0};
	uint8_t hash[32];

	cw_digest_openssl.sha256(&i, sizeof(i), hash);
	memcpy(id.b, hash, sizeof(id.b));
	return id;
}

/* The stand-in for a CA: the hash of the signed bytes is the signature. */
static bool ca_signed(void *ctx, const struct cw_node_id *ca, const void *data, size_t len,
		      const uint8_t *signature, size_t signature_len)
{
	uint8_t hash[32];

	(void)ctx;
	cw_digest_openssl.sha256(data, len, hash);
	return ca->b[0] == 0xca && signature_len == 32 && memcmp(hash, signature, 32) == 0;
}

static size_t make(unsigned int victim, uint64_t until_s, const char *reason, uint8_t *out,
		   size_t size)
{
	struct cw_revocation r = {.ca.b = {0xca}, .when_unix_s = 5, .until_unix_s = until_s};
	uint8_t text[CW_REVOCATION_BYTES_MAX], hash[32];
	size_t label = strlen(CW_REVOCATION_LABEL), len;

	r.node = id_of(victim);
	strcpy(r.reason, reason);
	memcpy(text, CW_REVOCATION_LABEL, label);
	len = cw_revocation_body(&r, text + label, sizeof(text) - label);
	cw_digest_openssl.sha256(text, label + len, hash);
	return cw_revocation_seal(text + label, len, hash, sizeof(hash), out, size);
}

static uint64_t unix_s(void *ctx)
{
	(void)ctx;
	return wall;
}

static void op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len)
{
	unsigned int from = (unsigned int)((unsigned int *)ctx - told), i = 0;
	struct cw_node_id id;

	if (cut || (unsigned int)random() % 100 < lose_percent || tail == QUEUE)
		return;
	for (id = id_of(i); i < NODES && !cw_node_id_equal(&id, to); id = id_of(i))
		i++;
	queue[tail] = (struct message){from, i, len, malloc(len)};
	memcpy(queue[tail++].data, data, len);
}

/* A ring with two neighbours on each side. */
static void neighbours(void *ctx, void (*visit)(void *arg, const struct cw_node_id *node),
		       void *arg)
{
	unsigned int self = (unsigned int)((unsigned int *)ctx - told);
	static const unsigned int steps[] = {1, 2, NODES - 1, NODES - 2};

	for (unsigned int i = 0; i < 4; i++) {
		struct cw_node_id id = id_of((self + steps[i]) % NODES);

		visit(arg, &id);
	}
}

static void revoked(void *ctx, const struct cw_revocation *r)
{
	(void)r;
	++*(unsigned int *)ctx;
}

static void open_all(void)
{
	static const struct cw_revocation_ops ops = {ca_signed, unix_s, op_send, neighbours,
						     revoked};
	struct cw_revocations_config config = {cw_digest_openssl, cw_os_random};

	head = tail = lose_percent = 0;
	cut = false;
	now = CW_NS_PER_S;
	wall = 1000;
	for (unsigned int i = 0; i < NODES; i++) {
		told[i] = 0;
		CU_ASSERT_EQUAL_FATAL(cw_revocations_create(&sets[i], &config, &ops, &told[i]), 0);
	}
}

static void close_all(void)
{
	for (unsigned int i = 0; i < NODES; i++)
		cw_revocations_destroy(sets[i]);
	while (head < tail)
		free(queue[head++].data);
}

static void run(unsigned int seconds)
{
	for (unsigned int s = 0; s < seconds; s++, now += CW_NS_PER_S) {
		for (unsigned int i = 0; i < NODES; i++)
			cw_revocations_timer(sets[i], now);
		while (head < tail) {
			struct message m = queue[head++];
			struct cw_node_id from = id_of(m.from);

			cw_revocations_input(sets[m.to], &from, m.data, m.len);
			free(m.data);
		}
		head = tail = 0;
	}
}

static void test_news_reach_everybody_at_once(void)
{
	uint8_t record[CW_REVOCATION_BYTES_MAX];
	size_t len = make(1000, 0, "stolen", record, sizeof(record));
	struct cw_node_id victim = id_of(1000);

	open_all();
	CU_ASSERT_EQUAL(cw_revocations_add(sets[0], record, len), 0);
	CU_ASSERT_EQUAL(cw_revocations_add(sets[0], record, len), -EALREADY);
	run(1);
	for (unsigned int i = 0; i < NODES; i++) {
		CU_ASSERT_TRUE(cw_revocations_has(sets[i], &victim));
		CU_ASSERT_EQUAL(told[i], 1);
	}
	close_all();
}

static void test_sets_that_grew_apart_under_loss_become_one(void)
{
	uint8_t record[CW_REVOCATION_BYTES_MAX];

	open_all();
	cut = true;
	for (unsigned int i = 0; i < 600; i++) {
		size_t len = make(1000 + i, 0, i % 2 ? "lost" : "", record, sizeof(record));

		CU_ASSERT_EQUAL(cw_revocations_add(sets[i % NODES], record, len), 0);
	}
	run(1);
	CU_ASSERT_EQUAL(cw_revocations_count(sets[0]), 15);
	cut = false;
	lose_percent = 30;
	run(200);
	for (unsigned int i = 0; i < NODES; i++)
		CU_ASSERT_EQUAL(cw_revocations_count(sets[i]), 600);
	close_all();
}

static void count_reason(void *arg, const struct cw_revocation *r, const void *record, size_t len)
{
	(void)record, (void)len;
	strcpy(arg, r->reason);
}

static void test_two_records_for_one_node_end_as_the_same_everywhere(void)
{
	uint8_t record[CW_REVOCATION_BYTES_MAX];
	char first[CW_REVOCATION_REASON_BYTES], other[CW_REVOCATION_REASON_BYTES];

	open_all();
	cut = true;
	for (unsigned int i = 0; i < 2; i++) {
		size_t len = make(1000, 0, i ? "one operator" : "another operator", record,
				  sizeof(record));

		CU_ASSERT_EQUAL(cw_revocations_add(sets[i * 20], record, len), 0);
	}
	cut = false;
	run(40);
	cw_revocations_visit(sets[0], count_reason, first);
	for (unsigned int i = 0; i < NODES; i++) {
		CU_ASSERT_EQUAL(cw_revocations_count(sets[i]), 1);
		cw_revocations_visit(sets[i], count_reason, other);
		CU_ASSERT_STRING_EQUAL(first, other);
	}
	close_all();
}

static void test_what_no_ca_signed_goes_nowhere(void)
{
	uint8_t record[CW_REVOCATION_BYTES_MAX];
	size_t len;

	open_all();
	for (unsigned int bent = 0; bent < 200; bent++) {
		len = make(1000, 0, "stolen", record, sizeof(record));
		record[bent % len] ^= (uint8_t)(1 + bent / len);
		CU_ASSERT_TRUE(cw_revocations_add(sets[0], record, len) < 0);
		CU_ASSERT_TRUE(cw_revocations_add(sets[0], record, bent % len) < 0);
	}
	run(12);
	for (unsigned int i = 0; i < NODES; i++)
		CU_ASSERT_EQUAL(cw_revocations_count(sets[i]), 0);
	close_all();
}

static void test_a_record_ends_with_the_certificates(void)
{
	uint8_t record[CW_REVOCATION_BYTES_MAX];
	size_t len = make(1000, 90000, "", record, sizeof(record));

	open_all();
	CU_ASSERT_EQUAL(cw_revocations_add(sets[0], record, len), 0);
	run(1);
	wall = 90001;
	run(30);
	for (unsigned int i = 0; i < NODES; i++)
		CU_ASSERT_EQUAL(cw_revocations_count(sets[i]), 0);
	CU_ASSERT_EQUAL(cw_revocations_add(sets[0], record, len), -ETIME);
	close_all();
}

static void test_garbage_is_ignored(void)
{
	struct cw_node_id from = id_of(1);
	uint8_t junk[300];

	open_all();
	srandom(11);
	for (unsigned int i = 0; i < 20000; i++) {
		size_t len = (size_t)random() % sizeof(junk);

		for (size_t k = 0; k < len; k++)
			junk[k] = (uint8_t)random();
		cw_revocations_input(sets[0], &from, junk, len);
	}
	CU_ASSERT_EQUAL(cw_revocations_count(sets[0]), 0);
	close_all();
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"news reach everybody at once", test_news_reach_everybody_at_once},
		{"sets that grew apart under loss become one",
		 test_sets_that_grew_apart_under_loss_become_one},
		{"two records for one node end as the same everywhere",
		 test_two_records_for_one_node_end_as_the_same_everywhere},
		{"what no CA signed goes nowhere", test_what_no_ca_signed_goes_nowhere},
		{"a record ends with the certificates", test_a_record_ends_with_the_certificates},
		{"garbage is ignored", test_garbage_is_ignored},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("revocation", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
