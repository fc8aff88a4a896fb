/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark binary measures. The workloads are C, written against malloc and free as any
 * program is; registry.cpp hands them to Google Benchmark.
 *
 * Rules for a workload:
 *   1. run() does a thousand operations or more, so that the harness's own cost per call vanishes.
 *   2. It takes its own tables by bench_map(), never by malloc: the heap holds what it measures.
 *   3. It calls touch() on every object that it gets. Any program writes to what it allocates, and
 *      the compiler must not remove a pair.
 *   4. It tests no result: NULL is written to by touch(), and bench/compare reports the signal.
 */
#ifndef USLUB_BENCH_WORKLOAD_H
#define USLUB_BENCH_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many threads run a workload at once; a workload may ask for several of these. */
enum workload_threads {
	ALONE = 1,     /* one, in a process that never had a second */
	ALL_CORES = 2, /* as many as the machine has processors, each with objects of its own */
	TWO = 4,       /* a producer and a consumer */
};

struct setting {
	size_t arg;	     /* the row's size or length */
	unsigned int thread; /* which of them this is, from 0 */
	unsigned int threads;
};

/*
 * start, prepare, run and stop are all called by the thread that runs the workload. start returns NULL
 * where the measured malloc can't run the row.
 */
struct workload {
	const char *name;
	unsigned int threads;			  /* enum workload_threads, or'ed */
	const size_t *args;			  /* ends with 0; a row for each */
	void *(*start)(const struct setting *at); /* not timed; returns the state of the others */
	void (*prepare)(void *state);		  /* before each run, not timed; may be NULL */
	size_t (*run)(void *state);		  /* timed; returns how many operations it did */
	void (*stop)(void *state);		  /* not timed */
};

extern const struct workload pair_lifo, pair_random, pair_fifo;
extern const struct workload pair_lifo_threads, pair_random_threads;
extern const struct workload zeroed_pairs;
extern const struct workload growth_one, growth_four;
extern const struct workload burst_pairs, scattered_frees;
extern const struct workload remote_frees, ring_control;
extern const struct workload nested_outside, nested_malloc, nested_free;

/* All of them, in the order of the report; ends with NULL. */
extern const struct workload *const workloads[];

/* Memory that does not come from the measured allocator; zeroed. Exits when there is none. */
void *bench_map(size_t size);
void bench_unmap(void *p, size_t size);

/* How many processors the process may use. Called first of these three, by the only thread. */
int bench_processors(void);

/* Ties the calling thread to the processor of its number, if there is one; to all of them again. */
void bench_pin(unsigned int thread);
void bench_unpin(void);

/* The file that malloc, free, calloc and realloc come from; NULL if not all from one. */
const char *malloc_provider(void);

static inline void touch(void *p)
{
	*(volatile uintptr_t *)p = (uintptr_t)p;
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* A small generator whose state is one word; its latency hides behind the calls around it. */
static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(*state >> 32);
}

/* Below @limit, which fits 32 bits. */
static inline size_t random_below(uint64_t *state, size_t limit)
{
	return (size_t)(((uint64_t)next_random(state) * limit) >> 32);
}

#ifdef __cplusplus
}
#endif

#endif
