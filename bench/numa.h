/* SPDX-License-Identifier: MIT */
/* What the parts of bench_numa share: where threads stand, and whose node memory is of. */
#ifndef USLUB_BENCH_NUMA_H
#define USLUB_BENCH_NUMA_H

#include "sizes.h"

#define MAX_PLACES 64U

/* A processor, and the node that it is of: by sysfs, or as the simulated nodes were made. */
struct place {
	int cpu, node;
};

extern struct place places[MAX_PLACES];
extern unsigned int nr_places;
extern void *(*malloc_node)(size_t size, int node);
extern int (*node_of)(const void *p);
/* Has the machine several nodes? Then the kernel is asked where pages are, too. */
extern bool is_real;

void stand_at(const struct place *place);
/* The node that the first page of the object is on, as the kernel has it; below 0: it isn't in memory. */
int page_node(const void *p);
uint64_t cpu_ns(void);

/* Each is a way to call the program; see usage() in numa.c. */
void numa_place(size_t objects);
void numa_cost(size_t size);
void numa_remote(size_t size);
void numa_leave(size_t mib, const char *directory);

#endif
