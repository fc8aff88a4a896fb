/*
 * The slow paths of abandon.pml, store by store. The class's lock is held.
 */
#include "abandon_others.pml"

/* Of a slab of the thread's. */
inline collect_words()
{
	if
	:: remote & ALL(slab) ->
		group = remote & ALL(slab);
		STEP(free = free | group);
		STEP(remote = remote & (7 - group));
		n = COUNT(group);
		group = 0
	:: else
	fi;
	STEP(count_collection(slab))
}

inline collect()
{
	if
	:: slabs[slab].noted ->
		STEP(slabs[slab].noted = false);
		collect_words();
		STEP(slabs[slab].inuse = slabs[slab].inuse - n);
		n = 0
	:: else
	fi
}

inline put_slab()
{
	if
	:: slabs[slab].inuse == SIZE(slab) && !slabs[slab].noted -> STEP(slabs[slab].owner = NOBODY)
	:: else ->
		collect();
		if
		:: slabs[slab].inuse == 0 -> STEP(discard(slab))
		:: else ->
			STEP(slabs[slab].owner = NODE);
			STEP(slabs[slab].shared = true)
		fi
	fi
}

/* The first of flushing; `due`: see put_all. */
inline put_local()
{
#ifdef MUTANT_PUT_TOO_LATE
	EITHER_ORDER(moving = (due -> 0 : moving), flushing = next[fo]);
	due = false;
	STEP(free = free | BIT(fo));
	STEP(slabs[slab].inuse--);
#else
	EITHER_ORDER(moving = (due -> 0 : moving), free = free | BIT(fo));
	due = false;
	STEP(slabs[slab].inuse--);
	STEP(flushing = next[fo]);
#endif
	if
	:: slabs[slab].inuse == 0 && slabs[slab].listed ->
		if
		:: STEP(slabs[slab].listed = false); STEP(discard(slab))
		:: true
		fi
	:: else
	fi
}

/* What comes in a row and is of one slab: `group`; sets `last` to what follows. */
inline group_take()
{
	d_step {
		group = 0;
		last = fo;
		do
		:: !IS_END(last) && SLAB_OF(last) == slab ->
			assert(last < BOTTOM && !(group & BIT(last)));
			group = group | BIT(last);
			last = next[last]
		:: else -> break
		od
	}
}

inline set_remote()
{
	STEP(assert(!slabs[slab].gone && !((free | remote) & group)); remote = remote | group)
}

/* Of the slab that it was when `before` was read. */
inline note_remote()
{
	STEP(slabs[slab].noted = true);
	others();
	if
	:: slabs[slab].owner == NOBODY && !slabs[slab].remade ->
		STEP(assert(!slabs[slab].gone); slabs[slab].owner = THREAD; adopted = true)
	:: else
	fi;
	others()
}

inline read_before()
{
	d_step { slabs[1].remade = false; slabs[2].remade = false }
}

#ifdef MUTANT_STAGE_TOO_LATE
#define SET_REMOTE_EARLY set_remote()
#else
#define SET_REMOTE_EARLY skip
#endif

inline begin_sending()
{
	/* Nobody looks at these yet. */
	STEP(sent_to = slab; sent_bits = group; since = 0);
#ifndef MUTANT_SENT_NOT_NOTED
	sent = slabs[slab].collections;
#endif
	others();
	SET_REMOTE_EARLY;
	STEP(stage = SENDING);
	others()
}

/* The group leaves the list before it is sent: from then on it is in sent_bits alone. */
inline put_remote()
{
	read_before();
	group_take();
	begin_sending();
#ifndef MUTANT_LINKS_FOLLOWED
	STEP(flushing = last);
	others();
#endif
#ifndef MUTANT_STAGE_TOO_LATE
	set_remote();
#endif
	others();
	note_remote();
#ifdef MUTANT_LINKS_FOLLOWED
	STEP(flushing = last);
#endif
	STEP(stage = MINE);
	group = 0;
	last = 0;
	if
	:: adopted -> adopted = false; collect(); STEP(slabs[slab].listed = true)
	:: else
	fi
}

/* `moving` is to be cleared, before or after the next store. */
inline put_all()
{
	do
	:: IS_END(flushing) -> break
	:: else ->
		d_step { fo = flushing; slab = SLAB_OF(fo) };
		if
		:: slabs[slab].owner == THREAD -> put_local()
		:: else ->
			STEP(moving = (due -> 0 : moving));
			due = false;
			put_remote()
		fi;
		d_step { fo = 0; slab = 0 }
	od;
	EITHER_ORDER(moving = (due -> 0 : moving), flushing = 0);
	due = false
}

/* Of the n objects on `list`, the rooms. Nobody looks there yet. */
inline write_rooms(list)
{
	fo = list;
	do
	:: n ->
		STEP(room[fo] = SHEAF - n);
		d_step { n--; fo = next[fo] }
	:: else -> break
	od;
	fo = 0
}

inline give()
{
#ifdef MUTANT_GIVING_TOO_LATE
	STEP(sheaf = moving);
	STEP(stage = GIVING);
#else
	STEP(stage = GIVING);
	STEP(sheaf = moving);
#endif
#ifdef MUTANT_ROOMS_TOO_LATE
	n = rooms;
	rooms = 0;
	write_rooms(moving);
#endif
	STEP(moving = 0);
	STEP(stage = NONE)
}

inline give_nothing()
{
	STEP(moving = BOTTOM);
	give()
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

/* The n lowest of `group`, linked down to the bottom; sets `fo`. They are free: nobody looks there. */
inline link_lowest()
{
	d_step {
		group = free & ALL(slab);
		assert(COUNT(group) >= n);
		fo = LOWEST(group);
		x = group - BIT(fo);
		if
		:: n == 2 -> next[fo] = LOWEST(x); room[fo] = SHEAF - 2; last = next[fo]; x = 0
		:: else -> last = fo; group = group - x
		fi;
		next[last] = BOTTOM;
		room[last] = SHEAF - 1;
		x = 0;
		last = 0
	}
}

/* Half a sheaf, onto `moving`. */
inline slab_take()
{
	if
	:: slabs[slab].inuse == SIZE(slab) -> collect()
	:: else
	fi;
	d_step { n = SIZE(slab) - slabs[slab].inuse; n = (n > HALF -> HALF : n) };
	if
	:: n ->
		link_lowest();
#ifdef MUTANT_TAKEN_TOO_EARLY
		STEP(free = free & (7 - group));
		STEP(moving = fo);
#else
		STEP(moving = fo);
		STEP(free = free & (7 - group));
#endif
		STEP(slabs[slab].inuse = slabs[slab].inuse + n);
		group = 0;
		fo = 0
	:: else
	fi
}

#define GONE_SLAB (slabs[1].gone -> 1 : (slabs[2].gone -> 2 : 0))
#define HAS_FREE(s) ((free & ALL(s)) || slabs[s].noted)
#define SLAB_THAT(is) (slabs[1].is && HAS_FREE(1) -> 1 : (slabs[2].is && HAS_FREE(2) -> 2 : 0))

/* Sets `slab`: of the thread's, else nobody's, else a new one, where there is memory. */
inline next_slab()
{
	if
	:: SLAB_THAT(listed) -> slab = SLAB_THAT(listed)
	:: !SLAB_THAT(listed) && SLAB_THAT(shared) -> slab = SLAB_THAT(shared)
	:: !SLAB_THAT(listed) && !SLAB_THAT(shared) && GONE_SLAB -> slab = GONE_SLAB
	:: else -> slab = 0
	fi;
	if
	:: slab && slabs[slab].gone -> STEP(remake(slab, THREAD))
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
			:: n -> n = 0; give(); break
			:: else
			fi;
			STEP(current = 0);
			STEP(slabs[slab].listed = true)
		:: else
		fi;
		next_slab();
		if
		:: slab -> STEP(current = slab)
		:: else -> give_nothing(); break
		fi
	od;
	slab = 0
}

inline flush_sheaf()
{
	take_sheaf();
#ifdef MUTANT_ROOMS_TOO_LATE
	rooms = HALF;
#else
	n = HALF;
	write_rooms(moving);
#endif
	last = (HALF == 1 -> moving : next[moving]);
	STEP(flushing = next[last]);
	STEP(next[last] = BOTTOM);
	last = 0;
	put_all();
	give()
}

/* Past the sheaf, which is full and stays as it is. */
inline put_one()
{
#ifdef MUTANT_ONE_NOT_STAGED
	STEP(next[object] = 0);
#else
	EITHER_ORDER(next[object] = 0, stage = MINE);
#endif
	STEP(flushing = object; object = 0);
	put_all();
	STEP(stage = NONE)
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
	give_nothing()
}
