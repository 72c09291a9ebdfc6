/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A gateway of a site as a state machine: anything from the LAN, anything from a fellow over the
 * overlay, anything from peers of other sites, time that passes or jumps. Promise: it serves
 * nothing past a lone gateway's deadline, shows only slots that it serves, and sends nothing larger
 * than its limit. The digest is a stand-in that always gives zeros, so that a fuzzer can seal what
 * it writes.
 */
#include <string.h>

#include <cw_site.h>
#include <cw_sites.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 64u

static uint64_t served, clock_ns;

static void op_send_lan(void *ctx, const uint8_t *payload, size_t len)
{
	(void)ctx;
	CW_ASSERT(payload != NULL && len > 0 && len <= CW_SITE_BYTES_MAX);
}

static void op_send_overlay(void *ctx, const struct cw_node_id *to, const uint8_t *data, size_t len)
{
	(void)ctx;
	CW_ASSERT(to->b[0] == 2 && data != NULL && len > 0 && len <= CW_SITE_BYTES_MAX);
}

static void op_serve(void *ctx, uint64_t slots, uint64_t deadline_ns)
{
	(void)ctx;
	CW_ASSERT(deadline_ns <= clock_ns + 15 * CW_SITE_HELLO_DEFAULT_NS);
	CW_ASSERT(slots <= UINT16_MAX);
	served = slots;
}

static void op_announce(void *ctx, uint64_t slots)
{
	(void)ctx;
	CW_ASSERT((slots & ~served) == 0);
}

static void op_found(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *at)
{
	(void)ctx;
	(void)node;
	CW_ASSERT(at->ip4 != 0 && at->port != 0);
}

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
	*(uint8_t *)buf = (uint8_t)clock_ns;
}

static void no_digest(const void *data, size_t len, uint8_t out[32])
{
	(void)data;
	(void)len;
	memset(out, 0, 32);
}

/* -- peers: two of another site, whose links come and go */

static void op_send_peer(void *ctx, uint16_t peer, const uint8_t *data, size_t len)
{
	(void)ctx;
	CW_ASSERT(peer < 2 && data != NULL && len > 0 && len <= CW_SITE_BYTES_MAX);
}

static void op_peers_changed(void *ctx, const uint8_t site[CW_SITE_ID_BYTES])
{
	const struct cw_site_table *t = cw_sites_find(*(struct cw_sites **)ctx, site);

	CW_ASSERT(t == NULL || (t->epoch != 0 && t->count <= CW_SITE_MEMBERS_MAX));
	for (unsigned int i = 0; t != NULL && i < CW_SITE_SLOTS_MAX; i++)
		CW_ASSERT(cw_site_pick(t, i, UINT32_MAX) < t->count || t->count == 0);
}

static void op_outbid(void *ctx, uint64_t epoch)
{
	(void)ctx;
	CW_ASSERT(epoch > 0);
}

static void peer_step(struct cw_sites *sites, uint8_t kind, const uint8_t *data, size_t len)
{
	static const uint8_t far[CW_SITE_ID_BYTES] = "far";
	uint16_t peer = kind >> 3 & 1;

	if ((kind & 0x80) == 0)
		cw_sites_input(sites, peer, data, len, clock_ns);
	else if ((kind & 0x40) != 0)
		CW_ASSERT(cw_sites_peer_up(sites, peer, far, clock_ns) == 0);
	else
		cw_sites_peer_down(sites, peer, clock_ns);
	cw_sites_timer(sites, clock_ns);
}

static struct cw_sites *open_sites(struct cw_sites **out)
{
	static const struct cw_sites_ops ops = {op_send_peer, op_peers_changed, op_outbid};
	struct cw_sites_config config = {.site = "site", .peers_max = 2};
	struct cw_site_table table = {.epoch = 3, .slots = 16, .count = 1};

	*out = NULL;
	if (cw_sites_create(out, &config, &ops, out, clock_ns) != 0)
		return NULL;
	CW_ASSERT(cw_sites_peer_up(*out, 0, (const uint8_t *)"far\0\0\0\0", clock_ns) == 0);
	CW_ASSERT(cw_sites_peer_up(*out, 1, (const uint8_t *)"far\0\0\0\0", clock_ns) == 0);
	cw_sites_tell(*out, &table, clock_ns);
	return *out;
}

/* A step: kind, length, bytes. */
static void step(struct cw_site *site, uint8_t kind, const uint8_t *data, size_t len)
{
	static const struct cw_node_id fellow = {{2}};

	switch (kind % 8) {
	case 0:
	case 1:
		cw_site_lan(site, data, len, clock_ns);
		break;
	case 2:
	case 3:
		cw_site_overlay(site, &fellow, data, len, clock_ns);
		break;
	case 4:
		clock_ns += (uint64_t)kind * 8 * CW_NS_PER_MS;
		cw_site_timer(site, clock_ns);
		break;
	case 5:
		cw_site_set_health(site, kind >> 4, clock_ns);
		break;
	case 6:
		cw_site_drain(site, kind & 8, clock_ns);
		break;
	default:
		CW_ASSERT(cw_site_fellow_up(site, &fellow, clock_ns) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cw_site_ops ops = {.send_lan = op_send_lan,
					       .send_overlay = op_send_overlay,
					       .serve = op_serve,
					       .announce = op_announce,
					       .found = op_found};
	struct cw_site_config config = {.self = {{1}},
					.site = "site",
					.segment = 7,
					.slots = 16,
					.weight = 1,
					.hello_ns = CW_SITE_HELLO_DEFAULT_NS,
					.endpoint = {.family = CW_FAMILY_IPV4, .port = 1, .ip4 = 1},
					.random = {fill, NULL},
					.digest = {no_digest}};
	struct cw_site_status status;
	struct cw_sites *sites;
	struct cw_site *site;

	served = 0;
	clock_ns = CW_NS_PER_S;
	if (cw_site_create(&site, &config, &ops, NULL, clock_ns) != 0)
		return 0;
	if (open_sites(&sites) == NULL)
		size = 0;
	for (unsigned int i = 0; i < STEPS_MAX && size >= 2; i++) {
		uint8_t kind = data[0];
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		/* The largest is longer than a byte can say. */
		if (len == UINT8_MAX)
			len = size - 2 < CW_SITE_BYTES_MAX ? size - 2 : CW_SITE_BYTES_MAX;
		clock_ns += CW_NS_PER_MS;
		if (kind % 8 == 6 && kind >> 4 != 0)
			peer_step(sites, kind, data + 2, len);
		else
			step(site, kind, data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	cw_site_status(site, &status);
	CW_ASSERT(status.count <= CW_SITE_MEMBERS_MAX);
	cw_sites_destroy(sites);
	cw_site_destroy(site);
	return 0;
}
