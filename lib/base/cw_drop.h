/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_DROP_H
#define CW_DROP_H

/**
 * @file
 * Why a packet ended. One list makes the enum, the counter's name, its text and the table in
 * docs/datapath.md. Parsers and per-packet decisions return an enum cw_drop; CW_DROP_NONE = keep.
 */
#include "cw_base.h"

#define CW_DROP_LIST(_)                                                                            \
	_(NONE, "kept")                                                                            \
	/* Ethernet and IP, either side */                                                         \
	_(TRUNCATED, "frame is shorter than its headers say")                                      \
	_(ETHERTYPE, "EtherType that is not carried")                                              \
	_(VLAN, "VLAN tag that is not ours")                                                       \
	_(NOT_FOR_US, "unicast frame for another station")                                         \
	_(OWN_FRAME, "our own frame came back (af_packet shows the kernel's output)")              \
	_(SLOT, "for a virtual MAC whose slot another gateway of the site owns")                   \
	_(SLOT_SHOWN, "another gateway of the site showed the switch where a slot is")             \
	_(IP_VERSION, "not an IPv4 header")                                                        \
	_(IP_LENGTH, "IPv4 total length disagrees with the frame")                                 \
	_(IP_CHECKSUM, "IPv4 header checksum is wrong")                                            \
	_(IP_OPTIONS, "IPv4 options are not carried")                                              \
	_(IPV6, "IPv6 is not carried yet")                                                         \
	_(MULTICAST, "multicast and broadcast are not carried yet")                                \
	/* LAN to WAN */                                                                           \
	_(NO_NAMESPACE, "no namespace record yet: the gateway has not joined")                     \
	_(SOURCE_UNBOUND, "source address is bound to no host of this site")                       \
	_(SOURCE_MAC, "source MAC is not that of the host that holds the address")                 \
	_(NOT_IN_SUBNET, "destination is outside the virtual subnet")                              \
	_(LOCAL_DESTINATION, "destination is a host of this site: the switch carries that")        \
	_(NO_MAPPING, "nobody holds the destination address")                                      \
	_(HOLD_OVERFLOW, "too many packets wait for an address or for the link to its gateway")    \
	_(HOLD_TIMEOUT, "the address was not resolved, or the link not made, in time")             \
	_(NO_SA, "no security association with the peer any more")                                 \
	_(SA_EXPIRED, "security association reached its end of life")                              \
	_(SESSION_DEADLINE, "our session in the DHT has run out: not ours to speak")               \
	_(TOO_BIG, "larger than the path's MTU with DF set: fragmentation needed was sent")        \
	_(FRAGMENT_FAILED, "could not be fragmented")                                              \
	_(TTL, "TTL ran out on the way to a host that moved")                                      \
	/* ARP, DHCP, DNS */                                                                       \
	_(ARP_MALFORMED, "ARP packet malformed")                                                   \
	_(ARP_SILENT, "ARP request that is not ours to answer")                                    \
	_(ARP_REPLY, "ARP reply: seen, nothing to do")                                             \
	_(DHCP_MALFORMED, "DHCP message malformed")                                                \
	_(DHCP_SILENT, "DHCP message that is not ours to answer")                                  \
	_(DHCP_FOREIGN, "DHCP server message from the LAN")                                        \
	_(DNS_MALFORMED, "not a DNS query")                                                        \
	_(SERVICE_PORT, "packet to the service address that no service answers")                   \
	/* WAN to LAN */                                                                           \
	_(WAN_NOT_OURS, "datagram for another address or port")                                    \
	_(UDP_CHECKSUM, "UDP checksum is wrong")                                                   \
	_(WAN_UNKNOWN, "first byte is none of STUN, DTLS, ChannelData, ESP, keepalive")            \
	_(WAN_KEEPALIVE, "NAT keepalive: done its work")                                           \
	_(ESP_MALFORMED, "ESP packet malformed")                                                   \
	_(ESP_SPI, "SPI of no security association")                                               \
	_(ESP_REPLAY, "replayed or too old sequence number")                                       \
	_(ESP_AUTH, "ESP integrity check failed")                                                  \
	_(ESP_PADDING, "ESP padding or next header malformed")                                     \
	_(ECN, "congestion was marked outside on a packet that cannot carry the mark")             \
	_(WORKER_RING, "hand-over ring to another worker is full")                                 \
	_(ADMIT_SOURCE, "inner source does not belong to the sealing peer's site")                 \
	_(ADMIT_GEN, "sender's generation of the mapping is stale")                                \
	_(NOT_HERE, "inner destination is no host of this site")                                   \
	_(POLICY_OUT, "the namespace's policy does not let this host talk to that one")            \
	_(POLICY_IN, "a peer sent what the namespace's policy does not let through")               \
	_(POLICY_MALFORMED, "too short, or a fragment too small, for the policy to judge")         \
	_(RELAY_CHANNEL, "relay channel that is malformed, or carries what no channel carries")    \
	_(RELAY_UNKNOWN, "relay channel of a number that no link of ours has")                     \
	_(RELAY_LINK, "relay channel of another link: its number does not belong to the sender")   \
	_(RELAY_HOPS, "relayed too often: hop limit, or a channel inside a channel")               \
	_(RELAY_RATE, "relay channel is over its rate limit (relay_mbit)")                         \
	/* punt, inject, ports */                                                                  \
	_(PUNT_FULL, "punt ring to control is full")                                               \
	_(PUNT_LIMIT, "punt rate limit of this kind reached")                                      \
	_(NO_MBUF, "no packet buffer left")                                                        \
	_(TX_FULL, "port did not take the frame")                                                  \
	_(CONTROL_REFUSED, "control had no use for the packet")                                    \
	_(CRYPTO, "crypto engine failed")

enum cw_drop {
#define CW_DROP_ENUM(name, text) CW_DROP_##name,
	CW_DROP_LIST(CW_DROP_ENUM)
#undef CW_DROP_ENUM
		CW_DROP_COUNT
};

/** The name as in the list ("IP_CHECKSUM"), for counters and tools; "?" out of range. [any] */
const char *cw_drop_name(enum cw_drop reason);

/** One phrase for an operator. [any] */
const char *cw_drop_text(enum cw_drop reason);

#endif /* CW_DROP_H */
