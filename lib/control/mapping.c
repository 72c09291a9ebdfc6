/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port of the router in front that was opened for us (wan.port_mapping): whoever asked for it
 * tells, here it becomes one of the endpoints that this node announces, and one line for operators.
 *
 * It decides nothing: peers try the endpoint like any other, and DTLS says who is there.
 */
#include "internal.h"

/* Not on the Internet (RFC 1918, 6598, 3927): another NAT stands behind the router. */
static bool is_private(rte_be32_t ip)
{
	uint32_t a = rte_be_to_cpu_32(ip);

	return a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 || a >> 16 == 0xa9fe ||
	       a >> 22 == 0x191;
}

void cw_control_port_mapping(struct cw_control *ctl, const struct cw_control_mapping *mapping,
			     uint64_t now_ns)
{
	bool moved = !cw_endpoint_equal(&mapping->endpoint, &ctl->mapping.endpoint);
	bool is = mapping->endpoint.family != CW_FAMILY_NONE;
	char at[CW_ENDPOINT_TEXT_BYTES];

	ctl->now_ns = now_ns;
	if (is && (moved || !ctl->mapping_told))
		cw_log(ctl->config.log, CW_LOG_NOTICE, CW_CONTROL_MODULE,
		       "the router maps %s to us (%s)", cw_endpoint_format(&mapping->endpoint, at),
		       mapping->protocol);
	else if (!is && (moved || !ctl->mapping_told))
		cw_log(ctl->config.log, CW_LOG_WARN, CW_CONTROL_MODULE, "no port mapping: %s",
		       mapping->why);
	ctl->mapping = *mapping;
	ctl->mapping_told = true;
	if (moved)
		cw_overlay_mapped(ctl->overlay, is ? &mapping->endpoint : NULL, now_ns);
}

json_t *cw_mapping_json(const struct cw_control *ctl)
{
	const struct cw_control_mapping *m = &ctl->mapping;
	char at[CW_ENDPOINT_TEXT_BYTES];

	if (!ctl->config.maps_port)
		return json_null();
	if (m->endpoint.family == CW_FAMILY_NONE)
		return json_pack("{s:s, s:s}", "state", ctl->mapping_told ? "failed" : "asking",
				 "why", m->why);
	return json_pack("{s:s, s:s, s:s, s:I, s:s}", "state", "mapped", "protocol", m->protocol,
			 "endpoint", cw_endpoint_format(&m->endpoint, at), "lifetime_s",
			 (json_int_t)m->lifetime_s, "note",
			 is_private(m->endpoint.ip4)
				 ? "a private address: another NAT stands behind the router"
				 : "");
}
