/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay as a state machine: a row of steps; links come up and go, linked nodes say anything,
 * time passes, services send. Promises: those of overlay_world.h. Without a signer: nothing that
 * came over several hops is believed.
 */
#include "overlay_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 64u

static void take(struct overlay_world *w, uint8_t what, uint8_t who, const uint8_t *data,
		 size_t len)
{
	struct cw_node_id node = {{(uint8_t)(who % 4 + 1)}};
	struct cw_endpoint at = {
		.family = CW_FAMILY_IPV4, .port = 7845, .ip4 = (rte_be32_t)(who + 1)};
	struct cw_overlay *o = w->overlay;

	switch (what % 8) {
	case 0:
		overlay_world_link_up(w, node.b[0]);
		break;
	case 1:
		cw_overlay_link_down(o, &node, w->now_ns);
		break;
	case 2:
		w->now_ns += (uint64_t)(who + 1) * CW_NS_PER_S;
		cw_overlay_timer(o, w->now_ns);
		break;
	case 3:
		(void)!cw_overlay_send(o, (enum cw_overlay_service)(who % 16), &node, data, len,
				       w->now_ns);
		break;
	case 4:
		cw_overlay_endpoint(o, &at, w->now_ns);
		break;
	case 5:
		cw_overlay_want(o, &node, w->now_ns);
		break;
	case 6:
		(void)!cw_overlay_route(o, CW_OVERLAY_DHT, &node, data, len, w->now_ns);
		break;
	default:
		w->speaker = node;
		cw_overlay_input(o, &node, data, len, w->now_ns);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct overlay_world w;

	overlay_world_open(&w, false);
	for (unsigned int step = 0; size >= 3 && step < STEPS_MAX; step++) {
		size_t len = data[2];

		if (len > size - 3)
			len = size - 3;
		take(&w, data[0], data[1], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	overlay_world_close(&w);
	return 0;
}
