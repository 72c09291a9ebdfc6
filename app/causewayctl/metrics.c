/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Metrics in Prometheus' text format (version 0.0.4), from what `status` and the tables of `show`
 * say. Each metric is a row of a table here: its name, its kind, one line of help, and where its
 * value stands. Rows of one name follow each other, as the format wants it.
 *
 * Names are a promise to dashboards and alerts (config/prometheus, config/grafana): units are
 * Prometheus' own (seconds, bytes, ratios), counters end in _total. A value that the daemon did not
 * give is left out, never written as 0: absent and zero are two alarms.
 */
#include "metrics.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* Each peer is a dozen series; an overlay has thousands of peers, a server of metrics has not. */
#define PEERS_SHOWN_MAX 1024u
#define PATH_BYTES	64u
#define LABELS_BYTES	1024u

struct metric {
	const char *name;
	const char *type;
	const char *help;
	const char *path;   /* keys from the answer's top or the row, by dots */
	const char *labels; /* besides the row's own; "" for none */
	double scale;	    /* 0 for 1 */
};

static const struct metric of_status[] = {
	{"causeway_degraded", "gauge", "1 when `causewayctl status` names a reason", "degraded", "",
	 0},
	{"causeway_uptime_seconds", "gauge", "Since the daemon was started", "uptime_s", "", 0},
	{"causeway_certificate_expiry_timestamp_seconds", "gauge",
	 "When this gateway's certificate, or the CA's, ends", "certificate.not_after",
	 "certificate=\"node\"", 0},
	{"causeway_certificate_expiry_timestamp_seconds", "gauge", "", "certificate.ca_not_after",
	 "certificate=\"ca\"", 0},
	{"causeway_revocations", "gauge", "Revoked identities that this gateway knows of",
	 "certificate.revoked", "", 0},
	{"causeway_key_memory_bytes", "gauge", "Memory that keys stand in", "key_memory.bytes", "",
	 0},
	{"causeway_key_memory_locked_bytes", "gauge",
	 "The part of it that cannot be written to swap", "key_memory.locked_bytes", "", 0},
	{"causeway_handshakes_refused_total", "counter",
	 "Handshakes of others that ended in a refusal", "counts.handshakes_refused", "", 0},
	{"causeway_session_left_seconds", "gauge",
	 "Until this gateway may not serve hosts any more, unless it is renewed", "session.left_s",
	 "", 0},
	{"causeway_session_isolated", "gauge", "1 when the session cannot be renewed",
	 "session.isolated", "", 0},
	{"causeway_store_founded", "gauge", "1 when the network exists", "store.founded", "", 0},
	{"causeway_store_quorum", "gauge", "1 when a majority of voters is reachable",
	 "store.quorum", "", 0},
	{"causeway_store_voters", "gauge", "Voters of the store", "store.voters", "", 0},
	{"causeway_store_voters_reachable", "gauge", "Voters that are reachable",
	 "store.voters_reachable", "", 0},
	{"causeway_store_records", "gauge", "Registers on this node", "store.records", "", 0},
	{"causeway_hosts", "gauge", "Hosts of this site", "counts.hosts", "", 0},
	{"causeway_leases", "gauge", "Addresses that this gateway holds", "counts.bound",
	 "state=\"bound\"", 0},
	{"causeway_leases", "gauge", "", "counts.offered", "state=\"offered\"", 0},
	{"causeway_leases", "gauge", "", "counts.pool", "state=\"pool\"", 0},
	{"causeway_peers", "gauge", "Gateways that are linked", "counts.peers", "", 0},
	{"causeway_routes", "gauge", "Addresses that workers know the way to", "counts.routes", "",
	 0},
	{"causeway_resolving", "gauge", "Addresses that are being looked up", "counts.resolving",
	 "", 0},
	{"causeway_holds_expired_total", "counter",
	 "Packets whose destination was not found in time", "counts.holds_expired", "", 0},
	{"causeway_inject_failures_total", "counter",
	 "Packets of the control core for which a worker had no room", "counts.inject_failures", "",
	 0},
	{"causeway_hosts_arrived_total", "counter", "Hosts that came from another site",
	 "counts.arrived", "", 0},
	{"causeway_hosts_departed_total", "counter", "Hosts that went to another site",
	 "counts.departed", "", 0},
};

static const struct metric of_dht[] = {
	{"causeway_dht_safe_to_allocate", "gauge", "1 when addresses can be claimed now",
	 "safe_to_allocate", "", 0},
	{"causeway_dht_slots", "gauge", "Slots of the DHT that this node holds, leads, waits for",
	 "slots_held", "state=\"held\"", 0},
	{"causeway_dht_slots", "gauge", "", "slots_led", "state=\"led\"", 0},
	{"causeway_dht_slots", "gauge", "", "slots_without_leader", "state=\"leaderless\"", 0},
	{"causeway_dht_slots", "gauge", "", "slots_with_a_silent_member", "state=\"short\"", 0},
	{"causeway_dht_requests_outstanding", "gauge", "Requests without an answer yet",
	 "requests_outstanding", "", 0},
	{"causeway_dht_elections_total", "counter", "Elections that this node began",
	 "counts.elections", "", 0},
	{"causeway_dht_denied_total", "counter", "Writes of others that the rules do not allow",
	 "counts.denied", "", 0},
	{"causeway_dht_refused_unsigned_total", "counter",
	 "Records without their owner's signature that were not stored", "counts.refused_unsigned",
	 "", 0},
};

#define OPERATIONS "causeway_dht_operations_total"
#define SECONDS	   "causeway_dht_operation_seconds"

/* Of this node's own requests; times of those that had an answer. */
static const struct metric of_operations[] = {
	{OPERATIONS, "counter", "Requests of this node to the DHT by what became of them", "done",
	 "outcome=\"done\"", 0},
	{OPERATIONS, "counter", "", "refused", "outcome=\"refused\"", 0},
	{OPERATIONS, "counter", "", "unanswered", "outcome=\"unanswered\"", 0},
	{SECONDS, "gauge",
	 "How long answers took since the daemon was started: this share of them at most so long",
	 "p50_ms", "share=\"0.5\"", 1e-3},
	{SECONDS, "gauge", "", "p90_ms", "share=\"0.9\"", 1e-3},
	{SECONDS, "gauge", "", "p99_ms", "share=\"0.99\"", 1e-3},
	{SECONDS, "gauge", "", "longest_ms", "share=\"1\"", 1e-3},
};

static const struct metric of_drops[] = {
	{"causeway_dropped_packets_total", "counter", "Packets that ended here, by reason",
	 "packets", "", 0},
};

static const struct metric of_workers[] = {
	{"causeway_worker_cycles_total", "counter", "TSC cycles with and without packets in hand",
	 "busy_cycles", "state=\"busy\"", 0},
	{"causeway_worker_cycles_total", "counter", "", "idle_cycles", "state=\"idle\"", 0},
	{"causeway_worker_packets_total", "counter", "Packets that a worker received and sent",
	 "rx_packets", "direction=\"rx\"", 0},
	{"causeway_worker_packets_total", "counter", "", "tx_packets", "direction=\"tx\"", 0},
	{"causeway_worker_punted_packets_total", "counter", "Packets left to the control core",
	 "punted", "", 0},
};

static const struct metric of_peers[] = {
	{"causeway_peer_usable", "gauge", "1 when there are keys for hosts' packets", "usable", "",
	 0},
	{"causeway_peer_rtt_seconds", "gauge", "Round trip of the link's own pings", "rtt_ms", "",
	 1e-3},
	{"causeway_peer_loss_ratio", "gauge", "Loss of the link's own pings", "loss_percent", "",
	 1e-2},
	{"causeway_peer_mtu_bytes", "gauge", "The largest inner packet", "mtu", "", 0},
	{"causeway_peer_packets_total", "counter", "Packets of hosts", "tx_packets",
	 "direction=\"tx\"", 0},
	{"causeway_peer_packets_total", "counter", "", "rx_packets", "direction=\"rx\"", 0},
	{"causeway_peer_bytes_total", "counter", "Bytes of hosts' packets", "tx_bytes",
	 "direction=\"tx\"", 0},
	{"causeway_peer_bytes_total", "counter", "", "rx_bytes", "direction=\"rx\"", 0},
	{"causeway_peer_rekeys_total", "counter", "New SAs since the link came up", "rekeys", "",
	 0},
	{"causeway_peer_link_age_seconds", "gauge", "Since the link came up", "age_s", "", 0},
	{"causeway_peer_certificate_expiry_timestamp_seconds", "gauge",
	 "When the peer's certificate ends", "expires", "", 0},
};

static const struct metric of_site[] = {
	{"causeway_site_slots", "gauge", "Slots of the site that a gateway of it owns", "slots", "",
	 0},
	{"causeway_site_losses_total", "counter", "Times that a gateway of the site fell silent",
	 "losses", "", 0},
};

/* -- values */

static const json_t *find(const json_t *object, const char *path)
{
	char key[PATH_BYTES];

	while (object != NULL) {
		size_t len = strcspn(path, ".");

		if (len >= sizeof(key))
			return NULL;
		memcpy(key, path, len);
		key[len] = '\0';
		object = json_object_get(object, key);
		if (path[len] == '\0')
			break;
		path += len + 1;
	}
	return object;
}

/* Numbers, yes and no, and dates as seconds since 1970. */
static bool number_of(const json_t *value, double *out)
{
	struct tm tm = {0};
	const char *end;

	if (json_is_number(value)) {
		*out = json_number_value(value);
	} else if (json_is_boolean(value)) {
		*out = json_is_true(value) ? 1 : 0;
	} else if (json_is_string(value)) {
		end = strptime(json_string_value(value), "%Y-%m-%dT%H:%M:%SZ", &tm);
		if (end == NULL || *end != '\0')
			return false;
		*out = (double)timegm(&tm);
	} else {
		return false;
	}
	return true;
}

/* -- text */

static void write_head(FILE *out, const struct metric *m)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
}

static void write_sample(FILE *out, const char *name, const char *own, const char *more,
			 double value)
{
	bool any = own[0] != '\0' || more[0] != '\0';

	/* Counters below 2^53 are exact so. */
	fprintf(out, "%s%s%s%s%s%s %.17g\n", name, any ? "{" : "", own,
		own[0] != '\0' && more[0] != '\0' ? "," : "", more, any ? "}" : "", value);
}

/* Append key="value", what is special in the format escaped. What does not fit is left out whole.
 */
static void add_label(char *labels, const char *key, const char *value)
{
	size_t at = strlen(labels), start = at;
	int n = snprintf(labels + at, LABELS_BYTES - at, "%s%s=\"", at > 0 ? "," : "", key);

	at += (size_t)n;
	for (; *value != '\0' && at + 4 < LABELS_BYTES; value++) {
		if (*value == '\\' || *value == '"' || *value == '\n')
			labels[at++] = '\\';
		labels[at++] = (char)(*value == '\n' ? 'n' : *value);
	}
	if (*value != '\0' || at + 2 > LABELS_BYTES) {
		labels[start] = '\0';
		return;
	}
	labels[at++] = '"';
	labels[at] = '\0';
}

/* The labels of a row: these keys of it, by their own names. */
static void labels_of(const json_t *row, const char *const *keys, char *labels)
{
	labels[0] = '\0';
	for (; *keys != NULL; keys++) {
		const json_t *value = json_object_get(row, *keys);
		char digits[24];

		if (json_is_string(value)) {
			add_label(labels, *keys, json_string_value(value));
		} else if (json_is_integer(value)) {
			snprintf(digits, sizeof(digits), "%lld",
				 (long long)json_integer_value(value));
			add_label(labels, *keys, digits);
		}
	}
}

/* One metric over all rows; @p head as long as its name was not announced. */
static void write_rows(FILE *out, const struct metric *m, const json_t *rows,
		       const char *const *keys, bool head)
{
	char labels[LABELS_BYTES];
	const json_t *row;
	double value;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		if (!number_of(find(row, m->path), &value))
			continue;
		labels_of(row, keys, labels);
		if (head)
			write_head(out, m);
		head = false;
		write_sample(out, m->name, labels, m->labels,
			     m->scale != 0 ? value * m->scale : value);
	}
}

static void write_table(FILE *out, const struct metric *table, size_t count, const json_t *rows,
			const char *const *keys)
{
	for (size_t i = 0; i < count; i++)
		write_rows(out, &table[i], rows, keys,
			   i == 0 || strcmp(table[i].name, table[i - 1].name) != 0);
}

/* An object without rows is a table of one row without labels. */
static void write_object(FILE *out, const struct metric *table, size_t count, const json_t *object)
{
	static const char *const none[] = {NULL};
	json_t *rows = json_array();

	if (object != NULL)
		json_array_append(rows, (json_t *)(uintptr_t)object);
	write_table(out, table, count, rows, none);
	json_decref(rows);
}

/* Facts that are words: one series that is 1, with the words as labels. */
static void write_words(FILE *out, const struct metric *m, const json_t *rows,
			const char *const *keys)
{
	char labels[LABELS_BYTES];
	const json_t *row;
	size_t i;

	if (json_array_size(rows) > 0)
		write_head(out, m);
	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		labels_of(row, keys, labels);
		write_sample(out, m->name, labels, "", 1);
	}
}

static void write_identity(FILE *out, const json_t *status)
{
	static const struct metric info = {
		.name = "causeway_info", .type = "gauge", .help = "Who this gateway is"};
	static const char *const keys[] = {"version", "name", "node", "site", "namespace", NULL};
	json_t *rows = json_array();

	json_array_append(rows, (json_t *)(uintptr_t)status);
	write_words(out, &info, rows, keys);
	json_decref(rows);
}

/* A list of texts in the status: one series for each. */
static void write_texts(FILE *out, const struct metric *m, const json_t *texts, const char *key)
{
	const char *const keys[] = {key, NULL};
	json_t *rows = json_array(), *text;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)texts, i, text)
		json_array_append_new(rows, json_pack("{s:O}", key, text));
	write_words(out, m, rows, keys);
	json_decref(rows);
}

/* While a link is replaced there are two to one node: the first speaks for it. */
static json_t *one_per_node(const json_t *peers)
{
	json_t *rows = json_array(), *seen = json_object(), *row;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)peers, i, row)
	{
		const char *node = json_string_value(json_object_get(row, "node"));

		if (node == NULL || json_object_get(seen, node) != NULL)
			continue;
		json_object_set_new(seen, node, json_true());
		if (json_array_size(rows) < PEERS_SHOWN_MAX)
			json_array_append(rows, row);
	}
	json_decref(seen);
	return rows;
}

static void write_peers(FILE *out, const json_t *peers)
{
	static const struct metric path = {.name = "causeway_peer_path_info",
					   .type = "gauge",
					   .help = "How a peer is reached, and why so"};
	static const char *const keys[] = {"name", "node", "site", NULL};
	static const char *const words[] = {"name", "node", "site",   "path",
					    "why",  "nat",  "cipher", NULL};
	json_t *rows = one_per_node(peers);

	write_words(out, &path, rows, words);
	write_table(out, of_peers, sizeof(of_peers) / sizeof(of_peers[0]), rows, keys);
	json_decref(rows);
}

void metrics_write(FILE *out, const struct metrics *m)
{
	static const struct metric up = {
		.name = "causeway_up", .type = "gauge", .help = "1 when the daemon answered"};
	static const struct metric why = {.name = "causeway_degraded_reason",
					  .type = "gauge",
					  .help = "Why the gateway is degraded"};
	static const struct metric warnings = {.name = "causeway_warning",
					       .type = "gauge",
					       .help = "What an operator should look at"};
	static const char *const by_reason[] = {"reason", NULL}, *const by_worker[] = {"worker",
										       NULL};
	static const char *const by_operation[] = {"operation", NULL};
	static const char *const by_member[] = {"name", "node", "state", NULL};

	write_head(out, &up);
	write_sample(out, up.name, "", "", m->status != NULL ? 1 : 0);
	if (m->status == NULL)
		return;
	write_identity(out, m->status);
	write_object(out, of_status, sizeof(of_status) / sizeof(of_status[0]), m->status);
	write_texts(out, &why, json_object_get(m->status, "reasons"), "reason");
	write_texts(out, &warnings, json_object_get(m->status, "warnings"), "warning");
	write_object(out, of_dht, sizeof(of_dht) / sizeof(of_dht[0]), m->dht);
	write_table(out, of_operations, sizeof(of_operations) / sizeof(of_operations[0]),
		    m->operations, by_operation);
	write_table(out, of_drops, sizeof(of_drops) / sizeof(of_drops[0]), m->drops, by_reason);
	write_table(out, of_workers, sizeof(of_workers) / sizeof(of_workers[0]), m->workers,
		    by_worker);
	write_table(out, of_site, sizeof(of_site) / sizeof(of_site[0]), m->site, by_member);
	write_peers(out, m->peers);
}
