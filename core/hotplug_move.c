/*
 * Moving the pages of a node that goes, or that has come back. Layer: hotplug; see hotplug.h.
 *
 * A walk over the node's frames, and over the large objects that have mappings of their own, piece by piece, so that
 * who asks something meanwhile is answered. Free frames are purged; what is in use stays where it is, and the kernel
 * moves what is under it. On simulated nodes nothing moves, and as much is counted as would have.
 *
 * Threads go on while it walks: a page that was touched behind its back came from where the frames are bound to
 * already. The walk is repeated until it finds nothing, or has been so three times.
 */
#include "bitmap.h"
#include "frame.h"
#include "hotplug.h"
#include "kmem_cache.h"
#include "large.h"
#include "os_numa.h"

#define PIECES_AT_ONCE 8U
/* Who asks something waits no longer than that, and for a piece. */
#define LONG_MS 20U
#define MAX_ROUNDS 3U
/* Of the address space, whose sections are looked through for large objects. */
#define SECTIONS_AT_ONCE 8192U

static struct {
	struct section *sec; /* of the node that is at it; NULL: all have been walked over */
	uint32_t frame;
	uintptr_t mapped; /* where the search for large objects goes on */
	uint32_t round;
	uint64_t moved_before; /* bytes, when the round began */
} at;
static _Atomic uint64_t bytes_moved, bytes_failed;

void hotplug_moved(uint64_t *moved, uint64_t *failed)
{
	*moved = atomic_load_explicit(&bytes_moved, memory_order_relaxed);
	*failed = atomic_load_explicit(&bytes_failed, memory_order_relaxed);
}

static struct node *target_of(struct node *node)
{
	struct node *on = atomic_load_explicit(&node->pages_on, memory_order_relaxed);

	return on ? on : node;
}

/* The node whose turn it is: one after the other, so that one cursor will do. NULL: none is to be moved. */
static struct node *moving_node(void)
{
	struct node *node;

	for_each_node(node)
	{
		if (atomic_load_explicit(&node->moving, memory_order_relaxed) == MOVE_BEGUN)
			return node;
	}
	for_each_node(node)
	{
		if (atomic_load_explicit(&node->moving, memory_order_relaxed))
			return node;
	}
	return NULL;
}

static void begin_round(struct node *node)
{
	at.sec = atomic_load_explicit(&node->sections, memory_order_acquire);
	at.frame = 0;
	at.mapped = 0;
	at.moved_before = atomic_load_explicit(&bytes_moved, memory_order_relaxed);
}

void move_pages_to(struct node *node, struct node *to)
{
	struct node *on = atomic_load_explicit(&node->pages_on, memory_order_relaxed);

	/* From the start, where a walk is at it. */
	atomic_store_explicit(&node->moving, MOVE_WAITS, memory_order_relaxed);
	atomic_store_explicit(&node->pages_from, on, memory_order_relaxed);
	atomic_store_explicit(&node->pages_on, to, memory_order_relaxed);
	frame_bind(node);
}

static size_t count_resident(char *addr, size_t size)
{
	size_t resident = 0;

	for (size_t i = 0; i < size; i += FRAME_SIZE)
		resident += os_resident(addr + i, FRAME_SIZE);
	return resident;
}

/* Up to PURGE_PIECE_FRAMES frames' worth; of pages that are on the machine's node `from`, or on any. */
static void move_range(struct node *node, char *addr, size_t size, int from)
{
	uint32_t real = numa_real(target_of(node)), failed = 0;
	size_t page = os_page_size(), moved = 0;

	for (size_t i = 0; real != NO_NODE && i < size; i += OS_MOVE_MAX * page) {
		size_t rest = (size - i + page - 1) / page;

		moved += page * os_move_pages(addr + i,
					      rest < OS_MOVE_MAX ? (uint32_t)rest : OS_MOVE_MAX,
					      from, real, &failed);
	}
	if (real == NO_NODE && !at.round)
		moved = count_resident(addr, size);
	atomic_fetch_add_explicit(&bytes_moved, moved, memory_order_relaxed);
	atomic_fetch_add_explicit(&bytes_failed, failed * page, memory_order_relaxed);
}

/* The next piece of the node's frames that may have pages. False: there is none any more. */
static bool move_frames(struct node *node)
{
	while (at.sec && (at.frame = bitmap_next(at.sec->dirty, at.frame, SECTION_FRAMES, true)) ==
				 SECTION_FRAMES) {
		at.sec = atomic_load_explicit(&at.sec->next, memory_order_acquire);
		at.frame = 0;
	}
	if (!at.sec)
		return false;
	at.frame -= at.frame % PURGE_PIECE_FRAMES;
	purge_piece(at.sec, at.frame);
	move_range(node, frame_address(at.sec, at.frame), PURGE_PIECE_FRAMES * FRAME_SIZE, -1);
	at.frame += PURGE_PIECE_FRAMES;
	return true;
}

/*
 * A large object with a mapping of its own has pages where they were first touched: those that are on the node go,
 * whichever it was made for. On simulated nodes it is all on that one.
 */
racy_reader static bool concerns(struct node *node, const struct slab *slab)
{
	return slab->kind == FRAME_MAPPED &&
	       (slab->node == node || numa_real(target_of(node)) != NO_NODE);
}

/* Its struct slab may change while it is read: the kernel moves what is there, whosever it is. */
racy_reader static bool move_mapped_of(struct node *node, const struct slab *slab, uintptr_t frame)
{
	size_t size = slab->size, piece = PURGE_PIECE_FRAMES * FRAME_SIZE;
	uintptr_t base = slab->base, from = at.mapped > base ? at.mapped : base;
	size_t left = base + size - from;

	if (!concerns(node, slab) || base != frame || from >= base + size)
		return false;
	if (slab->bound && slab->node == node && from == base)
		node_bind(node, (void *)base, round_up(size, FRAME_SIZE));
	move_range(node, (char *)from, left < piece ? left : piece, (int)node->real);
	at.mapped = left > piece ? from + piece : base + round_up(size, FRAME_SIZE);
	return true;
}

/* In the section of at.mapped, from there on. An object goes on in the next one. */
racy_reader static bool move_mapped_in(struct node *node, struct section *sec)
{
	for (uint32_t i = frame_index((void *)at.mapped); i < SECTION_FRAMES; i++) {
		struct slab *slab = &sec->slabs[i];
		uintptr_t frame = sec->base + ((uintptr_t)i << FRAME_SHIFT);

		if (slab->kind == FRAME_MAPPED && move_mapped_of(node, slab, frame))
			return true;
	}
	return false;
}

static struct slab *mapped_at(uintptr_t addr)
{
	return addr ? large_find((void *)(addr - 1)) : NULL;
}

/* A piece of a large object, or nothing for a while. False: all addresses have been looked at. */
racy_reader static bool move_mapped(struct node *node)
{
	struct slab *slab = mapped_at(at.mapped);

	/* What came to lie elsewhere when the node left stays there. */
	if (!atomic_load_explicit(&large_mapped.count, memory_order_relaxed) ||
	    target_of(node) == node)
		return false;
	/* In the middle of one. */
	if (slab && move_mapped_of(node, slab, slab->base))
		return true;
	for (uint32_t i = 0; i < SECTIONS_AT_ONCE; i++) {
		struct section *sec = section_find(at.mapped);

		if (sec && move_mapped_in(node, sec))
			return true;
		at.mapped = (at.mapped & ~(SECTION_SIZE - 1)) + SECTION_SIZE;
		if (at.mapped >> OS_ADDRESS_BITS)
			return false;
	}
	return true;
}

/* False: the round is over. */
static bool move_step(struct node *node)
{
	return move_frames(node) || move_mapped(node);
}

static bool should_go_round_again(struct node *node)
{
	uint64_t moved = atomic_load_explicit(&bytes_moved, memory_order_relaxed);

	return ++at.round < MAX_ROUNDS && moved != at.moved_before &&
	       numa_real(target_of(node)) != NO_NODE;
}

static void start(struct node *node)
{
	at.round = 0;
	cache_shrink_node(node);
	begin_round(node);
	atomic_store_explicit(&node->moving, MOVE_BEGUN, memory_order_relaxed);
}

void move_again(void)
{
	struct node *node;

	for_each_node(node)
	{
		if (atomic_load_explicit(&node->moving, memory_order_relaxed) == MOVE_BEGUN)
			atomic_store_explicit(&node->moving, MOVE_WAITS, memory_order_relaxed);
	}
}

bool move_poll(void)
{
	struct node *node = moving_node();
	uint64_t began;

	if (!node)
		return false;
	if (atomic_load_explicit(&node->moving, memory_order_relaxed) == MOVE_WAITS)
		start(node);
	began = os_clock_ms();
	for (uint32_t i = 0; i < PIECES_AT_ONCE && os_clock_ms() <= began + LONG_MS; i++) {
		if (move_step(node))
			continue;
		if (should_go_round_again(node)) {
			begin_round(node);
			continue;
		}
		atomic_store_explicit(&node->moving, MOVE_NONE, memory_order_relaxed);
		atomic_store_explicit(&node->leaving, false, memory_order_relaxed);
		break;
	}
	return moving_node() != NULL;
}

/* Has the walk come by the frame? */
static bool is_passed(struct node *node, const void *frame)
{
	struct section *sec = frame_to_section(frame), *passed;

	for_each_section_of(node, passed)
	{
		if (passed == at.sec)
			return sec == at.sec && frame_index(frame) < at.frame;
		if (passed == sec)
			return true;
	}
	return true;
}

static struct node *pages_were_on(struct node *node)
{
	struct node *from = atomic_load_explicit(&node->pages_from, memory_order_relaxed);

	return from ? from : node;
}

struct node *hotplug_node_of_mapped(struct node *node)
{
	return atomic_load_explicit(&node->moving, memory_order_relaxed) ? pages_were_on(node)
									 : target_of(node);
}

struct node *hotplug_node_of(const void *frame)
{
	struct node *node = node_of(frame);
	uint32_t moving = atomic_load_explicit(&node->moving, memory_order_relaxed);

	if (moving == MOVE_NONE || (moving == MOVE_BEGUN && (at.round || is_passed(node, frame))))
		return target_of(node);
	return pages_were_on(node);
}
