/*
 * malloc's family over heap_take() and heap_give(), which each allocator of this directory defines.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"

void *malloc(size_t size)
{
	void *p = heap_take(size ? size : 1);

	if (!p)
		errno = ENOMEM;
	return p;
}

void free(void *p)
{
	if (p)
		heap_give(p);
}

void *calloc(size_t n, size_t size)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	p = malloc(total);
	return p ? memset(p, 0, total) : NULL;
}

void *realloc(void *old, size_t size)
{
	void *p = malloc(size);

	if (p && old) {
		size_t kept = bump_size(old) < size ? bump_size(old) : size;

		memcpy(p, old, kept);
		free(old);
	}
	return p;
}

/* Never taken again: free() would not know its alignment. */
void *memalign(size_t align, size_t size)
{
	return bump((size_t)16 << size_class(size), align < 16 ? 16 : align);
}

void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
	*p = memalign(align, size);
	return *p ? 0 : ENOMEM;
}

size_t malloc_usable_size(void *p)
{
	return p ? bump_size(p) : 0;
}
