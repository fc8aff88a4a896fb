/* malloc and its family behind the workload. NULL comes with ENOMEM, and success leaves errno alone. */
#include "malloc_heap.h"

#include <malloc.h>

#include "check.h"

static void *check_errno(void *p, const char *call)
{
	if (p)
		CHECK_THAT(errno == 0, "%s succeeded with errno %d", call, errno);
	else
		CHECK_THAT(errno == ENOMEM, "%s failed with errno %d", call, errno);
	return p;
}

static void *heap_alloc(size_t size)
{
	errno = 0;
	return check_errno(malloc(size), "malloc");
}

static void *heap_zalloc(size_t size)
{
	errno = 0;
	return check_errno(calloc(1, size), "calloc");
}

static void *heap_aligned(size_t size, size_t align)
{
	errno = 0;
	return check_errno(aligned_alloc(align, size), "aligned_alloc");
}

static void *heap_resize(void *p, size_t size)
{
	errno = 0;
	return check_errno(realloc(p, size), "realloc");
}

static void heap_free(void *p)
{
	errno = 0;
	free(p);
	CHECK_THAT(errno == 0, "free set errno to %d", errno);
}

static void heap_trim(void)
{
	malloc_trim(0);
}

/* The clock is the real one: what ages in a short test has a short delay, and is asked for. */
static void heap_age(void)
{
	usleep(2000);
	heap_trim();
}

const struct heap_ops malloc_heap = {
	.alloc = heap_alloc,
	.zalloc = heap_zalloc,
	.aligned = heap_aligned,
	.resize = heap_resize,
	.release = heap_free,
	.trim = heap_trim,
	.age = heap_age,
};
