// SPDX-License-Identifier: MIT
/*
 * A server's objects, by the pattern of Larson and Krishnan: they live for a random time, and another
 * thread than allocated them may free them. An operation is one pair.
 *
 *   larson/MOST             each thread takes one of the common chunks of a thousand objects, replaces
 *                           random ones of it, and puts it back for whoever comes next
 *   threads/turnover/MOST   a chunk is left by a thread that ends to a new one, which goes on with it
 *
 * Sizes are from 16 to MOST bytes.
 */
#include "workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CHUNK_OBJECTS = 1000,
	CHUNKS_PER_THREAD = 4,
	MOST_THREADS = 64,
	MOST_CHUNKS = CHUNKS_PER_THREAD * MOST_THREADS,
	PAIRS_PER_RUN = 2048,
	PAIRS_PER_LIFE = 5000,
	GENERATIONS_PER_RUN = 8,
	SIDE_BY_SIDE = 2,
	SIZES = 4096, /* a power of two */
};

struct chunk {
	void *object[CHUNK_OBJECTS];
};

struct worker {
	unsigned int threads;
	uint64_t random;
	size_t next_size;
	struct chunk *chunk; /* turnover: what its thread works on */
	size_t size[SIZES];
};

static _Atomic(struct chunk *) pool[MOST_CHUNKS];

static void replace_random(struct worker *s, struct chunk *chunk, size_t times)
{
	while (times-- > 0) {
		void **slot = &chunk->object[random_below(&s->random, CHUNK_OBJECTS)];

		free(*slot);
		*slot = malloc(s->size[s->next_size++ % SIZES]);
		touch(*slot);
	}
}

static struct chunk *new_chunk(struct worker *s)
{
	struct chunk *chunk = bench_map(sizeof(*chunk));

	for (size_t i = 0; i < CHUNK_OBJECTS; i++) {
		chunk->object[i] = malloc(s->size[s->next_size++ % SIZES]);
		touch(chunk->object[i]);
	}
	return chunk;
}

static void end_chunk(struct chunk *chunk)
{
	for (size_t i = 0; i < CHUNK_OBJECTS; i++)
		free(chunk->object[i]);
	bench_unmap(chunk, sizeof(*chunk));
}

/* A chunk that nobody has, and from which place it came. */
static struct chunk *take_chunk(struct worker *s, size_t *place)
{
	unsigned int spins = 0;

	for (;;) {
		*place = random_below(&s->random, (size_t)CHUNKS_PER_THREAD * s->threads);
		struct chunk *chunk =
			atomic_exchange_explicit(&pool[*place], NULL, memory_order_acquire);

		if (chunk)
			return chunk;
		pause_spinning(&spins);
	}
}

static void init_worker(struct worker *s, unsigned int thread, size_t most)
{
	s->random = thread + 1;
	for (size_t i = 0; i < SIZES; i++)
		s->size[i] = random_size(&s->random, most);
}

static void *start(const struct setting *at)
{
	struct worker *s;

	if (at->threads > MOST_THREADS)
		return NULL;
	s = bench_map(sizeof(*s));
	init_worker(s, at->thread, at->arg);
	s->threads = at->threads;
	for (size_t i = 0; i < CHUNKS_PER_THREAD; i++)
		atomic_store(&pool[(size_t)CHUNKS_PER_THREAD * at->thread + i], new_chunk(s));
	return s;
}

static size_t run(void *state)
{
	struct worker *s = state;
	size_t place;
	struct chunk *chunk = take_chunk(s, &place);

	replace_random(s, chunk, PAIRS_PER_RUN);
	/* Pairs with the acquire of the next taker. */
	atomic_store_explicit(&pool[place], chunk, memory_order_release);
	return PAIRS_PER_RUN;
}

static void stop(void *state)
{
	struct worker *s = state;
	size_t place;

	for (size_t i = 0; i < CHUNKS_PER_THREAD; i++)
		end_chunk(take_chunk(s, &place));
	bench_unmap(s, sizeof(*s));
}

static void *start_turnover(const struct setting *at)
{
	struct worker *s = bench_map(SIDE_BY_SIDE * sizeof(*s));

	for (unsigned int i = 0; i < SIDE_BY_SIDE; i++) {
		init_worker(&s[i], i, at->arg);
		s[i].chunk = new_chunk(&s[i]);
	}
	return s;
}

static void *live(void *arg)
{
	struct worker *s = arg;

	replace_random(s, s->chunk, PAIRS_PER_LIFE);
	return NULL;
}

static size_t run_turnover(void *state)
{
	struct worker *s = state;
	pthread_t thread[SIDE_BY_SIDE];

	for (size_t generation = 0; generation < GENERATIONS_PER_RUN; generation++) {
		for (size_t i = 0; i < SIDE_BY_SIDE; i++)
			bench_thread(&thread[i], live, &s[i]);
		for (size_t i = 0; i < SIDE_BY_SIDE; i++)
			pthread_join(thread[i], NULL);
	}
	return (size_t)GENERATIONS_PER_RUN * SIDE_BY_SIDE * PAIRS_PER_LIFE;
}

static void stop_turnover(void *state)
{
	struct worker *s = state;

	for (size_t i = 0; i < SIDE_BY_SIDE; i++)
		end_chunk(s[i].chunk);
	bench_unmap(s, SIDE_BY_SIDE * sizeof(*s));
}

static const size_t most_sizes[] = {512, 32768, 0};

const struct workload larson = {
	.name = "larson",
	.threads = ALL_CORES,
	.args = most_sizes,
	.start = start,
	.run = run,
	.stop = stop,
};

const struct workload larson_turnover = {
	.name = "threads/turnover",
	.threads = ALONE,
	.clock = PROCESS_CPU,
	.args = most_sizes,
	.start = start_turnover,
	.run = run_turnover,
	.stop = stop_turnover,
};
