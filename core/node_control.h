/*
 * What the control files ask of nodes, and tell them: all that they know. Layer: node_control, over the core,
 * below the control files, which alone call it.
 *
 * Called by the service thread: it holds no lock, has no record (current_thread is thread_gone), and must not be
 * kept waiting for long, for nobody else is served meanwhile. What takes long is begun here and goes on in
 * node_control_poll().
 */
#ifndef USLUB_NODE_CONTROL_H
#define USLUB_NODE_CONTROL_H

#include "hotplug.h"

enum node_set {
	NODES_POSSIBLE, /* those that have a directory */
	NODES_ONLINE,
	NODES_HAS_MEMORY,
	NODES_HAS_NORMAL_MEMORY,
	NODES_HAS_CPU,
};

struct node_info {
	uint64_t size;	       /* bytes; of the machine's node, or as simulated */
	uint64_t mapped_bytes; /* large objects with mappings of their own */
	bool counts;	       /* is what follows counted? With one node alone it isn't */
	/* In frames; numa_hit and the rest as Documentation/admin-guide/numastat.rst has them. */
	uint64_t hit, miss, foreign, interleave_hit, local, other;
};

void node_control_set(enum node_set which, struct id_set *set);
enum node_state node_control_state(uint32_t node);
void node_control_info(uint32_t node, struct node_info *info);
uint32_t node_control_distance(uint32_t from, uint32_t to);
void node_control_cpus(uint32_t node, struct id_set *cpus);

enum node_result node_control_online(uint32_t node);
enum node_result node_control_offline(uint32_t node);
enum node_result node_control_probe(uint32_t node, uint64_t size);

enum policy_mode node_control_policy(struct id_set *nodes);
/* False: it names a node that isn't possible. */
bool node_control_set_policy(enum policy_mode mode, const struct id_set *nodes);

/* The node that an address of the heap lies on. */
uint32_t node_control_of(const void *addr);

/* What is known of the machine's nodes since the last time. */
enum node_news {
	NODES_UNWATCHED, /* nothing: nobody would tell */
	NODES_QUIET,	 /* they are as they were */
	NODES_CHANGED,	 /* they may have changed */
};
/* What goes on by itself. Returns in how many ms it is to be called again; 0: only when asked for something. */
uint32_t node_control_poll(enum node_news news);

#endif
