/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests of causewayctl: a command word and arguments in, one JSON object out. What needs others
 * (registers, other nodes) is answered later, everything else at once. A table's reply carries its
 * columns, so the tool needs to know none; pages of at most CW_QUERY_ROWS_MAX rows, the cursor is
 * the number of rows seen.
 */
#include "internal.h"

#include <stdarg.h>
#include <stdio.h>

json_t *cw_query_error(const char *code, const char *fmt, ...)
{
	char text[256];
	va_list args;
	json_t *reply;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	reply = json_pack("{s:b, s:s, s:s}", "ok", 0, "code", code, "error", text);
	/* What was quoted may be cut within a character: no error is no answer to a bad request. */
	return reply != NULL ? reply
			     : json_pack("{s:b, s:s, s:s}", "ok", 0, "code", code, "error",
					 "what was asked for is not readable");
}

static json_t *show_namespace(struct cw_control *ctl)
{
	if (!ctl->have_ns)
		return cw_query_error("not-found", "no namespace record is known yet");
	return json_pack("{s:b, s:o}", "ok", 1, "status", cw_show_namespace(&ctl->ns));
}

void cw_control_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		      void *arg, uint64_t now_ns)
{
	const char *cmd = json_string_value(json_object_get(request, "cmd"));
	json_t *answer;

	ctl->now_ns = cw_max_u64(ctl->now_ns, now_ns);
	if (cmd == NULL)
		answer = cw_query_error("usage", "expected an object with a \"cmd\"");
	else if (strcmp(cmd, "revoke") == 0) {
		cw_trust_query(ctl, request, reply, arg);
		return;
	} else if (strcmp(cmd, "namespace create") == 0) {
		cw_founding_query(ctl, request, reply, arg);
		return;
	} else if (strcmp(cmd, "explain") == 0) {
		cw_explain_query(ctl, request, reply, arg);
		return;
	} else if (strcmp(cmd, "namespace set") == 0) {
		cw_ns_set_query(ctl, request, reply, arg);
		return;
	} else if (strcmp(cmd, "netcheck") == 0) {
		cw_netcheck_query(ctl, reply, arg);
		return;
	} else if (strcmp(cmd, "ping") == 0 || strcmp(cmd, "overlay view") == 0) {
		cw_probe_query(ctl, cmd, request, reply, arg);
		return;
	} else if (strncmp(cmd, "lease ", 6) == 0) {
		cw_lease_query(ctl, cmd, request, reply, arg);
		return;
	} else if (strncmp(cmd, "dht ", 4) == 0) {
		cw_dht_query(ctl, cmd, request, reply, arg);
		return;
	} else if (strcmp(cmd, "namespace show") == 0)
		answer = show_namespace(ctl);
	else if (strcmp(cmd, "drain") == 0 || strcmp(cmd, "undrain") == 0)
		answer = cw_drain_query(ctl, cmd[0] == 'd');
	else if (strcmp(cmd, "status") == 0)
		answer = cw_show_status(ctl);
	else if (strncmp(cmd, "show ", 5) == 0)
		answer = cw_show_table(ctl, cmd + 5, request);
	else
		answer = cw_query_error("usage", "unknown command");
	reply(arg, answer != NULL ? answer : cw_query_error("memory", "out of memory"));
}

void cw_control_query_cancel(struct cw_control *ctl, void *arg)
{
	cw_founding_cancel(ctl, arg);
	cw_explain_cancel(ctl, arg);
	cw_ns_set_cancel(ctl, arg);
	cw_dht_query_cancel(ctl, arg);
	cw_probe_cancel(ctl, arg);
	cw_netcheck_cancel(ctl, arg);
	cw_lease_query_cancel(ctl, arg);
}
