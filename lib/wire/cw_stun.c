/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STUN Binding messages. Stateless and unauthenticated: the answer is smaller than twice the
 * question, so it amplifies nothing worth having. MESSAGE-INTEGRITY and USERNAME are passed over
 * when they come (comprehension of them is not needed to answer a Binding), other required
 * attributes are reported so that the caller can refuse with 420.
 */
#include "cw_stun.h"

#include <errno.h>

#define COOKIE		   UINT32_C(0x2112A442)
#define FINGERPRINT_XOR	   UINT32_C(0x5354554e)
#define ATTR_MAPPED	   0x0001
#define ATTR_USERNAME	   0x0006
#define ATTR_INTEGRITY	   0x0008
#define ATTR_ERROR	   0x0009
#define ATTR_REALM	   0x0014
#define ATTR_NONCE	   0x0015
#define ATTR_INTEGRITY256  0x001c
#define ATTR_PRIORITY	   0x0024
#define ATTR_XOR_MAPPED	   0x0020
#define ATTR_USE_CANDIDATE 0x0025
#define ATTR_FINGERPRINT   0x8028
/* Of the range that is passed over when it is not known; zeros. */
#define ATTR_FILLING 0xc0de
#define ATTR_NETWORK 0xc0df

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* CRC-32 of ITU V.42 (RFC 8489 section 14.7), bit by bit: messages are short and rare. */
static uint32_t crc32_of(const uint8_t *data, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (unsigned int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (UINT32_C(0xEDB88320) & -(crc & 1));
	}
	return ~crc;
}

static bool parse_xor_mapped(const uint8_t *value, unsigned int len, const uint8_t *header,
			     struct cw_endpoint *out)
{
	*out = (struct cw_endpoint){.port = rte_cpu_to_be_16(get16(value + 2) ^ (COOKIE >> 16))};
	if (len == 8 && value[1] == 1) {
		out->family = CW_FAMILY_IPV4;
		out->ip4 = rte_cpu_to_be_32(get32(value + 4) ^ COOKIE);
		return true;
	}
	if (len == 20 && value[1] == 2) {
		out->family = CW_FAMILY_IPV6;
		for (unsigned int i = 0; i < 16; i++)
			out->ip6[i] = value[4 + i] ^ header[4 + i];
		return true;
	}
	return false;
}

static bool is_known(uint16_t type)
{
	switch (type) {
	case ATTR_MAPPED:
	case ATTR_USERNAME:
	case ATTR_INTEGRITY:
	case ATTR_ERROR:
	case ATTR_REALM:
	case ATTR_NONCE:
	case ATTR_INTEGRITY256:
	case ATTR_PRIORITY:
	case ATTR_USE_CANDIDATE:
		return true;
	default:
		return type >= 0x8000; /* comprehension-optional */
	}
}

int cw_stun_parse(const uint8_t *data, size_t len, struct cw_stun_message *out)
{
	uint16_t type;
	size_t at = CW_STUN_HEADER_BYTES;

	if (len < CW_STUN_HEADER_BYTES || (data[0] & 0xc0) || get32(data + 4) != COOKIE ||
	    get16(data + 2) != len - CW_STUN_HEADER_BYTES || (len & 3))
		return -EINVAL;
	type = get16(data);
	*out = (struct cw_stun_message){
		.class = (uint8_t)((type >> 7 & 2) | (type >> 4 & 1)),
		.method = (uint16_t)((type & 0xf) | (type >> 1 & 0x70) | (type >> 2 & 0xf80))};
	memcpy(out->transaction, data + 8, CW_STUN_TRANSACTION_BYTES);
	while (at < len) {
		uint16_t attr, bytes;
		const uint8_t *value = data + at + 4;

		if (len - at < 4)
			return -EINVAL;
		attr = get16(data + at);
		bytes = get16(data + at + 2);
		if ((bytes + 3u) / 4 * 4 > len - at - 4)
			return -EINVAL;
		if (attr == ATTR_FINGERPRINT) {
			if (bytes != 4 || get32(value) != (crc32_of(data, at) ^ FINGERPRINT_XOR) ||
			    at + 8 != len)
				return -EINVAL;
			out->has_fingerprint = true;
		} else if (attr == ATTR_XOR_MAPPED) {
			if (bytes < 8 || !parse_xor_mapped(value, bytes, data, &out->mapped))
				return -EINVAL;
			out->has_mapped = true;
		} else if (attr == ATTR_NETWORK && bytes == CW_STUN_NETWORK_BYTES) {
			memcpy(out->network, value, CW_STUN_NETWORK_BYTES);
			out->has_network = true;
		} else if (!is_known(attr) && out->unknown_required == 0) {
			out->unknown_required = attr;
		}
		at += 4 + (bytes + 3u) / 4 * 4;
	}
	return 0;
}

static void write_header(uint8_t *out, uint16_t type, const uint8_t *transaction)
{
	put16(out, type);
	put32(out + 4, COOKIE);
	memcpy(out + 8, transaction, CW_STUN_TRANSACTION_BYTES);
}

/* The length field must already count the fingerprint when the CRC is taken. */
static size_t finish(uint8_t *out, size_t at)
{
	put16(out + 2, (unsigned int)(at + 8 - CW_STUN_HEADER_BYTES));
	put16(out + at, ATTR_FINGERPRINT);
	put16(out + at + 2, 4);
	put32(out + at + 4, crc32_of(out, at) ^ FINGERPRINT_XOR);
	return at + 8;
}

size_t cw_stun_write_request(uint8_t *out, const uint8_t transaction[CW_STUN_TRANSACTION_BYTES])
{
	write_header(out, 0x0001, transaction);
	return finish(out, CW_STUN_HEADER_BYTES);
}

size_t cw_stun_write_padded(uint8_t *out, const uint8_t transaction[CW_STUN_TRANSACTION_BYTES],
			    size_t bytes)
{
	size_t least = CW_STUN_HEADER_BYTES + 4 + 8, fill;

	if (bytes <= least - 4)
		return cw_stun_write_request(out, transaction);
	CW_ASSERT(bytes <= CW_STUN_PADDED_BYTES_MAX);
	fill = bytes > least ? (bytes - least + 3) / 4 * 4 : 0;
	write_header(out, 0x0001, transaction);
	put16(out + CW_STUN_HEADER_BYTES, ATTR_FILLING);
	put16(out + CW_STUN_HEADER_BYTES + 2, (unsigned int)fill);
	memset(out + CW_STUN_HEADER_BYTES + 4, 0, fill);
	return finish(out, CW_STUN_HEADER_BYTES + 4 + fill);
}

size_t cw_stun_write_hello(uint8_t *out, const uint8_t transaction[CW_STUN_TRANSACTION_BYTES],
			   const uint8_t network[CW_STUN_NETWORK_BYTES])
{
	uint8_t *attr = out + CW_STUN_HEADER_BYTES;

	write_header(out, 0x0011, transaction);
	put16(attr, ATTR_NETWORK);
	put16(attr + 2, CW_STUN_NETWORK_BYTES);
	memcpy(attr + 4, network, CW_STUN_NETWORK_BYTES);
	return finish(out, CW_STUN_HEADER_BYTES + 4 + CW_STUN_NETWORK_BYTES);
}

size_t cw_stun_write_response(uint8_t *out, const uint8_t transaction[CW_STUN_TRANSACTION_BYTES],
			      const struct cw_endpoint *seen)
{
	uint8_t *value = out + CW_STUN_HEADER_BYTES + 4;
	unsigned int bytes = seen->family == CW_FAMILY_IPV6 ? 20 : 8;

	write_header(out, 0x0101, transaction);
	put16(out + CW_STUN_HEADER_BYTES, ATTR_XOR_MAPPED);
	put16(out + CW_STUN_HEADER_BYTES + 2, bytes);
	value[0] = 0;
	value[1] = bytes == 20 ? 2 : 1;
	put16(value + 2, rte_be_to_cpu_16(seen->port) ^ (COOKIE >> 16));
	if (bytes == 20)
		for (unsigned int i = 0; i < 16; i++)
			value[4 + i] = seen->ip6[i] ^ out[4 + i];
	else
		put32(value + 4, rte_be_to_cpu_32(seen->ip4) ^ COOKIE);
	return finish(out, CW_STUN_HEADER_BYTES + 4 + bytes);
}
