// SPDX-License-Identifier: MIT
/*
 * 50,000 objects of one size, all live at once, then all freed in random order.
 *
 *   burst/SIZE     allocations and frees are timed; an operation is one pair
 *   scatter/SIZE   the frees alone are timed; an operation is one free
 */
#include "workload.h"

#include <stdlib.h>

enum { OBJECTS = 50000 };

struct burst {
	size_t size;
	uint32_t order[OBJECTS]; /* object i is the order[i]-th to be freed */
	void *object[OBJECTS];
};

static void *start(const struct setting *at)
{
	struct burst *s = bench_map(sizeof(*s));
	uint64_t random = 1;

	s->size = at->arg;
	for (uint32_t i = 0; i < OBJECTS; i++) {
		size_t j = random_below(&random, i + 1);

		s->order[i] = s->order[j];
		s->order[j] = i;
	}
	return s;
}

static void allocate_all(void *state)
{
	struct burst *s = state;

	for (size_t i = 0; i < OBJECTS; i++) {
		void *p = malloc(s->size);

		touch(p);
		s->object[s->order[i]] = p;
	}
}

static size_t free_all(void *state)
{
	struct burst *s = state;

	for (size_t i = 0; i < OBJECTS; i++)
		free(s->object[i]);
	return OBJECTS;
}

static size_t run_both(void *state)
{
	allocate_all(state);
	return free_all(state);
}

static void stop(void *state)
{
	bench_unmap(state, sizeof(struct burst));
}

static const size_t sizes[] = {16, 64, 256, 0};

const struct workload burst_pairs = {
	.name = "burst",
	.threads = ALONE,
	.args = sizes,
	.start = start,
	.run = run_both,
	.stop = stop,
};

const struct workload scattered_frees = {
	.name = "scatter",
	.threads = ALONE,
	.args = sizes,
	.start = start,
	.prepare = allocate_all,
	.run = free_all,
	.stop = stop,
};
