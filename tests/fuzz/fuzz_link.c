/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Links as a state machine: a row of steps, each a datagram from one of four endpoints (STUN, a
 * handshake, a record that an authenticated node says), time that passes, or what the layer above
 * asks for. DTLS is a stand-in that lets everybody in at once and hides nothing, so that every
 * frame is reached; the peers are four nodes, one of them with our own ID.
 *
 * Promises: an SPI that was handed out is given back or its SA is retired by the end; up and down
 * of a node alternate; a message that is delivered is no longer than may be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cw_link.h>

#include "open_dtls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NODES	  OPEN_DTLS_NODES
#define SPIS_MAX  4096u
#define STEPS_MAX 64u

struct spi {
	bool out, installed;
	uint32_t generation;
	struct cw_node_id peer;
};

struct world {
	struct spi spis[SPIS_MAX];
	uint32_t next_spi;
	bool up[NODES];
	uint64_t dice;
};

static unsigned int number_of(const struct cw_node_id *node)
{
	CW_ASSERT(node->b[0] < NODES);
	return node->b[0];
}

static void fill(void *ctx, void *buf, size_t len)
{
	struct world *w = ctx;

	for (size_t i = 0; i < len; i++) {
		w->dice = w->dice * UINT64_C(6364136223846793005) + 1442695040888963407;
		((uint8_t *)buf)[i] = (uint8_t)(w->dice >> 56);
	}
}

static void op_send(void *ctx, const struct cw_endpoint *to, const void *data, size_t len)
{
	(void)ctx;
	(void)to;
	CW_ASSERT(data != NULL && len > 0 && len <= 1500);
}

static void op_up(void *ctx, const struct cw_identity *identity, const struct cw_endpoint *path,
		  uint64_t now_ns)
{
	struct world *w = ctx;

	(void)now_ns;
	CW_ASSERT(path->family == CW_FAMILY_IPV4);
	CW_ASSERT(!w->up[number_of(&identity->node)] && number_of(&identity->node) != 0);
	w->up[number_of(&identity->node)] = true;
}

static void op_down(void *ctx, const struct cw_node_id *node, enum cw_link_down_reason why,
		    uint64_t now_ns)
{
	struct world *w = ctx;

	(void)now_ns;
	CW_ASSERT(why < CW_LINK_DOWN_REASON_COUNT && w->up[number_of(node)]);
	w->up[number_of(node)] = false;
}

static void op_moved(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *path,
		     uint64_t now_ns)
{
	struct world *w = ctx;

	(void)path;
	(void)now_ns;
	CW_ASSERT(w->up[number_of(node)]);
}

static void op_mtu(void *ctx, const struct cw_node_id *node, uint16_t mtu_bytes, uint64_t now_ns)
{
	struct world *w = ctx;

	(void)now_ns;
	CW_ASSERT(w->up[number_of(node)] && mtu_bytes >= CW_PMTU_MIN_BYTES && mtu_bytes <= 1500);
}

static void op_message(void *ctx, const struct cw_node_id *from, const uint8_t *data, size_t len,
		       uint64_t now_ns)
{
	struct world *w = ctx;

	(void)data;
	(void)now_ns;
	CW_ASSERT(w->up[number_of(from)] && len > 0 && len <= CW_LINK_MESSAGE_BYTES_MAX);
}

static int op_spi_alloc(void *ctx, const struct cw_node_id *peer, uint8_t worker, uint32_t *spi)
{
	struct world *w = ctx;

	(void)peer;
	if (w->next_spi == SPIS_MAX)
		return -ENOSPC;
	*spi = UINT32_C(0x80000000) | (uint32_t)worker << 25 | w->next_spi << 9;
	w->spis[w->next_spi++] = (struct spi){.out = true};
	return 0;
}

static struct spi *spi_at(struct world *w, uint32_t spi)
{
	uint32_t i = spi >> 9 & 0xffff;

	CW_ASSERT(i < w->next_spi && w->spis[i].out);
	return &w->spis[i];
}

static void op_spi_free(void *ctx, uint32_t spi)
{
	struct spi *s = spi_at(ctx, spi);

	CW_ASSERT(!s->installed);
	s->out = false;
}

static int op_sa_install(void *ctx, const struct cw_link_sa *sa, uint64_t now_ns)
{
	struct world *w = ctx;
	struct spi *s;

	(void)now_ns;
	CW_ASSERT(w->up[number_of(&sa->peer)] && sa->k < sa->K && sa->spi >> 24 >= 128);
	if (sa->outbound)
		return 0;
	s = spi_at(w, sa->spi);
	CW_ASSERT(!s->installed);
	s->installed = true;
	s->generation = sa->generation;
	s->peer = sa->peer;
	return 0;
}

static void op_sa_retire(void *ctx, const struct cw_node_id *peer, bool outbound,
			 uint32_t generation, uint64_t now_ns)
{
	struct world *w = ctx;

	(void)now_ns;
	for (uint32_t i = 0; !outbound && i < w->next_spi; i++) {
		struct spi *s = &w->spis[i];

		if (s->installed && s->generation == generation && cw_node_id_equal(&s->peer, peer))
			s->out = s->installed = false;
	}
}

static void op_reflexive(void *ctx, const struct cw_endpoint *seen, uint64_t now_ns)
{
	(void)ctx;
	(void)seen;
	(void)now_ns;
}

static void op_refused(void *ctx, const struct cw_endpoint *from, const char *why, uint64_t now_ns)
{
	(void)ctx;
	(void)from;
	(void)now_ns;
	CW_ASSERT(why != NULL);
}

static const struct cw_link_ops ops = {.send = op_send,
				       .up = op_up,
				       .down = op_down,
				       .moved = op_moved,
				       .mtu = op_mtu,
				       .message = op_message,
				       .spi_alloc = op_spi_alloc,
				       .spi_free = op_spi_free,
				       .sa_install = op_sa_install,
				       .sa_retire = op_sa_retire,
				       .reflexive = op_reflexive,
				       .refused = op_refused};

enum step { DATAGRAM, TIME, CONNECT, CLOSE, SEND, ROAM, REKEY, RENEW, STEP_COUNT };

static void take(struct cw_links *links, enum step what, uint8_t who, const uint8_t *data,
		 size_t len, uint64_t *now_ns)
{
	struct cw_endpoint at = {
		.family = CW_FAMILY_IPV4, .port = 7845, .ip4 = (rte_be32_t)(who % 8)};
	struct cw_node_id node = {{(uint8_t)(who % NODES)}};

	switch (what) {
	case DATAGRAM:
		cw_links_input(links, &at, data, len, *now_ns);
		break;
	case TIME:
		*now_ns +=
			(uint64_t)(who + 1) * CW_NS_PER_S / 4 * (len > 0 ? data[0] % 64 + 1u : 1);
		cw_links_timer(links, *now_ns);
		break;
	case CONNECT:
		(void)!cw_links_connect(links, who & 0x80 ? NULL : &node, &at, 1, *now_ns);
		break;
	case CLOSE:
		cw_links_close(links, &node, *now_ns);
		break;
	case SEND:
		(void)!cw_links_send(links, &node, data, len, *now_ns);
		break;
	case ROAM:
		if (who & 0x80)
			(void)cw_links_too_big(links, &at, (uint16_t)(len * 16), *now_ns);
		else
			cw_links_roam(links, &node, &at, *now_ns);
		break;
	case REKEY:
		cw_links_rekey(links, &node, *now_ns);
		break;
	default:
		cw_links_renew(links, CW_NS_PER_S, *now_ns);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cw_log log;
	uint64_t now_ns = CW_NS_PER_S;
	struct cw_link_config config = {
		.workers = 2, .log = &log, .dtls = &open_dtls, .mtu_bytes = 1500};
	struct world *world = calloc(1, sizeof(*world));
	struct cw_links *links;

	CW_ASSERT(world != NULL);
	config.random = (struct cw_random_ops){.fill = fill, .ctx = world};
	config.kdf = open_kdf;
	CW_ASSERT(cw_links_create(&links, &config, &ops, world) == 0);
	for (unsigned int step = 0; size >= 3 && step < STEPS_MAX; step++) {
		size_t len = data[2];

		if (len > size - 3)
			len = size - 3;
		take(links, (enum step)(data[0] % STEP_COUNT), data[1], data + 3, len, &now_ns);
		data += 3 + len;
		size -= 3 + len;
	}
	cw_links_destroy(links);
	for (uint32_t i = 0; i < world->next_spi; i++)
		CW_ASSERT(!world->spis[i].out);
	free(world);
	return 0;
}
