/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leaving without a packet lost.
 *
 * Drained: our slots are at the site's other gateways (lib/site hands them over in order), every
 * linked peer has confirmed to know that, and what it sent before has had its time to arrive. Until
 * then, and after, whatever comes is carried as before; only stopping ends that. Who is told to
 * stop drains first, then signs off (the lease engine's business), and says goodbye to its links
 * while workers still carry it.
 *
 * Refuses to wait for ever: where no other gateway could have the slots nothing is handed over, and
 * who stops does stop after LEAVE_NS.
 */
#include "internal.h"

#include <stdlib.h>

#include <cw_site.h>

/* When all peers have confirmed that our slots are a fellow's: the longest way of what they sent
 * before, around the world. */
#define DRAIN_LAST_NS (UINT64_C(300) * CW_NS_PER_MS)
/* A fellow shows the switch its new slots within so many hellos. */
#define DRAIN_HELLOS 8
/* Who is told to stop hands over for no longer than this: a third of what the daemon takes in all.
 */
#define LEAVE_NS (UINT64_C(5) * CW_NS_PER_S)

/* Somebody who could have our slots, now or soon: who has just started is waited for. */
static bool has_heir(const struct cw_site_status *status)
{
	for (unsigned int i = 1; i < status->count; i++) {
		const struct cw_site_member *m = &status->member[i];

		if (m->heard && !m->passive && !m->draining)
			return true;
	}
	return false;
}

static bool is_handed(const struct cw_site_status *status)
{
	return status->member[0].draining && status->member[0].slots == 0;
}

/* Slots are at the fellows, peers know, and what was on its way here when they heard has arrived.
 */
static bool is_drained(struct cw_control *ctl, const struct cw_site_status *status)
{
	if (!is_handed(status) || cw_nexthops_untold(ctl) > 0) {
		ctl->drain.handed_ns = 0;
		return false;
	}
	if (ctl->drain.handed_ns == 0)
		ctl->drain.handed_ns = ctl->now_ns;
	return ctl->now_ns - ctl->drain.handed_ns >=
	       cw_max_u64(DRAIN_LAST_NS, DRAIN_HELLOS * cw_segment_hello_ns(ctl));
}

bool cw_drain_leave(struct cw_control *ctl)
{
	struct cw_site_status status;

	if (ctl->drain.leave_ns == 0) {
		ctl->drain.leave_ns = ctl->now_ns + LEAVE_NS;
		cw_segment_set_drain(ctl, true);
	}
	if (!cw_segment_status(ctl, &status))
		return true;
	/* Alone there is nothing to hand over. */
	return is_drained(ctl, &status) || ctl->now_ns >= ctl->drain.leave_ns ||
	       (!is_handed(&status) && !has_heir(&status));
}

json_t *cw_drain_query(struct cw_control *ctl, bool drain)
{
	struct cw_site_status status;
	bool done = drain, heir = false;
	int slots = 0;

	if (!ctl->stopping)
		cw_segment_set_drain(ctl, drain);
	if (cw_segment_status(ctl, &status)) {
		heir = has_heir(&status);
		slots = status.member[0].slots;
		done = is_drained(ctl, &status) || (!is_handed(&status) && !heir);
	}
	return json_pack("{s:b, s:{s:b, s:i, s:i, s:i}}", "ok", 1, "status", "done", done, "slots",
			 slots, "peers_untold", (int)cw_nexthops_untold(ctl), "heirs", (int)heir);
}

/* -- goodbye */

/* What was just said is on the wire by then, as long as workers turn. */
#define GOODBYE_NS (UINT64_C(20) * CW_NS_PER_MS)

struct goodbye {
	unsigned int count;
	struct cw_node_id nodes[CW_OVERLAY_NODES_MAX];
};

static void collect_link(void *arg, const struct cw_link_info *info)
{
	struct goodbye *all = arg;

	if (all->count < CW_ARRAY_SIZE(all->nodes))
		all->nodes[all->count++] = info->identity.node;
}

bool cw_drain_goodbye(struct cw_control *ctl)
{
	struct goodbye *all;

	if (ctl->now_ns < ctl->drain.left_ns + GOODBYE_NS)
		return false;
	if (!ctl->drain.said_goodbye) {
		ctl->drain.said_goodbye = true;
		all = calloc(1, sizeof(*all));
		if (all == NULL)
			return true; /* they find it out by themselves */
		cw_links_visit(ctl->links, collect_link, all);
		for (unsigned int i = 0; i < all->count; i++)
			cw_links_close(ctl->links, &all->nodes[i], ctl->now_ns);
		free(all);
	}
	return ctl->now_ns >= ctl->drain.left_ns + 2 * GOODBYE_NS;
}
