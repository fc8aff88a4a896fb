// SPDX-License-Identifier: MIT
/*
 * What a thread keeps that allocated and freed a little, and then sleeps. Run by bench/compare memory.
 *
 * The threads exist, and have touched their stacks, before the first figure is taken: the difference is
 * malloc's alone.
 */
#include "sizes.h"

#define MAX_THREADS 10000
#define STACK_SIZE ((size_t)128 << 10)
#define STACK_TOUCHED ((size_t)32 << 10)
#define MOST_LIVE 1024

/* How much a thread has at once: each of the sizes so many times. */
static const struct use {
	const char *name;
	size_t times;
	size_t sizes[16]; /* ends with 0 */
} uses[] = {
	{"touch", 1, {24, 64, 200, 500, 1000}},
	{"little", 4, {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024}},
	{"much", 80, {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024}},
};

static const struct use *use;
static pthread_barrier_t started, go, done, end;

static void touch_stack(void)
{
	volatile char deep[STACK_TOUCHED];

	for (size_t i = 0; i < sizeof(deep); i += 1024)
		deep[i] = 1;
}

static void allocate_and_free(void)
{
	void *objects[MOST_LIVE];
	size_t count = 0;

	for (size_t i = 0; i < use->times; i++)
		for (const size_t *size = use->sizes; *size; size++)
			objects[count++] = new_object(*size);
	while (count > 0)
		free(objects[--count]);
}

static void *live(void *unused)
{
	(void)unused;
	touch_stack();
	pthread_barrier_wait(&started);
	pthread_barrier_wait(&go);
	allocate_and_free();
	pthread_barrier_wait(&done);
	pthread_barrier_wait(&end);
	return NULL;
}

static void init_barriers(unsigned int threads)
{
	pthread_barrier_init(&started, NULL, threads + 1);
	pthread_barrier_init(&go, NULL, threads + 1);
	pthread_barrier_init(&done, NULL, threads + 1);
	pthread_barrier_init(&end, NULL, threads + 1);
}

static void start_threads(pthread_t *all, size_t threads)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	for (size_t i = 0; i < threads; i++)
		if (pthread_create(&all[i], &attributes, live, NULL) != 0)
			die("no thread\n");
}

static void measure(size_t threads)
{
	pthread_t *all = bench_map(threads * sizeof(*all));
	size_t base, faults;

	init_barriers((unsigned int)threads);
	start_threads(all, threads);
	pthread_barrier_wait(&started);
	base = rss_bytes();
	faults = page_faults();
	pthread_barrier_wait(&go);
	pthread_barrier_wait(&done);
	say("idle %zu\n", rss_bytes() - base);
	say("faults %zu\n", page_faults() - faults);
	pthread_barrier_wait(&end);
	for (size_t i = 0; i < threads; i++)
		pthread_join(all[i], NULL);
}

int main(int argc, char **argv)
{
	size_t threads;

	if (argc != 3)
		die("usage: sleepers THREADS touch|little|much\n");
	threads = number(argv[1], "THREADS");
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (strcmp(argv[2], uses[i].name) == 0)
			use = &uses[i];
	if (!use || threads < 1 || threads > MAX_THREADS)
		die("sleepers: 1 to %d threads; touch, little or much\n", MAX_THREADS);
	meet_malloc();
	measure(threads);
	return 0;
}
