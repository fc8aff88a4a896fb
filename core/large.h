/*
 * Large objects: above KMALLOC_MAX_SIZE. Layer: large, beside kmem_cache, over frame. Called by kmalloc.
 *
 * Up to 32 MiB they are runs of frames; above that, and when they were moved while growing, mappings of
 * their own. Both start on a frame, whose struct slab holds the size; the frames behind say nothing. The
 * usable size is the wanted one rounded up to pages, so that untouched frames' ends cost no memory.
 */
#ifndef USLUB_LARGE_H
#define USLUB_LARGE_H

#include "types.h"

static inline bool is_large(const struct slab *slab)
{
	return slab->kind == FRAME_RUN || slab->kind == FRAME_MAPPED;
}

/* Usable bytes. A run that may go into a sheaf says so where malloc() and free() look anyway. */
racy_reader static inline size_t large_size(const struct slab *slab)
{
	uint64_t cached = load_folded(slab->limit);

	return cached ? cached : slab->size;
}

/* Of a run that comes out of a sheaf. Whatever it is below 2^42, only the first byte is the start of an object. */
static inline void large_set_cached_size(struct slab *slab, size_t size)
{
	size = round_up(size, CARVE_SIZE);
	/* Most programs want the same again; and a line that is only read stays where it is. */
	if (unlikely(load_folded(slab->limit) != size))
		__atomic_store_n(&slab->limit, size, __ATOMIC_RELAXED);
}

/* `align`: a power of two. Sets *zeroed where the object reads as zero. NULL: out of memory. */
void *large_alloc(size_t size, size_t align, bool *zeroed);
/* Of that node if it has room, else of the nearest that has. */
void *large_alloc_node(size_t size, struct node *node, bool *zeroed);
/* Makes the first `size` bytes of an object that is nobody's yet read as zero. */
void large_clear(void *p, size_t size);
/* From the reserve, of that node if it has room there; NULL where it has none. */
void *large_alloc_reserved(size_t size, const struct node *node);
/* Counts an object on an account until it is freed. */
void large_charge(void *object, uint8_t account);
/* What is in use on each account. */
struct large_account {
	_Atomic size_t objects;
	_Atomic size_t bytes;
};
extern struct large_account large_accounts[MAX_ACCOUNTS + 1] __attribute__((visibility("hidden")));
/* p is the start of the object. */
void large_free(struct slab *slab);
/* Does it lie in a sheaf? */
bool large_is_free(const struct slab *slab);
/*
 * Now and then it is time to give memory back. To ask the clock takes longer than a call that a sheaf serves: so
 * many calls are let go by, up to LARGE_CALLS_MOST, that some time passes.
 */
#define LARGE_CALLS_MOST 127U
static inline bool large_poll_is_due(struct thread *t)
{
	if (unlikely(t->large_left == 0))
		return true;
	t->large_left--;
	return false;
}
void large_poll_now(void);
/* After a free that no sheaf has served. */
void large_poll(void);
/* Grows or shrinks; moves pages, not bytes, where it pays. NULL: out of memory, the object is as it was. */
void *large_realloc(struct slab *slab, size_t size);

/* The large object that p points into, behind its first frame; NULL: none. A long search, for reports. */
struct slab *large_find(const void *p);

/* Large objects that have a mapping of their own: how many, and their bytes. */
struct large_mapped {
	_Atomic size_t count;
	_Atomic size_t bytes;
	_Atomic size_t longest; /* bytes; of any that there ever was */
};
extern struct large_mapped large_mapped __attribute__((visibility("hidden")));

#endif
