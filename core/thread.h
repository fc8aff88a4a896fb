/*
 * A thread's slabs and their local_lock; a thread's beginning and end. Layer: thread, over node. Called
 * by kmem_cache and kmalloc.
 */
#ifndef USLUB_THREAD_H
#define USLUB_THREAD_H

#include "caches.h"
#include "local_lock.h"
#include "slab.h"

/* thread_fresh: has not allocated yet; thread_gone: past its destructors. Both are never written. */
extern struct thread thread_fresh __attribute__((visibility("hidden")));
extern struct thread thread_gone __attribute__((visibility("hidden")));

extern _Thread_local struct thread *current_thread
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The thread's record, made where it has none. NULL: out of memory, or the thread is past its end. */
struct thread *thread_current(void);

/*
 * The slow path's: takes the lock, sets the slot up at the thread's first use of the cache, and mends what
 * an abandoned holder left. False: held. `hold` is to live until local_unlock().
 */
bool local_trylock(struct thread *t, struct kmem_cache *s, struct local_hold *hold);
/* The same where no holder can be left: the thread has ended. */
void local_seize(struct thread *t, struct kmem_cache *s, struct local_hold *hold);
/* The fast path has entered a slow one with the lock held: from now on that is the holder. */
void local_hold(struct thread *t, struct kmem_cache *s, struct local_hold *hold);

/* The local_lock is held. NULL: the sheaf is empty, or shut. */
static inline struct free_object *__sheaf_pop(struct kmem_cache_cpu *c)
{
	struct free_object *fo = c->freelist, *next = fo->next;

	if (unlikely(!next))
		return NULL;
	/* In this order: should it end in between, the object is lost and nothing else. */
	c->freelist = next;
	barrier();
	fo->state.word = 0;
	return fo;
}

/* The local_lock is held. False: the sheaf is full, or shut. */
static inline bool __sheaf_push(struct kmem_cache_cpu *c, struct free_object *fo)
{
	struct free_object *top = c->freelist;
	union free_state state = top->state;

	if (unlikely(!(uint32_t)state.word))
		return false;
	state.word--;
	fo->next = top;
	fo->state = state;
	barrier();
	c->freelist = fo;
	return true;
}

/*
 * Sheaves of runs, by the slow paths. An object of run_caches[i] is the first byte of a run of i + 1 frames, below RUNS_MIXED,
 * or NULL: the sheaf is empty, or held. False: it is full, or held.
 */
void *thread_take_run(struct kmem_cache *s);
bool thread_put_run(struct kmem_cache *s, void *run);
/* Of the mixed sheaf, one of n frames. NULL: it has none, and has nothing any more; or is held. */
void *thread_take_mixed(uint32_t n);
static inline bool mixed_is_open(const struct thread *t)
{
	return t->run_cpu[RUNS_MIXED].grade;
}
/* While it is closed: what was freed last, of n frames, and before that. A handler in between costs a count. */
static inline void mixed_note(struct thread *t, uint32_t n)
{
	struct kmem_cache_cpu *c = &t->run_cpu[RUNS_MIXED];

	if (n > NR_RUN_LENGTHS && !c->grade)
		c->idle = (uint16_t)((uint32_t)c->idle << 8 | n);
}
/* It would have had a run of n frames, were it open: often enough in a row to be opened? Never in a record of zeros. */
static inline bool mixed_is_missed(struct thread *t, uint32_t n)
{
	struct kmem_cache_cpu *c = &t->run_cpu[RUNS_MIXED];
	uint32_t last = c->idle & 0xff, before = c->idle >> 8;

	if (!last)
		return false;
	if (last != n && before != n) {
		c->idle = 0;
		c->swings = 0;
		return false;
	}
	c->idle = (uint16_t)(last == n ? before : last);
	c->swings = (uint8_t)((c->swings & ~SWING_BEGUN) + 1);
	return c->swings >= MANY_SWINGS;
}
/* Frames are wanted: the mixed sheaf must not keep any. */
void thread_yield_mixed(struct thread *t);
static inline void thread_wants_frames(struct thread *t)
{
	if (unlikely(!freelist_is_end(&run_caches[RUNS_MIXED], t->run_cpu[RUNS_MIXED].freelist)))
		thread_yield_mixed(t);
}
/* Empties the sheaf. The lock is held. */
void __thread_flush_runs(struct thread *t, struct kmem_cache *s);
/* Gives a run back to the frames; the thread remembers it. */
void thread_release_run(struct slab *slab);
/* Has the thread a record of its own? Records that are nobody's stay zero. */
static inline bool thread_has_record(const struct thread *t)
{
	return t != &thread_fresh && t != &thread_gone;
}

/* The lock is held. A sheaf has overflowed: is it to be doubled? Until it is refilled, it is asked once. */
bool sheaf_grows(struct kmem_cache_cpu *c, const struct kmem_cache *s);
/* It is given up: it is of the smallest size again. */
void sheaf_shrinks(struct kmem_cache_cpu *c, const struct kmem_cache *s);
/* May the thread open its sheaf of mixed runs, beside those that have theirs open? */
bool mixed_opens(struct thread *t);

/* There is a second thread from now on: nobody may keep as much as who is alone. */
void thread_note_company(void);
/* Fills the empty sheaf: the slow path of allocation. False: out of memory. */
bool __thread_refill(struct thread *t, struct kmem_cache *s);
/* The sheaf is full: frees `fo` all the same. See thread_flush.c. */
void __thread_free_full(struct thread *t, struct kmem_cache *s, struct free_object *fo);
/*
 * Frees may go past the full sheaf until it is turned: kmem_cache_cpu->idle counts them down. It is no print of the sheaf
 * then; where a look for idle caches has put one there, the next free turns it.
 */
#define SHEAF_PRINT 0x8000U
static inline uint16_t sheaf_patience(const struct kmem_cache_cpu *c, const struct kmem_cache *s)
{
	return (uint16_t)(8U * ((uint32_t)s->sheaf << c->grade));
}
static inline bool sheaf_is_patient(const struct kmem_cache_cpu *c)
{
	return (int16_t)c->idle > 0;
}

/* What was announced in t->sending has gone, or is to go with all else. The lock is held. */
void thread_end_sending(struct thread *t, const struct kmem_cache *s);
/* Gives up all that the thread has of the cache. thread_flush(): false: its lock is held, and it keeps it. */
void __thread_flush(struct thread *t, struct kmem_cache *s);
bool thread_flush(struct thread *t, struct kmem_cache *s);
/* Half of the slabs that are kept empty go back to the frames, unless the lock is held. */
void thread_drop_empty(struct thread *t, struct kmem_cache *s);
/* Puts l->flushing away to the slabs. */
void __thread_put_all(struct thread *t, struct kmem_cache *s);

/* In the child of a fork, by who forked: flushes the records of the threads that it does not have. */
void thread_check_fork(struct thread *t);

/* Flushes the caches that were destroyed since the thread last looked. */
void thread_check_destroyed(struct thread *t);

/* Flushes all caches where a node has left since the thread last looked. */
void thread_check_nodes(struct thread *t);

/* Now and then: flushes the caches that the thread has not used for a while. `now`: os_clock_ms(). */
void thread_poll_idle(struct thread *t, uint64_t now);

/* Flushes every cache whose lock is free. */
bool thread_flush_all(struct thread *t);
/* Is the object in any thread's sheaf, or on its way out of one? For reports: it looks at all threads. */
bool thread_has_free(const struct kmem_cache *s, const struct free_object *fo);
/* Objects in all threads' sheaves of the cache. */
uint32_t thread_count_free(const struct kmem_cache *s);
/* Runs in all threads' sheaves, what their last owners could use of them, and what they take. */
uint32_t thread_count_runs(const struct kmem_cache *s, uint64_t *bytes, uint64_t *frames);

/* The thread ends: nothing of it stays behind but a record for the next one. */
void thread_exit(struct thread *t);

#endif
