/*
 * The slow paths of abandon.pml, store by store, and what mends them. The class's lock is held.
 */
#include "abandon_state.pml"

/* Of the objects on `moving`, what lies in front of `stop`. */
inline cut(stop)
{
	d_step {
		fo = moving;
		last = 0;
		n = 0;
		do
		:: fo && fo != stop -> assert(n < OBJECTS); n++; last = fo; fo = next[fo]
		:: else -> break
		od;
		fo = 0;
		n = 0
	};
#ifndef MUTANT_NO_CUT
	if
	:: (stop) && last -> STEP(next[last] = 0)
	:: (stop) && !last -> STEP(moving = 0)
	:: else
	fi;
#endif
	last = 0
}

/* Moves the remote list in front of the freelist of `slab`. */
inline collect()
{
	if
	:: slabs[slab].remote ->
		STEP(fo = slabs[slab].remote; slabs[slab].remote = 0; together = true);
		d_step {
			last = fo;
			n = 1;
			do
			:: next[last] -> last = next[last]; n++
			:: else -> break
			od
		};
		STEP(next[last] = slabs[slab].freelist);
		EITHER_ORDER(slabs[slab].freelist = fo, slabs[slab].inuse = slabs[slab].inuse - n);
		d_step { fo = 0; last = 0; n = 0; together = false }
	:: else
	fi
}

inline put_slab()
{
	collect();
	STEP(slabs[slab].owner = NOBODY);
	STEP(slabs[slab].shared = true)
}

inline put_local()
{
	STEP(next[fo] = slabs[slab].freelist);
	EITHER_ORDER(slabs[slab].freelist = fo, slabs[slab].inuse--)
}

/* What comes in a row and is of one slab. */
inline put_remote()
{
	d_step {
		last = fo;
		do
		:: next[last] && SLAB_OF(next[last]) == slab -> last = next[last]
		:: else -> break
		od
	};
#ifdef MUTANT_CHAIN_NOT_CUT
	STEP(x = next[last]; next[last] = slabs[slab].remote);
	STEP(flushing = x);
#else
	STEP(flushing = next[last]; together = true);
	STEP(next[last] = slabs[slab].remote);
#endif
	STEP(slabs[slab].remote = fo);
	together = false
}

/* `moving` is to be cleared, before or after the first object has left `flushing`. */
inline put_all()
{
	do
	:: flushing == 0 -> break
	:: else ->
		fo = flushing;
		slab = SLAB_OF(fo);
		if
		:: slabs[slab].owner == THREAD ->
			EITHER_ORDER(moving = (due -> 0 : moving), flushing = next[fo]);
			due = false;
			put_local()
		:: else ->
			STEP(moving = (due -> 0 : moving));
			due = false;
			put_remote()
		fi;
		d_step { fo = 0; slab = 0; last = 0 }
	od;
	STEP(moving = (due -> 0 : moving));
	due = false
}

inline give(new_room)
{
#ifdef MUTANT_GIVING_TOO_LATE
	STEP(room = new_room; drift = false);
	STEP(sheaf = moving);
	STEP(stage = GIVING);
#else
	EITHER_ORDER(room = new_room; drift = false, stage = GIVING);
	STEP(sheaf = moving);
#endif
	STEP(moving = 0);
	STEP(stage = NONE)
}

inline take_sheaf()
{
	STEP(stage = TAKING);
	STEP(moving = sheaf);
#ifdef MUTANT_MINE_TOO_EARLY
	STEP(stage = MINE);
	EITHER_ORDER(sheaf = 0, room = 0)
#else
	EITHER_ORDER(sheaf = 0, room = 0);
	STEP(stage = MINE)
#endif
}

/* Half a sheaf, onto `moving`. */
inline slab_take()
{
	if
	:: slabs[slab].freelist == 0 -> collect()
	:: else
	fi;
	d_step {
		fo = slabs[slab].freelist;
		last = fo;
		n = (fo -> 1 : 0);
		if
		:: n < HALF && next[fo] -> last = next[fo]; n++
		:: else
		fi
	};
	STEP(moving = fo);
#ifdef MUTANT_CURRENT_TOO_LATE
	STEP(current = slab);
#endif
	STEP(slabs[slab].freelist = next[last]);
	if
	:: fo ->
		EITHER_ORDER(next[last] = 0, slabs[slab].inuse = slabs[slab].inuse + n)
	:: else
	fi;
	d_step { fo = 0; last = 0 }
}

#define HAS_FREE(s) (slabs[s].freelist || slabs[s].remote)

/* Sets `slab`: of the thread's, else nobody's. */
inline next_slab()
{
	if
	:: slabs[1].listed && HAS_FREE(1) -> slab = 1
	:: slabs[2].listed && HAS_FREE(2) -> slab = 2
	:: slabs[1].shared && HAS_FREE(1) -> slab = 1
	:: slabs[2].shared && HAS_FREE(2) -> slab = 2
	:: else -> slab = 0
	fi;
	if
	:: slab && slabs[slab].shared ->
		STEP(slabs[slab].shared = false);
		STEP(slabs[slab].owner = THREAD)
	:: slab && slabs[slab].listed -> STEP(slabs[slab].listed = false)
	:: else
	fi
}

inline refill()
{
	STEP(stage = MINE);
	slab = current;
	do
	:: true ->
		if
		:: slab ->
			slab_take();
			if
			:: n -> give(SHEAF - n); break
			:: else
			fi;
			STEP(current = 0);
			STEP(slabs[slab].listed = true)
		:: else
		fi;
		next_slab();
		if
#ifdef MUTANT_CURRENT_TOO_LATE
		:: slab
#else
		:: slab -> STEP(current = slab)
#endif
		:: else -> STEP(stage = NONE); break
		fi
	od;
	slab = 0;
	n = 0
}

inline flush_sheaf()
{
	take_sheaf();
	d_step {
		last = moving;
		n = 1;
		if
		:: n < HALF && next[last] -> last = next[last]; n++
		:: else
		fi
	};
	STEP(flushing = next[last]);
	STEP(next[last] = 0);
	last = 0;
	put_all();
	give(SHEAF - n);
	n = 0
}

inline flush()
{
	take_sheaf();
	STEP(flushing = moving);
	due = true;
	STEP(room = SHEAF; drift = false);
	put_all();
	slab = current;
	STEP(current = 0);
	do
	:: slab ->
		put_slab();
		slab = 0
	:: else ->
		slab = (slabs[1].listed -> 1 : (slabs[2].listed -> 2 : 0));
		if
		:: slab -> STEP(slabs[slab].listed = false)
		:: else -> break
		fi
	od;
	STEP(stage = NONE)
}

inline relist(s)
{
	if
	:: slabs[s].owner == THREAD ->
		d_step { count_places(); walk(slabs[s].freelist); n = SIZE(s) - steps };
		STEP(slabs[s].inuse = n);
		STEP(slabs[s].listed = (s != current));
		n = 0
	:: else
	fi
}

inline recover_moving()
{
	if
#ifdef MUTANT_TAKING_IS_MINE
	:: stage == MINE || stage == TAKING || (exact && !sheaf)
#else
#ifdef MUTANT_DOUBT_KEEPS
	:: stage == MINE || !sheaf
#else
	:: stage == MINE || (exact && !sheaf)
#endif
#endif
	:: else -> STEP(moving = 0; give_up())
	fi;
	cut(slabs[current].freelist);
	cut(flushing);
	STEP(stage = MINE)
}

/* What was moving; the sheaf has it all, unless it was used since. */
inline give_up()
{
	d_step { count_places(); places[object]++; together = false; account(exact) }
}

inline flush_moving()
{
	d_step {
		last = moving;
		do
		:: last && next[last] -> last = next[last]
		:: else -> break
		od
	};
	if
	:: last -> STEP(next[last] = flushing)
	:: else -> STEP(moving = flushing)
	fi;
	STEP(flushing = moving);
	d_step { last = 0; due = true };
	put_all()
}

inline recover()
{
	if
	:: stage != NONE ->
		recover_moving();
		relist(1);
		relist(2);
		flush_moving();
		STEP(stage = NONE)
	:: else
	fi;
	d_step { count_places(); n = length };
	STEP(room = (n < SHEAF -> SHEAF - n : 0); drift = (n > SHEAF));
	n = 0
}
