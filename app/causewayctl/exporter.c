/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayctl exporter: metrics for Prometheus, by HTTP.
 *
 * A process of its own, so that nothing of the daemon listens on TCP: it asks the control socket as
 * any other causewayctl does, keeps nothing, and is nobody: started as root it wants a user to
 * become, and the seccomp filter of the daemon holds it too. It only reads; there is no request by
 * which it could be made to ask the daemon for anything but the tables of metrics.c.
 *
 * One thread: scrapes come one after the other, a daemon that does not answer within ANSWER_S is
 * down (causeway_up 0), and several who scrape within FRESH_MS get the same text, so that control
 * is not asked faster, whoever asks.
 */
#include "ctl.h"
#include "metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <cw_os.h>

#define LISTEN_DEFAULT "127.0.0.1:9845"
#define ADDRESS_BYTES  64

enum limits {
	ANSWER_S = 4,	/* for one question; Prometheus gives a scrape 10 s */
	FRESH_MS = 500, /* how long a text stands for whoever else asks */
	CONNECTIONS_MAX = 32,
	CONNECTION_S = 10, /* without a word */
	CONNECTION_BYTES = 32768,
};

struct exporter {
	struct ctl *ctl;
	const char *listen, *user, *group;
	struct MHD_Daemon *http;
	char *text; /* the last answer */
	size_t len;
	uint64_t text_ns;
	bool down; /* the daemon, at the last scrape */
};

static int usage(void)
{
	fputs("usage: causewayctl exporter [--listen ADDRESS:PORT] [--user USER [--group GROUP]]\n"
	      "serves http://" LISTEN_DEFAULT
	      "/metrics to Prometheus; an IPv6 address stands in [ ]\n"
	      "--user: become that user (needed when started as root); its GROUP must be the daemon's control_group\n",
	      stderr);
	return CTL_USAGE;
}

static int parse(struct exporter *e, int argc, char **argv)
{
	for (int i = 0; i < argc; i += 2) {
		const char **value = strcmp(argv[i], "--listen") == 0  ? &e->listen
				     : strcmp(argv[i], "--user") == 0  ? &e->user
				     : strcmp(argv[i], "--group") == 0 ? &e->group
								       : NULL;

		if (value == NULL || i + 1 == argc)
			return usage();
		*value = argv[i + 1];
	}
	return CTL_OK;
}

/* -- one scrape */

static json_t *ask_status(struct exporter *e, const char *cmd)
{
	json_t *reply = NULL, *status = NULL;

	if (ctl_try(e->ctl, json_pack("{s:s}", "cmd", cmd), &reply) == CTL_OK) {
		status = json_incref(json_object_get(reply, "status"));
		json_object_set(status, "degraded", json_object_get(reply, "degraded"));
	}
	json_decref(reply);
	return status;
}

static json_t *ask_rows(struct exporter *e, const char *what)
{
	json_t *rows = NULL, *columns = NULL;

	if (ctl_rows(e->ctl, what, &rows, &columns) != CTL_OK)
		return NULL;
	json_decref(columns);
	return rows;
}

static void note(struct exporter *e, bool down)
{
	if (down != e->down)
		fprintf(stderr, "causewayctl: %s: %s\n", e->ctl->socket,
			down ? "the daemon does not answer" : "the daemon answers again");
	e->down = down;
}

static void scrape(struct exporter *e)
{
	struct metrics m = {.status = ask_status(e, "status")};
	json_t *const *all[] = {&m.status, &m.dht,  &m.drops,	  &m.workers,
				&m.peers,  &m.site, &m.operations};
	FILE *out;

	if (m.status != NULL) {
		m.dht = ask_status(e, "dht status");
		m.drops = ask_rows(e, "drops");
		m.workers = ask_rows(e, "workers");
		m.peers = ask_rows(e, "peers");
		m.site = ask_rows(e, "site");
		m.operations = ask_rows(e, "dht-operations");
	}
	/* The daemon may be another one the next time. */
	ctl_close(e->ctl);
	note(e, m.status == NULL);
	free(e->text);
	e->text = NULL;
	e->len = 0;
	out = open_memstream(&e->text, &e->len);
	if (out != NULL) {
		metrics_write(out, &m);
		if (fclose(out) != 0) {
			free(e->text);
			e->text = NULL;
		}
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_decref(*all[i]);
	e->text_ns = cw_os_now_ns();
}

/* -- HTTP */

static enum MHD_Result answer(struct MHD_Connection *to, unsigned int status, const char *type,
			      const char *text, size_t len)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result rc;

	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	rc = MHD_queue_response(to, status, response);
	MHD_destroy_response(response);
	return rc;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *from, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **state)
{
	static const char at[] = "Causeway: metrics are at /metrics\n";
	struct exporter *e = arg;

	(void)version, (void)upload;
	/* The first call knows the header only; with a body it is called for each piece. */
	if (*state == NULL) {
		*state = e;
		return MHD_YES;
	}
	if (*upload_size != 0) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer(from, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", at, sizeof(at) - 1);
	if (strcmp(url, "/") == 0)
		return answer(from, MHD_HTTP_OK, "text/plain", at, sizeof(at) - 1);
	if (strcmp(url, "/metrics") != 0)
		return answer(from, MHD_HTTP_NOT_FOUND, "text/plain", at, sizeof(at) - 1);
	if (e->text == NULL || cw_os_now_ns() - e->text_ns > FRESH_MS * CW_NS_PER_MS)
		scrape(e);
	if (e->text == NULL)
		return answer(from, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain", at,
			      sizeof(at) - 1);
	return answer(from, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", e->text,
		      e->len);
}

/* "127.0.0.1:9845" or "[::1]:9845". @return NULL when it is neither. */
static struct addrinfo *address_of(const char *text)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *found = NULL;
	const char *colon = strrchr(text, ':');
	char host[ADDRESS_BYTES];
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;

	if (len == 0 || len >= sizeof(host) || colon[1] == '\0')
		return NULL;
	if (text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	return getaddrinfo(host, colon + 1, &hints, &found) == 0 ? found : NULL;
}

static int open_http(struct exporter *e)
{
	struct addrinfo *at = address_of(e->listen);
	unsigned int flags = MHD_USE_EPOLL;

	if (at == NULL) {
		fprintf(stderr, "causewayctl: --listen %s: expected ADDRESS:PORT\n", e->listen);
		return CTL_USAGE;
	}
	if (at->ai_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	errno = 0;
	e->http = MHD_start_daemon(flags, 0, NULL, NULL, on_request, e, MHD_OPTION_SOCK_ADDR,
				   at->ai_addr, MHD_OPTION_CONNECTION_LIMIT,
				   (unsigned int)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				   (unsigned int)CONNECTION_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				   (size_t)CONNECTION_BYTES, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U,
				   MHD_OPTION_END);
	freeaddrinfo(at);
	if (e->http != NULL)
		return CTL_OK;
	fprintf(stderr, "causewayctl: --listen %s: %s\n", e->listen,
		errno != 0 ? strerror(errno) : "cannot listen there");
	return CTL_FAILURE;
}

/* -- the process */

static int give_up_power(struct exporter *e)
{
	uint32_t uid, gid;
	int rc = 0;

	if (e->user != NULL) {
		if (cw_os_find_user(e->user, e->group != NULL ? e->group : "", &uid, &gid) < 0) {
			fputs("causewayctl: --user, --group: expected a user that is not root, and a group\n",
			      stderr);
			return CTL_USAGE;
		}
		rc = cw_os_become(uid, gid);
	} else if (geteuid() == 0) {
		fputs("causewayctl: the exporter does not run as root: --user USER --group GROUP\n",
		      stderr);
		return CTL_USAGE;
	}
#if !defined(__SANITIZE_ADDRESS__)
	if (rc == 0)
		rc = cw_os_confine();
#endif
	if (rc < 0)
		fprintf(stderr, "causewayctl: --user %s: %s\n", e->user != NULL ? e->user : "-",
			strerror(-rc));
	return rc < 0 ? CTL_FAILURE : CTL_OK;
}

static void serve(struct exporter *e, int stop_fd)
{
	const union MHD_DaemonInfo *epoll = MHD_get_daemon_info(e->http, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[] = {{.fd = epoll->epoll_fd, .events = POLLIN},
			       {.fd = stop_fd, .events = POLLIN}};

	while (fds[1].revents == 0) {
		MHD_UNSIGNED_LONG_LONG wait_ms;
		int timeout_ms = -1;

		if (MHD_get_timeout(e->http, &wait_ms) == MHD_YES)
			timeout_ms =
				wait_ms < CONNECTION_S * 1000 ? (int)wait_ms : CONNECTION_S * 1000;
		if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
			return;
		MHD_run(e->http);
	}
}

int ctl_exporter(struct ctl *ctl, int argc, char **argv)
{
	struct exporter e = {.ctl = ctl, .listen = LISTEN_DEFAULT};
	int rc = parse(&e, argc, argv), stop_fd;
	sigset_t stop;

	if (rc != CTL_OK)
		return rc;
	ctl->quiet = true;
	ctl->timeout_s = ANSWER_S;
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	stop_fd = signalfd(-1, &stop, SFD_CLOEXEC);
	rc = open_http(&e);
	if (rc == CTL_OK)
		rc = give_up_power(&e);
	if (rc == CTL_OK)
		serve(&e, stop_fd);
	if (e.http != NULL)
		MHD_stop_daemon(e.http);
	close(stop_fd);
	free(e.text);
	return rc;
}
