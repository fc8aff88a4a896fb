/*
 * What a thread does with its slabs of a cache: refill, keep, give up. Layer: thread; see thread.h.
 *
 * The order of refilling is by cost: what the current slab got back, a partial slab of the thread, a
 * full one that frees from elsewhere have reached, the node's list, new frames.
 *
 * A thread keeps up to max_owned slabs on each list. While it owns a full slab, local frees into it need
 * no CAS; but memory in the slabs of an idle thread is out of reach for the others, so the oldest are
 * released: a full slab is then nobody's, and whoever first frees into it owns it. A consumer so comes to
 * own the slabs that a producer filled, and frees into them at the cost of a local free.
 */
#include "list.h"
#include "node.h"
#include "slab.h"
#include "thread.h"

#define MAX_EMPTY 1U
/* Full slabs looked at for remote frees before a new slab is made. */
#define SCAN_FULL 4U

static struct kmem_cache_lists *thread_lists(struct thread *t, const struct kmem_cache *s)
{
	return (struct kmem_cache_lists *)((char *)t + s->lists_offset);
}

bool local_trylock(struct thread *t, const struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	if (c->local_lock != (uintptr_t)t && c->local_lock != 0)
		return false;
	local_lock(c);
	/* Only now: a handler before the lock was taken may have set up the slot. */
	if (!c->slab)
		c->slab = &slab_none;
	return true;
}

static bool should_keep_empty(const struct kmem_cache_lists *l)
{
	return l->nr_empty < MAX_EMPTY;
}

static void __del_partial(struct kmem_cache_lists *l, struct slab *slab)
{
	slab_list_del(&l->partial, slab);
	slab->list = LIST_NONE;
	l->nr_partial--;
	if (slab->countdown == 0)
		l->nr_empty--;
}

static void __del_full(struct kmem_cache_lists *l, struct slab *slab)
{
	slab_list_del(&l->full, slab);
	slab->list = LIST_NONE;
	l->nr_full--;
}

/* countdown holds the objects in use. */
static void __add_partial(struct kmem_cache *s, struct kmem_cache_lists *l, struct slab *slab)
{
	if (slab->countdown == 0 && !should_keep_empty(l)) {
		discard_slab(slab);
		return;
	}
	slab->list = LIST_PARTIAL;
	slab_list_add_head(&l->partial, slab);
	l->nr_partial++;
	if (slab->countdown == 0)
		l->nr_empty++;
	if (l->nr_partial > s->max_owned) {
		slab = l->partial->prev;
		__del_partial(l, slab);
		put_slab(get_node(s), slab);
	}
}

/* A full slab that remote frees have reached. */
static bool __collect_full(struct kmem_cache_lists *l, struct slab *slab)
{
	uint32_t count = slab_has_remote(slab) ? __slab_collect(slab) : 0;

	if (!count)
		return false;
	__del_full(l, slab);
	slab->countdown = slab->objects - count;
	return true;
}

static void __add_full(struct kmem_cache *s, struct kmem_cache_lists *l, struct slab *slab)
{
	slab->countdown = 1;
	slab->list = LIST_FULL;
	slab_list_add_tail(&l->full, slab);
	l->nr_full++;
	if (l->nr_full <= s->max_owned)
		return;
	slab = l->full;
	if (__collect_full(l, slab)) {
		__add_partial(s, l, slab);
		return;
	}
	__del_full(l, slab);
	put_slab(get_node(s), slab);
}

static struct slab *__scan_full(struct kmem_cache_lists *l)
{
	for (unsigned int i = 0; i < SCAN_FULL && l->full; i++) {
		struct slab *slab = l->full;

		if (__collect_full(l, slab))
			return slab;
		l->full = slab->next;
	}
	return NULL;
}

static struct slab *__next_slab(struct thread *t, struct kmem_cache *s, struct kmem_cache_lists *l)
{
	struct slab *slab = l->partial;

	if (slab) {
		__del_partial(l, slab);
		return slab;
	}
	slab = __scan_full(l);
	if (slab)
		return slab;
	slab = get_partial(get_node(s));
	if (slab) {
		slab_set_owner(slab, t);
		return slab;
	}
	return new_slab(s, t);
}

bool __thread_refill(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);
	struct slab *slab = c->slab;

	if (slab != &slab_none) {
		if (__slab_refill(slab))
			return true;
		c->slab = &slab_none;
		__add_full(s, l, slab);
	}
	slab = __next_slab(t, s, l);
	if (!slab)
		return false;
	slab->countdown = COUNTDOWN_ACTIVE;
	c->slab = slab;
	return __slab_refill(slab);
}

void __thread_free_edge(struct thread *t, struct slab *slab)
{
	struct kmem_cache *s = slab->cache;
	struct kmem_cache_lists *l = thread_lists(t, s);

	switch ((enum slab_list)slab->list) {
	case LIST_NONE: /* c->slab, after 2^31 frees */
		slab->countdown = COUNTDOWN_ACTIVE;
		break;
	case LIST_FULL:
		__del_full(l, slab);
		slab->countdown = slab->objects - 1;
		__add_partial(s, l, slab);
		break;
	case LIST_PARTIAL:
		if (should_keep_empty(l)) {
			l->nr_empty++;
			break;
		}
		slab_list_del(&l->partial, slab);
		slab->list = LIST_NONE;
		l->nr_partial--;
		discard_slab(slab);
		break;
	}
}

void __thread_adopt(struct thread *t, struct slab *slab, struct free_object *fo)
{
	struct kmem_cache *s = slab->cache;

	fo->next = NULL;
	slab->freelist = fo;
	slab->countdown = slab->objects - 1;
	slab_set_owner(slab, t);
	__add_partial(s, thread_lists(t, s), slab);
}

void __thread_flush(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);
	struct slab *slab = c->slab;

	c->slab = &slab_none;
	if (slab && slab != &slab_none)
		put_slab(get_node(s), slab);
	while ((slab = l->partial)) {
		__del_partial(l, slab);
		put_slab(get_node(s), slab);
	}
	while ((slab = l->full)) {
		__del_full(l, slab);
		put_slab(get_node(s), slab);
	}
}
