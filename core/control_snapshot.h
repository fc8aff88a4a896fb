/*
 * Figures of one cache, or of one node, from a walk over the metadata. Layer: control. Called by the control files.
 *
 * No thread is stopped: docs/control.md says what a walk is worth. Called by one thread at a time, and on a small
 * stack.
 */
#ifndef USLUB_CONTROL_SNAPSHOT_H
#define USLUB_CONTROL_SNAPSHOT_H

#include "node_control.h"

/* In the order of the tree's files. */
enum cache_figure {
	FIGURE_SLABS,
	FIGURE_TOTAL_OBJECTS,
	FIGURE_OBJECTS,
	FIGURE_PARTIAL,
	FIGURE_OBJECTS_PARTIAL,
	FIGURE_CPU_SLABS,
	NR_FIGURES,
};

struct cache_snapshot {
	uint64_t sum[NR_FIGURES];
	uint64_t node[MAX_NODES][NR_FIGURES];
};

/* NULL where there is no memory for it. Valid until the next call. */
const struct cache_snapshot *snapshot_cache(const struct kmem_cache *s);

/* Bytes of the heap on a node. */
struct node_snapshot {
	uint64_t slab;	  /* frames of slabs */
	uint64_t runs;	  /* of large objects */
	uint64_t threads; /* of threads' records */
	uint64_t idle;	  /* of free frames whose pages the kernel has not got back */
};
void snapshot_node(uint32_t node, struct node_snapshot *shot);

/*
 * The words of a slab that was found the same twice in a row. Objects are in use that are carved and free by
 * none of its maps, be it in a sheaf.
 */
struct slab_snapshot {
	union slab_shared shared;
	uint64_t limit;
	uint64_t maps; /* of what they hold: equal where they are */
	uint32_t inuse, carved, objects;
	uint32_t freed; /* by others, and not collected */
	uint32_t in_use;
};
bool snapshot_is_same(const struct slab_snapshot *one, const struct slab_snapshot *other);
/* False: it is none of the cache's, or is never twice the same. */
bool snapshot_slab(struct slab *slab, const struct kmem_cache *s, struct slab_snapshot *shot);

/* Calls fn for each slab of the cache until it returns false. */
void snapshot_each_slab(const struct kmem_cache *s,
			bool (*fn)(struct slab *slab, const struct slab_snapshot *shot, void *arg),
			void *arg);

#endif
