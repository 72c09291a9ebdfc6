/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The services of one segment as a state machine: eight clients, two of which share an identifier,
 * say whatever DHCP and ARP can say, in any order and to the point (the address they were offered,
 * have, or another has), to the worker's responders with the control core behind them; time passes,
 * the operator takes leases away, the store falls silent. Whole bytes may be bent on the way.
 *
 * serve_judge.c decides from the frames: never two clients with one address.
 */
#include <stdio.h>
#include <string.h>

#include <cw_arp.h>
#include <cw_arp_respond.h>
#include <cw_dhcp_respond.h>
#include <cw_eth.h>
#include <cw_ip4.h>
#include <cw_udp.h>

#include "core_world.h"
#include "serve_judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX    160u
#define STEP_BYTES   4u
#define HEADER_BYTES (CW_ETH_BYTES + 28u)
#define SERVICE_IP   rte_cpu_to_be_32(0x0a800001)

struct step {
	uint8_t what, who, arg, bend;
};

struct segment {
	struct world w; /* first: what control sends comes back with it */
	struct serve_judge judge;
	uint32_t xid;
};

static void sent(struct world *w, const uint8_t *frame, size_t len)
{
	struct segment *s = (struct segment *)w;

	serve_judge_answered(&s->judge, frame, len, w->now_ns);
}

static struct cw_mac mac_of(unsigned int client)
{
	return (struct cw_mac){{2, 0, 0, 0, 0, (uint8_t)(client & 7)}};
}

static rte_be32_t address_of(const struct segment *s, unsigned int client, uint8_t arg)
{
	switch (arg & 7) {
	case 0:
	case 1:
		return s->judge.given[client];
	case 2:
		return s->judge.offered[client];
	case 3:
		return s->judge.given[(client + 1 + (arg >> 3)) & 7];
	case 4:
		return s->judge.offered[(client + 1 + (arg >> 3)) & 7];
	case 5:
		return rte_cpu_to_be_32(0x0a800000u + (arg >> 3));
	case 6:
		return rte_cpu_to_be_32(0x0a810005);
	default:
		return 0;
	}
}

static void punt(struct segment *s, uint8_t kind, const uint8_t *frame, size_t len)
{
	cw_control_punt(s->w.ctl, &(struct cw_punt_meta){.kind = kind}, frame, len, s->w.now_ns);
	world_settle(&s->w);
}

static uint8_t *option(uint8_t *at, uint8_t code, const void *data, uint8_t len)
{
	*at++ = code;
	*at++ = len;
	memcpy(at, data, len);
	return at + len;
}

/* @return bytes of the BOOTP message. */
static size_t compose(struct segment *s, const struct step *step, uint8_t *bootp)
{
	static const uint8_t types[] = {CW_DHCP_DISCOVER, CW_DHCP_REQUEST, CW_DHCP_REQUEST,
					CW_DHCP_REQUEST,  CW_DHCP_RELEASE, CW_DHCP_DECLINE,
					CW_DHCP_INFORM,	  CW_DHCP_DISCOVER};
	static const uint8_t shared_id[] = {0, 'c', 'l', 'o', 'n', 'e'};
	unsigned int client = step->who & 7, state = step->what & 7;
	rte_be32_t ip = address_of(s, client, step->arg), service = SERVICE_IP;
	struct cw_mac mac = mac_of(client);
	struct cw_dhcp_fixed *fixed = (struct cw_dhcp_fixed *)(void *)bootp;
	uint8_t *at = bootp + sizeof(*fixed), type = types[state];
	bool names_ip = state == 1 || state == 2 || type == CW_DHCP_DECLINE;

	*fixed = (struct cw_dhcp_fixed){
		.op = 1,
		.htype = 1,
		.hlen = 6,
		.xid = rte_cpu_to_be_32(++s->xid),
		.secs = rte_cpu_to_be_16(step->who & 0x40 ? 9 : 0),
		.flags = rte_cpu_to_be_16(step->who & 0x10 ? CW_DHCP_BROADCAST : 0),
		.cookie = rte_cpu_to_be_32(CW_DHCP_COOKIE)};
	memcpy(fixed->chaddr, mac.b, sizeof(mac.b));
	if (state == 3 || type == CW_DHCP_RELEASE || type == CW_DHCP_INFORM)
		fixed->ciaddr = ip;
	if (step->who & 0x80)
		fixed->giaddr = rte_cpu_to_be_32(0x0a800000u + 250 + client);
	at = option(at, CW_DHCP_OPT_TYPE, &type, 1);
	if (names_ip && ip != 0)
		at = option(at, CW_DHCP_OPT_REQUESTED_IP, &ip, 4);
	if (state == 1 || type == CW_DHCP_RELEASE || type == CW_DHCP_DECLINE)
		at = option(at, CW_DHCP_OPT_SERVER_ID, &service, 4);
	if (client >= 6)
		at = option(at, CW_DHCP_OPT_CLIENT_ID, shared_id, sizeof(shared_id));
	if (step->who & 0x20)
		at = option(at, CW_DHCP_OPT_HOST_NAME, "node", 4);
	if (state == 7)
		at = option(at, CW_DHCP_OPT_RAPID_COMMIT, "", 0);
	*at++ = CW_DHCP_OPT_END;
	if (step->bend != 0)
		bootp[step->bend % (at - bootp)] ^= (uint8_t)(step->arg | 1);
	return (size_t)(at - bootp);
}

static void dhcp(struct segment *s, const struct step *step)
{
	uint8_t frame[2048] = {0};
	struct cw_mac mac = mac_of(step->who), to = {{255, 255, 255, 255, 255, 255}};
	size_t bootp, len;
	enum cw_drop why;

	cw_eth_write(frame, &to, &mac, 0, CW_ETH_P_IP4);
	bootp = compose(s, step, frame + HEADER_BYTES);
	cw_udp_write_ip4(frame + CW_ETH_BYTES, 0, 0, 0, 0, UINT32_MAX,
			 rte_cpu_to_be_16(CW_DHCP_CLIENT_PORT),
			 rte_cpu_to_be_16(CW_DHCP_SERVER_PORT), (uint16_t)bootp);
	serve_judge_asked(&s->judge, frame + HEADER_BYTES, bootp);
	len = HEADER_BYTES + bootp;
	switch (cw_dhcp_respond(s->w.view, frame, len, sizeof(frame), CW_ETH_BYTES, s->w.now_ns,
				&len, &why)) {
	case CW_DHCP_ANSWER:
		serve_judge_answered(&s->judge, frame, len, s->w.now_ns);
		break;
	case CW_DHCP_TO_CONTROL:
		punt(s, CW_PUNT_DHCP, frame, len);
		break;
	default:
		break;
	}
}

static void arp(struct segment *s, const struct step *step)
{
	uint8_t frame[64] = {0};
	struct cw_mac mac = mac_of(step->who), to = {{255, 255, 255, 255, 255, 255}};
	rte_be32_t ip = address_of(s, step->who & 7, step->arg), sender = ip;
	enum cw_drop why;

	if (step->what & 1) /* a probe, or a question by its own address */
		sender = step->what & 2 ? 0 : s->judge.given[step->who & 7];
	cw_eth_write(frame, &to, &mac, 0, CW_ETH_P_ARP);
	cw_arp_write(frame + CW_ETH_BYTES, step->what & 4 ? CW_ARP_REPLY : CW_ARP_REQUEST, &mac,
		     sender, &to, ip);
	if (step->bend != 0)
		frame[CW_ETH_BYTES + step->bend % 28] ^= (uint8_t)(step->arg | 1);
	switch (cw_arp_respond(s->w.view, frame, sizeof(frame), CW_ETH_BYTES, s->w.now_ns, &why)) {
	case CW_ARP_ANSWER:
		serve_judge_answered(&s->judge, frame, sizeof(frame), s->w.now_ns);
		break;
	case CW_ARP_TO_CONTROL:
		punt(s, CW_PUNT_ARP, frame, sizeof(frame));
		break;
	default:
		break;
	}
}

static void operator_says(struct segment *s, const struct step *step)
{
	char text[160], ip[CW_IP4_TEXT_BYTES];
	rte_be32_t address = address_of(s, step->who & 7, step->arg);
	unsigned int done = s->w.done;

	cw_ip4_format(address, ip);
	if (step->who & 0x80)
		snprintf(
			text, sizeof(text),
			"{\"cmd\":\"lease reserve\",\"args\":{\"ip\":\"%s\",\"mac\":\"02:00:00:00:00:%02x\"}}",
			ip, step->who & 7);
	else
		snprintf(text, sizeof(text), "{\"cmd\":\"lease release\",\"args\":{\"ip\":\"%s\"}}",
			 ip);
	world_ask(&s->w, text, strlen(text));
	if (step->who & 0x80)
		return;
	/* Its segment is probed for so long; nobody answers. */
	for (unsigned int i = 0; i < 20 && s->w.answered < s->w.asked; i++)
		world_pass(&s->w, CW_NS_PER_S / 10);
	if (s->w.done > done)
		serve_judge_gone(&s->judge, address);
}

static void take(struct segment *s, const struct step *step)
{
	switch (step->what >> 3 & 7) {
	case 4:
		arp(s, step);
		break;
	case 5:
		world_pass(&s->w, (uint64_t)(step->who + 1) * CW_NS_PER_S / 64);
		break;
	case 6:
		/* Hours, as the daemon lives them: in turns. */
		for (unsigned int i = 0; i < 12; i++)
			world_pass(&s->w, (uint64_t)step->arg * CW_NS_PER_S);
		break;
	case 7:
		if (step->what & 0x40)
			s->w.mute = !s->w.mute;
		else if (step->what & 0x80)
			cw_control_woke(s->w.ctl, s->w.now_ns);
		else
			operator_says(s, step);
		break;
	default:
		dhcp(s, step);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment s = {.w = {.now_ns = CW_NS_PER_S}};
	struct cw_rcu *rcu;

	CW_ASSERT(cw_rcu_create(&rcu) == 0);
	world_begin(&s.w, rcu);
	s.w.sent = sent;
	for (unsigned int i = 0; i < STEPS_MAX && (i + 1) * STEP_BYTES <= size; i++) {
		const uint8_t *at = data + (size_t)i * STEP_BYTES;

		if (s.w.view != NULL)
			take(&s, &(struct step){at[0], at[1], at[2], at[3]});
		cw_rcu_reap(rcu);
	}
	world_end(&s.w);
	cw_rcu_destroy(rcu);
	return 0;
}
