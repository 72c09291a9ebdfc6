/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing DHCP replies: the fixed part from the request, options in the order they are put, relay
 * information echoed last. An option that does not fit is left out and remembered in `full`; room
 * for relay information and the end octet is kept back from the beginning, so that what MUST be
 * echoed always fits or the reply is given up as a whole.
 */
#include "cw_dhcp.h"

void cw_dhcp_reply_begin(struct cw_dhcp_writer *w, uint8_t *data, size_t size,
			 const struct cw_dhcp_message *to, enum cw_dhcp_type type,
			 rte_be32_t yiaddr)
{
	struct cw_dhcp_fixed *f = (struct cw_dhcp_fixed *)data;
	size_t keep = 1 + (to->relay_info.data != NULL ? 2u + to->relay_info.len : 0);
	uint8_t octet = (uint8_t)type;

	CW_ASSERT(size >= CW_DHCP_MIN_BYTES);
	memset(f, 0, sizeof(*f));
	f->op = 2;
	f->htype = to->htype;
	f->hlen = to->hlen;
	f->xid = to->xid;
	f->flags = to->flags;
	f->ciaddr = type == CW_DHCP_ACK ? to->ciaddr : 0;
	f->yiaddr = yiaddr;
	f->giaddr = to->giaddr;
	memcpy(f->chaddr, to->chaddr_raw, sizeof(f->chaddr));
	f->cookie = rte_cpu_to_be_32(CW_DHCP_COOKIE);
	*w = (struct cw_dhcp_writer){
		.data = data, .len = sizeof(*f), .size = size > keep ? size - keep : 0};
	cw_dhcp_put(w, CW_DHCP_OPT_TYPE, &octet, 1);
}

void cw_dhcp_put(struct cw_dhcp_writer *w, uint8_t code, const void *data, size_t len)
{
	if (len > UINT8_MAX || w->len + 2 + len > w->size) {
		w->full = true;
		return;
	}
	w->data[w->len++] = code;
	w->data[w->len++] = (uint8_t)len;
	memcpy(w->data + w->len, data, len);
	w->len += len;
}

void cw_dhcp_put_u32(struct cw_dhcp_writer *w, uint8_t code, uint32_t value)
{
	rte_be32_t wire = rte_cpu_to_be_32(value);

	cw_dhcp_put(w, code, &wire, sizeof(wire));
}

void cw_dhcp_put_ready(struct cw_dhcp_writer *w, const struct cw_dhcp_message *to,
		       const uint8_t *options, size_t len)
{
	size_t at = 0;

	while (at + 2 <= len && at + 2 + options[at + 1] <= len) {
		if (cw_dhcp_wants(to, options[at]))
			cw_dhcp_put(w, options[at], options + at + 2, options[at + 1]);
		at += 2u + options[at + 1];
	}
}

size_t cw_dhcp_reply_end(struct cw_dhcp_writer *w, const struct cw_dhcp_message *to)
{
	if (w->size == 0)
		return 0;
	w->size += 1 + (to->relay_info.data != NULL ? 2u + to->relay_info.len : 0);
	if (to->relay_info.data != NULL)
		cw_dhcp_put(w, CW_DHCP_OPT_RELAY_INFO, to->relay_info.data, to->relay_info.len);
	w->data[w->len++] = CW_DHCP_OPT_END;
	if (w->len < CW_DHCP_MIN_BYTES) {
		memset(w->data + w->len, 0, CW_DHCP_MIN_BYTES - w->len);
		w->len = CW_DHCP_MIN_BYTES;
	}
	return w->len;
}
