/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing DHCP replies: the fixed part from the request, options in the order they are put, relay
 * information echoed last. An option that the options field does not hold goes on in `file`, then
 * in `sname` (option overload), never back: pieces of one option must be read in order. One that
 * fits nowhere is left out and remembered in `full`. Room for relay information, option 52 and the
 * end octet is kept back from the beginning, so that what MUST be echoed always fits or the reply
 * is given up as a whole.
 */
#include "cw_dhcp.h"

/* Offsets and sizes of what options may overflow into. */
static const struct {
	size_t at, size;
} areas[CW_DHCP_AREAS] = {
	[CW_DHCP_IN_FILE] = {offsetof(struct cw_dhcp_fixed, file), 128},
	[CW_DHCP_IN_SNAME] = {offsetof(struct cw_dhcp_fixed, sname), 64},
};

/* Relay information (in pieces of 255, like any option), option 52, end. */
static size_t keep_back(const struct cw_dhcp_message *to)
{
	size_t relay = to->relay_info.data == NULL ? 0 : to->relay_info.len;

	return 4 + (relay == 0 ? 0 : relay + 2 * ((relay + UINT8_MAX - 1) / UINT8_MAX));
}

void cw_dhcp_reply_begin(struct cw_dhcp_writer *w, uint8_t *data, size_t size,
			 const struct cw_dhcp_message *to, enum cw_dhcp_type type,
			 rte_be32_t yiaddr)
{
	struct cw_dhcp_fixed *f = (struct cw_dhcp_fixed *)data;
	size_t keep = keep_back(to);
	uint8_t octet = (uint8_t)type;

	CW_ASSERT(size >= CW_DHCP_MIN_BYTES);
	memset(f, 0, sizeof(*f));
	f->op = 2;
	f->htype = to->htype;
	f->hlen = to->hlen;
	f->xid = to->xid;
	f->flags = to->flags;
	/* RFC 2131 section 4.3.2: the relay agent must broadcast it, the address is not the
	 * client's. */
	if (type == CW_DHCP_NAK && to->giaddr != 0)
		f->flags |= rte_cpu_to_be_16(CW_DHCP_BROADCAST);
	f->ciaddr = type == CW_DHCP_ACK ? to->ciaddr : 0;
	f->yiaddr = yiaddr;
	f->giaddr = to->giaddr;
	memcpy(f->chaddr, to->chaddr_raw, sizeof(f->chaddr));
	f->cookie = to->cookie != 0 ? to->cookie : rte_cpu_to_be_32(CW_DHCP_COOKIE);
	*w = (struct cw_dhcp_writer){
		.data = data, .len = sizeof(*f), .size = size > keep ? size - keep : 0};
	cw_dhcp_put(w, CW_DHCP_OPT_TYPE, &octet, 1);
}

static void put_text(uint8_t *field, size_t size, const char *text)
{
	memcpy(field, text, strnlen(text, size - 1));
}

void cw_dhcp_put_boot(struct cw_dhcp_writer *w, rte_be32_t next_server, const char *file,
		      const char *server_name)
{
	struct cw_dhcp_fixed *f = (struct cw_dhcp_fixed *)w->data;

	f->siaddr = next_server;
	put_text(f->file, sizeof(f->file), file);
	put_text(f->sname, sizeof(f->sname), server_name);
	w->taken = (uint8_t)((file[0] != '\0' ? 1 : 0) | (server_name[0] != '\0' ? 2 : 0));
}

static bool append(struct cw_dhcp_writer *w, uint8_t code, const uint8_t *data, uint8_t len)
{
	uint8_t *to;

	if (w->area == CW_DHCP_IN_OPTIONS && w->len + 2u + len <= w->size) {
		to = w->data + w->len;
		w->len += 2u + len;
	} else {
		uint8_t *used;

		if (w->area == CW_DHCP_IN_OPTIONS)
			w->area = CW_DHCP_IN_FILE;
		used = w->area == CW_DHCP_IN_FILE ? &w->file_len : &w->sname_len;
		/* The last octet of each is its end. */
		if ((w->taken & w->area) || *used + 3u + len > areas[w->area].size) {
			if (w->area == CW_DHCP_IN_SNAME)
				return false;
			w->area = CW_DHCP_IN_SNAME;
			return append(w, code, data, len);
		}
		to = w->data + areas[w->area].at + *used;
		*used = (uint8_t)(*used + 2u + len);
		w->overload |= (uint8_t)w->area;
	}
	to[0] = code;
	to[1] = len;
	memcpy(to + 2, data, len);
	return true;
}

void cw_dhcp_put(struct cw_dhcp_writer *w, uint8_t code, const void *data, size_t len)
{
	struct cw_dhcp_writer before = *w;
	size_t at = 0;

	do {
		uint8_t piece = (uint8_t)(len - at > UINT8_MAX ? UINT8_MAX : len - at);

		if (!append(w, code, (const uint8_t *)data + at, piece)) {
			*w = before;
			w->full = true;
			return;
		}
		at += piece;
	} while (at < len);
}

void cw_dhcp_put_u32(struct cw_dhcp_writer *w, uint8_t code, uint32_t value)
{
	rte_be32_t wire = rte_cpu_to_be_32(value);

	cw_dhcp_put(w, code, &wire, sizeof(wire));
}

static bool has_code(const uint8_t *options, size_t len, uint8_t code)
{
	for (size_t at = 0; at + 2 <= len; at += 2u + options[at + 1])
		if (options[at] == code)
			return true;
	return false;
}

void cw_dhcp_put_ready(struct cw_dhcp_writer *w, const struct cw_dhcp_message *to,
		       const uint8_t *options, size_t len, const uint8_t *instead,
		       size_t instead_len)
{
	size_t at = 0;

	while (at + 2 <= len && at + 2 + options[at + 1] <= len) {
		if (cw_dhcp_wants(to, options[at]) && !has_code(instead, instead_len, options[at]))
			cw_dhcp_put(w, options[at], options + at + 2, options[at + 1]);
		at += 2u + options[at + 1];
	}
}

size_t cw_dhcp_reply_end(struct cw_dhcp_writer *w, const struct cw_dhcp_message *to)
{
	if (w->size == 0)
		return 0;
	w->size += keep_back(to);
	w->area = CW_DHCP_IN_OPTIONS;
	w->full = false;
	if (w->overload != 0)
		cw_dhcp_put(w, CW_DHCP_OPT_OVERLOAD, &w->overload, 1);
	if (w->overload & CW_DHCP_IN_FILE)
		w->data[areas[CW_DHCP_IN_FILE].at + w->file_len] = CW_DHCP_OPT_END;
	if (w->overload & CW_DHCP_IN_SNAME)
		w->data[areas[CW_DHCP_IN_SNAME].at + w->sname_len] = CW_DHCP_OPT_END;
	if (to->relay_info.data != NULL && to->relay_info.len > 0)
		cw_dhcp_put(w, CW_DHCP_OPT_RELAY_INFO, to->relay_info.data, to->relay_info.len);
	if (w->full || w->area != CW_DHCP_IN_OPTIONS || w->len >= w->size)
		return 0; /* what must be echoed does not fit */
	w->data[w->len++] = CW_DHCP_OPT_END;
	if (w->len < CW_DHCP_MIN_BYTES) {
		memset(w->data + w->len, 0, CW_DHCP_MIN_BYTES - w->len);
		w->len = CW_DHCP_MIN_BYTES;
	}
	return w->len;
}
