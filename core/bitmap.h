/*
 * Ranges of bits in arrays of atomic words. Layer: frame. Called by frame.c and purge.c.
 *
 * A range that spans words is claimed word by word in rising order and given back if one of them fails;
 * in between, other claimers see bits taken that come back, and look elsewhere: nobody waits.
 */
#ifndef USLUB_BITMAP_H
#define USLUB_BITMAP_H

#include "types.h"

/* The bits of word `w` that [start, start + n) covers. */
static inline uint64_t bitmap_mask(uint32_t w, uint32_t start, uint32_t n)
{
	uint32_t lo = w * 64 > start ? 0 : start - w * 64;
	uint32_t end = start + n - w * 64;

	return (~UINT64_C(0) << lo) & (end >= 64 ? ~UINT64_C(0) : ~(~UINT64_C(0) << end));
}

#define for_each_bitmap_word(w, start, n) \
	for (uint32_t w = (start) / 64; w <= ((start) + (n)-1) / 64; w++)

static inline void bitmap_set(_Atomic uint64_t *map, uint32_t start, uint32_t n)
{
	for_each_bitmap_word(w, start, n) {
		uint64_t mask = bitmap_mask(w, start, n);

		if ((atomic_load_explicit(&map[w], memory_order_relaxed) & mask) != mask)
			atomic_fetch_or_explicit(&map[w], mask, memory_order_relaxed);
	}
}

/* `order` is release where the bits hand over what they stand for. */
static inline void bitmap_clear(_Atomic uint64_t *map, uint32_t start, uint32_t n,
				memory_order order)
{
	for_each_bitmap_word(w, start, n) {
		uint64_t mask = bitmap_mask(w, start, n);

		if (atomic_load_explicit(&map[w], memory_order_relaxed) & mask)
			atomic_fetch_and_explicit(&map[w], ~mask, order);
	}
}

/* Are all (or, with `any`, some) bits of the range set? */
static inline bool bitmap_test(_Atomic uint64_t *map, uint32_t start, uint32_t n, bool any)
{
	for_each_bitmap_word(w, start, n) {
		uint64_t mask = bitmap_mask(w, start, n);
		uint64_t set = atomic_load_explicit(&map[w], memory_order_relaxed) & mask;

		if (any ? set != 0 : set != mask)
			return any;
	}
	return !any;
}

static inline bool bitmap_claim_word(_Atomic uint64_t *word, uint64_t mask)
{
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
	struct nowait w = {0};

	do {
		if (old & mask)
			return false;
		/* Acquire pairs with the release in bitmap_clear(): the last holder is done. */
	} while (!nowait(&w, atomic_compare_exchange_weak_explicit(word, &old, old | mask,
								   memory_order_acquire,
								   memory_order_relaxed)));
	return true;
}

/* Takes the whole range, or nothing. */
static inline bool bitmap_claim(_Atomic uint64_t *map, uint32_t start, uint32_t n)
{
	for_each_bitmap_word(w, start, n) {
		if (bitmap_claim_word(&map[w], bitmap_mask(w, start, n)))
			continue;
		if (w * 64 > start)
			bitmap_clear(map, start, w * 64 - start, memory_order_release);
		return false;
	}
	return true;
}

/* The first bit at or above `from` that is `value`; `end` where there is none below it. */
static inline uint32_t bitmap_next(_Atomic uint64_t *map, uint32_t from, uint32_t end, bool value)
{
	while (from < end) {
		uint64_t word = atomic_load_explicit(&map[from / 64], memory_order_relaxed);

		word = (value ? word : ~word) & (~UINT64_C(0) << (from % 64));
		if (word) {
			from = (from & ~63U) + (uint32_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from = (from & ~63U) + 64;
	}
	return end;
}

/* A range of n clear bits in [from, end) that starts at a multiple of `align`; `end`: none. */
static inline uint32_t bitmap_find_clear(_Atomic uint64_t *map, uint32_t from, uint32_t end,
					 uint32_t n, uint32_t align)
{
	for (;;) {
		uint32_t set;

		from = bitmap_next(map, from, end, false);
		from = (from + align - 1) & ~(align - 1);
		if (n > end || from > end - n)
			return end;
		set = bitmap_next(map, from, from + n, true);
		if (set == from + n)
			return from;
		from = set + 1;
	}
}

#endif
