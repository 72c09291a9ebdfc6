/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control core bound to the world: identity, log, store, rings. Copies bytes between mbufs
 * and the core, so that neither knows the other.
 */
#include "daemon.h"

#include <cw_dhcp.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <time.h>

#include <rte_cpuflags.h>
#include <rte_cycles.h>
#include <rte_mbuf.h>

#define PEERS_FILE_BYTES_MAX (1u << 20)
/* Punted packets taken per ring and pass of the loop. */
#define PUNT_BURST  64u
#define REMEMBER_NS (UINT64_C(5) * CW_NS_PER_S)

/* -- the core's ops */

static bool op_inject(void *ctx, const struct cw_inject_meta *meta, const void *frame, size_t len)
{
	struct daemon *d = ctx;
	unsigned int worker = meta->worker < d->workers ? meta->worker : 0;
	struct rte_mbuf *m = rte_pktmbuf_alloc(d->pool);
	char *data;

	if (m == NULL)
		return false;
	data = rte_pktmbuf_append(m, (uint16_t)len);
	if (data != NULL)
		memcpy(data, frame, len);
	if (data == NULL || !cw_inject_enqueue(d->worker[worker].inject, m, meta)) {
		rte_pktmbuf_free(m);
		return false;
	}
	return true;
}

static void op_publish_view(void *ctx, uint16_t vlan, const struct cw_ns_view *view)
{
	struct daemon *d = ctx;

	(void)vlan;
	__atomic_store_n(&d->view.view, view, __ATOMIC_RELEASE);
}

static uint64_t op_append(void *ctx, uint8_t type, const void *data, size_t len)
{
	return writer_append(ctx, type, data, len);
}

static uint64_t op_tsc_of_ns(void *ctx, uint64_t ns)
{
	const struct daemon *d = ctx;

	return cw_os_tsc_of_ns(&d->tsc, ns);
}

static uint64_t op_ns_of_tsc(void *ctx, uint64_t tsc)
{
	const struct daemon *d = ctx;

	return cw_os_ns_of_tsc(&d->tsc, tsc);
}

static void op_remember(void *ctx)
{
	struct daemon *d = ctx;

	d->remember = true;
}

/* The identifier as the wire has it: hexadecimal; "-" where the client has none but its MAC. */
static void client_text(const struct cw_client *client, char *out, size_t size)
{
	size_t at = 0;

	snprintf(out, size, "-");
	for (unsigned int i = 0; client->kind != 0 && i < client->len && at + 3 <= size; i++)
		at += (size_t)snprintf(out + at, size - at, "%02x", client->bytes[i]);
}

static void op_lease_event(void *ctx, const struct cw_lease_event *event)
{
	struct daemon *d = ctx;
	char ip[CW_IP4_TEXT_BYTES], mac[CW_MAC_TEXT_BYTES], now[40];
	char client[2 * CW_CLIENT_BYTES_MAX + 1];
	time_t t = time(NULL);
	struct tm tm;

	cw_ip4_format(event->ip, ip);
	cw_mac_format(&event->mac, mac);
	cw_log(&d->log.log, CW_LOG_INFO, "lease", "%s %s %s %us", event->what, ip, mac,
	       event->seconds);
	if (d->log.leases == NULL)
		return;
	client_text(event->client, client, sizeof(client));
	gmtime_r(&t, &tm);
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &tm);
	fprintf(d->log.leases, "%s event=%s ip=%s mac=%s client=%s seconds=%u\n", now, event->what,
		ip, mac, client, event->seconds);
	fflush(d->log.leases);
}

/* One line per SA as tshark's esp_sa table wants it: addresses, SPI, key with salt. */
static bool op_key_memory(void *ctx, uint64_t *bytes, uint64_t *locked_bytes)
{
	struct daemon *d = ctx;
	struct cw_os_keys_facts facts = {0};

	if (d->key_memory != NULL)
		cw_os_keys_facts(d->key_memory, &facts);
	*bytes = facts.bytes;
	*locked_bytes = facts.locked_bytes;
	return facts.undumped;
}

static void op_key_log(void *ctx, const struct cw_endpoint *src, const struct cw_endpoint *dst,
		       uint32_t spi, enum cw_suite suite, const uint8_t key[36])
{
	/* tshark knows no ESP with ChaCha20; the name is scapy's then. */
	const char *name = suite == CW_SUITE_AES_256_GCM ? "AES-GCM with 16 octet ICV [RFC4106]"
							 : "CHACHA20-POLY1305";
	struct daemon *d = ctx;
	char a[CW_IP4_TEXT_BYTES], b[CW_IP4_TEXT_BYTES];

	if (d->key_log == NULL)
		return;
	fprintf(d->key_log, "\"IPv4\",\"%s\",\"%s\",\"0x%08x\",\"%s\",\"0x",
		cw_ip4_format(src->ip4, a), cw_ip4_format(dst->ip4, b), spi, name);
	for (unsigned int i = 0; i < 36; i++)
		fprintf(d->key_log, "%02x", key[i]);
	fputs("\",\"NULL\",\"\"\n", d->key_log);
	fflush(d->key_log);
}

static uint64_t op_drops(void *ctx, enum cw_drop reason)
{
	struct daemon *d = ctx;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < d->workers; i++)
		sum += __atomic_load_n(&d->worker[i].stats->drops[reason], __ATOMIC_RELAXED);
	return sum;
}

static void op_worker(void *ctx, unsigned int worker, struct cw_control_worker *out)
{
	struct daemon *d = ctx;
	struct cw_stats s = {0};

	cw_stats_add(&s, d->worker[worker].stats);
	*out = (struct cw_control_worker){
		.rx_packets = s.rx_packets[CW_SIDE_LAN] + s.rx_packets[CW_SIDE_WAN],
		.tx_packets = s.tx_packets[CW_SIDE_LAN] + s.tx_packets[CW_SIDE_WAN],
		.punted = s.punted,
		.injected = s.injected,
		.handed_over = s.handed_over,
		.taken_over = s.taken_over,
		.forwarded = s.forwarded,
		.turns = s.turns,
		.lan_packets = s.rx_packets[CW_SIDE_LAN],
		.busy_cycles = s.busy_cycles,
		.idle_cycles = rte_rdtsc() - d->tsc_begun - s.busy_cycles};
	_Static_assert(sizeof(out->bursts) == sizeof(s.bursts), "one histogram");
	memcpy(out->bursts, s.bursts, sizeof(out->bursts));
}

/* -- life */

/* No two networks have one CA: its key names ours, to those who know it already. */
static void fill_network(const struct daemon *d, uint8_t out[CW_CONTROL_NETWORK_BYTES])
{
	uint8_t text[sizeof("causeway-hello") - 1 + CW_NODE_ID_BYTES] = "causeway-hello", hash[32];
	struct cw_node_id ca = {{0}};

	if (!cw_dtls_openssl_issuer(d->dtls, &ca))
		cw_log(&d->log.log, CW_LOG_WARN, "main",
		       "our certificate's issuer is not in node.ca: no discovery");
	memcpy(text + sizeof(text) - CW_NODE_ID_BYTES, ca.b, CW_NODE_ID_BYTES);
	cw_digest_openssl.sha256(text, sizeof(text), hash);
	memcpy(out, hash, CW_CONTROL_NETWORK_BYTES);
}

/* ChaCha20 is what a CPU without them does fast and in constant time. */
static bool cpu_has_aes(void)
{
#if defined(RTE_ARCH_X86) || defined(RTE_ARCH_ARM64)
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_AES) > 0;
#else
	return false;
#endif
}

/* Two lives of a node within one second are told apart. */
static uint64_t unix_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * CW_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* What makes a DHCP client ours; a standard cookie stays 0. */
static void take_select(const struct cw_gateway_config *c, struct cw_ns_select *out)
{
	if (c->select.cookie != CW_DHCP_COOKIE)
		out->cookie = rte_cpu_to_be_32(c->select.cookie);
	out->server_port = rte_cpu_to_be_16((uint16_t)c->select.server_port);
	out->client_port = rte_cpu_to_be_16((uint16_t)c->select.client_port);
	out->mac_bytes = c->select_mac_bytes;
	memcpy(out->mac, c->select_mac, sizeof(out->mac));
	out->vendor_bytes = (uint8_t)strlen(c->select.vendor);
	memcpy(out->vendor, c->select.vendor, out->vendor_bytes);
	out->user_bytes = (uint8_t)strlen(c->select.user);
	memcpy(out->user, c->select.user, out->user_bytes);
}

static void fill_config(struct daemon *d, struct cw_control_config *out)
{
	const struct cw_gateway_config *c = &d->config;
	struct cw_port_facts wan, lan = {0};

	cw_port_facts(d->wan, &wan);
	if (d->lan != NULL)
		cw_port_facts(d->lan, &lan);
	*out = (struct cw_control_config){.identity = d->identity,
					  .issuer_ends_unix_s =
						  cw_dtls_openssl_issuer_ends(d->dtls),
					  .log = &d->log.log,
					  .random = cw_os_random,
					  .digest = cw_digest_openssl,
					  .kdf = cw_kdf_openssl,
					  .dtls = &cw_dtls_openssl_ops,
					  .engine = d->dtls,
					  .signer = &cw_signer_openssl,
					  .keys = &cw_keys_openssl,
					  .rcu = d->rcu,
					  .peers = d->peers,
					  .workers = d->workers,
					  .boot_id = cw_os_boot_id(),
					  .started_unix_ns = unix_ns(),
					  .version = CW_DAEMON_VERSION,
					  .has_lan = c->has_lan,
					  .lan_mac = lan.mac,
					  .vlan = (uint16_t)c->lan_vlan,
					  .virtual_mac_slots = (uint16_t)c->virtual_mac_slots,
					  .site_hello_ns = c->site_hello_ns,
					  .site_weight = (uint16_t)c->site_weight,
					  .pool_low = c->pool_low,
					  .pool_high = c->pool_high,
					  .new_per_s = c->new_per_s,
					  .routes_hint = 65536,
					  .wan_mac = wan.mac,
					  .wan_ip = d->wan_ip,
					  .wan_prefix_len = d->wan_prefix_len,
					  .wan_gateway = d->wan_gateway,
					  .wan_port = rte_cpu_to_be_16((uint16_t)c->wan_port),
					  .wan_mtu_bytes = (uint16_t)c->wan.mtu,
					  .relay_mbit = c->relay_mbit,
					  .wan_owns_address = !wan.shares_kernel,
					  .bootstrap_count = c->bootstrap.count,
					  .sa_rekey_ns = c->debug_sa_rekey_ns,
					  .sa_rekey_packets = c->debug_sa_rekey_packets,
					  .renew_ns = c->debug_link_renew_ns,

					  .use_dht = c->store == CW_CONFIG_STORE_DHT};
	out->maps_port = c->port_mapping != CW_CONFIG_PORT_MAPPING_OFF;
	out->discovery = (enum cw_control_discovery)c->discovery;
	fill_network(d, out->network);
	take_select(c, &out->select);
	memcpy(out->bootstrap, c->bootstrap.at, sizeof(c->bootstrap.at));
	cw_suites_choose((enum cw_suite_choice)c->cipher, cpu_has_aes(), &out->suites);
	out->underlay_allow_count = c->underlay_allow.count;
	out->underlay_deny_count = c->underlay_deny.count;
	memcpy(out->underlay_allow, c->underlay_allow.at, sizeof(c->underlay_allow.at));
	memcpy(out->underlay_deny, c->underlay_deny.at, sizeof(c->underlay_deny.at));
	memcpy(out->namespace_name, c->ns_name, sizeof(out->namespace_name));
	snprintf(out->lan_text, sizeof(out->lan_text), "%s %.40s",
		 cw_port_kind_name((enum cw_port_kind)c->lan.driver), c->lan.device);
	snprintf(out->wan_text, sizeof(out->wan_text), "%s %.40s",
		 cw_port_kind_name((enum cw_port_kind)c->wan.driver), c->wan.device);
}

void peers_path(const struct daemon *d, char *out, size_t size)
{
	snprintf(out, size, "%s/peers.json", d->config.node.state_dir);
}

static void fill_etcd(const struct daemon *d, struct cw_store_etcd_params *out)
{
	const struct cw_gateway_config *c = &d->config;

	*out = (struct cw_store_etcd_params){.endpoints = c->etcd.endpoints,
					     .ca = c->etcd.ca,
					     .certificate = c->etcd.certificate,
					     .key = c->etcd.key,
					     .prefix = c->etcd.prefix,
					     .ns_name = c->ns_name,
					     .node = d->identity.node,
					     .log = &d->log.log,
					     .random = cw_os_random};
	cw_identity_site_id(&cw_digest_openssl, &d->identity, out->site.b);
}

int store_check(struct daemon *d)
{
	struct cw_store_etcd_params etcd;

	fill_etcd(d, &etcd);
	if (d->config.store == CW_CONFIG_STORE_ETCD && cw_store_etcd_check(&etcd) < 0)
		return FAIL(
			d,
			"etcd.endpoints: expected \"http://HOST:PORT,...\" (or https), at most 8, got \"%.200s\"",
			d->config.etcd.endpoints);
	return 0;
}

static int make_store(struct daemon *d, uint64_t now_ns)
{
	struct cw_store_etcd_params etcd;
	struct cw_store_events events;
	int err = 0;

	cw_control_store_events(d->control, &events);
	fill_etcd(d, &etcd);
	etcd.events = &events;
	switch (d->config.store) {
	case CW_CONFIG_STORE_DHT:
		cw_store_dht(&d->store, cw_control_dht(d->control));
		break;
	case CW_CONFIG_STORE_ETCD:
		err = cw_store_etcd_create(&d->etcd_store, &etcd, &d->store);
		break;
	default:
		err = cw_store_static_create(&d->static_store);
		if (err == 0)
			err = cw_store_static_attach(d->static_store, &d->identity.node, &etcd.site,
						     &events, &d->store);
	}
	return err < 0 ? err : cw_control_set_store(d->control, &d->store, now_ns);
}

int core_open(struct daemon *d)
{
	static const struct cw_control_ops ops = {.inject = op_inject,
						  .publish_view = op_publish_view,
						  .append = op_append,
						  .tsc_of_ns = op_tsc_of_ns,
						  .ns_of_tsc = op_ns_of_tsc,
						  .remember = op_remember,
						  .lease_event = op_lease_event,
						  .key_log = op_key_log,
						  .ca_signed = identity_ca_signed,
						  .unix_s = identity_unix_s,
						  .revoked = identity_revoked,
						  .drops = op_drops,
						  .worker = op_worker,
						  .key_memory = op_key_memory};
	uint64_t now_ns = cw_os_now_ns();
	struct cw_control_config config;
	char path[512], *text;
	int rc;

	if (d->config.debug_esp_key_log[0] != '\0') {
		d->key_log = fopen(d->config.debug_esp_key_log, "we");
		if (d->key_log == NULL)
			return FAIL(d, "debug.esp_key_log %s: %s", d->config.debug_esp_key_log,
				    strerror(errno));
		cw_log(&d->log.log, CW_LOG_WARN, "main",
		       "debug.esp_key_log is on: every SA's key is written to a file. For tests only");
	}
	fill_config(d, &config);
	rc = cw_control_create(&d->control, &config, &ops, d, now_ns);
	if (rc < 0)
		return FAIL(d, "the control core does not start: %s", strerror(-rc));
	if (make_store(d, now_ns) < 0)
		return FAIL(d, "no memory for the store");
	if (writer_open(d) < 0)
		return -1;
	identity_load_revocations(d);
	cw_control_start(d->control, now_ns);
	peers_path(d, path, sizeof(path));
	text = cw_os_read_file(path, PEERS_FILE_BYTES_MAX, NULL);
	if (text != NULL && cw_control_peers_load(d->control, text, now_ns) < 0)
		cw_log(&d->log.log, CW_LOG_WARN, "main", "%s: not understood, ignored", path);
	free(text);
	return 0;
}

void core_close(struct daemon *d)
{
	cw_control_destroy(d->control);
	d->control = NULL;
	cw_store_static_destroy(d->static_store);
	cw_store_etcd_destroy(d->etcd_store);
	writer_close(d);
	if (d->key_log != NULL)
		fclose(d->key_log);
}

static void remember_peers(struct daemon *d, uint64_t now_ns)
{
	int error = __atomic_exchange_n(&d->peers_error, 0, __ATOMIC_ACQ_REL);

	if (error < 0)
		cw_log(&d->log.log, CW_LOG_WARN, "main", "%s/peers.json: cannot be written: %s",
		       d->config.node.state_dir, strerror(-error));
	if (!d->remember || now_ns < d->remember_ns)
		return;
	d->remember = false;
	d->remember_ns = now_ns + REMEMBER_NS;
	writer_peers(d, cw_control_peers_json(d->control));
}

void core_punts(struct daemon *d, unsigned int *handled)
{
	uint64_t now_ns = cw_os_now_ns();

	for (unsigned int i = 0; i < d->workers; i++) {
		struct rte_mbuf *pkts[PUNT_BURST];
		unsigned int n = cw_punt_dequeue(d->worker[i].punt, pkts, PUNT_BURST);

		for (unsigned int p = 0; p < n; p++) {
			struct cw_punt_meta meta = *cw_punt_meta_of(pkts[p]);

			cw_control_punt(d->control, &meta,
					rte_pktmbuf_mtod(pkts[p], const uint8_t *),
					pkts[p]->data_len, now_ns);
			rte_pktmbuf_free(pkts[p]);
		}
		*handled += n;
	}
	identity_save_revocations(d);
	remember_peers(d, now_ns);
}
