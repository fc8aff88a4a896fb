/*
 * Runs of frames that a thread has freed: its sheaves of runs of up to RUN_MIXED_MAX bytes, and what it
 * remembers of others. Layer: thread; see thread.h. Called by large and kmem_cache.
 *
 * A run that a program gets by malloc() says in its struct slab what an object of a slab with one object says, so
 * that the fast paths serve it. There are no slabs behind these sheaves: of an empty one the caller takes frames,
 * and what a full one has no room for goes back to the frames at once. So nothing is ever on its way, and a holder
 * that never comes back leaves a sheaf that is whole.
 *
 * A sheaf begins with room for two runs. One that is found full and empty in turn, MANY_SWINGS times within half
 * a purge_delay, is doubled, as others are; one that has been left alone for so long is emptied.
 *
 * Runs of more than RUN_CACHED_MAX bytes, of whatever lengths, go by one sheaf. It is closed, and has room for none, until it
 * would have had what malloc() wants MANY_SWINGS times in a row within half a purge_delay; then it is open, with room for
 * two, until it hasn't had it as often. Runs that are allocated while it is closed are freed past it. So a thread that
 * frees a large object now and then, or allocates another length each time, keeps nothing, and nothing changes for it.
 * What the sheaf holds is never kept from what is wanted: malloc() of a length that isn't there empties it first, as does
 * whatever goes for other frames (thread_wants_frames()).
 */
#include "caches.h"
#include "frame.h"
#include "map.h"
#include "slab.h"
#include "thread.h"

/* The struct slab is clear before the address can be anybody else's. */
void thread_release_run(struct slab *slab)
{
	struct thread *t = current_thread;
	uintptr_t base = slab->base;
	uint32_t n = slab->nr_frames;

	slab_set_uncached(slab);
	slab->kind = FRAME_NONE;
	if (likely(n < NR_FREED_RUNS && thread_has_record(t))) {
		mixed_note(t, n);
		atomic_store_explicit(&slab->link, t->freed_runs[n], memory_order_relaxed);
		t->freed_runs[n] = frame_number(base);
	}
	frame_free((void *)base, n);
}

/* It was full since it was last empty; for the how manieth time? An empty sheaf is easily made a longer one. */
static void __grow_by_swings(struct kmem_cache_cpu *c, struct kmem_cache *s)
{
	uint32_t swings = (c->swings & ~SWING_BEGUN) + 1;

	if (!(c->swings & SWING_BEGUN))
		return;
	c->swings = (uint8_t)(swings % MANY_SWINGS);
	if (swings < MANY_SWINGS || c->grade == s->max_grade)
		return;
	c->grade++;
	barrier();
	c->freelist = &s->bottom[c->grade];
}

void *thread_take_run(struct kmem_cache *s)
{
	struct thread *t = thread_current();
	struct local_hold hold;
	struct kmem_cache_cpu *c;
	void *run;

	if (!t || !local_trylock(t, s, &hold))
		return NULL;
	c = thread_cpu(t, s->cpu_offset);
	run = __sheaf_pop(c);
	if (!run) {
		__grow_by_swings(c, s);
		/* What it is filled with from now on. */
		if (numa_is_on())
			t->colour = numa_colour(numa_home());
	}
	local_unlock(t, c);
	return run;
}

bool thread_put_run(struct kmem_cache *s, void *run)
{
	struct thread *t = thread_current();
	struct local_hold hold;
	struct kmem_cache_cpu *c;
	bool done;

	if (!t || !local_trylock(t, s, &hold))
		return false;
	c = thread_cpu(t, s->cpu_offset);
	done = __sheaf_push(c, run);
	if (!done)
		c->swings |= SWING_BEGUN;
	local_unlock(t, c);
	return done;
}

static void __release_runs(struct kmem_cache_cpu *c)
{
	void *run;

	while ((run = __sheaf_pop(c)))
		thread_release_run(virt_to_slab(run));
}

static bool has_length(const struct free_object *run, uint32_t n)
{
	return virt_to_slab(run)->nr_frames == n;
}

/* The lock is held. The uppermost run of that length. */
static struct free_object *__take_of_length(struct kmem_cache_cpu *c, uint32_t n)
{
	struct free_object *top = c->freelist, *second = top->next;

	if (!second || has_length(top, n))
		return __sheaf_pop(c);
	if (!second->next || !has_length(second, n))
		return NULL;
	/* In this order: should it end in between, the run is lost, and the sheaf shorter by one until the next leaves. */
	top->next = second->next;
	barrier();
	top->state.room++;
	barrier();
	second->state.word = 0;
	return second;
}

/* A call that ends in between leaves it closed, at worst for as long as it is not flushed. */
static void __open(struct thread *t, struct kmem_cache_cpu *c, struct kmem_cache *s)
{
	c->swings = 0;
	if (!mixed_opens(t))
		return;
	c->idle = 0;
	c->grade = MIXED_SHEAF_OPEN;
	barrier();
	c->freelist = &s->bottom[MIXED_SHEAF_OPEN];
}

/* What it holds is of no use to who allocates; and if that is so time and again, it isn't to be open. */
static void __miss(struct thread *t, struct kmem_cache_cpu *c, struct kmem_cache *s)
{
	uint32_t misses = (c->swings & ~SWING_BEGUN) + !freelist_is_end(s, c->freelist);

	if (!c->grade) {
		__open(t, c, s);
	} else if (misses >= MANY_SWINGS) {
		__thread_flush_runs(t, s);
	} else {
		c->swings = (uint8_t)misses;
		__release_runs(c);
	}
	if (numa_is_on())
		t->colour = numa_colour(numa_home());
}

void *thread_take_mixed(uint32_t n)
{
	struct kmem_cache *s = &run_caches[RUNS_MIXED];
	struct thread *t = thread_current();
	struct local_hold hold;
	struct kmem_cache_cpu *c;
	void *run;

	if (!t)
		return NULL;
	c = thread_cpu(t, s->cpu_offset);
	/* Of an empty sheaf there is nothing to be known that the fast path hasn't seen. */
	if (c->grade && !local_lock_is_locked(t, c) && freelist_is_end(s, c->freelist) &&
	    !numa_is_on())
		return NULL;
	if (!local_trylock(t, s, &hold))
		return NULL;
	run = __take_of_length(c, n);
	if (!run)
		__miss(t, c, s);
	local_unlock(t, c);
	return run;
}

void thread_yield_mixed(struct thread *t)
{
	struct kmem_cache *s = &run_caches[RUNS_MIXED];
	struct local_hold hold;

	if (!local_trylock(t, s, &hold))
		return;
	__release_runs(thread_cpu(t, s->cpu_offset));
	local_unlock(t, thread_cpu(t, s->cpu_offset));
}

void __thread_flush_runs(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);

	__release_runs(c);
	/* First: what is closed has no room, wherever this ends. */
	c->freelist = s->bottom;
	barrier();
	c->swings = 0;
	c->idle = 0;
	c->grade = 0;
}
