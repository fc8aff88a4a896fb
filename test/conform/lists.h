/*
 * Free lists by size class, as unsafe as they come: what an allocator does with them is its own affair.
 */
#ifndef USLUB_TEST_CONFORM_LISTS_H
#define USLUB_TEST_CONFORM_LISTS_H

#include "heap.h"

static void *volatile lists[NR_CLASSES];

/* A new one: its size is its class's, so that the next one to take it may have as much. */
static inline void *lists_new(size_t size)
{
	return bump((size_t)16 << size_class(size), 16);
}

/* An object of at least that size; a handler between the two accesses gets the same one. */
static inline void *lists_take(size_t size)
{
	unsigned int class = size_class(size);
	void **head = lists[class];

	if (!head)
		return lists_new(size);
	lists[class] = *head;
	return head;
}

static inline void lists_give(void *p)
{
	unsigned int class = size_class(bump_size(p));

	*(void **)p = lists[class];
	lists[class] = p;
}

#endif
