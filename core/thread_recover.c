/*
 * Taking the local_lock, and mending what a holder left that never comes back. Layer: thread; see thread.h.
 *
 * The slow paths order their stores so that at each instruction every object is in one place, or in two
 * of which the stage says which counts; what is only in registers is lost: an object, or those of one slab
 * that were going home together, or a slab. Lists of slabs are not mended but made anew, from the slabs
 * that say that they are this thread's and this cache's.
 */
#include "frame.h"
#include "bitmap.h"
#include "list.h"
#include "slab.h"
#include "thread.h"

/* Ends the list in front of `stop`, should it run on into it. */
static void list_cut(struct free_object **list, const struct free_object *stop)
{
	struct free_object **link = list;

	if (!stop)
		return;
	while (*link && *link != stop)
		link = &(*link)->next;
	*link = NULL;
}

/*
 * Taking: the sheaf has its objects still, or moving alone has. Giving: the other way round. Where it is not
 * exact, the fast path may have used the sheaf since: nothing can be told, and what moved is given up.
 */
static void __recover_moving(struct kmem_cache_cpu *c, struct kmem_cache_lists *l, bool exact)
{
	bool mine = c->stage == STAGE_MINE || (exact && !c->freelist);

	if (!mine)
		l->moving = NULL;
	list_cut(&l->moving, c->slab->freelist);
	list_cut(&l->moving, l->flushing);
	barrier();
	c->stage = STAGE_MINE;
}

/* Behind what was to be flushed anyway. */
static void __flush_moving(struct kmem_cache_lists *l)
{
	struct free_object **end = &l->moving;

	while (*end)
		end = &(*end)->next;
	*end = l->flushing;
	barrier();
	l->flushing = l->moving;
	barrier();
	l->moving = NULL;
}

static void __recover_room(struct kmem_cache_cpu *c, const struct kmem_cache *s)
{
	uint32_t n = 0;

	for (const struct free_object *fo = c->freelist; fo; fo = fo->next)
		n++;
	c->room = n < s->sheaf ? s->sheaf - n : 0;
}

static void __relist(struct kmem_cache_cpu *c, struct kmem_cache_lists *l, struct slab *slab)
{
	__slab_recover(slab);
	slab->list = LIST_NONE;
	if (slab == c->slab)
		return;
	if (slab_is_full(slab)) {
		slab->list = LIST_FULL;
		slab_list_add_tail(&l->full, slab);
		return;
	}
	slab->list = LIST_PARTIAL;
	slab_list_add_tail(&l->partial, slab);
	c->nr_empty = (uint16_t)(c->nr_empty + (slab->inuse == 0));
}

/* Returns the frames that the thread has on the lists of all its caches. */
static int32_t __relist_section(struct thread *t, const struct kmem_cache *s, struct section *sec)
{
	int32_t owned = 0;

	for (uint32_t i = 0;; i++) {
		struct slab *slab;

		i = bitmap_next(sec->used, i, SECTION_FRAMES, true);
		if (i == SECTION_FRAMES)
			return owned;
		slab = &sec->slabs[i];
		if (load_folded(slab->owner) != t || slab->kind != FRAME_SLAB)
			continue;
		if (slab->cache == s)
			__relist(thread_cpu(t, s->cpu_offset), thread_lists(t, s), slab);
		if (slab->list != LIST_NONE)
			owned += (int32_t)slab->nr_frames;
	}
}

static void __recover_lists(struct thread *t, const struct kmem_cache *s)
{
	struct kmem_cache_lists *l = thread_lists(t, s);
	struct section *sec;
	int32_t owned = 0;

	l->partial = l->full = NULL;
	thread_cpu(t, s->cpu_offset)->nr_empty = 0;
	for_each_section(sec, nr)
		owned += __relist_section(t, s, sec);
	atomic_store_explicit(&t->owned, owned, memory_order_relaxed);
}

/*
 * `exact`: it is the holder that set the stage, so that nothing has changed since; otherwise a call of the
 * fast path, which had found the lock free before, has gone on meanwhile.
 */
static void __recover(struct thread *t, struct kmem_cache *s, bool exact)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);

	assert(local_lock_is_locked(t, c));
	if (c->stage != STAGE_NONE) {
		__recover_moving(c, l, exact);
		__recover_lists(t, s);
		__flush_moving(l);
		__thread_put_all(t, s);
		barrier();
		c->stage = STAGE_NONE;
	}
	__recover_room(c, s);
}

/* Zero until the thread first uses the cache. */
static void slot_init(struct kmem_cache_cpu *c, const struct kmem_cache *s)
{
	if (likely(c->slab))
		return;
	c->room = s->sheaf;
	barrier();
	c->slab = &slab_none;
}

/*
 * From `word`, which was found free, or judged abandoned. What the stage says is exact where it was set by the
 * very holder that is gone: a slow one, which had made sure of what it found. Where in doubt, the word says so
 * until all is whole, for this may be abandoned as well.
 */
static bool take(struct thread *t, struct kmem_cache *s, struct local_hold *hold, uintptr_t word)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	uintptr_t mine = local_hold_word(t, hold);
	bool held = word != (uintptr_t)t && word != 0;
	bool exact = held && (word & HOLD_DOUBT) == HOLD_SLOW;
	uintptr_t first = exact ? mine : mine | HOLD_DOUBT;

	hold->cpu = c;
	barrier();
	if (!held)
		c->local_lock = first;
	/* A handler may have come by since: then it is busy, as far as this call can know. */
	else if (!__atomic_compare_exchange_n(&c->local_lock, &word, first, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED))
		return false;
	barrier();
	slot_init(c, s);
	if (unlikely(held || c->stage != STAGE_NONE))
		__recover(t, s, exact);
	barrier();
	c->local_lock = mine;
	barrier();
	return true;
}

bool local_trylock(struct thread *t, struct kmem_cache *s, struct local_hold *hold)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	uintptr_t word = *(volatile uintptr_t *)&c->local_lock;
	bool held = word != (uintptr_t)t && word != 0;

	if (unlikely(held) && !local_lock_is_abandoned(t, c, word, hold))
		return false;
	return take(t, s, hold, word);
}

void local_seize(struct thread *t, struct kmem_cache *s, struct local_hold *hold)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	while (!take(t, s, hold, *(volatile uintptr_t *)&c->local_lock))
		;
}

void local_hold(struct thread *t, struct kmem_cache *s, struct local_hold *hold)
{
	take(t, s, hold, (uintptr_t)t);
}
