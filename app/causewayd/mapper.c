/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mapper: a process that keeps a port of the router in front open for us (drivers/portmap).
 *
 * Not a thread, for what it reads, XML and datagrams of the WAN's segment, is read by libraries
 * that have no business beside our keys. It is forked while there is one thread and nothing secret,
 * gives up root, goes behind the seccomp filter, and says what the router granted, over a socket.
 * It takes the mapping back when that socket closes, so after a crash as well. Control looks once a
 * second and never waits; only a stop does, a few seconds at most.
 */
#include "daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cw_portmap.h>

_Static_assert(CW_PORTMAP_WHY_BYTES == sizeof(((struct cw_control_mapping *)0)->why),
	       "the phrase is handed on as it is");

/* The router is asked to forget us: longer than a router that lives needs. */
#define STOP_MS 5000
#define LOOK_MS 20

static const char *protocol_name(uint8_t protocol)
{
	static const char *const names[] = {[CW_PORTMAP_NONE] = "",
					    [CW_PORTMAP_NATPMP] = "nat-pmp",
					    [CW_PORTMAP_UPNP] = "upnp"};

	return protocol < CW_ARRAY_SIZE(names) ? names[protocol] : "";
}

/* It needs no power at all. @return 0 or -errno. */
static int give_up(struct daemon *d)
{
	const char *user = d->config.user[0] != '\0' ? d->config.user : "nobody";
	uint32_t uid, gid;
	int rc = 0;

	cw_os_no_dumps();
	if (geteuid() == 0) {
		rc = cw_os_find_user(user, "", &uid, &gid);
		rc = rc < 0 ? rc : cw_os_become(uid, gid);
		cw_os_no_dumps(); /* a change of user resets it */
	}
#if !defined(__SANITIZE_ADDRESS__)
	if (rc == 0 && d->config.seccomp)
		rc = cw_os_confine();
#endif
	return rc;
}

static void map(struct daemon *d, int fd)
{
	struct cw_portmap_params params = {
		.ip = d->wan_ip,
		.router = d->wan_gateway,
		.port = rte_cpu_to_be_16((uint16_t)d->config.wan_port),
		.natpmp = d->config.port_mapping != CW_CONFIG_PORT_MAPPING_UPNP,
		.upnp = d->config.port_mapping != CW_CONFIG_PORT_MAPPING_NATPMP,
	};
	struct cw_portmap_report refused = {.why = "the mapper could not give up its power"};

	if (give_up(d) == 0)
		cw_portmap_run(fd, &params);
	else
		(void)!send(fd, &refused, sizeof(refused), MSG_NOSIGNAL);
	_exit(0);
}

int mapper_open(struct daemon *d)
{
	int fds[2];

	if (d->config.port_mapping == CW_CONFIG_PORT_MAPPING_OFF)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return FAIL(d, "wan.port_mapping: %s", strerror(errno));
	d->mapper = fork();
	if (d->mapper < 0) {
		close(fds[0]);
		close(fds[1]);
		d->mapper = 0;
		return FAIL(d, "wan.port_mapping: %s", strerror(errno));
	}
	if (d->mapper == 0) {
		close(fds[0]);
		map(d, fds[1]);
	}
	close(fds[1]);
	d->mapper_fd = fds[0];
	return 0;
}

static void take(struct daemon *d, const struct cw_portmap_report *report)
{
	struct cw_control_mapping m = {.protocol = protocol_name(report->protocol),
				       .lifetime_s = report->lifetime_s};

	if (report->protocol != CW_PORTMAP_NONE)
		m.endpoint = (struct cw_endpoint){
			.family = CW_FAMILY_IPV4, .ip4 = report->ip, .port = report->port};
	memcpy(m.why, report->why, sizeof(m.why));
	m.why[sizeof(m.why) - 1] = '\0';
	cw_control_port_mapping(d->control, &m, cw_os_now_ns());
}

void mapper_look(struct daemon *d)
{
	struct cw_portmap_report report = {.why = "the mapper has ended"};
	ssize_t n;

	while (d->mapper > 0) {
		n = recv(d->mapper_fd, &report, sizeof(report), MSG_DONTWAIT);
		if (n < 0)
			return;
		if (n != sizeof(report)) {
			/* It ended by itself, which it does not do. */
			close(d->mapper_fd);
			waitpid(d->mapper, NULL, WNOHANG);
			d->mapper = 0;
			report = (struct cw_portmap_report){.why = "the mapper has ended"};
		}
		take(d, &report);
	}
}

void mapper_close(struct daemon *d)
{
	if (d->mapper <= 0)
		return;
	close(d->mapper_fd);
	for (int ms = 0; ms < STOP_MS; ms += LOOK_MS) {
		if (waitpid(d->mapper, NULL, WNOHANG) == d->mapper) {
			d->mapper = 0;
			return;
		}
		usleep(LOOK_MS * 1000);
	}
	/* The router does not answer: it forgets the mapping when its time is over. */
	kill(d->mapper, SIGKILL);
	waitpid(d->mapper, NULL, 0);
	d->mapper = 0;
}
