/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `causewayctl lease`: an operator's hand in who has which address.
 *
 * `release` says that a machine is gone: its segment is probed first, so a slip of the finger takes
 * nothing from a host that answers. `reserve` and `unreserve` edit the list of kept addresses in
 * the namespace record, one row at a time; the record travels to all gateways as by `namespace
 * set`.
 */
#include "internal.h"

#include <errno.h>

#include <cw_lease.h>

static bool ip_of(const json_t *request, rte_be32_t *out)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(request, "args"), "ip"));

	return text != NULL && cw_ip4_parse(text, out) == 0;
}

static json_t *refusal(rte_be32_t ip, int err)
{
	char text[CW_IP4_TEXT_BYTES];

	cw_ip4_format(ip, text);
	switch (err) {
	case -ENOENT:
		return cw_query_error(
			"not-found",
			"no host of this site has a lease of %s (explain says where it is)", text);
	case -EADDRINUSE:
		return cw_query_error("in-use", "the host that has %s answers: it keeps it", text);
	case -EBUSY:
		return cw_query_error(
			"busy",
			"%s: the last ACK may still be on its way, or went to more than one MAC; again in 10 s, or wait for its end",
			text);
	default:
		return cw_query_error("not-now",
				      "no session with the registers, or too many questions");
	}
}

static void released(void *arg, int err)
{
	struct cw_control *ctl = arg;
	cw_control_reply_fn reply = ctl->lease_release.reply;

	ctl->lease_release.reply = NULL;
	if (reply == NULL)
		return;
	reply(ctl->lease_release.arg,
	      err == 0 ? json_pack("{s:b, s:{s:s}}", "ok", 1, "status", "lease", "released")
		       : refusal(ctl->lease_release.ip, err));
}

static void release_query(struct cw_control *ctl, const json_t *request, cw_control_reply_fn reply,
			  void *arg)
{
	rte_be32_t ip;
	int err;

	if (!ip_of(request, &ip)) {
		reply(arg, cw_query_error("usage", "lease release: expected an address"));
		return;
	}
	if (ctl->lease_release.reply != NULL) {
		reply(arg, cw_query_error("busy", "another lease release is under way"));
		return;
	}
	err = ctl->lease == NULL ? -ENOENT
				 : cw_lease_release(ctl->lease, ip, released, ctl, ctl->now_ns);
	if (err < 0) {
		reply(arg, refusal(ip, err));
		return;
	}
	ctl->lease_release.reply = reply;
	ctl->lease_release.arg = arg;
	ctl->lease_release.ip = ip;
}

void cw_lease_query_cancel(struct cw_control *ctl, void *arg)
{
	if (ctl->lease_release.reply == NULL || ctl->lease_release.arg != arg)
		return;
	ctl->lease_release.reply = NULL;
	if (ctl->lease != NULL)
		cw_lease_release_cancel(ctl->lease, ctl);
}

/* -- kept addresses */

struct holder {
	struct cw_mac mac;
	rte_be32_t ip; /* 0: not found */
};

static void find_holder(void *arg, const struct cw_lease_info *info)
{
	struct holder *h = arg;

	if (cw_mac_equal(&info->mac, &h->mac) && strcmp(info->state, "bound") == 0)
		h->ip = info->ip;
}

static unsigned int row_of(const struct cw_namespace_record *ns, const struct cw_mac *mac)
{
	unsigned int i = 0;

	while (i < ns->host_count && !cw_mac_equal(&ns->hosts[i].mac, mac))
		i++;
	return i;
}

/* The record with the row for this machine as wanted. NULL, or the error. */
static json_t *reserve(struct cw_namespace_record *ns, const struct cw_mac *mac, rte_be32_t ip)
{
	unsigned int at = row_of(ns, mac);
	char text[CW_IP4_TEXT_BYTES];

	cw_ip4_format(ip, text);
	if (!cw_prefix4_contains(&ns->subnet, ip) || ip == cw_namespace_service_ip(ns) ||
	    ip == ns->subnet.ip || ip == (ns->subnet.ip | ~cw_prefix4_mask(ns->subnet.len)))
		return cw_query_error("usage", "lease reserve: %s is no host of the subnet", text);
	for (unsigned int i = 0; i < ns->host_count; i++)
		if (ns->hosts[i].ip == ip && i != at)
			return cw_query_error("exists", "%s is kept for another machine", text);
	if (at == CW_NS_HOSTS_MAX)
		return cw_query_error("full", "more than %u kept addresses", CW_NS_HOSTS_MAX);
	ns->hosts[at].mac = *mac;
	ns->hosts[at].ip = ip;
	if (at == ns->host_count)
		ns->host_count++;
	return NULL;
}

static json_t *unreserve(struct cw_namespace_record *ns, const struct cw_mac *mac)
{
	unsigned int at = row_of(ns, mac);

	if (at == ns->host_count)
		return cw_query_error("not-found", "no address is kept for that machine");
	ns->hosts[at] = ns->hosts[--ns->host_count];
	memset(&ns->hosts[ns->host_count], 0, sizeof(ns->hosts[0]));
	return NULL;
}

static void keep_query(struct cw_control *ctl, bool keep, const json_t *request,
		       cw_control_reply_fn reply, void *arg)
{
	const json_t *args = json_object_get(request, "args");
	const char *mac = json_string_value(json_object_get(args, "mac"));
	struct cw_namespace_record ns = ctl->ns;
	struct holder h = {.ip = 0};
	json_t *error = NULL;

	if (mac == NULL || cw_mac_parse(mac, &h.mac) < 0)
		error = cw_query_error("usage", "lease %s: expected a MAC",
				       keep ? "reserve" : "unreserve");
	else if (!ctl->have_ns || ctl->lease == NULL)
		error = cw_query_error("not-found", "no namespace record is known yet");
	else if (!keep)
		error = unreserve(&ns, &h.mac);
	else if (json_object_get(args, "ip") != NULL && !ip_of(request, &h.ip))
		error = cw_query_error("usage", "lease reserve: expected MAC [ADDRESS]");
	if (error == NULL && keep) {
		if (h.ip == 0)
			cw_lease_visit(ctl->lease, find_holder, &h);
		error = h.ip == 0 ? cw_query_error("not-found",
						   "%s has no lease here: name the address", mac)
				  : reserve(&ns, &h.mac, h.ip);
	}
	if (error != NULL)
		reply(arg, error);
	else
		cw_ns_put(ctl, &ns, reply, arg);
}

void cw_lease_query(struct cw_control *ctl, const char *cmd, const json_t *request,
		    cw_control_reply_fn reply, void *arg)
{
	if (strcmp(cmd, "lease release") == 0)
		release_query(ctl, request, reply, arg);
	else if (strcmp(cmd, "lease reserve") == 0)
		keep_query(ctl, true, request, reply, arg);
	else if (strcmp(cmd, "lease unreserve") == 0)
		keep_query(ctl, false, request, reply, arg);
	else
		reply(arg, cw_query_error("usage", "lease release|reserve|unreserve"));
}
