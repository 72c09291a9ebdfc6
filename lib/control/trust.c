/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may take part: revocations bound to the links, and the end of our own certificate.
 *
 * A revocation ends the links of that node in the very next step, here and, as the news spread, at
 * every other node; messages that still come from it end in mesh.c. Links are never touched from
 * within a call of lib/link: a flag is set, and the timer does it.
 *
 * The wall clock is asked for expiry only: to say in time that a certificate ends. Whether a peer's
 * certificate is valid is judged at every handshake, so at the latest an hour after its end.
 */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define SECONDS_A_DAY 86400

static uint64_t unix_s(void *ctx)
{
	const struct cw_control *ctl = ctx;

	return ctl->ops.unix_s != NULL ? ctl->ops.unix_s(ctl->ctx) : 0;
}

int64_t cw_trust_days_left(const struct cw_control *ctl, uint64_t until_unix_s)
{
	uint64_t now_s = ctl->ops.unix_s != NULL ? ctl->ops.unix_s(ctl->ctx) : 0;

	if (now_s == 0 || until_unix_s == 0)
		return INT64_MAX;
	if (until_unix_s < now_s)
		return -1 - (int64_t)((now_s - until_unix_s) / SECONDS_A_DAY);
	return (int64_t)((until_unix_s - now_s) / SECONDS_A_DAY);
}

const char *cw_trust_objection(const struct cw_control *ctl, const struct cw_identity *peer)
{
	return cw_revocations_has(ctl->revocations, &peer->node) ? "its identity is revoked" : NULL;
}

/* -- ops of the set */

static bool ca_signed(void *ctx, const struct cw_node_id *ca, const void *data, size_t len,
		      const uint8_t *signature, size_t signature_len)
{
	const struct cw_control *ctl = ctx;

	return ctl->ops.ca_signed != NULL &&
	       ctl->ops.ca_signed(ctl->ctx, ca, data, len, signature, signature_len);
}

static void send_news(void *ctx, const struct cw_node_id *to, const void *data, size_t len)
{
	struct cw_control *ctl = ctx;

	if (cw_overlay_send(ctl->overlay, CW_OVERLAY_REVOCATION, to, data, len, ctl->now_ns) < 0)
		cw_log(ctl->config.log, CW_LOG_DEBUG, CW_CONTROL_MODULE,
		       "news of revocations not sent; they are compared again");
}

struct walk {
	void (*visit)(void *arg, const struct cw_node_id *node);
	void *arg;
};

static void visit_linked(void *arg, const struct cw_overlay_node *node)
{
	const struct walk *w = arg;

	if (node->linked)
		w->visit(w->arg, &node->identity.node);
}

static void neighbours(void *ctx, void (*visit)(void *arg, const struct cw_node_id *node),
		       void *arg)
{
	struct cw_control *ctl = ctx;
	struct walk w = {visit, arg};

	if (ctl->overlay != NULL)
		cw_overlay_visit(ctl->overlay, visit_linked, &w);
}

static void revoked(void *ctx, const struct cw_revocation *r)
{
	struct cw_control *ctl = ctx;
	char node[CW_NODE_ID_TEXT_BYTES];
	bool self = cw_node_id_equal(&r->node, &ctl->config.identity.node);

	ctl->recheck = true;
	if (ctl->ops.revoked != NULL)
		ctl->ops.revoked(ctl->ctx);
	if (ctl->loading && !self)
		return;
	cw_log(ctl->config.log, self ? CW_LOG_ERROR : CW_LOG_NOTICE, CW_CONTROL_MODULE,
	       "%s is revoked%s%s%s", cw_node_id_format(&r->node, node),
	       self ? " (this is our own identity: nobody will link to us)" : "",
	       r->reason[0] != '\0' ? ": " : "", r->reason);
}

int cw_trust_create(struct cw_control *ctl)
{
	static const struct cw_revocation_ops ops = {.ca_signed = ca_signed,
						     .unix_s = unix_s,
						     .send = send_news,
						     .neighbours = neighbours,
						     .revoked = revoked};
	struct cw_revocations_config config = {.digest = ctl->config.digest,
					       .random = ctl->config.random};

	return cw_revocations_create(&ctl->revocations, &config, &ops, ctl);
}

void cw_trust_destroy(struct cw_control *ctl)
{
	cw_revocations_destroy(ctl->revocations);
	ctl->revocations = NULL;
}

/* -- time */

static void warn_of(struct cw_control *ctl, const char *what, uint64_t until_unix_s)
{
	int64_t days = cw_trust_days_left(ctl, until_unix_s);

	if (days < 0)
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE, "%s has expired", what);
	else if (days < CW_EXPIRY_WARN_DAYS)
		cw_log(ctl->config.log, CW_LOG_WARN, CW_CONTROL_MODULE,
		       "%s expires in %" PRId64 " days", what, days);
}

uint64_t cw_trust_timer(struct cw_control *ctl)
{
	if (ctl->recheck) {
		ctl->recheck = false;
		cw_links_recheck(ctl->links, ctl->now_ns);
	}
	if (ctl->now_ns >= ctl->expiry_look_ns) {
		ctl->expiry_look_ns = ctl->now_ns + CW_EXPIRY_LOOK_NS;
		warn_of(ctl, "our certificate (causewayctl pki renew)",
			ctl->config.identity.not_after_unix_s);
		warn_of(ctl, "the CA that issued our certificate (roll over: docs/operations.md)",
			ctl->config.issuer_ends_unix_s);
	}
	return cw_revocations_timer(ctl->revocations, ctl->now_ns);
}

int cw_control_set_identity(struct cw_control *ctl, const struct cw_identity *identity,
			    uint64_t issuer_ends_unix_s, uint64_t now_ns)
{
	ctl->now_ns = cw_max_u64(ctl->now_ns, now_ns);
	if (!cw_node_id_equal(&identity->node, &ctl->config.identity.node) ||
	    strcmp(identity->site, ctl->config.identity.site) != 0)
		return -EINVAL;
	ctl->config.identity = *identity;
	/* The policy may know its groups. */
	if (ctl->view != NULL && cw_view_publish(ctl) < 0)
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE,
		       "no memory for the policy with the new certificate's groups");
	ctl->config.issuer_ends_unix_s = issuer_ends_unix_s;
	ctl->expiry_look_ns = ctl->now_ns;
	cw_links_renew(ctl->links, CW_RENEW_SPREAD_NS, ctl->now_ns);
	return 0;
}

/* -- text */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One line of hexadecimal. @return bytes, 0 when it is none. */
static size_t from_hex(const char *text, size_t len, uint8_t *out, size_t size)
{
	if (len % 2 != 0 || len / 2 > size)
		return 0;
	for (size_t i = 0; i < len; i += 2) {
		int high = digit(text[i]), low = digit(text[i + 1]);

		if (high < 0 || low < 0)
			return 0;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	return len / 2;
}

struct text {
	char *at;
};

static void count_bytes(void *arg, const struct cw_revocation *r, const void *record, size_t len)
{
	(void)r;
	(void)record;
	*(size_t *)arg += 2 * len + 1;
}

static void write_line(void *arg, const struct cw_revocation *r, const void *record, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *bytes = record;
	struct text *t = arg;

	(void)r;
	for (size_t i = 0; i < len; i++) {
		*t->at++ = digits[bytes[i] >> 4];
		*t->at++ = digits[bytes[i] & 15];
	}
	*t->at++ = '\n';
}

char *cw_control_revocations_text(struct cw_control *ctl)
{
	size_t bytes = 1;
	struct text t;
	char *text;

	cw_revocations_visit(ctl->revocations, count_bytes, &bytes);
	text = malloc(bytes);
	if (text == NULL)
		return NULL;
	t.at = text;
	cw_revocations_visit(ctl->revocations, write_line, &t);
	*t.at = '\0';
	return text;
}

static int add_hex(struct cw_control *ctl, const char *text, size_t len)
{
	uint8_t record[CW_REVOCATION_BYTES_MAX];
	size_t bytes = from_hex(text, len, record, sizeof(record));

	return bytes == 0 ? -EBADMSG : cw_revocations_add(ctl->revocations, record, bytes);
}

unsigned int cw_control_revocations_load(struct cw_control *ctl, const char *text)
{
	unsigned int refused = 0;

	ctl->loading = true;
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		if (len > 0 && add_hex(ctl, text, len) < 0)
			refused++;
		text += len + (text[len] == '\n');
	}
	ctl->loading = false;
	return refused;
}

/* -- causewayctl */

void cw_trust_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		    void *arg)
{
	const char *hex =
		json_string_value(json_object_get(json_object_get(request, "args"), "record"));
	int err = hex != NULL ? add_hex(ctl, hex, strlen(hex)) : -EBADMSG;

	switch (err) {
	case 0:
	case -EALREADY:
		reply(arg, json_pack("{s:b, s:{s:b, s:i}}", "ok", 1, "status", "new", err == 0,
				     "revoked", (int)cw_revocations_count(ctl->revocations)));
		return;
	case -EACCES:
		reply(arg,
		      cw_query_error("refused", "not signed by a CA that this gateway trusts"));
		return;
	case -ETIME:
		reply(arg, cw_query_error("refused", "every certificate of that key has expired"));
		return;
	case -EBADMSG:
		reply(arg, cw_query_error("usage", "expected a revocation record"));
		return;
	default:
		reply(arg, cw_query_error("refused", "%s", strerror(-err)));
	}
}

json_t *cw_trust_date(uint64_t at_unix_s)
{
	char text[32] = "";
	time_t t = (time_t)at_unix_s;
	struct tm tm;

	if (at_unix_s == 0 || gmtime_r(&t, &tm) == NULL)
		return json_null();
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

json_t *cw_trust_show(struct cw_control *ctl)
{
	const struct cw_identity *own = &ctl->config.identity;
	int64_t days = cw_trust_days_left(ctl, own->not_after_unix_s);
	int64_t ca_days = cw_trust_days_left(ctl, ctl->config.issuer_ends_unix_s);
	json_t *o = json_pack("{s:o, s:o, s:i}", "not_after", cw_trust_date(own->not_after_unix_s),
			      "ca_not_after", cw_trust_date(ctl->config.issuer_ends_unix_s),
			      "revoked", (int)cw_revocations_count(ctl->revocations));

	if (days != INT64_MAX)
		json_object_set_new(o, "days_left", json_integer(days));
	if (ca_days != INT64_MAX)
		json_object_set_new(o, "ca_days_left", json_integer(ca_days));
	if (days < CW_EXPIRY_WARN_DAYS)
		json_object_set_new(o, "warning", json_string("renew this gateway's certificate"));
	else if (ca_days < CW_EXPIRY_WARN_DAYS)
		json_object_set_new(o, "warning", json_string("roll over to a new CA"));
	return o;
}
