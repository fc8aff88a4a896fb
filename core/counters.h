/*
 * What the slow paths count for the control files, and what those let a program set. Layer: counters, over types.
 * Called by slab, node, thread, kmem_cache and kmalloc; read by the control files.
 *
 * Nothing is counted, and no memory is touched, before counters_start(): a slow path then costs a load and a branch
 * more. The counters are split by where the stack is, so that few threads share a line; they are atomic, for those
 * that do, and for handlers.
 */
#ifndef USLUB_COUNTERS_H
#define USLUB_COUNTERS_H

#include "types.h"

enum cache_event {
	/* Objects that slow paths moved into sheaves, out of them: see docs/control.md. */
	ALLOC_FASTPATH,
	FREE_FASTPATH,
	/* Refills of a sheaf; objects allocated without the thread. */
	ALLOC_SLOWPATH,
	/* Flushes of a sheaf; objects freed onto their slab. */
	FREE_SLOWPATH,
	/* Objects pushed onto a slab's remote list, by other threads and by nested calls. */
	FREE_REMOTE,
	/* Calls that found the lock held by the frame that they interrupted. */
	ALLOC_NESTED,
	FREE_NESTED,
	/* Allocations that another cache than the size's own served. */
	ALLOC_FALLBACK_BUCKET,
	/* Slabs taken from a node's list, and made. */
	ALLOC_FROM_PARTIAL,
	ALLOC_SLAB,
	FREE_SLAB,
	/* Refills that gave up the current slab, for it was of another node than was wanted. */
	ALLOC_NODE_MISMATCH,
	NR_CACHE_EVENTS,
};

#define NR_COUNTER_SHARDS 8U

struct cache_counters {
	_Atomic uint64_t count[NR_CACHE_EVENTS];
} cacheline_aligned;

struct counters {
	struct cache_counters shard[NR_COUNTER_SHARDS][NR_CACHES];
};

/* NULL until counters_start(). */
extern _Atomic(struct counters *) counters __attribute__((visibility("hidden")));

/* What can be set of a cache. Zero is how it is made. */
struct cache_knobs {
	_Atomic uint64_t min_partial;  /* empty slabs that a node's list keeps */
	_Atomic uint32_t defrag_ratio; /* per cent of refills that may take another node's slab */
};
extern struct cache_knobs cache_knobs[NR_CACHES] __attribute__((visibility("hidden")));

void __cache_count(struct counters *all, const struct kmem_cache *s, enum cache_event event,
		   uint64_t n);

static inline void cache_count(const struct kmem_cache *s, enum cache_event event, uint64_t n)
{
	/* Acquire pairs with the release in counters_start(). */
	struct counters *all = atomic_load_explicit(&counters, memory_order_acquire);

	if (unlikely(all != NULL))
		__cache_count(all, s, event, n);
}

/* Before main. False: no memory; nothing is counted. */
bool counters_start(void);
uint64_t cache_counted(const struct kmem_cache *s, enum cache_event event);
void cache_clear_count(const struct kmem_cache *s, enum cache_event event);
/* The cache is no more: its slot may get another, of which nothing is counted or set. */
void cache_forget(const struct kmem_cache *s);

static inline struct cache_knobs *cache_knobs_of(const struct kmem_cache *s)
{
	return &cache_knobs[s->index];
}

#endif
