/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STUN: every node answers Bindings, so peers are each other's STUN servers; and asks its peers now
 * and then how it looks from there. An answer counts only if its transaction was ours and it came
 * from where it was asked.
 */
#include "internal.h"

#include <cw_stun.h>

#define UDP_IP4_BYTES 28u

void stun_ask(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;
	uint8_t message[CW_STUN_BYTES_MAX];

	a->stun_ns = now_ns + STUN_EVERY_NS;
	if (a->path.family == CW_FAMILY_RELAY)
		return; /* it would tell the relay's view of nothing */
	links->config.random.fill(links->config.random.ctx, a->stun_transaction,
				  sizeof(a->stun_transaction));
	cw_links_output(links, &a->path, message,
			cw_stun_write_request(message, a->stun_transaction));
}

void cw_links_stun(struct cw_links *links, const struct cw_endpoint *to, const uint8_t *transaction,
		   size_t ip_bytes)
{
	uint8_t message[CW_STUN_PADDED_BYTES_MAX];
	size_t payload = ip_bytes > UDP_IP4_BYTES ? ip_bytes - UDP_IP4_BYTES : 0;

	if (payload <= sizeof(message))
		cw_links_output(links, to, message,
				cw_stun_write_padded(message, transaction, payload));
}

void stun_input(struct cw_links *links, const struct cw_endpoint *from, const uint8_t *data,
		size_t len, uint64_t now_ns)
{
	uint8_t message[CW_STUN_BYTES_MAX];
	struct cw_stun_message m;
	struct association *a;

	if (cw_stun_parse(data, len, &m) < 0 || m.method != 1)
		return;
	if (m.class == CW_STUN_REQUEST && m.unknown_required == 0) {
		cw_links_output(links, from, message,
				cw_stun_write_response(message, m.transaction, from));
		return;
	}
	if (m.class != CW_STUN_SUCCESS || !m.has_mapped)
		return;
	a = association_at(links, from, false);
	if (a != NULL && memcmp(a->stun_transaction, m.transaction, sizeof(m.transaction)) == 0) {
		memset(a->stun_transaction, 0, sizeof(a->stun_transaction));
		links->ops.reflexive(links->ctx, &m.mapped, now_ns);
	} else if (links->ops.stun != NULL) {
		links->ops.stun(links->ctx, from, m.transaction, &m.mapped, now_ns);
	}
}
