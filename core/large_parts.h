/*
 * What large.c and large_realloc.c share. Layer: large.
 */
#ifndef USLUB_LARGE_PARTS_H
#define USLUB_LARGE_PARTS_H

#include "caches.h"
#include "frame.h"
#include "large.h"
#include "slab.h"
#include "thread.h"

/* Half of the addresses at most; the frame count of it, and of a quarter more, fits into 32 bits. */
#define LARGE_MAX ((size_t)1 << 46)

static inline uint32_t frames_of(size_t size)
{
	return (uint32_t)(round_up(size, FRAME_SIZE) >> FRAME_SHIFT);
}

static inline bool fits_run(size_t size, size_t align)
{
	return size <= FRAME_RUN_MAX * FRAME_SIZE && align <= FRAME_RUN_MAX * FRAME_SIZE;
}

/* free() puts a run into a sheaf: a short one where others of its length are. */
static inline void slab_set_cached(struct slab *slab)
{
	struct kmem_cache *s;

	if (slab->nr_frames > (mixed_is_open(current_thread) ? RUN_FRAMES_MAX : NR_RUN_LENGTHS))
		return;
	s = run_cache_of_length(slab->nr_frames);
	slab->cache = s;
	slab->cpu_offset =
		(uint16_t)(s->cpu_offset ^
			   (numa_is_on() ? numa_colour(node_of((void *)slab->base)) : 0));
	slab->inverse = s->inverse;
	__atomic_store_n(&slab->limit, slab->size, __ATOMIC_RELAXED);
}

static inline void slab_set_large(struct slab *slab, uint8_t kind, void *base, uint32_t n,
				  size_t size)
{
	slab->base = (uintptr_t)base;
	slab->nr_frames = n;
	slab->size = size;
	slab->cache = NULL;
	slab->reserved = false;
	slab->account = 0;
	slab->kind = kind;
	if (kind == FRAME_RUN)
		slab_set_cached(slab);
}

/* `size` bytes of the kind that `map` makes, at a multiple of `align`, with its metadata. */
void *map_aligned(size_t size, size_t align, void *(*map)(size_t));
/* So many more mappings of their own, with so many more bytes, of the node; one is of `size`. The charge is apart. */
void mapped_count(struct node *node, size_t count, size_t bytes, size_t size);
/* Is there room on the node for so many more bytes? */
bool mapped_fits(struct node *node, size_t bytes);
/* Where the kernel can't split its mapping: the address space is lost, the memory is not. */
void unmap_or_purge(void *addr, size_t size);

#endif
