/*
 * What local_lock.pml has of slabs: two classes' slabs of two objects, their words, the node's lists. For
 * one thread; so a CAS can fail only by a handler that came between.
 */
#include "common.pml"

#define CLASSES 2
#define SLABS 4
#define OBJECTS (2 * SLABS)
#define SHUT (OBJECTS + 1) /* stands for a sheaf that is in a slow path's hands */
#define FIRST(slab) (2 * (slab) - 1)
#define SLAB_OF(object) (((object) + 1) / 2)

#define FREE 0
#define OWNED 1
#define FULL 2
#define PARTIAL 3

/* The thread's part of a class; 0 is no object, no slab. */
byte lock[CLASSES]; /* 0: free; else the _pid of the holder */
byte sheaf[CLASSES]; /* 0: its bottom */
byte current[CLASSES];
byte flushing[CLASSES];

typedef slab_data {
	bool owned; /* slab->owner is the thread */
	byte class;
	byte freelist;
	byte inuse;
	byte head; /* of the remote word: the list, its length, the state */
	byte count;
	byte state;
	bool listed
}

slab_data slabs[SLABS + 1];
byte next[OBJECTS + 1];

byte level;   /* who runs: 0 the thread, 1 a handler on it, 2 a handler on that one */
byte mailbox; /* an object that the thread leaves for a handler to free */
bool gone;    /* current_thread is thread_gone: a lock that reads held */
bool thread_ended;

/* Ghosts. */
bool live[OBJECTS + 1];
bool held[SLABS + 1]; /* somebody owns the slab */

#define SAME(s) (slabs[s].head == head && slabs[s].count == count && slabs[s].state == state)
#define LOAD(s) head = slabs[s].head; count = slabs[s].count; state = slabs[s].state
#define FORGET head = 0; count = 0; state = 0

/* The CAS, from the word that was read. Ends the loop that it is in where it succeeds. */
inline cas(s, new_head, new_count, new_state)
{
	if
	:: SAME(s) ->
		if
		:: state != OWNED && new_state == OWNED -> assert(!held[s]); held[s] = true
		:: state == OWNED && new_state != OWNED -> assert(held[s]); held[s] = false
		:: else
		fi;
		slabs[s].head = new_head;
		slabs[s].count = new_count;
		slabs[s].state = new_state;
		break
	:: else -> LOAD(s)
	fi
}

inline load(s)
{
	atomic { LOAD(s) }
}

inline set_state(s, new_state)
{
	load(s);
	do
	:: true -> atomic { cas(s, head, count, new_state) }
	od;
	atomic { FORGET }
}

inline list_slab(s)
{
	atomic { assert(!slabs[s].listed); slabs[s].listed = true }
}

inline collect(s)
{
	load(s);
	do
	:: atomic { head == 0 -> break }
	:: atomic { else -> cas(s, 0, 0, state) }
	od;
	if
	:: atomic { head ->
		last = head;
		do
		:: next[last] -> last = next[last]
		:: else -> break
		od;
		next[last] = slabs[s].freelist };
		slabs[s].freelist = head;
		atomic { slabs[s].inuse = slabs[s].inuse - count; last = 0 }
	:: else
	fi;
	atomic { FORGET }
}

/* Sets `ok`: the slab is nobody's. */
inline release_full(s)
{
	slabs[s].owned = false;
	load(s);
	ok = true;
	do
	:: atomic { head -> slabs[s].owned = (mine > 0); ok = false; break }
	:: atomic { else -> cas(s, 0, 0, FULL) }
	od;
	atomic { FORGET }
}

/* Empty: to the frames; else onto the node's list. */
inline release_partial(s)
{
	slabs[s].owned = false;
	if
	:: atomic { slabs[s].inuse == 0 -> skip };
		set_state(s, FREE)
	:: else ->
		set_state(s, PARTIAL);
		list_slab(s)
	fi
}

/* `mine` is set where the thread owned it. */
inline put_slab(s)
{
	if
	:: atomic { slabs[s].freelist == 0 -> skip }; release_full(s)
	:: else
	fi;
	if
	:: atomic { ok -> ok = false }
	:: else -> collect(s); release_partial(s)
	fi
}

/* From the node's list; 0: none of the class is there. */
inline pop_slab(s, c)
{
	atomic {
		s = SLABS;
		do
		:: s && !(slabs[s].listed && slabs[s].class == c) -> s--
		:: else -> break
		od;
		slabs[s].listed = false
	};
	if
	:: atomic { s -> skip }; set_state(s, OWNED)
	:: else
	fi
}

/* Of free frames, with all objects carved; 0: out of memory. The claim is frame.pml's. */
inline new_slab(s, c)
{
	atomic {
		s = SLABS;
		do
		:: s && (slabs[s].state != FREE || held[s]) -> s--
		:: else -> break
		od;
		if
		:: s ->
			assert(slabs[s].head == 0);
			held[s] = true;
			slabs[s].class = c;
			slabs[s].inuse = 0;
			slabs[s].freelist = FIRST(s);
			next[FIRST(s)] = FIRST(s) + 1;
			next[FIRST(s) + 1] = 0;
			slabs[s].state = OWNED
		:: else
		fi
	}
}

inline get_slab(s, c)
{
	pop_slab(s, c);
	if
	:: atomic { s -> skip }
	:: else -> new_slab(s, c)
	fi
}

/* One object off the slab's freelist, or its remote list: `fo`; 0: none. */
inline take(s)
{
	if
	:: atomic { slabs[s].freelist -> skip }
	:: else -> collect(s)
	fi;
	fo = slabs[s].freelist;
	if
	:: atomic { fo -> slabs[s].freelist = next[fo] };
		atomic { next[fo] = 0; slabs[s].inuse++ }
	:: else
	fi
}
