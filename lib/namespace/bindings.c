/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of bindings, by address and by client, and what workers are shown of it.
 *
 * Workers see an address as offered, bound or silent, or not at all. In-line answers are switched
 * on only while the entry is of the present session generation and its cover is long enough for a
 * full lease: then the session's deadline is the only limit a worker has to look at (leases.md
 * "Deadlines" 5).
 */
#include "internal.h"

#include <stdlib.h>

static unsigned int ip_bucket(rte_be32_t ip)
{
	return (rte_be_to_cpu_32(ip) * UINT32_C(0x9E3779B1)) >> 18;
}

static unsigned int client_bucket(const struct cw_client_hash *hash)
{
	return (hash->b[0] | (unsigned int)hash->b[1] << 8) % BUCKETS;
}

void client_hash(const struct cw_lease_engine *e, const struct cw_client *client,
		 struct cw_client_hash *out)
{
	uint8_t text[1 + CW_CLIENT_BYTES_MAX], digest[32];

	text[0] = client->kind;
	memcpy(text + 1, client->bytes, client->len);
	e->config.digest.sha256(text, 1u + client->len, digest);
	memcpy(out->b, digest, sizeof(out->b));
}

bool address_usable(const struct cw_lease_engine *e, rte_be32_t ip)
{
	const struct cw_namespace_record *ns = &e->config.ns;
	uint32_t h = rte_be_to_cpu_32(ip);

	if (!cw_prefix4_contains(&ns->subnet, ip) || ip == ns->subnet.ip ||
	    ip == cw_namespace_service_ip(ns) ||
	    ip == (ns->subnet.ip | ~cw_prefix4_mask(ns->subnet.len)))
		return false;
	for (unsigned int i = 0; i < ns->reserved_count; i++)
		if (h >= rte_be_to_cpu_32(ns->reserved[i].first) &&
		    h <= rte_be_to_cpu_32(ns->reserved[i].last))
			return false;
	return true;
}

struct binding *binding_find(const struct cw_lease_engine *e, rte_be32_t ip)
{
	struct binding *b = e->by_ip[ip_bucket(ip)];

	while (b != NULL && b->ip != ip)
		b = b->ip_next;
	return b;
}

struct binding *binding_add(struct cw_lease_engine *e, rte_be32_t ip)
{
	struct binding *b;

	if (e->count >= BINDINGS_MAX)
		return NULL;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return NULL;
	b->ip = ip;
	b->ip_next = e->by_ip[ip_bucket(ip)];
	e->by_ip[ip_bucket(ip)] = b;
	b->all_next = e->all;
	if (e->all != NULL)
		e->all->all_prev = b;
	e->all = b;
	e->count++;
	return b;
}

static void unlink_client(struct cw_lease_engine *e, struct binding *b)
{
	struct binding **at = &e->by_client[client_bucket(&b->hash)];

	while (*at != NULL && *at != b)
		at = &(*at)->client_next;
	if (*at == b)
		*at = b->client_next;
	b->client_next = NULL;
}

void binding_set_client(struct cw_lease_engine *e, struct binding *b,
			const struct cw_client_hash *hash, const struct cw_client *client)
{
	unlink_client(e, b);
	if (hash == NULL) {
		b->client_state = CW_CLIENT_NONE;
		return;
	}
	b->client_state = CW_CLIENT_BOUND;
	b->hash = *hash;
	b->client = *client;
	b->client_next = e->by_client[client_bucket(hash)];
	e->by_client[client_bucket(hash)] = b;
}

bool binding_is_of(const struct binding *b, const struct cw_client_hash *hash)
{
	return b->client_state == CW_CLIENT_BOUND && memcmp(&b->hash, hash, sizeof(*hash)) == 0;
}

struct binding *binding_of_client(const struct cw_lease_engine *e,
				  const struct cw_client_hash *hash)
{
	struct binding *b = e->by_client[client_bucket(hash)], *best = NULL;

	for (; b != NULL; b = b->client_next)
		if (binding_is_of(b, hash) && (best == NULL || (best->stopped && !b->stopped)))
			best = b;
	return best;
}

void binding_remove(struct cw_lease_engine *e, struct binding *b)
{
	struct binding **at = &e->by_ip[ip_bucket(b->ip)];

	if (b->shown != 0)
		e->ops.retire(e->ctx, b->ip, e->now_ns);
	if (b->logged)
		log_forget(e, b->ip);
	unlink_client(e, b);
	while (*at != b)
		at = &(*at)->ip_next;
	*at = b->ip_next;
	if (b->all_prev != NULL)
		b->all_prev->all_next = b->all_next;
	else
		e->all = b->all_next;
	if (b->all_next != NULL)
		b->all_next->all_prev = b->all_prev;
	e->count--;
	if (b->commit != NULL)
		transaction_free(b->commit);
	free(b);
}

void binding_pull_acks(struct cw_lease_engine *e, struct binding *b)
{
	uint64_t acked = b->shown != 0 ? e->ops.acked(e->ctx, b->ip) : 0;

	if (acked <= b->acked_ns)
		return;
	b->acked_ns = acked;
	b->until_ns = cw_max_u64(b->until_ns, cw_law_until_ns(acked, e->config.ns.lease_s));
}

static int wanted_state(const struct cw_lease_engine *e, const struct binding *b)
{
	if (b->stopped || b->client_state == CW_CLIENT_DECLINED)
		return b->client_state == CW_CLIENT_NONE ? -1 : CW_HOST_SILENT;
	if (b->client_state == CW_CLIENT_BOUND)
		return b->commit != NULL || b->acked_ns == 0 ? -1 : CW_HOST_BOUND;
	if (b->offered && e->now_ns < b->offer_until_ns)
		return CW_HOST_OFFERED;
	return -1;
}

void binding_show(struct cw_lease_engine *e, struct binding *b)
{
	int state = wanted_state(e, b);
	bool in_line = state >= 0 && b->sgen == e->sgen && e->sgen != 0 &&
		       b->cover_ns >= cw_law_cover_ns(e->config.ns.lease_s);
	bool offer = state == CW_HOST_OFFERED;
	struct cw_host host;

	if (state < 0) {
		if (b->shown != 0)
			e->ops.retire(e->ctx, b->ip, e->now_ns);
		b->shown = 0;
		return;
	}
	binding_pull_acks(e, b);
	host = (struct cw_host){.ip = b->ip,
				.mac = offer ? b->offer_mac : b->mac,
				.vlan = b->vlan,
				.state = (uint8_t)state,
				.client = offer ? b->offer_client : b->client,
				.grant_until_tsc = in_line ? UINT64_MAX : 0};
	memcpy(host.name, b->name, sizeof(host.name));
	b->shown = (uint8_t)(1 + state);
	b->shown_inline = in_line;
	e->ops.publish(e->ctx, &host, e->now_ns);
}
