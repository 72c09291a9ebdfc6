/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole control core of a founded namespace with one voter, in virtual time: a row of steps,
 * each a frame or datagram that a worker punts (so through ARP, DHCP, DNS, ICMP, STUN and, by a
 * DTLS that hides nothing, through links, overlay, DHT and the lease engine's messages), a request
 * of causewayctl as JSON text, remembered peers, revocations, time.
 *
 * Promises: every request is answered once; what control sends is a frame; nothing is left over.
 */
#include <stdlib.h>
#include <string.h>

#include "core_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 48u

static void punt(struct world *w, uint8_t who, const uint8_t *data, size_t len)
{
	struct cw_punt_meta meta = {
		.kind = (uint8_t)(who >> 4) % CW_PUNT_KIND_COUNT,
		.from = {.family = CW_FAMILY_IPV4,
			 .port = rte_cpu_to_be_16(7845),
			 .ip4 = rte_cpu_to_be_32(0xcb007100u + (who & 7u))},
		.to_port = rte_cpu_to_be_16((uint16_t)(CW_UPSTREAM_PORT_FIRST + (who & 7u))),
		.peer = who & 3};

	if (len <= CW_PUNT_FRAME_BYTES_MAX)
		cw_control_punt(w->ctl, &meta, data, len, w->now_ns);
}

static void take(struct world *w, uint8_t what, uint8_t who, const uint8_t *data, size_t len)
{
	char *text;

	switch (what % 6) {
	case 0:
		punt(w, who, data, len);
		break;
	case 1:
		world_pass(w, (uint64_t)(who + 1) * CW_NS_PER_S / 16);
		break;
	case 2:
		world_ask(w, (const char *)data, len);
		break;
	case 3:
	case 4:
		text = malloc(len + 1);
		CW_ASSERT(text != NULL);
		memcpy(text, data, len);
		text[len] = '\0';
		if (what % 6 == 3)
			(void)!cw_control_peers_load(w->ctl, text, w->now_ns);
		else
			(void)cw_control_revocations_load(w->ctl, text);
		free(text);
		break;
	default:
		cw_control_woke(w->ctl, w->now_ns);
	}
	world_settle(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.now_ns = CW_NS_PER_S};
	struct cw_rcu *rcu;

	CW_ASSERT(cw_rcu_create(&rcu) == 0);
	world_begin(&w, rcu);
	for (unsigned int step = 0; size >= 4 && step < STEPS_MAX; step++) {
		size_t len = (size_t)(data[2] << 8 | data[3]);

		if (len > size - 4)
			len = size - 4;
		take(&w, data[0], data[1], data + 4, len);
		cw_rcu_reap(rcu);
		data += 4 + len;
		size -= 4 + len;
	}
	/* Whoever waits hears within a minute, or not at all. */
	for (unsigned int i = 0; i < 60 && w.answered < w.asked; i++)
		world_pass(&w, CW_NS_PER_S);
	CW_ASSERT(w.answered == w.asked);
	world_end(&w);
	cw_rcu_destroy(rcu);
	return 0;
}
