/*
 * The slow paths of allocation and free in a cache. Layer: kmem_cache; see kmem_cache.h.
 */
#include "kmem_cache.h"
#include "counters.h"
#include "fork_watch.h"
#include "frame.h"
#include "large.h"
#include "node.h"
#include "report.h"
#include "reserve.h"
#include "thread_slabs.h"

/* On all nodes: one that comes online meanwhile has nothing to give. */
static uint32_t shrink_nodes(struct kmem_cache *s)
{
	struct node *node;
	uint32_t gone = 0;

	for_each_node(node) gone += shrink_node(get_node(s, node));
	return gone;
}

void cache_shrink_node(struct node *node)
{
	struct kmem_cache *s;

	for_each_cache(s, i) shrink_node(get_node(s, node));
}

void cache_shrink_all(void)
{
	struct kmem_cache *s;

	thread_flush_all(current_thread);
	for_each_cache(s, i) shrink_nodes(s);
}

/* The sheaf is empty. With the lock free: some of it may take it. */
static void before_refill(struct thread *t)
{
	uint64_t now = purge_poll();

	thread_check_fork(t);
	fork_watch_poll();
	thread_check_destroyed(t);
	thread_check_nodes(t);
	thread_poll_idle(t, now);
}

/* The lock is held. */
static struct free_object *__alloc(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct free_object *fo = __sheaf_pop(c);

	return fo || !__thread_refill(t, s) ? fo : __sheaf_pop(c);
}

static bool try_alloc(struct thread *t, struct kmem_cache *s, struct local_hold *hold,
		      struct free_object **fo)
{
	if (!local_trylock(t, s, hold))
		return false;
	*fo = __alloc(t, s);
	local_unlock(t, thread_cpu(t, s->cpu_offset));
	return true;
}

/* Without the lock: a hint, from the pointer alone, for the object may be anybody's by now. */
static bool sheaf_is_empty(struct thread *t, const struct kmem_cache *s)
{
	const struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	return freelist_is_end(s, c->freelist) || sheaf_is_shut(c);
}

bool cache_try_alloc(struct thread *t, struct kmem_cache *s, struct local_hold *hold, void **object)
{
	struct free_object *fo = NULL;

	if (sheaf_is_empty(t, s))
		before_refill(t);
	if (!try_alloc(t, s, hold, &fo))
		return false;
	if (unlikely(!fo)) {
		/* Memory is out: what this thread and the node hold unused may be enough. */
		cache_shrink_all();
		if (!try_alloc(t, s, hold, &fo))
			return false;
	}
	*object = fo ? free_object_start(s, fo) : NULL;
	return true;
}

static uint32_t shrink_shared_on(struct node *node)
{
	struct kmem_cache *s;
	uint32_t gone = 0;

	for_each_cache(s, i)
	{
		if (s->flags & CACHE_SHARED && node_has_empty(get_node(s, node)))
			gone += shrink_node(get_node(s, node));
	}
	return gone;
}

uint32_t cache_shrink_shared(void)
{
	struct node *node;
	uint32_t gone = 0;

	for_each_node(node) gone += shrink_shared_on(node);
	return gone;
}

/* Of the reserve, else of the heap; what either lacks, empty slabs may hold. */
static struct slab *shared_slab(struct kmem_cache *s, struct node *node)
{
	struct slab *slab = get_partial(get_node(s, node), NO_OWNER);

	if (slab)
		return slab;
	if (s->flags & CACHE_SHARED && reserve_total() && !reserve_has(s->nr_frames))
		cache_shrink_shared();
	slab = get_slab(s, node, NO_OWNER);
	if (slab)
		return slab;
	cache_shrink_all();
	return get_slab(s, node, NO_OWNER);
}

/* Of that node and no other. */
static struct slab *shared_slab_on(struct kmem_cache *s, struct node *node)
{
	struct slab *slab = get_partial(get_node(s, node), NO_OWNER);

	return slab ? slab : new_slab_on(s, NO_OWNER, node);
}

static void *alloc_shared(struct kmem_cache *s, struct node *node,
			  struct slab *(*get)(struct kmem_cache *, struct node *))
{
	struct free_object *fo;
	struct slab *slab;
	uint32_t n;

	cache_count(s, ALLOC_SLOWPATH, 1);
	/* A full one may stand on the list, for a free whose note came after its collection: it leaves it now. */
	do {
		slab = get(s, node);
		if (!slab)
			return NULL;
		n = __slab_take(slab, 1, s->bottom, &fo);
		put_slab(slab);
	} while (!n);
	fo->state.word = 0;
	return free_object_start(s, fo);
}

void *cache_alloc_shared(struct kmem_cache *s, struct node *node)
{
	return alloc_shared(s, node, shared_slab);
}

/* What the thread would get next, without the slow path, if it is of that node. */
static void *pop_of_node(struct kmem_cache *s, const struct node *node)
{
	struct thread *t = current_thread;
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct free_object *fo = NULL;

	if (s->flags & CACHE_SHARED || local_lock_is_locked(t, c))
		return NULL;
	local_lock(c);
	/* With nothing behind it, it is no object. */
	if (c->freelist->next && node_of(c->freelist) == node)
		fo = __sheaf_pop(c);
	local_unlock(t, c);
	return fo ? free_object_start(s, fo) : NULL;
}

/* The thread's sheaf first: where the node is its own, what it has there mostly is of it. */
void *cache_alloc_node(struct kmem_cache *s, struct node *node)
{
	void *object = pop_of_node(s, node);

	if (object)
		return object;
	object = node == numa_home() ? cache_alloc(s) : NULL;

	if (object && node_of(object) == node)
		return object;
	/* First this one back: a call that ends in between loses one object at most. */
	if (object)
		slab_free(slab_of(object), object);
	object = alloc_shared(s, node, shared_slab_on);
	return object ? object : cache_alloc_shared(s, node);
}

void *cache_alloc(struct kmem_cache *s)
{
	struct thread *t = thread_current();
	struct local_hold hold;
	void *object;

	return t && cache_try_alloc(t, s, &hold, &object) ? object
							  : cache_alloc_shared(s, numa_home());
}

/* The lock is held. */
static void __free(struct thread *t, struct kmem_cache *s, struct free_object *fo)
{
	if (!__sheaf_push(thread_cpu(t, s->cpu_offset), fo))
		__thread_free_full(t, s, fo);
}

/* There is nothing that would have to be put away: the sheaf stays as it is. */
static void run_free_full(struct kmem_cache_cpu *c, struct thread *t, struct free_object *fo)
{
	c->swings |= SWING_BEGUN;
	local_unlock(t, c);
	large_free(virt_to_slab(fo));
	large_poll();
}

/* What a full sheaf mostly leaves to do: the object's slab is the thread's own. False: it is more than that. */
static bool __put_direct(struct thread *t, struct kmem_cache_cpu *c, struct slab *slab,
			 struct free_object *fo)
{
	if (c->swings & SWING_BEGUN || c->stage != STAGE_NONE || !slab_is_of(slab, t) ||
	    !sheaf_is_patient(c))
		return false;
	c->idle--;
	fo->state.mark = FREE_MARK;
	c->stage = STAGE_MINE;
	barrier();
	__slab_put(slab, fo);
	if (slab->list == LIST_FULL || unlikely(slab->inuse == 0))
		__list_after_put(t, slab->cache, slab);
	barrier();
	c->stage = STAGE_NONE;
	return true;
}

/* Between two of them that look at the clock. */
#define PUTS_UNPOLLED 32U

static noinline void poll_after_free(struct thread *t)
{
	thread_check_nodes(t);
	thread_poll_idle(t, purge_poll());
}

static noinline void free_by_flush(struct thread *t, struct kmem_cache_cpu *c, struct slab *slab,
				   struct free_object *fo)
{
	struct kmem_cache *s = slab->cache;
	struct local_hold hold;
	bool flushed;

	if (unlikely(s->flags & CACHE_RUNS)) {
		run_free_full(c, t, fo);
		return;
	}
	local_hold(t, s, &hold);
	__free(t, s, fo);
	/* Such are few, for there is room again. */
	flushed = c->freelist->state.room != 0;
	local_unlock(t, c);
	if (flushed || unlikely(++t->puts % PUTS_UNPOLLED == 0))
		poll_after_free(t);
}

void slab_free_full(struct thread *t, struct slab *slab, struct free_object *fo)
{
	struct kmem_cache *s = slab->cache;
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	/*
	 * Anew: the caller may have jumped here and given up its frame, and what stood at the stack pointer that it noted is
	 * written over. This frame stays until the lock is free.
	 */
	local_lock(c);
	if (unlikely(!__put_direct(t, c, slab, fo))) {
		free_by_flush(t, c, slab, fo);
		/* Or that would be a jump, too. */
		__asm__ volatile("");
		return;
	}
	local_unlock(t, c);
	cache_count(s, FREE_SLOWPATH, 1);
	if (unlikely(++t->puts % PUTS_UNPOLLED == 0))
		poll_after_free(t);
}

/* As another thread's object: the sheaf is held by a frame that this one interrupted, or is not for it, or there is none. */
static void free_to_slab(struct slab *slab, struct free_object *fo)
{
	/* Not from the slab later: once the object is pushed, the slab may be anybody's. */
	struct node *node = slab_node(slab);
	struct kmem_cache_node *n = get_node(slab->cache, node);
	struct free_group group = free_group_of(slab, fo);

	fo->state.mark = FREE_MARK;
	switch (slab_free_remote(slab, &group, NO_OWNER)) {
	case FREE_LISTED:
		list_partial(n, slab);
		break;
	case FREE_EMPTIED:
		note_empty(n, node);
		break;
	case FREE_PUSHED:
	case FREE_ADOPTED:
		break;
	}
}

/* Is it free already, wherever free objects are? The search is for objects that carry the mark only. */
static bool is_free(struct slab *slab, const struct free_object *fo)
{
	return slab_has_free(slab, fo) || thread_has_free(slab->cache, fo);
}

static bool may_free(struct slab *slab, void *p)
{
	struct free_object *fo = object_to_free(slab->cache, p);

	if (unlikely(!slab_object_ok(slab, (uintptr_t)p - slab->base))) {
		report_object(slab->cache, "free of what is not the start of an object:", p);
		return false;
	}
	if (unlikely(fo->state.mark == FREE_MARK) && is_free(slab, fo)) {
		report_object(slab->cache, "double free of", p);
		return false;
	}
	return true;
}

void slab_free_shared(struct slab *slab, void *p)
{
	if (may_free(slab, p))
		free_to_slab(slab, object_to_free(slab->cache, p));
}

/* Of another node than what the thread allocates: to its slab, where it is of use to who is near it. */
static bool is_far(const struct thread *t, const struct slab *slab)
{
	return numa_is_on() && numa_colour(slab_node(slab)) != t->colour;
}

void slab_free(struct slab *slab, void *p)
{
	struct kmem_cache *s = slab->cache;
	struct free_object *fo = object_to_free(s, p);
	struct local_hold hold;
	struct thread *t;

	if (!may_free(slab, p))
		return;
	t = s->flags & CACHE_SHARED ? NULL : thread_current();
	if (t && is_far(t, slab)) {
		cache_count(s, FREE_SLOWPATH, 1);
		free_to_slab(slab, fo);
		return;
	}
	if (!t || !local_trylock(t, s, &hold)) {
		cache_count(s, t ? FREE_NESTED : FREE_SLOWPATH, 1);
		free_to_slab(slab, fo);
		return;
	}
	__free(t, s, fo);
	local_unlock(t, thread_cpu(t, s->cpu_offset));
}

uint32_t cache_shrink(struct kmem_cache *s)
{
	thread_flush(current_thread, s);
	return shrink_nodes(s);
}
