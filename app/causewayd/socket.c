/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: a UNIX stream, one JSON object per line in and out. Clients are few and
 * bounded; a slow one keeps its own answers waiting, never control: what it does not read stays in
 * its buffer, and past a limit it is closed.
 */
#include "daemon.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX	  32u
#define REQUEST_BYTES_MAX 65536u
#define ANSWER_BYTES_MAX  (16u << 20)

struct client {
	struct client *next;
	struct daemon *daemon;
	int fd;
	bool busy; /* an answer is owed */
	char request[REQUEST_BYTES_MAX];
	size_t request_len;
	char *answer;
	size_t answer_len, answer_sent;
};

static void watch(struct client *c)
{
	struct epoll_event ev = {.events = c->answer_len > c->answer_sent ? EPOLLIN | EPOLLOUT
									  : EPOLLIN,
				 .data.ptr = c};

	epoll_ctl(c->daemon->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void client_close(struct client *c)
{
	struct daemon *d = c->daemon;
	struct client **at = &d->clients;

	cw_control_query_cancel(d->control, c);
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	d->client_count--;
	close(c->fd);
	free(c->answer);
	free(c);
}

static void flush_answer(struct client *c)
{
	while (c->answer_sent < c->answer_len) {
		ssize_t n = send(c->fd, c->answer + c->answer_sent, c->answer_len - c->answer_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			break;
		c->answer_sent += (size_t)n;
	}
	if (c->answer_sent == c->answer_len) {
		free(c->answer);
		c->answer = NULL;
		c->answer_len = c->answer_sent = 0;
	}
	watch(c);
}

static void on_answer(void *arg, json_t *reply)
{
	struct client *c = arg;
	char *text = json_dumps(reply, JSON_COMPACT), *grown;
	size_t len = text != NULL ? strlen(text) : 0;

	json_decref(reply);
	c->busy = false;
	if (text == NULL || c->answer_len + len + 1 > ANSWER_BYTES_MAX) {
		free(text);
		return;
	}
	grown = realloc(c->answer, c->answer_len + len + 1);
	if (grown != NULL) {
		c->answer = grown;
		memcpy(c->answer + c->answer_len, text, len);
		c->answer[c->answer_len + len] = '\n';
		c->answer_len += len + 1;
	}
	free(text);
	flush_answer(c);
}

static void on_request(struct client *c, const char *line, size_t len)
{
	struct daemon *d = c->daemon;
	json_error_t error;
	json_t *request = json_loadb(line, len, 0, &error);
	const char *cmd = json_string_value(json_object_get(request, "cmd"));

	c->busy = true;
	if (request == NULL) {
		on_answer(c, json_pack("{s:b, s:s, s:s}", "ok", 0, "code", "usage", "error",
				       "expected one JSON object per line"));
	} else if (cmd != NULL && strcmp(cmd, "reload") == 0) {
		d->reload = true;
		on_answer(c, json_pack("{s:b, s:{}}", "ok", 1, "status"));
	} else {
		cw_control_query(d->control, request, on_answer, c, cw_os_now_ns());
	}
	json_decref(request);
}

static void take_lines(struct client *c)
{
	char *end;

	/* One request at a time: the next line waits for this one's answer. */
	while (!c->busy && (end = memchr(c->request, '\n', c->request_len)) != NULL) {
		char line[REQUEST_BYTES_MAX];
		size_t len = (size_t)(end - c->request);

		memcpy(line, c->request, len);
		memmove(c->request, end + 1, c->request_len - len - 1);
		c->request_len -= len + 1;
		on_request(c, line, len);
	}
}

void socket_ready(struct daemon *d, struct client *c, uint32_t events)
{
	ssize_t n;

	(void)d;
	if (events & EPOLLOUT)
		flush_answer(c);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (c->request_len == sizeof(c->request)) {
		client_close(c); /* a request without end */
		return;
	}
	n = recv(c->fd, c->request + c->request_len, sizeof(c->request) - c->request_len,
		 MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		client_close(c);
		return;
	}
	if (n > 0)
		c->request_len += (size_t)n;
	take_lines(c);
}

void socket_accept(struct daemon *d)
{
	int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c = fd >= 0 && d->client_count < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

	if (c == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	c->daemon = d;
	c->fd = fd;
	c->next = d->clients;
	d->clients = c;
	d->client_count++;
	epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

int socket_open(struct daemon *d)
{
	const char *path = d->config.control_socket;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &d->listen_fd};
	char copy[CW_CONFIG_PATH_BYTES];

	if (strlen(path) >= sizeof(sun.sun_path))
		return FAIL(d, "control_socket %s: expected at most %zu characters", path,
			    sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path));
	snprintf(copy, sizeof(copy), "%s", path);
	if (mkdir(dirname(copy), 0755) < 0 && errno != EEXIST)
		return FAIL(d, "control_socket %s: %s", path, strerror(errno));
	/* The state directory's lock says that nobody of ours is behind an old socket. */
	unlink(path);
	d->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->listen_fd < 0 || bind(d->listen_fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 ||
	    chmod(path, 0660) < 0 || listen(d->listen_fd, 8) < 0 ||
	    epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->listen_fd, &ev) < 0)
		return FAIL(d, "control_socket %s: %s", path, strerror(errno));
	return 0;
}

void socket_close(struct daemon *d)
{
	while (d->clients != NULL)
		client_close(d->clients);
	if (d->listen_fd >= 0) {
		close(d->listen_fd);
		unlink(d->config.control_socket);
	}
}
