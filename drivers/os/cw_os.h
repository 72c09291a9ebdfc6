/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_OS_H
#define CW_OS_H

/**
 * @file
 * The operating system behind ops: clock, random bytes, files, facts about netdevs. [any] unless
 * said otherwise. Addresses are big endian, times nanoseconds.
 */
#include <cw_ops.h>
#include <cw_types.h>

/**
 * The one clock: CLOCK_MONOTONIC_RAW + (CLOCK_BOOTTIME - CLOCK_MONOTONIC), plus a test offset.
 * Counts suspend, ignores slew and steps (dht.md section 4).
 */
uint64_t cw_os_now_ns(void);
/**
 * Test only: this much is added to the clock. More than before: it jumps ahead. Less: it stands
 * still until time has caught up, as in a virtual machine that was not run. [control]
 */
void cw_os_clock_offset(uint64_t offset_ns);

/**
 * The workers' clock (TSC) for the one above. One thread updates it and asks it; the rate is
 * measured here, never taken from DPDK, which rounds it.
 */
struct cw_os_tsc {
	uint64_t hz;
	uint64_t tsc, ns;	      /* one instant in both */
	uint64_t first_tsc, first_ns; /* since when the rate is measured */
};
/** Both clocks at (nearly) one instant. */
void cw_os_tsc_sample(uint64_t *tsc, uint64_t *ns);
/** Begin from one instant and a rate. */
void cw_os_tsc_begin(struct cw_os_tsc *map, uint64_t tsc, uint64_t ns, uint64_t hz);
/** Begin by measuring: takes 50 ms. At start only. */
void cw_os_tsc_calibrate(struct cw_os_tsc *map);
/**
 * Move the anchor to a new sample; call it about once a second.
 * @return false when the clocks went apart (suspend, a TSC that was reset): deadlines that were
 *	published as TSC values are void.
 */
bool cw_os_tsc_update(struct cw_os_tsc *map, uint64_t tsc, uint64_t ns);
uint64_t cw_os_tsc_of_ns(const struct cw_os_tsc *map, uint64_t ns);
uint64_t cw_os_ns_of_tsc(const struct cw_os_tsc *map, uint64_t tsc);

/** Random bytes of the kernel. */
extern const struct cw_random_ops cw_os_random;

/**
 * Read a whole file of at most @p max bytes.
 * @return malloc'd bytes with a NUL behind them, or NULL and errno (EFBIG: larger)
 */
char *cw_os_read_file(const char *path, size_t max, size_t *len);
/** How much of the file system that @p path is on is free for us, and how large it is. @return 0 or
 * -errno. [any] */
CW_MUST_USE int cw_os_room(const char *path, uint64_t *free_bytes, uint64_t *total_bytes);
/** Replace a file: temporary, fsync, rename, fsync of the directory. @return 0 or -errno. */
CW_MUST_USE int cw_os_write_file(const char *path, const void *data, size_t len, unsigned int mode);
/** Make a directory (and its parents), 0700. @return 0 or -errno. */
CW_MUST_USE int cw_os_make_dir(const char *path);
/**
 * Take the lock of a state directory; it ends with the process, however that ends.
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
	bool promiscuous; /* the flag; not what packet sockets ask for */
	bool have_address;
	rte_be32_t ip; /* the first that is not secondary */
	uint8_t prefix_len;
	rte_be32_t gateway;	/* of the best default route through it; 0 none */
	unsigned int rx_queues; /* that the kernel spreads frames over */
};
/** @return 0, -ENODEV, or -errno. */
CW_MUST_USE int cw_os_netdev_facts(const char *name, struct cw_os_netdev *out);

/**
 * Keep the kernel quiet about what is not its own: a UDP socket on ip:port that accepts nothing (no
 * ICMP port unreachable).
 * @return descriptor to keep open, or -errno.
 */
CW_MUST_USE int cw_os_quiet_port(rte_be32_t ip, rte_be16_t port);
/**
 * Take a LAN netdev over: write to @p journal how it is (arp_ignore, promiscuous flag), then let
 * the kernel answer no ARP on it (arp_ignore = 8). What an earlier process left behind is undone
 * first. Before the port is opened.
 * @return 0 or -errno
 */
CW_MUST_USE int cw_os_netdev_take(const char *netdev, const char *journal);
/** Undo what the journal tells of, and remove it. Nothing without one. After the port is closed. */
void cw_os_netdev_give_back(const char *journal);

/** A user that is not root, with its own group or the one named. @return 0 or -ENOENT. */
CW_MUST_USE int cw_os_find_user(const char *user, const char *group, uint32_t *uid, uint32_t *gid);
/** @return 0 or -ENOENT. */
CW_MUST_USE int cw_os_find_group(const char *group, uint32_t *gid);
/** Give a directory and the plain files in it to a user. @return 0 or -errno. */
CW_MUST_USE int cw_os_own_dir(const char *path, uint32_t uid, uint32_t gid);
/** Become this user for good, in all threads; every capability goes. @return 0 or -errno. */
CW_MUST_USE int cw_os_become(uint32_t uid, uint32_t gid);
/** No core dump, no debugger, nobody reads our memory through /proc. */
void cw_os_no_dumps(void);
/** From here on the kernel does for us only what a gateway needs (seccomp), in all threads.
 * @return 0 or -errno. */
CW_MUST_USE int cw_os_confine(void);

/**
 * Memory for keys: locked as far as the limit of locked memory goes, in no core dump, in no child
 * (there it reads as zeroes). One for the process's whole life; nothing takes it apart.
 */
struct cw_os_keys;

struct cw_os_keys_facts {
	uint64_t bytes, locked_bytes; /* mapped now; the rest may be written to swap */
	bool undumped;		      /* none of it stands in a core dump */
};

/** Raises the limit of locked memory if it may: call it before power is given up. @return 0 or
 * -ENOMEM. */
CW_MUST_USE int cw_os_keys_create(struct cw_os_keys **out);
/** Zeroed, aligned to 64. [any] */
void *cw_os_keys_alloc(struct cw_os_keys *keys, size_t bytes);
/** As realloc does; 0 bytes free it. What is behind the old content is undefined. [any] */
void *cw_os_keys_realloc(struct cw_os_keys *keys, void *mem, size_t bytes);
/** Zeroes all of it first. NULL is fine. [any] */
void cw_os_keys_free(struct cw_os_keys *keys, void *mem);
void cw_os_keys_facts(struct cw_os_keys *keys, struct cw_os_keys_facts *out);

#endif /* CW_OS_H */
