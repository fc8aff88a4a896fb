/*
 * What the tests of nodes that are in use share: a child that runs on simulated nodes, on a cpu of the test's choice,
 * and what its nodes hold. The linker's --wrap leads os_getcpu() here.
 */
#ifndef USLUB_UNIT_NODES_H
#define USLUB_UNIT_NODES_H

#include "heap.h"

#include "core/bitmap.h"
#include "core/frame.h"
#include "core/hotplug.h"
#include "core/large.h"
#include "core/options.h"

#define MIB ((size_t)1 << 20)

/* The cpu that the thread is on, as far as the core knows; below 0: the one it is on. */
static _Thread_local int test_cpu;

int __real_os_getcpu(void);
int __wrap_os_getcpu(void);
int __wrap_os_getcpu(void)
{
	return test_cpu < 0 ? __real_os_getcpu() : test_cpu;
}

struct on_nodes {
	void (*run)(void);
	uint32_t nodes;
	const char *distance, *sizes, *cpus;
};

static void start_nodes(void *arg)
{
	const struct on_nodes *test = arg;

	options.purge_delay_ms = 1000;
	options.nodes = test->nodes;
	strcpy(options.distance, test->distance);
	strcpy(options.node_sizes, test->sizes);
	strcpy(options.node_cpus, test->cpus);
	nodes_init();
	must(numa_is_on());
	test->run();
}

static inline void on_nodes(void **state)
{
	run_good_child(start_nodes, *state);
}

/* In a child with so many nodes, whose distances, sizes and cpus are given as in USLUB. */
#define ON_NODES(fn, nodes, distance, sizes, cpus)            \
	{                                                     \
#fn, on_nodes, NULL, NULL, &(struct on_nodes) \
		{                                             \
			fn, nodes, distance, sizes, cpus      \
		}                                             \
	}

static inline struct node *node(uint32_t id)
{
	struct node *found = numa_node(id);

	must(found);
	return found;
}

static inline bool is_on(const void *p, uint32_t id)
{
	must(p);
	return kmalloc_node_of(p) == (int)id;
}

/* The policy by the words that the options have for it. */
static inline bool set_policy(const char *text)
{
	struct id_set nodes = {.bits = {0}};
	enum policy_mode mode = POLICY_DEFAULT;

	must(policy_parse(text, strlen(text), &mode, &nodes));
	return nodes_set_policy(mode, &nodes);
}

/* Until nothing is left to move: within a bound, for it has an end. */
static inline void poll_all(void)
{
	uint32_t polls = 0;

	while (hotplug_poll())
		must(++polls < 1000000);
}

/* Frames of the node that somebody holds. */
static inline size_t frames_in_use(uint32_t id)
{
	struct section *sec;
	size_t n = 0;

	for_each_section_of(node(id), sec)
	{
		for (uint32_t w = 0; w < SECTION_WORDS; w++)
			n += (size_t)__builtin_popcountll(atomic_load(&sec->used[w]) &
							  atomic_load(&sec->reserved[w]));
	}
	return n;
}

/* Bytes of the node's frames that are in memory. */
static inline size_t resident_on(uint32_t id)
{
	struct section *sec;
	size_t bytes = 0;

	for_each_section_of(node(id), sec)
	{
		for (uint32_t i = 0; i < SECTION_FRAMES; i++) {
			if (bitmap_test(sec->dirty, i, 1, true))
				bytes += os_resident(frame_address(sec, i), FRAME_SIZE);
		}
	}
	return bytes;
}

static inline uint64_t count_of(uint32_t id, enum node_count which)
{
	return atomic_load(&node(id)->count[which]);
}

/* A slow path of this thread, of a cache that the tests don't otherwise use. */
static inline void pass_slow_path(void)
{
	struct kmem_cache *s = kmalloc_cache(16);
	void *first = NULL;
	void **p;

	do {
		p = kmalloc(16);
		must(p);
		*p = first;
		first = p;
	} while (sheaf_length(s));
	p = kmalloc(16);
	kfree(p);
	while (first) {
		p = first;
		first = *p;
		kfree(p);
	}
}

#endif
