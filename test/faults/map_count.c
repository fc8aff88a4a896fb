/*
 * The kernel gives no further mapping: vm.max_map_count is exhausted, so that nothing can be mapped, and
 * nothing unmapped or made accessible where that would split a mapping. The heap goes on with what it
 * has, gives pages back although it can't give back the addresses, and is whole when mappings are to be
 * had again.
 */
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>

#include "check.h"
#include "malloc_heap.h"
#include "proc.h"

#define SMALL 20000
#define HUGE_OBJECTS 5
#define HUGE_SIZE (40 * MIB)
#define MAX_MAPS 1000000

#define MAX_EXTRA 4096

static char *area;
static size_t area_pages;
static void *extra[MAX_EXTRA];
static size_t nr_extra;

static size_t max_map_count(void)
{
	unsigned long count = 0;
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");

	CHECK_THAT(file && fscanf(file, "%lu", &count) == 1, "no vm.max_map_count");
	fclose(file);
	if (count > MAX_MAPS)
		skip("vm.max_map_count is too high to be exhausted in a short time");
	return count;
}

/* Every second page of an area becomes a mapping of its own, until there are too many. */
static void exhaust(size_t count)
{
	size_t page = page_bytes();

	area_pages = count + 2;
	area = mmap(NULL, area_pages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	CHECK(area != MAP_FAILED);
	for (size_t i = 1; i < area_pages; i += 2) {
		if (mprotect(area + i * page, page, PROT_READ))
			break;
	}
}

/* Whatever can be mapped still, or again, is mapped. */
static void exhaust_rest(void)
{
	while (nr_extra < MAX_EXTRA) {
		void *p = mmap(NULL, page_bytes(), nr_extra % 2 ? PROT_READ : PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return;
		extra[nr_extra++] = p;
	}
	CHECK_THAT(false, "mappings do not run out");
}

static void recover(void)
{
	CHECK(!munmap(area, area_pages * page_bytes()));
	while (nr_extra)
		CHECK(!munmap(extra[--nr_extra], page_bytes()));
}

/* The heap as it is while others take each mapping that it gives up. */
static void *alloc_without_maps(size_t size)
{
	exhaust_rest();
	return malloc_heap.alloc(size);
}

static void *zalloc_without_maps(size_t size)
{
	exhaust_rest();
	return malloc_heap.zalloc(size);
}

static void *aligned_without_maps(size_t size, size_t align)
{
	exhaust_rest();
	return malloc_heap.aligned(size, align);
}

static void *resize_without_maps(void *p, size_t size)
{
	exhaust_rest();
	return malloc_heap.resize(p, size);
}

static struct object small[SMALL], huge[HUGE_OBJECTS];

static void fill_before(void)
{
	for (size_t i = 0; i < SMALL; i++)
		object_stamp(&small[i], malloc(100 + i % 300), 100 + i % 300);
	for (size_t i = 0; i < HUGE_OBJECTS; i++)
		object_stamp(&huge[i], malloc(HUGE_SIZE), HUGE_SIZE);
	for (size_t i = 0; i < HUGE_OBJECTS; i++)
		memset(huge[i].p + HUGE_SIZE / 2, 1, HUGE_SIZE / 4);
	for (size_t i = 0; i < HUGE_OBJECTS; i++)
		object_stamp(&huge[i], huge[i].p, HUGE_SIZE);
}

static void check_all(void)
{
	for (size_t i = 0; i < SMALL; i++)
		object_check(&small[i]);
	for (size_t i = 0; i < HUGE_OBJECTS; i++) {
		if (huge[i].p)
			object_check(&huge[i]);
	}
}

/* What the heap has is enough for what was freed before. */
static void small_again(void)
{
	for (size_t i = 0; i < SMALL; i += 2) {
		object_check(&small[i]);
		free(small[i].p);
	}
	for (size_t i = 0; i < SMALL; i += 2) {
		void *p = malloc(100 + i % 300);

		CHECK_THAT(p, "NULL, although memory was freed");
		object_stamp(&small[i], p, 100 + i % 300);
	}
}

/* Mappings side by side are one to the kernel: to take one out of the middle would split it. */
static void huge_without_maps(void)
{
	size_t before = rss_bytes();
	void *p;

	object_check(&huge[2]);
	free(huge[2].p);
	huge[2].p = NULL;
	CHECK_THAT(rss_bytes() + HUGE_SIZE / 5 < before, "freed pages stay: %zu of %zu MiB",
		   rss_bytes() / MIB, before / MIB);
	exhaust_rest();
	p = realloc(huge[0].p, HUGE_SIZE - 5 * MIB);
	CHECK_THAT(p, "an object could not be shrunk");
	object_check_moved(&huge[0], p, HUGE_SIZE - 5 * MIB);
	object_stamp(&huge[0], p, HUGE_SIZE - 5 * MIB);
	exhaust_rest();
	p = realloc(huge[4].p, 4 * HUGE_SIZE);
	if (p) {
		object_check_moved(&huge[4], p, HUGE_SIZE);
		object_stamp(&huge[4], p, 4 * HUGE_SIZE);
	}
}

int main(void)
{
	static struct workload w;
	struct heap_ops without_maps = malloc_heap;
	size_t count = max_map_count(), rss;

	malloc_trim(0);
	rss = rss_bytes();
	fill_before();
	exhaust(count);
	exhaust_rest();
	small_again();
	huge_without_maps();
	check_all();
	without_maps.alloc = alloc_without_maps;
	without_maps.zalloc = zalloc_without_maps;
	without_maps.aligned = aligned_without_maps;
	without_maps.resize = resize_without_maps;
	w.heap = &without_maps;
	workload_run(&w);
	printf("%u NULLs without mappings\n", w.failures);
	check_all();
	CHECK_THAT(w.failures, "mappings were not exhausted");
	recover();
	w.heap = &malloc_heap;
	w.no_failures = true;
	workload_run(&w);
	check_all();
	workload_free_all(&w);
	for (size_t i = 0; i < SMALL; i++)
		free(small[i].p);
	for (size_t i = 0; i < HUGE_OBJECTS; i++)
		free(huge[i].p);
	malloc_trim(0);
	CHECK_THAT(rss_bytes() < rss + 10 * MIB, "%zu KiB resident at the end, %zu at the start",
		   rss_bytes() / KIB, rss / KIB);
	return 0;
}
