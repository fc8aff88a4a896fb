// SPDX-License-Identifier: MIT
/*
 * First touches: a page that the kernel has just given costs more than most of malloc. All pages of an
 * object are written to.
 *
 *   fresh/grow/SIZE       64 MiB of objects that all stay: a program's first minute. An operation is one
 *                         malloc
 *   fresh/again/SIZE      4 MiB of objects, then all freed, again and again: memory that is given back
 *                         at once is faulted in at once. An operation is one pair
 *   control/pages/COUNT   mmap of so many pages, a write to each, munmap, without an allocator: what the
 *                         kernel takes for a page. An operation is one page
 */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	PAGES_PER_RUN = 2048,
};

#define GROWN_BYTES ((size_t)64 << 20)
#define AGAIN_BYTES ((size_t)4 << 20)

struct fresh {
	size_t size;
	size_t objects;
	void *object[];
};

static size_t bytes_of(size_t objects)
{
	return sizeof(struct fresh) + objects * sizeof(void *);
}

static void *start(const struct setting *at, size_t bytes)
{
	size_t objects = bytes / at->arg;
	struct fresh *s = bench_map(bytes_of(objects));

	s->size = at->arg;
	s->objects = objects;
	return s;
}

static void *start_grow(const struct setting *at)
{
	return start(at, GROWN_BYTES);
}

static void *start_again(const struct setting *at)
{
	return start(at, AGAIN_BYTES);
}

static size_t run_grow(void *state)
{
	struct fresh *s = state;

	for (size_t i = 0; i < s->objects; i++) {
		s->object[i] = malloc(s->size);
		touch(s->object[i]);
		touch_pages(s->object[i], s->size);
	}
	return s->objects;
}

static void free_all(struct fresh *s)
{
	for (size_t i = 0; i < s->objects; i++)
		free(s->object[i]);
}

static size_t run_again(void *state)
{
	struct fresh *s = state;

	run_grow(s);
	free_all(s);
	return s->objects;
}

static void stop_again(void *state)
{
	struct fresh *s = state;

	bench_unmap(s, bytes_of(s->objects));
}

static void stop_grow(void *state)
{
	free_all(state);
	stop_again(state);
}

static void *start_pages(const struct setting *at)
{
	struct fresh *s = bench_map(sizeof(*s));

	s->size = at->arg * PAGE;
	return s;
}

static size_t run_pages(void *state)
{
	struct fresh *s = state;

	for (size_t done = 0; done < (size_t)PAGES_PER_RUN * PAGE; done += s->size) {
		void *p = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);

		if (p == MAP_FAILED) {
			perror("uslub_bench: mmap");
			exit(1);
		}
		touch_pages(p, s->size);
		munmap(p, s->size);
	}
	return PAGES_PER_RUN;
}

static void stop_pages(void *state)
{
	bench_unmap(state, sizeof(struct fresh));
}

static const size_t sizes[] = {64, 1024, 20000, 262144, 0};
static const size_t again_sizes[] = {1024, 20000, 262144, 0};
/* Of powers of two, so that they divide PAGES_PER_RUN. */
static const size_t page_counts[] = {1, 16, 256, 0};

const struct workload fresh_grow = {
	.name = "fresh/grow",
	.threads = ALONE,
	.args = sizes,
	.runs = 1,
	.cold = true,
	.start = start_grow,
	.run = run_grow,
	.stop = stop_grow,
};

const struct workload fresh_again = {
	.name = "fresh/again",
	.threads = ALONE,
	.args = again_sizes,
	.start = start_again,
	.run = run_again,
	.stop = stop_again,
};

const struct workload page_control = {
	.name = "control/pages",
	.threads = ALONE,
	.args = page_counts,
	.start = start_pages,
	.run = run_pages,
	.stop = stop_pages,
};
