/*
 * Partial slabs of a node. Layer: node. See node.h.
 */
#include "node.h"
#include "counters.h"
#include "frame_stack.h"
#include "slab.h"

void list_partial(struct kmem_cache_node *n, struct slab *slab)
{
	frame_stack_push(&n->partial[atomic_load_explicit(&n->active, memory_order_relaxed)], slab);
	atomic_fetch_add_explicit(&n->nr_partial, 1, memory_order_relaxed);
}

/* As many as the control files ask for: none, where nobody did, or where the node has left. */
static bool should_keep_empty(struct kmem_cache_node *n, const struct slab *slab)
{
	uint64_t most = atomic_load_explicit(&cache_knobs_of(slab->cache)->min_partial,
					     memory_order_relaxed);
	int32_t nr_partial = atomic_load_explicit(&n->nr_partial, memory_order_relaxed);

	return unlikely(most != 0) && nr_partial >= 0 && (uint64_t)nr_partial < most &&
	       numa_is_slab_node(slab_node(slab));
}

/*
 * The slab is on the list of a node that has left, maybe since its state was looked at: nobody comes by who would take
 * what is empty there, or has become so just before it was listed.
 */
static bool is_left_behind(struct slab *slab, const struct node *node, bool empty)
{
	return !numa_is_slab_node(node) && (empty || slab_has_remote(slab));
}

void put_slab(struct slab *slab)
{
	struct node *node = slab_node(slab);
	struct kmem_cache_node *n = get_node(slab->cache, node);
	bool empty;

	if (slab_is_full(slab) && __slab_release_full(slab))
		return;
	__slab_collect(slab);
	empty = slab->inuse == 0;
	if (empty && !should_keep_empty(n, slab)) {
		discard_slab(slab);
		return;
	}
	if (empty)
		atomic_fetch_add_explicit(&n->nr_empty, 1, memory_order_relaxed);
	__slab_release_partial(slab);
	list_partial(n, slab);
	if (unlikely(is_left_behind(slab, node, empty)))
		shrink_node(n);
}

static struct slab *pop_partial(struct kmem_cache_node *n, uint32_t stack, struct thread *owner)
{
	struct slab *slab = frame_stack_pop(&n->partial[stack]);

	if (!slab)
		return NULL;
	atomic_fetch_sub_explicit(&n->nr_partial, 1, memory_order_relaxed);
	slab_acquire_partial(slab, owner);
	return slab;
}

struct slab *get_partial(struct kmem_cache_node *n, struct thread *owner)
{
	uint32_t active = atomic_load_explicit(&n->active, memory_order_relaxed);
	struct slab *slab = pop_partial(n, active, owner);

	return slab ? slab : pop_partial(n, !active, owner);
}

/* What a node has in partial slabs beyond that is for others to take, as in SLUB. */
#define MANY_PARTIAL 5
/* What there is; of nodes that had nothing lately as well. */
#define ANY (-1)
#define ANY_AT_ALL (-2)

/* In so many of a hundred cases as the control files say: none, where nobody did. */
static bool should_defrag(const struct kmem_cache *s)
{
	static _Atomic uint32_t looks;
	uint32_t ratio =
		atomic_load_explicit(&cache_knobs_of(s)->defrag_ratio, memory_order_relaxed);

	return ratio && atomic_fetch_add_explicit(&looks, 37, memory_order_relaxed) % 100 < ratio;
}

/* SLUB's: of those that home falls back to, the first that has more than so many. */
static noinline struct slab *get_any_partial(struct kmem_cache *s, struct node *home,
					     struct thread *owner, int32_t more_than)
{
	struct node_walk walk = {.first = home, .at = 1, .every = more_than == ANY_AT_ALL};
	struct slab *slab = NULL;
	struct node *node;

	while (!slab && (node = node_walk_next(&walk))) {
		struct kmem_cache_node *n = get_node(s, node);

		/* A hint, which isn't asked where it matters: somebody may have counted too few. */
		if (more_than < 0 ||
		    atomic_load_explicit(&n->nr_partial, memory_order_relaxed) > more_than)
			slab = get_partial(n, owner);
		/* A new slab of this one is as good as what lies further away. */
		if (more_than == ANY && !node_is_full(node, s->nr_frames))
			break;
	}
	return slab;
}

static struct slab *count_partial(struct slab *slab, const struct kmem_cache *s)
{
	if (slab)
		cache_count(s, ALLOC_FROM_PARTIAL, 1);
	return slab;
}

/* Each of these ends before the next begins: for the stack, as little as can be is kept meanwhile. */
static noinline struct slab *get_slab_near(struct kmem_cache *s, struct node *home,
					   struct thread *owner)
{
	struct slab *slab = get_partial(get_node(s, home), owner);

	if (!slab && should_defrag(s))
		slab = get_any_partial(s, home, owner, MANY_PARTIAL);
	if (slab)
		return count_partial(slab, s);
	slab = new_slab_on(s, owner, home);
	if (slab)
		return slab;
	slab = get_any_partial(s, home, owner, ANY);
	if (slab)
		return count_partial(slab, s);
	slab = new_slab(s, owner, home);
	return slab ? slab : count_partial(get_any_partial(s, home, owner, ANY_AT_ALL), s);
}

struct slab *get_slab(struct kmem_cache *s, struct node *home, struct thread *owner)
{
	struct slab *slab;

	if (numa_is_on())
		return get_slab_near(s, home, owner);
	slab = get_partial(get_node(s, home), owner);
	return slab ? count_partial(slab, s) : new_slab(s, owner, home);
}

/*
 * So seldom that the walk over the list costs each slab that became empty a few steps. Of a node that has left nobody
 * takes the last ones.
 */
static bool should_shrink(struct kmem_cache_node *n, const struct node *node, uint32_t nr_empty)
{
	int32_t nr_partial = atomic_load_explicit(&n->nr_partial, memory_order_relaxed);

	return (nr_empty >= 8 || !numa_is_slab_node(node)) && (int64_t)nr_empty * 4 >= nr_partial;
}

void note_empty(struct kmem_cache_node *n, const struct node *node)
{
	uint32_t nr_empty = atomic_fetch_add_explicit(&n->nr_empty, 1, memory_order_relaxed) + 1;

	if (should_shrink(n, node, nr_empty))
		shrink_node(n);
}

/*
 * Moves the slabs of a stack one by one to the active one, but for the empty ones: a thread that stops in here has
 * one slab in its hands, and no more. Bounded by what was there: others go on adding.
 */
static uint32_t sift(struct kmem_cache_node *n, uint32_t from, int32_t seen, bool *again)
{
	struct slab *slab;
	uint32_t gone = 0;

	while (seen-- > 0 && (slab = pop_partial(n, from, NO_OWNER))) {
		/* Not from the slab later: once it is listed, it may be anybody's. */
		const struct node *node = slab_node(slab);

		__slab_collect(slab);
		if (slab->inuse == 0) {
			discard_slab(slab);
			gone++;
			continue;
		}
		__slab_release_partial(slab);
		list_partial(n, slab);
		*again |= is_left_behind(slab, node, false);
	}
	return gone;
}

static uint32_t shrink_once(struct kmem_cache_node *n, bool *again)
{
	uint32_t from = atomic_load_explicit(&n->active, memory_order_relaxed), gone;
	int32_t seen = atomic_load_explicit(&n->nr_partial, memory_order_relaxed);

	atomic_store_explicit(&n->nr_empty, 0, memory_order_relaxed);
	gone = sift(n, !from, seen, again);
	atomic_store_explicit(&n->active, !from, memory_order_relaxed);
	return gone + sift(n, from, seen, again);
}

/* How often that is repeated for slabs of which something was freed while they were in hand. */
#define MANY_SHRINKS 4

/* Two of these at once leave slabs on both stacks: first what lies on the other one. */
uint32_t shrink_node(struct kmem_cache_node *n)
{
	uint32_t gone = 0;
	bool again = true;

	for (int i = 0; again && i < MANY_SHRINKS; i++) {
		again = false;
		/* Most caches have nothing on most nodes, and shall cost no page there. */
		if (!frame_stack_is_empty(&n->partial[0]) || !frame_stack_is_empty(&n->partial[1]))
			gone += shrink_once(n, &again);
	}
	return gone;
}

bool slab_is_welcome(const struct kmem_cache *s, const struct slab *slab, const struct node *home)
{
	const struct node *node = slab_node(slab);

	return numa_is_welcome(node, home, s->nr_frames) ||
	       (atomic_load_explicit(&cache_knobs_of(s)->defrag_ratio, memory_order_relaxed) &&
		numa_is_alloc_node(node));
}
