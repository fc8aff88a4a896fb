/*
 * What the heap holds, derived by a walk over the metadata: nothing is counted while the program runs.
 * Layer: stats, beside kmalloc. Called by preload.
 *
 * No thread is stopped for it: figures are exact where the other threads are quiet, and near otherwise.
 */
#ifndef USLUB_STATS_H
#define USLUB_STATS_H

#include "types.h"

/* Of one cache, in the words of /proc/slabinfo. A slab is active while an object in it is in use. */
struct cache_stats {
	uint64_t active_objs, num_objs;
	uint64_t active_slabs, num_slabs;
};

struct heap_stats {
	uint64_t small_used; /* bytes of objects in use, by the sizes of their caches */
	uint64_t small_free; /* bytes of slabs beside them */
	uint64_t runs, run_bytes;
	uint64_t mapped, mapped_bytes;
	uint64_t threads;	/* records, of live threads and ended ones */
	uint64_t reserved;	/* bytes of address space for frames */
	uint64_t free_frames;	/* free frames whose pages the kernel has not got back yet */
	uint64_t nr_free_slots; /* free objects, and such frames */
};

/* `caches`: NULL, or one for each cache by index, zeroed. */
void heap_stats(struct heap_stats *heap, struct cache_stats *caches);

/* Objects of the cache that are in use. */
uint32_t cache_count_objects(const struct kmem_cache *s);
/* Is there one? Sleeps to see whether it stays so. */
bool cache_has_objects(const struct kmem_cache *s);

/* Prints a table in the columns of /proc/slabinfo and totals to a file descriptor. */
void stats_print(int fd);

#endif
