/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DNS_H
#define CW_DNS_H

/**
 * @file
 * DNS messages (RFC 1035; EDNS(0) RFC 6891): one question in, a reply around it out, and walking
 * what a server of another domain answered. [any]
 *
 * Names stay in wire form (length octets and labels, root last). The question's bytes are kept as
 * they came, so the case that a client mixed in comes back (draft-vixie-dnsext-dns0x20).
 * Compression pointers are never followed when a message is walked, only stepped over; a question
 * that uses one is malformed. Numbers are in host order.
 */
#include <cw_base.h>

#include <rte_byteorder.h>

#define CW_DNS_PORT	      53
#define CW_DNS_HEADER_BYTES   12u
#define CW_DNS_NAME_BYTES_MAX 255u /* RFC 1035 section 2.3.4, with the root */
#define CW_DNS_LABEL_MAX      63u
/** Labels of a name besides the root: 127 of one octet fill it. */
#define CW_DNS_LABELS_MAX 127u
/** What everybody takes (RFC 1035 section 4.2.1), and the most we send or ask for by UDP: fits
 * every path without fragments (dnsflagday.net 2020). */
#define CW_DNS_UDP_BYTES  512u
#define CW_DNS_EDNS_BYTES 1232u

enum cw_dns_flag {
	CW_DNS_QR = 0x8000,
	CW_DNS_AA = 0x0400,
	CW_DNS_TC = 0x0200,
	CW_DNS_RD = 0x0100,
	CW_DNS_RA = 0x0080,
	CW_DNS_AD = 0x0020,
	CW_DNS_CD = 0x0010,
	CW_DNS_OPCODE = 0x7800,
	CW_DNS_RCODE = 0x000f,
};

enum cw_dns_rcode {
	CW_DNS_NOERROR = 0,
	CW_DNS_FORMERR = 1,
	CW_DNS_SERVFAIL = 2,
	CW_DNS_NXDOMAIN = 3,
	CW_DNS_NOTIMP = 4,
	CW_DNS_REFUSED = 5,
	CW_DNS_BADVERS = 16, /* needs an OPT record: its upper bits stand there */
};

enum cw_dns_type {
	CW_DNS_A = 1,
	CW_DNS_NS = 2,
	CW_DNS_SOA = 6,
	CW_DNS_PTR = 12,
	CW_DNS_AAAA = 28,
	CW_DNS_OPT = 41,
	CW_DNS_IXFR = 251,
	CW_DNS_AXFR = 252,
	CW_DNS_ANY = 255,
};

#define CW_DNS_IN	 1
#define CW_DNS_CLASS_ANY 255

struct cw_dns_question {
	uint16_t id, flags;
	uint16_t type, class;
	uint16_t name_bytes; /* from CW_DNS_HEADER_BYTES on, root included */
	uint8_t labels;
	uint8_t label_at[CW_DNS_LABELS_MAX]; /* where each begins, from the name's begin */
	uint16_t end;			     /* first byte behind the question */
	bool edns, dnssec_ok;
	uint8_t edns_version;
	uint16_t udp_bytes; /* what the asker takes by UDP: 512 to CW_DNS_EDNS_BYTES */
};

enum cw_dns_verdict {
	CW_DNS_QUESTION, /* one standard query */
	CW_DNS_SILENT,	 /* no header, or a response: an answer would only feed a loop */
	CW_DNS_BAD,	 /* answer with the given rcode; the question may be missing (end = 12) */
};

/** @param rcode out: with CW_DNS_BAD FORMERR, NOTIMP or BADVERS */
enum cw_dns_verdict cw_dns_parse(const uint8_t *data, size_t len, struct cw_dns_question *out,
				 enum cw_dns_rcode *rcode);

/** Bytes that must fit behind the question for the OPT record of a reply. */
#define CW_DNS_OPT_BYTES 11u

/** Appends records to a reply whose question stands at the buffer's begin. */
struct cw_dns_writer {
	uint8_t *data;
	size_t len, size; /* written; room */
	bool full;	  /* a record did not fit */
};

/**
 * Turn the query in @p data into the head of its reply: header with counts 0 but for the question.
 * @param size of the buffer; the reply keeps to what the asker takes, too
 */
void cw_dns_reply_begin(struct cw_dns_writer *w, uint8_t *data, size_t size,
			const struct cw_dns_question *q, enum cw_dns_rcode rcode, uint16_t flags);
/** The sections that records are counted in: offset of the count in the header. */
enum cw_dns_section { CW_DNS_IN_ANSWER = 6, CW_DNS_IN_AUTHORITY = 8, CW_DNS_IN_ADDITIONAL = 10 };

/**
 * One record, owner by pointer to @p owner_at in the message. All or nothing. Pointers inside the
 * data are the caller's: it stands at w->len + 12.
 */
void cw_dns_put(struct cw_dns_writer *w, enum cw_dns_section section, size_t owner_at,
		uint16_t type, uint32_t ttl_s, const void *data, size_t len);
/** OPT, TC if something did not fit (then without records). @return the reply's length. */
size_t cw_dns_reply_end(struct cw_dns_writer *w, const struct cw_dns_question *q,
			enum cw_dns_rcode rcode);

/** Text ("a.b", a dot at the end is allowed) to wire form with root. @return bytes, 0 if it is no
 * name of at most @p size bytes. */
size_t cw_dns_name_from_text(const char *text, uint8_t *out, size_t size);
/** Are these bytes the same name, whatever the case? Length octets never equal letters. */
bool cw_dns_same_name(const uint8_t *a, const uint8_t *b, size_t len);

/** What a response holds, without the OPT record. */
struct cw_dns_response {
	uint16_t id, flags;
	uint16_t question_end;
	uint16_t records_end; /* without OPT, see cw_dns_strip_opt */
	uint32_t ttl_s; /* least of all records'; of a negative answer by RFC 2308 section 5 */
	bool has_ttl;	/* there was a record to take it from */
};

/**
 * Walk a response to a query that we sent: one question, all counts right, no byte left over. The
 * OPT record is taken out (the message gets shorter), so the rest can go to any client.
 *
 * @param len in, out: bytes of the message
 * @return false when it is malformed in any way
 */
bool cw_dns_take_response(uint8_t *data, size_t *len, struct cw_dns_response *out);
/** Lower every TTL of a message that cw_dns_take_response accepted by @p age_s, down to 0. */
void cw_dns_age(uint8_t *data, size_t len, uint32_t age_s);

#endif /* CW_DNS_H */
