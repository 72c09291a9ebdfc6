/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait in control for their destination: so many and so long, and each that does not
 * go on is counted by name.
 */
#include <string.h>

#include <cw_eth.h>
#include <cw_ip4.h>

#include <core_world.h>

#include "cw_test.h"

#define HELD_MAX 256u /* of one address */

static uint64_t drops_of(struct world *w, enum cw_drop reason)
{
	static const char show[] = "{\"cmd\":\"show drops\"}";
	json_t *row;
	size_t i;

	world_ask(w, show, sizeof(show) - 1);
	json_array_foreach(json_object_get(w->reply, "rows"), i,
			   row) if (strcmp(json_string_value(json_object_get(row, "reason")),
					   cw_drop_name(reason)) == 0)
		/* The world's workers say the reason's own number. */
		return (uint64_t)json_integer_value(json_object_get(row, "packets")) -
		(uint64_t)reason;
	CU_FAIL("no such row");
	return 0;
}

static void miss(struct world *w, uint32_t dst)
{
	struct cw_punt_meta meta = {.kind = CW_PUNT_MISS};
	uint8_t frame[64] = {0};

	cw_ip4_write(frame + CW_ETH_BYTES, 0, 8, 1, 0, 64, CW_IP_PROTO_UDP,
		     rte_cpu_to_be_32(0x0a800005), rte_cpu_to_be_32(dst));
	cw_control_punt(w->ctl, &meta, frame, sizeof(frame), w->now_ns);
}

static void test_what_waits_is_bounded_and_counted(void)
{
	struct world w = {.now_ns = CW_NS_PER_S};
	struct cw_rcu *rcu;
	unsigned int injected;

	CU_ASSERT_EQUAL_FATAL(cw_rcu_create(&rcu), 0);
	world_begin(&w, rcu);
	w.mute = true;
	for (unsigned int i = 0; i < HELD_MAX + 7; i++)
		miss(&w, 0x0a800109);
	CU_ASSERT_EQUAL(drops_of(&w, CW_DROP_HOLD_OVERFLOW), 7);
	CU_ASSERT_EQUAL(drops_of(&w, CW_DROP_HOLD_TIMEOUT), 0);
	/* Nobody answers. */
	injected = w.injected;
	for (unsigned int i = 0; i < 40; i++)
		world_pass(&w, CW_NS_PER_S / 10);
	CU_ASSERT_EQUAL(drops_of(&w, CW_DROP_HOLD_TIMEOUT), HELD_MAX);
	/* An answer, that nobody holds it: the frames go back, for workers to say so. */
	w.mute = false;
	injected = w.injected;
	for (unsigned int i = 0; i < 5; i++)
		miss(&w, 0x0a80010a);
	for (unsigned int i = 0; i < 10; i++)
		world_pass(&w, CW_NS_PER_S / 10);
	CU_ASSERT_EQUAL(drops_of(&w, CW_DROP_HOLD_TIMEOUT), HELD_MAX);
	CU_ASSERT_EQUAL(w.last.kind, CW_INJECT_OUTBOUND);
	CU_ASSERT_TRUE(w.injected >= injected + 5);
	world_end(&w);
	cw_rcu_destroy(rcu);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"what waits is bounded and counted", test_what_waits_is_bounded_and_counted},
		CU_TEST_INFO_NULL};
	CU_SuiteInfo suites[] = {CW_SUITE("hold", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
