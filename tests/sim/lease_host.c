/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host: RFC 2131's client (section 4.4) on real messages. It believes in its address from the ACK
 * until the lease has run out on its own clock, switched off or not; some count from the ACK
 * instead of their REQUEST, some forget their address over a restart, some share a client-id with
 * another.
 */
#include "lease_world.h"

#include <stdlib.h>
#include <string.h>

#include <cw_dtls_openssl.h>
#include <cw_eth.h>
#include <cw_ip4.h>
#include <cw_udp.h>

enum { FRAME_BYTES = CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES };

static void begin(struct lease_host *h, enum lease_host_state state);

static size_t client_id(const struct lease_host *h, uint8_t *out)
{
	memcpy(out, "id-", 3);
	out[3] = (uint8_t)('0' + h->client);
	return 4;
}

static void hash_of(const struct cw_client *client, const struct cw_mac *twin,
		    struct cw_client_hash *out)
{
	uint8_t text[1 + CW_CLIENT_BYTES_MAX + 6], digest[32];
	size_t len = 1u + client->len;

	text[0] = (uint8_t)(client->kind | (twin != NULL ? 0x80 : 0));
	memcpy(text + 1, client->bytes, client->len);
	if (twin != NULL) {
		memcpy(text + len, twin->b, 6);
		len += 6;
	}
	cw_digest_openssl.sha256(text, len, digest);
	memcpy(out->b, digest, sizeof(out->b));
}

void lease_host_init(struct lease_world *w, unsigned int index, unsigned int client,
		     unsigned int site)
{
	struct lease_host *h = &w->hosts[index];

	*h = (struct lease_host){.w = w,
				 .index = index,
				 .site = site,
				 .client = client,
				 .memory = true,
				 .mac = {{2, 0, 0, 0, 0, (uint8_t)(index + 1)}}};
	if (w->script == NULL) {
		unsigned int pick = lease_pick(w, 4);

		h->half = lease_pick(w, 2);
		h->rate_ppm = pick < 2	  ? -9900
			      : pick == 2 ? 9900
					  : (int)lease_pick(w, 19801) - 9900;
		h->late = lease_chance(w, 0.4);
		h->memory = lease_chance(w, 0.6);
		h->plain = lease_chance(w, 0.3);
	}
	lease_host_identify(h);
}

void lease_host_identify(struct lease_host *h)
{
	struct cw_client id = {.kind = 0, .len = 7, .bytes = {1, 2, 0, 0, 0, 0}};

	id.bytes[6] = h->mac.b[5];
	hash_of(&id, NULL, &h->hash);
	h->twin_hash = h->hash;
	if (h->plain)
		return;
	id.kind = 1;
	id.len = (uint8_t)client_id(h, id.bytes);
	hash_of(&id, NULL, &h->hash);
	hash_of(&id, &h->mac, &h->twin_hash);
}

struct lease_host *lease_host_of_mac(struct lease_world *w, const struct cw_mac *mac)
{
	for (unsigned int i = 0; i < w->host_count; i++)
		if (cw_mac_equal(&w->hosts[i].mac, mac))
			return &w->hosts[i];
	return NULL;
}

bool lease_believes(const struct lease_host *h)
{
	return h->addr != 0 && h->w->now_ns < h->end_ns;
}

/* -- messages */

static void put(uint8_t *frame, size_t *at, uint8_t code, const void *data, size_t len)
{
	frame[(*at)++] = code;
	frame[(*at)++] = (uint8_t)len;
	memcpy(frame + *at, data, len);
	*at += len;
}

static size_t compose(const struct lease_host *h, uint8_t type, rte_be32_t ip, uint8_t *frame)
{
	static const struct cw_mac all = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct cw_dhcp_fixed *f = (struct cw_dhcp_fixed *)(void *)(frame + FRAME_BYTES);
	rte_be32_t service = rte_cpu_to_be_32(0x0a800001);
	size_t at = FRAME_BYTES + sizeof(*f);
	uint8_t id[16], parameters[] = {1, 3, 51};
	bool uses = (type == CW_DHCP_REQUEST && h->state == HOST_RENEW) || type == CW_DHCP_RELEASE;

	memset(frame, 0, FRAME_BYTES + sizeof(*f));
	memcpy(frame, all.b, 6);
	memcpy(frame + 6, h->mac.b, 6);
	f->op = 1;
	f->htype = 1;
	f->hlen = 6;
	f->xid = h->xid;
	f->secs = rte_cpu_to_be_16((uint16_t)(4 * h->tries));
	memcpy(f->chaddr, h->mac.b, 6);
	f->ciaddr = uses ? ip : 0;
	f->cookie = rte_cpu_to_be_32(CW_DHCP_COOKIE);
	put(frame, &at, CW_DHCP_OPT_TYPE, &type, 1);
	if (!h->plain)
		put(frame, &at, CW_DHCP_OPT_CLIENT_ID, id, client_id(h, id));
	if (ip != 0 && !uses)
		put(frame, &at, CW_DHCP_OPT_REQUESTED_IP, &ip, 4);
	if ((type == CW_DHCP_REQUEST && h->state == HOST_SELECT) || type == CW_DHCP_RELEASE ||
	    type == CW_DHCP_DECLINE)
		put(frame, &at, CW_DHCP_OPT_SERVER_ID, &service, 4);
	put(frame, &at, CW_DHCP_OPT_PARAMETERS, parameters, sizeof(parameters));
	frame[at++] = CW_DHCP_OPT_END;
	return at;
}

static void send_message(struct lease_host *h, uint8_t type, rte_be32_t ip)
{
	static const char *const words[] = {"?",       "DISCOVER", "OFFER", "REQUEST",
					    "DECLINE", "ACK",	   "NAK",   "RELEASE"};
	struct lease_world *w = h->w;
	uint8_t frame[600];
	size_t len = compose(h, type, ip, frame);

	lease_say(w, "h%u: %s %d", h->index, words[type], lease_address(ip));
	for (unsigned int i = 0; i < w->gateway_count; i++)
		if (lease_reach(w, h, &w->gateways[i]))
			lease_gateway_frame(&w->gateways[i], frame, len);
}

/* -- states */

enum timer { TIMER_AGAIN, TIMER_INIT, TIMER_RENEW, TIMER_DECLINE };

static void again(struct lease_host *h);

static void fire(struct lease_world *w, struct lease_event *ev)
{
	struct lease_host *h = ev->who;

	(void)w;
	if (h->turn != ev->a || !h->on)
		return;
	switch ((enum timer)ev->b) {
	case TIMER_AGAIN:
		again(h);
		break;
	case TIMER_INIT:
		begin(h, HOST_INIT);
		break;
	case TIMER_RENEW:
		begin(h, HOST_RENEW);
		break;
	case TIMER_DECLINE:
		lease_host_decline(h);
		break;
	}
}

static void later(struct lease_host *h, uint64_t dt_ns, enum timer what)
{
	struct lease_event *ev =
		lease_after(h->w, lease_time_of(h->w, h->rate_ppm, dt_ns), fire, h);

	ev->a = ++h->turn;
	ev->b = what;
}

static void forget(struct lease_host *h)
{
	h->addr = 0;
	h->end_ns = 0;
}

static void expire(struct lease_host *h)
{
	forget(h);
	begin(h, HOST_INIT);
}

static void bound(struct lease_host *h)
{
	uint64_t half_ns = (uint64_t)h->lease_s * CW_NS_PER_S / 2;
	uint64_t at_ns = h->began_ns + lease_time_of(h->w, h->rate_ppm, half_ns);

	h->state = HOST_BOUND;
	later(h, at_ns > h->w->now_ns + CW_NS_PER_S / 10 ? at_ns - h->w->now_ns : CW_NS_PER_S / 10,
	      TIMER_RENEW);
}

static void again(struct lease_host *h)
{
	struct lease_world *w = h->w;
	uint64_t wait_ns, left_ns, jitter = lease_uniform(w, 0, 2);

	switch (h->state) {
	case HOST_INIT:
		send_message(h, CW_DHCP_DISCOVER, 0);
		wait_ns =
			cw_min_u64(20, UINT64_C(4) << (h->tries < 4 ? h->tries : 4)) * CW_NS_PER_S;
		break;
	case HOST_SELECT:
	case HOST_REBOOT:
		if (h->tries >= 3) {
			if (h->state == HOST_REBOOT && lease_believes(h) && lease_chance(w, 0.5))
				bound(h);
			else
				begin(h, HOST_INIT);
			return;
		}
		send_message(h, CW_DHCP_REQUEST, h->state == HOST_SELECT ? h->want : h->addr);
		wait_ns = (UINT64_C(4) << h->tries) * CW_NS_PER_S;
		break;
	default: /* renewing, rebinding: half of what remains */
		if (!lease_believes(h)) {
			expire(h);
			return;
		}
		left_ns = h->end_ns - w->now_ns;
		send_message(h, CW_DHCP_REQUEST, h->addr);
		wait_ns = cw_max_u64(2 * CW_NS_PER_S, cw_min_u64(left_ns / 2, 20 * CW_NS_PER_S));
	}
	h->tries++;
	later(h, wait_ns + jitter - CW_NS_PER_S, TIMER_AGAIN);
}

static void begin(struct lease_host *h, enum lease_host_state state)
{
	h->state = state;
	h->tries = 0;
	h->xid = (uint32_t)sim_random(&h->w->random);
	h->asked_ns = h->w->now_ns;
	h->was_recorded = h->own.valid && lease_recorded(h); /* before it asks, not meanwhile */
	again(h);
}

void lease_host_on(struct lease_host *h)
{
	if (h->on || h->gone)
		return;
	h->on = true;
	if (!h->memory)
		forget(h);
	begin(h, lease_believes(h) ? HOST_REBOOT : HOST_INIT);
}

void lease_host_off(struct lease_host *h)
{
	h->on = false;
	h->turn++;
}

static void on_ack(struct lease_host *h, struct lease_gateway *g, rte_be32_t ip, uint32_t lease_s)
{
	struct lease_world *w = h->w;
	bool chance = w->now_ns < w->calm_ns && lease_chance(w, 0.03);

	h->began_ns = h->late ? w->now_ns : h->asked_ns;
	h->addr = ip;
	h->lease_s = lease_s;
	h->end_ns = h->began_ns + lease_time_of(w, h->rate_ppm, lease_s * CW_NS_PER_S);
	h->served_ns = w->now_ns;
	lease_judge_believers(h, g);
	if (chance) {
		h->state = HOST_BOUND;
		later(h, lease_uniform(w, 0.5, 3), TIMER_DECLINE);
	} else {
		bound(h);
	}
}

void lease_host_receive(struct lease_host *h, struct lease_gateway *g, const uint8_t *frame,
			size_t len)
{
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	rte_be32_t yiaddr;
	bool asks = h->state == HOST_REBOOT || h->state == HOST_RENEW || h->state == HOST_SELECT;

	CW_ASSERT(cw_dhcp_parse(frame + FRAME_BYTES, len - FRAME_BYTES, &m, &pieces) ==
		  CW_DROP_NONE);
	memcpy(&yiaddr, frame + FRAME_BYTES + offsetof(struct cw_dhcp_fixed, yiaddr), 4);
	if (!h->on || m.xid != h->xid)
		return;
	if (m.type == CW_DHCP_OFFER && h->state == HOST_INIT) {
		if (h->own.valid && yiaddr != h->own.ip)
			lease_judge_own(h, g, false, yiaddr);
		h->want = yiaddr;
		h->state = HOST_SELECT;
		h->tries = 0;
		h->asked_ns = h->w->now_ns;
		again(h);
	} else if (m.type == CW_DHCP_NAK && asks) {
		if (h->state != HOST_SELECT)
			lease_judge_own(h, g, true, 0);
		expire(h);
	} else if (m.type == CW_DHCP_ACK && asks &&
		   yiaddr == (h->state == HOST_SELECT ? h->want : h->addr)) {
		on_ack(h, g, yiaddr, m.lease_s);
	}
}

void lease_host_decline(struct lease_host *h)
{
	int at = lease_address(h->addr);

	if (h->addr == 0)
		return;
	h->state = HOST_DECLINED;
	send_message(h, CW_DHCP_DECLINE, h->addr);
	if (at >= 0)
		h->declined |= UINT32_C(1) << at;
	h->own.valid = false;
	forget(h);
	later(h, 12 * CW_NS_PER_S, TIMER_INIT);
}

void lease_host_release(struct lease_host *h, bool back)
{
	if (!h->on || !lease_believes(h))
		return;
	send_message(h, CW_DHCP_RELEASE, h->addr);
	h->own.valid = false;
	forget(h);
	if (back)
		begin(h, HOST_INIT);
	else
		lease_host_off(h);
}

/* `alive`: a virtual machine, moved while it runs; it announces its address and asks nobody. */
void lease_host_move(struct lease_host *h, unsigned int site, bool alive)
{
	struct lease_world *w = h->w;

	h->site = site;
	h->half = lease_pick(w, 2);
	lease_say(w, "h%u: moves to site %u%s", h->index, site, alive ? ", alive" : "");
	if (!h->on)
		return;
	if (lease_believes(h) && alive) {
		for (unsigned int i = 0; i < w->gateway_count; i++)
			if (lease_reach(w, h, &w->gateways[i]) && w->gateways[i].lan_in)
				lease_gateway_heard(&w->gateways[i], h, true);
		return;
	}
	h->turn++;
	if (!h->memory)
		forget(h);
	begin(h, lease_believes(h) ? HOST_REBOOT : HOST_INIT);
}
