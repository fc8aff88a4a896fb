/*
 * What a thread does with its slabs of a cache: refill, keep, give up. Layer: thread; see thread.h.
 *
 * A sheaf is refilled by cost: from the current slab, a partial slab of the thread, a full one that frees
 * from elsewhere have reached, the node's list, new frames. It is flushed to where its objects are of, what is in
 * a row at once: into the thread's own slabs by plain stores; to another's, if its bits are in one word, by one
 * atomic OR.
 *
 * A thread keeps slabs of up to MAX_OWNED frames, for into its own it frees without a CAS; but what is free
 * in the slabs of an idle thread is out of reach for the others, so beyond that the oldest are released. A full
 * slab is then nobody's, and whoever first frees into it owns it: a consumer comes to own the slabs that a
 * producer filled.
 */
#include "counters.h"
#include "list.h"
#include "map.h"
#include "node.h"
#include "slab.h"
#include "thread.h"

#define MAX_EMPTY 1U
/* Full slabs looked at for remote frees before a new slab is made. */
#define SCAN_FULL 4U

/* Frames on the lists of a thread, of all its caches: 4 MiB; 32 while nobody else could use them. */
#define MAX_OWNED 64
#define MAX_OWNED_ALONE 512

/* Atomic, for a handler on the same thread may be at another cache's lists. */
static void count_owned(struct thread *t, int32_t frames)
{
	atomic_fetch_add_explicit(&t->owned, frames, memory_order_relaxed);
}

/* Set once. */
static early_data _Atomic bool have_company;

void thread_note_company(void)
{
	atomic_store_explicit(&have_company, true, memory_order_relaxed);
}

static bool owns_too_much(struct thread *t)
{
	int32_t owned = atomic_load_explicit(&t->owned, memory_order_relaxed);

	return owned > MAX_OWNED && (owned > MAX_OWNED_ALONE ||
				     atomic_load_explicit(&have_company, memory_order_relaxed));
}

static bool should_keep_empty(const struct kmem_cache_cpu *c)
{
	return c->nr_empty < MAX_EMPTY;
}

static void __del_partial(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	slab_list_del(&thread_lists(t, s)->partial, slab);
	slab->list = LIST_NONE;
	count_owned(t, -(int32_t)slab->nr_frames);
	if (slab->inuse == 0 && c->nr_empty)
		c->nr_empty--;
}

static void __del_full(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	slab_list_del(&thread_lists(t, s)->full, slab);
	slab->list = LIST_NONE;
	count_owned(t, -(int32_t)slab->nr_frames);
}

static void __add_partial(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);

	if (slab->inuse == 0 && !should_keep_empty(c)) {
		discard_slab(slab);
		return;
	}
	slab->list = LIST_PARTIAL;
	slab_list_add_head(&l->partial, slab);
	count_owned(t, (int32_t)slab->nr_frames);
	if (slab->inuse == 0)
		c->nr_empty++;
	if (owns_too_much(t)) {
		slab = l->partial->prev;
		__del_partial(t, s, slab);
		put_slab(slab);
	}
}

/* A full slab that remote frees have reached. */
static bool __collect_full(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	if (!slab_has_remote(slab) || !__slab_collect(slab))
		return false;
	__del_full(t, s, slab);
	return true;
}

static void __add_full(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct kmem_cache_lists *l = thread_lists(t, s);

	slab->list = LIST_FULL;
	slab_list_add_tail(&l->full, slab);
	count_owned(t, (int32_t)slab->nr_frames);
	if (!owns_too_much(t))
		return;
	slab = l->full;
	if (__collect_full(t, s, slab)) {
		__add_partial(t, s, slab);
		return;
	}
	__del_full(t, s, slab);
	put_slab(slab);
}

static struct slab *__scan_full(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_lists *l = thread_lists(t, s);

	for (unsigned int i = 0; i < SCAN_FULL && l->full; i++) {
		struct slab *slab = l->full;

		if (__collect_full(t, s, slab))
			return slab;
		l->full = slab->next;
	}
	return NULL;
}

/* One of those that the thread has. NULL: none. */
static struct slab *__own_slab(struct thread *t, struct kmem_cache *s)
{
	struct slab *slab = thread_lists(t, s)->partial;

	if (!slab)
		return __scan_full(t, s);
	__del_partial(t, s, slab);
	return slab;
}

static struct slab *__next_slab(struct thread *t, struct kmem_cache *s, struct node *home)
{
	struct slab *slab;

	/* What is of another node than it should be goes there, for who is on it. */
	while ((slab = __own_slab(t, s))) {
		if (slab_is_welcome(s, slab, home))
			return slab;
		put_slab(slab);
	}
	return get_slab(s, home, t);
}

/* The thread has been moved to another node, or its node has left, or the policy has changed. */
static void __leave_other_node(struct thread *t, struct kmem_cache *s, struct node *home)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct slab *slab = c->slab;

	if (slab == &slab_none || slab_is_welcome(s, slab, home))
		return;
	cache_count(s, ALLOC_NODE_MISMATCH, 1);
	c->slab = &slab_none;
	put_slab(slab);
}

/* Do the objects say what room is left? */
static bool is_sheaf(const struct kmem_cache *s, const struct free_object *fo)
{
	uint32_t room = fo->state.room;

	for (; !freelist_is_end(s, fo); fo = fo->next) {
		if (fo->state.mark != FREE_MARK || fo->state.room != room++)
			return false;
	}
	return freelist_is_end(s, fo) && room == fo->state.room;
}

/* What has been moved, a sheaf down to its bottom and nobody else's, takes the place of the one that is shut. */
static void __give(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);

	assert(c->stage == STAGE_MINE && sheaf_is_shut(c) && is_sheaf(s, l->moving));
	(void)is_sheaf;
	barrier();
	c->stage = STAGE_GIVING;
	barrier();
	c->freelist = l->moving;
	barrier();
	l->moving = NULL;
	barrier();
	c->stage = STAGE_NONE;
}

static struct free_object *sheaf_bottom(struct thread *t, struct kmem_cache *s)
{
	return &s->bottom[thread_cpu(t, s->cpu_offset)->grade];
}

static void __give_nothing(struct thread *t, struct kmem_cache *s)
{
	thread_lists(t, s)->moving = sheaf_bottom(t, s);
	__give(t, s);
}

static bool __refill_from(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct free_object *bottom = sheaf_bottom(t, s);
	uint32_t n = __slab_take(slab, bottom->state.room / 2, bottom, &thread_lists(t, s)->moving);

	if (n)
		__give(t, s);
	cache_count(s, ALLOC_FASTPATH, n);
	return n != 0;
}

bool __thread_refill(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct node *home = numa_home();

	assert(local_lock_is_locked(t, c));
	cache_count(s, ALLOC_SLOWPATH, 1);
	if (unlikely(s->ctor))
		local_lock_set_far(c);
	c->stage = STAGE_MINE;
	barrier();
	c->freelist = &sheaf_shut;
	c->swings |= SWING_BEGUN;
	barrier();
	if (numa_is_on()) {
		t->colour = numa_colour(home);
		__leave_other_node(t, s, home);
	}
	for (;;) {
		struct slab *slab = c->slab;

		if (slab != &slab_none) {
			if (__refill_from(t, s, slab))
				return true;
			c->slab = &slab_none;
			__add_full(t, s, slab);
		}
		slab = __next_slab(t, s, home);
		if (!slab)
			break;
		c->slab = slab;
		barrier();
	}
	__give_nothing(t, s);
	return false;
}

static void __empty_partial(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	if (should_keep_empty(c)) {
		c->nr_empty++;
		return;
	}
	slab_list_del(&thread_lists(t, s)->partial, slab);
	slab->list = LIST_NONE;
	count_owned(t, -(int32_t)slab->nr_frames);
	discard_slab(slab);
}

/* The first of what is to be flushed, and what is in a row with it, into a slab of the thread's own. */
static void __put_local(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct kmem_cache_lists *l = thread_lists(t, s);

	/* Not before they are free, and not after the slab may have gone. */
	l->flushing = __slab_put_row(slab, l->flushing);
	barrier();
	switch ((enum slab_list)slab->list) {
	case LIST_NONE: /* the current one */
		break;
	case LIST_FULL:
		__del_full(t, s, slab);
		__add_partial(t, s, slab);
		break;
	case LIST_PARTIAL:
		if (slab->inuse == 0)
			__empty_partial(t, s, slab);
		break;
	}
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

void __thread_flush_sheaf(struct thread *t, struct kmem_cache *s, struct free_object *fo)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);
	uint32_t n = sheaf_bottom(t, s)->state.room;
	bool grows = sheaf_grows(c, s);
	struct free_object *last;

	cache_count(s, FREE_SLOWPATH, 1);
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
