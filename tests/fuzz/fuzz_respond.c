/* SPDX-License-Identifier: BSD-3-Clause */
/* The in-line responders on whole frames: ARP and DHCP, before tables that know a few hosts and
 * routes. */
#include <string.h>

#include <cw_arp_respond.h>
#include <cw_dhcp_respond.h>
#include <cw_eth.h>
#include <cw_host.h>
#include <cw_route.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cw_ns_view view;
static struct cw_ns_deadline deadline = {
	.session_tsc = UINT64_MAX, .slots = 1, .slots_until_tsc = UINT64_MAX};

static void set_up(void)
{
	struct cw_rcu *rcu;
	struct cw_host host = {.ip = rte_cpu_to_be_32(0x0a800005),
			       .mac = {{2, 0, 0, 0, 0, 1}},
			       .state = CW_HOST_BOUND,
			       .grant_until_tsc = UINT64_MAX,
			       .client = {0, 7, {1, 2, 0, 0, 0, 0, 1}}};
	struct cw_route route = {.ip = rte_cpu_to_be_32(0x0a800009),
				 .kind = CW_ROUTE_REMOTE,
				 .expires_tsc = UINT64_MAX};

	cw_rcu_thread_register();
	CW_ASSERT(cw_rcu_create(&rcu) == 0 && cw_host_table_create(&view.hosts, rcu, 16) == 0 &&
		  cw_route_table_create(&view.routes, rcu, 16) == 0 &&
		  cw_host_publish(view.hosts, &host) == 0 &&
		  cw_route_publish(view.routes, &route) == 0);
	view.subnet = (struct cw_prefix4){.ip = rte_cpu_to_be_32(0x0a800000), .len = 16};
	view.service_ip = rte_cpu_to_be_32(0x0a800001);
	view.virtual_mac_slots = 1;
	cw_ns_slot_mac(0, 0, &view.service_mac);
	view.lease_s = 3600;
	view.deadline = &deadline;
	view.option_bytes = 6;
	memcpy(view.options, (const uint8_t[]){1, 4, 255, 255, 0, 0}, 6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t frame[2048];
	enum cw_drop why;
	size_t len;

	if (view.hosts == NULL)
		set_up();
	if (size < CW_ETH_BYTES || size > 1514)
		return 0;
	memcpy(frame, data, size);
	if (cw_arp_respond(&view, frame, size, CW_ETH_BYTES, 5, &why) == CW_ARP_ANSWER)
		CW_ASSERT(frame[6] == 0xfe && frame[7] == 0xfd);
	memcpy(frame, data, size);
	if (cw_dhcp_respond(&view, frame, size, sizeof(frame), CW_ETH_BYTES, 5, &len, &why) ==
	    CW_DHCP_ANSWER)
		CW_ASSERT(len <= 1514 && frame[6] == 0xfe);
	return 0;
}
