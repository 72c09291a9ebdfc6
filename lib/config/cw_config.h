/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CONFIG_H
#define CW_CONFIG_H

/**
 * @file
 * Option rows -> struct: one row per key gives reader, limits, default, help and documentation.
 * Pure: text in, struct out. [any]
 *
 * Unknown key, wrong type, out of range, missing: one line "file:line: key: what was expected".
 * Reload is a diff of two structs row by row.
 */
#include <cw_types.h>

enum cw_option_type {
	CW_OPT_STRING,	  /* char[size] */
	CW_OPT_UINT,	  /* uint32_t; min, max */
	CW_OPT_BOOL,	  /* bool */
	CW_OPT_DURATION,  /* uint64_t nanoseconds; "500us", "10s", "5m" */
	CW_OPT_IP4,	  /* rte_be32_t */
	CW_OPT_PREFIX,	  /* struct cw_host_prefix: "a.b.c.d/len", host bits kept */
	CW_OPT_CHOICE,	  /* uint8_t: index into `choices` */
	CW_OPT_ENDPOINTS, /* struct cw_endpoint_list */
	CW_OPT_PREFIXES,  /* struct cw_prefix_list */
};

#define CW_ENDPOINT_LIST_MAX 16u
struct cw_endpoint_list {
	unsigned int count;
	struct cw_endpoint at[CW_ENDPOINT_LIST_MAX];
};

#define CW_PREFIX_LIST_MAX 16u
/** Networks: no host bits. */
struct cw_prefix_list {
	unsigned int count;
	struct cw_prefix4 at[CW_PREFIX_LIST_MAX];
};

/** An address with its network's length. */
struct cw_host_prefix {
	rte_be32_t ip;
	uint8_t len;
};

struct cw_option {
	const char *path; /* "wan.port" */
	enum cw_option_type type;
	size_t offset, size;  /* of the field */
	uint64_t min, max;    /* UINT, DURATION (ns) */
	const char *fallback; /* as it would be written; NULL: required when its group is there */
	const char *const *choices; /* NULL-terminated */
	bool reloadable;
	const char *help;
};

/** Rows of one table; bounds struct cw_option_set. */
#define CW_OPTIONS_MAX 256u

/** A set of rows: those that were written, those that differ. */
struct cw_option_set {
	uint64_t bits[CW_OPTIONS_MAX / 64];
};

static inline void cw_option_set_add(struct cw_option_set *set, unsigned int row)
{
	set->bits[row / 64] |= UINT64_C(1) << row % 64;
}

static inline bool cw_option_set_has(const struct cw_option_set *set, unsigned int row)
{
	return set->bits[row / 64] >> row % 64 & 1;
}

/**
 * Read a configuration.
 *
 * @param text	NUL-terminated; @p file is its name in messages; @include is looked for in @p
 * include_dir
 * @param rows	ends with path NULL
 * @param present out: the rows that were written in the file
 * @return 0 or -EINVAL with @p err
 */
CW_MUST_USE int cw_config_read(const char *text, const char *file, const char *include_dir,
			       const struct cw_option *rows, void *out,
			       struct cw_option_set *present, char *err, size_t err_size);

/** Rows in which two structs differ. @return whether there are any. */
bool cw_config_diff(const struct cw_option *rows, const void *a, const void *b,
		    struct cw_option_set *out);

/** Help text of all rows, for --help-config and docs/config.md. @return bytes that it takes
 * (snprintf's rule). */
size_t cw_config_help(const struct cw_option *rows, char *out, size_t size);

#endif /* CW_CONFIG_H */
