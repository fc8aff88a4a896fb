/* malloc_trim gives freed memory back at once, says whether it did, and harms nothing. */
#include <malloc.h>
#include <pthread.h>

#include "proc.h"

#define TOTAL (200 * MIB)
#define MAX_OBJECTS (TOTAL / 256)

static unsigned char *objects[MAX_OBJECTS];

static void allocate(size_t n)
{
	for (size_t i = 0; i < TOTAL / n; i++) {
		objects[i] = malloc(n);
		CHECK(objects[i]);
		memset(objects[i], 0xa5, n);
	}
}

static void *free_all(void *size)
{
	for (size_t i = 0; i < TOTAL / *(size_t *)size; i++)
		free(objects[i]);
	return NULL;
}

static void check_trimmed(size_t n, size_t base, size_t full)
{
	int did = malloc_trim(0);
	size_t now = rss_bytes();

	printf("%8zu bytes each: %zu MiB resident before, %zu full, %zu after malloc_trim = %d\n",
	       n, base / MIB, full / MIB, now / MIB, did);
	CHECK(full > base + TOTAL / 2);
	CHECK_THAT(now < base + TOTAL / 20, "%zu MiB stay", (now - base) / MIB);
	if (!strict())
		return;
	CHECK_THAT(did == 1, "memory went, but malloc_trim said %d", did);
	CHECK_THAT(malloc_trim(0) == 0, "malloc_trim found work twice");
}

static void freed_here(size_t n)
{
	size_t base = rss_bytes(), full;

	allocate(n);
	full = rss_bytes();
	free_all(&n);
	check_trimmed(n, base, full);
}

static void freed_elsewhere(size_t n)
{
	size_t base = rss_bytes(), full;
	pthread_t thread;

	allocate(n);
	full = rss_bytes();
	CHECK(pthread_create(&thread, NULL, free_all, &n) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	check_trimmed(n, base, full);
}

/* Trimming around live objects: what lives stays whole. */
static void live_objects_stay(size_t n)
{
	allocate(n);
	for (size_t i = 0; i < TOTAL / n; i++) {
		if (i % 500)
			free(objects[i]);
	}
	malloc_trim(0);
	for (size_t i = 0; i < TOTAL / n; i += 500) {
		CHECK(all_bytes(objects[i], 0xa5, n));
		free(objects[i]);
	}
	malloc_trim(0);
}

int main(void)
{
	memset(objects, 0, sizeof(objects));
	malloc_trim(0);
	freed_here(256);
	freed_here(3000);
	freed_here(20000);
	freed_here(100000);
	freed_here(5 * MIB);
	freed_elsewhere(512);
	freed_elsewhere(40000);
	live_objects_stay(256);
	live_objects_stay(10000);
	freed_here(300);
	errno = 0;
	malloc_trim(SIZE_MAX);
	malloc_trim(MIB);
	CHECK(errno == 0);
	puts("trim: ok");
	return 0;
}
