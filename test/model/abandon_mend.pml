/*
 * What mends a call of abandon.pml that has ended for good: __recover() of thread_recover.c, store by store.
 */
#include "abandon_slabs.pml"

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

inline relist(s)
{
	if
	:: slabs[s].owner == THREAD ->
		slab = s;
		collect_words();
		n = SIZE(s) - COUNT(free & ALL(s));
		STEP(slabs[s].inuse = n);
		STEP(slabs[s].listed = (s != current));
		n = 0;
		slab = 0
	:: else
	fi
}

#if defined(MUTANT_TAKING_IS_MINE)
#define IS_FOUND_MINE (stage != GIVING || sheaf == SHUT)
#elif defined(MUTANT_GIVING_IS_MINE)
#define IS_FOUND_MINE (stage != TAKING || sheaf == SHUT)
#elif defined(MUTANT_SHUT_UNSEEN)
#define IS_FOUND_MINE (stage == MINE || stage == SENDING)
#else
#define IS_FOUND_MINE (stage == MINE || stage == SENDING || sheaf == SHUT)
#endif

inline recover_moving()
{
	if
	:: IS_FOUND_MINE
	:: else -> STEP(moving = 0)
	fi;
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
	d_step { last = 0; due = true }
}

/* What is free in a slab of the thread's already. */
inline drop_arrived()
{
	fo = flushing;
	do
	:: IS_END(fo) -> break
	:: else ->
		d_step { assert(n < OBJECTS); n++; slab = SLAB_OF(fo) };
		if
		:: slabs[slab].owner == THREAD && (free & BIT(fo)) ->
			if
			:: last -> STEP(next[last] = next[fo])
			:: else ->
				EITHER_ORDER(moving = (due -> 0 : moving), flushing = next[fo]);
				due = false
			fi
		:: else -> last = fo
		fi;
		fo = next[fo]
	od;
	skip;
	d_step { fo = 0; last = 0; slab = 0; n = 0 }
}

inline open_sheaf()
{
	if
	:: sheaf == SHUT -> STEP(sheaf = BOTTOM)
	:: else
	fi
}

#ifdef MUTANT_COLLECTIONS_UNSEEN
#define COLLECTED_SINCE false
#else
#define COLLECTED_SINCE (slabs[slab].collections != sent)
#endif

/* Is the group still on its list? */
#ifdef MUTANT_LIST_UNSEEN
#define NOT_YET_SENT false
#else
#define NOT_YET_SENT (!IS_END(flushing) && (sent_bits & BIT(flushing)))
#endif

/* As far as the maps tell; it is sent again where it has not arrived. */
inline recover_group()
{
	slab = sent_to;
	group = sent_bits;
	read_before();
	others();
	if
	:: remote & group ->
		others();
		if
		:: slabs[slab].gone
		:: else -> others(); note_remote()
		fi
	:: else ->
		others();
		if
		:: free & group
		:: else ->
			others();
			if
			:: COLLECTED_SINCE -> d_step { give_up_group() }; skip
			:: else -> set_remote(); others(); note_remote()
			fi
		fi
	fi;
	skip;
	d_step { slab = 0; group = 0; adopted = false }
}

/* As it was: by the list, whose links may be anybody's. */
inline recover_by_links()
{
	fo = flushing;
	slab = SLAB_OF(fo);
	group_take();
	read_before();
	others();
	if
	:: remote & group -> note_remote(); STEP(flushing = last)
	:: else ->
		if
		:: (free & group) || COLLECTED_SINCE -> STEP(flushing = last)
		:: else
		fi
	fi;
	skip;
	d_step { slab = 0; group = 0; fo = 0; last = 0; adopted = false }
}

#ifdef MUTANT_LINKS_FOLLOWED
#define recover_sent() recover_by_links()
#define IS_SENT (stage == SENDING && !IS_END(flushing))
#else
#define recover_sent() recover_group()
#define IS_SENT (stage == SENDING && !(NOT_YET_SENT))
#endif

inline recover_sending()
{
	if
	:: IS_SENT -> recover_sent()
	:: else
	fi
}

inline recover()
{
	recover_sending();
	recover_moving();
	relist(1);
	relist(2);
	flush_moving();
#ifndef MUTANT_ARRIVED_KEPT
	drop_arrived();
#endif
	put_all();
#ifdef MUTANT_OPENED_TOO_LATE
	STEP(stage = NONE);
	open_sheaf();
#else
#ifndef MUTANT_STAYS_SHUT
	open_sheaf();
#endif
	STEP(stage = NONE)
#endif
}
