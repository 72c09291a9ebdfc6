/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Invariants over the frames of one segment: an ACK gives nobody an address of which another client
 * holds a lease; what is given is a host's address of the namespace; only questions are answered.
 */
#include "serve_judge.h"

#include <string.h>

#include <cw_dhcp.h>
#include <cw_eth.h>
#include <cw_ip4.h>
#include <cw_udp.h>

#define HEADER_BYTES (CW_ETH_BYTES + 28u)
#define SUBNET	     UINT32_C(0x0a800000)
#define SERVICE	     UINT32_C(0x0a800001)

static void identity(const struct cw_dhcp_message *m, struct serve_lease *out)
{
	*out = (struct serve_lease){.mac = m->chaddr};
	if (m->client_id.data != NULL && m->client_id.len <= sizeof(out->id)) {
		out->id_len = (uint8_t)m->client_id.len;
		memcpy(out->id, m->client_id.data, out->id_len);
	} else {
		out->id_len = sizeof(m->chaddr.b);
		memcpy(out->id, m->chaddr.b, sizeof(m->chaddr.b));
	}
}

static bool same_identity(const struct serve_lease *a, const struct serve_lease *b)
{
	return a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}

static void forget(struct serve_judge *j, const struct serve_lease *who, rte_be32_t ip)
{
	for (unsigned int i = 0; i < j->count;) {
		struct serve_lease *l = &j->leases[i];

		if (l->ip == ip &&
		    (who == NULL || (cw_mac_equal(&l->mac, &who->mac) && same_identity(l, who))))
			*l = j->leases[--j->count];
		else
			i++;
	}
}

void serve_judge_asked(struct serve_judge *j, const uint8_t *bootp, size_t len)
{
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct serve_lease who;

	if (cw_dhcp_parse(bootp, len, &m, &pieces) != CW_DROP_NONE)
		return;
	identity(&m, &who);
	/* Whoever says so does not use it any more, whatever the gateway makes of it. */
	if (m.type == CW_DHCP_RELEASE)
		forget(j, &who, m.ciaddr);
	if (m.type == CW_DHCP_DECLINE)
		forget(j, &who, m.requested_ip);
}

static void given(struct serve_judge *j, const struct serve_lease *who, uint64_t now_ns)
{
	uint32_t ip = rte_be_to_cpu_32(who->ip);

	CW_ASSERT((ip & 0xffff0000u) == SUBNET && ip != SUBNET && ip != SERVICE &&
		  ip != (SUBNET | 0xffffu));
	for (unsigned int i = 0; i < j->count; i++) {
		const struct serve_lease *l = &j->leases[i];

		CW_ASSERT(l->ip != who->ip || l->until_ns <= now_ns || same_identity(l, who));
	}
	forget(j, who, who->ip);
	CW_ASSERT(j->count < SERVE_LEASES_MAX);
	j->leases[j->count++] = *who;
}

void serve_judge_answered(struct serve_judge *j, const uint8_t *frame, size_t len, uint64_t now_ns)
{
	struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;
	struct serve_lease who;
	rte_be32_t yiaddr;
	rte_be16_t ether_type, from;

	CW_ASSERT(len >= CW_ETH_BYTES && len <= 1514);
	memcpy(&ether_type, frame + 12, sizeof(ether_type));
	if (ether_type != rte_cpu_to_be_16(CW_ETH_P_IP4) || len < HEADER_BYTES || frame[23] != 17)
		return;
	memcpy(&from, frame + CW_ETH_BYTES + 20, sizeof(from));
	if (from != rte_cpu_to_be_16(CW_DHCP_SERVER_PORT))
		return;
	CW_ASSERT(cw_dhcp_parse(frame + HEADER_BYTES, len - HEADER_BYTES, &m, &pieces) ==
		  CW_DROP_NONE);
	CW_ASSERT(m.op == 2 &&
		  (m.type == CW_DHCP_OFFER || m.type == CW_DHCP_ACK || m.type == CW_DHCP_NAK));
	identity(&m, &who);
	memcpy(&yiaddr, frame + HEADER_BYTES + offsetof(struct cw_dhcp_fixed, yiaddr), 4);
	who.ip = yiaddr;
	who.until_ns = now_ns + m.lease_s * CW_NS_PER_S;
	if (m.type == CW_DHCP_OFFER)
		j->offered[m.chaddr.b[5] & 7] = yiaddr;
	if (m.type != CW_DHCP_ACK || m.lease_s == 0)
		return;
	j->given[m.chaddr.b[5] & 7] = yiaddr;
	given(j, &who, now_ns);
}

void serve_judge_gone(struct serve_judge *j, rte_be32_t ip)
{
	forget(j, NULL, ip);
}
