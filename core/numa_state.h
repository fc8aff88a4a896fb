/*
 * What is known of nodes, shared by numa.c, which reads it, and numa_control.c, which changes it. Layer: numa.
 */
#ifndef USLUB_NUMA_STATE_H
#define USLUB_NUMA_STATE_H

#include "numa.h"

#define NODE_WORDS (MAX_NODES / 64)

struct numa_state {
	_Atomic(struct node *) nodes[MAX_NODES];
	_Atomic(struct node *) last;
	_Atomic uint16_t nearest[MAX_NODES]; /* of alloc_nodes; by the number of any node */
	_Atomic uint64_t slab_nodes[NODE_WORDS];
	_Atomic uint64_t alloc_nodes[NODE_WORDS];
	_Atomic uint16_t turns[MAX_NODES];
	_Atomic uint32_t nr_turns;
	_Atomic uint32_t turn; /* counts what was spread */
	_Atomic uint32_t mode; /* enum policy_mode */
	_Atomic uint32_t preferred;
	struct id_set policy_nodes; /* control plane; empty: all */
	enum policy_mode wanted;    /* control plane; what `mode` is, or is about to be */
	struct id_set added;	    /* control plane; possible nodes that were asked for */
	struct numa_topology *topology;
	bool binds;
	bool colours;
	bool task_policy;  /* where pages come from is the kernel's to say */
	uint32_t nr_nodes; /* made */
};

extern struct numa_state numa __attribute__((visibility("hidden")));

static inline bool nodes_have(_Atomic uint64_t *set, uint32_t id)
{
	return atomic_load_explicit(&set[id / 64], memory_order_relaxed) >> id % 64 & 1;
}

static inline enum policy_mode numa_mode(void)
{
	return (enum policy_mode)atomic_load_explicit(&numa.mode, memory_order_relaxed);
}

#endif
