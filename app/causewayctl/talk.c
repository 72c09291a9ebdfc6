/* SPDX-License-Identifier: BSD-3-Clause */
/* Talking to the daemon: one JSON object per line each way over its UNIX socket. */
#include "ctl.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* An answer longer than this is no answer. */
#define ANSWER_BYTES_MAX (64u << 20)

static int open_socket(struct ctl *ctl)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = ctl->timeout_s};

	if (ctl->fd >= 0)
		return CTL_OK;
	if (strlen(ctl->socket) >= sizeof(sun.sun_path)) {
		fprintf(stderr, "causewayctl: %s: path is too long for a socket\n", ctl->socket);
		return CTL_USAGE;
	}
	memcpy(sun.sun_path, ctl->socket, strlen(ctl->socket));
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ctl->fd >= 0 && ctl->timeout_s > 0) {
		setsockopt(ctl->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		setsockopt(ctl->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	}
	if (ctl->fd >= 0 && connect(ctl->fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return CTL_OK;
	if (!ctl->quiet)
		fprintf(stderr, "causewayctl: %s: %s (is causewayd running?)\n", ctl->socket,
			strerror(errno));
	ctl_close(ctl);
	return CTL_UNREACHABLE;
}

static bool send_line(int fd, const char *text)
{
	size_t len = strlen(text), at = 0;

	while (at < len) {
		ssize_t n = send(fd, text + at, len - at, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return send(fd, "\n", 1, MSG_NOSIGNAL) == 1;
}

static char *receive_line(int fd)
{
	size_t len = 0, size = 65536;
	char *text = malloc(size);

	while (text != NULL) {
		ssize_t n = recv(fd, text + len, size - len - 1, 0);
		char *end;

		if (n <= 0)
			break;
		end = memchr(text + len, '\n', (size_t)n);
		len += (size_t)n;
		if (end != NULL) {
			*end = '\0';
			return text;
		}
		if (len + 1 == size) {
			char *grown = size < ANSWER_BYTES_MAX ? realloc(text, size * 2) : NULL;

			if (grown == NULL)
				break;
			text = grown;
			size *= 2;
		}
	}
	free(text);
	return NULL;
}

static int ask(struct ctl *ctl, json_t *request, json_t **reply, bool quiet)
{
	char *text = json_dumps(request, JSON_COMPACT), *line = NULL;
	const char *error;
	int rc = open_socket(ctl);

	json_decref(request);
	if (rc == CTL_OK && text != NULL && send_line(ctl->fd, text))
		line = receive_line(ctl->fd);
	free(text);
	if (rc != CTL_OK)
		return rc;
	if (line == NULL) {
		if (!ctl->quiet)
			fprintf(stderr, "causewayctl: %s: the daemon closed the connection\n",
				ctl->socket);
		return CTL_UNREACHABLE;
	}
	*reply = json_loads(line, 0, NULL);
	free(line);
	if (json_is_true(json_object_get(*reply, "ok")))
		return CTL_OK;
	error = json_string_value(json_object_get(*reply, "error"));
	if (!quiet && !ctl->quiet)
		fprintf(stderr, "causewayctl: %s\n", error != NULL ? error : "malformed answer");
	text = (char *)(uintptr_t)json_string_value(json_object_get(*reply, "code"));
	rc = text != NULL && strcmp(text, "usage") == 0 ? CTL_USAGE : CTL_FAILURE;
	json_decref(*reply);
	*reply = NULL;
	return rc;
}

int ctl_ask(struct ctl *ctl, json_t *request, json_t **reply)
{
	return ask(ctl, request, reply, false);
}

int ctl_try(struct ctl *ctl, json_t *request, json_t **reply)
{
	return ask(ctl, request, reply, true);
}

void ctl_close(struct ctl *ctl)
{
	if (ctl->fd >= 0)
		close(ctl->fd);
	ctl->fd = -1;
}

int ctl_ask_and_print(struct ctl *ctl, json_t *request)
{
	json_t *reply = NULL, *status;
	int rc = ctl_ask(ctl, request, &reply);

	if (rc != CTL_OK)
		return rc;
	status = json_object_get(reply, "status");
	if (ctl->json) {
		json_dumpf(status, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		ctl_print_object(status, 0);
	}
	rc = json_is_true(json_object_get(reply, "degraded")) ? CTL_DEGRADED : CTL_OK;
	json_decref(reply);
	return rc;
}
