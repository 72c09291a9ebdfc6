/* SPDX-License-Identifier: BSD-3-Clause */
/* drivers/store: the write-ahead log as a file, before and after a crash. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cw_wal.h>

#include "cw_test.h"

#define RECORDS_MAX 64

/* What a replay saw: the payloads' first octets, as a string. */
struct seen {
	char text[RECORDS_MAX];
	unsigned int count;
};

static char dir[] = "/tmp/cw-test-wal-XXXXXX";
static char path[256];

static int replay(void *arg, uint8_t type, const void *data, size_t len)
{
	struct seen *seen = arg;

	CU_ASSERT_FATAL(seen->count < RECORDS_MAX - 1);
	CU_ASSERT_EQUAL(type, 7);
	CU_ASSERT(len >= 1);
	seen->text[seen->count++] = *(const char *)data;
	seen->text[seen->count] = '\0';
	return 0;
}

static struct cw_wal *open_log(struct seen *seen)
{
	struct cw_wal *wal = NULL;
	char err[256];

	*seen = (struct seen){.count = 0};
	CU_ASSERT_EQUAL_FATAL(cw_wal_open(&wal, path, replay, seen, err, sizeof(err)), 0);
	return wal;
}

static struct cw_wal *new_log(const char *name)
{
	struct seen seen;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open_log(&seen);
}

static uint64_t append(struct cw_wal *wal, char c)
{
	return cw_wal_append(wal, 7, &c, 1);
}

static void check_replay(const char *expected)
{
	struct seen seen;

	cw_wal_close(open_log(&seen));
	CU_ASSERT_STRING_EQUAL(seen.text, expected);
}

static void what_is_synced_comes_back_in_order(void)
{
	struct cw_wal *wal = new_log("order");
	uint64_t lsn = 0, last;

	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 0);
	CU_ASSERT_EQUAL(append(wal, 'a'), 1);
	last = append(wal, 'b');
	CU_ASSERT_EQUAL(last, 2);
	CU_ASSERT_EQUAL(cw_wal_size(wal), 0);
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	CU_ASSERT_EQUAL(lsn, last);
	CU_ASSERT_EQUAL(cw_wal_size(wal), 2 * (CW_WAL_HEADER_BYTES + 1));
	/* Queued and never synced: as good as never said. */
	append(wal, 'c');
	cw_wal_close(wal);
	check_replay("ab");
}

static void numbers_go_on_after_a_restart(void)
{
	struct cw_wal *wal = new_log("numbers");
	struct seen seen;
	uint64_t lsn;

	append(wal, 'a');
	append(wal, 'b');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	cw_wal_close(wal);
	wal = open_log(&seen);
	CU_ASSERT_EQUAL(append(wal, 'c'), 3);
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	cw_wal_close(wal);
	check_replay("abc");
}

/* Write @p len bytes at @p at of the file (negative: from its end). */
static void damage(long at, const void *data, size_t len)
{
	int fd = open(path, O_RDWR);

	CU_ASSERT_FATAL(fd >= 0 && lseek(fd, at, at < 0 ? SEEK_END : SEEK_SET) >= 0 &&
			write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void a_torn_tail_is_cut_off(void)
{
	struct cw_wal *wal = new_log("torn");
	struct seen seen;
	uint64_t lsn;

	append(wal, 'a');
	append(wal, 'b');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	cw_wal_close(wal);
	damage(-1, "X", 1);
	wal = open_log(&seen);
	CU_ASSERT_STRING_EQUAL(seen.text, "a");
	append(wal, 'c');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	cw_wal_close(wal);
	check_replay("ac");
}

static void damage_in_the_middle_is_refused(void)
{
	struct cw_wal *wal = new_log("middle");
	struct seen seen = {.count = 0};
	char err[256];
	uint64_t lsn;

	append(wal, 'a');
	append(wal, 'b');
	append(wal, 'c');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	cw_wal_close(wal);
	damage(2 * CW_WAL_HEADER_BYTES + 1, "X", 1);
	CU_ASSERT_EQUAL(cw_wal_open(&wal, path, replay, &seen, err, sizeof(err)), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, path));
}

static void a_snapshot_replaces_the_log(void)
{
	struct cw_wal *wal = new_log("snapshot");
	uint64_t lsn;

	append(wal, 'a');
	append(wal, 'b');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	CU_ASSERT_EQUAL(cw_wal_snapshot_begin(wal), 0);
	cw_wal_snapshot_add(wal, 7, "S", 1);
	CU_ASSERT_EQUAL(cw_wal_snapshot_commit(wal), 0);
	CU_ASSERT_EQUAL(cw_wal_size(wal), CW_WAL_HEADER_BYTES + 1);
	CU_ASSERT(append(wal, 'c') > lsn);
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	cw_wal_close(wal);
	check_replay("Sc");
}

static void a_snapshot_handed_over_keeps_what_was_queued(void)
{
	struct cw_wal *wal = new_log("handed");
	struct seen seen;
	uint64_t lsn, queued;

	append(wal, 'a');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	/* Not durable yet when the snapshot is made, so it must not vanish with the old file. */
	queued = append(wal, 'b');
	CU_ASSERT_EQUAL(cw_wal_snapshot_begin(wal), 0);
	cw_wal_snapshot_add(wal, 7, "S", 1);
	cw_wal_snapshot_add(wal, 7, "T", 1);
	cw_wal_snapshot_hand(wal);
	CU_ASSERT(cw_wal_snapshot_waits(wal));
	CU_ASSERT_EQUAL(cw_wal_snapshot_begin(wal), -EBUSY);
	/* Two records, one number: an old log that is compacted stays an old one. */
	CU_ASSERT_EQUAL(append(wal, 'c'), queued + 2);
	/* Until the writer comes the old file stands. */
	check_replay("a");
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	CU_ASSERT(lsn > queued);
	CU_ASSERT_FALSE(cw_wal_snapshot_waits(wal));
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 0);
	cw_wal_close(wal);
	wal = open_log(&seen);
	CU_ASSERT_STRING_EQUAL(seen.text, "STbc");
	/* Numbers of the snapshot are not given twice, though older ones stand behind it. */
	CU_ASSERT(append(wal, 'd') > lsn);
	cw_wal_close(wal);
}

static void an_empty_snapshot_empties_the_log(void)
{
	struct cw_wal *wal = new_log("empty");
	uint64_t lsn;

	append(wal, 'a');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	CU_ASSERT_EQUAL(cw_wal_snapshot_begin(wal), 0);
	cw_wal_snapshot_hand(wal);
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	CU_ASSERT_FALSE(cw_wal_snapshot_waits(wal));
	cw_wal_close(wal);
	check_replay("");
}

static void a_snapshot_that_cannot_be_written_is_given_up(void)
{
	struct cw_wal *wal = new_log("full");
	char blocked[300];
	uint64_t lsn;

	append(wal, 'a');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	/* Its temporary file's name is taken by a directory. */
	snprintf(blocked, sizeof(blocked), "%s.new", path);
	CU_ASSERT_EQUAL_FATAL(mkdir(blocked, 0700), 0);
	CU_ASSERT_EQUAL(cw_wal_snapshot_begin(wal), 0);
	cw_wal_snapshot_add(wal, 7, "S", 1);
	cw_wal_snapshot_hand(wal);
	append(wal, 'b');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	CU_ASSERT_FALSE(cw_wal_snapshot_waits(wal));
	cw_wal_close(wal);
	check_replay("ab");
}

static void a_failed_log_takes_nothing_more(void)
{
	struct rlimit before, small;
	char data[CW_WAL_PAYLOAD_MAX + 1] = {0};
	struct cw_wal *wal = new_log("failed");
	uint64_t lsn;

	CU_ASSERT_EQUAL(cw_wal_append(wal, 7, data, sizeof(data)), 0);
	CU_ASSERT_EQUAL(append(wal, 'a'), 1);
	/* A file may not grow beyond 10 bytes: the write fails as a full disk would make it. */
	signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &small), 0);
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), -EFBIG);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
	/* There is room again, but what the kernel did with the pages nobody knows. */
	CU_ASSERT_EQUAL(append(wal, 'b'), 0);
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), -EFBIG);
	cw_wal_close(wal);
	check_replay("");
}

/* A write that finds no room is nothing that the kernel could have lost: it is kept for later. */
static void without_room_the_log_waits(void)
{
	static char fill[1 << 16];
	char full[300], data[1024] = {'x'};
	struct cw_wal *wal;
	uint64_t lsn = 0, told;
	int fd;

	snprintf(full, sizeof(full), "%s/tmpfs", dir);
	CU_ASSERT_EQUAL_FATAL(mkdir(full, 0700), 0);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", full, "tmpfs", 0, "size=128k") < 0) {
		fprintf(stderr, "not root: no small file system, not tested\n");
		return;
	}
	wal = new_log("tmpfs/log");
	append(wal, 'a');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	told = lsn;
	snprintf(full, sizeof(full), "%s/tmpfs/fill", dir);
	fd = open(full, O_CREAT | O_WRONLY, 0600);
	while (write(fd, fill, sizeof(fill)) > 0)
		continue;
	for (unsigned int i = 0; i < 8; i++)
		CU_ASSERT(cw_wal_append(wal, 7, data, sizeof(data)) > told);
	append(wal, 'b');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), -EAGAIN);
	/* What came meanwhile stands behind it, and the file holds nothing of either. */
	append(wal, 'c');
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), -EAGAIN);
	CU_ASSERT_EQUAL(cw_wal_size(wal), CW_WAL_HEADER_BYTES + 1);
	CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
	close(fd);
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	CU_ASSERT_EQUAL(lsn, told + 9);
	CU_ASSERT_EQUAL(cw_wal_sync(wal, &lsn), 1);
	CU_ASSERT_EQUAL(lsn, told + 10);
	CU_ASSERT_EQUAL(cw_wal_size(wal), 11 * CW_WAL_HEADER_BYTES + 3 + 8 * sizeof(data));
	cw_wal_close(wal);
	check_replay("axxxxxxxxbc");
	snprintf(full, sizeof(full), "%s/tmpfs", dir);
	CU_ASSERT_EQUAL(umount2(full, MNT_DETACH), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"what is synced comes back in order", what_is_synced_comes_back_in_order},
		{"numbers go on after a restart", numbers_go_on_after_a_restart},
		{"a torn tail is cut off", a_torn_tail_is_cut_off},
		{"damage in the middle is refused", damage_in_the_middle_is_refused},
		{"a snapshot replaces the log", a_snapshot_replaces_the_log},
		{"a snapshot handed over keeps what was queued",
		 a_snapshot_handed_over_keeps_what_was_queued},
		{"an empty snapshot empties the log", an_empty_snapshot_empties_the_log},
		{"a snapshot that cannot be written is given up",
		 a_snapshot_that_cannot_be_written_is_given_up},
		{"a failed log takes nothing more", a_failed_log_takes_nothing_more},
		{"without room the log waits", without_room_the_log_waits},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("write-ahead log", tests), CU_SUITE_INFO_NULL};
	char clean[64];
	int rc;

	if (mkdtemp(dir) == NULL)
		return 1;
	rc = cw_test_run(suites);
	snprintf(clean, sizeof(clean), "rm -rf %s", dir);
	return system(clean) == 0 ? rc : 1;
}
