/*
 * The objects of nodes.c: they are had of the core by all of its calls, filled at both ends, and checked there.
 */
#ifndef USLUB_STRESS_NODES_H
#define USLUB_STRESS_NODES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kmalloc.h"
#include "core/nolock.h"
#include "core/options.h"

enum { NODES = 4, CACHES = 3 };
#define MIB ((size_t)1 << 20)
/* Of each object so much at both ends is filled and checked. */
#define EDGE ((size_t)512)

/* A sanitizer's own memory grows. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_INSTRUMENTED true
#else
#define IS_INSTRUMENTED false
#endif

#define CHECK(cond) ((cond) ? (void)0 : failed(__LINE__, #cond))

__attribute__((noreturn)) static void failed(int line, const char *text)
{
	fprintf(stderr, "nodes: line %d: %s\n", line, text);
	abort();
}

struct object {
	unsigned char *p;
	size_t size;
	struct kmem_cache *cache; /* NULL: kmalloc's */
	unsigned char mark;
};

static struct kmem_cache *caches[CACHES];

static inline uint64_t random_next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return *seed ^ *seed >> 29;
}

static inline size_t below(uint64_t *seed, size_t n)
{
	return (size_t)(random_next(seed) >> 16) % n;
}

static inline size_t edge(const struct object *o)
{
	return o->size < EDGE ? o->size : EDGE;
}

static inline void fill(struct object *o, uint64_t *seed)
{
	o->mark = (unsigned char)random_next(seed);
	memset(o->p, o->mark, edge(o));
	memset(o->p + o->size - edge(o), o->mark, edge(o));
}

static inline void check_range(const unsigned char *p, size_t n, unsigned char mark)
{
	for (size_t i = 0; i < n; i++)
		CHECK(p[i] == mark);
}

static inline void check(const struct object *o)
{
	check_range(o->p, edge(o), o->mark);
	check_range(o->p + o->size - edge(o), edge(o), o->mark);
}

static inline size_t random_size(uint64_t *seed, bool may_be_large)
{
	size_t kind = may_be_large ? below(seed, 400) : 399;

	if (kind == 0)
		return 33 * MIB + below(seed, MIB);
	if (kind < 9)
		return 40000 + below(seed, 3 * MIB);
	return 1 + below(seed, kind < 40 ? 32768 : 1200);
}

static inline struct node *random_node(uint64_t *seed)
{
	return kmalloc_find_node((int)below(seed, NODES));
}

static inline void make_of_cache(struct object *o, uint64_t *seed)
{
	struct node *node = random_node(seed);

	o->cache = caches[below(seed, CACHES)];
	o->size = o->cache->object_size;
	o->p = node && below(seed, 2) ? cache_alloc_node(o->cache, node) : cache_alloc(o->cache);
}

static inline void make(struct object *o, uint64_t *seed, bool may_be_large)
{
	struct node *node = random_node(seed);

	o->cache = NULL;
	o->size = random_size(seed, may_be_large);
	switch (below(seed, 8)) {
	case 0:
		make_of_cache(o, seed);
		break;
	case 1:
		o->p = node ? kmalloc_node(o->size, false, node) : kmalloc(o->size);
		break;
	case 2:
		o->p = kmalloc_nolock(o->size, 0, false, node);
		break;
	case 3:
		o->p = kzalloc(o->size);
		if (o->p)
			check_range(o->p, edge(o), 0);
		break;
	default:
		o->p = kmalloc(o->size);
	}
	CHECK(o->p || options.node_sizes[0]);
	if (o->p)
		fill(o, seed);
}

static inline void drop(struct object *o)
{
	check(o);
	if (o->cache)
		slab_free(slab_of(o->p), o->p);
	else
		kfree(o->p);
	o->p = NULL;
}

static inline void resize(struct object *o, uint64_t *seed, bool may_be_large)
{
	size_t size = random_size(seed, may_be_large), least = size < o->size ? size : o->size;
	unsigned char *p;

	if (o->cache)
		return;
	check(o);
	p = krealloc(o->p, size);
	CHECK(p || options.node_sizes[0]);
	if (!p)
		return;
	o->p = p;
	check_range(o->p, least < EDGE ? least : EDGE, o->mark);
	o->size = size;
	fill(o, seed);
}

#endif
