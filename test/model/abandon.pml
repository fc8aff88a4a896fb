/*
 * Calls that never return: a handler jumps out of one, at any step. One thread, one class; the frames of
 * its handlers are calls of the same process, for only one of them runs at a time.
 *
 *   here               in core/
 *   fast_alloc, push   kmalloc.h  kmalloc_fast(), kfree(); kmem_cache.h  __sheaf_pop(), __sheaf_push()
 *   take_lock          thread_recover.c  local_trylock(), local_seize(), local_hold(), take()
 *   recover            thread_recover.c  __recover(), in abandon_mend.pml
 *   take_sheaf, give   thread_flush.c  __take_sheaf(); thread_slabs.c  __give()
 *   refill, slab_take  thread_slabs.c  __thread_refill(), __next_slab(); slab.c  __slab_take()
 *   flush_sheaf        thread_flush.c  __flush_sheaf(); kmem_cache.c  slab_free_full(), __free()
 *   put_one            thread_flush.c  __put_one(); kmem_cache.c  __put_direct()
 *   flush              thread_flush.c  __thread_flush(); thread.c  thread_flush(), thread_pass_on()
 *   put_all            thread_flush.c  __thread_put_all(), __put_local(), __put_remote()
 *   put_slab, collect  node.c  put_slab(); slab.c  __slab_collect()
 *
 * A step is one store, or a CAS; before each the call may end for good. Stores with no barrier between
 * them come in either order. Frames further up the stack go on when the call above them has ended:
 *
 *   passed   so many fast paths have seen the lock free, and have not taken it yet
 *   early    a slow path has read this lock word, and has not taken the lock yet (CASE_EARLY)
 *
 * That a holder is gone is taken to be known: between two calls all are, and while a call is in its middle
 * its handlers pass the class over, which is local_lock.pml's. The word of a slab is one step here; remote.pml
 * has those between threads.
 *
 * Two cases. The first: any calls, two jumps, the handlers' frees and the second slab's owner between any two
 * calls. CASE_OTHERS: a free or a flush that sends objects home, one jump, whoever mends it; between any two steps
 * of sending and of mending that, and of the time in between, other threads free, allocate, collect (in three
 * steps), adopt, give up and discard the slab, and make another one of its frames, of the class or not.
 *
 * Proved: nothing in use is handed out; what is free is in one place; lists end; a jump costs the object that
 * the call was to give or to take, or a slab, and nothing else, whatever calls come between it and the mending;
 * but for what CLAIM_NO_GROUP finds: where the slab that a group was being sent to has been collected before
 * the mending, nobody can say whether the group arrived, and where it had not, it is lost. Each object in the
 * sheaf says rightly, at any time, how many more fit on top of it; the slabs' counts are right again after a
 * jump; what others freed is noted.
 */
#include "abandon_mend.pml"

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
		STEP(sheaf = next[fo]; own = fo);
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
	:: !passed && early == NO_WORD -> ending = true; jumps = 0
	fi
}

/* CASE_OTHERS: a call that sends objects home, and those that mend what it has left. */
inline choose_few()
{
	if
	:: !calls && live[own_first] -> object = own_first; op = FREE_IT; calls = 1
	:: calls == 1 && stage == NONE -> op = ALLOC; calls = 2
	:: calls || !live[own_first] -> op = (flushed -> END : FLUSH); ending = true; calls = 3
	fi
}

inline choose_last()
{
	if
	:: ANY_LIVE -> pick_live(); op = FREE_IT; flushed = false
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
	:: op == FLUSH -> flush()
	:: else ->
		push();
		if
		:: object -> flush_sheaf()
		:: object -> put_one()
		:: else
		fi
	fi;
	STEP(lock = UNLOCKED);
	flushed = ending && op == FLUSH;
	hand_out()
}

inline forget()
{
	op = 0;
	object = 0;
	word = NO_WORD;
	own = 0;
	fo = 0;
	last = 0;
	slab = 0;
	group = 0;
	n = 0;
	rooms = 0;
	late = false;
	due = false;
	adopted = false
}

proctype thread()
{
	byte op, object, word, fo, last, slab, group, n, rooms;
	bool late, due, adopted, flushed;

again:
	skip;
	d_step { forget(); check() };
	if
	:: OTHERS_COME -> others_between()
	:: else
	fi;
#ifdef PROGRESS
	skip;
	d_step {
		calls++;
		if
		:: calls >= MAX_CALLS -> ending = true; jumps = 0
		:: else
		fi
	};
#endif
	/* One step for the search, but where others come in. */
	atomic {
#ifdef CASE_OTHERS
		choose_few();
#else
		if
		:: ending -> choose_last()
		:: else -> choose_call()
		fi;
#endif
		if
		:: op == 0 -> goto again
		:: op == END -> goto end
		:: op == FREE_IT -> live[object] = false; own = object
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
		d_step { count_places(); account() };
		goto again
	};
end:
	atomic {
		assert(stage == NONE && lock == UNLOCKED && sheaf == BOTTOM && !current);
		assert(slabs[1].owner != THREAD && slabs[2].owner != THREAD);
		ended = 1
	}
}

/* Two objects in the sheaf, the third in use; who has their slabs is open. */
inline begin_few()
{
	if
	:: own_first = 1; sheaf = 2; next[2] = 3
	:: own_first = 1; sheaf = 3; next[3] = 2
	:: own_first = 3; sheaf = 1; next[1] = 2
	fi;
	d_step {
		x = next[sheaf];
		next[x] = BOTTOM;
		room[x] = SHEAF - 1;
		room[sheaf] = SHEAF - 2;
		live[OBJECTS] = false;
		live[own_first] = true;
		next[own_first] = USED;
		free = 0
	};
	d_step {
		slabs[1].inuse = 2;
		slabs[2].inuse = 1;
		slabs[1].owner = OTHER;
		slabs[1].listed = false
	};
	if
	:: true
	:: slabs[1].owner = NOBODY
	:: slabs[2].owner = NOBODY
	:: slabs[2].owner = THREAD; slabs[2].listed = true
	fi
}

init {
	atomic {
		room[BOTTOM] = SHEAF;
		slabs[1].owner = THREAD;
		slabs[1].listed = true;
		free = ALL(1);
		slabs[2].owner = OTHER;
		live[OBJECTS] = true;
		next[OBJECTS] = USED;
#ifdef CASE_OTHERS
		begin_few();
#endif
		run thread();
		run other()
	};
	timeout;
	assert(ended == 1)
}
