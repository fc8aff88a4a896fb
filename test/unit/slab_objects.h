/*
 * What the tests of a single slab share: its objects taken and freed, however many calls that needs.
 */
#ifndef USLUB_UNIT_SLAB_OBJECTS_H
#define USLUB_UNIT_SLAB_OBJECTS_H

#include "slabs.h"
#include "unit.h"

#include "core/caches.h"
#include "core/frame.h"

static inline struct kmem_cache *cache(size_t size)
{
	return &kmalloc_caches[size_class(size)];
}

static inline union slab_shared shared(struct slab *slab)
{
	return slab_shared(slab, memory_order_relaxed);
}

static inline bool is_end(const struct slab *slab, const struct free_object *fo)
{
	return freelist_is_end(slab->cache, fo);
}

static inline struct slab *make_slab(size_t size)
{
	struct slab *slab = new_slab(cache(size), NO_OWNER, &first_node);

	assert_non_null(slab);
	return slab;
}

/* Takes `n` objects, however many calls it needs; they come linked. */
static inline struct free_object *take(struct slab *slab, uint32_t n)
{
	struct free_object *all = NULL, *list, *next;

	while (n) {
		uint32_t most = slab->cache->sheaf;
		uint32_t got = slab_take(slab, n < most ? n : most, &list);

		assert_true(got >= 1 && got <= n);
		n -= got;
		for (; !is_end(slab, list); list = next, got--) {
			next = list->next;
			list->next = all;
			all = list;
		}
		assert_int_equal(got, 0);
	}
	return all;
}

static inline void put_all(struct slab *slab, struct free_object *list)
{
	for (struct free_object *next; list; list = next) {
		next = list->next;
		__slab_put(slab, list);
	}
}

#define ADOPTER ((struct thread *)(uintptr_t)0x30000)

/* The whole list by one call where the bits are of one word, as flushes of a sheaf do; else word by word. */
static inline enum free_result free_remote(struct slab *slab, struct free_object *list,
					   bool may_adopt)
{
	struct thread *adopter = may_adopt ? ADOPTER : NO_OWNER;
	struct free_group group = free_group_of(slab, list);

	while ((list = list->next)) {
		struct free_group one = free_group_of(slab, list);

		if (one.word != group.word) {
			slab_free_remote(slab, &group, adopter);
			group = one;
		}
		group.mask |= one.mask;
	}
	return slab_free_remote(slab, &group, adopter);
}

#endif
