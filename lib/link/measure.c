/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Path MTU of a link (pmtu.c), measured by pings that are filled up to an exact size and go where
 * the link's packets go, DF set, inside DTLS: nobody but the peer can answer one. Over a relay they
 * are measured with the channel's header, and both legs count.
 *
 * Only links that carry hosts' traffic are measured, and after the first answer only while there is
 * some. Records of our own shrink with the path; what a handshake needs fits every path.
 *
 * Invariant: the owner was told (cw_link_ops.mtu) of every change of a link's MTU but the first
 * assumption, the first hop's.
 */
#include "internal.h"

#include <cw_channel.h>
#include <cw_udp.h>

#define IP_UDP_BYTES	(CW_IP4_BYTES + CW_UDP_BYTES)
#define FRAME_BYTES_MAX CW_DTLS_PROBE_BYTES_MAX

static size_t outer_bytes(const struct association *a)
{
	return IP_UDP_BYTES + (a->path.family == CW_FAMILY_RELAY ? CW_CHANNEL_BYTES : 0) +
	       a->links->config.dtls->overhead_bytes(a->session);
}

size_t measure_room(const struct association *a)
{
	size_t room = a->links->config.dtls->data_bytes_max(a->session), outer = outer_bytes(a);

	if (a->pmtu.mtu_bytes > outer)
		room = cw_min_u64(room, a->pmtu.mtu_bytes - outer);
	return room;
}

static void tell(struct association *a, uint64_t now_ns)
{
	struct cw_links *links = a->links;

	if (a->pmtu.mtu_bytes == a->told_mtu_bytes)
		return;
	a->told_mtu_bytes = a->pmtu.mtu_bytes;
	if (links->ops.mtu != NULL)
		links->ops.mtu(links->ctx, &a->identity.node, a->pmtu.mtu_bytes, now_ns);
}

/* A ping whose record makes a packet of exactly so many bytes; 0: as small as can be. */
static void send_probe(struct association *a, const struct cw_pmtu_probe *probe)
{
	static const uint8_t zeros[FRAME_BYTES_MAX]; /* sealed, so no network can shrink them */
	Causeway__Link__Ping ping = CAUSEWAY__LINK__PING__INIT;
	Causeway__Link__Frame frame = CAUSEWAY__LINK__FRAME__INIT;
	uint8_t record[FRAME_BYTES_MAX];
	size_t outer = outer_bytes(a), want, have;

	ping.token = probe->token;
	frame.version = CW_LINK_VERSION;
	frame.body_case = CAUSEWAY__LINK__FRAME__BODY_PING;
	frame.ping = &ping;
	want = probe->bytes > outer ? probe->bytes - outer : 0;
	if (want > sizeof(record))
		return;
	ping.filling.data = (uint8_t *)(uintptr_t)zeros;
	/* Lengths are written with as many bytes as they need: a second look settles that. */
	for (unsigned int i = 0; want > 0 && i < 3; i++) {
		have = causeway__link__frame__get_packed_size(&frame);
		if (have > want + ping.filling.len)
			break;
		ping.filling.len += want - have;
	}
	have = causeway__link__frame__get_packed_size(&frame);
	if (have > sizeof(record))
		return;
	causeway__link__frame__pack(&frame, record);
	if (a->links->config.dtls->probe(a->session, record, have) < 0)
		cw_log(a->links->config.log, CW_LOG_DEBUG, MODULE, "probe not sent");
}

static bool is_measured(const struct association *a)
{
	return a->links->config.mtu_bytes != 0 && a->is_link && a->sa.current != 0;
}

static void begin(struct association *a, uint64_t now_ns)
{
	const struct cw_link_config *config = &a->links->config;

	if (a->pmtu.mtu_bytes == 0)
		a->told_mtu_bytes = config->mtu_bytes;
	a->pmtu.mutate = (uint8_t)config->mutate_pmtu;
	cw_pmtu_start(&a->pmtu, config->mtu_bytes, config->mtu_raise_ns, now_ns);
	association_touch(a);
}

void measure_moved(struct association *a, uint64_t now_ns)
{
	if (is_measured(a))
		begin(a, now_ns);
}

uint64_t measure_timer(struct association *a, uint64_t now_ns)
{
	struct cw_pmtu_probe probes[CW_PMTU_PROBES_MAX];
	struct cw_pmtu_now now = {.now_ns = now_ns,
				  .rtt_ns = a->rtt_ns,
				  .busy = keepalive_is_busy(a, now_ns),
				  .random = &a->links->config.random};
	uint64_t next = CW_NEVER;
	unsigned int n;

	if (!is_measured(a))
		return CW_NEVER;
	if (a->pmtu.mtu_bytes == 0)
		begin(a, now_ns);
	n = cw_pmtu_timer(&a->pmtu, &now, probes, &next);
	tell(a, now_ns);
	for (unsigned int i = 0; i < n; i++)
		send_probe(a, &probes[i]);
	return next;
}

/* Whichever way it came back: on the way out it took this path. */
void measure_pong(struct association *a, uint64_t token, uint64_t now_ns)
{
	if (is_measured(a) && a->pmtu.mtu_bytes != 0 && cw_pmtu_answer(&a->pmtu, token, now_ns))
		tell(a, now_ns);
}

unsigned int cw_links_too_big(struct cw_links *links, const struct cw_endpoint *to,
			      uint16_t mtu_bytes, uint64_t now_ns)
{
	unsigned int asking = 0;

	for (unsigned int i = 0; i < links->count; i++) {
		struct association *a = links->all[i];
		struct cw_endpoint via;

		if (a->dead || !is_measured(a) || a->pmtu.mtu_bytes == 0 ||
		    !cw_links_via(links, &a->path, &via) || !cw_endpoint_equal(&via, to))
			continue;
		if (!cw_pmtu_hint(&a->pmtu, mtu_bytes, now_ns))
			continue;
		asking++;
		association_touch(a);
		tell(a, now_ns);
	}
	return asking;
}
