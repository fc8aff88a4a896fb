// SPDX-License-Identifier: MIT
/*
 * threads/...: what threads cost that allocate. All in CPU time, of all threads together.
 *
 *   spawn/OBJECTS   a thread is created, allocates and frees so many objects of 16 to 512 bytes, and ends;
 *                   one at a time. An operation is one thread's life
 *   crowd/OBJECTS   the same, 64 of them alive at once
 *   live/COUNT      so many threads, each with 64 live objects of which random ones are replaced. An
 *                   operation is one pair: it should not cost more where threads are many
 */
#include "workload.h"

#include <pthread.h>
#include <stdlib.h>

enum {
	MOST_OBJECTS = 1000,
	MOST_SIZE = 512,
	LIVES_PER_RUN = 128,
	CROWD = 64,
	LIVE_OBJECTS = 64,
	PAIRS_PER_RUN = 1 << 20, /* of all threads together */
	LEAST_PAIRS = 4096,	 /* of each, so that to be woken is a small part of it */
	SIZES = 4096,		 /* a power of two */
};

struct lives {
	size_t objects;
	size_t at_once;
	uint32_t size[MOST_OBJECTS];
};

static struct lives *start_lives(const struct setting *at, size_t at_once)
{
	struct lives *s = bench_map(sizeof(*s));
	uint64_t random = 1;

	s->objects = at->arg;
	s->at_once = at_once;
	for (size_t i = 0; i < s->objects; i++)
		s->size[i] = (uint32_t)random_size(&random, MOST_SIZE);
	return s;
}

static void *start_spawn(const struct setting *at)
{
	return start_lives(at, 1);
}

static void *start_crowd(const struct setting *at)
{
	return start_lives(at, CROWD);
}

static void *live_once(void *arg)
{
	const struct lives *s = arg;
	void *object[MOST_OBJECTS];

	for (size_t i = 0; i < s->objects; i++) {
		object[i] = malloc(s->size[i]);
		touch(object[i]);
	}
	for (size_t i = 0; i < s->objects; i++)
		free(object[i]);
	return NULL;
}

static size_t run_lives(void *state)
{
	struct lives *s = state;
	pthread_t thread[CROWD];

	for (size_t done = 0; done < LIVES_PER_RUN; done += s->at_once) {
		for (size_t i = 0; i < s->at_once; i++)
			bench_thread(&thread[i], live_once, s);
		for (size_t i = 0; i < s->at_once; i++)
			pthread_join(thread[i], NULL);
	}
	return LIVES_PER_RUN;
}

static void stop_lives(void *state)
{
	bench_unmap(state, sizeof(struct lives));
}

struct many {
	size_t count;
	size_t pairs; /* of each thread in a run */
	bool end;     /* written before the barrier */
	pthread_barrier_t barrier;
	uint32_t size[SIZES];
	pthread_t thread[];
};

static void replace_random(const struct many *s, void **object, uint64_t *random)
{
	for (size_t i = 0; i < s->pairs; i++) {
		uint32_t r = next_random(random);
		void **slot = &object[r % LIVE_OBJECTS];

		free(*slot);
		*slot = malloc(s->size[r / LIVE_OBJECTS % SIZES]);
		touch(*slot);
	}
}

static void *live_long(void *arg)
{
	struct many *s = arg;
	void *object[LIVE_OBJECTS] = {NULL};
	uint64_t random = (uintptr_t)object;

	for (;;) {
		pthread_barrier_wait(&s->barrier);
		if (s->end)
			break;
		replace_random(s, object, &random);
		pthread_barrier_wait(&s->barrier);
	}
	for (size_t i = 0; i < LIVE_OBJECTS; i++)
		free(object[i]);
	return NULL;
}

static size_t bytes_of(size_t count)
{
	return sizeof(struct many) + count * sizeof(pthread_t);
}

static void *start_many(const struct setting *at)
{
	struct many *s = bench_map(bytes_of(at->arg));
	uint64_t random = 1;

	s->count = at->arg;
	s->pairs = PAIRS_PER_RUN / s->count;
	if (s->pairs < LEAST_PAIRS)
		s->pairs = LEAST_PAIRS;
	for (size_t i = 0; i < SIZES; i++)
		s->size[i] = (uint32_t)random_size(&random, MOST_SIZE);
	pthread_barrier_init(&s->barrier, NULL, (unsigned int)s->count + 1);
	for (size_t i = 0; i < s->count; i++)
		bench_thread(&s->thread[i], live_long, s);
	return s;
}

static size_t run_many(void *state)
{
	struct many *s = state;

	pthread_barrier_wait(&s->barrier);
	pthread_barrier_wait(&s->barrier);
	return s->count * s->pairs;
}

static void stop_many(void *state)
{
	struct many *s = state;

	s->end = true;
	pthread_barrier_wait(&s->barrier);
	for (size_t i = 0; i < s->count; i++)
		pthread_join(s->thread[i], NULL);
	pthread_barrier_destroy(&s->barrier);
	bench_unmap(s, bytes_of(s->count));
}

static const size_t objects[] = {10, MOST_OBJECTS, 0};
static const size_t counts[] = {1, 2, 10, 100, 1000, 0};

const struct workload threads_spawn = {
	.name = "threads/spawn",
	.threads = ALONE,
	.clock = PROCESS_CPU,
	.args = objects,
	.start = start_spawn,
	.run = run_lives,
	.stop = stop_lives,
};

const struct workload threads_crowd = {
	.name = "threads/crowd",
	.threads = ALONE,
	.clock = PROCESS_CPU,
	.args = objects,
	.start = start_crowd,
	.run = run_lives,
	.stop = stop_lives,
};

const struct workload threads_live = {
	.name = "threads/live",
	.threads = ALONE,
	.clock = PROCESS_CPU,
	.args = counts,
	.runs = 2,
	.start = start_many,
	.run = run_many,
	.stop = stop_many,
};
