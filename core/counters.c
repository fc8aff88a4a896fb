/*
 * Counters of the slow paths. Layer: counters; see counters.h.
 */
#include "counters.h"

_Atomic(struct counters *) counters;
struct cache_knobs cache_knobs[NR_CACHES];

bool counters_start(void)
{
	struct counters *all = os_map(sizeof(*all));

	/* Release pairs with the acquire in cache_count(). */
	atomic_store_explicit(&counters, all, memory_order_release);
	return all != NULL;
}

/* Threads' stacks lie far apart, and a handler that runs on another one may count where it likes. */
static uint32_t this_shard(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return (uint32_t)((here >> 16) * 0x9e3779b97f4a7c15ULL >> 61) % NR_COUNTER_SHARDS;
}

void __cache_count(struct counters *all, const struct kmem_cache *s, enum cache_event event,
		   uint64_t n)
{
	struct cache_counters *c = &all->shard[this_shard()][s->index];

	atomic_fetch_add_explicit(&c->count[event], n, memory_order_relaxed);
}

uint64_t cache_counted(const struct kmem_cache *s, enum cache_event event)
{
	struct counters *all = atomic_load_explicit(&counters, memory_order_acquire);
	uint64_t n = 0;

	for (uint32_t i = 0; all && i < NR_COUNTER_SHARDS; i++)
		n += atomic_load_explicit(&all->shard[i][s->index].count[event],
					  memory_order_relaxed);
	return n;
}

void cache_clear_count(const struct kmem_cache *s, enum cache_event event)
{
	struct counters *all = atomic_load_explicit(&counters, memory_order_acquire);

	for (uint32_t i = 0; all && i < NR_COUNTER_SHARDS; i++)
		atomic_store_explicit(&all->shard[i][s->index].count[event], 0,
				      memory_order_relaxed);
}

void cache_forget(const struct kmem_cache *s)
{
	struct cache_knobs *knobs = cache_knobs_of(s);

	for (uint32_t i = 0; i < NR_CACHE_EVENTS; i++)
		cache_clear_count(s, (enum cache_event)i);
	atomic_store_explicit(&knobs->min_partial, 0, memory_order_relaxed);
	atomic_store_explicit(&knobs->defrag_ratio, 0, memory_order_relaxed);
}
