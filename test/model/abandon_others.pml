/*
 * The other threads of abandon.pml, which come between any two calls, and between any two steps of one that
 * sends objects home, or that mends what such a call has left: they free and allocate, collect, adopt, give up
 * and discard slabs, and make others of the frames.
 */
#include "abandon_state.pml"

/* A collection by another thread: its slab, how far it is, what it has found. */
byte collected;
byte phase;
byte found;

byte since; /* ghost; collections of sent_to in SENDING */
bool open;   /* they may act */
bool inside; /* and the thread is in the middle of a call; they say when it goes on */

#define MAY_COLLECT(s) (!collected && (sent_to != s || since < MAX_SINCE))

inline count_collection(s)
{
	slabs[s].collections = (slabs[s].collections + 1) % COUNTER;
	since = (sent_to == s -> since + 1 : since)
}

inline go_on_collecting(s)
{
	if
	:: phase == 0 -> found = remote & ALL(s); free = free | found; phase++
	:: phase == 1 -> remote = remote & (7 - found); found = 0; phase++
	:: else -> count_collection(s); phase = 0; collected = 0
	fi
}

/* Is the slab another thread's, and nothing going on in it? */
#define IS_THEIRS(s) (slabs[s].owner == OTHER && collected != s && !slabs[s].gone)
#ifdef MUTANT_COUNTED_TOO_LATE
#define MAY_ALLOC(s) (slabs[s].owner == OTHER && (collected != s || phase == 2) && !slabs[s].gone)
#else
#define MAY_ALLOC(s) IS_THEIRS(s)
#endif

inline their_alloc(s)
{
	x = LOWEST(free & ALL(s));
	free = free - BIT(x);
	take_mark(x)
}

#define ANY_LIVE_OF(s) ((s) == 1 -> live[1] || live[2] : live[OBJECTS])

inline their_free(s, to)
{
	x = ((s) == 2 -> OBJECTS : (live[1] -> 1 : 2));
	live[x] = false;
	remote = remote | BIT(x);
	slabs[s].noted = true;
	slabs[s].shared = slabs[s].shared || (slabs[s].owner == NOBODY && to == NODE);
	slabs[s].owner = (slabs[s].owner == NOBODY -> to : slabs[s].owner)
}

inline their_give_up(s)
{
	slabs[s].inuse = SIZE(s) - COUNT(free & ALL(s));
	slabs[s].shared = (free & ALL(s)) || slabs[s].noted;
	slabs[s].owner = (slabs[s].shared -> NODE : NOBODY)
}

inline their_adoption(s)
{
	slabs[s].shared = false;
	slabs[s].inuse = 0;
	slabs[s].owner = OTHER
}

#define IS_EMPTY(s) ((free & ALL(s)) == ALL(s) && !(remote & ALL(s)))

/* Other objects are in the frames now: their bits, their states, their counts. */
inline discard(s)
{
	assert(!slabs[s].gone && IS_EMPTY(s));
	slabs[s].gone = true;
	slabs[s].remade = true;
	slabs[s].inuse = 0;
	slabs[s].noted = false;
	slabs[s].owner = NOBODY;
	free = free & (7 - ALL(s))
}

inline remake(s, who)
{
	slabs[s].gone = false;
	slabs[s].owner = who;
	slabs[s].inuse = 0;
	slabs[s].noted = false;
	remote = remote & (7 - ALL(s));
	free = free | ALL(s)
}

#ifdef PROGRESS
byte deeds; /* bounded */
#define MAY_ACT (deeds < 3)
#define COUNT_DEED deeds++
#else
#define MAY_ACT true
#define COUNT_DEED skip
#endif

/* The handlers of the thread, which find the class locked, and the second slab's owner. */
#define SIMPLE_DEEDS(s) \
	:: d_step { MAY_ACT && ANY_LIVE_OF(s) -> their_free(s, NODE); COUNT_DEED } \
	:: d_step { MAY_ACT && IS_THEIRS(s) && stage != SENDING && ((free | remote) & ALL(s)) -> \
		free = free | (remote & ALL(s)); \
		remote = remote & (7 - ALL(s)); \
		slabs[s].noted = false; \
		count_collection(s); \
		their_alloc(s); COUNT_DEED }

/* Whatever other threads do to a slab that the thread may have sent objects to. */
#define DEEDS(s) \
	:: d_step { sent_to == s && ANY_LIVE_OF(s) -> their_free(s, OTHER) } \
	:: d_step { sent_to == s && collected == s -> go_on_collecting(s) } \
	:: d_step { sent_to == s && IS_THEIRS(s) && slabs[s].noted && MAY_COLLECT(s) -> \
		slabs[s].noted = false; \
		collected = s } \
	:: d_step { sent_to == s && MAY_ALLOC(s) && (free & ALL(s)) -> their_alloc(s) } \
	:: d_step { sent_to == s && IS_THEIRS(s) -> their_give_up(s) } \
	:: d_step { sent_to == s && slabs[s].owner == NODE && slabs[s].shared -> their_adoption(s) } \
	:: d_step { sent_to == s && IS_THEIRS(s) && IS_EMPTY(s) -> discard(s) } \
	:: d_step { sent_to == s && slabs[s].gone && !ALIEN(s) -> remake(s, OTHER) } \
	:: d_step { sent_to == s && ALIEN(s) -> slabs[s].owner = OTHER - slabs[s].owner } \
	:: d_step { sent_to == s && ALIEN(s) -> remote = remote ^ ALL(s) } \
	:: d_step { sent_to == s && ALIEN(s) -> free = free ^ ALL(s) } \
	:: d_step { sent_to == s && ALIEN(s) && MAY_COLLECT(s) -> count_collection(s) } \
	:: d_step { sent_to == s && ALIEN(s) -> remake(s, OTHER) }

/* Something else is in the frames, and the thread does not know. */
#define ALIEN(s) (slabs[s].gone && stage == SENDING)

/* Any number of deeds while the thread is where it is. */
proctype other() provided (open)
{
	do
#ifndef CASE_OTHERS
	SIMPLE_DEEDS(1)
	SIMPLE_DEEDS(2)
#ifdef PROGRESS
	:: true -> break
#endif
#else
	DEEDS(1)
	DEEDS(2)
	:: d_step { inside -> inside = false; open = false }
#endif
	od
}

inline others_between()
{
	open = true;
	open = false
}

#ifdef CASE_OTHERS
#define OTHERS_COME (stage == SENDING)
inline others()
{
	inside = true;
	open = true;
	!inside
}
#else
#define OTHERS_COME (!ending)
inline others() { skip }
#endif
