/* SPDX-License-Identifier: BSD-3-Clause */
/* DHCP parser; and what it accepted is answered. */
#include <cw_dhcp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cw_dhcp_message m;
	struct cw_dhcp_writer w;
	uint8_t out[CW_DHCP_BYTES_MAX];

	if (cw_dhcp_parse(data, size, &m) != CW_DROP_NONE)
		return 0;
	cw_dhcp_reply_begin(&w, out, sizeof(out), &m, CW_DHCP_ACK, 1);
	cw_dhcp_put_u32(&w, CW_DHCP_OPT_LEASE_TIME, 60);
	if (m.client_id.data != NULL)
		cw_dhcp_put(&w, CW_DHCP_OPT_CLIENT_ID, m.client_id.data, m.client_id.len);
	CW_ASSERT(cw_dhcp_reply_end(&w, &m) <= sizeof(out));
	return 0;
}
