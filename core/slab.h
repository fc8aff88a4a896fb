/*
 * A slab: its maps of free objects, its states. Layer: slab, over frame. Called by node, thread,
 * kmem_cache and stats.
 *
 * A slab has two maps with a bit for each object. One is its owner's: what he may hand out. Everybody
 * else sets bits in the other by one atomic OR for objects of the same word, and the owner moves them over
 * when he runs out ("collects"). Every step is one that can be done twice: where a call ends for good in the
 * middle of one, the next finds in the maps what is free.
 *
 * A free object also holds two words at kmem_cache->offset: a link, and one with a mark. Allocation clears
 * the mark, so free() finds it only in an object that is free already, or that has the same bits by
 * chance or by a copy; it costs a compare, and the maps are asked before anything is reported.
 *
 * "__": the caller holds the local_lock of the owner, or owns the slab with no thread to it.
 */
#ifndef USLUB_SLAB_H
#define USLUB_SLAB_H

#include "numa.h"

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

/* From here on the run is none that free() puts into a sheaf. */
static inline void slab_set_uncached(struct slab *slab)
{
	__atomic_store_n(&slab->limit, 0, __ATOMIC_RELAXED);
}

#define SLAB_INVERSE(size) (UINT64_MAX / (size) + 1 + (((size) & ((size)-1)) == 0))
#define SLAB_RESIDUE(size) ((uint64_t)(size)*SLAB_INVERSE(size))

/* Which object holds the address: the upper half of the same product is the quotient. */
static inline uint32_t slab_index(const struct slab *slab, const void *addr)
{
	__extension__ typedef unsigned __int128 wide;

	return (uint32_t)(((wide)((uintptr_t)addr - slab->base) * slab->inverse) >> 64);
}

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
#define SHEAF_BOTTOMS(size)                                                               \
	{                                                                                 \
		SHEAF_BOTTOM(size), SHEAF_BOTTOM((size) << 1), SHEAF_BOTTOM((size) << 2), \
			SHEAF_BOTTOM((size) << 3), SHEAF_BOTTOM((size) << 4),             \
			SHEAF_BOTTOM((size) << 5), SHEAF_BOTTOM((size) << 6),             \
	}
static_assert(SHEAF_GRADES == 7, "SHEAF_BOTTOMS() has as many");
/* Stands in kmem_cache_cpu->freelist while a slow path has what was there. */
extern struct free_object sheaf_shut __attribute__((visibility("hidden")));

static inline bool sheaf_is_shut(const struct kmem_cache_cpu *c)
{
	return c->freelist == &sheaf_shut;
}

/* Lists of free objects end in NULL, or in the bottom of the sheaf that they were taken from. */
static inline bool freelist_is_end(const struct kmem_cache *s, const struct free_object *fo)
{
	return !fo || (fo >= s->bottom && fo < s->bottom + SHEAF_GRADES);
}

/* Word `w` of the map of free objects, and of the one of those freed by others. */
static inline uint64_t *slab_free_word(const struct slab *slab, uint32_t w)
{
	return load_folded(slab->bits) + (size_t)(w / PLANE_WORDS) * (sizeof(struct plane) / 8) +
	       w % PLANE_WORDS;
}

static inline _Atomic uint64_t *slab_remote_word(const struct slab *slab, uint32_t w)
{
	return (_Atomic uint64_t *)slab_free_word(slab, w + SLAB_PLANES * PLANE_WORDS);
}

static inline union slab_shared slab_shared(const struct slab *slab, memory_order order)
{
	union slab_shared r;

	r.word = atomic_load_explicit(&slab->shared, order);
	return r;
}

/* True only for the owner itself. */
static inline bool slab_is_of(const struct slab *slab, const struct thread *t)
{
	return slab_shared(slab, memory_order_relaxed).owner == frame_number((uintptr_t)t);
}

/* The node that its frames are of. */
static inline struct node *slab_node(const struct slab *slab)
{
	return node_of((void *)slab->base);
}

/* Stands in kmem_cache_cpu->slab where there is none. */
extern struct slab slab_none __attribute__((visibility("hidden")));

/*
 * Frames made into a slab of s: OWNED, by `owner`, nothing carved; of that node, or of the nearest that has some. NULL:
 * out of memory.
 */
struct slab *new_slab(struct kmem_cache *s, struct thread *owner, struct node *node);
/* Of that node and no other; where s has its slabs of the reserve, of that. */
struct slab *new_slab_on(struct kmem_cache *s, struct thread *owner, struct node *node);
/* Gives back a slab that the caller owns and in which no object is in use. */
void discard_slab(struct slab *slab);

/* Moves what others freed to what the owner may hand out. Returns how many objects came. */
uint32_t __slab_collect(struct slab *slab);
/*
 * Takes up to `want` objects, a sheaf at most, of those that are free, else of those that others freed, else by carving: a
 * sheaf, by ascending address. Returns how many: 0 where all are in use. *list has them all before the
 * first leaves the map.
 */
uint32_t __slab_take(struct slab *slab, uint32_t want, struct free_object *bottom,
		     struct free_object **list);

/* Is the address in one of its frames? */
static inline bool slab_holds(const struct slab *slab, const void *addr)
{
	return (uintptr_t)addr - slab->base < (uintptr_t)slab->nr_frames << FRAME_SHIFT;
}

/*
 * What comes first on the list, as far as it is of this slab; returns what follows. Bits can be set twice, and the
 * count is made anew where a call ends in between.
 */
static inline struct free_object *__slab_put_row(struct slab *slab, struct free_object *list)
{
	uint32_t first = slab->first, n = 0;

	do {
		uint32_t i = slab_index(slab, list), w = i / 64;

		*slab_free_word(slab, w) |= UINT64_C(1) << i % 64;
		first = w < first ? w : first;
		n++;
		list = list->next;
	} while (slab_holds(slab, list));
	slab->first = (uint16_t)first;
	slab->inuse -= n;
	barrier();
	return list;
}

static inline void __slab_put(struct slab *slab, const struct free_object *fo)
{
	uint32_t i = slab_index(slab, fo), w = i / 64;

	*slab_free_word(slab, w) |= UINT64_C(1) << i % 64;
	if (w < slab->first)
		slab->first = (uint16_t)w;
	slab->inuse--;
	barrier();
}

static inline bool __slab_is_free(const struct slab *slab, const struct free_object *fo)
{
	uint32_t i = slab_index(slab, fo);

	return *slab_free_word(slab, i / 64) >> i % 64 & 1;
}

static inline bool slab_is_full(const struct slab *slab)
{
	return slab->inuse == slab->objects;
}

static inline bool slab_has_remote(struct slab *slab)
{
	return atomic_load_explicit(&slab->remote, memory_order_relaxed) != 0;
}

/* Makes a slab whole whose owner was stopped for good in the middle of one of these calls. */
void __slab_recover(struct slab *slab);

enum free_result {
	FREE_PUSHED,  /* noted; the owner will come by */
	FREE_EMPTIED, /* the same, and the slab, on a node's list, has no object in use any more */
	FREE_ADOPTED, /* the slab was full; it is OWNED by the caller's thread now, who is to collect */
	FREE_LISTED, /* the slab was full; it is PARTIAL now, the caller must put it onto the node's list */
};

/* Objects of one slab whose bits are in one word. */
struct free_group {
	uint64_t mask;
	uint32_t word;
};

static inline struct free_group free_group_of(const struct slab *slab, const struct free_object *fo)
{
	uint32_t i = slab_index(slab, fo);

	return (struct free_group){UINT64_C(1) << i % 64, i / 64};
}

/*
 * Frees from outside the owner's lock: another thread's, or a nested call's. Never waits. `adopter` owns the
 * slab where nobody does; NO_OWNER: it goes to the node.
 */
enum free_result slab_free_remote(struct slab *slab, const struct free_group *group,
				  struct thread *adopter);
/*
 * Its two halves. From the first on the objects are free; before the second nobody looks for them. `before`
 * was read ahead of the first: it tells the slab from what its frames may be since.
 */
void slab_set_remote(struct slab *slab, const struct free_group *group);
enum free_result slab_note_remote(struct slab *slab, uint32_t word, union slab_shared before,
				  struct thread *adopter);

/* OWNED -> FULL; the slab has no free object. False: a remote free came first, it is still owned. */
bool __slab_release_full(struct slab *slab);
/* OWNED -> PARTIAL; whoever calls puts it onto a node's list next. */
void __slab_release_partial(struct slab *slab);
/* PARTIAL -> OWNED; the caller has popped it from the node's list. */
void slab_acquire_partial(struct slab *slab, struct thread *owner);

/* Words of the maps that have a bit of an object carved so far. */
racy_reader static inline uint32_t slab_words(const struct slab *slab)
{
	return (slab->carved + 63) / 64;
}

/* How often the slab has been collected. */
static inline uint32_t slab_collections(const struct slab *slab)
{
	return atomic_load_explicit(&slab->collections, memory_order_acquire);
}

/* Objects that others freed and nobody has collected. */
uint32_t slab_count_remote(const struct slab *slab);
/* Is the object free, by one of the slab's maps? */
bool slab_has_free(const struct slab *slab, const struct free_object *fo);
/* Is there an object of s, that can be read? Not every address of a freed frame can be. */
bool may_be_free_object(const struct kmem_cache *s, const struct free_object *fo);
/* Is it on the list of free objects, at most `most` long, which its owner may be changing? */
bool freelist_has(const struct free_object *list, const struct free_object *fo, uint32_t most);

#endif
