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
		:: fo && fo != stop -> assert(n <= OBJECTS && fo != USED); n++; last = fo; fo = next[fo]
		:: else -> break
		od;
		n = 0
	};
#ifndef MUTANT_NO_CUT
	if
	:: fo && last -> STEP(next[last] = 0)
	:: fo && !last -> STEP(moving = 0)
	:: else
	fi;
#endif
	d_step { fo = 0; last = 0 }
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
			:: next[last] -> assert(n < OBJECTS); n++; last = next[last]
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
		steps = 1;
		do
		:: !IS_END(next[last]) && SLAB_OF(next[last]) == slab ->
			assert(steps < OBJECTS);
			steps++;
			last = next[last]
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
	:: IS_END(flushing) -> break
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
	EITHER_ORDER(moving = (due -> 0 : moving), flushing = 0);
	due = false
}

/* Of the n objects on `moving`, the rooms, and the bottom under them. Nobody looks there yet. */
inline write_rooms()
{
	fo = moving;
	do
	:: !IS_END(fo) ->
		STEP(room[fo] = SHEAF - n);
		d_step { n--; last = fo; fo = next[fo] }
	:: else -> break
	od;
	assert(n == 0);
	if
	:: last -> STEP(next[last] = BOTTOM)
	:: else -> STEP(moving = BOTTOM)
	fi;
	d_step { fo = 0; last = 0 }
}

inline give()
{
#ifdef MUTANT_ROOMS_TOO_LATE
	moving = (n -> moving : BOTTOM);
#else
	write_rooms();
#endif
#ifdef MUTANT_GIVING_TOO_LATE
	STEP(sheaf = moving);
	STEP(stage = GIVING);
#else
	STEP(stage = GIVING);
	STEP(sheaf = moving);
#endif
#ifdef MUTANT_ROOMS_TOO_LATE
	write_rooms();
#endif
	STEP(moving = 0);
	STEP(stage = NONE)
}

/* And `object`, if there is one, on top of it. */
inline take_sheaf()
{
	if
	:: object ->
		EITHER_ORDER(next[object] = sheaf, stage = TAKING);
		STEP(moving = object; object = 0)
	:: else ->
		STEP(stage = TAKING);
		STEP(moving = sheaf)
	fi;
#ifdef MUTANT_MINE_TOO_EARLY
	STEP(stage = MINE);
	STEP(sheaf = SHUT)
#else
#ifdef MUTANT_FLUSH_NOT_SHUT
	STEP(sheaf = BOTTOM);
#else
	STEP(sheaf = SHUT);
#endif
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
#ifdef MUTANT_SHUT_TOO_EARLY
	STEP(sheaf = SHUT);
	STEP(stage = MINE);
#else
	STEP(stage = MINE);
#ifndef MUTANT_REFILL_NOT_SHUT
	STEP(sheaf = SHUT);
#endif
#endif
	slab = current;
	do
	:: true ->
		if
		:: slab ->
			slab_take();
			if
			:: n -> break
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
		:: else -> break
		fi
	od;
	slab = 0;
	give()
}

inline flush_sheaf()
{
	take_sheaf();
	d_step {
		last = moving;
		n = 1;
		if
		:: n < HALF && !IS_END(next[last]) -> last = next[last]; n++
		:: else
		fi
	};
	STEP(flushing = next[last]);
	STEP(next[last] = 0);
	last = 0;
	put_all();
	give()
}

inline flush()
{
	take_sheaf();
	STEP(flushing = moving);
	due = true;
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
	give()
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

#if defined(MUTANT_TAKING_IS_MINE)
#define IS_FOUND_MINE (stage != GIVING || sheaf == SHUT)
#elif defined(MUTANT_GIVING_IS_MINE)
#define IS_FOUND_MINE (stage != TAKING || sheaf == SHUT)
#elif defined(MUTANT_SHUT_UNSEEN)
#define IS_FOUND_MINE (stage == MINE)
#else
#define IS_FOUND_MINE (stage == MINE || sheaf == SHUT)
#endif

inline recover_moving()
{
	if
	:: IS_FOUND_MINE
	:: else -> STEP(moving = 0)
	fi;
	cut(slabs[current].freelist);
	cut(flushing);
	STEP(stage = MINE)
}

inline flush_moving()
{
	d_step {
		last = moving;
		steps = 1;
		do
		:: !IS_END(last) && !IS_END(next[last]) ->
			assert(steps < OBJECTS);
			steps++;
			last = next[last]
		:: else -> break
		od
	};
	if
	:: !IS_END(last) -> STEP(next[last] = flushing)
	:: else -> STEP(moving = flushing)
	fi;
	STEP(flushing = moving);
	d_step { last = 0; due = true };
	put_all()
}

inline open_sheaf()
{
	if
	:: sheaf == SHUT -> STEP(sheaf = BOTTOM)
	:: else
	fi
}

inline recover()
{
	mending = true;
	recover_moving();
	relist(1);
	relist(2);
	flush_moving();
#ifdef MUTANT_OPENED_TOO_LATE
	STEP(stage = NONE);
	open_sheaf();
#else
#ifndef MUTANT_STAYS_SHUT
	open_sheaf();
#endif
	STEP(stage = NONE);
#endif
	mending = false
}
