/* SPDX-License-Identifier: BSD-3-Clause */
/* DHCP parser; and what it accepted is answered, with little and with much room: the answer can be
 * read back and holds what must be echoed. */
#include <cw_dhcp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const struct cw_dhcp_message *m, size_t room)
{
	static struct cw_dhcp_pieces pieces;
	uint8_t out[CW_DHCP_BYTES_MAX];
	struct cw_dhcp_message back;
	struct cw_dhcp_writer w;
	bool fitted;
	size_t len;

	cw_dhcp_reply_begin(&w, out, room, m, CW_DHCP_ACK, 1);
	cw_dhcp_put_u32(&w, CW_DHCP_OPT_LEASE_TIME, 60);
	if (m->client_id.data != NULL)
		cw_dhcp_put(&w, CW_DHCP_OPT_CLIENT_ID, m->client_id.data, m->client_id.len);
	if (m->user_class.data != NULL)
		cw_dhcp_put(&w, CW_DHCP_OPT_USER_CLASS, m->user_class.data, m->user_class.len);
	fitted = !w.full;
	len = cw_dhcp_reply_end(&w, m);
	CW_ASSERT(len <= room);
	if (len == 0)
		return;
	CW_ASSERT(cw_dhcp_parse(out, len, &back, &pieces) == CW_DROP_NONE);
	CW_ASSERT(back.type == CW_DHCP_ACK && back.relay_info.len == m->relay_info.len);
	CW_ASSERT(!fitted || back.client_id.len == m->client_id.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cw_dhcp_pieces pieces;
	struct cw_dhcp_message m;

	if (cw_dhcp_parse(data, size, &m, &pieces) != CW_DROP_NONE)
		return 0;
	answer(&m, CW_DHCP_MIN_BYTES);
	answer(&m, 548);
	answer(&m, CW_DHCP_BYTES_MAX);
	return 0;
}
