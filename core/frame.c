/*
 * Reserving address space, claiming and freeing frames. Layer: frame. See frame.h; what gives frames' memory or
 * address space away again is in frame_return.c and purge.c.
 */
#include "frame.h"
#include "bitmap.h"

#define MAX_HEAP_SECTIONS 4096U
/*
 * A whole section at a time: claims go by address, and a piece that came later, further down in the same
 * section, would be used first, while what is touched already lies idle above it.
 */
#define RESERVE_SIZE SECTION_SIZE
/* Of RLIMIT_AS, so that the program's own mappings find room beside the heap. */
#define RESERVE_LIMIT_SHARE 16

static _Atomic(struct section *) heap_sections[MAX_HEAP_SECTIONS];
static early_data struct {
	_Atomic uint32_t nr_sections;
	_Atomic size_t reserved;  /* bytes */
	_Atomic uintptr_t lowest; /* hint: where the last reservation begins */
} heap;

void frame_forget_reserved(uintptr_t start, size_t size)
{
	/* The next piece comes here again, and not further down, in a section of its own. */
	atomic_compare_exchange_strong_explicit(&heap.lowest, &start, start + size,
						memory_order_relaxed, memory_order_relaxed);
	atomic_fetch_sub_explicit(&heap.reserved, size, memory_order_relaxed);
}

struct section *frame_section(uint32_t nr)
{
	uint32_t end = atomic_load_explicit(&heap.nr_sections, memory_order_acquire);

	if (nr >= end || nr >= MAX_HEAP_SECTIONS)
		return NULL;
	return atomic_load_explicit(&heap_sections[nr], memory_order_acquire);
}

/*
 * Appends by a CAS on the first empty slot, and moves the count behind it. Whoever comes by counts what it
 * finds, so that a thread stopped in between hides nothing; a section is there once.
 */
static bool section_list(struct section *sec)
{
	for (uint32_t nr = 0; nr < MAX_HEAP_SECTIONS; nr++) {
		struct section *old = NULL;
		uint32_t count = nr;
		bool mine = atomic_compare_exchange_strong_explicit(
			&heap_sections[nr], &old, sec, memory_order_release, memory_order_relaxed);

		/* Release pairs with the acquire in frame_section(). */
		atomic_compare_exchange_strong_explicit(&heap.nr_sections, &count, nr + 1,
							memory_order_release, memory_order_relaxed);
		if (mine || old == sec)
			return true;
	}
	return false;
}

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

static noinline void lower_hints(struct section *sec, uint32_t index)
{
	uint32_t hint = hint_get(&sec->first_free);

	while (index < hint &&
	       !atomic_compare_exchange_weak_explicit(&sec->first_free, &hint, index,
						      memory_order_relaxed, memory_order_relaxed))
		;
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

/* Makes the frames of [start, end) claimable, section by section. */
static bool add_frames(uintptr_t start, uintptr_t end)
{
	for (uintptr_t next; start < end; start = next) {
		struct section *sec = section_get(start);
		uint32_t index = (start >> FRAME_SHIFT) & (SECTION_FRAMES - 1);
		uint32_t n;

		next = (start & ~(SECTION_SIZE - 1)) + SECTION_SIZE;
		if (next > end)
			next = end;
		n = (uint32_t)((next - start) >> FRAME_SHIFT);
		/* A piece smaller than a section is of an address space that is short. */
		if (!sec || !section_list(sec) ||
		    (next - start < SECTION_SIZE && !slab_maps_make(start, next))) {
			os_unmap((void *)start, end - start);
			return false;
		}
		atomic_fetch_add_explicit(&heap.reserved, next - start, memory_order_relaxed);
		bitmap_set(sec->reserved, index, n);
		section_release(sec, index, n);
	}
	return true;
}

size_t frame_reserved(void)
{
	return atomic_load_explicit(&heap.reserved, memory_order_relaxed);
}

static size_t reserve_size(void)
{
	size_t size = RESERVE_SIZE;
	size_t limit = os_address_limit();

	if (limit != SIZE_MAX && size > limit / RESERVE_LIMIT_SHARE)
		size = limit / RESERVE_LIMIT_SHARE;
	return size & ~(FRAME_SIZE - 1);
}

/* Where a reservation should end: below the last one, or for a first whole section, below that of this library. */
static uintptr_t reserve_below(size_t size)
{
	uintptr_t lowest = atomic_load_explicit(&heap.lowest, memory_order_relaxed);

	return lowest || size != SECTION_SIZE ? lowest : (uintptr_t)&heap & ~(SECTION_SIZE - 1);
}

/* Where frames were that were unmapped, and the maps of their slabs are still. 0: nowhere. */
static uintptr_t reserve_again(uint32_t n)
{
	struct section *sec;

	for_each_section(sec, nr) {
		for (uint32_t i = 0; i < SECTION_FRAMES; i += MAPS_FRAMES) {
			uint32_t end = i + MAPS_FRAMES, at;

			if (!atomic_load_explicit(&sec->maps[i / MAPS_FRAMES],
						  memory_order_relaxed))
				continue;
			at = bitmap_find_clear(sec->reserved, i, end, n, 1);
			if (at < end &&
			    os_reserve_at(frame_address(sec, at), (size_t)n << FRAME_SHIFT))
				return (uintptr_t)frame_address(sec, at);
		}
	}
	return 0;
}

/* Reserves `size` bytes, if possible right below the last piece, so that runs may span both. */
static uintptr_t reserve_piece(size_t size)
{
	uintptr_t start = reserve_below(size) - size;
	size_t align = size == SECTION_SIZE ? SECTION_SIZE : FRAME_SIZE, head;
	uintptr_t again = size <= MAPS_FRAMES * FRAME_SIZE
				  ? reserve_again((uint32_t)(size >> FRAME_SHIFT))
				  : 0;
	char *map;

	if (again)
		return again;
	if (start < SIZE_MAX - size && start % align == 0 && os_reserve_at((void *)start, size))
		return start;
	map = os_reserve(size + align);
	if (!map)
		return 0;
	start = round_up((uintptr_t)map, align);
	head = start - (uintptr_t)map;
	if (head)
		os_unmap(map, head);
	if (head < align)
		os_unmap((void *)(start + size), align - head);
	return start;
}

/* Adds address space in which n frames with that alignment fit, as much as the kernel gives. */
static bool frame_reserve(uint32_t n, uint32_t align)
{
	size_t least = ((size_t)n + align - 1) << FRAME_SHIFT;
	size_t size = reserve_size();
	uintptr_t start;

	if (size < least)
		size = least;
	while (!(start = reserve_piece(size))) {
		if (size == least)
			return false;
		size = size / 2 > least ? (size / 2) & ~(FRAME_SIZE - 1) : least;
	}
	if (start - 1 < atomic_load_explicit(&heap.lowest, memory_order_relaxed) - 1)
		atomic_store_explicit(&heap.lowest, start, memory_order_relaxed);
	return add_frames(start, start + size);
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
static void *heap_claim(const struct want *want, bool hints, bool *zeroed, bool *refused)
{
	struct section *sec;

	for_each_section(sec, nr) {
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
static void *heap_claim_committed(const struct want *want, bool *zeroed)
{
	struct section *sec;
	struct search seen = {0, 0};

	for_each_section(sec, nr) {
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

static void *claim_or_reserve(const struct want *want, bool *zeroed)
{
	bool refused = false;
	void *addr = heap_claim(want, true, zeroed, &refused);

	if (!addr && !refused)
		addr = heap_claim(want, false, zeroed, &refused);
	while (!addr && !refused && frame_reserve(want->n, want->align))
		addr = heap_claim(want, true, zeroed, &refused);
	if (!addr && refused)
		addr = heap_claim_committed(want, zeroed);
	return addr;
}

void *frame_alloc_apart(uint32_t n, uint32_t area, bool *zeroed)
{
	struct want want = {n, 1, n, area % NR_AREAS * (SECTION_FRAMES / NR_AREAS)};
	bool refused = false;

	return n > FRAME_RUN_MAX ? NULL : heap_claim(&want, true, zeroed, &refused);
}

void *frame_alloc(uint32_t n, uint32_t align, bool *zeroed)
{
	struct want want = {n, align, n, 0};
	void *addr;

	if (n > FRAME_RUN_MAX || align > FRAME_RUN_MAX)
		return NULL;
	addr = claim_or_reserve(&want, zeroed);
	if (!addr && frame_unreserve())
		addr = claim_or_reserve(&want, zeroed);
	return addr;
}

void *frame_alloc_roomy(uint32_t n, uint32_t room, bool *zeroed)
{
	struct want want = {n, room, room, 0};
	bool refused = false;

	return room > FRAME_RUN_MAX ? NULL : heap_claim(&want, true, zeroed, &refused);
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
	bool zeroed;

	if (index + more > SECTION_FRAMES || !bitmap_claim(sec->used, index, more))
		return false;
	return frame_take(sec, index, more, &zeroed);
}

bool frame_is_ours(const void *addr)
{
	struct section *sec = section_find((uintptr_t)addr);
	uint32_t index = frame_index(addr);

	return (uintptr_t)addr >> OS_ADDRESS_BITS == 0 && sec &&
	       bitmap_test(sec->reserved, index, 1, true);
}
