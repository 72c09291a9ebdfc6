/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gateways of one WAN segment find each other: each says hello to all systems of the subnet, a STUN
 * Binding indication from its overlay port that names its network, and tries whoever says it.
 *
 * A hello is a hint from anybody: it costs a few handshakes a second at most, towards the segment
 * only, and DTLS decides. A hello of another network is passed over. Nothing is said or heard where
 * the operator switched it off (a segment that is not trusted), nor, by default, where bootstrap
 * nodes are configured.
 *
 * Alone a node says it again at a growing distance; linked seldom, so that two rings on one segment
 * become one.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_stun.h>

#define HELLO_FIRST_NS	(UINT64_C(1) * CW_NS_PER_S)
#define HELLO_LAST_NS	(UINT64_C(30) * CW_NS_PER_S)
#define HELLO_LINKED_NS (UINT64_C(60) * CW_NS_PER_S)

enum {
	/* Hellos that are heeded in a second, whoever says them. */
	HELLOS_PER_S = 4,
	/* Of the whole ring so many say hello in a round. */
	SPEAKERS = 8,
};

struct discovery {
	uint64_t hello_ns, wait_ns;
	uint64_t limit_ns;
	unsigned int heard; /* in the second since limit_ns */
};

int cw_discovery_create(struct cw_control *ctl)
{
	ctl->discovery = calloc(1, sizeof(*ctl->discovery));
	if (ctl->discovery == NULL)
		return -ENOMEM;
	ctl->discovery->wait_ns = HELLO_FIRST_NS;
	return 0;
}

void cw_discovery_destroy(struct cw_control *ctl)
{
	free(ctl->discovery);
	ctl->discovery = NULL;
}

static bool is_on(const struct cw_control *ctl)
{
	switch (ctl->config.discovery) {
	case CW_DISCOVERY_ON:
		return true;
	case CW_DISCOVERY_AUTO:
		return ctl->config.bootstrap_count == 0;
	default:
		return false;
	}
}

static void say_hello(struct cw_control *ctl)
{
	const struct cw_endpoint group = {.family = CW_FAMILY_IPV4,
					  .port = rte_cpu_to_be_16(CW_DISCOVERY_PORT),
					  .ip4 = CW_DISCOVERY_GROUP};
	uint8_t message[CW_STUN_BYTES_MAX], transaction[CW_STUN_TRANSACTION_BYTES];

	ctl->config.random.fill(ctl->config.random.ctx, transaction, sizeof(transaction));
	cw_neighbours_send(ctl, &group, message,
			   cw_stun_write_hello(message, transaction, ctl->config.network));
}

void cw_discovery_timer(struct cw_control *ctl)
{
	struct discovery *d = ctl->discovery;
	uint64_t jitter = cw_random_u64(&ctl->config.random);
	struct cw_overlay_info info;

	if (ctl->now_ns < d->hello_ns || !is_on(ctl) || ctl->leaving)
		return;
	cw_overlay_info(ctl->overlay, &info);
	if (info.links == 0) {
		say_hello(ctl);
		d->hello_ns = ctl->now_ns + d->wait_ns / 2 + jitter % d->wait_ns;
		d->wait_ns = cw_min_u64(d->wait_ns * 2, HELLO_LAST_NS);
		return;
	}
	d->wait_ns = HELLO_FIRST_NS;
	d->hello_ns = ctl->now_ns + HELLO_LINKED_NS / 2 + jitter % HELLO_LINKED_NS;
	if (info.estimate <= SPEAKERS ||
	    cw_random_u64(&ctl->config.random) % info.estimate < SPEAKERS)
		say_hello(ctl);
}

void cw_discovery_input(struct cw_control *ctl, const struct cw_endpoint *from, const uint8_t *data,
			size_t len)
{
	struct discovery *d = ctl->discovery;
	rte_be32_t mask = cw_prefix4_mask(ctl->config.wan_prefix_len);
	struct cw_stun_message m;

	/* From the segment itself, so that nobody makes us knock elsewhere. */
	if (!is_on(ctl) || ((from->ip4 ^ ctl->config.wan_ip) & mask) != 0 ||
	    from->ip4 == ctl->config.wan_ip)
		return;
	if (cw_stun_parse(data, len, &m) < 0 || m.class != CW_STUN_INDICATION || m.method != 1 ||
	    !m.has_network || !m.has_fingerprint ||
	    memcmp(m.network, ctl->config.network, sizeof(m.network)) != 0)
		return;
	if (ctl->now_ns - d->limit_ns >= CW_NS_PER_S) {
		d->limit_ns = ctl->now_ns;
		d->heard = 0;
	}
	if (d->heard++ < HELLOS_PER_S)
		cw_overlay_discovered(ctl->overlay, from, ctl->now_ns);
}
