/*
 * Taking the local_lock, and mending what a holder left that never comes back. Layer: thread; see thread.h.
 *
 * The slow paths order their stores so that at each instruction every object is in one place, or in two
 * of which the stage or the slab's map says which counts; what is only in registers is lost: an object, or
 * the frames of a slab. Lists of slabs are not mended but made anew, from the slabs that say that they are
 * this thread's and this cache's.
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
	if (*link)
		*link = NULL;
}

/* Has the group been handed out again, or can nobody say? A collection counts itself before that. */
racy_reader static bool was_collected(const struct slab *slab, const struct sending *sending)
{
	if (load_folded(*slab_free_word(slab, sending->word)) & sending->mask)
		return true;
	atomic_thread_fence(memory_order_acquire);
	return slab_collections(slab) != sending->collections;
}

/* Is it still the first of what is to be flushed? What has been sent is never touched. */
static bool is_unsent(const struct kmem_cache *s, const struct free_object *flushing,
		      const struct sending *sending)
{
	struct free_group group;

	if (freelist_is_end(s, flushing) || slab_of(flushing) != sending->slab)
		return false;
	group = free_group_of(sending->slab, flushing);
	return group.word == sending->word && group.mask & sending->mask;
}

/*
 * Did what was announced reach its slab? One OR sets it in the map of what others freed, and a collection moves
 * it from there to the other: they are looked at in this order. It is sent now if it hasn't been; where that
 * can't be told, because the slab was collected since, it is given up.
 */
static void __recover_sending(struct thread *t, const struct kmem_cache *s)
{
	const struct sending *sending = &t->sending;
	struct free_group group = {sending->mask, sending->word};
	struct slab *slab = sending->slab;
	union slab_shared now = slab_shared(slab, memory_order_acquire);
	uint64_t remote;

	if (is_unsent(s, thread_lists(t, s)->flushing, sending))
		return;
	/* The slab is gone, as it can't be while an object of it is in use. */
	if (now.generation != sending->generation || now.state == SLAB_FREE)
		return;
	remote = atomic_load_explicit(slab_remote_word(slab, group.word), memory_order_acquire);
	if (!(remote & group.mask)) {
		if (was_collected(slab, sending))
			return;
		slab_set_remote(slab, &group);
	}
	slab_note_remote(slab, group.word, now, t);
}

static void __recover_moving(struct kmem_cache_cpu *c, struct kmem_cache_lists *l)
{
	if (c->stage != STAGE_MINE && !sheaf_is_shut(c))
		l->moving = NULL;
	list_cut(&l->moving, l->flushing);
	barrier();
	c->stage = STAGE_MINE;
}

/* What is free in a slab of the thread's already: it was on its way there, or being taken. */
static void __drop_arrived(struct thread *t, const struct kmem_cache *s, struct kmem_cache_lists *l)
{
	struct free_object **link = &l->flushing;

	while (!freelist_is_end(s, *link)) {
		struct slab *slab = slab_of(*link);

		if (slab_is_of(slab, t) && __slab_is_free(slab, *link))
			*link = (*link)->next;
		else
			link = &(*link)->next;
	}
}

/* Behind what was to be flushed anyway. */
static void __flush_moving(const struct kmem_cache *s, struct kmem_cache_lists *l)
{
	struct free_object **end = &l->moving;

	while (!freelist_is_end(s, *end))
		end = &(*end)->next;
	*end = l->flushing;
	barrier();
	l->flushing = l->moving;
	barrier();
	l->moving = NULL;
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
	if (slab->inuse == 0 && c->nr_empty < UINT16_MAX)
		c->nr_empty++;
}

/* Frames on the lists of all of a thread's caches; and those of slabs with no object in use, apart. */
struct frames {
	int32_t owned, empty;
};

static void count_listed(const struct slab *slab, struct frames *frames)
{
	if (slab->list == LIST_NONE)
		return;
	if (slab->inuse)
		frames->owned += (int32_t)slab->nr_frames;
	else
		frames->empty += (int32_t)slab->nr_frames;
}

static void __relist_section(struct thread *t, const struct kmem_cache *s, struct section *sec,
			     struct frames *frames)
{
	for (uint32_t i = 0;; i++) {
		struct slab *slab;

		i = bitmap_next(sec->used, i, SECTION_FRAMES, true);
		if (i == SECTION_FRAMES)
			return;
		slab = &sec->slabs[i];
		if (!slab_is_of(slab, t))
			continue;
		if (slab->cache == s)
			__relist(thread_cpu(t, s->cpu_offset), thread_lists(t, s), slab);
		count_listed(slab, frames);
	}
}

static void __recover_lists(struct thread *t, const struct kmem_cache *s)
{
	struct kmem_cache_lists *l = thread_lists(t, s);
	struct frames frames = {0, 0};
	struct section *sec;

	l->partial = l->full = NULL;
	thread_cpu(t, s->cpu_offset)->nr_empty = 0;
	for_each_section(sec, nr)
		__relist_section(t, s, sec, &frames);
	atomic_store_explicit(&t->owned, frames.owned, memory_order_relaxed);
	atomic_store_explicit(&t->empty, frames.empty, memory_order_relaxed);
}

static void __recover(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);

	assert(local_lock_is_locked(t, c));
	if (c->stage == STAGE_SENDING) {
		__recover_sending(t, s);
		thread_end_sending(t, s);
	}
	__recover_moving(c, l);
	__recover_lists(t, s);
	__flush_moving(s, l);
	__drop_arrived(t, s, l);
	__thread_put_all(t, s);
	if (sheaf_is_shut(c))
		c->freelist = &s->bottom[c->grade];
	barrier();
	c->stage = STAGE_NONE;
}

/* Zero until the thread first uses the cache. */
static void slot_init(struct kmem_cache_cpu *c, struct kmem_cache *s)
{
	if (likely(c->slab))
		return;
	c->freelist = &s->bottom[c->grade];
	barrier();
	c->slab = &slab_none;
}

/*
 * From `word`, which was found free, or judged abandoned. A holder that is gone may have left a stage; and so may
 * one before it, if a call of the fast path that had found the lock free earlier has gone on and dropped it.
 */
static bool take(struct thread *t, struct kmem_cache *s, struct local_hold *hold, uintptr_t word)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	uintptr_t mine = local_hold_word(t, hold);

	hold->cpu = c;
	barrier();
	if (word == (uintptr_t)t || word == 0)
		c->local_lock = mine;
	/* A handler may have come by since: then it is busy, as far as this call can know. */
	else if (!__atomic_compare_exchange_n(&c->local_lock, &word, mine, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED))
		return false;
	barrier();
	slot_init(c, s);
	if (unlikely(c->stage != STAGE_NONE))
		__recover(t, s);
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
