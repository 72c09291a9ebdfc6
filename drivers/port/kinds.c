/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of ports as rows: name, DPDK driver, quirks, and how its device arguments are written.
 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

static bool args_af_packet(const struct cw_port_params *p, char *out, size_t size)
{
	/* qdisc_bypass=0: a local tcpdump sees what we send. */
	snprintf(out, size,
		 "iface=%s,qpairs=1,qdisc_bypass=0,framesz=2048,blocksz=65536,framecnt=2048",
		 p->device);
	return p->device[0] != '\0';
}

static bool args_af_xdp(const struct cw_port_params *p, char *out, size_t size)
{
	snprintf(out, size, "iface=%s,start_queue=0,queue_count=1", p->device);
	return p->device[0] != '\0';
}

static bool args_tap(const struct cw_port_params *p, char *out, size_t size)
{
	snprintf(out, size, "iface=%s", p->device);
	return p->device[0] != '\0';
}

static bool args_memif(const struct cw_port_params *p, char *out, size_t size)
{
	snprintf(out, size, "socket=%s,socket-abstract=no,role=client,rsize=10", p->device);
	return p->device[0] != '\0';
}

static bool args_pcap(const struct cw_port_params *p, char *out, size_t size)
{
	/* RX.pcap or RX.pcap,TX.pcap */
	const char *comma = strchr(p->device, ',');
	int rx = comma != NULL ? (int)(comma - p->device) : (int)strlen(p->device);

	if (comma != NULL)
		snprintf(out, size, "rx_pcap=%.*s,tx_pcap=%s", rx, p->device, comma + 1);
	else
		snprintf(out, size, "rx_pcap=%.*s", rx, p->device);
	return rx > 0;
}

static bool args_none(const struct cw_port_params *p, char *out, size_t size)
{
	(void)p;
	snprintf(out, size, "%s", "");
	return true;
}

static const struct port_kind kinds[CW_PORT_KIND_COUNT] = {
	[CW_PORT_ETHDEV] = {"ethdev", NULL, false, false, false, false, args_none},
	[CW_PORT_AF_XDP] = {"af_xdp", "net_af_xdp", true, false, false, true, args_af_xdp},
	[CW_PORT_AF_PACKET] = {"af_packet", "net_af_packet", true, true, true, true,
			       args_af_packet},
	[CW_PORT_TAP] = {"tap", "net_tap", false, false, false, true, args_tap},
	[CW_PORT_MEMIF] = {"memif", "net_memif", false, false, false, true, args_memif},
	[CW_PORT_RING] = {"ring", "net_ring", false, false, false, true, args_none},
	[CW_PORT_PCAP] = {"pcap", "net_pcap", false, false, false, true, args_pcap},
	[CW_PORT_NULL] = {"null", "net_null", false, false, false, true, args_none},
};

const struct port_kind *port_kind(enum cw_port_kind kind)
{
	return &kinds[kind];
}

int cw_port_kind_parse(const char *word)
{
	for (int i = 0; i < CW_PORT_KIND_COUNT; i++)
		if (strcmp(kinds[i].word, word) == 0)
			return i;
	return -1;
}

const char *cw_port_kind_name(enum cw_port_kind kind)
{
	return kinds[kind].word;
}

bool cw_port_kind_uses_netdev(enum cw_port_kind kind)
{
	return kinds[kind].uses_netdev;
}
