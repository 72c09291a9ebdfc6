/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What gateways say to each other about leases: one frame per message, in the overlay's LEASE
 * service. Nothing here is trusted beyond its sender's certificate: consents count for the node
 * that was asked, replicas and hosts only from a fellow; "not here" only makes us ask the
 * registers.
 */
#include "internal.h"

#define CW_LEASE_VERSION 1u

void lease_send(struct cw_lease_engine *e, const struct cw_node_id *to,
		Causeway__Lease__Frame *frame)
{
	uint8_t bytes[CW_DHCP_BYTES_MAX + 128]; /* a DHCP message and who sent it */

	frame->version = CW_LEASE_VERSION;
	if (causeway__lease__frame__get_packed_size(frame) > sizeof(bytes))
		return;
	e->ops.send(e->ctx, to, bytes, causeway__lease__frame__pack(frame, bytes), e->now_ns);
}

void cw_lease_tell_departed(struct cw_lease_engine *e, const struct cw_node_id *to, rte_be32_t ip,
			    uint64_t now_ns)
{
	Causeway__Lease__NotHere not_here = CAUSEWAY__LEASE__NOT_HERE__INIT;
	Causeway__Lease__Frame frame = CAUSEWAY__LEASE__FRAME__INIT;
	const struct binding *b = binding_find(e, ip);

	e->now_ns = now_ns;
	if (b == NULL || !b->departed)
		return;
	not_here.ns = e->config.ns.name;
	not_here.ip = ip;
	not_here.ver = b->ver;
	frame.body_case = CAUSEWAY__LEASE__FRAME__BODY_NOT_HERE;
	frame.not_here = &not_here;
	lease_send(e, to, &frame);
}

void cw_lease_message(struct cw_lease_engine *e, const struct cw_node_id *from,
		      const struct cw_site_id *site, const uint8_t *data, size_t len,
		      uint64_t now_ns)
{
	Causeway__Lease__Frame *frame = causeway__lease__frame__unpack(NULL, len, data);
	bool fellow = memcmp(site, &e->config.site, sizeof(*site)) == 0;

	e->now_ns = now_ns;
	if (frame == NULL)
		return;
	switch (frame->body_case) {
	case CAUSEWAY__LEASE__FRAME__BODY_ASK:
		consent_asked(e, from, frame->ask);
		break;
	case CAUSEWAY__LEASE__FRAME__BODY_ANSWER:
		acquire_consent(e, from, frame->answer->call, frame->answer->says);
		break;
	case CAUSEWAY__LEASE__FRAME__BODY_REPLICA:
		if (fellow)
			fellow_told(e, from, frame->replica);
		break;
	case CAUSEWAY__LEASE__FRAME__BODY_REPLICATED:
		if (fellow)
			commit_replicated(e, from, frame->replicated->call);
		break;
	case CAUSEWAY__LEASE__FRAME__BODY_HOST:
		if (fellow)
			shared_told(e, from, frame->host);
		break;
	case CAUSEWAY__LEASE__FRAME__BODY_WHOSE:
		if (fellow)
			shared_asked(e, from, frame->whose);
		break;
	case CAUSEWAY__LEASE__FRAME__BODY_FORWARDED:
		if (fellow)
			shared_forwarded(e, frame->forwarded);
		break;
	case CAUSEWAY__LEASE__FRAME__BODY_NOT_HERE:
		if (e->ops.not_there != NULL && strcmp(frame->not_here->ns, e->config.ns.name) == 0)
			e->ops.not_there(e->ctx, site, frame->not_here->ip, frame->not_here->ver,
					 now_ns);
		break;
	default:
		break;
	}
	causeway__lease__frame__free_unpacked(frame, NULL);
}
