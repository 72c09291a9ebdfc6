/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CONTROL_DNS_H
#define CW_CONTROL_DNS_H

/*
 * DNS in control: what workers punt. dns.c takes queries and sends replies, names.c knows host
 * names of other sites, forward.c asks upstream servers.
 */
#include <cw_dns_respond.h>
#include <cw_dns_tcp.h>
#include <cw_law.h>

#include "internal.h"

enum {
	/* A query is kept whole while it waits; what is longer is no question of a resolver. */
	CW_DNS_QUERY_BYTES_MAX = CW_DNS_TCP_QUERY_BYTES,
	/* Largest reply: what an upstream sends us, and OPT. */
	CW_DNS_REPLY_BYTES_MAX = CW_DNS_EDNS_BYTES + CW_DNS_OPT_BYTES,
	/* Queries that wait for a name's register. */
	CW_DNS_WAITING_MAX = 512,
	/* Host names of other sites that are known or being asked for. */
	CW_DNS_LOOKUPS_MAX = 16384,
	/* Questions under way to upstream servers, and hosts that wait for them. */
	CW_DNS_QUESTIONS_MAX = 512,
	CW_DNS_FORWARDS_MAX = 1024,
	/* Of these, one host's: it cannot keep the others from asking. */
	CW_DNS_FORWARDS_PER_HOST_MAX = 64,
};

/* Who asked, and how an answer gets back. */
struct dns_asker {
	struct cw_mac mac;
	uint16_t vlan;
	rte_be32_t ip;
	rte_be16_t port;
	cw_dns_tcp_id tcp; /* 0: by UDP */
};

/* dns.c: a reply to one host: `reply` is the whole message, not longer than it takes. */
void cw_dns_reply(struct cw_control *ctl, const struct dns_asker *asker, const uint8_t *reply,
		  size_t len);
/* Reply to the question in `query` with an rcode and no records. */
void cw_dns_reply_rcode(struct cw_control *ctl, const struct dns_asker *asker, const uint8_t *query,
			const struct cw_dns_question *q, enum cw_dns_rcode rcode);
/* What is known about a host name has changed, or could not be learnt: those who wait are told. */
void cw_dns_name_settled(struct cw_control *ctl, const char *label);

/* forward.c: ask upstream, or answer from what was asked before. */
void cw_forward_query(struct cw_control *ctl, const struct dns_asker *asker, const uint8_t *query,
		      const struct cw_dns_question *q);

/* names.c: find out who has this name; cw_dns_name_settled follows, not from inside. false: too
 * many are being asked for. */
bool cw_names_ask(struct cw_control *ctl, const char *label);

#endif /* CW_CONTROL_DNS_H */
