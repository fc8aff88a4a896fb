/* calloc is zero, also where the memory held something before: every class, and large. */
#include <malloc.h>
#include <pthread.h>

#include "proc.h"

enum { PER_SIZE = 48 };

static void dirty(void **p, int count)
{
	for (int i = 0; i < count; i++)
		memset(p[i], 0xd1, malloc_usable_size(p[i]));
}

static void free_all(void **p, int count)
{
	/* Neither in order nor in reverse. */
	for (int i = 0; i < count; i += 2)
		free(p[i]);
	for (int i = 1; i < count; i += 2)
		free(p[i]);
}

static void allocate(void **p, int count, size_t n, bool zeroed)
{
	for (int i = 0; i < count; i++) {
		p[i] = zeroed ? calloc(n, 1) : malloc(n);
		CHECK(p[i]);
	}
}

static void check_zero(void **p, int count, size_t n)
{
	for (int i = 0; i < count; i++)
		CHECK_THAT(all_bytes(p[i], 0, n), "calloc of %zu bytes is not zero", n);
}

static void one_size(size_t n, int count)
{
	void *p[PER_SIZE];

	for (int round = 0; round < 2; round++) {
		allocate(p, count, n, false);
		dirty(p, count);
		free_all(p, count);
		allocate(p, count, n, true);
		check_zero(p, count, n);
		dirty(p, count);
		free_all(p, count);
	}
	/* Once more from memory that went back to the kernel in between. */
	malloc_trim(0);
	allocate(p, count, n, true);
	check_zero(p, count, n);
	dirty(p, count);
	free_all(p, count);
}

static void *free_elsewhere(void *arg)
{
	free_all(arg, PER_SIZE);
	return NULL;
}

static void freed_by_another_thread(size_t n)
{
	void *p[PER_SIZE];
	pthread_t thread;

	allocate(p, PER_SIZE, n, false);
	dirty(p, PER_SIZE);
	CHECK(pthread_create(&thread, NULL, free_elsewhere, p) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	allocate(p, PER_SIZE, n, true);
	check_zero(p, PER_SIZE, n);
	free_all(p, PER_SIZE);
}

/* Memory that a small object left is reused for a larger one, and the other way round. */
static void across_sizes(void)
{
	static void *p[20000];
	size_t n = 64;

	for (int round = 0; round < 12; round++, n = n * 5 / 2) {
		int count = n < 4096 ? 20000 : 20000 * 4096 / (int)n;

		allocate(p, count, n, true);
		check_zero(p, count, n);
		dirty(p, count);
		free_all(p, count);
		malloc_trim(0);
	}
}

static void zero_product(void)
{
	char *p = calloc(0, 100);
	char *q = calloc(100, opaque_size(0));

	CHECK(p && q && p != q);
	CHECK(all_bytes(p, 0, 0));
	free(p);
	free(q);
}

int main(void)
{
	for (size_t n = 1; n <= 2048; n += n < 512 ? 1 : 16)
		one_size(n, PER_SIZE);
	for (size_t n = 2064; n < 300 * KIB; n += n / 16)
		one_size(n, n < 64 * KIB ? PER_SIZE : 6);
	for (size_t n = 300 * KIB; n < 128 * MIB; n *= 5)
		one_size(n, 2);
	for (size_t n = 16; n < 100 * KIB; n = n * 3 / 2)
		freed_by_another_thread(n);
	across_sizes();
	zero_product();
	puts("calloc_zero: ok");
	return 0;
}
