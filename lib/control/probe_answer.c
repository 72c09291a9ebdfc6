/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this node answers when another asks: an echo, its links, or a datagram from where the asker
 * did not send to (netcheck). Whoever asks is authenticated by the overlay; all the same no answer
 * is larger than a view, there are only so many a second, and a datagram for a stranger goes only
 * where the overlay itself might have sent one, 52 bytes, a few a second.
 */
#include "probe.h"

#include <cw_stun.h>

static bool within(struct cw_control *ctl, unsigned int *count, unsigned int limit)
{
	struct probes *p = ctl->probes;

	if (ctl->now_ns - p->limit_ns >= CW_NS_PER_S) {
		p->limit_ns = ctl->now_ns;
		p->answers = p->knocks = 0;
	}
	return (*count)++ < limit;
}

/* -- view */

struct filling {
	const struct cw_control *ctl;
	struct view_room *room;
	Causeway__Probe__View *view;
	bool near; /* this pass: ring neighbours, or the others */
};

static void add_link(void *arg, const struct cw_link_info *info)
{
	struct filling *f = arg;
	unsigned int ours, theirs;
	Causeway__Probe__Link *link;
	size_t at = f->view->n_links;

	if (!info->established)
		return;
	cw_overlay_needs(f->ctl->overlay, &info->identity.node, &ours, &theirs);
	if (f->near != (((ours | theirs) & CW_OVERLAY_NEED_NEAR) != 0))
		return;
	f->view->link_count++;
	if (at == PROBE_LINKS_MAX)
		return;
	link = &f->room->link[at];
	f->room->node[at] = info->identity.node;
	causeway__probe__link__init(link);
	link->node = (ProtobufCBinaryData){CW_NODE_ID_BYTES, f->room->node[at].b};
	link->needs = ours | theirs;
	link->relayed = info->path.family == CW_FAMILY_RELAY;
	link->rtt_us = (uint32_t)cw_min_u64(info->rtt_ns / 1000, UINT32_MAX);
	f->room->list[at] = link;
	f->view->n_links++;
}

void cw_probe_fill_view(const struct cw_control *ctl, struct view_room *room,
			Causeway__Probe__View *view)
{
	struct filling f = {.ctl = ctl, .room = room, .view = view, .near = true};
	struct cw_overlay_info info;

	cw_overlay_info(ctl->overlay, &info);
	view->estimate = info.estimate;
	view->name = (char *)(uintptr_t)ctl->config.identity.name;
	view->links = room->list;
	cw_links_visit(ctl->links, add_link, &f);
	f.near = false;
	cw_links_visit(ctl->links, add_link, &f);
}

static void answer_view(struct cw_control *ctl, const struct cw_node_id *from, uint64_t token)
{
	Causeway__Probe__View view = CAUSEWAY__PROBE__VIEW__INIT;
	Causeway__Probe__Probe reply = CAUSEWAY__PROBE__PROBE__INIT;
	struct view_room room;

	view.token = token;
	view.reply = true;
	cw_probe_fill_view(ctl, &room, &view);
	reply.body_case = CAUSEWAY__PROBE__PROBE__BODY_VIEW;
	reply.view = &view;
	(void)!cw_probe_send(ctl, from, &reply);
}

/* -- knock */

/* From a port of its own: what was opened for ours does not let it in. */
static void knock(struct cw_control *ctl, const struct cw_endpoint *at, const uint8_t *transaction,
		  bool other_port)
{
	uint8_t message[CW_STUN_BYTES_MAX];
	size_t len = cw_stun_write_response(message, transaction, at);
	uint16_t port = rte_be_to_cpu_16(ctl->config.wan_port);

	if (!other_port)
		cw_neighbours_send(ctl, at, message, len);
	else
		cw_neighbours_send_from(
			ctl, rte_cpu_to_be_16((uint16_t)(port == 65535 ? 65534 : port + 1)), at,
			message, len);
}

struct search {
	const struct cw_control *ctl;
	const struct cw_node_id *asker;
	const Causeway__Probe__Knock *knock;
	bool found;
	struct cw_node_id stranger;
};

static void look_at(void *arg, const struct cw_link_info *info)
{
	struct search *s = arg;
	const struct cw_node_id *node = &info->identity.node;

	if (s->found || !info->established || info->path.family != CW_FAMILY_IPV4 ||
	    cw_node_id_equal(node, s->asker))
		return;
	for (size_t i = 0; i < s->knock->n_known; i++)
		if (s->knock->known[i].len == CW_NODE_ID_BYTES &&
		    memcmp(s->knock->known[i].data, node->b, CW_NODE_ID_BYTES) == 0)
			return;
	s->found = true;
	s->stranger = *node;
}

/* @return whether somebody was asked. */
static bool pass_on(struct cw_control *ctl, const struct cw_node_id *asker,
		    const struct cw_endpoint *at, const Causeway__Probe__Knock *asked)
{
	struct search s = {.ctl = ctl, .asker = asker, .knock = asked};
	Causeway__Probe__Knock knock = CAUSEWAY__PROBE__KNOCK__INIT;
	Causeway__Probe__Probe probe = CAUSEWAY__PROBE__PROBE__INIT;
	uint8_t endpoint[PROBE_ENDPOINT_BYTES];

	cw_links_visit(ctl->links, look_at, &s);
	if (!s.found)
		return false;
	memcpy(endpoint, &at->ip4, 4);
	memcpy(endpoint + 4, &at->port, 2);
	knock.transaction = asked->transaction;
	knock.endpoint = (ProtobufCBinaryData){sizeof(endpoint), endpoint};
	probe.body_case = CAUSEWAY__PROBE__PROBE__BODY_KNOCK;
	probe.knock = &knock;
	return cw_probe_send(ctl, &s.stranger, &probe) == 0;
}

static void answer_knock(struct cw_control *ctl, const struct cw_node_id *from,
			 const Causeway__Probe__Knock *asked)
{
	Causeway__Probe__Knock knocked = CAUSEWAY__PROBE__KNOCK__INIT;
	Causeway__Probe__Probe reply = CAUSEWAY__PROBE__PROBE__INIT;
	struct cw_endpoint at = {.family = CW_FAMILY_IPV4};
	struct cw_link_info link;

	if (asked->transaction.len != PROBE_TRANSACTION_BYTES ||
	    !within(ctl, &ctl->probes->knocks, PROBE_KNOCKS_PER_S))
		return;
	if (asked->endpoint.len == PROBE_ENDPOINT_BYTES) {
		memcpy(&at.ip4, asked->endpoint.data, 4);
		memcpy(&at.port, asked->endpoint.data + 4, 2);
		if (cw_overlay_usable(ctl->overlay, &at))
			knock(ctl, &at, asked->transaction.data, false);
		return;
	}
	/* Only where the asker itself is, as its link has it. */
	if (!cw_links_info(ctl->links, from, &link) || link.path.family != CW_FAMILY_IPV4)
		return;
	knocked.asked = true;
	if (asked->stranger)
		knocked.asked = pass_on(ctl, from, &link.path, asked);
	else
		knock(ctl, &link.path, asked->transaction.data, true);
	knocked.token = asked->token;
	knocked.reply = true;
	reply.body_case = CAUSEWAY__PROBE__PROBE__BODY_KNOCK;
	reply.knock = &knocked;
	(void)!cw_probe_send(ctl, from, &reply);
}

/* -- all */

static void answer_echo(struct cw_control *ctl, const struct cw_node_id *from, uint64_t token)
{
	Causeway__Probe__Echo echo = CAUSEWAY__PROBE__ECHO__INIT;
	Causeway__Probe__Probe reply = CAUSEWAY__PROBE__PROBE__INIT;

	echo.token = token;
	echo.reply = true;
	reply.body_case = CAUSEWAY__PROBE__PROBE__BODY_ECHO;
	reply.echo = &echo;
	(void)!cw_probe_send(ctl, from, &reply);
}

void cw_probe_answer(struct cw_control *ctl, const struct cw_node_id *from,
		     const Causeway__Probe__Probe *probe)
{
	if (!within(ctl, &ctl->probes->answers, PROBE_ANSWERS_PER_S))
		return;
	switch (probe->body_case) {
	case CAUSEWAY__PROBE__PROBE__BODY_ECHO:
		answer_echo(ctl, from, probe->echo->token);
		break;
	case CAUSEWAY__PROBE__PROBE__BODY_VIEW:
		answer_view(ctl, from, probe->view->token);
		break;
	case CAUSEWAY__PROBE__PROBE__BODY_KNOCK:
		answer_knock(ctl, from, probe->knock);
		break;
	default: /* a later version's */
		break;
	}
}
