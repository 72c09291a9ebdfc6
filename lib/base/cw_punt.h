/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PUNT_H
#define CW_PUNT_H

/**
 * @file
 * What travels between a worker and control: the kinds of the two rings.
 *
 * punt: worker -> control, "I cannot answer this from published tables". inject: control -> worker,
 * "send this" or "take this up again". lib/datapath fills and drains the rings with mbufs;
 * lib/control sees only bytes and these structs; app/causewayd copies between the two, so neither
 * includes the other. A ring that is full is a named drop, never a wait.
 */
#include "cw_types.h"

/** Largest frame that crosses the rings: a 1500-byte MTU with VLAN tag and room. */
#define CW_PUNT_FRAME_BYTES_MAX 2048u

/** UDP ports of the WAN address that questions to DNS servers leave from: above what kernels hand
 * out by themselves, and enough of them to make guessing hard (RFC 5452 section 9.2). */
#define CW_UPSTREAM_PORT_FIRST 0xf000u
#define CW_UPSTREAM_PORT_MASK  0x0fffu

/** Where gateways of one segment say hello: all systems on the subnet (RFC 1112), which no router
 * forwards and every switch floods; and the port, whatever the overlay's is. */
#define CW_DISCOVERY_GROUP RTE_BE32(0xe0000001)
#define CW_DISCOVERY_PORT  7845u

enum cw_punt_kind {
	/* From the LAN: data starts at the Ethernet header. */
	CW_PUNT_ARP,  /* request we may have to answer, or news about a local host */
	CW_PUNT_DHCP, /* checked IPv4/UDP to port 67; first contact, release, decline, relay, ... */
	CW_PUNT_MISS, /* guarded IPv4 packet to a destination without a published mapping */
	CW_PUNT_UNBOUND, /* IPv4 packet from a source that no binding allows (rate-limited copy of
			    facts) */
	CW_PUNT_LAN_SERVICE,  /* to the service address: DNS and what else needs control */
	CW_PUNT_FOREIGN_DHCP, /* a DHCP server's message to port 68 */
	/* From the WAN. STUN and DTLS: data starts at the UDP payload, `from` is set. */
	CW_PUNT_STUN,
	CW_PUNT_DTLS,
	CW_PUNT_HELLO,	  /* a DTLS ClientHello: anybody can send one, from any address */
	CW_PUNT_WAN_ARP,  /* Ethernet header on; only where we own the port's address */
	CW_PUNT_WAN_ICMP, /* Ethernet header on; echo request to us, or an error about our datagrams
			   */
	CW_PUNT_ADMIT,	  /* opened inner IPv4 packet whose source mapping is not published; `node`
			     sealed it */
	CW_PUNT_UPSTREAM, /* UDP payload from a DNS server to one of our query ports; `from`,
			   * `to_port`
			   */
	CW_PUNT_RARP,	  /* LAN: a machine that moved alive says its MAC, and no address */
	CW_PUNT_MOVED,	  /* as ADMIT: for a host that is here no more, and nobody said where */
	CW_PUNT_DISCOVERY, /* UDP payload that came to the discovery group; `from` */
	CW_PUNT_SITE,	   /* LAN: a hello of a gateway of some site (docs/multi-gateway.md) */
	CW_PUNT_KIND_COUNT
};

/** What a worker knows about a punted frame. */
struct cw_punt_meta {
	uint8_t kind; /* enum cw_punt_kind */
	uint8_t worker;
	uint16_t vlan;		 /* host order, 0 untagged; LAN kinds */
	struct cw_endpoint from; /* WAN kinds: outer source */
	rte_be16_t to_port;	 /* CW_PUNT_UPSTREAM: where it came to */
	uint16_t peer;		 /* CW_PUNT_ADMIT, _MOVED: index of the sealing peer (cw_peer.h) */
};

enum cw_inject_kind {
	CW_INJECT_LAN_FRAME, /* complete Ethernet frame: out of the LAN port */
	CW_INJECT_WAN_FRAME, /* complete Ethernet frame: out of the WAN port */
	CW_INJECT_OUTBOUND,  /* frame as punted by CW_PUNT_MISS: again from the lookup stage on */
	CW_INJECT_INBOUND, /* inner packet as punted by CW_PUNT_ADMIT: again from the admit stage on
			    */
	CW_INJECT_KIND_COUNT
};

struct cw_inject_meta {
	uint8_t kind; /* enum cw_inject_kind */
	uint8_t worker;
	uint16_t vlan;
	uint16_t peer; /* CW_INJECT_INBOUND */
};

#endif /* CW_PUNT_H */
