/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The overlay's messages, built and not merely bent: the input is read as choices (which body,
 * whose ID, how many endpoints of which length, relays, hop count, modes, signatures good or bad),
 * each frame is packed as protobuf-c packs it and comes in over a link. So every field is reached
 * with values that nearly fit. Between frames links come and go, and time passes.
 *
 * Promises: what is known, heard of and sent stays bounded; no endpoint of a forbidden prefix is
 * ever tried; nothing is delivered under a source that is neither the link's other end nor signed.
 */
#include <stdlib.h>
#include <string.h>

#include <cw_overlay.h>
#include <overlay.pb-c.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 200, LIST_MAX = 40, LINKS = 6, KNOWN_BOUND = 48 };

static const struct cw_node_id ours = {{9}};
static const struct cw_prefix4 forbidden = {RTE_BE32(0x0a800000), 16};

struct world {
	const uint8_t *at, *end;
	struct cw_overlay *overlay;
	uint64_t now_ns;
	struct cw_node_id speaker; /* whose link the frame came over */
	bool believable;	   /* its signature is good */
	unsigned int connects;	   /* since time last passed */
};

static uint8_t take(struct world *w)
{
	return w->at < w->end ? *w->at++ : 0;
}

/* -- the world around */

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
}

static int op_connect(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *endpoints,
		      unsigned int count, uint64_t now_ns)
{
	struct world *w = ctx;

	(void)node;
	(void)now_ns;
	w->connects++;
	CW_ASSERT(count > 0 && count <= CW_OVERLAY_ENDPOINTS_MAX);
	for (unsigned int i = 0; i < count; i++)
		CW_ASSERT(endpoints[i].family == CW_FAMILY_RELAY ||
			  !cw_prefix4_contains(&forbidden, endpoints[i].ip4));
	return 0;
}

static int op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		   uint64_t now_ns)
{
	(void)ctx;
	(void)to;
	(void)now_ns;
	CW_ASSERT(data != NULL && len > 0);
	return len > 65536 ? -1 : 0;
}

static int op_relay(void *ctx, const struct cw_node_id *relay, const struct cw_node_id *peer,
		    uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	CW_ASSERT(!cw_node_id_equal(relay, peer));
	return 0;
}

static void op_close(void *ctx, const struct cw_node_id *node, uint64_t now_ns)
{
	(void)ctx;
	(void)node;
	(void)now_ns;
}

static void op_classify(void *ctx, const struct cw_node_id *node, enum cw_overlay_class class,
			uint64_t now_ns)
{
	(void)class;
	op_close(ctx, node, now_ns);
}

static void op_deliver(void *ctx, enum cw_overlay_service service, const struct cw_node_id *from,
		       const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct world *w = ctx;

	(void)data;
	(void)len;
	(void)now_ns;
	CW_ASSERT(service > 0 && service < CW_OVERLAY_SERVICE_COUNT);
	CW_ASSERT(cw_node_id_equal(from, &w->speaker) || w->believable);
}

static void op_node(void *ctx, const struct cw_overlay_node *node, bool linked, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	CW_ASSERT(node->endpoint_count <= CW_OVERLAY_ENDPOINTS_MAX && node->linked == linked);
}

static void op_remember(void *ctx, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
}

static uint64_t op_unix_s(void *ctx)
{
	const struct world *w = ctx;

	return 1000 + w->now_ns / CW_NS_PER_S;
}

static const struct cw_overlay_ops ops = {.connect = op_connect,
					  .send = op_send,
					  .relay = op_relay,
					  .close = op_close,
					  .classify = op_classify,
					  .deliver = op_deliver,
					  .node = op_node,
					  .remember = op_remember,
					  .unix_s = op_unix_s};

/* -- signatures: one that begins with 'y' is good; a certificate is the ID */

static int sign(void *self, const void *data, size_t len, uint8_t *signature, size_t *signature_len)
{
	(void)self;
	(void)data;
	CW_ASSERT(len > 0);
	signature[0] = 'y';
	*signature_len = 1;
	return 0;
}

static const uint8_t *certificate(void *self, size_t *len)
{
	static const uint8_t own[CW_NODE_ID_BYTES] = {9};

	(void)self;
	*len = sizeof(own);
	return own;
}

static struct cw_public_key *verify(void *self, const uint8_t *der, size_t len,
				    struct cw_identity *out, const char **why)
{
	(void)self;
	*why = "no certificate";
	if (len != CW_NODE_ID_BYTES)
		return NULL;
	*out = (struct cw_identity){.name = "n"};
	memcpy(out->node.b, der, len);
	return malloc(1);
}

static bool check(const struct cw_public_key *key, const void *data, size_t len,
		  const uint8_t *signature, size_t signature_len)
{
	CW_ASSERT(key != NULL && data != NULL && len > 0);
	return signature_len > 0 && signature[0] == 'y';
}

static void release(struct cw_public_key *key)
{
	free(key);
}

static const struct cw_signer_ops signer = {.sign = sign,
					    .certificate = certificate,
					    .verify = verify,
					    .check = check,
					    .release = release};

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
		memcpy(ep + 3, &forbidden.ip, 2);
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
	cw_overlay_input(w->overlay, &w->speaker, bytes, len, w->now_ns);
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
	s.sent_s = op_unix_s(w) + (uint64_t)(how & 1 ? 0 : take(w) * 4 - 512);
	w->believable = signature[0] == 'y';
	frame->body_case = CAUSEWAY__OVERLAY__FRAME__BODY_SIGNED;
	frame->signed_ = &s;
	hand_in(w, frame);
	w->believable = false;
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
	w->speaker = (struct cw_node_id){{take(w) % LINKS + 1}};
	frame.version = how & 1 ? 1 : take(w);
	frame.need = take(w);
	if (how & 2) {
		frame.source = an_id(w, r);
		frame.destination = how & 0x40 ? bytes_of(r, ours.b, sizeof(ours.b)) : an_id(w, r);
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
	struct cw_identity identity = {.node = {{take(w) % LINKS + 1}}, .name = "n"};
	struct cw_endpoint at = {.family = CW_FAMILY_IPV4, .port = 9, .ip4 = identity.node.b[0]};

	switch (take(w) % 8) {
	case 0:
		cw_overlay_link_up(w->overlay, &identity, &at, w->now_ns);
		break;
	case 1:
		cw_overlay_link_down(w->overlay, &identity.node, w->now_ns);
		break;
	case 2:
		w->now_ns += (uint64_t)(take(w) + 1) * CW_NS_PER_S / 8;
		w->connects = 0;
		cw_overlay_timer(w->overlay, w->now_ns);
		break;
	default:
		say(w);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cw_log log;
	struct world w = {.at = data, .end = data + size, .now_ns = CW_NS_PER_S};
	struct cw_overlay_config config = {.self = ours,
					   .log = &log,
					   .random = {.fill = fill},
					   .signer = &signer,
					   .session = 1,
					   .forbidden_count = 1};
	struct cw_overlay_info info;

	config.forbidden[0] = forbidden;
	CW_ASSERT(cw_overlay_create(&w.overlay, &config, &ops, &w) == 0);
	for (uint8_t i = 1; i <= LINKS; i++) {
		struct cw_identity identity = {.node = {{i}}, .name = "n"};
		struct cw_endpoint at = {.family = CW_FAMILY_IPV4, .port = 9, .ip4 = i};

		cw_overlay_link_up(w.overlay, &identity, &at, w.now_ns);
	}
	for (unsigned int i = 0; w.at < w.end && i < STEPS_MAX; i++) {
		step(&w);
		cw_overlay_info(w.overlay, &info);
		CW_ASSERT(info.links <= LINKS && info.known <= KNOWN_BOUND + LINKS);
		CW_ASSERT(w.connects <= STEPS_MAX + 64);
	}
	cw_overlay_leave(w.overlay, w.now_ns);
	cw_overlay_destroy(w.overlay);
	return 0;
}
