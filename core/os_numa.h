/*
 * What the kernel knows of NUMA nodes, and is asked to do about them. Layer: os. Called by numa, frame, large and
 * hotplug.
 *
 * As in os.h: async-signal-safe, no lock, nothing allocated, errno left alone. Every refusal is soft: memory that
 * isn't bound is memory all the same. Kernels without NUMA refuse everything, and so do many containers.
 */
#ifndef USLUB_OS_NUMA_H
#define USLUB_OS_NUMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A bit for each node of the machine's. */
#define OS_NODE_WORDS 16U
#define OS_MAX_NODES (OS_NODE_WORDS * 64)
struct os_nodes {
	uint64_t bits[OS_NODE_WORDS];
};

/* A bit for each cpu. */
#define OS_CPU_WORDS 64U
struct os_cpus {
	uint64_t bits[OS_CPU_WORDS];
};

/*
 * The cpu that the thread runs on, by no system call where the C library or the vdso knows; below 0: not known. In
 * threads that the C library hasn't made it may be another.
 */
int os_getcpu(void);
/* The cpus that the calling thread may run on. False: the kernel doesn't tell. */
bool os_allowed_cpus(struct os_cpus *cpus);
/* Nodes that the process may have memory of (its cpuset's). False: the kernel doesn't tell, or knows no nodes. */
bool os_allowed_nodes(struct os_nodes *nodes);

enum os_policy { OS_POLICY_LOCAL, OS_POLICY_PREFERRED, OS_POLICY_BIND, OS_POLICY_INTERLEAVE };
/*
 * The memory policy of the calling thread: before main, what the process was started with. `nodes` is empty with
 * OS_POLICY_LOCAL alone; preferred ones can be several; there can be nodes among them that the process may not have.
 * What the kernel doesn't tell, or this doesn't know, is local.
 */
enum os_policy os_process_policy(struct os_nodes *nodes);

/* Pages of the range that are touched from now on come from that node, or the nearest. */
bool os_bind_preferred(void *addr, size_t size, uint32_t node);
/* The same, turn by turn from each of the nodes. */
bool os_bind_interleave(void *addr, size_t size, const struct os_nodes *nodes);

/*
 * Moves those of up to OS_MOVE_MAX pages from addr on that are in memory and on another node, or on `from` if that isn't below 0. Returns how many
 * pages have moved; *failed is raised by those that are in memory, on another node, and could not. Takes 4 KiB of stack.
 */
#define OS_MOVE_MAX 256U
uint32_t os_move_pages(void *addr, uint32_t pages, int from, uint32_t node, uint32_t *failed);
/* The node that the page is on; below 0: it isn't in memory, or the kernel doesn't tell. */
int os_page_node(const void *page);

#endif
