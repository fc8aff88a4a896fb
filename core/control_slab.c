/*
 * The files of kernel/slab, and slabinfo. Layer: control. Called through the table of attributes.
 */
#include "caches.h"
#include "control_attr.h"
#include "control_snapshot.h"
#include "counters.h"
#include "kmem_cache.h"
#include "report.h"
#include "stats.h"

#include <errno.h>

/* The largest power of two that divides the distance of two objects, up to a page; slabs are aligned to more. */
static uint64_t cache_align(const struct kmem_cache *s)
{
	uint64_t align = s->size & -s->size;

	return align < os_page_size() ? align : os_page_size();
}

static uint64_t cache_constant(const struct kmem_cache *s, enum cache_const which)
{
	/* The kmalloc caches have one reference of their own, as those of a program have. */
	uint32_t refcount = atomic_load_explicit(&s->refcount, memory_order_relaxed);
	uint64_t pages = s->nr_frames * FRAME_SIZE / os_page_size();

	switch (which) {
	case CONST_OBJECT_SIZE:
		return s->object_size;
	case CONST_SLAB_SIZE:
		return s->size;
	case CONST_OBJS_PER_SLAB:
		return s->objects;
	case CONST_ORDER:
		return (uint64_t)__builtin_ctzll(pages);
	case CONST_ALIGN:
		return cache_align(s);
	case CONST_ALIASES:
		return refcount ? refcount - 1 : 0;
	}
	return 0;
}

SHOW(cache_const_show)
{
	out_number(out, cache_constant(target->cache, (enum cache_const)a->which));
	out_text(out, "\n");
	return 0;
}

static void out_hex(struct control_out *out, uintptr_t value)
{
	struct text t = {0};

	text_add_hex(&t, value);
	out_text_n(out, t.buf, t.len);
}

/* No symbols here, which are libc's to find; a debugger knows the address. */
SHOW(cache_ctor_show)
{
	(void)a;
	if (!target->cache->ctor)
		return 0;
	out_hex(out, (uintptr_t)target->cache->ctor);
	out_text(out, "\n");
	return 0;
}

SHOW(cache_figure_show)
{
	const struct cache_snapshot *all = snapshot_cache(target->cache);

	if (!all)
		return ENOMEM;
	out_number(out, all->sum[a->which]);
	for (uint32_t node = 0; node < MAX_NODES; node++) {
		if (!all->node[node][a->which])
			continue;
		out_text(out, " N");
		out_number(out, node);
		out_text(out, "=");
		out_number(out, all->node[node][a->which]);
	}
	out_text(out, "\n");
	return 0;
}

SHOW(cache_event_show)
{
	out_number(out, cache_counted(target->cache, (enum cache_event)a->which));
	out_text(out, "\n");
	return 0;
}

STORE(cache_event_store)
{
	if (len == 0 || text[0] != '0')
		return EINVAL;
	cache_clear_count(target->cache, (enum cache_event)a->which);
	return 0;
}

SHOW(cache_min_partial_show)
{
	(void)a;
	out_number(out, atomic_load_explicit(&cache_knobs_of(target->cache)->min_partial,
					     memory_order_relaxed));
	out_text(out, "\n");
	return 0;
}

STORE(cache_min_partial_store)
{
	uint64_t n;
	int error = control_parse(text, len, &n);

	(void)a;
	if (error)
		return error;
	atomic_store_explicit(&cache_knobs_of(target->cache)->min_partial, n, memory_order_relaxed);
	return 0;
}

SHOW(cache_defrag_ratio_show)
{
	uint32_t ratio = atomic_load_explicit(&cache_knobs_of(target->cache)->defrag_ratio,
					      memory_order_relaxed);

	(void)a;
	out_number(out, ratio);
	out_text(out, "\n");
	return 0;
}

STORE(cache_defrag_ratio_store)
{
	uint64_t ratio;
	int error = control_parse(text, len, &ratio);

	(void)a;
	if (error)
		return error;
	if (ratio > 100)
		return ERANGE;
	atomic_store_explicit(&cache_knobs_of(target->cache)->defrag_ratio, (uint32_t)ratio,
			      memory_order_relaxed);
	return 0;
}

SHOW(cache_nothing_show)
{
	(void)a;
	(void)target;
	(void)out;
	return 0;
}

/* What threads have is theirs: what lies on the nodes' lists goes. No mutex, as in the kernel. */
STORE(cache_shrink_store)
{
	(void)a;
	if (len == 0 || text[0] != '1')
		return EINVAL;
	cache_shrink(target->cache);
	return 0;
}

static void out_slabinfo(struct control_out *out, const struct kmem_cache *s, const char *name,
			 const struct cache_stats *c)
{
	out_left(out, name, 17);
	out_text(out, " ");
	out_right(out, c->active_objs, 6);
	out_text(out, " ");
	out_right(out, c->num_objs, 6);
	out_text(out, " ");
	out_right(out, s->size, 6);
	out_text(out, " ");
	out_right(out, s->objects, 4);
	out_text(out, " ");
	out_right(out, s->nr_frames * FRAME_SIZE / os_page_size(), 4);
	out_text(out, " : tunables    0    0    0 : slabdata ");
	out_right(out, c->active_slabs, 6);
	out_text(out, " ");
	out_right(out, c->num_slabs, 6);
	out_text(out, "      0\n");
}

SHOW(slabinfo_show)
{
	size_t size = NR_CACHES * sizeof(struct cache_stats);
	struct cache_stats *caches = os_map(size);
	char name[CONTROL_NAME];
	struct heap_stats heap;
	struct kmem_cache *s;

	(void)a;
	(void)target;
	if (!caches)
		return ENOMEM;
	heap_stats(&heap, caches);
	out_text(out,
		 "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> "
		 "<objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : "
		 "slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	for_each_cache(s, i)
	{
		if (control_cache_name(s, name))
			out_slabinfo(out, s, name, &caches[i]);
	}
	os_unmap(caches, size);
	return 0;
}
