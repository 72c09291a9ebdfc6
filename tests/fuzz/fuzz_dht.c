/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of other nodes to a DHT that leads its registers: the first byte names the sender (a
 * voter or a stranger), the rest is the message. Log records are read by the same unpackers, so
 * they are tried as well.
 */
#include <string.h>

#include <cw_dht.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t lsn;

static void fill(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
}

static void sha256(const void *data, size_t len, uint8_t out[32])
{
	const uint8_t *at = data;
	uint64_t h = 1469598103934665603u;

	while (len-- > 0)
		h = (h ^ *at++) * 1099511628211u;
	for (unsigned int i = 0; i < 32; i++)
		out[i] = (uint8_t)(h >> i % 8 * 8);
}

static void send_nothing(void *ctx, const struct cw_node_id *to, const void *data, size_t len,
			 uint64_t now_ns)
{
	(void)ctx;
	(void)to;
	(void)data;
	(void)len;
	(void)now_ns;
}

static uint64_t append(void *ctx, uint8_t type, const void *data, size_t len)
{
	(void)ctx;
	(void)type;
	(void)data;
	(void)len;
	return ++lsn;
}

static bool site_of(void *ctx, const struct cw_node_id *node, struct cw_site_id *out)
{
	(void)ctx;
	memcpy(out->b, node->b, sizeof(out->b));
	return true;
}

static int sign(void *self, const void *data, size_t len, uint8_t signature[CW_KEY_SIGNATURE_BYTES],
		size_t *signature_len)
{
	(void)self;
	(void)data;
	(void)len;
	memset(signature, 1, 8);
	*signature_len = 8;
	return 0;
}

static const uint8_t *own_key(void *self, size_t *len)
{
	static const uint8_t key[] = {1};

	(void)self;
	*len = sizeof(key);
	return key;
}

/* Every second signature is good. */
static bool check(void *self, const struct cw_node_id *node, const uint8_t *key, size_t key_len,
		  const void *data, size_t len, const uint8_t *signature, size_t signature_len)
{
	(void)self;
	(void)data;
	(void)len;
	return key_len > 0 && signature_len > 0 && (key[0] & 3) == node->b[0] && (signature[0] & 1);
}

static enum cw_dht_may may(void *ctx, const struct cw_node_id *node, enum cw_dht_right right,
			   const char *ns)
{
	(void)ctx;
	return strcmp(ns, "demo") != 0 ? CW_DHT_MAY_UNKNOWN
	       : node->b[0] > right    ? CW_DHT_MAY
				       : CW_DHT_MAY_NOT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct cw_dht_ops ops = {
		.send = send_nothing, .append = append, .site_of = site_of, .may = may};
	static const struct cw_key_ops keys = {.sign = sign, .key = own_key, .check = check};
	struct cw_dht_config config = {.self = {{1}},
				       .ns_name = "demo",
				       .random = {.fill = fill},
				       .digest = {.sha256 = sha256},
				       .keys = size > 0 && (data[0] & 4) ? &keys : NULL,
				       .tuning = {.slots = 4}};
	struct cw_node_id from = {{size > 0 ? data[0] & 3 : 0}};
	struct cw_dht *dht;

	if (size < 2 || cw_dht_create(&dht, &config, &ops, NULL) < 0)
		return 0;
	CW_ASSERT(cw_dht_replay(dht, data[1] & 15, data + 2, size - 2, 1) <= 0);
	cw_dht_start(dht, 1);
	if (cw_dht_found(dht, &config.self, 1, 1) == 0) {
		cw_dht_timer(dht, 2);
		cw_dht_durable(dht, lsn, 0, 3);
	}
	cw_dht_input(dht, &from, data + 1, size - 1, 4);
	cw_dht_durable(dht, lsn, 0, 5);
	cw_dht_timer(dht, 6);
	cw_dht_destroy(dht);
	return 0;
}
