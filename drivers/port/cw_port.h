/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PORT_H
#define CW_PORT_H

/**
 * @file
 * LAN and WAN ports over DPDK's ethdev: bring-up, quirks, burst functions for lib/datapath.
 *
 * Everything is [control] but for the bursts that cw_port_queue hands out: each queue belongs to
 * one [worker]. EAL must be up for cw_port_open. A port lives from open to close; close it only
 * when no worker polls it any more.
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
	const char *name;    /* unique within the process, e.g. "lan"; begins every message */
	const char *options; /* further devargs, appended; "" none */
	unsigned int queues; /* wanted: one per worker; fewer if the port has fewer */
	unsigned int mtu_bytes;
	bool promiscuous; /* frames to the virtual MACs are not to the port's own */
	bool multicast;	  /* frames to multicast addresses are wanted */
	struct rte_mempool *pool;
};

/** What a port is like. */
struct cw_port_facts {
	unsigned int queues;
	bool uses_netdev;     /* `device` names one */
	bool sees_own_frames; /* the local kernel's output comes back to us */
	bool shares_kernel;   /* the kernel goes on using the netdev's address */
	struct cw_mac mac;
	unsigned int ethdev_id;
};

/** What the port itself counts, since it was opened. */
struct cw_port_stats {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_missed;    /* the port was full */
	uint64_t rx_no_buffer; /* the mempool was empty */
	uint64_t rx_errors, tx_errors;
	bool link_up;
	bool gone; /* its netdev was removed, or made anew: nothing will come from it any more */
};

/** @return -1 for an unknown word. */
int cw_port_kind_parse(const char *word);
const char *cw_port_kind_name(enum cw_port_kind kind);
bool cw_port_kind_uses_netdev(enum cw_port_kind kind);
/** [control] Path of the socket that such a port makes and serves, inside @p params; NULL: none. */
const char *cw_port_own_socket(const struct cw_port_params *params);

/**
 * Is what `device` names there? Needs no EAL, changes nothing; of @p params kind, device and name
 * are read.
 * @param err one line that names the port and what is missing
 * @return 0, -ENODEV, -EINVAL
 */
CW_MUST_USE int cw_port_check(const struct cw_port_params *params, char *err, size_t err_size);

/** @param err one line that names the port and what is wrong. @return 0 or -errno. */
CW_MUST_USE int cw_port_open(struct cw_port **out, const struct cw_port_params *params, char *err,
			     size_t err_size);
CW_MUST_USE int cw_port_start(struct cw_port *port, char *err, size_t err_size);
/** Stops and removes the port; a netdev is left as it was found. NULL is fine. */
void cw_port_close(struct cw_port *port);
void cw_port_facts(const struct cw_port *port, struct cw_port_facts *out);
/** One call into the driver: not for every turn. */
void cw_port_stats(const struct cw_port *port, struct cw_port_stats *out);
/**
 * Has the port lost its other end for good, and is one there again? A memif client does not connect
 * again by itself. Cheap enough for once a second.
 */
bool cw_port_can_reconnect(struct cw_port *port);
/** Connect again. No worker may poll it meanwhile. @return 0, or -errno with @p err. */
CW_MUST_USE int cw_port_reconnect(struct cw_port *port, char *err, size_t err_size);
/** What lib/datapath polls: queue @p queue of the port. Valid until the port is closed. */
void cw_port_queue(struct cw_port *port, unsigned int queue, struct cw_dp_port *out);

#endif /* CW_PORT_H */
