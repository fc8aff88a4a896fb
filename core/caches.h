/*
 * Which caches there are: the kmalloc caches by size class, and the program's own. Layer: caches, over
 * slab. Called by thread, kmem_cache, kmalloc and stats.
 *
 * The one source of the size classes: 16 bytes apart up to 128, then eight to a doubling, so that at
 * most 1/9 of an object above 128 bytes is waste. The table of caches, the lookup table of the fast path
 * and the tests are made from these formulas. Each size divides none of its neighbours' objects: sizes
 * that are a multiple of A give objects aligned to A, because slabs are aligned to 64 KiB.
 */
#ifndef USLUB_CACHES_H
#define USLUB_CACHES_H

#include "types.h"

#define KMALLOC_MAX_SIZE ((size_t)32768)

/* Size of class i. */
#define CLASS_SIZE(i) \
	((uint32_t)((i) < 8 ? ((i) + 1) * 16 : (9 + ((i)-8) % 8) << (4 + ((i)-8) / 8)))

/* The smallest class that holds `size` bytes; 1 <= size <= KMALLOC_MAX_SIZE. For constants. */
#define CLASS_LOG(size) (63 - (unsigned int)__builtin_clzll((unsigned long long)(size)-1))
#define CLASS_OF(size)                                   \
	((size) <= 128 ? ((unsigned int)(size)-1) / 16   \
		       : 8 * (CLASS_LOG(size) - 7) + 8 + \
				 (unsigned int)((((size)-1) >> (CLASS_LOG(size) - 3)) & 7))

/* Of a thread's kmem_cache_cpu, as kmem_cache->cpu_offset: what the fast path is after. */
extern const uint16_t kmalloc_cpu_offsets[KMALLOC_MAX_SIZE / 16 + 1]
	__attribute__((visibility("hidden")));

/* size <= KMALLOC_MAX_SIZE; 0 counts as 1. */
static inline uint16_t kmalloc_cpu_offset(size_t size)
{
	return kmalloc_cpu_offsets[(size + 15) / 16];
}

static inline unsigned int size_class(size_t size)
{
	return (unsigned int)((kmalloc_cpu_offset(size) - offsetof(struct thread, cpu)) /
			      sizeof(struct kmem_cache_cpu));
}

/* Objects in a thread's sheaf: many small ones, and few that are worth having back. */
#define SHEAF_SIZE(size) ((size) <= 256 ? 64U : (size) <= 1024 ? 32U : (size) <= 4096 ? 16U : 8U)
/* It grows to 1024 objects, and 4 MiB, at most. */
#define SHEAF_MAX_GRADE(size)   \
	((size) <= 256	   ? 4U \
	 : (size) <= 1024  ? 5U \
	 : (size) <= 8192  ? 6U \
	 : (size) <= 16384 ? 5U \
	 : (size) <= 32768 ? 4U \
			   : 1U)

/* Of runs of up to so many bytes each thread has a sheaf for each length; beside all other caches. */
#define RUN_CACHED_MAX (NR_RUN_LENGTHS * FRAME_SIZE)
/* It grows to eight runs at most. */
#define RUN_SHEAF_SIZE 2U
#define RUN_SHEAF_MAX_GRADE 2U
/* And of all of up to so many bytes one more: it has no room until it is opened, then for two runs of any length. */
#define RUN_MIXED_MAX (RUN_FRAMES_MAX * FRAME_SIZE)
#define MIXED_SHEAF_SIZE 1U
#define MIXED_SHEAF_OPEN 1U
extern struct kmem_cache run_caches[NR_RUN_CACHES] __attribute__((visibility("hidden")));

/* 1 <= size <= RUN_CACHED_MAX. */
static inline struct kmem_cache *run_cache(size_t size)
{
	return &run_caches[(size - 1) >> FRAME_SHIFT];
}

/* Of a run of so many bytes. */
static inline uint32_t run_frames(size_t size)
{
	return (uint32_t)((size - 1) >> FRAME_SHIFT) + 1;
}

/* 1 <= n <= RUN_FRAMES_MAX. */
static inline struct kmem_cache *run_cache_of_length(uint32_t n)
{
	return &run_caches[n <= NR_RUN_LENGTHS ? n - 1 : RUNS_MIXED];
}

extern struct kmem_cache kmalloc_caches[NR_KMALLOC_CACHES] __attribute__((visibility("hidden")));
extern struct kmem_cache user_caches[NR_USER_CACHES] __attribute__((visibility("hidden")));
extern _Atomic uint32_t nr_user_caches __attribute__((visibility("hidden")));
/* Counts destroyed caches: a thread that has seen fewer has slabs to give up. */
extern _Atomic uint32_t nr_destroyed __attribute__((visibility("hidden")));

/* The index'th cache of all, NULL behind the last. User caches that were destroyed count as well. */
static inline struct kmem_cache *cache_by_index(uint32_t i)
{
	if (i < NR_KMALLOC_CACHES)
		return &kmalloc_caches[i];
	i -= NR_KMALLOC_CACHES;
	/* Acquire pairs with the release in kmem_cache_create(): publishes the cache. */
	if (i >= atomic_load_explicit(&nr_user_caches, memory_order_acquire))
		return NULL;
	return &user_caches[i];
}

#define for_each_run_cache(s) for ((s) = run_caches; (s) < run_caches + NR_RUN_CACHES; (s)++)
#define for_each_cache(s, i) for (uint32_t i = 0; ((s) = cache_by_index(i)) != NULL; i++)

#endif
