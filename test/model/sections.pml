/*
 * The list of sections that hold frames of ours: filled from the front, never emptied, with a count
 * that is moved behind.
 *
 *   here               in core/
 *   section_list       frame.c    section_list()
 *   is_seen            frame.c    frame_section(), for_each_section() in heap_claim()
 *
 * Four threads have reserved address space, two in the same section each. Each lists the section of its
 * own, and then searches all that are listed.
 *
 * Proved: whoever has listed its section finds it, wherever the other that lists it was stopped (or
 * interrupted, by a handler that needs frames); in the end each is listed once, without gaps.
 */
#include "common.pml"

#define NR 4
#define SLOTS 4
#define FREE 0

byte slots[SLOTS];
byte nr_sections;
bool listed[3]; /* used by MUTANT_FLAG alone */

inline section_list(sec)
{
#ifdef MUTANT_FLAG
	d_step { known = listed[sec]; listed[sec] = true };
#endif
	nr = 0;
	do
	:: known -> break
	:: else ->
		d_step {
			old = slots[nr];
			if
			:: old == FREE -> slots[nr] = sec
			:: else
			fi
		};
#ifdef MUTANT_COUNT_OWN_ONLY
		if
		:: old == FREE -> count(nr)
		:: else
		fi;
#else
		count(nr);
#endif
#ifdef MUTANT_FLAG
		if
		:: old == FREE -> break
		:: else -> nr++
		fi
#else
		if
		:: old == FREE || old == sec -> break
		:: else -> nr++
		fi
#endif
	od
}

/* Whoever finds a slot filled sees to it that it is counted. */
inline count(n)
{
#ifdef MUTANT_WAIT
	do
	:: nr_sections > n || old == FREE -> break
	:: else
	od;
	skip;
#endif
#ifdef MUTANT_BLOCK
	nr_sections >= n;
#endif
	d_step {
		if
		:: nr_sections == n -> nr_sections = n + 1
		:: else
		fi
	}
}

/* Sets `known`. */
inline is_seen(sec)
{
	nr = 0;
	known = false;
	do
	:: nr >= nr_sections -> break
	:: else ->
		known = known || slots[nr] == sec;
		nr++
	od
}

proctype thread(byte sec)
{
	byte nr, old;
	bool known;

	section_list(sec);
	is_seen(sec);
	assert(known);
	ended++
}

init {
	atomic {
		run thread(1);
		run thread(1);
		run thread(2);
		run thread(2)
	};
	timeout;
	assert(ended == NR);
	assert(nr_sections == 2);
	assert(slots[0] + slots[1] == 3 && slots[0] != slots[1]);
	assert(slots[2] == FREE)
}
