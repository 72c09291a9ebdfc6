/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Facts about a netdev from the kernel, by rtnetlink: index, MAC, MTU, flags, first IPv4 address,
 * the default route through it (of several the one with the lowest metric); receive queues from
 * sysfs.
 */
#include "cw_os.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

/* What the callbacks of one look-up fill. */
struct lookup {
	struct cw_os_netdev *facts;
	uint32_t metric; /* of the default route in facts */
};

static int on_link(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	struct cw_os_netdev *out = ((struct lookup *)arg)->facts;
	const struct nlattr *attr;

	if ((unsigned int)ifi->ifi_index != out->ifindex)
		return MNL_CB_OK;
	out->up = ifi->ifi_flags & IFF_UP;
	out->promiscuous = ifi->ifi_flags & IFF_PROMISC;
	mnl_attr_for_each(attr, nlh, sizeof(*ifi))
	{
		if (mnl_attr_get_type(attr) == IFLA_ADDRESS && mnl_attr_get_payload_len(attr) == 6)
			memcpy(out->mac.b, mnl_attr_get_payload(attr), 6);
		else if (mnl_attr_get_type(attr) == IFLA_MTU)
			out->mtu = mnl_attr_get_u32(attr);
	}
	return MNL_CB_OK;
}

static int on_address(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	struct cw_os_netdev *out = ((struct lookup *)arg)->facts;
	const struct nlattr *attr;

	if (ifa->ifa_index != out->ifindex || out->have_address ||
	    (ifa->ifa_flags & IFA_F_SECONDARY))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa))
	{
		if (mnl_attr_get_type(attr) != IFA_LOCAL || mnl_attr_get_payload_len(attr) != 4)
			continue;
		memcpy(&out->ip, mnl_attr_get_payload(attr), 4);
		out->prefix_len = ifa->ifa_prefixlen;
		out->have_address = true;
	}
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	struct lookup *look = arg;
	const struct nlattr *attr;
	uint32_t oif = 0, metric = 0;
	rte_be32_t gateway = 0;

	if (rtm->rtm_dst_len != 0 || rtm->rtm_table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*rtm))
	{
		if (mnl_attr_get_type(attr) == RTA_OIF)
			oif = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_PRIORITY)
			metric = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == RTA_GATEWAY &&
			 mnl_attr_get_payload_len(attr) == 4)
			memcpy(&gateway, mnl_attr_get_payload(attr), 4);
	}
	if (oif != look->facts->ifindex || gateway == 0 || metric >= look->metric)
		return MNL_CB_OK;
	look->facts->gateway = gateway;
	look->metric = metric;
	return MNL_CB_OK;
}

static unsigned int count_rx_queues(const char *name)
{
	char path[128];
	struct dirent *entry;
	unsigned int n = 0;
	DIR *list;

	snprintf(path, sizeof(path), "/sys/class/net/%s/queues", name);
	list = opendir(path);
	while (list != NULL && (entry = readdir(list)) != NULL)
		n += strncmp(entry->d_name, "rx-", 3) == 0;
	if (list != NULL)
		closedir(list);
	/* No sysfs of this network namespace: one is what every netdev has. */
	return n > 0 ? n : 1;
}

static int dump(struct mnl_socket *nl, uint16_t type, mnl_cb_t cb, struct lookup *look)
{
	/* Large enough for any message of a dump: MNL_SOCKET_BUFFER_SIZE is at most 8192. */
	uint8_t buf[8192];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtgenmsg *rt;
	unsigned int portid = mnl_socket_get_portid(nl);
	ssize_t n;
	int rc = MNL_CB_OK;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = type;
	rt = mnl_nlmsg_put_extra_header(nlh, sizeof(struct rtmsg));
	memset(rt, 0, sizeof(struct rtmsg));
	rt->rtgen_family = type == RTM_GETLINK ? AF_UNSPEC : AF_INET;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (rc > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		rc = mnl_cb_run(buf, (size_t)n, type, portid, cb, look);
		if (rc < 0)
			return -errno;
	}
	return 0;
}

int cw_os_netdev_facts(const char *name, struct cw_os_netdev *out)
{
	struct lookup look = {.facts = out, .metric = UINT32_MAX};
	struct mnl_socket *nl;
	int rc;

	*out = (struct cw_os_netdev){.ifindex = if_nametoindex(name)};
	if (out->ifindex == 0)
		return -ENODEV;
	nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (nl == NULL)
		return -errno;
	rc = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	if (rc == 0)
		rc = dump(nl, RTM_GETLINK, on_link, &look);
	if (rc == 0)
		rc = dump(nl, RTM_GETADDR, on_address, &look);
	if (rc == 0)
		rc = dump(nl, RTM_GETROUTE, on_route, &look);
	mnl_socket_close(nl);
	out->rx_queues = count_rx_queues(name);
	return rc;
}
