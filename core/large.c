/*
 * Large objects. Layer: large; see large.h.
 */
#include "large.h"
#include "frame.h"
#include "reserve.h"
#include "thread.h"

/* From here on a growing object that must move gets its own mapping, which can grow without copying. */
#define MOVE_PAGES_MIN ((size_t)1 << 20)
/* From here on a copy to memory that was never touched costs more than moving the pages. */
#define MOVE_FRESH_MIN ((size_t)4 << 20)
/* A run that must move while growing gets room for so many times its size. */
#define GROWTH_ROOM 16U

/* Half of the addresses at most; the frame count of it, and of a quarter more, fits into 32 bits. */
#define LARGE_MAX ((size_t)1 << 46)

struct large_mapped large_mapped;
struct large_account large_accounts[MAX_ACCOUNTS + 1];

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
	slab->reserved = false;
	slab->account = 0;
	slab->kind = kind;
}

/*
 * What the thread freed last of each length, in the hope that it is free yet: no search, and memory that is in
 * the processor's cache. A list of hints, through slab->link, which may be anybody's by now: it leads to a
 * frame that is free, or is forgotten. A handler may change it at any instruction.
 */
static inline void *retake_run(size_t size)
{
	uint32_t n = frames_of(size), frame;
	struct thread *t = current_thread;
	struct slab *slab;
	void *base;

	if (n >= NR_FREED_RUNS || !t->freed_runs[n])
		return NULL;
	frame = t->freed_runs[n];
	base = (void *)((uintptr_t)frame << FRAME_SHIFT);
	slab = virt_to_slab(base);
	t->freed_runs[n] = atomic_load_explicit(&slab->link, memory_order_relaxed);
	if (unlikely(!frame_retake(base, n))) {
		t->freed_runs[n] = 0;
		return NULL;
	}
	slab_set_large(slab, FRAME_RUN, base, n, size);
	return base;
}

/* Records that are nobody's stay zero. */
static inline bool has_record(const struct thread *t)
{
	return t != &thread_fresh && t != &thread_gone;
}

static inline void run_free(struct slab *slab, uintptr_t base, uint32_t n)
{
	struct thread *t = current_thread;

	if (likely(n < NR_FREED_RUNS && has_record(t))) {
		atomic_store_explicit(&slab->link, t->freed_runs[n], memory_order_relaxed);
		t->freed_runs[n] = frame_number(base);
	}
	frame_free((void *)base, n);
}

/* Longer runs take more time to use than to claim, and more memory where no other thread's are used again. */
#define APART_MAX 4U

/* Where the thread's short runs lie apart from others': the first thread's from the start on. */
static uint32_t area_of(const struct thread *t, uint32_t n)
{
	return n <= APART_MAX && has_record(t) ? frame_index(t) * 5 % (NR_AREAS - 1) : 0;
}

static void *run_alloc(size_t size, size_t align, bool *zeroed)
{
	uint32_t n = frames_of(size);
	uint32_t align_frames = align > FRAME_SIZE ? (uint32_t)(align >> FRAME_SHIFT) : 1;
	uint32_t area = area_of(current_thread, n);
	void *base = NULL;

	if (area && align_frames == 1)
		base = frame_alloc_apart(n, area, zeroed);
	if (!base)
		base = frame_alloc(n, align_frames, zeroed);
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
	uint32_t n = frames_of(size);
	void *base = map_aligned(n * FRAME_SIZE, align, os_map);

	if (!base)
		return NULL;
	slab_set_large(virt_to_slab(base), FRAME_MAPPED, base, n, size);
	mapped_count(1, size, size);
	*zeroed = true;
	return base;
}

static noinline void *large_alloc_slow(size_t size, size_t align, bool *zeroed)
{
	void *base = NULL;

	if (size >= LARGE_MAX || align >= LARGE_MAX)
		return NULL;
	if (fits_run(size, align))
		base = run_alloc(size, align, zeroed);
	if (base && !*zeroed)
		return base;
	/* What the program takes now, it may have given back elsewhere. */
	purge_poll();
	if (!base)
		base = mapped_alloc(size, align, zeroed);
	if (!base && size <= frame_reserved() && frame_unreserve())
		base = mapped_alloc(size, align, zeroed);
	return base;
}

void *large_alloc(size_t size, size_t align, bool *zeroed)
{
	void *base = NULL;

	*zeroed = false;
	if (likely(size < LARGE_MAX)) {
		size = round_up(size ? size : 1, os_page_size());
		if (likely(align == 1))
			base = retake_run(size);
	}
	return likely(base) ? base : large_alloc_slow(size, align, zeroed);
}

/* Up to here it is cheaper to write zeros than to look where they are needed. */
#define CLEAR_ALL_MAX ((size_t)512 << 10)

/* So much is cleared at the least. */
#define CLEAR_FIRST ((size_t)16 << 10)

/*
 * How far the last owner touched it, as far as single pages tell: to the end, or else not beyond the first page
 * that isn't there, at 16 KiB, 32 KiB, and so on. Programs fill their memory from the start.
 */
static size_t touched_end(char *p, size_t size)
{
	size_t page = os_page_size(), at = page > CLEAR_FIRST ? page : CLEAR_FIRST;

	if (os_is_resident(p + size - page))
		return size;
	while (at < size && os_is_resident(p + at))
		at *= 2;
	return at < size ? at : size;
}

/*
 * What lies behind the end is given back, whether it was touched or not: that takes little time where it
 * wasn't, and makes no page resident that the program doesn't use.
 */
void large_clear(void *p, size_t size)
{
	size_t whole = round_up(size, os_page_size());
	size_t end = whole > CLEAR_ALL_MAX ? touched_end(p, whole) : whole;

	if (end < whole && !os_purge((char *)p + end, whole - end))
		end = whole;
	__builtin_memset(p, 0, end < size ? end : size);
}

static void account_count(uint8_t account, size_t objects, size_t bytes)
{
	atomic_fetch_add_explicit(&large_accounts[account].objects, objects, memory_order_relaxed);
	atomic_fetch_add_explicit(&large_accounts[account].bytes, bytes, memory_order_relaxed);
}

void *large_alloc_reserved(size_t size)
{
	void *base = NULL;
	struct slab *slab;

	size = size < LARGE_MAX ? round_up(size, os_page_size()) : LARGE_MAX;
	if (fits_run(size, 1))
		base = reserve_alloc(frames_of(size));
	if (!base)
		return NULL;
	slab = virt_to_slab(base);
	slab_set_large(slab, FRAME_NONE, base, frames_of(size), size);
	slab->reserved = true;
	slab->kind = FRAME_RUN;
	return base;
}

void large_charge(void *object, uint8_t account)
{
	struct slab *slab = virt_to_slab(object);

	slab->account = account;
	account_count(account, 1, slab->size);
}

/* Where the kernel can't split its mapping: the address space is lost, the memory is not. */
static void unmap_or_purge(void *addr, size_t size)
{
	if (!os_unmap(addr, size))
		os_purge(addr, size);
}

static noinline void free_reserved_or_mapped(struct slab *slab, void *base, uint32_t n)
{
	if (slab->reserved) {
		reserve_free(base, n);
		return;
	}
	mapped_count(-(size_t)1, -slab->size, 0);
	unmap_or_purge(base, n * FRAME_SIZE);
}

/* The struct slab is clear before the address can be anybody else's. */
void large_free(struct slab *slab)
{
	uintptr_t base = slab->base;
	uint32_t n = slab->nr_frames;
	uint8_t kind = slab->kind;

	slab->kind = FRAME_NONE;
	if (unlikely(slab->account))
		account_count(slab->account, -(size_t)1, -slab->size);
	if (unlikely(slab->reserved) || kind == FRAME_MAPPED)
		free_reserved_or_mapped(slab, (void *)base, n);
	else
		run_free(slab, base, n);
}

void large_poll(void)
{
	struct thread *t = current_thread;

	if (!has_record(t) || t->large_frees++ % 8 == 0)
		purge_poll();
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

/* Within the mapping nothing is done, unless half of it is to be had back. */
static bool mapped_resize(struct slab *slab, size_t size)
{
	uint32_t n = frames_of(size), old = slab->nr_frames;

	if (n > old || n < old / 2) {
		if (!os_resize((void *)slab->base, old * FRAME_SIZE, n * FRAME_SIZE))
			return false;
		slab->nr_frames = n;
	}
	mapped_count(0, size - slab->size, size);
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
	slab->kind = FRAME_NONE;
	if (kind == FRAME_RUN ? frame_move_out(from, slab->nr_frames, to, n * FRAME_SIZE)
			      : os_move(from, slab->nr_frames * FRAME_SIZE, to, n * FRAME_SIZE))
		return true;
	slab->kind = kind;
	if (os_is_readable(to) && *(void *volatile *)to == to)
		unmap_or_purge(to, n * FRAME_SIZE);
	return false;
}

/* Takes the pages along to n frames of address space of their own. NULL: nothing has changed. */
static void *move_to_mapping(struct slab *slab, size_t size, uint32_t n)
{
	void *to = map_aligned(n * FRAME_SIZE, FRAME_SIZE, os_map);
	/* Not from the slab later: once the pages have moved, its frame may be somebody else's. */
	size_t count = slab->kind == FRAME_RUN, old = count ? 0 : slab->size;

	if (!to || !move_onto(slab, to, n))
		return NULL;
	mapped_count(count, size - old, size);
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
	__builtin_memcpy(to, (void *)slab->base, slab->size < size ? slab->size : size);
	large_free(slab);
	return to;
}

static void *move_by_copy(struct slab *slab, size_t size)
{
	bool zeroed;
	void *to = large_alloc(size, 1, &zeroed);

	/* A smaller one fits where it is. */
	if (!to)
		return size <= slab->size ? (void *)slab->base : NULL;
	return copy_to(slab, to, size);
}

/* The largest power of two up to n. */
static uint32_t power_below(uint32_t n)
{
	return 1U << (31 - __builtin_clz(n));
}

/* A run where it can grow on in place, if there is such a place. */
static void *roomy_alloc(size_t size, bool *zeroed)
{
	uint32_t n = frames_of(size);
	void *base = NULL;

	for (uint32_t factor = GROWTH_ROOM; !base && factor > 1; factor /= 4) {
		uint32_t room = n < FRAME_RUN_MAX / factor ? n * factor : FRAME_RUN_MAX;

		base = frame_alloc_roomy(n, power_below(room), zeroed);
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
	void *to = fits_run(size, 1) ? roomy_alloc(size, &zeroed) : NULL;

	if (!to)
		return NULL;
	if (zeroed && slab->size >= MOVE_FRESH_MIN) {
		large_free(virt_to_slab(to));
		return NULL;
	}
	return copy_to(slab, to, size);
}

static void *grow_elsewhere(struct slab *slab, size_t size)
{
	void *to = slab->kind == FRAME_RUN ? copy_to_room(slab, size) : NULL;

	if (!to && size >= MOVE_PAGES_MIN && slab->size >= MOVE_PAGES_MIN / 4)
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
		return size <= slab->size && size > slab->size / 2 ? (void *)slab->base
								   : move_by_copy(slab, size);
	if (slab->kind == FRAME_RUN ? run_resize(slab, size) : mapped_resize(slab, size))
		return (void *)slab->base;
	if (size > slab->size)
		to = grow_elsewhere(slab, size);
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
	size_t mapped = atomic_load_explicit(&large_mapped.count, memory_order_relaxed);
	size_t frames = frame_is_ours(p) ? FRAME_RUN_MAX : mapped ? longest / FRAME_SIZE + 1 : 0;

	if (addr >> OS_ADDRESS_BITS)
		return NULL;
	while (frames-- && at) {
		struct slab *slab = virt_to_slab((void *)at);
		uintptr_t section = at & ~(SECTION_SIZE - 1);

		if (slab->kind != FRAME_NONE)
			return covers(slab, addr) ? slab : NULL;
		if (!section_find(at)) {
			size_t skip = (at - section) >> FRAME_SHIFT;

			frames -= skip < frames ? skip : frames;
			at = section;
		}
		if (!at)
			break;
		at -= FRAME_SIZE;
	}
	return NULL;
}
