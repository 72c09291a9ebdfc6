/* SPDX-License-Identifier: BSD-3-Clause */
/* The etcd store's formats: registers as JSON and back, etcd's own messages as a server sends them.
 */
#include <string.h>

#include <cw_dht.h>

#include "../../drivers/store/etcd.h"
#include "cw_test.h"

/* A field that is added to a register must be added to its JSON too, and then here. */
_Static_assert(sizeof(struct cw_mapping) == 296, "every field of a mapping stands in its JSON");
_Static_assert(sizeof(struct cw_namespace_record) == 3696, "... of a namespace ...");
_Static_assert(sizeof(struct cw_name_record) == 32, "... of a name ...");

static const struct etcd_maker maker = {.rid = "0123456789abcdef0123456789abcdef",
					.old_cover_ns = 77};

static void test_a_mapping_comes_back_as_it_was(void)
{
	struct cw_mapping m = {.ver = 9,
			       .gen = 7,
			       .held = true,
			       .client_state = CW_CLIENT_BOUND,
			       .client = {{1, 2, 255}},
			       .mac = {{2, 3, 4, 5, 6, 7}},
			       .owned = true,
			       .owner = {{0xaa}},
			       .owner_site = {{0xbb}},
			       .entry_count = 2,
			       .entries = {{.node = {{0xaa}},
					    .site = {{0xbb}},
					    .sgen = 3,
					    .cover_ns = UINT64_C(3630000000000)},
					   {.node = {{0xcc}},
					    .site = {{0xdd}},
					    .sgen = 1,
					    .cover_ns = 5,
					    .stopped = true}}};
	struct cw_mapping out;
	struct etcd_maker by;
	json_t *json = etcd_mapping_json(&m, &maker);

	CU_ASSERT_TRUE(etcd_mapping_parse(json, &out, &by));
	CU_ASSERT_EQUAL(memcmp(&m, &out, sizeof(m)), 0);
	CU_ASSERT_STRING_EQUAL(by.rid, maker.rid);
	CU_ASSERT_EQUAL(by.old_cover_ns, 77);
	json_object_set_new(json, "client", json_string("zz"));
	CU_ASSERT_FALSE(etcd_mapping_parse(json, &out, &by));
	json_decref(json);
	CU_ASSERT_TRUE(etcd_mapping_parse(NULL, &out, &by));
	CU_ASSERT_EQUAL(out.ver, 0);
}

static void test_a_namespace_comes_back_as_it_was(void)
{
	struct cw_namespace_record ns, out;
	struct etcd_maker by;
	json_t *json;

	memset(&ns, 0, sizeof(ns));
	ns.ver = 4;
	strcpy(ns.name, "grid");
	strcpy(ns.domain, "grid.example");
	ns.subnet = (struct cw_prefix4){rte_cpu_to_be_32(0x0a800000), 16};
	ns.lease_s = 60;
	ns.lease_longest_s = 3600;
	ns.mtu_bytes = 1400;
	ns.mac_base = 0x1234;
	ns.router = rte_cpu_to_be_32(0x0a800001);
	ns.name_policy = CW_NAMES_REFUSED;
	ns.reserved_count = ns.ntp_count = ns.upstream_count = 1;
	ns.reserved[0] = (struct cw_ip4_range){rte_cpu_to_be_32(5), rte_cpu_to_be_32(9)};
	ns.ntp[0] = rte_cpu_to_be_32(0x01020304);
	ns.upstream[0] = rte_cpu_to_be_32(0x08080808);
	ns.rapid_commit = ns.authoritative = true;
	ns.static_hosts = CW_STATIC_ANY;
	ns.host_count = 1;
	ns.hosts[0] = (struct cw_ns_host){.mac = {{2, 0, 0, 0, 0, 9}}, .ip = 77};
	ns.boot.next_server = rte_cpu_to_be_32(0x0a800007);
	strcpy(ns.boot.file, "pxelinux.0");
	ns.extra_bytes = 6;
	memcpy(ns.extra, "\x42\x04tftp", 6);
	ns.class_count = 1;
	ns.classes[0].option = 60;
	strcpy(ns.classes[0].match, "PXEClient:Arch:00007");
	strcpy(ns.classes[0].boot.file, "grub.efi");
	ns.classes[0].extra_bytes = 3;
	memcpy(ns.classes[0].extra, "\x2b\x01\x09", 3);
	ns.policy.default_deny = true;
	ns.policy.group_count = 2;
	strcpy(ns.policy.groups[0], "web");
	strcpy(ns.policy.groups[1], "branch");
	ns.policy.range_count = ns.policy.site_count = 1;
	ns.policy.ranges[0].range =
		(struct cw_ip4_range){rte_cpu_to_be_32(0x0a800005), rte_cpu_to_be_32(0x0a800009)};
	ns.policy.sites[0].group = 1;
	strcpy(ns.policy.sites[0].name, "site-b");
	ns.policy.rule_count = 2;
	ns.policy.rules[0] = (struct cw_ns_rule){true, 6, 1, 0, 80, 443};
	ns.policy.rules[1] = (struct cw_ns_rule){false, 0, CW_NS_GROUP_ANY, 0, 0, 65535};
	json = etcd_ns_json(&ns, &maker);
	CU_ASSERT_TRUE(etcd_ns_parse(json, &out, &by));
	CU_ASSERT_EQUAL(memcmp(&ns, &out, sizeof(ns)), 0);
	json_array_set_new(
		json_array_get(json_object_get(json_object_get(json, "policy"), "rules"), 0), 2,
		json_integer(9));
	CU_ASSERT_FALSE(etcd_ns_parse(json, &out, &by));
	json_array_set_new(
		json_array_get(json_object_get(json_object_get(json, "policy"), "rules"), 0), 2,
		json_integer(1));
	CU_ASSERT_TRUE(etcd_ns_parse(json, &out, &by));
	json_object_set_new(json, "subnet", json_string("10.0.0"));
	CU_ASSERT_FALSE(etcd_ns_parse(json, &out, &by));
	json_decref(json);
}

static void test_a_name_comes_back_as_it_was(void)
{
	struct cw_name_record name = {
		.ver = 2, .held = true, .ip = rte_cpu_to_be_32(0x0a800005), .client = {{8}}};
	struct cw_name_record out;
	json_t *json = etcd_name_json(&name, &maker);

	CU_ASSERT_TRUE(etcd_name_parse(json, &out, NULL));
	CU_ASSERT_EQUAL(memcmp(&name, &out, sizeof(name)), 0);
	json_decref(json);
}

/* As etcd 3.4 answered: a key that is there, and one that is not. */
static const char read_reply[] =
	"{\"header\":{\"revision\":\"2\"},\"succeeded\":true,\"responses\":[{\"response_range\":{\"header\":"
	"{\"revision\":\"2\"},\"kvs\":[{\"key\":\"aw==\",\"create_revision\":\"2\",\"mod_revision\":\"2\","
	"\"version\":\"1\",\"value\":\"eyJhIjoxfQ==\",\"lease\":\"12345\"}],\"count\":\"1\"}},"
	"{\"response_range\":{\"header\":{\"revision\":\"2\"}}}]}";

static void test_a_read_fills_what_is_there_and_says_what_is_not(void)
{
	struct etcd_value values[2] = {{.key = "k"}, {.key = "zz", .present = true}};
	json_t *reply = json_loads(read_reply, 0, NULL), *error = json_pack("{s:s}", "error", "x");

	CU_ASSERT_TRUE(etcd_read_parse(reply, values, 2));
	CU_ASSERT_TRUE(values[0].present && values[0].mod == 2);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(values[0].json, "a")), 1);
	CU_ASSERT_TRUE(!values[1].present && values[1].mod == 0 && values[1].json == NULL);
	CU_ASSERT_FALSE(etcd_read_parse(reply, values, 1));
	CU_ASSERT_FALSE(etcd_read_parse(error, values, 2));
	CU_ASSERT_FALSE(etcd_read_parse(NULL, values, 2));
	etcd_value_clear(&values[0]);
	etcd_value_clear(&values[1]);
	json_decref(reply);
	json_decref(error);
}

static void test_a_write_names_what_it_rests_on(void)
{
	struct etcd_value value = {.key = "k", .mod = 7};
	json_t *json = json_pack("{s:i}", "a", 1), *body;
	struct etcd_put puts[2] = {{.key = "k", .json = json, .lease = 5}, {.key = "gone"}};
	char *text;

	body = etcd_write_body(&value, 1, puts, 2);
	text = json_dumps(body, JSON_COMPACT);
	CU_ASSERT_STRING_EQUAL(
		text,
		"{\"compare\":[{\"key\":\"aw==\",\"target\":\"MOD\",\"result\":\"EQUAL\",\"mod_revision\":\"7\"}],"
		"\"success\":[{\"request_put\":{\"key\":\"aw==\",\"value\":\"eyJhIjoxfQ==\",\"lease\":\"5\"}},"
		"{\"request_delete_range\":{\"key\":\"Z29uZQ==\"}}]}");
	free(text);
	json_decref(body);
	json_decref(json);
}

static void test_an_event_gives_its_key_behind_the_prefix(void)
{
	json_t *event = json_loads(
		"{\"kv\":{\"key\":\"Y3cvbS8xMC4wLjAuMQ==\",\"mod_revision\":\"3\",\"value\":\"e30=\"}}",
		0, NULL);
	json_t *value;
	char rest[16], tiny[4];

	CU_ASSERT_TRUE(etcd_event_parse(event, "cw/m/", rest, sizeof(rest), &value));
	CU_ASSERT_STRING_EQUAL(rest, "10.0.0.1");
	CU_ASSERT_TRUE(json_is_object(value));
	json_decref(value);
	CU_ASSERT_FALSE(etcd_event_parse(event, "other/", rest, sizeof(rest), &value));
	CU_ASSERT_FALSE(etcd_event_parse(event, "cw/m/", tiny, sizeof(tiny), &value));
	json_decref(event);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"a mapping comes back as it was", test_a_mapping_comes_back_as_it_was},
		{"a namespace comes back as it was", test_a_namespace_comes_back_as_it_was},
		{"a name comes back as it was", test_a_name_comes_back_as_it_was},
		{"a read fills what is there",
		 test_a_read_fills_what_is_there_and_says_what_is_not},
		{"a write names what it rests on", test_a_write_names_what_it_rests_on},
		{"an event gives its key", test_an_event_gives_its_key_behind_the_prefix},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("etcd", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
