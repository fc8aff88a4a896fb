// SPDX-License-Identifier: MIT
/*
 * idle/...: 64 MiB of objects of 16 bytes to 32 KiB, all freed; then nothing to do for so many
 * milliseconds; then the same once more, which is the row. An operation is one pair. The time is CPU time
 * of the whole process, from the first free on: it includes what an allocator does while the
 * program is idle, in whatever thread, and the faults for what it gave back.
 *
 *   sleep/MS   the program sleeps through
 *   loop/MS    it wakes up every 20 ms and replaces some small objects, as an event loop does
 */
#include "workload.h"

#include <stdlib.h>
#include <time.h>

enum {
	OBJECTS = 16384, /* of 4 KiB each in the mean */
	MOST_SIZE = 32768,
	LIVE_SMALL = 200,
	SMALL_SIZE = 512,
	WAKE_EVERY = 20,
};

struct idle {
	size_t milliseconds;
	bool wakes;
	uint64_t random;
	uint32_t size[OBJECTS];
	uint32_t order[OBJECTS]; /* object i is the order[i]-th to be freed */
	void *object[OBJECTS];
	void *small[LIVE_SMALL];
};

static void shuffle(struct idle *s)
{
	for (uint32_t i = 0; i < OBJECTS; i++) {
		size_t j = random_below(&s->random, i + 1);

		s->order[i] = s->order[j];
		s->order[j] = i;
	}
}

static void allocate_all(struct idle *s)
{
	for (size_t i = 0; i < OBJECTS; i++) {
		void *p = malloc(s->size[i]);

		touch(p);
		touch_pages(p, s->size[i]);
		s->object[s->order[i]] = p;
	}
}

static void free_all(struct idle *s)
{
	for (size_t i = 0; i < OBJECTS; i++)
		free(s->object[i]);
}

static void *start(const struct setting *at, bool wakes)
{
	struct idle *s = bench_map(sizeof(*s));

	s->milliseconds = at->arg;
	s->wakes = wakes;
	for (size_t i = 0; i < OBJECTS; i++)
		s->size[i] = (uint32_t)random_size(&s->random, MOST_SIZE);
	shuffle(s);
	allocate_all(s);
	return s;
}

static void *start_sleep(const struct setting *at)
{
	return start(at, false);
}

static void *start_loop(const struct setting *at)
{
	return start(at, true);
}

static void sleep_for(size_t milliseconds)
{
	struct timespec left = {(time_t)(milliseconds / 1000),
				(long)(milliseconds % 1000) * 1000000};

	while (nanosleep(&left, &left) != 0)
		;
}

static void replace_small(struct idle *s)
{
	for (size_t i = 0; i < LIVE_SMALL; i++) {
		free(s->small[i]);
		s->small[i] = malloc(random_size(&s->random, SMALL_SIZE));
		touch(s->small[i]);
	}
}

static void be_idle(struct idle *s)
{
	if (!s->wakes) {
		sleep_for(s->milliseconds);
		return;
	}
	for (size_t slept = 0; slept < s->milliseconds; slept += WAKE_EVERY) {
		sleep_for(WAKE_EVERY);
		replace_small(s);
	}
}

/* Begins with a full heap, and leaves one. */
static size_t run(void *state)
{
	struct idle *s = state;

	free_all(s);
	be_idle(s);
	allocate_all(s);
	return OBJECTS;
}

static void stop(void *state)
{
	struct idle *s = state;

	free_all(s);
	for (size_t i = 0; i < LIVE_SMALL; i++)
		free(s->small[i]);
	bench_unmap(s, sizeof(*s));
}

static const size_t short_times[] = {1500, 0};
static const size_t long_times[] = {12000, 0};

const struct workload idle_sleep = {
	.name = "idle/sleep",
	.threads = ALONE,
	.clock = PROCESS_CPU,
	.args = short_times,
	.full_args = long_times,
	.runs = 1,
	.cold = true,
	.start = start_sleep,
	.run = run,
	.stop = stop,
};

const struct workload idle_loop = {
	.name = "idle/loop",
	.threads = ALONE,
	.clock = PROCESS_CPU,
	.args = short_times,
	.full_args = long_times,
	.runs = 1,
	.cold = true,
	.start = start_loop,
	.run = run,
	.stop = stop,
};
