/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay as a state machine: a row of steps; links come up and go, linked nodes say anything,
 * time passes, services send. Promise: it delivers only to services that exist, and connects to no
 * endpoint inside a forbidden prefix.
 */
#include <errno.h>
#include <string.h>

#include <cw_overlay.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 64u

static const struct cw_prefix4 forbidden = {RTE_BE32(0x0a800000), 16};

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
}

static int op_connect(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *endpoints,
		      unsigned int count, uint64_t now_ns)
{
	(void)ctx;
	(void)node;
	(void)now_ns;
	CW_ASSERT(count > 0 && count <= CW_OVERLAY_ENDPOINTS_MAX);
	for (unsigned int i = 0; i < count; i++)
		CW_ASSERT(endpoints[i].family != CW_FAMILY_IPV4 ||
			  !cw_prefix4_contains(&forbidden, endpoints[i].ip4));
	return 0;
}

static int op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		   uint64_t now_ns)
{
	(void)ctx;
	(void)to;
	(void)now_ns;
	CW_ASSERT(data != NULL && len > 0);
	return len > 65536 ? -EMSGSIZE : 0;
}

static void op_deliver(void *ctx, enum cw_overlay_service service, const struct cw_node_id *from,
		       const uint8_t *data, size_t len, uint64_t now_ns)
{
	(void)ctx;
	(void)from;
	(void)data;
	(void)len;
	(void)now_ns;
	CW_ASSERT(service > 0 && service < CW_OVERLAY_SERVICE_COUNT);
}

static void op_node(void *ctx, const struct cw_overlay_node *node, bool linked, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	CW_ASSERT(node->endpoint_count <= CW_OVERLAY_ENDPOINTS_MAX && node->linked == linked);
}

static void op_remember(void *ctx, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
}

static void op_close(void *ctx, const struct cw_node_id *node, uint64_t now_ns)
{
	(void)ctx;
	(void)node;
	(void)now_ns;
}

static void op_classify(void *ctx, const struct cw_node_id *node, enum cw_overlay_class class,
			uint64_t now_ns)
{
	(void)ctx;
	(void)node;
	(void)class;
	(void)now_ns;
}

static const struct cw_overlay_ops ops = {.connect = op_connect,
					  .send = op_send,
					  .close = op_close,
					  .classify = op_classify,
					  .deliver = op_deliver,
					  .node = op_node,
					  .remember = op_remember};

static void take(struct cw_overlay *o, uint8_t what, uint8_t who, const uint8_t *data, size_t len,
		 uint64_t *now_ns)
{
	struct cw_identity identity = {.node = {{(uint8_t)(who % 4 + 1)}}, .name = "n"};
	struct cw_endpoint at = {
		.family = CW_FAMILY_IPV4, .port = 7845, .ip4 = (rte_be32_t)(who + 1)};

	switch (what % 8) {
	case 0:
		cw_overlay_link_up(o, &identity, &at, *now_ns);
		break;
	case 1:
		cw_overlay_link_down(o, &identity.node, *now_ns);
		break;
	case 2:
		*now_ns += (uint64_t)(who + 1) * CW_NS_PER_S;
		cw_overlay_timer(o, *now_ns);
		break;
	case 3:
		(void)!cw_overlay_send(o, (enum cw_overlay_service)(who % 16), &identity.node, data,
				       len, *now_ns);
		break;
	case 4:
		cw_overlay_endpoint(o, &at, *now_ns);
		break;
	case 5:
		cw_overlay_want(o, &identity.node, *now_ns);
		break;
	case 6:
		(void)!cw_overlay_route(o, CW_OVERLAY_DHT, &identity.node, data, len, *now_ns);
		break;
	default:
		cw_overlay_input(o, &identity.node, data, len, *now_ns);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cw_log log;
	struct cw_overlay_config config = {.self = {{9}},
					   .log = &log,
					   .random = {.fill = fill},
					   .session = 1,
					   .bootstrap_count = 1,
					   .forbidden_count = 1};
	uint64_t now_ns = CW_NS_PER_S;
	struct cw_overlay *o;

	config.forbidden[0] = forbidden;
	config.bootstrap[0] = (struct cw_endpoint){.family = CW_FAMILY_IPV4, .port = 1, .ip4 = 77};
	CW_ASSERT(cw_overlay_create(&o, &config, &ops, NULL) == 0);
	for (unsigned int step = 0; size >= 3 && step < STEPS_MAX; step++) {
		size_t len = data[2];

		if (len > size - 3)
			len = size - 3;
		take(o, data[0], data[1], data + 3, len, &now_ns);
		data += 3 + len;
		size -= 3 + len;
	}
	cw_overlay_leave(o, now_ns);
	cw_overlay_destroy(o);
	return 0;
}
