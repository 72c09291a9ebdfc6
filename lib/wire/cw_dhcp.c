/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading DHCP messages.
 *
 * The options field is walked first, then, if option 52 says so, `file` and `sname` (RFC 2131
 * section 4.1). An option that comes in several pieces is one option, in that order (RFC 3396
 * section 5): its pieces are put together beside the message.
 *
 * Refuses: messages without the cookie, lengths that run out of their field, options shorter than
 * their meaning. Invariant: no byte beyond `len` is read; a view lies inside the message.
 */
#include "cw_dhcp.h"

static bool read_u32(const uint8_t *data, unsigned int len, rte_be32_t *out)
{
	if (len != 4)
		return false;
	memcpy(out, data, 4);
	return true;
}

/* @return false when there are more pieces than are ever put together. */
static bool view_set(struct cw_dhcp_view *view, const uint8_t *data, unsigned int len,
		     struct cw_dhcp_pieces *pieces)
{
	uint8_t *joined = pieces->bytes + pieces->used;

	if (view->data == NULL) {
		view->data = data;
		view->len = (uint16_t)len;
		return true;
	}
	if (pieces->used + view->len + len > sizeof(pieces->bytes))
		return false;
	memcpy(joined, view->data, view->len);
	memcpy(joined + view->len, data, len);
	view->data = joined;
	view->len = (uint16_t)(view->len + len);
	pieces->used = (uint16_t)(pieces->used + view->len);
	return true;
}

/* One option. @return false when it is malformed. */
static bool take_option(struct cw_dhcp_message *m, uint8_t code, const uint8_t *data,
			unsigned int len, uint8_t *overload, struct cw_dhcp_pieces *pieces)
{
	rte_be32_t value;

	switch (code) {
	case CW_DHCP_OPT_TYPE:
		if (len != 1 || data[0] < CW_DHCP_DISCOVER || data[0] > CW_DHCP_INFORM)
			return false;
		m->type = data[0];
		return true;
	case CW_DHCP_OPT_REQUESTED_IP:
		return read_u32(data, len, &m->requested_ip);
	case CW_DHCP_OPT_SERVER_ID:
		return read_u32(data, len, &m->server_id);
	case CW_DHCP_OPT_LEASE_TIME:
		if (!read_u32(data, len, &value))
			return false;
		m->lease_s = rte_be_to_cpu_32(value);
		return true;
	case CW_DHCP_OPT_MAX_SIZE:
		if (len != 2)
			return false;
		m->max_bytes = (uint16_t)(data[0] << 8 | data[1]);
		return true;
	case CW_DHCP_OPT_OVERLOAD:
		if (len != 1 || data[0] < 1 || data[0] > 3)
			return false;
		*overload = data[0];
		return true;
	case CW_DHCP_OPT_RAPID_COMMIT:
		m->rapid_commit = len == 0;
		return len == 0;
	case CW_DHCP_OPT_CLIENT_ID:
		return view_set(&m->client_id, data, len, pieces);
	case CW_DHCP_OPT_HOST_NAME:
		return view_set(&m->host_name, data, len, pieces);
	case CW_DHCP_OPT_PARAMETERS:
		return view_set(&m->parameters, data, len, pieces);
	case CW_DHCP_OPT_VENDOR_CLASS:
		return view_set(&m->vendor_class, data, len, pieces);
	case CW_DHCP_OPT_USER_CLASS:
		return view_set(&m->user_class, data, len, pieces);
	case CW_DHCP_OPT_RELAY_INFO:
		return view_set(&m->relay_info, data, len, pieces);
	default:
		return true;
	}
}

static bool take_options(struct cw_dhcp_message *m, const uint8_t *data, size_t len,
			 uint8_t *overload, struct cw_dhcp_pieces *pieces)
{
	size_t at = 0;

	while (at < len && data[at] != CW_DHCP_OPT_END) {
		uint8_t code = data[at++];
		unsigned int bytes;

		if (code == CW_DHCP_OPT_PAD)
			continue;
		if (at >= len)
			return false;
		bytes = data[at++];
		if (bytes > len - at || !take_option(m, code, data + at, bytes, overload, pieces))
			return false;
		at += bytes;
	}
	return true;
}

/* What an option has at least, put together (RFC 2132). */
static bool lengths_are_right(const struct cw_dhcp_message *m)
{
	return (m->client_id.data == NULL || m->client_id.len >= 2) && /* section 9.14 */
	       (m->host_name.data == NULL || m->host_name.len >= 1) &&
	       (m->parameters.data == NULL || m->parameters.len >= 1);
}

enum cw_drop cw_dhcp_parse(const uint8_t *data, size_t len, struct cw_dhcp_message *out,
			   struct cw_dhcp_pieces *pieces)
{
	return cw_dhcp_parse_cookie(data, len, 0, out, pieces);
}

enum cw_drop cw_dhcp_parse_cookie(const uint8_t *data, size_t len, rte_be32_t cookie,
				  struct cw_dhcp_message *out, struct cw_dhcp_pieces *pieces)
{
	const struct cw_dhcp_fixed *f = (const struct cw_dhcp_fixed *)data;
	uint8_t overload = 0, ignored = 0;

	if (cookie == 0)
		cookie = rte_cpu_to_be_32(CW_DHCP_COOKIE);
	if (len < sizeof(*f) || f->cookie != cookie || f->hlen > sizeof(f->chaddr))
		return CW_DROP_DHCP_MALFORMED;
	*out = (struct cw_dhcp_message){.op = f->op,
					.htype = f->htype,
					.hlen = f->hlen,
					.xid = f->xid,
					.cookie = f->cookie,
					.secs = rte_be_to_cpu_16(f->secs),
					.flags = f->flags,
					.broadcast = f->flags & rte_cpu_to_be_16(CW_DHCP_BROADCAST),
					.ciaddr = f->ciaddr,
					.giaddr = f->giaddr};
	pieces->used = 0;
	memcpy(out->chaddr_raw, f->chaddr, sizeof(out->chaddr_raw));
	memcpy(out->chaddr.b, f->chaddr, sizeof(out->chaddr.b));
	if (!take_options(out, data + sizeof(*f), len - sizeof(*f), &overload, pieces))
		return CW_DROP_DHCP_MALFORMED;
	/* RFC 2131 section 4.1: options first, then file, then sname. */
	if ((overload & 1) && !take_options(out, f->file, sizeof(f->file), &ignored, pieces))
		return CW_DROP_DHCP_MALFORMED;
	if ((overload & 2) && !take_options(out, f->sname, sizeof(f->sname), &ignored, pieces))
		return CW_DROP_DHCP_MALFORMED;
	return lengths_are_right(out) ? CW_DROP_NONE : CW_DROP_DHCP_MALFORMED;
}

bool cw_dhcp_wants(const struct cw_dhcp_message *m, uint8_t code)
{
	return m->parameters.data == NULL ||
	       memchr(m->parameters.data, code, m->parameters.len) != NULL;
}
