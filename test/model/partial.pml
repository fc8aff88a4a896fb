/*
 * A stack of frames with a generation: the node's partial lists, and what their frames go through
 * besides: a slab is popped, put back, moved to the node's other list, or discarded; its frame is claimed
 * for another cache, pushed onto that one's list, and its link overwritten, all while a slow popper
 * still looks at it. The stack of ended threads' records is the same.
 *
 *   here               in core/
 *   push               frame_stack.h  frame_stack_push(), from list_partial() in node.c
 *   pop                frame_stack.h  frame_stack_pop(), from pop_partial() in node.c
 *   discard            slab.c         discard_slab(): the frame is free; frame.pml has the claim's steps
 *   claim              slab.c         new_slab()
 *
 * Two stacks, of a node or of two caches, three frames, three threads. Each thread does some pops, pushes,
 * discards and claims in any order with one slab in its hands, and in the end puts back what it has.
 * shrink_node() is such a sequence of pops from one, discards and pushes onto the other.
 *
 * Proved: whoever pops a frame holds it alone, and it was on that list; every frame is on one list, or
 * held, or free, and in the end both lists consist of just the frames that were pushed. Without the
 * generation the search finds the error (MUTANT_NO_GENERATION).
 */
#include "common.pml"

#define FRAMES 3
#define NR 3

byte top[2]; /* frame_stack->top: the frame; 0: empty */
byte link[FRAMES + 1];

/*
 * The generation, as what it is for: has list `reads - 1` changed since the process read its word? So
 * the numbers need not be told apart, and can't wrap.
 */
byte reads[NR + 1];
bool changed[NR + 1];

/* Ghost: who has the frame. */
#define ON_LIST(list) (100 + (list))
#define NOBODY 200
byte place[FRAMES + 1];

#ifdef MUTANT_NO_GENERATION
#define SAME(c) (top[c] == old)
#else
#define SAME(c) (!changed[_pid])
#endif

inline read_top(c)
{
	old = top[c];
	reads[_pid] = c + 1;
	changed[_pid] = false
}

/* Fewer states: what isn't used any more is 0. */
inline forget()
{
	old = 0;
	below = 0;
	ok = false;
	reads[_pid] = 0;
	changed[_pid] = false
}

/* The CAS: the word that was read becomes `to` and `ok` is set; otherwise it is read again. */
inline change(c, to)
{
	if
	:: SAME(c) ->
		top[c] = to;
		i = NR;
		do
		:: i ->
			changed[i] = changed[i] || reads[i] == c + 1;
			i--
		:: else -> break
		od;
		ok = true
	:: else ->
		read_top(c);
		ok = false
	fi
}

inline push(c, f)
{
	d_step { read_top(c) };
#ifdef MUTANT_LINK_ONCE
	link[f] = old;
#endif
	do
	:: true ->
#ifndef MUTANT_LINK_ONCE
		d_step { assert(place[f] == _pid); link[f] = old };
#endif
		atomic {
			change(c, f);
			if
			:: ok ->
				assert(place[f] == _pid);
				place[f] = ON_LIST(c);
				f = 0;
				c = 0;
				forget();
				break
			:: else
			fi
		}
	od
}

/* `f` stays 0 where the list is empty. */
inline pop(c, f)
{
	d_step { read_top(c) };
#ifdef MUTANT_LINK_NOT_READ_AGAIN
	below = link[old];
#endif
	do
	:: old == 0 -> d_step { c = 0; forget() }; break
	:: else ->
#ifndef MUTANT_LINK_NOT_READ_AGAIN
		below = link[old];
#endif
		atomic {
			f = old;
			change(c, below);
			if
			:: ok ->
				assert(place[f] == ON_LIST(c));
				place[f] = _pid;
				forget();
				break
			:: else -> f = 0
			fi
		}
	od
}

inline discard(f)
{
	d_step { assert(place[f] == _pid); place[f] = NOBODY; f = 0 }
}

/* Any free frame; 0 where there is none. */
inline claim(f)
{
	d_step {
		f = FRAMES;
		do
		:: f && place[f] != NOBODY -> f--
		:: else -> break
		od;
		if
		:: f -> place[f] = _pid
		:: else
		fi
	}
}

inline any_list()
{
	if
	:: list = 0
	:: list = 1
	fi
}

#ifdef MUTANT_WAIT
bool locked;

inline lock_list()
{
	do
	:: !locked -> locked = true; break
	:: else
	od
}

inline unlock_list()
{
	locked = false
}
#else
inline lock_list() { skip }
inline unlock_list() { skip }
#endif

proctype thread(byte actions)
{
	byte old, i, below, held, list;
	bool ok;

	do
	:: actions == 0 -> break
	:: else ->
		actions--;
		if
		:: held ->
			if
			:: any_list(); push(list, held)
			:: discard(held)
			fi
		:: else ->
			if
			:: claim(held)
			:: true ->
				any_list();
				lock_list();
				pop(list, held);
				unlock_list()
			fi
		fi
	od;
	if
	:: held -> any_list(); push(list, held)
	:: else
	fi;
	ended++
}

inline check_list(c)
{
	f = top[c];
	do
	:: f ->
		assert(place[f] == ON_LIST(c));
		place[f] = 0;
		f = link[f]
	:: else -> break
	od
}

init {
	byte f;

	atomic {
		/* Stack 0 has 1 above 2, stack 1 has 3. */
		link[1] = 2;
		top[0] = 1;
		top[1] = 3;
		place[1] = ON_LIST(0);
		place[2] = ON_LIST(0);
		place[3] = ON_LIST(1);
#ifdef PROGRESS
		run thread(1);
		run thread(2);
		run thread(2)
#else
		run thread(2);
		run thread(2);
		run thread(3)
#endif
	};
	timeout;
	d_step {
		assert(ended == NR);
		check_list(0);
		check_list(1);
		/* All were met, none twice: what isn't on a list is free. */
		f = 1;
		do
		:: f <= FRAMES -> assert(place[f] == 0 || place[f] == NOBODY); f++
		:: else -> break
		od
	}
}
