// SPDX-License-Identifier: MIT
/*
 * batch/...: objects allocated one after the other, then all freed. An operation is one pair.
 *
 *   same/SIZE      a thousand of one size, freed in the order in which they came
 *   reverse/SIZE   the same, freed youngest first
 *   mixed/COUNT    so many of 16 to 4096 bytes, freed in the order in which they came
 *
 * Of large objects fewer are live, so that they stay below LIVE_BYTES.
 */
#include "workload.h"

#include <stdlib.h>

enum {
	OBJECTS = 1000,
	MOST_OBJECTS = 100000,
	LEAST_PER_RUN = 1000,
	MIXED_MOST = 4096,
};

#define LIVE_BYTES ((size_t)64 << 20)

struct batch {
	size_t objects;
	uint32_t size[MOST_OBJECTS];
	void *object[MOST_OBJECTS];
};

static void *start_equal(const struct setting *at)
{
	struct batch *s = bench_map(sizeof(*s));

	s->objects = OBJECTS < LIVE_BYTES / at->arg ? OBJECTS : LIVE_BYTES / at->arg;
	for (size_t i = 0; i < s->objects; i++)
		s->size[i] = (uint32_t)at->arg;
	return s;
}

static void *start_mixed(const struct setting *at)
{
	struct batch *s = bench_map(sizeof(*s));
	uint64_t random = 1;

	s->objects = at->arg;
	for (size_t i = 0; i < s->objects; i++)
		s->size[i] = (uint32_t)random_size(&random, MIXED_MOST);
	return s;
}

static void allocate_all(struct batch *s)
{
	for (size_t i = 0; i < s->objects; i++) {
		s->object[i] = malloc(s->size[i]);
		touch(s->object[i]);
	}
}

static size_t run_same(void *state)
{
	struct batch *s = state;
	size_t ops = 0;

	for (; ops < LEAST_PER_RUN; ops += s->objects) {
		allocate_all(s);
		for (size_t i = 0; i < s->objects; i++)
			free(s->object[i]);
	}
	return ops;
}

static size_t run_reverse(void *state)
{
	struct batch *s = state;
	size_t ops = 0;

	for (; ops < LEAST_PER_RUN; ops += s->objects) {
		allocate_all(s);
		for (size_t i = s->objects; i-- > 0;)
			free(s->object[i]);
	}
	return ops;
}

static void stop(void *state)
{
	bench_unmap(state, sizeof(struct batch));
}

static const size_t sizes[] = {16, 64, 256, 1024, 4096, 32768, 262144, 0};
static const size_t counts[] = {100, 1000, 10000, MOST_OBJECTS, 0};

const struct workload batch_same = {
	.name = "batch/same",
	.threads = ALONE,
	.args = sizes,
	.start = start_equal,
	.run = run_same,
	.stop = stop,
};

const struct workload batch_reverse = {
	.name = "batch/reverse",
	.threads = ALONE,
	.args = sizes,
	.start = start_equal,
	.run = run_reverse,
	.stop = stop,
};

const struct workload batch_mixed = {
	.name = "batch/mixed",
	.threads = ALONE,
	.args = counts,
	.start = start_mixed,
	.run = run_same,
	.stop = stop,
};
