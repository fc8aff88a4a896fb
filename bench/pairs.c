// SPDX-License-Identifier: MIT
/*
 * pair/...: one malloc and one free of the same size, in three orders. An operation is one pair.
 *
 *   lifo     eight live objects, freed youngest first: the allocator's shortest path
 *   random   2000 live objects, a random one replaced: its lists in an order it did not choose
 *   fifo     2000 live objects, the oldest replaced: every object comes back last
 *
 * Large objects are fewer, so that all threads together keep less than LIVE_BYTES.
 */
#include "workload.h"

#include <stdlib.h>

enum {
	LIFO_DEPTH = 8,
	LIVE_OBJECTS = 2000,
	PAIRS_PER_RUN = 2048,
};

#define LIVE_BYTES ((size_t)128 << 20)

struct pairs {
	size_t size;
	size_t live;
	size_t oldest; /* fifo: the next to be replaced */
	uint64_t random;
	void *object[LIVE_OBJECTS];
};

static size_t live_objects(const struct setting *at)
{
	size_t n = LIVE_BYTES / at->arg / at->threads;

	if (n > LIVE_OBJECTS)
		return LIVE_OBJECTS;
	return n ? n : 1;
}

static void *alloc_touched(size_t size)
{
	void *p = malloc(size);

	touch(p);
	return p;
}

static size_t run_lifo(void *state)
{
	struct pairs *s = state;

	for (size_t done = 0; done < PAIRS_PER_RUN; done += LIFO_DEPTH) {
		for (size_t i = 0; i < LIFO_DEPTH; i++)
			s->object[i] = alloc_touched(s->size);
		for (size_t i = LIFO_DEPTH; i-- > 0;)
			free(s->object[i]);
	}
	return PAIRS_PER_RUN;
}

static size_t run_random(void *state)
{
	struct pairs *s = state;

	for (size_t done = 0; done < PAIRS_PER_RUN; done++) {
		void **slot = &s->object[random_below(&s->random, s->live)];

		free(*slot);
		*slot = alloc_touched(s->size);
	}
	return PAIRS_PER_RUN;
}

static size_t run_fifo(void *state)
{
	struct pairs *s = state;

	for (size_t done = 0; done < PAIRS_PER_RUN; done++) {
		void **slot = &s->object[s->oldest];

		/* The new one before the old one goes: else it would be LIFO with a depth of one. */
		void *young = alloc_touched(s->size);

		free(*slot);
		*slot = young;
		s->oldest = s->oldest + 1 < s->live ? s->oldest + 1 : 0;
	}
	return PAIRS_PER_RUN;
}

static void *start_empty(const struct setting *at)
{
	struct pairs *s = bench_map(sizeof(*s));

	s->size = at->arg;
	s->random = at->thread + 1;
	return s;
}

static void *start_full(const struct setting *at)
{
	struct pairs *s = start_empty(at);

	s->live = live_objects(at);
	for (size_t i = 0; i < s->live; i++)
		s->object[i] = alloc_touched(s->size);
	return s;
}

/* A heap in use, not a fresh one: every object has been replaced a few times. */
static void *start_random(const struct setting *at)
{
	struct pairs *s = start_full(at);

	for (size_t i = 0; i < 4 * s->live; i += PAIRS_PER_RUN)
		run_random(s);
	return s;
}

static void stop(void *state)
{
	struct pairs *s = state;

	for (size_t i = 0; i < s->live; i++)
		free(s->object[i]);
	bench_unmap(s, sizeof(*s));
}

/* Every power of two, and between them what strings, nodes, packets and buffers ask for. */
static const size_t every_size[] = {
	8,     16,     24,     32,     48,	64,	 100,	  128,	 256,
	512,   1024,   1500,   2048,   4096,	8192,	 16384,	  20000, 32768,
	65536, 131072, 262144, 524288, 1048576, 2097152, 4194304, 0,
};

/* For the orders and thread counts that need no such fine grid. */
static const size_t some_sizes[] = {16, 64, 256, 1024, 4096, 16384, 65536, 1048576, 4194304, 0};

const struct workload pair_lifo = {
	.name = "pair/lifo",
	.threads = ALONE,
	.args = every_size,
	.start = start_empty,
	.run = run_lifo,
	.stop = stop,
};

const struct workload pair_random = {
	.name = "pair/random",
	.threads = ALONE,
	.args = every_size,
	.start = start_random,
	.run = run_random,
	.stop = stop,
};

const struct workload pair_fifo = {
	.name = "pair/fifo",
	.threads = ALONE,
	.args = some_sizes,
	.start = start_full,
	.run = run_fifo,
	.stop = stop,
};

const struct workload pair_lifo_threads = {
	.name = "pair/lifo",
	.threads = ALL_CORES,
	.args = some_sizes,
	.start = start_empty,
	.run = run_lifo,
	.stop = stop,
};

const struct workload pair_random_threads = {
	.name = "pair/random",
	.threads = ALL_CORES,
	.args = some_sizes,
	.start = start_random,
	.run = run_random,
	.stop = stop,
};
