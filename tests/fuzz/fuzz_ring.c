/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay's messages, built and not merely bent: the input is read as choices (which body,
 * whose ID, how many endpoints of which length, relays, hop count, modes, signatures good or bad),
 * each frame is packed as protobuf-c packs it and comes in over a link. So every field is reached
 * with values that nearly fit. Between frames links come and go, we send, and time passes.
 *
 * Promises: those of overlay_world.h, and what is known, heard of and sent stays bounded.
 */
#include <stdlib.h>
#include <string.h>

#include <overlay.pb-c.h>

#include "overlay_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 200, LIST_MAX = 40, LINKS = 6, KNOWN_BOUND = 48 };

struct world {
	const uint8_t *at, *end;
	struct overlay_world o;
	bool signed_well; /* some frame was */
};

static uint8_t take(struct world *w)
{
	return w->at < w->end ? *w->at++ : 0;
}

/* -- fields */

struct room {
	Causeway__Overlay__Node nodes[LIST_MAX + 1], *list[LIST_MAX];
	ProtobufCBinaryData endpoints[LIST_MAX + 1][12], relays[LIST_MAX];
	uint8_t bytes[16384];
	size_t used;
};

static ProtobufCBinaryData bytes_of(struct room *r, const uint8_t *from, size_t len)
{
	ProtobufCBinaryData out = {len, r->bytes + r->used};

	CW_ASSERT(r->used + len <= sizeof(r->bytes));
	memcpy(r->bytes + r->used, from, len);
	r->used += len;
	return out;
}

/* Mostly an ID of a small ring; now and then one of another length. */
static ProtobufCBinaryData an_id(struct world *w, struct room *r)
{
	uint8_t id[CW_NODE_ID_BYTES + 1] = {take(w) % 16};

	if (id[0] == 15)
		id[1] = take(w); /* many */
	return bytes_of(r, id, id[0] == 14 ? take(w) % 22 : CW_NODE_ID_BYTES);
}

static ProtobufCBinaryData an_endpoint(struct world *w, struct room *r)
{
	static const uint8_t families[] = {CW_FAMILY_IPV4, CW_FAMILY_IPV4,  CW_FAMILY_IPV4,
					   CW_FAMILY_IPV6, CW_FAMILY_RELAY, 0};
	uint8_t how = take(w),
		ep[20] = {families[how % 6], take(w), take(w), take(w), take(w), take(w), take(w)};

	if (how >= 250)
		memcpy(ep + 3, &overlay_world_forbidden.ip, 2);
	return bytes_of(r, ep, how == 249 ? take(w) % 21 : 19);
}

static Causeway__Overlay__Node *a_node(struct world *w, struct room *r, unsigned int place)
{
	Causeway__Overlay__Node *n = &r->nodes[place];
	unsigned int count = take(w) % 12;

	causeway__overlay__node__init(n);
	n->id = an_id(w, r);
	n->endpoints = r->endpoints[place];
	for (unsigned int i = 0; i < count; i++)
		n->endpoints[n->n_endpoints++] = an_endpoint(w, r);
	return n;
}

static size_t some_nodes(struct world *w, struct room *r)
{
	size_t count = take(w) % (LIST_MAX + 1);

	for (size_t i = 0; i < count; i++)
		r->list[i] = a_node(w, r, (unsigned int)i);
	return count;
}

/* -- bodies */

static void hand_in(struct world *w, Causeway__Overlay__Frame *frame)
{
	uint8_t *bytes = malloc(causeway__overlay__frame__get_packed_size(frame) + 1);
	size_t len;

	CW_ASSERT(bytes != NULL);
	len = causeway__overlay__frame__pack(frame, bytes);
	cw_overlay_input(w->o.overlay, &w->o.speaker, bytes, len, w->o.now_ns);
	free(bytes);
}

static void say_nodes(struct world *w, struct room *r, Causeway__Overlay__Frame *frame)
{
	Causeway__Overlay__Nodes nodes = CAUSEWAY__OVERLAY__NODES__INIT;

	if (take(w) % 4 != 0)
		nodes.self = a_node(w, r, LIST_MAX);
	nodes.known = r->list;
	nodes.n_known = some_nodes(w, r);
	nodes.estimate = (uint64_t)take(w) << take(w) % 64;
	frame->body_case = CAUSEWAY__OVERLAY__FRAME__BODY_NODES;
	frame->nodes = &nodes;
	hand_in(w, frame);
}

static void say_connect_to(struct world *w, struct room *r, Causeway__Overlay__Frame *frame)
{
	Causeway__Overlay__ConnectTo c = CAUSEWAY__OVERLAY__CONNECT_TO__INIT;

	if (take(w) % 8 != 0)
		c.node = a_node(w, r, LIST_MAX);
	/* A good one speaks of its source. */
	if (c.node != NULL && take(w) % 4 != 0)
		frame->source = c.node->id;
	c.kind = take(w) % 5;
	c.token = take(w);
	c.reply = take(w) % 2;
	c.near = r->list;
	c.n_near = some_nodes(w, r);
	if (take(w) % 2)
		c.leaf = an_id(w, r);
	c.relays = r->relays;
	for (size_t count = take(w) % 16; c.n_relays < count;)
		r->relays[c.n_relays++] = an_id(w, r);
	frame->body_case = CAUSEWAY__OVERLAY__FRAME__BODY_CONNECT_TO;
	frame->connect_to = &c;
	hand_in(w, frame);
}

static void say_signed(struct world *w, struct room *r, Causeway__Overlay__Frame *frame)
{
	Causeway__Overlay__Signed s = CAUSEWAY__OVERLAY__SIGNED__INIT;
	uint8_t how = take(w), signature[] = {how % 4 ? 'y' : 'n', 0};

	s.service = take(w) % 20;
	s.source = how & 0x10 ? an_id(w, r) : frame->source;
	s.destination = how & 0x20 ? an_id(w, r) : frame->destination;
	s.mode = how & 0x40 ? take(w) % 5 : frame->mode;
	s.session = take(w) % 4;
	s.nonce = take(w);
	s.data = bytes_of(r, signature, take(w) % 3);
	if (how & 0x80)
		s.certificate = s.source;
	s.signature = bytes_of(r, signature, how % 8 == 7 ? 0 : 1);
	s.sent_s = overlay_world_unix_s(&w->o) + (uint64_t)(how & 1 ? 0 : take(w) * 4 - 512);
	w->o.believable = signature[0] == 'y';
	w->signed_well |= w->o.believable;
	frame->body_case = CAUSEWAY__OVERLAY__FRAME__BODY_SIGNED;
	frame->signed_ = &s;
	hand_in(w, frame);
	w->o.believable = false;
}

static void say_small(struct world *w, struct room *r, Causeway__Overlay__Frame *frame)
{
	Causeway__Overlay__Payload payload = CAUSEWAY__OVERLAY__PAYLOAD__INIT;
	Causeway__Overlay__CertificateWanted wanted = CAUSEWAY__OVERLAY__CERTIFICATE_WANTED__INIT;
	Causeway__Overlay__Leaving leaving = CAUSEWAY__OVERLAY__LEAVING__INIT;

	switch (take(w) % 4) {
	case 0:
		payload.service = take(w);
		payload.data = an_id(w, r);
		frame->body_case = CAUSEWAY__OVERLAY__FRAME__BODY_PAYLOAD;
		frame->payload = &payload;
		break;
	case 1:
		frame->body_case = CAUSEWAY__OVERLAY__FRAME__BODY_CERTIFICATE_WANTED;
		frame->certificate_wanted = &wanted;
		break;
	case 2:
		frame->body_case = CAUSEWAY__OVERLAY__FRAME__BODY_LEAVING;
		frame->leaving = &leaving;
		break;
	default: /* no body at all */
		break;
	}
	hand_in(w, frame);
}

static void say(struct world *w)
{
	static void (*const bodies[])(struct world *, struct room *, Causeway__Overlay__Frame *) = {
		say_nodes, say_connect_to, say_signed, say_small};
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;
	struct room *r = calloc(1, sizeof(*r));
	uint8_t how = take(w);

	CW_ASSERT(r != NULL);
	w->o.speaker = (struct cw_node_id){{take(w) % LINKS + 1}};
	frame.version = how & 1 ? 1 : take(w);
	frame.need = take(w);
	if (how & 2) {
		frame.source = an_id(w, r);
		frame.destination = how & 0x40 ? bytes_of(r, overlay_world_self.b, CW_NODE_ID_BYTES)
					       : an_id(w, r);
		frame.mode = take(w) % 5;
		frame.ttl = how & 4 ? 64 : take(w) << take(w) % 24;
		if (how & 8)
			frame.via = an_id(w, r);
	}
	bodies[how >> 4 & 3](w, r, &frame);
	free(r);
}

/* -- steps */

static void step(struct world *w)
{
	struct cw_node_id node = {{take(w) % LINKS + 1}};

	switch (take(w) % 8) {
	case 0:
		overlay_world_link_up(&w->o, node.b[0]);
		break;
	case 1:
		cw_overlay_link_down(w->o.overlay, &node, w->o.now_ns);
		break;
	case 2:
		w->o.now_ns += (uint64_t)(take(w) + 1) * CW_NS_PER_S / 8;
		w->o.connects = 0;
		/* A frame that was kept may end here now. */
		w->o.believable = w->signed_well;
		cw_overlay_timer(w->o.overlay, w->o.now_ns);
		w->o.believable = false;
		break;
	case 3:
		/* What is kept goes another way when its link dies. */
		(void)!cw_overlay_route(w->o.overlay, CW_OVERLAY_DHT, &node, "key", 3, w->o.now_ns);
		break;
	default:
		say(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {.at = data, .end = data + size};
	struct cw_overlay_info info;

	overlay_world_open(&w.o, true);
	for (uint8_t i = 1; i <= LINKS; i++)
		overlay_world_link_up(&w.o, i);
	for (unsigned int i = 0; w.at < w.end && i < STEPS_MAX; i++) {
		step(&w);
		cw_overlay_info(w.o.overlay, &info);
		CW_ASSERT(info.links <= LINKS && info.known <= KNOWN_BOUND + LINKS);
		CW_ASSERT(w.o.connects <= STEPS_MAX + 64);
	}
	overlay_world_close(&w.o);
	return 0;
}
