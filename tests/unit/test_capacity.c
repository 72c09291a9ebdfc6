/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arithmetic of `causewayctl capacity` against devices, curves and machines whose answers are
 * known.
 */
#include <errno.h>
#include <math.h>

#include <cw_capacity.h>
#include <cw_histogram.h>

#include "cw_test.h"

static bool is_near(double a, double b, double share)
{
	return fabs(a - b) <= share * fabs(b);
}

#define NEAR(a, b, share) CU_ASSERT_TRUE(is_near(a, b, share))

/* -- search */

static double search_device(double limit_pps, double max_pps, unsigned int *trials)
{
	struct cw_search s;
	double rate;

	cw_search_begin(&s, max_pps, 1.0 / 256, 1);
	while ((rate = cw_search_rate(&s)) > 0)
		cw_search_tell(&s, rate <= limit_pps);
	*trials = s.trials;
	return cw_search_found(&s);
}

static void test_search_finds_a_limit(void)
{
	unsigned int trials;

	for (double limit = 1e4; limit < 1e6; limit += 12345) {
		double found = search_device(limit, 1e6, &trials);

		CU_ASSERT_TRUE(found <= limit && found > limit - 1e6 / 256);
		CU_ASSERT_EQUAL(trials, 9);
	}
	/* Nothing is lost at the highest rate: one trial tells. */
	CU_ASSERT_EQUAL(search_device(2e6, 1e6, &trials), 1e6);
	CU_ASSERT_EQUAL(trials, 1);
	/* Always something. */
	CU_ASSERT_EQUAL(search_device(-1, 1e6, &trials), 0);
	CU_ASSERT_EQUAL(search_device(1, 0, &trials), 0);
	CU_ASSERT_EQUAL(trials, 0);
}

static void test_search_tries_a_rate_again(void)
{
	unsigned int rate_seen = 0;
	struct cw_search s;
	double rate, last = 0;

	/* Two of three trials lose for others' sake. */
	cw_search_begin(&s, 1000, 1.0 / 64, 3);
	while ((rate = cw_search_rate(&s)) > 0) {
		rate_seen = rate == last ? rate_seen + 1 : 1;
		last = rate;
		CU_ASSERT_TRUE(rate_seen <= 3);
		cw_search_tell(&s, rate <= 700 && rate_seen == 3);
	}
	CU_ASSERT_TRUE(cw_search_found(&s) <= 700 && cw_search_found(&s) > 700 - 1000.0 / 64);
	/* What is told after the end changes nothing. */
	last = cw_search_found(&s);
	cw_search_tell(&s, true);
	CU_ASSERT_EQUAL(cw_search_found(&s), last);
}

/* -- curve and cost */

static void test_curve_is_found_again(void)
{
	static const double loads[] = {0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.2};
	struct cw_load_point p[7];
	struct cw_curve c;

	for (unsigned int i = 0; i < 7; i++)
		p[i] = (struct cw_load_point){loads[i], 5 + 2 * loads[i] / (1 - loads[i])};
	/* Beyond saturation there is only how long the ring is. */
	p[5].latency_us = p[6].latency_us = 1e5;
	CU_ASSERT_EQUAL_FATAL(cw_curve_fit(p, 7, &c), 0);
	NEAR(c.base_us, 5, 1e-6);
	NEAR(c.wait_us, 2, 1e-6);
	NEAR(cw_curve_latency(&c, 0.8), 13, 1e-6);
	CU_ASSERT_TRUE(isinf(cw_curve_latency(&c, 1)));
	NEAR(cw_curve_load(&c, 13), 0.8, 1e-6);
	CU_ASSERT_EQUAL(cw_curve_load(&c, 4.9), 0);
	CU_ASSERT_EQUAL(cw_curve_fit(p, 1, &c), -EINVAL);
	p[1] = p[0];
	CU_ASSERT_EQUAL(cw_curve_fit(p, 2, &c), -EINVAL);
}

static void test_curve_never_falls(void)
{
	/* What noise would make of a fit: less latency with more load. */
	struct cw_load_point p[] = {{0.1, 10}, {0.5, 9}, {0.9, 8}};
	struct cw_curve c;

	CU_ASSERT_EQUAL_FATAL(cw_curve_fit(p, 3, &c), 0);
	CU_ASSERT_EQUAL(c.wait_us, 0);
	CU_ASSERT_TRUE(c.base_us > 8 && c.base_us < 10);
	CU_ASSERT_EQUAL(cw_curve_knee(&c), 1);
	CU_ASSERT_EQUAL(cw_curve_load(&c, 10), 1);
}

static void test_sleep_is_told_from_load(void)
{
	struct cw_load_point p[] = {{0.01, 1000}, {0.1, 900}, {0.2, 40}, {0.4, 35}, {0.8, 80}};
	struct cw_box b = {.curve = {30, 10}, .idle_us = 1000, .awake_load = 0.2};

	CU_ASSERT_EQUAL(cw_curve_awake(p, 5), 2);
	CU_ASSERT_EQUAL(cw_curve_awake(p + 2, 3), 0);
	/* Somebody disturbed a trial at half load: that is no sleep. */
	p[3].latency_us = 500;
	CU_ASSERT_EQUAL(cw_curve_awake(p, 5), 2);
	CU_ASSERT_EQUAL(cw_curve_awake(p, 0), 0);
	NEAR(cw_box_latency(&b, 0.1), 1000, 1e-9);
	NEAR(cw_box_latency(&b, 0.5), 40, 1e-9);
}

static void test_knee_is_where_power_is_highest(void)
{
	for (double base = 1; base < 100; base *= 3) {
		struct cw_curve c = {base, 2};
		double best = 0, at = 0;

		for (double l = 0.001; l < 1; l += 0.001)
			if (l / cw_curve_latency(&c, l) > best) {
				best = l / cw_curve_latency(&c, l);
				at = l;
			}
		CU_ASSERT_TRUE(fabs(cw_curve_knee(&c) - at) < 0.002);
	}
}

static void test_cost_is_a_line(void)
{
	struct cw_cost_point p[] = {{64, 232}, {570, 485}, {1420, 910}};
	struct cw_cost c;

	CU_ASSERT_EQUAL_FATAL(cw_cost_fit(p, 3, &c), 0);
	NEAR(c.fixed, 200, 1e-6);
	NEAR(c.per_byte, 0.5, 1e-6);
	NEAR(cw_cost_cycles(&c, 1000), 700, 1e-6);
	p[2].cycles = 0;
	CU_ASSERT_EQUAL(cw_cost_fit(p, 3, &c), -EINVAL);
	/* A packet costs something before its first byte. */
	p[2].cycles = 5000;
	CU_ASSERT_EQUAL_FATAL(cw_cost_fit(p, 3, &c), 0);
	CU_ASSERT_TRUE(c.fixed >= 0 && c.per_byte > 0);
}

/* -- ceilings and plans */

/* 200 cycles and half a cycle a byte at 2 GHz: 4 Mpps of 600 bytes. */
static const struct cw_box box = {.hz = 2e9,
				  .cost = {200, 0.5},
				  .zero_loss = 0.9,
				  .curve = {10, 10},
				  .idle_us = 20,
				  .workers_max = 4,
				  .scale_known = 2,
				  .scale = {0, 1, 1.8},
				  .port_gbit = 25};
static const struct cw_site_limits roomy = {.slots = 64};

static void test_scale_goes_on_as_measured(void)
{
	struct cw_box unknown = box;

	NEAR(cw_box_scale(&box, 2), 1.8, 1e-9);
	NEAR(cw_box_scale(&box, 4), 3.4, 1e-9);
	unknown.scale_known = 0;
	NEAR(cw_box_scale(&unknown, 3), 3, 1e-9);
	unknown = box;
	unknown.scale[2] = 0.9; /* the second one only gets in the way */
	NEAR(cw_box_scale(&unknown, 4), 0.9, 1e-9);
}

static void test_slots_are_whole(void)
{
	CU_ASSERT_EQUAL(cw_busiest_share(1, 64), 1);
	CU_ASSERT_EQUAL(cw_busiest_share(4, 64), 0.25);
	CU_ASSERT_EQUAL(cw_busiest_share(3, 64), 22.0 / 64);
	CU_ASSERT_EQUAL(cw_busiest_share(5, 1), 1);
}

static void test_each_resource_can_be_the_limit(void)
{
	struct cw_need need = {.bytes = 600, .out_share = 0.5};
	struct cw_site_limits site = roomy;
	struct cw_box b = box;
	struct cw_ceiling c;

	cw_ceiling(&b, &site, &need, 1, 1, &c);
	NEAR(c.pps[CW_LIMIT_CPU], 3.6e6, 1e-6);
	CU_ASSERT_EQUAL(cw_ceiling_limit(&c), CW_LIMIT_CPU);
	/* Two gateways: twice that, as slots are even. */
	cw_ceiling(&b, &site, &need, 2, 1, &c);
	NEAR(c.pps[CW_LIMIT_CPU], 7.2e6, 1e-6);
	/* A port of 1 Gbit/s: 125 MB/s each way of 624, or around the tunnel 688 bytes. */
	b.port_gbit = 1;
	cw_ceiling(&b, &site, &need, 1, 1, &c);
	NEAR(c.pps[CW_LIMIT_LAN_PORT], 2 * 125e6 / 624, 1e-6);
	CU_ASSERT_EQUAL(cw_ceiling_limit(&c), CW_LIMIT_WAN_PORT);
	/* All of it one way. */
	need.out_share = 1;
	cw_ceiling(&b, &site, &need, 1, 1, &c);
	NEAR(c.pps[CW_LIMIT_WAN_PORT], 125e6 / 688, 1e-6);
	/* The link does not grow with gateways. */
	site.link_gbit = 1;
	cw_ceiling(&b, &site, &need, 4, 1, &c);
	CU_ASSERT_EQUAL(cw_ceiling_limit(&c), CW_LIMIT_LINK);
	site.switch_gbit = 0.5;
	cw_ceiling(&b, &site, &need, 4, 1, &c);
	CU_ASSERT_EQUAL(cw_ceiling_limit(&c), CW_LIMIT_SWITCH);
	CU_ASSERT_STRING_EQUAL(cw_limit_name(CW_LIMIT_SWITCH), "switch");
}

static void test_a_plan_takes_the_fewest(void)
{
	struct cw_need need = {.pps = 3e6, .bytes = 600, .out_share = 0.5};
	struct cw_plan plan;

	cw_plan(&box, &roomy, &need, &plan);
	CU_ASSERT_EQUAL(plan.end, CW_PLAN_FITS);
	CU_ASSERT_TRUE(plan.gateways == 1 && plan.workers == 1);
	NEAR(plan.load, 0.75, 1e-6);
	NEAR(plan.latency_us, 40, 1e-6);
	NEAR(plan.used[CW_LIMIT_CPU], 3 / 3.6, 1e-6);
	need.pps = 6e6;
	cw_plan(&box, &roomy, &need, &plan);
	CU_ASSERT_TRUE(plan.gateways == 1 && plan.workers == 2);
	/* One box has 3.4 workers' worth: 12.2 Mpps, but its ports end before. */
	need.pps = 12e6;
	cw_plan(&box, &roomy, &need, &plan);
	CU_ASSERT_EQUAL(plan.end, CW_PLAN_FITS);
	CU_ASSERT_EQUAL(plan.gateways, 2);
	CU_ASSERT_EQUAL(plan.alone, CW_LIMIT_WAN_PORT);
	need.pps = 1e9;
	cw_plan(&box, &roomy, &need, &plan);
	CU_ASSERT_EQUAL(plan.end, CW_PLAN_TOO_MUCH);
	CU_ASSERT_EQUAL(plan.gateways, CW_SITE_MEMBERS_MAX);
}

static void test_a_plan_says_why_not(void)
{
	struct cw_need need = {.pps = 6e6, .bytes = 600, .out_share = 0.5, .latency_us = 19};
	struct cw_site_limits site = roomy;
	struct cw_plan plan;

	/* An idle worker's sleep alone is more. */
	cw_plan(&box, &site, &need, &plan);
	CU_ASSERT_EQUAL(plan.end, CW_PLAN_LATENCY);
	/* 30 us: two thirds of the saturated rate, not nine tenths. */
	need.latency_us = 30;
	cw_plan(&box, &site, &need, &plan);
	CU_ASSERT_EQUAL(plan.end, CW_PLAN_FITS);
	CU_ASSERT_EQUAL(plan.workers, 3);
	CU_ASSERT_TRUE(plan.latency_us <= 30);
	/* One virtual MAC: more gateways are only a reserve. */
	need.pps = 13e6;
	site.slots = 1;
	cw_plan(&box, &site, &need, &plan);
	CU_ASSERT_EQUAL(plan.end, CW_PLAN_TOO_MUCH);
	CU_ASSERT_EQUAL(plan.gateways, 1);
	site = roomy;
	site.link_gbit = 10;
	cw_plan(&box, &site, &need, &plan);
	CU_ASSERT_EQUAL(plan.end, CW_PLAN_SHARED);
}

/* -- scaling */

static void test_a_second_process_is_judged(void)
{
	struct cw_scaling_point p[] = {{1, 1, 1e6},   {1, 2, 1.9e6}, {2, 1, 1.95e6},
				       {1, 4, 2.4e6}, {2, 2, 3.6e6}, {4, 1, 3.7e6}};
	struct cw_scaling s;

	CU_ASSERT_EQUAL_FATAL(cw_scaling_judge(p, 3, 0.05, &s), 0);
	CU_ASSERT_TRUE(s.compared && !s.helps && s.crossover == 0);
	CU_ASSERT_TRUE(s.alone == 1 && s.many == 2);
	CU_ASSERT_EQUAL_FATAL(cw_scaling_judge(p, 6, 0.05, &s), 0);
	CU_ASSERT_TRUE(s.helps);
	CU_ASSERT_EQUAL(s.crossover, 4);
	NEAR(s.gain, 3.7 / 2.4 - 1, 1e-9);
	CU_ASSERT_EQUAL_FATAL(cw_scaling_judge(p, 2, 0.05, &s), 0);
	CU_ASSERT_FALSE(s.compared || s.helps);
	CU_ASSERT_EQUAL(cw_scaling_judge(p + 2, 1, 0.05, &s), -EINVAL);
}

/* -- histogram */

static void test_histogram_keeps_percentiles(void)
{
	static struct cw_histogram h, twice;

	CU_ASSERT_EQUAL(cw_histogram_percentile(&h, 0.5), 0);
	for (uint32_t i = 1; i <= 100000; i++)
		cw_histogram_add(&h, i);
	for (double share = 0.01; share < 1; share += 0.01)
		NEAR(cw_histogram_percentile(&h, share), share * 100000, 0.07);
	CU_ASSERT_EQUAL(cw_histogram_percentile(&h, 1), 100000);
	cw_histogram_merge(&twice, &h);
	cw_histogram_merge(&twice, &h);
	CU_ASSERT_EQUAL(twice.count, 200000);
	NEAR(cw_histogram_percentile(&twice, 0.99), 99000, 0.07);
	cw_histogram_add(&twice, UINT32_MAX);
	CU_ASSERT_EQUAL(twice.max, UINT32_MAX);
	CU_ASSERT_EQUAL(cw_histogram_bucket(UINT32_MAX), CW_HISTOGRAM_BUCKETS - 1);
	/* Every bucket begins where the last one ends. */
	for (uint32_t v = 1; v < 1u << 20; v++) {
		unsigned int step = cw_histogram_bucket(v) - cw_histogram_bucket(v - 1);

		CU_ASSERT_TRUE_FATAL(step <= 1);
	}
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"the search finds a device's limit", test_search_finds_a_limit},
		{"the search tries a rate again", test_search_tries_a_rate_again},
		{"a latency curve is found again", test_curve_is_found_again},
		{"a latency curve never falls", test_curve_never_falls},
		{"sleep is told from load", test_sleep_is_told_from_load},
		{"the knee is where power is highest", test_knee_is_where_power_is_highest},
		{"cost is a line over size", test_cost_is_a_line},
		{"workers beyond the measured ones", test_scale_goes_on_as_measured},
		{"slots are whole", test_slots_are_whole},
		{"each resource can be the limit", test_each_resource_can_be_the_limit},
		{"a plan takes the fewest", test_a_plan_takes_the_fewest},
		{"a plan says why not", test_a_plan_says_why_not},
		{"a second process is judged", test_a_second_process_is_judged},
		{"a histogram keeps percentiles", test_histogram_keeps_percentiles},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("capacity", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
