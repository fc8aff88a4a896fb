/*
 * Pages that leave the heap, and address space that goes back to the kernel. Layer: frame; see frame.h. Called by
 * large when a growing object takes its pages along, and by frame and large where memory is out.
 *
 * The frames are claimed, so that nobody else looks at them; their bits are cleared before the kernel is called,
 * for another thread's mapping may be in their place right after.
 */
#include "frame.h"
#include "bitmap.h"

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
	struct node *node = atomic_load_explicit(&sec->node, memory_order_relaxed);
	uint32_t index = frame_index(addr);

	forget_frames(sec, index, n);
	if (!os_move(addr, (size_t)n << FRAME_SHIFT, to, size)) {
		recall_frames(sec, index, n);
		return false;
	}
	if (os_reserve_at(addr, (size_t)n << FRAME_SHIFT)) {
		node_bind(node, addr, (size_t)n << FRAME_SHIFT);
		bitmap_set(sec->reserved, index, n);
		section_release(sec, index, n);
	} else {
		frame_forget_reserved(node, (uintptr_t)addr, (size_t)n << FRAME_SHIFT);
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
		frame_forget_reserved(atomic_load_explicit(&sec->node, memory_order_relaxed), start,
				      size);
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
		/* It is another mapping now, of no node. */
		node_bind(node_of(frame_address(sec, index)), frame_address(sec, index),
			  (size_t)n << FRAME_SHIFT);
		bitmap_clear(sec->committed, index, n, memory_order_relaxed);
		bitmap_clear(sec->dirty, index, n, memory_order_relaxed);
		bitmap_clear(sec->aged, index, n, memory_order_relaxed);
	}
	section_release(sec, index, n);
	return done;
}

/* All free frames of the section, with their address space or without. */
static bool unreserve_section(struct section *sec, bool unmap)
{
	bool some = false;
	uint32_t end;

	for (uint32_t index = 0;; index = end) {
		index = bitmap_next(sec->used, index, SECTION_FRAMES, false);
		if (index >= SECTION_FRAMES)
			return some;
		end = index + FRAMES_IN_HAND < SECTION_FRAMES ? index + FRAMES_IN_HAND
							      : SECTION_FRAMES;
		end = bitmap_next(sec->used, index, end, true);
		if (bitmap_claim(sec->used, index, end - index) &&
		    (unmap ? unreserve_claimed(sec, index, end - index)
			   : uncommit_claimed(sec, index, end - index)))
			some = true;
	}
}

/* Address space that no limit counts is kept: the next would need a section's metadata elsewhere. */
bool frame_unreserve(void)
{
	bool unmap = os_address_limit() != SIZE_MAX, some = false;
	struct section *sec;

	for_each_section(sec, nr)
		some |= unreserve_section(sec, unmap);
	return some;
}

bool frame_unreserve_of(struct node *node)
{
	struct section *sec;
	bool some = false;

	if (!atomic_load_explicit(&node->size, memory_order_relaxed))
		return false;
	for_each_section_of(node, sec) some |= unreserve_section(sec, true);
	return some;
}
