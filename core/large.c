/*
 * Large objects: allocation and free. Layer: large; see large.h. Growing is in large_realloc.c.
 */
#include "large_parts.h"
#include "reserve.h"
#include "thread.h"

struct large_mapped large_mapped;
struct large_account large_accounts[MAX_ACCOUNTS + 1];

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
	if (unlikely(!numa_is_welcome_here(base, n))) {
		frame_free(base, n);
		return NULL;
	}
	slab_set_large(slab, FRAME_RUN, base, n, size);
	return base;
}

/* Longer runs take more time to use than to claim, and more memory where no other thread's are used again. */
#define APART_MAX 4U

/* Where the thread's short runs lie apart from others': the first thread's from the start on. */
static uint32_t area_of(const struct thread *t, uint32_t n)
{
	return n <= APART_MAX && thread_has_record(t) ? frame_index(t) * 5 % (NR_AREAS - 1) : 0;
}

static void *run_alloc(struct node *node, size_t size, size_t align, bool *zeroed)
{
	uint32_t n = frames_of(size);
	uint32_t align_frames = align > FRAME_SIZE ? (uint32_t)(align >> FRAME_SHIFT) : 1;
	uint32_t area = area_of(current_thread, n);
	void *base = NULL;

	if (area && align_frames == 1)
		base = frame_alloc_apart(node, n, area, zeroed);
	if (!base)
		base = frame_alloc_near(node, n, align_frames, zeroed);
	if (base)
		slab_set_large(virt_to_slab(base), FRAME_RUN, base, n, size);
	return base;
}

void *map_aligned(size_t size, size_t align, void *(*map)(size_t))
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

void mapped_count(struct node *node, size_t count, size_t bytes, size_t size)
{
	size_t longest = atomic_load_explicit(&large_mapped.longest, memory_order_relaxed);

	while (size > longest &&
	       !atomic_compare_exchange_weak_explicit(&large_mapped.longest, &longest, size,
						      memory_order_relaxed, memory_order_relaxed))
		;
	atomic_fetch_add_explicit(&large_mapped.count, count, memory_order_relaxed);
	atomic_fetch_add_explicit(&large_mapped.bytes, bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&node->mapped, bytes, memory_order_relaxed);
}

/* Address space for frames may be what fills it: free ones give theirs. */
bool mapped_fits(struct node *node, size_t bytes)
{
	return node_has_room(node, bytes) ||
	       (frame_unreserve_of(node) && node_has_room(node, bytes));
}

/* The first from `first` on that is large enough, if its size is limited. NULL: none is. */
static struct node *charge_near(struct node *first, size_t size)
{
	struct node_walk walk = {.first = first, .every = true};
	struct node *node;

	while ((node = node_walk_next(&walk))) {
		if (mapped_fits(node, size) && node_charge(node, size))
			break;
	}
	return node;
}

/* Charged when it is there: a call that ends before leaves nothing charged. `bound`: a certain node is wanted. */
static void *mapped_alloc(struct node *node, size_t size, size_t align, bool bound, bool *zeroed)
{
	uint32_t n = frames_of(size);
	void *base = map_aligned(n * FRAME_SIZE, align, os_map);
	struct node *on;

	if (!base)
		return NULL;
	on = charge_near(node, size);
	if (!on) {
		os_unmap(base, n * FRAME_SIZE);
		return NULL;
	}
	numa_took(node, on, n);
	virt_to_slab(base)->node = on;
	virt_to_slab(base)->bound = node_bind_mapping(on, base, n * FRAME_SIZE, bound);
	slab_set_large(virt_to_slab(base), FRAME_MAPPED, base, n, size);
	mapped_count(on, 1, size, size);
	*zeroed = true;
	return base;
}

static noinline void *large_alloc_slow(struct node *node, size_t size, size_t align, bool bound,
				       bool *zeroed)
{
	void *base = NULL;

	if (size >= LARGE_MAX || align >= LARGE_MAX)
		return NULL;
	/* Without a record nothing that is freed would be known again. */
	thread_current();
	thread_wants_frames(current_thread);
	if (fits_run(size, align))
		base = run_alloc(node, size, align, zeroed);
	if (base && !*zeroed)
		return base;
	/* What the program takes now, it may have given back elsewhere. */
	purge_poll();
	if (!base)
		base = mapped_alloc(node, size, align, bound, zeroed);
	if (!base && size <= frame_reserved() && frame_unreserve())
		base = mapped_alloc(node, size, align, bound, zeroed);
	return base;
}

void *large_alloc(size_t size, size_t align, bool *zeroed)
{
	void *base = NULL;

	*zeroed = false;
	if (likely(size < LARGE_MAX)) {
		size = round_up(size ? size : 1, os_page_size());
		if (likely(align <= FRAME_SIZE))
			base = retake_run(size);
	}
	return likely(base) ? base : large_alloc_slow(numa_home(), size, align, false, zeroed);
}

void *large_alloc_node(size_t size, struct node *node, bool *zeroed)
{
	*zeroed = false;
	return size < LARGE_MAX ? large_alloc_slow(node, round_up(size ? size : 1, os_page_size()),
						   1, true, zeroed)
				: NULL;
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

void *large_alloc_reserved(size_t size, const struct node *node)
{
	void *base = NULL;
	struct slab *slab;

	size = size < LARGE_MAX ? round_up(size, os_page_size()) : LARGE_MAX;
	if (fits_run(size, 1))
		base = reserve_alloc(node, frames_of(size));
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

	slab->size = large_size(slab);
	slab_set_uncached(slab);
	slab->account = account;
	account_count(account, 1, slab->size);
}

void unmap_or_purge(void *addr, size_t size)
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
	mapped_count(slab->node, -(size_t)1, -slab->size, 0);
	node_uncharge(slab->node, slab->size);
	unmap_or_purge(base, n * FRAME_SIZE);
}

/* The struct slab is clear before the address can be anybody else's. */
void large_free(struct slab *slab)
{
	uint8_t kind = slab->kind;

	slab->kind = FRAME_NONE;
	if (unlikely(slab->account))
		account_count(slab->account, -(size_t)1, -slab->size);
	if (unlikely(slab->reserved) || kind == FRAME_MAPPED)
		free_reserved_or_mapped(slab, (void *)slab->base, slab->nr_frames);
	else
		thread_release_run(slab);
}

bool large_is_free(const struct slab *slab)
{
	const struct free_object *fo = (struct free_object *)slab->base;

	return slab->limit && fo->state.mark == FREE_MARK && thread_has_free(slab->cache, fo);
}

/* A long time passes between calls that are few: then each looks. */
#define LONG_MS 16U

void large_poll_now(void)
{
	struct thread *t = current_thread;
	uint64_t now = purge_poll();
	uint32_t passed;

	if (!thread_has_record(t))
		return;
	passed = (uint32_t)now - t->large_polled;
	t->large_polled = (uint32_t)now;
	if (passed >= LONG_MS)
		t->large_calls = 0;
	else if (!passed && t->large_calls < LARGE_CALLS_MOST)
		t->large_calls = 2 * t->large_calls + 1;
	t->large_left = t->large_calls;
	thread_check_nodes(t);
	thread_poll_idle(t, now);
}

void large_poll(void)
{
	struct thread *t = current_thread;

	if (!thread_has_record(t) || large_poll_is_due(t))
		large_poll_now();
}

/* Does a large object that starts in this frame hold the address? */
racy_reader static bool covers(const struct slab *slab, uintptr_t addr)
{
	/* As is_large() and large_size(), which ThreadSanitizer looks at. */
	size_t cached = slab->limit, size = cached ? cached : slab->size;

	return (slab->kind == FRAME_RUN || slab->kind == FRAME_MAPPED) && addr - slab->base < size;
}

racy_reader struct slab *large_find(const void *p)
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
