/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replicas by key. The key is a digest, so four of its bytes are hash enough; buckets are taken by
 * the hash's first bits, so the order of a walk is that of the hashes and does not change when the
 * table grows: a snapshot that is fetched in pieces names the hash where it goes on.
 *
 * A replica keeps of its record what its kind fills, not the whole union.
 */
#include "internal.h"

uint32_t key_hash(const uint8_t key[KEY_BYTES])
{
	return (uint32_t)key[4] << 24 | (uint32_t)key[5] << 16 | (uint32_t)key[6] << 8 | key[7];
}

/* The first 10 bytes name the slot: their leading bits do. */
uint32_t key_slot(const struct cw_dht *dht, const uint8_t key[KEY_BYTES])
{
	uint32_t slot = (uint32_t)key[0] << 2 | key[1] >> 6;

	return slot & (dht->genesis.slots - 1);
}

size_t record_bytes(const struct record *r)
{
	switch (r->kind) {
	case RECORD_SESSION:
		return offsetof(struct record, session) + sizeof(r->session);
	case RECORD_MAPPING:
		return offsetof(struct record, mapping) + sizeof(r->mapping);
	case RECORD_CLIENT:
	case RECORD_NAME:
		return offsetof(struct record, client) + sizeof(r->client);
	case RECORD_NS:
		return offsetof(struct record, ns) + sizeof(r->ns);
	case RECORD_REGISTER:
		return offsetof(struct record, reg.value) + r->reg.len;
	default:
		return offsetof(struct record, session);
	}
}

void record_copy(struct record *to, const struct record *from)
{
	memmove(to, from, record_bytes(from));
}

static unsigned int bucket_of(const struct keytab *t, const uint8_t key[KEY_BYTES])
{
	return t->bits == 0 ? 0 : key_hash(key) >> (32 - t->bits);
}

static struct replica **place_of(const struct keytab *t, const uint8_t key[KEY_BYTES])
{
	struct replica **at = &t->buckets[bucket_of(t, key)];

	while (*at != NULL && memcmp((*at)->record.key, key, KEY_BYTES) != 0)
		at = &(*at)->next;
	return at;
}

struct replica *keytab_find(const struct keytab *t, const uint8_t key[KEY_BYTES])
{
	return t->buckets == NULL ? NULL : *place_of(t, key);
}

static bool grow(struct keytab *t)
{
	struct keytab wider = {.bits = t->buckets == NULL ? 2 : t->bits + 2};

	if (t->buckets != NULL && (t->count < 4u << t->bits || t->bits >= 20))
		return true;
	wider.buckets = calloc((size_t)1 << wider.bits, sizeof(*wider.buckets));
	if (wider.buckets == NULL)
		return t->buckets != NULL;
	for (unsigned int i = 0; t->buckets != NULL && i < 1u << t->bits; i++) {
		while (t->buckets[i] != NULL) {
			struct replica *r = t->buckets[i];
			struct replica **at = &wider.buckets[bucket_of(&wider, r->record.key)];

			t->buckets[i] = r->next;
			r->next = *at;
			*at = r;
		}
	}
	wider.count = t->count;
	free(t->buckets);
	*t = wider;
	return true;
}

struct replica *keytab_put(struct keytab *t, const struct record *r)
{
	struct replica **at, *x, *old;

	if (!grow(t))
		return NULL;
	at = place_of(t, r->key);
	old = *at;
	x = old;
	if (old == NULL || record_bytes(&old->record) != record_bytes(r)) {
		x = realloc(old, cw_max_u64(offsetof(struct replica, record) + record_bytes(r),
					    sizeof(struct replica) - sizeof(struct record) + 64));
		if (x == NULL)
			return NULL;
		if (old == NULL) {
			memset(x, 0, offsetof(struct replica, record));
			t->count++;
		}
		*at = x;
	}
	record_copy(&x->record, r);
	return x;
}

void keytab_remove(struct keytab *t, const uint8_t key[KEY_BYTES])
{
	struct replica **at, *r;

	if (t->buckets == NULL)
		return;
	at = place_of(t, key);
	r = *at;
	if (r == NULL)
		return;
	*at = r->next;
	t->count--;
	free(r);
}

void keytab_move(struct keytab *from, struct keytab *to, struct replica *r)
{
	struct replica **at = place_of(from, r->record.key);

	CW_ASSERT(*at == r);
	*at = r->next;
	from->count--;
	keytab_remove(to, r->record.key);
	if (!grow(to)) {
		free(r);
		return;
	}
	at = &to->buckets[bucket_of(to, r->record.key)];
	r->next = *at;
	*at = r;
	to->count++;
}

void keytab_clear(struct keytab *t)
{
	for (unsigned int i = 0; t->buckets != NULL && i < 1u << t->bits; i++) {
		while (t->buckets[i] != NULL) {
			struct replica *next = t->buckets[i]->next;

			free(t->buckets[i]);
			t->buckets[i] = next;
		}
	}
	free(t->buckets);
	*t = (struct keytab){0};
}

uint64_t keytab_walk(const struct keytab *t, uint64_t from,
		     bool (*visit)(void *arg, struct replica *r), void *arg)
{
	unsigned int shift = 32 - t->bits;
	bool more = true;

	if (t->buckets == NULL)
		return UINT64_MAX;
	/* Whole buckets only: hashes inside one are in no order. The bucket in which `from` lies
	 * may hold lower ones, which the one who asks has already. */
	for (uint64_t i = t->bits == 0 ? 0 : from >> shift; i < 1u << t->bits; i++) {
		struct replica *next;

		if (!more)
			return i << shift;
		for (struct replica *r = t->buckets[i]; r != NULL; r = next) {
			next = r->next;
			more = visit(arg, r) && more;
		}
	}
	return UINT64_MAX;
}
