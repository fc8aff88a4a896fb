/*
 * Giving free frames back to the kernel after a delay, without a thread of its own. Layer: frame.
 * Polled by the slow paths of allocation and free; purge_all() is called by malloc_trim().
 *
 * Every half delay, one caller ticks. A frame that is free and dirty at a tick is marked aged; claiming
 * it clears the mark; at the next tick those still marked are claimed, purged and freed. So memory stays
 * for between half the delay and all of it. The claim is the ordinary one: nothing here can clash with
 * an allocation, and a thread stopped in the middle holds only what it was purging.
 */
#include "bitmap.h"
#include "frame.h"
#include "options.h"

static _Atomic uint64_t next_tick; /* ms; CAS: the winner ticks; 0: not started */

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

static uint64_t purge_candidates(struct section *sec, uint32_t w, bool all)
{
	uint64_t free = ~atomic_load_explicit(&sec->used[w], memory_order_relaxed);
	uint64_t dirty = atomic_load_explicit(&sec->dirty[w], memory_order_relaxed);

	if (!all)
		dirty &= atomic_load_explicit(&sec->aged[w], memory_order_relaxed);
	return free & dirty;
}

/* Claims and purges word by word, joining what adjoins across words into one call to the kernel. */
static size_t purge_section(struct section *sec, bool all)
{
	uint32_t start = 0, n = 0;
	size_t bytes = 0;

	for (uint32_t w = 0; w < SECTION_WORDS; w++) {
		uint64_t want = purge_candidates(sec, w, all);

		while (want) {
			uint32_t lo = (uint32_t)__builtin_ctzll(want);
			uint64_t rest = ~(want >> lo);
			uint32_t len = rest ? (uint32_t)__builtin_ctzll(rest) : 64;
			uint64_t mask = bitmap_mask(w, w * 64 + lo, len);

			want &= ~mask;
			if (!bitmap_claim_word(&sec->used[w], mask))
				continue;
			if (n && (start + n != w * 64 + lo || n + len > FRAMES_IN_HAND)) {
				bytes += purge_claimed(sec, start, n);
				n = 0;
			}
			if (!n)
				start = w * 64 + lo;
			n += len;
		}
	}
	return n ? bytes + purge_claimed(sec, start, n) : bytes;
}

static void age_section(struct section *sec)
{
	for (uint32_t w = 0; w < SECTION_WORDS; w++) {
		uint64_t idle = purge_candidates(sec, w, true);

		if (idle)
			atomic_fetch_or_explicit(&sec->aged[w], idle, memory_order_relaxed);
	}
}

size_t purge_all(void)
{
	struct section *sec;
	size_t bytes = 0;

	for_each_section(sec, nr)
		bytes += purge_section(sec, true);
	return bytes;
}

void purge_poll(void)
{
	uint64_t now = os_clock_ms();
	uint64_t due = atomic_load_explicit(&next_tick, memory_order_relaxed);
	uint64_t delay = options.purge_delay_ms;
	struct section *sec;

	if (likely(now < due))
		return;
	if (!atomic_compare_exchange_strong_explicit(&next_tick, &due, now + delay / 2 + 1,
						     memory_order_relaxed, memory_order_relaxed))
		return;
	for_each_section(sec, nr) {
		purge_section(sec, false);
		age_section(sec);
	}
}
