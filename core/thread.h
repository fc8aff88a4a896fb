/*
 * A thread's slabs and their local_lock; a thread's beginning and end. Layer: thread, over node. Called
 * by kmem_cache and kmalloc.
 *
 * local_lock. One word per thread and cache, free when it equals the address of the thread's record,
 * else the stack pointer of who holds it. Only the thread itself and the signal handlers on it ever
 * look: a plain load, compare and store, and a compiler barrier. A handler that runs between compare
 * and store has released the lock again when the interrupted code goes on. Nobody waits for it: who
 * finds it held goes to another cache, or to the slab's remote list.
 *
 * A thread that has no record yet, or none any more, points to a record that is all zero: its lock
 * words read "held", and the slow path finds out why. So the fast path has no branch for it.
 */
#ifndef USLUB_THREAD_H
#define USLUB_THREAD_H

#include "types.h"

/* thread_fresh: has not allocated yet; thread_gone: past its destructors. Both are never written. */
extern struct thread thread_fresh __attribute__((visibility("hidden")));
extern struct thread thread_gone __attribute__((visibility("hidden")));

extern _Thread_local struct thread *current_thread
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline struct kmem_cache_cpu *thread_cpu(struct thread *t, uint32_t cpu_offset)
{
	return (struct kmem_cache_cpu *)((char *)t + cpu_offset);
}

static inline struct kmem_cache_lists *thread_lists(struct thread *t, const struct kmem_cache *s)
{
	return (struct kmem_cache_lists *)((char *)t + s->lists_offset);
}

static inline bool local_lock_is_locked(const struct thread *t, const struct kmem_cache_cpu *c)
{
	return c->local_lock != (uintptr_t)t;
}

static inline void local_lock(struct kmem_cache_cpu *c)
{
#if defined(__x86_64__)
	/* One store of the register; through a variable it would be two instructions. */
	__asm__ volatile("movq %%rsp, %0" : "=m"(c->local_lock) : : "memory");
#else
	uintptr_t sp;

	__asm__ volatile("mov %0, sp" : "=r"(sp));
	c->local_lock = sp;
	barrier();
#endif
}

static inline void local_unlock(struct thread *t, struct kmem_cache_cpu *c)
{
	barrier();
	c->local_lock = (uintptr_t)t;
}

/* The thread's record, made where it has none. NULL: out of memory, or the thread is past its end. */
struct thread *thread_current(void);

/* Takes the lock, and sets the slot up at the thread's first use of the cache; false: held. */
bool local_trylock(struct thread *t, const struct kmem_cache *s);

/* Fills the empty sheaf: the slow path of allocation. False: out of memory. */
bool __thread_refill(struct thread *t, struct kmem_cache *s);
/* The sheaf is full: puts half of it, what was freed longest ago, away to the slabs. */
void __thread_flush_sheaf(struct thread *t, struct kmem_cache *s);
/* Gives up all that the thread has of the cache; thread_flush(): unless its lock is held. */
void __thread_flush(struct thread *t, struct kmem_cache *s);
void thread_flush(struct thread *t, struct kmem_cache *s);

/* In the child of a fork, by who forked: flushes the records of the threads that it does not have. */
void thread_check_fork(struct thread *t);

/* Flushes the caches that were destroyed since the thread last looked. */
void thread_check_destroyed(struct thread *t);

/* Flushes every cache whose lock is free. */
void thread_flush_all(struct thread *t);
/* Has there never been a second thread? */
bool thread_is_alone(void);

/* Is the object in any thread's sheaf, or on its way out of one? For reports: it looks at all threads. */
bool thread_has_free(const struct kmem_cache *s, const struct free_object *fo);
/* Objects in all threads' sheaves of the cache. */
uint32_t thread_count_free(const struct kmem_cache *s);

/* The thread ends: nothing of it stays behind but a record for the next one. */
void thread_exit(struct thread *t);

#endif
