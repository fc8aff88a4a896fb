/*
 * Figures about the heap. Layer: stats; see stats.h.
 */
#include "stats.h"
#include "bitmap.h"
#include "bits.h"
#include "caches.h"
#include "frame.h"
#include "large.h"
#include "report.h"
#include "slab.h"
#include "thread.h"

#define MAX_CACHES (NR_KMALLOC_CACHES + NR_USER_CACHES)

static uint32_t cache_index(const struct kmem_cache *s)
{
	if (s >= user_caches && s < user_caches + NR_USER_CACHES)
		return NR_KMALLOC_CACHES + (uint32_t)(s - user_caches);
	return (uint32_t)(s - kmalloc_caches);
}

racy_reader static uint32_t count_inuse(struct slab *slab)
{
	/* This first: what is collected in between is then missing from both, rather than in both. */
	uint32_t freed = slab_count_remote(slab), inuse;

	atomic_thread_fence(memory_order_acquire);
	inuse = load_folded(slab->inuse);
	return inuse > freed ? inuse - freed : 0;
}

racy_reader static void add_slab(struct heap_stats *heap, struct cache_stats *caches,
				 struct slab *slab)
{
	const struct kmem_cache *s = slab->cache;
	uint32_t inuse = count_inuse(slab);

	/* Its frame has become part of a large object meanwhile. */
	if (!s || s->flags & CACHE_RUNS)
		return;
	heap->small_used += (uint64_t)inuse * s->object_size;
	heap->small_free += slab->nr_frames * FRAME_SIZE - (uint64_t)inuse * s->object_size;
	heap->nr_free_slots += s->objects - inuse;
	if (!caches)
		return;
	caches += cache_index(s);
	caches->active_objs += inuse;
	caches->num_objs += s->objects;
	caches->active_slabs += inuse != 0;
	caches->num_slabs++;
}

/* What lies in sheaves is in use to its slab, but free. */
static void subtract_sheaves(struct heap_stats *heap, struct cache_stats *caches)
{
	const struct kmem_cache *s;

	for_each_cache(s, i)
	{
		uint64_t n = thread_count_free(s);

		heap->small_used -= n * s->object_size;
		heap->small_free += n * s->object_size;
		heap->nr_free_slots += n;
		if (caches)
			caches[i].active_objs -= n < caches[i].active_objs ? n
									   : caches[i].active_objs;
	}
}

/* The same of runs. */
static void subtract_runs(struct heap_stats *heap)
{
	const struct kmem_cache *s;

	for_each_run_cache(s)
	{
		uint64_t bytes, frames, n = thread_count_runs(s, &bytes, &frames);

		heap->runs -= n < heap->runs ? n : heap->runs;
		heap->run_bytes -= bytes < heap->run_bytes ? bytes : heap->run_bytes;
		heap->free_frames += frames;
		heap->nr_free_slots += frames;
	}
}

racy_reader static uint32_t add_frame(struct heap_stats *heap, struct cache_stats *caches,
				      struct slab *slab)
{
	switch ((enum frame_kind)slab->kind) {
	case FRAME_SLAB:
		add_slab(heap, caches, slab);
		return slab->nr_frames;
	case FRAME_RUN:
		heap->runs++;
		heap->run_bytes += large_size(slab);
		return slab->nr_frames;
	case FRAME_THREAD:
		heap->threads++;
		return 1;
	case FRAME_NONE:
	case FRAME_TAIL:
	case FRAME_MAPPED:
		break;
	}
	return 1;
}

static void add_section(struct heap_stats *heap, struct cache_stats *caches, struct section *sec)
{
	for (uint32_t w = 0; w < SECTION_WORDS; w++) {
		uint64_t used = atomic_load_explicit(&sec->used[w], memory_order_relaxed);
		uint64_t dirty = atomic_load_explicit(&sec->dirty[w], memory_order_relaxed);
		uint64_t ours = atomic_load_explicit(&sec->reserved[w], memory_order_relaxed);
		uint64_t idle = count_bits(dirty & ~used);

		heap->reserved += count_bits(ours) * FRAME_SIZE;
		heap->free_frames += idle;
		heap->nr_free_slots += idle;
	}
	for (uint32_t i = 0; i < SECTION_FRAMES;) {
		i = bitmap_next(sec->reserved, i, SECTION_FRAMES, true);
		if (i < SECTION_FRAMES)
			i += add_frame(heap, caches, &sec->slabs[i]);
	}
}

void heap_stats(struct heap_stats *heap, struct cache_stats *caches)
{
	struct section *sec;

	__builtin_memset(heap, 0, sizeof(*heap));
	for_each_section(sec, nr)
		add_section(heap, caches, sec);
	subtract_sheaves(heap, caches);
	subtract_runs(heap);
	heap->mapped = atomic_load_explicit(&large_mapped.count, memory_order_relaxed);
	heap->mapped_bytes = atomic_load_explicit(&large_mapped.bytes, memory_order_relaxed);
}

/* Sheaves first: what is flushed in between is then counted as free twice, rather than not at all. */
racy_reader uint32_t cache_count_objects(const struct kmem_cache *s)
{
	uint32_t free = thread_count_free(s), inuse = 0;
	struct section *sec;

	for_each_section(sec, nr) {
		for (uint32_t i = 0; i < SECTION_FRAMES; i++) {
			struct slab *slab = &sec->slabs[i];

			if (slab->kind == FRAME_SLAB && slab->cache == s)
				inuse += count_inuse(slab);
		}
	}
	return inuse > free ? inuse - free : 0;
}

/* Other threads may be moving objects while they are counted: only what is seen again and again is so. */
bool cache_has_objects(const struct kmem_cache *s)
{
	for (int round = 0; round < 3; round++) {
		if (!cache_count_objects(s))
			return false;
		os_sleep_ms(1);
	}
	return true;
}

static void print_cache(int fd, const struct kmem_cache *s, const struct cache_stats *c)
{
	struct text t = {0};

	text_add_cache_name(&t, s);
	text_pad(&t, 17);
	text_add_column(&t, c->active_objs, 24);
	text_add_column(&t, c->num_objs, 31);
	text_add_column(&t, s->object_size, 38);
	text_add_column(&t, s->objects, 43);
	text_add_column(&t, s->nr_frames * FRAME_SIZE / os_page_size(), 48);
	text_add(&t, " : tunables    0    0    0 : slabdata ");
	text_add_column(&t, c->active_slabs, t.len + 6);
	text_add_column(&t, c->num_slabs, t.len + 7);
	text_add_column(&t, 0, t.len + 7);
	text_write_line(&t, fd);
}

static void print_total(int fd, const char *name, uint64_t count, uint64_t bytes)
{
	struct text t = {0};

	text_add(&t, "# ");
	text_add(&t, name);
	text_pad(&t, 24);
	text_add_column(&t, count, 36);
	text_add_column(&t, bytes, 52);
	text_write_line(&t, fd);
}

static void print_totals(int fd, const struct heap_stats *heap)
{
	struct text t = {0};

	text_add(&t, "# total");
	text_pad(&t, 31);
	text_add(&t, "count           bytes");
	text_write_line(&t, fd);
	print_total(fd, "small objects", 0, heap->small_used);
	print_total(fd, "slabs, beside them", 0, heap->small_free);
	print_total(fd, "large objects, in runs", heap->runs, heap->run_bytes);
	print_total(fd, "large objects, mapped", heap->mapped, heap->mapped_bytes);
	print_total(fd, "thread records", heap->threads, heap->threads * FRAME_SIZE);
	print_total(fd, "free frames, not purged", heap->free_frames,
		    heap->free_frames * FRAME_SIZE);
	print_total(fd, "address space", 0, heap->reserved + heap->mapped_bytes);
}

void stats_print(int fd)
{
	size_t size = MAX_CACHES * sizeof(struct cache_stats);
	struct cache_stats *caches = os_map(size);
	struct text t = {0};
	struct heap_stats heap;
	struct kmem_cache *s;

	heap_stats(&heap, caches);
	if (caches) {
		text_add(&t, "slabinfo - version: 2.1");
		text_write_line(&t, fd);
		text_add(&t, "# name            <active_objs> <num_objs> <objsize> <objperslab> "
			     "<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : "
			     "slabdata <active_slabs> <num_slabs> <sharedavail>");
		text_write_line(&t, fd);
		for_each_cache(s, i)
		{
			if (caches[i].num_slabs)
				print_cache(fd, s, &caches[i]);
		}
		os_unmap(caches, size);
	}
	print_totals(fd, &heap);
}
