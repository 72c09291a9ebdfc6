/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `namespace create` and `namespace set` say about DHCP: options, classes of clients, booting
 * from the net. Texts into the record's ready bytes, so that nothing has to be understood later.
 *
 *   --class NAME=vendor:TEXT | NAME=user:TEXT     a class, named for the arguments below only
 *   --option [NAME/]CODE=ip:A[,A] | text:T | hex:H | u8:N | u16:N | u32:N
 *   --route PREFIX,ROUTER                         classless static routes (option 121, RFC 3442)
 *   --next-server [NAME/]A, --boot-file [NAME/]F  siaddr and file; option 67 as well
 *
 * Refuses options that the namespace or the protocol sets by itself: two texts would disagree.
 * A list that is given replaces the one before; "none" alone empties it.
 */
#include "internal.h"

#include <stdlib.h>

#include <cw_dhcp.h>

enum { OPT_BOOT_FILE = 67, OPT_ROUTES = 121 };

/* Class names exist while arguments are read. */
struct classes {
	struct cw_namespace_record *ns;
	char name[CW_NS_CLASSES_MAX][32];
};

static bool is_set_elsewhere(unsigned int code)
{
	static const uint8_t ours[] = {0,  1,  3,  6,  12, 15, 26,  28,		50,
				       51, 52, 53, 54, 55, 56, 57,  58,		59,
				       60, 61, 67, 77, 80, 82, 119, OPT_ROUTES, 255};

	return code > 255 || memchr(ours, (int)code, sizeof(ours)) != NULL;
}

static bool append(uint8_t *to, size_t size, uint8_t *bytes, uint8_t code, const uint8_t *data,
		   size_t len)
{
	if (len > UINT8_MAX || *bytes + 2 + len > size)
		return false;
	to[(*bytes)++] = code;
	to[(*bytes)++] = (uint8_t)len;
	memcpy(to + *bytes, data, len);
	*bytes = (uint8_t)(*bytes + len);
	return true;
}

static json_t *no_room(const char *option)
{
	return cw_query_error("too-large", "%s: no room for more options in the namespace record",
			      option);
}

/* "NAME/rest": the class, and what follows; without a name the namespace itself (-1). */
static const char *split_class(const struct classes *c, const char *text, int *class)
{
	const char *slash = strchr(text, '/'), *equals = strchr(text, '=');

	*class = -1;
	if (slash == NULL || (equals != NULL && equals < slash))
		return text;
	for (unsigned int i = 0; i < c->ns->class_count; i++)
		if (strlen(c->name[i]) == (size_t)(slash - text) &&
		    memcmp(c->name[i], text, (size_t)(slash - text)) == 0) {
			*class = (int)i;
			return slash + 1;
		}
	return text;
}

static bool add_option(struct classes *c, int class, uint8_t code, const uint8_t *data, size_t len)
{
	struct cw_namespace_record *ns = c->ns;

	if (class < 0)
		return append(ns->extra, sizeof(ns->extra), &ns->extra_bytes, code, data, len);
	return append(ns->classes[class].extra, sizeof(ns->classes[class].extra),
		      &ns->classes[class].extra_bytes, code, data, len);
}

static size_t parse_hex(const char *text, uint8_t *out, size_t size)
{
	size_t len = strlen(text) / 2;

	if (strlen(text) % 2 != 0 || len == 0 || len > size ||
	    strspn(text, "0123456789abcdefABCDEF") != strlen(text))
		return 0;
	for (size_t i = 0; i < len; i++) {
		char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};

		out[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return len;
}

static size_t parse_addresses(const char *text, uint8_t *out, size_t size)
{
	size_t at = 0;

	while (*text != '\0') {
		char one[CW_IP4_TEXT_BYTES];
		size_t len = strcspn(text, ",");
		rte_be32_t ip;

		if (len >= sizeof(one) || at + 4 > size)
			return 0;
		memcpy(one, text, len);
		one[len] = '\0';
		if (cw_ip4_parse(one, &ip) < 0)
			return 0;
		memcpy(out + at, &ip, 4);
		at += 4;
		text += len + (text[len] == ',');
	}
	return at;
}

static size_t parse_number(const char *text, unsigned int bytes, uint8_t *out)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || v >> (8 * bytes) != 0)
		return 0;
	for (unsigned int i = 0; i < bytes; i++)
		out[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
	return bytes;
}

/* "type:value" as bytes. @return 0 when it is malformed. */
static size_t parse_value(const char *text, uint8_t *out, size_t size)
{
	if (strncmp(text, "text:", 5) == 0 && strlen(text + 5) <= size) {
		memcpy(out, text + 5, strlen(text + 5));
		return strlen(text + 5);
	}
	if (strncmp(text, "hex:", 4) == 0)
		return parse_hex(text + 4, out, size);
	if (strncmp(text, "ip:", 3) == 0)
		return parse_addresses(text + 3, out, size);
	if (strncmp(text, "u8:", 3) == 0)
		return parse_number(text + 3, 1, out);
	if (strncmp(text, "u16:", 4) == 0)
		return parse_number(text + 4, 2, out);
	return strncmp(text, "u32:", 4) == 0 ? parse_number(text + 4, 4, out) : 0;
}

static json_t *parse_option(struct classes *c, const char *text)
{
	uint8_t data[UINT8_MAX];
	unsigned long code;
	size_t len;
	char *end;
	int class;

	text = split_class(c, text, &class);
	code = strtoul(text, &end, 10);
	len = *end == '=' ? parse_value(end + 1, data, sizeof(data)) : 0;
	if (text[0] < '0' || text[0] > '9' || len == 0)
		return cw_query_error(
			"usage",
			"--option: expected [CLASS/]CODE=ip:A[,A]|text:T|hex:H|u8:N|u16:N|u32:N, got %s",
			text);
	if (is_set_elsewhere((unsigned int)code))
		return cw_query_error(
			"usage", "--option: %lu is set by the namespace or the protocol itself",
			code);
	return add_option(c, class, (uint8_t)code, data, len) ? NULL : no_room("--option");
}

static json_t *parse_class(struct classes *c, const char *text)
{
	const char *equals = strchr(text, '='), *match = NULL;
	struct cw_ns_class *to = &c->ns->classes[c->ns->class_count];
	size_t len = equals == NULL ? 0 : (size_t)(equals - text);

	if (c->ns->class_count == CW_NS_CLASSES_MAX)
		return cw_query_error("usage", "--class: more than %u classes", CW_NS_CLASSES_MAX);
	*to = (struct cw_ns_class){0};
	if (equals != NULL && strncmp(equals + 1, "vendor:", 7) == 0) {
		to->option = CW_DHCP_OPT_VENDOR_CLASS;
		match = equals + 8;
	} else if (equals != NULL && strncmp(equals + 1, "user:", 5) == 0) {
		to->option = CW_DHCP_OPT_USER_CLASS;
		match = equals + 6;
	}
	if (match == NULL || len == 0 || len >= sizeof(c->name[0]) || match[0] == '\0' ||
	    strlen(match) >= sizeof(to->match))
		return cw_query_error(
			"usage", "--class: expected NAME=vendor:TEXT or NAME=user:TEXT, got %s",
			text);
	memcpy(to->match, match, strlen(match) + 1);
	memcpy(c->name[c->ns->class_count], text, len);
	c->ns->class_count++;
	return NULL;
}

static json_t *parse_boot_file(struct classes *c, const char *text)
{
	struct cw_ns_boot *boot;
	int class;

	text = split_class(c, text, &class);
	boot = class < 0 ? &c->ns->boot : &c->ns->classes[class].boot;
	if (text[0] == '\0' || strlen(text) >= sizeof(boot->file))
		return cw_query_error("usage", "--boot-file: 1 to %zu characters",
				      sizeof(boot->file) - 1);
	memset(boot->file, 0, sizeof(boot->file));
	memcpy(boot->file, text, strlen(text));
	/* Some clients look at the field, some at the option. */
	return add_option(c, class, OPT_BOOT_FILE, (const uint8_t *)text, strlen(text))
		       ? NULL
		       : no_room("--boot-file");
}

static json_t *parse_next_server(struct classes *c, const char *text)
{
	struct cw_ns_boot *boot;
	int class;

	text = split_class(c, text, &class);
	boot = class < 0 ? &c->ns->boot : &c->ns->classes[class].boot;
	return cw_ip4_parse(text, &boot->next_server) == 0
		       ? NULL
		       : cw_query_error("usage", "--next-server: expected an address, got %s",
					text);
}

/* RFC 3442: the prefix's length, its significant octets, the router; all routes in one option. */
static json_t *parse_routes(struct classes *c, const json_t *list)
{
	uint8_t data[UINT8_MAX];
	const json_t *item;
	size_t i, at = 0;

	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item), *comma;
		struct cw_prefix4 prefix;
		char first[24];
		rte_be32_t via;
		size_t octets;

		comma = text == NULL ? NULL : strchr(text, ',');
		if (comma == NULL || (size_t)(comma - text) >= sizeof(first))
			return cw_query_error("usage", "--route: expected PREFIX,ROUTER");
		memcpy(first, text, (size_t)(comma - text));
		first[comma - text] = '\0';
		if (cw_prefix4_parse(first, &prefix) < 0 || cw_ip4_parse(comma + 1, &via) < 0)
			return cw_query_error("usage", "--route: expected PREFIX,ROUTER, got %s",
					      text);
		octets = (prefix.len + 7u) / 8;
		if (at + 1 + octets + 4 > sizeof(data))
			return no_room("--route");
		data[at++] = prefix.len;
		memcpy(data + at, &prefix.ip, octets);
		memcpy(data + at + octets, &via, 4);
		at += octets + 4;
	}
	return at == 0 || add_option(c, -1, OPT_ROUTES, data, at) ? NULL : no_room("--route");
}

bool cw_ns_list_is_none(const json_t *list)
{
	const char *text = json_string_value(json_array_get(list, 0));

	return json_array_size(list) == 1 && text != NULL && strcmp(text, "none") == 0;
}

static json_t *parse_list(struct classes *c, const json_t *list,
			  json_t *(*parse)(struct classes *c, const char *text))
{
	const json_t *item;
	size_t i;

	if (cw_ns_list_is_none(list))
		return NULL;
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);
		json_t *error =
			text == NULL ? cw_query_error("usage", "expected a text") : parse(c, text);

		if (error != NULL)
			return error;
	}
	return NULL;
}

static json_t *parse_switch(const json_t *args, const char *key, bool *out)
{
	const char *text = json_string_value(json_object_get(args, key));

	if (text == NULL)
		return NULL;
	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		return cw_query_error("usage", "--%s: on or off", key);
	*out = strcmp(text, "on") == 0;
	return NULL;
}

static const char *const static_words[CW_STATIC_POLICY_COUNT] = {
	[CW_STATIC_OFF] = "off", [CW_STATIC_RESERVED] = "reserved", [CW_STATIC_ANY] = "any"};

const char *cw_ns_static_word(uint8_t policy)
{
	return policy < CW_STATIC_POLICY_COUNT ? static_words[policy] : "off";
}

static json_t *parse_static(const json_t *args, struct cw_namespace_record *ns)
{
	const char *text = json_string_value(json_object_get(args, "static"));

	if (text == NULL)
		return NULL;
	for (unsigned int p = 0; p < CW_STATIC_POLICY_COUNT; p++)
		if (strcmp(static_words[p], text) == 0) {
			ns->static_hosts = (uint8_t)p;
			return NULL;
		}
	return cw_query_error("usage", "--static: off, reserved or any");
}

json_t *cw_ns_options_parse(const json_t *args, struct cw_namespace_record *ns)
{
	struct classes c = {.ns = ns};
	static const struct {
		const char *key;
		json_t *(*parse)(struct classes *c, const char *text);
	} lists[] = {{"class", parse_class},
		     {"option", parse_option},
		     {"boot_file", parse_boot_file},
		     {"next_server", parse_next_server}};
	const json_t *routes = json_object_get(args, "route");
	json_t *error = parse_switch(args, "rapid-commit", &ns->rapid_commit);
	size_t given = json_array_size(routes);

	if (error == NULL)
		error = parse_switch(args, "authoritative", &ns->authoritative);
	if (error == NULL)
		error = parse_static(args, ns);
	for (size_t i = 0; i < CW_ARRAY_SIZE(lists); i++)
		given += json_array_size(json_object_get(args, lists[i].key));
	if (error != NULL || given == 0)
		return error;
	/* They refer to each other, so they are one list: given anew as a whole. */
	ns->class_count = 0;
	ns->extra_bytes = 0;
	ns->boot = (struct cw_ns_boot){0};
	memset(ns->extra, 0, sizeof(ns->extra));
	memset(ns->classes, 0, sizeof(ns->classes));
	for (size_t i = 0; i < CW_ARRAY_SIZE(lists) && error == NULL; i++)
		error = parse_list(&c, json_object_get(args, lists[i].key), lists[i].parse);
	if (error == NULL && !cw_ns_list_is_none(routes))
		error = parse_routes(&c, routes);
	return error;
}
