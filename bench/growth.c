// SPDX-License-Identifier: MIT
/*
 * realloc/...: buffers that grow from 16 bytes to a limit, by half their size each time, as vectors
 * and string builders do. An operation is one realloc; the frees at the end count to them.
 *
 *   one    a single buffer, with nothing behind it that hinders growth in place
 *   four   four buffers in turns, each in the way of another
 *
 * Each realloc is followed by a write to each page that it added.
 */
#include "workload.h"

#include <stdlib.h>

enum {
	FIRST_SIZE = 16,
	PAGE = 4096,
	MOST_BUFFERS = 4,
	REALLOCS_PER_RUN = 1000,
};

struct growth {
	size_t limit;
	size_t buffers;
	char *buffer[MOST_BUFFERS];
};

static void *start(const struct setting *at, size_t buffers)
{
	struct growth *s = bench_map(sizeof(*s));

	s->limit = at->arg;
	s->buffers = buffers;
	return s;
}

static void *start_one(const struct setting *at)
{
	return start(at, 1);
}

static void *start_four(const struct setting *at)
{
	return start(at, MOST_BUFFERS);
}

static void touch_added(char *p, size_t from, size_t to)
{
	for (size_t at = from; at < to; at += PAGE)
		touch(p + at);
}

/* Sizes stay multiples of a word, so that touch() writes inside the buffer, aligned. */
static size_t next_size(size_t size)
{
	return (size + size / 2) & ~(sizeof(uintptr_t) - 1);
}

static size_t grow_once(struct growth *s)
{
	size_t ops = 0, old = 0;

	for (size_t size = FIRST_SIZE; size <= s->limit; size = next_size(size)) {
		for (size_t i = 0; i < s->buffers; i++) {
			s->buffer[i] = realloc(s->buffer[i], size);
			touch_added(s->buffer[i], old, size);
		}
		ops += s->buffers;
		old = size;
	}
	for (size_t i = 0; i < s->buffers; i++) {
		free(s->buffer[i]);
		s->buffer[i] = NULL;
	}
	return ops;
}

static size_t run(void *state)
{
	size_t ops = 0;

	while (ops < REALLOCS_PER_RUN)
		ops += grow_once(state);
	return ops;
}

static void stop(void *state)
{
	bench_unmap(state, sizeof(struct growth));
}

static const size_t limits[] = {65536, 8388608, 0};

const struct workload growth_one = {
	.name = "realloc/one",
	.threads = ALONE,
	.args = limits,
	.start = start_one,
	.run = run,
	.stop = stop,
};

const struct workload growth_four = {
	.name = "realloc/four",
	.threads = ALONE,
	.args = limits,
	.start = start_four,
	.run = run,
	.stop = stop,
};
