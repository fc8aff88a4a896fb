/*
 * Circular lists of slabs through slab->next and slab->prev, known by their first. Layer: thread.
 * The owner's, under its local_lock.
 */
#ifndef USLUB_LIST_H
#define USLUB_LIST_H

#include "types.h"

static inline void slab_list_add_tail(struct slab **list, struct slab *slab)
{
	struct slab *first = *list;

	if (!first) {
		slab->next = slab->prev = slab;
		*list = slab;
		return;
	}
	slab->next = first;
	slab->prev = first->prev;
	first->prev->next = slab;
	first->prev = slab;
}

static inline void slab_list_add_head(struct slab **list, struct slab *slab)
{
	slab_list_add_tail(list, slab);
	*list = slab;
}

static inline void slab_list_del(struct slab **list, struct slab *slab)
{
	if (slab->next == slab) {
		*list = NULL;
		return;
	}
	slab->next->prev = slab->prev;
	slab->prev->next = slab->next;
	if (*list == slab)
		*list = slab->next;
}

#endif
