/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket's framing: clients that send anything in any pieces, half-close, vanish, read
 * late or never, while control answers at once or later. The shipped app/causewayd/socket.c over
 * real sockets; control itself is a stand-in.
 *
 * Promised: every line that a client sent whole gets one answer, a JSON object on a line of its
 * own, in order, unless it vanished or asked without end; nobody is answered who is gone; no other
 * client notices.
 *
 * Steps of two octets, operation (low four bits) with client (high) and argument; a send takes as
 * many octets of the input as its argument says.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../../app/causewayd/daemon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CLIENTS = 3, PENDING = 64, ROUNDS = 256, GONE_TRIES = 1000 };
enum { OP_SEND = 0, OP_FILL = 6, OP_HALF_CLOSE, OP_VANISH, OP_ANSWER, OP_READ, OP_LATER, OPS };

struct end {
	int fd;
	bool wrote_all;	   /* half-closed */
	bool endless;	   /* sent more than a request may be long, without an end */
	size_t line_bytes; /* of the line that is being sent */
	unsigned int lines, answers;
	char line[1 << 17];
	size_t got;
};

static struct daemon *d;
static struct end ends[CLIENTS];
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static bool later;
static struct {
	cw_control_reply_fn reply;
	void *arg;
	json_t *request;
} pending[PENDING];

static json_t *answer_to(const json_t *request)
{
	return json_pack("{s:b, s:O}", "ok", 1, "asked", request);
}

void cw_control_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		      void *arg, uint64_t now_ns)
{
	(void)ctl;
	(void)now_ns;
	for (unsigned int i = 0; later && i < PENDING; i++)
		if (pending[i].reply == NULL) {
			pending[i].reply = reply;
			pending[i].arg = arg;
			pending[i].request = json_deep_copy(request);
			return;
		}
	reply(arg, answer_to((json_t *)(uintptr_t)request));
}

void cw_control_query_cancel(struct cw_control *ctl, void *arg)
{
	(void)ctl;
	for (unsigned int i = 0; i < PENDING; i++)
		if (pending[i].reply != NULL && pending[i].arg == arg) {
			json_decref(pending[i].request);
			pending[i].reply = NULL;
		}
}

json_t *reload(struct daemon *of)
{
	CW_ASSERT(of == d);
	return json_pack("{s:b}", "ok", 1);
}

static void answer_one(unsigned int which)
{
	for (unsigned int i = 0; i < PENDING; i++) {
		unsigned int at = (i + which) % PENDING;
		cw_control_reply_fn reply = pending[at].reply;

		if (reply == NULL)
			continue;
		pending[at].reply = NULL;
		reply(pending[at].arg, answer_to(pending[at].request));
		json_decref(pending[at].request);
		return;
	}
}

/* As the daemon's loop does it. */
static unsigned int serve(void)
{
	struct epoll_event events[8];
	int n = epoll_wait(d->epoll_fd, events, 8, 0);
	bool accept = false;

	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == &d->listen_fd)
			accept = true;
		else
			socket_ready(events[i].data.ptr, events[i].events);
	}
	if (accept)
		socket_accept(d);
	return n > 0 ? (unsigned int)n : 0;
}

static void take_answers(struct end *e)
{
	char *end;

	while ((end = memchr(e->line, '\n', e->got)) != NULL) {
		size_t len = (size_t)(end - e->line) + 1;
		json_t *answer = json_loadb(e->line, len, 0, NULL);

		CW_ASSERT(json_is_object(answer) && json_object_get(answer, "ok") != NULL);
		json_decref(answer);
		CW_ASSERT(++e->answers <= e->lines);
		memmove(e->line, e->line + len, e->got - len);
		e->got -= len;
	}
}

/* @return false: nothing more will come. */
static bool read_some(struct end *e, size_t most)
{
	ssize_t n = 0;

	if (e->fd < 0)
		return false;
	if (most > sizeof(e->line) - e->got)
		most = sizeof(e->line) - e->got;
	n = recv(e->fd, e->line + e->got, most, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN;
	e->got += (size_t)n;
	take_answers(e);
	return n > 0;
}

static void send_some(struct end *e, const uint8_t *data, size_t len)
{
	ssize_t n = e->fd >= 0 && !e->wrote_all
			    ? send(e->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
			    : 0;

	for (ssize_t i = 0; i < n; i++) {
		e->line_bytes++;
		e->endless |= e->line_bytes >= 65536;
		if (data[i] == '\n') {
			e->lines++;
			e->line_bytes = 0;
		}
	}
}

static void vanish(struct end *e)
{
	if (e->fd >= 0)
		close(e->fd);
	memset(e, 0, offsetof(struct end, line));
	e->got = 0;
	e->fd = -1;
}

static void connect_one(struct end *e)
{
	if (e->fd >= 0)
		return;
	e->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CW_ASSERT(e->fd >= 0 && connect(e->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
}

static void set_up(void)
{
	struct epoll_event ev = {.events = EPOLLIN};

	d = calloc(1, sizeof(*d));
	CW_ASSERT(d != NULL);
	/* Without a path in the file system: copies do not meet, nothing is left. */
	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "cw-fuzz-%ld", (long)getpid());
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ev.data.ptr = &d->listen_fd;
	CW_ASSERT(bind(d->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		  listen(d->listen_fd, 8) == 0 &&
		  epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->listen_fd, &ev) == 0);
	for (unsigned int i = 0; i < CLIENTS; i++)
		ends[i].fd = -1;
}

static size_t step(const uint8_t *data, size_t size)
{
	static const uint8_t filler[1 << 15];
	struct end *e = &ends[(data[0] >> 4) % CLIENTS];
	size_t len = data[1], used = 2;

	connect_one(e);
	switch (data[0] % 16) {
	case OP_FILL:
		send_some(e, filler, len << 7);
		break;
	case OP_HALF_CLOSE:
		e->wrote_all = shutdown(e->fd, SHUT_WR) == 0;
		break;
	case OP_VANISH:
		vanish(e);
		break;
	case OP_ANSWER:
		answer_one((unsigned int)len);
		break;
	case OP_READ:
		(void)read_some(e, len);
		break;
	case OP_LATER:
		later = len & 1;
		break;
	default:
		if (len > size - used)
			len = size - used;
		send_some(e, data + used, len);
		used += len;
	}
	serve();
	return used;
}

/* What is owed is paid: read all, answer all, until nothing moves. */
static void settle(void)
{
	later = false;
	for (unsigned int quiet = 0, i = 0; quiet < 2 && i < ROUNDS; i++) {
		bool moved = serve() > 0;

		for (unsigned int k = 0; k < CLIENTS; k++) {
			unsigned int before = ends[k].answers;

			(void)read_some(&ends[k], sizeof(ends[k].line));
			moved |= ends[k].answers != before;
		}
		answer_one(0);
		quiet = moved ? 0 : quiet + 1;
	}
	for (unsigned int k = 0; k < CLIENTS; k++)
		CW_ASSERT(ends[k].fd < 0 || ends[k].endless || ends[k].answers == ends[k].lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (d == NULL)
		set_up();
	while (size >= 2) {
		size_t used = step(data, size);

		data += used;
		size -= used;
	}
	settle();
	for (unsigned int k = 0; k < CLIENTS; k++)
		vanish(&ends[k]);
	/* Somebody who looks at /proc may hold an end for a moment after it was closed. */
	for (unsigned int i = 0; d->clients != NULL && i < GONE_TRIES; i++)
		if (serve() == 0)
			usleep(1000);
	CW_ASSERT(d->clients == NULL && d->client_count == 0);
	return 0;
}
