/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DNS_CACHE_H
#define CW_DNS_CACHE_H

/**
 * @file
 * Answers of other servers, kept for as long as they say, within bounds of count and bytes; the
 * least recently used goes first. [control]
 *
 * The key is the question (name in lower case, type, class) and the flags that change an answer (DO
 * and CD). Messages are kept as cw_dns_take_response left them: without OPT.
 */
#include <cw_dns.h>

struct cw_dns_cache;

/** Entries and bytes: the working set of a site's hosts, and what it may cost. */
#define CW_DNS_CACHE_ENTRIES_MAX 8192u
#define CW_DNS_CACHE_BYTES_MAX	 (4u << 20)
/** Longest time anything is kept, and any negative answer (RFC 2308 section 5 recommends 1 to 3 h
 * at most). */
#define CW_DNS_CACHE_TTL_MAX_S	    86400u
#define CW_DNS_CACHE_NEGATIVE_MAX_S 3600u

CW_MUST_USE int cw_dns_cache_create(struct cw_dns_cache **out, uint64_t seed);
void cw_dns_cache_destroy(struct cw_dns_cache *cache);

/**
 * Keep a response.
 *
 * @param q	what was asked, @p asked the message it stands in
 * @param ttl_s as cw_dns_take_response found it; 0: not kept
 */
void cw_dns_cache_put(struct cw_dns_cache *cache, const struct cw_dns_question *q,
		      const uint8_t *asked, const uint8_t *response, size_t len, uint32_t ttl_s,
		      uint64_t now_ns);

/**
 * Copy a kept response, its TTLs lowered by its age, question and id as asked.
 * @return its length; 0: none, or none that @p size holds
 */
size_t cw_dns_cache_get(struct cw_dns_cache *cache, const struct cw_dns_question *q,
			const uint8_t *asked, uint64_t now_ns, uint8_t *out, size_t size);

void cw_dns_cache_clear(struct cw_dns_cache *cache);
unsigned int cw_dns_cache_count(const struct cw_dns_cache *cache);

#endif /* CW_DNS_CACHE_H */
