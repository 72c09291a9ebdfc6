/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who a client is, and which addresses may be anybody's at all.
 *
 * In the registers a client is a digest: of its identifier's kind and content; of a machine whose
 * twin answers elsewhere under the same client-id, of these and its MAC (R10). A client-id that
 * contains the MAC already, or is the MAC, has no twin.
 */
#include "internal.h"

void identity_of(const struct cw_lease_engine *e, const struct cw_client *client,
		 const struct cw_mac *twin, struct identity *out)
{
	uint8_t text[1 + CW_CLIENT_BYTES_MAX + sizeof(twin->b)], digest[32];
	size_t len = 1u + client->len;

	out->client = *client;
	out->twin = twin != NULL;
	text[0] = (uint8_t)(client->kind | (twin != NULL ? 0x80 : 0));
	memcpy(text + 1, client->bytes, client->len);
	if (twin != NULL) {
		memcpy(text + len, twin->b, sizeof(twin->b));
		len += sizeof(twin->b);
	}
	e->config.digest.sha256(text, len, digest);
	memcpy(out->hash.b, digest, sizeof(out->hash.b));
}

void identity_mac_hash(const struct cw_lease_engine *e, const struct cw_mac *mac,
		       struct cw_client_hash *out)
{
	struct cw_client client = {.len = 7, .bytes = {1}}; /* htype: Ethernet */
	struct identity who;

	memcpy(client.bytes + 1, mac->b, sizeof(mac->b));
	identity_of(e, &client, NULL, &who);
	*out = who.hash;
}

bool identity_has_twin(const struct cw_client *client, const struct cw_mac *mac)
{
	if (client->kind == 0)
		return false;
	for (size_t i = 0; i + sizeof(mac->b) <= client->len; i++)
		if (memcmp(client->bytes + i, mac->b, sizeof(mac->b)) == 0)
			return false;
	return true;
}

rte_be32_t address_kept_for(const struct cw_lease_engine *e, const struct transaction *t)
{
	const struct cw_namespace_record *ns = &e->config.ns;

	for (unsigned int i = 0; t->m.hlen == 6 && i < ns->host_count; i++)
		if (cw_mac_equal(&ns->hosts[i].mac, &t->m.chaddr))
			return ns->hosts[i].ip;
	return 0;
}

bool address_usable(const struct cw_lease_engine *e, rte_be32_t ip)
{
	const struct cw_namespace_record *ns = &e->config.ns;
	uint32_t h = rte_be_to_cpu_32(ip);

	if (!cw_prefix4_contains(&ns->subnet, ip) || ip == ns->subnet.ip ||
	    ip == cw_namespace_service_ip(ns) ||
	    ip == (ns->subnet.ip | ~cw_prefix4_mask(ns->subnet.len)))
		return false;
	for (unsigned int i = 0; i < ns->host_count; i++)
		if (ns->hosts[i].ip == ip)
			return false; /* kept for one machine */
	for (unsigned int i = 0; i < ns->reserved_count; i++)
		if (h >= rte_be_to_cpu_32(ns->reserved[i].first) &&
		    h <= rte_be_to_cpu_32(ns->reserved[i].last))
			return false;
	return true;
}

/* Buckets are powers of two. */
uint32_t hash_ip(rte_be32_t ip, uint32_t buckets)
{
	uint32_t h = rte_be_to_cpu_32(ip) * UINT32_C(0x9E3779B1);

	return (h ^ h >> 15) & (buckets - 1);
}

uint32_t hash_client(const struct cw_client_hash *hash, uint32_t buckets)
{
	uint32_t h;

	memcpy(&h, hash->b, sizeof(h)); /* a digest: any of its bits */
	return h & (buckets - 1);
}

bool same_hash(const struct cw_client_hash *a, const struct cw_client_hash *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}
