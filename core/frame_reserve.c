/*
 * Address space for frames: reserved without access in large pieces, node by node. Layer: frame; see frame.h. Called by
 * frame.c where no free frame is left.
 *
 * No section has frames of two nodes, so that an address tells the node.
 */
#include "bitmap.h"
#include "frame.h"

#define MAX_HEAP_SECTIONS 4096U
/*
 * A whole section at a time: claims go by address, and a piece that came later, further down in the same
 * section, would be used first, while what is touched already lies idle above it.
 */
#define RESERVE_SIZE SECTION_SIZE
/* Of RLIMIT_AS, so that the program's own mappings find room beside the heap. */
#define RESERVE_LIMIT_SHARE 16
/* Of a node whose size is limited. */
#define RESERVE_NODE_SHARE 8

static _Atomic(struct section *) heap_sections[MAX_HEAP_SECTIONS];
static early_data struct {
	_Atomic uint32_t nr_sections;
	_Atomic size_t reserved;  /* bytes */
	_Atomic uintptr_t lowest; /* hint: where the last reservation begins */
} heap;

/* The next piece comes here again, and not further down, in a section of its own. */
static void raise_lowest(_Atomic uintptr_t *lowest, uintptr_t start, size_t size)
{
	atomic_compare_exchange_strong_explicit(lowest, &start, start + size, memory_order_relaxed,
						memory_order_relaxed);
}

void frame_forget_reserved(struct node *node, uintptr_t start, size_t size)
{
	raise_lowest(&heap.lowest, start, size);
	raise_lowest(&node->lowest, start, size);
	atomic_fetch_sub_explicit(&heap.reserved, size, memory_order_relaxed);
	node_uncharge(node, size);
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

/* The same for the node's own sections. */
static void section_list_of(struct node *node, struct section *sec)
{
	_Atomic(struct section *) *at = &node->sections;
	struct section *old = NULL;

	/* Release pairs with the acquire in for_each_section_of(): publishes *sec. */
	while (!atomic_compare_exchange_strong_explicit(at, &old, sec, memory_order_release,
							memory_order_acquire) &&
	       old != sec) {
		at = &old->next;
		old = NULL;
	}
}

/* False: its frames are another node's. */
static bool section_set_node(struct section *sec, struct node *node)
{
	struct node *old = NULL;

	return atomic_compare_exchange_strong_explicit(&sec->node, &old, node, memory_order_release,
						       memory_order_acquire) ||
	       old == node;
}

/* Makes the frames of [start, end) claimable, section by section. */
static bool add_frames(struct node *node, uintptr_t start, uintptr_t end)
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
		if (!sec || !section_set_node(sec, node) || !section_list(sec) ||
		    (next - start < SECTION_SIZE && !slab_maps_make(start, next))) {
			os_unmap((void *)start, end - start);
			/* The next try comes here again, where what was made is. */
			raise_lowest(&heap.lowest, start, end - start);
			raise_lowest(&node->lowest, start, end - start);
			node_uncharge(node, end - start);
			return false;
		}
		section_list_of(node, sec);
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

/* A node of limited size gets address space bit by bit. */
static size_t reserve_size(struct node *node)
{
	uint64_t whole = atomic_load_explicit(&node->size, memory_order_relaxed);
	size_t limit = os_address_limit(), size = RESERVE_SIZE;

	if (limit != SIZE_MAX && size > limit / RESERVE_LIMIT_SHARE)
		size = limit / RESERVE_LIMIT_SHARE;
	/* So that reserve_again() finds what was given back, and mappings of their own have their share. */
	if (whole && size > MAPS_FRAMES * FRAME_SIZE)
		size = MAPS_FRAMES * FRAME_SIZE;
	if (whole && size > whole / RESERVE_NODE_SHARE)
		size = whole / RESERVE_NODE_SHARE;
	return size & ~(FRAME_SIZE - 1);
}

/* Where frames were that were unmapped, and the maps of their slabs are still. 0: nowhere. */
static uintptr_t reserve_again(struct node *node, uint32_t n)
{
	struct section *sec;

	for_each_section_of(node, sec)
	{
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

/* May the node have that frame? A section of another node's it may not share. */
static bool may_have(struct node *node, uintptr_t addr)
{
	struct section *sec = section_find(addr);
	struct node *of = sec ? atomic_load_explicit(&sec->node, memory_order_relaxed) : NULL;

	return !of || of == node;
}

/* So many sections further down are tried, where those right below are others'. */
#define TRY_SECTIONS 64

/*
 * Right below the node's last piece, so that runs may span both; or else, for a first one, below all there are. Whole
 * sections begin below that of this library. 0: something else is there.
 */
static uintptr_t reserve_below(struct node *node, size_t size)
{
	uintptr_t end = atomic_load_explicit(&node->lowest, memory_order_relaxed);
	uintptr_t lowest = atomic_load_explicit(&heap.lowest, memory_order_relaxed);

	if (!end && !lowest && (size == SECTION_SIZE || numa_is_on()))
		lowest = (uintptr_t)&heap;
	for (int i = 0; i < TRY_SECTIONS && (end || lowest); i++) {
		if (!end)
			end = lowest & ~(SECTION_SIZE - 1);
		if (end > size && (size != SECTION_SIZE || end % SECTION_SIZE == 0) &&
		    may_have(node, end - 1) && may_have(node, end - size) &&
		    os_reserve_at((void *)(end - size), size))
			return end - size;
		if (!numa_is_on())
			break;
		lowest = ((lowest < end ? lowest : end) - 1) & ~(SECTION_SIZE - 1);
		end = 0;
	}
	return 0;
}

static uintptr_t reserve_piece(struct node *node, size_t size)
{
	size_t align = size == SECTION_SIZE ? SECTION_SIZE : FRAME_SIZE, head;
	uintptr_t start = size <= MAPS_FRAMES * FRAME_SIZE
				  ? reserve_again(node, (uint32_t)(size >> FRAME_SHIFT))
				  : 0;
	char *map;

	if (!start)
		start = reserve_below(node, size);
	if (start)
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
	if (may_have(node, start) && may_have(node, start + size - 1))
		return start;
	os_unmap((void *)start, size);
	return 0;
}

static void lower_lowest(_Atomic uintptr_t *lowest, uintptr_t start)
{
	if (start - 1 < atomic_load_explicit(lowest, memory_order_relaxed) - 1)
		atomic_store_explicit(lowest, start, memory_order_relaxed);
}

/*
 * As much as the kernel gives, if that is enough. *size: how much it was. Charged when it is there: a call that ends in
 * between leaves nothing charged.
 */
static uintptr_t reserve_most(struct node *node, size_t least, size_t *size)
{
	for (;;) {
		uintptr_t start = node_has_room(node, *size) ? reserve_piece(node, *size) : 0;

		if (start && node_charge(node, *size))
			return start;
		if (start)
			os_unmap((void *)start, *size);
		if (*size == least)
			return 0;
		*size = *size / 2 > least ? (*size / 2) & ~(FRAME_SIZE - 1) : least;
	}
}

bool frame_reserve(struct node *node, uint32_t n, uint32_t align)
{
	size_t least = ((size_t)n + align - 1) << FRAME_SHIFT;
	size_t size = reserve_size(node);
	const struct node *on;
	uintptr_t start;

	if (size < least)
		size = least;
	start = reserve_most(node, least, &size);
	if (!start)
		return false;
	lower_lowest(&heap.lowest, start);
	lower_lowest(&node->lowest, start);
	on = atomic_load_explicit(&node->pages_on, memory_order_relaxed);
	node_bind(node, (void *)start, size);
	if (!add_frames(node, start, start + size))
		return false;
	/* Where its pages are from may have changed, before the section was there for frame_bind() to see. */
	if (atomic_load_explicit(&node->pages_on, memory_order_relaxed) != on)
		node_bind(node, (void *)start, size);
	return true;
}

bool frame_reserve_first(struct node *node)
{
	return atomic_load_explicit(&node->sections, memory_order_acquire) ||
	       frame_reserve(node, 1, 1);
}

void frame_bind(struct node *node)
{
	struct section *sec;

	for_each_section_of(node, sec)
	{
		for (uint32_t from = 0, end; from < SECTION_FRAMES; from = end) {
			from = bitmap_next(sec->reserved, from, SECTION_FRAMES, true);
			end = bitmap_next(sec->reserved, from, SECTION_FRAMES, false);
			if (from < end)
				node_bind(node, frame_address(sec, from),
					  (size_t)(end - from) << FRAME_SHIFT);
		}
	}
}
