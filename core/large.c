/*
 * Large objects. Layer: large; see large.h.
 */
#include "large.h"
#include "frame.h"

/* From here on a growing object that must move gets its own mapping, which can grow without copying. */
#define MOVE_PAGES_MIN ((size_t)1 << 20)

struct large_mapped large_mapped;

static size_t round_up(size_t size, size_t to)
{
	return (size + to - 1) & ~(to - 1);
}

static uint32_t frames_of(size_t size)
{
	return (uint32_t)(round_up(size, FRAME_SIZE) >> FRAME_SHIFT);
}

static bool fits_run(size_t size, size_t align)
{
	return size <= FRAME_RUN_MAX * FRAME_SIZE && align <= FRAME_RUN_MAX * FRAME_SIZE;
}

static void slab_set_large(struct slab *slab, uint8_t kind, void *base, uint32_t n, size_t size)
{
	slab->base = (uintptr_t)base;
	slab->nr_frames = n;
	slab->size = size;
	slab->cache = NULL;
	slab->kind = kind;
}

static void *run_alloc(size_t size, size_t align, bool *zeroed)
{
	uint32_t n = frames_of(size);
	uint32_t align_frames = align > FRAME_SIZE ? (uint32_t)(align >> FRAME_SHIFT) : 1;
	void *base = frame_alloc(n, align_frames, zeroed);

	if (base)
		slab_set_large(virt_to_slab(base), FRAME_RUN, base, n, size);
	return base;
}

/* `size` bytes of the kind that `map` makes, at a multiple of `align`, with its metadata. */
static void *map_aligned(size_t size, size_t align, void *(*map)(size_t))
{
	char *start, *base;

	if (align < FRAME_SIZE)
		align = FRAME_SIZE;
	if (size > SIZE_MAX - align)
		return NULL;
	start = map(size + align);
	if (!start)
		return NULL;
	base = (char *)round_up((uintptr_t)start, align);
	if (base != start)
		os_unmap(start, (size_t)(base - start));
	if (base != start + align)
		os_unmap(base + size, (size_t)(start + align - base));
	if (!section_get((uintptr_t)base)) {
		os_unmap(base, size);
		return NULL;
	}
	return base;
}

static void mapped_count(size_t count, size_t bytes, size_t size)
{
	size_t longest = atomic_load_explicit(&large_mapped.longest, memory_order_relaxed);

	while (size > longest &&
	       !atomic_compare_exchange_weak_explicit(&large_mapped.longest, &longest, size,
						      memory_order_relaxed, memory_order_relaxed))
		;
	atomic_fetch_add_explicit(&large_mapped.count, count, memory_order_relaxed);
	atomic_fetch_add_explicit(&large_mapped.bytes, bytes, memory_order_relaxed);
}

static void *mapped_alloc(size_t size, size_t align, bool *zeroed)
{
	void *base = map_aligned(size, align, os_map);

	if (!base)
		return NULL;
	slab_set_large(virt_to_slab(base), FRAME_MAPPED, base, 0, size);
	mapped_count(1, size, size);
	*zeroed = true;
	return base;
}

void *large_alloc(size_t size, size_t align, bool *zeroed)
{
	void *base = NULL;

	if (size > (size_t)PTRDIFF_MAX || align > (size_t)PTRDIFF_MAX)
		return NULL;
	size = round_up(size ? size : 1, os_page_size());
	if (fits_run(size, align))
		base = run_alloc(size, align, zeroed);
	if (!base)
		base = mapped_alloc(size, align, zeroed);
	if (!base && size <= frame_reserved() && frame_unreserve())
		base = mapped_alloc(size, align, zeroed);
	return base;
}

/* The struct slab is clear before the address can be anybody else's. */
void large_free(struct slab *slab)
{
	uint8_t kind = slab->kind;

	slab->kind = FRAME_NONE;
	if (kind == FRAME_RUN) {
		frame_free((void *)slab->base, slab->nr_frames);
		return;
	}
	mapped_count(-(size_t)1, -slab->size, 0);
	os_unmap((void *)slab->base, slab->size);
}

static bool run_resize(struct slab *slab, size_t size)
{
	uint32_t n, old = slab->nr_frames;

	if (!fits_run(size, 1))
		return false;
	n = frames_of(size);
	if (n > old && !frame_extend((void *)slab->base, old, n - old))
		return false;
	slab->nr_frames = n;
	slab->size = size;
	if (n < old)
		frame_free((void *)(slab->base + n * FRAME_SIZE), old - n);
	return true;
}

static bool mapped_resize(struct slab *slab, size_t size)
{
	size_t old = slab->size;

	if (!os_resize((void *)slab->base, old, size))
		return false;
	slab->size = size;
	mapped_count(0, size - old, size);
	return true;
}

/* Takes the pages along to address space of its own. NULL: nothing has changed. */
static void *move_to_mapping(struct slab *slab, size_t size)
{
	uint8_t kind = slab->kind;
	size_t old = kind == FRAME_RUN ? 0 : slab->size;
	void *from = (void *)slab->base, *to = map_aligned(size, FRAME_SIZE, os_map);
	bool moved;

	if (!to)
		return NULL;
	slab->kind = FRAME_NONE;
	if (kind == FRAME_RUN)
		moved = frame_move_out(from, slab->nr_frames, to, size);
	else
		moved = os_move(from, slab->size, to, size);
	if (!moved) {
		slab->kind = kind;
		os_unmap(to, size);
		return NULL;
	}
	slab_set_large(virt_to_slab(to), FRAME_MAPPED, to, 0, size);
	mapped_count(kind == FRAME_RUN ? 1 : 0, size - old, size);
	return to;
}

static void *move_by_copy(struct slab *slab, size_t size)
{
	bool zeroed;
	void *to = large_alloc(size, 1, &zeroed);

	/* A smaller one fits where it is. */
	if (!to)
		return size <= slab->size ? (void *)slab->base : NULL;
	__builtin_memcpy(to, (void *)slab->base, slab->size < size ? slab->size : size);
	large_free(slab);
	return to;
}

void *large_realloc(struct slab *slab, size_t size)
{
	void *to = NULL;

	if (size > (size_t)PTRDIFF_MAX)
		return NULL;
	size = round_up(size, os_page_size());
	if (slab->kind == FRAME_RUN ? run_resize(slab, size) : mapped_resize(slab, size))
		return (void *)slab->base;
	if (size >= MOVE_PAGES_MIN && slab->size >= MOVE_PAGES_MIN / 4)
		to = move_to_mapping(slab, size);
	return to ? to : move_by_copy(slab, size);
}

/* Does a large object that starts in this frame hold the address? */
static bool covers(const struct slab *slab, uintptr_t addr)
{
	return is_large(slab) && addr - slab->base < slab->size;
}

struct slab *large_find(const void *p)
{
	uintptr_t addr = (uintptr_t)p, at = addr & ~(FRAME_SIZE - 1);
	size_t longest = atomic_load_explicit(&large_mapped.longest, memory_order_relaxed);
	size_t frames = frame_is_ours(p) ? FRAME_RUN_MAX : longest / FRAME_SIZE + 1;

	if (addr >> OS_ADDRESS_BITS)
		return NULL;
	for (; frames-- && at; at -= FRAME_SIZE) {
		struct slab *slab = virt_to_slab((void *)at);

		if (slab->kind != FRAME_NONE)
			return covers(slab, addr) ? slab : NULL;
	}
	return NULL;
}
