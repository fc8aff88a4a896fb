/*
 * Calls that never return: a handler jumps out of one, at any step. One thread, one class; the frames of
 * its handlers are calls of the same process, for only one of them runs at a time.
 *
 *   here               in core/
 *   fast_alloc, push   kmalloc.h  kmalloc_fast(), kfree(); kmem_cache.h  __sheaf_pop(), __sheaf_push()
 *   take_lock          thread_recover.c  local_trylock(), local_seize(), local_hold(), take()
 *   recover            thread_recover.c  __recover()
 *   take_sheaf, give   thread_slabs.c  __take_sheaf(), __give()
 *   refill, slab_take  thread_slabs.c  __thread_refill(), __next_slab(); slab.c  __slab_take()
 *   flush_sheaf        thread_slabs.c  __thread_flush_sheaf(); kmem_cache.c  slab_free_full(), __free()
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
 * lists end; a jump costs an object, those of one slab that went home together, or a slab, whatever calls
 * come between it and the mending; each object in the sheaf says rightly, at any time, how many more fit on
 * top of it; the slabs' counts are right again after a jump.
 */
#include "abandon_slabs.pml"

/* What a call does. */
#define ALLOC 1
#define FREE_IT 2
#define FLUSH 3
#define FULL 4 /* the rest of a free that has found no room in the sheaf */
#define END 5

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
#ifdef CASE_EARLY
	/* The CAS: else the word is as it was read. */
	if
	:: word != UNLOCKED && lock != word -> goto again
	:: else
	fi;
#endif
	STEP(lock = SLOW);
	word = NO_WORD
}

/* Sets `fo`. */
inline pop()
{
	fo = sheaf;
	if
	:: next[fo] ->
		STEP(sheaf = next[fo]);
		STEP(room[fo] = 0)
	:: else -> fo = 0
	fi
}

/* Of `object`, which is left where there is no room for it. */
inline push()
{
	if
	:: room[sheaf] ->
		EITHER_ORDER(next[object] = sheaf, room[object] = room[sheaf] - 1);
		STEP(sheaf = object; object = 0)
	:: else
	fi
}

inline lock_fast()
{
	STEP(lock = FAST);
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
	:: object -> op = FULL; word = UNLOCKED
	:: else -> STEP(lock = UNLOCKED); goto again
	fi
}

inline slow_alloc()
{
	pop();
	if
	:: fo
	:: else -> refill(); pop()
	fi
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
	:: early == NO_WORD -> early = lock
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

#ifdef MUTANT_FULL_UNSEEN
#define LOOKS (op != FULL)
#else
#define LOOKS true
#endif

inline slow_path()
{
	take_lock();
	if
	:: LOOKS && stage != NONE -> recover()
	:: else
	fi;
	if
	:: op == ALLOC -> slow_alloc()
	:: op == FLUSH -> flush(); flushed = ending
	:: else ->
		push();
		if
		:: object -> flush_sheaf()
		:: else
		fi
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
	mending = false;
	due = false;
	together = false
}

proctype thread()
{
	byte op, object, word, fo, last, slab, n;
	bool late, mending, due, flushed;

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
			lose_own();
			account()
		};
		goto again
	};
end:
	atomic {
		assert(stage == NONE && lock == UNLOCKED && sheaf == BOTTOM && !current);
		assert(slabs[1].owner != THREAD && slabs[2].owner != THREAD);
		ended = 1
	}
}

init {
	atomic {
		room[BOTTOM] = SHEAF;
		slabs[1].owner = THREAD;
		slabs[1].freelist = 1;
		next[1] = 2;
		slabs[1].listed = true;
		slabs[2].inuse = 1;
		slabs[2].owner = OTHER;
		live[OBJECTS] = true;
		next[OBJECTS] = USED;
		run thread()
	};
	timeout;
	assert(ended == 1)
}
