/*
 * NUMA nodes on Linux, by system calls: libnuma allocates. Layer: os; see os_numa.h. Called by numa and what stands
 * above it.
 */
#include "os_numa.h"
#include "os.h"
#include "os_syscall.h"

#include <errno.h>
#include <sched.h>

/* The kernel's, of linux/mempolicy.h, whose newer ones not every header has. */
enum {
	MODE_DEFAULT,
	MODE_PREFERRED,
	MODE_BIND,
	MODE_INTERLEAVE,
	MODE_LOCAL,
	MODE_PREFERRED_MANY,
	MODE_WEIGHTED_INTERLEAVE,
};
#define MODE_RELATIVE_NODES 0x4000U
#define MODE_FLAGS 0xe000U
#define GET_MEMS_ALLOWED 4
#define MOVE_OWN_PAGES 2

/* The kernel takes one off, and then reads or writes so many bits. */
#define NODE_BITS (OS_MAX_NODES + 1)

int os_getcpu(void)
{
	int saved = errno, cpu = sched_getcpu();

	errno = saved;
	return cpu;
}

bool os_allowed_cpus(struct os_cpus *cpus)
{
	*cpus = (struct os_cpus){.bits = {0}};
	return !os_is_error(os_syscall3(SYS_sched_getaffinity, 0, sizeof(*cpus), (long)cpus));
}

static bool is_empty(const struct os_nodes *nodes)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < OS_NODE_WORDS; i++)
		any |= nodes->bits[i];
	return any == 0;
}

static bool get_policy(int *mode, struct os_nodes *nodes, long flags)
{
	*nodes = (struct os_nodes){.bits = {0}};
	return !os_is_error(
		os_syscall6(SYS_get_mempolicy, (long)mode, (long)nodes, NODE_BITS, 0, flags, 0));
}

bool os_allowed_nodes(struct os_nodes *nodes)
{
	return get_policy(NULL, nodes, GET_MEMS_ALLOWED) && !is_empty(nodes);
}

/* Relative ones are told as bits of the cpuset, whatever nodes that has. */
static enum os_policy policy_of(uint32_t mode)
{
	if (mode & MODE_RELATIVE_NODES)
		return OS_POLICY_LOCAL;
	switch (mode & ~MODE_FLAGS) {
	case MODE_PREFERRED:
	case MODE_PREFERRED_MANY:
		return OS_POLICY_PREFERRED;
	case MODE_BIND:
		return OS_POLICY_BIND;
	case MODE_INTERLEAVE:
	case MODE_WEIGHTED_INTERLEAVE:
		return OS_POLICY_INTERLEAVE;
	default:
		return OS_POLICY_LOCAL;
	}
}

enum os_policy os_process_policy(struct os_nodes *nodes)
{
	enum os_policy policy = OS_POLICY_LOCAL;
	int mode = MODE_DEFAULT;

	if (get_policy(&mode, nodes, 0) && !is_empty(nodes))
		policy = policy_of((uint32_t)mode);
	if (policy == OS_POLICY_LOCAL)
		*nodes = (struct os_nodes){.bits = {0}};
	return policy;
}

static bool set_policy(void *addr, size_t size, int mode, const struct os_nodes *nodes)
{
	return !os_is_error(
		os_syscall6(SYS_mbind, (long)addr, (long)size, mode, (long)nodes, NODE_BITS, 0));
}

bool os_bind_preferred(void *addr, size_t size, uint32_t node)
{
	struct os_nodes nodes = {.bits = {0}};

	if (node >= OS_MAX_NODES)
		return false;
	nodes.bits[node / 64] = (uint64_t)1 << node % 64;
	return set_policy(addr, size, MODE_PREFERRED, &nodes);
}

bool os_bind_interleave(void *addr, size_t size, const struct os_nodes *nodes)
{
	return set_policy(addr, size, MODE_INTERLEAVE, nodes);
}

/* Of each page the node that it is on, or below 0 that it is on none. With `targets` they are moved there. */
static bool page_nodes(uint32_t n, void *const *pages, const int *targets, int *nodes)
{
	__builtin_memset(nodes, 0xff, n * sizeof(*nodes));
	return !os_is_error(os_syscall6(SYS_move_pages, 0, n, (long)pages, (long)targets,
					(long)nodes, targets ? MOVE_OWN_PAGES : 0));
}

uint32_t os_move_pages(void *addr, uint32_t pages, int from, uint32_t node, uint32_t *failed)
{
	void *page[OS_MOVE_MAX];
	int nodes[OS_MOVE_MAX], targets[OS_MOVE_MAX];
	uint32_t n = pages < OS_MOVE_MAX ? pages : OS_MOVE_MAX, away = 0, moved = 0;

	for (uint32_t i = 0; i < n; i++)
		page[i] = (void *)((uintptr_t)addr + i * os_page_size());
	if (node >= OS_MAX_NODES || !page_nodes(n, page, NULL, nodes))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		if (nodes[i] < 0 || nodes[i] == (int)node || (from >= 0 && nodes[i] != from))
			continue;
		targets[away] = (int)node;
		page[away++] = page[i];
	}
	if (!away)
		return 0;
	/* What it says of the pages is of each by itself, while a huge page moves as a whole: look again. */
	page_nodes(away, page, targets, nodes);
	if (!page_nodes(away, page, NULL, nodes))
		return 0;
	for (uint32_t i = 0; i < away; i++) {
		moved += nodes[i] == (int)node;
		*failed += nodes[i] >= 0 && nodes[i] != (int)node;
	}
	return moved;
}

int os_page_node(const void *page)
{
	void *pages[1] = {(void *)(uintptr_t)page};
	int node = -1;

	return page_nodes(1, pages, NULL, &node) ? node : -1;
}
