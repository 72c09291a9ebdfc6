/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A traffic generator over memif: hosts of two sites with a gateway each, and RFC 2544's questions.
 *
 *   generator --lan SOCKET,SOCKET [options]
 *
 * It serves both sockets; a gateway's `lan = { driver = "memif"; device = SOCKET; }` connects. Its
 * hosts take their addresses by DHCP and find each other by ARP, so what is measured is a network
 * that works. One JSON line per case: the rate without loss (RFC 2544 section 26.1, a search by
 * halves), the latency at that rate, and what passes when as much is offered as the ports take.
 */
#include "generator.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>

#define POOL_MBUFS     32767
#define DESCRIPTORS    1024
#define SEARCH_ROUNDS  8
#define JOIN_S_DEFAULT 120u

struct options {
	const char *lan;
	const char *sizes; /* comma-separated bytes, or imix */
	const char *leases;
	double seconds, pps;
	unsigned int ways, join_s;
};

static const char usage[] =
	"usage: generator --lan SOCKET,SOCKET [--sizes 64,imix,1420] [--ways a,b,both]\n"
	"                 [--hosts N] [--flows N] [--queues N] [--seconds S] [--join S] [--pps RATE]\n"
	"  --pps: one trial of that rate per case instead of the search\n"
	"  --leases FILE: no trials; what the hosts got, as a Lua table for perf/pktgen\n";

static int open_port(struct generator *g, unsigned int side)
{
	struct rte_eth_conf conf = {0};
	uint16_t port = (uint16_t)side;
	char name[32];

	snprintf(name, sizeof(name), "net_memif%u", side);
	if (rte_eth_dev_get_port_by_name(name, &port) != 0 ||
	    rte_eth_dev_configure(port, (uint16_t)g->queues, (uint16_t)g->queues, &conf) < 0)
		return -1;
	for (uint16_t q = 0; q < g->queues; q++)
		if (rte_eth_rx_queue_setup(port, q, DESCRIPTORS, 0, NULL, g->pool) < 0 ||
		    rte_eth_tx_queue_setup(port, q, DESCRIPTORS, 0, NULL) < 0)
			return -1;
	g->side[side].port = port;
	return rte_eth_dev_start(port);
}

static int start_eal(const struct options *o, char *program)
{
	const char *comma = strchr(o->lan, ',');
	char prefix[64], vdev[SIDES][256];
	char *eal[] = {program,
		       (char *)"--no-huge",
		       (char *)"-m",
		       (char *)"256",
		       (char *)"--no-pci",
		       (char *)"--no-telemetry",
		       (char *)"--no-shconf",
		       prefix,
		       vdev[0],
		       vdev[1],
		       (char *)"--lcores=0@(0-1)",
		       (char *)"--log-level=3"};

	if (comma == NULL)
		return -1;
	snprintf(prefix, sizeof(prefix), "--file-prefix=cwgen%ld", (long)getpid());
	snprintf(vdev[0], sizeof(vdev[0]),
		 "--vdev=net_memif0,role=server,socket-abstract=no,rsize=10,socket=%.*s",
		 (int)(comma - o->lan), o->lan);
	snprintf(vdev[1], sizeof(vdev[1]),
		 "--vdev=net_memif1,role=server,socket-abstract=no,rsize=10,socket=%s", comma + 1);
	return rte_eal_init(CW_ARRAY_SIZE(eal), eal) < 0 ? -1 : 0;
}

/* memif's queues come and go with its links: they are polled when both gateways are there. */
static int wait_for_links(const struct generator *g, unsigned int deadline_s)
{
	for (unsigned int ms = 0; ms < deadline_s * 1000; ms++) {
		unsigned int up = 0;

		for (unsigned int s = 0; s < SIDES; s++) {
			struct rte_eth_link link = {0};

			up += rte_eth_link_get_nowait(g->side[s].port, &link) == 0 &&
			      link.link_status == RTE_ETH_LINK_UP;
		}
		if (up == SIDES)
			return 0;
		rte_delay_us_sleep(1000);
	}
	fputs("generator: no gateway at one of the sockets\n", stderr);
	return -1;
}

static double percentile(const struct trial *t, double share)
{
	return t->samples == 0 ? 0 : t->latency_us[(unsigned int)(share * (t->samples - 1))];
}

static void report(const struct generator *g, const char *size, const char *kind,
		   const struct trial *t)
{
	static const char *const ways[4] = {"", "a-b", "b-a", "both"};

	printf("{\"case\":\"%s/%s\",\"kind\":\"%s\",\"hosts\":%u,\"flows\":%u,\"queues\":%u,"
	       "\"seconds\":%.2f,\"offered_pps\":%.0f,\"received_pps\":%.0f,\"offered\":%llu,"
	       "\"received\":%llu,\"lost\":%llu,\"reordered\":%llu,\"latency_p50_us\":%.1f,"
	       "\"latency_p99_us\":%.1f}\n",
	       ways[t->ways], size, kind, g->hosts, g->flows, g->queues, t->seconds, t->offered_pps,
	       (double)t->received / t->seconds, (unsigned long long)t->offered,
	       (unsigned long long)t->received, (unsigned long long)(t->offered - t->received),
	       (unsigned long long)t->reordered, percentile(t, 0.5), percentile(t, 0.99));
	fflush(stdout);
}

/* The highest rate at which nothing is lost, to a 2^-SEARCH_ROUNDS of what passes at all. */
static void search(struct generator *g, const struct options *o, const char *size, struct trial *t,
		   struct trial *best)
{
	unsigned int bytes = (unsigned int)atoi(size);
	double low = 0, high;

	traffic_trial(g, bytes, 0, o->seconds, t);
	report(g, size, "greedy", t);
	high = t->offered_pps;
	*best = (struct trial){.ways = t->ways, .seconds = o->seconds};
	for (unsigned int i = 0; i < SEARCH_ROUNDS; i++) {
		double rate = i == 0 ? high : (low + high) / 2;

		traffic_trial(g, bytes, rate, o->seconds, t);
		if (t->received == t->offered && t->offered > 0) {
			*best = *t;
			low = rate;
			if (i == 0)
				break;
		} else {
			high = rate;
		}
	}
	report(g, size, "zero-loss", best);
}

static void run_cases(struct generator *g, const struct options *o)
{
	static struct trial t, best;
	char sizes[128], *save = NULL;

	for (unsigned int way = 1; way <= 3; way++) {
		if (!(o->ways >> way & 1))
			continue;
		snprintf(sizes, sizeof(sizes), "%s", o->sizes);
		for (char *s = strtok_r(sizes, ",", &save); s != NULL;
		     s = strtok_r(NULL, ",", &save)) {
			t.ways = way;
			if (o->pps > 0) {
				traffic_trial(g, (unsigned int)atoi(s), o->pps, o->seconds, &t);
				report(g, s, "rate", &t);
			} else {
				search(g, o, s, &t, &best);
			}
		}
	}
}

/* @return bits of the ways to drive; 0: not understood. */
static unsigned int parse_ways(const char *text)
{
	char copy[32], *save = NULL;
	unsigned int ways = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *w = strtok_r(copy, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
		if (strcmp(w, "a") == 0)
			ways |= 1u << 1;
		else if (strcmp(w, "b") == 0)
			ways |= 1u << 2;
		else if (strcmp(w, "both") == 0)
			ways |= 1u << 3;
		else
			return 0;
	}
	return ways;
}

static bool sizes_are_right(const char *sizes)
{
	char copy[128], *save = NULL;

	if (strlen(sizes) >= sizeof(copy))
		return false;
	snprintf(copy, sizeof(copy), "%s", sizes);
	for (char *s = strtok_r(copy, ",", &save); s != NULL; s = strtok_r(NULL, ",", &save))
		if (strcmp(s, "imix") != 0 && (atoi(s) < 64 || atoi(s) > (int)FRAME_MAX))
			return false;
	return true;
}

static int parse(int argc, char **argv, struct options *o, struct generator *g)
{
	static const struct option rows[] = {
		{"lan", 1, NULL, 'l'},	  {"sizes", 1, NULL, 's'},   {"ways", 1, NULL, 'w'},
		{"hosts", 1, NULL, 'h'},  {"flows", 1, NULL, 'f'},   {"queues", 1, NULL, 'q'},
		{"pps", 1, NULL, 'p'},	  {"seconds", 1, NULL, 't'}, {"join", 1, NULL, 'j'},
		{"leases", 1, NULL, 'L'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", rows, NULL)) != -1) {
		unsigned int n = optarg != NULL ? (unsigned int)strtoul(optarg, NULL, 10) : 0;

		switch (c) {
		case 'l':
			o->lan = optarg;
			break;
		case 's':
			o->sizes = optarg;
			break;
		case 'w':
			o->ways = parse_ways(optarg);
			break;
		case 'h':
			g->hosts = n;
			break;
		case 'f':
			g->flows = n;
			break;
		case 'q':
			g->queues = n;
			break;
		case 'p':
			o->pps = atof(optarg);
			break;
		case 't':
			o->seconds = atof(optarg);
			break;
		case 'L':
			o->leases = optarg;
			break;
		case 'j':
			o->join_s = n;
			break;
		default:
			return -1;
		}
	}
	return o->lan == NULL || o->ways == 0 || g->hosts == 0 || g->hosts > HOSTS_MAX ||
			       g->flows == 0 || g->flows > FLOWS_MAX || g->queues == 0 ||
			       g->queues > QUEUES_MAX || o->seconds <= 0 ||
			       !sizes_are_right(o->sizes)
		       ? -1
		       : 0;
}

static int write_leases(const struct generator *g, const char *path)
{
	FILE *f = fopen(path, "we");
	int rc;

	if (f == NULL)
		return -1;
	fputs("return {\n", f);
	for (unsigned int i = 0; i < g->hosts; i++) {
		fputs("  {", f);
		for (unsigned int s = 0; s < SIDES; s++) {
			const struct host *h = &g->side[s].hosts[i];
			char mac[CW_MAC_TEXT_BYTES], next[CW_MAC_TEXT_BYTES], ip[CW_IP4_TEXT_BYTES];

			fprintf(f, "{mac=\"%s\", next=\"%s\", ip=\"%s\"}%s",
				cw_mac_format(&h->mac, mac), cw_mac_format(&h->next, next),
				cw_ip4_format(h->ip, ip), s == 0 ? ", " : "");
		}
		fputs("},\n", f);
	}
	fputs("}\n", f);
	rc = ferror(f);
	return fclose(f) != 0 || rc != 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	static struct generator g = {.hosts = 1, .flows = 1, .queues = 1};
	struct options o = {
		.sizes = "64,imix,1420", .seconds = 2, .ways = 2, .join_s = JOIN_S_DEFAULT};
	char path[64];
	int rc;

	if (parse(argc, argv, &o, &g) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	if (g.flows < g.hosts)
		g.flows = g.hosts;
	if (start_eal(&o, argv[0]) < 0)
		return 1;
	g.hz = rte_get_tsc_hz();
	g.pool = rte_pktmbuf_pool_create("generator", POOL_MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					 SOCKET_ID_ANY);
	rc = g.pool == NULL || traffic_init(&g) < 0 || open_port(&g, 0) < 0 || open_port(&g, 1) < 0;
	if (rc == 0)
		rc = wait_for_links(&g, o.join_s) < 0 || hosts_join(&g, o.join_s) < 0;
	if (rc == 0 && o.leases != NULL)
		rc = write_leases(&g, o.leases) < 0;
	else if (rc == 0)
		run_cases(&g, &o);
	/*
	 * Without EAL's clean-up: memif's would free queues under its own interrupt thread, which
	 * still hears from the gateways. They see the sockets close all the same.
	 */
	snprintf(path, sizeof(path), "/run/dpdk/cwgen%ld", (long)getpid());
	rmdir(path);
	fflush(stdout);
	_exit(rc);
}
