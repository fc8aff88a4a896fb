/*
 * Telling whether the holder of a local_lock is still there. Layer: thread; see local_lock.h.
 */
#include "local_lock.h"

/* Taken on the stack below the caller's frames, so that what lies there is known to be dead. */
#define OWN_STACK 384
/*
 * The call that looks was entered above its struct local_hold, and what it interrupted, if anything, is
 * above the entry by the ABI's red zone at least: even where a debugger made the call.
 */
#if defined(__x86_64__)
#define RED_ZONE 128
#else
#define RED_ZONE 0
#endif

static noinline bool is_in_own_frames(uintptr_t at, const struct local_hold *hold)
{
	char below[OWN_STACK];

	__asm__ volatile("" : : "r"(below) : "memory");
	return at - (uintptr_t)below < (uintptr_t)hold + RED_ZONE - (uintptr_t)below;
}

#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && \
	!defined(__SANITIZE_THREAD__)
/* A call's return address stands at the stack pointer of the fast path; a test reads the instructions. */
static bool has_changed(struct kmem_cache_cpu *c, uintptr_t word, uintptr_t sp)
{
	uintptr_t found = *(volatile uintptr_t *)sp * UINT64_C(0x9E3779B97F4A7C15);
	uintptr_t print = found >> OS_ADDRESS_BITS << OS_ADDRESS_BITS;

	static_assert(OS_ADDRESS_BITS <= 48, "room for a print of 16 bits");
	if (word & HOLD_SEEN)
		return (word >> OS_ADDRESS_BITS) != (print >> OS_ADDRESS_BITS);
	/* Unless a handler has found the holder gone by now. */
	__atomic_compare_exchange_n(&c->local_lock, &word, sp | HOLD_SEEN | print, false,
				    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return false;
}
#else
static bool has_changed(struct kmem_cache_cpu *c, uintptr_t word, uintptr_t sp)
{
	(void)c;
	(void)word;
	(void)sp;
	return false;
}
#endif

bool local_lock_is_abandoned(struct thread *t, struct kmem_cache_cpu *c, uintptr_t word,
			     const struct local_hold *hold)
{
	uintptr_t at = local_lock_holder(word);
	bool due;

	if (!(word & HOLD_FAR) && is_in_own_frames(at, hold))
		return true;
	due = local_lock_is_due(t, word, (uintptr_t)hold);
	t->sightings++;
	if (!due)
		return false;
	if (!os_is_readable((void *)at))
		return true;
	if (!(word & HOLD_FAR) && os_on_thread_stack(at, (uintptr_t)hold))
		return true;
	if (word & HOLD_SLOW)
		return ((volatile struct local_hold *)at)->cpu != c;
	return has_changed(c, word, at);
}

uintptr_t local_hold_word(struct thread *t, const struct local_hold *hold)
{
#if defined(USLUB_LOCKLESS)
	(void)hold;
	return (uintptr_t)t;
#else
	(void)t;
	return (uintptr_t)hold | HOLD_SLOW;
#endif
}
