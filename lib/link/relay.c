/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Relays: a path to a node through one that both are linked to (RFC 8656's ChannelData, 4 bytes in
 * front of the datagram).
 *
 * Whoever wants the path asks the relay; the relay gives a channel number to each of the two and
 * joins them. A number belongs to one link: a datagram counts only when it comes from that link's
 * endpoint. Towards lib/link's other files such a path looks like an endpoint (CW_FAMILY_RELAY: the
 * relay's ID and our number), so associations, handshakes and roaming know nothing of it. Relays
 * are never nested: a link that is relayed itself carries no channel.
 *
 * Of the two ends of a link the lower ID gives even numbers when it is the relay, the higher odd
 * ones, so the numbers of both fit on one link. Invariant: a channel's link exists; when it goes,
 * so do its channels, and whoever used them is told.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_channel.h>
#include <cw_udp.h>

/* A relayed pair that nothing used for so long is forgotten. */
#define CHANNEL_IDLE_NS (UINT64_C(120) * CW_NS_PER_S)
#define DATAGRAM_MAX	1600u

static struct cw_endpoint endpoint_of(const struct cw_node_id *relay, uint16_t number)
{
	struct cw_endpoint ep = {.family = CW_FAMILY_RELAY, .port = rte_cpu_to_be_16(number)};

	memcpy(ep.ip6, relay->b, sizeof(ep.ip6));
	return ep;
}

static bool carries(const struct association *a)
{
	return a != NULL && a->path.family != CW_FAMILY_RELAY;
}

static struct cw_link_channel *find(const struct cw_links *links, const struct cw_node_id *link,
				    uint16_t number)
{
	for (unsigned int i = 0; i < links->channel_count; i++)
		if (links->channels[i].number == number &&
		    cw_node_id_equal(&links->channels[i].link, link))
			return &links->channels[i];
	return NULL;
}

static void changed(struct cw_links *links, uint64_t now_ns)
{
	if (links->ops.channels != NULL)
		links->ops.channels(links->ctx, now_ns);
}

static struct cw_link_channel *add(struct cw_links *links, const struct cw_link_channel *channel)
{
	unsigned int size = links->channel_size ? links->channel_size * 2 : 8;

	if (links->channel_count == links->channel_size) {
		struct cw_link_channel *all =
			links->channel_count < CHANNELS_MAX
				? realloc(links->channels, size * sizeof(*all))
				: NULL;

		if (all == NULL)
			return NULL;
		links->channels = all;
		links->channel_size = size;
	}
	links->channels[links->channel_count] = *channel;
	return &links->channels[links->channel_count++];
}

static void take_away(struct cw_links *links, struct cw_link_channel *channel)
{
	*channel = links->channels[--links->channel_count];
}

static void send_bind(struct association *on, uint16_t number, const struct cw_node_id *peer)
{
	Causeway__Link__RelayBind bind = CAUSEWAY__LINK__RELAY_BIND__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	bind.channel = number;
	bind.peer.data = (uint8_t *)(uintptr_t)peer->b;
	bind.peer.len = CW_NODE_ID_BYTES;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_RELAY_BIND;
	frame.relay_bind = &bind;
	if (association_send(on, &frame) < 0)
		cw_log(on->links->config.log, CW_LOG_DEBUG, MODULE, "relay channel not told");
}

static void send_drop(struct association *on, uint16_t number)
{
	Causeway__Link__RelayDrop drop = CAUSEWAY__LINK__RELAY_DROP__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;

	drop.channel = number;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_RELAY_DROP;
	frame.relay_drop = &drop;
	if (association_send(on, &frame) < 0)
		cw_log(on->links->config.log, CW_LOG_DEBUG, MODULE, "relay channel's end not told");
}

int cw_links_relay(struct cw_links *links, const struct cw_node_id *relay,
		   const struct cw_node_id *peer, uint64_t now_ns)
{
	Causeway__Link__RelayAsk ask = CAUSEWAY__LINK__RELAY_ASK__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;
	struct association *a = link_find(links, relay);

	(void)now_ns;
	if (!carries(a))
		return -ENOTCONN;
	ask.peer.data = (uint8_t *)(uintptr_t)peer->b;
	ask.peer.len = CW_NODE_ID_BYTES;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_RELAY_ASK;
	frame.relay_ask = &ask;
	return association_send(a, &frame);
}

/* -- as the relay */

/* A number of ours that is free on this link; 0: none is. */
static uint16_t free_number(const struct cw_links *links, const struct cw_node_id *link)
{
	unsigned int odd = cw_node_id_compare(&links->config.self, link) > 0;
	unsigned int on_link = 0;

	for (unsigned int i = 0; i < links->channel_count; i++)
		on_link += links->channels[i].forward &&
			   cw_node_id_equal(&links->channels[i].link, link);
	for (unsigned int n = CW_CHANNEL_FIRST + odd;
	     n <= CW_CHANNEL_LAST && on_link < CHANNELS_PER_LINK_MAX; n += 2)
		if (find(links, link, (uint16_t)n) == NULL)
			return (uint16_t)n;
	return 0;
}

static struct cw_link_channel *find_pair(const struct cw_links *links, const struct cw_node_id *one,
					 const struct cw_node_id *other)
{
	for (unsigned int i = 0; i < links->channel_count; i++)
		if (links->channels[i].forward && cw_node_id_equal(&links->channels[i].link, one) &&
		    cw_node_id_equal(&links->channels[i].other, other))
			return &links->channels[i];
	return NULL;
}

static void on_ask(struct association *a, const Causeway__Link__RelayAsk *ask, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	struct cw_link_channel one = {.forward = true, .used_ns = now_ns}, two, *pair;
	struct association *other;

	if (ask->peer.len != CW_NODE_ID_BYTES || !carries(a))
		return;
	memcpy(one.other.b, ask->peer.data, CW_NODE_ID_BYTES);
	one.link = a->identity.node;
	other = link_find(links, &one.other);
	if (!carries(other) || other == a)
		return; /* whoever asked tries another */
	pair = find_pair(links, &one.link, &one.other);
	if (pair == NULL) {
		one.number = free_number(links, &one.link);
		one.other_number = free_number(links, &one.other);
		two = (struct cw_link_channel){.forward = true,
					       .used_ns = now_ns,
					       .link = one.other,
					       .number = one.other_number,
					       .other = one.link,
					       .other_number = one.number};
		if (one.number == 0 || one.other_number == 0 ||
		    links->channel_count + 2 > CHANNELS_MAX || add(links, &one) == NULL)
			return;
		if (add(links, &two) == NULL) {
			take_away(links, find_pair(links, &one.link, &one.other));
			return;
		}
		changed(links, now_ns);
		pair = find_pair(links, &one.link, &one.other);
	}
	/* The other end first: a hello may come to it at once. */
	send_bind(other, pair->other_number, &pair->link);
	send_bind(a, pair->number, &pair->other);
}

/* -- as one of the two */

static void on_bind(struct association *a, const Causeway__Link__RelayBind *bind, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	struct cw_link_channel channel = {
		.number = (uint16_t)bind->channel, .link = a->identity.node, .used_ns = now_ns};
	unsigned int odd = cw_node_id_compare(&a->identity.node, &links->config.self) > 0;
	struct cw_link_channel *known;
	struct cw_endpoint path;

	if (bind->peer.len != CW_NODE_ID_BYTES || bind->channel < CW_CHANNEL_FIRST ||
	    bind->channel > CW_CHANNEL_LAST || (bind->channel & 1) != odd || !carries(a))
		return;
	memcpy(channel.other.b, bind->peer.data, CW_NODE_ID_BYTES);
	if (cw_node_id_equal(&channel.other, &links->config.self))
		return;
	known = find(links, &channel.link, channel.number);
	if (known != NULL)
		*known = channel;
	else if (add(links, &channel) == NULL)
		return;
	changed(links, now_ns);
	path = endpoint_of(&channel.link, channel.number);
	a = link_find(links, &channel.other);
	if (a != NULL)
		association_challenge(a, &path,
				      now_ns); /* heeded where the path it has is silent */
	else if (links->ops.relayed != NULL)
		links->ops.relayed(links->ctx, &channel.other, &path, now_ns);
}

/* The way that is there already is tried first; whoever knows relays is asked for another. */
void relay_ailing(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;

	for (unsigned int i = 0; i < links->channel_count; i++) {
		const struct cw_link_channel *c = &links->channels[i];
		struct cw_endpoint path = endpoint_of(&c->link, c->number);

		if (!c->forward && cw_node_id_equal(&c->other, &a->identity.node) &&
		    !cw_endpoint_equal(&path, &a->path)) {
			association_challenge(a, &path, now_ns);
			break;
		}
	}
	if (links->ops.ailing != NULL)
		links->ops.ailing(links->ctx, &a->identity.node, now_ns);
}

static void end_paths(struct cw_links *links, const struct cw_endpoint *path, uint64_t now_ns)
{
	for (unsigned int i = 0; i < links->count; i++)
		if (!links->all[i]->dead && cw_endpoint_equal(&links->all[i]->path, path))
			association_end(links->all[i], CW_LINK_DOWN_TIMEOUT, now_ns);
}

static void on_drop(struct association *a, const Causeway__Link__RelayDrop *drop, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	struct cw_link_channel *channel = find(links, &a->identity.node, (uint16_t)drop->channel);
	struct cw_endpoint path;

	if (channel == NULL || channel->forward)
		return;
	path = endpoint_of(&channel->link, channel->number);
	take_away(links, channel);
	changed(links, now_ns);
	end_paths(links, &path, now_ns);
}

void relay_frame(struct association *a, const Causeway__Link__Frame *frame, uint64_t now_ns)
{
	if (frame->body_case == CAUSEWAY__LINK__FRAME__BODY_RELAY_ASK)
		on_ask(a, frame->relay_ask, now_ns);
	else if (frame->body_case == CAUSEWAY__LINK__FRAME__BODY_RELAY_BIND)
		on_bind(a, frame->relay_bind, now_ns);
	else
		on_drop(a, frame->relay_drop, now_ns);
}

/* -- datagrams */

bool cw_links_via(const struct cw_links *links, const struct cw_endpoint *path,
		  struct cw_endpoint *out)
{
	uint16_t number = rte_be_to_cpu_16(path->port);

	*out = *path;
	if (path->family != CW_FAMILY_RELAY)
		return true;
	for (unsigned int i = 0; i < links->channel_count; i++) {
		const struct cw_link_channel *c = &links->channels[i];
		const struct association *a;

		if (c->number != number || c->forward ||
		    memcmp(c->link.b, path->ip6, sizeof(path->ip6)) != 0)
			continue;
		a = link_find(links, &c->link);
		if (carries(a))
			*out = a->path;
		return carries(a);
	}
	return false;
}

void cw_links_output(struct cw_links *links, const struct cw_endpoint *to, const void *data,
		     size_t len)
{
	struct cw_endpoint via;
	uint8_t framed[DATAGRAM_MAX];

	if (to->family != CW_FAMILY_RELAY) {
		links->ops.send(links->ctx, to, data, len);
		return;
	}
	if (len + CW_CHANNEL_BYTES > sizeof(framed) || !cw_links_via(links, to, &via))
		return;
	cw_channel_write(framed, rte_be_to_cpu_16(to->port), (uint16_t)len);
	memcpy(framed + CW_CHANNEL_BYTES, data, len);
	links->ops.send(links->ctx, &via, framed, len + CW_CHANNEL_BYTES);
}

static void forward(struct cw_links *links, struct cw_link_channel *c, const uint8_t *data,
		    size_t len, uint64_t now_ns)
{
	const struct association *other = link_find(links, &c->other);
	uint8_t framed[DATAGRAM_MAX];

	c->used_ns = now_ns;
	if (!carries(other) || len + CW_CHANNEL_BYTES > sizeof(framed))
		return;
	cw_channel_write(framed, c->other_number, (uint16_t)len);
	memcpy(framed + CW_CHANNEL_BYTES, data, len);
	links->ops.send(links->ctx, &other->path, framed, len + CW_CHANNEL_BYTES);
}

void relay_input(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		 size_t len, uint64_t now_ns)
{
	struct cw_channel header;
	struct cw_link_channel *c;
	struct association *a = association_at(links, from, false);

	while (a != NULL && !(a->is_link && cw_endpoint_equal(&a->path, from)))
		a = a->endpoint_next;
	if (a == NULL || cw_channel_parse(data, len, &header) != CW_DROP_NONE || header.bytes == 0)
		return;
	c = find(links, &a->identity.node, header.number);
	if (c == NULL)
		return;
	data += CW_CHANNEL_BYTES;
	if (c->forward) {
		forward(links, c, data, header.bytes, now_ns);
		return;
	}
	/* Never a channel inside a channel. */
	if (cw_wan_classify(data, header.bytes) != CW_WAN_CHANNEL) {
		struct cw_endpoint path = endpoint_of(&c->link, c->number);

		c->used_ns = now_ns;
		links_datagram(links, &path, data, header.bytes, now_ns);
	}
}

/* -- ends */

void relay_link_down(struct cw_links *links, const struct cw_node_id *node, uint64_t now_ns)
{
	bool any = false;

	for (unsigned int i = links->channel_count; i-- > 0;) {
		struct cw_link_channel c = links->channels[i];
		struct association *other = NULL;

		if (cw_node_id_equal(&c.link, node) && !c.forward) {
			struct cw_endpoint path = endpoint_of(&c.link, c.number);

			take_away(links, &links->channels[i]);
			end_paths(links, &path, now_ns);
			any = true;
			/* Ending paths may have taken others away. */
			i = links->channel_count;
			continue;
		}
		if (!c.forward ||
		    !(cw_node_id_equal(&c.link, node) || cw_node_id_equal(&c.other, node)))
			continue;
		if (cw_node_id_equal(&c.other, node))
			other = link_find(links, &c.link);
		take_away(links, &links->channels[i]);
		if (other != NULL)
			send_drop(other, c.number);
		any = true;
	}
	if (any)
		changed(links, now_ns);
}

uint64_t relay_timer(struct cw_links *links, uint64_t now_ns)
{
	if (links->channel_count == 0)
		return CW_NEVER;
	if (now_ns < links->channels_ns)
		return links->channels_ns;
	links->channels_ns = now_ns + CHANNEL_IDLE_NS / 4;
	for (unsigned int i = links->channel_count; i-- > 0;) {
		struct cw_link_channel c = links->channels[i];
		struct association *on = link_find(links, &c.link);

		if (now_ns - c.used_ns < CHANNEL_IDLE_NS)
			continue;
		take_away(links, &links->channels[i]);
		if (c.forward && on != NULL)
			send_drop(on, c.number);
		changed(links, now_ns);
	}
	return links->channels_ns;
}

void cw_links_used(struct cw_links *links, const struct cw_node_id *link, uint16_t number,
		   uint64_t now_ns)
{
	struct cw_link_channel *c = find(links, link, number);

	if (c != NULL)
		c->used_ns = now_ns;
}

void cw_links_channels(const struct cw_links *links, cw_links_channel_fn visit, void *arg)
{
	for (unsigned int i = 0; i < links->channel_count; i++) {
		const struct cw_link_channel *c = &links->channels[i];
		const struct association *on = link_find(links, &c->link);
		const struct association *other = c->forward ? link_find(links, &c->other) : on;
		struct cw_endpoint path = endpoint_of(&c->link, c->number);

		if (carries(on) && carries(other))
			visit(arg, c, &on->path, c->forward ? &other->path : &path);
	}
}
