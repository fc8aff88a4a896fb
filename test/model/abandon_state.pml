/*
 * What abandon.pml works on: a class of one thread, two slabs of two objects and one; what is lost, and
 * the check of it all between two calls.
 */
#include "common.pml"

#define OBJECTS 3
#define SLABS 2
#define SLAB_OF(object) ((object) == OBJECTS -> 2 : 1)
#define SIZE(slab) ((slab) == 1 -> 2 : 1)
#define SHEAF 2
#ifndef HALF
#define HALF 1
#endif
#define MAX_PASSED 1
#define MAX_CALLS 5 /* where they are bounded */
#ifndef MAX_JUMPS
#define MAX_JUMPS 2
#endif

/* kmem_cache_cpu->local_lock: free; sp; hold | SLOW. */
#define UNLOCKED 0
#define FAST 1
#define SLOW 2
#define NO_WORD 3

/* enum cpu_stage */
#define NONE 0
#define TAKING 1
#define MINE 2
#define GIVING 3

/* slab->owner */
#define NOBODY 0
#define THREAD 1
#define OTHER 2

/* kmem_cache->bottom, sheaf_shut: not objects, but in a sheaf's place. */
#define BOTTOM (OBJECTS + 1)
#define SHUT (OBJECTS + 2)
/* What a program writes into its object. */
#define USED (OBJECTS + 3)
#define IS_END(object) (!(object) || (object) == BOTTOM)

/* kmem_cache_cpu, kmem_cache_lists; 0 is no object, no slab. */
byte lock;
byte stage;
byte sheaf = BOTTOM;
byte current;
byte moving;
byte flushing;

typedef slab_data {
	byte owner;
	byte freelist;
	byte inuse;
	byte remote;
	bool listed; /* on one of the thread's lists */
	bool shared /* nobody's, and whoever needs it finds it */
}

slab_data slabs[SLABS + 1];
/* A free object's two words. */
byte next[OBJECTS + 4];
byte room[OBJECTS + 4];

/* Frames further up the stack: see abandon.pml. */
byte passed;
byte early = NO_WORD;

/* Ghosts. */
bool live[OBJECTS + 1];
bool lost[OBJECTS + 1];
bool together; /* the call has objects of one slab in its hands */
bool ending;
byte jumps = MAX_JUMPS;
byte calls;
hidden byte x, y, steps, length;
hidden byte places[OBJECTS + 1];

/* A store that the call may not come to. */
#define STEP(store) \
	if \
	:: store \
	:: jumps -> jumps--; goto gone \
	fi

/* Two with no barrier between them. */
#define EITHER_ORDER(store, other) \
	if \
	:: store; STEP(other) \
	:: other; STEP(store) \
	:: jumps -> jumps--; goto gone \
	fi

inline walk(first)
{
	x = first;
	steps = 0;
	do
	:: !IS_END(x) ->
		assert(x < BOTTOM && steps < OBJECTS);
		steps++;
		places[x]++;
		x = next[x]
	:: else -> break
	od
}

inline count_places()
{
	y = 0;
	do
	:: y <= OBJECTS -> places[y] = 0; y++
	:: else -> break
	od;
	x = (sheaf == SHUT -> BOTTOM : sheaf);
	walk(x);
	assert(x == BOTTOM);
	length = steps;
	forget_rooms();
	walk(slabs[1].freelist);
	walk(slabs[2].freelist);
	walk(slabs[1].remote);
	walk(slabs[2].remote)
}

/* Nobody reads them where an object is not in the sheaf: one value makes fewer states. */
inline forget_rooms()
{
	y = 1;
	do
	:: y <= OBJECTS && !places[y] -> room[y] = 0; y++
	:: y <= OBJECTS && places[y] -> y++
	:: else -> break
	od
}

/* Whole at any time: each object says how many more fit on top of it. */
inline check_sheaf()
{
	x = sheaf;
	steps = length;
	do
	:: x < BOTTOM -> assert(room[x] == SHEAF - steps); steps--; x = next[x]
	:: else -> break
	od
}

/* Moving's own, and not still in the sheaf, or there already. */
#define MOVING_IS_MINE (stage == MINE || (stage != NONE && sheaf == SHUT))

/* What is in no place any more: one object, or those that were together. */
inline account()
{
	x = (MOVING_IS_MINE -> moving : 0);
	walk(x);
	walk(flushing);
	x = 0;
	y = 1;
	do
	:: y > OBJECTS -> break
	:: else ->
		if
		:: live[y] || lost[y] || places[y]
		:: else ->
			assert(!x || (together && SLAB_OF(x) == SLAB_OF(y)));
			x = y;
			lost[y] = true
		fi;
		y++
	od;
	x = 0
}

/* What the call was to free; that may come on top of the rest only where it was mending first. */
inline lose_own()
{
	if
	:: object && mending -> lost[object] = true
	:: else
	fi
}

/* Between two calls, whatever has become of the last one. */
inline check()
{
	count_places();
	check_sheaf();
	y = 1;
	do
	:: y > OBJECTS -> break
	:: else ->
		assert(places[y] + live[y] + lost[y] <= 1);
		assert(stage != NONE || places[y] + live[y] + lost[y] == 1);
		next[y] = (stage == NONE && lost[y] -> 0 : next[y]);
		y++
	od;
	if
	:: stage == NONE ->
		assert(!moving && !flushing && sheaf != SHUT);
		check_slab(1);
		check_slab(2)
	:: else
	fi
}

inline check_slab(s)
{
	walk(slabs[s].freelist);
	assert(slabs[s].owner == OTHER || slabs[s].inuse + steps == SIZE(s));
	assert(slabs[s].owner != THREAD || slabs[s].listed != (current == s))
}

inline take_mark(object)
{
	assert(!live[object] && !lost[object]);
	live[object] = true;
	next[object] = USED
}

#define ANY_LIVE (live[1] || live[2] || live[3])

/* Of each slab one, for those in use are all alike. */
inline pick_live()
{
	object = (live[1] -> 1 : (live[2] -> 2 : OBJECTS));
	if
	:: live[OBJECTS] -> object = OBJECTS
	:: true
	fi
}

/* By a call that finds the lock held, or another thread: remote.pml has the steps. */
inline free_elsewhere()
{
	live[object] = false;
	next[object] = slabs[SLAB_OF(object)].remote;
	slabs[SLAB_OF(object)].remote = object
}

/* By the other thread that owns the second slab. */
inline alloc_elsewhere()
{
	object = slabs[2].remote;
	slabs[2].remote = next[object];
	take_mark(object)
}
