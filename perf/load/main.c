/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * causeway-load: the shipped pipeline under load on this machine, without a NIC. What
 * `causewayctl capacity` runs, one process per gateway that it asks about; by hand:
 *
 *   causeway-load [options]    then lines on standard input, one JSON line back for each:
 *     prepare SIZE HOSTS                            make the packets
 *     trial WAY SIZE HOSTS PPS SECONDS even|poisson [BEGIN_NS]
 *                                WAY out, in or both; PPS 0: as much as is taken;
 *                                BEGIN_NS: when, on CLOCK_MONOTONIC, so that several begin at once
 *     port SIZE HOSTS                               cycles per packet of the ports alone
 *
 * It uses the CPUs that it is allowed to use, opens no port and no socket, and ends with its
 * standard input.
 */
#include "load.h"

#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#define WARM_S	   0.01
#define MBUFS_BASE 4096u
#define MBUFS_EACH 4096u

struct options {
	struct bench_size size;
	unsigned int ceiling_us, memory_mb;
	enum cw_idle idle;
	enum cw_suite suite;
	const char *crypto, *lcores;
	bool one_queue, hugepages, as_is;
};

static const char usage[] =
	"usage: causeway-load [--workers N] [--one-queue] [--hosts N] [--peers N] [--mappings N]\n"
	"                     [--idle spin|pause|sleep] [--ceiling-us US]\n"
	"                     [--cipher aes-256-gcm|chacha20-poly1305] [--crypto auto|ipsec_mb|openssl]\n"
	"                     [--lcores EAL] [--hugepages] [--memory-mb N] [--as-is]\n"
	"lines on standard input: see the top of perf/load/main.c\n";

static int parse_idle(const char *text, enum cw_idle *out)
{
	static const char *const words[] = {
		[CW_IDLE_SPIN] = "spin", [CW_IDLE_PAUSE] = "pause", [CW_IDLE_SLEEP] = "sleep"};

	for (unsigned int i = 0; i < CW_ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0) {
			*out = (enum cw_idle)i;
			return 0;
		}
	return -1;
}

static int take(struct options *o, int c, const char *arg)
{
	unsigned int n = arg != NULL ? (unsigned int)strtoul(arg, NULL, 10) : 0;

	switch (c) {
	case 'w':
		o->size.workers = n;
		return 0;
	case 'h':
		o->size.hosts = n;
		return 0;
	case 'p':
		o->size.peers = n;
		return 0;
	case 'm':
		o->size.mappings = n;
		return 0;
	case 'c':
		o->ceiling_us = n;
		return 0;
	case 'M':
		o->memory_mb = n;
		return 0;
	case 'q':
		o->one_queue = true;
		return 0;
	case 'H':
		o->hugepages = true;
		return 0;
	case 'A':
		o->as_is = true;
		return 0;
	case 'l':
		o->lcores = arg;
		return 0;
	case 'e':
		o->crypto = arg;
		return 0;
	case 'i':
		return parse_idle(arg, &o->idle);
	case 'a':
		o->suite = strcmp(arg, cw_suite_name(CW_SUITE_CHACHA20_POLY1305)) == 0
				   ? CW_SUITE_CHACHA20_POLY1305
				   : CW_SUITE_AES_256_GCM;
		return 0;
	default:
		return -1;
	}
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option rows[] = {
		{"workers", 1, NULL, 'w'},   {"hosts", 1, NULL, 'h'},
		{"peers", 1, NULL, 'p'},     {"mappings", 1, NULL, 'm'},
		{"idle", 1, NULL, 'i'},	     {"ceiling-us", 1, NULL, 'c'},
		{"cipher", 1, NULL, 'a'},    {"crypto", 1, NULL, 'e'},
		{"lcores", 1, NULL, 'l'},    {"hugepages", 0, NULL, 'H'},
		{"one-queue", 0, NULL, 'q'}, {"memory-mb", 1, NULL, 'M'},
		{"as-is", 0, NULL, 'A'},     {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", rows, NULL)) != -1)
		if (take(o, c, optarg) < 0)
			return -1;
	return optind != argc || o->size.workers == 0 || o->size.workers > LOAD_WORKERS_MAX ||
			       o->size.hosts == 0 || o->size.hosts > HOSTS_MAX ||
			       o->size.peers == 0 || o->size.peers > PEERS_MAX ||
			       o->size.mappings < o->size.peers || o->size.mappings > MAPPINGS_MAX
		       ? -1
		       : 0;
}

/* Main and the workers float over the CPUs that we may use, as causewayd's do. */
static void default_lcores(unsigned int workers, char *out, size_t size)
{
	char cpus[1024] = "";
	cpu_set_t set;
	size_t at = 0;

	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0; i < CPU_SETSIZE && at < sizeof(cpus) - 8; i++)
		if (CPU_ISSET(i, &set))
			at += (size_t)snprintf(cpus + at, sizeof(cpus) - at, "%s%d",
					       at > 0 ? "," : "", i);
	at = 0;
	for (unsigned int i = 0; i <= workers; i++)
		at += (size_t)snprintf(out + at, at < size ? size - at : 0, "%s%u@(%s)",
				       i > 0 ? "," : "", i, cpus);
}

static int start_eal(const struct options *o)
{
	static char lcores[16384], prefix[64], memory[16];
	char *eal[] = {(char *)"causeway-load",
		       o->hugepages ? (char *)"--huge-unlink" : (char *)"--no-huge",
		       (char *)"-m",
		       memory,
		       (char *)"--no-pci",
		       (char *)"--no-telemetry",
		       (char *)"--no-shconf",
		       prefix,
		       (char *)"--lcores",
		       lcores,
		       (char *)"--log-level=3"};

	if (o->lcores != NULL)
		snprintf(lcores, sizeof(lcores), "%s", o->lcores);
	else
		default_lcores(o->size.workers, lcores, sizeof(lcores));
	snprintf(prefix, sizeof(prefix), "--file-prefix=cwload%ld", (long)getpid());
	snprintf(memory, sizeof(memory), "%u",
		 o->memory_mb != 0 ? o->memory_mb : 128 + 24 * o->size.workers);
	if (rte_eal_init(CW_ARRAY_SIZE(eal), eal) < 0)
		return -1;
	return rte_lcore_count() > o->size.workers ? 0 : -1;
}

static int parse_trial(const char *line, const struct options *o, struct load_trial *t)
{
	static const char *const ways[LOAD_WAYS] = {"out", "in", "both"};
	char way[8], arrivals[16];
	unsigned long long begin_ns = 0;
	struct timespec now;
	int n = sscanf(line, "trial %7s %15s %u %lf %lf %15s %llu", way, t->size, &t->hosts,
		       &t->pps, &t->seconds, arrivals, &begin_ns);

	t->way = LOAD_OUT;
	while (t->way < LOAD_WAYS && strcmp(ways[t->way], way) != 0)
		t->way++;
	if (n < 6 || t->way == LOAD_WAYS || t->hosts == 0 || t->hosts > o->size.hosts ||
	    t->seconds <= 0 || t->pps < 0)
		return -1;
	t->poisson = strcmp(arrivals, "poisson") == 0;
	t->warm_s = WARM_S;
	clock_gettime(CLOCK_MONOTONIC, &now);
	begin_ns -= (unsigned long long)now.tv_sec * CW_NS_PER_S + (unsigned long long)now.tv_nsec;
	if (n == 7 && (long long)begin_ns > 0)
		t->begin_tsc =
			rte_rdtsc() + (uint64_t)((double)begin_ns / 1e9 * (double)rte_get_tsc_hz());
	return 0;
}

static void report(const struct load *l, const struct load_trial *t, const struct load_result *r)
{
	double us = (double)(1u << PACED_UNIT_SHIFT) / (double)l->bench.tsc_hz * 1e6;

	printf("{\"offered\":%llu,\"lost\":%llu,\"passed\":%llu,\"seconds\":%.4f,"
	       "\"passed_pps\":%.0f,\"p50_us\":%.3f,\"p90_us\":%.3f,\"p99_us\":%.3f,"
	       "\"p999_us\":%.3f,\"max_us\":%.3f,"
	       "\"preempted\":%lu,\"away\":%.4f,\"frame_bytes\":%.2f}\n",
	       (unsigned long long)r->offered, (unsigned long long)r->lost,
	       (unsigned long long)r->passed, r->seconds, (double)r->passed / r->seconds,
	       cw_histogram_percentile(&r->latency, 0.5) * us,
	       cw_histogram_percentile(&r->latency, 0.9) * us,
	       cw_histogram_percentile(&r->latency, 0.99) * us,
	       cw_histogram_percentile(&r->latency, 0.999) * us, r->latency.max * us, r->preempted,
	       r->away, bench_mean_bytes(t->size));
}

static bool size_is_right(const char *size)
{
	return strcmp(size, "imix") == 0 || (atoi(size) >= 64 && atoi(size) <= 1434);
}

static int do_line(struct load *l, const struct options *o, const char *line)
{
	static struct load_result r;
	struct load_trial t = {0};
	unsigned int hosts;
	char size[16];

	if (sscanf(line, "prepare %15s %u", size, &hosts) == 2 && size_is_right(size) &&
	    hosts > 0 && hosts <= o->size.hosts) {
		if (load_prepare(l, size, hosts) < 0)
			return -1;
		printf("{\"prepared\":true}\n");
	} else if (sscanf(line, "port %15s %u", size, &hosts) == 2 && size_is_right(size) &&
		   hosts > 0 && hosts <= o->size.hosts) {
		if (load_prepare(l, size, hosts) < 0)
			return -1;
		printf("{\"out_cycles\":%.1f,\"in_cycles\":%.1f}\n", load_port_cycles(l, LOAD_OUT),
		       load_port_cycles(l, LOAD_IN));
	} else if (parse_trial(line, o, &t) == 0 && size_is_right(t.size)) {
		if (load_trial(l, &t, &r) < 0)
			return -1;
		report(l, &t, &r);
	} else {
		fprintf(stderr, "causeway-load: not understood: %s", line);
		return -1;
	}
	fflush(stdout);
	return 0;
}

static int serve(struct load *l, const struct options *o)
{
	unsigned int lcore, i = 0;
	char line[256];
	int rc = 0;

	RTE_LCORE_FOREACH_WORKER(lcore)
	{
		if (i == l->workers || rte_eal_remote_launch(load_lcore, &l->at[i], lcore) != 0)
			break;
		i++;
	}
	printf("{\"ready\":true,\"tsc_hz\":%llu,\"engine\":\"%s\",\"cipher\":\"%s\"}\n",
	       (unsigned long long)l->bench.tsc_hz, l->bench.crypto->name,
	       cw_suite_name(l->bench.suite));
	fflush(stdout);
	while (rc == 0 && fgets(line, sizeof(line), stdin) != NULL)
		rc = do_line(l, o, line);
	__atomic_store_n(&l->quit, true, __ATOMIC_RELEASE);
	cw_rcu_offline();
	rte_eal_mp_wait_lcore();
	cw_rcu_online();
	return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct load l;
	static struct bench shared;
	struct options o = {.size = {.peers = 64, .hosts = 1024, .mappings = 65536, .workers = 1},
			    .ceiling_us = 1000,
			    .idle = CW_IDLE_SLEEP,
			    .suite = CW_SUITE_AES_256_GCM,
			    .crypto = "auto"};
	char run_dir[1024];
	int rc = 1;

	if (parse(argc, argv, &o) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	/* Who asked is gone: nobody wants an answer. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (start_eal(&o) < 0) {
		fprintf(stderr, "causeway-load: EAL does not start (lcores, memory)\n");
		return 1;
	}
	snprintf(run_dir, sizeof(run_dir), "%s", rte_eal_get_runtime_dir());
	cw_rcu_thread_register();
	l.workers = o.size.workers;
	l.one_queue = o.one_queue && o.size.workers > 1;
	l.as_is = o.as_is;
	l.idle = o.idle;
	l.ceiling_us = o.ceiling_us;
	if (bench_init(&shared, o.crypto, o.suite, MBUFS_BASE + MBUFS_EACH * l.workers - 1) < 0)
		fprintf(stderr, "causeway-load: no packet memory, or no such engine here\n");
	else if (bench_open(&l.bench, &shared, &o.size) < 0 || load_open(&l) < 0)
		fprintf(stderr, "causeway-load: no memory for the tables\n");
	else
		rc = serve(&l, &o);
	/* The tables go with the process. */
	rte_eal_cleanup();
	rmdir(run_dir);
	return rc;
}
