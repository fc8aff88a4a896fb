/*
 * Claiming and freeing frames. Layer: frame. See frame.h; where they come from is frame_reserve.c, what gives their
 * memory or address space away again frame_return.c and purge.c.
 */
#include "frame.h"
#include "bitmap.h"

static inline uint32_t hint_get(const _Atomic uint32_t *hint)
{
	return atomic_load_explicit(hint, memory_order_relaxed);
}

static inline void hint_set(_Atomic uint32_t *hint, uint32_t value)
{
	atomic_store_explicit(hint, value, memory_order_relaxed);
}

/* Frames from `index` on are free, and may join free ones below them. */
static void lower_run_hints(struct section *sec, uint32_t index)
{
	uint32_t top = 0;

	for (uint32_t order = 0; order < SECTION_ORDERS; order++) {
		uint32_t from = index > (1U << order) ? index - (1U << order) : 0;
		uint32_t hint = hint_get(&sec->run_from[order]);

		if (from < hint)
			hint_set(&sec->run_from[order], hint = from);
		top = hint > top ? hint : top;
	}
	hint_set(&sec->run_top, top);
}

/* A frame is free below where the next one is looked for: a node that was full has one again. */
static void end_full(struct section *sec)
{
	struct node *node = atomic_load_explicit(&sec->node, memory_order_relaxed);

	if (node)
		node_end_full(node);
}

static noinline void lower_hints(struct section *sec, uint32_t index)
{
	uint32_t hint = hint_get(&sec->first_free);
	bool lowered = false;

	while (index < hint && !lowered)
		lowered = atomic_compare_exchange_weak_explicit(
			&sec->first_free, &hint, index, memory_order_relaxed, memory_order_relaxed);
	if (lowered && numa_is_on())
		end_full(sec);
	if (hint_get(&sec->run_top))
		lower_run_hints(sec, index);
}

void section_release(struct section *sec, uint32_t index, uint32_t n)
{
	uint32_t top;

	/* Release pairs with the acquire in bitmap_claim_word(): we are done with the frames. */
	if (likely(index % 64 + n <= 64))
		atomic_fetch_and_explicit(&sec->used[index / 64],
					  ~bitmap_mask(index / 64, index, n), memory_order_release);
	else
		bitmap_clear(sec->used, index, n, memory_order_release);
	top = hint_get(&sec->run_top);
	if (index < hint_get(&sec->first_free) || (top && index < top + FRAME_RUN_MAX))
		lower_hints(sec, index);
}

/* Claimed frames of one word: have all of them been in use, and lately? */
static bool is_at_hand(struct section *sec, uint32_t w, uint64_t mask)
{
	uint64_t ready = atomic_load_explicit(&sec->committed[w], memory_order_relaxed) &
			 atomic_load_explicit(&sec->dirty[w], memory_order_relaxed) &
			 ~atomic_load_explicit(&sec->aged[w], memory_order_relaxed);

	return (ready & mask) == mask;
}

/* The frames are claimed: makes them usable and learns whether they are fresh. */
static bool frame_take(struct section *sec, uint32_t index, uint32_t n, bool *zeroed)
{
	uintptr_t start = (uintptr_t)frame_address(sec, index);

	*zeroed = false;
	if (index % 64 + n <= 64 && is_at_hand(sec, index / 64, bitmap_mask(index / 64, index, n)))
		return true;
	/* With what slabs need there: memory that is had must be of use. */
	if (!slab_maps_make(start, start + ((size_t)n << FRAME_SHIFT)) ||
	    !frame_commit(sec, index, n)) {
		section_release(sec, index, n);
		return false;
	}
	*zeroed = !bitmap_test(sec->dirty, index, n, true);
	bitmap_set(sec->dirty, index, n);
	bitmap_clear(sec->aged, index, n, memory_order_relaxed);
	return true;
}

/* The order whose hint a search for n frames goes by: 2^order >= n. */
static uint32_t run_order(uint32_t n)
{
	return n > 1 ? 32 - (uint32_t)__builtin_clz(n - 1) : 0;
}

/*
 * What is searched for: n frames at a multiple of `align`, the rest of `room` frames free behind them; if possible not
 * below `from`.
 */
struct want {
	uint32_t n, align, room, from;
};

/* The shortest run whose search goes by the order's hint. */
static uint32_t order_least(uint32_t order)
{
	return order > 1 ? (1U << (order - 1)) + 1 : order + 1;
}

/* What a search has seen on its way. */
struct search {
	uint32_t passed; /* where the first run began that was too short, but not for
                      all of its hint */
	uint32_t holes;	 /* how many runs were too short */
};

/* First fit from `from` on; SECTION_FRAMES: none. */
static uint32_t find_run(struct section *sec, uint32_t from, const struct want *want,
			 struct search *seen)
{
	uint32_t least = order_least(run_order(want->room)), start, end;

	for (;; seen->holes++, from = end + 1) {
		start = bitmap_next(sec->used, from, SECTION_FRAMES, false);
		from = (start + want->align - 1) & ~(want->align - 1);
		if (from > SECTION_FRAMES - want->room)
			break;
		end = bitmap_next(sec->used, from, from + want->room, true);
		if (end == from + want->room)
			return from;
		if (end - start >= least && start < seen->passed)
			seen->passed = start;
	}
	if (SECTION_FRAMES - start >= least && start < seen->passed)
		seen->passed = start;
	return SECTION_FRAMES;
}

/* A raised hint must be lowered again when something is freed below: not for a short search. */
static bool should_raise_hint(const struct want *want, const struct search *seen, uint32_t way)
{
	return want->align == 1 && !want->from && (seen->holes > 4 || way > 4 * 64);
}

static void raise_run_hint(struct section *sec, uint32_t n, uint32_t to)
{
	hint_set(&sec->run_from[run_order(n)], to);
	if (to > hint_get(&sec->run_top))
		hint_set(&sec->run_top, to);
}

/* Claims the first fit from `from` on, and raises the hints. What is freed meanwhile may lie below them. */
static uint32_t section_claim(struct section *sec, uint32_t from, const struct want *want)
{
	struct search seen = {SECTION_FRAMES, 0};
	uint32_t hint = from, end;

	do {
		from = find_run(sec, from, want, &seen);
	} while (from < SECTION_FRAMES && !bitmap_claim(sec->used, from, want->n));
	end = from < SECTION_FRAMES ? from + want->n : SECTION_FRAMES;
	if (want->room == 1)
		atomic_compare_exchange_strong_explicit(&sec->first_free, &hint, end,
							memory_order_relaxed, memory_order_relaxed);
	else if (should_raise_hint(want, &seen, end - hint))
		raise_run_hint(sec, want->n, seen.passed < end ? seen.passed : end);
	return from;
}

static uint32_t section_hint(struct section *sec, uint32_t n)
{
	return n == 1 ? hint_get(&sec->first_free) : hint_get(&sec->run_from[run_order(n)]);
}

/* `hints`: trust them. One that a stopped thread left too high costs a search without. */
static void *node_claim(struct node *node, const struct want *want, bool hints, bool *zeroed,
			bool *refused)
{
	struct section *sec;

	for_each_section_of(node, sec)
	{
		uint32_t from = hints ? section_hint(sec, want->room) : 0, index;

		if (from >= SECTION_FRAMES)
			continue;
		if (from < want->from)
			from = want->from;
		index = section_claim(sec, from, want);
		if (index >= SECTION_FRAMES)
			continue;
		if (frame_take(sec, index, want->n, zeroed))
			return frame_address(sec, index);
		*refused = true;
	}
	return NULL;
}

/* Where the kernel refuses to make more accessible: first fit among the frames that are. */
static noinline void *node_claim_committed(struct node *node, const struct want *want, bool *zeroed)
{
	struct section *sec;
	struct search seen = {0, 0};

	for_each_section_of(node, sec)
	{
		for (uint32_t from = 0;; from += want->align) {
			from = find_run(sec, from, want, &seen);
			if (from >= SECTION_FRAMES)
				break;
			if (bitmap_test(sec->committed, from, want->n, false) &&
			    bitmap_claim(sec->used, from, want->n) &&
			    frame_take(sec, from, want->n, zeroed))
				return frame_address(sec, from);
		}
	}
	return NULL;
}

static void *claim_or_reserve(struct node *node, const struct want *want, bool *zeroed)
{
	bool refused = false;
	void *addr = node_claim(node, want, true, zeroed, &refused);

	if (!addr && !refused)
		addr = node_claim(node, want, false, zeroed, &refused);
	while (!addr && !refused && frame_reserve(node, want->n, want->align))
		addr = node_claim(node, want, true, zeroed, &refused);
	if (!addr && refused)
		addr = node_claim_committed(node, want, zeroed);
	if (!addr && numa_is_on() && want->align == 1)
		node_note_full(node, want->n);
	return addr;
}

/* As claim_or_reserve(), of the node or else of those that it falls back to and that had something lately. */
static void *claim_near(struct node *first, const struct want *want, bool *zeroed)
{
	struct node_walk walk = {.first = first};
	struct node *node;
	void *addr = NULL;

	while (!addr && (node = node_walk_next(&walk))) {
		if (node_is_full(node, want->n))
			continue;
		addr = claim_or_reserve(node, want, zeroed);
		if (addr) {
			numa_took(first, node, want->n);
			/* Where not one frame was to be had, no run is; the other way round it says nothing. */
			if (want->n == 1)
				node_note_near(&walk);
		}
	}
	return addr;
}

/* Of any, whatever was the case lately, and in whatever order: the last try. */
static void *claim_anywhere(struct node *first, const struct want *want, bool *zeroed)
{
	struct node *node;
	void *addr = NULL;

	for_each_node(node)
	{
		if (node != first && !numa_is_alloc_node(node))
			continue;
		addr = claim_or_reserve(node, want, zeroed);
		if (addr) {
			numa_took(first, node, want->n);
			break;
		}
	}
	return addr;
}

void *frame_alloc_apart(struct node *node, uint32_t n, uint32_t area, bool *zeroed)
{
	struct want want = {n, 1, n, area % NR_AREAS * (SECTION_FRAMES / NR_AREAS)};
	bool refused = false;
	void *addr = n > FRAME_RUN_MAX ? NULL : node_claim(node, &want, true, zeroed, &refused);

	if (addr)
		numa_took(node, node, n);
	return addr;
}

void *frame_alloc_near(struct node *node, uint32_t n, uint32_t align, bool *zeroed)
{
	struct want want = {n, align, n, 0};
	void *addr;

	if (n > FRAME_RUN_MAX || align > FRAME_RUN_MAX)
		return NULL;
	addr = claim_near(node, &want, zeroed);
	if (!addr && (frame_unreserve() || numa_is_on()))
		addr = claim_anywhere(node, &want, zeroed);
	return addr;
}

void *frame_alloc_on(struct node *node, uint32_t n, bool *zeroed)
{
	struct want want = {n, 1, n, 0};
	void *addr;

	if (n > FRAME_RUN_MAX || node_is_full(node, n))
		return NULL;
	addr = claim_or_reserve(node, &want, zeroed);
	if (addr)
		numa_took(node, node, n);
	return addr;
}

void *frame_alloc_roomy(struct node *node, uint32_t n, uint32_t room, bool *zeroed)
{
	struct want want = {n, room, room, 0};
	bool refused = false;
	void *addr = room > FRAME_RUN_MAX ? NULL : node_claim(node, &want, true, zeroed, &refused);

	if (addr)
		numa_took(node, node, n);
	return addr;
}

void frame_free(void *addr, uint32_t n)
{
	struct section *sec = frame_to_section(addr);
	uint32_t index = frame_index(addr);

	section_release(sec, index, n);
}

/* Claims that span two words are given to the rest of this file: they are few, and take longer. */
static noinline bool retake_across(struct section *sec, uint32_t index, uint32_t n)
{
	bool zeroed;

	if (index + n > SECTION_FRAMES || !bitmap_test(sec->dirty, index, n, false) ||
	    !bitmap_claim(sec->used, index, n))
		return false;
	return frame_take(sec, index, n, &zeroed);
}

bool frame_retake(void *addr, uint32_t n)
{
	struct section *sec = section_find((uintptr_t)addr);
	uint32_t index = frame_index(addr), w = index / 64;
	uint64_t mask = ~(~UINT64_C(0) << (n % 64)) << (index % 64);

	if (unlikely(!sec))
		return false;
	if (unlikely(index % 64 + n > 64 || n >= 64))
		return retake_across(sec, index, n);
	if (!bitmap_claim_word(&sec->used[w], mask))
		return false;
	if (likely(is_at_hand(sec, w, mask)))
		return true;
	section_release(sec, index, n);
	return false;
}

bool frame_extend(void *addr, uint32_t n, uint32_t more)
{
	struct section *sec = section_find((uintptr_t)addr);
	uint32_t index = frame_index(addr) + n;
	struct node *node = node_of(addr);
	bool zeroed;

	if (index + more > SECTION_FRAMES || !numa_is_slab_node(node) ||
	    !bitmap_claim(sec->used, index, more) || !frame_take(sec, index, more, &zeroed))
		return false;
	numa_count(node, node, more);
	return true;
}

bool frame_is_ours(const void *addr)
{
	struct section *sec = section_find((uintptr_t)addr);
	uint32_t index = frame_index(addr);

	return (uintptr_t)addr >> OS_ADDRESS_BITS == 0 && sec &&
	       bitmap_test(sec->reserved, index, 1, true);
}
