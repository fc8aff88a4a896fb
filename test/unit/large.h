/*
 * What the tests of large objects share: their sizes, content that knows where it is, and figures.
 */
#ifndef USLUB_UNIT_LARGE_H
#define USLUB_UNIT_LARGE_H

#include "heap.h"

#include "core/frame.h"
#include "core/large.h"
#include "core/options.h"

#define KIB ((size_t)1024)
#define MIB ((size_t)1 << 20)
#define RUN_MAX ((size_t)FRAME_RUN_MAX * FRAME_SIZE)

static const size_t sizes[] = {
	KMALLOC_MAX_SIZE + 1, 36863,	36864,	       36865,	    64 * KIB - 1, 64 * KIB,
	64 * KIB + 1,	      MIB,	MIB + 1,       4 * MIB + 5, RUN_MAX - 1,  RUN_MAX,
	RUN_MAX + 1,	      33 * MIB, 40 * MIB + 77,
};
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static inline size_t page_up(size_t size)
{
	return (size + os_page_size() - 1) & ~(os_page_size() - 1);
}

/* Words that know where they are, close to each other at the start: what was copied wrongly is seen. */
static inline size_t next_word(size_t at)
{
	return at + (at < 256 * KIB ? 4096 : 64 * KIB);
}

static inline void fill(char *p, size_t size)
{
	for (size_t at = 0; at + 8 <= size; at = next_word(at))
		*(uint64_t *)(void *)(p + at) = at * 31 + 7;
	p[size - 1] = 'e';
}

static inline void check(const char *p, size_t size)
{
	for (size_t at = 0; at + 8 <= size; at = next_word(at)) {
		if (*(const uint64_t *)(const void *)(p + at) != at * 31 + 7)
			fail_msg("wrong content at %zu of %zu", at, size);
	}
}

static inline struct heap_stats figures(void)
{
	struct heap_stats heap;

	heap_stats(&heap, NULL);
	return heap;
}

static inline void assert_nothing_large(void)
{
	struct heap_stats heap = figures();

	assert_int_equal(heap.runs, 0);
	assert_int_equal(heap.run_bytes, 0);
	assert_int_equal(heap.mapped, 0);
	assert_int_equal(heap.mapped_bytes, 0);
}

static inline void free_twice(void *p)
{
	kfree(p);
	kfree(p);
}

static inline void free_inside(void *p)
{
	kfree((char *)p + 16);
	kfree((char *)p + FRAME_SIZE);
}

static inline void realloc_freed(void *p)
{
	size_t size = ksize(p);

	kfree(p);
	must(!krealloc(p, 2 * size));
}

/* Of a run of n frames that goes by the cache; it is freed, once. */
static inline void check_misuse(const struct kmem_cache *s, uint32_t n)
{
	static char text[4096];
	void *p = kmalloc(n * FRAME_SIZE);

	options.on_error = ON_ERROR_REPORT;
	capture_stderr(free_inside, p, text, sizeof(text));
	assert_non_null(strstr(text, "free of what is not the start of an object"));
	assert_non_null(strstr(strchr(text, '\n') + 1, "free of what is not the start"));
	capture_stderr(free_twice, p, text, sizeof(text));
	assert_non_null(strstr(text, "double free of"));
	assert_int_equal(sheaf_length(s), 1);
	p = kmalloc(n * FRAME_SIZE);
	capture_stderr(realloc_freed, p, text, sizeof(text));
	assert_non_null(strstr(text, "realloc of what is not an object"));
}

#endif
