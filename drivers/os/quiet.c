/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeping the kernel quiet where it shares a netdev with us (platform.md), and leaving the netdev
 * as it was found.
 *
 * A bound UDP socket that accepts nothing takes away ICMP port unreachable. arp_ignore keeps the
 * kernel from answering ARP on the LAN for its WAN address. That setting and the promiscuous flag
 * outlive a process, so what was there before is written to a journal first: a clean stop gives it
 * back, and after SIGKILL the next start does, before it writes its own.
 */
#include "cw_os.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* "Never answer": arp_ignore's strongest value. */
#define ARP_IGNORE_ALL	  8
#define JOURNAL_BYTES_MAX 256

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

static int read_arp_ignore(const char *netdev, int *out)
{
	FILE *f = open_arp_ignore(netdev, "re");
	int rc = 0;

	if (f == NULL)
		return -errno;
	if (fscanf(f, "%d", out) != 1)
		rc = -EIO;
	fclose(f);
	return rc;
}

static int write_arp_ignore(const char *netdev, int value)
{
	FILE *f = open_arp_ignore(netdev, "we");
	int rc = 0;

	if (f == NULL)
		return -errno;
	fprintf(f, "%d\n", value);
	/* /proc takes or refuses the value when it is flushed. */
	if (fclose(f) != 0)
		rc = -errno;
	return rc;
}

static int set_promiscuous(const char *netdev, bool on)
{
	struct ifreq req = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return -errno;
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", netdev);
	if (ioctl(fd, SIOCGIFFLAGS, &req) < 0) {
		rc = -errno;
	} else {
		req.ifr_flags =
			(short)(on ? req.ifr_flags | IFF_PROMISC : req.ifr_flags & ~IFF_PROMISC);
		if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
			rc = -errno;
	}
	close(fd);
	return rc;
}

static bool may(int rc)
{
	return rc != -EACCES && rc != -EPERM;
}

void cw_os_netdev_give_back(const char *journal)
{
	char *text = cw_os_read_file(journal, JOURNAL_BYTES_MAX, NULL), name[IFNAMSIZ];
	unsigned long long boot;
	int arp_ignore, promiscuous;
	bool allowed = true;

	/* Of another boot: then those settings are gone with it. */
	if (text != NULL &&
	    sscanf(text, "boot %llx netdev %15s arp_ignore %d promiscuous %d", &boot, name,
		   &arp_ignore, &promiscuous) == 4 &&
	    boot == cw_os_boot_id() && strchr(name, '/') == NULL) {
		/* The netdev may be gone by now: then there is nothing to give back. */
		if (arp_ignore >= 0)
			allowed = may(write_arp_ignore(name, arp_ignore));
		if (promiscuous == 0)
			allowed &= may(set_promiscuous(name, false));
	}
	free(text);
	/* Who may not leaves it to who may. */
	if (allowed)
		unlink(journal);
}

int cw_os_netdev_take(const char *netdev, const char *journal)
{
	struct cw_os_netdev facts;
	char text[JOURNAL_BYTES_MAX];
	int before = -1, readable, rc, len;

	cw_os_netdev_give_back(journal);
	rc = cw_os_netdev_facts(netdev, &facts);
	if (rc < 0)
		return rc;
	readable = read_arp_ignore(netdev, &before);
	len = snprintf(text, sizeof(text), "boot %llx netdev %s arp_ignore %d promiscuous %d\n",
		       (unsigned long long)cw_os_boot_id(), netdev, before, facts.promiscuous);
	rc = cw_os_write_file(journal, text, (size_t)len, 0600);
	if (rc < 0)
		return rc;
	return readable < 0 ? readable : write_arp_ignore(netdev, ARP_IGNORE_ALL);
}
