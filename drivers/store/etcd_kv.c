/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * etcd's v3 messages in the JSON form of its gateway: 64-bit numbers are strings, keys and values
 * are base64, a field that is zero is left out. Everything is read as a guest's word: what does not
 * fit is "absent", never a crash.
 */
#include "etcd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#define VALUE_BYTES_MAX 8192u

static json_t *base64(const void *data, size_t len)
{
	size_t size = (len + 2) / 3 * 4 + 1;
	char *text = malloc(size);
	json_t *json;

	if (text == NULL)
		return NULL;
	EVP_EncodeBlock((unsigned char *)text, data, (int)len);
	json = json_string(text);
	free(text);
	return json;
}

/* @return bytes, NUL behind them; NULL when it is none. The caller frees. */
static char *unbase64(const json_t *json, size_t *len)
{
	const char *text = json_string_value(json);
	size_t n = text != NULL ? strlen(text) : 0;
	char *out;
	int got;

	if (text == NULL || n % 4 != 0 || n > VALUE_BYTES_MAX * 2)
		return NULL;
	out = malloc(n / 4 * 3 + 1);
	if (out == NULL)
		return NULL;
	got = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)text, (int)n);
	if (got < 0) {
		free(out);
		return NULL;
	}
	for (size_t i = n; i > 0 && text[i - 1] == '='; i--)
		got--;
	out[got] = '\0';
	*len = (size_t)got;
	return out;
}

static json_t *key_json(const char *key)
{
	return base64(key, strlen(key));
}

uint64_t etcd_number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	if (json_is_string(value))
		return strtoull(json_string_value(value), NULL, 10);
	return json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
}

json_t *etcd_number_json(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_string(text);
}

bool etcd_is_error(const json_t *reply)
{
	return reply == NULL || json_object_get(reply, "error") != NULL;
}

void etcd_value_clear(struct etcd_value *v)
{
	json_decref(v->json);
	v->json = NULL;
	v->present = false;
	v->mod = 0;
}

json_t *etcd_read_body(const struct etcd_value *values, unsigned int count)
{
	json_t *reads = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(reads, json_pack("{s:{s:o}}", "request_range", "key",
						       key_json(values[i].key)));
	return json_pack("{s:o}", "success", reads);
}

static json_t *value_of(const json_t *kv)
{
	size_t len;
	char *text = unbase64(json_object_get(kv, "value"), &len);
	json_t *json = text != NULL ? json_loadb(text, len, JSON_DECODE_ANY, NULL) : NULL;

	free(text);
	return json;
}

bool etcd_read_parse(const json_t *reply, struct etcd_value *values, unsigned int count)
{
	const json_t *responses = json_object_get(reply, "responses");

	if (etcd_is_error(reply) || json_array_size(responses) != count)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		const json_t *range =
			json_object_get(json_array_get(responses, i), "response_range");
		const json_t *kv = json_array_get(json_object_get(range, "kvs"), 0);

		if (range == NULL)
			return false;
		etcd_value_clear(&values[i]);
		if (kv == NULL)
			continue;
		values[i].present = true;
		values[i].mod = etcd_number(kv, "mod_revision");
		values[i].json = value_of(kv);
	}
	return true;
}

static json_t *put_json(const struct etcd_put *put)
{
	json_t *body;
	char *text;

	if (put->json == NULL)
		return json_pack("{s:{s:o}}", "request_delete_range", "key", key_json(put->key));
	text = json_dumps(put->json, JSON_COMPACT | JSON_ENCODE_ANY);
	if (text == NULL)
		return NULL;
	body = json_pack("{s:o, s:o, s:o}", "key", key_json(put->key), "value",
			 base64(text, strlen(text)), "lease", etcd_number_json(put->lease));
	free(text);
	return json_pack("{s:o}", "request_put", body);
}

json_t *etcd_write_body(const struct etcd_value *values, unsigned int count,
			const struct etcd_put *puts, unsigned int put_count)
{
	json_t *compare = json_array(), *success = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(compare, json_pack("{s:o, s:s, s:s, s:o}", "key",
							 key_json(values[i].key), "target", "MOD",
							 "result", "EQUAL", "mod_revision",
							 etcd_number_json(values[i].mod)));
	for (unsigned int i = 0; i < put_count; i++)
		json_array_append_new(success, put_json(&puts[i]));
	return json_pack("{s:o, s:o}", "compare", compare, "success", success);
}

bool etcd_write_parse(const json_t *reply, bool *succeeded)
{
	*succeeded = json_is_true(json_object_get(reply, "succeeded"));
	return !etcd_is_error(reply) && json_object_get(reply, "header") != NULL;
}

json_t *etcd_watch_body(const char *prefix, uint64_t from_revision)
{
	size_t len = strlen(prefix);
	char end[ETCD_KEY_BYTES];

	/* All keys that begin so: up to the prefix with its last byte one higher. */
	memcpy(end, prefix, len);
	end[len - 1]++;
	return json_pack("{s:{s:o, s:o, s:o}}", "create_request", "key", base64(prefix, len),
			 "range_end", base64(end, len), "start_revision",
			 etcd_number_json(from_revision));
}

bool etcd_event_parse(const json_t *event, const char *prefix, char *rest, size_t rest_size,
		      json_t **value)
{
	const json_t *kv = json_object_get(event, "kv");
	size_t len, prefix_len = strlen(prefix);
	char *key = unbase64(json_object_get(kv, "key"), &len);
	bool good = key != NULL && len > prefix_len && memcmp(key, prefix, prefix_len) == 0 &&
		    len - prefix_len < rest_size;

	if (good)
		memcpy(rest, key + prefix_len, len - prefix_len + 1);
	free(key);
	*value = good ? value_of(kv) : NULL;
	return good;
}
