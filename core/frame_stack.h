/*
 * A lock-free stack of frames. Layer: frame. Holds partial slabs (node.c) and ended threads' records
 * (thread.c).
 *
 * Treiber's stack on one 64-bit word. Links live in struct slab, which is type-stable: a popper that
 * lost the race reads a stale link, never unmapped memory. ABA: the word carries a generation that every
 * change increments, so a CAS can only succeed against the very state that was read; it would take 2^32
 * changes during one thread's stop, and the same frame on top, to be fooled.
 *
 * Whoever pops a frame holds it alone. A frame is pushed by whoever holds it, once.
 */
#ifndef USLUB_FRAME_STACK_H
#define USLUB_FRAME_STACK_H

#include "map.h"

union frame_stack_top {
	uint64_t word;
	struct {
		uint32_t frame; /* frame_number(); 0: empty */
		uint32_t generation;
	};
};
static_assert(sizeof(union frame_stack_top) == 8, "one word, one CAS");
static_assert(OS_ADDRESS_BITS - FRAME_SHIFT <= 32, "frame numbers fit");

static inline bool frame_stack_is_empty(struct frame_stack *stack)
{
	union frame_stack_top top;

	top.word = atomic_load_explicit(&stack->top, memory_order_relaxed);
	return !top.frame;
}

static inline void frame_stack_push(struct frame_stack *stack, struct slab *slab)
{
	union frame_stack_top old, new;
	struct nowait w = {0};

	old.word = atomic_load_explicit(&stack->top, memory_order_relaxed);
	do {
		atomic_store_explicit(&slab->link, old.frame, memory_order_relaxed);
		new.frame = frame_number(slab->base);
		new.generation = old.generation + 1;
		/* Release pairs with the acquire in frame_stack_pop(): publishes *slab. */
	} while (!nowait(&w, atomic_compare_exchange_weak_explicit(&stack->top, &old.word, new.word,
								   memory_order_release,
								   memory_order_relaxed)));
}

static inline struct slab *frame_stack_pop(struct frame_stack *stack)
{
	union frame_stack_top old, new;
	struct nowait w = {0};
	struct slab *slab;

	old.word = atomic_load_explicit(&stack->top, memory_order_acquire);
	do {
		if (!old.frame)
			return NULL;
		slab = frame_to_slab(old.frame);
		new.frame = atomic_load_explicit(&slab->link, memory_order_relaxed);
		new.generation = old.generation + 1;
	} while (!nowait(&w, atomic_compare_exchange_weak_explicit(&stack->top, &old.word, new.word,
								   memory_order_acquire,
								   memory_order_acquire)));
	return slab;
}

#endif
