/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a node says of itself: the endpoints at which it can be reached, as they are learnt, mapped
 * by a router, and lost again.
 */
#include <stdio.h>
#include <string.h>

#include <cw_overlay.h>

#include "cw_test.h"
#include "overlay.pb-c.h"

static const struct cw_log quiet;
/* By the last byte of each endpoint's address: "1 2 3". */
static char told[64];

static int op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		   uint64_t now_ns)
{
	Causeway__Overlay__Frame *frame = causeway__overlay__frame__unpack(NULL, len, data);
	size_t at = 0;

	(void)ctx, (void)to, (void)now_ns;
	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	for (size_t i = 0; frame->body_case == CAUSEWAY__OVERLAY__FRAME__BODY_NODES &&
			   i < frame->nodes->self->n_endpoints;
	     i++)
		at += (size_t)snprintf(told + at, sizeof(told) - at, "%s%u", i > 0 ? " " : "",
				       frame->nodes->self->endpoints[i].data[6]);
	causeway__overlay__frame__free_unpacked(frame, NULL);
	return 0;
}

static int op_connect(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *endpoints,
		      unsigned int count, uint64_t now_ns)
{
	(void)ctx, (void)node, (void)endpoints, (void)count, (void)now_ns;
	return 0;
}

static void op_classify(void *ctx, const struct cw_node_id *node, enum cw_overlay_class class,
			uint64_t now_ns)
{
	(void)ctx, (void)node, (void)class, (void)now_ns;
}

static void op_close(void *ctx, const struct cw_node_id *node, uint64_t now_ns)
{
	(void)ctx, (void)node, (void)now_ns;
}

static void op_node(void *ctx, const struct cw_overlay_node *node, bool linked, uint64_t now_ns)
{
	(void)ctx, (void)node, (void)linked, (void)now_ns;
}

static void op_remember(void *ctx, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
}

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
}

static struct cw_endpoint endpoint_of(unsigned int number)
{
	return (struct cw_endpoint){.family = CW_FAMILY_IPV4,
				    .port = rte_cpu_to_be_16(7845),
				    .ip4 = rte_cpu_to_be_32(UINT32_C(0x0b000000) | number)};
}

static struct cw_overlay *begin(void)
{
	static const struct cw_overlay_ops ops = {.connect = op_connect,
						  .send = op_send,
						  .close = op_close,
						  .classify = op_classify,
						  .node = op_node,
						  .remember = op_remember};
	struct cw_overlay_config config = {.self = {{1}},
					   .log = &quiet,
					   .random = {.fill = fill},
					   .session = 1,
					   .endpoint_count = 1};
	struct cw_identity peer = {.node = {{2}}, .name = "peer"};
	struct cw_endpoint at = endpoint_of(2);
	struct cw_overlay *overlay;

	config.endpoints[0] = endpoint_of(1);
	CU_ASSERT_FATAL(cw_overlay_create(&overlay, &config, &ops, NULL) == 0);
	cw_overlay_link_up(overlay, &peer, &at, CW_NS_PER_S);
	return overlay;
}

static void test_a_mapped_endpoint_is_told_while_it_stands(void)
{
	/* What is only seen comes and goes; what is mapped stays, unless it is our own address. */
	static const struct {
		bool mapped;
		uint8_t from, to; /* 0: none */
		const char *told;
	} acts[] = {{false, 5, 5, "1 5"},
		    {true, 200, 200, "1 200 5"},
		    {false, 10, 19, "1 200 14 15 16 17 18 19"},
		    {true, 16, 16, "1 16 14 15 17 18 19"},
		    {true, 0, 0, "1 14 15 17 18 19"},
		    {true, 1, 1, "1 14 15 17 18 19"}};
	struct cw_overlay *overlay = begin();
	uint64_t now_ns = CW_NS_PER_S;

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(acts); i++) {
		for (unsigned int n = acts[i].from; n <= acts[i].to; n++) {
			struct cw_endpoint at = endpoint_of(n);

			if (acts[i].mapped)
				cw_overlay_mapped(overlay, n != 0 ? &at : NULL, now_ns);
			else
				cw_overlay_endpoint(overlay, &at, now_ns);
		}
		for (unsigned int step = 0; step < 10; step++)
			cw_overlay_timer(overlay, now_ns += 50 * CW_NS_PER_MS);
		CU_ASSERT_STRING_EQUAL(told, acts[i].told);
	}
	cw_overlay_destroy(overlay);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a mapped endpoint is told while it stands",
		 test_a_mapped_endpoint_is_told_while_it_stands},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("own endpoints", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
