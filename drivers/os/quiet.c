/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeping the kernel quiet where it shares a netdev with us (platform.md): a bound UDP socket that
 * accepts nothing takes away ICMP port unreachable, arp_ignore keeps it from answering ARP on the
 * LAN for its WAN address.
 */
#include "cw_os.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int cw_os_quiet_port(rte_be32_t ip, rte_be16_t port)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {.len = 1, .filter = &nothing};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = port};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	sin.sin_addr.s_addr = ip;
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static FILE *open_arp_ignore(const char *netdev, const char *mode)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/arp_ignore", netdev);
	return fopen(path, mode);
}

int cw_os_quiet_arp(const char *netdev)
{
	FILE *f = open_arp_ignore(netdev, "re");
	int before = 0;

	if (f == NULL)
		return -errno;
	if (fscanf(f, "%d", &before) != 1)
		before = 0;
	fclose(f);
	cw_os_restore_arp(netdev, 8);
	return before;
}

void cw_os_restore_arp(const char *netdev, int value)
{
	FILE *f = open_arp_ignore(netdev, "we");

	if (f == NULL)
		return;
	fprintf(f, "%d\n", value);
	fclose(f);
}
