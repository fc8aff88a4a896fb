// SPDX-License-Identifier: MIT
/* calloc/SIZE: eight live zeroed objects, freed youngest first. An operation is one pair. */
#include "workload.h"

#include <stdlib.h>

enum {
	DEPTH = 8,
	PAIRS_PER_RUN = 1024,
};

struct zeroed {
	size_t size;
	void *object[DEPTH];
};

static void *start(const struct setting *at)
{
	struct zeroed *s = bench_map(sizeof(*s));

	s->size = at->arg;
	return s;
}

static size_t run(void *state)
{
	struct zeroed *s = state;

	for (size_t done = 0; done < PAIRS_PER_RUN; done += DEPTH) {
		for (size_t i = 0; i < DEPTH; i++) {
			s->object[i] = calloc(1, s->size);
			touch(s->object[i]);
		}
		for (size_t i = DEPTH; i-- > 0;)
			free(s->object[i]);
	}
	return PAIRS_PER_RUN;
}

static void stop(void *state)
{
	bench_unmap(state, sizeof(struct zeroed));
}

static const size_t sizes[] = {64, 1024, 16384, 262144, 2097152, 0};

const struct workload zeroed_pairs = {
	.name = "calloc",
	.threads = ALONE,
	.args = sizes,
	.start = start,
	.run = run,
	.stop = stop,
};
