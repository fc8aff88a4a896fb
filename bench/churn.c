// SPDX-License-Identifier: MIT
/*
 * A program that runs for long, in short: what it keeps grows, shrinks and changes in kind, and most of
 * what it allocates dies young. It prints live bytes and resident memory at each step of the way. Run by
 * bench/compare memory.
 *
 * All that happens depends on the seed alone. The clock decides only how long the threads rest between
 * two steps, so that every allocator has the same time to give memory back.
 */
#include <pthread.h>

#include "sizes.h"

#define STEPS 10  /* of a phase */
#define YOUNG 512 /* allocations that a short-lived object outlives */
#define MAX_THREADS 16

/* What a phase allocates, and how much of it lives at last, in 64ths of the most. */
static const struct phase {
	enum mix mix;
	size_t target;
} phases[] = {
	{MIX_TEXT, 64},	   {MIX_NODES, 40}, {MIX_RECORDS, 64}, {MIX_TEXT, 20},
	{MIX_BUFFERS, 56}, {MIX_NODES, 20}, {MIX_ALL, 64},     {MIX_TEXT, 32},
};
#define NR_PHASES (sizeof(phases) / sizeof(phases[0]))

struct item {
	void *p;
	size_t size;
};

struct worker {
	pthread_t thread;
	struct item *items; /* the long-lived, in no order */
	size_t count, room;
	size_t kept; /* bytes of those */
	size_t live; /* and of the young */
	struct item young[YOUNG];
	size_t young_at;
	uint64_t random;
	size_t calls;
} __attribute__((aligned(128)));

static struct worker workers[MAX_THREADS];
static size_t nr_threads, most_live, cycles;
static pthread_barrier_t begin_step, end_step;
static const struct phase *phase; /* the main thread's, changed while the workers wait */

static void drop_item(struct worker *w, struct item *item)
{
	free(item->p);
	w->live -= item->size;
}

static void drop_random(struct worker *w)
{
	struct item *victim = &w->items[random_below(&w->random, w->count)];

	w->kept -= victim->size;
	drop_item(w, victim);
	*victim = w->items[--w->count];
}

static void keep(struct worker *w, struct item item)
{
	if (w->count == w->room)
		drop_random(w);
	w->items[w->count++] = item;
	w->kept += item.size;
}

static struct item make_item(struct worker *w)
{
	size_t size = draw_size(phase->mix, &w->random);
	struct item item = {new_object(size), size};

	w->live += size;
	w->calls++;
	return item;
}

/* Three short-lived objects, each in the place of one that has had its time. */
static void pass_by(struct worker *w)
{
	for (int i = 0; i < 3; i++) {
		struct item *place = &w->young[w->young_at++ % YOUNG];

		if (place->p)
			drop_item(w, place);
		*place = make_item(w);
	}
}

/* A step allocates a fifth of what the phase aims at: at its end all of it is twice renewed. */
static void step(struct worker *w)
{
	size_t target = most_live / 64 * phase->target / nr_threads;
	size_t left = target / (STEPS / 2);

	while (left > 0) {
		struct item item = make_item(w);

		keep(w, item);
		left -= item.size < left ? item.size : left;
		while (w->kept > target)
			drop_random(w);
		pass_by(w);
	}
}

static void *work(void *argument)
{
	for (size_t i = 0; i < cycles * NR_PHASES * STEPS; i++) {
		pthread_barrier_wait(&begin_step);
		step(argument);
		pthread_barrier_wait(&end_step);
	}
	return NULL;
}

/* One in eight objects changes hands: it is freed by another thread than made it. */
static void exchange(void)
{
	for (size_t t = 1; t < nr_threads; t++) {
		struct worker *a = &workers[t - 1], *b = &workers[t];
		size_t common = a->count < b->count ? a->count : b->count;

		for (size_t i = random_below(&a->random, 8); i < common; i += 8) {
			struct item item = a->items[i];

			a->items[i] = b->items[i];
			b->items[i] = item;
			a->kept += a->items[i].size - item.size;
			a->live += a->items[i].size - item.size;
			b->kept += item.size - a->items[i].size;
			b->live += item.size - a->items[i].size;
		}
	}
}

static size_t sum_live(void)
{
	size_t live = 0;

	for (size_t t = 0; t < nr_threads; t++)
		live += workers[t].live;
	return live;
}

static void run(uint64_t span_ns, size_t base)
{
	size_t steps = cycles * NR_PHASES * STEPS;
	uint64_t begin = now_ns();

	for (size_t i = 0; i < steps; i++) {
		phase = &phases[i / STEPS % NR_PHASES];
		pthread_barrier_wait(&begin_step);
		pthread_barrier_wait(&end_step);
		say("at %zu %zu %zu %zu\n", i, (size_t)((now_ns() - begin) / 1000000), sum_live(),
		    rss_bytes() - base);
		exchange();
		sleep_until_ns(begin + span_ns / steps * (i + 1));
	}
}

static void start_workers(uint64_t seed)
{
	/* Objects have 40 bytes or more, on average. */
	size_t room = most_live / nr_threads / 32;

	pthread_barrier_init(&begin_step, NULL, (unsigned int)nr_threads + 1);
	pthread_barrier_init(&end_step, NULL, (unsigned int)nr_threads + 1);
	for (size_t t = 0; t < nr_threads; t++) {
		workers[t].items = bench_map(room * sizeof(struct item));
		workers[t].room = room;
		workers[t].random = seed * 1000003 + t;
		if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0)
			die("no thread\n");
	}
}

int main(int argc, char **argv)
{
	size_t base, faults, calls = 0;

	if (argc != 6)
		die("usage: churn THREADS MIB CYCLES SECONDS SEED\n");
	nr_threads = number(argv[1], "THREADS");
	most_live = number(argv[2], "MIB") * MIB;
	cycles = number(argv[3], "CYCLES");
	if (nr_threads < 1 || nr_threads > MAX_THREADS || most_live == 0 || cycles == 0)
		die("churn: 1 to %d threads, 1 MiB and 1 cycle or more\n", MAX_THREADS);
	meet_malloc();
	start_workers(number(argv[5], "SEED"));
	base = rss_bytes();
	faults = page_faults();
	run(number(argv[4], "SECONDS") * 1000000000u, base);
	for (size_t t = 0; t < nr_threads; t++) {
		pthread_join(workers[t].thread, NULL);
		calls += workers[t].calls;
	}
	say("calls %zu\n", calls);
	say("faults %zu\n", page_faults() - faults);
	return 0;
}
