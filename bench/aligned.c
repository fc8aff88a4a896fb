// SPDX-License-Identifier: MIT
/*
 * aligned/...: an aligned_alloc and a free. Of 64 live objects a random one is replaced. An operation is
 * one pair.
 *
 *   line/SIZE   aligned to 64 bytes, as what several threads use
 *   page/SIZE   aligned to 4096, as buffers for direct I/O are
 */
#include "workload.h"

#include <stdlib.h>

enum {
	LIVE = 64,
	PAIRS_PER_RUN = 1024,
	LINE = 64,
	PAGE = 4096,
};

struct aligned {
	size_t align;
	size_t size;
	uint64_t random;
	void *object[LIVE];
};

static void *start(const struct setting *at, size_t align)
{
	struct aligned *s = bench_map(sizeof(*s));

	s->align = align;
	s->size = at->arg;
	return s;
}

static void *start_line(const struct setting *at)
{
	return start(at, LINE);
}

static void *start_page(const struct setting *at)
{
	return start(at, PAGE);
}

static size_t run(void *state)
{
	struct aligned *s = state;

	for (size_t done = 0; done < PAIRS_PER_RUN; done++) {
		void **slot = &s->object[random_below(&s->random, LIVE)];

		free(*slot);
		*slot = aligned_alloc(s->align, s->size);
		touch(*slot);
	}
	return PAIRS_PER_RUN;
}

static void stop(void *state)
{
	struct aligned *s = state;

	for (size_t i = 0; i < LIVE; i++)
		free(s->object[i]);
	bench_unmap(s, sizeof(*s));
}

/* Multiples of the alignment, as C asks. */
static const size_t line_sizes[] = {64, 192, 1024, 16384, 0};
static const size_t page_sizes[] = {4096, 16384, 65536, 1048576, 0};

const struct workload aligned_line = {
	.name = "aligned/line",
	.threads = ALONE,
	.args = line_sizes,
	.start = start_line,
	.run = run,
	.stop = stop,
};

const struct workload aligned_page = {
	.name = "aligned/page",
	.threads = ALONE,
	.args = page_sizes,
	.start = start_page,
	.run = run,
	.stop = stop,
};
