/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Attempts: a node is wanted, handshakes go to all its endpoints at once, the first that succeeds
 * settles it. An attempt that got no answer is given up after HANDSHAKE_NS; whoever wanted the node
 * asks again in its own time.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

static bool same_target(const struct attempt *t, const struct cw_node_id *node,
			const struct cw_endpoint *first)
{
	if (!t->used || t->any_node != (node == NULL))
		return false;
	return node != NULL ? cw_node_id_equal(&t->node, node)
			    : cw_endpoint_equal(&t->endpoints[0], first);
}

/* @return a free slot, or NULL: too many, or no memory. */
static struct attempt *slot(struct cw_links *links)
{
	unsigned int size = links->attempts_size;
	struct attempt *grown;

	for (unsigned int i = 0; i < size; i++)
		if (!links->attempts[i].used)
			return &links->attempts[i];
	if (size == ATTEMPTS_MAX)
		return NULL;
	size = size ? size * 2 : 8;
	grown = realloc(links->attempts, size * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	links->attempts = grown;
	memset(grown + links->attempts_size, 0, (size - links->attempts_size) * sizeof(*grown));
	grown += links->attempts_size;
	links->attempts_size = size;
	return grown;
}

/* A relayed link wants a direct path: the next of these endpoints is challenged. When the other end
 * does the same, both NATs open. */
static bool probe_direct(struct cw_links *links, const struct cw_node_id *node,
			 const struct cw_endpoint *endpoints, unsigned int count, uint64_t now_ns)
{
	struct association *a = link_find(links, node);

	if (a == NULL || a->path.family != CW_FAMILY_RELAY)
		return false;
	association_probe(a, endpoints, count, now_ns);
	return true;
}

/* Linked, or shaking hands and getting on with it? */
static bool somebody_at(const struct cw_links *links, const struct cw_endpoint *at, uint64_t now_ns)
{
	const struct association *a = association_at(links, at, true);

	if (a == NULL)
		return association_at(links, at, false) != NULL;
	return a->client || now_ns - a->began_ns < STALLED_NS;
}

/* @return how many handshakes were begun. */
static unsigned int begin_all(struct cw_links *links, const struct cw_endpoint *endpoints,
			      unsigned int count, uint64_t now_ns)
{
	unsigned int begun = 0;

	for (unsigned int i = 0; i < count; i++) {
		struct cw_dtls_session *session;

		if (somebody_at(links, &endpoints[i], now_ns))
			continue;
		session = links->config.dtls->connect(links->config.engine, &endpoints[i], now_ns);
		if (session == NULL)
			continue;
		if (association_add(links, session, &endpoints[i], true, now_ns) == NULL)
			links->config.dtls->close(session);
		else
			begun++;
	}
	return begun;
}

int cw_links_connect(struct cw_links *links, const struct cw_node_id *node,
		     const struct cw_endpoint *endpoints, unsigned int count, uint64_t now_ns)
{
	struct attempt *free_slot;

	if (count == 0 || count > CW_LINK_ENDPOINTS_MAX)
		return -EINVAL;
	if (node != NULL && probe_direct(links, node, endpoints, count, now_ns))
		return 0;
	if (node != NULL &&
	    (link_find(links, node) != NULL || cw_node_id_equal(node, &links->config.self)))
		return -EALREADY;
	for (unsigned int i = 0; i < links->attempts_size; i++)
		if (same_target(&links->attempts[i], node, endpoints))
			return begin_all(links, endpoints, count, now_ns) > 0 ? 0 : -EALREADY;
	free_slot = slot(links);
	if (free_slot == NULL)
		return -ENOSPC;
	*free_slot = (struct attempt){.used = true,
				      .any_node = node == NULL,
				      .count = count,
				      .until_ns = now_ns + HANDSHAKE_NS};
	if (node != NULL)
		free_slot->node = *node;
	memcpy(free_slot->endpoints, endpoints, count * sizeof(endpoints[0]));
	begin_all(links, endpoints, count, now_ns);
	return 0;
}

void attempts_settle(struct cw_links *links, const struct cw_node_id *node,
		     const struct cw_endpoint *endpoint)
{
	for (unsigned int i = 0; i < links->attempts_size; i++) {
		struct attempt *t = &links->attempts[i];

		if (!t->used)
			continue;
		if (!t->any_node && node != NULL && cw_node_id_equal(&t->node, node))
			t->used = false;
		for (unsigned int e = 0; t->any_node && e < t->count; e++)
			if (cw_endpoint_equal(&t->endpoints[e], endpoint))
				t->used = false;
	}
}

uint64_t attempts_timer(struct cw_links *links, uint64_t now_ns)
{
	uint64_t next = CW_NEVER;

	for (unsigned int i = 0; i < links->attempts_size; i++) {
		struct attempt *t = &links->attempts[i];

		if (!t->used)
			continue;
		if (now_ns >= t->until_ns)
			t->used = false;
		else
			next = cw_min_u64(next, t->until_ns);
	}
	return next;
}
