/*
 * What thread_slabs.c and thread_flush.c share. Layer: thread. The local_lock is held.
 */
#ifndef USLUB_THREAD_SLABS_H
#define USLUB_THREAD_SLABS_H

#include "thread.h"

static inline struct free_object *sheaf_bottom(struct thread *t, struct kmem_cache *s)
{
	return &s->bottom[thread_cpu(t, s->cpu_offset)->grade];
}

/* Off the list that the slab is on. */
void __del_partial(struct thread *t, struct kmem_cache *s, struct slab *slab);
void __del_full(struct thread *t, struct kmem_cache *s, struct slab *slab);
/* A slab of the thread's that is on no list has free objects. It goes onto its list, or to the frames. */
void __add_partial(struct thread *t, struct kmem_cache *s, struct slab *slab);
/* Objects were put into the thread's own slab: onto the list where it is due by now, or to the frames. */
void __list_after_put(struct thread *t, struct kmem_cache *s, struct slab *slab);
/* What has been moved, a sheaf down to its bottom and nobody else's, takes the place of the one that is shut. */
void __give(struct thread *t, struct kmem_cache *s);
/* The same with a sheaf that is empty. */
void __give_nothing(struct thread *t, struct kmem_cache *s);

#endif
