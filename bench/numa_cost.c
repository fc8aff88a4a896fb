// SPDX-License-Identifier: MIT
/*
 * What nodes cost, by the thread's CPU time; lines `ns WHAT PICOSECONDS`. Called by numa.c.
 *
 * cost: pairs of malloc and free as they are without a thought of nodes: in LIFO order, where few are slow; in
 * bursts, where each few hundred is; of large objects, where every one asks for the node; and the question itself.
 * remote: the same of a certain node.
 */
#include "numa.h"

#include <sched.h>

#define LIVE 8
#define BURST 50000U
#define PAIRS 4000000U
#define BURSTS 21U
#define LARGE ((size_t)128 << 10)
#define LARGE_PAIRS 300000U
#define CHASE ((size_t)32 * MIB)

static void *slots[BURST];

static void tell(const char *what, uint64_t begin, uint64_t operations)
{
	say("ns %s %llu\n", what, (unsigned long long)((cpu_ns() - begin) * 1000 / operations));
}

static void *usual(size_t size, int node)
{
	(void)node;
	return malloc(size);
}

static void pairs(const char *what, void *(*allocate)(size_t, int), size_t size, int node)
{
	uint64_t begin = 0;

	/* First unmeasured. */
	for (unsigned int turn = 0; turn < 2; turn++) {
		begin = cpu_ns();
		for (unsigned int i = 0; i < PAIRS / LIVE; i++) {
			for (unsigned int k = 0; k < LIVE; k++)
				touch(slots[k] = allocate(size, node));
			for (unsigned int k = LIVE; k-- > 0;)
				free(slots[k]);
		}
	}
	tell(what, begin, PAIRS);
}

static void bursts(const char *what, void *(*allocate)(size_t, int), size_t size, int node)
{
	uint64_t begin = cpu_ns();

	for (unsigned int turn = 0; turn < BURSTS; turn++) {
		if (turn == 1)
			begin = cpu_ns();
		for (unsigned int i = 0; i < BURST; i++)
			touch(slots[i] = allocate(size, node));
		for (unsigned int i = 0; i < BURST; i++)
			free(slots[i]);
	}
	tell(what, begin, (uint64_t)(BURSTS - 1) * BURST);
}

static void large_pairs(void)
{
	uint64_t begin = cpu_ns();

	for (unsigned int i = 0; i < LARGE_PAIRS; i++) {
		void *p = malloc(LARGE);

		touch(p);
		free(p);
	}
	tell("large", begin, LARGE_PAIRS);
}

static void questions(void)
{
	uint64_t begin = cpu_ns();
	int sum = 0;

	for (unsigned int i = 0; i < PAIRS; i++)
		sum += sched_getcpu();
	if (sum < 0)
		die("the kernel doesn't say where a thread runs\n");
	tell("getcpu", begin, PAIRS);
}

void numa_cost(size_t size)
{
	pairs("pairs", usual, size, 0);
	bursts("bursts", usual, size, 0);
	large_pairs();
	questions();
}

/* From cell to cell, each a cache line, in random order: the time is the memory's. */
static void chase(const char *what, int node)
{
	size_t cells = CHASE / 64;
	char *memory = malloc_node(CHASE, node);
	uint64_t begin, random = 1;
	uint32_t at = 0;

	if (!memory)
		die("no memory\n");
	/* Sattolo's shuffle: one cycle through all. */
	for (size_t i = 0; i < cells; i++)
		*(uint32_t *)(void *)(memory + i * 64) = (uint32_t)i;
	for (size_t i = cells - 1; i > 0; i--) {
		uint32_t *a = (void *)(memory + i * 64);
		uint32_t *b = (void *)(memory + random_below(&random, i) * 64), swap = *a;

		*a = *b;
		*b = swap;
	}
	begin = cpu_ns();
	for (size_t i = 0; i < cells; i++)
		at = *(uint32_t *)(void *)(memory + (size_t)at * 64);
	tell(what, begin, cells);
	if (at != 0)
		die("the cycle is broken\n");
	free(memory);
}

void numa_remote(size_t size)
{
	int here = places[0].node, there = places[1].node;

	pairs("malloc", usual, size, 0);
	pairs("node-local", malloc_node, size, here);
	pairs("node-remote", malloc_node, size, there);
	bursts("malloc-burst", usual, size, 0);
	bursts("local-burst", malloc_node, size, here);
	bursts("remote-burst", malloc_node, size, there);
	chase("chase-local", here);
	chase("chase-remote", there);
}
