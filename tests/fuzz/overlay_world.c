/* SPDX-License-Identifier: BSD-3-Clause */
/* See overlay_world.h: ops that judge, and signatures that anybody can make. */
#include "overlay_world.h"

#include <stdlib.h>
#include <string.h>

const struct cw_node_id overlay_world_self = {{9}};
const struct cw_prefix4 overlay_world_forbidden = {RTE_BE32(0x0a800000), 16};

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
}

static int op_connect(void *ctx, const struct cw_node_id *node, const struct cw_endpoint *endpoints,
		      unsigned int count, uint64_t now_ns)
{
	struct overlay_world *w = ctx;

	(void)node;
	(void)now_ns;
	w->connects++;
	CW_ASSERT(count > 0 && count <= CW_OVERLAY_ENDPOINTS_MAX);
	for (unsigned int i = 0; i < count; i++)
		CW_ASSERT(endpoints[i].family == CW_FAMILY_RELAY ||
			  !cw_prefix4_contains(&overlay_world_forbidden, endpoints[i].ip4));
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
	struct overlay_world *w = ctx;

	(void)data;
	(void)len;
	(void)now_ns;
	CW_ASSERT(service > 0 && service < CW_OVERLAY_SERVICE_COUNT);
	CW_ASSERT(cw_node_id_equal(from, &w->speaker) ||
		  cw_node_id_equal(from, &overlay_world_self) || w->believable);
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

uint64_t overlay_world_unix_s(void *world)
{
	const struct overlay_world *w = world;

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
					  .unix_s = overlay_world_unix_s};

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

void overlay_world_open(struct overlay_world *w, bool signs)
{
	static const struct cw_log log;
	struct cw_overlay_config config = {.self = overlay_world_self,
					   .log = &log,
					   .random = {.fill = fill},
					   .signer = signs ? &signer : NULL,
					   .session = 1,
					   .bootstrap_count = 1,
					   .forbidden_count = 1};

	*w = (struct overlay_world){.now_ns = CW_NS_PER_S};
	config.forbidden[0] = overlay_world_forbidden;
	config.bootstrap[0] = (struct cw_endpoint){.family = CW_FAMILY_IPV4, .port = 1, .ip4 = 77};
	CW_ASSERT(cw_overlay_create(&w->overlay, &config, &ops, w) == 0);
}

void overlay_world_link_up(struct overlay_world *w, uint8_t node)
{
	struct cw_identity identity = {.node = {{node}}, .name = "n"};
	struct cw_endpoint at = {.family = CW_FAMILY_IPV4, .port = 9, .ip4 = node};

	cw_overlay_link_up(w->overlay, &identity, &at, w->now_ns);
}

void overlay_world_close(struct overlay_world *w)
{
	cw_overlay_leave(w->overlay, w->now_ns);
	cw_overlay_destroy(w->overlay);
}
