/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * torture [--seconds S] [--readers N] [--scene NAME] [--seed X]: readers look up while control
 * publishes and retires at full speed, in the manner of rcutorture. What is freed is poisoned and
 * kept for a while, so that a reader that still sees it notices by itself; ASan and TSan builds
 * notice what poison cannot. Exit 0 clean, 1 a broken promise (last line), 2 usage.
 *
 * free() is wrapped at link time; the tables under test are the shipped ones.
 */
#include "torture.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Freed blocks wait here, poisoned, before they may be reused. Writer's thread only. */
#define QUARANTINE 8192u

struct run {
	const struct scene *scene;
	void *state;
	unsigned int readers;
	uint64_t seed;
	int stop;			/* shared */
	uint64_t sections[READERS_MAX]; /* each reader its own */
};

struct reader {
	struct run *run;
	unsigned int index;
};

static void *quarantine[QUARANTINE];
static unsigned int quarantined;

void __real_free(void *block);
void __wrap_free(void *block);

/* Sanitizers keep a quarantine of their own, and know each block's size. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define POISONS 0
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define POISONS 0
#endif
#ifndef POISONS
#define POISONS 1
#endif

static __thread int is_writer;

void __wrap_free(void *block)
{
	unsigned int at = quarantined % QUARANTINE;

	if (!POISONS || !is_writer || block == NULL) {
		__real_free(block);
		return;
	}
	memset(block, POISON, malloc_usable_size(block));
	__real_free(quarantine[at]);
	quarantine[at] = block;
	quarantined++;
}

void broken(const char *what, uint64_t key, uint64_t saw, uint64_t expected)
{
	printf("broken: %s (key %llu, saw %llx, expected %llx)\n", what, (unsigned long long)key,
	       (unsigned long long)saw, (unsigned long long)expected);
	fflush(stdout);
	_exit(1);
}

/* As a worker lives: sections, a quiescent state after each, offline now and then. */
static void *reader_main(void *arg)
{
	struct reader *me = arg;
	struct run *run = me->run;
	struct dice dice = {run->seed * 7919 + me->index + 1};

	cw_rcu_thread_register();
	while (!SHARED_LOAD(&run->stop)) {
		run->scene->read(run->state, me->index, &dice);
		cw_rcu_quiescent();
		run->sections[me->index]++;
		if (roll(&dice) % 1024 == 0) {
			cw_rcu_offline();
			sched_yield();
			cw_rcu_online();
		}
	}
	cw_rcu_thread_unregister();
	return NULL;
}

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Control's loop: a change, then what is past its grace period is freed. @return changes made. */
static uint64_t writer_loop(struct run *run, struct cw_rcu *rcu, double seconds, uint64_t *freed)
{
	struct dice dice = {run->seed * 104729 + 99};
	double until = seconds_now() + seconds;
	uint64_t changes = 0;

	while (seconds_now() < until) {
		for (unsigned int i = 0; i < 64; i++)
			run->scene->write(run->state, &dice);
		changes += 64;
		cw_rcu_quiescent();
		*freed += cw_rcu_reap(rcu);
	}
	return changes;
}

static int run_scene(const struct scene *scene, unsigned int readers, double seconds, uint64_t seed)
{
	struct run run = {.scene = scene, .readers = readers, .seed = seed};
	struct reader who[READERS_MAX];
	pthread_t threads[READERS_MAX];
	uint64_t sections = 0, changes, freed = 0;
	struct cw_rcu *rcu;

	if (cw_rcu_create(&rcu) < 0)
		return 1;
	run.state = scene->open(rcu);
	for (unsigned int i = 0; i < readers; i++) {
		who[i] = (struct reader){&run, i};
		if (pthread_create(&threads[i], NULL, reader_main, &who[i]) != 0)
			return 1;
	}
	changes = writer_loop(&run, rcu, seconds, &freed);
	SHARED_STORE(&run.stop, 1);
	cw_rcu_offline();
	for (unsigned int i = 0; i < readers; i++) {
		pthread_join(threads[i], NULL);
		sections += run.sections[i];
	}
	cw_rcu_online();
	cw_rcu_drain(rcu);
	scene->close(run.state);
	cw_rcu_destroy(rcu);
	printf("%s: %u readers, %llu sections, %llu changes, %llu freed while they read\n",
	       scene->name, readers, (unsigned long long)sections, (unsigned long long)changes,
	       (unsigned long long)freed);
	/* A run in which nobody read, or nothing was freed, proves nothing. */
	return sections == 0 || freed == 0;
}

static const struct scene *const scenes[] = {&scene_routes, &scene_hosts, &scene_peers,
					     &scene_channels};

int main(int argc, char **argv)
{
	const char *only = NULL;
	unsigned int readers = 3;
	double seconds = 1;
	uint64_t seed = 1;
	int rc = 0;

	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--seconds") == 0)
			seconds = atof(value);
		else if (strcmp(argv[i], "--readers") == 0)
			readers = (unsigned int)atoi(value);
		else if (strcmp(argv[i], "--scene") == 0)
			only = value;
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(value, NULL, 10);
		else
			readers = 0;
	}
	if (readers == 0 || readers > READERS_MAX || seconds <= 0) {
		fputs("usage: torture [--seconds S per scene] [--readers 1-8] [--scene routes|hosts|peers|channels] [--seed X]\n",
		      stderr);
		return 2;
	}
	is_writer = 1;
	cw_rcu_thread_register();
	for (size_t i = 0; i < CW_ARRAY_SIZE(scenes); i++)
		if (only == NULL || strcmp(only, scenes[i]->name) == 0)
			rc |= run_scene(scenes[i], readers, seconds, seed);
	cw_rcu_thread_unregister();
	for (unsigned int i = 0; i < QUARANTINE; i++)
		__real_free(quarantine[i]);
	return rc;
}
