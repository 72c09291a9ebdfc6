/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PORT_H
#define CW_PORT_H

/**
 * @file
 * LAN and WAN ports over DPDK's ethdev: bring-up, quirks, burst functions for lib/datapath.
 * [control] but for the bursts.
 */
#include <rte_mempool.h>

#include <cw_datapath.h>

struct cw_port;

enum cw_port_kind {
	CW_PORT_ETHDEV, /* a NIC by PCI address */
	CW_PORT_AF_XDP,
	CW_PORT_AF_PACKET,
	CW_PORT_TAP,
	CW_PORT_MEMIF,
	CW_PORT_RING,
	CW_PORT_PCAP,
	CW_PORT_NULL,
	CW_PORT_KIND_COUNT
};

struct cw_port_params {
	enum cw_port_kind kind;
	const char *device;  /* netdev, PCI address, socket or file: what the kind wants */
	const char *name;    /* unique within the process, e.g. "lan" */
	const char *options; /* further devargs, appended; "" none */
	unsigned int queues; /* wanted: one per worker; fewer if the port has fewer */
	unsigned int mtu_bytes;
	bool promiscuous;
	struct rte_mempool *pool;
};

/** What a kind of port is like. */
struct cw_port_facts {
	unsigned int queues;
	bool uses_netdev;     /* `device` names one */
	bool sees_own_frames; /* the local kernel's output comes back to us */
	bool shares_kernel;   /* the kernel goes on using the netdev's address */
	struct cw_mac mac;
	unsigned int ethdev_id;
};

/** @return -1 for an unknown word. */
int cw_port_kind_parse(const char *word);
const char *cw_port_kind_name(enum cw_port_kind kind);
bool cw_port_kind_uses_netdev(enum cw_port_kind kind);

/** @param err one line that names the port and what is wrong. @return 0 or -errno. */
CW_MUST_USE int cw_port_open(struct cw_port **out, const struct cw_port_params *params, char *err,
			     size_t err_size);
CW_MUST_USE int cw_port_start(struct cw_port *port, char *err, size_t err_size);
void cw_port_close(struct cw_port *port);
void cw_port_facts(const struct cw_port *port, struct cw_port_facts *out);
/** What lib/datapath polls: queue @p queue of the port. */
void cw_port_queue(struct cw_port *port, unsigned int queue, struct cw_dp_port *out);

#endif /* CW_PORT_H */
