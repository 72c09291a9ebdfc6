/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's ipsec-secgw on the replay port: linked beside its sources, with rte_eth_dev_start wrapped,
 * so that its two net_null ports give and take templates. Nothing of the program is changed.
 *
 * Speaks the protocol of perf/throughput: the first poll of the driven port waits for a line "CASE
 * WINDOWS" and measures from the moment a window's warm-up has left to the moment the window has.
 * Frames are the same sizes over 64 tunnels; inbound ones are sealed here with the keys that
 * perf/peers/run wrote into the program's configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "replay.h"

#define TUNNELS	    64u
#define WINDOW	    1024u
#define WARM	    256u
#define WINDOWS_MAX 64u
#define FRAMES_MANY 8192u
#define FRAMES_FEW  2048u
#define LAN	    0
#define WAN	    1

static struct {
	struct replay port;
	char size[16], name[64];
	bool inbound, made;
	unsigned int windows, done; /* windows of this round */
	uint64_t began, base;	    /* base: frames sent when the window was begun */
	bool warming;
	double cycles[WINDOWS_MAX];
} drive;

static unsigned int frame_bytes(unsigned int i)
{
	/* As perf/throughput: 7:4:1 of 64, 570 and 1420 bytes. */
	static const unsigned short imix[12] = {64,   570, 64,	64, 570, 64,
						1420, 64,  570, 64, 570, 64};

	return drive.size[0] == 'i' ? imix[i % 12] : (unsigned int)atoi(drive.size);
}

static void put32(uint8_t *at, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(at, &v, sizeof(v));
}

static void put_ip(uint8_t *ip, unsigned int bytes, uint8_t proto, uint32_t src, uint32_t dst)
{
	uint32_t sum = 0;
	uint16_t word;

	memset(ip, 0, 20);
	ip[0] = 0x45;
	ip[2] = (uint8_t)(bytes >> 8);
	ip[3] = (uint8_t)bytes;
	ip[8] = 64;
	ip[9] = proto;
	put32(ip + 12, src);
	put32(ip + 16, dst);
	for (unsigned int i = 0; i < 20; i += 2) {
		memcpy(&word, ip + i, 2);
		sum += word;
	}
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	word = (uint16_t)~sum;
	memcpy(ip + 10, &word, 2);
}

static unsigned int tunnel_of(unsigned int i)
{
	return (i * 40503u) % 65536u % TUNNELS;
}

/* Ethernet and an inner packet; outbound to a tunnel's network, inbound from it. */
static void put_inner(uint8_t *ip, unsigned int bytes, unsigned int i)
{
	uint32_t local = 0x0a800100 + i % 256, remote = 0x0a810000 + tunnel_of(i) * 256 + i % 256;

	memset(ip, (int)(i * 31), bytes);
	put_ip(ip, bytes, 17, drive.inbound ? remote : local, drive.inbound ? local : remote);
	put32(ip + 20, (1024 + i % 60000) << 16 | 9);
	put32(ip + 24, (bytes - 20) << 16);
}

/* RFC 4106 without extended sequence numbers; keys as perf/peers/run writes them. */
static void seal(uint8_t *esp, unsigned int len, unsigned int tunnel)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t key[32], nonce[12];
	int n;

	memset(key, (int)(101 + tunnel), sizeof(key));
	memset(nonce, (int)(101 + tunnel), 4);
	memcpy(nonce + 4, esp + 8, 8);
	if (ctx == NULL || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, esp, 8) != 1 ||
	    EVP_EncryptUpdate(ctx, esp + 16, &n, esp + 16, (int)len) != 1 ||
	    EVP_EncryptFinal_ex(ctx, esp + 16 + len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, esp + 16 + len) != 1)
		abort();
	EVP_CIPHER_CTX_free(ctx);
}

static void add_frame(unsigned int i)
{
	unsigned int bytes = frame_bytes(i) - 14, pad = -(bytes + 2) & 3, tunnel = tunnel_of(i);
	unsigned int sealed = bytes + pad + 2, whole = 20 + 16 + sealed + 16;
	uint8_t *frame, *ip;

	frame = replay_add(&drive.port, (uint16_t)(14 + (drive.inbound ? whole : bytes)));
	if (frame == NULL)
		abort();
	memset(frame, 2, 12);
	frame[12] = 8;
	frame[13] = 0;
	ip = frame + 14;
	if (!drive.inbound) {
		put_inner(ip, bytes, i);
		return;
	}
	put_ip(ip, whole, 50, 0xcb007102, 0xc6336402);
	put32(ip + 20, 1001 + tunnel);
	put32(ip + 24, i + 1);
	put32(ip + 28, 0);
	put32(ip + 32, i + 1);
	put_inner(ip + 36, bytes, i);
	for (unsigned int p = 0; p < pad; p++)
		ip[36 + bytes + p] = (uint8_t)(p + 1);
	ip[36 + bytes + pad] = (uint8_t)pad;
	ip[36 + bytes + pad + 1] = 4;
	seal(ip + 20, sealed, tunnel);
}

static void make_frames(void)
{
	unsigned int count = strcmp(drive.size, "1420") == 0 ? FRAMES_FEW : FRAMES_MANY;
	struct rte_mempool *pool = drive.port.pool;

	if (drive.made)
		replay_close(&drive.port);
	if (replay_open(&drive.port, pool, drive.inbound ? WAN : LAN, count, (size_t)count * 1600) <
	    0)
		abort();
	for (unsigned int i = 0; i < count; i++)
		add_frame(i);
	drive.made = true;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double lower_quartile(double *v, unsigned int n)
{
	qsort(v, n, sizeof(v[0]), compare);
	return v[n / 4];
}

static double port_alone(void)
{
	double cycles[WINDOWS_MAX];

	for (unsigned int i = 0; i < drive.windows; i++) {
		uint64_t began = rte_rdtsc_precise();

		drive.port.left = WINDOW;
		while (drive.port.left > 0) {
			struct rte_mbuf *pkts[32];

			replay_tx(&drive.port, pkts, replay_rx(&drive.port, pkts, 32));
		}
		cycles[i] = (double)(rte_rdtsc_precise() - began) / WINDOW;
	}
	return lower_quartile(cycles, drive.windows);
}

/* Waits for the next line. The program is over when there is none. */
static void next_round(void)
{
	char line[128], name[64], size[16];
	unsigned int peers;

	if (fgets(line, sizeof(line), stdin) == NULL)
		exit(0);
	if (sscanf(line, "%63s %u", name, &drive.windows) != 2 || drive.windows > WINDOWS_MAX ||
	    sscanf(name + 8, "%15[^/]/%u", size, &peers) != 2 || peers != TUNNELS) {
		fprintf(stderr, "secgw: no such case: %s", line);
		exit(2);
	}
	if (strcmp(name, drive.name) != 0) {
		snprintf(drive.name, sizeof(drive.name), "%s", name);
		snprintf(drive.size, sizeof(drive.size), "%s", size);
		drive.inbound = strncmp(name, "wan-lan", 7) == 0;
		make_frames();
	}
	drive.done = 0;
	drive.warming = true;
	drive.base = drive.port.sent;
}

static void end_round(void)
{
	printf("{\"case\":\"%s\",\"tsc_hz\":%llu,\"whole\":%.1f,\"port\":%.1f}\n", drive.name,
	       (unsigned long long)rte_get_tsc_hz(), lower_quartile(drive.cycles, drive.windows),
	       port_alone());
	fflush(stdout);
	drive.windows = 0;
}

/* On every burst that leaves: has the warm-up left, has the window? */
static void watch(void)
{
	uint64_t sent = drive.port.sent - drive.base, now;

	if (drive.windows == 0)
		return;
	now = rte_rdtsc_precise();
	if (drive.warming && sent >= WARM) {
		drive.warming = false;
		drive.began = now;
		drive.base = drive.port.sent;
	} else if (!drive.warming && sent >= WINDOW) {
		drive.cycles[drive.done++] = (double)(now - drive.began) / (double)sent;
		drive.warming = true;
		drive.base = drive.port.sent;
		if (drive.done == drive.windows)
			end_round();
	}
}

static uint16_t rx(uint16_t port, struct rte_mbuf **pkts, uint16_t n)
{
	if (drive.windows == 0) {
		if (port != LAN)
			return 0;
		next_round();
	}
	if (port != (drive.inbound ? WAN : LAN))
		return 0;
	drive.port.left = n;
	return replay_rx(&drive.port, pkts, n);
}

static uint16_t rx_lan(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	return rx(LAN, pkts, n);
}

static uint16_t rx_wan(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	return rx(WAN, pkts, n);
}

static uint16_t tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	(void)queue;
	replay_tx(&drive.port, pkts, n);
	watch();
	return n;
}

static void take_pool(struct rte_mempool *pool, void *arg)
{
	(void)arg;
	/* The program's pool of packets is the one with private areas and room for a frame. */
	if (strncmp(pool->name, "mbuf_pool", 9) == 0 && strstr(pool->name, "indir") == NULL)
		drive.port.pool = pool;
}

int __real_rte_eth_dev_start(uint16_t port);
int __wrap_rte_eth_dev_start(uint16_t port);
int __real_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info);
int __real_rte_eth_dev_configure(uint16_t port, uint16_t rxq, uint16_t txq,
				 const struct rte_eth_conf *conf);
int __wrap_rte_eth_dev_configure(uint16_t port, uint16_t rxq, uint16_t txq,
				 const struct rte_eth_conf *conf);
int __real_rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors,
				  unsigned int socket, const struct rte_eth_rxconf *conf,
				  struct rte_mempool *pool);
int __wrap_rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors,
				  unsigned int socket, const struct rte_eth_rxconf *conf,
				  struct rte_mempool *pool);

/* The program insists on a port that checks checksums; that ours does not look at them costs
 * neither of us anything. */
int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
	int rc = __real_rte_eth_dev_info_get(port, info);

	info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_CHECKSUM;
	return rc;
}

int __wrap_rte_eth_dev_configure(uint16_t port, uint16_t rxq, uint16_t txq,
				 const struct rte_eth_conf *conf)
{
	struct rte_eth_conf plain = *conf;

	plain.rxmode.offloads &= ~(uint64_t)RTE_ETH_RX_OFFLOAD_CHECKSUM;
	return __real_rte_eth_dev_configure(port, rxq, txq, &plain);
}

int __wrap_rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors,
				  unsigned int socket, const struct rte_eth_rxconf *conf,
				  struct rte_mempool *pool)
{
	struct rte_eth_rxconf plain = *conf;

	plain.offloads &= ~(uint64_t)RTE_ETH_RX_OFFLOAD_CHECKSUM;
	return __real_rte_eth_rx_queue_setup(port, queue, descriptors, socket, &plain, pool);
}

int __wrap_rte_eth_dev_start(uint16_t port)
{
	int rc = __real_rte_eth_dev_start(port);

	if (rc < 0)
		return rc;
	rte_mempool_walk(take_pool, NULL);
	if (drive.port.pool == NULL) {
		fprintf(stderr, "secgw: it has no pool of packets\n");
		exit(1);
	}
	rte_eth_fp_ops[port].rx_pkt_burst = port == LAN ? rx_lan : rx_wan;
	rte_eth_fp_ops[port].tx_pkt_burst = tx;
	return rc;
}
