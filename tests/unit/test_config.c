/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/config: the example files are valid and complete, errors name line, key and expectation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cw_gateway_config.h>

#include "cw_test.h"

static char *slurp(const char *name)
{
	char path[512];
	FILE *f;
	char *text = calloc(1, 65536);

	snprintf(path, sizeof(path), "%s/%s", CW_SOURCE_ROOT, name);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_TRUE(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

static void test_the_example_files_are_valid(void)
{
	const char *const files[] = {"config/minimal.conf", "config/gateway.conf"};

	for (size_t i = 0; i < CW_ARRAY_SIZE(files); i++) {
		struct cw_gateway_config c;
		char err[256] = "", *text = slurp(files[i]);

		CU_ASSERT_EQUAL(cw_gateway_config_read(text, files[i], ".", &c, err, sizeof(err)),
				0);
		CU_ASSERT_STRING_EQUAL(err, "");
		CU_ASSERT_TRUE(c.has_lan);
		CU_ASSERT_STRING_EQUAL(c.ns_name, "grid");
		CU_ASSERT_EQUAL(c.wan_port, 7845);
		free(text);
	}
}

static void test_every_key_is_explained_in_the_example_and_the_docs(void)
{
	char *example = slurp("config/gateway.conf"), *docs = slurp("docs/config.md");

	for (const struct cw_option *o = cw_gateway_options(); o->path != NULL; o++) {
		const char *key = strrchr(o->path, '.') ? strrchr(o->path, '.') + 1 : o->path;
		char want[128];

		snprintf(want, sizeof(want), "%s = ", key);
		CU_ASSERT_PTR_NOT_NULL(strstr(example, want));
		snprintf(want, sizeof(want), "| `%s` |", o->path);
		CU_ASSERT_PTR_NOT_NULL(strstr(docs, want));
		CU_ASSERT_PTR_NOT_NULL(strstr(docs, o->help));
	}
	free(example);
	free(docs);
}

static const char good[] =
	"node = { state_dir = \"/s\"; certificate = \"c\"; key = \"k\"; ca = \"a\"; };\n"
	"wan = { driver = \"af_packet\"; device = \"w\"; };\n";

static const char *error_of(const char *more)
{
	static char err[512];
	char text[2048];
	struct cw_gateway_config c;

	snprintf(text, sizeof(text), "%s%s", good, more);
	err[0] = '\0';
	CU_ASSERT_TRUE(cw_gateway_config_read(text, "f", ".", &c, err, sizeof(err)) < 0);
	return err;
}

static void test_errors_name_line_key_and_expectation(void)
{
	static const struct {
		const char *more, *want;
	} cases[] = {
		{"colour = 1;", "f:3: colour: unknown key"},
		{"workers = \"two\";", "f:3: workers: expected a number from 1 to 62"},
		{"workers = 0;", "got 0"},
		{"workers = -1;", "got -1"},
		{"workers = 63;", "got 63"},
		{"idle = \"nap\";",
		 "f:3: idle: expected one of \"spin\", \"pause\", \"sleep\", got nap"},
		{"idle_ceiling = \"10\";", "f:3: idle_ceiling: expected a duration"},
		{"idle_ceiling = \"1h\";", "got 1h"},
		{"eal = { hugepages = 1; };", "eal.hugepages: expected true or false"},
		{"bootstrap = ( \"1.2.3.4\" );", "bootstrap: expected a list"},
		{"bootstrap = ( \"1.2.3.4:99999\" );", "got 1.2.3.4:99999"},
		{"lan = { device = \"x\"; };", "lan.driver: is missing"},
		{"lan = { driver = \"af_packet\"; device = \"x\"; };", "namespace: is missing"},
		{"pool = { low = 20; high = 10; };", "pool.low"},
		{"node = 5;", "syntax"},
		{"control_socket = \"\";", "expected a string of 1 to 255"},
		{"bootstrap = ( \"0.0.0.0:7845\" );", "unicast"},
		{"bootstrap = ( \"224.0.0.1:7845\" );", "unicast"},
		{"underlay = { deny = ( \"10.0.0.1/8\" ); };", "underlay.deny: expected a list"},
		{"underlay = { allow = \"10.0.0.0/8\"; };", "underlay.allow: expected a list"},
		{"eal = { file_prefix = \"../x\"; };", "eal.file_prefix: expected letters"},
		{"eal = { file_prefix = \"..\"; };", "eal.file_prefix: expected letters"},
	};

	for (size_t i = 0; i < CW_ARRAY_SIZE(cases); i++) {
		const char *err = error_of(cases[i].more);

		if (strstr(err, cases[i].want) == NULL)
			fprintf(stderr, "%s -> %s\n", cases[i].more, err);
		CU_ASSERT_PTR_NOT_NULL(strstr(err, cases[i].want));
		CU_ASSERT_PTR_NULL(strchr(err, '\n'));
	}
}

/* The address of `wan`, written anew since `good` has none. */
static int read_with_address(const char *address, const char *gateway)
{
	struct cw_gateway_config c;
	char text[1024], err[512];

	snprintf(text, sizeof(text),
		 "node = { state_dir = \"/s\"; certificate = \"c\"; key = \"k\"; ca = \"a\"; };\n"
		 "wan = { driver = \"ethdev\"; device = \"0000:00:01.0\"; address = \"%s\"; "
		 "gateway = \"%s\"; };\n",
		 address, gateway);
	return cw_gateway_config_read(text, "f", ".", &c, err, sizeof(err));
}

static void test_the_wan_address_is_a_hosts(void)
{
	static const char *const bad[] = {"198.51.100.0/24", "198.51.100.255/24", "127.0.0.1/8",
					  "224.0.0.5/24",    "0.0.0.1/8",	  "198.51.100.2",
					  "198.51.100.2/33", "198.51.100.2/x"};

	CU_ASSERT_EQUAL(read_with_address("198.51.100.2/24", "198.51.100.1"), 0);
	/* Two ends of a link, and an address whose router is elsewhere. */
	CU_ASSERT_EQUAL(read_with_address("198.51.100.2/31", "198.51.100.3"), 0);
	CU_ASSERT_EQUAL(read_with_address("198.51.100.2/32", "172.31.1.1"), 0);
	for (size_t i = 0; i < CW_ARRAY_SIZE(bad); i++)
		CU_ASSERT_TRUE(read_with_address(bad[i], "") < 0);
	CU_ASSERT_TRUE(read_with_address("198.51.100.2/24", "198.51.100.2") < 0);
	CU_ASSERT_TRUE(read_with_address("198.51.100.2/24", "127.0.0.1") < 0);
}

static void test_a_reload_tells_what_needs_a_restart(void)
{
	struct cw_gateway_config a, b;
	const char *fixed;
	char err[256];

	CU_ASSERT_EQUAL_FATAL(cw_gateway_config_read(good, "f", ".", &a, err, sizeof(err)), 0);
	b = a;
	CU_ASSERT_FALSE(cw_gateway_config_changed(&a, &b, &fixed));
	b.log_level = 4;
	CU_ASSERT_TRUE(cw_gateway_config_changed(&a, &b, &fixed));
	CU_ASSERT_PTR_NULL(fixed);
	b.wan_port++;
	CU_ASSERT_TRUE(cw_gateway_config_changed(&a, &b, &fixed));
	CU_ASSERT_STRING_EQUAL(fixed, "wan.port");
}

int main(void)
{
	CU_TestInfo tests[] = {
		{"the example files are valid", test_the_example_files_are_valid},
		{"every key is explained in the example and the docs",
		 test_every_key_is_explained_in_the_example_and_the_docs},
		{"errors name line, key and expectation",
		 test_errors_name_line_key_and_expectation},
		{"the WAN address is a host's", test_the_wan_address_is_a_hosts},
		{"a reload tells what needs a restart", test_a_reload_tells_what_needs_a_restart},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("config", tests), CU_SUITE_INFO_NULL};

	return cw_test_run(suites);
}
