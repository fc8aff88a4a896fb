/*
 * The shared word of a slab and its two maps: frees from elsewhere, collection, OWNED -> FULL -> OWNED,
 * FULL -> PARTIAL, the node's list, the empty slab's end, and another slab in the same frames.
 *
 *   here               in core/
 *   cas, ghosts        slab.c    shared_cas(), slab_check()
 *   free_remote        slab.c    slab_set_remote(), slab_note_remote(): objects of a word by one OR
 *   collect            slab.c    __slab_collect(), __collect_word()
 *   release_full       slab.c    __slab_release_full()
 *   set_state          slab.c    slab_set_state(); with it __slab_release_partial(), discard_slab(),
 *                                slab_acquire_partial(), new_slab()
 *   put_slab           node.c    put_slab()
 *   get_slab           node.c    get_partial(), pop_partial(), then __slab_take() of slab.c
 *   shrink             node.c    shrink_node(), called by note_empty()
 *   list_slab          node.c    list_partial(); the list is one step here, partial.pml has its steps
 *   put_objects        thread_flush.c  __thread_put_all(), __put_local(), __put_remote(); for the nested
 *                                thread free_nested() of kmem_cache.c
 *
 * One slab, all of its objects in use. Thread 1 has it on its list of full slabs and frees one object;
 * thread 2 frees two, by one OR or one after the other; thread 3 is a handler whose class is locked (it
 * adopts nothing) and frees one; thread 4 takes the slab from the node's list when it is there, allocates and
 * frees. Each gives the slab up at any time at which it has it. Who discards it may make another slab of its
 * frames, whose objects stay in use.
 *
 * Proved: the owner's map and count have one user, the owner; transitions are those of types.h; a collection
 * finds what was freed; an object is handed out only if it is free, by one map alone; `inuse` is exact; in the
 * end every object is in one map, and what is free can be reached; nobody comes to own another slab than the
 * one that he freed into.
 */
#include "common.pml"

#ifdef PROGRESS
#define N 3
#define NR 3
#else
#define N 4
#define NR 4
#endif
#define ALL ((1 << N) - 1)
#define NESTED 3

#define FREE 0
#define OWNED 1
#define FULL 2
#define PARTIAL 3

#define NO_OWNER 0

typedef word {
	byte owner;
	byte state;
	byte generation
}

word shared;
byte free;   /* the owner's map */
byte remote; /* the map of what others freed */
bool noted;  /* slab->remote, of one plane */
byte inuse;
bool listed; /* on the node's list */

/* Ghosts. */
byte holder; /* who owns the slab; 0: nobody */
byte live;   /* objects in use */
bool remade; /* the frames are another slab */
byte noting; /* threads that have set bits, or FULL, and not come to the end of it */

/* What is free in nobody's full slab is about to be found. */
#define FOUND assert(shared.state != FULL || !remote || noting)

#define MINE assert(holder == _pid)

#define SAME (shared.owner == old.owner && shared.state == old.state && \
	shared.generation == old.generation)
#define LOAD old.owner = shared.owner; old.state = shared.state; old.generation = shared.generation
#define COPY_OLD new.owner = old.owner; new.state = old.state; new.generation = old.generation
#define FORGET(w) w.owner = 0; w.state = 0; w.generation = 0

#define ALLOWED(from, to) ( \
	(from == FREE && to == OWNED) || \
	(from == OWNED && to != OWNED) || \
	(from == FULL && (to == OWNED || to == PARTIAL)) || \
	(from == PARTIAL && to == OWNED))

/* What a change of the word means. */
inline ghosts()
{
	assert(ALLOWED(old.state, new.state));
	assert(new.state == OWNED || !new.owner);
	if
	:: old.state != OWNED && new.state == OWNED ->
		assert(holder == 0);
		holder = _pid
	:: old.state == OWNED && new.state != OWNED ->
		MINE;
		holder = 0
	:: else
	fi
}

/* Ends the loop that it is in where the word is still the old one. */
inline cas()
{
	if
	:: SAME ->
		ghosts();
		shared.owner = new.owner;
		shared.state = new.state;
		shared.generation = new.generation;
		FORGET(new);
		break
	:: else ->
		LOAD;
		FORGET(new)
	fi
}

inline load_old()
{
	d_step { LOAD }
}

inline set_state(s, who)
{
	load_old();
	do
	:: true ->
		atomic {
			COPY_OLD;
			new.state = s;
			new.owner = who;
			new.generation = old.generation + (old.state == FREE -> 1 : 0);
			cas()
		}
	od;
	atomic { FORGET(old) }
}

inline list_slab()
{
	atomic { assert(!listed); listed = true }
}

/* Atomically: `got` says whether the slab was there. */
inline pop_slab()
{
	atomic { got = listed; listed = false }
}

inline count_bits(mask)
{
	n = (mask & 1) + ((mask >> 1) & 1) + ((mask >> 2) & 1) + ((mask >> 3) & 1)
}

inline collect()
{
	if
	:: noted ->
#ifndef MUTANT_NOTED_TOO_LATE
		noted = false;
#endif
		found = remote;
		if
		:: found ->
			atomic { MINE; free = free | found };
#ifdef MUTANT_COLLECT_BY_STORE
			remote = 0;
#else
			remote = remote & (ALL - found);
#endif
			atomic { MINE; count_bits(found); inuse = inuse - n; n = 0; found = 0 }
		:: else
		fi;
#ifdef MUTANT_NOTED_TOO_LATE
		noted = false
#endif
	:: else
	fi
}

/* `ok`: the slab is nobody's. */
inline release_full()
{
	ok = true;
	if
	:: noted -> ok = false
	:: else ->
		noting++;
		set_state(FULL, NO_OWNER);
#ifndef MUTANT_FULL_UNSEEN
		atomic { old.state = FULL; old.owner = NO_OWNER; old.generation = made };
		do
		:: !noted || old.state != FULL || old.generation != made -> break
		:: else ->
			atomic {
				COPY_OLD;
				new.state = OWNED;
				new.owner = _pid;
				ok = !SAME;
				cas()
			}
		od;
#endif
		atomic { noting--; FORGET(old) }
	fi
}

/* Frames of the slab that has gone; of the new one all is handed out at once. */
inline remake()
{
	if
	:: !remade ->
		atomic { remade = true; assert(remote == 0) };
		set_state(OWNED, _pid);
		atomic { MINE; free = 0; inuse = N; live = ALL; made = shared.generation };
		release_full();
		if
		:: ok
		:: else -> collect(); set_state(PARTIAL, NO_OWNER); list_slab()
		fi
	:: true
	fi
}

/* Empty: to the frames; else onto the node's list. */
inline release_partial()
{
	if
	:: inuse == 0 ->
		atomic { MINE; assert(free == ALL && !remote && !live) };
		set_state(FREE, NO_OWNER);
		remake()
	:: else ->
		set_state(PARTIAL, NO_OWNER);
		list_slab()
	fi
}

inline put_slab()
{
	ok = false;
	atomic { MINE; made = shared.generation };
	if
	:: inuse == N -> release_full()
	:: else
	fi;
	if
	:: ok
	:: else ->
		collect();
		release_partial()
	fi;
	atomic { FOUND; mine = false; ok = false; made = 0 }
}

/* From the node's list, if it is there; an object from it. */
inline get_slab()
{
	pop_slab();
	if
	:: got ->
		set_state(OWNED, _pid);
		atomic { MINE; mine = true };
		if
		:: inuse == N -> collect()
		:: else
		fi;
		if
		:: free ->
			atomic {
				MINE;
				found = free & (ALL + 1 - free);
				assert(!(live & found) && !(remote & found));
				live = live | found;
				mask = mask | found;
				free = free - found;
				inuse++;
				found = 0
			}
		:: else
		fi;
		got = false
	:: else
	fi
}

inline shrink()
{
	pop_slab();
	if
	:: got ->
		set_state(OWNED, _pid);
		made = shared.generation;
		collect();
		release_partial();
		d_step { got = false; made = 0; ok = false }
	:: else
	fi
}

inline put_local(one)
{
	atomic { MINE; assert(live & (one)); live = live - (one); free = free | (one) };
	atomic { MINE; count_bits(one); inuse = inuse - n; n = 0 }
}

inline note()
{
	if
	:: noted
	:: else -> noted = true
	fi
}

/* What it is for: `empties`, `adopted`, `lists`. */
inline push_or_adopt(may_adopt)
{
	load_old();
	do
	:: old.state == PARTIAL -> empties = ((free | remote) == ALL); break
#ifdef MUTANT_NO_GENERATION
	:: old.state != PARTIAL && old.state != FULL -> break
#else
	:: old.state != PARTIAL && (old.state != FULL || old.generation != made) -> break
#endif
	:: else ->
#ifdef MUTANT_NESTED_LEAVES_FULL
		if
		:: !(may_adopt) -> break
		:: else
		fi;
#endif
		atomic {
			COPY_OLD;
			new.state = (may_adopt -> OWNED : PARTIAL);
			new.owner = (may_adopt -> _pid : NO_OWNER);
			assert(!SAME || shared.generation == made);
#ifdef MUTANT_ADOPT_BY_STORE
			old.owner = shared.owner;
			old.state = shared.state;
#endif
			adopted = may_adopt && SAME;
			lists = !(may_adopt) && SAME;
			cas()
		}
	od;
	atomic { FORGET(old) }
}

inline free_remote(one, may_adopt)
{
	made = shared.generation;
#ifdef MUTANT_NOTED_TOO_EARLY
	note();
#endif
	atomic {
		assert((live & (one)) == (one) && !(remote & (one)) && !(free & (one)));
		live = live - (one);
		remote = remote | (one);
		noting++
	};
#ifndef MUTANT_NOTED_TOO_EARLY
	note();
#endif
	push_or_adopt(may_adopt);
	atomic { noting--; FOUND; made = 0 };
	if
	:: adopted -> adopted = false; collect(); mine = true
	:: lists ->
		lists = false;
#ifndef MUTANT_NOT_LISTED
		list_slab()
#endif
	:: empties -> empties = false; shrink()
	:: else
	fi
}

/* Some of what is to be freed. */
inline put_objects()
{
	atomic {
		if
		:: one = mask & (ALL + 1 - mask)
		:: mask != (mask & (ALL + 1 - mask)) -> one = mask
		fi;
		mask = mask - one
	};
	if
	:: shared.owner == _pid && _pid != NESTED -> put_local(one)
	:: else -> free_remote(one, (_pid != NESTED))
	fi;
	one = 0
}

/* What a thread does next. */
#define PUT_OBJECTS 0
#define PUT_SLAB 1
#define GET_SLAB 2
#define END 3

inline choose()
{
	if
	:: mask -> what = PUT_OBJECTS
	:: mine -> what = PUT_SLAB
	:: !mask && gets -> what = GET_SLAB; gets = false
	:: !mask && !gets && mine -> what = END
	:: else -> what = END
	fi
}

/*
 * Frees the objects of `mask`; `gets`: takes the slab from the node's list once, and frees what it allocates
 * from it. Gives up the slab at any time at which it has it, or keeps it.
 */
proctype thread(byte mask; bool gets)
{
	word old, new;
	byte n, found, one, what, made;
	bool ok, got, empties, adopted, lists;
	bool mine = _pid == 1;

	do
	:: true ->
		atomic { choose() };
		if
		:: what == END -> break
		:: atomic { what == PUT_SLAB -> what = 0 }; put_slab()
		:: atomic { what == GET_SLAB -> what = 0 }; get_slab()
		:: else ->
#ifdef MUTANT_WAIT
			/* Frees only where nobody owns the slab: waits for the owner. */
			do
			:: holder == 0 || holder == _pid -> break
			:: else
			od;
#endif
			put_objects()
		fi
	od;
	ended++
}

/* Every object in one map, and what is free within reach. */
inline check_all()
{
	assert(!(free & remote));
	assert(shared.owner == holder);
	assert((shared.state == OWNED) == (holder != 0));
	assert(listed == (shared.state == PARTIAL));
	assert(!remote || noted);
	if
	:: remade -> assert(!free && !remote && inuse == N && live == ALL)
	:: else ->
		count_bits(free);
		assert(shared.state == FREE || inuse == N - n);
		assert(!live && (free | remote) == ALL);
		assert(shared.state != FULL)
	fi
}

init {
	byte n;

	atomic {
		shared.state = OWNED;
		shared.owner = 1;
		holder = 1;
		inuse = N;
		live = ALL;
#ifdef PROGRESS
		run thread(1, true);
		run thread(2, false);
		run thread(4, false)
#else
		run thread(1, false);
		run thread(6, false);
		run thread(8, false);
		run thread(0, true)
#endif
	};
	timeout;
	assert(ended == NR);
	d_step { check_all() }
}
