/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Log lines, by address and by client: which client has which address at which gen. The own ones of
 * the process before are claimed again one after the other; those of fellows say where a client
 * was, should its gateway be gone.
 *
 * One line per address; the latest wins.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

int lines_create(struct lines *l)
{
	link_init(&l->pending);
	l->by_ip = calloc(BUCKETS, sizeof(struct line *));
	l->by_client = calloc(BUCKETS, sizeof(struct line *));
	return l->by_ip == NULL || l->by_client == NULL ? -ENOMEM : 0;
}

void lines_free(struct lines *l)
{
	for (uint32_t i = 0; l->by_ip != NULL && i < BUCKETS; i++)
		while (l->by_ip[i] != NULL)
			lines_remove(l, l->by_ip[i]->ip);
	free(l->by_ip);
	free(l->by_client);
}

struct line *lines_find(const struct lines *l, rte_be32_t ip)
{
	struct line *line = l->by_ip[hash_ip(ip, BUCKETS)];

	while (line != NULL && line->ip != ip)
		line = line->ip_next;
	return line;
}

struct line *lines_find_client(const struct lines *l, const struct cw_client_hash *hash)
{
	struct line *line = l->by_client[hash_client(hash, BUCKETS)];

	while (line != NULL && !same_hash(&line->who.hash, hash))
		line = line->client_next;
	return line;
}

struct line *lines_put(struct lines *l, const struct line *facts)
{
	uint32_t ip = hash_ip(facts->ip, BUCKETS);
	uint32_t client = hash_client(&facts->who.hash, BUCKETS);
	struct line *line;

	lines_remove(l, facts->ip);
	if (l->count >= BINDINGS_MAX)
		return NULL;
	line = malloc(sizeof(*line));
	if (line == NULL)
		return NULL;
	*line = *facts;
	line->ip_next = l->by_ip[ip];
	l->by_ip[ip] = line;
	line->client_next = l->by_client[client];
	l->by_client[client] = line;
	link_append(&l->pending, &line->pending);
	l->count++;
	return line;
}

void lines_remove(struct lines *l, rte_be32_t ip)
{
	struct line **at = &l->by_ip[hash_ip(ip, BUCKETS)], *line;

	while (*at != NULL && (*at)->ip != ip)
		at = &(*at)->ip_next;
	line = *at;
	if (line == NULL)
		return;
	*at = line->ip_next;
	at = &l->by_client[hash_client(&line->who.hash, BUCKETS)];
	while (*at != line)
		at = &(*at)->client_next;
	*at = line->client_next;
	link_remove(&line->pending);
	l->count--;
	free(line);
}
