/*
 * What a thread does with its slabs of a cache: refill, keep, give up. Layer: thread; see thread.h.
 *
 * A sheaf is refilled by cost: from the current slab, a partial slab of the thread, a full one that frees
 * from elsewhere have reached, the node's list, new frames. It is flushed to where its objects are of: into
 * the thread's own slabs by plain stores; to another's, all that are of one slab in a row by one CAS.
 *
 * A thread keeps slabs of up to MAX_OWNED frames, for into its own it frees without a CAS; but what is free
 * in the slabs of an idle thread is out of reach for the others, so beyond that the oldest are released. A full
 * slab is then nobody's, and whoever first frees into it owns it: a consumer comes to own the slabs that a
 * producer filled.
 */
#include "list.h"
#include "map.h"
#include "node.h"
#include "slab.h"
#include "thread.h"

#define MAX_EMPTY 1U
/* Full slabs looked at for remote frees before a new slab is made. */
#define SCAN_FULL 4U

bool local_trylock(struct thread *t, const struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	if (c->local_lock != (uintptr_t)t && c->local_lock != 0)
		return false;
	local_lock(c);
	/* Only now: a handler before the lock was taken may have set up the slot. */
	if (!c->slab) {
		c->room = s->sheaf;
		c->slab = &slab_none;
	}
	return true;
}

/* Frames on the lists of a thread, of all its caches: 4 MiB; 32 while nobody else could use them. */
#define MAX_OWNED 64
#define MAX_OWNED_ALONE 512

/* Atomic, for a handler on the same thread may be at another cache's lists. */
static void count_owned(struct thread *t, int32_t frames)
{
	atomic_fetch_add_explicit(&t->owned, frames, memory_order_relaxed);
}

static bool owns_too_much(struct thread *t)
{
	int32_t owned = atomic_load_explicit(&t->owned, memory_order_relaxed);

	return owned > MAX_OWNED && (owned > MAX_OWNED_ALONE || !thread_is_alone());
}

static bool should_keep_empty(const struct kmem_cache_lists *l)
{
	return l->nr_empty < MAX_EMPTY;
}

static void __del_partial(struct thread *t, struct kmem_cache_lists *l, struct slab *slab)
{
	slab_list_del(&l->partial, slab);
	slab->list = LIST_NONE;
	count_owned(t, -(int32_t)slab->nr_frames);
	if (slab->inuse == 0)
		l->nr_empty--;
}

static void __del_full(struct thread *t, struct kmem_cache_lists *l, struct slab *slab)
{
	slab_list_del(&l->full, slab);
	slab->list = LIST_NONE;
	count_owned(t, -(int32_t)slab->nr_frames);
}

static void __add_partial(struct thread *t, struct kmem_cache *s, struct kmem_cache_lists *l,
			  struct slab *slab)
{
	if (slab->inuse == 0 && !should_keep_empty(l)) {
		discard_slab(slab);
		return;
	}
	slab->list = LIST_PARTIAL;
	slab_list_add_head(&l->partial, slab);
	count_owned(t, (int32_t)slab->nr_frames);
	if (slab->inuse == 0)
		l->nr_empty++;
	if (owns_too_much(t)) {
		slab = l->partial->prev;
		__del_partial(t, l, slab);
		put_slab(get_node(s), slab);
	}
}

/* A full slab that remote frees have reached. */
static bool __collect_full(struct thread *t, struct kmem_cache_lists *l, struct slab *slab)
{
	if (!slab_has_remote(slab) || !__slab_collect(slab))
		return false;
	__del_full(t, l, slab);
	return true;
}

static void __add_full(struct thread *t, struct kmem_cache *s, struct kmem_cache_lists *l,
		       struct slab *slab)
{
	slab->list = LIST_FULL;
	slab_list_add_tail(&l->full, slab);
	count_owned(t, (int32_t)slab->nr_frames);
	if (!owns_too_much(t))
		return;
	slab = l->full;
	if (__collect_full(t, l, slab)) {
		__add_partial(t, s, l, slab);
		return;
	}
	__del_full(t, l, slab);
	put_slab(get_node(s), slab);
}

static struct slab *__scan_full(struct thread *t, struct kmem_cache_lists *l)
{
	for (unsigned int i = 0; i < SCAN_FULL && l->full; i++) {
		struct slab *slab = l->full;

		if (__collect_full(t, l, slab))
			return slab;
		l->full = slab->next;
	}
	return NULL;
}

static struct slab *__next_slab(struct thread *t, struct kmem_cache *s, struct kmem_cache_lists *l)
{
	struct slab *slab = l->partial;

	if (slab) {
		__del_partial(t, l, slab);
		return slab;
	}
	slab = __scan_full(t, l);
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

	for (;;) {
		struct slab *slab = c->slab;

		if (slab != &slab_none) {
			uint32_t n = __slab_take(slab, s->sheaf / 2, &c->freelist);

			c->room -= n;
			if (n)
				return true;
			c->slab = &slab_none;
			__add_full(t, s, l, slab);
		}
		slab = __next_slab(t, s, l);
		if (!slab)
			return false;
		c->slab = slab;
	}
}

static void __empty_partial(struct thread *t, struct kmem_cache_lists *l, struct slab *slab)
{
	if (should_keep_empty(l)) {
		l->nr_empty++;
		return;
	}
	slab_list_del(&l->partial, slab);
	slab->list = LIST_NONE;
	count_owned(t, -(int32_t)slab->nr_frames);
	discard_slab(slab);
}

/* Into a slab of the thread's own. */
static void __put_local(struct thread *t, struct kmem_cache *s, struct kmem_cache_lists *l,
			struct slab *slab, struct free_object *fo)
{
	__slab_put(slab, fo);
	switch ((enum slab_list)slab->list) {
	case LIST_NONE: /* the current one */
		break;
	case LIST_FULL:
		__del_full(t, l, slab);
		__add_partial(t, s, l, slab);
		break;
	case LIST_PARTIAL:
		if (slab->inuse == 0)
			__empty_partial(t, l, slab);
		break;
	}
}

/* The slab was full and nobody's; its first free made it this thread's. */
static void __adopt(struct thread *t, struct kmem_cache *s, struct slab *slab,
		    const struct free_chain *chain)
{
	chain->last->next = NULL;
	slab->freelist = chain->first;
	slab->inuse = slab->objects - chain->count;
	slab_set_owner(slab, t);
	__add_partial(t, s, thread_lists(t, s), slab);
}

static void __put_remote(struct thread *t, struct kmem_cache *s, struct slab *slab,
			 const struct free_chain *chain)
{
	switch (slab_free_remote(slab, chain, true)) {
	case FREE_ADOPTED:
		__adopt(t, s, slab, chain);
		break;
	case FREE_EMPTIED:
		note_empty(get_node(s));
		break;
	case FREE_PUSHED:
	case FREE_LISTED:
		break;
	}
}

/* Takes from *list what is of the first one's slab, as far as it comes in a row. */
static void chain_take(struct free_object **list, struct slab *slab, struct free_chain *chain)
{
	struct free_object *fo = *list;

	chain->first = fo;
	chain->count = 0;
	do {
		chain->last = fo;
		chain->count++;
		fo = fo->next;
	} while (fo && slab_of(fo) == slab);
	*list = fo;
}

/* Puts l->flushing away. What is not yet put away stays there, should this never come to its end. */
static void __put_all(struct thread *t, struct kmem_cache *s, struct kmem_cache_lists *l)
{
	while (l->flushing) {
		struct free_object *fo = l->flushing;
		struct slab *slab = slab_of(fo);

		if (load_folded(slab->owner) == t) {
			l->flushing = fo->next;
			__put_local(t, s, l, slab, fo);
		} else {
			struct free_chain chain;

			chain_take(&l->flushing, slab, &chain);
			__put_remote(t, s, slab, &chain);
		}
	}
}

void __thread_flush_sheaf(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);
	struct free_object *last = c->freelist;

	for (uint32_t keep = s->sheaf / 2; --keep;)
		last = last->next;
	l->flushing = last->next;
	last->next = NULL;
	c->room = s->sheaf - s->sheaf / 2;
	__put_all(t, s, l);
}

void __thread_flush(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);
	struct slab *slab;

	l->flushing = c->freelist;
	c->freelist = NULL;
	c->room = s->sheaf;
	__put_all(t, s, l);
	slab = c->slab;
	c->slab = &slab_none;
	if (slab != &slab_none)
		put_slab(get_node(s), slab);
	while ((slab = l->partial)) {
		__del_partial(t, l, slab);
		put_slab(get_node(s), slab);
	}
	while ((slab = l->full)) {
		__del_full(t, l, slab);
		put_slab(get_node(s), slab);
	}
}
