/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files: read whole, replaced whole, locked. A replacement is on disk, name and all, when the call
 * returns, or the old file is what is there.
 */
#include "cw_os.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PATH_BYTES 4096

char *cw_os_read_file(const char *path, size_t max, size_t *len)
{
	FILE *f = fopen(path, "re");
	char *data = NULL;
	size_t n = 0;
	int err;

	if (f == NULL)
		return NULL;
	data = malloc(max + 1);
	errno = 0;
	if (data != NULL)
		n = fread(data, 1, max + 1, f);
	err = errno;
	if (data == NULL || ferror(f) || n > max) {
		free(data);
		fclose(f);
		/* Why it cannot be read is the kernel's word: EISDIR, EIO. */
		errno = data == NULL ? ENOMEM : n > max ? EFBIG : err != 0 ? err : EIO;
		return NULL;
	}
	fclose(f);
	data[n] = '\0';
	if (len != NULL)
		*len = n;
	return data;
}

static int sync_parent(const char *path)
{
	char copy[PATH_BYTES];
	int fd, rc;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
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

int cw_os_write_file(const char *path, const void *data, size_t len, unsigned int mode)
{
	char temporary[PATH_BYTES];
	int fd, rc;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, data, len);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	close(fd);
	if (rc == 0 && rename(temporary, path) < 0)
		rc = -errno;
	if (rc < 0) {
		unlink(temporary);
		return rc;
	}
	return sync_parent(path);
}

int cw_os_make_dir(const char *path)
{
	char at[PATH_BYTES];

	if (snprintf(at, sizeof(at), "%s", path) >= (int)sizeof(at))
		return -ENAMETOOLONG;
	for (char *p = at + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(at, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(at, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int cw_os_lock_dir(const char *path, long *holder)
{
	char file[PATH_BYTES], text[32] = {0};
	int fd, n;

	*holder = 0;
	if (snprintf(file, sizeof(file), "%s/lock", path) >= (int)sizeof(file))
		return -ENAMETOOLONG;
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (read(fd, text, sizeof(text) - 1) > 0)
			*holder = strtol(text, NULL, 10);
		close(fd);
		return -EAGAIN;
	}
	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)n) != n) {
		close(fd);
		return -EIO;
	}
	return fd;
}

uint64_t cw_os_boot_id(void)
{
	char *text = cw_os_read_file("/proc/sys/kernel/random/boot_id", 64, NULL);
	uint64_t id = 0;

	for (const char *p = text; p != NULL && *p != '\0'; p++)
		id = id * 31 + (uint8_t)*p;
	free(text);
	return id;
}

int cw_os_room(const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
	struct statvfs s;

	if (statvfs(path, &s) < 0)
		return -errno;
	*free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
	*total_bytes = (uint64_t)s.f_blocks * s.f_frsize;
	return 0;
}
