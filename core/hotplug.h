/*
 * Nodes that come and go. Layer: hotplug, over the whole of the core's allocation. Called by preload before main, and
 * by the control files.
 *
 * After "mm, slab, slub: stop taking memory hotplug lock" (Vlastimil Babka, 2021): a mask of the allocator's own,
 * slab_nodes, changed under slab_mutex; no lock that malloc takes, none that shrink takes. docs/nodes.md has the
 * races and why none is left.
 *
 *   offline --node_online()--> online --node_offline()--> going offline --hotplug_poll(), its pages moved--> offline
 *                                ^---------------node_online()-----------------'
 *
 * What is allocated on a node stays valid at its address, whatever its state.
 */
#ifndef USLUB_HOTPLUG_H
#define USLUB_HOTPLUG_H

#include "numa.h"

enum node_state { NODE_OFFLINE, NODE_ONLINE, NODE_GOING_OFFLINE };

enum node_result {
	NODE_DONE,
	NODE_SAME,    /* it is in that state already */
	NODE_VETOED,  /* what the caches need on it is not to be had */
	NODE_LAST,    /* no other node is online */
	NODE_UNKNOWN, /* the number is beyond what is possible */
	NODE_EXISTS,
};

/* Finds the nodes, and those that are simulated, as the options have it. Before main. */
void nodes_init(void);

enum node_state node_state(uint32_t id);
/*
 * Makes what each cache needs on the node, then lets slabs be made of it. NODE_VETOED: out of memory; what was made is
 * kept, and used at the next try. A node that is going offline stays.
 */
enum node_result node_online(uint32_t id);
/* From now on no slab is made of the node. hotplug_poll() does the rest. */
enum node_result node_offline(uint32_t id);
/* One more possible node, offline; of so many bytes. */
enum node_result node_add(uint32_t id, uint64_t size);
/* False: a node that isn't possible, or none where one must be; nothing has changed. */
bool nodes_set_policy(enum policy_mode mode, const struct id_set *nodes);

/*
 * Moves some of what is to be moved. Returns in how many ms there is more to do; 0: nothing, until one of these is
 * called. Called by one thread at a time.
 */
uint32_t hotplug_poll(void);
/*
 * Looks what has become of the machine's nodes, and follows. False: nothing ever becomes of them, for the nodes are
 * simulated, or there is no memory to know them. Takes system calls: not to be called for each request.
 */
bool hotplug_look(void);
/* The node on which the frame's pages are, as far as they have moved. */
struct node *hotplug_node_of(const void *frame);
/* The node on which the pages of its large objects with mappings of their own are: all of them move last. */
struct node *hotplug_node_of_mapped(struct node *node);
/* Bytes that have been moved, of all nodes that went; and bytes that the kernel would not move. */
void hotplug_moved(uint64_t *moved, uint64_t *failed);

/* hotplug_move.c: the node's pages are to go to that node; NULL: back to itself. Under slab_mutex. */
void move_pages_to(struct node *node, struct node *to);
/* All that was begun starts again. */
void move_again(void);
/* A step of it. False: there is nothing to move. */
bool move_poll(void);

#endif
