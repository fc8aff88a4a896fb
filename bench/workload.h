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
 *   5. One that makes threads of its own has a name that begins with threads/.
 */
#ifndef USLUB_BENCH_WORKLOAD_H
#define USLUB_BENCH_WORKLOAD_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
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

/* What the time of a row is. */
enum workload_clock {
	USUAL_CLOCK, /* the thread's own CPU time; of several threads the clock on the wall */
	PROCESS_CPU, /* the CPU time of all threads, the allocator's own and the kernel's work included */
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
	unsigned int threads;	 /* enum workload_threads, or'ed */
	const size_t *args;	 /* ends with 0; a row for each */
	const size_t *full_args; /* likewise, with --full alone; may be NULL */
	enum workload_clock clock;
	size_t runs; /* how many are timed, in one process; 0: as many as it takes */
	bool cold;   /* the first run is timed: memory that was never used is what it measures */
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
extern const struct workload batch_same, batch_reverse, batch_mixed;
extern const struct workload aligned_line, aligned_page;
extern const struct workload handover, exchange_equal, exchange_mixed;
extern const struct workload larson, larson_turnover;
extern const struct workload threads_spawn, threads_crowd, threads_live;
extern const struct workload sharing_active, sharing_passive;
extern const struct workload heap_of_live;
extern const struct workload fresh_grow, fresh_again, page_control;
extern const struct workload idle_sleep, idle_loop;
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

/* A thread with a small stack, for many of them. Exits when there is none. */
void bench_thread(pthread_t *thread, void *(*function)(void *), void *arg);

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

/* From 16 to below @most, a power of two: as many of each power of two as of the next. */
static inline size_t random_size(uint64_t *state, size_t most)
{
	size_t powers = (size_t)__builtin_ctzl(most) - 4;
	size_t base = (size_t)16 << random_below(state, powers);

	return base + random_below(state, base);
}

/* A write to each page of the object. */
static inline void touch_pages(void *p, size_t size)
{
	for (size_t at = 0; at < size; at += 4096)
		*(volatile char *)((char *)p + at) = 1;
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* Spins a little, then lets another thread run: there may be a single processor. */
static inline void pause_spinning(unsigned int *spins)
{
	if (++*spins % 200 == 0)
		sched_yield();
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

#ifdef __cplusplus
}
#endif

#endif
