/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * News from etcd: one watch on the namespace's mappings, one on namespace records. A stream that
 * broke goes on from the revision behind the last one heard; if that is compacted away, from now:
 * what was missed is found by revalidation, as every lost notification is.
 */
#include <string.h>

#include <stdio.h>

#include "etcd_op.h"

#define RETRY_NS (UINT64_C(500) * CW_NS_PER_MS)

static void on_mapping(struct cw_store_etcd *s, const char *rest, const json_t *value,
		       uint64_t now_ns)
{
	struct cw_mapping m;
	rte_be32_t ip;

	if (s->events.changed != NULL && value != NULL && cw_ip4_parse(rest, &ip) == 0 &&
	    etcd_mapping_parse(value, &m, NULL))
		s->events.changed(s->events.ctx, ip, &m, now_ns);
}

static void on_ns(struct cw_store_etcd *s, const char *rest, const json_t *value, uint64_t now_ns)
{
	struct cw_namespace_record ns;

	(void)rest;
	if (s->events.ns_changed != NULL && value != NULL && etcd_ns_parse(value, &ns, NULL))
		s->events.ns_changed(s->events.ctx, &ns, now_ns);
}

static void on_message(void *arg, const json_t *message, uint64_t now_ns)
{
	struct etcd_watch *w = arg;
	const json_t *result = json_object_get(message, "result"), *event;
	size_t i;

	if (message == NULL) { /* the stream has ended */
		w->stream = NULL;
		w->retry_ns = now_ns + RETRY_NS;
		return;
	}
	if (result == NULL || json_is_true(json_object_get(result, "canceled"))) {
		w->revision = 0; /* compacted, or not taken: from now on */
		etcd_http_cancel(w->stream);
		w->stream = NULL;
		w->retry_ns = now_ns + RETRY_NS;
		return;
	}
	w->revision = etcd_number(json_object_get(result, "header"), "revision");
	json_array_foreach(json_object_get(result, "events"), i, event)
	{
		char rest[ETCD_KEY_BYTES];
		json_t *value;

		if (etcd_event_parse(event, w->prefix, rest, sizeof(rest), &value))
			w->event(w->store, rest, value, now_ns);
		json_decref(value);
	}
}

static void start(struct cw_store_etcd *s, struct etcd_watch *w)
{
	w->stream = etcd_http_stream(
		s->http, "/v3/watch",
		etcd_watch_body(w->prefix, w->revision == 0 ? 0 : w->revision + 1), on_message, w);
}

void watch_timer(struct cw_store_etcd *s, uint64_t now_ns)
{
	if (s->watch[0].store == NULL) {
		s->watch[0].store = s->watch[1].store = s;
		s->watch[0].event = on_mapping;
		s->watch[1].event = on_ns;
		snprintf(s->watch[0].prefix, ETCD_KEY_BYTES, "%s/m/%s/", s->prefix, s->ns_name);
		snprintf(s->watch[1].prefix, ETCD_KEY_BYTES, "%s/ns/", s->prefix);
	}
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(s->watch); i++)
		if (s->watch[i].stream == NULL && now_ns >= s->watch[i].retry_ns)
			start(s, &s->watch[i]);
}

void watch_close(struct cw_store_etcd *s)
{
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(s->watch); i++)
		etcd_http_cancel(s->watch[i].stream);
}
