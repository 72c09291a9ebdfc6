/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Less power for the rest of the process's life: another user without capabilities, and a seccomp
 * filter, in all threads at once.
 *
 * glibc carries a change of user into every thread, and with root's user all capabilities go. The
 * filter is a list of what the daemon may still ask of the kernel: files of its own, its sockets,
 * memory, time, threads. Everything else fails with EPERM, nothing is killed: a gateway that meets
 * a call nobody thought of loses that call, not the site. Refused by that: to run a program, to
 * trace, to mount, to load, to enter a namespace, to become anybody else.
 */
#include "cw_os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const calls[] = {
	/* files */
	"read",
	"write",
	"readv",
	"writev",
	"pread64",
	"pwrite64",
	"preadv",
	"pwritev",
	"lseek",
	"close",
	"fstat",
	"stat",
	"lstat",
	"newfstatat",
	"statx",
	"access",
	"faccessat",
	"faccessat2",
	"open",
	"openat",
	"readlink",
	"readlinkat",
	"getdents64",
	"mkdir",
	"mkdirat",
	"rename",
	"renameat",
	"renameat2",
	"unlink",
	"unlinkat",
	"rmdir",
	"ftruncate",
	"fallocate",
	"fsync",
	"fdatasync",
	"fcntl",
	"flock",
	"dup",
	"dup2",
	"dup3",
	"pipe2",
	"fchmod",
	"fchown",
	"chmod",
	"fadvise64",
	"umask",
	"getcwd",
	"fstatfs",
	"statfs",
	/* waiting */
	"epoll_create", /* EAL's interrupt thread, whenever its sources change */
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"poll",
	"ppoll",
	"select",
	"pselect6",
	"eventfd2",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_gettime",
	"signalfd4",
	"futex",
	"nanosleep",
	"clock_nanosleep",
	"sched_yield",
	"restart_syscall",
	"wait4",
	/* sockets */
	"socket",
	"socketpair",
	"bind",
	"listen",
	"accept4",
	"accept", /* DPDK's memif server */
	"connect",
	"getsockname",
	"getpeername",
	"setsockopt",
	"getsockopt",
	"sendto",
	"recvfrom",
	"sendmsg",
	"recvmsg",
	"sendmmsg",
	"recvmmsg",
	"shutdown",
	"ioctl",
	/* memory; huge pages and their NUMA node */
	"mmap",
	"munmap",
	"mremap",
	"mprotect",
	"madvise",
	"brk",
	"mlock",
	"munlock",
	"mlock2",
	"msync",
	"mincore",
	"memfd_create",
	"get_mempolicy",
	"set_mempolicy",
	"mbind",
	/* time and chance */
	"clock_gettime",
	"clock_getres",
	"gettimeofday",
	"time",
	"getrandom",
	/* threads, signals, and what libraries ask about the process */
	"set_robust_list",
	"rseq",
	"exit",
	"exit_group",
	"set_tid_address",
	"gettid",
	"getpid",
	"getppid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"tgkill",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigtimedwait",
	"sigaltstack",
	"sched_getaffinity",
	"sched_setaffinity",
	"getcpu",
	"membarrier",
	"sysinfo",
	"uname",
	"getrusage",
	"prlimit64",
	"prctl",
	"arch_prctl",
};

int cw_os_find_user(const char *user, const char *group, uint32_t *uid, uint32_t *gid)
{
	const struct passwd *pw = getpwnam(user);

	if (pw == NULL || pw->pw_uid == 0)
		return -ENOENT;
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return group[0] == '\0' ? 0 : cw_os_find_group(group, gid);
}

int cw_os_find_group(const char *group, uint32_t *gid)
{
	const struct group *gr = getgrnam(group);

	if (gr == NULL)
		return -ENOENT;
	*gid = gr->gr_gid;
	return 0;
}

int cw_os_own_dir(const char *path, uint32_t uid, uint32_t gid)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int rc = 0;

	if (dir == NULL) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	if (fchown(fd, uid, gid) < 0)
		rc = -errno;
	/* Plain files only, and never through a link: what else is there is not ours to give. */
	while (rc == 0 && (entry = readdir(dir)) != NULL) {
		struct stat st;

		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_nlink == 1 &&
		    fchownat(fd, entry->d_name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
			rc = -errno;
	}
	closedir(dir);
	return rc;
}

int cw_os_become(uint32_t uid, uint32_t gid)
{
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	/* If there is a way back it was not left. */
	return setuid(0) == 0 || seteuid(0) == 0 ? -EPERM : 0;
}

void cw_os_no_dumps(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}

int cw_os_confine(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = 0;

	if (ctx == NULL)
		return -ENOMEM;
	for (size_t i = 0; rc == 0 && i < CW_ARRAY_SIZE(calls); i++) {
		int number = seccomp_syscall_resolve_name(calls[i]);

		/* Not every architecture has every call. */
		if (number >= 0)
			rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 0);
	}
	/* Threads, not processes. clone3 hides its flags in memory: without it libc takes clone. */
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc;
}
