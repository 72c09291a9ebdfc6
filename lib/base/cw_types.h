/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_TYPES_H
#define CW_TYPES_H

/**
 * @file
 * Nouns of the domain that cross rooms: node IDs, MAC addresses, underlay endpoints, prefixes.
 *
 * All are plain values, copied freely. IPv4 addresses and ports are big endian (rte_be32_t,
 * rte_be16_t) wherever the type says so. Threads: [any].
 */
#include <string.h>

#include <rte_byteorder.h>

#include "cw_base.h"

/*
 * 16-bit words of headers, per packet. DPDK swaps two bytes by an xchg of register halves, three
 * micro-operations and a partial register; a compiler makes one rotation of this.
 */
static inline uint16_t cw_be_to_cpu_16(rte_be16_t x)
{
#if RTE_BYTE_ORDER == RTE_LITTLE_ENDIAN
	return __builtin_bswap16(x);
#else
	return x;
#endif
}

static inline rte_be16_t cw_cpu_to_be_16(uint16_t x)
{
	return (rte_be16_t)cw_be_to_cpu_16((rte_be16_t)x);
}

/** Bytes of a node ID: 160 bits (design.md section 1). */
#define CW_NODE_ID_BYTES 20u

/** A node of the overlay: leading bits of SHA-256 over its certificate's SPKI. */
struct cw_node_id {
	uint8_t b[CW_NODE_ID_BYTES];
};

/** Ethernet address. Same layout as struct rte_ether_addr. */
struct cw_mac {
	uint8_t b[6];
};

enum cw_family {
	CW_FAMILY_NONE = 0,
	CW_FAMILY_IPV4 = 4,
	CW_FAMILY_IPV6 = 6, /* room in messages and structs; the underlay speaks IPv4 today */
	/* Through a relay, inside one gateway only: ip6 the leading 16 bytes of the relay's node
	   ID, port the channel's number. Never on the wire. */
	CW_FAMILY_RELAY = 64,
};

/** An underlay address and UDP port. */
struct cw_endpoint {
	uint8_t family; /* enum cw_family */
	rte_be16_t port;
	union {
		rte_be32_t ip4;
		uint8_t ip6[16];
	};
};

/** IPv4 prefix; host bits of @p ip are zero. */
struct cw_prefix4 {
	rte_be32_t ip;
	uint8_t len; /* 0 to 32 */
};

/** Text forms include the final NUL. */
#define CW_NODE_ID_TEXT_BYTES  41u
#define CW_MAC_TEXT_BYTES      18u
#define CW_IP4_TEXT_BYTES      16u
#define CW_ENDPOINT_TEXT_BYTES 56u

static inline bool cw_node_id_equal(const struct cw_node_id *a, const struct cw_node_id *b)
{
	return memcmp(a->b, b->b, CW_NODE_ID_BYTES) == 0;
}

/** Order as big numbers: <0, 0, >0. */
static inline int cw_node_id_compare(const struct cw_node_id *a, const struct cw_node_id *b)
{
	return memcmp(a->b, b->b, CW_NODE_ID_BYTES);
}

static inline bool cw_node_id_is_zero(const struct cw_node_id *a)
{
	static const struct cw_node_id zero;

	return cw_node_id_equal(a, &zero);
}

static inline bool cw_mac_equal(const struct cw_mac *a, const struct cw_mac *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool cw_endpoint_equal(const struct cw_endpoint *a, const struct cw_endpoint *b)
{
	if (a->family != b->family || a->port != b->port)
		return false;
	return a->family != CW_FAMILY_IPV4 ? memcmp(a->ip6, b->ip6, sizeof(a->ip6)) == 0
					   : a->ip4 == b->ip4;
}

/** An endpoint in one word, to be compared in one load. Exact for IPv4; others are folded.
 */
static inline uint64_t cw_endpoint_key(const struct cw_endpoint *ep)
{
	uint64_t half[2];

	if (ep->family == CW_FAMILY_IPV4 || ep->family == CW_FAMILY_NONE)
		return (uint64_t)ep->family << 48 | (uint64_t)ep->port << 32 | ep->ip4;
	memcpy(half, ep->ip6, sizeof(half));
	return (half[0] * UINT64_C(0x9E3779B97F4A7C15) ^ half[1]) + ep->port;
}

/** Network mask of a prefix length, big endian. */
static inline rte_be32_t cw_prefix4_mask(uint8_t len)
{
	return len == 0 ? 0 : rte_cpu_to_be_32(UINT32_MAX << (32 - len));
}

static inline bool cw_prefix4_contains(const struct cw_prefix4 *p, rte_be32_t ip)
{
	return (ip & cw_prefix4_mask(p->len)) == p->ip;
}

/** Slot of an address among so many: the same function at every site (design.md section 11). 0 when
 * there is one slot. */
static inline uint16_t cw_slot_of(rte_be32_t ip, uint16_t slots)
{
	uint32_t h = rte_be_to_cpu_32(ip) * UINT32_C(0x9E3779B1); /* Fibonacci hashing */

	return slots <= 1 ? 0 : (uint16_t)(((uint64_t)h * slots) >> 32);
}

/* Text. Formatters write at most the stated bytes into @p buf and return @p buf. */
const char *cw_node_id_format(const struct cw_node_id *id, char buf[CW_NODE_ID_TEXT_BYTES]);
const char *cw_mac_format(const struct cw_mac *mac, char buf[CW_MAC_TEXT_BYTES]);
const char *cw_ip4_format(rte_be32_t ip, char buf[CW_IP4_TEXT_BYTES]);
const char *cw_endpoint_format(const struct cw_endpoint *ep, char buf[CW_ENDPOINT_TEXT_BYTES]);

/* Parsers take the whole string or nothing. @return 0 or -EINVAL, then @p out is untouched. */
CW_MUST_USE int cw_node_id_parse(const char *text, struct cw_node_id *out);
CW_MUST_USE int cw_mac_parse(const char *text, struct cw_mac *out);
CW_MUST_USE int cw_ip4_parse(const char *text, rte_be32_t *out);
/** "a.b.c.d/len"; host bits must be zero. */
CW_MUST_USE int cw_prefix4_parse(const char *text, struct cw_prefix4 *out);
/** "a.b.c.d:port"; without ":port" @p default_port (host order) is taken, 0 there means required.
 */
CW_MUST_USE int cw_endpoint_parse(const char *text, uint16_t default_port, struct cw_endpoint *out);

#endif /* CW_TYPES_H */
