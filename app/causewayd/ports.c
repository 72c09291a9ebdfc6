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

static void fill_params(const struct daemon *d, const char *name,
			const struct cw_port_config *config, struct cw_port_params *out)
{
	*out = (struct cw_port_params){.kind = (enum cw_port_kind)config->driver,
				       .device = config->device,
				       .name = name,
				       .options = config->options,
				       .queues =
					       config->queues ? config->queues : d->config.workers,
				       .mtu_bytes = config->mtu,
				       .pool = d->pool};
}

static int check_netdev(struct daemon *d, const struct cw_port_params *p,
			struct cw_os_netdev *facts)
{
	int rc = cw_os_netdev_facts(p->device, facts);

	if (rc < 0)
		return FAIL(d, "%s.device: netdev \"%s\": %s", p->name, p->device, strerror(-rc));
	if (!facts->up)
		return FAIL(d, "%s.device: netdev \"%s\" is down (ip link set %s up)", p->name,
			    p->device, p->device);
	if (facts->mtu < p->mtu_bytes)
		return FAIL(d, "%s.mtu: %u, but netdev \"%s\" has %u: raise one or lower the other",
			    p->name, p->mtu_bytes, p->device, facts->mtu);
	/* Frames of a queue that we do not take would reach the kernel and be lost to us. */
	if (p->kind == CW_PORT_AF_XDP && facts->rx_queues > p->queues)
		return FAIL(
			d,
			"%s.device: netdev \"%s\" has %u receive queues and af_xdp takes %u: ethtool -L %s combined %u, or more workers",
			p->name, p->device, facts->rx_queues, p->queues, p->device, p->queues);
	return 0;
}

static int check_port(struct daemon *d, const char *name, const struct cw_port_config *config,
		      struct cw_os_netdev *facts)
{
	struct cw_port_params params;

	fill_params(d, name, config, &params);
	if (cw_port_check(&params, d->error, sizeof(d->error)) < 0)
		return -1;
	return cw_port_kind_uses_netdev(params.kind) ? check_netdev(d, &params, facts) : 0;
}

/*
 * One device cannot be both ports. af_packet would open a netdev twice, but its two sockets share a
 * fanout group then: the kernel gives each frame to one of them, whichever it is meant for.
 */
static int check_pair(struct daemon *d)
{
	const struct cw_gateway_config *c = &d->config;

	if (!c->has_lan || c->lan.device[0] == '\0' || strcmp(c->lan.device, c->wan.device) != 0)
		return 0;
	return FAIL(
		d,
		"lan.device and wan.device are both \"%s\": give the LAN a netdev of its own (ip link add link %s name %s.N type vlan id N)",
		c->lan.device, c->lan.device, c->lan.device);
}

int ports_check(struct daemon *d)
{
	const struct cw_gateway_config *c = &d->config;
	struct cw_os_netdev lan = {0};

	if ((c->has_lan && check_port(d, "lan", &c->lan, &lan) < 0) ||
	    check_port(d, "wan", &c->wan, &d->wan_netdev) < 0 || check_pair(d) < 0)
		return -1;
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
	struct cw_port_params params;

	fill_params(d, name, config, &params);
	params.promiscuous = promiscuous;
	params.multicast =
		config == &d->config.wan && d->config.discovery != CW_CONFIG_DISCOVERY_OFF;
	d->log.dpdk_line[0] = '\0';
	if (cw_port_open(out, &params, d->error, sizeof(d->error)) == 0 &&
	    cw_port_start(*out, d->error, sizeof(d->error)) == 0)
		return 0;
	if (d->log.dpdk_line[0] != '\0') {
		size_t len = strlen(d->error);

		snprintf(d->error + len, sizeof(d->error) - len, ": %s", d->log.dpdk_line);
	}
	return -1;
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

static void journal_path(const struct daemon *d, char *out, size_t size)
{
	snprintf(out, size, "%s/netdev", d->config.node.state_dir);
}

/* The kernel must not answer ARP on the LAN. Where we may not tell it so, a warning must do. */
static void take_lan(struct daemon *d)
{
	const struct cw_port_config *lan = &d->config.lan;
	char journal[CW_CONFIG_PATH_BYTES + 16];
	int rc;

	journal_path(d, journal, sizeof(journal));
	if (!d->config.has_lan || !cw_port_kind_uses_netdev((enum cw_port_kind)lan->driver)) {
		cw_os_netdev_give_back(journal);
		return;
	}
	rc = cw_os_netdev_take(lan->device, journal);
	d->lan_taken = true;
	if (rc < 0)
		cw_log(&d->log.log, CW_LOG_WARN, "main",
		       "arp_ignore of %s cannot be set (%s): the kernel may answer ARP there for its own addresses",
		       lan->device, strerror(-rc));
}

int ports_open(struct daemon *d)
{
	const struct cw_gateway_config *c = &d->config;
	struct cw_port_facts facts;

	if (make_pool(d) < 0 || open_one(d, "wan", &c->wan, false, &d->wan) < 0)
		return -1;
	/* Before the port is: it writes down whether the netdev was promiscuous. */
	take_lan(d);
	if (c->has_lan && open_one(d, "lan", &c->lan, true, &d->lan) < 0)
		return -1;
	cw_port_facts(d->wan, &facts);
	if (facts.shares_kernel) {
		d->quiet_fd = cw_os_quiet_port(d->wan_ip, rte_cpu_to_be_16((uint16_t)c->wan_port));
		if (d->quiet_fd < 0)
			return FAIL(d, "wan.port %u: %s (is another gateway on this address?)",
				    c->wan_port, strerror(-d->quiet_fd));
	}
	log_dpdk_started(d);
	return 0;
}

void ports_close(struct daemon *d)
{
	char journal[CW_CONFIG_PATH_BYTES + 16];

	if (d->quiet_fd >= 0)
		close(d->quiet_fd);
	cw_port_close(d->lan);
	cw_port_close(d->wan);
	d->lan = d->wan = NULL;
	journal_path(d, journal, sizeof(journal));
	if (d->lan_taken)
		cw_os_netdev_give_back(journal);
}

/* The socket that the LAN's or WAN's port serves; NULL: it serves none. */
static const char *own_socket(const struct daemon *d, const struct cw_port_config *config)
{
	struct cw_port_params params;

	if (config == &d->config.lan && !d->config.has_lan)
		return NULL;
	fill_params(d, "", config, &params);
	return cw_port_own_socket(&params);
}

int ports_hand_over(struct daemon *d, uint32_t uid, uint32_t gid)
{
	const struct cw_port_config *configs[] = {&d->config.lan, &d->config.wan};

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(configs); i++) {
		const char *path = own_socket(d, configs[i]);

		if (path != NULL && lchown(path, uid, gid) < 0)
			return FAIL(d, "memif socket %s: %s", path, strerror(errno));
	}
	return 0;
}

void ports_check_user(struct daemon *d)
{
	const struct cw_port_config *configs[] = {&d->config.lan, &d->config.wan};

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(configs); i++)
		if (configs[i]->driver == CW_PORT_MEMIF && own_socket(d, configs[i]) == NULL &&
		    access(configs[i]->device, W_OK) < 0)
			cw_log(&d->log.log, CW_LOG_WARN, "port",
			       "%s: user %s may not write to it (%s): its server will not be joined again",
			       configs[i]->device, d->config.user, strerror(errno));
}

void ports_give_back(struct daemon *d)
{
	const struct cw_port_config *configs[] = {&d->config.lan, &d->config.wan};
	char journal[512];

	journal_path(d, journal, sizeof(journal));
	cw_os_netdev_give_back(journal);
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(configs); i++)
		if (own_socket(d, configs[i]) != NULL)
			unlink(own_socket(d, configs[i]));
}

int ports_watch(struct daemon *d)
{
	struct cw_port *ports[] = {d->lan, d->wan};
	static const char *const names[] = {"lan", "wan"};

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(ports); i++) {
		struct cw_port_stats stats;

		if (ports[i] == NULL)
			continue;
		cw_port_stats(ports[i], &stats);
		if (stats.gone)
			return FAIL(
				d,
				"%s.device: the netdev is gone: stopping, to be started again with it",
				names[i]);
		if (stats.link_up == !d->link_down[i])
			continue;
		d->link_down[i] = !stats.link_up;
		cw_log(&d->log.log, stats.link_up ? CW_LOG_NOTICE : CW_LOG_WARN, "port",
		       "%s: link is %s", names[i], stats.link_up ? "up" : "down");
	}
	cw_control_port_links(d->control, !d->link_down[0], !d->link_down[1]);
	return 0;
}

int ports_reconnect(struct daemon *d)
{
	struct cw_port *ports[] = {d->lan, d->wan};

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(ports); i++) {
		if (ports[i] == NULL || !cw_port_can_reconnect(ports[i]))
			continue;
		/* A port that is being started is polled by nobody. */
		workers_stop(d);
		if (cw_port_reconnect(ports[i], d->error, sizeof(d->error)) < 0)
			cw_log(&d->log.log, CW_LOG_WARN, "port", "%s: tried again", d->error);
		if (workers_start(d) < 0)
			return -1;
	}
	return 0;
}

void ports_log(struct daemon *d)
{
	struct cw_port *ports[] = {d->lan, d->wan};
	static const char *const names[] = {"lan", "wan"};

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(ports); i++) {
		struct cw_port_stats s;

		if (ports[i] == NULL)
			continue;
		cw_port_stats(ports[i], &s);
		cw_log(&d->log.log, CW_LOG_NOTICE, "port",
		       "%s: link %s, rx %llu tx %llu packets, missed %llu, no buffer %llu, errors rx %llu tx %llu",
		       names[i], s.link_up ? "up" : "down", (unsigned long long)s.rx_packets,
		       (unsigned long long)s.tx_packets, (unsigned long long)s.rx_missed,
		       (unsigned long long)s.rx_no_buffer, (unsigned long long)s.rx_errors,
		       (unsigned long long)s.tx_errors);
	}
}
