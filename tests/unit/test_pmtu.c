/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Path MTU discovery against paths that are written down: what a path carries, whether it is alive,
 * how much it loses and who sends on it, second by second, and what the machine must say at the
 * end. Besides, on every path: it never believes in more than the first hop, falls below what the
 * path carries only where the table allows it, and sends no more than it may.
 */
#include <stdio.h>
#include <string.h>

#include <cw_pmtu.h>

#include "cw_test.h"

#define MS     CW_NS_PER_MS
#define S      CW_NS_PER_S
#define FIRST  1500
#define ACTS   4
#define FLYING 512
#define IDLE   true
#define SILENT 0
/* Multiples of four are what is looked for. */
#define FOUND(mtu) ((mtu) == FIRST ? FIRST : (mtu) / 4 * 4)

struct act {
	unsigned int at_s;
	uint16_t mtu;	   /* SILENT: nothing gets through */
	unsigned int loss; /* per mille, each way */
	bool idle;
	uint16_t hint; /* an ICMP message names it, then and every second after */
};

struct row {
	const char *name;
	struct act acts[ACTS];
	unsigned int seconds;
	uint16_t want;
	enum cw_pmtu_state state;
	uint64_t rtt_ns;
	unsigned int probes_max; /* 0: not judged */
	bool may_dip;		 /* losses may look like a narrow path for a while */
};

static const struct row table[] = {
	{.name = "as wide as the first hop",
	 .acts = {{0, 1500, 0, false, 0}},
	 .seconds = 4,
	 .want = 1500,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS,
	 .probes_max = 1},
	{.name = "nobody sends",
	 .acts = {{0, 1500, 0, IDLE, 0}},
	 .seconds = 3600,
	 .want = 1500,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS,
	 .probes_max = 1},
	{.name = "an hour of traffic",
	 .acts = {{0, 1500, 0, false, 0}},
	 .seconds = 3600,
	 .want = 1500,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS,
	 .probes_max = 725},
	{.name = "PPPoE",
	 .acts = {{0, 1492, 0, false, 0}},
	 .seconds = 3,
	 .want = 1492,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "no size of the ladder",
	 .acts = {{0, 1339, 0, false, 0}},
	 .seconds = 3,
	 .want = 1336,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "four less",
	 .acts = {{0, 1496, 0, false, 0}},
	 .seconds = 3,
	 .want = 1496,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "IPv6's least",
	 .acts = {{0, 1280, 0, false, 0}},
	 .seconds = 3,
	 .want = 1280,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "below it",
	 .acts = {{0, 1005, 0, false, 0}},
	 .seconds = 3,
	 .want = 1004,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "the least there is",
	 .acts = {{0, 576, 0, false, 0}},
	 .seconds = 3,
	 .want = 576,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "less than there is",
	 .acts = {{0, 400, 0, false, 0}},
	 .seconds = 3,
	 .want = 576,
	 .state = CW_PMTU_FAILED,
	 .rtt_ns = 20 * MS},
	{.name = "less than there is, then mended",
	 .acts = {{0, 400, 0, false, 0}, {10, 1420, 0, false, 0}},
	 .seconds = 20,
	 .want = 1420,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "over a satellite",
	 .acts = {{0, 1401, 0, false, 0}},
	 .seconds = 8,
	 .want = 1400,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 700 * MS},
	{.name = "round trip unknown",
	 .acts = {{0, 1401, 0, false, 0}},
	 .seconds = 6,
	 .want = 1400,
	 .state = CW_PMTU_CONFIRMED},
	{.name = "narrow under way",
	 .acts = {{0, 1500, 0, false, 0}, {20, 1400, 0, false, 0}},
	 .seconds = 27,
	 .want = 1400,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "narrower twice",
	 .acts = {{0, 1492, 0, false, 0}, {20, 1420, 0, false, 0}, {40, 1300, 0, false, 0}},
	 .seconds = 47,
	 .want = 1300,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "narrow while nobody sends, then they do",
	 .acts = {{0, 1500, 0, false, 0}, {20, 1400, 0, IDLE, 0}, {200, 1400, 0, false, 0}},
	 .seconds = 202,
	 .want = 1400,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "wide again",
	 .acts = {{0, 1400, 0, false, 0}, {30, 1500, 0, false, 0}},
	 .seconds = 610,
	 .want = 1500,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "a little wider again",
	 .acts = {{0, 1400, 0, false, 0}, {30, 1444, 0, false, 0}},
	 .seconds = 610,
	 .want = 1444,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "narrow and as it is for an hour",
	 .acts = {{0, 1400, 0, false, 0}},
	 .seconds = 3600,
	 .want = 1400,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS,
	 .probes_max = 1100},
	{.name = "dead is not narrow",
	 .acts = {{0, 1500, 0, false, 0}, {20, SILENT, 0, false, 0}},
	 .seconds = 120,
	 .want = 1500,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS,
	 .probes_max = 40},
	{.name = "dead from the start",
	 .acts = {{0, SILENT, 0, false, 0}},
	 .seconds = 120,
	 .want = 1500,
	 .state = CW_PMTU_ASSUMED,
	 .rtt_ns = 20 * MS,
	 .probes_max = 30},
	{.name = "dead, and narrower when it lives again",
	 .acts = {{0, 1500, 0, false, 0}, {20, SILENT, 0, false, 0}, {50, 1412, 0, false, 0}},
	 .seconds = 62,
	 .want = 1412,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "one in ten is lost",
	 .acts = {{0, 1412, 100, false, 0}, {60, 1412, 0, false, 0}},
	 .seconds = 700,
	 .want = 1412,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS,
	 .may_dip = true},
	{.name = "one in four is lost",
	 .acts = {{0, 1500, 250, false, 0}, {300, 1500, 0, false, 0}},
	 .seconds = 1300,
	 .want = 1500,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS,
	 .may_dip = true},
	{.name = "a router says it",
	 .acts = {{0, 1500, 0, false, 0}, {10, 1400, 0, false, 1400}},
	 .seconds = 11,
	 .want = 1400,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "a router says it, nobody sends any more",
	 .acts = {{0, 1500, 0, false, 0}, {10, 1400, 0, IDLE, 1400}},
	 .seconds = 11,
	 .want = 1400,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "a router says less than is true",
	 .acts = {{0, 1500, 0, false, 0}, {10, 1452, 0, false, 1400}},
	 .seconds = 13,
	 .want = 1452,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "a router says more than is true",
	 .acts = {{0, 1500, 0, false, 0}, {10, 1400, 0, false, 1492}},
	 .seconds = 13,
	 .want = 1400,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
	{.name = "somebody lies",
	 .acts = {{0, 1500, 0, false, 0}, {10, 1500, 0, false, 576}},
	 .seconds = 60,
	 .want = 1500,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS,
	 .probes_max = 1000},
	{.name = "somebody lies about a dead path",
	 .acts = {{0, 1500, 0, false, 0}, {10, SILENT, 0, false, 600}},
	 .seconds = 60,
	 .want = 1500,
	 .state = CW_PMTU_CONFIRMED,
	 .rtt_ns = 20 * MS},
};

struct flight {
	uint64_t at_ns, token;
};

static uint64_t dice;
static struct flight flying[FLYING];
static unsigned int in_flight;

static void fill(void *ctx, void *buf, size_t len)
{
	uint8_t *at = buf;

	(void)ctx;
	for (; len > 0; len--) {
		dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407;
		*at++ = (uint8_t)(dice >> 56);
	}
}

static bool lost(unsigned int per_mille)
{
	uint16_t roll;

	fill(NULL, &roll, sizeof(roll));
	return roll % 1000 < per_mille;
}

static const struct act *act_at(const struct row *r, uint64_t now)
{
	const struct act *a = &r->acts[0];

	for (unsigned int i = 1; i < ACTS && r->acts[i].at_s != 0; i++)
		if (now >= r->acts[i].at_s * S)
			a = &r->acts[i];
	return a;
}

static void send(const struct row *r, const struct act *a, const struct cw_pmtu_probe *p,
		 uint64_t now)
{
	uint64_t rtt_ns = r->rtt_ns != 0 ? r->rtt_ns : 20 * MS;

	CU_ASSERT(p->bytes == 0 || (p->bytes >= CW_PMTU_MIN_BYTES && p->bytes <= FIRST));
	if (a->mtu == SILENT || p->bytes > a->mtu || lost(a->loss) || lost(a->loss))
		return;
	CU_ASSERT_FATAL(in_flight < FLYING);
	flying[in_flight++] = (struct flight){.at_ns = now + rtt_ns, .token = p->token};
}

static void land(struct cw_pmtu *m, uint64_t now)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < in_flight; i++) {
		if (flying[i].at_ns > now)
			flying[kept++] = flying[i];
		else
			cw_pmtu_answer(m, flying[i].token, now);
	}
	in_flight = kept;
}

static void step(const struct row *r, struct cw_pmtu *m, uint64_t now)
{
	static const struct cw_random_ops random = {.fill = fill};
	const struct act *a = act_at(r, now);
	struct cw_pmtu_now at = {
		.now_ns = now, .rtt_ns = r->rtt_ns, .busy = !a->idle, .random = &random};
	struct cw_pmtu_probe out[CW_PMTU_PROBES_MAX];
	uint64_t next;
	unsigned int n;

	if (a->hint != 0 && now % S == 0)
		cw_pmtu_hint(m, a->hint, now);
	n = cw_pmtu_timer(m, &at, out, &next);
	CU_ASSERT(n <= CW_PMTU_PROBES_MAX && next > now);
	for (unsigned int i = 0; i < n; i++)
		send(r, a, &out[i], now);
	land(m, now);
	CU_ASSERT(m->mtu_bytes >= CW_PMTU_MIN_BYTES && m->mtu_bytes <= FIRST);
}

static bool play(const struct row *r, uint64_t seed, enum cw_pmtu_mutation mutate)
{
	struct cw_pmtu m = {.mutate = (uint8_t)mutate};
	bool good = true;
	uint16_t before = FIRST;

	dice = seed;
	in_flight = 0;
	cw_pmtu_start(&m, FIRST, 0, 0);
	for (uint64_t now = 0; now < r->seconds * S; now += 10 * MS) {
		const struct act *a = act_at(r, now);

		step(r, &m, now);
		/* On its way down it may pass by what is right; it begins to fall only if it must.
		 */
		if (m.mtu_bytes < before && !r->may_dip && before <= a->mtu &&
		    a->mtu >= CW_PMTU_MIN_BYTES)
			good = false;
		before = m.mtu_bytes;
	}
	if (m.mtu_bytes != r->want || m.state != r->state ||
	    (r->probes_max != 0 && m.probes > r->probes_max))
		good = false;
	if (!good && mutate == CW_PMTU_MUT_NONE)
		printf("\n%s, seed %llu: %u (%s), %u probes", r->name, (unsigned long long)seed,
		       m.mtu_bytes, cw_pmtu_state_name(m.state), m.probes);
	return good;
}

static void test_every_path_of_the_table_is_found_out(void)
{
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(table); i++)
		for (uint64_t seed = 1; seed <= 10; seed++)
			CU_ASSERT(play(&table[i], seed, CW_PMTU_MUT_NONE));
}

static void test_every_mtu_is_found_to_the_step(void)
{
	for (uint16_t mtu = CW_PMTU_MIN_BYTES; mtu <= FIRST; mtu++) {
		struct row r = {.name = "any",
				.acts = {{0, mtu, 0, false, 0}},
				.seconds = 3,
				.want = FOUND(mtu),
				.state = CW_PMTU_CONFIRMED,
				.rtt_ns = 20 * MS};

		CU_ASSERT(play(&r, mtu, CW_PMTU_MUT_NONE));
	}
}

static void test_a_rule_taken_away_is_noticed(void)
{
	for (unsigned int mutate = 1; mutate < CW_PMTU_MUT_COUNT; mutate++) {
		unsigned int wrong = 0;

		for (unsigned int i = 0; i < CW_ARRAY_SIZE(table); i++)
			wrong += !play(&table[i], 1, (enum cw_pmtu_mutation)mutate);
		CU_ASSERT(wrong > 0);
	}
}

static void test_another_path_is_measured_anew_and_the_old_answer_stands_until_then(void)
{
	struct row narrow = {.acts = {{0, 1400, 0, false, 0}}, .rtt_ns = 20 * MS},
		   wide = {.acts = {{0, 1500, 0, false, 0}}, .rtt_ns = 20 * MS};
	struct cw_pmtu m = {.mtu_bytes = 0};
	uint64_t now = 0;

	in_flight = 0;
	cw_pmtu_start(&m, FIRST, 0, now);
	for (; now < 3 * S; now += 10 * MS)
		step(&narrow, &m, now);
	CU_ASSERT_EQUAL(m.mtu_bytes, 1400);
	cw_pmtu_start(&m, FIRST, 0, now);
	CU_ASSERT_EQUAL(m.mtu_bytes, 1400);
	CU_ASSERT_EQUAL(m.state, CW_PMTU_ASSUMED);
	for (uint64_t end = now + 50 * MS; now < end; now += 10 * MS)
		step(&wide, &m, now);
	CU_ASSERT_EQUAL(m.mtu_bytes, 1500);
	CU_ASSERT_EQUAL(m.state, CW_PMTU_CONFIRMED);
	/* The first hop became another one: what it does not carry is not believed for a moment. */
	cw_pmtu_start(&m, 1452, 0, now);
	CU_ASSERT_EQUAL(m.mtu_bytes, 1452);
}

static void test_answers_to_other_questions_change_nothing(void)
{
	static const struct cw_random_ops random = {.fill = fill};
	struct cw_pmtu_now at = {.rtt_ns = 20 * MS, .busy = true, .random = &random};
	struct cw_pmtu m = {.mtu_bytes = 0}, was;
	struct cw_pmtu_probe out[CW_PMTU_PROBES_MAX];
	uint64_t next;

	cw_pmtu_start(&m, FIRST, 0, 0);
	CU_ASSERT_FALSE(cw_pmtu_answer(&m, 0, 0)); /* nothing was asked yet */
	CU_ASSERT_EQUAL(cw_pmtu_timer(&m, &at, out, &next), 2);
	CU_ASSERT_EQUAL(out[0].bytes, FIRST);
	CU_ASSERT_EQUAL(out[1].bytes, 0);
	was = m;
	/* The last size's is out[0]'s; the small one's is the next but a few. */
	for (uint64_t token = out[0].token + 1; token < out[1].token; token++)
		CU_ASSERT_FALSE(cw_pmtu_answer(&m, token, MS));
	CU_ASSERT_FALSE(cw_pmtu_answer(&m, out[1].token + 1, MS));
	CU_ASSERT_FALSE(cw_pmtu_answer(&m, out[0].token - m.count, MS));
	CU_ASSERT_EQUAL(memcmp(&m, &was, sizeof(m)), 0);
	CU_ASSERT_TRUE(cw_pmtu_answer(&m, out[0].token, MS));
	CU_ASSERT_EQUAL(m.state, CW_PMTU_CONFIRMED);
	CU_ASSERT_FALSE(cw_pmtu_answer(&m, out[0].token, MS)); /* it is over */
}

static void test_hints_are_few_and_within_reason(void)
{
	struct cw_pmtu m = {.mtu_bytes = 0};

	in_flight = 0;
	cw_pmtu_start(&m, FIRST, 0, 0);
	for (uint64_t now = 0; now < S; now += 10 * MS)
		step(&table[0], &m, now);
	CU_ASSERT_FALSE(cw_pmtu_hint(&m, CW_PMTU_MIN_BYTES - 1, S));
	CU_ASSERT_FALSE(cw_pmtu_hint(&m, 0, S));
	CU_ASSERT_FALSE(cw_pmtu_hint(&m, FIRST, S));
	CU_ASSERT_TRUE(cw_pmtu_hint(&m, 1400, S));
	CU_ASSERT_EQUAL(m.mtu_bytes, FIRST);
	CU_ASSERT_FALSE(cw_pmtu_hint(&m, 1400, S + S / 2));
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"every path of the table is found out", test_every_path_of_the_table_is_found_out},
		{"every MTU is found to the step", test_every_mtu_is_found_to_the_step},
		{"a rule taken away is noticed", test_a_rule_taken_away_is_noticed},
		{"another path is measured anew, and the old answer stands until then",
		 test_another_path_is_measured_anew_and_the_old_answer_stands_until_then},
		{"answers to other questions change nothing",
		 test_answers_to_other_questions_change_nothing},
		{"hints are few and within reason", test_hints_are_few_and_within_reason},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("path MTU discovery", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
