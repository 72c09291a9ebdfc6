/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reader: libconfig parses, rows say what may be there and where it goes.
 *
 * First every setting of the file must have a row (an unknown key is a typo, never ignored), then
 * every row takes its setting or its fallback. The fallback is text that goes the same way as the
 * file's, so there is one parser per type. The first trouble ends it; nothing is half taken, since
 * the caller's struct is only used when all is well.
 */
#include "cw_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libconfig.h>

#define PATH_BYTES 128

struct reader {
	const char *file;
	char *err;
	size_t err_size;
};

static int fail(const struct reader *r, unsigned int line, const char *key, const char *what)
{
	if (line != 0)
		snprintf(r->err, r->err_size, "%s:%u: %s: %s", r->file, line, key, what);
	else
		snprintf(r->err, r->err_size, "%s: %s: %s", r->file, key, what);
	return -EINVAL;
}

/* Of an included file the lines are its own. */
static struct reader reader_at(const struct reader *r, const config_setting_t *s)
{
	struct reader at = *r;

	if (config_setting_source_file(s) != NULL)
		at.file = config_setting_source_file(s);
	return at;
}

/* A string without a fallback, or with one that says something, says something. */
static bool may_be_empty(const struct cw_option *o)
{
	return o->fallback != NULL && o->fallback[0] == '\0';
}

static int expected(const struct reader *r, unsigned int line, const struct cw_option *o,
		    const char *got)
{
	char what[256], choices[128] = "";

	switch (o->type) {
	case CW_OPT_STRING:
		snprintf(what, sizeof(what), "expected a string of %s %zu characters",
			 may_be_empty(o) ? "at most" : "1 to", o->size - 1);
		break;
	case CW_OPT_UINT:
		snprintf(what, sizeof(what), "expected a number from %llu to %llu, got %s",
			 (unsigned long long)o->min, (unsigned long long)o->max, got);
		break;
	case CW_OPT_BOOL:
		snprintf(what, sizeof(what), "expected true or false");
		break;
	case CW_OPT_DURATION:
		snprintf(
			what, sizeof(what),
			"expected a duration such as \"500us\", \"10s\", \"5m\" from %llu us to %llu us, got %s",
			(unsigned long long)(o->min / 1000), (unsigned long long)(o->max / 1000),
			got);
		break;
	case CW_OPT_IP4:
		snprintf(what, sizeof(what), "expected a unicast address \"a.b.c.d\", got %s", got);
		break;
	case CW_OPT_PREFIX:
		snprintf(what, sizeof(what), "expected a host's address \"a.b.c.d/len\", got %s",
			 got);
		break;
	case CW_OPT_ENDPOINTS:
		snprintf(what, sizeof(what),
			 "expected a list of at most %u unicast \"a.b.c.d:port\", got %s",
			 CW_ENDPOINT_LIST_MAX, got);
		break;
	case CW_OPT_PREFIXES:
		snprintf(what, sizeof(what),
			 "expected a list of at most %u networks \"a.b.c.d/len\", got %s",
			 CW_PREFIX_LIST_MAX, got);
		break;
	case CW_OPT_CHOICE:
		for (unsigned int i = 0; o->choices[i] != NULL; i++)
			snprintf(choices + strlen(choices), sizeof(choices) - strlen(choices),
				 "%s\"%s\"", i > 0 ? ", " : "", o->choices[i]);
		snprintf(what, sizeof(what), "expected one of %s, got %s", choices, got);
		break;
	}
	return fail(r, line, o->path, what);
}

static bool parse_duration(const char *text, uint64_t *out)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"ns", 1},		 {"us", CW_NS_PER_US},	  {"ms", CW_NS_PER_MS},
		     {"s", CW_NS_PER_S}, {"m", 60 * CW_NS_PER_S}, {"h", 3600 * CW_NS_PER_S}};
	char *end;
	unsigned long long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	for (size_t i = 0; errno == 0 && i < CW_ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].unit) != 0 || value > UINT64_MAX / units[i].ns)
			continue;
		*out = value * units[i].ns;
		return true;
	}
	return false;
}

/* What can be a station's: neither "this network", loopback, multicast nor reserved. */
static bool is_unicast(rte_be32_t ip)
{
	uint8_t first = (uint8_t)(rte_be_to_cpu_32(ip) >> 24);

	return first != 0 && first != 127 && first < 224;
}

/* Not the network's own address nor its broadcast (RFC 3021: two have neither). */
static bool is_host(const struct cw_host_prefix *p)
{
	rte_be32_t mask = cw_prefix4_mask(p->len);

	return is_unicast(p->ip) &&
	       (p->len >= 31 || ((p->ip & ~mask) != 0 && (p->ip | mask) != UINT32_MAX));
}

static bool parse_host_prefix(const char *text, struct cw_host_prefix *out)
{
	const char *slash = strchr(text, '/');
	char ip[CW_IP4_TEXT_BYTES], *end;
	unsigned long len;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(ip) || slash[1] < '0' ||
	    slash[1] > '9')
		return false;
	memcpy(ip, text, (size_t)(slash - text));
	ip[slash - text] = '\0';
	len = strtoul(slash + 1, &end, 10);
	if (*end != '\0' || len > 32 || cw_ip4_parse(ip, &out->ip) < 0)
		return false;
	out->len = (uint8_t)len;
	return is_host(out);
}

/* Text forms of everything that is written as a string. */
static bool store_text(const struct cw_option *o, const char *text, void *field)
{
	switch (o->type) {
	case CW_OPT_STRING:
		if (strlen(text) >= o->size || (text[0] == '\0' && !may_be_empty(o)))
			return false;
		memset(field, 0, o->size);
		memcpy(field, text, strlen(text));
		return true;
	case CW_OPT_DURATION:
		return parse_duration(text, field) && *(uint64_t *)field >= o->min &&
		       *(uint64_t *)field <= o->max;
	case CW_OPT_IP4:
		if (text[0] == '\0') {
			*(rte_be32_t *)field = 0;
			return true;
		}
		return cw_ip4_parse(text, field) == 0 && is_unicast(*(rte_be32_t *)field);
	case CW_OPT_PREFIX:
		if (text[0] == '\0') {
			memset(field, 0, sizeof(struct cw_host_prefix));
			return true;
		}
		return parse_host_prefix(text, field);
	case CW_OPT_CHOICE:
		for (unsigned int i = 0; o->choices[i] != NULL; i++) {
			if (strcmp(o->choices[i], text) == 0) {
				*(uint8_t *)field = (uint8_t)i;
				return true;
			}
		}
		return false;
	default:
		return false;
	}
}

static void store_fallback(const struct cw_option *o, void *field)
{
	bool ok = true;

	if (o->type == CW_OPT_UINT)
		*(uint32_t *)field = (uint32_t)strtoul(o->fallback, NULL, 10);
	else if (o->type == CW_OPT_BOOL)
		*(bool *)field = strcmp(o->fallback, "true") == 0;
	else if (o->type == CW_OPT_ENDPOINTS)
		memset(field, 0, sizeof(struct cw_endpoint_list));
	else if (o->type == CW_OPT_PREFIXES)
		memset(field, 0, sizeof(struct cw_prefix_list));
	else
		ok = store_text(o, o->fallback, field);
	CW_ASSERT(ok);
}

static int take_endpoints(const struct reader *r, const struct cw_option *o,
			  const config_setting_t *s, struct cw_endpoint_list *out)
{
	int n = config_setting_length(s);

	if (!config_setting_is_list(s) && !config_setting_is_array(s))
		return expected(r, config_setting_source_line(s), o, "something else");
	memset(out, 0, sizeof(*out));
	for (int i = 0; i < n; i++) {
		const char *text = config_setting_get_string_elem(s, i);

		if (out->count == CW_ENDPOINT_LIST_MAX || text == NULL ||
		    cw_endpoint_parse(text, 0, &out->at[out->count]) < 0 ||
		    !is_unicast(out->at[out->count].ip4))
			return expected(r, config_setting_source_line(s), o,
					text != NULL ? text : "something else");
		out->count++;
	}
	return 0;
}

static int take_prefixes(const struct reader *r, const struct cw_option *o,
			 const config_setting_t *s, struct cw_prefix_list *out)
{
	int n = config_setting_length(s);

	if (!config_setting_is_list(s) && !config_setting_is_array(s))
		return expected(r, config_setting_source_line(s), o, "something else");
	memset(out, 0, sizeof(*out));
	for (int i = 0; i < n; i++) {
		const char *text = config_setting_get_string_elem(s, i);

		if (out->count == CW_PREFIX_LIST_MAX || text == NULL ||
		    cw_prefix4_parse(text, &out->at[out->count]) < 0)
			return expected(r, config_setting_source_line(s), o,
					text != NULL ? text : "something else");
		out->count++;
	}
	return 0;
}

static int take(const struct reader *reader, const struct cw_option *o, const config_setting_t *s,
		void *field)
{
	const struct reader at = reader_at(reader, s), *r = &at;
	unsigned int line = config_setting_source_line(s);
	const char *text;
	char got[32];

	switch (o->type) {
	case CW_OPT_UINT: {
		long long value = config_setting_get_int64(s);

		snprintf(got, sizeof(got), "%lld", value);
		if (config_setting_type(s) != CONFIG_TYPE_INT &&
		    config_setting_type(s) != CONFIG_TYPE_INT64)
			return expected(r, line, o, "something else");
		if (value < 0 || (uint64_t)value < o->min || (uint64_t)value > o->max)
			return expected(r, line, o, got);
		*(uint32_t *)field = (uint32_t)value;
		return 0;
	}
	case CW_OPT_BOOL:
		if (config_setting_type(s) != CONFIG_TYPE_BOOL)
			return expected(r, line, o, "");
		*(bool *)field = config_setting_get_bool(s);
		return 0;
	case CW_OPT_ENDPOINTS:
		return take_endpoints(r, o, s, field);
	case CW_OPT_PREFIXES:
		return take_prefixes(r, o, s, field);
	default:
		text = config_setting_get_string(s);
		if (text == NULL || !store_text(o, text, field))
			return expected(r, line, o, text != NULL ? text : "something else");
		return 0;
	}
}

static const struct cw_option *row_of(const struct cw_option *rows, const char *path)
{
	for (; rows->path != NULL; rows++)
		if (strcmp(rows->path, path) == 0)
			return rows;
	return NULL;
}

static bool is_group(const struct cw_option *rows, const char *path)
{
	size_t len = strlen(path);

	for (; rows->path != NULL; rows++)
		if (strncmp(rows->path, path, len) == 0 && rows->path[len] == '.')
			return true;
	return false;
}

static int check_known(const struct reader *r, const struct cw_option *rows,
		       const config_setting_t *group, const char *prefix)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned int)i);
		char path[PATH_BYTES];
		int rc;

		snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
			 config_setting_name(s));
		if (config_setting_is_group(s) && is_group(rows, path)) {
			rc = check_known(r, rows, s, path);
			if (rc < 0)
				return rc;
		} else if (row_of(rows, path) == NULL) {
			const struct reader at = reader_at(r, s);

			return fail(&at, config_setting_source_line(s), path,
				    is_group(rows, path) ? "expected a group { ... }"
							 : "unknown key");
		}
	}
	return 0;
}

/* A required key is required if its group was begun, or stands at the top. */
static bool group_present(const config_t *cfg, const char *path)
{
	char group[PATH_BYTES];
	const char *dot = strrchr(path, '.');

	if (dot == NULL)
		return true;
	snprintf(group, sizeof(group), "%.*s", (int)(dot - path), path);
	return config_lookup(cfg, group) != NULL;
}

static int take_rows(const struct reader *r, const config_t *cfg, const struct cw_option *rows,
		     void *out, struct cw_option_set *present)
{
	*present = (struct cw_option_set){.bits = {0}};
	for (unsigned int i = 0; rows[i].path != NULL; i++) {
		const struct cw_option *o = &rows[i];
		const config_setting_t *s = config_lookup(cfg, o->path);
		void *field = (char *)out + o->offset;
		int rc;

		CW_ASSERT(i < CW_OPTIONS_MAX);
		if (s != NULL) {
			rc = take(r, o, s, field);
			if (rc < 0)
				return rc;
			cw_option_set_add(present, i);
		} else if (o->fallback != NULL) {
			store_fallback(o, field);
		} else if (group_present(cfg, o->path)) {
			return fail(r, 0, o->path, "is missing");
		}
	}
	return 0;
}

int cw_config_read(const char *text, const char *file, const char *include_dir,
		   const struct cw_option *rows, void *out, struct cw_option_set *present,
		   char *err, size_t err_size)
{
	struct reader r = {.file = file, .err = err, .err_size = err_size};
	config_t cfg;
	int rc;

	config_init(&cfg);
	config_set_include_dir(&cfg, include_dir);
	if (config_read_string(&cfg, text) != CONFIG_TRUE) {
		if (config_error_file(&cfg) != NULL)
			r.file = config_error_file(&cfg);
		rc = fail(&r, (unsigned int)config_error_line(&cfg), "syntax",
			  config_error_text(&cfg));
	} else {
		rc = check_known(&r, rows, config_root_setting(&cfg), "");
		if (rc == 0)
			rc = take_rows(&r, &cfg, rows, out, present);
	}
	config_destroy(&cfg);
	return rc;
}

static size_t field_bytes(const struct cw_option *o)
{
	switch (o->type) {
	case CW_OPT_STRING:
		return o->size;
	case CW_OPT_UINT:
	case CW_OPT_IP4:
		return 4;
	case CW_OPT_BOOL:
		return sizeof(bool);
	case CW_OPT_DURATION:
		return 8;
	case CW_OPT_PREFIX:
		return sizeof(struct cw_host_prefix);
	case CW_OPT_ENDPOINTS:
		return sizeof(struct cw_endpoint_list);
	case CW_OPT_PREFIXES:
		return sizeof(struct cw_prefix_list);
	default:
		return 1;
	}
}

bool cw_config_diff(const struct cw_option *rows, const void *a, const void *b,
		    struct cw_option_set *out)
{
	bool any = false;

	*out = (struct cw_option_set){.bits = {0}};
	for (unsigned int i = 0; rows[i].path != NULL; i++)
		if (memcmp((const char *)a + rows[i].offset, (const char *)b + rows[i].offset,
			   field_bytes(&rows[i])) != 0) {
			cw_option_set_add(out, i);
			any = true;
		}
	return any;
}

size_t cw_config_help(const struct cw_option *rows, char *out, size_t size)
{
	size_t at = 0;

	for (; rows->path != NULL; rows++) {
		int n = snprintf(at < size ? out + at : NULL, at < size ? size - at : 0,
				 "%s\n    default: %s; reloadable: %s\n    %s\n", rows->path,
				 rows->fallback == NULL	     ? "none, required"
				 : rows->fallback[0] == '\0' ? "\"\""
							     : rows->fallback,
				 rows->reloadable ? "yes" : "no", rows->help);

		at += n > 0 ? (size_t)n : 0;
	}
	return at;
}
