/*
 * Frames set aside. Layer: frame; see reserve.h.
 */
#include "reserve.h"
#include "bitmap.h"
#include "frame.h"

#define MAX_PIECES 128U
/* Where there are many nodes, some have none of it: what is smaller serves few. */
#define MIN_PIECE 16U
#define PIECE_WORDS (FRAME_RUN_MAX / 64)

/* A run of frames; const but for `used`. */
static struct piece {
	uintptr_t base;
	uint32_t frames;
	_Atomic uint64_t used[PIECE_WORDS]; /* CAS, as section->used */
} pieces[MAX_PIECES];
/* Const after reserve_init(). */
static uint32_t nr_pieces, reserve_frames;

/* What a slab of the frame writes to. */
static void touch_metadata(char *frame)
{
	uint64_t *bits = slab_maps_get((uintptr_t)frame);

	*(volatile uint8_t *)&virt_to_slab(frame)->kind = FRAME_NONE;
	for (size_t i = 0; bits && i < 2 * SLAB_PLANES; i++)
		*(volatile uint64_t *)(bits + i * (sizeof(struct plane) / 8)) = 0;
}

/* Writes to each page: it is there from now on, and so is the metadata of its frame. */
static void make_resident(char *base, uint32_t frames)
{
	size_t size = (size_t)frames << FRAME_SHIFT, page = os_page_size();

	for (size_t at = 0; at < size; at += page)
		*(volatile char *)(base + at) = 0;
	for (uint32_t i = 0; i < frames; i++)
		touch_metadata(base + i * FRAME_SIZE);
}

static bool add_piece(uint32_t frames, struct node *node)
{
	bool zeroed;
	char *base = frame_alloc_near(node, frames, 1, &zeroed);

	if (!base)
		return false;
	make_resident(base, frames);
	pieces[nr_pieces].base = (uintptr_t)base;
	pieces[nr_pieces].frames = frames;
	nr_pieces++;
	reserve_frames += frames;
	return true;
}

/* The nodes have their share of it in turn. */
static struct node *next_node(struct node_walk *walk)
{
	struct node *node = node_walk_next(walk);

	if (node)
		return node;
	walk->at = 0;
	return node_walk_next(walk);
}

static uint32_t piece_frames(size_t want)
{
	struct node_walk walk = {.first = numa_home(), .every = true};
	size_t nodes = 0, least = (want + MAX_PIECES - 1) / MAX_PIECES;

	if (least < MIN_PIECE)
		least = MIN_PIECE;

	while (node_walk_next(&walk))
		nodes++;
	want = nodes ? (want + nodes - 1) / nodes : want;
	if (want < least)
		want = least;
	return want < FRAME_RUN_MAX ? (uint32_t)want : FRAME_RUN_MAX;
}

size_t reserve_init(size_t bytes)
{
	size_t want = (bytes + FRAME_SIZE - 1) >> FRAME_SHIFT, got = 0;
	uint32_t n = piece_frames(want);
	struct node_walk walk = {.first = numa_home(), .every = true};

	while (got < want && nr_pieces < MAX_PIECES && n) {
		if (n > want - got)
			n = (uint32_t)(want - got);
		if (add_piece(n, next_node(&walk)))
			got += n;
		else
			n /= 2;
	}
	return got << FRAME_SHIFT;
}

static void *piece_alloc(struct piece *piece, uint32_t n)
{
	uint32_t at = 0;

	do {
		at = bitmap_find_clear(piece->used, at, piece->frames, n, 1);
		if (at >= piece->frames)
			return NULL;
	} while (!bitmap_claim(piece->used, at, n));
	return (void *)(piece->base + ((uintptr_t)at << FRAME_SHIFT));
}

static void *pieces_alloc(uint32_t n, const struct node *node, bool is)
{
	for (uint32_t i = 0; i < nr_pieces; i++) {
		void *addr = NULL;

		if (n <= pieces[i].frames && (node_of((void *)pieces[i].base) == node) == is)
			addr = piece_alloc(&pieces[i], n);
		if (addr)
			return addr;
	}
	return NULL;
}

void *reserve_alloc_on(const struct node *node, uint32_t n)
{
	return pieces_alloc(n, node, true);
}

void *reserve_alloc(const struct node *node, uint32_t n)
{
	void *addr = reserve_alloc_on(node, n);

	return addr ? addr : pieces_alloc(n, node, false);
}

void reserve_free(void *addr, uint32_t n)
{
	for (uint32_t i = 0; i < nr_pieces; i++) {
		uintptr_t at = ((uintptr_t)addr - pieces[i].base) >> FRAME_SHIFT;

		if (at >= pieces[i].frames)
			continue;
		/* Release pairs with the acquire in bitmap_claim_word(). */
		bitmap_clear(pieces[i].used, (uint32_t)at, n, memory_order_release);
	}
}

size_t reserve_total(void)
{
	return (size_t)reserve_frames << FRAME_SHIFT;
}

bool reserve_has(uint32_t n)
{
	for (uint32_t i = 0; i < nr_pieces; i++) {
		if (n <= pieces[i].frames &&
		    bitmap_find_clear(pieces[i].used, 0, pieces[i].frames, n, 1) < pieces[i].frames)
			return true;
	}
	return false;
}
