/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: a UNIX stream, one JSON object per line in and out. Clients are few and
 * bounded (who has been silent longest makes room for who comes), and each waits for itself: its
 * next line is taken when its last answer is gone, what it does not read stays in its own buffer,
 * and control never waits. A client may half-close after its last line; it still gets its answers.
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
	bool eof;  /* nothing more will come */
	char request[REQUEST_BYTES_MAX];
	size_t request_len;
	char *answer;
	size_t answer_len, answer_sent;
};

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

/* May its next line be taken? */
static bool is_free(const struct client *c)
{
	return !c->busy && c->answer_len == 0;
}

static bool has_line(const struct client *c)
{
	return memchr(c->request, '\n', c->request_len) != NULL;
}

static void watch(struct client *c)
{
	struct epoll_event ev = {.events = 0, .data.ptr = c};

	if (!c->eof && c->request_len < sizeof(c->request))
		ev.events |= EPOLLIN;
	/* Room to write comes at once: that is also how a line that waited gets its turn. */
	if (c->answer_len > 0 || (is_free(c) && (has_line(c) || c->eof)))
		ev.events |= EPOLLOUT;
	epoll_ctl(c->daemon->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void drop_answer(struct client *c)
{
	free(c->answer);
	c->answer = NULL;
	c->answer_len = c->answer_sent = 0;
}

static void flush_answer(struct client *c)
{
	while (c->answer_sent < c->answer_len) {
		ssize_t n = send(c->fd, c->answer + c->answer_sent, c->answer_len - c->answer_sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			/* Gone: epoll says so too, and closes it there. */
			shutdown(c->fd, SHUT_RDWR);
			break;
		}
		c->answer_sent += (size_t)n;
	}
	drop_answer(c);
}

static void on_answer(void *arg, json_t *reply)
{
	struct client *c = arg;
	char *text = json_dumps(reply, JSON_COMPACT);
	size_t len = text != NULL ? strlen(text) : 0;

	json_decref(reply);
	c->busy = false;
	if (text == NULL || len >= ANSWER_BYTES_MAX) {
		free(text);
		/* No answer must not look like a slow one. */
		shutdown(c->fd, SHUT_RDWR);
		return;
	}
	/* The text's NUL becomes the end of the line. */
	text[len] = '\n';
	c->answer = text;
	c->answer_len = len + 1;
	c->answer_sent = 0;
	flush_answer(c);
	watch(c);
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
		on_answer(c, reload(d));
	} else {
		cw_control_query(d->control, request, on_answer, c, cw_os_now_ns());
	}
	json_decref(request);
}

static void take_lines(struct client *c)
{
	char *end;

	while (is_free(c) && (end = memchr(c->request, '\n', c->request_len)) != NULL) {
		size_t len = (size_t)(end - c->request);

		on_request(c, c->request, len);
		memmove(c->request, end + 1, c->request_len - len - 1);
		c->request_len -= len + 1;
	}
}

/* @return false when the client is gone or is not to be listened to. */
static bool read_request(struct client *c)
{
	ssize_t n = recv(c->fd, c->request + c->request_len, sizeof(c->request) - c->request_len,
			 MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->eof = n == 0;
	c->request_len += (size_t)n;
	/* A request without end. */
	return c->request_len < sizeof(c->request) || has_line(c);
}

void socket_ready(struct client *c, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR)) {
		client_close(c);
		return;
	}
	if (events & EPOLLOUT)
		flush_answer(c);
	if ((events & EPOLLIN) && !read_request(c)) {
		client_close(c);
		return;
	}
	take_lines(c);
	if (c->eof && is_free(c) && !has_line(c))
		client_close(c);
	else
		watch(c);
}

/* Connected once and silent since: nobody keeps the operator out by connecting only. */
static void make_room(struct daemon *d)
{
	struct client *oldest = NULL;

	/* New ones are put in front. */
	for (struct client *c = d->clients; c != NULL; c = c->next)
		if (is_free(c) && !has_line(c))
			oldest = c;
	if (d->client_count >= CLIENTS_MAX && oldest != NULL)
		client_close(oldest);
}

void socket_accept(struct daemon *d)
{
	int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct epoll_event ev = {.events = EPOLLIN};
	struct client *c;

	make_room(d);
	c = fd >= 0 && d->client_count < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	ev.data.ptr = c;
	if (c == NULL || epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		if (fd >= 0)
			close(fd);
		free(c);
		return;
	}
	c->daemon = d;
	c->fd = fd;
	c->next = d->clients;
	d->clients = c;
	d->client_count++;
}

/* What is at the path may be removed only if it is a socket that nobody listens on. */
static int remove_stale(struct daemon *d, const struct sockaddr_un *sun)
{
	const char *path = sun->sun_path;
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return FAIL(d, "control_socket %s: is there and is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	rc = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	if (fd >= 0)
		close(fd);
	if (rc == 0)
		return FAIL(d, "control_socket %s: another process listens on it", path);
	unlink(path);
	return 0;
}

int socket_open(struct daemon *d)
{
	const char *path = d->config.control_socket;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &d->listen_fd};
	char copy[CW_CONFIG_PATH_BYTES];
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		return FAIL(d, "control_socket %s: expected at most %zu characters", path,
			    sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path));
	snprintf(copy, sizeof(copy), "%s", path);
	if (mkdir(dirname(copy), 0755) < 0 && errno != EEXIST)
		return FAIL(d, "control_socket %s: %s", path, strerror(errno));
	if (remove_stale(d, &sun) < 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The mode before the name: at no time may others connect. */
	if (fd < 0 || fchmod(fd, 0660) < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		if (fd >= 0)
			close(fd);
		return FAIL(d, "control_socket %s: %s", path, strerror(errno));
	}
	/* From here on the name is ours to remove. */
	d->listen_fd = fd;
	if (chmod(path, 0660) < 0 || listen(fd, 8) < 0 ||
	    epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return FAIL(d, "control_socket %s: %s", path, strerror(errno));
	return 0;
}

void socket_close(struct daemon *d)
{
	for (struct client *c = d->clients, *next; c != NULL; c = next) {
		next = c->next;
		client_close(c);
	}
	if (d->listen_fd >= 0) {
		close(d->listen_fd);
		unlink(d->config.control_socket);
	}
}
