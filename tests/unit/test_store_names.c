/* SPDX-License-Identifier: BSD-3-Clause */
/* Host names in the store: created once, first come first served; the same acts against every
 * driver. */
#include <string.h>

#include <openssl/sha.h>

#include <cw_law.h>
#include <cw_store_drivers.h>

#include "cw_test.h"

struct world {
	struct cw_store store;
	struct cw_store_answer answer;
	bool answered;
	uint64_t now_ns;
	struct cw_dht *dht;
	struct cw_store_static *registers;
	uint64_t lsn;
};

static const struct cw_node_id self = {{7}};
static const struct cw_site_id site = {{9}};
static const struct cw_client_hash alice = {{1}}, bob = {{2}};

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 0x5a, len);
}

static void sha256(const void *data, size_t len, uint8_t out[32])
{
	SHA256(data, len, out);
}

static void op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		    uint64_t now_ns)
{
	(void)ctx, (void)to, (void)data, (void)len, (void)now_ns; /* a lone voter has nobody */
}

static uint64_t op_append(void *ctx, uint8_t type, const void *data, size_t len)
{
	struct world *w = ctx;

	(void)type, (void)data, (void)len;
	return ++w->lsn;
}

static bool op_site_of(void *ctx, const struct cw_node_id *node, struct cw_site_id *out)
{
	(void)ctx, (void)node;
	*out = site;
	return true;
}

static void op_changed(void *ctx, rte_be32_t ip, const struct cw_mapping *m, uint64_t now_ns)
{
	(void)ctx, (void)ip, (void)m, (void)now_ns;
}

static void op_ns_changed(void *ctx, const struct cw_namespace_record *ns, uint64_t now_ns)
{
	(void)ctx, (void)ns, (void)now_ns;
}

static void open_world(struct world *w, bool dht)
{
	static const struct cw_dht_ops ops = {.send = op_send,
					      .append = op_append,
					      .site_of = op_site_of,
					      .changed = op_changed,
					      .ns_changed = op_ns_changed};
	static const struct cw_log quiet;
	struct cw_dht_config config = {.self = self,
				       .site = site,
				       .ns_name = "demo",
				       .log = &quiet,
				       .random = {.fill = fill},
				       .digest = {.sha256 = sha256}};

	memset(w, 0, sizeof(*w));
	w->now_ns = CW_NS_PER_S;
	if (!dht) {
		CU_ASSERT_EQUAL_FATAL(cw_store_static_create(&w->registers), 0);
		CU_ASSERT_EQUAL_FATAL(
			cw_store_static_attach(w->registers, &self, &site, NULL, &w->store), 0);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(cw_dht_create(&w->dht, &config, &ops, w), 0);
	cw_store_dht(&w->store, w->dht);
	cw_dht_start(w->dht, w->now_ns);
	cw_dht_durable(w->dht, w->lsn, 0, w->now_ns);
	CU_ASSERT_EQUAL_FATAL(cw_dht_found(w->dht, &self, 1, w->now_ns), 0);
}

static void close_world(struct world *w)
{
	cw_store_static_destroy(w->registers);
	cw_dht_destroy(w->dht);
}

static void done(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct world *w = arg;

	(void)now_ns;
	w->answer = *answer;
	w->answered = true;
}

static enum cw_store_result act(struct world *w, enum cw_store_verb verb, const char *name,
				uint64_t ver, const struct cw_client_hash *client, bool proof)
{
	struct cw_store_request q = {.verb = (uint8_t)verb,
				     .ver = ver,
				     .has_proof = proof,
				     .ip = rte_cpu_to_be_32(0x0a800005)};

	strcpy(q.host_name, name);
	if (client != NULL)
		q.client = *client;
	w->answered = false;
	CU_ASSERT_EQUAL_FATAL(cw_store_submit(&w->store, &q, done, w, w->now_ns), 0);
	for (unsigned int i = 0; i < 1000 && !w->answered; i++) {
		w->now_ns += 50 * CW_NS_PER_MS;
		w->store.ops->timer(w->store.self, w->now_ns);
		if (w->dht != NULL)
			cw_dht_durable(w->dht, w->lsn, 0, w->now_ns);
	}
	CU_ASSERT_TRUE_FATAL(w->answered);
	return w->answer.result;
}

static void play(struct world *w)
{
	uint64_t ver;

	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_GET, "node-7", 0, NULL, false), CW_STORE_NOT_FOUND);
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_CREATE, "node-7", 0, &alice, false), CW_STORE_OK);
	CU_ASSERT_TRUE(w->answer.name.held);
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_GET, "node-7", 0, NULL, false), CW_STORE_OK);
	CU_ASSERT_EQUAL(w->answer.name.ip, rte_cpu_to_be_32(0x0a800005));
	CU_ASSERT_EQUAL(memcmp(&w->answer.name.client, &alice, sizeof(alice)), 0);
	ver = w->answer.name.ver;
	/* First come, first served: who did not look, and who looked but saw a living holder. */
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_CREATE, "node-7", 0, &bob, false), CW_STORE_CONFLICT);
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_CREATE, "node-7", ver, &bob, false), CW_STORE_EXISTS);
	CU_ASSERT_EQUAL(memcmp(&w->answer.name.client, &alice, sizeof(alice)), 0);
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_RELEASE, "node-7", ver, &bob, false),
			CW_STORE_NOT_FOUND);
	/* The holder again, with another address: its own. */
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_CREATE, "node-7", ver, &alice, false), CW_STORE_OK);
	ver = w->answer.name.ver;
	/* The holder is gone: of two that saw the same, one. */
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_CREATE, "node-7", ver, &bob, true), CW_STORE_OK);
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_CREATE, "node-7", ver, &alice, true),
			CW_STORE_CONFLICT);
	ver = w->answer.name.ver;
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_RELEASE, "node-7", ver, &bob, false), CW_STORE_OK);
	CU_ASSERT_FALSE(w->answer.name.held);
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_GET, "node-7", 0, NULL, false), CW_STORE_NOT_FOUND);
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_CREATE, "node-7", w->answer.name.ver, &alice, false),
			CW_STORE_OK);
	CU_ASSERT_EQUAL(act(w, CW_STORE_NAME_GET, "node-8", 0, NULL, false), CW_STORE_NOT_FOUND);
}

static void test_names_in_memory(void)
{
	struct world w;

	open_world(&w, false);
	play(&w);
	close_world(&w);
}

static void test_names_in_the_dht(void)
{
	struct world w;

	open_world(&w, true);
	play(&w);
	close_world(&w);
}

static void test_a_name_is_one_label(void)
{
	static const char *const good[] = {"a", "node-7", "0", "c10"};
	static const char *const bad[] = {"", "-a", "a-", "A", "a.b", "a_b", "\xc3\xa4", "a b"};
	char longest[CW_HOST_NAME_BYTES + 1];

	for (size_t i = 0; i < CW_ARRAY_SIZE(good); i++)
		CU_ASSERT_TRUE(cw_law_name_valid(good[i]));
	for (size_t i = 0; i < CW_ARRAY_SIZE(bad); i++)
		CU_ASSERT_FALSE(cw_law_name_valid(bad[i]));
	memset(longest, 'x', sizeof(longest));
	CU_ASSERT_FALSE(cw_law_name_valid(longest));
	longest[CW_HOST_NAME_BYTES - 1] = '\0';
	CU_ASSERT_TRUE(cw_law_name_valid(longest));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"host names in memory: first come, first served", test_names_in_memory},
		{"host names in the DHT: the same acts, the same answers", test_names_in_the_dht},
		{"a host name is one DNS label in lower case", test_a_name_is_one_label},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("store names", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
