/*
 * The deepest stack of each call, measured: the stack below the caller is painted, the call made on its
 * slow paths, and the lowest byte that changed looked for. A handler on a small alternate stack has to have
 * that much left. Prints a table; fails where a call needs as much as the argument says: 1 KiB, and more where
 * the compiler does not optimise.
 */
#include "check.h"

#include <malloc.h>
#include <pthread.h>
#include <stdint.h>

enum { DEPTH = 16384, PAINT = 0xa5, NR = 3000 };

static void *objects[NR];
static size_t size_now;

/* Both run in frames of the same size at the same place: what lies below is what a call between touched. */
static __attribute__((noinline)) void paint(void)
{
	unsigned char below[DEPTH];

	memset(below, PAINT, DEPTH);
	__asm__ volatile("" : : "r"(below) : "memory");
}

static __attribute__((noinline)) size_t touched(void)
{
	unsigned char below[DEPTH], *bytes = below;
	size_t i = 0;

	/* Whatever stands there, as the compiler can't know. */
	__asm__ volatile("" : "+r"(bytes) : : "memory");
	while (i < DEPTH && bytes[i] == PAINT)
		i++;
	return DEPTH - i;
}

static size_t depth_of(void (*call)(unsigned int), unsigned int i)
{
	paint();
	call(i);
	return touched();
}

static size_t deepest(void (*call)(unsigned int))
{
	size_t most = 0;

	for (unsigned int i = 0; i < NR; i++) {
		size_t depth = depth_of(call, i);

		most = depth > most ? depth : most;
	}
	return most;
}

static void nothing(unsigned int i)
{
	(void)i;
}

static void one_malloc(unsigned int i)
{
	objects[i] = malloc(size_now);
}

static void one_calloc(unsigned int i)
{
	objects[i] = calloc(1, size_now);
}

static void one_aligned(unsigned int i)
{
	objects[i] = memalign(4096, size_now);
}

static void one_realloc(unsigned int i)
{
	objects[i] = realloc(objects[i], size_now + size_now / 2);
}

static void one_free(unsigned int i)
{
	free(objects[i]);
}

static void one_trim(unsigned int i)
{
	if (i % 500 == 0)
		malloc_trim(0);
}

static void one_usable(unsigned int i)
{
	CHECK(malloc_usable_size(objects[i]) >= size_now);
}

static const struct {
	const char *name;
	void (*call)(unsigned int);
} calls[] = {
	{"malloc", one_malloc},	   {"malloc_usable_size", one_usable},
	{"realloc", one_realloc},  {"free", one_free},
	{"calloc", one_calloc},	   {"free", one_free},
	{"memalign", one_aligned}, {"free", one_free},
	{"malloc_trim", one_trim},
};
enum { NR_CALLS = sizeof(calls) / sizeof(calls[0]) };

static size_t most[NR_CALLS], own;

static void measure(size_t size)
{
	size_now = size;
	own = deepest(nothing);
	for (size_t i = 0; i < NR_CALLS; i++) {
		size_t depth = deepest(calls[i].call) - own;

		most[i] = depth > most[i] ? depth : most[i];
	}
}

static void *free_them(void *arg)
{
	for (unsigned int i = 0; i < NR; i++)
		free(objects[i]);
	return arg;
}

/* What another thread has freed is collected, and its first call makes the record. */
static void *with_another(void *arg)
{
	static const size_t sizes[] = {16, 100, 1000, 8192, 32768, 65536, 300000};
	pthread_t thread;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		measure(sizes[i]);
		for (unsigned int n = 0; n < NR; n++)
			one_malloc(n);
		CHECK(pthread_create(&thread, NULL, free_them, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
	}
	return arg;
}

int main(int argc, char **argv)
{
	size_t limit = argc > 1 ? strtoul(argv[1], NULL, 10) : 1024;
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, with_another, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	for (size_t i = 0; i < NR_CALLS; i++) {
		printf("%-20s %zu bytes of stack\n", calls[i].name, most[i]);
		CHECK(most[i] > 0);
		if (strict())
			CHECK_THAT(most[i] < limit, "%s needs %zu bytes of stack", calls[i].name,
				   most[i]);
	}
	return 0;
}
