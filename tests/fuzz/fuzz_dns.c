/* SPDX-License-Identifier: BSD-3-Clause */
/* DNS: the responder over any message, and any message as another server's response. What it
 * answers keeps the question, never exceeds what the asker takes, and can be read back. */
#include <string.h>

#include <cw_dns_respond.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cw_ns_view view;

static void set_up(void)
{
	struct cw_name name = {
		.label = "alpha", .ip = rte_cpu_to_be_32(0x0a800005), .expires_tsc = UINT64_MAX};
	struct cw_rcu *rcu;

	cw_rcu_thread_register();
	CW_ASSERT(cw_rcu_create(&rcu) == 0 && cw_name_table_create(&view.names, rcu, 16, 1) == 0 &&
		  cw_name_publish(view.names, &name) == 0);
	view.subnet = (struct cw_prefix4){.ip = rte_cpu_to_be_32(0x0a800000), .len = 16};
	view.service_ip = rte_cpu_to_be_32(0x0a800001);
	view.zone_bytes = (uint8_t)cw_dns_name_from_text("g.test", view.zone, sizeof(view.zone));
	view.zone_labels = 2;
}

static void respond(const uint8_t *data, size_t size, unsigned int asker)
{
	uint8_t message[2048];
	struct cw_dns_question q;
	struct cw_dns_response r;
	size_t len;

	memcpy(message, data, size);
	if (cw_dns_respond(&view, asker, message, size, sizeof(message), 5, &q, &len) !=
	    CW_DNS_ANSWER)
		return;
	CW_ASSERT(len >= CW_DNS_HEADER_BYTES && len <= CW_DNS_EDNS_BYTES && q.end <= size);
	CW_ASSERT(memcmp(message, data, 2) == 0 && (message[2] & 0x80));
	CW_ASSERT(memcmp(message + CW_DNS_HEADER_BYTES, data + CW_DNS_HEADER_BYTES,
			 q.end - CW_DNS_HEADER_BYTES) == 0);
	if (q.end > CW_DNS_HEADER_BYTES && !(q.edns && q.edns_version != 0))
		CW_ASSERT(cw_dns_take_response(message, &len, &r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t message[2048];
	struct cw_dns_response r;
	size_t len = size;

	if (view.names == NULL)
		set_up();
	if (size > 1400)
		return 0;
	respond(data, size, 0);
	respond(data, size, CW_DNS_STRANGER);
	respond(data, size, CW_DNS_BY_TCP);
	memcpy(message, data, size);
	if (cw_dns_take_response(message, &len, &r)) {
		CW_ASSERT(len <= size && r.question_end <= len);
		cw_dns_age(message, len, 7);
	}
	return 0;
}
