/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Power is given up when everything that needs it is done: ports open, files and socket made.
 *
 * Two things are left for the end that only root can do: give the netdevs back as they were, and
 * remove what stands in root's directories. The keeper does them: a process forked while there is
 * one thread and nothing secret, that waits for the end of a pipe and for nothing else. So they are
 * done after a crash as well. It shares the state directory's lock, so the next gateway begins when
 * it is through.
 *
 * Without `user` nothing is given up but what the filter takes, and the log says so.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool gives_up_root(const struct daemon *d)
{
	return d->config.user[0] != '\0' && geteuid() == 0;
}

/* -- the keeper */

static void keep(struct daemon *d, int fd)
{
	char unused;

	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD)
			signal(sig, SIG_IGN);
	while (read(fd, &unused, 1) < 0 && errno == EINTR)
		;
	ports_give_back(d);
	unlink(d->config.control_socket);
	eal_remove_run_dir(d);
	_exit(0);
}

int keeper_open(struct daemon *d)
{
	int fds[2];

	if (!gives_up_root(d))
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return FAIL(d, "keeper: %s", strerror(errno));
	d->keeper = fork();
	if (d->keeper < 0) {
		close(fds[0]);
		close(fds[1]);
		return FAIL(d, "keeper: %s", strerror(errno));
	}
	if (d->keeper == 0) {
		close(fds[1]);
		keep(d, fds[0]);
	}
	close(fds[0]);
	d->keeper_fd = fds[1];
	return 0;
}

void keeper_close(struct daemon *d)
{
	if (d->keeper <= 0)
		return;
	close(d->keeper_fd);
	waitpid(d->keeper, NULL, 0);
	d->keeper = 0;
}

/* -- giving up */

static int find_users(struct daemon *d, uint32_t *uid, uint32_t *gid, uint32_t *control_gid)
{
	const struct cw_gateway_config *c = &d->config;

	if (c->user[0] != '\0' && cw_os_find_user(c->user, c->group, uid, gid) < 0)
		return FAIL(
			d,
			"user \"%s\", group \"%s\": expected a user that is not root, and a group",
			c->user, c->group);
	*control_gid = *gid;
	if (c->control_group[0] != '\0' && cw_os_find_group(c->control_group, control_gid) < 0)
		return FAIL(d, "control_group \"%s\": no such group", c->control_group);
	return 0;
}

int privileges_check(struct daemon *d)
{
	uint32_t uid = 0, gid = 0, control_gid = 0;

	return find_users(d, &uid, &gid, &control_gid);
}

/* Everything that the user goes on to write. */
static int hand_over(struct daemon *d, uint32_t uid, uint32_t gid)
{
	FILE *const files[] = {d->log.file, d->log.leases, d->key_log};
	const char *dir = d->config.node.state_dir;
	int rc = cw_os_own_dir(dir, uid, gid);

	if (rc < 0)
		return FAIL(d, "node.state_dir %s: %s", dir, strerror(-rc));
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(files); i++)
		if (files[i] != NULL && files[i] != stderr &&
		    fchown(fileno(files[i]), uid, gid) < 0)
			return FAIL(d, "log files: %s", strerror(errno));
	return ports_hand_over(d, uid, gid);
}

/* What a reload will read again must be readable then too, and logs are opened anew: better said
 * now. */
static void check_files(struct daemon *d)
{
	const char *const logs[] = {d->config.log_file, d->config.lease_log};
	const struct cw_gateway_config *c = &d->config;
	const char *const files[] = {d->options.config_file, c->node.certificate, c->node.key,
				     c->node.ca};
	/* For every new connection. */
	const char *const etcd[] = {c->etcd.ca, c->etcd.certificate, c->etcd.key};
	char dir[CW_CONFIG_PATH_BYTES];

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(files); i++)
		if (access(files[i], R_OK) < 0)
			cw_log(&d->log.log, CW_LOG_WARN, "main",
			       "%s: user %s cannot read it (%s): a reload will fail", files[i],
			       d->config.user, strerror(errno));
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(etcd); i++)
		if (c->store == CW_CONFIG_STORE_ETCD && etcd[i][0] != '\0' &&
		    access(etcd[i], R_OK) < 0)
			cw_log(&d->log.log, CW_LOG_WARN, "main",
			       "%s: user %s cannot read it (%s): etcd will not be reached", etcd[i],
			       c->user, strerror(errno));
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(logs); i++) {
		snprintf(dir, sizeof(dir), "%s", logs[i]);
		if (logs[i][0] != '\0' && access(dirname(dir), W_OK) < 0)
			cw_log(&d->log.log, CW_LOG_WARN, "main",
			       "%s: user %s cannot make files beside it (%s): whoever rotates it must",
			       logs[i], d->config.user, strerror(errno));
	}
}

static int become(struct daemon *d, uint32_t uid, uint32_t gid)
{
	int rc;

	if (hand_over(d, uid, gid) < 0)
		return -1;
	rc = cw_os_become(uid, gid);
	if (rc < 0)
		return FAIL(d, "user %s: %s", d->config.user, strerror(-rc));
	check_files(d);
	ports_check_user(d);
	return 0;
}

static int confine(struct daemon *d)
{
#if defined(__SANITIZE_ADDRESS__)
	/* The leak checker traces the process at its end. */
	cw_log(&d->log.log, CW_LOG_NOTICE, "main", "built with a sanitizer: no seccomp filter");
	(void)d;
	return 0;
#else
	int rc = d->config.seccomp ? cw_os_confine() : 0;

	return rc < 0 ? FAIL(d, "seccomp: %s (seccomp = false leaves it out)", strerror(-rc)) : 0;
#endif
}

int privileges_open(struct daemon *d)
{
	uint32_t uid = geteuid(), gid = getegid(), control_gid = gid;

	if (find_users(d, &uid, &gid, &control_gid) < 0)
		return -1;
	if ((uid != geteuid() || control_gid != getegid()) &&
	    chown(d->config.control_socket, geteuid() == 0 ? uid : (uid_t)-1, control_gid) < 0)
		return FAIL(d, "control_socket %s: %s", d->config.control_socket, strerror(errno));
#if !defined(__SANITIZE_ADDRESS__)
	if (!d->config.debug_core_dumps)
		cw_os_no_dumps();
#endif
	if (gives_up_root(d)) {
		if (become(d, uid, gid) < 0)
			return -1;
		/* A change of user resets it. */
		if (!d->config.debug_core_dumps)
			cw_os_no_dumps();
	} else if (geteuid() == 0) {
		cw_log(&d->log.log, CW_LOG_NOTICE, "main",
		       "stays root: set `user` to give up what is not needed any more");
	}
	return confine(d);
}
