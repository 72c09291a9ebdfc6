/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_STORE_ETCD_INTERNAL_H
#define CW_STORE_ETCD_INTERNAL_H

/* What the files of the etcd store share: HTTP, etcd's JSON, our records as JSON. */
#include <jansson.h>

#include <cw_dht.h>
#include <cw_law.h>

#define ETCD_KEY_BYTES	   256u
#define ETCD_ENDPOINTS_MAX 8u
#define ETCD_URL_BYTES	   256u

/* -- etcd_http.c: POSTs of JSON that never block, to whichever endpoint answers. */

struct etcd_http;
struct etcd_transfer;

struct etcd_http_params {
	unsigned int count;
	char endpoint[ETCD_ENDPOINTS_MAX][ETCD_URL_BYTES]; /* "http://host:port" */
	const char *ca, *certificate, *key;		   /* "" none */
};

/* The whole reply, an etcd error included; NULL: no reply in time, the outcome is unknown. */
typedef void (*etcd_done_fn)(void *arg, const json_t *reply, uint64_t now_ns);
/* One message of a stream; NULL: the stream has ended. */
typedef etcd_done_fn etcd_message_fn;

int etcd_http_create(struct etcd_http **out, const struct etcd_http_params *params);
void etcd_http_destroy(struct etcd_http *http);
/* Takes @p body. @return NULL without memory. The transfer is gone when `done` was called. */
struct etcd_transfer *etcd_http_post(struct etcd_http *http, const char *path, json_t *body,
				     etcd_done_fn done, void *arg);
/* As post, but without end: `message` is called for every line. */
struct etcd_transfer *etcd_http_stream(struct etcd_http *http, const char *path, json_t *body,
				       etcd_message_fn message, void *arg);
/* `done` will not be called. NULL is fine. */
void etcd_http_cancel(struct etcd_transfer *transfer);
void etcd_http_poll(struct etcd_http *http, uint64_t now_ns);
/* POSTs under way; streams do not count. */
unsigned int etcd_http_busy(const struct etcd_http *http);

/* -- etcd_kv.c: etcd's v3 messages. Numbers are strings there, keys and values base64. */

struct etcd_value {
	char key[ETCD_KEY_BYTES];
	bool present;
	uint64_t mod; /* 0: absent */
	json_t *json; /* NULL: absent or no JSON */
};

struct etcd_put {
	const char *key;
	json_t *json;	/* NULL: delete the key */
	uint64_t lease; /* 0: none */
};

json_t *etcd_read_body(const struct etcd_value *values, unsigned int count);
/* @return false when the reply is no answer to that. */
bool etcd_read_parse(const json_t *reply, struct etcd_value *values, unsigned int count);
/* If every value is still at `mod`, all puts. */
json_t *etcd_write_body(const struct etcd_value *values, unsigned int count,
			const struct etcd_put *puts, unsigned int put_count);
bool etcd_write_parse(const json_t *reply, bool *succeeded);
json_t *etcd_watch_body(const char *prefix, uint64_t from_revision);
/* One event: its key behind the prefix, and its value (the caller's). */
bool etcd_event_parse(const json_t *event, const char *prefix, char *rest, size_t rest_size,
		      json_t **value);
uint64_t etcd_number(const json_t *object, const char *name);
json_t *etcd_number_json(uint64_t value);
bool etcd_is_error(const json_t *reply);
void etcd_value_clear(struct etcd_value *v);

/* -- etcd_records.c: registers as JSON that an operator can read. */

/* Who made a version, so that a repeat finds its own. */
struct etcd_maker {
	char rid[40];
	uint64_t old_cover_ns;
};

json_t *etcd_mapping_json(const struct cw_mapping *m, const struct etcd_maker *maker);
/* NULL reads as the register that was never written. @return false: not ours. */
bool etcd_mapping_parse(const json_t *json, struct cw_mapping *out, struct etcd_maker *maker);
json_t *etcd_ns_json(const struct cw_namespace_record *ns, const struct etcd_maker *maker);
bool etcd_ns_parse(const json_t *json, struct cw_namespace_record *out, struct etcd_maker *maker);
json_t *etcd_name_json(const struct cw_name_record *name, const struct etcd_maker *maker);
bool etcd_name_parse(const json_t *json, struct cw_name_record *out, struct etcd_maker *maker);
json_t *etcd_register_json(const struct cw_law_register *r, const struct etcd_maker *maker);
bool etcd_register_parse(const json_t *json, struct cw_law_register *out, struct etcd_maker *maker);
void etcd_hex(const void *data, size_t len, char *out);

#endif /* CW_STORE_ETCD_INTERNAL_H */
