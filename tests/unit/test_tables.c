/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables that workers read: routes, hosts; the replay window; SPIs and the two-phase death of
 * peers. */
#include <stdlib.h>
#include <string.h>

#include <cw_host.h>
#include <cw_route.h>
#include <cw_sa.h>

#include "cw_test.h"

/* Both ends choose alike, whoever is asked; the weaker CPU is heard. */
static void test_two_gateways_choose_one_suite(void)
{
	static const struct {
		enum cw_suite_choice a, b;
		bool a_aes, b_aes;
		enum cw_suite want;
	} cases[] = {
		{CW_CIPHER_AUTO, CW_CIPHER_AUTO, true, true, CW_SUITE_AES_256_GCM},
		{CW_CIPHER_AUTO, CW_CIPHER_AUTO, true, false, CW_SUITE_CHACHA20_POLY1305},
		{CW_CIPHER_AUTO, CW_CIPHER_AUTO, false, false, CW_SUITE_CHACHA20_POLY1305},
		{CW_CIPHER_AUTO, CW_CIPHER_AES_256_GCM, false, true, CW_SUITE_AES_256_GCM},
		{CW_CIPHER_AUTO, CW_CIPHER_CHACHA20_POLY1305, true, true,
		 CW_SUITE_CHACHA20_POLY1305},
		{CW_CIPHER_AES_256_GCM, CW_CIPHER_CHACHA20_POLY1305, true, true, CW_SUITE_NONE},
	};
	struct cw_suites strange = {0};

	for (size_t i = 0; i < CW_ARRAY_SIZE(cases); i++) {
		struct cw_suites a, b;

		cw_suites_choose(cases[i].a, cases[i].a_aes, &a);
		cw_suites_choose(cases[i].b, cases[i].b_aes, &b);
		CU_ASSERT_EQUAL(cw_suites_agree(&a, &b), cases[i].want);
		CU_ASSERT_EQUAL(cw_suites_agree(&b, &a), cases[i].want);
	}
	/* A peer may name what we do not know, twice, and more than there is room for. */
	for (unsigned int i = 0; i < 300; i++)
		cw_suites_add(&strange, i);
	cw_suites_add(&strange, CW_SUITE_AES_256_GCM);
	CU_ASSERT_EQUAL(strange.n, 2);
}

static void test_the_replay_window_by_cases(void)
{
	/* In order: sequence number, whether it is accepted. */
	static const struct {
		uint64_t seq;
		bool ok;
	} cases[] = {
		{0, false},
		{1, true},
		{1, false},
		{9, true},
		{8, true},
		{7, true},
		{7, false},
		{CW_REPLAY_BITS, true},
		{CW_REPLAY_BITS - 1, true},
		{CW_REPLAY_BITS - 1, false},
		{CW_REPLAY_BITS - 2, true},
		{2, true},
		{2, false},
		{CW_REPLAY_BITS + 16, true},
		{3, false},
		{16, false},
		{17, true},
		{17, false},
		{CW_REPLAY_BITS * 4, true},
		{CW_REPLAY_BITS * 4 - (CW_REPLAY_BITS - 1), true},
		{CW_REPLAY_BITS * 4 - CW_REPLAY_BITS, false},
		{10, false},
		{0, false},
		{UINT64_C(1) << 40, true},
		{(UINT64_C(1) << 40) - 1, true},
		{(UINT64_C(1) << 40) - 1, false},
		{(UINT64_C(1) << 40), false},
	};
	struct cw_replay r = {0};

	for (size_t i = 0; i < CW_ARRAY_SIZE(cases); i++) {
		bool ok = cw_replay_check(&r, cases[i].seq);

		CU_ASSERT_EQUAL(ok, cases[i].ok);
		if (ok)
			cw_replay_update(&r, cases[i].seq);
	}
}

static void test_the_replay_window_accepts_each_number_once(void)
{
	struct cw_replay r = {0};
	static uint8_t seen[20000];
	uint64_t top = 1;

	memset(seen, 0, sizeof(seen));
	srandom(11);
	for (unsigned int i = 0; i < 200000; i++) {
		uint64_t seq = top + (uint64_t)random() % 40;
		bool ok;

		seq = seq > 2200 ? seq - (uint64_t)random() % 2200 : seq;
		if (seq >= sizeof(seen))
			break;
		ok = cw_replay_check(&r, seq);
		CU_ASSERT_FALSE(ok && seen[seq]);
		/* Inside the window nothing new is refused. */
		if (seq + CW_REPLAY_BITS > r.highest && !seen[seq])
			CU_ASSERT_TRUE(ok);
		if (ok) {
			seen[seq] = 1;
			cw_replay_update(&r, seq);
		}
		top = r.highest;
	}
}

static struct cw_rcu *rcu;

static void test_routes_survive_growth_and_churn(void)
{
	struct cw_route_table *t;
	struct cw_route facts = {.kind = CW_ROUTE_REMOTE};
	struct cw_route *found[64];
	rte_be32_t ips[64];

	CU_ASSERT_EQUAL_FATAL(cw_route_table_create(&t, rcu, 0), 0);
	for (uint32_t i = 1; i <= 100000; i++) {
		facts.ip = rte_cpu_to_be_32(i);
		facts.gen = i;
		CU_ASSERT_EQUAL_FATAL(cw_route_publish(t, &facts), 0);
		if (i % 3 == 0)
			CU_ASSERT_EQUAL(cw_route_retire(t, facts.ip), 0);
		if (i % 1024 == 0) {
			cw_rcu_quiescent();
			cw_rcu_reap(rcu);
		}
	}
	CU_ASSERT_EQUAL(cw_route_count(t), 100000 - 33333);
	for (uint32_t i = 1; i <= 99968; i += 64) {
		for (unsigned int k = 0; k < 64; k++)
			ips[k] = rte_cpu_to_be_32(i + k);
		cw_route_find_bulk(t, ips, 64, found);
		for (unsigned int k = 0; k < 64; k++) {
			CU_ASSERT_EQUAL((i + k) % 3 == 0, found[k] == NULL);
			if (found[k] != NULL)
				CU_ASSERT_EQUAL(found[k]->gen, i + k);
		}
	}
	/* A replaced entry is seen at once, a retired one not at all, and comes back under its key.
	 */
	facts.ip = rte_cpu_to_be_32(1);
	facts.gen = 77;
	CU_ASSERT_EQUAL(cw_route_publish(t, &facts), 0);
	CU_ASSERT_EQUAL(cw_route_find(t, facts.ip)->gen, 77);
	CU_ASSERT_EQUAL(cw_route_retire(t, facts.ip), 0);
	CU_ASSERT_PTR_NULL(cw_route_find(t, facts.ip));
	CU_ASSERT_TRUE(cw_route_retire(t, facts.ip) < 0);
	CU_ASSERT_EQUAL(cw_route_publish(t, &facts), 0);
	CU_ASSERT_PTR_NOT_NULL(cw_route_find(t, facts.ip));
	facts.ip = 0;
	CU_ASSERT_TRUE(cw_route_publish(t, &facts) < 0);
	cw_rcu_drain(rcu);
	cw_route_table_destroy(t);
}

static void test_hosts_are_found_by_address_and_client(void)
{
	struct cw_host_table *t;
	struct cw_host h = {.ip = 5, .state = CW_HOST_OFFERED, .client = {1, 3, {1, 2, 3}}};

	CU_ASSERT_EQUAL_FATAL(cw_host_table_create(&t, rcu, 2), 0);
	CU_ASSERT_EQUAL(cw_host_publish(t, &h), 0);
	cw_host_by_ip(t, 5)->acked_tsc = 99;
	h.state = CW_HOST_BOUND;
	CU_ASSERT_EQUAL(cw_host_publish(t, &h), 0);
	CU_ASSERT_EQUAL(cw_host_count(t), 1);
	CU_ASSERT_EQUAL(cw_host_by_ip(t, 5)->state, CW_HOST_BOUND);
	CU_ASSERT_EQUAL(cw_host_by_ip(t, 5)->acked_tsc, 99);
	CU_ASSERT_PTR_EQUAL(cw_host_by_client(t, &h.client), cw_host_by_ip(t, 5));
	h.client.bytes[0] = 9;
	CU_ASSERT_PTR_NULL(cw_host_by_client(t, &h.client));
	h.ip = 6;
	CU_ASSERT_EQUAL(cw_host_publish(t, &h), 0);
	h.ip = 7;
	CU_ASSERT_TRUE(cw_host_publish(t, &h) < 0);
	CU_ASSERT_EQUAL(cw_host_retire(t, 5), 0);
	CU_ASSERT_PTR_NULL(cw_host_by_ip(t, 5));
	CU_ASSERT_TRUE(cw_host_retire(t, 5) < 0);
	cw_rcu_drain(rcu);
	cw_host_table_destroy(t);
}

static int no_session(void *engine, void *session, enum cw_suite suite, const uint8_t key[32])
{
	(void)engine, (void)suite;
	memcpy(session, key, 32);
	return 0;
}

static void clear_session(void *engine, void *session)
{
	(void)engine;
	memset(session, 0, 32);
}

static void test_peers_die_in_two_halves(void)
{
	static const struct cw_crypto_ops crypto = {
		.session_bytes = 64, .session_init = no_session, .session_clear = clear_session};
	struct cw_peer_table *t;
	struct cw_peer_params params = {.node = {{1}}, .mtu_bytes = 1420};
	struct cw_sa_params sa = {.generation = 1};
	struct cw_peer_info info;
	uint32_t spi, again;
	uint16_t index, other;

	CU_ASSERT_EQUAL_FATAL(cw_peer_table_create(&t, rcu, &crypto, NULL, 2), 0);
	CU_ASSERT_EQUAL(cw_peer_add(t, &params, &index), 0);
	CU_ASSERT_TRUE(cw_peer_add(t, &params, &other) < 0);
	CU_ASSERT_EQUAL(cw_peer_find(t, &params.node), index);
	CU_ASSERT_EQUAL(cw_sa_spi_alloc(t, 1, 12345, &spi), 0);
	CU_ASSERT_EQUAL(cw_spi_worker(spi), 1);
	sa.peer = index;
	sa.spi = spi;
	CU_ASSERT_PTR_NULL(cw_sa_find(t, spi));
	CU_ASSERT_EQUAL(cw_sa_add_inbound(t, &sa), 0);
	CU_ASSERT_PTR_NOT_NULL(cw_sa_find(t, spi));
	CU_ASSERT_PTR_NULL(cw_sa_find(t, spi ^ 1)); /* another tag */
	/* A generation is current only when it is whole. */
	sa.worker = 0;
	sa.k = 0;
	CU_ASSERT_EQUAL(cw_sa_add_outbound(t, &sa, 2), 0);
	CU_ASSERT_TRUE(cw_sa_switch(t, index, 1) < 0);
	sa.k = 1;
	CU_ASSERT_EQUAL(cw_sa_add_outbound(t, &sa, 2), 0);
	CU_ASSERT_EQUAL(cw_sa_switch(t, index, 1), 0);
	CU_ASSERT_TRUE(cw_peer_info(t, index, &info) && info.usable);
	CU_ASSERT_PTR_NOT_NULL(cw_sa_pick(cw_peer_at(t, index), 1, 2, 7));
	cw_peer_make_dead(t, index);
	CU_ASSERT_PTR_NULL(cw_peer_at(t, index));
	CU_ASSERT_PTR_NULL(cw_sa_find(t, spi));
	/* Within the grace period neither index nor SPI is given out again. */
	CU_ASSERT_EQUAL(cw_peer_add(t, &params, &other), 0);
	CU_ASSERT_NOT_EQUAL(other, index);
	CU_ASSERT_EQUAL(cw_sa_spi_alloc(t, 1, 12345, &again), 0);
	CU_ASSERT_NOT_EQUAL(cw_spi_index(again), cw_spi_index(spi));
	cw_sa_spi_free(t, again);
	cw_rcu_drain(rcu);
	CU_ASSERT_EQUAL(cw_sa_spi_alloc(t, 1, 12345, &again), 0);
	CU_ASSERT_EQUAL(cw_spi_index(again), cw_spi_index(spi));
	CU_ASSERT_NOT_EQUAL(cw_spi_tag(again), cw_spi_tag(spi));
	cw_peer_table_destroy(t);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"two gateways choose one suite", test_two_gateways_choose_one_suite},
		{"the replay window, by cases", test_the_replay_window_by_cases},
		{"the replay window accepts each number once",
		 test_the_replay_window_accepts_each_number_once},
		{"routes survive growth and churn", test_routes_survive_growth_and_churn},
		{"hosts are found by address and client",
		 test_hosts_are_found_by_address_and_client},
		{"peers die in two halves", test_peers_die_in_two_halves},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("tables", tests), CU_SUITE_INFO_NULL};
	int rc;

	cw_rcu_thread_register();
	if (cw_rcu_create(&rcu) < 0)
		return 1;
	rc = cw_test_run(suites);
	cw_rcu_destroy(rcu);
	cw_rcu_thread_unregister();
	return rc;
}
