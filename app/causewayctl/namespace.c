/* SPDX-License-Identifier: BSD-3-Clause */
/* `namespace create` and `namespace show`: arguments into a request; the daemon judges what they
 * mean. */
#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool number(const char *text, json_t **out)
{
	char *end;
	long long value = strtoll(text, &end, 10);

	if (text[0] == '\0' || *end != '\0')
		return false;
	*out = json_integer(value);
	return true;
}

static void split_voters(const char *text, json_t *list)
{
	while (*text != '\0') {
		size_t len = strcspn(text, ",");

		json_array_append_new(list, json_stringn(text, len));
		text += len + (text[len] == ',');
	}
}

static bool option(json_t *args, const char *name, const char *value)
{
	static const struct {
		const char *option, *key;
		bool is_number;
	} options[] = {
		{"--names", "names", false},
		{"--subnet", "subnet", false},
		{"--domain", "domain", false},
		{"--lease", "lease_s", true},
		{"--longest-lease", "lease_longest_s", true},
		{"--mtu", "mtu", true},
		{"--mac-base", "mac_base", true},
	};
	json_t *item;

	if (strcmp(name, "--reserve") == 0) {
		json_array_append_new(json_object_get(args, "reserved"), json_string(value));
		return true;
	}
	if (strcmp(name, "--upstream") == 0) {
		json_array_append_new(json_object_get(args, "upstream"), json_string(value));
		return true;
	}
	if (strcmp(name, "--voters") == 0) {
		split_voters(value, json_object_get(args, "voters"));
		return true;
	}
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(options[i].option, name) != 0)
			continue;
		if (!options[i].is_number) {
			json_object_set_new(args, options[i].key, json_string(value));
			return true;
		}
		if (!number(value, &item))
			return false;
		json_object_set_new(args, options[i].key, item);
		return true;
	}
	return false;
}

static int create(struct ctl *ctl, int argc, char **argv)
{
	json_t *args = json_pack("{s:[], s:[], s:[]}", "reserved", "voters", "upstream"),
	       *reply = NULL;
	int rc;

	if (argc < 1 || argv[0][0] == '-') {
		fputs("causewayctl: namespace create NAME --subnet A.B.C.D/LEN ...\n", stderr);
		json_decref(args);
		return CTL_USAGE;
	}
	json_object_set_new(args, "name", json_string(argv[0]));
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc || !option(args, argv[i], argv[i + 1])) {
			fprintf(stderr, "causewayctl: %s: unknown option, or its value is wrong\n",
				argv[i]);
			json_decref(args);
			return CTL_USAGE;
		}
	}
	rc = ctl_ask(ctl, json_pack("{s:s, s:o}", "cmd", "namespace create", "args", args), &reply);
	if (rc != CTL_OK)
		return rc;
	if (ctl->json)
		json_dumpf(json_object_get(reply, "status"), stdout, JSON_INDENT(1));
	else
		ctl_print_object(json_object_get(reply, "status"), 0);
	json_decref(reply);
	return CTL_OK;
}

int ctl_namespace(struct ctl *ctl, int argc, char **argv)
{
	json_t *reply = NULL;
	int rc;

	if (argc >= 1 && strcmp(argv[0], "create") == 0)
		return create(ctl, argc - 1, argv + 1);
	if (argc != 1 || strcmp(argv[0], "show") != 0) {
		fputs("causewayctl: namespace create|show\n", stderr);
		return CTL_USAGE;
	}
	rc = ctl_ask(ctl, json_pack("{s:s}", "cmd", "namespace show"), &reply);
	if (rc != CTL_OK)
		return rc;
	if (ctl->json)
		json_dumpf(json_object_get(reply, "status"), stdout, JSON_INDENT(1));
	else
		ctl_print_object(json_object_get(reply, "status"), 0);
	json_decref(reply);
	return CTL_OK;
}
