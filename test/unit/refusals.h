/*
 * What the tests of a kernel that says no share: it says so to some kinds of call, here and there, until
 * it is told to allow all, when everything must go on.
 */
#ifndef USLUB_UNIT_REFUSALS_H
#define USLUB_UNIT_REFUSALS_H

#include "heap.h"
#include "wrap_os.h"

#include "core/frame.h"
#include "core/kmem_cache.h"
#include "core/options.h"

#define MIB ((size_t)1 << 20)

static unsigned int refused_kinds;
static size_t refused_from, refused_to; /* calls of so many bytes */
static unsigned int refusals, most_refusals;

static bool refuse(enum os_call call, const void *addr, size_t size)
{
	(void)addr;
	if (!(refused_kinds & 1U << call) || size < refused_from || size > refused_to ||
	    refusals == most_refusals)
		return true;
	refusals++;
	return false;
}

static inline void refuse_kinds(unsigned int kinds, size_t from)
{
	refused_kinds = kinds;
	refused_from = from;
	refused_to = SIZE_MAX;
	refusals = 0;
	most_refusals = UINT32_MAX;
	os_hook = refuse;
}

static inline void allow_all(void)
{
	must(refusals > 0);
	os_hook = NULL;
}

static inline void check_heap(void)
{
	void *small = kmalloc(100), *large = kmalloc(MIB), *mapped = kmalloc(40 * MIB);

	must(small && large && mapped);
	memset(large, 1, MIB);
	kfree(small);
	kfree(large);
	kfree(mapped);
}

static inline void fill(char *p, size_t size)
{
	for (size_t at = 0; at < size; at += 4096)
		p[at] = (char)(at / 4096);
}

static inline bool is_filled(const char *p, size_t size)
{
	for (size_t at = 0; at < size; at += 4096) {
		if (p[at] != (char)(at / 4096))
			return false;
	}
	return true;
}

struct scenario {
	void (*run)(void *);
};

static inline void in_a_child(void **state)
{
	const struct scenario *scenario = *state;

	run_good_child(scenario->run, NULL);
}

#define CHILD(fn)                                               \
	{                                                       \
#fn, in_a_child, NULL, NULL, &(struct scenario) \
		{                                               \
			fn                                      \
		}                                               \
	}

#endif
