/*
 * The calls of uslub.h: arguments checked, errno set. Layer: preload. Called by programs that link the
 * library.
 */
#include "preload.h"

#include "core/kmalloc.h"
#include "core/kmem_cache.h"
#include "core/report.h"
#include "include/uslub/uslub.h"

static_assert(CACHE_NO_MERGE == USLUB_NO_MERGE, "one bit, two names");

EXPORT struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
					    unsigned int flags, void (*ctor)(void *object))
{
	struct cache_args args = {name, size, align, flags, ctor};

	if (args.align < MIN_ALIGN && (!align || is_power_of_two(align)))
		args.align = MIN_ALIGN;
	if (!name || !*name || !size || size > CACHE_MAX_SIZE || !is_power_of_two(args.align) ||
	    args.align > CACHE_MAX_ALIGN || flags & ~USLUB_NO_MERGE) {
		errno = EINVAL;
		return NULL;
	}
	return or_enomem(cache_create(&args));
}

EXPORT void kmem_cache_destroy(struct kmem_cache *s)
{
	if (s)
		cache_destroy(s);
}

static void *alloc(struct kmem_cache *s, unsigned int flags, int node)
{
	struct node *wanted = kmalloc_find_node(node);
	void *object = wanted ? cache_alloc_node(s, wanted) : cache_alloc(s);

	if (object && flags & USLUB_ZERO && !s->ctor)
		__builtin_memset(object, 0, s->object_size);
	return object;
}

EXPORT void *kmem_cache_alloc(struct kmem_cache *s, unsigned int flags)
{
	return or_enomem(alloc(s, flags, USLUB_NO_NODE));
}

EXPORT void *kmem_cache_alloc_node(struct kmem_cache *s, unsigned int flags, int node)
{
	return or_enomem(alloc(s, flags, node));
}

EXPORT void *uslub_malloc_node(size_t size, int node)
{
	struct node *wanted = kmalloc_find_node(node);

	return or_enomem(wanted ? kmalloc_node(size, false, wanted) : kmalloc(size));
}

EXPORT int uslub_node_of(const void *p)
{
	return kmalloc_node_of(p);
}

EXPORT void kmem_cache_free(struct kmem_cache *s, void *object)
{
	const struct kmem_cache *is;

	if (!object)
		return;
	is = kmalloc_cache_of(object);
	if (is != s) {
		report_object(s, "kmem_cache_free of what is not this cache's:", object);
		return;
	}
	kfree(object);
}

EXPORT void kmem_cache_free_bulk(struct kmem_cache *s, size_t n, void **objects)
{
	for (size_t i = 0; i < n; i++)
		kmem_cache_free(s, objects[i]);
}

EXPORT size_t kmem_cache_alloc_bulk(struct kmem_cache *s, unsigned int flags, size_t n,
				    void **objects)
{
	for (size_t i = 0; i < n; i++) {
		objects[i] = alloc(s, flags, USLUB_NO_NODE);
		if (!objects[i]) {
			kmem_cache_free_bulk(s, i, objects);
			or_enomem(NULL);
			return 0;
		}
	}
	return n;
}

EXPORT int kmem_cache_shrink(struct kmem_cache *s)
{
	return cache_shrink(s) != 0;
}
