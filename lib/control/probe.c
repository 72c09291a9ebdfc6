/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Questions that operators have about other nodes: `ping` (how long to there, on what path) and
 * `overlay view` (whom is it linked to), each one message of the overlay's service 3 and its
 * answer. Who walks the ring or pings in a row is causewayctl; here nothing is kept longer than
 * PROBE_NS.
 *
 * A node without a link is asked over the ring, signed like every message over several hops, so an
 * answer's source is always who it says. Asking twice within ten seconds makes a link, as any
 * traffic does.
 */
#include "probe.h"

#include <errno.h>
#include <stdlib.h>

int cw_probe_create(struct cw_control *ctl)
{
	ctl->probes = calloc(1, sizeof(*ctl->probes));
	return ctl->probes != NULL ? 0 : -ENOMEM;
}

void cw_probe_destroy(struct cw_control *ctl)
{
	while (ctl->probes != NULL && ctl->probes->list != NULL) {
		struct probe *next = ctl->probes->list->next;

		free(ctl->probes->list);
		ctl->probes->list = next;
	}
	free(ctl->probes);
	ctl->probes = NULL;
}

int cw_probe_send(struct cw_control *ctl, const struct cw_node_id *to,
		  Causeway__Probe__Probe *probe)
{
	uint8_t *bytes;
	size_t len;
	int err;

	probe->version = PROBE_VERSION;
	len = causeway__probe__probe__get_packed_size(probe);
	bytes = malloc(len);
	if (bytes == NULL)
		return -ENOMEM;
	causeway__probe__probe__pack(probe, bytes);
	err = cw_overlay_send(ctl->overlay, CW_OVERLAY_PROBE, to, bytes, len, ctl->now_ns);
	free(bytes);
	return err;
}

int cw_probe_knock(struct cw_control *ctl, const struct cw_node_id *to, uint64_t token,
		   const uint8_t *transaction, bool stranger)
{
	Causeway__Probe__Knock knock = CAUSEWAY__PROBE__KNOCK__INIT;
	Causeway__Probe__Probe probe = CAUSEWAY__PROBE__PROBE__INIT;
	Causeway__Probe__View view = CAUSEWAY__PROBE__VIEW__INIT;
	ProtobufCBinaryData known[PROBE_LINKS_MAX];
	struct view_room room;

	knock.token = token;
	knock.transaction =
		(ProtobufCBinaryData){PROBE_TRANSACTION_BYTES, (uint8_t *)(uintptr_t)transaction};
	knock.stranger = stranger;
	if (stranger) {
		cw_probe_fill_view(ctl, &room, &view);
		for (size_t i = 0; i < view.n_links; i++)
			known[i] = view.links[i]->node;
		knock.known = known;
		knock.n_known = view.n_links;
	}
	probe.body_case = CAUSEWAY__PROBE__PROBE__BODY_KNOCK;
	probe.knock = &knock;
	return cw_probe_send(ctl, to, &probe);
}

/* -- answers as JSON */

static const char *text_path(const struct cw_control *ctl, const struct cw_node_id *node,
			     struct cw_link_info *link)
{
	if (!cw_links_info(ctl->links, node, link) || !link->established)
		return "ring";
	return link->path.family == CW_FAMILY_RELAY ? "relayed" : "direct";
}

static json_t *text_name(const struct cw_control *ctl, const struct cw_node_id *node)
{
	const struct cw_identity *identity = cw_overlay_identity(ctl->overlay, node);

	if (cw_node_id_equal(node, &ctl->config.identity.node))
		return json_string(ctl->config.identity.name);
	return identity != NULL ? json_string(identity->name) : json_null();
}

/* What a ping says, answered or not; rtt_ns 0: not. */
static json_t *ping_json(const struct probe *p, uint64_t rtt_ns, bool answered)
{
	const struct cw_control *ctl = p->ctl;
	bool is_self = cw_node_id_equal(&p->node, &ctl->config.identity.node);
	struct cw_link_info link = {.rtt_ns = 0};
	const char *path = is_self ? "self" : text_path(ctl, &p->node, &link);
	char id[CW_NODE_ID_TEXT_BYTES], ip[CW_IP4_TEXT_BYTES], at[CW_ENDPOINT_TEXT_BYTES];
	bool linked = strcmp(path, "ring") != 0 && !is_self;

	return json_pack("{s:b, s:{s:s, s:o, s:o, s:b, s:o, s:s, s:o}}", "ok", 1, "status", "node",
			 cw_node_id_format(&p->node, id), "name", text_name(ctl, &p->node), "ip",
			 p->ip != 0 ? json_string(cw_ip4_format(p->ip, ip)) : json_null(),
			 "answered", answered, "rtt_ms",
			 answered ? json_real((double)rtt_ns / (double)CW_NS_PER_MS) : json_null(),
			 "path", path, "endpoint",
			 linked ? json_string(cw_endpoint_format(&link.path, at)) : json_null());
}

static json_t *link_json(const Causeway__Probe__Link *link)
{
	static const char *const words[] = {"near", "far", "traffic", "leaf"};
	char id[CW_NODE_ID_TEXT_BYTES];
	json_t *kinds = json_array();
	struct cw_node_id node;

	memcpy(node.b, link->node.data, CW_NODE_ID_BYTES);
	for (unsigned int i = 0; i < CW_ARRAY_SIZE(words); i++)
		if (link->needs & 1u << i)
			json_array_append_new(kinds, json_string(words[i]));
	return json_pack("{s:s, s:o, s:b, s:o}", "node", cw_node_id_format(&node, id), "kinds",
			 kinds, "relayed", (int)link->relayed, "rtt_ms",
			 link->rtt_us ? json_real(link->rtt_us / 1000.0) : json_null());
}

static json_t *view_json(const struct probe *p, const Causeway__Probe__View *view)
{
	char id[CW_NODE_ID_TEXT_BYTES];
	json_t *links = json_array(), *status, *name = json_string(view->name);

	for (size_t i = 0; i < view->n_links && i < PROBE_LINKS_MAX; i++)
		if (view->links[i]->node.len == CW_NODE_ID_BYTES)
			json_array_append_new(links, link_json(view->links[i]));
	status = json_pack("{s:s, s:o, s:I, s:I, s:o}", "node", cw_node_id_format(&p->node, id),
			   "name", name != NULL ? name : json_null(), "estimate",
			   (json_int_t)(view->estimate & INT64_MAX), "link_count",
			   (json_int_t)view->link_count, "links", links);
	return json_pack("{s:b, s:o}", "ok", 1, "status", status);
}

/* -- life of a question */

static void finish(struct probe *p, json_t *answer)
{
	struct probe **at = &p->ctl->probes->list;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->ctl->probes->count--;
	if (p->reply != NULL)
		p->reply(p->arg, answer);
	else
		json_decref(answer);
	free(p);
}

static void ask(struct probe *p)
{
	struct cw_control *ctl = p->ctl;
	Causeway__Probe__Echo echo = CAUSEWAY__PROBE__ECHO__INIT;
	Causeway__Probe__View view = CAUSEWAY__PROBE__VIEW__INIT;
	Causeway__Probe__Probe probe = CAUSEWAY__PROBE__PROBE__INIT;

	p->begun_ns = ctl->now_ns;
	if (p->want && !cw_node_id_equal(&p->node, &ctl->config.identity.node))
		cw_overlay_want(ctl->overlay, &p->node, ctl->now_ns);
	echo.token = view.token = p->token;
	if (p->view) {
		probe.body_case = CAUSEWAY__PROBE__PROBE__BODY_VIEW;
		probe.view = &view;
	} else {
		probe.body_case = CAUSEWAY__PROBE__PROBE__BODY_ECHO;
		probe.echo = &echo;
	}
	/* Not sent is not answered: a link may be coming up. */
	if (cw_probe_send(ctl, &p->node, &probe) < 0)
		cw_log(ctl->config.log, CW_LOG_DEBUG, CW_CONTROL_MODULE, "no way to ask a node");
}

static void on_mapping(void *arg, const struct cw_store_answer *a, uint64_t now_ns)
{
	struct probe *p = arg;
	char ip[CW_IP4_TEXT_BYTES];

	p->ctl->now_ns = now_ns;
	p->resolving = false;
	if (a->result != CW_STORE_OK) {
		finish(p, cw_query_error("no-quorum", "the registers did not answer for %s",
					 cw_ip4_format(p->ip, ip)));
	} else if (!a->mapping.owned) {
		finish(p, cw_query_error("not-found", "no gateway speaks for %s",
					 cw_ip4_format(p->ip, ip)));
	} else {
		p->node = a->mapping.owner;
		ask(p);
	}
}

/* A node ID, its unique beginning, or a name; of linked nodes or ourselves. */
struct wanted {
	const char *text;
	size_t len;
	unsigned int found;
	struct cw_node_id node;
};

static void look_at(void *arg, const struct cw_overlay_node *node)
{
	struct wanted *w = arg;
	char id[CW_NODE_ID_TEXT_BYTES];
	bool by_id = w->len >= 4 &&
		     strncmp(cw_node_id_format(&node->identity.node, id), w->text, w->len) == 0;

	if (!by_id && !(node->linked && strcmp(node->identity.name, w->text) == 0))
		return;
	w->found++;
	w->node = node->identity.node;
}

static json_t *find_node(const struct cw_control *ctl, const char *text, struct cw_node_id *out)
{
	struct wanted w = {.text = text, .len = strlen(text)};
	struct cw_overlay_node self = {.identity = ctl->config.identity, .linked = true};

	if (cw_node_id_parse(text, out) == 0)
		return NULL;
	look_at(&w, &self);
	cw_overlay_visit(ctl->overlay, look_at, &w);
	if (w.found == 0)
		return cw_query_error(
			"not-found",
			"%.64s: no linked node has this name; give its address, or its whole node ID",
			text);
	if (w.found > 1)
		return cw_query_error("not-found", "%.64s: %u nodes are called so", text, w.found);
	*out = w.node;
	return NULL;
}

/* The registers say who speaks for the address; p may be gone when this returns. */
static void resolve(struct probe *p)
{
	struct cw_control *ctl = p->ctl;
	struct cw_store_request request = {.verb = CW_STORE_MAP_GET, .fresh = true, .ip = p->ip};
	char ip[CW_IP4_TEXT_BYTES];

	if (!ctl->have_ns || !ctl->have_store || !cw_prefix4_contains(&ctl->ns.subnet, p->ip)) {
		finish(p, cw_query_error("not-found", "%s: no address of a namespace served here",
					 cw_ip4_format(p->ip, ip)));
		return;
	}
	if (ctl->view != NULL && p->ip == ctl->view->service_ip) {
		p->node = ctl->config.identity.node;
		ask(p);
		return;
	}
	p->resolving = true;
	if (cw_store_submit(&ctl->store, &request, on_mapping, p, ctl->now_ns) < 0)
		finish(p, cw_query_error("busy", "too many requests are under way"));
}

static void begin(struct probe *p, const char *target)
{
	json_t *error = NULL;

	if (target != NULL && !p->view && cw_ip4_parse(target, &p->ip) == 0) {
		resolve(p);
		return;
	}
	if (target != NULL)
		error = find_node(p->ctl, target, &p->node);
	else if (p->view)
		p->node = p->ctl->config.identity.node;
	else
		error = cw_query_error("usage", "ping: expected a node or an address");
	if (error != NULL)
		finish(p, error);
	else
		ask(p);
}

void cw_probe_query(struct cw_control *ctl, const char *cmd, const json_t *request,
		    cw_control_reply_fn reply, void *arg)
{
	const json_t *args = json_object_get(request, "args");
	struct probe *p;

	if (ctl->probes->count >= PROBES_MAX) {
		reply(arg, cw_query_error("busy", "too many questions to other nodes at once"));
		return;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		reply(arg, cw_query_error("memory", "out of memory"));
		return;
	}
	*p = (struct probe){.next = ctl->probes->list,
			    .ctl = ctl,
			    .reply = reply,
			    .arg = arg,
			    .view = strcmp(cmd, "overlay view") == 0,
			    .want = json_is_true(json_object_get(args, "want")),
			    .token = cw_random_u64(&ctl->config.random),
			    .begun_ns = ctl->now_ns};
	ctl->probes->list = p;
	ctl->probes->count++;
	begin(p, json_string_value(json_object_get(args, "node")));
}

void cw_probe_cancel(struct cw_control *ctl, void *arg)
{
	for (struct probe *p = ctl->probes->list; p != NULL; p = p->next)
		if (p->arg == arg)
			p->reply = NULL;
}

void cw_probe_timer(struct cw_control *ctl)
{
	struct probe *next;

	for (struct probe *p = ctl->probes->list; p != NULL; p = next) {
		next = p->next;
		/* The store gives up by itself. */
		if (p->resolving || ctl->now_ns - p->begun_ns < PROBE_NS)
			continue;
		finish(p, p->view ? cw_query_error("timeout", "the node did not answer")
				  : ping_json(p, 0, false));
	}
}

static void take_reply(struct cw_control *ctl, const struct cw_node_id *from,
		       const Causeway__Probe__Probe *m)
{
	bool view = m->body_case == CAUSEWAY__PROBE__PROBE__BODY_VIEW;
	uint64_t token = view ? m->view->token : m->echo->token;

	for (struct probe *p = ctl->probes->list; p != NULL; p = p->next) {
		if (p->resolving || p->view != view || p->token != token ||
		    !cw_node_id_equal(&p->node, from))
			continue;
		finish(p, view ? view_json(p, m->view)
			       : ping_json(p, ctl->now_ns - p->begun_ns, true));
		return;
	}
}

void cw_probe_input(struct cw_control *ctl, const struct cw_node_id *from, const uint8_t *data,
		    size_t len)
{
	Causeway__Probe__Probe *m = causeway__probe__probe__unpack(NULL, len, data);

	if (m == NULL)
		return;
	if (m->body_case == CAUSEWAY__PROBE__PROBE__BODY_KNOCK && m->knock->reply)
		cw_netcheck_asked(ctl, m->knock->token, m->knock->asked);
	else if ((m->body_case == CAUSEWAY__PROBE__PROBE__BODY_ECHO && m->echo->reply) ||
		 (m->body_case == CAUSEWAY__PROBE__PROBE__BODY_VIEW && m->view->reply))
		take_reply(ctl, from, m);
	else
		cw_probe_answer(ctl, from, m);
	causeway__probe__probe__free_unpacked(m, NULL);
}
