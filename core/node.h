/*
 * A node's partial slabs. Layer: node, over slab. Called by thread and kmem_cache.
 *
 * The list is a frame_stack: nothing to lock, nothing to try. A slab on it is PARTIAL and nobody's;
 * frees into it leave it where it is.
 */
#ifndef USLUB_NODE_H
#define USLUB_NODE_H

#include "slab.h"

static inline struct kmem_cache_node *get_node(const struct kmem_cache *s, struct node *node)
{
	return &node->caches[s->index];
}

/*
 * Gives up a slab that the caller owns: to nobody where it is full, to the frames where it is empty and
 * the node has enough, onto its node's list otherwise.
 */
void put_slab(struct slab *slab);
/* Puts a slab that is PARTIAL already onto the list. */
void list_partial(struct kmem_cache_node *n, struct slab *slab);
/* Takes a slab from the list for `owner`; NULL: none. */
struct slab *get_partial(struct kmem_cache_node *n, struct thread *owner);
/*
 * A slab with free objects for `owner`, whose node is `home`: of its list, or new, of another node's list, or a new one of
 * another node. NULL: out of memory.
 */
struct slab *get_slab(struct kmem_cache *s, struct node *home, struct thread *owner);
/*
 * May a thread of that home go on with the slab? Where the control files let the cache take other nodes' slabs, with
 * those as well, as in SLUB.
 */
bool slab_is_welcome(const struct kmem_cache *s, const struct slab *slab, const struct node *home);
/* A slab on the list has become empty: discards such when they are a good part of the list. `node`: whose that is. */
void note_empty(struct kmem_cache_node *n, const struct node *node);
/* Discards the empty ones of the list. Returns how many went. */
uint32_t shrink_node(struct kmem_cache_node *n);
/* Has a slab on its list become empty since the last shrink? */
static inline bool node_has_empty(struct kmem_cache_node *n)
{
	return atomic_load_explicit(&n->nr_empty, memory_order_relaxed) != 0;
}

#endif
