/*
 * Making frames accessible ahead of their use, while others move their pages away.
 *
 *   here               in core/
 *   commit             frame.c    frame_commit()
 *   claim_ahead        frame.c    claim_ahead()
 *   os_commit          os.h       mprotect: stops at the first hole
 *   move_out           frame.c    frame_move_out(), forget_frames(); frame_unreserve(), and a later
 *                                 frame_reserve() of the same address, do the same with more time between
 *   uncommit           frame.c    uncommit_claimed()
 *   foreign            anybody's mmap(), which the kernel may put into a hole
 *
 * Two frames; three threads claim one, commit it and what lies ahead, use it, and move it out, make it
 * inaccessible, or free it. A claim is one step (frame.pml has its steps). The frames ahead are claimed
 * for the time of the call; where they are not to be had, the thread commits its own alone.
 *
 * Proved: a frame is accessible when it is used, and the protection of a foreign mapping is left alone.
 */
#include "common.pml"

#define NR 4
#define FRAMES 2

/* What is mapped at the frame. */
#define RESERVED 0 /* no access */
#define ACCESSIBLE 1
#define HOLE 2
#define FOREIGN 3

bool used[FRAMES];
bool reserved[FRAMES];
bool committed[FRAMES];
byte memory[FRAMES];

bool landed; /* ghost: the foreign mapping is at frame `where` */
byte where;

/* Any free frame; FRAMES: none. */
inline claim(f)
{
	atomic {
		if
		:: !used[0] -> used[0] = true; f = 0
		:: !used[1] -> used[1] = true; f = 1
		:: else -> f = FRAMES
		fi
	}
}

/* Sets `ok`. Makes [f, end) accessible. */
inline os_commit(f, end)
{
	d_step {
		i = f;
		do
		:: i == end || memory[i] == HOLE -> break
		:: else -> memory[i] = ACCESSIBLE; i++
		od;
		ok = i == end;
		i = 0
	}
}

/* Sets `ahead` to f + 1, or to f + 2 where the next frame is to be committed too. */
inline claim_ahead(f)
{
	ahead = f + 1;
	if
	:: ahead < FRAMES ->
		if
		:: !used[ahead] ->
			if
			:: !committed[ahead] -> ahead++
			:: else
			fi
		:: else
		fi
	:: else
	fi
#ifndef MUTANT_AHEAD_NOT_CLAIMED
	if
	:: ahead == f + 2 ->
		atomic {
			if
			:: !used[f + 1] -> used[f + 1] = true
			:: else -> ahead = f + 1
			fi
		}
	:: else
	fi
#endif
}

inline commit(f)
{
	if
	:: committed[f]
	:: else ->
		claim_ahead(f);
#ifdef MUTANT_WAIT
		do
		:: ahead == FRAMES -> break
		:: else -> claim_ahead(f)
		od;
#endif
		if
		:: os_commit(f, ahead)
		:: ok = false /* the kernel refuses so much */
		fi;
		if
		:: ok ->
			if
			:: ahead == f + 2 -> committed[f + 1] = true
			:: else
			fi;
			committed[f] = true
		:: else ->
			os_commit(f, f + 1);
			assert(ok);
			committed[f] = true
		fi;
#ifndef MUTANT_AHEAD_NOT_CLAIMED
		if
		:: ahead == f + 2 -> used[f + 1] = false
		:: else
		fi;
#endif
		d_step { ahead = 0; ok = false }
	fi
}

inline move_out(f)
{
	reserved[f] = false;
	committed[f] = false;
	memory[f] = HOLE;
	atomic {
		if
		:: memory[f] == HOLE -> memory[f] = RESERVED; ok = true
		:: else
		fi
	};
	if
	:: ok -> reserved[f] = true; used[f] = false
	:: else
	fi;
	ok = false
}

inline uncommit(f)
{
	memory[f] = RESERVED;
	committed[f] = false;
	used[f] = false
}

proctype user()
{
	byte f, ahead, i;
	bool ok;
	byte times = 2;

	do
	:: times == 0 -> break
	:: else ->
		times--;
		claim(f);
		if
		:: f < FRAMES ->
			commit(f);
			assert(memory[f] == ACCESSIBLE);
			if
			:: move_out(f)
			:: uncommit(f)
			:: used[f] = false
			fi
		:: else
		fi;
		f = 0
	od;
	ended++
}

/* Lands in a hole, if there is one just then. */
proctype foreign()
{
	atomic {
		if
		:: memory[0] == HOLE -> memory[0] = FOREIGN; landed = true; where = 0
		:: memory[1] == HOLE -> memory[1] = FOREIGN; landed = true; where = 1
		:: else
		fi
	};
	ended++
}

init {
	atomic {
		reserved[0] = true;
		reserved[1] = true;
		run user();
		run user();
		run user();
		run foreign()
	};
	timeout;
	assert(ended == NR);
	assert(!landed || memory[where] == FOREIGN);
	/* What is lost is the foreign mapping's frame alone. */
	assert(!used[0] || (landed && where == 0));
	assert(!used[1] || (landed && where == 1))
}
