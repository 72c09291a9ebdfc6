/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * drivers/os: clocks, files, locks anywhere; netdevs in a network namespace of the test's own,
 * which needs root (without it those tests say so and pass).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cw_os.h>

#include "cw_test.h"

#define REAL_HZ UINT64_C(2596142000) /* of a machine whose rate DPDK rounds to 2600 MHz */

static char dir[] = "/tmp/cw-test-os-XXXXXX";
static bool have_netns;

static char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned int turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static bool command(const char *what)
{
	return system(what) == 0;
}

/* -- clocks */

static void clock_never_goes_back(void)
{
	uint64_t last = cw_os_now_ns(), first = last;

	for (unsigned int i = 0; i < 200000; i++) {
		uint64_t now = cw_os_now_ns();

		if (now < last)
			CU_FAIL("the clock went back");
		last = now;
	}
	CU_ASSERT(last > first);
}

/* The offset for tests: ahead at once, back by standing still. */
static void a_clock_set_back_stands_still(void)
{
	uint64_t begun = cw_os_now_ns(), ahead, still;

	cw_os_clock_offset(60 * CW_NS_PER_S);
	ahead = cw_os_now_ns();
	CU_ASSERT(ahead - begun >= 60 * CW_NS_PER_S);
	cw_os_clock_offset(0);
	still = cw_os_now_ns();
	CU_ASSERT(still >= ahead);
	usleep(1000);
	CU_ASSERT_EQUAL(cw_os_now_ns(), still);
	/* And on, or the other tests would see a clock that stands. */
	cw_os_clock_offset(60 * CW_NS_PER_S);
	usleep(1000);
	CU_ASSERT(cw_os_now_ns() > still);
}

static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void tsc_deadlines_are_right_after_a_day(void)
{
	uint64_t tsc = 1000, ns = 5 * CW_NS_PER_S, begun = ns;
	struct cw_os_tsc map;

	cw_os_tsc_begin(&map, tsc, ns, UINT64_C(2600000000));
	while (ns - begun < 86400 * CW_NS_PER_S) {
		ns += CW_NS_PER_S;
		tsc += REAL_HZ;
		CU_ASSERT_FATAL(cw_os_tsc_update(&map, tsc, ns));
	}
	CU_ASSERT(difference(map.hz, REAL_HZ) < 10);
	/* A session deadline 30 s ahead, and a lease of an hour. */
	CU_ASSERT(difference(cw_os_tsc_of_ns(&map, ns + 30 * CW_NS_PER_S), tsc + 30 * REAL_HZ) <
		  REAL_HZ / 1000);
	CU_ASSERT(difference(cw_os_tsc_of_ns(&map, ns + 3600 * CW_NS_PER_S), tsc + 3600 * REAL_HZ) <
		  REAL_HZ / 1000);
	CU_ASSERT(difference(cw_os_ns_of_tsc(&map, tsc - 10 * REAL_HZ), ns - 10 * CW_NS_PER_S) <
		  CW_NS_PER_MS);
}

static void a_jump_of_either_clock_is_told(void)
{
	struct cw_os_tsc map;
	uint64_t tsc = REAL_HZ, ns = CW_NS_PER_S;

	cw_os_tsc_begin(&map, tsc, ns, REAL_HZ);
	CU_ASSERT(cw_os_tsc_update(&map, tsc += REAL_HZ, ns += CW_NS_PER_S));
	/* Suspended for a minute: the TSC stood still. */
	CU_ASSERT_FALSE(cw_os_tsc_update(&map, tsc += REAL_HZ, ns += 61 * CW_NS_PER_S));
	CU_ASSERT_EQUAL(map.hz, REAL_HZ);
	CU_ASSERT_EQUAL(cw_os_ns_of_tsc(&map, tsc), ns);
	CU_ASSERT(cw_os_tsc_update(&map, tsc += REAL_HZ, ns += CW_NS_PER_S));
	CU_ASSERT(difference(map.hz, REAL_HZ) < 10);
	/* And one that began anew. */
	CU_ASSERT_FALSE(cw_os_tsc_update(&map, 5, ns += CW_NS_PER_S));
	CU_ASSERT_EQUAL(cw_os_tsc_of_ns(&map, ns), 5);
}

static void times_out_of_range_are_clamped(void)
{
	struct cw_os_tsc map;

	cw_os_tsc_begin(&map, 1000, CW_NS_PER_S, REAL_HZ);
	CU_ASSERT_EQUAL(cw_os_tsc_of_ns(&map, 0), 0);
	CU_ASSERT_EQUAL(cw_os_tsc_of_ns(&map, CW_NEVER), UINT64_MAX);
}

static void a_calibrated_mapping_follows_the_clock(void)
{
	struct cw_os_tsc map;
	uint64_t tsc, ns;

	cw_os_tsc_calibrate(&map);
	for (unsigned int i = 0; i < 5; i++) {
		usleep(20000);
		cw_os_tsc_sample(&tsc, &ns);
		/*
		 * 1 % and 1 ms is what an update takes for a jump; a loaded machine stays far
		 * below.
		 */
		CU_ASSERT(difference(cw_os_ns_of_tsc(&map, tsc), ns) < CW_NS_PER_MS);
		CU_ASSERT(cw_os_tsc_update(&map, tsc, ns));
	}
}

/* -- random, files */

static void random_bytes_differ(void)
{
	uint8_t a[300] = {0}, b[300] = {0};

	cw_os_random.fill(cw_os_random.ctx, a, sizeof(a));
	cw_os_random.fill(cw_os_random.ctx, b, sizeof(b));
	CU_ASSERT(memcmp(a, b, sizeof(a)) != 0);
	CU_ASSERT(memcmp(a, a + 150, 150) != 0);
}

static void a_file_is_replaced_whole(void)
{
	struct stat st;
	char *text;
	size_t len;

	CU_ASSERT_EQUAL(cw_os_write_file(in_dir("f"), "one", 3, 0600), 0);
	CU_ASSERT_EQUAL(cw_os_write_file(in_dir("f"), "second", 6, 0600), 0);
	text = cw_os_read_file(in_dir("f"), 6, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(len, 6);
	CU_ASSERT_STRING_EQUAL(text, "second");
	free(text);
	CU_ASSERT_EQUAL(stat(in_dir("f"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(access(in_dir("f.new"), F_OK), -1);
	CU_ASSERT_EQUAL(cw_os_write_file(in_dir("none/f"), "x", 1, 0600), -ENOENT);
}

static void reading_has_a_limit_and_says_why_not(void)
{
	CU_ASSERT_EQUAL(cw_os_write_file(in_dir("big"), "0123456789", 10, 0600), 0);
	errno = 0;
	CU_ASSERT_PTR_NULL(cw_os_read_file(in_dir("big"), 9, NULL));
	CU_ASSERT_EQUAL(errno, EFBIG);
	CU_ASSERT_PTR_NULL(cw_os_read_file(in_dir("missing"), 9, NULL));
	CU_ASSERT_EQUAL(errno, ENOENT);
}

static void directories_are_made_with_parents(void)
{
	struct stat st;

	CU_ASSERT_EQUAL(cw_os_make_dir(in_dir("x/y/z")), 0);
	CU_ASSERT_EQUAL(cw_os_make_dir(in_dir("x/y/z")), 0);
	CU_ASSERT_EQUAL(stat(in_dir("x/y/z"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0700);
	CU_ASSERT_EQUAL(cw_os_make_dir(in_dir("f/below")), -ENOTDIR);
}

static void a_state_directory_has_one_user(void)
{
	int to_child[2], from_child[2];
	long holder;
	pid_t child;
	char byte = 0;
	int fd;

	CU_ASSERT_FATAL(pipe(to_child) == 0 && pipe(from_child) == 0);
	CU_ASSERT_EQUAL_FATAL(cw_os_make_dir(in_dir("state")), 0);
	child = fork();
	if (child == 0) {
		byte = cw_os_lock_dir(in_dir("state"), &holder) >= 0 ? 'y' : 'n';
		if (write(from_child[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	CU_ASSERT_EQUAL(read(from_child[0], &byte, 1), 1);
	CU_ASSERT_EQUAL(byte, 'y');
	CU_ASSERT_EQUAL(cw_os_lock_dir(in_dir("state"), &holder), -EAGAIN);
	CU_ASSERT_EQUAL(holder, child);
	/* However it ends, the next one may. */
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fd = cw_os_lock_dir(in_dir("state"), &holder);
	CU_ASSERT(fd >= 0);
	close(fd);
	CU_ASSERT_EQUAL(cw_os_lock_dir(in_dir("not-there"), &holder), -ENOENT);
	close(to_child[0]);
	close(to_child[1]);
	close(from_child[0]);
	close(from_child[1]);
}

static void boot_id_is_stable(void)
{
	CU_ASSERT(cw_os_boot_id() != 0);
	CU_ASSERT_EQUAL(cw_os_boot_id(), cw_os_boot_id());
}

/* -- netdevs */

static bool needs_netns(void)
{
	if (!have_netns)
		puts("  (not run: needs root for a network namespace)");
	return have_netns;
}

static int arp_ignore_of(const char *netdev)
{
	char path[128], *text;
	int value;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/arp_ignore", netdev);
	text = cw_os_read_file(path, 16, NULL);
	value = text != NULL ? atoi(text) : -1;
	free(text);
	return value;
}

static void facts_of_a_netdev(void)
{
	struct cw_os_netdev f;

	if (!needs_netns())
		return;
	CU_ASSERT_EQUAL(cw_os_netdev_facts("nope0", &f), -ENODEV);
	CU_ASSERT_FATAL(command("ip link add t0 address 02:00:00:00:00:07 mtu 1400 type veth peer "
				"name t1 && ip addr add 192.0.2.7/25 dev t0 && "
				"ip addr add 192.0.2.8/25 dev t0"));
	CU_ASSERT_EQUAL(cw_os_netdev_facts("t0", &f), 0);
	CU_ASSERT_FALSE(f.up);
	CU_ASSERT_FATAL(command("ip link set t0 up && ip link set t1 up && "
				"ip route add default via 192.0.2.1 dev t0 metric 50 && "
				"ip route add default via 192.0.2.2 dev t0 metric 10 && "
				"ip route add default via 192.0.2.3 dev t0 metric 90"));
	CU_ASSERT_EQUAL(cw_os_netdev_facts("t0", &f), 0);
	CU_ASSERT(f.up);
	CU_ASSERT_FALSE(f.promiscuous);
	CU_ASSERT_EQUAL(f.mtu, 1400);
	CU_ASSERT_EQUAL(f.mac.b[5], 7);
	CU_ASSERT_EQUAL(f.ip, inet_addr("192.0.2.7"));
	CU_ASSERT_EQUAL(f.prefix_len, 25);
	CU_ASSERT_EQUAL(f.gateway, inet_addr("192.0.2.2"));
	CU_ASSERT(f.rx_queues >= 1);
	CU_ASSERT_EQUAL(cw_os_netdev_facts("t1", &f), 0);
	CU_ASSERT_FALSE(f.have_address);
	CU_ASSERT_EQUAL(f.gateway, 0);
}

static void a_netdev_is_given_back_as_it_was(void)
{
	struct cw_os_netdev f;
	char *journal = in_dir("netdev");

	if (!needs_netns())
		return;
	CU_ASSERT_FATAL(command("ip link add g0 type veth peer name g1 && "
				"sysctl -qw net.ipv4.conf.g0.arp_ignore=2"));
	CU_ASSERT_EQUAL(cw_os_netdev_take("g0", journal), 0);
	CU_ASSERT_EQUAL(arp_ignore_of("g0"), 8);
	CU_ASSERT(command("ip link set g0 promisc on"));
	/* Killed here, and started again: the first state counts, not the one that was left. */
	CU_ASSERT_EQUAL(cw_os_netdev_take("g0", journal), 0);
	CU_ASSERT_EQUAL(arp_ignore_of("g0"), 8);
	CU_ASSERT(command("ip link set g0 promisc on"));
	cw_os_netdev_give_back(journal);
	CU_ASSERT_EQUAL(arp_ignore_of("g0"), 2);
	CU_ASSERT_EQUAL(cw_os_netdev_facts("g0", &f), 0);
	CU_ASSERT_FALSE(f.promiscuous);
	CU_ASSERT_EQUAL(access(journal, F_OK), -1);

	/* What the operator had set stays. */
	CU_ASSERT(command("ip link set g0 promisc on"));
	CU_ASSERT_EQUAL(cw_os_netdev_take("g0", journal), 0);
	cw_os_netdev_give_back(journal);
	CU_ASSERT_EQUAL(cw_os_netdev_facts("g0", &f), 0);
	CU_ASSERT(f.promiscuous);
}

static void a_journal_of_another_boot_or_no_journal_changes_nothing(void)
{
	static const char old[] = "boot 1 netdev j0 arp_ignore 5 promiscuous 0\n";
	static const char bad[] = "netdev netdev netdev";
	char *journal = in_dir("other");

	if (!needs_netns())
		return;
	CU_ASSERT_FATAL(command("ip link add j0 type veth peer name j1"));
	CU_ASSERT_EQUAL(cw_os_write_file(journal, old, strlen(old), 0600), 0);
	cw_os_netdev_give_back(journal);
	CU_ASSERT_EQUAL(arp_ignore_of("j0"), 0);
	CU_ASSERT_EQUAL(cw_os_write_file(journal, bad, strlen(bad), 0600), 0);
	cw_os_netdev_give_back(journal);
	cw_os_netdev_give_back(journal);
	CU_ASSERT_EQUAL(arp_ignore_of("j0"), 0);
	CU_ASSERT_EQUAL(cw_os_netdev_take("nope0", journal), -ENODEV);
	CU_ASSERT_EQUAL(access(journal, F_OK), -1);
}

/* @return errno of a second datagram: ECONNREFUSED when the kernel answered port unreachable. */
static int knock(rte_be16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = port};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), err = 0;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || send(fd, "x", 1, 0) < 0)
		err = -1;
	/* Loopback delivers, and answers, before send returns. */
	if (err == 0 && send(fd, "x", 1, 0) < 0)
		err = errno;
	close(fd);
	return err;
}

static void a_quiet_port_is_neither_read_nor_refused(void)
{
	rte_be16_t port = htons(7845);
	char byte;
	int fd;

	if (!needs_netns())
		return;
	CU_ASSERT_FATAL(command("ip link set lo up"));
	CU_ASSERT_EQUAL(knock(port), ECONNREFUSED);
	fd = cw_os_quiet_port(htonl(INADDR_LOOPBACK), port);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(knock(port), 0);
	CU_ASSERT_EQUAL(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	CU_ASSERT_EQUAL(cw_os_quiet_port(htonl(INADDR_LOOPBACK), port), -EADDRINUSE);
	close(fd);
	CU_ASSERT_EQUAL(knock(port), ECONNREFUSED);
}

/* -- memory for keys */

/* Flags of the mapping that holds an address, as the kernel tells them. */
static bool mapping_has(const void *mem, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512], needle[16];
	unsigned long first, last;
	bool in = false, found = false;

	snprintf(needle, sizeof(needle), " %s", flag);
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &first, &last) == 2)
			in = first <= (uintptr_t)mem && (uintptr_t)mem < last;
		else if (in && strncmp(line, "VmFlags:", 8) == 0)
			found |= strstr(line, needle) != NULL;
	}
	if (f != NULL)
		fclose(f);
	return found;
}

static bool all_are(const uint8_t *mem, size_t len, uint8_t value)
{
	for (size_t i = 0; i < len; i++)
		if (mem[i] != value)
			return false;
	return true;
}

static void key_memory_is_zeroed_aligned_and_reused(void)
{
	struct cw_os_keys *keys;
	uint8_t *mem[400];

	CU_ASSERT_EQUAL_FATAL(cw_os_keys_create(&keys), 0);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 400; i++) {
			size_t len = (i * i * 7) % 90000;

			mem[i] = cw_os_keys_alloc(keys, len);
			CU_ASSERT_FATAL(mem[i] != NULL && (uintptr_t)mem[i] % 64 == 0);
			CU_ASSERT(all_are(mem[i], len, 0));
			memset(mem[i], (int)(i % 251) + 1, len);
		}
		/* Nobody wrote into another's. */
		for (unsigned int i = 0; i < 400; i++) {
			CU_ASSERT(all_are(mem[i], (i * i * 7) % 90000, (uint8_t)(i % 251 + 1)));
			cw_os_keys_free(keys, mem[i]);
		}
	}
	cw_os_keys_free(keys, NULL);
}

static void key_memory_grows_with_its_content(void)
{
	struct cw_os_keys_facts facts, before;
	struct cw_os_keys *keys;
	uint8_t *mem = NULL;

	CU_ASSERT_EQUAL_FATAL(cw_os_keys_create(&keys), 0);
	for (size_t len = 1; len < 1000000; len = len * 3 + 5) {
		mem = cw_os_keys_realloc(keys, mem, len);
		CU_ASSERT_FATAL(mem != NULL);
		mem[len - 1] = 7;
		mem[0] = 9;
	}
	CU_ASSERT(mem[0] == 9);
	cw_os_keys_facts(keys, &before);
	CU_ASSERT_PTR_NULL(cw_os_keys_realloc(keys, mem, 0));
	cw_os_keys_facts(keys, &facts);
	/* A large one's mapping goes with it. */
	CU_ASSERT(facts.bytes < before.bytes && facts.locked_bytes <= facts.bytes);
	CU_ASSERT_PTR_NULL(cw_os_keys_alloc(keys, SIZE_MAX - 100));
}

static void key_memory_is_in_no_core_and_in_no_child(void)
{
	struct cw_os_keys_facts facts;
	struct cw_os_keys *keys;
	const uint8_t *small, *large;
	int status = -1;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(cw_os_keys_create(&keys), 0);
	small = memset(cw_os_keys_alloc(keys, 36), 5, 36);
	large = memset(cw_os_keys_alloc(keys, 200000), 5, 200000);
	cw_os_keys_facts(keys, &facts);
	CU_ASSERT(facts.undumped && facts.bytes >= 200000);
	CU_ASSERT(mapping_has(small, "dd") && mapping_has(large, "dd"));
	CU_ASSERT(mapping_has(small, "wf") && mapping_has(large, "wf"));
	if (facts.locked_bytes == facts.bytes)
		CU_ASSERT(mapping_has(small, "lo") && mapping_has(large, "lo"));
	child = fork();
	if (child == 0)
		_exit(!all_are(small, 36, 0) || !all_are(large, 200000, 0));
	CU_ASSERT(waitpid(child, &status, 0) == child && status == 0);
	CU_ASSERT(all_are(small, 36, 5));
}

int main(void)
{
	CU_TestInfo clocks[] = {
		{"the clock never goes back", clock_never_goes_back},
		{"a clock set back stands still", a_clock_set_back_stands_still},
		{"TSC deadlines are right after a day", tsc_deadlines_are_right_after_a_day},
		{"a jump of either clock is told", a_jump_of_either_clock_is_told},
		{"times out of range are clamped", times_out_of_range_are_clamped},
		{"a calibrated mapping follows the clock", a_calibrated_mapping_follows_the_clock},
		CU_TEST_INFO_NULL,
	};
	CU_TestInfo files[] = {
		{"random bytes differ", random_bytes_differ},
		{"a file is replaced whole", a_file_is_replaced_whole},
		{"reading has a limit and says why not", reading_has_a_limit_and_says_why_not},
		{"directories are made with parents", directories_are_made_with_parents},
		{"a state directory has one user", a_state_directory_has_one_user},
		{"the boot ID is stable", boot_id_is_stable},
		CU_TEST_INFO_NULL,
	};
	CU_TestInfo netdevs[] = {
		{"facts of a netdev", facts_of_a_netdev},
		{"a netdev is given back as it was", a_netdev_is_given_back_as_it_was},
		{"a journal of another boot, or none, changes nothing",
		 a_journal_of_another_boot_or_no_journal_changes_nothing},
		{"a quiet port is neither read nor refused",
		 a_quiet_port_is_neither_read_nor_refused},
		CU_TEST_INFO_NULL,
	};
	CU_TestInfo key_memory[] = {
		{"key memory is zeroed, aligned and reused",
		 key_memory_is_zeroed_aligned_and_reused},
		{"key memory grows with its content", key_memory_grows_with_its_content},
		{"key memory is in no core and in no child",
		 key_memory_is_in_no_core_and_in_no_child},
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {CW_SUITE("clocks", clocks), CW_SUITE("files", files),
				 CW_SUITE("netdevs", netdevs), CW_SUITE("key memory", key_memory),
				 CU_SUITE_INFO_NULL};
	char clean[64];
	int rc;

	if (mkdtemp(dir) == NULL)
		return 1;
	have_netns = unshare(CLONE_NEWNET) == 0;
	rc = cw_test_run(suites);
	snprintf(clean, sizeof(clean), "rm -rf %s", dir);
	return system(clean) == 0 ? rc : 1;
}
