/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes of hellos, beacons and keys (docs/wire.md). Big endian, fixed fields first, then the table:
 * members, one owner per slot. A hello on the LAN ends with a seal of 16 bytes, HMAC-SHA256 (RFC
 * 2104, truncated as its section 5 allows) under the key that its sender gave its receiver inside
 * DTLS. The same bytes without a seal go over the overlay, which is authenticated itself.
 *
 * Refuses to judge: who may say what is fellow.c's.
 */
#include "internal.h"

#define BLOCK_BYTES 64u

struct writer {
	uint8_t *at;
};

struct reader {
	const uint8_t *at, *end;
	bool bad;
};

static void put(struct writer *w, uint64_t value, unsigned int bytes)
{
	while (bytes-- > 0)
		*w->at++ = (uint8_t)(value >> 8 * bytes);
}

static void put_bytes(struct writer *w, const void *data, size_t len)
{
	memcpy(w->at, data, len);
	w->at += len;
}

static bool take_bytes(struct reader *r, void *out, size_t len)
{
	if (r->bad || (size_t)(r->end - r->at) < len) {
		r->bad = true;
		memset(out, 0, len);
		return false;
	}
	memcpy(out, r->at, len);
	r->at += len;
	return true;
}

static uint64_t take(struct reader *r, unsigned int bytes)
{
	uint8_t raw[8];
	uint64_t value = 0;

	take_bytes(r, raw, bytes);
	for (unsigned int i = 0; i < bytes; i++)
		value = value << 8 | raw[i];
	return value;
}

static void put_head(struct writer *w, enum type type)
{
	put_bytes(w, "CW", 2);
	put(w, VERSION, 1);
	put(w, type, 1);
}

/* @return the type, 0: none of ours */
static unsigned int take_head(struct reader *r, uint8_t *version)
{
	uint8_t magic[2];
	unsigned int type;

	take_bytes(r, magic, sizeof(magic));
	*version = (uint8_t)take(r, 1);
	type = (unsigned int)take(r, 1);
	return r->bad || memcmp(magic, "CW", 2) != 0 ? 0 : type;
}

size_t site_write_beacon(const struct cw_site *s, uint8_t *out)
{
	struct writer w = {out};

	put_head(&w, TYPE_BEACON);
	put_bytes(&w, s->config.site, CW_SITE_ID_BYTES);
	put(&w, s->config.segment, 4);
	put(&w, s->config.slots, 1);
	put_bytes(&w, s->config.self.b, CW_NODE_ID_BYTES);
	put_bytes(&w, &s->config.endpoint.ip4, 4);
	put_bytes(&w, &s->config.endpoint.port, 2);
	return (size_t)(w.at - out);
}

bool site_read_beacon(const struct cw_site *s, const uint8_t *data, size_t len,
		      struct cw_node_id *node, struct cw_endpoint *at)
{
	struct reader r = {data, data + len, false};
	uint8_t version, site[CW_SITE_ID_BYTES];
	uint32_t segment;
	uint8_t slots;

	take_head(&r, &version);
	take_bytes(&r, site, sizeof(site));
	segment = (uint32_t)take(&r, 4);
	slots = (uint8_t)take(&r, 1);
	take_bytes(&r, node->b, sizeof(node->b));
	*at = (struct cw_endpoint){.family = CW_FAMILY_IPV4};
	take_bytes(&r, &at->ip4, sizeof(at->ip4));
	take_bytes(&r, &at->port, sizeof(at->port));
	return !r.bad && memcmp(site, s->config.site, sizeof(site)) == 0 &&
	       segment == s->config.segment && slots == s->config.slots && at->ip4 != 0 &&
	       at->port != 0;
}

static void put_ballot(struct writer *w, const struct ballot *b)
{
	put(w, b->epoch, 8);
	put_bytes(w, b->proposer.b, CW_NODE_ID_BYTES);
	put(w, b->draw, 4);
}

static void put_table(struct writer *w, const struct table *t, unsigned int slots)
{
	put_ballot(w, &t->ballot);
	put(w, t->count, 1);
	for (unsigned int i = 0; i < t->count; i++)
		put_bytes(w, t->member[i].b, CW_NODE_ID_BYTES);
	put_bytes(w, t->owner, slots);
}

size_t site_write_hello(const struct cw_site *s, struct fellow *f, enum type type, uint8_t *out)
{
	uint64_t silence_us = site_silence(s, f) / CW_NS_PER_US;
	struct writer w = {out};

	put_head(&w, type);
	put_bytes(&w, s->config.site, CW_SITE_ID_BYTES);
	put(&w, s->config.segment, 4);
	put_bytes(&w, s->config.self.b, CW_NODE_ID_BYTES);
	put_bytes(&w, f->node.b, TO_BYTES);
	put(&w, f->tx.id, 4);
	put(&w, f->tx_seq, 8);
	put(&w, f->ack_key, 4);
	put(&w, f->ack_seq, 8);
	put(&w, cw_min_u64(silence_us, UINT32_MAX), 4);
	put(&w, site_flags(s), 1);
	put(&w, s->health, 1);
	put(&w, s->config.weight, 2);
	put(&w, s->config.slots, 1);
	put_table(&w, &s->table, s->config.slots);
	return (size_t)(w.at - out);
}

static bool take_ballot(struct reader *r, struct ballot *b)
{
	b->epoch = take(r, 8);
	take_bytes(r, b->proposer.b, CW_NODE_ID_BYTES);
	b->draw = (uint32_t)take(r, 4);
	/* Nobody gets so far by counting; one above it could not be counted. */
	return !r->bad && b->epoch >> 62 == 0;
}

static bool take_table(struct reader *r, struct table *t, unsigned int slots)
{
	bool valid = take_ballot(r, &t->ballot);

	t->count = (uint8_t)take(r, 1);
	if (!valid)
		return false;
	if (t->count > CW_SITE_MEMBERS_MAX || slots == 0 || slots > CW_SITE_SLOTS_MAX)
		return false;
	for (unsigned int i = 0; i < t->count; i++)
		take_bytes(r, t->member[i].b, CW_NODE_ID_BYTES);
	memset(t->owner, CW_SITE_NOBODY, sizeof(t->owner));
	take_bytes(r, t->owner, slots);
	for (unsigned int i = 0; i < slots; i++)
		if (t->owner[i] != CW_SITE_NOBODY && t->owner[i] >= t->count)
			return false;
	return !r->bad;
}

unsigned int site_read_hello(const uint8_t *data, size_t len, struct hello *out)
{
	struct reader r = {data, data + len, false};
	uint8_t version;

	*out = (struct hello){0};
	out->type = (uint8_t)take_head(&r, &version);
	if (r.bad || out->type < TYPE_HELLO || out->type > TYPE_STATE)
		return CW_SITE_REFUSED_MALFORMED + 1;
	if (version != VERSION)
		return CW_SITE_REFUSED_VERSION + 1;
	take_bytes(&r, out->site, sizeof(out->site));
	out->segment = (uint32_t)take(&r, 4);
	take_bytes(&r, out->from.b, sizeof(out->from.b));
	take_bytes(&r, out->to, sizeof(out->to));
	out->key_id = (uint32_t)take(&r, 4);
	out->seq = take(&r, 8);
	out->ack_key = (uint32_t)take(&r, 4);
	out->ack_seq = take(&r, 8);
	out->silence_us = (uint32_t)take(&r, 4);
	out->flags = (uint8_t)take(&r, 1);
	out->health = (uint8_t)take(&r, 1);
	out->weight = (uint16_t)take(&r, 2);
	out->slots = (uint8_t)take(&r, 1);
	if (!take_table(&r, &out->table, out->slots) || out->weight == 0 ||
	    out->weight > CW_SITE_WEIGHT_MAX)
		return CW_SITE_REFUSED_MALFORMED + 1;
	return 0;
}

#define TABLE_SPLIT 1u

/* What peers of other sites are told, and what they say back: the table that they go by. */
size_t site_write_table(enum type type, const uint8_t site[CW_SITE_ID_BYTES],
			const struct cw_site_table *from, uint8_t *out)
{
	struct table t = {.ballot = {from->epoch, from->proposer, from->draw},
			  .count = type == TYPE_TABLE ? from->count : 0};
	struct writer w = {out};

	memcpy(t.member, from->member, sizeof(t.member));
	memcpy(t.owner, from->owner, sizeof(t.owner));
	put_head(&w, type);
	put_bytes(&w, site, CW_SITE_ID_BYTES);
	put(&w, from->split ? TABLE_SPLIT : 0, 1);
	put(&w, from->slots, 1);
	put_table(&w, &t, type == TYPE_TABLE ? from->slots : 0);
	return (size_t)(w.at - out);
}

bool site_read_table(const uint8_t *data, size_t len, enum type *type,
		     uint8_t site[CW_SITE_ID_BYTES], struct cw_site_table *out)
{
	struct reader r = {data, data + len, false};
	struct table t = {0};
	uint8_t version;

	*type = (enum type)take_head(&r, &version);
	if ((*type != TYPE_TABLE && *type != TYPE_TABLE_ACK) || version != VERSION)
		return false;
	*out = (struct cw_site_table){0};
	take_bytes(&r, site, CW_SITE_ID_BYTES);
	out->split = take(&r, 1) & TABLE_SPLIT;
	out->slots = (uint8_t)take(&r, 1);
	if (*type == TYPE_TABLE ? !take_table(&r, &t, out->slots) : !take_ballot(&r, &t.ballot))
		return false;
	out->epoch = t.ballot.epoch;
	out->proposer = t.ballot.proposer;
	out->draw = t.ballot.draw;
	out->count = t.count;
	memcpy(out->member, t.member, sizeof(out->member));
	memcpy(out->owner, t.owner, sizeof(out->owner));
	return true;
}

size_t site_write_key(enum type type, const struct key *key, uint8_t *out)
{
	struct writer w = {out};

	put_head(&w, type);
	put(&w, key->id, 4);
	if (type == TYPE_KEY)
		put_bytes(&w, key->bytes, sizeof(key->bytes));
	return (size_t)(w.at - out);
}

bool site_read_key(const uint8_t *data, size_t len, enum type *type, struct key *out)
{
	struct reader r = {data, data + len, false};
	uint8_t version;

	*type = (enum type)take_head(&r, &version);
	if (*type != TYPE_KEY && *type != TYPE_KEY_ACK)
		return false;
	out->id = (uint32_t)take(&r, 4);
	if (*type == TYPE_KEY)
		take_bytes(&r, out->bytes, sizeof(out->bytes));
	return !r.bad && version == VERSION && out->id != 0;
}

void site_seal(const struct cw_site *s, const struct key *key, const uint8_t *data, size_t len,
	       uint8_t tag[TAG_BYTES])
{
	uint8_t inner[BLOCK_BYTES + CW_SITE_BYTES_MAX], outer[BLOCK_BYTES + 32], digest[32];

	CW_ASSERT(len <= CW_SITE_BYTES_MAX);
	memset(inner, 0x36, BLOCK_BYTES);
	memset(outer, 0x5c, BLOCK_BYTES);
	for (unsigned int i = 0; i < KEY_BYTES; i++) {
		inner[i] ^= key->bytes[i];
		outer[i] ^= key->bytes[i];
	}
	memcpy(inner + BLOCK_BYTES, data, len);
	s->config.digest.sha256(inner, BLOCK_BYTES + len, outer + BLOCK_BYTES);
	s->config.digest.sha256(outer, sizeof(outer), digest);
	memcpy(tag, digest, TAG_BYTES);
}
