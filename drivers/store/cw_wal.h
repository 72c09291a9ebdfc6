/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_WAL_H
#define CW_WAL_H

/**
 * @file
 * The write-ahead log: one file of checksummed records, replaced by a snapshot when it starts and
 * when it has grown (dht.md section 8).
 *
 * Record: length (of payload), type, lsn, CRC32C, payload; little endian. Replay stops at a
 * record that is torn; good records after it mean corruption, and then nothing of the log is
 * believed. A failed fsync is never tried again; a write that found no room is.
 */
#include <cw_base.h>

#define CW_WAL_HEADER_BYTES 20u
#define CW_WAL_PAYLOAD_MAX  65536u

/** Encode a record's header for a payload. */
void cw_wal_encode(uint8_t header[CW_WAL_HEADER_BYTES], uint8_t type, uint64_t lsn,
		   const void *payload, size_t len);

enum cw_wal_verdict {
	CW_WAL_RECORD, /* one good record */
	CW_WAL_END,    /* nothing more */
	CW_WAL_TORN,   /* the rest is not a record */
};
/** Decode the record at @p data. */
enum cw_wal_verdict cw_wal_decode(const uint8_t *data, size_t len, uint8_t *type, uint64_t *lsn,
				  const uint8_t **payload, size_t *payload_len);
/** Is there a good record anywhere in these bytes? (behind a torn one: corruption) */
bool cw_wal_any_good(const uint8_t *data, size_t len);

struct cw_wal;
typedef int (*cw_wal_replay_fn)(void *arg, uint8_t type, const void *data, size_t len);

/**
 * Open (or make) a log and replay it.
 * @param err one line that names file and trouble
 * @return 0; -EBADMSG corrupt; or -errno
 */
CW_MUST_USE int cw_wal_open(struct cw_wal **out, const char *path, cw_wal_replay_fn replay,
			    void *arg, char *err, size_t err_size);
/**
 * Begin a snapshot that replaces the whole log: add records, then commit or hand over. [control]
 *
 * commit writes it (temporary, fsync, rename, fsync of the directory) before it returns: at
 * start, before there is a writer thread. hand gives it to cw_wal_sync: while running. Records
 * that were queued before the snapshot and are not written yet follow it in the new file, so
 * replaying a record over a snapshot that holds its effect must change nothing.
 * @return begin: 0, -EBUSY while a handed one waits
 */
CW_MUST_USE int cw_wal_snapshot_begin(struct cw_wal *wal);
void cw_wal_snapshot_add(struct cw_wal *wal, uint8_t type, const void *data, size_t len);
CW_MUST_USE int cw_wal_snapshot_commit(struct cw_wal *wal);
void cw_wal_snapshot_hand(struct cw_wal *wal);
/** Was one handed over that is not written yet? [any] */
bool cw_wal_snapshot_waits(struct cw_wal *wal);

/** Queue a record. @return its lsn, 0 when the log has failed or its queue is full. [control] */
uint64_t cw_wal_append(struct cw_wal *wal, uint8_t type, const void *data, size_t len);
/**
 * Write and sync what was handed over and what is queued. [writer thread]
 *
 * A snapshot that cannot be written (no space) is given up and the log goes on as it was.
 * @param lsn out: everything up to it is durable
 * @return 1 something was synced, 0 nothing queued, -EAGAIN: there is no room, the log is as it
 *	was and what is queued is kept (try again), other -errno: the log has failed for good
 */
int cw_wal_sync(struct cw_wal *wal, uint64_t *lsn);
/** Bytes of the file. [any] */
uint64_t cw_wal_size(const struct cw_wal *wal);
void cw_wal_close(struct cw_wal *wal);

#endif /* CW_WAL_H */
