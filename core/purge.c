/*
 * Giving free frames back to the kernel after a delay, without a thread of its own. Layer: frame.
 * Polled by the slow paths of allocation and free; purge_all() is called by malloc_trim().
 *
 * Every half delay a sweep over all sections begins. A frame that is free and dirty when it comes by is marked
 * aged; claiming it clears the mark; the next sweep claims, purges and frees those still marked. So memory
 * stays for between half the delay and all of it. The claim is the ordinary one: nothing here can clash with
 * an allocation, and a thread stopped in the middle holds only what it was purging.
 *
 * A poll does a piece of the sweep, so that no call takes long: the work of a MiB (some 80 us) for each ms that
 * passed since the last piece, and of MOST_AT_ONCE at most. Whose CAS on sweep.at succeeds does the piece; nobody
 * waits for it, and the next one goes on behind it.
 */
#include "bitmap.h"
#include "frame.h"
#include "options.h"

#define LEAST_AT_ONCE ((size_t)1 << 20)
#define MOST_AT_ONCE ((size_t)8 << 20)

#define PIECE_FRAMES PURGE_PIECE_FRAMES
#define SECTION_PIECES (SECTION_FRAMES / PIECE_FRAMES)
#define NO_PIECE UINT64_MAX

static early_data struct {
	_Atomic uint64_t next_tick; /* ms; CAS: the winner begins a sweep; 0: not started */
	_Atomic uint64_t at; /* CAS; the next piece, counted from 1 over all sections; 0: over */
	_Atomic uint64_t polled; /* ms; of the last piece */
} sweep;

/* Purges [index, index + n), which the caller has claimed, and frees it. Returns bytes given back. */
static size_t purge_claimed(struct section *sec, uint32_t index, uint32_t n)
{
	size_t size = (size_t)n << FRAME_SHIFT;
	bool purged = os_purge(frame_address(sec, index), size);

	if (purged)
		bitmap_clear(sec->dirty, index, n, memory_order_relaxed);
	bitmap_clear(sec->aged, index, n, memory_order_relaxed);
	section_release(sec, index, n);
	return purged ? size : 0;
}

/* The frames of a word that are free and may be resident. */
static uint64_t idle_frames(struct section *sec, uint32_t w)
{
	return ~atomic_load_explicit(&sec->used[w], memory_order_relaxed) &
	       atomic_load_explicit(&sec->dirty[w], memory_order_relaxed);
}

/* Claims and purges those frames of a word that are free, run by run. */
static size_t purge_frames(struct section *sec, uint32_t w, uint64_t want)
{
	size_t bytes = 0;

	while (want) {
		uint32_t lo = (uint32_t)__builtin_ctzll(want);
		uint64_t run = want >> lo;
		uint32_t len = run == UINT64_MAX ? 64 : (uint32_t)__builtin_ctzll(~run);
		uint64_t mask = bitmap_mask(w, w * 64 + lo, len);

		want &= ~mask;
		if (bitmap_claim_word(&sec->used[w], mask))
			bytes += purge_claimed(sec, w * 64 + lo, len);
	}
	return bytes;
}

size_t purge_all(void)
{
	struct section *sec;
	size_t bytes = 0;

	for_each_section(sec, nr) {
		for (uint32_t w = 0; w < SECTION_WORDS; w++)
			bytes += purge_frames(sec, w, idle_frames(sec, w));
	}
	return bytes;
}

size_t purge_piece(struct section *sec, uint32_t index)
{
	uint32_t w = index / 64;

	return purge_frames(sec, w, idle_frames(sec, w) & bitmap_mask(w, index, PIECE_FRAMES));
}

/* The first frame from that one on that is free and may be resident; SECTION_FRAMES: none. */
static uint32_t next_idle(struct section *sec, uint32_t index)
{
	for (; index < SECTION_FRAMES; index = (index & ~63U) + 64) {
		uint64_t idle = idle_frames(sec, index / 64) >> index % 64;

		if (idle)
			return index + (uint32_t)__builtin_ctzll(idle);
	}
	return SECTION_FRAMES;
}

/* The first piece from that one on in which there is something to do. */
static uint64_t next_piece(uint64_t piece)
{
	uint32_t nr = (uint32_t)(piece / SECTION_PIECES);
	uint32_t from = (uint32_t)(piece % SECTION_PIECES) * PIECE_FRAMES;
	struct section *sec;

	for (; (sec = frame_section(nr)); nr++, from = 0) {
		uint32_t index = next_idle(sec, from);

		if (index < SECTION_FRAMES)
			return (uint64_t)nr * SECTION_PIECES + index / PIECE_FRAMES;
	}
	return NO_PIECE;
}

/* Purges what is idle since the last sweep, and marks the rest for the next one. */
static size_t sweep_piece(uint64_t piece)
{
	struct section *sec = frame_section((uint32_t)(piece / SECTION_PIECES));
	uint32_t index = (uint32_t)(piece % SECTION_PIECES) * PIECE_FRAMES, w = index / 64;
	uint64_t mask = bitmap_mask(w, index, PIECE_FRAMES);
	uint64_t aged = atomic_load_explicit(&sec->aged[w], memory_order_relaxed);
	size_t bytes = purge_frames(sec, w, idle_frames(sec, w) & aged & mask);
	uint64_t idle = idle_frames(sec, w) & mask;

	if (idle)
		atomic_fetch_or_explicit(&sec->aged[w], idle, memory_order_relaxed);
	return bytes;
}

static noinline void sweep_on(uint64_t now)
{
	uint64_t passed = now - atomic_exchange_explicit(&sweep.polled, now, memory_order_relaxed);
	size_t least = passed < MOST_AT_ONCE / LEAST_AT_ONCE ? (passed + 1) * LEAST_AT_ONCE
							     : MOST_AT_ONCE;

	for (size_t bytes = 0; bytes < least;) {
		uint64_t at = atomic_load_explicit(&sweep.at, memory_order_relaxed);
		uint64_t piece = at ? next_piece(at - 1) : NO_PIECE;
		uint64_t behind = piece == NO_PIECE ? 0 : piece + 2;

		/* Who fails has been overtaken: another thread's poll is at it. */
		if (!at || !atomic_compare_exchange_strong_explicit(&sweep.at, &at, behind,
								    memory_order_relaxed,
								    memory_order_relaxed))
			return;
		if (piece == NO_PIECE)
			return;
		bytes += sweep_piece(piece);
	}
}

uint64_t purge_poll(void)
{
	uint64_t now = os_clock_ms();
	uint64_t due = atomic_load_explicit(&sweep.next_tick, memory_order_relaxed);
	bool under_way = atomic_load_explicit(&sweep.at, memory_order_relaxed) != 0;

	if (likely(now < due && !under_way))
		return now;
	if (!under_way) {
		if (!atomic_compare_exchange_strong_explicit(
			    &sweep.next_tick, &due, now + options.purge_delay_ms / 2 + 1,
			    memory_order_relaxed, memory_order_relaxed))
			return now;
		atomic_store_explicit(&sweep.at, 1, memory_order_relaxed);
	}
	sweep_on(now);
	return now;
}
