/*
 * Nodes: parts of the heap, one for each NUMA node of the machine's or simulated. Layer: numa, over map, below frame.
 *
 * A node has sections of its own, so that the node of an object is known from its address, and a kmem_cache_node for
 * every cache that there is or can be, all in one mapping: a cache that is created while a node comes online finds
 * its own there. A struct node is never freed and never moves: readers need no lock.
 *
 * Until more than one is found there is first_node alone: nothing is asked, nothing is counted, numa_is_on() is false.
 *
 * Three sets, of which the first is changed under slab_mutex by hotplug.c alone, and the others follow it:
 *   slab_nodes    nodes of which slabs may be made: SLUB's mask of that name, for the same reason
 *   alloc_nodes   of them, those that the policy allows to who wants no certain node; all where it allows none
 *   turns         of those, the ones that policy:interleave goes round
 * A thread that has looked at them goes on with what it saw: what it takes of a node that has left since, it gives up
 * at its next slow path.
 */
#ifndef USLUB_NUMA_H
#define USLUB_NUMA_H

#include "id_set.h"
#include "map.h"
#include "numa_policy.h"
#include "numa_topology.h"

enum node_count {
	NUMA_HIT,
	NUMA_MISS,
	NUMA_FOREIGN,
	INTERLEAVE_HIT,
	LOCAL_NODE,
	OTHER_NODE,
	NR_NODE_COUNTS
};

/* `full`: no run of so many frames, or more, was to be had of the node lately: it isn't asked again until then. */
union node_hint {
	uint64_t word;
	struct {
		uint64_t until : 48; /* os_clock_ms() */
		uint64_t value : 16;
	};
};
static_assert(sizeof(union node_hint) == 8, "one word");

/* Are its pages to be moved to where they belong? */
enum node_move { MOVE_NONE, MOVE_WAITS, MOVE_BEGUN };

struct node {
	_Atomic(struct section *)
		sections;	  /* CAS from NULL; the oldest; on through section->next */
	_Atomic uintptr_t lowest; /* hint: where its last reservation begins */
	_Atomic size_t mapped;	  /* bytes of large objects with mappings of their own */
	_Atomic size_t
		charged; /* CAS; of a node with a limit: these, and address space for frames */
	_Atomic uint64_t size; /* bytes that may be charged; 0: no limit */
	uint16_t id;	       /* const once numa_is_on() */
	uint32_t colour;       /* const once numa_is_on(); see types.h */
	uint16_t real;	       /* control plane; the machine's node; NO_NODE: none */
	_Atomic uint64_t full; /* hint; union node_hint */
	_Atomic uint64_t near; /* hint; union node_hint; where in `order` others are looked for */
	_Atomic(struct node *)
		pages_on; /* control plane; where the pages of its frames are; NULL: on it */
	_Atomic(struct node *)
		pages_from;	 /* control plane; where they were before that; the same */
	_Atomic uint32_t moving; /* control plane; enum node_move */
	_Atomic bool leaving;	 /* control plane; going offline, until its pages have moved */
	struct node *next;	 /* const; made before it; of first_node NULL */
	/* Frames; see docs/nodes.md. Others only read what lies before. */
	_Atomic uint64_t count[NR_NODE_COUNTS] cacheline_aligned;
	_Atomic uint16_t
		order[MAX_NODES]; /* control plane; all nodes, itself first, then the nearest */
	struct kmem_cache_node caches[NR_CACHES]; /* by kmem_cache->index */
} cacheline_aligned;

extern struct node first_node __attribute__((visibility("hidden")));
extern _Atomic bool numa_on __attribute__((visibility("hidden")));

/* Is there more than one node, or was there? */
static inline bool numa_is_on(void)
{
	/* Acquire pairs with the release in numa_turn_on(): publishes nodes and policy. */
	return unlikely(atomic_load_explicit(&numa_on, memory_order_acquire));
}

/*
 * What a slab of the node is to have for its colour, and a thread whose home it is. With policy:interleave one node is as
 * good as another.
 */
uint32_t numa_colour(const struct node *node);
bool numa_has_colours(void);

/* The node whose frame this is; of a frame of ours. */
static inline struct node *node_of(const void *frame)
{
	struct node *node = &first_node;

	if (numa_is_on())
		node = atomic_load_explicit(&frame_to_section(frame)->node, memory_order_acquire);
	return node ? node : &first_node;
}

/* The node of that number; NULL where it never was online. */
struct node *numa_node(uint32_t id);
/* All there are, the newest first. */
struct node *numa_last(void);
#define for_each_node(n) for ((n) = numa_last(); (n); (n) = (n)->next)

struct node *__numa_home(void);
/* Where memory is to come from that the calling thread asks for: by the policy, its cpu, whose turn it is. */
static inline struct node *numa_home(void)
{
	return numa_is_on() ? __numa_home() : &first_node;
}
/* The node that the calling thread's cpu belongs to, or that is nearest to it and may be used. */
struct node *numa_local(void);
bool numa_is_slab_node(const struct node *node);
/* May memory come from it that is wanted of no certain node? */
bool numa_is_alloc_node(const struct node *node);
/* May a thread whose home that is go on with a slab of the node, of so many frames? */
bool __numa_is_welcome(const struct node *node, const struct node *home, uint32_t frames);
static inline bool numa_is_welcome(const struct node *node, const struct node *home,
				   uint32_t frames)
{
	return node == home || __numa_is_welcome(node, home, frames);
}

/* May the calling thread go on with frames of ours, wherever they are? */
bool __numa_is_welcome_here(const void *frame, uint32_t frames);
static inline bool numa_is_welcome_here(const void *frame, uint32_t frames)
{
	return !numa_is_on() || __numa_is_welcome_here(frame, frames);
}

/* Counts nodes that have left slab_nodes: a thread that has seen fewer has slabs to give up. */
extern _Atomic uint32_t numa_nr_left __attribute__((visibility("hidden")));

/*
 * One after the other the nodes that `first` may fall back to, the nearest first: `first` itself, in the end NULL. Those
 * that had nothing lately are passed over, unless it is to be `every` one: see node_note_near().
 */
struct node_walk {
	struct node *first;
	uint32_t at;
	bool every;
};
struct node *node_walk_next(struct node_walk *walk);
/* The walk has found something, and nothing nearer: for a while others begin here. So the way is as long with many nodes. */
void node_note_near(const struct node_walk *walk);

void numa_next_turn(void);
/* So many frames came from `node`, where `wanted` was. */
void __numa_count(struct node *wanted, struct node *node, uint32_t frames);
static inline void numa_count(struct node *wanted, struct node *node, uint32_t frames)
{
	if (numa_is_on())
		__numa_count(wanted, node, frames);
}
/* The same, and the next turn is another's. */
static inline void numa_took(struct node *wanted, struct node *node, uint32_t frames)
{
	if (numa_is_on()) {
		__numa_count(wanted, node, frames);
		numa_next_turn();
	}
}

bool __node_is_full(const struct node *node, uint32_t frames);
/* Is it of no use to ask the node for so many frames? */
static inline bool node_is_full(const struct node *node, uint32_t frames)
{
	return unlikely(atomic_load_explicit(&node->full, memory_order_relaxed) != 0) &&
	       __node_is_full(node, frames);
}
void node_note_full(struct node *node, uint32_t frames);
/* It has something again. */
static inline void node_end_full(struct node *node)
{
	if (unlikely(atomic_load_explicit(&node->full, memory_order_relaxed) != 0))
		atomic_store_explicit(&node->full, 0, memory_order_relaxed);
}

/* Would so many bytes fit, if the node's size is limited? */
bool node_has_room(struct node *node, size_t bytes);
/* Charges a node whose size is limited. False: it is not so large; nothing has changed. */
bool node_charge(struct node *node, size_t bytes);
/* Whether it fits or not. */
void node_charge_anyway(struct node *node, size_t bytes);
void node_uncharge(struct node *node, size_t bytes);

/* Has the kernel take pages of that range from the node, where the machine has several. */
void node_bind(struct node *node, void *addr, size_t size);
/*
 * The same for a mapping of its own, which policy:interleave spreads. Where it is not `wanted` to be of a certain node,
 * and no policy was asked for, pages come from where they are first touched. True: it is bound to the node.
 */
bool node_bind_mapping(struct node *node, void *addr, size_t size, bool wanted);

/* What follows is the control plane's, under slab_mutex. */

/* What is known of nodes; NULL until numa_turn_on(). */
struct numa_topology *numa_topology(void);
/*
 * There are to be several: those of the topology, of which first_node is `first`. `binds`: so has the machine. `colours`: no
 * slab is there that must have none. Once they are made and in slab_nodes, numa_turn_on() has everybody ask about them.
 */
void numa_begin(struct numa_topology *topology, uint32_t first, bool binds, bool colours);
void numa_turn_on(void);
/* The machine's node that its pages come from; NO_NODE: the machine has one only. */
uint32_t numa_real(const struct node *node);
/* The node of slab_nodes that is nearest to that one. */
struct node *numa_nearest(uint32_t id);
/* One more possible node, of limited size, as far from all others as nodes are where nothing is known. */
void numa_add_possible(uint32_t id, uint64_t size);
/* What follows from slab_nodes and the policy, made anew after a change that nobody has ended. */
void numa_repair(void);
/* Takes over what has been found of nodes and cpus since. */
void numa_update(const struct numa_topology *now);
/* The node of that number, made where there is none. NULL: no memory. */
struct node *node_make(uint32_t id);
/* Adds the nodes that were made to slab_nodes, or takes them out, and does what follows from it. */
void numa_set_slab_nodes(const struct id_set *nodes, bool are);
bool numa_has_other_slab_node(const struct node *node);
enum policy_mode numa_policy(struct id_set *nodes);
/* The process is bound by a policy of the kernel's, which a binding of ours would soften: there is to be none. */
void numa_keep_task_policy(void);
/* Does a node of that policy's exist, where it names any? */
bool numa_policy_is_possible(const struct numa_topology *t, enum policy_mode mode,
			     const struct id_set *nodes);
/* False: it isn't; nothing has changed. */
bool numa_set_policy(enum policy_mode mode, const struct id_set *nodes);

#endif
