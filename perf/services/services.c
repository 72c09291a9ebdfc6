/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perf/services: what one worker core answers in-line, no NIC: the shipped pipeline over a replay
 * port, before the tables of a full site (65,536 hosts with leases and names, 65,536 mappings of
 * other sites).
 *
 *   services [--smoke]     one JSON line per case: cycles per answer with and without the port's
 *                          own, answers per second
 *
 * A case is a lane of frames for as many different hosts as fit, answered in windows; its figure is
 * the lower quartile of the windows. A window that loses a frame fails the case.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include <cw_arp.h>
#include <cw_crypto_engines.h>
#include <cw_datapath.h>
#include <cw_dhcp_respond.h>
#include <cw_dns_respond.h>
#include <cw_eth.h>
#include <cw_host.h>
#include <cw_name_table.h>
#include <cw_route.h>
#include <cw_udp.h>

#include "replay.h"

#define HOSTS	    65536u
#define SUBNET_IP   UINT32_C(0x0a800000) /* 10.128.0.0/14 */
#define SERVICE_IP  (SUBNET_IP + 1)
#define LOCAL_IP    UINT32_C(0x0a810000)
#define REMOTE_IP   UINT32_C(0x0a820000)
#define FRAMES	    8192u
#define WINDOW	    1024u
#define WINDOWS_MAX 200u

struct site {
	struct rte_mempool *pool;
	struct rte_ring *punt, *inject;
	struct cw_rcu *rcu;
	struct cw_peer_table *peers;
	struct cw_ns_view view;
	struct cw_ns_deadline deadline;
	struct cw_view_slot slot;
};

struct service {
	const char *name;
	/* Writes the i-th frame. @return its bytes. */
	uint16_t (*make)(unsigned int i, uint8_t *frame);
};

static unsigned int host_of(unsigned int i)
{
	return i * 40503u % HOSTS; /* no two neighbours in memory */
}

static struct cw_mac mac_of(unsigned int host)
{
	return (struct cw_mac){{2, 0, 0, 0, (uint8_t)(host >> 8), (uint8_t)host}};
}

static rte_be32_t local_ip(unsigned int host)
{
	return rte_cpu_to_be_32(LOCAL_IP + host);
}

static uint16_t finish(uint8_t *frame, const struct cw_mac *src, bool broadcast, rte_be32_t src_ip,
		       rte_be32_t dst_ip, uint16_t src_port, uint16_t dst_port, size_t len)
{
	static const struct cw_mac all = {{255, 255, 255, 255, 255, 255}},
				   us = {{0xfe, 0xfd, 0, 0, 0, 0}};

	cw_eth_write(frame, broadcast ? &all : &us, src, 0, CW_ETH_P_IP4);
	cw_udp_write_ip4(frame + CW_ETH_BYTES, 0, 1, 0, src_ip, dst_ip, rte_cpu_to_be_16(src_port),
			 rte_cpu_to_be_16(dst_port), (uint16_t)len);
	return (uint16_t)(CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES + len);
}

#define PAYLOAD (CW_ETH_BYTES + CW_IP4_BYTES + CW_UDP_BYTES)

static uint16_t make_arp(unsigned int i, uint8_t *frame)
{
	static const struct cw_mac all = {{255, 255, 255, 255, 255, 255}}, nobody;
	unsigned int host = host_of(i);
	struct cw_mac mac = mac_of(host);
	size_t at = cw_eth_write(frame, &all, &mac, 0, CW_ETH_P_ARP);

	cw_arp_write(frame + at, CW_ARP_REQUEST, &mac, local_ip(host), &nobody,
		     rte_cpu_to_be_32(REMOTE_IP + host_of(i + 7)));
	memset(frame + at + sizeof(struct cw_arp_packet), 0, 18);
	return 60;
}

static uint16_t make_dhcp(unsigned int i, uint8_t *frame, enum cw_dhcp_type type)
{
	static const uint8_t wanted[] = {1, 28, 2, 3, 15, 6, 119, 12, 26, 42, 121};
	unsigned int host = host_of(i);
	struct cw_mac mac = mac_of(host);
	bool renew = type == CW_DHCP_REQUEST;
	struct cw_dhcp_message m = {.htype = 1,
				    .hlen = 6,
				    .xid = i,
				    .ciaddr = renew ? local_ip(host) : 0,
				    .chaddr = mac};
	struct cw_dhcp_writer w;
	struct cw_dhcp_fixed *f = (struct cw_dhcp_fixed *)(void *)(frame + PAYLOAD);
	size_t len;

	memcpy(m.chaddr_raw, mac.b, sizeof(mac.b));
	cw_dhcp_reply_begin(&w, frame + PAYLOAD, 600, &m, type, 0);
	cw_dhcp_put(&w, CW_DHCP_OPT_PARAMETERS, wanted, sizeof(wanted));
	len = cw_dhcp_reply_end(&w, &m);
	f->op = 1;
	f->ciaddr = m.ciaddr;
	return finish(frame, &mac, !renew, m.ciaddr,
		      renew ? rte_cpu_to_be_32(SERVICE_IP) : UINT32_MAX, CW_DHCP_CLIENT_PORT,
		      CW_DHCP_SERVER_PORT, len);
}

static uint16_t make_renew(unsigned int i, uint8_t *frame)
{
	return make_dhcp(i, frame, CW_DHCP_REQUEST);
}

static uint16_t make_discover(unsigned int i, uint8_t *frame)
{
	return make_dhcp(i, frame, CW_DHCP_DISCOVER);
}

/* As a stub resolver asks: EDNS, its own id and port. */
static uint16_t make_dns(unsigned int i, uint8_t *frame, const char *name, uint16_t type)
{
	static const uint8_t tail[] = {0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0};
	uint8_t head[CW_DNS_HEADER_BYTES] = {
		(uint8_t)(i >> 8), (uint8_t)i, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1};
	uint8_t *at = frame + PAYLOAD;
	struct cw_mac mac = mac_of(host_of(i));

	memcpy(at, head, sizeof(head));
	at += sizeof(head);
	at += cw_dns_name_from_text(name, at, CW_DNS_NAME_BYTES_MAX);
	*at++ = (uint8_t)(type >> 8);
	*at++ = (uint8_t)type;
	memcpy(at, tail, sizeof(tail));
	at += sizeof(tail);
	return finish(frame, &mac, false, local_ip(host_of(i)), rte_cpu_to_be_32(SERVICE_IP),
		      (uint16_t)(1024 + i), CW_DNS_PORT, (size_t)(at - frame - PAYLOAD));
}

static uint16_t make_computed(unsigned int i, uint8_t *frame)
{
	char name[64];
	uint32_t ip = REMOTE_IP + host_of(i + 7);

	snprintf(name, sizeof(name), "C%03u%03u%03u.Grid.example", ip >> 16 & 255, ip >> 8 & 255,
		 ip & 255);
	return make_dns(i, frame, name, CW_DNS_A);
}

static uint16_t make_host(unsigned int i, uint8_t *frame)
{
	char name[64];

	snprintf(name, sizeof(name), "node-%u.grid.example", host_of(i + 7));
	return make_dns(i, frame, name, CW_DNS_A);
}

static uint16_t make_aaaa(unsigned int i, uint8_t *frame)
{
	char name[64];

	snprintf(name, sizeof(name), "node-%u.grid.example", host_of(i + 7));
	return make_dns(i, frame, name, CW_DNS_AAAA);
}

static uint16_t make_ptr(unsigned int i, uint8_t *frame)
{
	char name[64];
	uint32_t ip = LOCAL_IP + host_of(i + 7);

	snprintf(name, sizeof(name), "%u.%u.%u.10.in-addr.arpa", ip & 255, ip >> 8 & 255,
		 ip >> 16 & 255);
	return make_dns(i, frame, name, CW_DNS_PTR);
}

static const struct service services[] = {
	{"arp", make_arp},
	{"dhcp-renew", make_renew},
	{"dhcp-discover", make_discover},
	{"dns-computed", make_computed},
	{"dns-host", make_host},
	{"dns-aaaa", make_aaaa},
	{"dns-ptr", make_ptr},
};

/* -- the site */

static int add_host(struct site *s, unsigned int i)
{
	struct cw_host h = {.ip = local_ip(i),
			    .mac = mac_of(i),
			    .state = CW_HOST_BOUND,
			    .grant_until_tsc = UINT64_MAX,
			    .heard_tsc = UINT64_MAX / 2,
			    .client = {.kind = 0, .len = 7, .bytes = {1}}};
	struct cw_route r = {.ip = rte_cpu_to_be_32(REMOTE_IP + i),
			     .kind = CW_ROUTE_REMOTE,
			     .expires_tsc = UINT64_MAX,
			     .used_tsc = UINT64_MAX / 2};
	struct cw_name n = {.ip = h.ip, .is_local = true, .expires_tsc = UINT64_MAX};

	memcpy(h.client.bytes + 1, h.mac.b, 6);
	snprintf(n.label, sizeof(n.label), "node-%u", i);
	return cw_host_publish(s->view.hosts, &h) < 0 || cw_route_publish(s->view.routes, &r) < 0 ||
			       cw_name_publish(s->view.names, &n) < 0
		       ? -1
		       : 0;
}

static int open_site(struct site *s)
{
	static const uint8_t options[] = {1,   4,   255, 252, 0,   0,	6,   4,	  10,
					  128, 0,   1,	 15,  12,  'g', 'r', 'i', 'd',
					  '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', 26,
					  2,   5,   140, 28,  4,   10,	131, 255, 255};

	s->pool = rte_pktmbuf_pool_create("services", 4095, 256, CW_MBUF_PRIVATE_BYTES,
					  RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	s->punt = rte_ring_create("punt", CW_RING_ENTRIES, SOCKET_ID_ANY, 0);
	s->inject = rte_ring_create("inject", CW_RING_ENTRIES, SOCKET_ID_ANY, 0);
	if (s->pool == NULL || s->punt == NULL || s->inject == NULL || cw_rcu_create(&s->rcu) < 0 ||
	    cw_host_table_create(&s->view.hosts, s->rcu, HOSTS) < 0 ||
	    cw_route_table_create(&s->view.routes, s->rcu, HOSTS) < 0 ||
	    cw_name_table_create(&s->view.names, s->rcu, CW_NAMES_MAX, 5) < 0 ||
	    cw_peer_table_create(&s->peers, s->rcu, &cw_crypto_null, NULL, 1) < 0)
		return -1;
	s->deadline.session_tsc = UINT64_MAX;
	s->deadline.slots = 1;
	s->deadline.slots_until_tsc = UINT64_MAX;
	s->view.subnet = (struct cw_prefix4){rte_cpu_to_be_32(SUBNET_IP), 14};
	s->view.broadcast = rte_cpu_to_be_32(0x0a83ffff);
	s->view.service_ip = rte_cpu_to_be_32(SERVICE_IP);
	cw_ns_slot_mac(0, 0, &s->view.service_mac);
	s->view.virtual_mac_slots = 1;
	s->view.lease_s = 3600;
	s->view.t1_s = 1800;
	s->view.t2_s = 3150;
	s->view.deadline = &s->deadline;
	memcpy(s->view.options, options, sizeof(options));
	s->view.option_bytes = sizeof(options);
	s->view.zone_bytes =
		(uint8_t)cw_dns_name_from_text("grid.example", s->view.zone, sizeof(s->view.zone));
	s->view.zone_labels = 2;
	s->slot.view = &s->view;
	for (unsigned int i = 0; i < HOSTS; i++)
		if (add_host(s, i) < 0)
			return -1;
	return 0;
}

/* -- measuring */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* w NULL: the port alone. @return cycles per frame; 0: frames were lost. */
static double window(struct replay *port, struct cw_worker *w)
{
	uint64_t sent = port->sent, began;

	if (port->next + WINDOW > port->count)
		port->next = 0;
	port->left = WINDOW;
	began = rte_rdtsc_precise();
	while (port->left > 0) {
		struct rte_mbuf *pkts[CW_BURST];

		if (w != NULL)
			cw_worker_turn(w, rte_rdtsc());
		else
			replay_tx(port, pkts, replay_rx(port, pkts, CW_BURST));
	}
	began = rte_rdtsc_precise() - began;
	return port->sent - sent == WINDOW ? (double)began / WINDOW : 0;
}

static int measure(struct site *s, const struct service *service, unsigned int windows)
{
	static const struct cw_burst_ops lan = {.rx = replay_rx, .tx = replay_tx},
					 wan = {.rx = replay_nothing, .tx = replay_tx};
	double whole[WINDOWS_MAX], bare[WINDOWS_MAX], answer;
	struct cw_stats stats = {0};
	struct replay port;
	struct cw_worker_params params = {.workers = 1,
					  .lan = {.ops = &lan, .queue = &port},
					  .wan = {.ops = &wan, .queue = &port},
					  .pool = s->pool,
					  .peers = s->peers,
					  .crypto = &cw_crypto_null,
					  .view = &s->slot,
					  .stats = &stats,
					  .punt = s->punt,
					  .inject = s->inject,
					  .tsc_hz = rte_get_tsc_hz()};
	struct cw_worker *w;
	int rc = 0;

	if (replay_open(&port, s->pool, 0, FRAMES, (size_t)FRAMES * 704) < 0 ||
	    cw_worker_create(&w, &params) < 0)
		return -1;
	for (unsigned int i = 0; i < FRAMES; i++) {
		uint8_t frame[1024] = {0}, *to;
		uint16_t len = service->make(i, frame);

		to = replay_add(&port, len);
		if (to == NULL)
			return -1;
		memcpy(to, frame, len);
	}
	for (unsigned int i = 0; i < windows && rc == 0; i++) {
		whole[i] = window(&port, w);
		bare[i] = window(&port, NULL);
		rc = whole[i] == 0 ? -1 : 0;
	}
	if (rc < 0)
		fprintf(stderr, "services: %s: frames were not answered (%lu punted)\n",
			service->name, (unsigned long)stats.punted);
	qsort(whole, windows, sizeof(whole[0]), compare);
	qsort(bare, windows, sizeof(bare[0]), compare);
	answer = whole[windows / 4];
	if (rc == 0)
		printf("{\"case\":\"service/%s\",\"hosts\":%u,\"cycles_per_answer\":%.0f,\"port_cycles\":%.0f,"
		       "\"answers_per_s\":%.0f}\n",
		       service->name, HOSTS, answer, bare[windows / 4],
		       (double)params.tsc_hz / answer);
	cw_worker_destroy(w);
	replay_close(&port);
	return rc;
}

int main(int argc, char **argv)
{
	bool smoke = argc == 2 && strcmp(argv[1], "--smoke") == 0;
	char prefix[64];
	char *eal[] = {(char *)"services",
		       (char *)"--no-huge",
		       (char *)"-m",
		       (char *)"128",
		       (char *)"--no-pci",
		       (char *)"--no-telemetry",
		       (char *)"--no-shconf",
		       prefix,
		       (char *)"--lcores=0@(0-1)",
		       (char *)"--log-level=3"};
	static struct site site;
	int rc = 0;

	snprintf(prefix, sizeof(prefix), "--file-prefix=cwserv%ld", (long)getpid());
	if (rte_eal_init(CW_ARRAY_SIZE(eal), eal) < 0)
		return 1;
	cw_rcu_thread_register();
	if (open_site(&site) < 0) {
		fputs("services: tables could not be made\n", stderr);
		return 1;
	}
	for (size_t i = 0; i < CW_ARRAY_SIZE(services) && rc == 0; i++)
		rc = measure(&site, &services[i], smoke ? 4 : WINDOWS_MAX) < 0;
	cw_rcu_thread_unregister();
	rte_eal_cleanup();
	snprintf(prefix, sizeof(prefix), "/run/dpdk/cwserv%ld", (long)getpid());
	rmdir(prefix);
	return rc;
}
