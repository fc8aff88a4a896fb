// SPDX-License-Identifier: MIT
/*
 * False sharing: threads write to objects of their own, which may lie in a common cache line. An
 * operation is one object allocated, written to 100 times, and freed.
 *
 *   sharing/active/SIZE    each thread allocates what it writes to: an allocator that gives objects of a
 *                          line to several threads slows all of them down
 *   sharing/passive/SIZE   each thread first frees objects that another has allocated, side by side with
 *                          that one's own: if it gets just these again, they share lines
 */
#include "workload.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
	LIVE = 8, /* objects of a thread */
	WRITES = 100,
	ROUNDS_PER_RUN = 128,
	MOST_THREADS = 64,
};

struct writer {
	size_t size;
	void *object[LIVE];
};

/* Passive: what the first thread has allocated, in turns for each; set by it, taken by the others. */
static _Atomic(void *) given[MOST_THREADS][LIVE];

static void give(const struct setting *at)
{
	for (size_t i = 0; i < LIVE; i++) {
		for (size_t thread = 0; thread < at->threads; thread++) {
			void *p = malloc(at->arg);

			touch(p);
			atomic_store_explicit(&given[thread][i], p, memory_order_release);
		}
	}
}

/* Pairs with the release in give(). */
static void free_given(unsigned int thread)
{
	unsigned int spins = 0;
	void *p;

	for (size_t i = 0; i < LIVE; i++) {
		while (!(p = atomic_exchange_explicit(&given[thread][i], NULL,
						      memory_order_acquire)))
			pause_spinning(&spins);
		free(p);
	}
}

static void *start_active(const struct setting *at)
{
	struct writer *s = bench_map(sizeof(*s));

	s->size = at->arg;
	return s;
}

static void *start_passive(const struct setting *at)
{
	void *volatile first;

	if (at->threads > MOST_THREADS)
		return NULL;
	/* Some allocators keep nothing for a thread that has only freed so far, as no thread of a program does for long. */
	first = malloc(at->arg);
	free(first);
	if (at->thread == 0)
		give(at);
	free_given(at->thread);
	return start_active(at);
}

static size_t run(void *state)
{
	struct writer *s = state;

	for (size_t round = 0; round < ROUNDS_PER_RUN; round++) {
		for (size_t i = 0; i < LIVE; i++) {
			s->object[i] = malloc(s->size);
			touch(s->object[i]);
		}
		for (size_t write = 0; write < WRITES; write++)
			for (size_t i = 0; i < LIVE; i++)
				++*(volatile char *)s->object[i];
		for (size_t i = LIVE; i-- > 0;)
			free(s->object[i]);
	}
	return (size_t)ROUNDS_PER_RUN * LIVE;
}

static void stop(void *state)
{
	bench_unmap(state, sizeof(struct writer));
}

static const size_t sizes[] = {8, 32, 0};

const struct workload sharing_active = {
	.name = "sharing/active",
	.threads = ALL_CORES,
	.args = sizes,
	.start = start_active,
	.run = run,
	.stop = stop,
};

const struct workload sharing_passive = {
	.name = "sharing/passive",
	.threads = ALL_CORES,
	.args = sizes,
	.start = start_passive,
	.run = run,
	.stop = stop,
};
