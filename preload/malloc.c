/*
 * malloc, free and their family. Layer: preload. Called by programs.
 */
#include "preload.h"

#include "core/kmalloc.h"

static noinline void *malloc_slow(size_t size)
{
	return or_enomem(kmalloc_slow(size));
}

static noinline void *malloc_large(size_t size)
{
	void *p = kmalloc_fast_run(size);

	return likely(p) ? p : malloc_slow(size);
}

EXPORT void *malloc(size_t size)
{
	void *p;

	if (unlikely(size > KMALLOC_MAX_SIZE))
		return malloc_large(size);
	p = kmalloc_fast(size);
	return likely(p) ? p : malloc_slow(size);
}

EXPORT void free(void *p)
{
	kfree(p);
}

EXPORT void *calloc(size_t n, size_t size)
{
	size_t total;

	if (unlikely(__builtin_mul_overflow(n, size, &total)))
		return or_enomem(NULL);
	return or_enomem(kzalloc(total));
}

EXPORT void *realloc(void *p, size_t size)
{
	if (!p)
		return malloc(size);
	if (unlikely(!kmalloc_owns(p)))
		return foreign_realloc(p, size);
	if (unlikely(!size)) {
		kfree(p);
		return NULL;
	}
	return or_enomem(krealloc(p, size));
}

EXPORT size_t malloc_usable_size(void *p)
{
	size_t size = ksize(p);

	return likely(size) || !p || kmalloc_owns(p) ? size : foreign_usable_size(p);
}

/* The size is the caller's word, and not needed. */
EXPORT void free_sized(void *p, size_t size)
{
	(void)size;
	kfree(p);
}

EXPORT void free_aligned_sized(void *p, size_t align, size_t size)
{
	(void)align;
	(void)size;
	kfree(p);
}

/* Gone from the headers, still called by old programs. */
EXPORT void cfree(void *p)
{
	kfree(p);
}
