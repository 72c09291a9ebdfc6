/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIGHUP: parse anew, compare, take over what can be, and say by name what cannot. A file that
 * does not parse changes nothing. Log files are opened again, so that logrotate can move them.
 */
#include "daemon.h"

#include <string.h>

#define NAMES_BYTES 512

/* The paths of the changed rows that are reloadable, or that are not, joined by commas. */
static bool list_changed(const struct cw_option_set *diff, bool reloadable, char *out, size_t size)
{
	const struct cw_option *rows = cw_gateway_options();
	size_t at = 0;

	out[0] = '\0';
	for (unsigned int i = 0; rows[i].path != NULL; i++)
		if (cw_option_set_has(diff, i) && rows[i].reloadable == reloadable && at < size)
			at += (size_t)snprintf(out + at, size - at, "%s%s", at > 0 ? ", " : "",
					       rows[i].path);
	return at > 0;
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
	cw_control_reload(d->control, &core, cw_os_now_ns());
}

void reload(struct daemon *d)
{
	struct cw_gateway_config config;
	char names[NAMES_BYTES];
	struct cw_option_set diff;
	bool any, mine;

	d->reload = false;
	log_reopen(d);
	if (options_load(d, &config) < 0) {
		cw_log(&d->log.log, CW_LOG_ERROR, "main", "reload refused, nothing changed: %s",
		       d->error);
		return;
	}
	mine = identity_reload(d, &config);
	any = cw_config_diff(cw_gateway_options(), &d->config, &config, &diff);
	if (config.has_lan != d->config.has_lan)
		cw_log(&d->log.log, CW_LOG_WARN, "main", "reload: the lan group needs a restart");
	else if (!any && !mine)
		cw_log(&d->log.log, CW_LOG_NOTICE, "main", "reload: nothing changed");
	if (list_changed(&diff, false, names, sizeof(names)))
		cw_log(&d->log.log, CW_LOG_WARN, "main",
		       "reload: %s: changed in the file, takes a restart, stays as it was", names);
	if (list_changed(&diff, true, names, sizeof(names))) {
		take_over(d, &config);
		cw_log(&d->log.log, CW_LOG_NOTICE, "main", "reload: %s: taken over", names);
	}
}
