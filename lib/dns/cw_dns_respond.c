/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS in-line: the answers that need no decision.
 *
 * Computed names and their reverses come out of the question itself; host names out of the
 * published table, that nobody has a name included. A name that exists answers every type: its own
 * with data, all others with NODATA and SOA (RFC 2308), never NXDOMAIN: resolvers that ask for A
 * and AAAA together would believe it. ANY gets the one RRset there is (RFC 8482 section 4.1).
 *
 * Refuses: zone transfers, other classes, strangers, and other domains where no upstream is
 * configured. Never longer than the asker takes, never many times the question: there is one record
 * to give. Invariant: the question goes back byte for byte.
 */
#include "cw_dns_respond.h"

#include <cw_eth.h>
#include <cw_udp.h>

/* The address in a computed name never changes its meaning while the subnet stands. */
#define COMPUTED_TTL_S 1800u
/* A host name moves with its host; its mapping may change owner within seconds. */
#define HOST_TTL_S 30u
/* How long clients believe that there is no such name or type: a host that just came is found
 * soon. */
#define NEGATIVE_TTL_S 10u

/* SOA's other times are for secondaries; there are none. */
static const uint8_t soa_times[] = {0, 0, 14, 16,  /* refresh 3600 */
				    0, 0, 2,  88,  /* retry 600 */
				    0, 1, 81, 128, /* expire 86400 */
				    0, 0, 0,  NEGATIVE_TTL_S};

static size_t put_label(uint8_t *out, const char *label)
{
	size_t len = strlen(label);

	out[0] = (uint8_t)len;
	memcpy(out + 1, label, len);
	return 1 + len;
}

/* A name below the domain: by pointer where the domain stands in the question, else in full. */
static size_t put_name(const struct cw_ns_view *view, uint8_t *out, const char *label,
		       size_t zone_in_message)
{
	size_t at = put_label(out, label);

	if (zone_in_message != 0) {
		out[at++] = (uint8_t)(0xc0 | zone_in_message >> 8);
		out[at++] = (uint8_t)zone_in_message;
		return at;
	}
	memcpy(out + at, view->zone, view->zone_bytes);
	return at + view->zone_bytes;
}

struct reply {
	const struct cw_ns_view *view;
	struct cw_dns_writer w;
	const struct cw_dns_place *place;
	size_t apex_at;		/* the zone's apex in the message */
	size_t zone_in_message; /* the domain in the message; 0: it is a reverse name */
};

static void put_soa(struct reply *r, enum cw_dns_section section)
{
	uint8_t data[2 * (CW_DNS_LABEL_MAX + 1 + CW_NS_ZONE_BYTES_MAX) + 20];
	rte_be32_t serial = rte_cpu_to_be_32(r->view->zone_serial);
	size_t at = put_name(r->view, data, "ns", r->zone_in_message);

	at += put_name(r->view, data + at, "hostmaster", r->zone_in_message);
	memcpy(data + at, &serial, sizeof(serial));
	memcpy(data + at + 4, soa_times, sizeof(soa_times));
	cw_dns_put(&r->w, section, r->apex_at, CW_DNS_SOA, NEGATIVE_TTL_S, data,
		   at + 4 + sizeof(soa_times));
}

static void answer_address(struct reply *r, const struct cw_dns_question *q, rte_be32_t ip,
			   uint32_t ttl_s)
{
	if (q->type == CW_DNS_A || q->type == CW_DNS_ANY)
		cw_dns_put(&r->w, CW_DNS_IN_ANSWER, CW_DNS_HEADER_BYTES, CW_DNS_A, ttl_s, &ip,
			   sizeof(ip));
	else
		put_soa(r, CW_DNS_IN_AUTHORITY);
}

static void answer_apex(struct reply *r, const struct cw_dns_question *q)
{
	uint8_t ns[CW_DNS_LABEL_MAX + 1 + CW_NS_ZONE_BYTES_MAX];

	if (q->type == CW_DNS_SOA || q->type == CW_DNS_ANY)
		put_soa(r, CW_DNS_IN_ANSWER);
	else if (q->type == CW_DNS_NS)
		cw_dns_put(&r->w, CW_DNS_IN_ANSWER, CW_DNS_HEADER_BYTES, CW_DNS_NS, COMPUTED_TTL_S,
			   ns, put_name(r->view, ns, "ns", r->zone_in_message));
	else
		put_soa(r, CW_DNS_IN_AUTHORITY);
}

static void answer_reverse(struct reply *r, const struct cw_dns_question *q, uint64_t now_tsc)
{
	const struct cw_name *host = cw_name_by_ip(r->view->names, r->place->ip);
	uint8_t name[CW_DNS_LABEL_MAX + 1 + CW_NS_ZONE_BYTES_MAX];
	uint32_t ttl_s = HOST_TTL_S;
	char computed[16];
	const char *label = "ns";

	if (q->type != CW_DNS_PTR && q->type != CW_DNS_ANY) {
		put_soa(r, CW_DNS_IN_AUTHORITY);
		return;
	}
	if (r->place->ip == r->view->service_ip) {
		ttl_s = COMPUTED_TTL_S;
	} else if (host != NULL && now_tsc < host->expires_tsc) {
		label = host->label;
	} else {
		cw_dns_computed_label(&r->view->subnet, r->place->ip, computed);
		label = computed;
	}
	cw_dns_put(&r->w, CW_DNS_IN_ANSWER, CW_DNS_HEADER_BYTES, CW_DNS_PTR, ttl_s, name,
		   put_name(r->view, name, label, 0));
}

size_t cw_dns_refuse(uint8_t *data, size_t room, const struct cw_dns_question *q,
		     enum cw_dns_rcode rcode, uint16_t flags)
{
	struct cw_dns_writer w;

	cw_dns_reply_begin(&w, data, room, q, rcode, flags);
	return cw_dns_reply_end(&w, q, rcode);
}

/* Rcodes of questions that are not looked at further; NOERROR: go on. */
static enum cw_dns_rcode admit(unsigned int asker, const struct cw_dns_question *q)
{
	if (asker & CW_DNS_STRANGER)
		return CW_DNS_REFUSED;
	if (q->type == CW_DNS_AXFR || q->type == CW_DNS_IXFR)
		return CW_DNS_REFUSED;
	if (q->class != CW_DNS_IN && q->class != CW_DNS_CLASS_ANY)
		return CW_DNS_REFUSED;
	/* OPT, TKEY, TSIG and the like are no types to ask for (RFC 6895 section 3.1). */
	if (q->type == 0 || q->type == CW_DNS_OPT || (q->type >= 249 && q->type < 253))
		return CW_DNS_FORMERR;
	return CW_DNS_NOERROR;
}

/* A host's name out of the table. @return false when the registers must be asked. */
static bool find_host(const struct cw_ns_view *view, const struct cw_dns_place *place,
		      uint64_t now_tsc, rte_be32_t *ip)
{
	struct cw_name *name = cw_name_find(view->names, place->label, place->label_bytes);

	if (name == NULL || now_tsc >= name->expires_tsc)
		return false;
	/* About once a second is enough for control to see that it is in use. */
	if (name->used_tsc + (UINT64_C(1) << 31) < now_tsc)
		__atomic_store_n(&name->used_tsc, now_tsc, __ATOMIC_RELAXED);
	*ip = name->ip;
	return true;
}

static size_t answer(struct reply *r, uint8_t *data, size_t room, const struct cw_dns_question *q,
		     rte_be32_t host_ip, uint64_t now_tsc)
{
	enum cw_dns_place_kind kind = r->place->kind;
	bool nothing = kind == CW_DNS_NOTHING || (kind == CW_DNS_HOST && host_ip == 0);
	enum cw_dns_rcode rcode = nothing ? CW_DNS_NXDOMAIN : CW_DNS_NOERROR;

	r->apex_at = CW_DNS_HEADER_BYTES + r->place->zone_at;
	r->zone_in_message = r->place->reverse ? 0 : r->apex_at;
	cw_dns_reply_begin(&r->w, data, room, q, rcode,
			   CW_DNS_AA | (r->view->has_upstream ? CW_DNS_RA : 0));
	if (nothing || kind == CW_DNS_REVERSE_UP)
		put_soa(r, CW_DNS_IN_AUTHORITY);
	else if (kind == CW_DNS_APEX)
		answer_apex(r, q);
	else if (kind == CW_DNS_ADDRESS)
		answer_address(r, q, r->place->ip, COMPUTED_TTL_S);
	else if (kind == CW_DNS_HOST)
		answer_address(r, q, host_ip, HOST_TTL_S);
	else
		answer_reverse(r, q, now_tsc);
	return cw_dns_reply_end(&r->w, q, rcode);
}

enum cw_dns_outcome cw_dns_respond(const struct cw_ns_view *view, unsigned int asker, uint8_t *data,
				   size_t len, size_t room, uint64_t now_tsc,
				   struct cw_dns_question *q, size_t *new_len)
{
	uint16_t ra = view->has_upstream ? CW_DNS_RA : 0;
	struct cw_dns_place place;
	struct reply r = {.view = view, .place = &place};
	enum cw_dns_rcode rcode;
	rte_be32_t ip = 0;

	switch (cw_dns_parse(data, len, q, &rcode)) {
	case CW_DNS_SILENT:
		return CW_DNS_DROP;
	case CW_DNS_BAD:
		*new_len = cw_dns_refuse(data, room, q, rcode, ra);
		return CW_DNS_ANSWER;
	default:
		break;
	}
	if (asker & CW_DNS_BY_TCP)
		q->udp_bytes = UINT16_MAX;
	rcode = admit(asker, q);
	if (rcode == CW_DNS_NOERROR) {
		cw_dns_locate(view, data, q, &place);
		if (place.kind == CW_DNS_ELSEWHERE && view->has_upstream)
			return CW_DNS_TO_CONTROL;
		if (place.kind == CW_DNS_ELSEWHERE)
			rcode = CW_DNS_REFUSED;
	}
	if (rcode != CW_DNS_NOERROR) {
		*new_len = cw_dns_refuse(data, room, q, rcode, ra);
		return CW_DNS_ANSWER;
	}
	if (place.kind == CW_DNS_HOST && !find_host(view, &place, now_tsc, &ip))
		return CW_DNS_TO_CONTROL;
	*new_len = answer(&r, data, room, q, ip, now_tsc);
	return CW_DNS_ANSWER;
}

size_t cw_dns_reply_frame(const struct cw_ns_view *view, uint8_t *frame, size_t eth_bytes,
			  rte_be32_t client_ip, rte_be16_t client_port, size_t len)
{
	struct cw_mac client;

	memcpy(client.b, frame + 6, sizeof(client.b));
	cw_eth_write(frame, &client, &view->service_mac, eth_bytes == CW_ETH_BYTES ? 0 : view->vlan,
		     CW_ETH_P_IP4);
	cw_udp_write_ip4(frame + eth_bytes, 0, 0, 0, view->service_ip, client_ip,
			 rte_cpu_to_be_16(CW_DNS_PORT), client_port, (uint16_t)len);
	return eth_bytes + CW_IP4_BYTES + CW_UDP_BYTES + len;
}
