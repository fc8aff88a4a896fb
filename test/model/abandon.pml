/*
 * Calls that never return: a handler jumps out of one, at any step. One thread, one class; the frames of
 * its handlers are calls of the same process, for only one of them runs at a time.
 *
 *   here               in core/
 *   fast_alloc, push   kmalloc.h  kmalloc_fast(), kfree(); kmem_cache.h  __sheaf_pop(), __sheaf_push()
 *   take_lock          local_lock.c  local_trylock(), local_seize(), take()
 *   recover            thread_recover.c
 *   take_sheaf, give   thread_slabs.c  __take_sheaf(), __give()
 *   refill, slab_take  thread_slabs.c  __thread_refill(), __next_slab(); slab.c  __slab_take()
 *   flush_sheaf        thread_slabs.c  __thread_flush_sheaf(); kmem_cache.c  slab_free_full()
 *   flush              thread_slabs.c  __thread_flush(); thread.c  thread_flush(), thread_pass_on()
 *   put_all            thread_slabs.c  __thread_put_all(), chain_take(); slab.c  __slab_put()
 *   put_slab, collect  node.c  put_slab(); slab.c  __slab_collect()
 *
 * A step is one store, or a CAS; before each the call may end for good. Stores with no barrier between
 * them come in either order. Frames further up the stack go on when the call above them has ended:
 *
 *   passed   so many fast paths have seen the lock free, and have not taken it yet
 *   early    a slow path has read this lock word, and has not taken the lock yet (CASE_EARLY)
 *
 * That a holder is gone is taken to be known: between two calls all are, and while a call is in its middle
 * its handlers pass the class over, which is local_lock.pml's. What other threads do to a slab's word is
 * remote.pml's; here a slab is the thread's, nobody's or another's, and is never given back.
 *
 * Proved, for any number of calls and jumps: nothing in use is handed out; what is free is in one place;
 * lists end; a jump costs an object, those of one slab that went home together, or a slab; and what was
 * moving, where the sheaf was used before it was mended; the counts are right again after it.
 */
#include "abandon_slabs.pml"

/* What a call does. */
#define ALLOC 1
#define FREE_IT 2
#define FLUSH 3
#define FULL 4 /* the rest of a free that has filled the sheaf */
#define END 5

#ifdef MUTANT_NO_TAG
#define TAG(word) SLOW
#else
#define TAG(word) word
#endif

/* From `word`, which was read before, or by a frame that has waited since. */
inline take_lock()
{
	if
	:: word == NO_WORD -> word = lock
	:: else
	fi;
#ifdef MUTANT_WAIT
	if
	:: op == ALLOC && lock != UNLOCKED -> calls--; goto again
	:: else
	fi;
#endif
	held = (word != UNLOCKED);
#ifdef MUTANT_HELD_IS_EXACT
	exact = held;
	STEP(drift = drift || lock != word; lock = SLOW);
#else
	exact = (word == SLOW);
#ifdef MUTANT_TAKE_BY_STORE
	STEP(drift = drift || lock != word; lock = (exact -> SLOW : DOUBT));
#else
	if
	:: word == UNLOCKED -> STEP(drift = drift || lock != UNLOCKED; lock = TAG(DOUBT))
#ifdef CASE_EARLY
	:: word != UNLOCKED && lock != word -> goto again
#endif
	:: else -> STEP(lock = (exact -> SLOW : TAG(DOUBT)))
	fi;
#endif
#endif
	word = NO_WORD
}

/* Sets `fo`. */
inline pop()
{
	fo = sheaf;
	if
	:: fo ->
		STEP(sheaf = next[fo]);
		STEP(room++)
	:: else
	fi
}

inline push()
{
	STEP(next[object] = sheaf);
	STEP(sheaf = object; object = 0);
	STEP(room--)
}

#define IS_FULL (room < 0)

inline lock_fast()
{
	STEP(drift = drift || lock != UNLOCKED; lock = FAST);
	late = false
}

inline hand_out()
{
	if
	:: fo -> STEP(take_mark(fo)); goto again
	:: else
	fi
}

inline fast_alloc()
{
	lock_fast();
	pop();
	STEP(lock = UNLOCKED);
	hand_out()
}

inline fast_free()
{
	lock_fast();
	push();
	if
	:: IS_FULL -> op = FULL; STEP(lock = DOUBT)
	:: else -> STEP(lock = UNLOCKED); goto again
	fi
}

inline slow_alloc()
{
	if
	:: sheaf == 0 -> refill()
	:: else
	fi;
	pop()
}

/* A call of any kind, or one that began long ago goes on. */
inline choose_call()
{
	if
	:: passed < MAX_PASSED && lock == UNLOCKED -> passed++
	:: passed -> passed--; late = true; op = ALLOC
	:: passed && ANY_LIVE -> passed--; late = true; pick_live(); op = FREE_IT
	:: op = ALLOC
	:: ANY_LIVE -> pick_live(); op = FREE_IT
	:: op = FLUSH
#ifdef CASE_EARLY
	:: early == NO_WORD && (lock == SLOW || lock == UNLOCKED) -> early = lock
	:: early != NO_WORD -> word = early; early = NO_WORD; op = ALLOC
#endif
	:: ANY_LIVE -> pick_live(); free_elsewhere()
	:: slabs[2].remote && slabs[2].owner == OTHER -> alloc_elsewhere()
	:: !passed && early == NO_WORD -> ending = true; jumps = 0
	fi
}

inline choose_last()
{
	if
	:: ANY_LIVE -> pick_live(); op = FREE_IT
	:: else -> op = (flushed -> END : FLUSH)
	fi
}

inline fast_path()
{
	if
	:: op == ALLOC -> fast_alloc()
	:: op == FREE_IT -> fast_free()
	:: else
	fi
}

inline slow_path()
{
	if
	:: op == FULL
	:: else -> take_lock()
	fi;
	if
#ifdef MUTANT_FULL_UNSEEN
	:: op != FULL && (held || stage != NONE) -> recover()
#else
	:: held || stage != NONE -> recover()
#endif
	:: else
	fi;
	STEP(lock = SLOW);
	if
	:: op == ALLOC -> slow_alloc()
	:: op == FREE_IT -> push(); op = (IS_FULL -> FULL : 0)
	:: op == FLUSH -> flush(); flushed = ending
	:: else
	fi;
	if
	:: op == FULL -> flush_sheaf()
	:: else
	fi;
	STEP(lock = UNLOCKED);
	hand_out()
}

inline forget()
{
	op = 0;
	object = 0;
	word = NO_WORD;
	fo = 0;
	last = 0;
	slab = 0;
	n = 0;
	late = false;
	exact = false;
	held = false;
	due = false;
	together = false
}

proctype thread()
{
	byte op, object, word, fo, last, slab, n;
	bool late, exact, held, due, flushed;

again:
	skip;
	/* One step for the search: what a call's end leaves behind is all that the next one sees. */
	atomic {
		d_step { forget(); check() };
#ifdef PROGRESS
		calls++;
		if
		:: calls == MAX_CALLS -> ending = true; jumps = 0
		:: else
		fi;
#endif
		if
		:: ending -> choose_last()
		:: else -> choose_call()
		fi;
		if
		:: op == 0 -> goto again
		:: op == END -> goto end
		:: op == FREE_IT -> live[object] = false
		:: else
		fi;
		if
		:: word == NO_WORD && (late || lock == UNLOCKED) -> fast_path()
		:: else
		fi;
		slow_path();
		goto again;
gone:
		skip;
		d_step {
			count_places();
			walk(moving);
			lose_own();
			account(true)
		};
		goto again
	};
end:
	atomic {
		assert(stage == NONE && lock == UNLOCKED && !sheaf && !current);
		assert(slabs[1].owner != THREAD && slabs[2].owner != THREAD);
		ended = 1
	}
}

init {
	atomic {
		slabs[1].owner = THREAD;
		slabs[1].freelist = 1;
		next[1] = 2;
		slabs[1].listed = true;
		slabs[2].inuse = 1;
		slabs[2].owner = OTHER;
		live[OBJECTS] = true;
		run thread()
	};
	timeout;
	assert(ended == 1)
}
