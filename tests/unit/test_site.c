/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lib/site in small: how slots are dealt, a gateway alone, two that meet, the seal. Everything that
 * takes faults is the simulator's (tests/sim: suite site).
 */
#include <string.h>

#include <cw_site.h>

#include "../../lib/site/internal.h"
#include "cw_test.h"

#define MS CW_NS_PER_MS

static unsigned int load(const uint8_t *owner, unsigned int slots, uint8_t who)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < slots; i++)
		n += owner[i] == who;
	return n;
}

static void test_equal_shares(void)
{
	static const uint16_t one[CW_SITE_MEMBERS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
	uint8_t owner[64];

	for (unsigned int n = 1; n <= CW_SITE_MEMBERS_MAX; n++) {
		memset(owner, CW_SITE_NOBODY, sizeof(owner));
		cw_site_deal(owner, 64, one, n);
		for (uint8_t i = 0; i < n; i++) {
			CU_ASSERT_TRUE(load(owner, 64, i) <= (64 + n - 1) / n);
			CU_ASSERT_TRUE(load(owner, 64, i) >= 64 / n);
		}
	}
}

/* One comes, one goes: at most a member's share moves. */
static void test_moves(void)
{
	static const uint16_t one[CW_SITE_MEMBERS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};

	for (unsigned int n = 1; n < CW_SITE_MEMBERS_MAX; n++) {
		uint8_t owner[64], before[64];
		unsigned int moved = 0;

		memset(owner, CW_SITE_NOBODY, sizeof(owner));
		cw_site_deal(owner, 64, one, n);
		memcpy(before, owner, sizeof(owner));
		cw_site_deal(owner, 64, one, n + 1);
		for (unsigned int i = 0; i < 64; i++)
			moved += owner[i] != before[i];
		CU_ASSERT_TRUE(moved <= (64 + n) / (n + 1));
		/* The first one goes: the others' indices fall by one. */
		memcpy(before, owner, sizeof(owner));
		moved = 0;
		for (unsigned int i = 0; i < 64; i++)
			owner[i] = before[i] =
				before[i] == 0 ? CW_SITE_NOBODY : (uint8_t)(before[i] - 1);
		cw_site_deal(owner, 64, one, n);
		for (unsigned int i = 0; i < 64; i++)
			moved += owner[i] != before[i];
		CU_ASSERT_TRUE(moved <= (64 + n) / (n + 1));
	}
}

static void test_weights(void)
{
	static const uint16_t weight[3] = {1, 2, 5};
	uint8_t owner[64], one = CW_SITE_NOBODY;

	memset(owner, CW_SITE_NOBODY, sizeof(owner));
	cw_site_deal(owner, 64, weight, 3);
	CU_ASSERT_EQUAL(load(owner, 64, 0), 8);
	CU_ASSERT_EQUAL(load(owner, 64, 1), 16);
	CU_ASSERT_EQUAL(load(owner, 64, 2), 40);
	/* The paper's form: one address, one owner. */
	cw_site_deal(&one, 1, weight, 3);
	CU_ASSERT_EQUAL(one, 2);
}

/* -- engines on a wire without delay or fault */

struct end {
	struct cw_site *site;
	struct end *other;
	struct cw_node_id id;
	uint64_t slots, deadline_ns, announced;
	uint8_t frame[16][CW_SITE_BYTES_MAX];
	size_t len[16];
	bool overlay[16];
	unsigned int queued;
};

static uint64_t now_ns;

static void queue(struct end *to, const uint8_t *data, size_t len, bool overlay)
{
	if (to == NULL || to->queued == 16)
		return;
	memcpy(to->frame[to->queued], data, len);
	to->len[to->queued] = len;
	to->overlay[to->queued++] = overlay;
}

static void op_send_lan(void *ctx, const uint8_t *payload, size_t len)
{
	queue(((struct end *)ctx)->other, payload, len, false);
}

static void op_send_overlay(void *ctx, const struct cw_node_id *to, const uint8_t *data, size_t len)
{
	(void)to;
	queue(((struct end *)ctx)->other, data, len, true);
}

static void op_serve(void *ctx, uint64_t slots, uint64_t deadline_ns)
{
	struct end *e = ctx;

	e->slots = slots;
	e->deadline_ns = deadline_ns;
}

static void op_announce(void *ctx, uint64_t slots)
{
	((struct end *)ctx)->announced |= slots;
}

static void op_found(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *at)
{
	(void)ctx;
	(void)node;
	(void)at;
}

static void fill(void *ctx, void *buf, size_t len)
{
	uint8_t *out = buf;

	while (len-- > 0)
		*out++ = (uint8_t)((*(uint32_t *)ctx = *(uint32_t *)ctx * 1103515245u + 12345u) >>
				   16);
}

static void mix(const void *data, size_t len, uint8_t out[32])
{
	uint32_t h = 1;

	for (size_t i = 0; i < len; i++)
		h = (h ^ ((const uint8_t *)data)[i]) * 16777619u;
	for (unsigned int i = 0; i < 32; i++)
		out[i] = (uint8_t)(h >> i % 4 * 8) ^ (uint8_t)i;
}

static void open_end(struct end *e, uint8_t id, struct end *other, uint32_t *seed, uint8_t slots)
{
	static const struct cw_site_ops ops = {op_send_lan, op_send_overlay, op_serve,
					       op_announce, op_found,	     NULL};
	struct cw_site_config config = {.self = {{id}},
					.segment = 1,
					.slots = slots,
					.weight = 1,
					.hello_ns = 50 * MS,
					.random = {fill, seed},
					.digest = {mix}};

	memset(e, 0, sizeof(*e));
	e->other = other;
	e->id = config.self;
	CU_ASSERT_EQUAL(cw_site_create(&e->site, &config, &ops, e, now_ns), 0);
}

static void run(struct end *a, struct end *b, uint64_t for_ns)
{
	for (uint64_t end = now_ns + for_ns; now_ns < end; now_ns += MS) {
		struct end *both[2] = {a, b};

		for (unsigned int i = 0; i < 2 && both[i] != NULL; i++) {
			struct end *e = both[i];

			cw_site_timer(e->site, now_ns);
			for (unsigned int k = 0; k < e->queued; k++) {
				if (e->overlay[k])
					cw_site_overlay(e->site, &e->other->id, e->frame[k],
							e->len[k], now_ns);
				else
					cw_site_lan(e->site, e->frame[k], e->len[k], now_ns);
			}
			e->queued = 0;
		}
	}
}

static void test_alone(void)
{
	uint32_t seed = 1;
	struct end e;

	now_ns = CW_NS_PER_S;
	open_end(&e, 1, NULL, &seed, 64);
	run(&e, NULL, 1000 * MS);
	CU_ASSERT_EQUAL(e.slots, 0); /* it listens */
	run(&e, NULL, 500 * MS);
	CU_ASSERT_EQUAL(e.slots, UINT64_MAX);
	CU_ASSERT_EQUAL(e.announced, UINT64_MAX);
	CU_ASSERT_TRUE(e.deadline_ns > now_ns);
	/* Stopped for long, it wakes past its deadline and listens again. */
	now_ns += 5 * CW_NS_PER_S;
	CU_ASSERT_TRUE(e.deadline_ns < now_ns);
	run(&e, NULL, 100 * MS);
	CU_ASSERT_EQUAL(e.slots, 0);
	run(&e, NULL, 2000 * MS);
	CU_ASSERT_EQUAL(e.slots, UINT64_MAX);
	/* Nobody is there to hand over to. */
	cw_site_drain(e.site, true, now_ns);
	CU_ASSERT_FALSE(cw_site_drained(e.site));
	CU_ASSERT_EQUAL(e.slots, UINT64_MAX);
	cw_site_destroy(e.site);
}

static void meet(struct end *a, struct end *b, uint32_t *seed, uint8_t slots)
{
	now_ns = CW_NS_PER_S;
	open_end(a, 1, b, seed, slots);
	open_end(b, 2, a, seed, slots);
	CU_ASSERT_EQUAL(cw_site_fellow_up(a->site, &b->id, now_ns), 0);
	CU_ASSERT_EQUAL(cw_site_fellow_up(b->site, &a->id, now_ns), 0);
	run(a, b, 5000 * MS);
}

static void test_two(void)
{
	struct end a, b;
	uint32_t seed = 2;

	meet(&a, &b, &seed, 64);
	CU_ASSERT_EQUAL(a.slots ^ b.slots, UINT64_MAX);
	CU_ASSERT_EQUAL(__builtin_popcountll(a.slots), 32);
	cw_site_drain(a.site, true, now_ns);
	run(&a, &b, 200 * MS);
	CU_ASSERT_TRUE(cw_site_drained(a.site));
	CU_ASSERT_EQUAL(a.slots, 0);
	CU_ASSERT_EQUAL(b.slots, UINT64_MAX);
	cw_site_destroy(a.site);
	a.site = NULL;
	b.other = NULL;
	run(&b, NULL, 1000 * MS);
	CU_ASSERT_EQUAL(b.slots, UINT64_MAX);
	cw_site_destroy(b.site);
}

/* The paper's form: one address, the second gateway waits. */
static void test_one_slot(void)
{
	struct end a, b;
	uint32_t seed = 3;

	meet(&a, &b, &seed, 1);
	CU_ASSERT_EQUAL(a.slots + b.slots, 1);
	cw_site_destroy(a.site);
	cw_site_destroy(b.site);
}

static void test_refusals(void)
{
	struct cw_site_status status;
	struct end a, b;
	uint32_t seed = 4;
	struct fellow *f;

	meet(&a, &b, &seed, 64);
	b.queued = 0;
	f = site_fellow(a.site, &b.id);
	site_hello_to(a.site, f, TYPE_ACK);
	b.frame[0][80] ^= 1; /* flags, under the seal */
	cw_site_lan(b.site, b.frame[0], b.len[0], now_ns);
	b.frame[0][80] ^= 1;
	cw_site_lan(b.site, b.frame[0], b.len[0], now_ns);
	cw_site_lan(b.site, b.frame[0], b.len[0], now_ns);
	for (size_t len = 0; len < b.len[0]; len++)
		cw_site_lan(b.site, b.frame[0], len, now_ns);
	b.frame[0][4] ^= 1; /* the site */
	cw_site_lan(b.site, b.frame[0], b.len[0], now_ns);
	cw_site_status(b.site, &status);
	CU_ASSERT_EQUAL(status.refused[CW_SITE_REFUSED_SEAL], 1);
	CU_ASSERT_EQUAL(status.refused[CW_SITE_REFUSED_REPLAY], 1);
	CU_ASSERT_EQUAL(status.refused[CW_SITE_REFUSED_MALFORMED], b.len[0]);
	CU_ASSERT_EQUAL(status.refused[CW_SITE_REFUSED_SITE], 1);
	CU_ASSERT_STRING_EQUAL(cw_site_refusal_name(CW_SITE_REFUSED_REPLAY), "replay");
	cw_site_destroy(a.site);
	cw_site_destroy(b.site);
}

int main(void)
{
	CU_TestInfo deal[] = {{"equal shares", test_equal_shares},
			      {"what moves", test_moves},
			      {"weights", test_weights},
			      CU_TEST_INFO_NULL};
	CU_TestInfo engine[] = {{"alone", test_alone},
				{"two", test_two},
				{"one slot", test_one_slot},
				{"refusals", test_refusals},
				CU_TEST_INFO_NULL};
	CU_SuiteInfo suites[] = {CW_SUITE("deal", deal), CW_SUITE("engine", engine),
				 CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
