/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A map's forms. In pictures a node stands on a circle where its ID lies on the ring: 0 on top,
 * clockwise. Names come from certificates, but nothing is taken as it is: text is escaped for the
 * form that it goes into.
 */
#include "overlay_map.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

#define SIDE   1000.0 /* of the picture */
#define RADIUS 380.0

/* 0 to 1, clockwise from the top. */
static double place_of(const struct map_node *n)
{
	char first[9];

	memcpy(first, n->id, 8);
	first[8] = '\0';
	return (double)strtoul(first, NULL, 16) / 4294967296.0;
}

static double x_of(const struct map_node *n, double radius)
{
	return SIDE / 2 + radius * sin(2 * M_PI * place_of(n));
}

static double y_of(const struct map_node *n, double radius)
{
	return SIDE / 2 - radius * cos(2 * M_PI * place_of(n));
}

/* The first digits where there is no name; quotes, brackets and the like left out. */
static const char *label_of(const struct map_node *n, char out[64])
{
	const char *from = n->name[0] != '\0' ? n->name : n->id;
	size_t at = 0, max = n->name[0] != '\0' ? 63 : 8;

	for (; *from != '\0' && at < max; from++)
		if (strchr("\"<>&\\'", *from) == NULL && (unsigned char)*from >= ' ')
			out[at++] = *from;
	out[at] = '\0';
	return out;
}

static const char *color_of(const struct map_edge *e)
{
	if (e->near)
		return "#1b6ca8";
	if (e->far)
		return "#d98324";
	if (e->leaf)
		return "#7a7a7a";
	return e->traffic ? "#3c8d40" : "#b0b0b0";
}

static const char *kind_of(const struct map_edge *e)
{
	if (e->near)
		return "near";
	if (e->far)
		return "far";
	if (e->leaf)
		return "leaf";
	return e->traffic ? "traffic" : "spare";
}

void map_print_dot(const struct map *map, FILE *out)
{
	char label[64];

	fputs("// neato -n -Tsvg\ngraph overlay {\n\tnode [shape=circle fontsize=10];\n", out);
	for (size_t i = 0; i < map->count; i++) {
		const struct map_node *n = &map->nodes[i];

		fprintf(out, "\t\"%s\" [label=\"%s\" pos=\"%.1f,%.1f\"%s];\n", n->id,
			label_of(n, label), x_of(n, RADIUS), SIDE - y_of(n, RADIUS),
			n->answered ? "" : " style=dashed");
	}
	for (size_t i = 0; i < map->edge_count; i++) {
		const struct map_edge *e = &map->edges[i];

		fprintf(out, "\t\"%s\" -- \"%s\" [color=\"%s\" tooltip=\"%s%s\"%s];\n",
			map->nodes[e->from].id, map->nodes[e->to].id, color_of(e), kind_of(e),
			e->relayed ? ", relayed" : "", e->relayed ? " style=dashed" : "");
	}
	fputs("}\n", out);
}

static void svg_legend(FILE *out)
{
	static const struct map_edge rows[] = {
		{.near = true}, {.far = true}, {.leaf = true}, {.traffic = true}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fprintf(out,
			"<line x1=\"20\" y1=\"%zu\" x2=\"60\" y2=\"%zu\" stroke=\"%s\" stroke-width=\"2\"/>"
			"<text x=\"70\" y=\"%zu\">%s</text>\n",
			30 + 20 * i, 30 + 20 * i, color_of(&rows[i]), 34 + 20 * i,
			kind_of(&rows[i]));
	fputs("<text x=\"20\" y=\"114\">dashed: relayed, or no answer</text>\n", out);
}

void map_print_svg(const struct map *map, FILE *out)
{
	char label[64];

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
		"<circle cx=\"%.0f\" cy=\"%.0f\" r=\"%.0f\" fill=\"none\" stroke=\"#e0e0e0\"/>\n",
		SIDE, SIDE, SIDE / 2, SIDE / 2, RADIUS);
	for (size_t i = 0; i < map->edge_count; i++) {
		const struct map_edge *e = &map->edges[i];
		const struct map_node *a = &map->nodes[e->from], *b = &map->nodes[e->to];

		/* Bent towards the middle, so that neighbours' links do not lie on the circle. */
		fprintf(out,
			"<path d=\"M%.1f %.1f Q%.1f %.1f %.1f %.1f\" fill=\"none\" stroke=\"%s\"%s><title>%s%s",
			x_of(a, RADIUS), y_of(a, RADIUS), (x_of(a, 200) + x_of(b, 200)) / 2,
			(y_of(a, 200) + y_of(b, 200)) / 2, x_of(b, RADIUS), y_of(b, RADIUS),
			color_of(e), e->relayed ? " stroke-dasharray=\"6 4\"" : "", kind_of(e),
			e->relayed ? ", relayed" : "");
		if (e->rtt_ms > 0)
			fprintf(out, ", %.2f ms", e->rtt_ms);
		fputs("</title></path>\n", out);
	}
	for (size_t i = 0; i < map->count; i++) {
		const struct map_node *n = &map->nodes[i];

		fprintf(out,
			"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\" stroke=\"black\"%s><title>%s</title></circle>"
			"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
			x_of(n, RADIUS), y_of(n, RADIUS), n->answered ? "black" : "white",
			n->answered ? "" : " stroke-dasharray=\"2 2\"", n->id, x_of(n, RADIUS + 30),
			y_of(n, RADIUS + 30) + 4, label_of(n, label));
	}
	svg_legend(out);
	fputs("</svg>\n", out);
}

static json_t *node_json(const struct map_node *n)
{
	json_t *name = n->name[0] != '\0' ? json_string(n->name) : NULL;

	return json_pack("{s:s, s:o, s:f, s:b, s:i}", "node", n->id, "name",
			 name != NULL ? name : json_null(), "degrees", 360 * place_of(n),
			 "answered", n->answered, "links", (int)n->link_count);
}

static json_t *edge_json(const struct map *map, const struct map_edge *e)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:o}", "from",
			 map->nodes[e->from].id, "to", map->nodes[e->to].id, "kind", kind_of(e),
			 "near", e->near, "far", e->far, "leaf", e->leaf, "traffic", e->traffic,
			 "relayed", e->relayed, "rtt_ms",
			 e->rtt_ms > 0 ? json_real(e->rtt_ms) : json_null());
}

void map_print_json(const struct map *map, FILE *out)
{
	json_t *nodes = json_array(), *edges = json_array(), *all;

	for (size_t i = 0; i < map->count; i++)
		json_array_append_new(nodes, node_json(&map->nodes[i]));
	for (size_t i = 0; i < map->edge_count; i++)
		json_array_append_new(edges, edge_json(map, &map->edges[i]));
	all = json_pack("{s:I, s:b, s:o, s:o}", "estimate", (json_int_t)map->estimate, "whole",
			!map->cut, "nodes", nodes, "links", edges);
	json_dumpf(all, out, JSON_INDENT(1));
	fputc('\n', out);
	json_decref(all);
}

/* How many links of each kind a node has, as far as they were told of. */
static json_t *row_of(const struct map *map, size_t at)
{
	const struct map_node *n = &map->nodes[at];
	unsigned int near = 0, far = 0, leaf = 0, relayed = 0;
	json_t *row = node_json(n);

	for (size_t i = 0; i < map->edge_count; i++) {
		const struct map_edge *e = &map->edges[i];

		if (e->from != at && e->to != at)
			continue;
		near += e->near;
		far += e->far;
		leaf += e->leaf;
		relayed += e->relayed;
	}
	json_object_set_new(row, "near", json_integer(near));
	json_object_set_new(row, "far", json_integer(far));
	json_object_set_new(row, "leaf", json_integer(leaf));
	json_object_set_new(row, "relayed", json_integer(relayed));
	return row;
}

void map_print_table(const struct map *map)
{
	json_t *columns = json_pack("[s, s, s, s, s, s, s, s, s]", "degrees", "node", "name",
				    "answered", "links", "near", "far", "leaf", "relayed");
	json_t *rows = json_array();

	for (size_t i = 0; i < map->count; i++)
		json_array_append_new(rows, row_of(map, i));
	ctl_print_table(columns, rows);
	printf("%zu nodes%s, %llu estimated\n", map->count, map->cut ? " and more" : "",
	       map->estimate);
	json_decref(columns);
	json_decref(rows);
}
