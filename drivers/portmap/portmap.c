/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of one mapping: asked for by whichever protocol the router speaks, asked for again long
 * before it runs out (a router that was restarted has forgotten it, and may have another address),
 * taken back at the end. Where no router answers it is tried more and more rarely.
 *
 * Invariant: when cw_portmap_run has returned, a mapping that was granted was given back, as far as
 * the router could be reached.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "internal.h"

#define RENEW_S	      240
#define RETRY_FIRST_S 15
#define RETRY_LAST_S  900

struct mapping {
	const struct cw_portmap_params *params;
	struct upnp_router router;
};

static int map_with(struct mapping *m, enum cw_portmap_protocol protocol, uint32_t lifetime_s,
		    struct cw_portmap_report *out)
{
	int rc;

	memset(out, 0, sizeof(*out));
	rc = protocol == CW_PORTMAP_NATPMP ? natpmp_map(m->params, lifetime_s, out)
					   : upnp_map(m->params, &m->router, lifetime_s, out);
	if (rc < 0)
		out->protocol = CW_PORTMAP_NONE;
	return rc;
}

/* What worked before comes first; if neither works, both reasons are told. */
static void attempt(struct mapping *m, enum cw_portmap_protocol before,
		    struct cw_portmap_report *out)
{
	const struct cw_portmap_params *p = m->params;
	enum cw_portmap_protocol first =
		before == CW_PORTMAP_UPNP && p->upnp ? CW_PORTMAP_UPNP : CW_PORTMAP_NATPMP;
	enum cw_portmap_protocol second =
		first == CW_PORTMAP_UPNP ? CW_PORTMAP_NATPMP : CW_PORTMAP_UPNP;
	const bool allowed[] = {[CW_PORTMAP_NATPMP] = p->natpmp, [CW_PORTMAP_UPNP] = p->upnp};
	struct cw_portmap_report other;

	memset(out, 0, sizeof(*out));
	if (p->router == 0) {
		snprintf(out->why, sizeof(out->why), "the WAN has no router");
		return;
	}
	if (allowed[first] && map_with(m, first, LIFETIME_S, out) == 0)
		return;
	if (!allowed[second])
		return;
	other = *out;
	if (map_with(m, second, LIFETIME_S, out) < 0 && other.why[0] != '\0') {
		char why[CW_PORTMAP_WHY_BYTES];

		snprintf(why, sizeof(why), "%.44s; %.48s", other.why, out->why);
		memcpy(out->why, why, sizeof(why));
	}
}

/* @return true when the other end is gone. */
static bool wait_for(int fd, int seconds)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char unused;
	int n;

	do
		n = poll(&pfd, 1, seconds * 1000);
	while (n < 0 && errno == EINTR);
	/* Nothing is ever said to us. */
	return n != 0 && recv(fd, &unused, sizeof(unused), MSG_DONTWAIT) <= 0;
}

void cw_portmap_run(int fd, const struct cw_portmap_params *params)
{
	struct mapping m = {.params = params};
	struct cw_portmap_report report, told, last;
	enum cw_portmap_protocol granted = CW_PORTMAP_NONE;
	int retry_s = RETRY_FIRST_S, wait_s;

	memset(&told, 0xff, sizeof(told));
	memset(&report, 0, sizeof(report));
	do {
		attempt(&m, granted, &report);
		if (memcmp(&report, &told, sizeof(report)) != 0 &&
		    send(fd, &report, sizeof(report), MSG_NOSIGNAL) < 0)
			break;
		told = report;
		if (report.protocol != CW_PORTMAP_NONE) {
			granted = (enum cw_portmap_protocol)report.protocol;
			wait_s = RENEW_S;
			if (report.lifetime_s != 0 && report.lifetime_s / 2 < RENEW_S)
				wait_s = (int)(report.lifetime_s / 2) + 1;
			retry_s = RETRY_FIRST_S;
		} else {
			wait_s = retry_s;
			retry_s = retry_s * 2 < RETRY_LAST_S ? retry_s * 2 : RETRY_LAST_S;
		}
	} while (!wait_for(fd, wait_s));
	/* Also one whose renewal failed: the router may remember it. */
	if (granted != CW_PORTMAP_NONE)
		map_with(&m, granted, 0, &last);
}
