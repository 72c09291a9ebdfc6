/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store on an etcd cluster (v3): a deployment that runs etcd anyway needs no DHT of its own.
 *
 * Every verb is an optimistic transaction: read the registers it rests on, let the law (cw_law.h)
 * decide, write on condition that all of them are still as they were. Versions and generations are
 * our own and stand in the values, so a register that was freed keeps its number. Sessions are etcd
 * leases (etcd_session.c). dht.md section 12 says what etcd gives and what it does not.
 *
 * It refuses to guess: a write without an answer is looked for under its request id; if somebody
 * has written since, the answer is `stale`. Nothing blocks; `done` is called from the timer only.
 *
 * Invariant: an op is in the list until its one answer was given, and has at most one transfer.
 */
#include "etcd_op.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "cw_store_drivers.h"

#define OPS_MAX	      1024u
#define OP_BUDGET_NS  (UINT64_C(5) * CW_NS_PER_S)
#define AGAIN_NS      (UINT64_C(20) * CW_NS_PER_MS)
#define AGAIN_LAST_NS (UINT64_C(500) * CW_NS_PER_MS)
/* The network is looked at this often while an answer is awaited, and while only watching. */
#define POLL_BUSY_NS (UINT64_C(1) * CW_NS_PER_MS)
#define POLL_NS	     (UINT64_C(10) * CW_NS_PER_MS)
#define PROBE_NS     (UINT64_C(2) * CW_NS_PER_S)
/* Silent for so long: no quorum, as far as we know. */
#define SILENT_NS (UINT64_C(6) * CW_NS_PER_S)

unsigned int op_add_key(struct etcd_op *op, const char *fmt, ...)
{
	struct etcd_value *v = &op->values[op->value_count];
	size_t len;
	va_list args;

	CW_ASSERT(op->value_count < OP_VALUES_MAX);
	etcd_value_clear(v);
	len = (size_t)snprintf(v->key, sizeof(v->key), "%s/", op->store->prefix);
	va_start(args, fmt);
	vsnprintf(v->key + len, sizeof(v->key) - len, fmt, args);
	va_end(args);
	return op->value_count++;
}

void op_put(struct etcd_op *op, const char *key, json_t *json, uint64_t lease)
{
	struct etcd_put *put = &op->puts[op->put_count];

	CW_ASSERT(op->put_count < OP_PUTS_MAX);
	snprintf(op->put_keys[op->put_count], ETCD_KEY_BYTES, "%s", key);
	*put = (struct etcd_put){.key = op->put_keys[op->put_count], .json = json, .lease = lease};
	op->put_count++;
}

static void clear_puts(struct etcd_op *op)
{
	for (unsigned int i = 0; i < op->put_count; i++)
		json_decref(op->puts[i].json);
	op->put_count = 0;
}

static bool is_session(const struct etcd_op *op)
{
	return op->request.verb <= CW_STORE_SESSION_CLOSE;
}

static void begin(struct etcd_op *op)
{
	clear_puts(op);
	op->value_count = op->read_from = op->stage = 0;
	op->answer = (struct cw_store_answer){.first_send_ns = op->first_ns};
	op->written = cw_law_request(&op->request);
	if (op->written != CW_STORE_OK) {
		op_answer(op, op->written);
		return;
	}
	if (is_session(op))
		session_begin(op);
	else
		registers_begin(op);
}

void op_answer(struct etcd_op *op, enum cw_store_result result)
{
	op->answer.result = result;
	op->answer.first_send_ns = op->first_ns;
	op->finished = true;
}

void op_again(struct etcd_op *op)
{
	uint64_t wait_ns = AGAIN_NS << (op->tries < 5 ? op->tries : 5);

	op->tries++;
	op->step = OP_BEGIN;
	op->wake_ns = op->store->now_ns + cw_min_u64(wait_ns, AGAIN_LAST_NS) +
		      cw_random_u64(&op->store->random) % AGAIN_NS;
}

static void on_write(struct etcd_op *op, const json_t *reply)
{
	bool succeeded;

	if (!etcd_write_parse(reply, &succeeded)) {
		op->unknown = true;
		op_again(op);
		return;
	}
	if (!succeeded) {
		op_again(op);
		return;
	}
	if (is_session(op))
		session_written(op);
	else
		op_answer(op, op->written);
}

static void on_reply(void *arg, const json_t *reply, uint64_t now_ns)
{
	struct etcd_op *op = arg;
	struct cw_store_etcd *s = op->store;

	s->now_ns = now_ns;
	op->transfer = NULL;
	if (!etcd_is_error(reply))
		s->answered_ns = now_ns;
	switch (op->step) {
	case OP_READ:
		if (!etcd_read_parse(reply, op->values + op->read_from,
				     op->value_count - op->read_from)) {
			op_again(op);
			return;
		}
		op->read_from = op->value_count;
		break;
	case OP_WRITE:
		on_write(op, reply);
		return;
	default:
		if (reply == NULL) {
			op_again(op);
			return;
		}
	}
	if (is_session(op))
		session_step(op, reply);
	else
		registers_step(op, reply);
}

void op_post(struct etcd_op *op, const char *path, json_t *body, enum op_step step)
{
	op->step = step;
	op->transfer = etcd_http_post(op->store->http, path, body, on_reply, op);
	if (op->transfer == NULL)
		op_again(op);
}

void op_grant(struct etcd_op *op, uint64_t *lease, uint64_t ttl_s)
{
	if (*lease == 0)
		*lease = (cw_random_u64(&op->store->random) >> 1) | 1;
	op_post(op, "/v3/lease/grant",
		json_pack("{s:o, s:o}", "TTL", etcd_number_json(ttl_s), "ID",
			  etcd_number_json(*lease)),
		OP_GRANT);
}

void op_read(struct etcd_op *op)
{
	op_post(op, "/v3/kv/txn",
		etcd_read_body(op->values + op->read_from, op->value_count - op->read_from),
		OP_READ);
}

void op_write(struct etcd_op *op)
{
	op_post(op, "/v3/kv/txn",
		etcd_write_body(op->values, op->value_count, op->puts, op->put_count), OP_WRITE);
}

static void op_free(struct etcd_op *op)
{
	etcd_http_cancel(op->transfer);
	clear_puts(op);
	for (unsigned int i = 0; i < OP_VALUES_MAX; i++)
		etcd_value_clear(&op->values[i]);
	free(op);
}

static int submit(void *store, const struct cw_store_request *request, cw_store_done_fn done,
		  void *arg, uint64_t now_ns)
{
	struct cw_store_etcd *s = store;
	struct etcd_op *op = s->op_count < OPS_MAX ? calloc(1, sizeof(*op)) : NULL, **at = &s->ops;

	if (op == NULL)
		return -ENOSPC;
	op->store = s;
	op->request = *request;
	op->done = done;
	op->arg = arg;
	op->first_ns = op->wake_ns = now_ns;
	op->until_ns = now_ns + (request->budget_ns != 0 ? request->budget_ns : OP_BUDGET_NS);
	snprintf(op->maker.rid, sizeof(op->maker.rid), "%016llx%016llx",
		 (unsigned long long)s->incarnation, (unsigned long long)++s->counter);
	while (*at != NULL)
		at = &(*at)->next;
	*at = op;
	s->op_count++;
	return 0;
}

/* @return the next deadline of those that wait. */
static uint64_t move_on(struct cw_store_etcd *s, uint64_t now_ns)
{
	struct etcd_op **at = &s->ops;
	uint64_t next = CW_NEVER;

	while (*at != NULL) {
		struct etcd_op *op = *at;

		if (!op->finished && now_ns >= op->until_ns)
			op_answer(op, CW_STORE_TIMEOUT);
		if (!op->finished && op->step == OP_BEGIN && now_ns >= op->wake_ns)
			begin(op);
		if (op->finished) {
			*at = op->next;
			s->op_count--;
			op->done(op->arg, &op->answer, now_ns);
			op_free(op);
			/* `done` may have submitted: those stand at the end. */
			continue;
		}
		next = cw_min_u64(next, op->until_ns);
		if (op->step == OP_BEGIN)
			next = cw_min_u64(next, op->wake_ns);
		at = &op->next;
	}
	return next;
}

static void on_members(void *arg, const json_t *reply, uint64_t now_ns)
{
	struct cw_store_etcd *s = arg;
	size_t n = json_array_size(json_object_get(reply, "members"));

	(void)now_ns;
	s->probing = NULL;
	if (n > 0)
		s->members = (unsigned int)n;
}

static void on_probe(void *arg, const json_t *reply, uint64_t now_ns)
{
	struct cw_store_etcd *s = arg;

	s->probing = NULL;
	if (etcd_is_error(reply))
		return;
	s->answered_ns = now_ns;
	if (s->members == 0)
		s->probing = etcd_http_post(s->http, "/v3/cluster/member/list", json_object(),
					    on_members, s);
}

/* A linearizable read now and then says whether there is a quorum. */
static void probe(struct cw_store_etcd *s, uint64_t now_ns)
{
	struct etcd_value value = {.present = false};

	if (s->probing != NULL || now_ns < s->probe_ns)
		return;
	s->probe_ns = now_ns + PROBE_NS;
	snprintf(value.key, sizeof(value.key), "%s/s/%s", s->prefix, s->self);
	s->probing = etcd_http_post(s->http, "/v3/kv/txn", etcd_read_body(&value, 1), on_probe, s);
}

static uint64_t timer(void *store, uint64_t now_ns)
{
	struct cw_store_etcd *s = store;
	uint64_t next;

	s->now_ns = now_ns;
	probe(s, now_ns);
	watch_timer(s, now_ns);
	etcd_http_poll(s->http, now_ns);
	next = move_on(s, now_ns);
	return cw_min_u64(next, now_ns + (etcd_http_busy(s->http) > 0 ? POLL_BUSY_NS : POLL_NS));
}

static void health(void *store, struct cw_store_health *out)
{
	const struct cw_store_etcd *s = store;
	bool quorum = s->answered_ns != 0 && s->now_ns - s->answered_ns < SILENT_NS;

	*out = (struct cw_store_health){.founded = s->answered_ns != 0,
					.quorum = quorum,
					.voters = (uint8_t)s->members,
					.voters_reachable = quorum ? (uint8_t)s->members : 0};
}

/* "http://a:2379,http://b:2379" */
static int parse_endpoints(const char *text, struct etcd_http_params *out)
{
	while (*text != '\0') {
		size_t len = strcspn(text, ",");
		char *url;

		if (out->count == ETCD_ENDPOINTS_MAX || len >= ETCD_URL_BYTES ||
		    (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0))
			return -EINVAL;
		url = out->endpoint[out->count++];
		memcpy(url, text, len);
		url[len] = '\0';
		text += text[len] == ',' ? len + 1 : len;
	}
	return out->count > 0 ? 0 : -EINVAL;
}

int cw_store_etcd_check(const struct cw_store_etcd_params *params)
{
	struct etcd_http_params http = {.count = 0};

	return parse_endpoints(params->endpoints, &http);
}

int cw_store_etcd_create(struct cw_store_etcd **out, const struct cw_store_etcd_params *params,
			 struct cw_store *store)
{
	static const struct cw_store_ops ops = {
		.name = "etcd", .submit = submit, .timer = timer, .health = health};
	struct etcd_http_params http = {
		.ca = params->ca, .certificate = params->certificate, .key = params->key};
	struct cw_store_etcd *s;
	int err = parse_endpoints(params->endpoints, &http);

	if (err < 0)
		return err;
	s = calloc(1, sizeof(*s));
	if (s == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(s);
		return -ENOMEM;
	}
	err = etcd_http_create(&s->http, &http);
	if (err < 0) {
		free(s);
		return err;
	}
	s->log = params->log;
	s->random = params->random;
	s->incarnation = cw_random_u64(&s->random);
	if (params->events != NULL)
		s->events = *params->events;
	s->who = (struct cw_law_claimant){.node = params->node, .site = params->site};
	etcd_hex(params->node.b, sizeof(params->node.b), s->self);
	snprintf(s->prefix, sizeof(s->prefix), "%s", params->prefix);
	snprintf(s->ns_name, sizeof(s->ns_name), "%s", params->ns_name);
	*out = s;
	*store = (struct cw_store){.ops = &ops, .self = s};
	return 0;
}

void cw_store_etcd_destroy(struct cw_store_etcd *s)
{
	if (s == NULL)
		return;
	while (s->ops != NULL) {
		struct etcd_op *next = s->ops->next;

		op_free(s->ops);
		s->ops = next;
	}
	watch_close(s);
	etcd_http_destroy(s->http);
	curl_global_cleanup();
	free(s);
}
