/*
 * local_lock: one word per thread and cache. Layer: thread. Called by thread, kmem_cache and kmalloc.
 *
 * Only the thread itself and the signal handlers on it ever look: a plain load, compare and store, and a
 * compiler barrier. A handler that runs between compare and store has released the lock again when the
 * interrupted code goes on. Nobody waits for it: who finds it held goes to another cache, or to the
 * slab's remote list.
 *
 *   the word              who holds it
 *   the thread's address  nobody
 *   0                     nobody: the thread has not used the cache; or it is a record of zeros
 *   sp                    the fast path, whose stack pointer this is
 *   sp | SEEN | print     the same; a nested call has noted a print of what stands at sp
 *   hold | SLOW [| FAR]   a slow path; hold points to its struct local_hold
 *
 * A thread that has no record yet, or none any more, points to a record that is all zero: its lock
 * words read "held", and the slow path finds out why. So the fast path has no branch for it.
 *
 * Abandoned holders. A handler that never returns (siglongjmp, an exception, cancellation) leaves the word
 * behind. Whoever finds the lock held looks whether the holder can still be there:
 *  1. The holder's stack pointer lies in memory that the looking frames themselves occupy: what lives
 *     there now is not the holder. True on any stack, and nothing need be known of it. FAR, for caches
 *     whose constructor may call back, or switch to a fibre, from under the lock, excludes this rule and
 *     the next.
 *  2. It is further down the thread's own stack than the looking frames are, on the same stack: the stack
 *     was left, and that below is dead.
 *  3. What a living frame never changes has changed: a slow path's struct local_hold no longer names the
 *     cache; or, on x86-64, the word at a fast path's stack pointer (its return address) differs from
 *     the print.
 * The first costs nothing. The others take system calls, and are looked at now and then.
 * All else is unknown, and unknown is held. The next owner of the lock mends what was left in the middle
 * (thread_recover.c).
 */
#ifndef USLUB_LOCAL_LOCK_H
#define USLUB_LOCAL_LOCK_H

#include "types.h"

/* On the stack of a slow path for as long as it holds the lock. */
struct local_hold {
	const struct kmem_cache_cpu *cpu;
};

static inline bool local_lock_is_locked(const struct thread *t, const struct kmem_cache_cpu *c)
{
	return c->local_lock != (uintptr_t)t;
}

#define HOLD_SLOW 1U
#define HOLD_SEEN 2U
#define HOLD_FAR 4U

#if defined(USLUB_LOCKLESS)
/* For bench/ alone, to show what the lock costs: nobody ever holds it, and handlers must not allocate. */
static inline void local_lock(struct kmem_cache_cpu *c)
{
	(void)c;
}

static inline void local_unlock(struct thread *t, struct kmem_cache_cpu *c)
{
	(void)t;
	(void)c;
}

static inline void local_lock_set_far(struct kmem_cache_cpu *c)
{
	(void)c;
}
#else
/* The fast path's: the lock is free. */
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
	assert(local_lock_is_locked(t, c));
	barrier();
	c->local_lock = (uintptr_t)t;
}

/* The slow path that holds the lock may call back into the program from here on. */
static inline void local_lock_set_far(struct kmem_cache_cpu *c)
{
	barrier();
	c->local_lock |= HOLD_FAR;
	barrier();
}
#endif

/* Where the holder is that the word of a held lock speaks of: its stack pointer, or its struct local_hold. */
static inline uintptr_t local_lock_holder(uintptr_t word)
{
	uintptr_t tags = HOLD_SLOW | HOLD_SEEN | HOLD_FAR;

	return word & ((UINT64_C(1) << OS_ADDRESS_BITS) - 1) & ~tags;
}

/*
 * A lock was found held: is it time to look closely whether the holder is still there? More often where that is
 * further down than `here`, for by far the most that are gone are; seldom where it was looked at before.
 */
static inline bool local_lock_is_due(const struct thread *t, uintptr_t word, uintptr_t here)
{
	uint32_t mask = word & HOLD_SEEN ? 1023 : 63;

	return (t->sightings & (local_lock_holder(word) < here ? 15 : mask)) == 0;
}

/* The word of a slow path's holder. */
uintptr_t local_hold_word(struct thread *t, const struct local_hold *hold);
/* Is the lock, whose word is `word`, held by somebody who is not there any more? `hold`: the looking call's. */
bool local_lock_is_abandoned(struct thread *t, struct kmem_cache_cpu *c, uintptr_t word,
			     const struct local_hold *hold);

#endif
