/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control lcore's loop: rings, timers, sockets, signals, one after the other, never waiting for
 * any of them.
 *
 * Rings cannot be waited for, so the loop polls them: at once while there is work, else it sleeps
 * in epoll for a time that grows up to POLL_MAX_MS. If the clock shows that the process itself was
 * stopped (SIGSTOP, suspend), the core is told before anything else.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EVENTS_MAX  16
#define POLL_MAX_MS 2
/* A turn that took longer was not a turn: we were stopped. */
#define STOPPED_NS (UINT64_C(2) * CW_NS_PER_S)
/* A clean stop that takes longer is cut short: systemd would kill us after 90 s. */
#define STOP_NS (UINT64_C(15) * CW_NS_PER_S)

static void signals_of_ours(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
}

int signals_block(struct daemon *d)
{
	sigset_t set;

	(void)d;
	/* Before EAL makes threads: they inherit the mask, and a signal to the process is for the
	 * signalfd alone. */
	signals_of_ours(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

int loop_open(struct daemon *d)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &d->signal_fd};
	sigset_t set;

	signals_of_ours(&set);
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->epoll_fd < 0 || d->signal_fd < 0 ||
	    epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->signal_fd, &ev) < 0)
		return FAIL(d, "event loop: %s", strerror(errno));
	return 0;
}

void loop_close(struct daemon *d)
{
	if (d->signal_fd >= 0)
		close(d->signal_fd);
	if (d->epoll_fd >= 0)
		close(d->epoll_fd);
}

static void log_status(void *arg, json_t *reply)
{
	struct daemon *d = arg;
	char *text = json_dumps(reply, JSON_COMPACT);

	cw_log(&d->log.log, CW_LOG_NOTICE, "main", "%s", text != NULL ? text : "?");
	free(text);
	json_decref(reply);
}

static void on_signal(struct daemon *d)
{
	struct signalfd_siginfo info;

	while (read(d->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			d->reload = true;
		} else if (info.ssi_signo == SIGUSR1) {
			json_t *request = json_pack("{s:s}", "cmd", "status");

			cw_control_query(d->control, request, log_status, d, cw_os_now_ns());
			json_decref(request);
		} else {
			d->stopping = true;
		}
	}
}

/* Parse anew, compare, take over what can be; a bad file changes nothing. */
static void reload(struct daemon *d)
{
	struct cw_gateway_config config;
	struct cw_control_config core = {0};
	const char *fixed;

	d->reload = false;
	if (options_load(d, &config) < 0) {
		cw_log(&d->log.log, CW_LOG_ERROR, "main", "reload refused, nothing changed: %s",
		       d->error);
		return;
	}
	if (!cw_gateway_config_changed(&d->config, &config, &fixed)) {
		cw_log(&d->log.log, CW_LOG_NOTICE, "main", "reload: nothing changed");
		return;
	}
	if (fixed != NULL)
		cw_log(&d->log.log, CW_LOG_WARN, "main",
		       "reload: %s needs a restart and stays as it was; reloadable keys are taken over",
		       fixed);
	d->config.log_level = config.log_level;
	d->log.log.level = (enum cw_log_level)config.log_level;
	d->config.bootstrap = config.bootstrap;
	__atomic_store_n(&d->config.idle, config.idle, __ATOMIC_RELAXED);
	__atomic_store_n(&d->config.idle_ceiling_ns, config.idle_ceiling_ns, __ATOMIC_RELAXED);
	core.bootstrap_count = config.bootstrap.count;
	memcpy(core.bootstrap, config.bootstrap.at, sizeof(config.bootstrap.at));
	cw_control_reload(d->control, &core, cw_os_now_ns());
	cw_log(&d->log.log, CW_LOG_NOTICE, "main", "reloaded");
}

/* @return -1 when the log has failed: nothing may be promised any more. */
static int take_durable(struct daemon *d)
{
	uint64_t unused;
	int error;

	if (read(d->writer_done_fd, &unused, sizeof(unused)) != sizeof(unused))
		return 0;
	error = __atomic_load_n(&d->writer_error, __ATOMIC_ACQUIRE);
	if (error < 0) {
		cw_log(&d->log.log, CW_LOG_ERROR, "main",
		       "the log in %s cannot be written (%s): stopping, nothing more can be promised",
		       d->config.node.state_dir, strerror(-error));
		return -1;
	}
	cw_control_durable(d->control, __atomic_load_n(&d->durable_lsn, __ATOMIC_ACQUIRE), 0,
			   cw_os_now_ns());
	return 0;
}

static void wait_for_events(struct daemon *d, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n;

	cw_rcu_offline();
	n = epoll_wait(d->epoll_fd, events, EVENTS_MAX, timeout_ms);
	cw_rcu_online();
	for (int i = 0; i < n; i++) {
		void *what = events[i].data.ptr;

		if (what == &d->signal_fd)
			on_signal(d);
		else if (what == &d->listen_fd)
			socket_accept(d);
		else if (what != &d->writer_done_fd)
			socket_ready(d, what, events[i].events);
	}
}

static int timeout_of(uint64_t next_ns, uint64_t now_ns, unsigned int idle)
{
	uint64_t wait_ms = next_ns <= now_ns ? 0 : (next_ns - now_ns) / CW_NS_PER_MS;
	uint64_t limit = idle < 8 ? 0 : POLL_MAX_MS;

	return (int)cw_min_u64(wait_ms, limit);
}

int loop_run(struct daemon *d)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &d->writer_done_fd};
	uint64_t last_ns = cw_os_now_ns(), stop_ns = 0, watchdog_ns = 0;
	unsigned int idle = 0;
	bool told = false;

	if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->writer_done_fd, &ev) < 0)
		return -1;
	cw_log(&d->log.log, CW_LOG_NOTICE, "main", "causewayd " CW_DAEMON_VERSION " started: %s",
	       d->identity.name);
	notify("READY=1");
	for (;;) {
		uint64_t now_ns = cw_os_now_ns(), next_ns;
		unsigned int handled = 0;

		if (now_ns - last_ns >= STOPPED_NS)
			cw_control_woke(d->control, now_ns);
		last_ns = now_ns;
		core_punts(d, &handled);
		if (take_durable(d) < 0)
			return -1;
		next_ns = cw_control_timer(d->control, now_ns);
		handled += cw_rcu_reap(d->rcu);
		cw_rcu_quiescent();
		if (d->reload)
			reload(d);
		if (d->stopping) {
			if (!told) {
				cw_log(&d->log.log, CW_LOG_NOTICE, "main", "stopping");
				notify("STOPPING=1");
				stop_ns = now_ns + STOP_NS;
				told = true;
			}
			if (cw_control_shutdown(d->control, now_ns) || now_ns >= stop_ns)
				break;
		}
		if (now_ns >= watchdog_ns) {
			notify("WATCHDOG=1");
			watchdog_ns = now_ns + CW_NS_PER_S;
		}
		idle = handled > 0 ? 0 : idle + 1;
		wait_for_events(d, timeout_of(next_ns, now_ns, idle));
	}
	cw_log(&d->log.log, CW_LOG_NOTICE, "main", "stopped");
	return 0;
}
