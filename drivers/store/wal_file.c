/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log's file. Control queues records in memory; a writer thread writes and syncs them in one go
 * (group commit) and says up to which lsn everything is safe. An fdatasync takes milliseconds, so
 * control never waits for it. A snapshot goes the same way: control makes it in memory and hands it
 * over; the thread puts it in the log's place before it writes what is queued.
 *
 * After a failed write or sync the log is dead for this process: the kernel may have dropped the
 * pages, so trying again would lie. One failure is different: a write that finds no room. Nothing
 * of it was synced or told of, so it is cut off again, kept, and tried later; until then nothing is
 * durable, and whatever waits for that goes on waiting. If the queue fills up meanwhile, the log
 * is dead too.
 */
#include "cw_wal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A log larger than this was written by something else. */
#define FILE_BYTES_MAX (UINT64_C(4) << 30)
/* What control may queue before the disk has taken it. */
#define QUEUE_BYTES_MAX (16u << 20)

struct buffer {
	uint8_t *data;
	size_t len, size;
};

struct cw_wal {
	char path[4096];
	int fd;
	uint64_t next_lsn;     /* control only */
	uint64_t snapshot_lsn; /* likewise */
	uint64_t size;	       /* writer: w, control: r */
	pthread_mutex_t lock;  /* queue, queued_lsn, failed, no_room, handed */
	struct buffer queue;
	uint64_t queued_lsn;
	int failed;
	bool no_room;	      /* writer: w, append: r */
	struct buffer handed; /* a snapshot for the writer */
	bool handed_waits;
	struct buffer writing;	/* writer thread only; not empty: it found no room */
	uint64_t writing_lsn;	/* the same: its last record */
	struct buffer snapshot; /* control only, like its error */
	int snapshot_error;
};

static int buffer_add(struct buffer *b, const void *data, size_t len)
{
	if (b->len + len > b->size) {
		size_t size = b->size ? b->size * 2 : 65536;
		uint8_t *grown;

		while (size < b->len + len)
			size *= 2;
		grown = realloc(b->data, size);
		if (grown == NULL)
			return -ENOMEM;
		b->data = grown;
		b->size = size;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

static int add_record(struct buffer *b, uint8_t type, uint64_t lsn, const void *data, size_t len)
{
	uint8_t header[CW_WAL_HEADER_BYTES];
	size_t before = b->len;

	cw_wal_encode(header, type, lsn, data, len);
	if (buffer_add(b, header, sizeof(header)) < 0 || buffer_add(b, data, len) < 0) {
		b->len = before;
		return -ENOMEM;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int read_file(struct cw_wal *wal, uint8_t **data, size_t *len)
{
	struct stat st;
	size_t at = 0;

	if (fstat(wal->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > FILE_BYTES_MAX)
		return -EFBIG;
	*len = (size_t)st.st_size;
	*data = malloc(*len + 1);
	if (*data == NULL)
		return -ENOMEM;
	while (at < *len) {
		ssize_t n = pread(wal->fd, *data + at, *len - at, (off_t)at);

		if (n <= 0) {
			int rc = n < 0 && errno > 0 ? -errno : -EIO;

			free(*data);
			return rc;
		}
		at += (size_t)n;
	}
	return 0;
}

/* @return bytes of good records, or -errno. */
static int64_t replay_all(struct cw_wal *wal, const uint8_t *data, size_t len,
			  cw_wal_replay_fn replay, void *arg)
{
	size_t at = 0;

	for (;;) {
		const uint8_t *payload;
		size_t payload_len;
		uint64_t lsn;
		uint8_t type;
		int rc;

		switch (cw_wal_decode(data + at, len - at, &type, &lsn, &payload, &payload_len)) {
		case CW_WAL_END:
			return (int64_t)at;
		case CW_WAL_TORN:
			return cw_wal_any_good(data + at, len - at) ? -EBADMSG : (int64_t)at;
		default:
			rc = replay(arg, type, payload, payload_len);
			if (rc < 0)
				return rc;
			/* Records queued before a snapshot stand behind it. */
			if (lsn >= wal->next_lsn)
				wal->next_lsn = lsn + 1;
			at += CW_WAL_HEADER_BYTES + payload_len;
		}
	}
}

int cw_wal_open(struct cw_wal **out, const char *path, cw_wal_replay_fn replay, void *arg,
		char *err, size_t err_size)
{
	struct cw_wal *wal = calloc(1, sizeof(*wal));
	uint8_t *data = NULL;
	int64_t good;
	size_t len = 0;
	int rc;

	if (wal == NULL)
		return -ENOMEM;
	snprintf(wal->path, sizeof(wal->path), "%s", path);
	pthread_mutex_init(&wal->lock, NULL);
	wal->next_lsn = 1;
	wal->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (wal->fd < 0) {
		rc = -errno;
		snprintf(err, err_size, "%s: %s", path, strerror(-rc));
		free(wal);
		return rc;
	}
	rc = read_file(wal, &data, &len);
	good = rc < 0 ? rc : replay_all(wal, data, len, replay, arg);
	if (rc == 0)
		free(data);
	if (good < 0) {
		snprintf(
			err, err_size,
			good == -EBADMSG
				? "%s: corrupt: good records follow a bad one. This node's memory is lost: move the state directory away and let it join as new"
				: "%s: cannot be read",
			path);
		cw_wal_close(wal);
		return (int)good;
	}
	/* A torn tail was never told of: it goes. */
	if (ftruncate(wal->fd, good) < 0 || lseek(wal->fd, good, SEEK_SET) < 0) {
		rc = -errno;
		snprintf(err, err_size, "%s: %s", path, strerror(-rc));
		cw_wal_close(wal);
		return rc;
	}
	wal->size = (uint64_t)good;
	*out = wal;
	return 0;
}

int cw_wal_snapshot_begin(struct cw_wal *wal)
{
	if (cw_wal_snapshot_waits(wal))
		return -EBUSY;
	wal->snapshot.len = 0;
	wal->snapshot_error = 0;
	/* One number, however long it is: others tell an old log by its numbers (the DHT's
	 * heartbeats), and writing one down anew must not make it look younger. */
	wal->snapshot_lsn = wal->next_lsn++;
	return 0;
}

void cw_wal_snapshot_add(struct cw_wal *wal, uint8_t type, const void *data, size_t len)
{
	/* Half a snapshot would be a loss: the error stays until the end. */
	if (wal->snapshot_error == 0)
		wal->snapshot_error =
			add_record(&wal->snapshot, type, wal->snapshot_lsn, data, len);
}

void cw_wal_snapshot_hand(struct cw_wal *wal)
{
	if (wal->snapshot_error < 0)
		return;
	pthread_mutex_lock(&wal->lock);
	wal->handed = wal->snapshot;
	wal->handed_waits = true;
	pthread_mutex_unlock(&wal->lock);
	wal->snapshot = (struct buffer){0};
}

bool cw_wal_snapshot_waits(struct cw_wal *wal)
{
	bool waits;

	pthread_mutex_lock(&wal->lock);
	waits = wal->handed_waits;
	pthread_mutex_unlock(&wal->lock);
	return waits;
}

static int sync_dir(const char *path)
{
	char copy[4096];
	int fd, rc;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/*
 * Put a snapshot in the log's place.
 * @param placed out: the name is the new file's; an error after that is one of the log
 */
static int replace_file(struct cw_wal *wal, const struct buffer *snapshot, bool *placed)
{
	char temporary[sizeof(wal->path) + 8];
	int fd, rc;

	*placed = false;
	snprintf(temporary, sizeof(temporary), "%s.new", wal->path);
	fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, snapshot->data, snapshot->len);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (rc == 0 && rename(temporary, wal->path) < 0)
		rc = -errno;
	if (rc < 0) {
		close(fd);
		unlink(temporary);
		return rc;
	}
	*placed = true;
	close(wal->fd);
	wal->fd = fd;
	__atomic_store_n(&wal->size, snapshot->len, __ATOMIC_RELAXED);
	return sync_dir(wal->path);
}

int cw_wal_snapshot_commit(struct cw_wal *wal)
{
	bool placed;
	int rc = wal->snapshot_error;

	if (rc == 0)
		rc = replace_file(wal, &wal->snapshot, &placed);
	free(wal->snapshot.data);
	wal->snapshot = (struct buffer){0};
	return rc;
}

uint64_t cw_wal_append(struct cw_wal *wal, uint8_t type, const void *data, size_t len)
{
	uint64_t lsn = 0;

	if (len > CW_WAL_PAYLOAD_MAX)
		return 0;
	pthread_mutex_lock(&wal->lock);
	if (wal->no_room && !wal->failed && wal->queue.len + len >= QUEUE_BYTES_MAX)
		wal->failed = -ENOSPC;
	if (!wal->failed && wal->queue.len + len < QUEUE_BYTES_MAX &&
	    add_record(&wal->queue, type, wal->next_lsn, data, len) == 0) {
		lsn = wal->next_lsn++;
		wal->queued_lsn = lsn;
	}
	pthread_mutex_unlock(&wal->lock);
	return lsn;
}

/* Written by now, or given up: control may make the next one. */
static int take_snapshot(struct cw_wal *wal, struct buffer *snapshot)
{
	bool placed;
	int rc = replace_file(wal, snapshot, &placed);

	free(snapshot->data);
	pthread_mutex_lock(&wal->lock);
	wal->handed_waits = false;
	pthread_mutex_unlock(&wal->lock);
	return placed ? rc : 0;
}

/* @return -EAGAIN: no room, and the file is as it was. */
static int write_taken(struct cw_wal *wal)
{
	struct buffer *taken = &wal->writing;
	uint64_t size = cw_wal_size(wal);
	int rc = write_all(wal->fd, taken->data, taken->len);

	if (rc == -ENOSPC || rc == -EDQUOT) {
		if (ftruncate(wal->fd, (off_t)size) < 0 ||
		    lseek(wal->fd, (off_t)size, SEEK_SET) < 0)
			return rc;
		return -EAGAIN;
	}
	if (rc == 0 && fdatasync(wal->fd) < 0)
		rc = -errno;
	if (rc == 0)
		__atomic_fetch_add(&wal->size, taken->len, __ATOMIC_RELAXED);
	taken->len = 0;
	return rc;
}

/* What is queued becomes what is being written, unless something still is. */
static void take_queue(struct cw_wal *wal)
{
	struct buffer empty = wal->writing;

	if (wal->writing.len > 0)
		return;
	wal->writing = wal->queue;
	wal->writing_lsn = wal->queued_lsn;
	wal->queue = empty;
}

int cw_wal_sync(struct cw_wal *wal, uint64_t *lsn)
{
	struct buffer snapshot;
	bool have_snapshot;
	int rc;

	pthread_mutex_lock(&wal->lock);
	rc = wal->failed;
	take_queue(wal);
	snapshot = wal->handed;
	wal->handed = (struct buffer){0};
	have_snapshot = wal->handed_waits;
	*lsn = wal->writing_lsn;
	pthread_mutex_unlock(&wal->lock);
	if (rc < 0) {
		free(snapshot.data);
		return rc;
	}
	if (wal->writing.len == 0 && !have_snapshot)
		return 0;
	if (have_snapshot)
		rc = take_snapshot(wal, &snapshot);
	if (rc == 0 && wal->writing.len > 0)
		rc = write_taken(wal);
	pthread_mutex_lock(&wal->lock);
	wal->no_room = rc == -EAGAIN;
	if (rc < 0 && rc != -EAGAIN)
		wal->failed = rc;
	pthread_mutex_unlock(&wal->lock);
	return rc < 0 ? rc : 1;
}

uint64_t cw_wal_size(const struct cw_wal *wal)
{
	return __atomic_load_n(&wal->size, __ATOMIC_RELAXED);
}

void cw_wal_close(struct cw_wal *wal)
{
	if (wal == NULL)
		return;
	if (wal->fd >= 0)
		close(wal->fd);
	pthread_mutex_destroy(&wal->lock);
	free(wal->queue.data);
	free(wal->writing.data);
	free(wal->handed.data);
	free(wal->snapshot.data);
	free(wal);
}
