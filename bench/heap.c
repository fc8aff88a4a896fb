// SPDX-License-Identifier: MIT
/*
 * heap/OBJECTS: so many live objects of 16 bytes, of which random ones are replaced. An operation is one
 * pair. What a pair costs more in a large heap than in a small one should be cache misses alone: the
 * object's own, the table's, and the allocator's for what it keeps about it.
 */
#include "workload.h"

#include <stdlib.h>

enum {
	OBJECT_SIZE = 16,
	PAIRS_PER_RUN = 20000,
};

struct heap {
	size_t objects;
	uint64_t random;
	void *object[];
};

static size_t bytes_of(size_t objects)
{
	return sizeof(struct heap) + objects * sizeof(void *);
}

static void *start(const struct setting *at)
{
	struct heap *s = bench_map(bytes_of(at->arg));

	s->objects = at->arg;
	for (size_t i = 0; i < s->objects; i++) {
		s->object[i] = malloc(OBJECT_SIZE);
		touch(s->object[i]);
	}
	return s;
}

static size_t run(void *state)
{
	struct heap *s = state;

	for (size_t done = 0; done < PAIRS_PER_RUN; done++) {
		void **slot = &s->object[random_below(&s->random, s->objects)];

		free(*slot);
		*slot = malloc(OBJECT_SIZE);
		touch(*slot);
	}
	return PAIRS_PER_RUN;
}

static void stop(void *state)
{
	struct heap *s = state;

	for (size_t i = 0; i < s->objects; i++)
		free(s->object[i]);
	bench_unmap(s, bytes_of(s->objects));
}

static const size_t counts[] = {1000, 10000, 100000, 1000000, 10000000, 0};
static const size_t full_counts[] = {100000000, 0};

const struct workload heap_of_live = {
	.name = "heap",
	.threads = ALONE,
	.args = counts,
	.full_args = full_counts,
	.runs = 10,
	.start = start,
	.run = run,
	.stop = stop,
};
