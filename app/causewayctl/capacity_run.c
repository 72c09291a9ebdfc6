/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running causeway-load: one process per gateway, asked by lines over pipes, all of a group at the
 * same moment. They end when their pipe does, so none is left behind, however this ends.
 */
#include "capacity.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cw_suite.h>

/* Until all of a group have read their line. */
#define TOGETHER_NS UINT64_C(40000000)
#define LINE_BYTES  1024
#define ARGS_MAX    40
/* Beside a daemon: it goes first. */
#define NICE_BESIDE 19

struct arguments {
	char *argv[ARGS_MAX];
	int argc;
	char text[8][24];
	unsigned int texts;
};

static void add(struct arguments *a, const char *word)
{
	if (a->argc < ARGS_MAX - 1)
		a->argv[a->argc++] = (char *)(uintptr_t)word;
}

static void add_number(struct arguments *a, const char *option, unsigned int n)
{
	char *text = a->text[a->texts++ % CW_ARRAY_SIZE(a->text)];

	snprintf(text, sizeof(a->text[0]), "%u", n);
	add(a, option);
	add(a, text);
}

static void fill(const struct capacity *c, unsigned int workers, struct arguments *a)
{
	static const char *const crypto[] = {"auto", "ipsec_mb", "openssl"};
	const struct cw_gateway_config *conf = &c->config;
	unsigned int queues = conf->lan.queues;

	add(a, "causeway-load");
	add_number(a, "--workers", workers);
	add_number(a, "--hosts", c->hosts > CAPACITY_HOSTS_LEAST ? c->hosts : CAPACITY_HOSTS_LEAST);
	add_number(a, "--peers", c->peers);
	add_number(a, "--mappings", c->mappings);
	add_number(a, "--ceiling-us", (unsigned int)(conf->idle_ceiling_ns / CW_NS_PER_US));
	add(a, "--idle");
	add(a, capacity_idle[conf->idle]);
	add(a, "--crypto");
	add(a, crypto[conf->crypto]);
	if (conf->cipher == CW_CIPHER_CHACHA20_POLY1305) {
		add(a, "--cipher");
		add(a, "chacha20-poly1305");
	}
	/* A port with fewer queues than workers: one of them polls and spreads. */
	if (queues != 0 && queues < workers)
		add(a, "--one-queue");
	if (conf->eal_lcores[0] != '\0' && workers == c->config.workers) {
		add(a, "--lcores");
		add(a, conf->eal_lcores);
	}
	if (c->as_is)
		add(a, "--as-is");
}

/* In the tree that this was built in, or installed in libexec. */
static const char *find_program(char *out, size_t size)
{
	const char *env = getenv("CAUSEWAY_LOAD");
	char self[512];
	ssize_t n;

	if (env != NULL)
		return env;
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	if (strrchr(self, '/') != NULL)
		*strrchr(self, '/') = '\0';
	snprintf(out, size, "%s/../../perf/causeway-load", self);
	if (access(out, X_OK) != 0)
		snprintf(out, size, "%s/causeway-load", CW_LIBEXEC_DIR);
	return out;
}

static int start(const struct capacity *c, struct load_process *p, unsigned int workers)
{
	struct arguments a = {.argc = 0};
	int to[2], from[2];
	char path[640];
	const char *program = find_program(path, sizeof(path));

	fill(c, workers, &a);
	if (access(program, X_OK) != 0) {
		fprintf(stderr, "causewayctl: %s: %s (CAUSEWAY_LOAD names another)\n", program,
			strerror(errno));
		return CTL_FAILURE;
	}
	if (pipe2(to, O_CLOEXEC) < 0)
		return CTL_FAILURE;
	if (pipe2(from, O_CLOEXEC) < 0) {
		close(to[0]);
		close(to[1]);
		return CTL_FAILURE;
	}
	fflush(stdout);
	p->pid = fork();
	if (p->pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		if (c->beside)
			setpriority(PRIO_PROCESS, 0, NICE_BESIDE);
		execv(program, a.argv);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	p->to = fdopen(to[1], "w");
	p->from = fdopen(from[0], "r");
	return p->pid > 0 && p->to != NULL && p->from != NULL ? CTL_OK : CTL_FAILURE;
}

static json_t *hear(struct load_process *p)
{
	char line[LINE_BYTES];
	json_t *answer = NULL;

	if (fgets(line, sizeof(line), p->from) != NULL)
		answer = json_loads(line, 0, NULL);
	if (answer == NULL)
		fputs("causewayctl: causeway-load ended without an answer\n", stderr);
	return answer;
}

int load_group_open(const struct capacity *c, struct load_group *g, unsigned int processes,
		    unsigned int workers)
{
	memset(g, 0, sizeof(*g));
	/* One that ended is noticed by what it does not say. */
	signal(SIGPIPE, SIG_IGN);
	for (unsigned int i = 0; i < processes && i < CAPACITY_PROCESSES_MAX; i++) {
		int rc = start(c, &g->at[i], workers);

		g->count++;
		if (rc != CTL_OK)
			return rc;
	}
	for (unsigned int i = 0; i < g->count; i++) {
		json_t *ready = hear(&g->at[i]);
		const char *engine = json_string_value(json_object_get(ready, "engine"));
		const char *cipher = json_string_value(json_object_get(ready, "cipher"));

		if (engine == NULL || cipher == NULL) {
			json_decref(ready);
			return CTL_FAILURE;
		}
		g->tsc_hz = capacity_number(ready, "tsc_hz");
		snprintf(g->engine, sizeof(g->engine), "%s", engine);
		snprintf(g->cipher, sizeof(g->cipher), "%s", cipher);
		json_decref(ready);
	}
	return CTL_OK;
}

static int say(struct load_group *g, const char *line)
{
	for (unsigned int i = 0; i < g->count; i++)
		if (fputs(line, g->at[i].to) == EOF || fflush(g->at[i].to) == EOF)
			return CTL_FAILURE;
	return CTL_OK;
}

static double greater(double a, double b)
{
	return a > b ? a : b;
}

static int gather(struct load_group *g, struct load_answer *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < g->count; i++) {
		json_t *a = hear(&g->at[i]);

		if (a == NULL)
			return CTL_FAILURE;
		out->offered += capacity_number(a, "offered");
		out->lost += capacity_number(a, "lost");
		out->passed += capacity_number(a, "passed");
		out->pps += capacity_number(a, "passed_pps");
		out->bytes = capacity_number(a, "frame_bytes");
		out->p50_us = greater(out->p50_us, capacity_number(a, "p50_us"));
		out->p99_us = greater(out->p99_us, capacity_number(a, "p99_us"));
		out->max_us = greater(out->max_us, capacity_number(a, "max_us"));
		out->away += capacity_number(a, "away") / g->count;
		json_decref(a);
	}
	return CTL_OK;
}

int load_group_ask(struct load_group *g, const struct load_ask *ask, struct load_answer *out)
{
	struct load_answer prepared;
	struct timespec now;
	char line[LINE_BYTES];

	/* What takes long first, so that all begin together. */
	snprintf(line, sizeof(line), "prepare %s %u\n", ask->size, ask->hosts);
	if (say(g, line) != CTL_OK || gather(g, &prepared) != CTL_OK)
		return CTL_FAILURE;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(line, sizeof(line), "trial %s %s %u %.0f %.4f %s %llu\n", ask->way, ask->size,
		 ask->hosts, ask->pps / g->count, ask->seconds, ask->poisson ? "poisson" : "even",
		 (unsigned long long)now.tv_sec * 1000000000ull + (unsigned long long)now.tv_nsec +
			 TOGETHER_NS);
	return say(g, line) != CTL_OK ? CTL_FAILURE : gather(g, out);
}

int load_group_port(struct load_group *g, const char *size, unsigned int hosts, double *cycles)
{
	char line[LINE_BYTES];

	*cycles = 0;
	snprintf(line, sizeof(line), "port %s %u\n", size, hosts);
	if (say(g, line) != CTL_OK)
		return CTL_FAILURE;
	for (unsigned int i = 0; i < g->count; i++) {
		json_t *a = hear(&g->at[i]);

		if (a == NULL)
			return CTL_FAILURE;
		*cycles += (capacity_number(a, "out_cycles") + capacity_number(a, "in_cycles")) /
			   2 / g->count;
		json_decref(a);
	}
	return CTL_OK;
}

void load_group_close(struct load_group *g)
{
	for (unsigned int i = 0; i < g->count; i++) {
		struct load_process *p = &g->at[i];

		if (p->to != NULL)
			fclose(p->to);
		if (p->from != NULL)
			fclose(p->from);
		if (p->pid > 0)
			waitpid(p->pid, NULL, 0);
	}
	memset(g, 0, sizeof(*g));
}
