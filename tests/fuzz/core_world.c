/* SPDX-License-Identifier: BSD-3-Clause */
/* The core's ops, each as little as it can be: clocks are one, the log is durable a moment later,
 * all signatures of an even length are right. */
#include "core_world.h"

#include <stdlib.h>
#include <string.h>

#include <cw_crypto.h>
#include <cw_store_drivers.h>

#include "open_dtls.h"

static void fill(void *ctx, void *buf, size_t len)
{
	struct world *w = ctx;

	for (size_t i = 0; i < len; i++) {
		w->dice = w->dice * UINT64_C(6364136223846793005) + 1442695040888963407;
		((uint8_t *)buf)[i] = (uint8_t)(w->dice >> 56);
	}
}

static void sha256(const void *data, size_t len, uint8_t out[32])
{
	const uint8_t *at = data;
	uint64_t h = UINT64_C(1469598103934665603);

	while (len-- > 0)
		h = (h ^ *at++) * UINT64_C(1099511628211);
	for (unsigned int i = 0; i < 32; i++)
		out[i] = (uint8_t)(h >> i % 8 * 8);
}

static bool op_inject(void *ctx, const struct cw_inject_meta *meta, const void *frame, size_t len)
{
	struct world *w = ctx;

	CW_ASSERT(meta->kind < CW_INJECT_KIND_COUNT && frame != NULL && len >= 14 &&
		  len <= CW_PUNT_FRAME_BYTES_MAX);
	/* Beacons of its site leave when they are due, whatever a test asks. */
	if (memcmp((const uint8_t *)frame + 12, "\x88\xb5", 2) == 0)
		return true;
	w->injected++;
	w->last = *meta;
	if (w->sent != NULL && meta->kind == CW_INJECT_LAN_FRAME)
		w->sent(w, frame, len);
	return true;
}

static void op_publish_view(void *ctx, uint16_t vlan, const struct cw_ns_view *view)
{
	struct world *w = ctx;

	(void)vlan;
	w->view = view;
}

static uint64_t op_append(void *ctx, uint8_t type, const void *data, size_t len)
{
	struct world *w = ctx;

	(void)type;
	CW_ASSERT(data != NULL && len > 0);
	return ++w->lsn;
}

static uint64_t same_clock(void *ctx, uint64_t t)
{
	(void)ctx;
	return t;
}

static void op_nothing(void *ctx)
{
	(void)ctx;
}

static void op_lease_event(void *ctx, const struct cw_lease_event *event)
{
	(void)ctx;
	CW_ASSERT(event->what != NULL && strchr(event->what, ' ') == NULL);
}

static bool op_ca_signed(void *ctx, const struct cw_node_id *ca, const void *data, size_t len,
			 const uint8_t *signature, size_t signature_len)
{
	(void)ctx;
	(void)ca;
	(void)data;
	(void)len;
	(void)signature;
	return signature_len % 2 == 0;
}

static uint64_t op_drops(void *ctx, enum cw_drop reason)
{
	(void)ctx;
	return reason;
}

static void op_worker(void *ctx, unsigned int worker, struct cw_control_worker *out)
{
	(void)ctx;
	*out = (struct cw_control_worker){.rx_packets = worker};
}

static const struct cw_control_ops ops = {.inject = op_inject,
					  .publish_view = op_publish_view,
					  .append = op_append,
					  .tsc_of_ns = same_clock,
					  .ns_of_tsc = same_clock,
					  .remember = op_nothing,
					  .lease_event = op_lease_event,
					  .ca_signed = op_ca_signed,
					  .revoked = op_nothing,
					  .drops = op_drops,
					  .worker = op_worker};

static int session_init(void *engine, void *session, enum cw_suite suite, const uint8_t key[32])
{
	(void)engine, (void)suite;
	memcpy(session, key, 32);
	return 0;
}

static void session_clear(void *engine, void *session)
{
	(void)engine;
	memset(session, 0, 32);
}

static const struct cw_crypto_ops crypto = {
	.session_bytes = 64, .session_init = session_init, .session_clear = session_clear};

static void on_reply(void *arg, json_t *reply)
{
	struct world *w = arg;

	CW_ASSERT(json_is_object(reply) && json_is_boolean(json_object_get(reply, "ok")));
	w->answered++;
	w->done += json_is_true(json_object_get(reply, "ok"));
	json_decref(w->reply);
	w->reply = reply;
}

void world_settle(struct world *w)
{
	while (w->durable < w->lsn) {
		w->durable = w->lsn;
		cw_control_durable(w->ctl, w->durable, 0, w->now_ns);
	}
}

void world_ask(struct world *w, const char *text, size_t len)
{
	json_t *request = json_loadb(text, len, 0, NULL);

	if (request == NULL)
		return;
	w->asked++;
	cw_control_query(w->ctl, request, on_reply, w, w->now_ns);
	json_decref(request);
}

void world_pass(struct world *w, uint64_t ns)
{
	w->now_ns += ns;
	cw_control_timer(w->ctl, w->now_ns);
	world_settle(w);
}

static int maybe_submit(void *self, const struct cw_store_request *request, cw_store_done_fn done,
			void *arg, uint64_t now_ns)
{
	struct world *w = self;

	if (w->mute && request->verb == CW_STORE_MAP_GET)
		return 0;
	return w->store.ops->submit(w->store.self, request, done, arg, now_ns);
}

static uint64_t store_timer(void *self, uint64_t now_ns)
{
	struct world *w = self;

	return w->store.ops->timer(w->store.self, now_ns);
}

static void store_health(void *self, struct cw_store_health *out)
{
	struct world *w = self;

	w->store.ops->health(w->store.self, out);
}

void world_begin(struct world *w, struct cw_rcu *rcu)
{
	static const struct cw_log log;
	static const char found[] =
		"{\"cmd\":\"namespace create\",\"args\":{\"name\":\"demo\",\"subnet\":\"10.128.0.0/16\",\"lease_s\":3600,\"domain\":\"demo.test\"}}";
	struct cw_control_config config = {.identity = {.node = {{9}},
							.name = "gw",
							.site = "a",
							.roles = CW_ROLE_GATEWAY,
							.namespace_count = 1,
							.namespaces = {"demo"}},
					   .log = &log,
					   .random = {.fill = fill, .ctx = w},
					   .digest = {.sha256 = sha256},
					   .kdf = open_kdf,
					   .dtls = &open_dtls,
					   .rcu = rcu,
					   .workers = 1,
					   .boot_id = 1,
					   .started_unix_ns = 1,
					   .namespace_name = "demo",
					   .has_lan = true,
					   .virtual_mac_slots = 1,
					   .pool_low = 2,
					   .pool_high = 4,
					   .wan_mac = {{4, 0, 0, 0, 0, 1}},
					   .wan_ip = rte_cpu_to_be_32(0xcb0071fe),
					   .wan_prefix_len = 24,
					   .wan_port = rte_cpu_to_be_16(7845),
					   .wan_mtu_bytes = 1500,
					   .relay_mbit = 1000,
					   .use_dht = true};

	CW_ASSERT(cw_peer_table_create(&w->peers, rcu, &crypto, NULL, 1) == 0);
	config.peers = w->peers;
	CW_ASSERT(cw_control_create(&w->ctl, &config, &ops, w, w->now_ns) == 0);
	cw_store_dht(&w->store, cw_control_dht(w->ctl));
	w->store_ops = *w->store.ops;
	w->store_ops.submit = maybe_submit;
	w->store_ops.timer = store_timer;
	w->store_ops.health = store_health;
	CW_ASSERT(cw_control_set_store(w->ctl, &(struct cw_store){&w->store_ops, w}, w->now_ns) ==
		  0);
	cw_control_start(w->ctl, w->now_ns);
	world_ask(w, found, sizeof(found) - 1);
	for (unsigned int i = 0; i < 8; i++)
		world_pass(w, CW_NS_PER_S / 4);
	CW_ASSERT(w->done == 1);
}

void world_end(struct world *w)
{
	cw_control_query_cancel(w->ctl, w);
	cw_control_destroy(w->ctl);
	cw_peer_table_destroy(w->peers);
	json_decref(w->reply);
}
