/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_OVERLAY_MAP_H
#define CW_OVERLAY_MAP_H

/* A map of the ring as it was walked, and its forms. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* More than these no picture can show; each is a question to the daemon. */
#define MAP_NODES_MAX 4096
#define MAP_ID_CHARS  40

struct map_node {
	char id[MAP_ID_CHARS + 1];
	char name[64];
	bool asked, answered;
	unsigned int link_count;
};

struct map_edge {
	size_t from, to; /* indices of nodes */
	bool near, far, leaf, traffic, relayed;
	double rtt_ms; /* 0: not measured */
};

struct map {
	struct map_node nodes[MAP_NODES_MAX]; /* nodes[0] is this gateway until they are sorted */
	size_t count;
	struct map_edge *edges;
	size_t edge_count, edge_size;
	unsigned long long estimate; /* of the ring's size, by this gateway */
	bool cut;		     /* there is more than was asked for */
};

void map_print_dot(const struct map *map, FILE *out);
void map_print_svg(const struct map *map, FILE *out);
void map_print_json(const struct map *map, FILE *out);
void map_print_table(const struct map *map);

#endif /* CW_OVERLAY_MAP_H */
