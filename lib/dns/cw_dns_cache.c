/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hash table of messages and a list by last use. Expired entries go when they are met or when
 * room is needed; nothing is scanned.
 *
 * Invariant: entries and bytes are within the bounds after every call.
 */
#include "cw_dns_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096u

struct entry {
	struct entry *next;	     /* in the bucket */
	struct entry *older, *newer; /* by last use */
	uint64_t hash;
	uint64_t put_ns;
	uint32_t ttl_s;
	bool dnssec_ok, checking_disabled;
	uint16_t question_bytes, len;
	uint8_t message[];
};

struct cw_dns_cache {
	struct entry *bucket[BUCKETS];
	struct entry *oldest, *newest;
	uint64_t seed;
	unsigned int count;
	size_t bytes;
};

int cw_dns_cache_create(struct cw_dns_cache **out, uint64_t seed)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return -ENOMEM;
	(*out)->seed = seed;
	return 0;
}

static void unlink_use(struct cw_dns_cache *c, struct entry *e)
{
	*(e->older != NULL ? &e->older->newer : &c->oldest) = e->newer;
	*(e->newer != NULL ? &e->newer->older : &c->newest) = e->older;
}

static void link_newest(struct cw_dns_cache *c, struct entry *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest != NULL ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static void evict(struct cw_dns_cache *c, struct entry *e)
{
	struct entry **at = &c->bucket[e->hash % BUCKETS];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	unlink_use(c, e);
	c->count--;
	c->bytes -= sizeof(*e) + e->len;
	free(e);
}

void cw_dns_cache_clear(struct cw_dns_cache *cache)
{
	while (cache->oldest != NULL)
		evict(cache, cache->oldest);
}

void cw_dns_cache_destroy(struct cw_dns_cache *cache)
{
	if (cache == NULL)
		return;
	cw_dns_cache_clear(cache);
	free(cache);
}

static uint64_t hash_of(const struct cw_dns_cache *c, const struct cw_dns_question *q,
			const uint8_t *asked)
{
	uint64_t h = c->seed;

	for (size_t i = CW_DNS_HEADER_BYTES; i < q->end; i++) {
		uint8_t b = asked[i];

		b = b >= 'A' && b <= 'Z' ? (uint8_t)(b | 0x20) : b;
		h = (h ^ b) * UINT64_C(0x9E3779B97F4A7C15);
		h ^= h >> 31;
	}
	return h;
}

static struct entry *find(struct cw_dns_cache *c, const struct cw_dns_question *q,
			  const uint8_t *asked, uint64_t hash)
{
	struct entry *e = c->bucket[hash % BUCKETS];
	size_t bytes = q->end - CW_DNS_HEADER_BYTES, name = q->name_bytes;

	for (; e != NULL; e = e->next)
		if (e->hash == hash && e->question_bytes == bytes && e->dnssec_ok == q->dnssec_ok &&
		    e->checking_disabled == !!(q->flags & CW_DNS_CD) &&
		    cw_dns_same_name(e->message + CW_DNS_HEADER_BYTES, asked + CW_DNS_HEADER_BYTES,
				     name) &&
		    memcmp(e->message + CW_DNS_HEADER_BYTES + name,
			   asked + CW_DNS_HEADER_BYTES + name, bytes - name) == 0)
			return e;
	return NULL;
}

void cw_dns_cache_put(struct cw_dns_cache *cache, const struct cw_dns_question *q,
		      const uint8_t *asked, const uint8_t *response, size_t len, uint32_t ttl_s,
		      uint64_t now_ns)
{
	uint64_t hash = hash_of(cache, q, asked);
	struct entry *e = find(cache, q, asked, hash);
	bool negative = len >= 8 && response[6] == 0 && response[7] == 0;
	uint32_t most = negative ? CW_DNS_CACHE_NEGATIVE_MAX_S : CW_DNS_CACHE_TTL_MAX_S;

	if (e != NULL)
		evict(cache, e);
	if (ttl_s == 0 || len > UINT16_MAX || sizeof(*e) + len > CW_DNS_CACHE_BYTES_MAX)
		return;
	while (cache->count >= CW_DNS_CACHE_ENTRIES_MAX ||
	       cache->bytes + sizeof(*e) + len > CW_DNS_CACHE_BYTES_MAX)
		evict(cache, cache->oldest);
	e = malloc(sizeof(*e) + len);
	if (e == NULL)
		return;
	*e = (struct entry){.next = cache->bucket[hash % BUCKETS],
			    .hash = hash,
			    .put_ns = now_ns,
			    .ttl_s = ttl_s < most ? ttl_s : most,
			    .dnssec_ok = q->dnssec_ok,
			    .checking_disabled = q->flags & CW_DNS_CD,
			    .question_bytes = (uint16_t)(q->end - CW_DNS_HEADER_BYTES),
			    .len = (uint16_t)len};
	memcpy(e->message, response, len);
	cache->bucket[hash % BUCKETS] = e;
	link_newest(cache, e);
	cache->count++;
	cache->bytes += sizeof(*e) + len;
}

size_t cw_dns_cache_get(struct cw_dns_cache *cache, const struct cw_dns_question *q,
			const uint8_t *asked, uint64_t now_ns, uint8_t *out, size_t size)
{
	struct entry *e = find(cache, q, asked, hash_of(cache, q, asked));
	uint64_t age_s;

	if (e == NULL)
		return 0;
	age_s = now_ns > e->put_ns ? (now_ns - e->put_ns) / CW_NS_PER_S : 0;
	if (age_s >= e->ttl_s) {
		evict(cache, e);
		return 0;
	}
	if (e->len > size)
		return 0;
	unlink_use(cache, e);
	link_newest(cache, e);
	memcpy(out, e->message, e->len);
	memcpy(out, asked, 2);
	memcpy(out + CW_DNS_HEADER_BYTES, asked + CW_DNS_HEADER_BYTES, e->question_bytes);
	cw_dns_age(out, e->len, (uint32_t)age_s);
	return e->len;
}

unsigned int cw_dns_cache_count(const struct cw_dns_cache *cache)
{
	return cache->count;
}
