/*
 * What the tests of threads and caches share: figures about one cache, and a thread's own part of it.
 */
#ifndef USLUB_UNIT_HEAP_H
#define USLUB_UNIT_HEAP_H

#include "unit.h"

#include "core/kmalloc.h"
#include "core/node.h"
#include "core/stats.h"

static inline struct kmem_cache *kmalloc_cache(size_t size)
{
	return &kmalloc_caches[size_class(size)];
}

static inline struct kmem_cache_cpu *own_cpu(const struct kmem_cache *s)
{
	return thread_cpu(current_thread, s->cpu_offset);
}

static inline struct kmem_cache_lists *own_lists(const struct kmem_cache *s)
{
	return (struct kmem_cache_lists *)((char *)current_thread + s->lists_offset);
}

static inline uint32_t cache_index_of(const struct kmem_cache *s)
{
	struct kmem_cache *at;

	for_each_cache(at, i)
	{
		if (at == s)
			return i;
	}
	must(false);
	return 0;
}

static inline struct cache_stats stats_of(const struct kmem_cache *s)
{
	static struct cache_stats caches[NR_KMALLOC_CACHES + NR_USER_CACHES];
	struct heap_stats heap;

	memset(caches, 0, sizeof(caches));
	heap_stats(&heap, caches);
	return caches[cache_index_of(s)];
}

/* Objects of the cache that the program holds. */
static inline uint64_t objects_in_use(const struct kmem_cache *s)
{
	return stats_of(s).active_objs;
}

static inline uint64_t slabs_of(const struct kmem_cache *s)
{
	return stats_of(s).num_slabs;
}

static inline uint64_t nr_records(void)
{
	struct heap_stats heap;

	heap_stats(&heap, NULL);
	return heap.threads;
}

static inline uint32_t list_length(const struct free_object *list)
{
	uint32_t n = 0;

	for (; list; list = list->next)
		n++;
	return n;
}

/* What the thread's sheaf can still take. */
static inline uint32_t sheaf_room(const struct kmem_cache *s)
{
	return own_cpu(s)->freelist->state.room;
}

/* Objects that the thread's sheaf holds when it is full. */
static inline uint32_t sheaf_size(const struct kmem_cache *s)
{
	return (uint32_t)s->sheaf << own_cpu(s)->grade;
}

/* The next free that finds the sheaf full turns it: half of it is flushed. */
static inline void make_stale(const struct kmem_cache *s)
{
	own_cpu(s)->swings &= (uint8_t)~SWING_BEGUN;
	own_cpu(s)->idle = 0;
}

/* Objects in the thread's sheaf, each of which says how much room is left on it. */
static inline uint32_t sheaf_length(const struct kmem_cache *s)
{
	const struct free_object *fo = own_cpu(s)->freelist;
	uint32_t n = 0;

	for (; !freelist_is_end(s, fo); fo = fo->next, n++) {
		must(fo->state.mark == FREE_MARK);
		must(fo->next->state.room == fo->state.room + 1);
	}
	must(fo == &s->bottom[own_cpu(s)->grade]);
	return n;
}

/* As a frame would that is interrupted, until drop_lock(); it stands on another stack than the test. */
static inline void hold_lock(struct kmem_cache *s)
{
	static _Thread_local struct local_hold
		holds[sizeof(struct thread) / sizeof(struct kmem_cache_cpu)];
	struct local_hold *hold = &holds[s->cpu_offset / sizeof(struct kmem_cache_cpu)];

	must(thread_current() && local_trylock(current_thread, s, hold));
}

static inline void drop_lock(struct kmem_cache *s)
{
	local_unlock(current_thread, own_cpu(s));
}

#endif
