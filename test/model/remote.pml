/*
 * The shared word of a slab: remote frees, collection, OWNED -> FULL -> OWNED, FULL -> PARTIAL, the
 * node's list, and the empty slab's end.
 *
 *   here               in core/
 *   cas, ghosts        slab.c    remote_cas(), slab_check()
 *   free_remote        slab.c    slab_free_remote(): a chain of objects by one CAS
 *   collect            slab.c    __slab_collect()
 *   release_full       slab.c    __slab_release_full()
 *   set_state          slab.c    slab_set_state(); with it __slab_release_partial(), discard_slab(),
 *                                slab_acquire_partial()
 *   put_slab           node.c    put_slab()
 *   get_slab           node.c    get_partial(), pop_partial(), then __slab_take() of slab.c
 *   shrink             node.c    shrink_node(), called by note_empty()
 *   list_slab          node.c    list_partial(); the list is one step here, partial.pml has its steps
 *   put_all            thread_slabs.c  __put_all(), __put_local(), __put_remote(); for the nested thread
 *                                free_nested() of kmem_cache.c
 *   adopt              thread_slabs.c  __adopt()
 *
 * One slab, all of its objects in use. Thread 1 has it on its list of full slabs and frees one object;
 * thread 2 frees two, by one CAS or one after the other; thread 3 is a handler whose class is locked
 * (may_adopt is false) and frees one; thread 4 takes the slab from the node's list when it is there,
 * allocates and frees. Each gives the slab up at any time at which it has it. The word has no generation
 * here: this protocol is right without.
 *
 * Proved: of the owner's plain fields, every access is made by the one owner; transitions are those of
 * types.h; a collection finds as many objects as the count says; `inuse` is exact; in the end every
 * object is on exactly one list, and what is free can be reached.
 */
#include "common.pml"

#ifdef PROGRESS
#define N 3
#define NR 3
#else
#define N 4
#define NR 4
#endif
#define NESTED 3

#define FREE 0
#define OWNED 1
#define FULL 2
#define PARTIAL 3

#define NO_OWNER 0

typedef word {
	byte head;
	byte count;
	byte state
}

word remote;
byte owner;
byte freelist;
byte inuse;
byte next[N + 1]; /* fo->next; objects are 1..N */
bool listed;      /* on the node's list */

/* Ghosts. */
#define LIVE 0
#define ON_REMOTE 1
#define ON_FREELIST 2
byte holder; /* who owns the slab; 0: nobody */
byte place[N + 1];

#define MINE assert(holder == _pid)

#define SAME (remote.head == old.head && remote.count == old.count && remote.state == old.state)
#define LOAD old.head = remote.head; old.count = remote.count; old.state = remote.state
#define COPY_OLD new.head = old.head; new.count = old.count; new.state = old.state
#define FORGET(w) w.head = 0; w.count = 0; w.state = 0

#define ALLOWED(from, to) ( \
	(from == FREE && to == OWNED) || \
	(from == OWNED) || \
	(from == FULL && (to == OWNED || to == PARTIAL)) || \
	(from == PARTIAL && (to == PARTIAL || to == OWNED)))

/* The objects of a chain go from one place to another: `n` of them. */
inline ghost_move(first, nr, here, there)
{
	i = first;
	n = nr;
	do
	:: n ->
		assert(place[i] == here);
		place[i] = there;
		last = i;
		i = next[i];
		n--
	:: else -> break
	od;
	i = 0
}

/* What a change of the word means. */
inline ghosts()
{
	assert(ALLOWED(old.state, new.state));
	assert((new.head == 0) == (new.count == 0));
	assert(new.head == 0 || (new.state != FULL && new.state != FREE));
	if
	:: new.count > old.count ->
		ghost_move(new.head, new.count - old.count, LIVE, ON_REMOTE);
		last = 0
	:: new.count < old.count ->
		MINE;
		ghost_move(old.head, old.count, ON_REMOTE, ON_FREELIST);
		assert(next[last] == 0)
	:: else
	fi;
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
		remote.head = new.head;
		remote.count = new.count;
		remote.state = new.state;
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

inline set_state(s)
{
	load_old();
	do
	:: true -> atomic { COPY_OLD; new.state = s; cas() }
	od;
	FORGET(old)
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

inline collect()
{
	load_old();
	do
	:: old.head == 0 -> break
	:: else ->
#ifdef MUTANT_COLLECT_BY_STORE
		atomic {
			COPY_OLD;
			new.head = 0;
			new.count = 0;
			ghosts();
			FORGET(new);
			remote.head = 0;
			remote.count = 0;
			break
		}
#else
		atomic { COPY_OLD; new.head = 0; new.count = 0; cas() }
#endif
	od;
	if
	:: old.head ->
		/* The chain is the collector's now; `last` was found by its walk. */
		atomic { MINE; next[last] = freelist };
		atomic { MINE; freelist = old.head };
		atomic { MINE; inuse = inuse - old.count }
	:: else
	fi;
	d_step { FORGET(old); last = 0 }
}

/* `ok`: the slab is nobody's. */
inline release_full()
{
	MINE;
#ifndef MUTANT_OWNER_TOO_LATE
	owner = NO_OWNER;
#endif
	load_old();
	ok = true;
	do
#ifndef MUTANT_FULL_UNSEEN
	:: old.head -> owner = _pid; ok = false; break
#endif
	:: else -> atomic { COPY_OLD; new.state = FULL; cas() }
	od;
#ifdef MUTANT_OWNER_TOO_LATE
	if
	:: ok -> owner = NO_OWNER
	:: else
	fi;
#endif
	FORGET(old)
}

inline discard()
{
	atomic { MINE; assert(inuse == 0); owner = NO_OWNER };
	set_state(FREE)
}

/* Empty: to the frames; else onto the node's list. */
inline release_partial()
{
	if
	:: inuse == 0 -> discard()
	:: else ->
		owner = NO_OWNER;
		set_state(PARTIAL);
		list_slab()
	fi
}

inline put_slab()
{
	ok = false;
	if
	:: freelist == 0 -> release_full()
	:: else
	fi;
	if
	:: ok
	:: else ->
		collect();
		release_partial()
	fi;
	mine = false;
	ok = false
}

/* From the node's list, if it is there; an object from it, `extra`. */
inline get_slab()
{
	pop_slab();
	if
	:: got ->
		set_state(OWNED);
		atomic { MINE; owner = _pid; mine = true };
		if
		:: freelist == 0 -> collect()
		:: else
		fi;
		if
		:: freelist ->
			atomic {
				MINE;
				extra = freelist;
				assert(place[extra] == ON_FREELIST);
				freelist = next[extra];
				place[extra] = LIVE
			};
			atomic { MINE; inuse++ }
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
		set_state(OWNED);
		collect();
		release_partial();
		got = false
	:: else
	fi
}

inline put_local(fo)
{
	atomic { MINE; assert(place[fo] == LIVE); next[fo] = freelist };
	atomic { MINE; freelist = fo; place[fo] = ON_FREELIST };
	atomic { MINE; inuse-- }
}

/* The chain is nr objects from fo, linked already. */
inline adopt(fo, nr)
{
	atomic { MINE; ghost_move(fo, nr, LIVE, ON_FREELIST); next[last] = 0; last = 0 };
	atomic { MINE; freelist = fo };
	atomic { MINE; inuse = N - (nr) };
	atomic { MINE; owner = _pid; mine = true }
}

/* The new word, from the old one; also the link, which nobody else sees before the word changes. */
inline push_or_adopt(fo, nr, may_adopt)
{
	COPY_OLD;
	if
	:: old.state == FULL && may_adopt -> new.state = OWNED
	:: else ->
#ifndef MUTANT_NESTED_LEAVES_FULL
		new.state = (old.state == FULL -> PARTIAL : old.state);
#endif
		next[fo + (nr) - 1] = old.head;
		new.head = fo;
		new.count = old.count + (nr)
	fi
}

inline free_remote(fo, nr, may_adopt)
{
	load_old();
	do
	:: true ->
		d_step { empties = old.state == PARTIAL && old.count + (nr) == inuse };
#ifdef MUTANT_ADOPT_BY_STORE
		if
		:: old.state == FULL && may_adopt ->
			atomic {
				push_or_adopt(fo, nr, may_adopt);
				ghosts();
				remote.state = OWNED;
				FORGET(new);
				break
			}
		:: else -> skip
		fi;
#endif
		atomic { push_or_adopt(fo, nr, may_adopt); cas() }
	od;
	if
	:: old.state == FULL ->
		if
		:: may_adopt -> adopt(fo, nr)
		:: else ->
#ifdef MUTANT_NOT_LISTED
			skip
#else
			list_slab()
#endif
		fi
	:: else ->
		if
		:: empties -> shrink()
		:: else
		fi
	fi;
	d_step { FORGET(old); empties = false }
}

/* Some of the objects from..to. */
inline put_all()
{
	if
	:: owner == _pid && _pid != NESTED ->
		put_local(from);
		from++
	:: else ->
		if
		:: from < to -> row = 2
		:: true -> row = 1
		fi;
		free_remote(from, row, (_pid != NESTED));
		d_step { from = from + row; row = 0 }
	fi
}

/* What a thread does next. */
#define PUT_OBJECTS 0
#define PUT_SLAB 1
#define COLLECT 2
#define GET_SLAB 3
#define END 4

inline choose()
{
	if
	:: from > to && extra -> from = extra; to = extra; extra = 0
	:: else
	fi;
	if
	:: from <= to -> what = PUT_OBJECTS
	:: mine -> what = PUT_SLAB
	:: mine && collects -> what = COLLECT; collects = false
	:: from > to && gets -> what = GET_SLAB; gets = false
	:: from > to && !gets && mine -> what = END
	:: else -> what = END
	fi
}

/*
 * Frees the objects from..to, which are linked; `gets`: takes the slab from the node's list once, and
 * frees what it allocates from it. Gives up the slab at any time at which it has it, or keeps it.
 */
proctype thread(byte from; byte to; bool gets)
{
	word old, new;
	byte i, n, last, extra, row, what;
	bool ok, got, empties;
	bool mine = _pid == 1;
	bool collects = mine;

	do
	:: true ->
		atomic { choose() };
		if
		:: what == END -> break
		:: atomic { what == PUT_SLAB -> what = 0 }; put_slab()
		:: atomic { what == COLLECT -> what = 0 }; collect()
		:: atomic { what == GET_SLAB -> what = 0 }; get_slab()
		:: else ->
#ifdef MUTANT_WAIT
			/* Frees only where nobody owns the slab: waits for the owner. */
			do
			:: holder == 0 || holder == _pid -> break
			:: else
			od;
#endif
			put_all()
		fi
	od;
	ended++
}

/* Every object once, and what is free within reach. */
inline check_all()
{
	i = freelist;
	do
	:: i -> assert(place[i] == ON_FREELIST); n++; i = next[i]
	:: else -> break
	od;
	assert(inuse == N - n);
	i = remote.head;
	do
	:: i -> assert(place[i] == ON_REMOTE); n++; i = next[i]
	:: else -> break
	od;
	/* Each object was freed, and so was what had been allocated. */
	assert(n == N);
	assert(remote.state != FULL);
	assert(owner == holder);
	assert((remote.state == OWNED) == (holder != 0));
	assert(listed == (remote.state == PARTIAL))
}

init {
	byte i, n;

	atomic {
		remote.state = OWNED;
		owner = 1;
		holder = 1;
		inuse = N;
#ifdef PROGRESS
		run thread(1, 1, true);
		run thread(2, 2, false);
		run thread(3, 3, false)
#else
		next[2] = 3;
		run thread(1, 1, false);
		run thread(2, 3, false);
		run thread(4, 4, false);
		run thread(1, 0, true)
#endif
	};
	timeout;
	assert(ended == NR);
	d_step { check_all() }
}
