/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NAT-PMP: two questions to the router, its outer address and the mapping. PCP servers answer them
 * too, or say that they do not (RFC 6887 appendix A). RFC 6886 lets a client ask for two minutes; a
 * router on the same segment has answered after TRIES or never will.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <natpmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "internal.h"

#define TRIES	      4
#define FIRST_WAIT_MS 250

static const char *reason(int rc)
{
	switch (rc) {
	case NATPMP_ERR_UNSUPPORTEDVERSION:
	case NATPMP_ERR_UNSUPPORTEDOPCODE:
		return "the router knows no NAT-PMP";
	case NATPMP_ERR_NOTAUTHORIZED:
		return "the router refuses by NAT-PMP";
	case NATPMP_ERR_NETWORKFAILURE:
		return "the router has no outer address";
	case NATPMP_ERR_OUTOFRESOURCES:
		return "the router has no port left";
	default:
		return "the router does not answer NAT-PMP";
	}
}

/* The library repeats the question itself when it is asked for the answer too late. */
static int answer_of(natpmp_t *n, natpmpresp_t *answer)
{
	int rc = NATPMP_TRYAGAIN, wait_ms = FIRST_WAIT_MS;

	for (int i = 0; i < TRIES && rc == NATPMP_TRYAGAIN; i++, wait_ms *= 2) {
		struct pollfd pfd = {.fd = n->s, .events = POLLIN};

		poll(&pfd, 1, wait_ms);
		rc = readnatpmpresponseorretry(n, answer);
	}
	return rc;
}

/* A router sees the address that the kernel gives the question: it must be the one to map. */
static bool asks_from(const natpmp_t *n, rte_be32_t ip)
{
	struct sockaddr_in self = {.sin_family = AF_INET};
	socklen_t len = sizeof(self);

	return getsockname(n->s, (struct sockaddr *)&self, &len) == 0 && self.sin_addr.s_addr == ip;
}

static int ask(natpmp_t *n, const struct cw_portmap_params *p, uint32_t lifetime_s,
	       struct cw_portmap_report *out)
{
	natpmpresp_t answer;
	uint16_t port = ntohs(p->port);
	int rc;

	if (!asks_from(n, p->ip))
		return WHY(out, "the kernel does not reach the router from the WAN's address");
	if (lifetime_s != 0) {
		rc = sendpublicaddressrequest(n);
		rc = rc < 0 ? rc : answer_of(n, &answer);
		if (rc != 0)
			return WHY(out, "%s", reason(rc));
		out->ip = answer.pnu.publicaddress.addr.s_addr;
	}
	/* To end one, the outer port is 0 (RFC 6886 section 3.4). */
	rc = sendnewportmappingrequest(n, NATPMP_PROTOCOL_UDP, port, lifetime_s != 0 ? port : 0,
				       lifetime_s);
	rc = rc < 0 ? rc : answer_of(n, &answer);
	if (rc != 0)
		return WHY(out, "%s", reason(rc));
	out->protocol = CW_PORTMAP_NATPMP;
	out->port = htons(answer.pnu.newportmapping.mappedpublicport);
	out->lifetime_s = answer.pnu.newportmapping.lifetime;
	return 0;
}

int natpmp_map(const struct cw_portmap_params *p, uint32_t lifetime_s,
	       struct cw_portmap_report *out)
{
	natpmp_t n;
	int rc = initnatpmp(&n, 1, p->router);

	if (rc != 0)
		return WHY(out, "the router cannot be asked: %s", strerror(errno));
	rc = ask(&n, p, lifetime_s, out);
	closenatpmp(&n);
	return rc;
}
