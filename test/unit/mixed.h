/*
 * What the tests of the sheaf of mixed runs share: runs by their frames, and the sheaf opened and filled.
 */
#ifndef USLUB_UNIT_MIXED_H
#define USLUB_UNIT_MIXED_H

#include "large.h"

#include "core/thread.h"

#define MIXED (&run_caches[RUNS_MIXED])
#define LEAST (NR_RUN_LENGTHS + 1)

static inline void *run_of(uint32_t n)
{
	void *p = kmalloc(n * FRAME_SIZE);

	must(p && virt_to_slab(p)->nr_frames == n);
	return p;
}

static inline bool is_open(void)
{
	return own_cpu(MIXED)->grade == MIXED_SHEAF_OPEN;
}

static inline bool try_to_open(void)
{
	for (unsigned int i = 0; i < 4 * MANY_SWINGS && !is_open(); i++)
		kfree(run_of(LEAST));
	thread_yield_mixed(current_thread);
	return is_open();
}

/* Open and empty. */
static inline void open_anew(void)
{
	kmalloc_trim();
	must(!is_open() && try_to_open() && sheaf_length(MIXED) == 0);
}

static inline void fill_sheaf(void)
{
	void *a = run_of(5), *b = run_of(6);

	kfree(a);
	kfree(b);
	must(sheaf_length(MIXED) == 2);
}

#endif
