/*
 * Reserving address space, claiming and freeing frames. Layer: frame. See frame.h.
 */
#include "frame.h"
#include "bitmap.h"

#define MAX_HEAP_SECTIONS 4096U
#define RESERVE_MAX SECTION_SIZE
#define RESERVE_FIRST ((size_t)256 << 20)
/* Of RLIMIT_AS, so that the program's own mappings find room beside the heap. */
#define RESERVE_LIMIT_SHARE 16
#define COMMIT_FRAMES_MIN 32U

static struct {
	_Atomic(struct section *) sections[MAX_HEAP_SECTIONS];
	_Atomic uint32_t nr_sections;
	_Atomic size_t reserved;  /* bytes */
	_Atomic uintptr_t lowest; /* hint: where the last reservation begins */
} heap;

struct section *frame_section(uint32_t nr)
{
	uint32_t end = atomic_load_explicit(&heap.nr_sections, memory_order_acquire);

	if (nr >= end || nr >= MAX_HEAP_SECTIONS)
		return NULL;
	return atomic_load_explicit(&heap.sections[nr], memory_order_acquire);
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
			&heap.sections[nr], &old, sec, memory_order_release, memory_order_relaxed);

		/* Release pairs with the acquire in frame_section(). */
		atomic_compare_exchange_strong_explicit(&heap.nr_sections, &count, nr + 1,
							memory_order_release, memory_order_relaxed);
		if (mine || old == sec)
			return true;
	}
	return false;
}

void section_release(struct section *sec, uint32_t index, uint32_t n)
{
	uint32_t hint;

	/* Release pairs with the acquire in bitmap_claim_word(): we are done with the frames. */
	bitmap_clear(sec->used, index, n, memory_order_release);
	for (uint32_t order = 0; order < SECTION_ORDERS; order++) {
		/* The frames may join free ones below them. */
		uint32_t from = index > (1U << order) ? index - (1U << order) : 0;

		if (from < atomic_load_explicit(&sec->run_from[order], memory_order_relaxed))
			atomic_store_explicit(&sec->run_from[order], from, memory_order_relaxed);
	}
	hint = atomic_load_explicit(&sec->first_free, memory_order_relaxed);
	while (index < hint &&
	       !atomic_compare_exchange_weak_explicit(&sec->first_free, &hint, index,
						      memory_order_relaxed, memory_order_relaxed))
		;
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
		if (!sec || !section_list(sec)) {
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
	size_t size = frame_reserved();
	size_t limit = os_address_limit();

	if (size < RESERVE_FIRST)
		size = RESERVE_FIRST;
	if (size > RESERVE_MAX)
		size = RESERVE_MAX;
	if (limit != SIZE_MAX && size > limit / RESERVE_LIMIT_SHARE)
		size = limit / RESERVE_LIMIT_SHARE;
	return size & ~(FRAME_SIZE - 1);
}

/* Reserves `size` bytes, if possible right below the last piece, so that runs may span both. */
static uintptr_t reserve_piece(size_t size)
{
	uintptr_t start = atomic_load_explicit(&heap.lowest, memory_order_relaxed) - size;
	size_t head;
	char *map;

	if (start < SIZE_MAX - size && os_reserve_at((void *)start, size))
		return start;
	map = os_reserve(size + FRAME_SIZE);
	if (!map)
		return 0;
	start = ((uintptr_t)map + FRAME_SIZE - 1) & ~(FRAME_SIZE - 1);
	head = start - (uintptr_t)map;
	if (head)
		os_unmap(map, head);
	if (head < FRAME_SIZE)
		os_unmap((void *)(start + size), FRAME_SIZE - head);
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
	atomic_store_explicit(&heap.lowest, start, memory_order_relaxed);
	return add_frames(start, start + size);
}

/* How many frames behind [.., end) to make accessible at once; they are claimed for as long as it takes. */
static uint32_t claim_ahead(struct section *sec, uint32_t end)
{
	uint32_t step = (uint32_t)(frame_reserved() >> (FRAME_SHIFT + 5));
	uint32_t ahead;

	if (step < COMMIT_FRAMES_MIN)
		step = COMMIT_FRAMES_MIN;
	if (step > FRAMES_IN_HAND)
		step = FRAMES_IN_HAND;
	ahead = end + step < SECTION_FRAMES ? end + step : SECTION_FRAMES;
	ahead = bitmap_next(sec->used, end, ahead, true);
	ahead = bitmap_next(sec->committed, end, ahead, true);
	return ahead > end && bitmap_claim(sec->used, end, ahead - end) ? ahead - end : 0;
}

/* Makes claimed frames accessible, and some of what follows them, to save system calls. */
static bool frame_commit(struct section *sec, uint32_t index, uint32_t n)
{
	void *addr = frame_address(sec, index);
	uint32_t ahead;
	bool done;

	if (bitmap_test(sec->committed, index, n, false))
		return true;
	ahead = claim_ahead(sec, index + n);
	done = ahead && os_commit(addr, (size_t)(n + ahead) << FRAME_SHIFT);
	if (done)
		bitmap_set(sec->committed, index + n, ahead);
	else
		done = os_commit(addr, (size_t)n << FRAME_SHIFT);
	if (done)
		bitmap_set(sec->committed, index, n);
	if (ahead)
		section_release(sec, index + n, ahead);
	return done;
}

/* The frames are claimed: makes them usable and learns whether they are fresh. */
static bool frame_take(struct section *sec, uint32_t index, uint32_t n, bool *zeroed)
{
	if (!frame_commit(sec, index, n)) {
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
 * First fit in one section, from `from`. SECTION_FRAMES: none. Raises the hints: what was freed meanwhile
 * and lies below is found by the search without them.
 */
static uint32_t section_claim(struct section *sec, uint32_t from, uint32_t n, uint32_t align)
{
	uint32_t hint = from, end;

	for (;;) {
		from = bitmap_find_clear(sec->used, from, SECTION_FRAMES, n, align);
		if (from >= SECTION_FRAMES || bitmap_claim(sec->used, from, n))
			break;
	}
	end = from < SECTION_FRAMES ? from + n : SECTION_FRAMES;
	if (n == 1)
		atomic_compare_exchange_strong_explicit(&sec->first_free, &hint, end,
							memory_order_relaxed, memory_order_relaxed);
	else if (align == 1)
		atomic_store_explicit(&sec->run_from[run_order(n)], end, memory_order_relaxed);
	return from;
}

static uint32_t section_hint(struct section *sec, uint32_t n)
{
	if (n == 1)
		return atomic_load_explicit(&sec->first_free, memory_order_relaxed);
	return atomic_load_explicit(&sec->run_from[run_order(n)], memory_order_relaxed);
}

/* `hints`: trust first_free. A hint that a stopped thread left too high costs a search without. */
static void *heap_claim(uint32_t n, uint32_t align, bool hints, bool *zeroed, bool *refused)
{
	struct section *sec;

	for_each_section(sec, nr) {
		uint32_t from = hints ? section_hint(sec, n) : 0, index;

		if (from >= SECTION_FRAMES)
			continue;
		index = section_claim(sec, from, n, align);
		if (index >= SECTION_FRAMES)
			continue;
		if (frame_take(sec, index, n, zeroed))
			return frame_address(sec, index);
		*refused = true;
	}
	return NULL;
}

/* Where the kernel refuses to make more accessible: first fit among the frames that are. */
static void *heap_claim_committed(uint32_t n, uint32_t align, bool *zeroed)
{
	struct section *sec;

	for_each_section(sec, nr) {
		for (uint32_t from = 0;; from += align) {
			from = bitmap_find_clear(sec->used, from, SECTION_FRAMES, n, align);
			if (from >= SECTION_FRAMES)
				break;
			if (bitmap_test(sec->committed, from, n, false) &&
			    bitmap_claim(sec->used, from, n) && frame_take(sec, from, n, zeroed))
				return frame_address(sec, from);
		}
	}
	return NULL;
}

static void *claim_or_reserve(uint32_t n, uint32_t align, bool *zeroed)
{
	bool refused = false;
	void *addr = heap_claim(n, align, true, zeroed, &refused);

	if (!addr && !refused)
		addr = heap_claim(n, align, false, zeroed, &refused);
	while (!addr && !refused && frame_reserve(n, align))
		addr = heap_claim(n, align, true, zeroed, &refused);
	if (!addr && refused)
		addr = heap_claim_committed(n, align, zeroed);
	return addr;
}

void *frame_alloc(uint32_t n, uint32_t align, bool *zeroed)
{
	void *addr;

	if (n > FRAME_RUN_MAX || align > FRAME_RUN_MAX)
		return NULL;
	addr = claim_or_reserve(n, align, zeroed);
	if (!addr && frame_unreserve())
		addr = claim_or_reserve(n, align, zeroed);
	return addr;
}

void frame_free(void *addr, uint32_t n)
{
	struct section *sec = section_find((uintptr_t)addr);
	uint32_t index = ((uintptr_t)addr >> FRAME_SHIFT) & (SECTION_FRAMES - 1);

	section_release(sec, index, n);
}

bool frame_extend(void *addr, uint32_t n, uint32_t more)
{
	struct section *sec = section_find((uintptr_t)addr);
	uint32_t index = (((uintptr_t)addr >> FRAME_SHIFT) & (SECTION_FRAMES - 1)) + n;
	bool zeroed;

	if (index + more > SECTION_FRAMES || !bitmap_claim(sec->used, index, more))
		return false;
	return frame_take(sec, index, more, &zeroed);
}

/* Nothing of the claimed frames is ours any more, but for the claim. Before the address space goes. */
static void forget_frames(struct section *sec, uint32_t index, uint32_t n)
{
	bitmap_clear(sec->reserved, index, n, memory_order_relaxed);
	bitmap_clear(sec->committed, index, n, memory_order_relaxed);
	bitmap_clear(sec->dirty, index, n, memory_order_relaxed);
	bitmap_clear(sec->aged, index, n, memory_order_relaxed);
}

/* The address space did not go after all. */
static void recall_frames(struct section *sec, uint32_t index, uint32_t n)
{
	bitmap_set(sec->reserved, index, n);
	bitmap_set(sec->committed, index, n);
	bitmap_set(sec->dirty, index, n);
}

/*
 * The kernel leaves a hole where the pages were. It is reserved again; should another thread's mapping
 * have landed there first, the claim stays for good: it is their address space now.
 */
bool frame_move_out(void *addr, uint32_t n, void *to, size_t size)
{
	struct section *sec = section_find((uintptr_t)addr);
	uint32_t index = ((uintptr_t)addr >> FRAME_SHIFT) & (SECTION_FRAMES - 1);

	forget_frames(sec, index, n);
	if (!os_move(addr, (size_t)n << FRAME_SHIFT, to, size)) {
		recall_frames(sec, index, n);
		return false;
	}
	if (os_reserve_at(addr, (size_t)n << FRAME_SHIFT)) {
		bitmap_set(sec->reserved, index, n);
		section_release(sec, index, n);
	}
	return true;
}

/* Unmaps n frames that are claimed; the claim stays, as on all address space that isn't ours. */
static bool unreserve_claimed(struct section *sec, uint32_t index, uint32_t n)
{
	size_t size = (size_t)n << FRAME_SHIFT;
	bool committed = bitmap_test(sec->committed, index, n, false);
	uintptr_t start = (uintptr_t)frame_address(sec, index);

	forget_frames(sec, index, n);
	if (os_unmap((void *)start, size)) {
		/* The next piece comes here again, and not further down, in a section of its own. */
		atomic_compare_exchange_strong_explicit(&heap.lowest, &start, start + size,
							memory_order_relaxed, memory_order_relaxed);
		atomic_fetch_sub_explicit(&heap.reserved, size, memory_order_relaxed);
		return true;
	}
	if (committed)
		recall_frames(sec, index, n);
	bitmap_set(sec->dirty, index, n);
	bitmap_set(sec->reserved, index, n);
	section_release(sec, index, n);
	return false;
}

/* Makes n claimed frames inaccessible again and frees them: no limit counts them any more. */
static bool uncommit_claimed(struct section *sec, uint32_t index, uint32_t n)
{
	bool done = bitmap_test(sec->committed, index, n, true) &&
		    os_uncommit(frame_address(sec, index), (size_t)n << FRAME_SHIFT);

	if (done) {
		bitmap_clear(sec->committed, index, n, memory_order_relaxed);
		bitmap_clear(sec->dirty, index, n, memory_order_relaxed);
		bitmap_clear(sec->aged, index, n, memory_order_relaxed);
	}
	section_release(sec, index, n);
	return done;
}

/* Address space that no limit counts is kept: the next would need a section's metadata elsewhere. */
bool frame_unreserve(void)
{
	bool unmap = os_address_limit() != SIZE_MAX;
	struct section *sec;
	bool some = false;

	for_each_section(sec, nr) {
		uint32_t end;

		for (uint32_t index = 0;; index = end) {
			index = bitmap_next(sec->used, index, SECTION_FRAMES, false);
			if (index >= SECTION_FRAMES)
				break;
			end = index + FRAMES_IN_HAND < SECTION_FRAMES ? index + FRAMES_IN_HAND
								      : SECTION_FRAMES;
			end = bitmap_next(sec->used, index, end, true);
			if (bitmap_claim(sec->used, index, end - index) &&
			    (unmap ? unreserve_claimed(sec, index, end - index)
				   : uncommit_claimed(sec, index, end - index)))
				some = true;
		}
	}
	return some;
}

bool frame_is_ours(const void *addr)
{
	struct section *sec = section_find((uintptr_t)addr);
	uint32_t index = ((uintptr_t)addr >> FRAME_SHIFT) & (SECTION_FRAMES - 1);

	return (uintptr_t)addr >> OS_ADDRESS_BITS == 0 && sec &&
	       bitmap_test(sec->reserved, index, 1, true);
}
