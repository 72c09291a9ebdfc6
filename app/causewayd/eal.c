/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL from the configuration: the operator writes none of its arguments. Its run directory is
 * removed at the end, and at the start if the process before died uncleanly. The state directory
 * is locked first, so that two daemons never meet in EAL. What EAL would print while it starts is
 * kept, and its last words go into our one line if it fails.
 */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#define ARGS_MAX 48
/* A keeper of a daemon that died needs some milliseconds. */
#define KEEPER_TURNS   60u
#define KEEPER_TURN_US 50000u

int state_open(struct daemon *d)
{
	const char *dir = d->config.node.state_dir;
	long holder;
	int rc = cw_os_make_dir(dir);

	if (rc < 0)
		return FAIL(d, "node.state_dir %s: %s", dir, strerror(-rc));
	d->lock_fd = cw_os_lock_dir(dir, &holder);
	/* Its daemon is gone, but what is left to tidy up (privileges.c) is not through yet. */
	for (unsigned int i = 0; d->lock_fd == -EAGAIN && i < KEEPER_TURNS && holder > 0 &&
				 kill((pid_t)holder, 0) < 0 && errno == ESRCH;
	     i++) {
		usleep(KEEPER_TURN_US);
		d->lock_fd = cw_os_lock_dir(dir, &holder);
	}
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

/* Where EAL keeps its run directories: the rule of its own eal_create_runtime_dir. */
static const char *run_root(void)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");

	if (getuid() == 0)
		return "/var/run";
	return xdg != NULL ? xdg : "/tmp";
}

/* Another DPDK process may go by the operator's prefix: its files are not ours to remove. */
static bool is_in_use(const char *run_dir)
{
	char config[RUN_DIR_BYTES + 16];

	snprintf(config, sizeof(config), "%s/config", run_dir);
	return rte_eal_primary_proc_alive(config) != 0;
}

static void remove_run_dir(const char *dir)
{
	char path[1024];
	struct dirent *entry;
	DIR *list;

	list = is_in_use(dir) ? NULL : opendir(dir);
	if (list == NULL)
		return;
	while ((entry = readdir(list)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		unlink(path);
	}
	closedir(list);
	rmdir(dir);
}

static void name_run_dir(struct daemon *d)
{
	make_prefix(d);
	snprintf(d->run_dir, sizeof(d->run_dir), "%s/dpdk/%s", run_root(), d->file_prefix);
}

void eal_remove_run_dir(struct daemon *d)
{
	if (d->run_dir[0] == '\0')
		name_run_dir(d);
	remove_run_dir(d->run_dir);
}

/* Free hugepages of all sizes; EAL itself only says that it cannot get memory. */
static uint64_t free_hugepages_mb(void)
{
	static const char root[] = "/sys/kernel/mm/hugepages";
	uint64_t sum_kb = 0;
	struct dirent *entry;
	DIR *list = opendir(root);

	while (list != NULL && (entry = readdir(list)) != NULL) {
		unsigned long long kb;
		char path[512], *text;

		if (sscanf(entry->d_name, "hugepages-%llukB", &kb) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", root, entry->d_name);
		text = cw_os_read_file(path, 64, NULL);
		if (text != NULL)
			sum_kb += strtoull(text, NULL, 10) * kb;
		free(text);
	}
	if (list != NULL)
		closedir(list);
	return sum_kb / 1024;
}

static bool hugetlbfs_is_mounted(void)
{
	FILE *mounts = fopen("/proc/mounts", "re");
	char line[1024];
	bool found = false;

	while (mounts != NULL && !found && fgets(line, sizeof(line), mounts) != NULL)
		found = strstr(line, " hugetlbfs ") != NULL;
	if (mounts != NULL)
		fclose(mounts);
	return found;
}

int eal_check(struct daemon *d)
{
	uint64_t free_mb;

	if (!d->config.eal_hugepages)
		return 0;
	free_mb = free_hugepages_mb();
	if (free_mb < d->config.eal_memory_mb)
		return FAIL(
			d,
			"eal.hugepages: %llu MB of hugepages are free, eal.memory_mb asks for %u (sysctl vm.nr_hugepages=N), or set eal.hugepages = false",
			(unsigned long long)free_mb, d->config.eal_memory_mb);
	if (!hugetlbfs_is_mounted())
		return FAIL(
			d,
			"eal.hugepages: no hugetlbfs is mounted (mount -t hugetlbfs none /dev/hugepages), or set eal.hugepages = false");
	return 0;
}

static void lcores_argument(const struct daemon *d, char *out, size_t size)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	size_t at = 0;

	if (d->config.eal_lcores[0] != '\0') {
		snprintf(out, size, "%s", d->config.eal_lcores);
		return;
	}
	/*
	 * Control and each worker float over all CPUs: the kernel spreads them, nothing is pinned
	 * that the operator did not pin.
	 */
	for (unsigned int i = 0; i <= d->config.workers; i++)
		at += (size_t)snprintf(out + at, at < size ? size - at : 0, "%s%u@(0-%ld)",
				       i > 0 ? "," : "", i, cpus - 1);
}

struct arguments {
	char lcores[2048], memory[16], prefix[96];
	char *argv[ARGS_MAX];
	int argc;
};

/* EAL wants writable strings and never writes to them. */
static void add(struct arguments *a, const char *text)
{
	if (a->argc < ARGS_MAX)
		a->argv[a->argc++] = (char *)(uintptr_t)text;
}

/* Only the devices that are ours: the machine's other NICs may belong to somebody else. */
static void add_devices(const struct daemon *d, struct arguments *a)
{
	bool lan = d->config.has_lan && d->config.lan.driver == CW_PORT_ETHDEV;
	bool wan = d->config.wan.driver == CW_PORT_ETHDEV;

	if (!lan && !wan)
		add(a, "--no-pci");
	if (lan) {
		add(a, "-a");
		add(a, d->config.lan.device);
	}
	if (wan) {
		add(a, "-a");
		add(a, d->config.wan.device);
	}
}

static void fill_arguments(const struct daemon *d, struct arguments *a)
{
	a->argc = 0;
	lcores_argument(d, a->lcores, sizeof(a->lcores));
	snprintf(a->memory, sizeof(a->memory), "%u", d->config.eal_memory_mb);
	snprintf(a->prefix, sizeof(a->prefix), "--file-prefix=%s", d->file_prefix);
	add(a, "causewayd");
	add(a, a->prefix);
	add(a, "-m");
	add(a, a->memory);
	add(a, "--lcores");
	add(a, a->lcores);
	add(a, "--no-telemetry");
	add(a, "--no-shconf");
	add(a, d->config.eal_hugepages ? "--huge-unlink" : "--no-huge");
	add_devices(d, a);
	add(a, "--log-level=error");
	for (int i = 0; i < d->options.eal_argc; i++)
		add(a, d->options.eal_argv[i]);
}

/* What went to a descriptor before it was turned aside, and where it goes meanwhile. */
struct aside {
	int fd, saved;
};

static struct aside turn_aside(int fd, int to)
{
	struct aside a = {.fd = fd, .saved = fcntl(fd, F_DUPFD_CLOEXEC, 3)};

	if (to >= 0 && a.saved >= 0)
		dup2(to, fd);
	return a;
}

static void turn_back(const struct aside *a)
{
	if (a->saved < 0)
		return;
	dup2(a->saved, a->fd);
	close(a->saved);
}

static bool asks_for_help(const struct arguments *a)
{
	for (int i = 1; i < a->argc; i++)
		if (strcmp(a->argv[i], "--help") == 0 || strcmp(a->argv[i], "-h") == 0)
			return true;
	return false;
}

/*
 * EAL prints its usage, of a hundred lines, when it does not like an argument, and getopt and
 * itself complain on standard error. Of all that the first complaint is kept, for our one line.
 */
static int start_quietly(struct daemon *d, struct arguments *a)
{
	struct aside out, err;
	char said[sizeof(d->log.dpdk_line)];
	ssize_t n;
	int rc, memory;

	if (asks_for_help(a))
		return rte_eal_init(a->argc, a->argv);
	memory = memfd_create("said", MFD_CLOEXEC);
	fflush(stdout);
	out = turn_aside(STDOUT_FILENO, memory);
	err = turn_aside(STDERR_FILENO, memory);
	rc = rte_eal_init(a->argc, a->argv);
	fflush(stdout);
	turn_back(&out);
	turn_back(&err);
	n = rc < 0 && memory >= 0 ? pread(memory, said, sizeof(said) - 1, 0) : 0;
	if (n > 0) {
		said[n] = '\0';
		said[strcspn(said, "\n")] = '\0';
		/* getopt's begins with the program's name, which our line does too. */
		if (strncmp(said, "causewayd: ", 11) == 0)
			snprintf(d->log.dpdk_line, sizeof(d->log.dpdk_line), "%s", said + 11);
	}
	if (memory >= 0)
		close(memory);
	return rc;
}

int eal_open(struct daemon *d)
{
	struct arguments a;

	name_run_dir(d);
	if (is_in_use(d->run_dir))
		return FAIL(d, "eal.file_prefix %s: another DPDK process uses it", d->file_prefix);
	remove_run_dir(d->run_dir);
	fill_arguments(d, &a);
	log_take_dpdk(d);
	if (start_quietly(d, &a) < 0)
		return FAIL(d, "EAL does not start (eal.memory_mb %u, eal.lcores %.200s): %.400s",
			    d->config.eal_memory_mb, a.lcores,
			    d->log.dpdk_line[0] != '\0' ? d->log.dpdk_line
							: rte_strerror(rte_errno));
	d->eal_up = true;
	/* Passed through, another --file-prefix may have been asked for. */
	snprintf(d->run_dir, sizeof(d->run_dir), "%s", rte_eal_get_runtime_dir());
	if (rte_lcore_count() < d->config.workers + 1)
		return FAIL(d, "eal.lcores: %u lcores, but control and %u workers need %u",
			    rte_lcore_count(), d->config.workers, d->config.workers + 1);
	cw_os_tsc_calibrate(&d->tsc);
	d->tsc_begun = d->tsc.tsc;
	return 0;
}

void eal_close(struct daemon *d)
{
	if (d->eal_up)
		rte_eal_cleanup();
	if (d->run_dir[0] != '\0')
		eal_remove_run_dir(d);
	log_leave_dpdk(d);
}
