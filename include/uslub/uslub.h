/*
 * uslub: what the library has beyond the C library's malloc interface.
 *
 * A program that is preloaded needs nothing of this. One that links libuslub may have caches of its own,
 * as in the Linux kernel, where the names and the ideas come from (include/linux/slab.h, Bonwick's "The
 * Slab Allocator", 1994): objects of one size, close to each other, constructed once.
 *
 * Contexts. "Any": the call may be made from a signal handler that interrupted any instruction of any
 * call, and never waits. "Thread": it may not, for it takes slab_mutex.
 * Units. All sizes and alignments are bytes.
 */
#ifndef USLUB_USLUB_H
#define USLUB_USLUB_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kmem_cache;

/* Flags of allocation. The object is zeroed; not for a cache with a constructor. (__GFP_ZERO) */
#define USLUB_ZERO 1U

/* Flags of creation. The cache is never shared with another's objects. (SLAB_NO_MERGE) */
#define USLUB_NO_MERGE 1U

/*
 * Makes a cache of objects of `size` bytes (1 to 262144), at multiples of `align` (a power of two up to
 * 4096; 0: 16). `ctor`, if not NULL, is called once for each object before its first use; a freed object
 * must be in the constructed state. `name` is copied, up to 31 characters; it shows up in reports.
 *
 * A cache like one that exists is merged with it, as SLUB does, unless it has a constructor or
 * USLUB_NO_MERGE: the same pointer is returned then, and counts as one more reference.
 *
 * Returns NULL with errno EINVAL (a size, alignment, flag or name that is not as above) or ENOMEM (no
 * memory, or 900 caches exist: an account or a reserve counts as 36). Context: thread. (kmem_cache_create)
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     unsigned int flags, void (*ctor)(void *object));

/*
 * Ends one reference; with the last one the cache's memory is given back: what this thread and the node
 * hold at once, what other threads hold as they go on. Objects in use are reported on stderr, and stay
 * valid. NULL is ignored. Context: thread. (kmem_cache_destroy)
 */
void kmem_cache_destroy(struct kmem_cache *s);

/* An object, or NULL with errno ENOMEM. Context: any. (kmem_cache_alloc) */
void *kmem_cache_alloc(struct kmem_cache *s, unsigned int flags);

/*
 * The same of a certain node: its number, as in /sys/devices/system/node or in USLUB=nodes:N. Where that node has no
 * memory left, the nearest that has serves; a node that there isn't, or that is not online, means any, as does
 * USLUB_NO_NODE: the node that the calling thread runs on, or that the policy says. docs/nodes.md has the model.
 * Context: any. (kmem_cache_alloc_node, NUMA_NO_NODE)
 */
#define USLUB_NO_NODE (-1)
void *kmem_cache_alloc_node(struct kmem_cache *s, unsigned int flags, int node);

/* malloc() of a certain node, as above. NULL with errno ENOMEM. free() takes it. Context: any. (kmalloc_node) */
void *uslub_malloc_node(size_t size, int node);

/*
 * The number of the node that the object was allocated on; 0 on a machine with one node, and -1 where p is in no memory
 * of uslub's. Its pages are elsewhere while the node is offline. Context: any. (page_to_nid of virt_to_page)
 */
int uslub_node_of(const void *p);

/*
 * Frees an object of that cache; NULL is ignored. An object of another cache is reported and left alone.
 * free() does as well. Leaves errno alone. Context: any. (kmem_cache_free)
 */
void kmem_cache_free(struct kmem_cache *s, void *object);

/*
 * Allocates n objects into objects[0..n-1]: all of them, or none. Returns n, or 0 with errno ENOMEM.
 * Context: any. (kmem_cache_alloc_bulk)
 */
size_t kmem_cache_alloc_bulk(struct kmem_cache *s, unsigned int flags, size_t n, void **objects);

/* Frees n objects. Leaves errno alone. Context: any. (kmem_cache_free_bulk) */
void kmem_cache_free_bulk(struct kmem_cache *s, size_t n, void **objects);

/*
 * Gives back the cache's empty slabs that this thread or the node holds; slabs of other threads stay.
 * Returns 1 where some were, else 0. Takes no lock. Context: any. (kmem_cache_shrink)
 */
int kmem_cache_shrink(struct kmem_cache *s);

/*
 * Accounts, on which uslub_malloc_nolock() (nolock.h) counts objects; up to 16, which are never ended. An
 * account has caches of its own, so what is in use on it is counted when somebody asks, by a walk over
 * their slabs.
 */
struct uslub_account {
	size_t objects; /* in use */
	size_t bytes;	/* of them, as large as their size classes make them */
};

/*
 * The number of the account of that name (1 to 24 bytes), which is made where there is none. Returns -1
 * with errno EINVAL (the name) or ENOSPC (16 accounts exist, or too many caches). Context: thread.
 */
int uslub_account_create(const char *name);

/*
 * What is in use on an account. No thread is stopped for it: exact where nobody allocates or frees on the
 * account meanwhile, near otherwise. Returns 0, or -1 with errno EINVAL where there is no such account.
 * Context: any.
 */
int uslub_account_read(int account, struct uslub_account *usage);

#ifdef __cplusplus
}
#endif

#endif
