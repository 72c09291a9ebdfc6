/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DNS_RESPOND_H
#define CW_DNS_RESPOND_H

/**
 * @file
 * DNS on the service address: what published tables can answer, in the query's own buffer. Pure;
 * [worker] and [control], which are of one mind because they run the same text.
 *
 * Source: design.md section 9 "DNS"; RFC 1034, 1035, 2308 (negative answers), 6891 (EDNS), 8482
 * (ANY). Names: C005123044.<domain> is 10.5.123.44 in 10.0.0.0/8 and longer prefixes;
 * C010005123044 where the prefix is shorter than 8 bits; ns.<domain> is the service address; host
 * names are in cw_name_table.h. Reverse: every usable address of the subnet.
 */
#include <cw_dns.h>
#include <cw_drop.h>
#include <cw_ip4.h>
#include <cw_name_table.h>
#include <cw_ns_view.h>

/** What a name is, as seen from the namespace. */
enum cw_dns_place_kind {
	CW_DNS_ELSEWHERE, /* not ours to know */
	CW_DNS_APEX,	  /* the domain itself */
	CW_DNS_ADDRESS,	  /* a name that means `ip` by itself */
	CW_DNS_HOST,	  /* one label below the domain that may be a host's name: `label` */
	CW_DNS_NOTHING,	  /* in our domain or our part of in-addr.arpa, and there is no such name */
	CW_DNS_REVERSE,	  /* of `ip` */
	CW_DNS_REVERSE_UP, /* in-addr.arpa above addresses of ours: exists, holds nothing */
};

struct cw_dns_place {
	enum cw_dns_place_kind kind;
	rte_be32_t ip;
	char label[CW_NAME_LABEL_BYTES]; /* lower case */
	size_t label_bytes;
	bool reverse;	 /* a name of in-addr.arpa */
	uint8_t zone_at; /* where the zone's apex begins in the name; of reverse names: behind the
			    first label */
};

void cw_dns_locate(const struct cw_ns_view *view, const uint8_t *message,
		   const struct cw_dns_question *q, struct cw_dns_place *out);

/** The computed name of an address as a label. @return its octets. */
size_t cw_dns_computed_label(const struct cw_prefix4 *subnet, rte_be32_t ip, char out[16]);
/** Names that no host can have: they mean something else already. @p label in lower case. */
bool cw_dns_label_is_taken(const struct cw_prefix4 *subnet, const char *label);

enum cw_dns_outcome {
	CW_DNS_ANSWER,	   /* the message was rewritten in place into the reply */
	CW_DNS_TO_CONTROL, /* another domain, or a host name that is not published */
	CW_DNS_DROP,
};

enum cw_dns_asker {
	CW_DNS_STRANGER = 1, /* not a host of the namespace: REFUSED */
	CW_DNS_BY_TCP = 2,   /* no limit but the room */
};

/**
 * Judge one DNS message.
 *
 * @param asker	 enum cw_dns_asker
 * @param room	 bytes that may be written at @p data
 * @param q	 out: the question, as far as there is one
 * @param new_len out: length of the reply
 */
enum cw_dns_outcome cw_dns_respond(const struct cw_ns_view *view, unsigned int asker, uint8_t *data,
				   size_t len, size_t room, uint64_t now_tsc,
				   struct cw_dns_question *q, size_t *new_len);

/** Turn the question in @p data into a reply without records. @return its length. */
size_t cw_dns_refuse(uint8_t *data, size_t room, const struct cw_dns_question *q,
		     enum cw_dns_rcode rcode, uint16_t flags);

/** Headers around a reply of @p len bytes at frame + eth_bytes + 28: back to where the query came
 * from. @return length of the frame. */
size_t cw_dns_reply_frame(const struct cw_ns_view *view, uint8_t *frame, size_t eth_bytes,
			  rte_be32_t client_ip, rte_be16_t client_port, size_t len);

#endif /* CW_DNS_RESPOND_H */
