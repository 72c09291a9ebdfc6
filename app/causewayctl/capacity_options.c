/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of `causewayctl capacity`, and the configuration of the gateway it is about. */
#include "capacity.h"

#include <errno.h>
#include <libgen.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_USUAL	 "/etc/causeway/gateway.conf"
#define CONFIG_BYTES_MAX 65536u
#define SIZES_USUAL	 "64,570,1420,imix"

static const char usage[] =
	"usage: causewayctl capacity [OPTIONS]   what a gateway on this machine carries, and how many a site needs\n"
	" what is asked (nothing: only what is measured)\n"
	"  --gbit L --pps P          frames of all hosts, both ways together; one of them: IMIX is assumed\n"
	"  --hosts H --latency T     hosts; bound of p99 inside the gateway, in microseconds\n"
	"  --out-share S             part of it that leaves the site (0.5)\n"
	"  --port-gbit G, --link-gbit G, --switch-gbit G    of each port, the uplink, the switch; unknown: no limit\n"
	"  --slots N                 virtual MACs (the configuration's, 64); with 1, one gateway carries everything\n"
	" the gateway that is measured\n"
	"  --config FILE             workers, queues, AEAD, idle (" CONFIG_USUAL
	", if it is there)\n"
	"  --workers N --idle spin|pause|sleep       instead of the configuration's\n"
	"  --peers N --mappings N                    64 peers, 65536 mappings\n"
	" how it is measured\n"
	"  --only sizes,curve,hosts,scaling,check    parts (all)\n"
	"  --sizes LIST              of frames (" SIZES_USUAL ")\n"
	"  --trial S --resolution R --attempts N     RFC 2544: 1 s, 0.01 of the highest rate, 3 trials before a rate is lossy\n"
	"  --quick                   --trial 0.1 --resolution 0.05\n"
	"  --as-is                   leave in the time that other programs had the CPUs\n"
	"  --load CPUS               although a daemon runs here: at most so many CPUs, at the lowest priority\n"
	"  --save FILE, --measured FILE              keep what was measured; plan from that, without load\n"
	"  --svg FILE                latency against load\n"
	"exit 0: measured, or it fits; 3: what is asked does not fit; 1: not measured\n";

const char *const capacity_idle[CAPACITY_IDLE_WORDS] = {"spin", "pause", "sleep"};

enum number_kind { REAL, WHOLE };

struct row {
	const char *name;
	enum number_kind kind;
	double min, max;
	size_t offset;
};

#define ROW(name, kind, min, max, field)                                                           \
	{                                                                                          \
		name, kind, min, max, offsetof(struct capacity, field)                             \
	}

static const struct row numbers[] = {
	ROW("--gbit", REAL, 1e-6, 1e5, gbit),
	ROW("--pps", REAL, 1, 1e11, pps),
	ROW("--latency", REAL, 0.1, 1e7, latency_us),
	ROW("--out-share", REAL, 0, 1, out_share),
	ROW("--port-gbit", REAL, 0.01, 1e4, port_gbit),
	ROW("--link-gbit", REAL, 0.001, 1e5, link_gbit),
	ROW("--switch-gbit", REAL, 0.01, 1e6, switch_gbit),
	ROW("--trial", REAL, 0.01, 3600, trial_s),
	ROW("--resolution", REAL, 0.001, 0.5, resolution),
	ROW("--hosts", WHOLE, 1, 32768, hosts),
	ROW("--slots", WHOLE, 1, CW_SITE_SLOTS_MAX, slots),
	ROW("--workers", WHOLE, 1, CW_CAPACITY_WORKERS_MAX, workers),
	ROW("--peers", WHOLE, 1, 4096, peers),
	ROW("--mappings", WHOLE, 1, 8000000, mappings),
	ROW("--attempts", WHOLE, 1, 100, attempts),
	ROW("--load", WHOLE, 1, CW_CAPACITY_WORKERS_MAX, load_cpus),
};

/* @return CTL_OK; CTL_FAILURE: no such option; CTL_USAGE after a message. */
static int take_number(struct capacity *c, const char *name, const char *value)
{
	for (size_t i = 0; i < CW_ARRAY_SIZE(numbers); i++) {
		const struct row *r = &numbers[i];
		char *end = NULL;
		double x;

		if (strcmp(name, r->name) != 0)
			continue;
		x = value != NULL ? strtod(value, &end) : NAN;
		if (end == NULL || end == value || *end != '\0' || !(x >= r->min && x <= r->max) ||
		    (r->kind == WHOLE && x != floor(x))) {
			fprintf(stderr, "causewayctl: %s: expected a number from %g to %g\n", name,
				r->min, r->max);
			return CTL_USAGE;
		}
		if (r->kind == WHOLE)
			*(unsigned int *)(void *)((char *)c + r->offset) = (unsigned int)x;
		else
			*(double *)(void *)((char *)c + r->offset) = x;
		return CTL_OK;
	}
	return CTL_FAILURE;
}

static int take_parts(struct capacity *c, const char *list)
{
	static const char *const words[] = {"sizes", "curve", "hosts", "scaling", "check"};
	char copy[128], *save = NULL;

	c->parts = 0;
	snprintf(copy, sizeof(copy), "%s", list);
	for (char *w = strtok_r(copy, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
		unsigned int i = 0;

		while (i < CW_ARRAY_SIZE(words) && strcmp(words[i], w) != 0)
			i++;
		if (i == CW_ARRAY_SIZE(words)) {
			fprintf(stderr,
				"causewayctl: --only: expected sizes, curve, hosts, scaling or check, not %s\n",
				w);
			return CTL_USAGE;
		}
		c->parts |= 1u << i;
	}
	return CTL_OK;
}

static int take_sizes(struct capacity *c, const char *list)
{
	char copy[128], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", list);
	for (char *w = strtok_r(copy, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
		char *end;
		unsigned long n = strtoul(w, &end, 10);

		if (strcmp(w, "imix") != 0 && (*end != '\0' || n < 64 || n > 1434)) {
			fprintf(stderr,
				"causewayctl: --sizes: expected 64 to 1434 bytes or imix, not %s\n",
				w);
			return CTL_USAGE;
		}
	}
	c->sizes = list;
	return CTL_OK;
}

static int take_idle(struct capacity *c, const char *word)
{
	for (unsigned int i = 0; i < CAPACITY_IDLE_WORDS; i++)
		if (strcmp(word, capacity_idle[i]) == 0) {
			c->idle = (int)i;
			return CTL_OK;
		}
	fprintf(stderr, "causewayctl: --idle: expected spin, pause or sleep, not %s\n", word);
	return CTL_USAGE;
}

static int take_text(struct capacity *c, const char *name, const char *value)
{
	if (value == NULL)
		return CTL_FAILURE;
	if (strcmp(name, "--config") == 0)
		c->config_file = value;
	else if (strcmp(name, "--save") == 0)
		c->save = value;
	else if (strcmp(name, "--measured") == 0)
		c->measured = value;
	else if (strcmp(name, "--svg") == 0)
		c->svg = value;
	else if (strcmp(name, "--idle") == 0)
		return take_idle(c, value);
	else if (strcmp(name, "--sizes") == 0)
		return take_sizes(c, value);
	else if (strcmp(name, "--only") == 0)
		return take_parts(c, value);
	else
		return CTL_FAILURE;
	return CTL_OK;
}

static int take_options(struct capacity *c, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		int rc;

		if (strcmp(argv[i], "--quick") == 0) {
			c->trial_s = 0.1;
			c->resolution = 0.05;
			continue;
		}
		if (strcmp(argv[i], "--as-is") == 0) {
			c->as_is = true;
			continue;
		}
		rc = take_number(c, argv[i], value);
		if (rc == CTL_FAILURE)
			rc = take_text(c, argv[i], value);
		if (rc == CTL_FAILURE)
			fputs(usage, stderr);
		if (rc != CTL_OK)
			return CTL_USAGE;
		i++;
	}
	return CTL_OK;
}

static char *read_all(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = f != NULL ? calloc(1, CONFIG_BYTES_MAX + 1) : NULL;

	if (text != NULL && fread(text, 1, CONFIG_BYTES_MAX, f) == 0) {
		free(text);
		text = NULL;
	}
	if (f != NULL)
		fclose(f);
	return text;
}

static int read_config(struct capacity *c)
{
	const char *path = c->config_file != NULL ? c->config_file : CONFIG_USUAL;
	char err[512], copy[512], *text;
	int rc;

	/* What a configuration that says nothing has. */
	c->config.workers = 1;
	c->config.virtual_mac_slots = CW_SITE_SLOTS_MAX;
	c->config.idle = 2;
	c->config.idle_ceiling_ns = CW_NS_PER_MS;
	if (c->config_file == NULL && access(path, R_OK) != 0)
		return CTL_OK;
	text = read_all(path);
	if (text == NULL) {
		fprintf(stderr, "causewayctl: %s: %s\n", path, strerror(errno));
		return CTL_USAGE;
	}
	snprintf(copy, sizeof(copy), "%s", path);
	rc = cw_gateway_config_read(text, path, dirname(copy), &c->config, err, sizeof(err));
	free(text);
	if (rc < 0)
		fprintf(stderr, "causewayctl: %s\n", err);
	return rc < 0 ? CTL_USAGE : CTL_OK;
}

int capacity_parse(struct capacity *c, int argc, char **argv)
{
	cpu_set_t cpus;
	int rc;

	c->out_share = 0.5;
	c->idle = -1;
	c->peers = 64;
	c->mappings = 65536;
	c->trial_s = 1;
	c->resolution = 0.01;
	c->attempts = 3;
	c->parts = PARTS_ALL;
	c->sizes = SIZES_USUAL;
	if (argc == 1 && strcmp(argv[0], "--help") == 0) {
		fputs(usage, stdout);
		exit(CTL_OK);
	}
	rc = take_options(c, argc, argv);
	if (rc == CTL_OK)
		rc = read_config(c);
	if (rc != CTL_OK)
		return rc;
	if (c->workers == 0)
		c->workers = c->config.workers;
	if (c->idle >= 0)
		c->config.idle = (uint8_t)c->idle;
	if (c->slots == 0)
		c->slots = c->config.virtual_mac_slots;
	if (c->mappings < c->peers)
		c->mappings = c->peers;
	c->cpus =
		sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (unsigned int)CPU_COUNT(&cpus) : 1;
	if (c->load_cpus > 0 && c->cpus > c->load_cpus)
		c->cpus = c->load_cpus;
	if (c->load_cpus > 0 && c->workers > c->load_cpus)
		c->workers = c->load_cpus;
	return CTL_OK;
}
