/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a path's MTU means to hosts: lib/link measures how large a packet gets to a peer, here it
 * becomes the largest inner packet that workers send there (they clamp MSS, fragment, and say
 * "fragmentation needed" by it). Until there is a measurement it is what wan.mtu leaves.
 *
 * A "fragmentation needed" from the underlay counts as a hint for lib/link when it quotes a
 * datagram of ours to an endpoint that a link goes to; anybody may have sent it, so it never
 * changes anything by itself.
 */
#include "internal.h"

#include <cw_channel.h>
#include <cw_eth.h>
#include <cw_icmp.h>

/* Outer bytes around an inner packet: IPv4 20, UDP 8, ESP header 8, IV 8, ICV 16; the trailer (2
 * bytes and padding to 4) is taken off separately. */
#define ESP_OUTER_BYTES 60u

uint16_t cw_path_mtu_inner(const struct cw_control *ctl, const struct cw_node_id *node,
			   const struct cw_endpoint *path)
{
	struct cw_link_info link = {.mtu_bytes = 0};
	unsigned int outer = ESP_OUTER_BYTES, mtu_bytes = ctl->config.wan_mtu_bytes;

	if (cw_links_info(ctl->links, node, &link) && link.mtu_bytes != 0)
		mtu_bytes = link.mtu_bytes;
	if (path->family == CW_FAMILY_RELAY)
		outer += CW_CHANNEL_BYTES;
	return (uint16_t)((mtu_bytes - outer) / 4 * 4 - 2);
}

void cw_path_mtu_news(struct cw_control *ctl, const struct cw_node_id *node, uint16_t mtu_bytes)
{
	uint16_t index = cw_peer_find(ctl->config.peers, node), inner;
	struct cw_peer_info info;
	char text[CW_NODE_ID_TEXT_BYTES];

	if (index == CW_PEER_NONE || ctl->peers[index] == NULL ||
	    !cw_peer_info(ctl->config.peers, index, &info))
		return;
	inner = cw_path_mtu_inner(ctl, node, &ctl->peers[index]->path);
	cw_log(ctl->config.log, CW_LOG_NOTICE, CW_CONTROL_MODULE,
	       "path to %s (%s) carries packets of %u bytes: hosts' may have %u (%u before)",
	       ctl->peers[index]->groups.name, cw_node_id_format(node, text), mtu_bytes, inner,
	       info.params.mtu_bytes);
	cw_peer_set_mtu(ctl->config.peers, index, inner);
}

void cw_path_mtu_icmp(struct cw_control *ctl, const uint8_t *frame, size_t len)
{
	struct cw_icmp_needed needed;
	struct cw_endpoint to = {.family = CW_FAMILY_IPV4};
	char at[CW_ENDPOINT_TEXT_BYTES];

	if (len < CW_ETH_BYTES ||
	    !cw_icmp_parse_needed(frame + CW_ETH_BYTES, len - CW_ETH_BYTES, &needed) ||
	    needed.src != ctl->config.wan_ip || needed.src_port != ctl->config.wan_port ||
	    needed.total_bytes > ctl->config.wan_mtu_bytes)
		return;
	to.ip4 = needed.dst;
	to.port = needed.dst_port;
	if (cw_links_too_big(ctl->links, &to, needed.mtu_bytes, ctl->now_ns) > 0)
		cw_log(ctl->config.log, CW_LOG_INFO, CW_CONTROL_MODULE,
		       "somebody on the way says that packets to %s may have %u bytes: looking",
		       cw_endpoint_format(&to, at), needed.mtu_bytes);
}

json_t *cw_path_mtu_json(const struct cw_link_info *link)
{
	return link->mtu_bytes != 0 ? json_integer(link->mtu_bytes) : json_null();
}

const char *cw_path_mtu_state(const struct cw_link_info *link)
{
	return link->mtu_bytes != 0 ? cw_pmtu_state_name(link->mtu_state) : "not-measured";
}
