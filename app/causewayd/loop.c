/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control lcore's loop: rings, timers, sockets, signals, one after the other, never waiting for
 * any of them.
 *
 * Workers make no system call, so nothing wakes control when they punt: it looks. While there is
 * work it looks at once, else every POLL_MAX_MS; and such a look is two loads per worker, the
 * core is only entered when something is there or due. If the clock shows that the process itself
 * was stopped (SIGSTOP, suspend), the core is told before anything else.
 */
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EVENTS_MAX 16
/* What a first contact waits at most; the idle cost is in docs/performance.md. */
#define POLL_MAX_MS 2
/* Turns without work before the loop sleeps: answers to what it just sent are near. */
#define TURNS_AWAKE 8
/* A turn that took longer was not a turn: we were stopped. */
#define STOPPED_NS (UINT64_C(2) * CW_NS_PER_S)
/* A clean stop that takes longer is cut short: systemd kills after TimeoutStopSec. */
#define STOP_NS (UINT64_C(15) * CW_NS_PER_S)
/* The same when a netdev is gone: over the other one, if it is alive, a sign-off takes less. */
#define GONE_STOP_NS (UINT64_C(5) * CW_NS_PER_S)
/* Clocks are looked at this often, ports that may be joined again too ... */
#define LOOK_NS (UINT64_C(1) * CW_NS_PER_S)
/* ... and links: with another gateway on the segment, a cable that is out costs its hosts so long.
 */
#define LINKS_NS (UINT64_C(50) * CW_NS_PER_MS)

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
	/*
	 * Before EAL makes threads: they inherit the mask, and a signal to the process is for the
	 * signalfd alone.
	 */
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
			ports_log(d);
		} else {
			d->stop_now = d->stopping;
			d->stopping = true;
		}
	}
}

/* Said when it changes, not with every try. */
static void look_for_room(struct daemon *d)
{
	bool waits = __atomic_load_n(&d->log_waits, __ATOMIC_ACQUIRE);
	bool low = __atomic_load_n(&d->log_low, __ATOMIC_ACQUIRE);

	if (low != d->log_was_low) {
		d->log_was_low = low;
		cw_control_log_low(d->control, low, cw_os_now_ns());
		cw_log(&d->log.log, low ? CW_LOG_WARN : CW_LOG_NOTICE, "main",
		       low ? "little room is left in %s: the DHT's slots held here go to others"
			   : "there is room in %s again, also for the DHT's slots",
		       d->config.node.state_dir);
	}
	if (waits == d->log_waited)
		return;
	d->log_waited = waits;
	cw_control_log_waits(d->control, waits);
	if (waits)
		cw_log(&d->log.log, CW_LOG_ERROR, "main",
		       "no room for the log in %s: until there is some no new host is served, known ones are",
		       d->config.node.state_dir);
	else
		cw_log(&d->log.log, CW_LOG_NOTICE, "main", "there is room for the log again");
}

/* @return -1 when the log has failed: nothing may be promised any more. */
static int take_durable(struct daemon *d)
{
	uint64_t unused;
	int error;

	if (read(d->writer_done_fd, &unused, sizeof(unused)) != sizeof(unused))
		return 0;
	look_for_room(d);
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

static bool work_waits(const struct daemon *d, uint64_t next_ns)
{
	for (unsigned int i = 0; i < d->workers; i++)
		if (!rte_ring_empty(d->worker[i].punt))
			return true;
	return cw_os_now_ns() >= next_ns;
}

/* Rounded up: a timer that is a little late costs nothing, one that is early costs a turn. */
static int timeout_of(uint64_t next_ns, unsigned int idle)
{
	uint64_t now_ns = cw_os_now_ns();

	if (idle < TURNS_AWAKE || next_ns <= now_ns)
		return 0;
	return (int)cw_min_u64((next_ns - now_ns + CW_NS_PER_MS - 1) / CW_NS_PER_MS, POLL_MAX_MS);
}

static void wait_for_events(struct daemon *d, uint64_t next_ns, unsigned int idle)
{
	struct epoll_event events[EVENTS_MAX];
	bool accept = false;
	int n;

	cw_rcu_offline();
	do
		n = epoll_wait(d->epoll_fd, events, EVENTS_MAX, timeout_of(next_ns, idle));
	while (n == 0 && idle >= TURNS_AWAKE && !work_waits(d, next_ns));
	cw_rcu_online();
	for (int i = 0; i < n; i++) {
		void *what = events[i].data.ptr;

		if (what == &d->signal_fd)
			on_signal(d);
		else if (what == &d->listen_fd)
			accept = true;
		else if (what != &d->writer_done_fd)
			socket_ready(what, events[i].events);
	}
	/* Last: it may close a client that an event above is about. */
	if (accept)
		socket_accept(d);
}

/* What the loop itself remembers between turns. */
struct loop {
	uint64_t last_ns;     /* begin of the last turn */
	uint64_t look_ns;     /* when clocks are looked at next */
	uint64_t links_ns;    /* when links are */
	uint64_t stop_ns;     /* when a clean stop is cut short; 0: not stopping */
	uint64_t watchdog_ns; /* when systemd expects to hear from us; CW_NEVER */
	unsigned int idle;    /* turns without work */
	bool failed;	      /* a port is gone: it ends with an error */
};

/* A netdev that is gone ends the daemon, but what it holds is signed off first. */
static void look_at_links(struct daemon *d, struct loop *loop)
{
	if (ports_watch(d) == 0)
		return;
	cw_log(&d->log.log, CW_LOG_ERROR, "port", "%s", d->error);
	loop->failed = d->stopping = true;
}

static int join_again(struct daemon *d)
{
	if (ports_reconnect(d) == 0)
		return 0;
	cw_log(&d->log.log, CW_LOG_ERROR, "port", "%s", d->error);
	return -1;
}

static int look(struct daemon *d, struct loop *loop, uint64_t now_ns)
{
	uint64_t tsc, ns;
	int rc = 0;

	if (now_ns - loop->last_ns >= STOPPED_NS)
		cw_control_woke(d->control, now_ns);
	loop->last_ns = now_ns;
	if (now_ns >= loop->look_ns) {
		loop->look_ns = now_ns + LOOK_NS;
		cw_os_tsc_sample(&tsc, &ns);
		if (!cw_os_tsc_update(&d->tsc, tsc, ns)) {
			cw_log(&d->log.log, CW_LOG_WARN, "main",
			       "the CPU's clock and the kernel's went apart (suspended?): deadlines are made anew");
			cw_control_woke(d->control, now_ns);
		}
		writer_cut(d);
		mapper_look(d);
		if (!loop->failed)
			rc = join_again(d);
	}
	if (now_ns >= loop->links_ns && !loop->failed) {
		loop->links_ns = now_ns + LINKS_NS;
		look_at_links(d, loop);
	}
	if (now_ns >= loop->watchdog_ns) {
		notify("WATCHDOG=1");
		loop->watchdog_ns = now_ns + notify_watchdog_ns();
	}
	return rc;
}

/* @return true when the process may end. */
static bool stop(struct daemon *d, struct loop *loop, uint64_t now_ns)
{
	if (loop->stop_ns == 0) {
		cw_log(&d->log.log, CW_LOG_NOTICE, "main", "stopping");
		notify("STOPPING=1");
		loop->stop_ns = now_ns + (loop->failed ? GONE_STOP_NS : STOP_NS);
	}
	if (cw_control_shutdown(d->control, now_ns))
		return true;
	if (!d->stop_now && now_ns < loop->stop_ns)
		return false;
	cw_log(&d->log.log, CW_LOG_WARN, "main",
	       "stopped before everything was signed off: the session ends by its own time");
	return true;
}

int loop_run(struct daemon *d)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &d->writer_done_fd};
	struct loop loop = {.last_ns = cw_os_now_ns(),
			    .watchdog_ns = notify_watchdog_ns() != 0 ? 0 : CW_NEVER};

	if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->writer_done_fd, &ev) < 0)
		return -1;
	cw_log(&d->log.log, CW_LOG_NOTICE, "main", "causewayd " CW_DAEMON_VERSION " started: %s",
	       d->identity.name);
	notify("READY=1");
	for (;;) {
		uint64_t now_ns = cw_os_now_ns(), next_ns;
		unsigned int handled = 0;

		if (look(d, &loop, now_ns) < 0)
			return -1;
		core_punts(d, &handled);
		if (take_durable(d) < 0)
			return -1;
		next_ns = cw_control_timer(d->control, now_ns);
		handled += cw_rcu_reap(d->rcu);
		cw_rcu_quiescent();
		if (d->reload) {
			notify("RELOADING=1");
			json_decref(reload(d));
			notify("READY=1");
		}
		if (d->stopping && stop(d, &loop, now_ns))
			break;
		loop.idle = handled > 0 ? 0 : loop.idle + 1;
		wait_for_events(d, cw_min_u64(next_ns, loop.look_ns), loop.idle);
	}
	cw_log(&d->log.log, CW_LOG_NOTICE, "main", "stopped");
	return loop.failed ? -1 : 0;
}
