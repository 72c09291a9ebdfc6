/* SPDX-License-Identifier: BSD-3-Clause */
/* `namespace create`, `set` and `show`: arguments into a request; the daemon judges what they
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

static const struct {
	const char *option, *key;
	enum { TEXT, NUMBER, LIST, VOTERS } kind;
} options[] = {
	{"--subnet", "subnet", TEXT},
	{"--mac-base", "mac_base", NUMBER},
	{"--voters", "voters", VOTERS},
	{"--lease", "lease_s", NUMBER},
	{"--longest-lease", "lease_longest_s", NUMBER},
	{"--mtu", "mtu", NUMBER},
	{"--domain", "domain", TEXT},
	{"--names", "names", TEXT},
	{"--upstream", "upstream", LIST},
	{"--reserve", "reserved", LIST},
	{"--host", "host", LIST},
	{"--router", "router", TEXT},
	{"--group", "group", LIST},
	{"--rule", "rule", LIST},
	{"--default", "default", TEXT},
	{"--class", "class", LIST},
	{"--option", "option", LIST},
	{"--route", "route", LIST},
	{"--boot-file", "boot_file", LIST},
	{"--next-server", "next_server", LIST},
	{"--rapid-commit", "rapid-commit", TEXT},
	{"--authoritative", "authoritative", TEXT},
	{"--static", "static", TEXT},
};

static json_t *list_of(json_t *args, const char *key)
{
	json_t *list = json_object_get(args, key);

	if (list == NULL) {
		list = json_array();
		json_object_set_new(args, key, list);
	}
	return list;
}

static bool option(json_t *args, const char *name, const char *value)
{
	json_t *item;

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(options[i].option, name) != 0)
			continue;
		switch (options[i].kind) {
		case NUMBER:
			if (!number(value, &item))
				return false;
			json_object_set_new(args, options[i].key, item);
			break;
		case LIST:
			json_array_append_new(list_of(args, options[i].key), json_string(value));
			break;
		case VOTERS:
			split_voters(value, list_of(args, options[i].key));
			break;
		default:
			json_object_set_new(args, options[i].key, json_string(value));
		}
		return true;
	}
	return false;
}

/* The arguments from argv[first] on, as "--option value". @return false: said what is wrong. */
static bool take(json_t *args, int argc, char **argv, int first)
{
	for (int i = first; i < argc; i += 2)
		if (i + 1 == argc || !option(args, argv[i], argv[i + 1])) {
			fprintf(stderr, "causewayctl: %s: unknown option, or its value is wrong\n",
				argv[i]);
			return false;
		}
	return true;
}

static int ask(struct ctl *ctl, const char *cmd, json_t *args)
{
	return ctl_ask_and_print(ctl, json_pack("{s:s, s:o}", "cmd", cmd, "args", args));
}

static int create(struct ctl *ctl, int argc, char **argv)
{
	json_t *args = json_object();

	if (argc < 1 || argv[0][0] == '-') {
		fputs("causewayctl: namespace create NAME --subnet A.B.C.D/LEN ...\n", stderr);
		json_decref(args);
		return CTL_USAGE;
	}
	json_object_set_new(args, "name", json_string(argv[0]));
	if (!take(args, argc, argv, 1)) {
		json_decref(args);
		return CTL_USAGE;
	}
	return ask(ctl, "namespace create", args);
}

static int set(struct ctl *ctl, int argc, char **argv)
{
	static const char *const fixed[] = {"subnet", "mac_base", "voters"};
	json_t *args = json_object();
	bool ok = argc > 0 && take(args, argc, argv, 0);

	for (size_t i = 0; ok && i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (json_object_get(args, fixed[i]) != NULL) {
			fprintf(stderr, "causewayctl: namespace set: %s is for ever\n", fixed[i]);
			ok = false;
		}
	if (!ok) {
		if (argc == 0)
			fputs("causewayctl: namespace set --OPTION VALUE ...\n", stderr);
		json_decref(args);
		return CTL_USAGE;
	}
	return ask(ctl, "namespace set", args);
}

int ctl_namespace(struct ctl *ctl, int argc, char **argv)
{
	if (argc >= 1 && strcmp(argv[0], "create") == 0)
		return create(ctl, argc - 1, argv + 1);
	if (argc >= 1 && strcmp(argv[0], "set") == 0)
		return set(ctl, argc - 1, argv + 1);
	if (argc == 1 && strcmp(argv[0], "list") == 0)
		return ctl_show(ctl, "namespaces");
	if (argc != 1 || strcmp(argv[0], "show") != 0) {
		fputs("causewayctl: namespace create|set|show|list\n", stderr);
		return CTL_USAGE;
	}
	return ask(ctl, "namespace show", json_object());
}
