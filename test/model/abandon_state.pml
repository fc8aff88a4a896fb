/*
 * What abandon.pml works on: a class of one thread, two slabs of two objects and one; what is lost, and
 * the check of it all between two calls.
 */
#include "common.pml"

#define OBJECTS 3
#define SLABS 2
#define SLAB_OF(object) ((object) == OBJECTS -> 2 : 1)
#define BIT(object) (1 << ((object) - 1))
/* A slab's bits are in one word of each map. */
#define ALL(slab) ((slab) == 1 -> 3 : 4)
#define SIZE(slab) ((slab) == 1 -> 2 : 1)
#define COUNT(bits) (((bits) & 1) + (((bits) >> 1) & 1) + (((bits) >> 2) & 1))
#define LOWEST(bits) ((bits) & 1 -> 1 : ((bits) & 2 -> 2 : 3))
#define SHEAF 2
#ifndef HALF
#define HALF 1
#endif
#ifdef CASE_OTHERS
#define MAX_PASSED 0
#else
#define MAX_PASSED 1
#endif
#define MAX_CALLS 5 /* where they are bounded */
#ifndef MAX_JUMPS
#ifdef CASE_OTHERS
#define MAX_JUMPS 1
#else
#define MAX_JUMPS 2
#endif
#endif

/*
 * The counter of collections comes round: sound while fewer than COUNTER of them come between the note of it
 * and the mending; 2^16 in the source.
 */
#define COUNTER 3
#ifdef MUTANT_COMES_ROUND
#define MAX_SINCE COUNTER
#else
#define MAX_SINCE (COUNTER - 1)
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
#define SENDING 3
#define GIVING 4

/* slab->shared: FULL, OWNED by the thread, OWNED by another one, PARTIAL. */
#define NOBODY 0
#define THREAD 1
#define OTHER 2
#define NODE 3

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
/*
 * thread->sending: the group, and what its slab had counted. That one call of a thread at a time has it, and
 * the others send single objects, is left out.
 */
byte sent_to;
byte sent_bits;
byte sent;

/* The maps of all slabs: the owners', and what others freed. */
byte free;
byte remote;

typedef slab_data {
	byte owner;
	byte inuse;
	byte collections;
	bool noted;
	bool listed; /* on one of the thread's lists */
	bool shared; /* on the node's list */
	bool gone;   /* the frames are something else's */
	bool remade  /* so they were once since the thread read the word: its generation has changed */
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
byte own; /* the object that the call is to give or to take */
bool ending;
byte jumps = MAX_JUMPS;
byte calls;
byte own_first; /* CASE_OTHERS: what the first call frees, if it is in use */
hidden byte x, y, steps, length;
hidden byte places[OBJECTS + 1];

#define GONE(object) slabs[SLAB_OF(object)].gone

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
	y = 1;
	do
	:: y <= OBJECTS ->
		places[y] = places[y] + (!GONE(y) && ((free | remote) & BIT(y)) -> 1 : 0);
		y++
	:: else -> break
	od
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
#define MOVING_IS_MINE (stage == MINE || stage == SENDING || (stage != NONE && sheaf == SHUT))

/* What is in no place any more: the call's own object alone. */
inline account()
{
	x = (MOVING_IS_MINE -> moving : 0);
	walk(x);
	x = flushing;
	walk(x);
	y = 1;
	do
	:: y > OBJECTS -> break
	:: else ->
		if
		:: live[y] || lost[y] || places[y] || GONE(y)
		:: stage == SENDING && (sent_bits & BIT(y))
		:: else ->
			assert(y == own);
			lost[y] = true
		fi;
		y++
	od;
	x = 0
}

/* Who mends can't tell whether the group has arrived, because another thread has collected its slab since. */
inline give_up_group()
{
	assert(since);
	y = 1;
	do
	:: y > OBJECTS -> break
	:: else ->
		if
		:: !(sent_bits & BIT(y)) || ((free | remote) & BIT(y)) || live[y] || GONE(y)
		:: else ->
#ifdef CLAIM_NO_GROUP
			assert(lost[y]);
#endif
			lost[y] = true
		fi;
		y++
	od
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
		assert(places[y] + live[y] + lost[y] + GONE(y) <= 1);
		assert(stage != NONE || places[y] + live[y] + lost[y] + GONE(y) == 1);
		next[y] = (stage == NONE && (lost[y] || ((free | remote) & BIT(y))) -> 0 : next[y]);
		y++
	od;
	if
	:: stage == NONE ->
		assert(!moving && !flushing && sheaf != SHUT);
		check_slab(1);
		check_slab(2)
	:: else
	fi;
	if
	:: stage == SENDING
	:: else ->
		sent_to = 0;
		sent_bits = 0;
		sent = COUNTER - 1; /* of an older sending */
		since = 0;
		slabs[1].collections = 0;
		slabs[2].collections = 1 /* some other number */
	fi;
	slabs[1].remade = false;
	slabs[2].remade = false
}

inline check_slab(s)
{
	if
	:: slabs[s].gone
	:: else ->
		assert(slabs[s].owner == OTHER || slabs[s].inuse + COUNT(free & ALL(s)) == SIZE(s));
		assert(slabs[s].owner != THREAD || slabs[s].listed != (current == s));
		/* What was freed from elsewhere is found, by its owner or by who frees next. */
		assert(!(remote & ALL(s)) || slabs[s].noted || collected == s);
		assert(!(remote & ALL(s)) || slabs[s].owner != NOBODY)
	fi
}

inline take_mark(object)
{
	assert(!live[object] && !lost[object] && !GONE(object));
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
