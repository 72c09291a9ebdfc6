/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The namespace record turned into what workers read: addresses, times and DHCP options as ready
 * bytes.
 *
 * A view is built whole and published whole; the old one lives until the grace period is over.
 * Nothing here is looked up per packet that could have been computed once.
 *
 * Invariant: ctl->view is the published one or NULL, and tables and deadline that it points to
 * outlive it.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#include <cw_dns.h>
#include <cw_name_table.h>

/* RFC 2132 codes of the options that are the same for every client. */
enum {
	OPT_SUBNET_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_DOMAIN = 15,
	OPT_MTU = 26,
	OPT_BROADCAST = 28,
	OPT_NTP = 42,
	OPT_DOMAIN_SEARCH = 119,
};

static void put_option(struct cw_ns_view *view, uint8_t code, const void *data, size_t len)
{
	if (len == 0 || len > UINT8_MAX || view->option_bytes + 2 + len > sizeof(view->options))
		return;
	view->options[view->option_bytes++] = code;
	view->options[view->option_bytes++] = (uint8_t)len;
	memcpy(view->options + view->option_bytes, data, len);
	view->option_bytes = (uint16_t)(view->option_bytes + len);
}

/* The domain in wire form: DNS answers for it, and RFC 3397 wants it so. */
static void set_zone(struct cw_ns_view *view, const struct cw_namespace_record *ns)
{
	view->zone_bytes =
		(uint8_t)cw_dns_name_from_text(ns->domain, view->zone, sizeof(view->zone));
	for (size_t at = 0; at < view->zone_bytes && view->zone[at] != 0; at += 1u + view->zone[at])
		view->zone_labels++;
	view->zone_serial = (uint32_t)ns->ver;
	view->has_upstream = ns->upstream_count > 0;
}

/* Option 6 only where the service address has an answer to give: else hosts would lose the names
 * they have. */
static void put_options(struct cw_ns_view *view, const struct cw_namespace_record *ns)
{
	rte_be32_t mask = cw_prefix4_mask(ns->subnet.len);
	rte_be16_t mtu = rte_cpu_to_be_16(ns->mtu_bytes);

	put_option(view, OPT_SUBNET_MASK, &mask, sizeof(mask));
	if (ns->router != 0)
		put_option(view, OPT_ROUTER, &ns->router, sizeof(ns->router));
	if (view->zone_bytes != 0 || view->has_upstream)
		put_option(view, OPT_DNS, &view->service_ip, sizeof(view->service_ip));
	put_option(view, OPT_DOMAIN, ns->domain, strnlen(ns->domain, sizeof(ns->domain)));
	put_option(view, OPT_MTU, &mtu, sizeof(mtu));
	put_option(view, OPT_BROADCAST, &view->broadcast, sizeof(view->broadcast));
	put_option(view, OPT_NTP, ns->ntp, ns->ntp_count * sizeof(ns->ntp[0]));
	put_option(view, OPT_DOMAIN_SEARCH, view->zone, view->zone_bytes);
	if (view->option_bytes + (size_t)ns->extra_bytes <= sizeof(view->options)) {
		memcpy(view->options + view->option_bytes, ns->extra, ns->extra_bytes);
		view->option_bytes = (uint16_t)(view->option_bytes + ns->extra_bytes);
	}
}

static void put_class(struct cw_ns_view_class *to, const struct cw_ns_boot *boot,
		      const uint8_t *extra, uint8_t extra_bytes)
{
	_Static_assert(sizeof(to->file) == sizeof(boot->file), "one size");
	_Static_assert(sizeof(to->options) >= CW_NS_CLASS_EXTRA_BYTES, "fits");
	to->next_server = boot->next_server;
	memcpy(to->file, boot->file, sizeof(to->file));
	memcpy(to->options, extra, extra_bytes);
	to->option_bytes = extra_bytes;
}

static void put_classes(struct cw_ns_view *view, const struct cw_namespace_record *ns)
{
	_Static_assert(CW_NS_VIEW_CLASSES_MAX == CW_NS_CLASSES_MAX, "one number");
	put_class(&view->base, &ns->boot, ns->extra, 0);
	for (unsigned int i = 0; i < ns->class_count; i++) {
		const struct cw_ns_class *from = &ns->classes[i];
		struct cw_ns_view_class *to = &view->classes[view->class_count++];

		put_class(to, &from->boot, from->extra, from->extra_bytes);
		to->option = from->option;
		to->match_bytes = (uint8_t)strlen(from->match);
		memcpy(to->match, from->match, to->match_bytes);
	}
}

static void free_view(struct cw_rcu_head *head)
{
	free(CW_CONTAINER_OF(head, struct cw_ns_view, rcu));
}

static int create_tables(struct cw_control *ctl)
{
	int err;

	if (ctl->hosts == NULL) {
		err = cw_host_table_create(&ctl->hosts, ctl->config.rcu, CW_HOST_MAX);
		if (err < 0)
			return err;
	}
	if (ctl->names == NULL) {
		err = cw_name_table_create(&ctl->names, ctl->config.rcu, CW_NAMES_MAX,
					   cw_random_u64(&ctl->config.random));
		if (err < 0)
			return err;
	}
	if (ctl->routes == NULL)
		return cw_route_table_create(&ctl->routes, ctl->config.rcu,
					     ctl->config.routes_hint);
	return 0;
}

int cw_view_publish(struct cw_control *ctl)
{
	const struct cw_namespace_record *ns = &ctl->ns;
	struct cw_ns_view *old = ctl->view, *view = calloc(1, sizeof(*view));
	struct cw_policy *old_policy = ctl->policy, *policy = NULL;
	int err;

	if (view == NULL)
		return -ENOMEM;
	err = create_tables(ctl);
	if (err == 0)
		err = cw_policy_build(ctl, &policy);
	if (err < 0) {
		free(view);
		return err;
	}
	view->vlan = ctl->config.vlan;
	view->subnet = ns->subnet;
	view->broadcast = ns->subnet.ip | ~cw_prefix4_mask(ns->subnet.len);
	view->service_ip = cw_namespace_service_ip(ns);
	view->mac_base = ns->mac_base;
	cw_ns_slot_mac(ns->mac_base, 0, &view->service_mac);
	view->virtual_mac_slots = ctl->config.virtual_mac_slots;
	view->mtu_bytes = ns->mtu_bytes;
	view->lease_s = ns->lease_s;
	view->t1_s = ns->lease_s / 2;
	view->t2_s = (uint32_t)((uint64_t)ns->lease_s * 7 / 8);
	memcpy(view->site, ctl->site.b, sizeof(view->site));
	view->deadline = &ctl->deadline;
	view->hosts = ctl->hosts;
	view->routes = ctl->routes;
	view->names = ctl->names;
	set_zone(view, ns);
	view->rapid_commit = ns->rapid_commit;
	view->select = ctl->config.select;
	put_options(view, ns);
	put_classes(view, ns);
	view->policy = policy;

	ctl->policy = policy;
	ctl->view = view;
	ctl->ops.publish_view(ctl->ctx, view->vlan, view);
	if (old != NULL)
		cw_rcu_retire(ctl->config.rcu, &old->rcu, free_view);
	cw_policy_retire(ctl, old_policy);
	return 0;
}

void cw_view_withdraw(struct cw_control *ctl)
{
	struct cw_ns_view *old = ctl->view;

	if (old == NULL)
		return;
	ctl->view = NULL;
	ctl->ops.publish_view(ctl->ctx, old->vlan, NULL);
	cw_rcu_retire(ctl->config.rcu, &old->rcu, free_view);
	cw_policy_retire(ctl, ctl->policy);
	ctl->policy = NULL;
}
