/*
 * Large objects that grow and shrink: where they are, into room that was kept for them, or by moving their pages.
 * Layer: large; see large.h. Called by kmalloc.
 */
#include "large_parts.h"
#include "thread.h"

/* From here on a growing object that must move gets its own mapping, which can grow without copying. */
#define MOVE_PAGES_MIN ((size_t)1 << 20)
/* From here on a copy to memory that was never touched costs more than moving the pages. */
#define MOVE_FRESH_MIN ((size_t)4 << 20)
/* A run that must move while growing gets room for so many times its size. */
#define GROWTH_ROOM 16U

static bool run_resize(struct slab *slab, size_t size)
{
	uint32_t n, old = slab->nr_frames;

	if (!fits_run(size, 1))
		return false;
	n = frames_of(size);
	if (n > old) {
		thread_wants_frames(current_thread);
		if (!frame_extend((void *)slab->base, old, n - old))
			return false;
	}
	slab_set_uncached(slab);
	slab->nr_frames = n;
	slab->size = size;
	slab_set_cached(slab);
	if (n < old)
		frame_free((void *)(slab->base + n * FRAME_SIZE), old - n);
	return true;
}

/* It was looked whether it fits: should another thread have been faster since, the node is a little larger. */
static void recharge(struct node *node, size_t old, size_t size)
{
	if (size < old)
		node_uncharge(node, old - size);
	else
		node_charge_anyway(node, size - old);
}

/* Within the mapping nothing is done, unless half of it is to be had back. */
static bool mapped_resize(struct slab *slab, size_t size)
{
	uint32_t n = frames_of(size), old = slab->nr_frames;
	size_t more = size > slab->size ? size - slab->size : 0;

	if (more && !mapped_fits(slab->node, more))
		return false;
	if (n > old || n < old / 2) {
		if (!os_resize((void *)slab->base, old * FRAME_SIZE, n * FRAME_SIZE))
			return false;
		slab->nr_frames = n;
	}
	recharge(slab->node, slab->size, size);
	mapped_count(slab->node, 0, size - slab->size, size);
	slab->size = size;
	return true;
}

/*
 * Moves n frames' worth of mapping. Some kernels unmap the target before they fail; somebody else's may be
 * there by then: it is unmapped only while it says that it is ours.
 */
static bool move_onto(struct slab *slab, void *to, uint32_t n)
{
	void *from = (void *)slab->base;
	uint8_t kind = slab->kind;

	*(void *volatile *)to = to;
	slab->size = large_size(slab);
	slab_set_uncached(slab);
	slab->kind = FRAME_NONE;
	if (kind == FRAME_RUN ? frame_move_out(from, slab->nr_frames, to, n * FRAME_SIZE)
			      : os_move(from, slab->nr_frames * FRAME_SIZE, to, n * FRAME_SIZE))
		return true;
	slab->kind = kind;
	if (kind == FRAME_RUN)
		slab_set_cached(slab);
	if (os_is_readable(to) && *(void *volatile *)to == to)
		unmap_or_purge(to, n * FRAME_SIZE);
	return false;
}

/* Takes the pages along to n frames of address space of their own. NULL: nothing has changed. */
static void *move_to_mapping(struct slab *slab, size_t size, uint32_t n)
{
	/* Not from the slab later: once the pages have moved, its frame may be somebody else's. */
	size_t count = slab->kind == FRAME_RUN, old = count ? 0 : slab->size;
	struct node *node = count ? node_of((void *)slab->base) : slab->node;
	/* As its frames were, which it takes along. */
	bool bound = count || slab->bound;
	void *to;

	if (!mapped_fits(node, size - old))
		return NULL;
	to = map_aligned(n * FRAME_SIZE, FRAME_SIZE, os_map);
	if (!to || !move_onto(slab, to, n))
		return NULL;
	recharge(node, old, size);
	mapped_count(node, count, size - old, size);
	virt_to_slab(to)->node = node;
	virt_to_slab(to)->bound = bound;
	slab_set_large(virt_to_slab(to), FRAME_MAPPED, to, n, size);
	return to;
}

/* With room to grow by another quarter: untouched pages cost nothing, and a system call saved does. */
static void *move_pages(struct slab *slab, size_t size)
{
	void *to = move_to_mapping(slab, size, frames_of(size + size / 4));

	return to ? to : move_to_mapping(slab, size, frames_of(size));
}

static void *copy_to(struct slab *slab, void *to, size_t size)
{
	__builtin_memcpy(to, (void *)slab->base, large_size(slab) < size ? large_size(slab) : size);
	large_free(slab);
	return to;
}

static void *move_by_copy(struct slab *slab, size_t size)
{
	bool zeroed;
	void *to = large_alloc(size, 1, &zeroed);

	/* A smaller one fits where it is. */
	if (!to)
		return size <= large_size(slab) ? (void *)slab->base : NULL;
	return copy_to(slab, to, size);
}

/* The largest power of two up to n. */
static uint32_t power_below(uint32_t n)
{
	return 1U << (31 - __builtin_clz(n));
}

/* A run where it can grow on in place, if there is such a place. */
static void *roomy_alloc(const struct slab *slab, size_t size, bool *zeroed)
{
	uint32_t n = frames_of(size);
	/* On the node that it is of, if that is where the thread's memory may come from. */
	struct node *node = numa_is_welcome_here((void *)slab->base, n)
				    ? node_of((void *)slab->base)
				    : numa_home();
	void *base = NULL;

	for (uint32_t factor = GROWTH_ROOM; !base && factor > 1; factor /= 4) {
		uint32_t room = n < FRAME_RUN_MAX / factor ? n * factor : FRAME_RUN_MAX;

		base = frame_alloc_roomy(node, n, power_below(room), zeroed);
	}
	if (base)
		slab_set_large(virt_to_slab(base), FRAME_RUN, base, n, size);
	return base;
}

/*
 * The copies are few, for each finds room to grow. Where one would have to touch fresh memory, pages are moved
 * instead if there are many.
 */
static void *copy_to_room(struct slab *slab, size_t size)
{
	bool zeroed;
	void *to = fits_run(size, 1) ? roomy_alloc(slab, size, &zeroed) : NULL;

	if (!to)
		return NULL;
	if (zeroed && large_size(slab) >= MOVE_FRESH_MIN) {
		large_free(virt_to_slab(to));
		return NULL;
	}
	return copy_to(slab, to, size);
}

static void *grow_elsewhere(struct slab *slab, size_t size)
{
	void *to = slab->kind == FRAME_RUN ? copy_to_room(slab, size) : NULL;

	if (!to && size >= MOVE_PAGES_MIN && large_size(slab) >= MOVE_PAGES_MIN / 4)
		to = move_pages(slab, size);
	return to;
}

void *large_realloc(struct slab *slab, size_t size)
{
	void *to = NULL;

	if (size >= LARGE_MAX)
		return NULL;
	size = round_up(size, os_page_size());
	/* Counted, or the reserve's: nobody else may get its frames, and its size does not change. */
	if (slab->account || slab->reserved)
		return size <= large_size(slab) && size > large_size(slab) / 2
			       ? (void *)slab->base
			       : move_by_copy(slab, size);
	if (slab->kind == FRAME_RUN ? run_resize(slab, size) : mapped_resize(slab, size))
		return (void *)slab->base;
	if (size > large_size(slab))
		to = grow_elsewhere(slab, size);
	return to ? to : move_by_copy(slab, size);
}
