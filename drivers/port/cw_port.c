/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing a port up: from a row of the kinds to a started ethdev with its queues. Names are
 * looked up before EAL does, so that an error says which port and what is missing; EAL itself
 * only says -1.
 *
 * Invariant: a port that failed to open, or was closed, leaves no device behind, and a netdev
 * with the promiscuous flag it had.
 */
#include "internal.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_ethdev.h>

#define RX_DESCRIPTORS 1024
#define TX_DESCRIPTORS 1024

struct queue {
	uint16_t ethdev;
	uint16_t queue;
};

struct cw_port {
	const struct port_kind *kind;
	char name[64];
	char role[16];	  /* "lan", "wan": begins every message */
	char device[256]; /* what the configuration names */
	char options[256];
	uint16_t ethdev;
	unsigned int ifindex;	 /* of the netdev; 0 none */
	uint64_t other_end;	 /* whom it was connected to: see kinds.c */
	uint64_t other_end_seen; /* when last looked */
	bool added, configured, started;
	bool made_promiscuous; /* by us: put back at close */
	struct cw_mac mac;
	unsigned int queue_count;
	struct queue queues[CW_SA_WORKERS_MAX];
};

static uint16_t rx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct queue *q = queue;

	return rte_eth_rx_burst(q->ethdev, q->queue, pkts, n);
}

static uint16_t tx(void *queue, struct rte_mbuf **pkts, uint16_t n)
{
	const struct queue *q = queue;

	return rte_eth_tx_burst(q->ethdev, q->queue, pkts, n);
}

static const struct cw_burst_ops burst_ops = {.rx = rx, .tx = tx};

/*
 * A device on a bus: EAL has probed it at its start if it was asked to, else it is plugged in
 * now.
 */
static int find_pci(struct cw_port *port, const struct cw_port_params *p, char *err,
		    size_t err_size)
{
	snprintf(port->name, sizeof(port->name), "%s", p->device);
	if (rte_eth_dev_get_port_by_name(port->name, &port->ethdev) == 0)
		return 0;
	if (rte_eal_hotplug_add("pci", port->name, p->options) == 0)
		return 0;
	snprintf(err, err_size, "%s.device: no DPDK driver takes \"%s\" (is it bound to vfio-pci?)",
		 p->name, p->device);
	return -ENODEV;
}

static int add_vdev(struct cw_port *port, const struct cw_port_params *p, char *err,
		    size_t err_size)
{
	char args[CW_PORT_ARGS_BYTES];
	size_t len;

	port->kind->args(p, args, sizeof(args));
	len = strlen(args);
	if (p->options[0] != '\0')
		snprintf(args + len, sizeof(args) - len, "%s%s", len > 0 ? "," : "", p->options);
	snprintf(port->name, sizeof(port->name), "%s_%s", port->kind->driver, p->name);
	if (rte_eal_hotplug_add("vdev", port->name, args) == 0)
		return 0;
	snprintf(err, err_size,
		 "%s.device: DPDK's %s refuses \"%s\" (no permission, in use, or bad options?)",
		 p->name, port->kind->driver, p->device);
	return -ENODEV;
}

static int find_device(struct cw_port *port, const struct cw_port_params *p, char *err,
		       size_t err_size)
{
	int rc = cw_port_check(p, err, err_size);

	if (rc == 0)
		rc = port->kind->driver == NULL ? find_pci(port, p, err, err_size)
						: add_vdev(port, p, err, err_size);
	if (rc < 0)
		return rc;
	port->added = true;
	if (rte_eth_dev_get_port_by_name(port->name, &port->ethdev) == 0)
		return 0;
	snprintf(err, err_size, "%s.device: \"%s\" brought no port", p->name, p->device);
	port->added = false;
	return -ENODEV;
}

static int set_mtu(struct cw_port *port, const struct cw_port_params *p, char *err, size_t err_size)
{
	int rc;

	/* A netdev's MTU is its operator's, and virtual ports have none. */
	if (port->kind->driver != NULL)
		return 0;
	rc = rte_eth_dev_set_mtu(port->ethdev, (uint16_t)p->mtu_bytes);
	if (rc < 0 && rc != -ENOTSUP) {
		snprintf(err, err_size, "%s.mtu: the port takes no %u bytes: %s", p->name,
			 p->mtu_bytes, strerror(-rc));
		return rc;
	}
	return 0;
}

static int setup_queue(struct cw_port *port, const struct cw_port_params *p, uint16_t q)
{
	unsigned int socket = (unsigned int)rte_eth_dev_socket_id(port->ethdev);
	int rc = rte_eth_rx_queue_setup(port->ethdev, q, RX_DESCRIPTORS, socket, NULL, p->pool);

	if (rc == 0)
		rc = rte_eth_tx_queue_setup(port->ethdev, q, TX_DESCRIPTORS, socket, NULL);
	port->queues[q] = (struct queue){port->ethdev, q};
	return rc;
}

static unsigned int count_queues(const struct cw_port *port, const struct cw_port_params *p,
				 const struct rte_eth_dev_info *info)
{
	unsigned int n = port->kind->single_queue ? 1 : p->queues;

	n = RTE_MIN(n, (unsigned int)info->max_rx_queues);
	n = RTE_MIN(n, (unsigned int)info->max_tx_queues);
	return RTE_MAX(RTE_MIN(n, (unsigned int)CW_SA_WORKERS_MAX), 1u);
}

static int configure(struct cw_port *port, const struct cw_port_params *p, char *err,
		     size_t err_size)
{
	struct rte_eth_conf conf = {.rxmode = {.mq_mode = RTE_ETH_MQ_RX_NONE}};
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(port->ethdev, &info);

	if (rc < 0) {
		snprintf(err, err_size, "%s.device: %s", p->name, strerror(-rc));
		return rc;
	}
	port->queue_count = count_queues(port, p, &info);
	/* What spreads frames over a port without RSS (memif, veth) is at its other end. */
	if (port->queue_count > 1 && info.flow_type_rss_offloads != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP) &
			info.flow_type_rss_offloads;
	}
	/* Of a NIC only: what a virtual port offers, it computes on our core. */
	if (port->kind->driver == NULL) {
		conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
		/* Every packet of ours is from one pool and held once. */
		conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	}
	rc = rte_eth_dev_configure(port->ethdev, (uint16_t)port->queue_count,
				   (uint16_t)port->queue_count, &conf);
	port->configured = rc == 0;
	for (unsigned int q = 0; rc == 0 && q < port->queue_count; q++)
		rc = setup_queue(port, p, (uint16_t)q);
	if (rc < 0) {
		snprintf(err, err_size, "%s.device: \"%s\" cannot be configured: %s", p->name,
			 p->device, strerror(-rc));
		return rc;
	}
	return set_mtu(port, p, err, err_size);
}

/* @return IFF_ flags; 0 when there is no such netdev. */
static unsigned int netdev_flags(const char *netdev)
{
	struct ifreq req = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned int flags = 0;

	if (fd < 0)
		return 0;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", netdev);
	if (ioctl(fd, SIOCGIFFLAGS, &req) == 0)
		flags = (unsigned short)req.ifr_flags;
	close(fd);
	return flags;
}

int cw_port_open(struct cw_port **out, const struct cw_port_params *params, char *err,
		 size_t err_size)
{
	struct cw_port *port = calloc(1, sizeof(*port));
	struct rte_ether_addr mac;
	int rc;

	if (port == NULL)
		return -ENOMEM;
	port->kind = port_kind(params->kind);
	snprintf(port->role, sizeof(port->role), "%s", params->name);
	snprintf(port->device, sizeof(port->device), "%s", params->device);
	snprintf(port->options, sizeof(port->options), "%s", params->options);
	port->ifindex = port->kind->uses_netdev ? if_nametoindex(params->device) : 0;
	if (port->kind->prepare != NULL)
		port->kind->prepare(params);
	rc = find_device(port, params, err, err_size);
	if (rc == 0)
		rc = configure(port, params, err, err_size);
	if (rc < 0) {
		cw_port_close(port);
		return rc;
	}
	if (params->promiscuous) {
		bool already =
			port->kind->uses_netdev && (netdev_flags(params->device) & IFF_PROMISC);

		/* Drivers without that notion take every frame. */
		port->made_promiscuous = rte_eth_promiscuous_enable(port->ethdev) == 0 && !already;
	}
	/* The kernel takes those of the all-systems group for its netdevs by itself. */
	if (params->multicast && !port->kind->uses_netdev)
		(void)rte_eth_allmulticast_enable(port->ethdev);
	if (rte_eth_macaddr_get(port->ethdev, &mac) == 0)
		memcpy(port->mac.b, mac.addr_bytes, sizeof(port->mac.b));
	*out = port;
	return 0;
}

static uint64_t other_end(const struct cw_port *port)
{
	struct cw_port_params params = {.device = port->device, .options = port->options};

	return port->kind->other_end != NULL ? port->kind->other_end(&params) : 0;
}

int cw_port_start(struct cw_port *port, char *err, size_t err_size)
{
	int rc;

	port->other_end = other_end(port);
	rc = rte_eth_dev_start(port->ethdev);

	port->started = rc == 0;
	/* A driver's own -1 is no errno. */
	if (rc < 0)
		snprintf(err, err_size, "%s.device: \"%s\" cannot be started%s%s", port->role,
			 port->device, rc == -1 ? "" : ": ", rc == -1 ? "" : strerror(-rc));
	return rc;
}

bool cw_port_can_reconnect(struct cw_port *port)
{
	struct rte_eth_link link = {0};
	uint64_t end;
	bool waits;

	if (port->kind->other_end == NULL || rte_eth_link_get_nowait(port->ethdev, &link) < 0 ||
	    link.link_status == RTE_ETH_LINK_UP)
		return false;
	end = other_end(port);
	/* Seen before too: its socket is there since a while, so it listens. */
	waits = end != 0 && end != port->other_end && end == port->other_end_seen;
	port->other_end_seen = end;
	return waits;
}

int cw_port_reconnect(struct cw_port *port, char *err, size_t err_size)
{
	int rc;

	if (port->started)
		rte_eth_dev_stop(port->ethdev);
	rc = cw_port_start(port, err, err_size);
	/* It went away between the look and the start: it may come back as it was. */
	if (rc < 0)
		port->other_end = 0;
	return rc;
}

void cw_port_close(struct cw_port *port)
{
	struct rte_eth_dev_info info;

	if (port == NULL)
		return;
	if (port->made_promiscuous)
		rte_eth_promiscuous_disable(port->ethdev);
	if (port->started)
		rte_eth_dev_stop(port->ethdev);
	if (port->added && rte_eth_dev_info_get(port->ethdev, &info) == 0) {
		rte_eth_dev_close(port->ethdev);
		if (info.device != NULL)
			rte_dev_remove(info.device);
	}
	free(port);
}

void cw_port_facts(const struct cw_port *port, struct cw_port_facts *out)
{
	*out = (struct cw_port_facts){.queues = port->queue_count,
				      .uses_netdev = port->kind->uses_netdev,
				      .sees_own_frames = port->kind->sees_own_frames,
				      .shares_kernel = port->kind->shares_kernel,
				      .mac = port->mac,
				      .ethdev_id = port->ethdev};
}

void cw_port_stats(const struct cw_port *port, struct cw_port_stats *out)
{
	struct rte_eth_stats s = {0};
	struct rte_eth_link link = {0};

	/* A driver that cannot say leaves zeros. */
	if (rte_eth_stats_get(port->ethdev, &s) < 0 ||
	    rte_eth_link_get_nowait(port->ethdev, &link) < 0)
		memset(&link, 0, sizeof(link));
	/* Drivers over a netdev say always up. */
	if (port->ifindex != 0 && !(netdev_flags(port->device) & IFF_RUNNING))
		link.link_status = RTE_ETH_LINK_DOWN;
	*out = (struct cw_port_stats){.rx_packets = s.ipackets,
				      .rx_bytes = s.ibytes,
				      .tx_packets = s.opackets,
				      .tx_bytes = s.obytes,
				      .rx_missed = s.imissed,
				      .rx_no_buffer = s.rx_nombuf,
				      .rx_errors = s.ierrors,
				      .tx_errors = s.oerrors,
				      .gone = port->ifindex != 0 &&
					      if_nametoindex(port->device) != port->ifindex,
				      .link_up = link.link_status == RTE_ETH_LINK_UP};
}

void cw_port_queue(struct cw_port *port, unsigned int queue, struct cw_dp_port *out)
{
	*out = (struct cw_dp_port){.ops = &burst_ops,
				   .queue = &port->queues[queue < port->queue_count ? queue : 0],
				   .mac = port->mac,
				   .sees_own_frames = port->kind->sees_own_frames,
				   .owns_address = !port->kind->shares_kernel};
}
