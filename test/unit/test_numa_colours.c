/*
 * Colours: what a thread frees of another node's goes to its slab, and malloc() never hands it out; what is of its own
 * goes onto its sheaf. In children with simulated nodes.
 */
#include "nodes.h"

#include "core/kmalloc.h"
#include "core/kmem_cache.h"

#define NR_OBJECTS 3000

static const size_t sizes[] = {1, 64, 200, 1000, 5000, 32768, 40000, 4 * FRAME_SIZE};
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static struct kmem_cache *cache;
static void *objects[NR_OBJECTS];

static void *make(size_t size)
{
	void *p = cache ? cache_alloc(cache) : kmalloc(size);

	must(p);
	return p;
}

/* On the cpu of node 0: the thread's colour is that node's from its first refill on. */
static void *produce(void *arg)
{
	size_t size = *(const size_t *)arg;

	test_cpu = 0;
	for (int i = 0; i < NR_OBJECTS; i++)
		objects[i] = make(size);
	return NULL;
}

/* Each object that it frees is one of node 0's; none of those that it gets may be. */
static void *consume(void *arg)
{
	size_t size = *(const size_t *)arg;
	void *own;

	test_cpu = 1;
	own = make(size);
	must(is_on(own, 1));
	for (int i = 0; i < NR_OBJECTS; i++) {
		must(is_on(objects[i], 0));
		kfree(objects[i]);
		objects[i] = make(size);
		must(is_on(objects[i], 1));
	}
	for (int i = 0; i < NR_OBJECTS; i++)
		kfree(objects[i]);
	kfree(own);
	return NULL;
}

static void in_a_thread(void *(*fn)(void *), size_t size)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, fn, &size));
	must(!pthread_join(thread, NULL));
}

static void hand_over(size_t size)
{
	in_a_thread(produce, size);
	in_a_thread(consume, size);
}

static void far_objects_go_home(void)
{
	for (size_t i = 0; i < NR_SIZES; i++)
		hand_over(sizes[i]);
}

static void those_of_own_caches_too(void)
{
	struct cache_args args = {"far", 72, MIN_ALIGN, CACHE_NO_MERGE, NULL};

	cache = cache_create(&args);
	must(cache);
	hand_over(72);
}

/* By the fast path: the very object comes back next. */
static void near_objects_stay(void)
{
	test_cpu = 1;
	for (size_t i = 0; i < NR_SIZES; i++) {
		void *p = kmalloc(sizes[i]), *again;

		kfree(p);
		again = kmalloc(sizes[i]);
		must(again == p && is_on(p, 1));
		kfree(again);
	}
}

/* A slab of another colour leads free() to words that aren't this record's address: in all pages, of all caches. */
static void no_colour_leads_to_a_lock(void)
{
	struct thread *t = current_thread;

	for (size_t i = 0; i < NR_SIZES; i++)
		kfree(kmalloc(sizes[i]));
	for (uint32_t colour = COLOUR_STEP; colour < NR_COLOURS * COLOUR_STEP;
	     colour += COLOUR_STEP) {
		must(*(uintptr_t *)((char *)t + colour) != (uintptr_t)t);
		for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++) {
			uint32_t at = kmalloc_caches[i].cpu_offset ^ colour;

			must(thread_cpu(t, at)->local_lock != (uintptr_t)t);
		}
	}
}

/* One node is as good as another: what is freed is had again, wherever it is. */
static void interleaved_ones_have_none(void)
{
	must(set_policy("interleave"));
	must(numa_colour(node(0)) == 0 && numa_colour(node(1)) == 0);
	for (size_t i = 0; i < NR_SIZES; i++) {
		void *p = kmalloc(sizes[i]), *again;

		kfree(p);
		again = kmalloc(sizes[i]);
		must(again == p);
		kfree(again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_NODES(far_objects_go_home, 2, "", "", "0/1"),
		ON_NODES(those_of_own_caches_too, 2, "", "", "0/1"),
		ON_NODES(near_objects_stay, 2, "", "", "0/1"),
		ON_NODES(no_colour_leads_to_a_lock, 2, "", "", "0/1"),
		ON_NODES(interleaved_ones_have_none, 2, "", "", "0/1"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
