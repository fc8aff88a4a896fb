/*
 * What the tests of races share: a side that is led through the test in its middle by the linker's --wrap, and there
 * runs the other one, on a thread of its own, to its end, or to where it has to wait; and a cache with slabs on lists.
 */
#ifndef USLUB_UNIT_RACES_H
#define USLUB_UNIT_RACES_H

#include "nodes.h"

#include "core/kmem_cache.h"

enum place {
	IN_ONLINE,	/* between the kmem_cache_nodes and the bit */
	IN_OFFLINE,	/* behind the bit */
	IN_CREATE,	/* holding the mutex */
	IN_DESTROY,	/* the same */
	IN_SHRINK,	/* at each node's list */
	IN_POP,		/* a slab has left a list */
	IN_RELEASE,	/* a slab is about to go onto one */
	IN_NEW_SLAB_ON, /* the node is chosen, the slab isn't made */
	IN_NEW_FRAMES,	/* the same, of a large object */
	IN_WALK,	/* at each node of a fallback */
	NR_PLACES
};

/* Runs once, at the n-th time that a thread of the test passes the place. */
static void (*there[NR_PLACES])(void);
static int passes[NR_PLACES];
static bool is_nested;

static inline void pass(enum place place)
{
	void (*fn)(void) = there[place];

	if (!fn || is_nested || --passes[place] > 0)
		return;
	there[place] = NULL;
	is_nested = true;
	fn();
	is_nested = false;
}

static inline void at(enum place place, int nth, void (*fn)(void))
{
	there[place] = fn;
	passes[place] = nth;
}

#define AT(type, name, place, params, args) \
	type __real_##name params;          \
	type __wrap_##name params;          \
	type __wrap_##name params           \
	{                                   \
		pass(place);                \
		return __real_##name args;  \
	}

#define AT_VOID(name, place, params, args) \
	void __real_##name params;         \
	void __wrap_##name params;         \
	void __wrap_##name params          \
	{                                  \
		pass(place);               \
		__real_##name args;        \
	}

AT(bool, frame_reserve_first, IN_ONLINE, (struct node * node), (node))
AT_VOID(frame_bind, IN_OFFLINE, (struct node * node), (node))
AT(uint32_t, cache_shrink, IN_CREATE, (struct kmem_cache * s), (s))
AT_VOID(cache_forget, IN_DESTROY, (const struct kmem_cache *s), (s))
AT(uint32_t, shrink_node, IN_SHRINK, (struct kmem_cache_node * n), (n))
AT_VOID(slab_acquire_partial, IN_POP, (struct slab * slab, struct thread *owner), (slab, owner))
AT_VOID(__slab_release_partial, IN_RELEASE, (struct slab * slab), (slab))
AT(struct slab *, new_slab_on, IN_NEW_SLAB_ON,
   (struct kmem_cache * s, struct thread *owner, struct node *node), (s, owner, node))
AT(void *, frame_alloc_near, IN_NEW_FRAMES,
   (struct node * node, uint32_t n, uint32_t align, bool *zeroed), (node, n, align, zeroed))
AT(struct node *, node_walk_next, IN_WALK, (struct node_walk * walk), (walk))

/* The other side, on another thread. */
static pthread_t other;
static _Atomic bool other_done;
static void (*other_fn)(void);

static inline void *run_other(void *arg)
{
	(void)arg;
	test_cpu = 0;
	other_fn();
	atomic_store(&other_done, true);
	return NULL;
}

static inline void start(void (*fn)(void))
{
	atomic_store(&other_done, false);
	other_fn = fn;
	must(!pthread_create(&other, NULL, run_other, NULL));
}

/* It must come to its end, whoever holds what. */
static inline void must_end(void)
{
	for (int ms = 0; !atomic_load(&other_done); ms++) {
		must(ms < 20000);
		sleep_ms(1);
	}
	must(!pthread_join(other, NULL));
}

/* It waits for the mutex, and is left to. */
static inline void must_wait(void)
{
	sleep_ms(30);
	must(!atomic_load(&other_done));
}

static inline void meanwhile(void (*fn)(void))
{
	start(fn);
	must_end();
}

static struct kmem_cache *cache;

static inline struct kmem_cache *make_cache(const char *name)
{
	const struct cache_args args = {
		.name = name, .size = 600, .align = 16, .flags = CACHE_NO_MERGE};
	struct kmem_cache *s = cache_create(&args);

	must(s);
	return s;
}

static inline void offline_1(void)
{
	must(node_offline(1) == NODE_DONE);
}

static inline void offline_1_to_its_end(void)
{
	offline_1();
	poll_all();
}

static inline void check_cache_on(struct kmem_cache *s, uint32_t id)
{
	for (int i = 0; i < 300; i++) {
		char *p = cache_alloc_node(s, node(id));

		must(is_on(p, id));
		memset(p, i, 600);
		slab_free(slab_of(p), p);
	}
}

/* Slabs on lists of nodes 0 and 1, some of them empty. */
static void *kept[2][400];

static inline void make_lists(void)
{
	cache = make_cache("listed");
	for (uint32_t id = 0; id < 2; id++) {
		for (int i = 0; i < 400; i++)
			must(is_on(kept[id][i] = cache_alloc_node(cache, node(id)), id));
	}
}

static inline void free_kept(void)
{
	for (int id = 0; id < 2; id++) {
		for (int i = 0; i < 400; i++)
			slab_free(slab_of(kept[id][i]), kept[id][i]);
	}
}

static inline void check_clean(void)
{
	thread_flush_all(current_thread);
	must(cache_count_objects(cache) == 0);
	must(atomic_load(&get_node(cache, node(0))->nr_partial) <= 8);
	must(atomic_load(&get_node(cache, node(1))->nr_partial) == 0);
}

static inline void go_offline(void)
{
	meanwhile(offline_1_to_its_end);
}

#endif
