/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON over HTTP to an etcd cluster, on libcurl's multi interface: nothing here blocks, whatever
 * the network does. A POST goes to the endpoint that answered last; one that fails moves everybody
 * on to the next. No retries here: whether a request may be repeated is its maker's business.
 *
 * Invariant: a transfer calls `done` exactly once, from etcd_http_poll, unless it was cancelled.
 */
#include "etcd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

/* A POST that has no answer by then has none: retried while a caller's budget of 5 s lasts. */
#define POST_MS 1500L
/* Largest reply: a namespace's registers are read one by one, 1 kB each. */
#define REPLY_BYTES_MAX (1u << 20)

struct etcd_transfer {
	struct etcd_transfer *next, *prev;
	struct etcd_http *http;
	CURL *easy;
	struct curl_slist *headers;
	char *body, *reply;
	size_t reply_len;
	bool stream, cancelled;
	unsigned int endpoint;
	etcd_done_fn done;
	void *arg;
	uint64_t now_ns; /* of the poll that is running, for streams */
};

struct etcd_http {
	struct etcd_http_params params;
	CURLM *multi;
	struct etcd_transfer *all;
	unsigned int busy, current;
	uint64_t now_ns;
	bool polling;
};

int etcd_http_create(struct etcd_http **out, const struct etcd_http_params *params)
{
	struct etcd_http *http = calloc(1, sizeof(*http));

	if (http == NULL)
		return -ENOMEM;
	http->params = *params;
	http->multi = curl_multi_init();
	if (http->multi == NULL) {
		free(http);
		return -ENOMEM;
	}
	*out = http;
	return 0;
}

static void transfer_free(struct etcd_transfer *t)
{
	struct etcd_http *http = t->http;

	curl_multi_remove_handle(http->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	free(t->body);
	free(t->reply);
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		http->all = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	if (!t->stream)
		http->busy--;
	free(t);
}

void etcd_http_destroy(struct etcd_http *http)
{
	if (http == NULL)
		return;
	for (struct etcd_transfer *t = http->all, *next; t != NULL; t = next) {
		next = t->next;
		transfer_free(t);
	}
	curl_multi_cleanup(http->multi);
	free(http);
}

/* A stream hands out every whole line as it comes. */
static void take_lines(struct etcd_transfer *t)
{
	char *end;

	while (!t->cancelled && (end = memchr(t->reply, '\n', t->reply_len)) != NULL) {
		size_t len = (size_t)(end - t->reply);
		json_t *message = json_loadb(t->reply, len, 0, NULL);

		memmove(t->reply, end + 1, t->reply_len - len - 1);
		t->reply_len -= len + 1;
		if (message != NULL)
			t->done(t->arg, message, t->http->now_ns);
		json_decref(message);
	}
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct etcd_transfer *t = arg;
	size_t len = size * n;
	char *more;

	if (t->reply_len + len > REPLY_BYTES_MAX)
		return 0; /* ends the transfer */
	more = realloc(t->reply, t->reply_len + len);
	if (more == NULL)
		return 0;
	memcpy(more + t->reply_len, data, len);
	t->reply = more;
	t->reply_len += len;
	if (t->stream)
		take_lines(t);
	return len;
}

static void set_options(struct etcd_transfer *t, const char *path)
{
	const struct etcd_http_params *p = &t->http->params;
	char url[ETCD_URL_BYTES + 64];

	snprintf(url, sizeof(url), "%s%s", p->endpoint[t->endpoint], path);
	curl_easy_setopt(t->easy, CURLOPT_URL, url);
	curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	/* Registers are not fetched through whatever proxy the environment names. */
	curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, POST_MS);
	if (!t->stream)
		curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, POST_MS);
	else
		curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	if (p->ca[0] != '\0')
		curl_easy_setopt(t->easy, CURLOPT_CAINFO, p->ca);
	if (p->certificate[0] != '\0') {
		curl_easy_setopt(t->easy, CURLOPT_SSLCERT, p->certificate);
		curl_easy_setopt(t->easy, CURLOPT_SSLKEY, p->key);
	}
}

static struct etcd_transfer *begin(struct etcd_http *http, const char *path, json_t *body,
				   bool stream, etcd_done_fn done, void *arg)
{
	struct etcd_transfer *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		json_decref(body);
		return NULL;
	}
	t->http = http;
	t->stream = stream;
	t->endpoint = http->current;
	t->done = done;
	t->arg = arg;
	t->body = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	t->easy = curl_easy_init();
	t->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (t->body == NULL || t->easy == NULL || t->headers == NULL) {
		curl_easy_cleanup(t->easy);
		curl_slist_free_all(t->headers);
		free(t->body);
		free(t);
		return NULL;
	}
	t->next = http->all;
	if (t->next != NULL)
		t->next->prev = t;
	http->all = t;
	if (!stream)
		http->busy++;
	set_options(t, path);
	curl_multi_add_handle(http->multi, t->easy);
	return t;
}

struct etcd_transfer *etcd_http_post(struct etcd_http *http, const char *path, json_t *body,
				     etcd_done_fn done, void *arg)
{
	return begin(http, path, body, false, done, arg);
}

struct etcd_transfer *etcd_http_stream(struct etcd_http *http, const char *path, json_t *body,
				       etcd_message_fn message, void *arg)
{
	return begin(http, path, body, true, message, arg);
}

void etcd_http_cancel(struct etcd_transfer *t)
{
	if (t == NULL)
		return;
	/* libcurl may be in the middle of it: it is swept by the poll. */
	t->cancelled = true;
	if (!t->http->polling)
		transfer_free(t);
}

static void finish(struct etcd_transfer *t, CURLcode result)
{
	struct etcd_http *http = t->http;
	json_t *reply = NULL;

	if (!t->stream && result == CURLE_OK && t->reply != NULL)
		reply = json_loadb(t->reply, t->reply_len, JSON_DISABLE_EOF_CHECK, NULL);
	if (reply == NULL && t->endpoint == http->current)
		http->current = (http->current + 1) % http->params.count;
	if (!t->cancelled)
		t->done(t->arg, reply, http->now_ns);
	json_decref(reply);
	transfer_free(t);
}

void etcd_http_poll(struct etcd_http *http, uint64_t now_ns)
{
	int running, left;
	CURLMsg *message;

	http->now_ns = now_ns;
	http->polling = true;
	curl_multi_perform(http->multi, &running);
	while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
		struct etcd_transfer *t = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		finish(t, message->data.result);
	}
	http->polling = false;
	for (struct etcd_transfer *t = http->all, *next; t != NULL; t = next) {
		next = t->next;
		if (t->cancelled)
			transfer_free(t);
	}
}

unsigned int etcd_http_busy(const struct etcd_http *http)
{
	return http->busy;
}
