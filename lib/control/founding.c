/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operator's act: `causewayctl namespace create`. Founds the network if there is none (one
 * voter or three, named here or this node alone), then writes the namespace record and answers when
 * it is there. One at a time; the answer waits for a quorum as long as the client does.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <cw_dht.h>

struct founding {
	cw_control_reply_fn reply;
	void *arg;
	struct cw_namespace_record ns;
	bool asking;
	uint64_t until_ns;
};

static void answer(struct cw_control *ctl, json_t *reply)
{
	struct founding *f = ctl->founding;

	ctl->founding = NULL;
	if (f->reply != NULL)
		f->reply(f->arg, reply);
	else
		json_decref(reply);
	free(f);
}

static void find_by_name(void *arg, const struct cw_overlay_node *node)
{
	struct {
		const char *name;
		struct cw_node_id *out;
		bool found;
	} *want = arg;

	if (node->linked && strcmp(node->identity.name, want->name) == 0) {
		*want->out = node->identity.node;
		want->found = true;
	}
}

static json_t *parse_voters(struct cw_control *ctl, const json_t *args, struct cw_node_id *voters,
			    unsigned int *count)
{
	const json_t *list = json_object_get(args, "voters"), *item;
	size_t i;

	*count = 0;
	if (json_array_size(list) == 0) {
		voters[(*count)++] = ctl->config.identity.node;
		return NULL;
	}
	json_array_foreach(list, i, item)
	{
		struct {
			const char *name;
			struct cw_node_id *out;
			bool found;
		} want = {json_string_value(item), &voters[*count], false};

		if (want.name == NULL || *count == 3)
			return cw_query_error("usage", "--voters: one node or three");
		if (cw_node_id_parse(want.name, want.out) == 0 &&
		    cw_overlay_find(ctl->overlay, want.out) != NULL)
			want.found = true;
		else if (strcmp(want.name, ctl->config.identity.name) == 0 ||
			 cw_node_id_equal(want.out, &ctl->config.identity.node)) {
			*want.out = ctl->config.identity.node;
			want.found = true;
		} else {
			cw_overlay_visit(ctl->overlay, find_by_name, &want);
		}
		if (!want.found)
			return cw_query_error("not-found",
					      "--voters: %s is not linked to this gateway",
					      want.name);
		(*count)++;
	}
	return *count == 1 || *count == 3
		       ? NULL
		       : cw_query_error(
				 "usage",
				 "--voters: one node or three (two would both have to live)");
}

/* What the record would do to this gateway: it is written for good, so slips are caught here. */
static json_t *check_ours(const struct cw_control *ctl, const struct cw_namespace_record *ns)
{
	const struct cw_identity *id = &ctl->config.identity;
	char ip[CW_IP4_TEXT_BYTES];

	if (cw_prefix4_contains(&ns->subnet, ctl->config.wan_ip))
		return cw_query_error("usage", "--subnet: this gateway's WAN address %s lies in it",
				      cw_ip4_format(ctl->config.wan_ip, ip));
	if (id->namespace_count > 0 && !cw_identity_in_namespace(id, ns->name))
		return cw_query_error("usage",
				      "namespace %s: this gateway's certificate does not name it",
				      ns->name);
	return NULL;
}

static json_t *found(struct cw_control *ctl, const json_t *args)
{
	struct cw_node_id voters[4] = {{{0}}};
	unsigned int count;
	json_t *error;

	if (ctl->dht == NULL)
		return NULL;
	if (cw_dht_genesis(ctl->dht) != NULL)
		return json_array_size(json_object_get(args, "voters")) == 0
			       ? NULL
			       : cw_query_error(
					 "usage",
					 "--voters: the network is founded already, its voters stay");
	error = parse_voters(ctl, args, voters, &count);
	if (error != NULL)
		return error;
	switch (cw_dht_found(ctl->dht, voters, count, ctl->now_ns)) {
	case 0:
	case -EEXIST:
		return NULL;
	case -EINVAL:
		return cw_query_error("usage", "--voters: name one node, or three different ones");
	default:
		return cw_query_error("io", "the state directory's log takes no record");
	}
}

static void on_written(void *arg, const struct cw_store_answer *result, uint64_t now_ns)
{
	struct cw_control *ctl = arg;
	struct founding *f = ctl->founding;

	ctl->now_ns = now_ns;
	if (f == NULL)
		return;
	f->asking = false;
	switch (result->result) {
	case CW_STORE_OK:
		cw_log(ctl->config.log, CW_LOG_NOTICE, CW_CONTROL_MODULE,
		       "namespace %s written, version %llu", f->ns.name,
		       (unsigned long long)result->ns.ver);
		cw_membership_ns(ctl, &result->ns);
		answer(ctl,
		       json_pack("{s:b, s:o}", "ok", 1, "status", cw_show_namespace(&result->ns)));
		return;
	case CW_STORE_EXISTS:
	case CW_STORE_CONFLICT:
		answer(ctl, cw_query_error("exists", "namespace %s exists already", f->ns.name));
		return;
	case CW_STORE_TIMEOUT:
		return; /* cw_founding_timer tries again */
	default:
		answer(ctl, cw_query_error("refused", "the store says: %s",
					   cw_store_result_name(result->result)));
	}
}

static void submit(struct cw_control *ctl)
{
	struct founding *f = ctl->founding;
	struct cw_store_request request = {.verb = CW_STORE_NS_PUT, .ns = f->ns};

	f->asking = cw_store_submit(&ctl->store, &request, on_written, ctl, ctl->now_ns) == 0;
}

void cw_founding_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
		       void *arg)
{
	const json_t *args = json_object_get(request, "args");
	struct cw_namespace_record ns;
	json_t *error = NULL;

	if (ctl->founding != NULL)
		error = cw_query_error("busy", "another namespace create is under way");
	else if (!ctl->have_store)
		error = cw_query_error("not-ready", "the daemon is still starting");
	if (error == NULL)
		error = cw_ns_create_parse(args, &ns);
	if (error == NULL)
		error = check_ours(ctl, &ns);
	if (error == NULL)
		error = found(ctl, args);
	if (error == NULL) {
		ctl->founding = calloc(1, sizeof(*ctl->founding));
		if (ctl->founding == NULL)
			error = cw_query_error("memory", "out of memory");
	}
	if (error != NULL || ctl->founding == NULL) {
		reply(arg, error);
		return;
	}
	*ctl->founding = (struct founding){
		.reply = reply, .arg = arg, .ns = ns, .until_ns = ctl->now_ns + 30 * CW_NS_PER_S};
	submit(ctl);
}

void cw_founding_timer(struct cw_control *ctl)
{
	struct founding *f = ctl->founding;

	if (f == NULL || f->asking)
		return;
	if (ctl->now_ns >= f->until_ns) {
		answer(ctl,
		       cw_query_error(
			       "no-quorum",
			       "no majority of the voters answered; try again when they are linked"));
		return;
	}
	submit(ctl);
}

void cw_founding_cancel(struct cw_control *ctl, void *arg)
{
	if (ctl->founding != NULL && ctl->founding->arg == arg)
		ctl->founding->reply = NULL;
}

void cw_founding_destroy(struct cw_control *ctl)
{
	free(ctl->founding);
	ctl->founding = NULL;
}
