/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log's file. Control queues records in memory; a writer thread writes and syncs them in one go
 * (group commit) and says up to which lsn everything is safe. An fdatasync takes milliseconds, so
 * control never waits for it.
 *
 * After a failed write or sync the log is dead for this process: the kernel may have dropped the
 * pages, so trying again would lie.
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
	uint64_t next_lsn;
	uint64_t size;
	pthread_mutex_t lock; /* queue, queued_lsn, failed */
	struct buffer queue;
	uint64_t queued_lsn;
	int failed;
	struct buffer writing;	/* writer thread only */
	struct buffer snapshot; /* at start only */
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
			free(*data);
			return n < 0 ? -errno : -EIO;
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
	wal->snapshot.len = 0;
	return 0;
}

void cw_wal_snapshot_add(struct cw_wal *wal, uint8_t type, const void *data, size_t len)
{
	if (add_record(&wal->snapshot, type, wal->next_lsn, data, len) < 0)
		wal->failed = -ENOMEM;
	else
		wal->next_lsn++;
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

int cw_wal_snapshot_commit(struct cw_wal *wal)
{
	char temporary[4096 + 8];
	int fd, rc;

	if (wal->failed)
		return wal->failed;
	snprintf(temporary, sizeof(temporary), "%s.new", wal->path);
	fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, wal->snapshot.data, wal->snapshot.len);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	if (rc == 0 && rename(temporary, wal->path) < 0)
		rc = -errno;
	if (rc == 0)
		rc = sync_dir(wal->path);
	if (rc < 0) {
		close(fd);
		unlink(temporary);
		return rc;
	}
	close(wal->fd);
	wal->fd = fd;
	wal->size = wal->snapshot.len;
	free(wal->snapshot.data);
	wal->snapshot = (struct buffer){0};
	return 0;
}

uint64_t cw_wal_append(struct cw_wal *wal, uint8_t type, const void *data, size_t len)
{
	uint64_t lsn = 0;

	if (len > CW_WAL_PAYLOAD_MAX)
		return 0;
	pthread_mutex_lock(&wal->lock);
	if (!wal->failed && wal->queue.len + len < QUEUE_BYTES_MAX &&
	    add_record(&wal->queue, type, wal->next_lsn, data, len) == 0) {
		lsn = wal->next_lsn++;
		wal->queued_lsn = lsn;
	}
	pthread_mutex_unlock(&wal->lock);
	return lsn;
}

int cw_wal_sync(struct cw_wal *wal, uint64_t *lsn)
{
	struct buffer taken;
	int rc;

	pthread_mutex_lock(&wal->lock);
	rc = wal->failed;
	taken = wal->queue;
	wal->queue = wal->writing;
	wal->queue.len = 0;
	wal->writing = taken;
	*lsn = wal->queued_lsn;
	pthread_mutex_unlock(&wal->lock);
	if (rc < 0)
		return rc;
	if (taken.len == 0)
		return 0;
	rc = write_all(wal->fd, taken.data, taken.len);
	if (rc == 0 && fdatasync(wal->fd) < 0)
		rc = -errno;
	if (rc < 0) {
		pthread_mutex_lock(&wal->lock);
		wal->failed = rc;
		pthread_mutex_unlock(&wal->lock);
		return rc;
	}
	wal->size += taken.len;
	return 1;
}

uint64_t cw_wal_size(const struct cw_wal *wal)
{
	return wal->size;
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
	free(wal->snapshot.data);
	free(wal);
}
