/*
 * What a thread frees beyond its sheaf. Layer: thread; see thread.h.
 *
 * A sheaf that overflows stays as it is: what is freed goes to its slab at once, if that is the thread's own, or full and so
 * nobody's, and from then on the thread's. To put half of the sheaf away for it would cost as much for each object.
 * That is done where the slab is another thread's, for which it pays to come with many; where the sheaf grows; and
 * after so many frees in a row that went past it, for what lies in it keeps slabs from going back that are else empty.
 *
 * A flush puts objects where they are of, what is in a row at once: into the thread's own slabs by plain stores; to
 * another's, if its bits are in one word, by one atomic OR.
 */
#include "counters.h"
#include "map.h"
#include "node.h"
#include "thread_slabs.h"

/* The first of what is to be flushed, and what is in a row with it, into a slab of the thread's own. */
static void __put_local(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct kmem_cache_lists *l = thread_lists(t, s);

	/* Not before they are free, and not after the slab may have gone. */
	l->flushing = __slab_put_row(slab, l->flushing);
	barrier();
	__list_after_put(t, s, slab);
}

/* The group that the first of the list is of, as far as it comes in a row. Returns what follows it. */
static struct free_object *free_group_take(const struct slab *slab, struct free_object *list,
					   struct free_group *group)
{
	*group = free_group_of(slab, list);
	for (list = list->next; !freelist_is_end(slab->cache, list) && slab_of(list) == slab;
	     list = list->next) {
		struct free_group one = free_group_of(slab, list);

		if (one.word != group->word)
			break;
		group->mask |= one.mask;
	}
	return list;
}

/* False: an interrupted call is at it, of another cache. What this cache has left there is over. */
static bool sending_begin(struct thread *t, const struct kmem_cache *s)
{
	uint16_t at = 0;

	return atomic_compare_exchange_strong_explicit(&t->sending.cpu_offset, &at, s->cpu_offset,
						       memory_order_relaxed,
						       memory_order_relaxed) ||
	       at == s->cpu_offset;
}

/* The first group of what is to be flushed, which belongs to `slab`. Returns what follows it. */
static struct free_object *__announce(struct thread *t, struct kmem_cache *s, struct slab *slab,
				      struct free_group *group)
{
	struct free_object *first = thread_lists(t, s)->flushing, *rest;

	if (!sending_begin(t, s)) {
		*group = free_group_of(slab, first);
		return first->next;
	}
	rest = free_group_take(slab, first, group);
	t->sending.slab = slab;
	t->sending.generation = slab_shared(slab, memory_order_acquire).generation;
	t->sending.collections = slab_collections(slab);
	t->sending.word = (uint16_t)group->word;
	t->sending.mask = group->mask;
	barrier();
	thread_cpu(t, s->cpu_offset)->stage = STAGE_SENDING;
	barrier();
	return rest;
}

void thread_end_sending(struct thread *t, const struct kmem_cache *s)
{
	barrier();
	thread_cpu(t, s->cpu_offset)->stage = STAGE_MINE;
	barrier();
	if (atomic_load_explicit(&t->sending.cpu_offset, memory_order_relaxed) == s->cpu_offset)
		atomic_store_explicit(&t->sending.cpu_offset, 0, memory_order_relaxed);
}

/*
 * The first group of what is to be flushed, into a slab that isn't the thread's. When it has left the list,
 * the announcement alone has it.
 */
static void __put_remote(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	union slab_shared before = slab_shared(slab, memory_order_acquire);
	struct free_group group;
	struct free_object *rest = __announce(t, s, slab, &group);
	/* Not from the slab later: once the objects are free, it may be anybody's. */
	struct node *node = slab_node(slab);
	enum free_result result;

	thread_lists(t, s)->flushing = rest;
	barrier();
	slab_set_remote(slab, &group);
	result = slab_note_remote(slab, group.word, before, t);
	thread_end_sending(t, s);
	if (result == FREE_EMPTIED)
		note_empty(get_node(s, node), node);
	if (result != FREE_ADOPTED)
		return;
	__slab_collect(slab);
	/* What is far away is of more use to who is near it. */
	if (numa_is_welcome_here((void *)slab->base, slab->nr_frames))
		__add_partial(t, s, slab);
	else
		put_slab(slab);
}

void __thread_put_all(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_lists *l = thread_lists(t, s);

	while (!freelist_is_end(s, l->flushing)) {
		struct slab *slab = slab_of(l->flushing);

		if (slab_is_of(slab, t))
			__put_local(t, s, slab);
		else
			__put_remote(t, s, slab);
	}
	l->flushing = NULL;
}

/*
 * Puts the object away by itself: nothing but l->flushing has it meanwhile. False: it is of another thread's slab, or of
 * one on a node's list.
 */
static bool __put_one(struct thread *t, struct kmem_cache *s, struct free_object *fo)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct slab *slab = slab_of(fo);
	union slab_shared now = slab_shared(slab, memory_order_relaxed);

	if (!slab_is_of(slab, t) && now.state != SLAB_FULL)
		return false;
	fo->state.mark = FREE_MARK;
	fo->next = NULL;
	c->stage = STAGE_MINE;
	barrier();
	thread_lists(t, s)->flushing = fo;
	barrier();
	__thread_put_all(t, s);
	barrier();
	c->stage = STAGE_NONE;
	return true;
}

/* Takes the whole sheaf, and `fo`, which may be NULL, on top of it: l->moving has them. */
static void __take_sheaf(struct thread *t, struct kmem_cache *s, struct free_object *fo)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct free_object *first = c->freelist;

	assert(local_lock_is_locked(t, c) && !sheaf_is_shut(c));
	if (fo) {
		fo->state.mark = FREE_MARK;
		fo->next = first;
		first = fo;
	}
	c->stage = STAGE_TAKING;
	barrier();
	thread_lists(t, s)->moving = first;
	barrier();
	c->freelist = &sheaf_shut;
	barrier();
	c->stage = STAGE_MINE;
	barrier();
}

/* Has the upper `n` of a list say what room is left with them alone. Returns the last of them. */
static struct free_object *count_room(const struct free_object *bottom, struct free_object *fo,
				      uint32_t n)
{
	union free_state state = {.room = bottom->state.room - n, .mark = FREE_MARK};

	for (; --n; fo = fo->next, state.word++)
		fo->state = state;
	fo->state = state;
	return fo;
}

/* `fo` goes onto the full sheaf, which is doubled, or else half of it, what was freed longest ago, away. */
static void __flush_sheaf(struct thread *t, struct kmem_cache *s, struct free_object *fo,
			  bool grows)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);
	uint32_t n = sheaf_bottom(t, s)->state.room;
	struct free_object *last;

	cache_count(s, FREE_FASTPATH, n / 2U + 1);
	__take_sheaf(t, s, fo);
	c->grade = (uint8_t)(c->grade + grows);
	last = count_room(sheaf_bottom(t, s), fo, grows ? n + 1 : n / 2);
	l->flushing = last->next;
	barrier();
	last->next = sheaf_bottom(t, s);
	barrier();
	__thread_put_all(t, s);
	__give(t, s);
}

void __thread_free_full(struct thread *t, struct kmem_cache *s, struct free_object *fo)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	bool grows = sheaf_grows(c, s);

	cache_count(s, FREE_SLOWPATH, 1);
	if (!grows && sheaf_is_patient(c) && __put_one(t, s, fo)) {
		c->idle--;
		return;
	}
	__flush_sheaf(t, s, fo, grows);
	c->idle = sheaf_patience(c, s);
}

void __thread_flush(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);
	struct slab *slab;

	__take_sheaf(t, s, NULL);
	l->flushing = l->moving;
	barrier();
	l->moving = NULL;
	__thread_put_all(t, s);
	sheaf_shrinks(c, s);
	slab = c->slab;
	c->slab = &slab_none;
	if (slab != &slab_none)
		put_slab(slab);
	while ((slab = l->partial)) {
		__del_partial(t, s, slab);
		put_slab(slab);
	}
	while ((slab = l->full)) {
		__del_full(t, s, slab);
		put_slab(slab);
	}
	__give_nothing(t, s);
}
