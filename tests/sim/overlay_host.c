/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One node of the overlay's world: lib/link and lib/overlay bound to each other as lib/control
 * binds them, with a stand-in for signatures (a sum that only the true signer can make), a small
 * disk for remembered peers, and a forger for what insiders may try.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay_world.h"

#include "overlay.pb-c.h"

static uint64_t clock_of(const struct overlay_host *h)
{
	return (uint64_t)((int64_t)under_now(h->world->under) + h->skew_ns);
}

static void fill(void *ctx, void *buf, size_t len)
{
	struct overlay_world *w = ctx;
	uint8_t *at = buf;

	while (len > 0) {
		uint64_t random = sim_random(&w->random);
		size_t n = len < sizeof(random) ? len : sizeof(random);

		memcpy(at, &random, n);
		at += n;
		len -= n;
	}
}

static struct overlay_host *host_of(struct overlay_world *w, const struct cw_node_id *id)
{
	uint32_t index;

	/* The last bytes of an ID are its index: found without a search. */
	memcpy(&index, id->b + CW_NODE_ID_BYTES - sizeof(index), sizeof(index));
	return index < w->count && cw_node_id_equal(&w->hosts[index].id, id) ? &w->hosts[index]
									     : NULL;
}

__extension__ typedef unsigned __int128 u128;

bool overlay_nearer(const struct cw_node_id *key, const struct cw_node_id *a,
		    const struct cw_node_id *b)
{
	u128 k = 0, x = 0, y = 0;

	for (unsigned int i = 0; i < 16; i++) {
		k = k << 8 | key->b[i];
		x = x << 8 | a->b[i];
		y = y << 8 | b->b[i];
	}
	x = x - k < k - x ? x - k : k - x;
	y = y - k < k - y ? y - k : k - y;
	return x < y;
}

/* -- signatures: the world knows whose they are */

struct public
{
	struct cw_node_id node;
};

static uint64_t sum_of(const struct cw_node_id *node, const void *data, size_t len)
{
	const uint8_t *at = data;
	uint64_t h;

	memcpy(&h, node->b, sizeof(h));
	while (len-- > 0)
		h = (h ^ *at++) * UINT64_C(0x100000001b3);
	return h;
}

static int sign(void *self, const void *data, size_t len, uint8_t *signature, size_t *signature_len)
{
	struct overlay_host *h = self;
	uint64_t sum = sum_of(&h->id, data, len);

	memset(signature, 0, 72);
	memcpy(signature, &sum, sizeof(sum));
	*signature_len = 72;
	return 0;
}

static const uint8_t *certificate(void *self, size_t *len)
{
	static uint8_t der[600];
	struct overlay_host *h = self;

	memcpy(der, h->id.b, sizeof(h->id.b));
	*len = sizeof(der);
	return der;
}

static struct cw_public_key *verify(void *self, const uint8_t *der, size_t len,
				    struct cw_identity *out, const char **why)
{
	struct overlay_host *h = self;
	struct public *key;

	*why = "no certificate";
	*out = (struct cw_identity){.roles = CW_ROLE_GATEWAY};
	if (len != 600)
		return NULL;
	memcpy(out->node.b, der, sizeof(out->node.b));
	if (host_of(h->world, &out->node) == NULL)
		return NULL;
	key = malloc(sizeof(*key));
	CW_ASSERT(key != NULL);
	*key = (struct public){out->node};
	return (struct cw_public_key *)key;
}

static bool check(const struct cw_public_key *key, const void *data, size_t len,
		  const uint8_t *signature, size_t signature_len)
{
	const struct public *p = (const void *)key;
	uint64_t sum = sum_of(&p->node, data, len);

	return signature_len == 72 && memcmp(signature, &sum, sizeof(sum)) == 0;
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

/* -- ops of lib/link */

static void op_send(void *ctx, const struct cw_endpoint *to, const void *data, size_t len)
{
	struct overlay_host *h = ctx;

	under_send(h->world->under, h->index, to, data, len);
}

/* What the DTLS engine sends, which may go through a relay. */
static void op_output(void *ctx, const struct cw_endpoint *to, const void *data, size_t len)
{
	struct overlay_host *h = ctx;

	if (h->links != NULL)
		cw_links_output(h->links, to, data, len);
}

static void op_relayed(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *path,
		       uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	if (h->overlay != NULL)
		cw_overlay_relayed(h->overlay, node, path, now_ns);
}

static void op_up(void *ctx, const struct cw_identity *identity, const struct cw_endpoint *path,
		  uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	if (h->overlay != NULL)
		cw_overlay_link_up(h->overlay, identity, path, now_ns);
}

static void op_down(void *ctx, const struct cw_node_id *node, enum cw_link_down_reason why,
		    uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	(void)why;
	if (h->overlay != NULL)
		cw_overlay_link_down(h->overlay, node, now_ns);
}

static void op_moved(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *path,
		     uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	if (h->overlay != NULL)
		cw_overlay_moved(h->overlay, node, path, now_ns);
}

static void op_message(void *ctx, const struct cw_node_id *from, const uint8_t *data, size_t len,
		       uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	cw_overlay_input(h->overlay, from, data, len, now_ns);
}

static int op_spi_alloc(void *ctx, const struct cw_node_id *peer, uint8_t worker, uint32_t *spi)
{
	struct overlay_host *h = ctx;

	(void)peer;
	(void)worker;
	*spi = UINT32_C(0x80000000) + h->next_spi++ % (1u << 24);
	return 0;
}

static void op_spi_free(void *ctx, uint32_t spi)
{
	(void)ctx;
	(void)spi;
}

static int op_sa_install(void *ctx, const struct cw_link_sa *sa, uint64_t now_ns)
{
	(void)ctx;
	(void)sa;
	(void)now_ns;
	return 0;
}

static void op_sa_retire(void *ctx, const struct cw_node_id *peer, bool outbound,
			 uint32_t generation, uint64_t now_ns)
{
	(void)ctx;
	(void)peer;
	(void)outbound;
	(void)generation;
	(void)now_ns;
}

static void op_reflexive(void *ctx, const struct cw_endpoint *seen, uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	cw_overlay_endpoint(h->overlay, seen, now_ns);
}

static void op_refused(void *ctx, const struct cw_endpoint *from, const char *why, uint64_t now_ns)
{
	(void)ctx;
	(void)from;
	(void)why;
	(void)now_ns;
}

/* -- ops of lib/overlay */

static int op_connect(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *endpoints,
		      unsigned int count, uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	return cw_links_connect(h->links, node, endpoints, count, now_ns);
}

/* What passes a node that looks into it. */
static void catch_signed(struct overlay_world *w, const uint8_t *data, size_t len)
{
	Causeway__Overlay__Frame *frame = causeway__overlay__frame__unpack(NULL, len, data);

	if (frame == NULL)
		return;
	if (frame->body_case == CAUSEWAY__OVERLAY__FRAME__BODY_SIGNED &&
	    frame->signed_->certificate.len > 0) {
		memcpy(w->caught, data, len);
		w->caught_len = len;
	}
	causeway__overlay__frame__free_unpacked(frame, NULL);
}

static int op_overlay_send(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
			   uint64_t now_ns)
{
	struct overlay_host *h = ctx;
	struct overlay_world *w = h->world;

	if (len <= sizeof(w->caught) && sim_chance(&w->random, 100))
		catch_signed(w, data, len);
	return cw_links_send(h->links, to, data, len, now_ns);
}

static int op_relay(void *ctx, const struct cw_node_id *relay, const struct cw_node_id *peer,
		    uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	return cw_links_relay(h->links, relay, peer, now_ns);
}

static void op_close(void *ctx, const struct cw_node_id *node, uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	cw_links_close(h->links, node, now_ns);
}

static void op_classify(void *ctx, const struct cw_node_id *node, enum cw_overlay_class class,
			uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	(void)cw_links_classify(h->links, node,
				class == CW_OVERLAY_CLASS_NEAR ? CW_LINK_NEAR : CW_LINK_FAR,
				now_ns);
}

static void op_busy(void *ctx, const struct cw_node_id *node, uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	cw_links_busy(h->links, node, now_ns);
}

static void op_deliver(void *ctx, enum cw_overlay_service service, const struct cw_node_id *from,
		       const uint8_t *data, size_t len, uint64_t now_ns)
{
	(void)service;
	(void)now_ns;
	overlay_delivered(ctx, from, data, len);
}

static void op_node(void *ctx, const struct cw_overlay_node *node, bool linked, uint64_t now_ns)
{
	(void)ctx;
	(void)node;
	(void)linked;
	(void)now_ns;
}

static void remember_one(void *arg, const struct cw_overlay_node *node)
{
	struct overlay_host *h = arg;

	if (!node->linked || node->endpoint_count == 0 ||
	    h->remembered_count == CW_ARRAY_SIZE(h->remembered))
		return;
	h->remembered[h->remembered_count] = node->identity.node;
	h->remembered_at[h->remembered_count++] = node->endpoints[0];
}

/* Wall clocks are up to two minutes off the truth. */
static uint64_t op_unix_s(void *ctx)
{
	struct overlay_host *h = ctx;

	return UINT64_C(1800000000) + under_now(h->world->under) / CW_NS_PER_S +
	       h->index * 7919u % 240;
}

static void op_remember(void *ctx, uint64_t now_ns)
{
	struct overlay_host *h = ctx;

	(void)now_ns;
	h->remembered_count = 0;
	cw_overlay_visit(h->overlay, remember_one, h);
}

/* -- life */

static const struct cw_link_ops link_ops = {.send = op_send,
					    .up = op_up,
					    .down = op_down,
					    .moved = op_moved,
					    .message = op_message,
					    .spi_alloc = op_spi_alloc,
					    .spi_free = op_spi_free,
					    .sa_install = op_sa_install,
					    .sa_retire = op_sa_retire,
					    .reflexive = op_reflexive,
					    .refused = op_refused,
					    .relayed = op_relayed};
static const struct cw_overlay_ops overlay_ops = {.connect = op_connect,
						  .send = op_overlay_send,
						  .relay = op_relay,
						  .close = op_close,
						  .classify = op_classify,
						  .busy = op_busy,
						  .deliver = op_deliver,
						  .node = op_node,
						  .unix_s = op_unix_s,
						  .remember = op_remember};

static void wake(struct overlay_host *h)
{
	uint64_t now = clock_of(h), next = cw_links_timer(h->links, now);

	next = cw_min_u64(next, cw_overlay_timer(h->overlay, now));
	/* One may have woken the other. */
	next = cw_min_u64(next, cw_links_timer(h->links, now));
	if (next != CW_NEVER)
		under_wake(h->world->under, h->index,
			   under_now(h->world->under) +
				   (next > now ? next - now : CW_NS_PER_MS / 10));
}

void overlay_start(struct overlay_host *h)
{
	struct overlay_world *w = h->world;
	struct dtls_stand_in_params dtls = {.node = h->id,
					    .name = h->name,
					    .site = "",
					    .random = {.fill = fill, .ctx = w},
					    .send = op_output,
					    .send_ctx = h};
	struct cw_link_config link = {.self = h->id,
				      .workers = 1,
				      .random = {.fill = fill, .ctx = w},
				      .dtls = &dtls_stand_in_ops,
				      .kdf = dtls_stand_in_kdf,
				      .mutate = w->mutate_link};
	struct cw_overlay_config overlay = {.self = h->id,
					    .random = {.fill = fill, .ctx = w},
					    .signer = &signer,
					    .signer_self = h,
					    .session = h->incarnation + 1,
					    .mutate = w->mutate,
					    .endpoint_count = 1};

	h->engine = dtls_stand_in_create(&dtls);
	link.engine = h->engine;
	CW_ASSERT(cw_links_create(&h->links, &link, &link_ops, h) == 0);
	overlay.endpoints[0] = *under_address(w->under, h->index);
	for (unsigned int i = 0; i < w->bootstraps && i < w->count; i++)
		if (i != h->index)
			overlay.bootstrap[overlay.bootstrap_count++] = *under_address(w->under, i);
	CW_ASSERT(cw_overlay_create(&h->overlay, &overlay, &overlay_ops, h) == 0);
	for (unsigned int i = 0; i < h->remembered_count; i++)
		cw_overlay_remembered(h->overlay, &h->remembered[i], &h->remembered_at[i], 1,
				      clock_of(h));
	h->up = true;
	h->incarnation++;
	h->started_ns = under_now(w->under);
	wake(h);
}

void overlay_stop(struct overlay_host *h, bool crash)
{
	struct cw_overlay *overlay = h->overlay;

	if (!h->up)
		return;
	if (!crash)
		cw_overlay_leave(overlay, clock_of(h));
	under_set_group(h->world->under, h->index, crash ? h->index + 100 : 0);
	h->overlay = NULL;
	cw_overlay_destroy(overlay);
	cw_links_destroy(h->links);
	dtls_stand_in_destroy(h->engine);
	h->links = NULL;
	h->up = false;
	/* Half of them lose what they remembered. */
	if (sim_chance(&h->world->random, 500))
		h->remembered_count = 0;
	under_set_group(h->world->under, h->index, 0);
}

static void on_timer(void *ctx, unsigned int index)
{
	struct overlay_world *w = ctx;

	if (w->hosts[index].up)
		wake(&w->hosts[index]);
}

static void on_datagram(void *ctx, unsigned int index, const struct cw_endpoint *from,
			const uint8_t *data, size_t len)
{
	struct overlay_world *w = ctx;
	struct overlay_host *h = &w->hosts[index];

	if (!h->up || (w->tap != NULL && w->tap(w, index, data, len)))
		return;
	cw_links_input(h->links, from, data, len, clock_of(h));
	wake(h);
}

void overlay_set_up(struct overlay_world *w, unsigned int nodes, unsigned int bootstraps)
{
	static const struct under_ops ops = {.deliver = on_datagram, .timer = on_timer};

	w->count = nodes;
	w->bootstraps = bootstraps < nodes ? bootstraps : 1;
	w->hosts = calloc(nodes, sizeof(*w->hosts));
	w->ring = calloc(nodes, sizeof(*w->ring));
	CW_ASSERT(w->hosts != NULL && w->ring != NULL);
	w->under = under_create(nodes, &w->random, &ops, w);
	*under_conditions(w->under) = (struct under_conditions){.delay_ns = 50 * CW_NS_PER_MS,
								.jitter_ns = 2 * CW_NS_PER_MS,
								.slow_ns = 2 * CW_NS_PER_S,
								.duplicate_ns = 3 * CW_NS_PER_S};
	for (uint32_t i = 0; i < nodes; i++) {
		struct overlay_host *h = &w->hosts[i];
		struct cw_endpoint at = {.family = CW_FAMILY_IPV4,
					 .port = rte_cpu_to_be_16(7100),
					 .ip4 = rte_cpu_to_be_32(0x0b000001 + i)};

		h->world = w;
		h->index = i;
		fill(w, h->id.b, sizeof(h->id.b));
		memcpy(h->id.b + CW_NODE_ID_BYTES - sizeof(i), &i, sizeof(i));
		snprintf(h->name, sizeof(h->name), "node%u", i);
		h->skew_ns = (int64_t)(sim_random(&w->random) % (1000 * CW_NS_PER_S));
		under_place(w->under, i, 0, &at);
	}
}

void overlay_take_down(struct overlay_world *w)
{
	for (unsigned int i = 0; i < w->count; i++)
		overlay_stop(&w->hosts[i], true);
	under_destroy(w->under);
	free(w->hosts);
	free(w->ring);
	free(w->delivered);
	free(w);
}

uint64_t overlay_heap_bytes(const struct overlay_world *w)
{
	/* The whole process: the network's heap and the world are in it too. */
	struct mallinfo2 info = mallinfo2();

	(void)w;
	return info.uordblks + info.hblkhd;
}

void overlay_want(struct overlay_host *from, const struct overlay_host *to)
{
	cw_overlay_want(from->overlay, &to->id, clock_of(from));
	wake(from);
}

/* -- letters */

unsigned int overlay_ask(struct overlay_world *w, struct overlay_host *from)
{
	struct overlay_letter letter = {
		.number = w->letters, .sender = from->index, .to_key = sim_chance(&w->random, 500)};
	int err;

	if (w->letters == w->letters_size) {
		w->letters_size = w->letters_size ? 2 * w->letters_size : 1024;
		w->delivered = realloc(w->delivered, w->letters_size * sizeof(*w->delivered));
		CW_ASSERT(w->delivered != NULL);
	}
	w->delivered[w->letters++] = (struct overlay_receipt){0};
	if (letter.to_key)
		fill(w, letter.target.b, sizeof(letter.target.b));
	else
		letter.target = w->ring[sim_random(&w->random) % w->living]->id;
	if (letter.to_key)
		err = cw_overlay_route(from->overlay, CW_OVERLAY_DHT, &letter.target, &letter,
				       sizeof(letter), clock_of(from));
	else
		err = cw_overlay_send(from->overlay, CW_OVERLAY_DHT, &letter.target, &letter,
				      sizeof(letter), clock_of(from));
	wake(from);
	return err == 0;
}

/* To a neighbour of the forger, as any frame would come. */
static void hand_in(struct overlay_world *w, const uint8_t *data, size_t len)
{
	struct overlay_host *forger = &w->hosts[sim_random(&w->random) % w->count];
	struct cw_node_id near[2 * CW_OVERLAY_NEAR];
	unsigned int count;

	if (!forger->up)
		return;
	count = cw_overlay_near(forger->overlay, near, CW_ARRAY_SIZE(near));
	for (unsigned int i = 0; i < count; i++)
		if (cw_links_send(forger->links, &near[i], data, len, clock_of(forger)) < 0)
			return;
	wake(forger);
}

void overlay_forge(struct overlay_world *w)
{
	Causeway__Overlay__Frame *frame;
	uint8_t bytes[8192];
	size_t len = w->caught_len;

	if (len == 0)
		return;
	memcpy(bytes, w->caught, len);
	if (sim_chance(&w->random, 300))
		bytes[sim_random(&w->random) % len] ^= (uint8_t)(1 << sim_random(&w->random) % 8);
	hand_in(w, bytes, len);
	frame = causeway__overlay__frame__unpack(NULL, w->caught_len, w->caught);
	if (frame == NULL)
		return;
	if (frame->body_case == CAUSEWAY__OVERLAY__FRAME__BODY_SIGNED &&
	    frame->signed_->data.len == sizeof(struct overlay_letter)) {
		struct overlay_letter letter;

		/* Another text under the same signature, claiming a number of its own. */
		memcpy(&letter, frame->signed_->data.data, sizeof(letter));
		letter.number ^= 1;
		memcpy(frame->signed_->data.data, &letter, sizeof(letter));
		frame->signed_->nonce += 1000;
		frame->ttl = 20;
		len = causeway__overlay__frame__get_packed_size(frame);
		if (len <= sizeof(bytes)) {
			causeway__overlay__frame__pack(frame, bytes);
			hand_in(w, bytes, len);
		}
	}
	causeway__overlay__frame__free_unpacked(frame, NULL);
}
