/*
 * Caches of the program's own: create, merge, destroy. Layer: kmem_cache; see kmem_cache.h.
 *
 * The control plane: slab_mutex serialises it, and no allocation or free ever takes it. Caches live in a
 * table of which a prefix is in use; what is in use is never moved. A destroyed cache's slot is taken
 * again when its last slab is gone. Threads that still hold slabs of it flush them at their next refill
 * of any cache, or at their end.
 */
#include "kmem_cache.h"
#include "aliases.h"
#include "control_lock.h"
#include "counters.h"
#include "node.h"
#include "report.h"
#include "stats.h"

_Atomic int slab_mutex;

static bool orphaned; /* slab_mutex */

void slab_lock(void)
{
	if (control_lock(&slab_mutex))
		orphaned = true;
}

void slab_unlock(void)
{
	control_unlock(&slab_mutex);
}

bool slab_was_orphaned(void)
{
	bool was = orphaned;

	orphaned = false;
	return was;
}

/* The same for all: threads keep their empty sheaves when a slot gets another cache. */
#define USER_SHEAF 16

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
		if (user_caches[i].refcount)
			continue;
		/* What was freed since it was destroyed. */
		cache_shrink(&user_caches[i]);
		/* Acquire pairs with the release in discard_slab(). */
		if (atomic_load_explicit(&user_caches[i].nr_slabs, memory_order_acquire) == 0)
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

static void cache_init(struct kmem_cache *s, const struct cache_args *args, size_t size)
{
	size_t n = 0;

	s->size = (uint32_t)size;
	/* Whoever is merged with it later may ask for all of the slot. */
	s->object_size = (uint32_t)(args->ctor || args->flags & CACHE_NO_MERGE ? args->size : size);
	s->offset = args->ctor ? (uint32_t)round_up(args->size, sizeof(void *)) : 0U;
	s->nr_frames = args->flags & CACHE_SHARED ? 1 : slab_frames(size);
	s->max_grade = SHEAF_MAX_GRADE(size);
	s->objects = (uint32_t)(s->nr_frames * FRAME_SIZE / size);
	s->inverse = SLAB_INVERSE(size);
	s->residue = SLAB_RESIDUE(size);
	s->ctor = args->ctor;
	s->flags = args->flags;
	for (; n < sizeof(s->name) - 1 && args->name[n]; n++)
		s->name[n] = args->name[n];
	s->name[n] = '\0';
	s->refcount = 1;
}

/* What stays as it is with whatever cache takes the slot: threads read it of destroyed ones too. */
static void slot_init(struct kmem_cache *s, uint32_t slot)
{
	static const struct free_object bottoms[] = SHEAF_BOTTOMS(USER_SHEAF);

	s->cpu_offset = (uint16_t)(offsetof(struct thread, user_cpu) +
				   slot * sizeof(struct kmem_cache_cpu));
	s->lists_offset = (uint16_t)(offsetof(struct thread, user_lists) +
				     slot * sizeof(struct kmem_cache_lists));
	__builtin_memcpy(s->bottom, bottoms, sizeof(bottoms));
	s->sheaf = USER_SHEAF;
	s->index = (uint16_t)(NR_KMALLOC_CACHES + slot);
}

/* What an object takes: with a constructor, the freelist's words stand behind it. */
static size_t slot_size(const struct cache_args *args)
{
	size_t size = args->size;

	if (args->ctor)
		size = round_up(size, sizeof(void *)) + sizeof(struct free_object);
	return round_up(size, args->align);
}

static struct kmem_cache *cache_new(const struct cache_args *args, size_t size)
{
	uint32_t slot = cache_slot();
	bool fresh = slot == atomic_load_explicit(&nr_user_caches, memory_order_relaxed);
	struct kmem_cache *s = &user_caches[slot];

	if (slot == NR_USER_CACHES)
		return NULL;
	if (fresh)
		slot_init(s, slot);
	cache_init(s, args, size);
	/* Release pairs with the acquire in cache_by_index(): publishes *s. */
	if (fresh)
		atomic_store_explicit(&nr_user_caches, slot + 1, memory_order_release);
	return s;
}

struct kmem_cache *cache_create(const struct cache_args *args)
{
	size_t size = slot_size(args);
	struct kmem_cache *s;

	slab_lock();
	s = find_mergeable(args, size);
	if (s) {
		s->refcount++;
		alias_add(s, args->name);
	} else {
		s = cache_new(args, size);
	}
	slab_unlock();
	return s;
}

/* The kmalloc caches have a reference of their own, which no program can end. */
static bool drop_reference(struct kmem_cache *s)
{
	bool is_kmalloc = s >= kmalloc_caches && s < kmalloc_caches + NR_KMALLOC_CACHES;

	if (s->refcount <= is_kmalloc)
		return false;
	s->refcount--;
	return true;
}

void cache_destroy(struct kmem_cache *s)
{
	bool dropped, left = false;

	slab_lock();
	dropped = drop_reference(s);
	if (dropped && !s->refcount) {
		alias_remove_all(s);
		cache_forget(s);
		atomic_fetch_add_explicit(&nr_destroyed, 1, memory_order_release);
		cache_shrink(s);
		left = cache_has_objects(s);
	}
	slab_unlock();
	if (!dropped)
		report_misuse(s, "kmem_cache_destroy once too often, cache at", s);
	if (left)
		report_misuse(s, "kmem_cache_destroy with objects in use, cache at", s);
}
