/*
 * What a thread does with its slabs of a cache: refill, keep, give up. Layer: thread; see thread.h. What it frees
 * comes from thread_flush.c.
 *
 * A sheaf is refilled by cost: from the current slab, a partial slab of the thread, a full one that frees
 * from elsewhere have reached, the node's list, new frames.
 *
 * A thread keeps slabs of up to MAX_OWNED frames, for into its own it frees without a CAS; but what is free
 * in the slabs of an idle thread is out of reach for the others, so beyond that the oldest are released. A full
 * slab is then nobody's, and whoever first frees into it owns it: a consumer comes to own the slabs that a
 * producer filled.
 *
 * Of slabs with no object in use it keeps one of each cache. Where a program swings by more than the longest sheaf
 * holds, what it frees it was about to ask for again: then it keeps MAX_SWINGING of the cache and MAX_EMPTY frames of
 * all caches; while it is alone MAX_EMPTY_ALONE, of whatever cache. These are counted for themselves, or they would
 * push out what has objects in use.
 */
#include "counters.h"
#include "list.h"
#include "node.h"
#include "thread_slabs.h"

/* Full slabs looked at for remote frees before a new slab is made. */
#define SCAN_FULL 4U

/* Frames on the lists of a thread, of all its caches: 4 MiB; 32 while nobody else could use them. */
#define MAX_OWNED 64
#define MAX_OWNED_ALONE 512
/* The same of empty ones; and slabs of one cache, where it keeps more than one. */
#define MAX_EMPTY 32
#define MAX_EMPTY_ALONE 512
#define MAX_SWINGING 4U

/* By one instruction, for a handler on the same thread may be at another cache's lists. Others only read. */
static inline void count_frames(_Atomic int32_t *word, int32_t frames)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
	__asm__ volatile("addl %1, %0" : "+m"(*word) : "er"(frames));
#else
	atomic_fetch_add_explicit(word, frames, memory_order_relaxed);
#endif
}

static inline int32_t frames_in(const _Atomic int32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* Set once. */
static early_data _Atomic bool have_company;

void thread_note_company(void)
{
	atomic_store_explicit(&have_company, true, memory_order_relaxed);
}

static bool is_alone(void)
{
	return !atomic_load_explicit(&have_company, memory_order_relaxed);
}

static bool owns_too_much(struct thread *t)
{
	int32_t owned = frames_in(&t->owned);

	return owned > MAX_OWNED && (owned > MAX_OWNED_ALONE || !is_alone());
}

static bool should_keep_empty(const struct thread *t, const struct kmem_cache *s,
			      const struct kmem_cache_cpu *c)
{
	int32_t empty = frames_in(&t->empty);

	if (empty >= MAX_EMPTY && (empty >= MAX_EMPTY_ALONE || !is_alone()))
		return false;
	if (!c->nr_empty)
		return true;
	return c->grade == s->max_grade && (c->nr_empty < MAX_SWINGING || is_alone());
}

static void count_empty(struct thread *t, struct kmem_cache_cpu *c, const struct slab *slab)
{
	c->nr_empty++;
	count_frames(&t->empty, (int32_t)slab->nr_frames);
}

void __del_partial(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	slab_list_del(&thread_lists(t, s)->partial, slab);
	slab->list = LIST_NONE;
	if (slab->inuse) {
		count_frames(&t->owned, -(int32_t)slab->nr_frames);
		return;
	}
	if (c->nr_empty)
		c->nr_empty--;
	count_frames(&t->empty, -(int32_t)slab->nr_frames);
}

void __del_full(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	slab_list_del(&thread_lists(t, s)->full, slab);
	slab->list = LIST_NONE;
	count_frames(&t->owned, -(int32_t)slab->nr_frames);
}

void __add_partial(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);

	if (slab->inuse == 0 && !should_keep_empty(t, s, c)) {
		discard_slab(slab);
		return;
	}
	slab->list = LIST_PARTIAL;
	slab_list_add_head(&l->partial, slab);
	if (slab->inuse == 0) {
		count_empty(t, c, slab);
		return;
	}
	count_frames(&t->owned, (int32_t)slab->nr_frames);
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
	count_frames(&t->owned, (int32_t)slab->nr_frames);
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
	thread_wants_frames(t);
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
void __give(struct thread *t, struct kmem_cache *s)
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

void __give_nothing(struct thread *t, struct kmem_cache *s)
{
	thread_lists(t, s)->moving = sheaf_bottom(t, s);
	__give(t, s);
}

/*
 * A refill is no longer than that: of more, the first words would have left the processor's cache before the objects
 * are handed out.
 */
#define REFILL_MAX ((uint32_t)256 << 10)

static uint32_t refill_length(const struct kmem_cache *s, const struct free_object *bottom)
{
	uint32_t n = bottom->state.room / 2;

	if (likely((uint64_t)n * s->size <= REFILL_MAX))
		return n;
	return s->size < REFILL_MAX ? REFILL_MAX / s->size : 1;
}

static bool has_empty(const struct kmem_cache_lists *l, const struct kmem_cache *s,
		      const struct node *home)
{
	return l->partial && l->partial->inuse == 0 && slab_is_welcome(s, l->partial, home);
}

/* The current slab had too little: what else is wanted from such as lie empty. */
static uint32_t __take_from_empty(struct thread *t, struct kmem_cache *s, const struct node *home,
				  uint32_t want)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct kmem_cache_lists *l = thread_lists(t, s);
	uint32_t n = 0;

	while (n < want && has_empty(l, s, home) && slab_is_full(c->slab)) {
		struct slab *slab = c->slab;

		c->slab = &slab_none;
		__add_full(t, s, slab);
		/* For that one, another may have had to go. */
		if (!has_empty(l, s, home))
			break;
		slab = l->partial;
		__del_partial(t, s, slab);
		c->slab = slab;
		barrier();
		n += __slab_take(slab, want - n, l->moving, &l->moving);
	}
	return n;
}

static bool __refill_from(struct thread *t, struct kmem_cache *s, struct slab *slab,
			  const struct node *home)
{
	struct free_object *bottom = sheaf_bottom(t, s);
	uint32_t want = refill_length(s, bottom);
	uint32_t n = __slab_take(slab, want, bottom, &thread_lists(t, s)->moving);

	if (!n)
		return false;
	n += __take_from_empty(t, s, home, want - n);
	__give(t, s);
	cache_count(s, ALLOC_FASTPATH, n);
	return true;
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
			if (__refill_from(t, s, slab, home))
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

/* One of the list has become empty. */
static void __empty_partial(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	count_frames(&t->owned, -(int32_t)slab->nr_frames);
	if (should_keep_empty(t, s, c)) {
		count_empty(t, c, slab);
		return;
	}
	slab_list_del(&thread_lists(t, s)->partial, slab);
	slab->list = LIST_NONE;
	discard_slab(slab);
}

void __list_after_put(struct thread *t, struct kmem_cache *s, struct slab *slab)
{
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

/* So many of the list that are empty, the first ones. */
static void __discard_empty(struct thread *t, struct kmem_cache *s, uint32_t n)
{
	struct kmem_cache_lists *l = thread_lists(t, s);
	struct slab *slab = l->partial, *next;

	for (bool last = !slab; n && !last; slab = next) {
		next = slab->next;
		last = next == l->partial;
		if (slab->inuse)
			continue;
		__del_partial(t, s, slab);
		discard_slab(slab);
		n--;
	}
}

void thread_drop_empty(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	struct local_hold hold;

	if (!local_trylock(t, s, &hold))
		return;
	c->stage = STAGE_MINE;
	barrier();
	__discard_empty(t, s, c->nr_empty / 2U);
	barrier();
	c->stage = STAGE_NONE;
	local_unlock(t, c);
}
