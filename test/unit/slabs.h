/*
 * What the tests of slabs share.
 */
#ifndef USLUB_UNIT_SLABS_H
#define USLUB_UNIT_SLABS_H

#include "core/kmem_cache.h"

/* Objects of a slab, linked, for no sheaf in particular. */
static inline uint32_t slab_take(struct slab *slab, uint32_t want, struct free_object **list)
{
	return __slab_take(slab, want, &slab->cache->bottom[SHEAF_GRADES - 1], list);
}

/* A cache whose slabs have several frames, as none of kmalloc's have: eight objects in four. */
static inline struct kmem_cache *wide_cache(void)
{
	const struct cache_args args = {
		.name = "wide", .size = 32768, .align = 16, .flags = CACHE_NO_MERGE};
	static struct kmem_cache *s;

	if (!s)
		s = cache_create(&args);
	return s;
}

#endif
