/* SPDX-License-Identifier: BSD-3-Clause */
/* What an etcd server, or whoever writes to it, can say: replies, events, registers. Whatever it
 * is, it is refused or it survives the way out and in again. */
#include <stdlib.h>
#include <string.h>

#include "../../drivers/store/etcd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_registers(const json_t *json)
{
	struct cw_namespace_record ns, ns_again;
	struct cw_mapping m, m_again;
	struct cw_name_record name;
	struct cw_law_register plain, plain_again;
	struct etcd_maker maker;
	json_t *out;

	if (etcd_mapping_parse(json, &m, &maker)) {
		CW_ASSERT(m.entry_count <= CW_MAPPING_ENTRIES_MAX);
		out = etcd_mapping_json(&m, &maker);
		CW_ASSERT(etcd_mapping_parse(out, &m_again, &maker));
		json_decref(out);
	}
	if (etcd_ns_parse(json, &ns, &maker)) {
		out = etcd_ns_json(&ns, &maker);
		CW_ASSERT(etcd_ns_parse(out, &ns_again, &maker) || json == NULL);
		json_decref(out);
	}
	(void)etcd_name_parse(json, &name, &maker);
	if (etcd_register_parse(json, &plain, &maker)) {
		out = etcd_register_json(&plain, &maker);

		CW_ASSERT(etcd_register_parse(out, &plain_again, &maker));
		CW_ASSERT(plain_again.reg.len == plain.reg.len);
		json_decref(out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL), *value;
	struct etcd_value values[2] = {{.key = "k"}, {.key = "l"}};
	char rest[32];
	bool succeeded;

	check_registers(json);
	if (etcd_read_parse(json, values, 2))
		check_registers(values[0].json);
	(void)etcd_write_parse(json, &succeeded);
	if (etcd_event_parse(json, "causeway/m/", rest, sizeof(rest), &value))
		check_registers(value);
	json_decref(value);
	(void)etcd_number(json, "ID");
	etcd_value_clear(&values[0]);
	etcd_value_clear(&values[1]);
	json_decref(json);
	return 0;
}
