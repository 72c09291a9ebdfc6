/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text forms of the domain's values.
 *
 * Strict both ways: a parser takes the whole string or refuses it, and never touches its result on
 * refusal, so "10.1.1.1 " or "10.1.1" in a configuration is an error and not a guess. Formatters
 * write into the caller's buffer of a size that the header names. No locale, no allocation.
 */
#include "cw_types.h"

#include <errno.h>
#include <stdio.h>

static const char hex_digits[] = "0123456789abcdef";

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

const char *cw_node_id_format(const struct cw_node_id *id, char buf[CW_NODE_ID_TEXT_BYTES])
{
	for (unsigned int i = 0; i < CW_NODE_ID_BYTES; i++) {
		buf[2 * i] = hex_digits[id->b[i] >> 4];
		buf[2 * i + 1] = hex_digits[id->b[i] & 15];
	}
	buf[2 * CW_NODE_ID_BYTES] = '\0';
	return buf;
}

const char *cw_mac_format(const struct cw_mac *mac, char buf[CW_MAC_TEXT_BYTES])
{
	snprintf(buf, CW_MAC_TEXT_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac->b[0], mac->b[1],
		 mac->b[2], mac->b[3], mac->b[4], mac->b[5]);
	return buf;
}

const char *cw_ip4_format(rte_be32_t ip, char buf[CW_IP4_TEXT_BYTES])
{
	uint32_t h = rte_be_to_cpu_32(ip);

	snprintf(buf, CW_IP4_TEXT_BYTES, "%u.%u.%u.%u", h >> 24, h >> 16 & 255, h >> 8 & 255,
		 h & 255);
	return buf;
}

const char *cw_endpoint_format(const struct cw_endpoint *ep, char buf[CW_ENDPOINT_TEXT_BYTES])
{
	char ip[CW_IP4_TEXT_BYTES];
	unsigned int port = rte_be_to_cpu_16(ep->port);
	int at = 0;

	switch (ep->family) {
	case CW_FAMILY_IPV4:
		snprintf(buf, CW_ENDPOINT_TEXT_BYTES, "%s:%u", cw_ip4_format(ep->ip4, ip), port);
		break;
	case CW_FAMILY_IPV6:
		at = snprintf(buf, CW_ENDPOINT_TEXT_BYTES, "[");
		for (unsigned int i = 0; i < 16; i += 2)
			at += snprintf(buf + at, CW_ENDPOINT_TEXT_BYTES - (size_t)at, "%s%x",
				       i ? ":" : "", ep->ip6[i] << 8 | ep->ip6[i + 1]);
		snprintf(buf + at, CW_ENDPOINT_TEXT_BYTES - (size_t)at, "]:%u", port);
		break;
	case CW_FAMILY_RELAY:
		snprintf(buf, CW_ENDPOINT_TEXT_BYTES, "relay %02x%02x%02x%02x#%x", ep->ip6[0],
			 ep->ip6[1], ep->ip6[2], ep->ip6[3], port);
		break;
	default:
		snprintf(buf, CW_ENDPOINT_TEXT_BYTES, "none");
	}
	return buf;
}

int cw_node_id_parse(const char *text, struct cw_node_id *out)
{
	struct cw_node_id id;

	for (unsigned int i = 0; i < CW_NODE_ID_BYTES; i++) {
		int hi = hex_value(text[2 * i]);
		int lo = hi < 0 ? -1 : hex_value(text[2 * i + 1]);

		if (lo < 0)
			return -EINVAL;
		id.b[i] = (uint8_t)(hi << 4 | lo);
	}
	if (text[2 * CW_NODE_ID_BYTES] != '\0')
		return -EINVAL;
	*out = id;
	return 0;
}

int cw_mac_parse(const char *text, struct cw_mac *out)
{
	struct cw_mac mac;

	for (unsigned int i = 0; i < 6; i++, text += 3) {
		int hi = hex_value(text[0]);
		int lo = hi < 0 ? -1 : hex_value(text[1]);

		if (lo < 0 || text[2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		mac.b[i] = (uint8_t)(hi << 4 | lo);
	}
	*out = mac;
	return 0;
}

/* A decimal number without sign, blanks or leading zeros. Returns what follows it, or NULL. */
static const char *parse_decimal(const char *text, uint32_t max, uint32_t *out)
{
	uint32_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (uint32_t)(*p - '0');
		if (value > max || (p != text && *text == '0'))
			return NULL;
	}
	if (p == text)
		return NULL;
	*out = value;
	return p;
}

static const char *parse_ip4_head(const char *text, rte_be32_t *out)
{
	uint32_t ip = 0, octet;

	for (unsigned int i = 0; i < 4; i++) {
		if (i > 0 && *text++ != '.')
			return NULL;
		text = parse_decimal(text, 255, &octet);
		if (text == NULL)
			return NULL;
		ip = ip << 8 | octet;
	}
	*out = rte_cpu_to_be_32(ip);
	return text;
}

int cw_ip4_parse(const char *text, rte_be32_t *out)
{
	rte_be32_t ip;
	const char *end = parse_ip4_head(text, &ip);

	if (end == NULL || *end != '\0')
		return -EINVAL;
	*out = ip;
	return 0;
}

int cw_prefix4_parse(const char *text, struct cw_prefix4 *out)
{
	rte_be32_t ip;
	uint32_t len;
	const char *end = parse_ip4_head(text, &ip);

	if (end == NULL || *end != '/')
		return -EINVAL;
	end = parse_decimal(end + 1, 32, &len);
	if (end == NULL || *end != '\0' || (ip & ~cw_prefix4_mask((uint8_t)len)) != 0)
		return -EINVAL;
	*out = (struct cw_prefix4){.ip = ip, .len = (uint8_t)len};
	return 0;
}

int cw_endpoint_parse(const char *text, uint16_t default_port, struct cw_endpoint *out)
{
	uint32_t port = default_port;
	rte_be32_t ip;
	const char *end = parse_ip4_head(text, &ip);

	if (end == NULL)
		return -EINVAL;
	if (*end == ':') {
		end = parse_decimal(end + 1, UINT16_MAX, &port);
		if (end == NULL)
			return -EINVAL;
	}
	if (*end != '\0' || port == 0)
		return -EINVAL;
	*out = (struct cw_endpoint){
		.family = CW_FAMILY_IPV4, .port = rte_cpu_to_be_16((uint16_t)port), .ip4 = ip};
	return 0;
}
