/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causewayctl overlay map: the ring as its nodes see it. Beginning at this gateway, each node is
 * asked for its links, and those next to it on the ring are asked next, until all are seen or the
 * limit is reached. As a table, JSON, DOT (for `neato -n`) or SVG.
 *
 * A map is no snapshot: it takes a moment per node, and a node that does not answer is shown as
 * others know it.
 */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "overlay_map.h"

enum { TRIES = 3 };

static struct map_node *find(struct map *m, const char *id)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->nodes[i].id, id) == 0)
			return &m->nodes[i];
	return NULL;
}

static struct map_node *add(struct map *m, const char *id)
{
	struct map_node *n = find(m, id);

	if (n != NULL || strlen(id) != MAP_ID_CHARS || m->count == MAP_NODES_MAX)
		return n;
	n = &m->nodes[m->count++];
	memset(n, 0, sizeof(*n));
	memcpy(n->id, id, MAP_ID_CHARS);
	return n;
}

static bool has_kind(const json_t *link, const char *kind)
{
	const json_t *word;
	size_t i;

	json_array_foreach(json_object_get(link, "kinds"), i, word)
	{
		if (strcmp(json_string_value(word), kind) == 0)
			return true;
	}
	return false;
}

/* Both ends tell of a link: it is kept once. */
static void add_edge(struct map *m, size_t from, const json_t *link)
{
	const char *id = json_string_value(json_object_get(link, "node"));
	struct map_node *to = id != NULL ? add(m, id) : NULL;
	struct map_edge *e;
	size_t at;

	if (to == NULL) {
		m->cut = true;
		return;
	}
	at = (size_t)(to - m->nodes);
	for (size_t i = 0; i < m->edge_count; i++)
		if ((m->edges[i].from == from && m->edges[i].to == at) ||
		    (m->edges[i].from == at && m->edges[i].to == from))
			return;
	if (m->edge_count == m->edge_size) {
		size_t size = m->edge_size ? m->edge_size * 2 : 256;
		struct map_edge *grown = realloc(m->edges, size * sizeof(*grown));

		if (grown == NULL) {
			m->cut = true;
			return;
		}
		m->edges = grown;
		m->edge_size = size;
	}
	e = &m->edges[m->edge_count++];
	*e = (struct map_edge){.from = from,
			       .to = at,
			       .near = has_kind(link, "near"),
			       .far = has_kind(link, "far"),
			       .leaf = has_kind(link, "leaf"),
			       .traffic = has_kind(link, "traffic"),
			       .relayed = json_is_true(json_object_get(link, "relayed")),
			       .rtt_ms = json_real_value(json_object_get(link, "rtt_ms"))};
}

/* Asked once by its ID, and again when a message was lost. */
static int visit(struct ctl *ctl, struct map *m, size_t at)
{
	json_t *reply = NULL, *status;
	const json_t *link;
	const char *name;
	size_t i;
	int rc = CTL_FAILURE;

	for (unsigned int try = 0; try < TRIES && rc == CTL_FAILURE; try++)
		rc = ctl_try(ctl,
			     json_pack("{s:s, s:{s:s}}", "cmd", "overlay view", "args", "node",
				       m->nodes[at].id),
			     &reply);
	m->nodes[at].asked = true;
	if (rc != CTL_OK)
		return rc == CTL_FAILURE ? CTL_OK : rc;
	status = json_object_get(reply, "status");
	name = json_string_value(json_object_get(status, "name"));
	m->nodes[at].answered = true;
	snprintf(m->nodes[at].name, sizeof(m->nodes[at].name), "%s", name != NULL ? name : "");
	m->nodes[at].link_count =
		(unsigned int)json_integer_value(json_object_get(status, "link_count"));
	if (at == 0)
		m->estimate =
			(unsigned long long)json_integer_value(json_object_get(status, "estimate"));
	json_array_foreach(json_object_get(status, "links"), i, link)
	{
		add_edge(m, at, link);
	}
	json_decref(reply);
	return CTL_OK;
}

static int walk(struct ctl *ctl, struct map *m, size_t limit)
{
	json_t *reply = NULL;
	const char *self;
	int rc = ctl_ask(ctl, json_pack("{s:s}", "cmd", "overlay view"), &reply);

	if (rc != CTL_OK)
		return rc;
	self = json_string_value(json_object_get(json_object_get(reply, "status"), "node"));
	if (self != NULL)
		add(m, self);
	json_decref(reply);
	/* Whoever is told of is asked in turn: breadth first, so near ones come first. */
	for (size_t i = 0; rc == CTL_OK && i < m->count && i < limit; i++)
		rc = visit(ctl, m, i);
	m->cut |= m->count > limit;
	return rc;
}

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct map_node *)a)->id, ((const struct map_node *)b)->id);
}

/* In the order of the ring, clockwise from 0; edges follow. */
static bool sort(struct map *m)
{
	char(*ids)[MAP_ID_CHARS + 1] = calloc(m->count + 1, sizeof(*ids));
	size_t *place = calloc(m->count + 1, sizeof(*place));

	if (ids != NULL && place != NULL) {
		for (size_t i = 0; i < m->count; i++)
			memcpy(ids[i], m->nodes[i].id, sizeof(ids[i]));
		qsort(m->nodes, m->count, sizeof(m->nodes[0]), by_id);
		for (size_t i = 0; i < m->count; i++)
			place[i] = (size_t)(find(m, ids[i]) - m->nodes);
		for (size_t i = 0; i < m->edge_count; i++) {
			m->edges[i].from = place[m->edges[i].from];
			m->edges[i].to = place[m->edges[i].to];
		}
	}
	free(ids);
	free(place);
	return ids != NULL && place != NULL;
}

static void print_as(const struct map *m, const struct ctl *ctl, const char *form)
{
	if (strcmp(form, "--dot") == 0)
		map_print_dot(m, stdout);
	else if (strcmp(form, "--svg") == 0)
		map_print_svg(m, stdout);
	else if (ctl->json)
		map_print_json(m, stdout);
	else
		map_print_table(m);
}

static int usage(void)
{
	fputs("usage: causewayctl overlay map [--dot | --svg] [--nodes N]    (N: ask at most so many, 256 by default, at most 4096)\n"
	      "exit 0: all nodes that were found answered; 3: some did not, or there are more\n",
	      stderr);
	return CTL_USAGE;
}

static int map(struct ctl *ctl, const char *form, size_t limit)
{
	struct map *m = calloc(1, sizeof(*m));
	bool whole = true;
	int rc;

	if (m == NULL)
		return CTL_FAILURE;
	rc = walk(ctl, m, limit);
	if (rc == CTL_OK && !sort(m))
		rc = CTL_FAILURE;
	if (rc == CTL_OK) {
		print_as(m, ctl, form);
		for (size_t i = 0; i < m->count; i++)
			whole &= m->nodes[i].answered;
		rc = whole && !m->cut ? CTL_OK : CTL_DEGRADED;
	}
	free(m->edges);
	free(m);
	return rc;
}

int ctl_overlay(struct ctl *ctl, int argc, char **argv)
{
	const char *form = "";
	long limit = 256;
	char *end;

	if (argc < 1 || strcmp(argv[0], "map") != 0)
		return usage();
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--dot") == 0 || strcmp(argv[i], "--svg") == 0) {
			form = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--nodes") != 0 || i + 1 == argc)
			return usage();
		limit = strtol(argv[++i], &end, 10);
		if (*end != '\0' || limit < 1 || limit > MAP_NODES_MAX)
			return usage();
	}
	return map(ctl, form, (size_t)limit);
}
