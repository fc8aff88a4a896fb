/*
 * Aligned allocation. Layer: preload. Called by programs.
 */
#include "preload.h"

#include "core/kmalloc.h"

static noinline void *memalign_slow(size_t align, size_t size)
{
	if (!is_power_of_two(align)) {
		errno = EINVAL;
		return NULL;
	}
	return or_enomem(kmalloc_aligned(size, align));
}

EXPORT void *memalign(size_t align, size_t size)
{
	void *p = kmalloc_fast_aligned(size, align);

	return likely(p) ? p : memalign_slow(align, size);
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
	void *p = kmalloc_fast_aligned(size, align);

	return likely(p) ? p : memalign_slow(align, size);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
	void *p;

	if (!is_power_of_two(align) || align % sizeof(void *))
		return EINVAL;
	p = kmalloc_fast_aligned(size, align);
	if (unlikely(!p))
		p = kmalloc_aligned(size, align);
	if (unlikely(!p))
		return ENOMEM;
	*out = p;
	return 0;
}

EXPORT void *valloc(size_t size)
{
	return or_enomem(kmalloc_aligned(size, os_page_size()));
}

EXPORT void *pvalloc(size_t size)
{
	size_t page = os_page_size();

	if (size > SIZE_MAX - page)
		return or_enomem(NULL);
	size = (size + page - 1) & ~(page - 1);
	return or_enomem(kmalloc_aligned(size ? size : page, page));
}
