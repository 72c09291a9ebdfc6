/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The write-ahead log and its thread. Control appends to memory and kicks the thread; the thread
 * writes, syncs and kicks back with the lsn up to which everything is durable. An fdatasync takes
 * milliseconds: control never waits for one.
 *
 * The log is replayed into the core at start and replaced by a snapshot; again by one whenever it
 * has grown to a multiple of the last. Control makes the snapshot in memory, the thread writes
 * it; and remembered peers too, which nobody waits for.
 */
#include "daemon.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Grown to four snapshots, and not below what is read in a blink, the log is cut. */
#define CUT_FACTOR    4u
#define CUT_BYTES_MIN (UINT64_C(4) << 20)
/* How often a log that found no room tries again. */
#define NO_ROOM_MS 500
/* How often the file system is asked how much is free. */
#define LOOK_MS 1000
/* Seats go to others while there is room to write that down: some minutes of a busy log. */
#define RESERVE_BYTES	 (UINT64_C(64) << 20)
#define RESERVE_OF_SMALL 20u /* and on a small file system a twentieth of it */

static int replay(void *arg, uint8_t type, const void *data, size_t len)
{
	struct daemon *d = arg;

	return cw_control_replay(d->control, type, data, len);
}

static void add(void *arg, uint8_t type, const void *data, size_t len)
{
	cw_wal_snapshot_add(arg, type, data, len);
}

static void plan_cut(struct daemon *d)
{
	d->wal_cut_bytes = cw_max_u64(CUT_FACTOR * cw_wal_size(d->wal), CUT_BYTES_MIN);
}

static void kick(int fd)
{
	uint64_t one = 1;

	/* Full means it is awake already. */
	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
}

static void write_peers(struct daemon *d)
{
	char *text = __atomic_exchange_n(&d->peers_text, NULL, __ATOMIC_ACQ_REL), path[512];
	int rc;

	if (text == NULL)
		return;
	peers_path(d, path, sizeof(path));
	rc = cw_os_write_file(path, text, strlen(text), 0600);
	if (rc < 0)
		__atomic_store_n(&d->peers_error, rc, __ATOMIC_RELEASE);
	free(text);
}

void writer_peers(struct daemon *d, char *text)
{
	/* What was not written yet is out of date. */
	free(__atomic_exchange_n(&d->peers_text, text, __ATOMIC_ACQ_REL));
	kick(d->writer_wake_fd);
}

/* Low below the reserve, good again at twice of it: a log that is cut to and fro is neither. */
static void look_at_room(struct daemon *d)
{
	uint64_t free_bytes, total_bytes, reserve;
	uint64_t now_ns = cw_os_now_ns();
	bool low = d->log_low, is;

	if (now_ns - d->log_looked_ns < LOOK_MS * CW_NS_PER_MS && d->log_looked_ns != 0)
		return;
	d->log_looked_ns = now_ns;
	if (cw_os_room(d->config.node.state_dir, &free_bytes, &total_bytes) < 0)
		return;
	reserve = cw_min_u64(RESERVE_BYTES, total_bytes / RESERVE_OF_SMALL);
	is = free_bytes < (low ? 2 * reserve : reserve);
	__atomic_store_n(&d->log_low, is, __ATOMIC_RELEASE);
	if (is != low)
		kick(d->writer_done_fd);
}

/* Until there is something to do; a log that waits for room looks again by itself. */
static bool wait_for_work(struct daemon *d, bool no_room)
{
	struct pollfd pfd = {.fd = d->writer_wake_fd, .events = POLLIN};
	uint64_t unused;
	int n = poll(&pfd, 1, no_room ? NO_ROOM_MS : LOOK_MS);

	if (n < 0)
		return errno == EINTR;
	if (n == 0)
		return true;
	/* Kicks come many a second; no room does not come back that fast. */
	if (no_room)
		usleep(NO_ROOM_MS * 1000);
	return read(d->writer_wake_fd, &unused, sizeof(unused)) >= 0 || errno == EINTR;
}

static void *writer_main(void *arg)
{
	struct daemon *d = arg;
	uint64_t lsn;
	int rc = 0;

	while (!__atomic_load_n(&d->writer_stop, __ATOMIC_ACQUIRE)) {
		bool no_room = rc == -EAGAIN;

		if (!wait_for_work(d, no_room))
			break;
		look_at_room(d);
		write_peers(d);
		while ((rc = cw_wal_sync(d->wal, &lsn)) > 0) {
			__atomic_store_n(&d->durable_lsn, lsn, __ATOMIC_RELEASE);
			kick(d->writer_done_fd);
		}
		__atomic_store_n(&d->log_waits, rc == -EAGAIN, __ATOMIC_RELEASE);
		if (no_room != (rc == -EAGAIN))
			kick(d->writer_done_fd);
		if (rc < 0 && rc != -EAGAIN) {
			__atomic_store_n(&d->writer_error, rc, __ATOMIC_RELEASE);
			kick(d->writer_done_fd);
			break;
		}
	}
	return NULL;
}

int writer_open(struct daemon *d)
{
	char path[512];
	int rc;

	snprintf(path, sizeof(path), "%s/log", d->config.node.state_dir);
	if (cw_wal_open(&d->wal, path, replay, d, d->error, sizeof(d->error)) < 0)
		return -1;
	if (cw_wal_snapshot_begin(d->wal) < 0)
		return FAIL(d, "%s: no memory for a snapshot", path);
	cw_control_snapshot(d->control, add, d->wal);
	rc = cw_wal_snapshot_commit(d->wal);
	/* Without room the log stays as it was read, and goes on when there is some. */
	if (rc == -ENOSPC || rc == -EDQUOT)
		cw_log(&d->log.log, CW_LOG_WARN, "main", "%s: the log is not cut: %s", path,
		       strerror(-rc));
	else if (rc < 0)
		return FAIL(d, "%s: the snapshot cannot be written: %s", path, strerror(-rc));
	plan_cut(d);
	d->writer_wake_fd = eventfd(0, EFD_CLOEXEC);
	d->writer_done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->writer_wake_fd < 0 || d->writer_done_fd < 0 ||
	    pthread_create(&d->writer, NULL, writer_main, d) != 0)
		return FAIL(d, "the log's thread does not start: %s", strerror(errno));
	d->writer_running = true;
	return 0;
}

void writer_cut(struct daemon *d)
{
	uint64_t size = cw_wal_size(d->wal);

	if (cw_wal_snapshot_waits(d->wal))
		return;
	/*
	 * One that could not be written shows as a size that did not fall: the next try is later.
	 */
	if (d->wal_cutting)
		plan_cut(d);
	d->wal_cutting = size >= d->wal_cut_bytes && cw_wal_snapshot_begin(d->wal) == 0;
	if (!d->wal_cutting)
		return;
	cw_log(&d->log.log, CW_LOG_INFO, "main", "the log has %llu bytes: cut by a snapshot",
	       (unsigned long long)size);
	cw_control_snapshot(d->control, add, d->wal);
	cw_wal_snapshot_hand(d->wal);
	kick(d->writer_wake_fd);
}

uint64_t writer_append(struct daemon *d, uint8_t type, const void *data, size_t len)
{
	uint64_t lsn = cw_wal_append(d->wal, type, data, len);

	if (lsn != 0 && d->writer_wake_fd >= 0)
		kick(d->writer_wake_fd);
	return lsn;
}

void writer_close(struct daemon *d)
{
	uint64_t lsn;

	if (d->writer_running) {
		__atomic_store_n(&d->writer_stop, true, __ATOMIC_RELEASE);
		kick(d->writer_wake_fd);
		pthread_join(d->writer, NULL);
		write_peers(d);
	}
	if (d->wal != NULL && cw_wal_sync(d->wal, &lsn) < 0)
		fprintf(stderr, "causewayd: the log's last records were not written\n");
	cw_wal_close(d->wal);
	if (d->writer_wake_fd >= 0)
		close(d->writer_wake_fd);
	if (d->writer_done_fd >= 0)
		close(d->writer_done_fd);
}
