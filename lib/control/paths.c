/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a peer is reached the way it is: one word for causewayctl, from what the link measured and
 * from what both ends know of the NATs before them.
 *
 * A guess is never dressed up as a fact: a word about a NAT rests on endpoints that others saw, and
 * where nothing was seen the word says only that nobody answered. docs/operations.md lists them.
 */
#include "internal.h"

/* A relayed path younger than this is still being tried directly at full pace. */
#define TRYING_NS (UINT64_C(10) * CW_NS_PER_S)

const char *cw_paths_nat(const struct cw_control *ctl, const struct cw_node_id *node)
{
	static const char *const words[] = {
		[CW_OVERLAY_NAT_UNKNOWN] = "unknown",	  [CW_OVERLAY_NAT_NONE] = "none",
		[CW_OVERLAY_NAT_PORT_KEPT] = "port-kept", [CW_OVERLAY_NAT_MAPPED] = "mapped",
		[CW_OVERLAY_NAT_SYMMETRIC] = "symmetric",
	};

	return words[cw_overlay_nat(ctl->overlay, node)];
}

static const char *why_relayed(const struct cw_control *ctl, const struct cw_link_info *link)
{
	bool ours = cw_overlay_nat(ctl->overlay, &ctl->config.identity.node) ==
		    CW_OVERLAY_NAT_SYMMETRIC;
	bool theirs =
		cw_overlay_nat(ctl->overlay, &link->identity.node) == CW_OVERLAY_NAT_SYMMETRIC;

	if (link->fell_ns != 0)
		return "direct-path-silent";
	if (ours && theirs)
		return "both-symmetric";
	if (ours || theirs)
		return ours ? "own-nat-symmetric" : "peer-nat-symmetric";
	return ctl->now_ns - link->up_since_ns < TRYING_NS ? "trying-direct" : "no-answer-direct";
}

const char *cw_paths_why(const struct cw_control *ctl, const struct cw_link_info *link)
{
	enum cw_overlay_nat ours, theirs;

	if (link->path.family == CW_FAMILY_RELAY)
		return why_relayed(ctl, link);
	if (cw_neighbours_next_hop(ctl, link->path.ip4) == link->path.ip4)
		return "on-link";
	ours = cw_overlay_nat(ctl->overlay, &ctl->config.identity.node);
	theirs = cw_overlay_nat(ctl->overlay, &link->identity.node);
	return ours > CW_OVERLAY_NAT_NONE && theirs > CW_OVERLAY_NAT_NONE ? "punched" : "open";
}

struct search {
	const struct cw_endpoint *path;
	json_t *name;
};

static void compare(void *arg, const struct cw_link_info *link)
{
	struct search *s = arg;

	if (s->name == NULL &&
	    memcmp(link->identity.node.b, s->path->ip6, sizeof(s->path->ip6)) == 0)
		s->name = json_string(link->identity.name);
}

json_t *cw_paths_relay(const struct cw_control *ctl, const struct cw_endpoint *path)
{
	struct search s = {.path = path};

	if (path->family != CW_FAMILY_RELAY)
		return json_null();
	cw_links_visit(ctl->links, compare, &s);
	return s.name != NULL ? s.name : json_null();
}
