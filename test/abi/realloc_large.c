/* realloc of a large object moves its pages: no copy, no page touched again. */
#include <malloc.h>
#include <sys/mman.h>

#include "proc.h"

#define OLD (256 * MIB)
#define NEW (512 * MIB)

static void stamp(char *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i += 4096)
		*(size_t *)(void *)(p + i) = i ^ 0x5bd1e995;
}

static void check_stamps(const char *p, size_t to)
{
	for (size_t i = 0; i < to; i += 4096)
		CHECK_THAT(*(const size_t *)(const void *)(p + i) == (i ^ 0x5bd1e995),
			   "content differs at %zu", i);
}

/* What a realloc that copies would cost at the least: the pages of the copy. */
static uint64_t copy_time(const char *from)
{
	uint64_t start = now_ns();
	char *to = mmap(NULL, OLD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(to != MAP_FAILED);
	memcpy(to, from, OLD);
	start = now_ns() - start;
	munmap(to, OLD);
	return start;
}

/* Whatever lies behind the object, it cannot grow where it is. */
static void *block_the_end(char *p)
{
	char *end = p + ((malloc_usable_size(p) + 65535) & ~(size_t)65535);
	void *want = (void *)((uintptr_t)end & ~(uintptr_t)65535);
	void *got = mmap(want, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			 -1, 0);

	return got == MAP_FAILED ? NULL : got;
}

static char *timed_realloc(char *p, size_t n, uint64_t limit_ns)
{
	long faults = minor_faults();
	uint64_t time = now_ns();

	p = realloc(p, n);
	time = now_ns() - time;
	faults = minor_faults() - faults;
	CHECK(p);
	printf("realloc to %zu MiB: %.3f ms, %ld faults\n", n / MIB, (double)time / 1e6, faults);
	CHECK_THAT(faults < 2000, "%ld page faults: the object was copied", faults);
	CHECK_THAT(time < limit_ns, "%.3f ms: the object was copied", (double)time / 1e6);
	return p;
}

int main(void)
{
	char *p = malloc(OLD);
	char *neighbour = malloc(MIB);
	void *block;
	uint64_t copy;

	CHECK(p && neighbour);
	memset(neighbour, 0x6e, MIB);
	stamp(p, 0, OLD);
	copy = copy_time(p);
	printf("a copy of %zu MiB: %.3f ms\n", OLD / MIB, (double)copy / 1e6);
	block = block_the_end(p);

	p = timed_realloc(p, NEW, copy / 3);
	check_stamps(p, OLD);
	stamp(p, OLD, OLD + MIB);
	CHECK(malloc_usable_size(p) >= NEW);
	p[NEW - 1] = 1;
	p = timed_realloc(p, OLD, copy / 3);
	check_stamps(p, OLD);
	/* Step by step, as a growing vector does it: quadratic if every step copies. */
	for (size_t n = OLD + 16 * MIB; n <= NEW; n += 16 * MIB)
		p = timed_realloc(p, n, copy / 3);
	check_stamps(p, OLD);
	CHECK(all_bytes(neighbour, 0x6e, MIB));

	p = realloc(p, 100);
	CHECK(p && *(size_t *)(void *)p == 0x5bd1e995);
	CHECK_THAT(rss_bytes() < OLD / 2, "%zu MiB stay resident", rss_bytes() / MIB);
	free(p);
	free(neighbour);
	if (block)
		munmap(block, 65536);
	puts("realloc_large: ok");
	return 0;
}
