/*
 * Caches of the program's own: create, merge, destroy. Layer: kmem_cache; see kmem_cache.h.
 *
 * The control plane: slab_mutex serialises it, and no allocation or free ever takes it. Caches live in a
 * table of which a prefix is in use; what is in use is never moved. A destroyed cache's slot is taken
 * again when its last slab is gone. Threads that still hold slabs of it flush them at their next refill
 * of any cache, or at their end.
 */
#include "kmem_cache.h"
#include "node.h"
#include "report.h"
#include "stats.h"

#include <pthread.h>

static pthread_mutex_t slab_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct kmem_cache_node user_nodes[NR_USER_CACHES];

/* Like caches, whose objects may lie among each other: SLUB's find_mergeable(). */
static bool is_mergeable(const struct kmem_cache *s, const struct cache_args *args, size_t size)
{
	if (!s->refcount || s->ctor || s->flags & CACHE_NO_MERGE)
		return false;
	return s->size == size && s->size % args->align == 0;
}

static struct kmem_cache *find_mergeable(const struct cache_args *args, size_t size)
{
	struct kmem_cache *s;

	if (args->ctor || args->flags & CACHE_NO_MERGE)
		return NULL;
	for_each_cache(s, i)
	{
		if (is_mergeable(s, args, size))
			return s;
	}
	return NULL;
}

static uint32_t cache_slot(void)
{
	uint32_t n = atomic_load_explicit(&nr_user_caches, memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++) {
		/* Acquire pairs with the release in discard_slab(). */
		if (!user_caches[i].refcount &&
		    atomic_load_explicit(&user_caches[i].nr_slabs, memory_order_acquire) == 0)
			return i;
	}
	return n;
}

/* As few frames as hold eight objects, or waste an eighth at most. */
static uint16_t slab_frames(size_t size)
{
	uint16_t frames = 1;

	while (frames < 32 && (frames * FRAME_SIZE / size < 8 ||
			       frames * FRAME_SIZE % size > frames * FRAME_SIZE / 8))
		frames *= 2;
	return frames;
}

static size_t round_up(size_t size, size_t to)
{
	return (size + to - 1) & ~(to - 1);
}

static void cache_init(struct kmem_cache *s, uint32_t slot, const struct cache_args *args,
		       size_t size)
{
	size_t n = 0;

	s->size = (uint32_t)size;
	s->object_size = (uint32_t)args->size;
	s->offset = args->ctor ? (uint32_t)round_up(args->size, sizeof(void *)) : 0U;
	s->nr_frames = slab_frames(size);
	s->objects = (uint32_t)(s->nr_frames * FRAME_SIZE / size);
	s->inverse = SLAB_INVERSE(size);
	s->residue = SLAB_RESIDUE(size);
	s->cpu_offset = (uint16_t)(offsetof(struct thread, user_cpu) +
				   slot * sizeof(struct kmem_cache_cpu));
	s->lists_offset = (uint16_t)(offsetof(struct thread, user_lists) +
				     slot * sizeof(struct kmem_cache_lists));
	s->max_owned = s->nr_frames < 32 ? (uint16_t)(64 / s->nr_frames) : 2;
	s->align = (uint32_t)args->align;
	s->sheaf = SHEAF_SIZE(size);
	s->min_partial = 0;
	s->node = &user_nodes[slot];
	s->ctor = args->ctor;
	s->flags = args->flags;
	for (; n < sizeof(s->name) - 1 && args->name[n]; n++)
		s->name[n] = args->name[n];
	s->name[n] = '\0';
	s->refcount = 1;
}

/* What an object takes: with a constructor, the freelist's words stand behind it. */
static size_t slot_size(const struct cache_args *args)
{
	size_t size = args->size;

	if (args->ctor)
		size = round_up(size, sizeof(void *)) + sizeof(struct free_object);
	return round_up(size, args->align);
}

struct kmem_cache *cache_create(const struct cache_args *args)
{
	size_t size = slot_size(args);
	struct kmem_cache *s;
	uint32_t slot;

	pthread_mutex_lock(&slab_mutex);
	s = find_mergeable(args, size);
	if (s) {
		s->refcount++;
	} else {
		slot = cache_slot();
		if (slot < NR_USER_CACHES) {
			s = &user_caches[slot];
			cache_init(s, slot, args, size);
			if (slot == atomic_load_explicit(&nr_user_caches, memory_order_relaxed))
				/* Pairs with the acquire in cache_by_index(). */
				atomic_store_explicit(&nr_user_caches, slot + 1,
						      memory_order_release);
		}
	}
	pthread_mutex_unlock(&slab_mutex);
	return s;
}

void cache_destroy(struct kmem_cache *s)
{
	bool last;

	pthread_mutex_lock(&slab_mutex);
	last = --s->refcount == 0;
	if (last) {
		atomic_fetch_add_explicit(&nr_destroyed, 1, memory_order_release);
		cache_shrink(s);
	}
	pthread_mutex_unlock(&slab_mutex);
	if (last && cache_has_objects(s))
		report_object(s, "kmem_cache_destroy with objects in use, cache at", s);
}
