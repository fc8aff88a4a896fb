/*
 * Allocation and free in a given cache, and caches of the program's own. Layer: kmem_cache, over thread.
 * Called by kmalloc and preload.
 */
#ifndef USLUB_KMEM_CACHE_H
#define USLUB_KMEM_CACHE_H

#include "caches.h"
#include "slab.h"
#include "thread.h"

/*
 * An object of s from the thread's slabs, NULL where memory is out. False: the lock is held. `hold` is the
 * caller's, as near to its own entry as can be: see local_lock.h.
 */
bool cache_try_alloc(struct thread *t, struct kmem_cache *s, struct local_hold *hold,
		     void **object);
/* The same without the thread: from a slab of the node's list, or a new one, which goes back there. */
void *cache_alloc_shared(struct kmem_cache *s, struct node *node);
/* Either of the two. */
void *cache_alloc(struct kmem_cache *s);
/* Of that node; where it has no memory left, or is none of slab_nodes, as cache_alloc(). */
void *cache_alloc_node(struct kmem_cache *s, struct node *node);

/* Frees any pointer into a slab, and reports it where it isn't a live object. */
void slab_free(struct slab *slab, void *p);
/* The same as from another thread: without this one's sheaf. */
void slab_free_shared(struct slab *slab, void *p);
/* The fast path of free() has found the sheaf full; the local_lock is held. */
void slab_free_full(struct thread *t, struct slab *slab, struct free_object *fo);

/* What a create asks for, in the words of uslub.h; checked by the caller of cache_create(). */
struct cache_args {
	const char *name;
	size_t size;
	size_t align;
	uint32_t flags;
	void (*ctor)(void *);
};
#define CACHE_MAX_SIZE ((size_t)262144)
#define CACHE_MAX_ALIGN ((size_t)4096)

/* The control plane's: caches are created and destroyed, nodes come and go under it. */
extern _Atomic int slab_mutex __attribute__((visibility("hidden")));
void slab_lock(void);
void slab_unlock(void);
/* Once: was it taken over from a process that forked in the middle of a change? With the mutex. */
bool slab_was_orphaned(void);

/* NULL: all slots are taken. Takes slab_mutex, as cache_destroy() does. */
struct kmem_cache *cache_create(const struct cache_args *args);
void cache_destroy(struct kmem_cache *s);
/* Gives back all slabs that this thread and the nodes hold empty, of all caches. */
void cache_shrink_all(void);
/* What the node holds empty, of all caches. */
void cache_shrink_node(struct node *node);
/* Gives back the empty slabs of the caches that no thread keeps anything of. Returns how many went. */
uint32_t cache_shrink_shared(void);
/* Gives back the empty slabs of the calling thread and of the node. Returns how many went. */
uint32_t cache_shrink(struct kmem_cache *s);

#endif
