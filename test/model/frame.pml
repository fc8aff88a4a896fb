/*
 * Claiming frames: the bitmap `used`, ranges across words and their roll-back, the hints first_free and
 * run_from, the bitmaps `dirty` and `aged`, and the purge that claims frames too.
 *
 *   here               in core/
 *   next_clear         bitmap.h   bitmap_next(..., false)
 *   find_clear         bitmap.h   bitmap_find_clear()
 *   claim_word         bitmap.h   bitmap_claim_word()
 *   claim_range        bitmap.h   bitmap_claim()
 *   set_bits           bitmap.h   bitmap_set()
 *   clear_bits         bitmap.h   bitmap_clear()
 *   release            frame.c    section_release()
 *   section_claim      frame.c    section_claim(), section_hint()
 *   take               frame.c    frame_take(), but for frame_commit(): commit.pml has that
 *   alloc              frame.c    claim_or_reserve(), heap_claim(): with hints, then without
 *   purge              purge.c    purge_section(), purge_candidates(), purge_claimed()
 *   age                purge.c    age_section()
 *
 * One section of four frames in two words of two bits; some are dirty at the start. Two threads
 * allocate, write and free one frame; a third does so with a range of two, which may span the words.
 * With CASE_PURGE the second of them is a thread that purges what has aged, marks the idle frames, and
 * then purges all. Address space does not grow.
 *
 * Proved: a frame has one holder; a frame that is reported zeroed reads as zero; a range that could not
 * be had leaves nothing claimed; in the end all frames are free, and as many allocations succeed as
 * there are frames, or a range of two, wherever the hints stand.
 */
#include "common.pml"

#define NR 3
#ifdef PROGRESS
#define TIMES 1
#else
#define TIMES 2
#endif
#define FRAMES 4
#define END FRAMES
#define WORD(f) ((f) / 2)
#define BIT(f) (1 << ((f) % 2))
#define ALL 3
/* The bits of word w that [at, at + n) covers; as bitmap_mask(). */
#define COVERS(f, at, n) ((f) >= (at) && (f) < (at) + (n))
#define MASK(w, at, n) ( \
	(COVERS(2 * (w), at, n) -> 1 : 0) | (COVERS(2 * (w) + 1, at, n) -> 2 : 0))

byte used[2];
byte bits[4]; /* of two bitmaps, two words each; bits[DIRTY + word] */
#define DIRTY 0
#define AGED 2
byte first_free; /* hint for one frame */
byte run_from;   /* hint for two: run_from[1] */

/* Ghosts. */
byte holder[FRAMES]; /* _pid of who claimed the frame */
bool nonzero[FRAMES];

inline ghost_claim(w, mask)
{
	if
	:: mask & 1 -> assert(holder[2 * w] == 0); holder[2 * w] = _pid
	:: else
	fi;
	if
	:: mask & 2 -> assert(holder[2 * w + 1] == 0); holder[2 * w + 1] = _pid
	:: else
	fi
}

inline ghost_release(w, mask)
{
	if
	:: mask & 1 -> assert(holder[2 * w] == _pid); holder[2 * w] = 0
	:: else
	fi;
	if
	:: mask & 2 -> assert(holder[2 * w + 1] == _pid); holder[2 * w + 1] = 0
	:: else
	fi
}

/* Sets `got`. */
inline claim_word(w, mask)
{
	old = used[w];
	do
	:: old & (mask) -> got = false; break
	:: else ->
#ifdef MUTANT_CLAIM_BY_STORE
		d_step { used[w] = old | (mask); ghost_claim(w, (mask)); got = true };
		break
#else
		atomic {
			if
			:: used[w] == old ->
				used[w] = old | (mask);
				ghost_claim(w, (mask));
				got = true;
				break
			:: else -> old = used[w]
			fi
		}
#endif
	od;
	old = 0
}

/* With `used`: bits that were set by us. */
inline clear_used(at, n)
{
	w = WORD(at);
	do
	:: w > WORD((at) + (n) - 1) -> break
	:: else ->
		d_step {
			ghost_release(w, MASK(w, at, n));
			used[w] = used[w] & ~MASK(w, at, n);
			w++
		}
	od
}

inline set_bits(map, at, n)
{
	w = WORD(at);
	do
	:: w > WORD((at) + (n) - 1) -> break
	:: else ->
#ifdef MUTANT_SET_BY_STORE
		old = bits[map + w];
		d_step { bits[map + w] = old | MASK(w, at, n); old = 0; w++ }
#else
		d_step { bits[map + w] = bits[map + w] | MASK(w, at, n); w++ }
#endif
	od
}

inline clear_bits(map, at, n)
{
	w = WORD(at);
	do
	:: w > WORD((at) + (n) - 1) -> break
	:: else -> d_step { bits[map + w] = bits[map + w] & ~MASK(w, at, n); w++ }
	od
}

/* Sets `got`: the whole range or nothing. */
inline claim_range(at, n)
{
	v = WORD(at);
	do
	:: v > WORD((at) + (n) - 1) -> break
	:: else ->
		claim_word(v, MASK(v, at, n));
		if
		:: got -> v++
		:: else ->
			if
			:: v > WORD(at) ->
#ifdef MUTANT_ROLL_BACK_ALL
				clear_used(at, n)
#else
#ifndef MUTANT_NO_ROLL_BACK
				clear_used(at, v * 2 - (at))
#else
				skip
#endif
#endif
			:: else
			fi;
			break
		fi
	od
}

inline release(at, n)
{
	clear_used(at, n);
	old = (at > 2 -> at - 2 : 0);
	if
	:: old < run_from -> run_from = old
	:: else
	fi;
	old = first_free;
	do
	:: at >= old -> break
	:: else ->
		atomic {
			if
			:: first_free == old -> first_free = at; break
			:: else -> old = first_free
			fi
		}
	od;
	old = 0
}

/* The first clear bit at or above `at`, a word at a time. */
inline next_clear(at)
{
	do
	:: at >= END -> break
	:: else ->
		atomic {
			if
			:: !(used[WORD(at)] & BIT(at)) -> break
			:: else ->
				if
				:: at % 2 == 0 && !(used[WORD(at)] & 2) -> at++; break
				:: else -> at = WORD(at) * 2 + 2
				fi
			fi
		}
	od
}

/* Moves `at` to n clear bits; END: none. */
inline find_clear(at, n)
{
	do
	:: true ->
		next_clear(at);
		if
		:: at + n > END -> at = END; break
		:: else
		fi;
		/* bitmap_next(..., true) over the range. */
		if
		:: n == 1 ->
			if
			:: !(used[WORD(at)] & BIT(at)) -> break
			:: else -> at++
			fi
		:: else ->
			if
			:: used[WORD(at)] & BIT(at) -> at++
			:: else ->
				if
				:: !(used[WORD(at + 1)] & BIT(at + 1)) -> break
				:: else -> at = at + 2
				fi
			fi
		fi
	od
}

/* Moves `at`; END: none. */
inline section_claim(at, n)
{
	hint = at;
	do
	:: true ->
		find_clear(at, n);
		if
		:: at >= END -> break
		:: else
		fi;
		claim_range(at, n);
		if
		:: got -> break
		:: else
		fi
	od;
	if
	:: n == 1 ->
		d_step {
			if
			:: first_free == hint -> first_free = (at < END -> at + 1 : END)
			:: else
			fi;
			hint = 0
		}
	:: else -> d_step { run_from = (at < END -> at + n : END); hint = 0 }
	fi
}

/* Reads the bits of the range word by word, sets `zeroed`. */
inline take(at, n)
{
	zeroed = true;
	w = WORD(at);
	do
	:: w > WORD((at) + (n) - 1) -> break
	:: else -> d_step { zeroed = zeroed && !(bits[DIRTY + w] & MASK(w, at, n)); w++ }
	od;
	set_bits(DIRTY, at, n);
	clear_bits(AGED, at, n)
}

inline alloc(at, n)
{
	at = (n == 1 -> first_free : run_from);
	if
	:: at < END -> section_claim(at, n)
	:: else
	fi;
#ifndef MUTANT_HINTS_ALONE
	if
	:: at >= END -> at = 0; section_claim(at, n)
	:: else
	fi;
#endif
	if
	:: at < END ->
		take(at, n);
		assert(!zeroed || (!nonzero[at] && !nonzero[at + n - 1]));
		zeroed = false
	:: else
	fi
}

proctype user(byte n; byte times)
{
	byte at, hint, v, w, old;
	bool got, zeroed;

	do
	:: times == 0 -> break
	:: else ->
		times--;
#ifdef MUTANT_WAIT
		do
		:: alloc(at, n);
			if
			:: at < END -> break
			:: else
			fi
		od;
#else
		alloc(at, n);
#endif
		if
		:: at < END ->
			d_step {
				assert(holder[at] == _pid && holder[at + n - 1] == _pid);
				nonzero[at] = true;
				nonzero[at + n - 1] = true
			};
			release(at, n)
		:: else
		fi;
		d_step { at = 0; got = false }
	od;
	ended++
}

#ifdef CASE_PURGE
/* `want`: free and dirty, and aged unless all are wanted. */
inline candidates(w, all)
{
	want = ALL & ~used[w];
	want = want & bits[DIRTY + w];
	if
	:: all
	:: else -> want = want & bits[AGED + w]
	fi
}

inline purge_claimed(at, n)
{
	d_step {
		assert(holder[at] == _pid && holder[at + n - 1] == _pid);
		i = at;
		do
		:: i < at + n -> nonzero[i] = false; i++
		:: else -> break
		od;
		i = 0
	};
#ifdef MUTANT_CLEAN_AFTER_RELEASE
	release(at, n);
	clear_bits(DIRTY, at, n);
#else
	clear_bits(DIRTY, at, n);
#endif
	clear_bits(AGED, at, n);
#ifndef MUTANT_CLEAN_AFTER_RELEASE
	release(at, n);
#endif
	n = 0
}

/* As purge_section(): what adjoins across words is purged at once. */
inline purge(all)
{
	at = 0;
	n = 0;
	p = 0;
	do
	:: p == 2 -> break
	:: else ->
		candidates(p, all);
		if
		:: want ->
			/* In words of two bits any set of bits is one run. */
			d_step { mask = want; want = 0 };
			claim_word(p, mask);
			if
			:: got ->
				lo = p * 2 + (mask & 1 -> 0 : 1);
				if
				:: n && at + n != lo -> purge_claimed(at, n)
				:: else
				fi;
				d_step { at = (n -> at : lo); n = n + (mask == ALL -> 2 : 1) }
			:: else
			fi;
			d_step { lo = 0; mask = 0; got = false }
		:: else
		fi;
		p++
	od;
	if
	:: n -> purge_claimed(at, n)
	:: else
	fi;
	d_step { at = 0; p = 0 }
}

inline age()
{
	p = 0;
	do
	:: p == 2 -> break
	:: else ->
		candidates(p, true);
		d_step { bits[AGED + p] = bits[AGED + p] | want; want = 0; p++ }
	od;
	p = 0
}

proctype purger()
{
	byte at, n, p, v, w, i, old, want, mask, lo;
	bool got;

	purge(false);
	age();
	purge(true);
	ended++
}
#endif

/* In the end: every frame can be had, and no more. */
inline alloc_all()
{
	do
	:: i == FRAMES -> break
	:: else ->
		alloc(at, 1);
		assert(at < END);
		i++
	od;
	alloc(at, 1);
	assert(at == END)
}

init {
	byte at, hint, v, w, i, old;
	bool got, zeroed;

	atomic {
		/* Frames 1 and 2 are dirty and have aged. */
		bits[DIRTY] = 2;
		bits[DIRTY + 1] = 1;
		bits[AGED] = 2;
		bits[AGED + 1] = 1;
		nonzero[1] = true;
		nonzero[2] = true;
#ifdef CASE_PURGE
		run user(1, TIMES);
		run user(2, 1);
		run purger()
#else
		run user(1, 1);
		run user(1, 1);
		run user(2, TIMES)
#endif
	};
	timeout;
	assert(ended == NR);
	assert(used[0] == 0 && used[1] == 0);
	atomic {
		if
		:: alloc_all()
		:: true -> alloc(at, 2); assert(at < END)
		fi
	}
}
