/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two ports: names checked before anything is started, the WAN's address and next hop from the
 * kernel unless given, the kernel kept quiet where it shares a netdev.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <rte_mbuf.h>

#define MBUFS_PER_PORT 4096u

static int check_netdev(struct daemon *d, const char *side, const struct cw_port_config *port,
			struct cw_os_netdev *facts)
{
	int rc;

	if (!cw_port_kind_uses_netdev((enum cw_port_kind)port->driver))
		return 0;
	if (port->device[0] == '\0')
		return FAIL(d, "%s: %s.device: is missing", d->options.config_file, side);
	rc = cw_os_netdev_facts(port->device, facts);
	if (rc == -ENODEV)
		return FAIL(d, "%s.device: netdev \"%s\" does not exist", side, port->device);
	if (rc < 0)
		return FAIL(d, "%s.device: netdev \"%s\": %s", side, port->device, strerror(-rc));
	if (!facts->up)
		return FAIL(d, "%s.device: netdev \"%s\" is down", side, port->device);
	return 0;
}

int ports_check(struct daemon *d)
{
	const struct cw_gateway_config *c = &d->config;
	struct cw_os_netdev lan = {0};

	if (c->has_lan && check_netdev(d, "lan", &c->lan, &lan) < 0)
		return -1;
	if (check_netdev(d, "wan", &c->wan, &d->wan_netdev) < 0)
		return -1;
	if (c->has_lan && strcmp(c->lan.device, c->wan.device) == 0 && c->lan.device[0] != '\0' &&
	    c->lan_vlan == 0)
		return FAIL(d, "lan.device and wan.device are both \"%s\"", c->lan.device);
	d->wan_ip = c->wan_address.ip != 0 ? c->wan_address.ip : d->wan_netdev.ip;
	d->wan_prefix_len = c->wan_address.ip != 0 ? c->wan_address.len : d->wan_netdev.prefix_len;
	d->wan_gateway = c->wan_gateway != 0 ? c->wan_gateway : d->wan_netdev.gateway;
	if (d->wan_ip == 0)
		return FAIL(d, "wan.address: is missing, and wan.device \"%s\" has no IPv4 address",
			    c->wan.device);
	return 0;
}

static int open_one(struct daemon *d, const char *name, const struct cw_port_config *config,
		    bool promiscuous, struct cw_port **out)
{
	struct cw_port_params params = {.kind = (enum cw_port_kind)config->driver,
					.device = config->device,
					.name = name,
					.options = config->options,
					.queues =
						config->queues ? config->queues : d->config.workers,
					.mtu_bytes = config->mtu,
					.promiscuous = promiscuous,
					.pool = d->pool};

	if (cw_port_open(out, &params, d->error, sizeof(d->error)) < 0)
		return -1;
	return cw_port_start(*out, d->error, sizeof(d->error)) < 0 ? -1 : 0;
}

static int make_pool(struct daemon *d)
{
	unsigned int count =
		MBUFS_PER_PORT * (d->config.has_lan ? 2 : 1) + 1024 * d->config.workers;

	/* ring_mt_rts: an lcore may be preempted anywhere without holding up the others. */
	d->pool = rte_pktmbuf_pool_create_by_ops("causeway", count, 128, CW_MBUF_PRIVATE_BYTES,
						 RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY,
						 "ring_mt_rts");
	if (d->pool == NULL)
		return FAIL(d, "no memory for %u packet buffers (eal.memory_mb %u)", count,
			    d->config.eal_memory_mb);
	return 0;
}

int ports_open(struct daemon *d)
{
	const struct cw_gateway_config *c = &d->config;
	struct cw_port_facts facts;

	if (make_pool(d) < 0 || open_one(d, "wan", &c->wan, false, &d->wan) < 0)
		return -1;
	if (c->has_lan && open_one(d, "lan", &c->lan, true, &d->lan) < 0)
		return -1;
	cw_port_facts(d->wan, &facts);
	if (facts.shares_kernel) {
		d->quiet_fd = cw_os_quiet_port(d->wan_ip, rte_cpu_to_be_16((uint16_t)c->wan_port));
		if (d->quiet_fd < 0)
			return FAIL(d, "wan.port %u: %s (is another gateway on this address?)",
				    c->wan_port, strerror(-d->quiet_fd));
	}
	if (c->has_lan && cw_port_kind_uses_netdev((enum cw_port_kind)c->lan.driver)) {
		d->lan_arp_before = cw_os_quiet_arp(c->lan.device);
		d->lan_arp_changed = d->lan_arp_before >= 0;
	}
	return 0;
}

void ports_close(struct daemon *d)
{
	if (d->lan_arp_changed)
		cw_os_restore_arp(d->config.lan.device, d->lan_arp_before);
	if (d->quiet_fd >= 0)
		close(d->quiet_fd);
	cw_port_close(d->lan);
	cw_port_close(d->wan);
}
