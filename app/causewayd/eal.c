/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL from the configuration: the operator writes none of its arguments. Its run directory is
 * removed at the end, also after an unclean death of the process before. The state directory is
 * locked first, so that two daemons never meet in EAL.
 */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#define ARGS_MAX 48

__extension__ typedef __int128 wide; /* the product of two 64-bit times */

int state_open(struct daemon *d)
{
	const char *dir = d->config.node.state_dir;
	long holder;
	int rc = cw_os_make_dir(dir);

	if (rc < 0)
		return FAIL(d, "node.state_dir %s: %s", dir, strerror(-rc));
	d->lock_fd = cw_os_lock_dir(dir, &holder);
	if (d->lock_fd == -EAGAIN)
		return FAIL(d, "node.state_dir %s: another causewayd uses it (pid %ld)", dir,
			    holder);
	if (d->lock_fd < 0)
		return FAIL(d, "node.state_dir %s: %s", dir, strerror(-d->lock_fd));
	return 0;
}

void state_close(struct daemon *d)
{
	if (d->lock_fd >= 0)
		close(d->lock_fd);
}

/* A prefix of its own for every state directory: gateways on one machine do not meet. */
static void make_prefix(struct daemon *d)
{
	char real[4096];
	uint32_t h = UINT32_C(2166136261);

	if (d->config.eal_file_prefix[0] != '\0') {
		snprintf(d->file_prefix, sizeof(d->file_prefix), "%s", d->config.eal_file_prefix);
		return;
	}
	if (realpath(d->config.node.state_dir, real) == NULL)
		snprintf(real, sizeof(real), "%s", d->config.node.state_dir);
	for (const char *p = real; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * UINT32_C(16777619);
	snprintf(d->file_prefix, sizeof(d->file_prefix), "causeway-%08x", h);
}

static void remove_run_dir(const struct daemon *d)
{
	const char *roots[] = {"/run/dpdk", "/tmp/dpdk"};

	for (size_t i = 0; i < CW_ARRAY_SIZE(roots); i++) {
		char dir[256], path[768];
		struct dirent *entry;
		DIR *list;

		snprintf(dir, sizeof(dir), "%s/%s", roots[i], d->file_prefix);
		list = opendir(dir);
		while (list != NULL && (entry = readdir(list)) != NULL) {
			if (entry->d_name[0] == '.' &&
			    (entry->d_name[1] == '\0' || entry->d_name[1] == '.'))
				continue;
			snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
			unlink(path);
		}
		if (list != NULL) {
			closedir(list);
			rmdir(dir);
		}
	}
}

static bool hugepages_present(void)
{
	char *text = cw_os_read_file("/proc/sys/vm/nr_hugepages", 64, NULL);
	bool present = text != NULL && atol(text) > 0;

	free(text);
	return present;
}

static void lcores_argument(const struct daemon *d, char *out, size_t size)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	size_t at = 0;

	if (d->config.eal_lcores[0] != '\0') {
		snprintf(out, size, "%s", d->config.eal_lcores);
		return;
	}
	/* Control and each worker float over all CPUs: the kernel spreads them, nothing is pinned
	 * that the operator did not pin. */
	for (unsigned int i = 0; i <= d->config.workers; i++)
		at += (size_t)snprintf(out + at, at < size ? size - at : 0, "%s%u@(0-%ld)",
				       i > 0 ? "," : "", i, cpus - 1);
}

static bool needs_pci(const struct daemon *d)
{
	return d->config.wan.driver == CW_PORT_ETHDEV ||
	       (d->config.has_lan && d->config.lan.driver == CW_PORT_ETHDEV);
}

int eal_open(struct daemon *d)
{
	char lcores[2048], memory[16], prefix[96];
	char *argv[ARGS_MAX];
	int argc = 0;

	make_prefix(d);
	remove_run_dir(d);
	if (d->config.eal_hugepages && !hugepages_present())
		return FAIL(
			d,
			"eal.hugepages: no hugepage is configured (sysctl vm.nr_hugepages=N), or set eal.hugepages = false");
	lcores_argument(d, lcores, sizeof(lcores));
	snprintf(memory, sizeof(memory), "%u", d->config.eal_memory_mb);
	snprintf(prefix, sizeof(prefix), "--file-prefix=%s", d->file_prefix);
	argv[argc++] = (char *)(uintptr_t) "causewayd";
	argv[argc++] = prefix;
	argv[argc++] = (char *)(uintptr_t) "-m";
	argv[argc++] = memory;
	argv[argc++] = (char *)(uintptr_t) "--lcores";
	argv[argc++] = lcores;
	argv[argc++] = (char *)(uintptr_t) "--no-telemetry";
	argv[argc++] = (char *)(uintptr_t) "--no-shconf";
	if (!d->config.eal_hugepages)
		argv[argc++] = (char *)(uintptr_t) "--no-huge";
	else
		argv[argc++] = (char *)(uintptr_t) "--huge-unlink";
	if (!needs_pci(d))
		argv[argc++] = (char *)(uintptr_t) "--no-pci";
	argv[argc++] = (char *)(uintptr_t) "--log-level=3";
	for (int i = 0; i < d->options.eal_argc && argc < ARGS_MAX; i++)
		argv[argc++] = d->options.eal_argv[i];
	if (rte_eal_init(argc, argv) < 0)
		return FAIL(d, "EAL does not start: %s (eal.memory_mb %u, eal.lcores %.200s)",
			    rte_errno != 0 ? rte_strerror(rte_errno) : "its log says why",
			    d->config.eal_memory_mb, lcores);
	d->eal_up = true;
	if (rte_lcore_count() < d->config.workers + 1)
		return FAIL(d, "eal.lcores: %u lcores for %u workers and control",
			    rte_lcore_count(), d->config.workers);
	d->tsc_hz = rte_get_tsc_hz();
	d->tsc_base = rte_rdtsc();
	d->ns_base = cw_os_now_ns();
	return 0;
}

void eal_close(struct daemon *d)
{
	if (d->eal_up)
		rte_eal_cleanup();
	remove_run_dir(d);
}

uint64_t clock_tsc_of_ns(const struct daemon *d, uint64_t ns)
{
	wide delta = (wide)ns - (wide)d->ns_base;

	return (uint64_t)((wide)d->tsc_base + delta * (wide)d->tsc_hz / (wide)CW_NS_PER_S);
}

uint64_t clock_ns_of_tsc(const struct daemon *d, uint64_t tsc)
{
	wide delta = (wide)tsc - (wide)d->tsc_base;

	return (uint64_t)((wide)d->ns_base + delta * (wide)CW_NS_PER_S / (wide)d->tsc_hz);
}
