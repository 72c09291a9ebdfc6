/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Relay channels, bound to the workers: what lib/link agreed on becomes the table they forward by,
 * and the ready headers of peers that are reached through one.
 *
 * Anything that changes where a channel leads (a channel itself, the path of a link that carries
 * it, a neighbour's MAC) marks the table stale; the end of a step makes it anew, whole. Traffic
 * that workers saw keeps a channel alive here and, by the same means, at its other ends.
 *
 * Invariant: a published channel's links exist and are direct.
 */
#include "internal.h"

#include <stdlib.h>

#include <cw_channels.h>

void cw_relays_stale(struct cw_control *ctl)
{
	ctl->relays_stale = true;
}

struct collected {
	struct cw_control *ctl;
	struct cw_channel_params *all;
	unsigned int count;
};

static void collect(void *arg, const struct cw_link_channel *channel,
		    const struct cw_endpoint *from, const struct cw_endpoint *to)
{
	struct collected *c = arg;
	struct cw_channel_params *p = &c->all[c->count];
	const struct cw_mac *mac;

	if (c->count == CW_CHANNELS_MAX || from->family != CW_FAMILY_IPV4)
		return;
	*p = (struct cw_channel_params){
		.from = *from, .number = channel->number, .forward = channel->forward};
	if (channel->forward) {
		mac = cw_neighbours_find(c->ctl, cw_neighbours_next_hop(c->ctl, to->ip4));
		if (mac == NULL)
			return; /* its answer makes the table stale again */
		p->next_hop = *mac;
		p->to = *to;
		p->to_number = channel->other_number;
	}
	c->count++;
}

struct marked {
	struct cw_control *ctl;
	uint64_t from_key;
	uint16_t number;
};

static void mark(void *arg, const struct cw_link_channel *channel, const struct cw_endpoint *from,
		 const struct cw_endpoint *to)
{
	const struct marked *m = arg;

	(void)to;
	if (channel->number == m->number && cw_endpoint_key(from) == m->from_key)
		cw_links_used(m->ctl->links, &channel->link, channel->number, m->ctl->now_ns);
}

static void used(void *arg, uint64_t from_key, uint16_t number)
{
	struct marked m = {arg, from_key, number};

	cw_links_channels(m.ctl->links, mark, &m);
}

static void follow_peers(struct cw_control *ctl)
{
	for (unsigned int i = 0; i < CW_PEER_MAX; i++)
		if (ctl->peers[i] != NULL && ctl->peers[i]->path.family == CW_FAMILY_RELAY)
			cw_mesh_set_path(ctl, (uint16_t)i, &ctl->peers[i]->path, 0);
}

void cw_relays_update(struct cw_control *ctl)
{
	struct collected c = {.ctl = ctl};
	uint64_t tsc_hz;

	if (!ctl->relays_stale)
		return;
	ctl->relays_stale = false;
	cw_channels_used(ctl->config.peers, used, ctl);
	c.all = calloc(CW_CHANNELS_MAX, sizeof(*c.all));
	if (c.all == NULL)
		return;
	cw_links_channels(ctl->links, collect, &c);
	tsc_hz = ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns + CW_NS_PER_S) -
		 ctl->ops.tsc_of_ns(ctl->ctx, ctl->now_ns);
	if (cw_channels_publish(ctl->config.peers, c.all, c.count,
				(uint64_t)ctl->config.relay_mbit * 125000, tsc_hz) < 0)
		ctl->relays_stale = true; /* no memory: the next step tries again */
	free(c.all);
	follow_peers(ctl);
}

void cw_relays_timer(struct cw_control *ctl)
{
	if (ctl->now_ns < ctl->relays_look_ns)
		return;
	ctl->relays_look_ns = ctl->now_ns + CW_RELAYS_LOOK_NS;
	cw_channels_used(ctl->config.peers, used, ctl);
}
