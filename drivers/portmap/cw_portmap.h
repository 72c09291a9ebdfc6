/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_PORTMAP_H
#define CW_PORTMAP_H

/**
 * @file
 * A UDP port of the router in front of us, opened for us: NAT-PMP (RFC 6886) by libnatpmp, UPnP IGD
 * by libminiupnpc.
 *
 * Blocking, and it reads XML and packets that whoever sits on the segment may have written: it runs
 * in a process of its own that holds no secret (app/causewayd/mapper.c) and only reports. It talks
 * to the default router alone. Addresses and ports are big endian.
 */
#include <cw_types.h>

#define CW_PORTMAP_WHY_BYTES 96u

/** In this order, while they are allowed. */
enum cw_portmap_protocol { CW_PORTMAP_NONE, CW_PORTMAP_NATPMP, CW_PORTMAP_UPNP };

struct cw_portmap_params {
	rte_be32_t ip, router; /* ours; router 0: there is none */
	rte_be16_t port;       /* ours, and what is asked for outside */
	bool natpmp, upnp;     /* allowed */
};

/** What stands now. Whole in one message. */
struct cw_portmap_report {
	uint8_t protocol; /* enum cw_portmap_protocol; NONE: no port is mapped */
	rte_be32_t ip;	  /* outside */
	rte_be16_t port;
	uint32_t lifetime_s;		/* granted; 0: until it is taken back */
	char why[CW_PORTMAP_WHY_BYTES]; /* NONE: one phrase; else "" */
};

/**
 * Ask for the mapping, renew it, and report (SOCK_SEQPACKET) whatever changes, until the other end
 * of @p fd is closed; then take it back. Returns only then.
 */
void cw_portmap_run(int fd, const struct cw_portmap_params *params);

#endif /* CW_PORTMAP_H */
