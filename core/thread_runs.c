/*
 * Runs of frames that a thread has freed: its sheaves of runs of up to RUN_CACHED_MAX bytes, and what it
 * remembers of others. Layer: thread; see thread.h. Called by large and kmem_cache.
 *
 * A run that a program gets by malloc() says in its struct slab what an object of a slab with one object says, so
 * that the fast paths serve it. There are no slabs behind these sheaves: of an empty one the caller takes frames,
 * and what a full one has no room for goes back to the frames at once. So nothing is ever on its way, and a holder
 * that never comes back leaves a sheaf that is whole.
 *
 * A sheaf begins with room for two runs. One that is found full and empty in turn, MANY_SWINGS times within half
 * a purge_delay, is doubled, as others are; one that has been left alone for so long is emptied.
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

void __thread_flush_runs(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	void *run;

	while ((run = __sheaf_pop(c)))
		thread_release_run(virt_to_slab(run));
	c->grade = 0;
	c->swings = 0;
	barrier();
	c->freelist = s->bottom;
}
