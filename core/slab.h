/*
 * A slab: its freelist, its remote list, its states. Layer: slab, over frame. Called by node, thread,
 * kmem_cache and stats.
 *
 * A free object holds two words at kmem_cache->offset: the link, and one with a mark. Allocation clears
 * the mark, so free() finds it only in an object that is free already, or that has the same bits by
 * chance or by a copy; it costs a compare, and the lists are searched before anything is reported.
 *
 * "__": the caller holds the local_lock of the owner, or owns the slab with no thread to it.
 */
#ifndef USLUB_SLAB_H
#define USLUB_SLAB_H

#include "map.h"

/*
 * Is `offset` the start of an object that has been carved? For offset = i * size + r with 0 <= r < size,
 * offset * inverse = i * residue + r * inverse (mod 2^64), where inverse = floor(2^64 / size) + 1 and
 * residue = size * inverse - 2^64 lies in 1..size. r == 0 leaves i * residue, which is below
 * limit = carved * residue exactly when i < carved; r > 0 leaves at least `inverse` >= 2^44, far above
 * any limit. So one multiplication and one compare answer both. (After Lemire, Kaser, Kurz: "Faster
 * remainder by direct computation", 2019.)
 */
static inline bool slab_object_ok(const struct slab *slab, uint64_t offset)
{
	return offset * slab->inverse < load_folded(slab->limit);
}

#define SLAB_INVERSE(size) (UINT64_MAX / (size) + 1 + (((size) & ((size)-1)) == 0))
#define SLAB_RESIDUE(size) ((uint64_t)(size)*SLAB_INVERSE(size))

static inline void *free_object_start(const struct kmem_cache *s, struct free_object *fo)
{
	return (char *)fo - s->offset;
}

static inline struct free_object *object_to_free(const struct kmem_cache *s, void *object)
{
	return (struct free_object *)((char *)object + s->offset);
}

/* A sheaf's bottom, of which `room` objects fit onto it. */
#define SHEAF_BOTTOM(size)                                                  \
	{                                                                   \
		.next = NULL, .state = {.room = (size), .mark = FREE_MARK}, \
	}
/* Stands in kmem_cache_cpu->freelist while a slow path has what was there. */
extern struct free_object sheaf_shut __attribute__((visibility("hidden")));

static inline bool sheaf_is_shut(const struct kmem_cache_cpu *c)
{
	return c->freelist == &sheaf_shut;
}

/* Lists of free objects end in NULL, or in the bottom of the sheaf that they were taken from. */
static inline bool freelist_is_end(const struct kmem_cache *s, const struct free_object *fo)
{
	return !fo || fo == &s->bottom;
}

/* Stands in kmem_cache_cpu->slab where there is none: its freelist is empty, so the fast path leaves. */
extern struct slab slab_none __attribute__((visibility("hidden")));

/* Frames made into a slab of s: OWNED, by `owner`, nothing carved. NULL: out of memory. */
struct slab *new_slab(struct kmem_cache *s, struct thread *owner);
/* Gives back a slab that the caller owns and in which no object is in use. */
void discard_slab(struct slab *slab);

/* Moves the remote list in front of the freelist. Returns how many objects came. */
uint32_t __slab_collect(struct slab *slab);
/*
 * Takes up to `want` objects, linked, from the freelist, the remote list or by carving, whichever has
 * some first. Returns how many: 0 where all are in use.
 */
uint32_t __slab_take(struct slab *slab, uint32_t want, struct free_object **list);

static inline void __slab_put(struct slab *slab, struct free_object *fo)
{
	fo->next = slab->freelist;
	barrier();
	slab->freelist = fo;
	slab->inuse--;
	barrier();
}

static inline bool slab_is_full(const struct slab *slab)
{
	return !slab->freelist && slab->carved == slab->objects;
}

static inline bool slab_has_remote(struct slab *slab)
{
	union slab_remote r;

	r.word = atomic_load_explicit(&slab->remote, memory_order_relaxed);
	return r.head != 0;
}

/*
 * Makes a slab whole whose owner was stopped for good in the middle of one of these calls: counts what is
 * free, and drops what was not yet carved to its end.
 */
void __slab_recover(struct slab *slab);

enum free_result {
	FREE_PUSHED,  /* onto the remote list */
	FREE_EMPTIED, /* the same, and the slab, on a node's list, has no object in use any more */
	FREE_ADOPTED, /* the slab was full; it is OWNED by the caller now, who has the objects in hand */
	FREE_LISTED, /* the slab was full; it is PARTIAL now, the caller must put it onto the node's list */
};

/* Objects of one slab, linked. */
struct free_chain {
	struct free_object *first, *last;
	uint32_t count;
};

/* Frees from outside the owner's lock: another thread's, or a nested call's. Never waits. */
enum free_result slab_free_remote(struct slab *slab, const struct free_chain *chain,
				  bool may_adopt);

/* OWNED -> FULL; the slab has no free object. False: a remote free came first, it is still owned. */
bool __slab_release_full(struct slab *slab);
/* OWNED -> PARTIAL; whoever calls puts it onto a node's list next. */
void __slab_release_partial(struct slab *slab);
/* PARTIAL -> OWNED; the caller has popped it from the node's list. */
void slab_acquire_partial(struct slab *slab);

/* Is the object, whose mark says that it is free, on one of the slab's lists? */
bool slab_has_free(struct slab *slab, const struct free_object *fo);
/* Is there an object of s, that can be read? Not every address of a freed frame can be. */
bool may_be_free_object(const struct kmem_cache *s, const struct free_object *fo);
/* The same for any list of free objects, at most `most` long, which its owner may be changing. */
bool freelist_has(const struct free_object *list, const struct free_object *fo, uint32_t most);

#endif
