/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Membership in the namespace: the record is fetched, a view of it published, the lease engine
 * begins; later changes are taken over alive.
 *
 * Lease records of the own log were read before the namespace was known; they are kept and handed
 * over then. A node without a LAN port has no namespace and no engine.
 */
#include "internal.h"

#include <stdlib.h>

#define ASK_EVERY_NS CW_NS_PER_S
/* The record is looked at again: news of a change may be lost. */
#define LOOK_AGAIN_NS (UINT64_C(10) * CW_NS_PER_S)

static int start_engine(struct cw_control *ctl)
{
	struct cw_lease_config config = {.self = ctl->config.identity.node,
					 .site = ctl->site,
					 .log = ctl->config.log,
					 .random = ctl->config.random,
					 .digest = ctl->config.digest,
					 .store = ctl->store,
					 .ns = ctl->ns,
					 .pool_low = ctl->config.pool_low,
					 .pool_high = ctl->config.pool_high,
					 .new_per_s = ctl->config.new_per_s,
					 .boot_id = ctl->config.boot_id};
	int err = cw_lease_create(&ctl->lease, &config, &cw_lan_lease_ops, ctl);

	if (err < 0)
		return err;
	while (ctl->replayed != NULL) {
		struct replayed *next = ctl->replayed->next;

		cw_lease_replay(ctl->lease, ctl->replayed->data, ctl->replayed->len);
		free(ctl->replayed);
		ctl->replayed = next;
	}
	ctl->replayed_tail = &ctl->replayed;
	ctl->replayed_count = 0;
	return 0;
}

void cw_membership_ns(struct cw_control *ctl, const struct cw_namespace_record *ns)
{
	bool first = !ctl->have_ns, same_upstream, same_base;

	if (strcmp(ns->name, ctl->config.namespace_name) != 0 || (!first && ns->ver <= ctl->ns.ver))
		return;
	same_upstream = memcmp(ctl->ns.upstream, ns->upstream, sizeof(ns->upstream)) == 0;
	same_base = ctl->ns.mac_base == ns->mac_base;
	ctl->ns = *ns;
	if (!same_upstream)
		cw_forward_reset(ctl);
	ctl->have_ns = true;
	cw_overlay_forbid(ctl->overlay, &ns->subnet);
	/* A handshake may be under way to somewhere inside. */
	ctl->recheck |= first;
	if (!ctl->config.has_lan)
		return;
	/* Before workers may grant by it: a longer lease needs its cover first (R4). */
	if (!first)
		cw_lease_set_namespace(ctl->lease, ns, ctl->now_ns);
	if (cw_view_publish(ctl) < 0 || (first && start_engine(ctl) < 0) ||
	    ((first || !same_base) && cw_segment_begin(ctl) < 0)) {
		cw_log(ctl->config.log, CW_LOG_ERROR, CW_CONTROL_MODULE,
		       "no memory for the namespace's tables");
		ctl->have_ns = !first;
		return;
	}
	if (first)
		cw_log(ctl->config.log, CW_LOG_NOTICE, CW_CONTROL_MODULE,
		       "namespace %s: serving the LAN", ns->name);
}

static void on_ns(void *arg, const struct cw_store_answer *answer, uint64_t now_ns)
{
	struct cw_control *ctl = arg;

	ctl->now_ns = now_ns;
	ctl->ns_asking = false;
	ctl->ns_ask_ns = now_ns + (ctl->have_ns ? LOOK_AGAIN_NS : ASK_EVERY_NS);
	if (answer->result == CW_STORE_OK)
		cw_membership_ns(ctl, &answer->ns);
}

void cw_membership_timer(struct cw_control *ctl)
{
	struct cw_store_request request = {.verb = CW_STORE_NS_GET};
	struct cw_store_health health;

	if (ctl->ns_asking || !ctl->have_store || ctl->config.namespace_name[0] == '\0' ||
	    ctl->now_ns < ctl->ns_ask_ns)
		return;
	ctl->store.ops->health(ctl->store.self, &health);
	if (!health.founded)
		return;
	memcpy(request.ns_name, ctl->config.namespace_name, sizeof(request.ns_name));
	ctl->ns_asking = cw_store_submit(&ctl->store, &request, on_ns, ctl, ctl->now_ns) == 0;
}
