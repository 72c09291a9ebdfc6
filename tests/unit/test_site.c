/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lib/site in small: how slots are dealt, a gateway alone, two that meet, the seal. Everything that
 * takes faults is the simulator's (tests/sim: suite site).
 */
#include <string.h>

#include <cw_site.h>
#include <cw_sites.h>

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

/* -- what sites tell each other */

struct teller {
	struct cw_sites *sites;
	uint8_t message[CW_SITE_BYTES_MAX];
	size_t len;
	unsigned int sent, changed;
	uint64_t outbid;
};

static void far_send(void *ctx, uint16_t peer, const uint8_t *data, size_t len)
{
	struct teller *t = ctx;

	(void)peer;
	memcpy(t->message, data, len);
	t->len = len;
	t->sent++;
}

static void far_changed(void *ctx, const uint8_t site[CW_SITE_ID_BYTES])
{
	(void)site;
	((struct teller *)ctx)->changed++;
}

static void far_outbid(void *ctx, uint64_t epoch)
{
	((struct teller *)ctx)->outbid = epoch;
}

static void open_teller(struct teller *t, const char *site)
{
	static const struct cw_sites_ops ops = {far_send, far_changed, far_outbid};
	struct cw_sites_config config = {.peers_max = 4};

	memset(t, 0, sizeof(*t));
	memcpy(config.site, site, CW_SITE_ID_BYTES);
	CU_ASSERT_EQUAL(cw_sites_create(&t->sites, &config, &ops, t, now_ns), 0);
}

/* What one has said last, to the other. */
static void carry(const struct teller *from, struct teller *to, uint16_t as)
{
	uint8_t copy[CW_SITE_BYTES_MAX];

	memcpy(copy, from->message, from->len);
	CU_ASSERT_TRUE(cw_sites_input(to->sites, as, copy, from->len, now_ns));
}

static struct cw_site_table table_of(uint64_t epoch, uint8_t owner)
{
	struct cw_site_table t = {
		.epoch = epoch, .slots = CW_SITE_SLOTS_MAX, .count = 2, .member = {{{1}}, {{2}}}};

	memset(t.owner, owner, sizeof(t.owner));
	return t;
}

static uint8_t known_owner(const struct teller *t)
{
	const struct cw_site_table *known = cw_sites_find(t->sites, (const uint8_t *)"here-it-is");

	return known != NULL ? known->owner[7] : CW_SITE_NOBODY;
}

static void test_told(void)
{
	struct cw_site_table first = table_of(1, 0), second = table_of(2, 1);
	struct teller a, b, far;

	now_ns = CW_NS_PER_S;
	open_teller(&a, "here-it-is");
	open_teller(&b, "here-it-is");
	open_teller(&far, "far-away");
	CU_ASSERT_EQUAL(cw_sites_peer_up(a.sites, 0, (const uint8_t *)"far-away", now_ns), 0);
	CU_ASSERT_EQUAL(cw_sites_peer_up(b.sites, 0, (const uint8_t *)"far-away", now_ns), 0);
	CU_ASSERT_EQUAL(cw_sites_peer_up(far.sites, 1, (const uint8_t *)"here-it-is", now_ns), 0);
	CU_ASSERT_EQUAL(cw_sites_peer_up(far.sites, 2, (const uint8_t *)"here-it-is", now_ns), 0);
	CU_ASSERT_EQUAL(a.sent, 0); /* no table yet */
	cw_sites_tell(a.sites, &first, now_ns);
	CU_ASSERT_EQUAL(cw_sites_untold(a.sites), 1);
	/* Lost: it is said again. */
	now_ns = cw_sites_timer(a.sites, now_ns);
	cw_sites_timer(a.sites, now_ns);
	CU_ASSERT_EQUAL(a.sent, 2);
	carry(&a, &far, 1);
	CU_ASSERT_EQUAL(known_owner(&far), 0);
	carry(&far, &a, 0);
	CU_ASSERT_EQUAL(cw_sites_untold(a.sites), 0);
	CU_ASSERT_EQUAL(cw_sites_timer(a.sites, now_ns), CW_NEVER);
	/* The other gateway knows better, and the first one's old word changes nothing. */
	cw_sites_tell(b.sites, &second, now_ns);
	carry(&b, &far, 2);
	CU_ASSERT_EQUAL(known_owner(&far), 1);
	CU_ASSERT_EQUAL(far.changed, 2);
	cw_sites_tell(a.sites, &first, now_ns);
	carry(&a, &far, 1);
	CU_ASSERT_EQUAL(known_owner(&far), 1);
	CU_ASSERT_EQUAL(far.changed, 2);
	/* It hears so. */
	carry(&far, &a, 0);
	CU_ASSERT_EQUAL(a.outbid, 2);
	CU_ASSERT_EQUAL(cw_sites_untold(a.sites), 0);
	/* A link that goes takes what was said over it along. */
	cw_sites_peer_down(far.sites, 2, now_ns);
	CU_ASSERT_EQUAL(known_owner(&far), 0);
	cw_sites_peer_down(far.sites, 1, now_ns);
	CU_ASSERT_EQUAL(known_owner(&far), CW_SITE_NOBODY);
	cw_sites_destroy(a.sites);
	cw_sites_destroy(b.sites);
	cw_sites_destroy(far.sites);
}

static void test_told_wrongly(void)
{
	struct cw_site_table table = table_of(1, 0);
	struct cw_sites_counts counts;
	struct teller a, far;
	size_t len;

	now_ns = CW_NS_PER_S;
	open_teller(&a, "here-it-is");
	open_teller(&far, "far-away");
	CU_ASSERT_EQUAL(cw_sites_peer_up(a.sites, 0, (const uint8_t *)"far-away", now_ns), 0);
	/* Its certificate names another site. */
	CU_ASSERT_EQUAL(cw_sites_peer_up(far.sites, 1, (const uint8_t *)"elsewhere", now_ns), 0);
	cw_sites_tell(a.sites, &table, now_ns);
	carry(&a, &far, 1);
	carry(&a, &far, 3); /* nobody */
	CU_ASSERT_EQUAL(known_owner(&far), CW_SITE_NOBODY);
	for (len = 4; len < a.len; len++)
		CU_ASSERT_TRUE(cw_sites_input(far.sites, 1, a.message, len, now_ns));
	cw_sites_counts(far.sites, &counts);
	CU_ASSERT_EQUAL(counts.foreign, 2);
	CU_ASSERT_EQUAL(counts.malformed, a.len - 4);
	/* A fellow's messages are not ours. */
	CU_ASSERT_FALSE(cw_sites_input(far.sites, 1, (const uint8_t *)"CW\1\4", 4, now_ns));
	CU_ASSERT_EQUAL(far.sent, 0);
	cw_sites_destroy(a.sites);
	cw_sites_destroy(far.sites);
}

/* Who knew a higher table is gone: the next one goes above it, but not before fellows had time to
 * tell it. */
static void test_outbid(void)
{
	struct cw_site_table table;
	uint32_t seed = 5;
	struct end e;

	now_ns = CW_NS_PER_S;
	open_end(&e, 1, NULL, &seed, 64);
	run(&e, NULL, 2000 * MS);
	cw_site_table(e.site, &table);
	CU_ASSERT_EQUAL(table.epoch, 1);
	CU_ASSERT_EQUAL(table.owner[63], 0);
	CU_ASSERT_FALSE(table.split);
	cw_site_outbid(e.site, 900, now_ns);
	run(&e, NULL, 500 * MS);
	cw_site_table(e.site, &table);
	CU_ASSERT_EQUAL(table.epoch, 1);
	run(&e, NULL, 500 * MS);
	cw_site_table(e.site, &table);
	CU_ASSERT_EQUAL(table.epoch, 901);
	CU_ASSERT_EQUAL(e.slots, UINT64_MAX);
	cw_site_destroy(e.site);
}

static void test_pick(void)
{
	struct cw_site_table table = table_of(1, 0);

	CU_ASSERT_EQUAL(cw_site_pick(&table, 7, 3), 0);
	CU_ASSERT_EQUAL(cw_site_pick(&table, 7, 2), 1);
	CU_ASSERT_EQUAL(cw_site_pick(&table, 7, 0), CW_SITE_NOBODY);
	table.owner[7] = CW_SITE_NOBODY;
	CU_ASSERT_EQUAL(cw_site_pick(&table, 7, 3), 1);
	CU_ASSERT_EQUAL(cw_site_pick(&table, 8, 3), 0);
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
	CU_TestInfo sites[] = {{"told, lost, told again", test_told},
			       {"told by the wrong one", test_told_wrongly},
			       {"a lost past", test_outbid},
			       {"who gets it", test_pick},
			       CU_TEST_INFO_NULL};
	CU_SuiteInfo suites[] = {CW_SUITE("deal", deal), CW_SUITE("engine", engine),
				 CW_SUITE("sites", sites), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
