/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading questions and writing replies around them.
 *
 * A reply is written into the query's own buffer: header changed, question left byte for byte,
 * records appended with their owner as a pointer into the question. What does not fit is left out
 * as a whole and the reply says so (TC): a client then comes by TCP.
 *
 * Refuses: more or less than one question, records in a query's answer or authority section,
 * compression in a question (nothing stands before it that it could point to), a second OPT.
 * Invariant: no byte beyond the message is read, none beyond the writer's room written.
 */
#include "cw_dns.h"

#include <string.h>

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The question's name. @return first byte behind it, 0 when malformed. */
static size_t take_name(const uint8_t *data, size_t len, struct cw_dns_question *q)
{
	size_t at = CW_DNS_HEADER_BYTES;

	q->labels = 0;
	while (at < len && data[at] != 0) {
		if (data[at] > CW_DNS_LABEL_MAX || q->labels == CW_DNS_LABELS_MAX)
			return 0;
		q->label_at[q->labels++] = (uint8_t)(at - CW_DNS_HEADER_BYTES);
		at += 1u + data[at];
		if (at - CW_DNS_HEADER_BYTES >= CW_DNS_NAME_BYTES_MAX)
			return 0;
	}
	if (at >= len)
		return 0;
	q->name_bytes = (uint16_t)(at + 1 - CW_DNS_HEADER_BYTES);
	return at + 1;
}

/* A name anywhere, stepped over: labels, then root or a pointer. @return behind it, 0 malformed. */
static size_t skip_name(const uint8_t *data, size_t len, size_t at)
{
	size_t began = at;

	while (at < len) {
		uint8_t c = data[at];

		if (c == 0)
			return at + 1;
		if (c >= 0xc0) /* only backwards: a message cannot be made to loop */
			return at + 2 <= len && (size_t)(get16(data + at) & 0x3fff) < began ? at + 2
											    : 0;
		if (c > CW_DNS_LABEL_MAX || at + 1 + c - began >= CW_DNS_NAME_BYTES_MAX)
			return 0;
		at += 1u + c;
	}
	return 0;
}

struct rr {
	uint16_t type, class, data_bytes;
	uint32_t ttl;
	size_t begin, ttl_at, data_at, end;
};

/* One record at `at`. @return false when it does not fit the message. */
static bool take_rr(const uint8_t *data, size_t len, size_t at, struct rr *out)
{
	out->begin = at;
	at = skip_name(data, len, at);
	if (at == 0 || at + 10 > len)
		return false;
	out->type = get16(data + at);
	out->class = get16(data + at + 2);
	out->ttl_at = at + 4;
	out->ttl = (uint32_t)get16(data + at + 4) << 16 | get16(data + at + 6);
	out->data_bytes = get16(data + at + 8);
	out->data_at = at + 10;
	out->end = at + 10 + out->data_bytes;
	return out->end <= len;
}

static bool take_additional(const uint8_t *data, size_t len, unsigned int count,
			    struct cw_dns_question *q)
{
	size_t at = q->end;
	struct rr rr;

	for (; count > 0; count--) {
		if (!take_rr(data, len, at, &rr))
			return false;
		at = rr.end;
		if (rr.type != CW_DNS_OPT)
			continue;
		if (q->edns || rr.ttl_at != rr.begin + 5) /* once, and for the root */
			return false;
		q->edns = true;
		q->edns_version = (uint8_t)(rr.ttl >> 16);
		q->dnssec_ok = rr.ttl & 0x8000;
		q->udp_bytes = rr.class < CW_DNS_UDP_BYTES    ? CW_DNS_UDP_BYTES
			       : rr.class > CW_DNS_EDNS_BYTES ? CW_DNS_EDNS_BYTES
							      : rr.class;
	}
	return true;
}

enum cw_dns_verdict cw_dns_parse(const uint8_t *data, size_t len, struct cw_dns_question *out,
				 enum cw_dns_rcode *rcode)
{
	size_t at;

	if (len < CW_DNS_HEADER_BYTES || (get16(data + 2) & CW_DNS_QR))
		return CW_DNS_SILENT;
	out->id = get16(data);
	out->flags = get16(data + 2);
	out->type = out->class = 0;
	out->labels = 0;
	out->name_bytes = 0;
	out->end = CW_DNS_HEADER_BYTES;
	out->edns = out->dnssec_ok = false;
	out->edns_version = 0;
	out->udp_bytes = CW_DNS_UDP_BYTES;
	*rcode = CW_DNS_NOTIMP;
	if (out->flags & CW_DNS_OPCODE)
		return CW_DNS_BAD;
	*rcode = CW_DNS_FORMERR;
	if (get16(data + 4) != 1 || get16(data + 6) != 0 || get16(data + 8) != 0)
		return CW_DNS_BAD;
	at = take_name(data, len, out);
	if (at == 0 || at + 4 > len)
		return CW_DNS_BAD;
	out->type = get16(data + at);
	out->class = get16(data + at + 2);
	out->end = (uint16_t)(at + 4);
	if (!take_additional(data, len, get16(data + 10), out)) {
		out->edns = false;
		return CW_DNS_BAD;
	}
	if (out->edns_version == 0)
		return CW_DNS_QUESTION;
	*rcode = CW_DNS_BADVERS;
	return CW_DNS_BAD;
}

/* -- writing */

static void count_up(struct cw_dns_writer *w, enum cw_dns_section section)
{
	put16(w->data + section, (uint16_t)(get16(w->data + section) + 1));
}

void cw_dns_reply_begin(struct cw_dns_writer *w, uint8_t *data, size_t size,
			const struct cw_dns_question *q, enum cw_dns_rcode rcode, uint16_t flags)
{
	uint16_t echoed = q->flags & (CW_DNS_OPCODE | CW_DNS_RD | CW_DNS_CD);
	size_t keep = q->edns ? CW_DNS_OPT_BYTES : 0;

	put16(data, q->id);
	put16(data + 2, (uint16_t)(CW_DNS_QR | echoed | flags | (rcode & CW_DNS_RCODE)));
	put16(data + 4, q->end > CW_DNS_HEADER_BYTES);
	memset(data + 6, 0, 6);
	if (size > q->udp_bytes)
		size = q->udp_bytes;
	/* Room for OPT is kept back: it MUST be there when the query had one (RFC 6891 7). */
	*w = (struct cw_dns_writer){
		.data = data, .len = q->end, .size = size > keep ? size - keep : 0};
}

void cw_dns_put(struct cw_dns_writer *w, enum cw_dns_section section, size_t owner_at,
		uint16_t type, uint32_t ttl_s, const void *data, size_t len)
{
	uint8_t *at = w->data + w->len;

	if (w->len + 12 + len > w->size) {
		w->full = true;
		return;
	}
	put16(at, (uint16_t)(0xc000 | owner_at));
	put16(at + 2, type);
	put16(at + 4, CW_DNS_IN);
	put16(at + 6, (uint16_t)(ttl_s >> 16));
	put16(at + 8, (uint16_t)ttl_s);
	put16(at + 10, (uint16_t)len);
	memcpy(at + 12, data, len);
	w->len += 12 + len;
	count_up(w, section);
}

size_t cw_dns_reply_end(struct cw_dns_writer *w, const struct cw_dns_question *q,
			enum cw_dns_rcode rcode)
{
	uint8_t *at;

	if (w->full) {
		w->len = q->end;
		memset(w->data + 6, 0, 6);
		w->data[2] |= CW_DNS_TC >> 8;
	}
	if (!q->edns)
		return w->len;
	at = w->data + w->len;
	memset(at, 0, CW_DNS_OPT_BYTES);
	put16(at + 1, CW_DNS_OPT);
	put16(at + 3, CW_DNS_EDNS_BYTES);
	at[5] = (uint8_t)(rcode >> 4);
	at[7] = q->dnssec_ok ? 0x80 : 0; /* RFC 3225 section 3: copied */
	w->len += CW_DNS_OPT_BYTES;
	count_up(w, CW_DNS_IN_ADDITIONAL);
	return w->len;
}

/* -- names */

size_t cw_dns_name_from_text(const char *text, uint8_t *out, size_t size)
{
	size_t at = 0;

	while (*text != '\0') {
		size_t label = strcspn(text, ".");

		if (label == 0 || label > CW_DNS_LABEL_MAX || at + label + 2 > size ||
		    at + label + 2 > CW_DNS_NAME_BYTES_MAX)
			return 0;
		out[at++] = (uint8_t)label;
		memcpy(out + at, text, label);
		at += label;
		text += label + (text[label] == '.');
	}
	if (at == 0)
		return 0;
	out[at++] = 0;
	return at;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool cw_dns_same_name(const uint8_t *a, const uint8_t *b, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}

/* -- responses of other servers */

/* RFC 2308 section 5: a negative answer lives for the lesser of the SOA's TTL and its MINIMUM. */
static uint32_t ttl_of(const uint8_t *data, const struct rr *rr, bool negative)
{
	const uint8_t *minimum = data + rr->end - 4;
	uint32_t ttl = rr->ttl > INT32_MAX ? 0 : rr->ttl, least; /* RFC 2181 section 8 */

	if (!negative || rr->type != CW_DNS_SOA || rr->data_bytes < 22)
		return ttl;
	least = (uint32_t)get16(minimum) << 16 | get16(minimum + 2);
	return least < ttl ? least : ttl;
}

bool cw_dns_take_response(uint8_t *data, size_t *len, struct cw_dns_response *out)
{
	struct cw_dns_question q;
	unsigned int records;
	size_t at;
	bool had_opt = false, negative;

	if (*len < CW_DNS_HEADER_BYTES || !(get16(data + 2) & CW_DNS_QR) || get16(data + 4) != 1)
		return false;
	*out = (struct cw_dns_response){.id = get16(data), .flags = get16(data + 2)};
	at = take_name(data, *len, &q);
	if (at == 0 || at + 4 > *len)
		return false;
	at += 4;
	out->question_end = (uint16_t)at;
	negative = get16(data + 6) == 0;
	records = (unsigned int)get16(data + 6) + get16(data + 8) + get16(data + 10);
	for (unsigned int i = 0; i < records; i++) {
		bool additional = i >= (unsigned int)get16(data + 6) + get16(data + 8);
		struct rr rr;
		uint32_t ttl;

		if (!take_rr(data, *len, at, &rr))
			return false;
		if (rr.type == CW_DNS_OPT) {
			if (had_opt || !additional || rr.ttl >> 24 != 0)
				return false; /* extended rcodes are errors of their own */
			had_opt = true;
			/* Names behind it may not be pointed into: only OPT as the last is cut. */
			if (rr.end != *len || i + 1 != records)
				return false;
			break;
		}
		ttl = ttl_of(data, &rr, negative);
		out->ttl_s = !out->has_ttl || ttl < out->ttl_s ? ttl : out->ttl_s;
		out->has_ttl = true;
		at = rr.end;
	}
	if (!had_opt && at != *len)
		return false;
	if (had_opt)
		put16(data + 10, (uint16_t)(get16(data + 10) - 1));
	*len = at;
	out->records_end = (uint16_t)at;
	return true;
}

void cw_dns_age(uint8_t *data, size_t len, uint32_t age_s)
{
	unsigned int records = (unsigned int)get16(data + 6) + get16(data + 8) + get16(data + 10);
	size_t at = skip_name(data, len, CW_DNS_HEADER_BYTES) + 4;
	struct rr rr;

	for (; records > 0 && take_rr(data, len, at, &rr); records--) {
		uint32_t ttl = rr.ttl > age_s ? rr.ttl - age_s : 0;

		put16(data + rr.ttl_at, (uint16_t)(ttl >> 16));
		put16(data + rr.ttl_at + 2, (uint16_t)ttl);
		at = rr.end;
	}
}
