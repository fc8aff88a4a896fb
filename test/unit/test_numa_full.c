/*
 * Nodes that are used up: what they lack comes from the nearest that has it, and is had of them again when it is
 * freed; what is free elsewhere is found before memory is said to be out.
 */
#include "nodes.h"
#include "wrap_os.h"

#include "core/nolock.h"
#include "core/reserve.h"

#define MOST 100000

static void *objects[MOST];
static size_t nr_objects;

/* Until `bytes` are had, or one isn't of the node. Returns how many bytes there were. */
static size_t fill(size_t size, uint32_t id, size_t bytes)
{
	size_t got = 0;

	while (got < bytes) {
		void *p = kmalloc(size);

		must(p && nr_objects < MOST);
		objects[nr_objects++] = p;
		if (!is_on(p, id))
			break;
		got += size;
	}
	return got;
}

static void free_from(size_t first)
{
	while (nr_objects > first)
		kfree(objects[--nr_objects]);
}

static void forget_sheaves(void)
{
	thread_flush_all(current_thread);
}

/* 16 MiB on node 0: what comes then is of node 2, which is nearer than node 1. */
static void falls_back_by_distance(void)
{
	size_t got = fill(32768, 0, 64 * MIB);

	must(got >= 12 * MIB && got <= 16 * MIB);
	must(is_on(objects[nr_objects - 1], 2));
	got = fill(32768, 2, 64 * MIB);
	must(got >= 12 * MIB && got <= 16 * MIB);
	must(is_on(objects[nr_objects - 1], 1));
	free_from(0);
}

/* A long run comes from far away, for there is none nearer: a single frame is nearer all the same. */
static void falls_back_by_what_it_is(void)
{
	fill(32768, 0, 64 * MIB);
	must(is_on(objects[nr_objects - 1], 1));
	for (int i = 0; i < 5; i++) {
		void *run = kmalloc(20 * MIB);

		must(is_on(run, 2));
		must(is_on(kmalloc(60000), 1) && fill(8192, 1, MIB) == MIB);
		kfree(run);
	}
}

static void comes_back(void)
{
	fill(32768, 0, 64 * MIB);
	must(is_on(objects[nr_objects - 1], 2));
	must(atomic_load(&node(0)->full));
	free_from(0);
	forget_sheaves();
	must(!atomic_load(&node(0)->full));
	must(fill(32768, 0, 8 * MIB) == 8 * MIB);
}

/* A mapping of its own took most of the node: when it is gone, the rest is to be had for frames. */
static void comes_back_after_mapped(void)
{
	void *mapped = kmalloc_node(40 * MIB, false, node(0));

	must(is_on(mapped, 0) && virt_to_slab(mapped)->kind == FRAME_MAPPED);
	must(fill(32768, 0, 64 * MIB) < 24 * MIB);
	must(is_on(objects[nr_objects - 1], 1));
	kfree(mapped);
	forget_sheaves();
	must(fill(32768, 0, 20 * MIB) == 20 * MIB);
}

/* Frames that were all freed are room for a mapping. */
static void frames_make_room_for_mapped(void)
{
	void *mapped;

	must(fill(32768, 0, 56 * MIB) >= 50 * MIB);
	free_from(0);
	forget_sheaves();
	purge_all();
	mapped = kmalloc_node(40 * MIB, false, node(0));
	must(is_on(mapped, 0));
}

/* What a large object grows by is of the node's size as well. */
static void grows_elsewhere(void)
{
	char *p = kmalloc_node(40 * MIB, false, node(0));

	must(is_on(p, 0));
	p[0] = 7;
	p = krealloc(p, 100 * MIB);
	must(p && p[0] == 7);
	must(atomic_load(&node(0)->mapped) <= atomic_load(&node(0)->size));
	must(atomic_load(&node(0)->charged) <= atomic_load(&node(0)->size));
}

static bool refuse_new(enum os_call call, const void *addr, size_t size)
{
	(void)addr;
	(void)size;
	return call != OS_RESERVE && call != OS_RESERVE_AT && call != OS_COMMIT && call != OS_MAP;
}

/* Nothing more of the kernel: what is free in slabs of the other node is had before malloc says NULL. */
static void finds_partial_slabs_elsewhere(void)
{
	size_t size = 1024, got = 0, on_1 = 0;
	void *first;

	/* One slab of node 1, with one object. */
	test_cpu = 1;
	first = kmalloc(size);
	must(is_on(first, 1));
	forget_sheaves();
	test_cpu = 0;
	must(is_on(kmalloc(size), 0));
	os_hook = refuse_new;
	for (;;) {
		void *p = kmalloc(size);

		if (!p)
			break;
		got++;
		on_1 += is_on(p, 1);
	}
	os_hook = NULL;
	must(got > 0);
	must(on_1 >= FRAME_SIZE / size - 1);
}

/* The other node's frames are well used, too: a slab for each refill would take many times as much. */
static void uses_frames_elsewhere_well(void)
{
	size_t size = 1024, n;
	void *keep[64];

	test_cpu = 1;
	for (n = 0; n < 64; n++)
		must((keep[n] = kmalloc(65536)) && is_on(keep[n], 1));
	for (n = 0; n < 64; n++)
		kfree(keep[n]);
	forget_sheaves();
	test_cpu = 0;
	must(is_on(kmalloc(size), 0));
	os_hook = refuse_new;
	for (n = 0;; n++) {
		void *p = kmalloc(size);

		if (!p)
			break;
	}
	os_hook = NULL;
	/* 64 frames of node 1 and more of node 0. */
	must(n >= 60 * (FRAME_SIZE / size));
}

/* Slabs of several frames, of a node that the thread isn't on. */
static void uses_wide_slabs_elsewhere_well(void)
{
	const struct cache_args args = {
		.name = "wide", .size = 20000, .align = 16, .flags = CACHE_NO_MERGE};
	struct kmem_cache *s = cache_create(&args);
	size_t n = 0, before;

	must(s && s->nr_frames > 1);
	/* All runs of node 0 are gone. */
	fill(32768, 0, 64 * MIB);
	/* A frame here and there is free. */
	kfree(objects[0]);
	kfree(objects[1]);
	forget_sheaves();
	before = frames_in_use(1);
	for (; n < 2000; n++) {
		void *p = cache_alloc(s);

		must(p);
	}
	must((frames_in_use(1) - before) <= n / s->objects * s->nr_frames * 5 / 4);
}

/* Both nodes' share of the reserve is used to the end. */
static void reserve_is_used_up(void)
{
	size_t n = 0, size = 1024, held = 0;

	must(nolock_init(2 * MIB));
	test_cpu = 0;
	while (reserve_has(1)) {
		void *p = kmalloc_nolock(size, 0, false, NULL);

		must(p);
		n++;
	}
	held = n * size;
	must(held >= 2 * MIB * 8 / 10);
}

/* Allocated from before nodes were known, as by constructors that ran first: the size holds all the same. */
static void check_early(void)
{
	size_t got = fill(32768, 0, 200 * MIB);

	must(got >= 50 * MIB && got <= 64 * MIB);
}

static void allocate_early(void *arg)
{
	must(kmalloc(100));
	start_nodes(arg);
}

static void allocated_early(void **state)
{
	struct on_nodes test = {check_early, 2, "", "64M/0", "0/1"};

	(void)state;
	run_good_child(allocate_early, &test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocated_early),
		ON_NODES(falls_back_by_distance, 3, "10/30/20", "16M", "0/1/2"),
		ON_NODES(falls_back_by_what_it_is, 4, "10/20/30/40", "16M/16M/0/0", "0/1/2/3"),
		ON_NODES(comes_back, 3, "10/30/20", "16M", "0/1/2"),
		ON_NODES(comes_back_after_mapped, 2, "", "64M/0", "0/1"),
		ON_NODES(frames_make_room_for_mapped, 2, "", "64M/0", "0/1"),
		ON_NODES(grows_elsewhere, 2, "", "64M/0", "0/1"),
		ON_NODES(finds_partial_slabs_elsewhere, 2, "", "", "0/1"),
		ON_NODES(uses_frames_elsewhere_well, 2, "", "", "0/1"),
		ON_NODES(uses_wide_slabs_elsewhere_well, 2, "", "16M/0", "0/1"),
		ON_NODES(reserve_is_used_up, 2, "", "", "0/1"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
