/*
 * Partial slabs of a node. Layer: node. See node.h.
 */
#include "node.h"
#include "frame_stack.h"
#include "slab.h"

void list_partial(struct kmem_cache_node *n, struct slab *slab)
{
	frame_stack_push(&n->partial, slab);
	atomic_fetch_add_explicit(&n->nr_partial, 1, memory_order_relaxed);
}

/* An empty slab is worth keeping only while the node has few others. */
static bool should_discard(const struct kmem_cache_node *n, const struct slab *slab)
{
	return slab->inuse == 0 && atomic_load_explicit(&n->nr_partial, memory_order_relaxed) >=
					   slab->cache->min_partial;
}

void put_slab(struct kmem_cache_node *n, struct slab *slab)
{
	if (slab_is_full(slab) && __slab_release_full(slab))
		return;
	__slab_collect(slab);
	if (should_discard(n, slab)) {
		discard_slab(slab);
		return;
	}
	__slab_release_partial(slab);
	list_partial(n, slab);
}

struct slab *get_partial(struct kmem_cache_node *n)
{
	struct slab *slab = frame_stack_pop(&n->partial);

	if (!slab)
		return NULL;
	atomic_fetch_sub_explicit(&n->nr_partial, 1, memory_order_relaxed);
	slab_acquire_partial(slab);
	return slab;
}

/* So seldom that the walk over the list costs each slab that became empty a few steps. */
static bool should_shrink(struct kmem_cache_node *n, uint32_t nr_empty)
{
	return nr_empty >= 8 &&
	       nr_empty >= atomic_load_explicit(&n->nr_partial, memory_order_relaxed) / 4;
}

void note_empty(struct kmem_cache_node *n)
{
	uint32_t nr_empty = atomic_fetch_add_explicit(&n->nr_empty, 1, memory_order_relaxed) + 1;

	if (should_shrink(n, nr_empty))
		shrink_node(n);
}

uint32_t shrink_node(struct kmem_cache_node *n)
{
	uint32_t seen = atomic_load_explicit(&n->nr_partial, memory_order_relaxed), gone = 0;
	struct slab *keep = NULL, *slab;

	atomic_store_explicit(&n->nr_empty, 0, memory_order_relaxed);
	/* Bounded by what was there: others go on adding. */
	while (seen-- && (slab = get_partial(n))) {
		__slab_collect(slab);
		if (slab->inuse == 0) {
			discard_slab(slab);
			gone++;
			continue;
		}
		slab->next = keep;
		keep = slab;
	}
	while ((slab = keep)) {
		keep = slab->next;
		__slab_release_partial(slab);
		list_partial(n, slab);
	}
	return gone;
}
