/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UPnP IGD: a question to the segment who is a router (SSDP), its description by HTTP, the mapping
 * by SOAP. Anybody on the segment may answer the question: only a device whose description and
 * whose control URL are at the default router's address is spoken to.
 */
#include <arpa/inet.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define DISCOVER_MS 2000
#define TTL	    2
#define NAME	    "causeway"
/* The router can only map for good: it is taken back at the end. */
#define PERMANENT_ONLY 725

static bool is_at(const char *url, rte_be32_t ip)
{
	char prefix[sizeof("http://") + INET_ADDRSTRLEN] = "http://";
	size_t len = strlen(prefix);

	if (url == NULL ||
	    inet_ntop(AF_INET, &ip, prefix + len, (socklen_t)(sizeof(prefix) - len)) == NULL)
		return false;
	len = strlen(prefix);
	return strncmp(url, prefix, len) == 0 && (url[len] == ':' || url[len] == '/');
}

static const char *text_of(int rc)
{
	const char *text = strupnperror(rc);

	return text != NULL ? text : "an unknown error";
}

static int end(const struct upnp_router *router, const char *port, struct cw_portmap_report *out)
{
	if (router->control_url[0] == '\0' ||
	    UPNP_DeletePortMapping(router->control_url, router->service, port, "UDP", NULL) !=
		    UPNPCOMMAND_SUCCESS)
		return WHY(out, "UPnP: the router does not end it");
	return 0;
}

static int add(const struct upnp_router *router, const char *self, const char *port,
	       uint32_t lifetime_s, struct cw_portmap_report *out)
{
	char outer[40] = "", seconds[12];
	int rc = UPNP_GetExternalIPAddress(router->control_url, router->service, outer);

	if (rc != UPNPCOMMAND_SUCCESS || inet_pton(AF_INET, outer, &out->ip) != 1 || out->ip == 0)
		return WHY(out, "UPnP: the router has no outer address");
	snprintf(seconds, sizeof(seconds), "%u", lifetime_s);
	out->lifetime_s = lifetime_s;
	rc = UPNP_AddPortMapping(router->control_url, router->service, port, port, self, NAME,
				 "UDP", NULL, seconds);
	if (rc == PERMANENT_ONLY) {
		out->lifetime_s = 0;
		rc = UPNP_AddPortMapping(router->control_url, router->service, port, port, self,
					 NAME, "UDP", NULL, "0");
	}
	if (rc != UPNPCOMMAND_SUCCESS)
		return WHY(out, "UPnP: the router refuses: %s", text_of(rc));
	out->protocol = CW_PORTMAP_UPNP;
	return 0;
}

/* @return 0, or -1 with why. */
static int remember(const struct UPNPUrls *urls, const struct IGDdatas *data, rte_be32_t ip,
		    struct upnp_router *router, struct cw_portmap_report *out)
{
	if (!is_at(urls->controlURL, ip))
		return WHY(out, "UPnP: the router names another machine");
	if (strlen(urls->controlURL) >= sizeof(router->control_url))
		return WHY(out, "UPnP: the router's URL is too long");
	snprintf(router->control_url, sizeof(router->control_url), "%s", urls->controlURL);
	snprintf(router->service, sizeof(router->service), "%s", data->first.servicetype);
	return 0;
}

static int find(const struct cw_portmap_params *p, const char *self, struct upnp_router *router,
		struct cw_portmap_report *out)
{
	struct UPNPDev *all, *dev;
	struct UPNPUrls urls = {0};
	struct IGDdatas data = {0};
	int error = 0, rc;

	/* No help of a minissdpd: what it heard may be from other segments. */
	all = upnpDiscover(DISCOVER_MS, self, "/nonexistent", UPNP_LOCAL_PORT_ANY, 0, TTL, &error);
	for (dev = all; dev != NULL && !is_at(dev->descURL, p->router); dev = dev->pNext)
		;
	if (dev != NULL && UPNP_GetIGDFromUrl(dev->descURL, &urls, &data, NULL, 0) == 1) {
		rc = remember(&urls, &data, p->router, router, out);
		FreeUPNPUrls(&urls);
	} else if (dev == NULL && all != NULL) {
		rc = WHY(out, "UPnP devices answer, the default router does not");
	} else {
		rc = WHY(out, "no UPnP router answers");
	}
	freeUPNPDevlist(all);
	return rc;
}

int upnp_map(const struct cw_portmap_params *p, struct upnp_router *router, uint32_t lifetime_s,
	     struct cw_portmap_report *out)
{
	char self[INET_ADDRSTRLEN], port[8];

	if (inet_ntop(AF_INET, &p->ip, self, sizeof(self)) == NULL)
		return WHY(out, "no address");
	snprintf(port, sizeof(port), "%u", ntohs(p->port));
	out->port = p->port;
	if (lifetime_s == 0)
		return end(router, port, out);
	if (find(p, self, router, out) < 0)
		return -1;
	return add(router, self, port, lifetime_s, out);
}
