/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_OS_H
#define CW_OS_H

/**
 * @file
 * The operating system behind ops: clock, random bytes, files, facts about netdevs. [any] unless
 * said otherwise.
 */
#include <cw_ops.h>
#include <cw_types.h>

/**
 * The one clock: CLOCK_MONOTONIC_RAW + (CLOCK_BOOTTIME - CLOCK_MONOTONIC), plus a test offset.
 * Counts suspend, ignores slew and steps (dht.md section 4).
 */
uint64_t cw_os_now_ns(void);
/** Test only: shift the clock. */
void cw_os_clock_offset(int64_t offset_ns);

/** Random bytes of the kernel. */
extern const struct cw_random_ops cw_os_random;

/** Read a whole file, at most @p max bytes. @return malloc'd bytes with a NUL behind them, or NULL
 * and errno. */
char *cw_os_read_file(const char *path, size_t max, size_t *len);
/** Replace a file: temporary, fsync, rename, fsync of the directory. @return 0 or -errno. */
CW_MUST_USE int cw_os_write_file(const char *path, const void *data, size_t len, unsigned int mode);
/** Make a directory (and its parents), 0700. @return 0 or -errno. */
CW_MUST_USE int cw_os_make_dir(const char *path);
/**
 * Take the lock of a state directory.
 * @return descriptor to keep open, -EAGAIN with @p holder = pid of who has it, or -errno.
 */
CW_MUST_USE int cw_os_lock_dir(const char *path, long *holder);
/** Identifies this boot of the kernel; 0 unknown. */
uint64_t cw_os_boot_id(void);

/** What the kernel knows of a netdev. */
struct cw_os_netdev {
	unsigned int ifindex;
	struct cw_mac mac;
	uint32_t mtu;
	bool up;
	bool have_address;
	rte_be32_t ip;
	uint8_t prefix_len;
	rte_be32_t gateway; /* of the default route through it; 0 none */
};
/** @return 0, -ENODEV, or -errno. */
CW_MUST_USE int cw_os_netdev_facts(const char *name, struct cw_os_netdev *out);

/**
 * Keep the kernel quiet about what is not its own: a UDP socket on ip:port that accepts nothing (no
 * ICMP port unreachable).
 * @return descriptor to keep open, or -errno.
 */
CW_MUST_USE int cw_os_quiet_port(rte_be32_t ip, rte_be16_t port);
/** The kernel does not answer ARP on this netdev (arp_ignore = 8). @return what it was, or -errno.
 */
int cw_os_quiet_arp(const char *netdev);
/** Put back what cw_os_quiet_arp returned. */
void cw_os_restore_arp(const char *netdev, int value);

#endif /* CW_OS_H */
