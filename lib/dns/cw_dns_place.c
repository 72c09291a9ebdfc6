/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a name stands: in the namespace's domain, in its part of in-addr.arpa, or elsewhere.
 *
 * Computed names need no state at all: the label is the address. They hold the octets that the
 * subnet does not fix, three digits each: three octets for prefixes of 8 bits and more (the paper's
 * form), else four.
 *
 * Refuses nothing; a name that looks like ours but cannot be is CW_DNS_NOTHING.
 */
#include "cw_dns_respond.h"

/* in-addr.arpa in wire form. */
static const uint8_t reverse_zone[] = {7,   'i', 'n', '-', 'a', 'd', 'd',
				       'r', 4,	 'a', 'r', 'p', 'a', 0};
#define REVERSE_LABELS 2u

static unsigned int computed_octets(const struct cw_prefix4 *subnet)
{
	return subnet->len >= 8 ? 3 : 4;
}

/* Network and broadcast address are nobody's. */
static bool is_usable(const struct cw_prefix4 *subnet, rte_be32_t ip)
{
	return cw_prefix4_contains(subnet, ip) && ip != subnet->ip &&
	       ip != (subnet->ip | ~cw_prefix4_mask(subnet->len));
}

/* @return false when the label has not the form of a computed name. */
static bool parse_computed(const struct cw_prefix4 *subnet, const char *label, size_t len,
			   rte_be32_t *out)
{
	unsigned int octets = computed_octets(subnet);
	uint32_t ip = octets == 4 ? 0 : rte_be_to_cpu_32(subnet->ip) >> 24;

	if (len != 1 + 3 * octets || label[0] != 'c')
		return false;
	*out = 0;
	for (unsigned int i = 0; i < octets; i++) {
		unsigned int value = 0;

		for (unsigned int k = 1; k <= 3; k++) {
			char c = label[3 * i + k];

			if (c < '0' || c > '9')
				return false;
			value = value * 10 + (unsigned int)(c - '0');
		}
		if (value > UINT8_MAX)
			return true; /* the form, but no address: *out stays 0 */
		ip = ip << 8 | value;
	}
	*out = rte_cpu_to_be_32(ip);
	return true;
}

size_t cw_dns_computed_label(const struct cw_prefix4 *subnet, rte_be32_t ip, char out[16])
{
	unsigned int octets = computed_octets(subnet);
	uint32_t h = rte_be_to_cpu_32(ip);
	size_t at = 0;

	out[at++] = 'C';
	for (unsigned int i = octets; i-- > 0;) {
		unsigned int value = h >> 8 * i & 255;

		out[at++] = (char)('0' + value / 100);
		out[at++] = (char)('0' + value / 10 % 10);
		out[at++] = (char)('0' + value % 10);
	}
	out[at] = '\0';
	return at;
}

bool cw_dns_label_is_taken(const struct cw_prefix4 *subnet, const char *label)
{
	rte_be32_t ip;

	return strcmp(label, "ns") == 0 || strcmp(label, "localhost") == 0 ||
	       parse_computed(subnet, label, strlen(label), &ip);
}

static void locate_forward(const struct cw_ns_view *view, const uint8_t *name,
			   const struct cw_dns_question *q, struct cw_dns_place *out)
{
	unsigned int below = q->labels - view->zone_labels;
	size_t len = name[0];

	out->zone_at = q->label_at[below];
	if (below == 0) {
		out->zone_at = 0;
		out->kind = CW_DNS_APEX;
		return;
	}
	out->kind = CW_DNS_NOTHING;
	if (below > 1)
		return;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = name[1 + i];

		out->label[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	out->label[len] = '\0';
	out->label_bytes = len;
	if (len == 2 && memcmp(out->label, "ns", 2) == 0) {
		out->kind = CW_DNS_ADDRESS;
		out->ip = view->service_ip;
	} else if (parse_computed(&view->subnet, out->label, len, &out->ip)) {
		if (is_usable(&view->subnet, out->ip))
			out->kind = CW_DNS_ADDRESS;
	} else {
		out->kind = CW_DNS_HOST;
	}
}

/* A decimal octet without leading zeros. @return -1 if it is none. */
static int parse_octet(const uint8_t *label)
{
	int value = 0;

	if (label[0] == 0 || label[0] > 3 || (label[0] > 1 && label[1] == '0'))
		return -1;
	for (unsigned int i = 1; i <= label[0]; i++) {
		if (label[i] < '0' || label[i] > '9')
			return -1;
		value = value * 10 + label[i] - '0';
	}
	return value <= UINT8_MAX ? value : -1;
}

/* d.c.b.a.in-addr.arpa and what stands above and below it. */
static void locate_reverse(const struct cw_ns_view *view, const uint8_t *name,
			   const struct cw_dns_question *q, struct cw_dns_place *out)
{
	unsigned int octets = q->labels - REVERSE_LABELS, used = octets > 4 ? 4 : octets;
	uint32_t ip = 0;
	uint8_t bits;
	struct cw_prefix4 part;

	/* From the right: the first octet of the address stands last. */
	for (unsigned int i = 0; i < used; i++) {
		int value = parse_octet(name + q->label_at[octets - 1 - i]);

		if (value < 0)
			return; /* elsewhere: no address at all, somebody else may know */
		ip = ip << 8 | (uint32_t)value;
	}
	bits = (uint8_t)(8 * used);
	part = (struct cw_prefix4){rte_cpu_to_be_32(used == 0 ? 0 : ip << (32 - bits)), bits};
	if (bits < view->subnet.len ? !cw_prefix4_contains(&part, view->subnet.ip) || octets == 0
				    : !cw_prefix4_contains(&view->subnet, part.ip))
		return;
	/* Above the subnet names are not all ours: only what lies wholly inside is. */
	if (bits < view->subnet.len && bits < 24)
		return;
	out->ip = part.ip;
	out->reverse = true;
	out->zone_at = octets >= 4 ? q->label_at[octets - 3] : 0;
	if (octets < 4)
		out->kind = CW_DNS_REVERSE_UP;
	else if (octets == 4 && is_usable(&view->subnet, part.ip))
		out->kind = CW_DNS_REVERSE;
	else
		out->kind = CW_DNS_NOTHING;
}

void cw_dns_locate(const struct cw_ns_view *view, const uint8_t *message,
		   const struct cw_dns_question *q, struct cw_dns_place *out)
{
	const uint8_t *name = message + CW_DNS_HEADER_BYTES;

	out->kind = CW_DNS_ELSEWHERE;
	out->ip = 0;
	out->label_bytes = 0;
	out->reverse = false;
	out->zone_at = 0;
	if (view->zone_bytes == 0)
		return;
	if (q->labels >= view->zone_labels && q->name_bytes >= view->zone_bytes) {
		size_t at = (size_t)q->name_bytes - view->zone_bytes;
		unsigned int below = q->labels - view->zone_labels;

		/* The tail must begin at a label: the same number of labels says so. */
		if ((below == q->labels || q->label_at[below] == at) &&
		    cw_dns_same_name(name + at, view->zone, view->zone_bytes)) {
			locate_forward(view, name, q, out);
			return;
		}
	}
	if (q->labels >= REVERSE_LABELS && q->name_bytes >= sizeof(reverse_zone) &&
	    cw_dns_same_name(name + q->name_bytes - sizeof(reverse_zone), reverse_zone,
			     sizeof(reverse_zone)))
		locate_reverse(view, name, q, out);
}
