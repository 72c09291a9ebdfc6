/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bringing a port up: from a row of the kinds to a started ethdev with its queues. Names are looked
 * up before EAL does, so that an error says which port and what is missing; EAL itself only says
 * -1.
 *
 * Invariant: a port that failed to open leaves no device behind.
 */
#include "internal.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	uint16_t ethdev;
	bool added, configured;
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

static int find_device(struct cw_port *port, const struct cw_port_params *p, char *err,
		       size_t err_size)
{
	char args[CW_PORT_ARGS_BYTES];

	if (port->kind->uses_netdev && if_nametoindex(p->device) == 0) {
		snprintf(err, err_size, "%s: netdev \"%s\" does not exist", p->name, p->device);
		return -ENODEV;
	}
	if (!port->kind->args(p, args, sizeof(args))) {
		snprintf(err, err_size, "%s: %s needs a device", p->name, port->kind->word);
		return -EINVAL;
	}
	if (p->options[0] != '\0')
		snprintf(args + strlen(args), sizeof(args) - strlen(args), ",%s", p->options);
	if (port->kind->driver == NULL) {
		snprintf(port->name, sizeof(port->name), "%s", p->device);
		if (rte_eth_dev_get_port_by_name(port->name, &port->ethdev) == 0)
			return 0;
		if (rte_eal_hotplug_add("pci", port->name, args) != 0) {
			snprintf(
				err, err_size,
				"%s: no PCI device \"%s\" that DPDK can drive (is it bound to vfio-pci?)",
				p->name, p->device);
			return -ENODEV;
		}
	} else {
		snprintf(port->name, sizeof(port->name), "%s_%s", port->kind->driver, p->name);
		if (rte_eal_hotplug_add("vdev", port->name, args) != 0) {
			snprintf(err, err_size,
				 "%s: DPDK's %s refuses device \"%s\" (permission, or in use?)",
				 p->name, port->kind->driver, p->device);
			return -ENODEV;
		}
	}
	port->added = true;
	if (rte_eth_dev_get_port_by_name(port->name, &port->ethdev) != 0) {
		snprintf(err, err_size, "%s: device \"%s\" brought no port", p->name, p->device);
		return -ENODEV;
	}
	return 0;
}

static int configure(struct cw_port *port, const struct cw_port_params *p, char *err,
		     size_t err_size)
{
	struct rte_eth_conf conf = {.rxmode = {.mq_mode = RTE_ETH_MQ_RX_NONE}};
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(port->ethdev, &info);

	if (rc < 0) {
		snprintf(err, err_size, "%s: %s", p->name, strerror(-rc));
		return rc;
	}
	port->queue_count = port->kind->single_queue ? 1 : p->queues;
	if (port->queue_count > info.max_rx_queues)
		port->queue_count = info.max_rx_queues;
	if (port->queue_count > info.max_tx_queues)
		port->queue_count = info.max_tx_queues;
	if (port->queue_count > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			(RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP) &
			info.flow_type_rss_offloads;
	}
	rc = rte_eth_dev_configure(port->ethdev, (uint16_t)port->queue_count,
				   (uint16_t)port->queue_count, &conf);
	port->configured = rc == 0;
	for (unsigned int q = 0; rc == 0 && q < port->queue_count; q++) {
		rc = rte_eth_rx_queue_setup(port->ethdev, (uint16_t)q, RX_DESCRIPTORS,
					    (unsigned int)rte_eth_dev_socket_id(port->ethdev), NULL,
					    p->pool);
		if (rc == 0)
			rc = rte_eth_tx_queue_setup(
				port->ethdev, (uint16_t)q, TX_DESCRIPTORS,
				(unsigned int)rte_eth_dev_socket_id(port->ethdev), NULL);
		port->queues[q] = (struct queue){port->ethdev, (uint16_t)q};
	}
	if (rc < 0)
		snprintf(err, err_size, "%s: the port cannot be configured: %s", p->name,
			 strerror(-rc));
	return rc;
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
	rc = find_device(port, params, err, err_size);
	if (rc == 0)
		rc = configure(port, params, err, err_size);
	if (rc < 0) {
		cw_port_close(port);
		return rc;
	}
	if (params->promiscuous)
		rte_eth_promiscuous_enable(port->ethdev);
	if (rte_eth_macaddr_get(port->ethdev, &mac) == 0)
		memcpy(port->mac.b, mac.addr_bytes, sizeof(port->mac.b));
	*out = port;
	return 0;
}

int cw_port_start(struct cw_port *port, char *err, size_t err_size)
{
	int rc = rte_eth_dev_start(port->ethdev);

	if (rc < 0)
		snprintf(err, err_size, "%s: the port cannot be started: %s", port->name,
			 strerror(-rc));
	return rc;
}

void cw_port_close(struct cw_port *port)
{
	struct rte_eth_dev_info info;

	if (port == NULL)
		return;
	if (port->configured)
		rte_eth_dev_stop(port->ethdev);
	if (port->added) {
		if (rte_eth_dev_info_get(port->ethdev, &info) == 0 && info.device != NULL) {
			rte_eth_dev_close(port->ethdev);
			rte_dev_remove(info.device);
		}
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

void cw_port_queue(struct cw_port *port, unsigned int queue, struct cw_dp_port *out)
{
	*out = (struct cw_dp_port){.ops = &burst_ops,
				   .queue = &port->queues[queue < port->queue_count ? queue : 0],
				   .mac = port->mac,
				   .sees_own_frames = port->kind->sees_own_frames,
				   .owns_address = !port->kind->shares_kernel};
}
