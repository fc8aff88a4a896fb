/*
 * --count threads live at once, each with objects of a few sizes; prints what a thread costs,
 * counted from threads that have not allocated yet, and what stays of it when they have ended.
 */
#include <malloc.h>
#include <pthread.h>

#include "stress.h"

enum { SIZES = 5, MAX_PER_THREAD = 64 * 1024, MAX_PER_ENDED = 8 * 1024 };

static struct stress_options options = {.seconds = 0, .threads = 1, .count = 10000};
static pthread_barrier_t born, allocated, leaving;

static void *live(void *number)
{
	static const size_t sizes[SIZES] = {24, 64, 200, 500, 1000};
	struct record own[SIZES];
	struct random r;

	random_seed(&r, options.seed, (uint64_t)(uintptr_t)number);
	pthread_barrier_wait(&born);
	for (int i = 0; i < SIZES; i++)
		object_make_sized(&own[i], &r, sizes[i]);
	pthread_barrier_wait(&allocated);
	pthread_barrier_wait(&leaving);
	for (int i = 0; i < SIZES; i++)
		object_free(&own[i], &r);
	return NULL;
}

static pthread_t *start_threads(void)
{
	pthread_t *threads = calloc(options.count, sizeof(*threads));
	size_t stack = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	pthread_attr_t attr;

	CHECK(threads);
	CHECK(pthread_attr_init(&attr) == 0);
	CHECK(pthread_attr_setstacksize(&attr, stack < 64 * KIB ? 64 * KIB : stack) == 0);
	for (uintptr_t i = 0; i < options.count; i++) {
		int error = pthread_create(&threads[i], &attr, live, (void *)i);

		if (error == EAGAIN) {
			printf("only %lu threads\n", (unsigned long)i);
			fflush(stdout);
			skip("this machine does not allow so many threads");
		}
		CHECK_THAT(error == 0, "pthread_create: %d", error);
	}
	pthread_attr_destroy(&attr);
	return threads;
}

int main(int argc, char **argv)
{
	size_t before, with, after, each;
	pthread_t *threads;

	stress_parse(&options, argc, argv);
	CHECK(options.count > 0);
	pthread_barrier_init(&born, NULL, (unsigned int)options.count + 1);
	pthread_barrier_init(&allocated, NULL, (unsigned int)options.count + 1);
	pthread_barrier_init(&leaving, NULL, (unsigned int)options.count + 1);
	threads = start_threads();
	before = rss_bytes();
	pthread_barrier_wait(&born);
	pthread_barrier_wait(&allocated);
	with = rss_bytes();
	each = (with - before) / options.count;
	pthread_barrier_wait(&leaving);
	for (unsigned long i = 0; i < options.count; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	free(threads);
	malloc_trim(0);
	after = rss_bytes();
	printf("%lu threads, %d objects each: %zu KiB before, %zu with, %zu trimmed after their end; "
	       "%zu bytes for each\n",
	       options.count, SIZES, before / KIB, with / KIB, after / KIB, each);
	/* An emulator's memory for threads is in the figures. */
	CHECK_THAT(emulated() || each <= MAX_PER_THREAD, "%zu bytes a thread are too many", each);
	CHECK_THAT(emulated() || after <= before + options.count * MAX_PER_ENDED, "%zu KiB stay",
		   (after - before) / KIB);
	return 0;
}
