/*
 * Caches that a thread has left alone: it gives up what it holds of them, for objects in a sheaf keep whole
 * slabs from going back. Layer: thread; see thread.h.
 *
 * No thread of its own: every half purge_delay the slow paths of allocation look at all caches once, a few
 * in each call, and flush those whose sheaf has not moved since the last look. Of one that is in use, but has not
 * swung meanwhile, half of the empty slabs go. What a thread holds that allocates nothing at all stays with it.
 */
#include "caches.h"
#include "options.h"
#include "slab.h"
#include "thread.h"

/* A flush costs some microseconds: no call is to pay for many. */
#define CACHES_AT_ONCE 2U

/*
 * What tells that the sheaf has moved, by the pointer alone; a chance in 2^15 that it doesn't costs a refill. Runs differ
 * in the upper bits only. 0: it is empty, as it always is when a cache in use comes by. While frees go past the sheaf,
 * which stays as it is, they count where the print is; see sheaf_patience().
 */
static uint16_t sheaf_print(const struct kmem_cache_cpu *c, const struct kmem_cache *s)
{
	uint64_t at = (uintptr_t)c->freelist / MIN_ALIGN;

	if (freelist_is_end(s, c->freelist))
		return 0;
	return (uint16_t)((at ^ at >> 15) | SHEAF_PRINT);
}

static void flush_if_idle(struct thread *t, struct kmem_cache *s)
{
	struct kmem_cache_cpu *c = thread_cpu(t, s->cpu_offset);
	uint16_t print = sheaf_print(c, s);
	bool swings = c->swings & ~SWING_BEGUN;

	c->swings &= SWING_BEGUN;
	/* An open sheaf of mixed runs is one that another thread can't have. */
	if (print == c->idle && (print || (s == &run_caches[RUNS_MIXED] && c->grade))) {
		thread_flush(t, s);
		return;
	}
	c->idle = print;
	if (!swings && c->nr_empty > 1)
		thread_drop_empty(t, s);
}

void thread_poll_idle(struct thread *t, uint64_t now)
{
	struct kmem_cache *s;

	if (now >= t->idle_due) {
		t->idle_due = now + options.purge_delay_ms / 2 + 1;
		t->idle_next = 0;
		for_each_run_cache(s) flush_if_idle(t, s);
	}
	for (uint32_t i = 0; i < CACHES_AT_ONCE && (s = cache_by_index(t->idle_next)); i++) {
		t->idle_next++;
		flush_if_idle(t, s);
	}
}
