/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The DHT for operators: `show dht` (who leads and holds what), `dht status` (how this node stands,
 * whether addresses can be claimed now and if not why, what became of its requests) and
 * `dht get KEY` (one register, read linearizably; --trace says which slot it lies in, who holds it
 * and how long the answer took).
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_dht.h>
#include <cw_histogram.h>

struct cw_dht_get {
	struct cw_dht_get *next;
	struct cw_control *ctl;
	cw_control_reply_fn reply;
	void *arg;
	bool trace;
	uint64_t begun_ns;
	struct cw_store_request request;
};

static json_t *text_node(const struct cw_node_id *node)
{
	char text[CW_NODE_ID_TEXT_BYTES];

	return json_string(cw_node_id_format(node, text));
}

/* -- show dht */

static json_t *row_members(const struct cw_dht_row *r)
{
	char text[CW_DHT_VOTERS_MAX * 10 + 1] = "", id[CW_NODE_ID_TEXT_BYTES];
	size_t at = 0;

	/* The first digits are enough to tell nodes apart; a silent one is marked. */
	for (unsigned int i = 0; i < r->member_count; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.6s%s", i ? " " : "",
				       cw_node_id_format(&r->members[i], id),
				       r->fresh[i] ? "" : "?");
	return json_string(text);
}

static void dht_row(void *arg, const struct cw_dht_row *r)
{
	json_t *rows = arg;

	json_array_append_new(
		rows,
		json_pack("{s:i, s:i, s:I, s:I, s:s, s:o, s:o, s:i}", "first_slot",
			  (int)r->first_slot, "slots", (int)r->slot_count, "epoch",
			  (json_int_t)r->epoch, "ballot", (json_int_t)r->round, "state", r->phase,
			  "leader", r->leader_known ? text_node(&r->leader) : json_string("none"),
			  "members", row_members(r), "records", (int)r->records));
}

void cw_show_dht_rows(struct cw_control *ctl, json_t *rows)
{
	if (ctl->dht != NULL)
		cw_dht_rows(ctl->dht, dht_row, rows);
}

/* -- dht status */

static json_t *show_results(const struct cw_dht_counts *c)
{
	json_t *all = json_object();

	for (unsigned int i = 0; i < CW_STORE_RESULT_COUNT; i++)
		if (c->results[i] != 0)
			json_object_set_new(all, cw_store_result_name((enum cw_store_result)i),
					    json_integer((json_int_t)c->results[i]));
	return all;
}

static json_t *show_latency(const struct cw_dht_counts *c)
{
	json_t *all = json_object();
	char text[24];

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(c->latency); i++) {
		if (c->latency[i] == 0)
			continue;
		snprintf(text, sizeof(text), "below_%u_ms", 1u << i);
		json_object_set_new(all, text, json_integer((json_int_t)c->latency[i]));
	}
	return all;
}

static json_t *show_counts(const struct cw_dht_counts *c)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "retries", (json_int_t)c->retries, "redirects", (json_int_t)c->redirects,
			 "served", (json_int_t)c->served, "elections", (json_int_t)c->elections,
			 "leaderships_lost", (json_int_t)c->lost_leaderships, "moves",
			 (json_int_t)c->moves, "moves_given_up", (json_int_t)c->moves_given_up,
			 "activations", (json_int_t)c->activations, "copies_given",
			 (json_int_t)c->copies, "registers_repaired", (json_int_t)c->repaired,
			 "denied", (json_int_t)c->denied, "refused_unsigned",
			 (json_int_t)c->unwarranted, "unproven", (json_int_t)c->unproven,
			 "clock_behind", (json_int_t)c->clock_behind);
}

/* What kinds of requests this node made, what became of them, how long they took. */
void cw_show_dht_operations(struct cw_control *ctl, json_t *rows)
{
	static const char *const percentiles[] = {"p50_ms", "p90_ms", "p99_ms"};
	static const double shares[] = {0.5, 0.9, 0.99};
	struct cw_dht_status s;

	if (ctl->dht == NULL)
		return;
	cw_dht_status(ctl->dht, &s);
	for (unsigned int i = 0; i < CW_STORE_VERB_COUNT; i++) {
		const struct cw_dht_verb_counts *v = &s.counts.verbs[i];
		const struct cw_histogram *h = cw_dht_latency(ctl->dht, (enum cw_store_verb)i);
		uint64_t answers = v->done + v->refused;
		json_t *row;

		if (answers + v->unanswered == 0)
			continue;
		row = json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f}", "operation",
				cw_store_verb_name((enum cw_store_verb)i), "done",
				(json_int_t)v->done, "refused", (json_int_t)v->refused,
				"unanswered", (json_int_t)v->unanswered, "mean_ms",
				answers > 0 ? (double)v->took_us / (double)answers / 1000 : 0.0,
				"longest_ms", (double)v->longest_us / 1000, "sum_ms",
				(double)v->took_us / 1000);
		for (unsigned int k = 0; k < CW_ARRAY_SIZE(shares); k++)
			json_object_set_new(
				row, percentiles[k],
				json_real(cw_histogram_percentile(h, shares[k]) / 1000));
		json_array_append_new(rows, row);
	}
}

static json_t *show_operations(struct cw_control *ctl)
{
	json_t *rows = json_array(), *all = json_object(), *row;
	size_t i;

	cw_show_dht_operations(ctl, rows);
	json_array_foreach(rows, i, row)
	{
		json_object_set(all, json_string_value(json_object_get(row, "operation")), row);
		json_object_del(row, "operation");
	}
	json_decref(rows);
	return all;
}

static json_t *dht_status(struct cw_control *ctl)
{
	struct cw_dht_status s;
	char disk[20];

	cw_dht_status(ctl->dht, &s);
	snprintf(disk, sizeof(disk), "%016llx", (unsigned long long)s.disk);
	return json_pack(
		"{s:b, s:{s:b, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:o, s:o, s:o, s:o}, s:b}",
		"ok", 1, "status", "safe_to_allocate", s.safe_to_allocate, "why_not",
		s.safe_to_allocate ? "-" : s.why_not, "slots", (int)s.slots, "slots_held",
		(int)s.seats, "slots_led", (int)s.led, "slots_without_leader", (int)s.leaderless,
		"slots_moving", (int)s.moving, "slots_being_fetched", (int)s.behind,
		"slots_with_a_silent_member", (int)s.short_of_members, "stages", (int)s.stages,
		"records", (int)s.records, "requests_outstanding", (int)s.outstanding,
		"clocks_compared", (int)s.clocks_compared, "disk", disk, "results",
		show_results(&s.counts), "operations", show_operations(ctl), "latency",
		show_latency(&s.counts), "counts", show_counts(&s.counts), "degraded",
		!s.safe_to_allocate);
}

/* -- dht get */

static json_t *show_mapping(const struct cw_mapping *m)
{
	static const char *const clients[] = {"none", "bound", "declined"};
	json_t *entries = json_array();
	char mac[CW_MAC_TEXT_BYTES];

	for (unsigned int i = 0; i < m->entry_count; i++)
		json_array_append_new(entries,
				      json_pack("{s:o, s:I, s:I, s:b}", "node",
						text_node(&m->entries[i].node), "session",
						(json_int_t)m->entries[i].sgen, "cover_s",
						(json_int_t)(m->entries[i].cover_ns / CW_NS_PER_S),
						"stopped", m->entries[i].stopped));
	return json_pack("{s:b, s:I, s:I, s:s, s:s, s:o, s:o}", "held", m->held, "version",
			 (json_int_t)m->ver, "generation", (json_int_t)m->gen, "client",
			 m->client_state <= CW_CLIENT_DECLINED ? clients[m->client_state] : "?",
			 "mac", cw_mac_format(&m->mac, mac), "owner",
			 m->owned ? text_node(&m->owner) : json_string("none"), "entries", entries);
}

static json_t *show_answer(const struct cw_dht_get *g, const struct cw_store_answer *a)
{
	char ip[CW_IP4_TEXT_BYTES];

	switch (g->request.verb) {
	case CW_STORE_MAP_GET:
		return show_mapping(&a->mapping);
	case CW_STORE_NAME_GET:
		return json_pack("{s:b, s:I, s:s}", "held", a->name.held, "version",
				 (json_int_t)a->name.ver, "ip", cw_ip4_format(a->name.ip, ip));
	default:
		return cw_show_namespace(&a->ns);
	}
}

static json_t *text_hop(const struct cw_node_id *node)
{
	return cw_node_id_is_zero(node) ? json_string("nearest to the slot") : text_node(node);
}

/* Whom the request went to and who answered; how long the members took that confirmed it. */
static void add_way(const struct cw_store_trace *t, json_t *trace)
{
	static const char *const events[] = {"asked", "redirected", "answered"};
	json_t *hops = json_array(), *replicas = json_array();

	for (unsigned int i = 0; i < t->hop_count; i++)
		json_array_append_new(
			hops, json_pack("{s:s, s:o, s:f}", "event", events[t->hops[i].event],
					"node", text_hop(&t->hops[i].node), "at_ms",
					(double)t->hops[i].at_ns / (double)CW_NS_PER_MS));
	for (unsigned int i = 0; i < t->replica_count; i++)
		json_array_append_new(
			replicas,
			json_pack("{s:o, s:f}", "node", text_node(&t->replicas[i].node), "took_ms",
				  (double)t->replicas[i].took_ns / (double)CW_NS_PER_MS));
	json_object_set_new(trace, "hops", hops);
	json_object_set_new(trace, "confirmed_by", replicas);
	json_object_set_new(trace, "at_leader_ms",
			    json_real((double)t->leader_ns / (double)CW_NS_PER_MS));
}

static void add_trace(struct cw_dht_get *g, const struct cw_store_answer *a, uint64_t now_ns,
		      json_t *status)
{
	struct cw_dht_row row;
	uint32_t slot = cw_dht_locate(g->ctl->dht, &g->request, &row);
	json_t *members = json_array(), *silent = json_array();

	for (unsigned int i = 0; i < row.member_count; i++) {
		json_array_append_new(members, text_node(&row.members[i]));
		if (!row.fresh[i])
			json_array_append_new(silent, text_node(&row.members[i]));
	}
	json_object_set_new(
		status, "trace",
		json_pack("{s:i, s:I, s:I, s:o, s:o, s:o, s:f}", "slot", (int)slot, "epoch",
			  (json_int_t)row.epoch, "ballot", (json_int_t)row.round, "members",
			  members, "not_heard_lately", silent, "leader",
			  row.leader_known || !cw_node_id_is_zero(&row.leader)
				  ? text_node(&row.leader)
				  : json_string("none"),
			  "took_ms", (double)(now_ns - g->begun_ns) / (double)CW_NS_PER_MS));
	if (a->trace != NULL)
		add_way(a->trace, json_object_get(status, "trace"));
}

static void got(void *arg, const struct cw_store_answer *a, uint64_t now_ns)
{
	struct cw_dht_get *g = arg, **at = &g->ctl->dht_gets;
	json_t *reply, *status;

	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	if (a->result == CW_STORE_TIMEOUT) {
		reply = cw_query_error("no-quorum",
				       "no answer: no majority of the slot's members is reachable");
	} else if (a->result == CW_STORE_NOT_FOUND) {
		reply = cw_query_error("not-found", "there is no such register");
	} else {
		status = show_answer(g, a);
		if (g->trace)
			add_trace(g, a, now_ns, status);
		reply = json_pack("{s:b, s:o}", "ok", 1, "status", status);
	}
	if (g->reply != NULL)
		g->reply(g->arg, reply);
	else
		json_decref(reply);
	free(g);
}

/* The operator says that the others will not come back. */
static json_t *dht_recover(struct cw_control *ctl)
{
	unsigned int slots = 0;

	switch (cw_dht_recover(ctl->dht, &slots, ctl->now_ns)) {
	case 0:
		return json_pack("{s:b, s:{s:i}}", "ok", 1, "status", "slots_recovered",
				 (int)slots);
	case -ENOENT:
		return cw_query_error("refused",
				      "every slot held here has a leader (or none is held here)");
	case -EPERM:
		return cw_query_error(
			"denied",
			"others would not believe it: the certificate of this gateway needs the role operator (pki issue --role operator --role gateway)");
	default:
		return cw_query_error("io", "the state directory's log takes no record");
	}
}

/* The operator takes this node out of the membership of all slots, or back. Asked again and again
 * by whoever waits for it. */
static json_t *dht_leave(struct cw_control *ctl)
{
	unsigned int seats, others;
	bool done = cw_dht_leave(ctl->dht, &seats, &others, ctl->now_ns);

	return json_pack("{s:b, s:{s:b, s:b, s:i, s:i}}", "ok", 1, "status", "leaving", 1, "done",
			 done, "seats", (int)seats, "others", (int)others);
}

static json_t *dht_stay(struct cw_control *ctl)
{
	cw_dht_stay(ctl->dht, ctl->now_ns);
	return json_pack("{s:b, s:{s:b}}", "ok", 1, "status", "leaving", 0);
}

/* An address, "namespace:NAME" or "name:HOST". */
static bool parse_key(const char *key, struct cw_store_request *q)
{
	if (strncmp(key, "namespace:", 10) == 0) {
		q->verb = CW_STORE_NS_GET;
		return cw_identity_name_valid(key + 10) &&
		       (size_t)snprintf(q->ns_name, sizeof(q->ns_name), "%s", key + 10) <
			       sizeof(q->ns_name);
	}
	if (strncmp(key, "name:", 5) == 0) {
		q->verb = CW_STORE_NAME_GET;
		return (size_t)snprintf(q->host_name, sizeof(q->host_name), "%s", key + 5) <
		       sizeof(q->host_name);
	}
	q->verb = CW_STORE_MAP_GET;
	q->fresh = true;
	return cw_ip4_parse(key, &q->ip) == 0;
}

void cw_dht_query(struct cw_control *ctl, const char *cmd, const json_t *request,
		  cw_control_reply_fn reply, void *arg)
{
	const char *key = json_string_value(json_object_get(request, "key"));
	struct cw_dht_get *g;

	if (ctl->dht == NULL) {
		reply(arg, cw_query_error("not-ready", "the store of this gateway is not the DHT"));
		return;
	}
	if (strcmp(cmd, "dht status") == 0) {
		reply(arg, dht_status(ctl));
		return;
	}
	if (strcmp(cmd, "dht recover") == 0) {
		reply(arg, dht_recover(ctl));
		return;
	}
	if (strcmp(cmd, "dht leave") == 0) {
		reply(arg, dht_leave(ctl));
		return;
	}
	if (strcmp(cmd, "dht stay") == 0) {
		reply(arg, dht_stay(ctl));
		return;
	}
	g = calloc(1, sizeof(*g));
	if (g == NULL || key == NULL || !parse_key(key, &g->request)) {
		free(g);
		reply(arg,
		      cw_query_error("usage", "dht get: an address, namespace:NAME or name:HOST"));
		return;
	}
	g->ctl = ctl;
	g->reply = reply;
	g->arg = arg;
	g->trace = json_is_true(json_object_get(request, "trace"));
	g->request.trace = g->trace;
	g->begun_ns = ctl->now_ns;
	g->next = ctl->dht_gets;
	ctl->dht_gets = g;
	if (cw_dht_submit(ctl->dht, &g->request, got, g, ctl->now_ns) < 0) {
		ctl->dht_gets = g->next;
		free(g);
		reply(arg, cw_query_error("busy", "too many requests are under way"));
	}
}

void cw_dht_query_cancel(struct cw_control *ctl, void *arg)
{
	for (struct cw_dht_get *g = ctl->dht_gets; g != NULL; g = g->next)
		if (g->arg == arg)
			g->reply = NULL;
}

void cw_dht_query_destroy(struct cw_control *ctl)
{
	while (ctl->dht_gets != NULL) {
		struct cw_dht_get *next = ctl->dht_gets->next;

		free(ctl->dht_gets);
		ctl->dht_gets = next;
	}
}
