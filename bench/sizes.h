/* SPDX-License-Identifier: MIT */
/*
 * Sizes as programs ask for them: many small, few large, and different in each part of a program. A mix
 * is a table of bands with their share in 256ths.
 */
#ifndef USLUB_BENCH_SIZES_H
#define USLUB_BENCH_SIZES_H

#include "process.h"
#include "workload.h"

struct band {
	unsigned int share;
	size_t low, high;
};

enum mix { MIX_TEXT, MIX_NODES, MIX_RECORDS, MIX_BUFFERS, MIX_ALL, NR_MIXES };

#define MAX_BANDS 6

static const struct band mixes[NR_MIXES][MAX_BANDS] = {
	[MIX_TEXT] = {{154, 8, 48}, {64, 49, 128}, {30, 129, 512}, {8, 513, 4096}},
	[MIX_NODES] = {{102, 24, 24}, {64, 40, 40}, {52, 64, 64}, {25, 96, 96}, {13, 160, 160}},
	[MIX_RECORDS] = {{128, 128, 512}, {90, 513, 1024}, {33, 1025, 4096}, {5, 4097, 16384}},
	[MIX_BUFFERS] = {{154, 1024, 8192},
			 {77, 8193, 32768},
			 {22, 32769, 131072},
			 {3, 131073, 1048576}},
	[MIX_ALL] = {{128, 8, 64},
		     {77, 65, 256},
		     {38, 257, 1024},
		     {10, 1025, 8192},
		     {2, 8193, 32768},
		     {1, 32769, 262144}},
};

static inline size_t draw_size(enum mix mix, uint64_t *random)
{
	uint32_t at = next_random(random) & 255;
	const struct band *band = mixes[mix];

	while (at >= band->share)
		at -= band++->share;
	return band->low + random_below(random, band->high - band->low + 1);
}

/* An object whose every page is in use, as the sum of live bytes supposes. */
static inline void *new_object(size_t size)
{
	char *p = malloc(size);

	if (!p)
		die("no memory\n");
	for (size_t at = 0; at < size; at += 1024)
		*(volatile char *)(p + at) = 1;
	if (size >= sizeof(uintptr_t))
		touch(p);
	return p;
}

/* Says whose malloc it is, and has it make what it needs once in a process. */
static inline void meet_malloc(void)
{
	const char *file = malloc_provider();

	say("malloc %s\n", file ? file : "unknown");
	free(new_object(64));
}

#endif
