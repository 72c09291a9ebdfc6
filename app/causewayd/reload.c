/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGHUP: parse anew, compare, take over what can be, and say by name what cannot. A file that
 * does not parse changes nothing. Log files are opened again, so that logrotate can move them.
 */
#include "daemon.h"

#include <string.h>

#define NAMES_BYTES 512

/* The paths of the changed rows that are reloadable, or that are not. */
static json_t *list_changed(const struct daemon *d, const struct cw_gateway_config *config,
			    const struct cw_option_set *diff, bool reloadable)
{
	const struct cw_option *rows = cw_gateway_options();
	json_t *list = json_array();

	for (unsigned int i = 0; rows[i].path != NULL; i++)
		if (cw_option_set_has(diff, i) && rows[i].reloadable == reloadable)
			json_array_append_new(list, json_string(rows[i].path));
	if (!reloadable && config->has_lan != d->config.has_lan)
		json_array_append_new(list, json_string("lan"));
	return list;
}

static const char *joined(const json_t *list, char *out, size_t size)
{
	const json_t *item;
	size_t at = 0, i;

	out[0] = '\0';
	json_array_foreach(list, i, item)
	{
		if (at < size)
			at += (size_t)snprintf(out + at, size - at, "%s%s", at > 0 ? ", " : "",
					       json_string_value(item));
	}
	return out;
}

static void take_over(struct daemon *d, const struct cw_gateway_config *config)
{
	struct cw_control_config core = {.bootstrap_count = config->bootstrap.count};

	d->config.log_level = config->log_level;
	d->log.log.level = (enum cw_log_level)config->log_level;
	d->config.bootstrap = config->bootstrap;
	/* Workers read both once per turn. */
	__atomic_store_n(&d->config.idle, config->idle, __ATOMIC_RELAXED);
	__atomic_store_n(&d->config.idle_ceiling_ns, config->idle_ceiling_ns, __ATOMIC_RELAXED);
	memcpy(core.bootstrap, config->bootstrap.at, sizeof(core.bootstrap));
	if (config->debug_clock_offset_ns != d->config.debug_clock_offset_ns)
		cw_os_clock_offset(config->debug_clock_offset_ns);
	d->config.debug_clock_offset_ns = config->debug_clock_offset_ns;
	cw_control_reload(d->control, &core, cw_os_now_ns());
}

json_t *reload(struct daemon *d)
{
	struct cw_gateway_config config;
	char names[NAMES_BYTES];
	struct cw_option_set diff;
	json_t *taken, *fixed;
	bool mine;

	d->reload = false;
	log_reopen(d);
	if (options_load(d, &config) < 0) {
		cw_log(&d->log.log, CW_LOG_ERROR, "main", "reload refused, nothing changed: %s",
		       d->error);
		return json_pack("{s:b, s:s, s:s}", "ok", 0, "code", "config", "error", d->error);
	}
	mine = identity_reload(d, &config);
	cw_config_diff(cw_gateway_options(), &d->config, &config, &diff);
	taken = list_changed(d, &config, &diff, true);
	fixed = list_changed(d, &config, &diff, false);
	if (json_array_size(taken) + json_array_size(fixed) == 0 && !mine)
		cw_log(&d->log.log, CW_LOG_NOTICE, "main", "reload: nothing changed");
	if (json_array_size(fixed) > 0)
		cw_log(&d->log.log, CW_LOG_WARN, "main",
		       "reload: %s: changed in the file, takes a restart, stays as it was",
		       joined(fixed, names, sizeof(names)));
	if (json_array_size(taken) > 0) {
		take_over(d, &config);
		cw_log(&d->log.log, CW_LOG_NOTICE, "main", "reload: %s: taken over",
		       joined(taken, names, sizeof(names)));
	}
	return json_pack("{s:b, s:{s:o, s:o}}", "ok", 1, "status", "taken_over", taken,
			 "needs_restart", fixed);
}
