// SPDX-License-Identifier: MIT
/*
 * How long single calls of malloc and free take, the rare long ones above all. Run by bench/compare tail.
 *
 * The threads replace objects of mixed sizes at random; one in four is freed by the next thread; the
 * number that live swings, so that slabs, runs and mappings come and go. As `control` the same loop runs
 * with an allocation that does nothing: its long calls are the machine's. The clock's own cost, the median
 * of two readings in a row, is taken off each figure.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "sizes.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define FEW 2000
#define MANY 20000
#define SWING 65536 /* calls between the two */
#define MAX_THREADS 16
#define LETTERS 1024
#define PAGE 4096
#define CELLS 65536 /* of the control: 64 bytes each */

/* Logarithmic with 32 steps for each factor of two: 3 % wide. */
#define FRACTION 5
#define BUCKETS ((65 - FRACTION) << FRACTION)

struct histogram {
	uint64_t count[BUCKETS];
	uint64_t worst;
};

/* Objects on their way to the thread that frees them. */
struct mailbox {
	void *letters[LETTERS];
	atomic_size_t sent __attribute__((aligned(128)));
	atomic_size_t received __attribute__((aligned(128)));
};

struct worker {
	pthread_t thread;
	unsigned int index;
	uint64_t random;
	void **slots;
	size_t active;
	uint64_t clock_cost, clock_step;
	struct histogram allocs, uses, frees;
	struct mailbox inbox;
} __attribute__((aligned(128)));

static struct worker *workers;
static unsigned int nr_threads;
static size_t calls;
static bool control;
static pthread_barrier_t ready;
static void *(*allocate)(size_t);
static void (*release)(void *);

static inline uint64_t clock_begin(void)
{
#if defined(__x86_64__)
	uint64_t now;

	_mm_lfence();
	now = __rdtsc();
	_mm_lfence();
	return now;
#else
	return now_ns();
#endif
}

static inline uint64_t clock_end(void)
{
#if defined(__x86_64__)
	unsigned int processor;
	uint64_t now = __rdtscp(&processor);

	_mm_lfence();
	return now;
#else
	return now_ns();
#endif
}

static size_t bucket(uint64_t ticks)
{
	unsigned int shift;

	if (ticks < 2U << FRACTION)
		return ticks;
	shift = 63U - FRACTION - (unsigned int)__builtin_clzll(ticks);
	return ((size_t)shift << FRACTION) + (ticks >> shift);
}

/* The least value of a bucket. */
static uint64_t bucket_ticks(size_t index)
{
	size_t shift = index >> FRACTION;

	if (index < 2U << FRACTION)
		return index;
	return (uint64_t)(index - ((shift - 1) << FRACTION)) << (shift - 1);
}

static void note(struct histogram *h, uint64_t ticks, uint64_t cost)
{
	uint64_t own = ticks > cost ? ticks - cost : 0;

	h->count[bucket(own)]++;
	if (own > h->worst)
		h->worst = own;
}

/*
 * An object is in use when its every page has been written to: who leaves the page faults to the program
 * has not spared it them.
 */
static void *timed_alloc(struct worker *w, size_t size)
{
	uint64_t begin = clock_begin(), middle;
	char *p = allocate(size);

	middle = clock_end();
	touch(p);
	for (size_t at = PAGE; at < size && !control; at += PAGE)
		*(volatile char *)(p + at) = 1;
	note(&w->uses, clock_end() - begin, 2 * w->clock_cost);
	note(&w->allocs, middle - begin, w->clock_cost);
	return p;
}

static void timed_free(struct worker *w, void *p)
{
	uint64_t begin = clock_begin();

	release(p);
	note(&w->frees, clock_end() - begin, w->clock_cost);
}

static bool send(struct worker *to, void *p)
{
	struct mailbox *box = &to->inbox;
	size_t sent = atomic_load_explicit(&box->sent, memory_order_relaxed);

	if (sent - atomic_load_explicit(&box->received, memory_order_acquire) == LETTERS)
		return false;
	box->letters[sent % LETTERS] = p;
	atomic_store_explicit(&box->sent, sent + 1, memory_order_release);
	return true;
}

static void read_mail(struct worker *w)
{
	struct mailbox *box = &w->inbox;
	size_t at = atomic_load_explicit(&box->received, memory_order_relaxed);
	size_t sent = atomic_load_explicit(&box->sent, memory_order_acquire);

	for (; at != sent; at++)
		timed_free(w, box->letters[at % LETTERS]);
	atomic_store_explicit(&box->received, at, memory_order_release);
}

static void get_rid(struct worker *w, void *p)
{
	struct worker *other = &workers[(w->index + 1) % nr_threads];

	if (nr_threads == 1 || next_random(&w->random) % 4 != 0 || !send(other, p))
		timed_free(w, p);
}

static void swing(struct worker *w)
{
	w->active = w->active == FEW ? MANY : FEW;
	for (size_t i = w->active; i < MANY; i++) {
		if (w->slots[i])
			get_rid(w, w->slots[i]);
		w->slots[i] = NULL;
	}
}

static void load(struct worker *w)
{
	for (size_t i = 0; i < calls; i++) {
		void **slot = &w->slots[random_below(&w->random, w->active)];

		if (*slot)
			get_rid(w, *slot);
		*slot = timed_alloc(w, draw_size(MIX_ALL, &w->random));
		if (i % 16 == 0)
			read_mail(w);
		if (i % SWING == SWING - 1)
			swing(w);
	}
}

/* In place: glibc's qsort() calls malloc for what is longer than a kilobyte. */
static void sort(uint64_t *values, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t j = i; j > 0 && values[j - 1] > values[j]; j--) {
			uint64_t swap = values[j];

			values[j] = values[j - 1];
			values[j - 1] = swap;
		}
}

/* What a reading takes, the median, and how far apart two readings are at least that differ. */
static void measure_clock(struct worker *w)
{
	static _Thread_local uint64_t cost[1001];
	const size_t count = sizeof(cost) / sizeof(cost[0]);

	for (size_t i = 0; i < count; i++) {
		uint64_t begin = clock_begin();

		cost[i] = clock_end() - begin;
	}
	sort(cost, count);
	w->clock_cost = cost[count / 2];
	w->clock_step = UINT64_MAX;
	for (size_t i = 1; i < count; i++)
		if (cost[i] != cost[i - 1] && cost[i] - cost[i - 1] < w->clock_step)
			w->clock_step = cost[i] - cost[i - 1];
	if (w->clock_step == UINT64_MAX)
		w->clock_step = 1;
}

static void *work(void *argument)
{
	struct worker *w = argument;

	bench_pin(w->index);
	measure_clock(w);
	w->active = FEW;
	pthread_barrier_wait(&ready);
	load(w);
	return NULL;
}

/* The control's objects: cells in turns, which nothing has to keep account of. */
static char *cells;
static _Thread_local size_t next_cell;

static void *control_allocate(size_t size)
{
	(void)size;
	return cells + next_cell++ % CELLS * 64;
}

static void control_release(void *p)
{
	(void)p;
}

static void choose(const char *what)
{
	if (strcmp(what, "control") == 0) {
		control = true;
		cells = bench_map((size_t)CELLS * 64);
		allocate = control_allocate;
		release = control_release;
	} else if (strcmp(what, "malloc") == 0) {
		allocate = malloc;
		release = free;
	} else {
		die("tail: malloc or control, not %s\n", what);
	}
}

static void start(unsigned int index)
{
	struct worker *w = &workers[index];

	w->index = index;
	w->random = index * 7919 + 17;
	w->slots = bench_map(MANY * sizeof(void *));
	if (pthread_create(&w->thread, NULL, work, w) != 0)
		die("no thread\n");
}

static void print(const char *name, size_t offset)
{
	uint64_t worst = 0;

	for (size_t b = 0; b < BUCKETS; b++) {
		uint64_t sum = 0;

		for (unsigned int t = 0; t < nr_threads; t++)
			sum += ((struct histogram *)((char *)&workers[t] + offset))->count[b];
		if (sum > 0)
			say("call-%s %llu %llu\n", name, (unsigned long long)bucket_ticks(b),
			    (unsigned long long)sum);
	}
	for (unsigned int t = 0; t < nr_threads; t++) {
		const struct histogram *h = (void *)((char *)&workers[t] + offset);

		worst = h->worst > worst ? h->worst : worst;
	}
	say("worst-%s %llu\n", name, (unsigned long long)worst);
}

int main(int argc, char **argv)
{
	uint64_t begin_ns, begin;

	if (argc != 4)
		die("usage: tail malloc|control THREADS CALLS\n");
	choose(argv[1]);
	nr_threads = (unsigned int)number(argv[2], "THREADS");
	calls = number(argv[3], "CALLS");
	if (nr_threads < 1 || nr_threads > MAX_THREADS)
		die("tail: 1 to %d threads\n", MAX_THREADS);
	meet_malloc();
	bench_processors();
	workers = bench_map(nr_threads * sizeof(*workers));
	pthread_barrier_init(&ready, NULL, nr_threads + 1);
	for (unsigned int t = 0; t < nr_threads; t++)
		start(t);
	begin_ns = now_ns();
	begin = clock_begin();
	pthread_barrier_wait(&ready);
	for (unsigned int t = 0; t < nr_threads; t++)
		pthread_join(workers[t].thread, NULL);
	say("span %llu %llu\n", (unsigned long long)(clock_end() - begin),
	    (unsigned long long)(now_ns() - begin_ns));
	say("clock %llu %llu\n", (unsigned long long)workers[0].clock_cost,
	    (unsigned long long)workers[0].clock_step);
	print("malloc", offsetof(struct worker, allocs));
	print("use", offsetof(struct worker, uses));
	print("free", offsetof(struct worker, frees));
	return 0;
}
