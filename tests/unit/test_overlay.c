/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the overlay takes and what it refuses, where the simulator does not look: signed messages
 * that come again after many others have signed, from clocks that are off, from more sources than
 * there is room for; messages that make it send, by the thousand. Sources are whole overlays whose
 * frames are caught on their way to a node between, and handed in there.
 */
#include <stdlib.h>
#include <string.h>

#include <cw_overlay.h>
#include <overlay.pb-c.h>

#include "cw_test.h"

enum { SOURCES_MAX = 2200, FRAME_MAX = 2048, RECEIVER = 9999 };

struct frame {
	uint8_t data[FRAME_MAX];
	size_t len;
};

struct party {
	struct cw_node_id id;
	struct cw_overlay *overlay;
	struct frame last, signed_last;
	struct cw_node_id signed_by; /* the link it left by */
	unsigned int sent, signed_sent, connects, delivered;
	uint64_t unix_s, now_ns;
};

/* Our own virtual subnet, once it is forbidden. */
static const struct cw_prefix4 subnet = {RTE_BE32(0x0a800000), 16};
static const struct cw_log quiet;
static struct party receiver;
/* On the ring between all sources and the receiver, and beside it: all goes by it. */
static const struct cw_node_id between = {{0xaa, RECEIVER >> 8, (RECEIVER & 0xff) - 1, 0xff}};

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
}

static int op_connect(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *endpoints,
		      unsigned int count, uint64_t now_ns)
{
	struct party *p = ctx;

	(void)node;
	(void)now_ns;
	for (unsigned int i = 0; i < count; i++)
		CU_ASSERT_FALSE(cw_prefix4_contains(&subnet, endpoints[i].ip4));
	p->connects++;
	return 0;
}

static int op_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
		   uint64_t now_ns)
{
	struct party *p = ctx;
	Causeway__Overlay__Frame *frame = causeway__overlay__frame__unpack(NULL, len, data);

	(void)now_ns;
	p->sent++;
	CU_ASSERT_FATAL(frame != NULL && len <= sizeof(p->last.data));
	memcpy(p->last.data, data, len);
	p->last.len = len;
	if (frame->body_case == CAUSEWAY__OVERLAY__FRAME__BODY_SIGNED) {
		p->signed_last = p->last;
		p->signed_by = *to;
		p->signed_sent++;
	}
	causeway__overlay__frame__free_unpacked(frame, NULL);
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
	(void)ctx;
	(void)node;
	(void)class;
	(void)now_ns;
}

static void op_deliver(void *ctx, enum cw_overlay_service service, const struct cw_node_id *from,
		       const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct party *p = ctx;

	(void)from;
	(void)now_ns;
	CU_ASSERT_TRUE(service == CW_OVERLAY_LEASE && len == 4 && memcmp(data, "word", 4) == 0);
	p->delivered++;
}

static void op_node(void *ctx, const struct cw_overlay_node *node, bool linked, uint64_t now_ns)
{
	(void)ctx;
	(void)node;
	(void)linked;
	(void)now_ns;
}

static void op_remember(void *ctx, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
}

static uint64_t op_unix_s(void *ctx)
{
	const struct party *p = ctx;

	return p->unix_s;
}

static const struct cw_overlay_ops ops = {.connect = op_connect,
					  .send = op_send,
					  .close = op_close,
					  .classify = op_classify,
					  .deliver = op_deliver,
					  .node = op_node,
					  .remember = op_remember,
					  .unix_s = op_unix_s};

/* A signature is a sum over the signer's ID and the bytes; a certificate is the ID. */
static uint64_t sum_of(const struct cw_node_id *id, const uint8_t *at, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof(id->b); i++)
		h = (h ^ id->b[i]) * UINT64_C(0x100000001b3);
	while (len-- > 0)
		h = (h ^ *at++) * UINT64_C(0x100000001b3);
	return h;
}

static int sign(void *self, const void *data, size_t len, uint8_t *signature, size_t *signature_len)
{
	const struct party *p = self;
	uint64_t sum = sum_of(&p->id, data, len);

	memcpy(signature, &sum, sizeof(sum));
	*signature_len = sizeof(sum);
	return 0;
}

static const uint8_t *certificate(void *self, size_t *len)
{
	const struct party *p = self;

	*len = sizeof(p->id.b);
	return p->id.b;
}

static struct cw_public_key *verify(void *self, const uint8_t *der, size_t len,
				    struct cw_identity *out, const char **why)
{
	struct cw_node_id *key = malloc(sizeof(*key));

	(void)self;
	*why = "not signed by our CA";
	CU_ASSERT_FATAL(key != NULL && len == sizeof(key->b));
	memcpy(key->b, der, len);
	if (key->b[0] == 0xbb) {
		free(key);
		return NULL;
	}
	*out = (struct cw_identity){.node = *key};
	return (struct cw_public_key *)key;
}

static bool check(const struct cw_public_key *key, const void *data, size_t len,
		  const uint8_t *signature, size_t signature_len)
{
	uint64_t sum = sum_of((const struct cw_node_id *)(const void *)key, data, len);

	return signature_len == sizeof(sum) && memcmp(signature, &sum, sizeof(sum)) == 0;
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

static void begin_as(struct party *p, struct cw_node_id id)
{
	struct cw_overlay_config config = {
		.log = &quiet, .random = {.fill = fill}, .signer = &signer, .session = 1};
	struct cw_identity node = {.node = between, .name = "between"};
	struct cw_endpoint at = {.family = CW_FAMILY_IPV4, .port = 1, .ip4 = 1};

	*p = (struct party){.unix_s = 1800000000, .now_ns = CW_NS_PER_S};
	p->id = id;
	config.self = id;
	config.signer_self = p;
	CU_ASSERT_FATAL(cw_overlay_create(&p->overlay, &config, &ops, p) == 0);
	cw_overlay_link_up(p->overlay, &node, &at, p->now_ns);
}

static void begin(struct party *p, unsigned int number)
{
	begin_as(p, (struct cw_node_id){{0xaa, (uint8_t)(number >> 8), (uint8_t)number}});
}

/* A message of a source to the receiver, as it left towards the node between. */
static void say(struct party *source, struct frame *out)
{
	CU_ASSERT_FATAL(cw_overlay_send(source->overlay, CW_OVERLAY_LEASE, &receiver.id, "word", 4,
					source->now_ns) == 0);
	*out = source->last;
}

/* @return whether the receiver believed it. */
static bool hand_in(const struct frame *f)
{
	unsigned int before = receiver.delivered;

	cw_overlay_input(receiver.overlay, &between, f->data, f->len, receiver.now_ns);
	return receiver.delivered != before;
}

static void pass(uint64_t seconds)
{
	receiver.unix_s += seconds;
	receiver.now_ns += seconds * CW_NS_PER_S;
}

static bool say_one(unsigned int number, struct frame *out)
{
	struct party source;

	begin(&source, number);
	source.unix_s = receiver.unix_s;
	say(&source, out);
	cw_overlay_destroy(source.overlay);
	return hand_in(out);
}

static void test_a_signed_message_is_taken_once_whoever_signs_meanwhile(void)
{
	struct frame first, other;

	begin(&receiver, RECEIVER);
	CU_ASSERT_TRUE(say_one(1, &first));
	CU_ASSERT_FALSE(hand_in(&first));
	/* More than there are certificates kept. */
	for (unsigned int i = 2; i < 202; i++) {
		CU_ASSERT_TRUE(say_one(i, &other));
		pass(1);
	}
	CU_ASSERT_FALSE(hand_in(&first));
	/* Long after, when its numbers are forgotten, it is too old. */
	pass(20 * 60);
	for (unsigned int i = 202; i < 502; i++)
		CU_ASSERT_TRUE(say_one(i, &other));
	CU_ASSERT_FALSE(hand_in(&first));
	cw_overlay_destroy(receiver.overlay);
}

static void test_a_message_from_another_time_is_refused(void)
{
	const int64_t off_s[] = {0, 299, -299, 302, -302, 1000000, -1000000};
	struct cw_overlay_info info;
	struct party source;
	struct frame f;

	begin(&receiver, RECEIVER);
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(off_s); i++) {
		begin(&source, i);
		source.unix_s = (uint64_t)((int64_t)receiver.unix_s + off_s[i]);
		say(&source, &f);
		CU_ASSERT_EQUAL(hand_in(&f), off_s[i] * off_s[i] < 300 * 300);
		cw_overlay_destroy(source.overlay);
	}
	cw_overlay_info(receiver.overlay, &info);
	CU_ASSERT_EQUAL(info.signatures_late, 4);
	/* Whoever does not know the time judges none, and still takes each only once. */
	receiver.unix_s = 0;
	begin(&source, 77);
	say(&source, &f);
	CU_ASSERT_TRUE(hand_in(&f));
	CU_ASSERT_FALSE(hand_in(&f));
	cw_overlay_destroy(source.overlay);
	cw_overlay_destroy(receiver.overlay);
}

static void test_sources_beyond_the_bound_are_refused_and_old_ones_heard(void)
{
	struct cw_overlay_info info;
	struct party known;
	struct frame f, first;
	unsigned int taken = 0;

	begin(&receiver, RECEIVER);
	begin(&known, 5000);
	say(&known, &first);
	CU_ASSERT_TRUE(hand_in(&first));
	for (unsigned int i = 0; i < SOURCES_MAX; i++)
		taken += say_one(i, &f);
	CU_ASSERT_EQUAL(taken, 2047);
	cw_overlay_info(receiver.overlay, &info);
	CU_ASSERT_EQUAL(info.sources_refused, SOURCES_MAX - 2047);
	/* Its certificate gave way to others': it is asked for, and comes with the next message. */
	say(&known, &f);
	CU_ASSERT_FALSE(hand_in(&f));
	cw_overlay_input(known.overlay, &between, receiver.last.data, receiver.last.len,
			 known.now_ns);
	say(&known, &f);
	CU_ASSERT_TRUE(hand_in(&f));
	CU_ASSERT_FALSE(hand_in(&first));
	/* Ten minutes later there is room again. */
	pass(601);
	CU_ASSERT_TRUE(say_one(SOURCES_MAX, &f));
	cw_overlay_destroy(known.overlay);
	cw_overlay_destroy(receiver.overlay);
}

static void test_a_bent_message_is_never_believed(void)
{
	struct party source;
	struct frame f, bent;

	begin(&receiver, RECEIVER);
	begin(&source, 1);
	say(&source, &f);
	for (size_t i = 0; i < f.len * 8; i++) {
		bent = f;
		bent.data[i / 8] ^= (uint8_t)(1u << i % 8);
		/* Hop count and the like are nobody's word; the message may be taken by them. */
		if (hand_in(&bent)) {
			cw_overlay_destroy(receiver.overlay);
			begin(&receiver, RECEIVER);
		}
	}
	CU_ASSERT_TRUE(hand_in(&f));
	cw_overlay_destroy(source.overlay);
	cw_overlay_destroy(receiver.overlay);
}

/* From a node inside that has gone bad: thousands of nodes that want links, or are told of. */
static void flood(unsigned int count, bool connect_to)
{
	Causeway__Overlay__Node node = CAUSEWAY__OVERLAY__NODE__INIT, *list[] = {&node};
	Causeway__Overlay__ConnectTo wish = CAUSEWAY__OVERLAY__CONNECT_TO__INIT;
	Causeway__Overlay__Nodes nodes = CAUSEWAY__OVERLAY__NODES__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;
	uint8_t id[CW_NODE_ID_BYTES] = {1}, at[19] = {CW_FAMILY_IPV4, 1, 1, 9};
	ProtobufCBinaryData endpoint = {sizeof(at), at};
	struct frame f;

	node.id = (ProtobufCBinaryData){sizeof(id), id};
	node.endpoints = &endpoint;
	node.n_endpoints = 1;
	wish.node = &node;
	wish.kind = 1;
	nodes.known = list;
	nodes.n_known = 1;
	frame.version = 1;
	if (connect_to) {
		frame.source = node.id;
		frame.destination =
			(ProtobufCBinaryData){CW_NODE_ID_BYTES, (uint8_t *)receiver.id.b};
		frame.mode = 1;
		frame.ttl = 9;
		frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_CONNECT_TO;
		frame.connect_to = &wish;
	} else {
		frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_NODES;
		frame.nodes = &nodes;
	}
	for (unsigned int i = 0; i < count; i++) {
		memcpy(id + 4, &i, sizeof(i));
		memcpy(at + 4, &i, 3);
		f.len = causeway__overlay__frame__pack(&frame, f.data);
		hand_in(&f);
		cw_overlay_timer(receiver.overlay, receiver.now_ns);
	}
}

static void test_a_flood_of_wishes_and_rumours_leaves_nothing_behind(void)
{
	struct cw_overlay_info info;
	unsigned int connects;

	begin(&receiver, RECEIVER);
	for (unsigned int second = 0; second < 10; second++) {
		connects = receiver.connects;
		flood(1000, true);
		/* 64 wishes, and the candidates of both sides as they come due. */
		CU_ASSERT_TRUE(receiver.connects - connects <= 64 + 2 * 6 + 48);
		cw_overlay_info(receiver.overlay, &info);
		CU_ASSERT_TRUE(info.known <= 48 + 1);
		CU_ASSERT_EQUAL(info.connect_to_in, 64 * (second + 1));
		flood(1000, false);
		cw_overlay_info(receiver.overlay, &info);
		CU_ASSERT_TRUE(info.known <= 48 + 1);
		pass(1);
	}
	cw_overlay_destroy(receiver.overlay);
}

static unsigned int rerouted(const struct party *p)
{
	struct cw_overlay_info info;

	cw_overlay_info(p->overlay, &info);
	return (unsigned int)info.rerouted;
}

/* Two ways to the receiver: by the node between, which is nearer, and by a detour. */
static void begin_with_detour(struct party *p, const struct cw_node_id *detour)
{
	struct cw_identity node = {.node = *detour, .name = "detour"};
	struct cw_endpoint at = {.family = CW_FAMILY_IPV4, .port = 1, .ip4 = 2};

	begin(p, 1);
	cw_overlay_link_up(p->overlay, &node, &at, p->now_ns);
}

static void lose_between(struct party *p)
{
	cw_overlay_link_down(p->overlay, &between, p->now_ns);
	/* One call for the news, one for what it caused. */
	for (unsigned int i = 0; i < 3; i++)
		cw_overlay_timer(p->overlay, p->now_ns);
}

static void test_what_left_by_a_dying_link_goes_another_way_once(void)
{
	static const struct cw_node_id detour = {{0xaa, 0x10}};
	struct party source;
	struct frame first;

	begin(&receiver, RECEIVER);
	begin_with_detour(&source, &detour);
	say(&source, &first);
	CU_ASSERT_TRUE(cw_node_id_equal(&source.signed_by, &between));
	source.now_ns += 2 * CW_NS_PER_S;
	cw_overlay_timer(source.overlay, source.now_ns);
	CU_ASSERT_EQUAL(source.signed_sent, 1);
	lose_between(&source);
	CU_ASSERT_EQUAL(source.signed_sent, 2);
	CU_ASSERT_EQUAL(rerouted(&source), 1);
	CU_ASSERT_TRUE(cw_node_id_equal(&source.signed_by, &detour));
	/* If the link was alive after all, its message came; the second one is the same. */
	CU_ASSERT_TRUE(hand_in(&source.signed_last));
	CU_ASSERT_FALSE(hand_in(&first));
	cw_overlay_destroy(source.overlay);
	cw_overlay_destroy(receiver.overlay);
}

static void test_what_left_long_ago_or_by_another_link_stays(void)
{
	static const struct cw_node_id detour = {{0xaa, 0x10}};
	struct party source;
	struct frame f;

	begin_with_detour(&source, &detour);
	say(&source, &f);
	source.now_ns += 3 * CW_NS_PER_S;
	lose_between(&source);
	CU_ASSERT_EQUAL(rerouted(&source), 0);
	say(&source, &f);
	CU_ASSERT_TRUE(cw_node_id_equal(&source.signed_by, &detour));
	lose_between(&source);
	CU_ASSERT_EQUAL(rerouted(&source), 0);
	cw_overlay_destroy(source.overlay);
}

static void test_kept_frames_are_bounded_and_the_newest_stay(void)
{
	static const struct cw_node_id detour = {{0xaa, 0x10}};
	struct party source;
	struct frame first, newest;

	begin(&receiver, RECEIVER);
	begin_with_detour(&source, &detour);
	say(&source, &first);
	CU_ASSERT_TRUE(hand_in(&first));
	for (unsigned int i = 0; i < 1000; i++)
		say(&source, &newest);
	lose_between(&source);
	CU_ASSERT_EQUAL(rerouted(&source), 32);
	CU_ASSERT_TRUE(hand_in(&source.signed_last));
	CU_ASSERT_FALSE(hand_in(&newest));
	cw_overlay_destroy(source.overlay);
	cw_overlay_destroy(receiver.overlay);
}

/* Somebody beside us on the ring speaks of a node: in a ConnectTo of its own name, or as news. */
static void speak_of(const struct cw_node_id *source, const struct cw_node_id *of, rte_be32_t ip,
		     bool reply, uint64_t token)
{
	Causeway__Overlay__Node node = CAUSEWAY__OVERLAY__NODE__INIT;
	Causeway__Overlay__ConnectTo wish = CAUSEWAY__OVERLAY__CONNECT_TO__INIT;
	Causeway__Overlay__Frame frame = CAUSEWAY__OVERLAY__FRAME__INIT;
	uint8_t at[19] = {CW_FAMILY_IPV4, 1, 1};
	ProtobufCBinaryData endpoint = {sizeof(at), at};
	struct frame f;

	memcpy(at + 3, &ip, sizeof(ip));
	node.id = (ProtobufCBinaryData){CW_NODE_ID_BYTES, (uint8_t *)of->b};
	node.endpoints = &endpoint;
	node.n_endpoints = 1;
	wish.node = &node;
	wish.kind = reply ? 2 : 1;
	wish.reply = reply;
	wish.token = token;
	frame.version = 1;
	frame.source = (ProtobufCBinaryData){CW_NODE_ID_BYTES, (uint8_t *)source->b};
	frame.destination = (ProtobufCBinaryData){CW_NODE_ID_BYTES, (uint8_t *)receiver.id.b};
	frame.mode = 1;
	frame.ttl = 9;
	frame.body_case = CAUSEWAY__OVERLAY__FRAME__BODY_CONNECT_TO;
	frame.connect_to = &wish;
	f.len = causeway__overlay__frame__pack(&frame, f.data);
	hand_in(&f);
	for (unsigned int i = 0; i < 3; i++)
		cw_overlay_timer(receiver.overlay, receiver.now_ns);
}

static void test_no_path_leads_over_our_own_subnet(void)
{
	static const struct cw_node_id near = {{0xaa, RECEIVER >> 8, (RECEIVER & 0xff) + 1}};
	const struct cw_endpoint inside = {
		.family = CW_FAMILY_IPV4, .port = 0x101, .ip4 = RTE_BE32(0x0a800105)};
	const struct cw_endpoint outside = {
		.family = CW_FAMILY_IPV4, .port = 0x101, .ip4 = RTE_BE32(0x0a810105)};
	const struct cw_overlay_node *n;

	begin(&receiver, RECEIVER);
	/* Learnt while nobody knew: it is not tried any more. */
	cw_overlay_remembered(receiver.overlay, &near, &inside, 1, receiver.now_ns);
	n = cw_overlay_find(receiver.overlay, &near);
	CU_ASSERT_TRUE(n != NULL && n->endpoint_count == 1);
	CU_ASSERT_TRUE(cw_overlay_admits(receiver.overlay, &inside));
	cw_overlay_forbid(receiver.overlay, &subnet);
	CU_ASSERT_EQUAL(n->endpoint_count, 0);
	CU_ASSERT_FALSE(cw_overlay_admits(receiver.overlay, &inside));
	CU_ASSERT_FALSE(cw_overlay_usable(receiver.overlay, &inside));
	CU_ASSERT_TRUE(cw_overlay_admits(receiver.overlay, &outside));
	/* Whoever names it, and however: op_connect judges. */
	speak_of(&near, &near, inside.ip4, false, 0);
	cw_overlay_remembered(receiver.overlay, &near, &inside, 1, receiver.now_ns);
	cw_overlay_discovered(receiver.overlay, &inside, receiver.now_ns);
	cw_overlay_set_bootstrap(receiver.overlay, &inside, 1);
	cw_overlay_link_down(receiver.overlay, &between, receiver.now_ns);
	for (unsigned int i = 0; i < 600; i++) {
		receiver.now_ns += CW_NS_PER_S / 10;
		cw_overlay_timer(receiver.overlay, receiver.now_ns);
	}
	CU_ASSERT_TRUE(receiver.connects > 0); /* the node between is looked for */
	n = cw_overlay_find(receiver.overlay, &near);
	CU_ASSERT_TRUE(n != NULL && n->endpoint_count == 0);
	cw_overlay_destroy(receiver.overlay);
}

static void test_a_forged_connect_to_moves_nothing(void)
{
	static const struct cw_node_id other = {{0xaa, 0x10}};
	struct cw_overlay_info before, after;
	unsigned int ours, theirs, connects;

	begin(&receiver, RECEIVER);
	cw_overlay_timer(receiver.overlay, receiver.now_ns);
	connects = receiver.connects;
	cw_overlay_info(receiver.overlay, &before);
	/* Of a node in another's name. */
	speak_of(&other, &between, RTE_BE32(0x09090909), false, 0);
	CU_ASSERT_EQUAL(receiver.connects, connects);
	/* In our own name. */
	speak_of(&receiver.id, &receiver.id, RTE_BE32(0x09090909), false, 0);
	CU_ASSERT_EQUAL(receiver.connects, connects);
	/* In the name of a node that we are linked to: its link stays where it is. */
	speak_of(&between, &between, RTE_BE32(0x09090909), false, 0);
	CU_ASSERT_EQUAL(receiver.connects, connects);
	/* An answer that nobody asked for makes no shortcut. */
	speak_of(&between, &between, RTE_BE32(0x09090909), true, 77);
	cw_overlay_needs(receiver.overlay, &between, &ours, &theirs);
	CU_ASSERT_FALSE(ours & CW_OVERLAY_NEED_FAR);
	cw_overlay_info(receiver.overlay, &after);
	CU_ASSERT_EQUAL(before.links, after.links);
	CU_ASSERT_EQUAL(before.known, after.known);
	cw_overlay_destroy(receiver.overlay);
}

/* 0xbb: of a network with another CA. Its ring met ours, say by a link of somebody in both. */
static void test_a_message_of_another_network_is_not_believed(void)
{
	struct cw_overlay_info info;
	struct party stranger;
	struct frame f;

	begin(&receiver, RECEIVER);
	begin_as(&stranger, (struct cw_node_id){{0xbb, 1}});
	for (unsigned int i = 0; i < 100; i++) {
		say(&stranger, &f);
		CU_ASSERT_FALSE(hand_in(&f));
	}
	CU_ASSERT_PTR_NULL(cw_overlay_identity(receiver.overlay, &stranger.id));
	cw_overlay_info(receiver.overlay, &info);
	CU_ASSERT_EQUAL(info.signatures_checked, 0);
	CU_ASSERT_EQUAL(info.known, 1);
	cw_overlay_destroy(stranger.overlay);
	cw_overlay_destroy(receiver.overlay);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a signed message is taken once, whoever signs meanwhile",
		 test_a_signed_message_is_taken_once_whoever_signs_meanwhile},
		{"a message from another time is refused",
		 test_a_message_from_another_time_is_refused},
		{"sources beyond the bound are refused, old ones heard",
		 test_sources_beyond_the_bound_are_refused_and_old_ones_heard},
		{"a flood of wishes and rumours leaves nothing behind",
		 test_a_flood_of_wishes_and_rumours_leaves_nothing_behind},
		{"what left by a dying link goes another way, and is taken once",
		 test_what_left_by_a_dying_link_goes_another_way_once},
		{"what left long ago, or by another link, stays",
		 test_what_left_long_ago_or_by_another_link_stays},
		{"kept frames are bounded, and the newest stay",
		 test_kept_frames_are_bounded_and_the_newest_stay},
		{"no path leads over our own subnet", test_no_path_leads_over_our_own_subnet},
		{"a forged ConnectTo moves nothing", test_a_forged_connect_to_moves_nothing},
		{"a message of another network is not believed",
		 test_a_message_of_another_network_is_not_believed},
		{"a bent message is never believed", test_a_bent_message_is_never_believed},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("overlay", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
