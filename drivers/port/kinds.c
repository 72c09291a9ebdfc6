/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kinds of ports as rows: name, DPDK driver, quirks, how a device is looked up before DPDK is
 * asked, and how its device arguments are written.
 *
 * Quirks (platform.md): af_packet copies, so the kernel goes on using the netdev, and it sees the
 * kernel's own frames; af_xdp takes whole queues away from the kernel.
 */
#include "internal.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 512

/* -- is it there? */

static const char *check_netdev(const char *device)
{
	if (device[0] == '\0')
		return "is missing: expected a netdev";
	return if_nametoindex(device) != 0 ? NULL : "does not exist";
}

static const char *check_pci(const char *device)
{
	char path[PATH_BYTES];
	unsigned int domain, bus, slot, function;

	if (sscanf(device, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return "is no PCI address: expected e.g. 0000:03:00.0";
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", device);
	return access(path, F_OK) == 0 ? NULL : "does not exist";
}

static const char *check_new_netdev(const char *device)
{
	if (device[0] == '\0' || strlen(device) >= IFNAMSIZ)
		return "is missing or too long: expected the name of the TAP netdev to make";
	return NULL;
}

static const char *check_socket(const char *device)
{
	char path[PATH_BYTES], *slash;

	if (device[0] != '/' || strlen(device) >= sizeof(path))
		return "is no path: expected the memif socket's";
	snprintf(path, sizeof(path), "%s", device);
	slash = strrchr(path, '/');
	slash[slash == path] = '\0';
	return access(path, W_OK) == 0 ? NULL : "is in no directory that we may write to";
}

static bool is_memif_server(const char *options)
{
	const char *role = strstr(options, "role=");

	return role != NULL && strncmp(role + 5, "server", 6) == 0;
}

/* Has a process of this network namespace the socket open? Connecting would tell more, but a memif
 * server that is connected to and left at once ends in a panic of DPDK's. */
static bool socket_is_open(const char *path)
{
	FILE *f = fopen("/proc/net/unix", "re");
	size_t len = strlen(path);
	char line[PATH_BYTES];
	bool open = false;

	while (f != NULL && !open && fgets(line, sizeof(line), f) != NULL) {
		size_t n = strcspn(line, "\n");

		open = n > len && line[n - len - 1] == ' ' &&
		       memcmp(line + n - len, path, len) == 0;
	}
	if (f != NULL)
		fclose(f);
	return open;
}

/* A server's socket outlives a process that was killed, and then cannot be bound again. */
static void prepare_memif(const struct cw_port_params *p)
{
	struct stat st;

	if (is_memif_server(p->options) && lstat(p->device, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    !socket_is_open(p->device))
		unlink(p->device);
}

/* A server that began anew made its socket anew. One that we may not connect to is none: a start
 * that fails would end the gateway. */
static uint64_t memif_other_end(const struct cw_port_params *p)
{
	struct stat st;

	if (is_memif_server(p->options) || stat(p->device, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    access(p->device, W_OK) < 0)
		return 0;
	return (uint64_t)st.st_ctim.tv_sec * CW_NS_PER_S + (uint64_t)st.st_ctim.tv_nsec;
}

/* RX.pcap or RX.pcap,TX.pcap */
static const char *check_pcap(const char *device)
{
	char path[PATH_BYTES];
	size_t len = strcspn(device, ",");

	if (len == 0 || len >= sizeof(path))
		return "is missing: expected RX.pcap or RX.pcap,TX.pcap";
	memcpy(path, device, len);
	path[len] = '\0';
	return access(path, R_OK) == 0 ? NULL : "cannot be read";
}

static const char *check_nothing(const char *device)
{
	(void)device;
	return NULL;
}

/* -- what DPDK is told */

static void args_af_packet(const struct cw_port_params *p, char *out, size_t size)
{
	/* qdisc_bypass=0: a local tcpdump sees what we send. */
	snprintf(out, size,
		 "iface=%s,qpairs=1,qdisc_bypass=0,framesz=2048,blocksz=65536,framecnt=2048",
		 p->device);
}

static void args_af_xdp(const struct cw_port_params *p, char *out, size_t size)
{
	snprintf(out, size, "iface=%s,start_queue=0,queue_count=%u", p->device, p->queues);
}

static void args_tap(const struct cw_port_params *p, char *out, size_t size)
{
	snprintf(out, size, "iface=%s", p->device);
}

static void args_memif(const struct cw_port_params *p, char *out, size_t size)
{
	snprintf(out, size, "socket=%s,socket-abstract=no,role=client,rsize=10", p->device);
}

static void args_pcap(const struct cw_port_params *p, char *out, size_t size)
{
	const char *comma = strchr(p->device, ',');
	int rx = comma != NULL ? (int)(comma - p->device) : (int)strlen(p->device);

	if (comma != NULL)
		snprintf(out, size, "rx_pcap=%.*s,tx_pcap=%s", rx, p->device, comma + 1);
	else
		snprintf(out, size, "rx_pcap=%.*s", rx, p->device);
}

static void args_none(const struct cw_port_params *p, char *out, size_t size)
{
	(void)p;
	snprintf(out, size, "%s", "");
}

static const struct port_kind kinds[CW_PORT_KIND_COUNT] = {
	[CW_PORT_ETHDEV] = {.word = "ethdev", .check = check_pci, .args = args_none},
	[CW_PORT_AF_XDP] = {.word = "af_xdp",
			    .driver = "net_af_xdp",
			    .uses_netdev = true,
			    .check = check_netdev,
			    .args = args_af_xdp},
	[CW_PORT_AF_PACKET] = {.word = "af_packet",
			       .driver = "net_af_packet",
			       .uses_netdev = true,
			       .sees_own_frames = true,
			       .shares_kernel = true,
			       .single_queue = true,
			       .check = check_netdev,
			       .args = args_af_packet},
	[CW_PORT_TAP] = {.word = "tap",
			 .driver = "net_tap",
			 .single_queue = true,
			 .check = check_new_netdev,
			 .args = args_tap},
	[CW_PORT_MEMIF] = {.word = "memif",
			   .driver = "net_memif",
			   .check = check_socket,
			   .prepare = prepare_memif,
			   .other_end = memif_other_end,
			   .args = args_memif},
	[CW_PORT_RING] = {.word = "ring",
			  .driver = "net_ring",
			  .single_queue = true,
			  .check = check_nothing,
			  .args = args_none},
	[CW_PORT_PCAP] = {.word = "pcap",
			  .driver = "net_pcap",
			  .single_queue = true,
			  .check = check_pcap,
			  .args = args_pcap},
	[CW_PORT_NULL] = {.word = "null",
			  .driver = "net_null",
			  .check = check_nothing,
			  .args = args_none},
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

const char *cw_port_own_socket(const struct cw_port_params *p)
{
	return p->kind == CW_PORT_MEMIF && is_memif_server(p->options) ? p->device : NULL;
}

int cw_port_check(const struct cw_port_params *params, char *err, size_t err_size)
{
	const struct port_kind *kind = port_kind(params->kind);
	const char *wrong = kind->check(params->device);

	if (wrong == NULL)
		return 0;
	if (params->device[0] == '\0')
		snprintf(err, err_size, "%s.device: %s", params->name, wrong);
	else
		snprintf(err, err_size, "%s.device: %s \"%s\" %s", params->name,
			 kind->uses_netdev ? "netdev" : kind->word, params->device, wrong);
	return params->device[0] == '\0' ? -EINVAL : -ENODEV;
}
