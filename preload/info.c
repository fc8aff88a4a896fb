/*
 * What the C library tells about its heap: mallinfo, malloc_info, malloc_stats, malloc_trim, mallopt.
 * Layer: preload. Called by programs. All figures come from core/stats.h.
 */
#include "preload.h"

#include "core/kmalloc.h"
#include "core/stats.h"

#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

EXPORT struct mallinfo2 mallinfo2(void)
{
	struct heap_stats heap;
	size_t idle, used;

	heap_stats(&heap, NULL);
	idle = heap.free_frames * FRAME_SIZE;
	used = heap.small_used + heap.run_bytes;
	return (struct mallinfo2){
		.arena = used + heap.small_free + idle,
		.ordblks = heap.nr_free_slots,
		.hblks = heap.mapped,
		.hblkhd = heap.mapped_bytes,
		.uordblks = used,
		.fordblks = heap.small_free + idle,
		.keepcost = idle,
	};
}

/* The old struct has ints: a figure beyond stays at the largest, rather than wrap as glibc's does. */
static int to_int(size_t n)
{
	return n < INT_MAX ? (int)n : INT_MAX;
}

EXPORT struct mallinfo mallinfo(void)
{
	struct mallinfo2 m = mallinfo2();

	return (struct mallinfo){
		.arena = to_int(m.arena),
		.ordblks = to_int(m.ordblks),
		.hblks = to_int(m.hblks),
		.hblkhd = to_int(m.hblkhd),
		.uordblks = to_int(m.uordblks),
		.fordblks = to_int(m.fordblks),
		.keepcost = to_int(m.keepcost),
	};
}

EXPORT int malloc_trim(size_t pad)
{
	(void)pad;
	return kmalloc_trim() != 0;
}

EXPORT void malloc_stats(void)
{
	stats_print(2);
}

static void print_sizes(FILE *out, const struct cache_stats *caches)
{
	const struct kmem_cache *s;

	fputs("<sizes>\n", out);
	for_each_cache(s, i)
	{
		const struct cache_stats *c = &caches[i];

		if (c->num_slabs)
			fprintf(out,
				"  <size from=\"%u\" to=\"%u\" total=\"%" PRIu64
				"\" count=\"%" PRIu64 "\" active=\"%" PRIu64 "\" slabs=\"%" PRIu64
				"\"/>\n",
				s->object_size, s->object_size,
				(c->num_objs - c->active_objs) * s->object_size,
				c->num_objs - c->active_objs, c->active_objs, c->num_slabs);
	}
	fputs("</sizes>\n", out);
}

/* As in glibc's, a size's total and count are of what is free. */
static void print_xml(FILE *out, const struct heap_stats *heap, const struct cache_stats *caches)
{
	uint64_t idle = heap->free_frames * FRAME_SIZE;
	uint64_t arena = heap->small_used + heap->small_free + heap->run_bytes + idle;

	fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n", out);
	print_sizes(out, caches);
	fprintf(out,
		"<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
		"<total type=\"rest\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n"
		"<system type=\"current\" size=\"%" PRIu64 "\"/>\n"
		"<aspace type=\"total\" size=\"%" PRIu64 "\"/>\n</heap>\n",
		heap->nr_free_slots, heap->small_free + idle, arena, heap->reserved);
	fprintf(out,
		"<total type=\"fast\" count=\"0\" size=\"0\"/>\n"
		"<total type=\"rest\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n"
		"<total type=\"mmap\" count=\"%" PRIu64 "\" size=\"%" PRIu64 "\"/>\n"
		"<system type=\"current\" size=\"%" PRIu64 "\"/>\n"
		"<aspace type=\"total\" size=\"%" PRIu64 "\"/>\n</malloc>\n",
		heap->nr_free_slots, heap->small_free + idle, heap->mapped, heap->mapped_bytes,
		arena + heap->mapped_bytes, heap->reserved + heap->mapped_bytes);
}

EXPORT int malloc_info(int flags, FILE *out)
{
	size_t size = (NR_KMALLOC_CACHES + NR_USER_CACHES) * sizeof(struct cache_stats);
	struct cache_stats *caches;
	struct heap_stats heap;

	if (flags) {
		errno = EINVAL;
		return -1;
	}
	caches = os_map(size);
	if (!caches) {
		errno = ENOMEM;
		return -1;
	}
	heap_stats(&heap, caches);
	print_xml(out, &heap, caches);
	os_unmap(caches, size);
	return 0;
}

/*
 * Thresholds and arenas are glibc's inner matters. As there, setting them succeeds, known or not, but for
 * an M_MXFAST that is out of range; here it changes nothing.
 */
EXPORT int mallopt(int parameter, int value)
{
	return parameter != M_MXFAST || (value >= 0 && (size_t)value <= 80 * sizeof(size_t) / 4);
}
