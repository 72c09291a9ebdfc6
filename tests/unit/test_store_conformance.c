/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One suite for every store behind cw_store_ops: the same acts, the same answers.
 *
 *   test_store_conformance                         memory; the DHT with one voter and with three
 *   test_store_conformance --etcd URL [PID]        a fresh etcd; PID: of the server, to be stopped
 *
 * Cases use registers of their own, so they need not clean up. Against etcd leases run in real
 * time: that takes a little more than D.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cw_law.h>

#include "cw_test.h"
#include "conformance.h"

#define OVER_NS (cw_law_session_over_ns() + 3 * CW_NS_PER_S)
#define A	0
#define B	1

static struct world w;
static void (*open_it)(struct world *world);
static const char *etcd_url;
static long etcd_pid;

static void open_one_voter(struct world *world)
{
	world_dht(world, 1);
}

static void open_three_voters(struct world *world)
{
	world_dht(world, 3);
}

static void open_etcd(struct world *world)
{
	world_etcd(world, etcd_url, etcd_pid);
}

static void it_comes_up(void)
{
	open_it(&w);
	printf("(%s) ", w.name);
}

static void it_goes_down(void)
{
	struct cw_dht_status s;

	if (w.nodes > 0) {
		/* What an operator sees of all this. */
		cw_dht_status(w.node[B].dht, &s);
		CU_ASSERT(s.counts.verbs[CW_STORE_REG_GET].done > 0);
		CU_ASSERT(s.counts.verbs[CW_STORE_REG_CREATE].refused > 0);
		CU_ASSERT(s.counts.verbs[CW_STORE_REG_CREATE].unanswered > 0);
		CU_ASSERT(s.counts.verbs[CW_STORE_REG_GET].longest_us > 0);
		CU_ASSERT_STRING_EQUAL(cw_store_verb_name(CW_STORE_REG_CAS), "register-cas");
	}
	world_close(&w);
}

static struct cw_store_register *reg_of(unsigned int who)
{
	return &w.g[who].answer.reg;
}

static struct cw_mapping *map_of(unsigned int who)
{
	return &w.g[who].answer.mapping;
}

static struct cw_store_request about(enum cw_store_verb verb, const char *name)
{
	struct cw_store_request q = {
		.verb = (uint8_t)verb, .reg_kind = 'X', .reg_name_len = (uint8_t)strlen(name)};

	memcpy(q.reg_name, name, q.reg_name_len);
	return q;
}

static enum cw_store_result get(unsigned int who, const char *name)
{
	struct cw_store_request q = about(CW_STORE_REG_GET, name);

	return world_act(&w, who, &q);
}

static enum cw_store_result create(unsigned int who, const char *name, uint64_t ver, char value)
{
	struct cw_store_request q = about(CW_STORE_REG_CREATE, name);

	q.ver = ver;
	q.value_len = 1;
	q.value[0] = (uint8_t)value;
	return world_act(&w, who, &q);
}

/* Any other verb of a plain register. */
static enum cw_store_result at(unsigned int who, enum cw_store_verb verb, const char *name,
			       uint64_t gen, uint64_t ver)
{
	struct cw_store_request q = about(verb, name);

	q.gen = gen;
	q.ver = ver;
	q.value_len = 1;
	q.value[0] = 'c';
	return world_act(&w, who, &q);
}

static void a_register_is_created_once(void)
{
	uint64_t ver;

	CU_ASSERT_EQUAL(get(B, "create"), CW_STORE_OK);
	CU_ASSERT_FALSE(reg_of(B)->held);
	ver = reg_of(B)->ver;
	CU_ASSERT_EQUAL(create(A, "create", ver, 'a'), CW_STORE_OK);
	CU_ASSERT_TRUE(reg_of(A)->held);
	CU_ASSERT_EQUAL(reg_of(A)->ver, ver + 1);
	CU_ASSERT_EQUAL(reg_of(A)->gen, ver + 1);
	/* Who knew the old version, and who knows the present one. */
	CU_ASSERT_EQUAL(create(B, "create", ver, 'b'), CW_STORE_CONFLICT);
	CU_ASSERT_EQUAL(reg_of(B)->ver, ver + 1);
	CU_ASSERT_EQUAL(create(B, "create", ver + 1, 'b'), CW_STORE_EXISTS);
	CU_ASSERT_EQUAL(reg_of(B)->owner.b[0], reg_of(A)->owner.b[0]);
	CU_ASSERT_EQUAL(get(B, "create"), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(B)->value[0], 'a');
	CU_ASSERT_EQUAL(reg_of(B)->len, 1);
}

static void only_its_owner_renews_it(void)
{
	uint64_t gen;

	CU_ASSERT_EQUAL(create(A, "renew", 0, 'a'), CW_STORE_OK);
	gen = reg_of(A)->gen;
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_RENEW, "renew", gen, 0), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(A)->ver, gen);
	CU_ASSERT_EQUAL(reg_of(A)->value[0], 'a');
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_RENEW, "renew", gen, 0), CW_STORE_NOT_OWNER);
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_RENEW, "renew", gen + 1, 0), CW_STORE_NOT_OWNER);
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_RENEW, "never was", 1, 0), CW_STORE_NOT_OWNER);
}

static void a_value_is_compared_and_set(void)
{
	uint64_t gen;

	CU_ASSERT_EQUAL(create(A, "cas", 0, 'a'), CW_STORE_OK);
	gen = reg_of(A)->gen;
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_CAS, "cas", gen, gen), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(A)->ver, gen + 1);
	CU_ASSERT_EQUAL(reg_of(A)->gen, gen);
	CU_ASSERT_EQUAL(reg_of(A)->value[0], 'c');
	/* The same once more names a version that is gone. */
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_CAS, "cas", gen, gen), CW_STORE_CONFLICT);
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_CAS, "cas", gen, gen + 1), CW_STORE_NOT_OWNER);
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_CAS, "cas", gen + 1, gen + 1), CW_STORE_NOT_OWNER);
}

static void a_register_is_given_back(void)
{
	uint64_t gen;

	CU_ASSERT_EQUAL(create(A, "release", 0, 'a'), CW_STORE_OK);
	gen = reg_of(A)->gen;
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_RELEASE, "release", gen, gen), CW_STORE_NOT_OWNER);
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_RELEASE, "release", gen, gen), CW_STORE_OK);
	CU_ASSERT_FALSE(reg_of(A)->held);
	CU_ASSERT_EQUAL(reg_of(A)->ver, gen + 1);
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_RENEW, "release", gen, 0), CW_STORE_NOT_OWNER);
	/* Versions and generations outlive it. */
	CU_ASSERT_EQUAL(create(B, "release", gen + 1, 'b'), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(B)->gen, gen + 2);
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_RELEASE, "release", gen, gen + 2), CW_STORE_NOT_OWNER);
}

static void what_lives_is_neither_taken_nor_killed(void)
{
	uint64_t gen;

	CU_ASSERT_EQUAL(create(A, "alive", 0, 'a'), CW_STORE_OK);
	gen = reg_of(A)->gen;
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_TAKEOVER, "alive", 0, gen), CW_STORE_EXISTS);
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_TAKEOVER, "alive", 0, gen + 1), CW_STORE_CONFLICT);
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_KILL, "alive", gen, 0), CW_STORE_ALIVE);
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_KILL, "alive", gen + 1, 0), CW_STORE_OK);
	CU_ASSERT_EQUAL(get(B, "alive"), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(B)->gen, gen);
	/* What is free is taken over as it is created. */
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_TAKEOVER, "free", 0, 0), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(B)->value[0], 'c');
}

static void too_large_is_refused(void)
{
	struct cw_store_request q = about(CW_STORE_REG_CREATE, "large");

	memset(q.value, 'l', sizeof(q.value));
	q.value_len = CW_STORE_VALUE_BYTES + 1;
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_TOO_LARGE);
	q.value_len = CW_STORE_VALUE_BYTES;
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	CU_ASSERT_EQUAL(get(B, "large"), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(B)->len, CW_STORE_VALUE_BYTES);
	CU_ASSERT_EQUAL(memcmp(reg_of(B)->value, q.value, sizeof(q.value)), 0);
	q.reg_name_len = CW_STORE_REG_NAME_BYTES + 1;
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_TOO_LARGE);
}

static enum cw_store_result session(unsigned int who, enum cw_store_verb verb, uint64_t sgen)
{
	struct cw_store_request q = {.verb = (uint8_t)verb, .sgen = sgen};

	return world_act(&w, who, &q);
}

static void a_session_is_open_once(void)
{
	enum cw_store_result again;
	uint64_t first, sgen;

	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_OPEN, 0), CW_STORE_OK);
	first = w.g[A].answer.sgen;
	CU_ASSERT(first > 0);
	/* The same process once more: told that it is busy, or its own generation; never another.
	 */
	again = session(A, CW_STORE_SESSION_OPEN, 0);
	CU_ASSERT(again == CW_STORE_BUSY || (again == CW_STORE_OK && w.g[A].answer.sgen == first));
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_RENEW, first), CW_STORE_OK);
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_RENEW, first + 1), CW_STORE_LOST);
	/* Who knows the generation that is open is its successor on the same disk. */
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_OPEN, first), CW_STORE_OK);
	sgen = w.g[A].answer.sgen;
	CU_ASSERT(sgen > first);
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_RENEW, first), CW_STORE_LOST);
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_RENEW, sgen), CW_STORE_OK);
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_CLOSE, sgen), CW_STORE_OK);
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_RENEW, sgen), CW_STORE_LOST);
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_CLOSE, sgen), CW_STORE_OK);
}

static uint64_t opened(unsigned int who)
{
	CU_ASSERT_EQUAL_FATAL(session(who, CW_STORE_SESSION_OPEN, 0), CW_STORE_OK);
	return w.g[who].answer.sgen;
}

static struct cw_store_request mapping(enum cw_store_verb verb, unsigned int last, uint64_t ver,
				       uint64_t sgen)
{
	return (struct cw_store_request){.verb = (uint8_t)verb,
					 .ip = rte_cpu_to_be_32(0x0a800000 + last),
					 .ver = ver,
					 .sgen = sgen,
					 .cover_ns = cw_law_cover_ns(60)};
}

static void an_address_has_one_client(void)
{
	static const struct cw_client_hash alice = {{1}}, bob = {{2}};
	uint64_t sa = opened(A), sb = opened(B);
	struct cw_store_request q = mapping(CW_STORE_CLAIM, 7, 0, sa);

	q.has_client = true;
	q.client = alice;
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	CU_ASSERT_EQUAL(map_of(A)->ver, 1);
	/* Without a session nothing can be claimed. */
	q = mapping(CW_STORE_CLAIM, 8, 0, sa + 7);
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_LOST);
	/* Another client, at another gateway: judged by looking and by claiming. */
	q = mapping(CW_STORE_LOOK, 7, 0, sb);
	q.has_client = true;
	q.client = bob;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OTHER);
	q.verb = CW_STORE_CLAIM;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_CONFLICT);
	CU_ASSERT_EQUAL(map_of(B)->ver, 1);
	q.ver = 1;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OTHER);
	/* The same client there: its living gateway is asked first. */
	q.client = alice;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_ASK);
	CU_ASSERT_EQUAL(w.g[B].answer.ask_count, 1);
	/* Both see it, fresh and cached; its owner edits and signs off, once. */
	q = mapping(CW_STORE_MAP_GET, 7, 0, 0);
	for (unsigned int i = 0; i < 4; i++) {
		q.fresh = i % 2 != 0;
		CU_ASSERT_EQUAL(world_act(&w, i / 2, &q), CW_STORE_OK);
		CU_ASSERT_EQUAL(memcmp(&map_of(i / 2)->client, &alice, sizeof(alice)), 0);
	}
	q = mapping(CW_STORE_EDIT, 7, 1, sa);
	q.cover_ns *= 2;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_CONFLICT);
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	q = mapping(CW_STORE_SIGN_OFF, 7, 1, sa);
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_CONFLICT);
	q.ver = 2;
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	q = mapping(CW_STORE_CLAIM, 7, 3, sb);
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OK);
	CU_ASSERT_EQUAL(map_of(B)->gen, 4);
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_CLOSE, sa), CW_STORE_OK);
	CU_ASSERT_EQUAL(session(B, CW_STORE_SESSION_CLOSE, sb), CW_STORE_OK);
}

static void a_watcher_hears_of_changes(void)
{
	uint64_t sa = opened(A);
	struct cw_store_request q = mapping(CW_STORE_MAP_WATCH, 9, 0, 0);

	w.g[B].watched = q.ip;
	w.g[B].news = 0;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OK);
	q.verb = CW_STORE_MAP_GET; /* with the DHT, whoever asked is told */
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OK);
	q = mapping(CW_STORE_CLAIM, 9, 0, sa);
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	for (unsigned int i = 0; i < 50 && w.g[B].news == 0; i++)
		world_pass(&w, 100 * CW_NS_PER_MS);
	CU_ASSERT(w.g[B].news > 0);
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_CLOSE, sa), CW_STORE_OK);
}

static void namespaces_hints_and_names(void)
{
	static const struct cw_client_hash alice = {{11}}, bob = {{12}};
	struct cw_store_request q = {.verb = CW_STORE_NS_GET};
	struct cw_store_answer *a = &w.g[A].answer;

	strcpy(q.ns_name, "suite");
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_NOT_FOUND);
	q.verb = CW_STORE_NS_PUT;
	strcpy(q.ns.name, "suite");
	q.ns.subnet = (struct cw_prefix4){rte_cpu_to_be_32(0x0a900000), 16};
	q.ns.lease_s = q.ns.lease_longest_s = 60;
	q.ns.mtu_bytes = 1400;
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	CU_ASSERT_EQUAL(a->ns.ver, 1);
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_EXISTS);
	q.ver = 1;
	q.ns.lease_longest_s = 120;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OK);
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_CONFLICT);
	q.verb = CW_STORE_NS_GET;
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	CU_ASSERT_EQUAL(a->ns.lease_longest_s, 120);

	q = (struct cw_store_request){
		.verb = CW_STORE_CLIENT_PUT, .client = alice, .ip = rte_cpu_to_be_32(0x0a80000b)};
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	q = (struct cw_store_request){
		.verb = CW_STORE_CLIENTS_GET, .client_count = 2, .clients = {bob, alice}};
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OK);
	CU_ASSERT_FALSE(w.g[B].answer.client_found[0]);
	CU_ASSERT_TRUE(w.g[B].answer.client_found[1]);
	CU_ASSERT_EQUAL(w.g[B].answer.client_ip[1], rte_cpu_to_be_32(0x0a80000b));

	q = (struct cw_store_request){
		.verb = CW_STORE_NAME_CREATE, .client = alice, .ip = rte_cpu_to_be_32(0x0a80000b)};
	strcpy(q.host_name, "node-7");
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	q.ver = a->name.ver;
	q.client = bob;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_EXISTS);
	q.verb = CW_STORE_NAME_RELEASE;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_NOT_FOUND);
	q.client = alice;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OK);
}

/* For good, and whatever the register holds. Only the DHT judges who asks: with etcd it is etcd's
 * own users that do, and the static store has none. */
static void who_may_not_is_denied(void)
{
	struct cw_store_request q = {.verb = CW_STORE_NS_PUT};

	if (w.nodes == 0)
		return;
	strcpy(q.ns_name, "forbidden");
	strcpy(q.ns.name, "forbidden");
	q.ns.subnet = (struct cw_prefix4){rte_cpu_to_be_32(0x0aa00000), 16};
	q.ns.lease_s = q.ns.lease_longest_s = 60;
	q.ns.mtu_bytes = 1400;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_DENIED);
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	q.ver = 1;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_DENIED);
	q.verb = CW_STORE_NS_GET;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OK);
}

/* All whose time must run out, together: with etcd that time is real. */
static void what_is_over_lapses_before_it_is_taken(void)
{
	uint64_t sa = opened(A), sb = opened(B), gen[4];
	struct cw_store_request q = about(CW_STORE_REG_CREATE, "session a");
	static const char *const leased[] = {"over create", "over kill", "over takeover", "kept"};

	q.sgen = sa;
	CU_ASSERT_EQUAL(world_act(&w, A, &q), CW_STORE_OK);
	q = about(CW_STORE_REG_CREATE, "session b");
	q.sgen = sb;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_OK);
	for (unsigned int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(create(A, leased[i], 0, 'a'), CW_STORE_OK);
		gen[i] = reg_of(A)->gen;
	}
	for (unsigned int i = 0; i < 3; i++) {
		world_pass(&w, OVER_NS / 3);
		CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_RENEW, sa), CW_STORE_OK);
		CU_ASSERT_EQUAL(at(A, CW_STORE_REG_RENEW, "kept", gen[3], 0), CW_STORE_OK);
	}
	/* Over: ended as a version of its own, and only then taken. */
	CU_ASSERT_EQUAL(create(B, "over create", gen[0], 'b'), CW_STORE_LAPSED);
	CU_ASSERT_EQUAL(reg_of(B)->ver, gen[0] + 1);
	CU_ASSERT_FALSE(reg_of(B)->held);
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_CAS, "over create", gen[0], gen[0]), CW_STORE_CONFLICT);
	CU_ASSERT_EQUAL(at(A, CW_STORE_REG_RENEW, "over create", gen[0], 0), CW_STORE_NOT_OWNER);
	CU_ASSERT_EQUAL(create(B, "over create", gen[0] + 1, 'b'), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(B)->gen, gen[0] + 2);
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_KILL, "over kill", gen[1], 0), CW_STORE_OK);
	CU_ASSERT_FALSE(reg_of(B)->held);
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_TAKEOVER, "over takeover", 0, gen[2]), CW_STORE_LAPSED);
	/* Renewed: not over. Of a session: over with it. */
	CU_ASSERT_EQUAL(create(B, "kept", gen[3], 'b'), CW_STORE_EXISTS);
	CU_ASSERT_EQUAL(create(B, "session a", 1, 'b'), CW_STORE_EXISTS);
	CU_ASSERT_EQUAL(create(A, "session b", 1, 'a'), CW_STORE_LAPSED);
	CU_ASSERT_EQUAL(session(B, CW_STORE_SESSION_RENEW, sb), CW_STORE_LOST);
	CU_ASSERT_EQUAL(session(A, CW_STORE_SESSION_CLOSE, sa), CW_STORE_OK);
	CU_ASSERT_EQUAL(create(B, "session a", 1, 'b'), CW_STORE_LAPSED);
}

/* One effect and the first answer, however often the request had to be sent. */
static void a_retried_request_is_done_once(void)
{
	uint64_t gen;

	if (w.nodes == 0) /* memory never retries, and etcd's answers cannot be lost at will */
		return;
	w.node[B].lose = 3;
	CU_ASSERT_EQUAL(create(B, "retried", 0, 'b'), CW_STORE_OK);
	CU_ASSERT_EQUAL(w.node[B].lose, 0);
	CU_ASSERT_EQUAL(reg_of(B)->ver, 1);
	gen = reg_of(B)->gen;
	w.node[B].lose = 3;
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_CAS, "retried", gen, gen), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(B)->ver, gen + 1);
	w.node[B].lose = 3;
	CU_ASSERT_EQUAL(at(B, CW_STORE_REG_RELEASE, "retried", gen, gen + 1), CW_STORE_OK);
	CU_ASSERT_EQUAL(reg_of(B)->ver, gen + 2);
}

static void who_is_cut_off_is_told_so(void)
{
	struct cw_store_request q = about(CW_STORE_REG_GET, "create");
	struct cw_store_health health;

	if (!world_cut(&w, B, true))
		return; /* memory is always there */
	q.budget_ns = 2 * CW_NS_PER_S;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_TIMEOUT);
	q = about(CW_STORE_REG_CREATE, "cut");
	q.budget_ns = 2 * CW_NS_PER_S;
	CU_ASSERT_EQUAL(world_act(&w, B, &q), CW_STORE_TIMEOUT);
	world_pass(&w, 5 * CW_NS_PER_S);
	w.g[B].store.ops->health(w.g[B].store.self, &health);
	CU_ASSERT_FALSE(health.quorum);
	CU_ASSERT_TRUE(world_cut(&w, B, false));
	for (unsigned int i = 0; i < 300 && !health.quorum; i++) {
		world_pass(&w, 100 * CW_NS_PER_MS);
		w.g[B].store.ops->health(w.g[B].store.self, &health);
	}
	CU_ASSERT_EQUAL(get(B, "create"), CW_STORE_OK);
}

int main(int argc, char **argv)
{
	static void (*const worlds[])(struct world *) = {world_static, open_one_voter,
							 open_three_voters};
	CU_TestInfo tests[] = {
		{"it comes up", it_comes_up},
		{"a register is created once", a_register_is_created_once},
		{"only its owner renews it", only_its_owner_renews_it},
		{"a value is compared and set", a_value_is_compared_and_set},
		{"a register is given back", a_register_is_given_back},
		{"what lives is neither taken nor killed", what_lives_is_neither_taken_nor_killed},
		{"too large is refused", too_large_is_refused},
		{"a session is open once", a_session_is_open_once},
		{"an address has one client", an_address_has_one_client},
		{"a watcher hears of changes", a_watcher_hears_of_changes},
		{"namespaces, hints and names", namespaces_hints_and_names},
		{"who may not is denied", who_may_not_is_denied},
		{"what is over lapses before it is taken", what_is_over_lapses_before_it_is_taken},
		{"a retried request is done once", a_retried_request_is_done_once},
		{"who is cut off is told so", who_is_cut_off_is_told_so},
		{"it goes down", it_goes_down},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("store", tests), CU_SUITE_INFO_NULL};
	int failed = 0;

	if (argc >= 3 && strcmp(argv[1], "--etcd") == 0) {
		etcd_url = argv[2];
		etcd_pid = argc > 3 ? atol(argv[3]) : 0;
		open_it = open_etcd;
		return cw_test_run(suites);
	}
	for (size_t i = 0; i < CW_ARRAY_SIZE(worlds); i++) {
		open_it = worlds[i];
		failed |= cw_test_run(suites);
	}
	return failed;
}
