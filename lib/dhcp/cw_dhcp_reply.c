/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The making of DHCP replies, one text for workers and control: options by RFC 2131 table 3,
 * addresses by its section 4.1.
 *
 * The namespace's constants are ready bytes in the view; only what differs per client is made here.
 * Refuses to write an option that does not fit, and a lease of 0 outside INFORM.
 */
#include "cw_dhcp_respond.h"

#include <cw_eth.h>
#include <cw_udp.h>

bool cw_dhcp_client(const struct cw_dhcp_message *m, struct cw_client *out)
{
	if (m->client_id.data != NULL) {
		if (m->client_id.len > sizeof(out->bytes))
			return false;
		*out = (struct cw_client){.kind = 1, .len = (uint8_t)m->client_id.len};
		memcpy(out->bytes, m->client_id.data, m->client_id.len);
		return true;
	}
	*out = (struct cw_client){.kind = 0, .len = (uint8_t)(1 + m->hlen)};
	out->bytes[0] = m->htype;
	memcpy(out->bytes + 1, m->chaddr_raw, m->hlen);
	return m->hlen > 0;
}

bool cw_dhcp_host_name(const struct cw_dhcp_message *m, char out[CW_DHCP_HOST_NAME_BYTES])
{
	size_t len = m->host_name.data == NULL ? 0 : m->host_name.len;

	/* Some clients count a NUL in. */
	if (len > 0 && m->host_name.data[len - 1] == '\0')
		len--;
	if (len == 0 || len >= CW_DHCP_HOST_NAME_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = m->host_name.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '.'))
			return false;
	}
	memset(out, 0, CW_DHCP_HOST_NAME_BYTES);
	memcpy(out, m->host_name.data, len);
	return true;
}

/* RFC 3004 says lengths and texts in a row; most clients send just the text. */
static bool is_user_class(const struct cw_dhcp_view *v, const char *text, size_t len)
{
	size_t at = 0;

	if (v->data == NULL)
		return false;
	if (v->len == len && memcmp(v->data, text, len) == 0)
		return true;
	while (at < v->len && at + 1u + v->data[at] <= v->len) {
		if (v->data[at] == len && memcmp(v->data + at + 1, text, len) == 0)
			return true;
		at += 1u + v->data[at];
	}
	return false;
}

static bool is_vendor_class(const struct cw_dhcp_view *v, const char *text, size_t len)
{
	return v->data != NULL && v->len >= len && memcmp(v->data, text, len) == 0;
}

bool cw_dhcp_selected(const struct cw_ns_view *view, const struct cw_dhcp_message *m)
{
	const struct cw_ns_select *s = &view->select;

	if (s->mac_bytes != 0 && (m->hlen != 6 || memcmp(m->chaddr.b, s->mac, s->mac_bytes) != 0))
		return false;
	/* Who names us, or says that it has an address, was selected before: RELEASE and DECLINE
	 * carry no class. */
	if (m->server_id == view->service_ip || m->ciaddr != 0)
		return true;
	return (s->vendor_bytes == 0 ||
		is_vendor_class(&m->vendor_class, s->vendor, s->vendor_bytes)) &&
	       (s->user_bytes == 0 || is_user_class(&m->user_class, s->user, s->user_bytes));
}

static const struct cw_ns_view_class *class_of(const struct cw_ns_view *view,
					       const struct cw_dhcp_message *m)
{
	for (unsigned int i = 0; i < view->class_count; i++) {
		const struct cw_ns_view_class *c = &view->classes[i];

		if (c->option == CW_DHCP_OPT_VENDOR_CLASS &&
		    is_vendor_class(&m->vendor_class, c->match, c->match_bytes))
			return c;
		if (c->option == CW_DHCP_OPT_USER_CLASS &&
		    is_user_class(&m->user_class, c->match, c->match_bytes))
			return c;
	}
	return NULL;
}

static void put_boot(struct cw_dhcp_writer *w, const struct cw_ns_view *view,
		     const struct cw_ns_view_class *c)
{
	rte_be32_t next =
		c != NULL && c->next_server != 0 ? c->next_server : view->base.next_server;
	const char *file = c != NULL && c->file[0] != '\0' ? c->file : view->base.file;

	if (next != 0 || file[0] != '\0')
		cw_dhcp_put_boot(w, next, file, "");
}

size_t cw_dhcp_reply(const struct cw_ns_view *view, const struct cw_dhcp_message *request,
		     enum cw_dhcp_type type, rte_be32_t yiaddr, uint32_t lease_s, uint8_t *out,
		     size_t size)
{
	const struct cw_ns_view_class *class = NULL;
	struct cw_dhcp_writer w;

	/* A client that says how much it takes gets no more (RFC 2132 section 9.10); 576 is
	 * everybody's. */
	if (request->max_bytes >= 576 && size > request->max_bytes - 28u)
		size = request->max_bytes - 28u;
	cw_dhcp_reply_begin(&w, out, size, request, type, yiaddr);
	if (type != CW_DHCP_NAK) {
		class = class_of(view, request);
		put_boot(&w, view, class);
	}
	cw_dhcp_put(&w, CW_DHCP_OPT_SERVER_ID, &view->service_ip, 4);
	if (type == CW_DHCP_ACK && request->type == CW_DHCP_DISCOVER)
		cw_dhcp_put(&w, CW_DHCP_OPT_RAPID_COMMIT, "", 0);
	if (lease_s != 0) {
		uint32_t t1 = lease_s == view->lease_s ? view->t1_s : lease_s / 2;
		uint32_t t2 = lease_s == view->lease_s ? view->t2_s
						       : (uint32_t)((uint64_t)lease_s * 7 / 8);

		cw_dhcp_put_u32(&w, CW_DHCP_OPT_LEASE_TIME, lease_s);
		cw_dhcp_put_u32(&w, CW_DHCP_OPT_T1, t1);
		cw_dhcp_put_u32(&w, CW_DHCP_OPT_T2, t2);
	}
	/* RFC 6842: the client identifier comes back, NAKs included. */
	if (request->client_id.data != NULL)
		cw_dhcp_put(&w, CW_DHCP_OPT_CLIENT_ID, request->client_id.data,
			    request->client_id.len);
	if (class != NULL)
		cw_dhcp_put_ready(&w, request, class->options, class->option_bytes, NULL, 0);
	if (type != CW_DHCP_NAK)
		cw_dhcp_put_ready(&w, request, view->options, view->option_bytes,
				  class != NULL ? class->options : NULL,
				  class != NULL ? class->option_bytes : 0);
	return cw_dhcp_reply_end(&w, request);
}

size_t cw_dhcp_reply_frame(const struct cw_ns_view *view, const struct cw_dhcp_message *request,
			   enum cw_dhcp_type type, rte_be32_t yiaddr,
			   const struct cw_mac *ether_src, uint16_t vlan, uint8_t *frame,
			   size_t bootp_bytes)
{
	static const struct cw_mac broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	rte_be16_t port = cw_ns_dhcp_client_port(view);
	struct cw_mac dst = request->chaddr;
	rte_be32_t dst_ip = yiaddr;
	size_t header;

	if (request->giaddr != 0) {
		/* The relay agent sent the request: its station, its port. */
		dst_ip = request->giaddr;
		dst = *ether_src;
		port = cw_ns_dhcp_server_port(view);
	} else if (type == CW_DHCP_NAK) {
		dst_ip = UINT32_MAX;
		dst = broadcast;
	} else if (request->ciaddr != 0) {
		dst_ip = request->ciaddr;
	} else if (request->broadcast || request->hlen != 6) {
		dst_ip = UINT32_MAX;
		dst = broadcast;
	}
	header = cw_eth_write(frame, &dst, &view->service_mac, vlan, CW_ETH_P_IP4);
	cw_udp_write_ip4(frame + header, 0, 0, 0, view->service_ip, dst_ip,
			 cw_ns_dhcp_server_port(view), port, (uint16_t)bootp_bytes);
	return header + CW_IP4_BYTES + CW_UDP_BYTES + bootp_bytes;
}
