/*
 * The slow paths of allocation by size, and the calls that have no fast path. Layer: kmalloc.
 */
#include "kmalloc.h"
#include "counters.h"
#include "frame.h"
#include "large.h"
#include "report.h"

__attribute__((weak)) void kfree_foreign(void *p)
{
	report_bug("foreign", "free of memory that is not uslub's:", p);
}

static unsigned int next_aligned(unsigned int i, size_t align)
{
	while (i < NR_KMALLOC_CACHES && kmalloc_caches[i].size & (align - 1))
		i++;
	return i;
}

/*
 * In the smallest class from `i` up whose lock is free and whose objects have the alignment: nested
 * calls so go to the next bucket. Deeper nesting than there are buckets is served without the thread, as
 * is a thread past its end.
 */
static void *class_alloc(unsigned int i, size_t align)
{
	struct thread *t = thread_current();
	unsigned int first = next_aligned(i, align);
	struct local_hold hold;
	void *object;

	for (i = first; t && i < NR_KMALLOC_CACHES; i = next_aligned(i + 1, align)) {
		if (cache_try_alloc(t, &kmalloc_caches[i], &hold, &object)) {
			if (i != first)
				cache_count(&kmalloc_caches[first], ALLOC_FALLBACK_BUCKET, 1);
			return object;
		}
		cache_count(&kmalloc_caches[i], ALLOC_NESTED, 1);
	}
	return cache_alloc_shared(&kmalloc_caches[first], numa_home());
}

/* With what empty slabs hold, if nothing else. */
static noinline void *pages_alloc(size_t size, size_t align, bool *zeroed)
{
	void *p = large_alloc(size, align, zeroed);

	if (unlikely(!p) && size <= frame_reserved()) {
		cache_shrink_all();
		p = large_alloc(size, align, zeroed);
	}
	return p;
}

/* Between a frame that a signal interrupted and any that its handler calls lie more bytes than that. */
#define SIGNAL_FRAME 1024

/*
 * The commonest slow path of a handler: the bucket is held by the frame it interrupted, the next one has
 * an object. Where the holder may be gone, and else now and then, the long way looks at it.
 */
static inline void *nested_alloc(unsigned int i)
{
	struct thread *t = current_thread;
	struct kmem_cache_cpu *c = &t->cpu[i];
	uintptr_t word = c->local_lock, here = (uintptr_t)__builtin_frame_address(0);
	struct free_object *fo;

	if (!word || word == (uintptr_t)t || local_lock_is_locked(t, c + 1) ||
	    local_lock_holder(word) - here < SIGNAL_FRAME || local_lock_is_due(t, word, here))
		return NULL;
	t->sightings++;
	local_lock(++c);
	fo = __sheaf_pop(c);
	local_unlock(t, c);
	cache_count(&kmalloc_caches[i], ALLOC_NESTED, 1);
	if (fo)
		cache_count(&kmalloc_caches[i], ALLOC_FALLBACK_BUCKET, 1);
	return fo;
}

/* What the fast path has no time for: the lock is held, the sheaf empty, or a look at the clock is due. */
static noinline void *run_alloc(size_t size)
{
	struct kmem_cache *s = run_cache(size);
	struct thread *t = current_thread;
	const struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	bool zeroed;
	void *p = NULL;

	if (t->large_left == 0) {
		large_poll_now();
		p = kmalloc_fast_run(size);
		if (p)
			return p;
	}
	/* Of an empty sheaf there is nothing to be known that the fast path hasn't seen. */
	if (local_lock_is_locked(t, c) || c->swings & SWING_BEGUN || numa_is_on() ||
	    !freelist_is_end(s, c->freelist))
		p = thread_take_run(s);
	if (!p)
		return pages_alloc(size, 1, &zeroed);
	large_set_cached_size(virt_to_slab(p), size);
	return p;
}

/* Above RUN_CACHED_MAX, up to RUN_MIXED_MAX. NULL where the sheaf's uppermost run isn't of the length, or a poll is due. */
static inline void *mixed_fast(struct thread *t, size_t size)
{
	struct kmem_cache_cpu *c = &t->run_cpu[RUNS_MIXED];
	struct free_object *fo;
	struct slab *slab;

	if (unlikely(local_lock_is_locked(t, c)) || unlikely(large_poll_is_due(t)))
		return NULL;
	local_lock(c);
	/* Of no length where it is the sheaf's bottom. */
	slab = virt_to_slab(c->freelist);
	fo = likely(slab->nr_frames == run_frames(size)) ? __sheaf_pop(c) : NULL;
	local_unlock(t, c);
	if (likely(fo))
		large_set_cached_size(slab, size);
	return fo;
}

/* NULL: the sheaf has none of the length, and keeps none of another. It is open, or is to be. */
static noinline void *mixed_take(size_t size)
{
	bool was_open = mixed_is_open(current_thread);
	void *p;

	if (current_thread->large_left == 0)
		large_poll_now();
	/* It had been left alone, and the poll has closed it: one call is no reason to open it again. */
	if (was_open && !mixed_is_open(current_thread))
		return NULL;
	p = thread_take_mixed(run_frames(size));
	if (p)
		large_set_cached_size(virt_to_slab(p), size);
	return p;
}

/* The same, by the shortest way. */
static inline void *mixed_run(size_t size)
{
	struct thread *t = current_thread;
	void *p;

	if (!mixed_is_open(t))
		return unlikely(mixed_is_missed(t, run_frames(size))) ? mixed_take(size) : NULL;
	p = mixed_fast(t, size);
	return likely(p) ? p : mixed_take(size);
}

static noinline void *mixed_alloc(size_t size)
{
	bool zeroed;
	void *p = mixed_run(size);

	return likely(p) ? p : pages_alloc(size, 1, &zeroed);
}

void *kmalloc_slow(size_t size)
{
	unsigned int i;
	bool zeroed;
	void *p;

	if (likely(size <= KMALLOC_MAX_SIZE)) {
		i = size_class(size);
		p = nested_alloc(i);
		return p ? p : class_alloc(i, 1);
	}
	if (size <= RUN_CACHED_MAX)
		return run_alloc(size);
	return size <= RUN_MIXED_MAX ? mixed_alloc(size) : pages_alloc(size, 1, &zeroed);
}

/*
 * The class of a multiple of `align` is aligned: either its distance to its neighbours is a multiple too, or it
 * is of exactly that size.
 */
void *kmalloc_aligned(size_t size, size_t align)
{
	bool zeroed;
	void *p;

	if (unlikely(size > KMALLOC_MAX_SIZE || align > KMALLOC_MAX_SIZE)) {
		if (size > RUN_MIXED_MAX || align > FRAME_SIZE)
			return pages_alloc(size, align, &zeroed);
		return kmalloc(size > KMALLOC_MAX_SIZE ? size : KMALLOC_MAX_SIZE + 1);
	}
	size = round_up(size ? size : 1, align);
	p = kmalloc_fast(size);
	return p ? p : class_alloc(size_class(size), align);
}

/* Longer ones are worth a call of memset(). */
#define CLEAR_INLINE 256

/* Objects are a multiple of 16 bytes, and aligned to it. */
static inline void clear_small(void *object, size_t size)
{
	__typeof__(long __attribute__((vector_size(16), may_alias))) *at = object;

	for (const char *end = (char *)object + size; (char *)at < end; at++) {
		*at = (__typeof__(*at)){0};
		/* Or the compiler makes a memset() of it. */
		__asm__ volatile("" : : : "memory");
	}
}

static noinline void *pages_zalloc(size_t size)
{
	bool zeroed = false, mixed = size > RUN_CACHED_MAX && size <= RUN_MIXED_MAX;
	void *p = mixed ? mixed_run(size) : kmalloc_fast_run(size);

	if (!p)
		p = pages_alloc(size, 1, &zeroed);
	if (p && !zeroed)
		large_clear(p, size);
	return p;
}

void *kzalloc(size_t size)
{
	void *p;

	if (unlikely(size > KMALLOC_MAX_SIZE))
		return pages_zalloc(size);
	p = kmalloc(size);
	if (unlikely(!p))
		return NULL;
	if (size > CLEAR_INLINE)
		return __builtin_memset(p, 0, size);
	clear_small(p, size);
	return p;
}

struct node *kmalloc_find_node(int id)
{
	struct node *node = id >= 0 && numa_is_on() ? numa_node((uint32_t)id) : NULL;

	return node && numa_is_slab_node(node) ? node : NULL;
}

void *kmalloc_node(size_t size, bool zero, struct node *node)
{
	bool zeroed = false;
	void *p = size > KMALLOC_MAX_SIZE
			  ? large_alloc_node(size, node, &zeroed)
			  : cache_alloc_node(&kmalloc_caches[size_class(size)], node);

	if (!p)
		p = kmalloc(size);
	if (p && zero && !zeroed)
		__builtin_memset(p, 0, size);
	return p;
}

/* The first frame's struct slab, for any address in an object; one of no kind where there is none. */
static struct slab *object_slab(const void *p)
{
	struct slab *slab = virt_to_slab(p);

	if ((uintptr_t)p >> OS_ADDRESS_BITS)
		return &slab_none;
	return slab->kind == FRAME_TAIL ? slab - slab->nr_frames : slab;
}

/* No object of ours starts in p's frame: an address inside a large object, one freed, or anything. */
static void free_unknown(struct slab *slab, void *p)
{
	if (large_find(p))
		report_bug("large", "free of what is not the start of an object:", p);
	else if (slab->kind != FRAME_NONE || frame_is_ours(p))
		report_bug("large", "free of what is not allocated:", p);
	else
		kfree_foreign(p);
}

/* Of another node than what the thread allocates; see types.h, "Colours". */
static bool run_is_far(const struct slab *slab)
{
	return (slab->cpu_offset ^ current_thread->colour) != slab->cache->cpu_offset;
}

static void free_large(struct slab *slab, void *p)
{
	if (unlikely(large_is_free(slab))) {
		report_object(NULL, "double free of", p);
		return;
	}
	if (slab->limit && !run_is_far(slab) && thread_put_run(slab->cache, p))
		return;
	large_free(slab);
	large_poll();
}

void kfree_slow(void *p)
{
	struct slab *slab;

	/* Some programs free nothing far more often than something. */
	if (!p)
		return;
	slab = object_slab(p);
	if (slab->kind == FRAME_SLAB) {
		slab_free(slab, p);
	} else if (is_large(slab) && slab->base == (uintptr_t)p) {
		free_large(slab, p);
	} else {
		free_unknown(slab, p);
	}
}

bool kmalloc_owns(const void *p)
{
	const struct slab *slab = object_slab(p);

	return slab->kind != FRAME_NONE || frame_is_ours(p) || large_find(p);
}

int kmalloc_node_of(const void *p)
{
	const struct slab *slab = object_slab(p);

	if (slab->kind != FRAME_MAPPED && !frame_is_ours(p)) {
		slab = large_find(p);
		if (!slab)
			return -1;
	}
	return slab->kind == FRAME_MAPPED ? slab->node->id : node_of(p)->id;
}

struct kmem_cache *kmalloc_cache_of(const void *p)
{
	const struct slab *slab = object_slab(p);

	return slab->kind == FRAME_SLAB ? slab->cache : NULL;
}

size_t ksize(const void *p)
{
	const struct slab *slab = object_slab(p);

	if (slab->kind == FRAME_SLAB)
		return slab->cache->object_size;
	return is_large(slab) ? large_size(slab) : 0;
}

static void *realloc_by_copy(void *p, size_t old, size_t size)
{
	void *new = kmalloc(size);

	/* A smaller one fits where it is. */
	if (!new)
		return size <= old ? p : NULL;
	__builtin_memcpy(new, p, old < size ? old : size);
	kfree(p);
	return new;
}

/* A smaller class is worth a copy only where at least half is saved. */
static bool fits(const struct slab *slab, size_t size)
{
	return size <= slab->cache->object_size &&
	       (size > slab->cache->object_size / 2 || slab->cache->object_size <= 2 * MIN_ALIGN);
}

static bool is_object(const struct slab *slab, const void *p)
{
	if (slab->kind == FRAME_SLAB)
		return slab_object_ok(slab, (uintptr_t)p - slab->base);
	return is_large(slab) && slab->base == (uintptr_t)p && !large_is_free(slab);
}

void *krealloc(void *p, size_t size)
{
	struct slab *slab = object_slab(p);

	if (unlikely(!is_object(slab, p))) {
		report_object(slab->kind == FRAME_SLAB ? slab->cache : NULL,
			      "realloc of what is not an object:", p);
		return NULL;
	}
	if (slab->kind == FRAME_SLAB)
		return fits(slab, size) ? p : realloc_by_copy(p, slab->cache->object_size, size);
	if (size > KMALLOC_MAX_SIZE)
		return large_realloc(slab, size);
	return realloc_by_copy(p, large_size(slab), size);
}

size_t kmalloc_trim(void)
{
	cache_shrink_all();
	return purge_all();
}
