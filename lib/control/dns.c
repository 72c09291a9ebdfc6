/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS queries that workers punted: host names that are not published, and other domains.
 *
 * Judged by the very responder the workers use, so control has no DNS rules of its own: what the
 * tables have learnt meanwhile is answered at once. A host name waits for its register, bounded in
 * number and time; what cannot be learnt ends as SERVFAIL, never as "no such name".
 *
 * Only hosts of ours come this far: workers have looked at source address and station.
 */
#include "dns.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_eth.h>
#include <cw_udp.h>

/* A resolver asks again after 5 s at the latest; an answer must come before. */
#define WAIT_NS (UINT64_C(3) * CW_NS_PER_S)

struct waiting {
	bool used;
	struct dns_asker asker;
	char label[CW_NAME_LABEL_BYTES];
	uint64_t until_ns;
	uint16_t len;
	uint8_t query[CW_DNS_QUERY_BYTES_MAX];
};

struct dns {
	struct waiting waiting[CW_DNS_WAITING_MAX];
	unsigned int count;
	struct cw_dns_tcp *tcp;
};

static void tcp_send(void *ctx, const struct cw_dns_tcp_peer *to, const uint8_t *segment,
		     size_t len)
{
	struct cw_control *ctl = ctx;
	struct cw_inject_meta meta = {.kind = CW_INJECT_LAN_FRAME, .vlan = to->vlan};
	uint8_t frame[CW_PUNT_FRAME_BYTES_MAX];
	size_t at;

	if (ctl->view == NULL)
		return;
	at = cw_eth_write(frame, &to->mac, &ctl->view->service_mac, to->vlan, CW_ETH_P_IP4);
	if (at + CW_IP4_BYTES + len > sizeof(frame))
		return;
	cw_ip4_write(frame + at, 0, (uint16_t)len, 0, CW_IP4_DF, 64, CW_IP_PROTO_TCP,
		     ctl->view->service_ip, to->ip);
	memcpy(frame + at + CW_IP4_BYTES, segment, len);
	cw_control_inject(ctl, &meta, frame, at + CW_IP4_BYTES + len);
}

static void judge(struct cw_control *ctl, const struct dns_asker *asker, const uint8_t *query,
		  size_t len, bool again);

static void tcp_query(void *ctx, const struct cw_dns_tcp_peer *from, cw_dns_tcp_id id,
		      const uint8_t *query, size_t len)
{
	struct cw_control *ctl = ctx;
	struct dns_asker asker = {.mac = from->mac,
				  .vlan = from->vlan,
				  .ip = from->ip,
				  .port = from->port,
				  .tcp = id};

	if (ctl->view != NULL)
		judge(ctl, &asker, query, len, false);
}

int cw_dns_create(struct cw_control *ctl)
{
	static const struct cw_dns_tcp_ops ops = {.send = tcp_send, .query = tcp_query};

	ctl->dns = calloc(1, sizeof(*ctl->dns));
	if (ctl->dns == NULL)
		return -ENOMEM;
	return cw_dns_tcp_create(&ctl->dns->tcp, &ops, ctl, &ctl->config.random);
}

void cw_dns_destroy(struct cw_control *ctl)
{
	if (ctl->dns == NULL)
		return;
	cw_dns_tcp_destroy(ctl->dns->tcp);
	free(ctl->dns);
	ctl->dns = NULL;
}

void cw_dns_reply(struct cw_control *ctl, const struct dns_asker *asker, const uint8_t *reply,
		  size_t len)
{
	struct cw_inject_meta meta = {.kind = CW_INJECT_LAN_FRAME, .vlan = asker->vlan};
	uint8_t frame[CW_PUNT_FRAME_BYTES_MAX];
	size_t eth = asker->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES;
	size_t offset = eth + CW_IP4_BYTES + CW_UDP_BYTES;

	if (asker->tcp != 0) {
		cw_dns_tcp_answer(ctl->dns->tcp, asker->tcp, reply, len, ctl->now_ns);
		return;
	}
	if (ctl->view == NULL || offset + len > sizeof(frame))
		return;
	memcpy(frame + 6, asker->mac.b, sizeof(asker->mac.b)); /* as if it had just come in */
	memcpy(frame + offset, reply, len);
	cw_control_inject(ctl, &meta, frame,
			  cw_dns_reply_frame(ctl->view, frame, eth, asker->ip, asker->port, len));
}

void cw_dns_reply_rcode(struct cw_control *ctl, const struct dns_asker *asker, const uint8_t *query,
			const struct cw_dns_question *q, enum cw_dns_rcode rcode)
{
	uint8_t reply[CW_DNS_QUERY_BYTES_MAX + CW_DNS_OPT_BYTES];
	uint16_t ra = ctl->ns.upstream_count > 0 ? CW_DNS_RA : 0;

	memcpy(reply, query, q->end);
	cw_dns_reply(ctl, asker, reply, cw_dns_refuse(reply, sizeof(reply), q, rcode, ra));
}

/* @return NULL when too many wait. */
static struct waiting *wait_for(struct cw_control *ctl, const struct dns_asker *asker,
				const char *label, const uint8_t *query, size_t len)
{
	struct dns *dns = ctl->dns;

	for (unsigned int i = 0; i < CW_DNS_WAITING_MAX; i++) {
		struct waiting *w = &dns->waiting[i];

		if (w->used)
			continue;
		*w = (struct waiting){.used = true,
				      .asker = *asker,
				      .until_ns = ctl->now_ns + WAIT_NS,
				      .len = (uint16_t)len};
		memcpy(w->query, query, len);
		memcpy(w->label, label, sizeof(w->label));
		dns->count++;
		return w;
	}
	return NULL;
}

/* `again`: the registers were asked already; what is not known now will not be. */
static void judge(struct cw_control *ctl, const struct dns_asker *asker, const uint8_t *query,
		  size_t len, bool again)
{
	uint8_t reply[CW_DNS_REPLY_BYTES_MAX];
	struct cw_dns_question q;
	struct cw_dns_place place;
	size_t reply_bytes;

	memcpy(reply, query, len);
	switch (cw_dns_respond(ctl->view, asker->tcp != 0 ? CW_DNS_BY_TCP : 0, reply, len,
			       sizeof(reply), ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns), &q,
			       &reply_bytes)) {
	case CW_DNS_ANSWER:
		cw_dns_reply(ctl, asker, reply, reply_bytes);
		return;
	case CW_DNS_DROP:
		return;
	default:
		break;
	}
	cw_dns_locate(ctl->view, query, &q, &place);
	if (place.kind == CW_DNS_ELSEWHERE)
		cw_forward_query(ctl, asker, query, &q);
	else if (again || !cw_law_name_valid(place.label) || !cw_names_ask(ctl, place.label) ||
		 wait_for(ctl, asker, place.label, query, len) == NULL)
		/* A label that no host can register is not there; the rest is not known. */
		cw_dns_reply_rcode(ctl, asker, query, &q,
				   again || cw_law_name_valid(place.label) ? CW_DNS_SERVFAIL
									   : CW_DNS_NXDOMAIN);
}

void cw_dns_name_settled(struct cw_control *ctl, const char *label)
{
	struct dns *dns = ctl->dns;

	for (unsigned int i = 0; i < CW_DNS_WAITING_MAX && dns->count > 0; i++) {
		struct waiting *w = &dns->waiting[i];

		if (!w->used || strcmp(w->label, label) != 0)
			continue;
		w->used = false;
		dns->count--;
		if (ctl->view != NULL)
			judge(ctl, &w->asker, w->query, w->len, true);
	}
}

void cw_dns_timer(struct cw_control *ctl)
{
	struct dns *dns = ctl->dns;

	cw_dns_tcp_timer(dns->tcp, ctl->now_ns);
	for (unsigned int i = 0; i < CW_DNS_WAITING_MAX && dns->count > 0; i++) {
		struct waiting *w = &dns->waiting[i];

		if (!w->used || ctl->now_ns < w->until_ns)
			continue;
		w->used = false;
		dns->count--;
		if (ctl->view != NULL)
			judge(ctl, &w->asker, w->query, w->len, true);
	}
}

static void take_udp(struct cw_control *ctl, const struct cw_dns_tcp_peer *from,
		     const struct cw_ip4_header *ip, const uint8_t *data, size_t len)
{
	struct dns_asker asker = {.mac = from->mac, .vlan = from->vlan, .ip = ip->src};
	struct cw_udp_header udp;
	size_t bytes;

	if (cw_udp_parse(ip, data, len, &udp) != CW_DROP_NONE)
		return;
	bytes = rte_be_to_cpu_16(udp.bytes) - (size_t)CW_UDP_BYTES;
	if (bytes > CW_DNS_QUERY_BYTES_MAX)
		return; /* counted with the punts; no question is that long */
	asker.port = udp.src;
	judge(ctl, &asker, data + CW_UDP_BYTES, bytes, false);
}

void cw_dns_punt(struct cw_control *ctl, const struct cw_punt_meta *meta, const uint8_t *data,
		 size_t len)
{
	size_t at = meta->vlan != 0 ? CW_ETH_BYTES + CW_ETH_VLAN_BYTES : CW_ETH_BYTES, bytes;
	struct cw_dns_tcp_peer from = {.vlan = meta->vlan};
	struct cw_ip4_header ip;

	if (ctl->view == NULL || len < at + CW_IP4_BYTES + CW_UDP_BYTES ||
	    cw_ip4_parse_header(data + at, len - at, &ip) != CW_DROP_NONE)
		return;
	bytes = rte_be_to_cpu_16(ip.total_bytes) - (size_t)CW_IP4_BYTES;
	at += CW_IP4_BYTES;
	memcpy(from.mac.b, data + 6, sizeof(from.mac.b));
	from.ip = ip.src;
	memcpy(&from.port, data + at, sizeof(from.port));
	if (ip.proto == CW_IP_PROTO_UDP)
		take_udp(ctl, &from, &ip, data + at, bytes);
	else if (ip.proto == CW_IP_PROTO_TCP)
		cw_dns_tcp_input(ctl->dns->tcp, &from, ip.dst, data + at, bytes, ctl->now_ns);
}
