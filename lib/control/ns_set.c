/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `causewayctl namespace set`: the record as this gateway knows it, changed and written at its
 * version. Who changed it meanwhile wins, and the operator is told so. All gateways hear of it from
 * the registers and take it over alive: views and DHCP templates anew, leases by R4 of leases.md.
 */
#include "internal.h"

static void answer(struct cw_control *ctl, json_t *reply)
{
	if (ctl->ns_set.reply != NULL)
		ctl->ns_set.reply(ctl->ns_set.arg, reply);
	else
		json_decref(reply);
	ctl->ns_set.asking = false;
}

static void on_written(void *arg, const struct cw_store_answer *result, uint64_t now_ns)
{
	struct cw_control *ctl = arg;

	ctl->now_ns = now_ns;
	switch (result->result) {
	case CW_STORE_OK:
		cw_log(ctl->config.log, CW_LOG_NOTICE, CW_CONTROL_MODULE,
		       "namespace %s changed, version %llu", result->ns.name,
		       (unsigned long long)result->ns.ver);
		cw_membership_ns(ctl, &result->ns);
		answer(ctl,
		       json_pack("{s:b, s:o}", "ok", 1, "status", cw_show_namespace(&result->ns)));
		return;
	case CW_STORE_CONFLICT:
		cw_membership_ns(ctl, &result->ns);
		answer(ctl,
		       cw_query_error(
			       "conflict",
			       "somebody else changed the record just now: look and set again"));
		return;
	case CW_STORE_TIMEOUT:
		answer(ctl,
		       cw_query_error(
			       "no-quorum",
			       "no majority of the voters answered; look whether it was written"));
		return;
	case CW_STORE_DENIED:
		answer(ctl,
		       cw_query_error(
			       "denied",
			       "only the gateway that founded the network, or one with an operator's certificate, may change the record"));
		return;
	default:
		answer(ctl, cw_query_error("refused", "the store says: %s",
					   cw_store_result_name(result->result)));
	}
}

void cw_ns_put(struct cw_control *ctl, const struct cw_namespace_record *ns,
	       cw_control_reply_fn reply, void *arg)
{
	struct cw_store_request put = {.verb = CW_STORE_NS_PUT, .ver = ctl->ns.ver, .ns = *ns};
	json_t *error = NULL;

	if (!ctl->have_ns || !ctl->have_store)
		error = cw_query_error("not-found", "no namespace record is known yet");
	else if (ctl->ns_set.asking)
		error = cw_query_error("busy", "another namespace set is under way");
	else if (cw_store_submit(&ctl->store, &put, on_written, ctl, ctl->now_ns) < 0)
		error = cw_query_error("busy", "too many requests are under way");
	if (error != NULL) {
		reply(arg, error);
		return;
	}
	ctl->ns_set.asking = true;
	ctl->ns_set.reply = reply;
	ctl->ns_set.arg = arg;
}

void cw_ns_set_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		     void *arg)
{
	struct cw_namespace_record ns = ctl->ns;
	json_t *error = NULL;

	if (ctl->have_ns)
		error = cw_ns_changes_parse(json_object_get(request, "args"), &ns);
	if (error != NULL)
		reply(arg, error);
	else
		cw_ns_put(ctl, &ns, reply, arg);
}

void cw_ns_set_cancel(struct cw_control *ctl, void *arg)
{
	if (ctl->ns_set.asking && ctl->ns_set.arg == arg)
		ctl->ns_set.reply = NULL;
}
