/*
 * Allocation by size: the size class's cache, or pages. Layer: kmalloc, the top of the core. Called by
 * preload and by unit tests.
 *
 * kmalloc() and kfree() are the fast paths of malloc() and free(), whole: everything that is not "this
 * thread's slab, its lock free, an object at hand" leaves by one branch into the slow function. No call
 * sets errno or needs any lock; all of them may be called in any context. NULL: out of memory.
 */
#ifndef USLUB_KMALLOC_H
#define USLUB_KMALLOC_H

#include "kmem_cache.h"
#include "large.h"
#include "map.h"

void *kmalloc_slow(size_t size);
void kfree_slow(void *p);

/* What kfree() does with memory that isn't uslub's. The core's own reports it; preload has another. */
void kfree_foreign(void *p);

/* The fast path alone, up to KMALLOC_MAX_SIZE: NULL where it takes more. */
static inline void *kmalloc_fast(size_t size)
{
	struct thread *t = current_thread;
	struct kmem_cache_cpu *c;
	struct free_object *fo;

	if (unlikely(size > KMALLOC_MAX_SIZE))
		return NULL;
	c = thread_cpu(t, kmalloc_cpu_offset(size));
	if (unlikely(local_lock_is_locked(t, c)))
		return NULL;
	local_lock(c);
	fo = __sheaf_pop(c);
	local_unlock(t, c);
	return fo;
}

/* The same above it, up to RUN_CACHED_MAX. Now and then it leaves the call to the slow path. */
static inline void *kmalloc_fast_run(size_t size)
{
	struct thread *t = current_thread;
	struct kmem_cache_cpu *c;
	struct free_object *fo;

	if (size > RUN_CACHED_MAX)
		return NULL;
	c = &t->run_cpu[(size - 1) >> FRAME_SHIFT];
	if (unlikely(local_lock_is_locked(t, c)) || unlikely(large_poll_is_due(t)))
		return NULL;
	local_lock(c);
	fo = __sheaf_pop(c);
	local_unlock(t, c);
	if (likely(fo))
		large_set_cached_size(virt_to_slab(fo), size);
	return fo;
}

/* At least `size` bytes, aligned to 16. */
static inline void *kmalloc(size_t size)
{
	void *p = size <= KMALLOC_MAX_SIZE ? kmalloc_fast(size) : kmalloc_fast_run(size);

	return likely(p) ? p : kmalloc_slow(size);
}

/*
 * The fast path of a multiple of the alignment, whose class is aligned by that, or which is a run. NULL where it takes
 * more, and where `align` is no power of two.
 */
static inline void *kmalloc_fast_aligned(size_t size, size_t align)
{
	if (unlikely((size | align) & (align - 1)))
		return NULL;
	if (likely(size - 1 < KMALLOC_MAX_SIZE))
		return kmalloc_fast(size);
	return size && align <= FRAME_SIZE ? kmalloc_fast_run(size) : NULL;
}

/* Frees an object of any cache without a constructor, or a large one. Whose slab it is doesn't matter. */
static inline void kfree(void *p)
{
	struct slab *slab = virt_to_slab(p);
	struct free_object *fo = p;
	struct thread *t = current_thread;
	struct kmem_cache_cpu *c = thread_cpu(t, slab->cpu_offset ^ t->colour);

	if (unlikely(local_lock_is_locked(t, c)) ||
	    unlikely(!slab_object_ok(slab, (uint16_t)(uintptr_t)p)) ||
	    unlikely(fo->state.mark == FREE_MARK)) {
		kfree_slow(p);
		return;
	}
	local_lock(c);
	if (unlikely(!__sheaf_push(c, fo))) {
		slab_free_full(t, slab, fo);
		return;
	}
	local_unlock(t, c);
}

/* Zeroed. */
void *kzalloc(size_t size);
/* The node of that number, if slabs may be made of it; NULL: any will do. */
struct node *kmalloc_find_node(int id);
/* Of that node, where it has room; zeroed if `zero`. */
void *kmalloc_node(size_t size, bool zero, struct node *node);
/* Aligned to `align`, a power of two. */
void *kmalloc_aligned(size_t size, size_t align);
/* Resizes; the content stays. NULL: out of memory, or p is no object: nothing has changed. */
void *krealloc(void *p, size_t size);
/* The bytes that may be used at p; 0 where p is no object of ours. */
size_t ksize(const void *p);
/* The cache of the slab that p points into; NULL: none. */
struct kmem_cache *kmalloc_cache_of(const void *p);
/* The number of the node that an address of ours was allocated on; below 0: it isn't ours. */
int kmalloc_node_of(const void *p);
/* Is the address in memory of uslub's heap, an object or not? */
bool kmalloc_owns(const void *p);
/* Gives back to the kernel all that nobody uses. Returns bytes. */
size_t kmalloc_trim(void);

#endif
