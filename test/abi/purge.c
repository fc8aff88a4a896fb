/*
 * Freed memory goes back to the kernel after the delay although nobody asks for it: the
 * program goes on with a few small calls, and no thread works behind its back.
 *   purge SIZE LIMIT_MS
 */
#include <dirent.h>
#include <malloc.h>

#include "proc.h"

#define TOTAL (200 * MIB)

static int threads_of_this_process(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = -2;

	CHECK(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void fill_and_free(size_t n)
{
	static unsigned char *objects[TOTAL / 64];

	for (size_t i = 0; i < TOTAL / n; i++) {
		objects[i] = malloc(n);
		CHECK(objects[i]);
		memset(objects[i], 1, n);
	}
	for (size_t i = 0; i < TOTAL / n; i++)
		free(objects[i]);
	memset(objects, 0, sizeof(objects));
}

static void allocate_a_bit(void)
{
	static const size_t sizes[] = {24, 200, 1000, 5000, 30000, 200000};
	void *p[sizeof(sizes) / sizeof(sizes[0])];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		p[i] = malloc(sizes[i]);
		CHECK(p[i]);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		free(p[i]);
}

int main(int argc, char **argv)
{
	int threads = threads_of_this_process();
	size_t base, full, n;
	uint64_t start, limit;

	CHECK_THAT(argc == 3, "usage: purge SIZE LIMIT_MS");
	n = strtoul(argv[1], NULL, 10);
	limit = strtoul(argv[2], NULL, 10) * 1000000u;
	CHECK(n >= 64 && limit > 0);
	fill_and_free(TOTAL / 4);
	malloc_trim(0);
	base = rss_bytes();
	fill_and_free(n);
	full = rss_bytes();
	start = now_ns();
	while (rss_bytes() > base + TOTAL / 10) {
		CHECK_THAT(now_ns() - start < limit, "%zu of %zu MiB still resident after %s ms",
			   (rss_bytes() - base) / MIB, TOTAL / MIB, argv[2]);
		allocate_a_bit();
		sleep_ms(5);
	}
	printf("%zu bytes each: %zu MiB at the last free, back within %.0f ms\n", n, full / MIB,
	       (double)(now_ns() - start) / 1e6);
	CHECK(threads_of_this_process() == threads);
	return 0;
}
