/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two gateways with one identity: a copied disk, a stolen key.
 *
 * To its peers a twin looks like a node that moves without end: each of the two takes the link from
 * the other. A node that restarts or roams does so once; when a link that was alive went to another
 * endpoint TWIN_CHANGES times within TWIN_NS, it is told. The twins themselves meet when one
 * reaches for the other and finds its own node ID: if it was talking to itself (an endpoint that
 * leads back), the server's end of the same handshake has the same exporter; if not, there is
 * another.
 *
 * Told only: which of the two is right no program can know. The operator revokes, or stops one.
 */
#include "internal.h"

#define EXPORTER_LABEL "EXPORTER-causeway-self"

static void tell(struct association *a, const struct cw_endpoint *other, uint64_t now_ns)
{
	if (a->links->ops.twin != NULL)
		a->links->ops.twin(a->links->ctx, &a->identity.node, &a->path, other, now_ns);
}

void twin_self(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	struct cw_endpoint none = {0};
	uint8_t mine[NONCE_BYTES];

	if (!cw_node_id_equal(&a->identity.node, &links->config.self) ||
	    links->config.dtls->exporter(a->session, EXPORTER_LABEL, mine, sizeof(mine)) < 0)
		return;
	if (!a->client) {
		/* The server's end is through first; the client's looks for it. */
		memcpy(links->selves[links->selves_at++ % SELVES_MAX], mine, sizeof(mine));
		return;
	}
	for (unsigned int i = 0; i < SELVES_MAX; i++)
		if (memcmp(links->selves[i], mine, sizeof(mine)) == 0)
			return;
	tell(a, &none, now_ns);
}

void twin_replaced(struct association *a, const struct association *old, uint64_t now_ns)
{
	bool alive = now_ns - old->heard_ns < ALIVE_NS;

	a->changes = old->changes;
	a->changes_since_ns = old->changes_since_ns;
	if (!alive || cw_endpoint_equal(&a->path, &old->path))
		return;
	if (a->changes == 0 || now_ns - a->changes_since_ns > TWIN_NS) {
		a->changes = 0;
		a->changes_since_ns = now_ns;
	}
	if (++a->changes >= TWIN_CHANGES)
		tell(a, &old->path, now_ns);
}
