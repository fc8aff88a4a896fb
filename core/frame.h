/*
 * Frames: 64 KiB pieces of large reservations, claimed lock-free. Layer: frame, over map and os.
 * Called by slab, thread and large.
 *
 * A frame's bit in section->used is its lock and its owner at once: who sets it holds the frame until
 * frame_free(). Address space is reserved without access in large pieces and made accessible as it is
 * first claimed. A thread stopped at any instruction holds at most the frames of its own claim.
 *
 * Freed frames keep their pages, for the next claim is served from the lowest address and likely hits
 * them. purge.c gives them back to the kernel after a delay.
 */
#ifndef USLUB_FRAME_H
#define USLUB_FRAME_H

#include "numa.h"

/*
 * Free frames that a call takes into its hands at once, to commit, purge or unmap them: 4 MiB. So much is out
 * of the others' reach while it is stopped, and lost where it never comes back.
 */
#define FRAMES_IN_HAND 64U

/* Longer runs, and larger alignments, get a mapping of their own; see large.c. */
#define FRAME_RUN_MAX 512U

/*
 * Claims n frames in a row whose address is a multiple of `align` frames (a power of two), of that node or else of the
 * nearest that has them. Sets *zeroed where all of them read as zero. NULL: out of memory, or beyond FRAME_RUN_MAX.
 */
void *frame_alloc_near(struct node *node, uint32_t n, uint32_t align, bool *zeroed);
/* The same, where the calling thread's memory is to come from. */
static inline void *frame_alloc(uint32_t n, uint32_t align, bool *zeroed)
{
	return frame_alloc_near(numa_home(), n, align, zeroed);
}
/* Of that node and no other. */
void *frame_alloc_on(struct node *node, uint32_t n, bool *zeroed);
/*
 * The same in the area of that number of some section, or behind it: so far from other areas that their threads write
 * to other lines of the bitmaps. NULL: not to be had there.
 */
#define NR_AREAS 32U
void *frame_alloc_apart(struct node *node, uint32_t n, uint32_t area, bool *zeroed);
/*
 * The same, where the rest of `room` frames (a power of two) is free behind them: nobody's, but the least
 * likely to be claimed. NULL: there is no such place; nothing is reserved for it.
 */
void *frame_alloc_roomy(struct node *node, uint32_t n, uint32_t room, bool *zeroed);
/*
 * Claims n frames at a multiple of FRAME_SIZE, whatever is there, if they are free frames of ours that were in
 * use lately. False: they are not.
 */
bool frame_retake(void *addr, uint32_t n);
void frame_free(void *addr, uint32_t n);
/* Claims the `more` frames behind [addr, addr + n frames); false where they are not to be had. */
bool frame_extend(void *addr, uint32_t n, uint32_t more);
/*
 * Moves the pages of n claimed frames onto the reserved range [to, to + size), which becomes a mapping of
 * its own, and frees the frames. False: nothing has changed.
 */
bool frame_move_out(void *addr, uint32_t n, void *to, size_t size);
/* Bytes of address space that frames take, in use or free. */
size_t frame_reserved(void);
/*
 * Memory is out: gives up all free frames, so that their share of the limits is to be had for something
 * else, and where address space is limited that as well. False: there was nothing to give.
 */
bool frame_unreserve(void);
/* The same of a node whose size is limited, for its address space: what counts is what it has. */
bool frame_unreserve_of(struct node *node);
/* Is the frame part of address space that uslub reserved? */
bool frame_is_ours(const void *addr);

/* The sections that hold frames of ours, oldest first; NULL behind the last. Never removed. */
struct section *frame_section(uint32_t nr);
#define for_each_section(sec, nr) for (uint32_t nr = 0; ((sec) = frame_section(nr)) != NULL; nr++)

/* Those of a node. */
#define for_each_section_of(node, sec)                                                     \
	for ((sec) = atomic_load_explicit(&(node)->sections, memory_order_acquire); (sec); \
	     (sec) = atomic_load_explicit(&(sec)->next, memory_order_acquire))

/* Frees claimed frames of a section; frame_free() and purge.c end here. */
void section_release(struct section *sec, uint32_t index, uint32_t n);

/* Makes claimed frames accessible, and some of what follows them, to save system calls. */
bool frame_commit(struct section *sec, uint32_t index, uint32_t n);
/*
 * When to ask for huge pages: mostly; not for a while after one was dear. Where the host of a virtual machine has not
 * backed it, the first touch of one costs seven times what the small ones cost that it stands for, and where there are none,
 * as much. Hints, of all threads.
 */
struct huge_pages {
	_Atomic uint32_t left; /* times to let go by */
	_Atomic uint32_t wait; /* and how many after the next that is dear; 0: the first */
};
bool huge_pages_are_due(struct huge_pages *h);
/* What the touch of one took. */
void huge_pages_note(struct huge_pages *h, uint64_t ns);
/* That much of the node's address space, from `start` on, isn't the heap's any more. */
void frame_forget_reserved(struct node *node, uintptr_t start, size_t size);
/* Adds address space to the node in which n frames with that alignment fit. False: the kernel gives none. */
bool frame_reserve(struct node *node, uint32_t n, uint32_t align);
/* The same where it has none. */
bool frame_reserve_first(struct node *node);
/* Has the kernel take all further pages of the node's frames from where the node says. */
void frame_bind(struct node *node);

/* In its section. */
static inline uint32_t frame_index(const void *addr)
{
	return ((uintptr_t)addr >> FRAME_SHIFT) & (SECTION_FRAMES - 1);
}

/* Of the index'th frame of a section. */
static inline void *frame_address(struct section *sec, uint32_t index)
{
	return (void *)(sec->base + ((uintptr_t)index << FRAME_SHIFT));
}

/*
 * Gives free frames back to the kernel: those that have been free for the delay, when it is time. Called
 * on the slow paths of allocation and free. Returns the time, os_clock_ms().
 */
uint64_t purge_poll(void);
/* All of them, now. Returns the bytes given back. */
size_t purge_all(void);
/* Those of a piece, a quarter of a word, which begins at that frame. */
#define PURGE_PIECE_FRAMES 16U
size_t purge_piece(struct section *sec, uint32_t index);

#endif
