/*
 * Where memory comes from: the cpu's node, the policy's, the one that is asked for. In children with simulated nodes.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "nodes.h"

#include "core/nolock.h"
#include "core/reserve.h"

static const size_t sizes[] = {1, 16, 100, 1000, 5000, 32768, 40000, 300000, 3 * MIB, 40 * MIB};
#define NR_SIZES ((int)(sizeof(sizes) / sizeof(sizes[0])))

/* The first two cpus that this process may run on. */
static bool two_cpus(int cpus[2])
{
	cpu_set_t set;
	int n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return false;
	for (size_t cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++) {
		if (CPU_ISSET(cpu, &set))
			cpus[n++] = (int)cpu;
	}
	return n == 2;
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	must(!sched_setaffinity(0, sizeof(set), &set));
}

/* One object of each size: all of the node. */
static void check_home(uint32_t id)
{
	for (int i = 0; i < NR_SIZES; i++) {
		unsigned int tries = 0;
		void *p = kmalloc(sizes[i]);

		/* What the sheaf still holds is of where the thread was. */
		while (!is_on(p, id) && tries++ < 2000)
			p = kmalloc(sizes[i]);
		must(is_on(p, id));
		if (sizes[i] > RUN_CACHED_MAX)
			must(tries == 0);
		kfree(p);
	}
}

static int real_cpus[2];

static void follows_affinity(void)
{
	test_cpu = -1;
	for (uint32_t round = 0; round < 6; round++) {
		run_on(real_cpus[round % 2]);
		check_home(round % 2);
	}
}

static void home_follows_the_cpu(void **state)
{
	char cpus[64];
	struct on_nodes test = {follows_affinity, 2, "", "", cpus};

	(void)state;
	skip_if(!two_cpus(real_cpus), "a single cpu");
	sprintf(cpus, "%d/%d", real_cpus[0], real_cpus[1]);
	run_good_child(start_nodes, &test);
}

/* Cpus that nobody knows, and those of nodes without memory. */
static void strange_cpus(void)
{
	static const int cpus[] = {7, 4095, 4096, INT32_MAX};

	for (int i = 0; i < 4; i++) {
		test_cpu = cpus[i];
		must(kmalloc_node_of(kmalloc(100)) >= 0 && kmalloc_node_of(kmalloc(MIB)) >= 0);
	}
}

static void explicit_nodes(void)
{
	for (uint32_t id = 0; id < 4; id++) {
		for (int i = 0; i < NR_SIZES; i++) {
			struct node *n = kmalloc_find_node((int)id);
			void *p = kmalloc_node(sizes[i], false, n), *q;

			must(n == node(id) && is_on(p, id));
			memset(p, 0xff, sizes[i] < MIB ? sizes[i] : MIB);
			kfree(p);
			q = kmalloc_node(sizes[i], true, n);
			must(is_on(q, id) && is_zero(q, sizes[i]));
			kfree(q);
		}
	}
	must(!kmalloc_find_node(-1) && !kmalloc_find_node(4) && !kmalloc_find_node(MAX_NODES));
	must(!kmalloc_find_node(INT32_MAX) && !kmalloc_find_node(INT32_MIN));
	must(node_offline(2) == NODE_DONE && !kmalloc_find_node(2));
	must(node_online(2) == NODE_DONE && kmalloc_find_node(2) == node(2));
}

static uint64_t sum(enum node_count which)
{
	uint64_t n = 0;

	for (uint32_t id = 0; id < 4; id++)
		n += count_of(id, which);
	return n;
}

/* Every frame that is had is a hit or a miss of one node, and local or not. */
static void counts_add_up(void)
{
	uint64_t hits;
	void *p;

	for (int i = 0; i < 20000; i++) {
		test_cpu = i / 7 % 4;
		p = i % 3 ? kmalloc(sizes[i % (NR_SIZES - 1)])
			  : kmalloc_node(sizes[i % (NR_SIZES - 1)], false,
					 node((uint32_t)i / 3 % 4));
		must(p);
		if (i % 2)
			kfree(p);
	}
	must(sum(NUMA_HIT) + sum(NUMA_MISS) == sum(LOCAL_NODE) + sum(OTHER_NODE));
	must(sum(NUMA_MISS) == sum(NUMA_FOREIGN) && sum(INTERLEAVE_HIT) == 0);
	for (uint32_t id = 0; id < 4; id++)
		must(count_of(id, NUMA_HIT) + count_of(id, NUMA_MISS) ==
		     count_of(id, LOCAL_NODE) + count_of(id, OTHER_NODE));
	must(sum(NUMA_MISS) > 0);
	hits = count_of(2, NUMA_HIT);
	test_cpu = 0;
	p = kmalloc_node(MIB, false, node(2));
	must(is_on(p, 2) && count_of(2, NUMA_HIT) == hits + 16);
}

static void preferred(void)
{
	must(set_policy("preferred:3"));
	check_home(3);
	must(node_offline(3) == NODE_DONE);
	/* The nearest to it. */
	check_home(2);
	must(node_online(3) == NODE_DONE);
	check_home(3);
	must(set_policy("local"));
	check_home(0);
	must(!set_policy("preferred:9"));
	check_home(0);
}

static void bind_to_some(void)
{
	must(set_policy("bind:1,3"));
	for (int cpu = 0; cpu < 4; cpu++) {
		test_cpu = cpu;
		check_home(cpu < 3 ? 1 : 3);
	}
	test_cpu = 1;
	must(node_offline(1) == NODE_DONE);
	check_home(3);
	/* None of them is left: the policy binds nobody until one is. */
	must(node_offline(3) == NODE_DONE);
	test_cpu = 2;
	check_home(2);
	must(node_online(1) == NODE_DONE);
	check_home(1);
	/* Who asks for a node is not bound. */
	must(is_on(kmalloc_node(100, false, kmalloc_find_node(0)), 0));
}

/* Bound to what is full: no other node is used, and memory is out. */
static void bound_to_full_ones(void)
{
	size_t got = 0;
	void *p;

	must(set_policy("bind:1"));
	while ((p = kmalloc(32768))) {
		must(is_on(p, 1) && got < 64 * MIB);
		got += 32768;
	}
	must(got >= 12 * MIB && got <= 16 * MIB);
	must(!kmalloc(MIB) && !kmalloc(100000) && !kmalloc(40 * MIB));
	must(set_policy("local"));
	must(kmalloc(32768));
}

static void interleave(void)
{
	size_t on[4] = {0};
	uint64_t hits;

	must(set_policy("interleave:0,2-3"));
	hits = sum(NUMA_HIT);
	for (int i = 0; i < 300; i++) {
		int id = kmalloc_node_of(kmalloc(200000));

		must(id >= 0);
		on[id]++;
	}
	must(on[0] == 100 && on[1] == 0 && on[2] == 100 && on[3] == 100);
	must(sum(INTERLEAVE_HIT) == sum(NUMA_HIT) - hits);
	must(node_offline(2) == NODE_DONE);
	memset(on, 0, sizeof(on));
	for (int i = 0; i < 300; i++)
		on[kmalloc_node_of(kmalloc(200000))]++;
	must(on[0] == 150 && on[3] == 150);
	must(set_policy("interleave") && node_online(2) == NODE_DONE);
	memset(on, 0, sizeof(on));
	for (int i = 0; i < 60000; i++)
		on[kmalloc_node_of(kmalloc(1000))]++;
	for (int id = 0; id < 4; id++)
		must(on[id] > 12000 && on[id] < 18000);
}

static size_t constructed;

static void construct(void *object)
{
	memset(object, 0x5a, 200);
	constructed++;
}

static void caches_with_constructors(void)
{
	const struct cache_args args = {
		.name = "made", .size = 200, .align = 16, .ctor = construct};
	struct kmem_cache *s = cache_create(&args);
	size_t before;

	must(s);
	for (uint32_t id = 0; id < 4; id++) {
		for (int i = 0; i < 1000; i++) {
			unsigned char *p = cache_alloc_node(s, node(id));

			must(is_on(p, id) && p[0] == 0x5a && !memcmp(p, p + 1, 199));
			if (i % 2)
				slab_free(slab_of(p), p);
		}
	}
	before = constructed;
	must(node_offline(3) == NODE_DONE);
	test_cpu = 3;
	pass_slow_path();
	for (int i = 0; i < 1000; i++) {
		unsigned char *p = cache_alloc(s);

		must(p && !is_on(p, 3) && p[0] == 0x5a && !memcmp(p, p + 1, 199));
	}
	must(constructed >= before);
}

/* From the reserve, whose pieces are of the nodes in turn, and without one. */
static void nolock_with_a_node(void)
{
	for (uint32_t id = 0; id < 4; id++)
		must(is_on(kmalloc_nolock(100, 0, false, node(id)), id));
	must(nolock_init(8 * MIB));
	for (uint32_t id = 0; id < 4; id++) {
		void *p = kmalloc_nolock(100, 0, true, node(id));
		void *q = kmalloc_nolock(100000, 0, true, node(id));

		must(is_on(p, id) && is_zero(p, 100) && virt_to_slab(p)->reserved);
		must(is_on(q, id) && is_zero(q, 100000) && virt_to_slab(q)->reserved);
		kfree_nolock(p);
		kfree_nolock(q);
	}
	/* More than there is of a node's share: the others', then the heap. */
	for (int i = 0; i < 30000; i++)
		must(kmalloc_nolock(1000, 0, false, node(1)));
}

/* Growing, it stays on the node where its frames have room, and the content is kept wherever it goes. */
static void realloc_from_node_to_node(void)
{
	for (uint32_t id = 0; id < 4; id++) {
		unsigned char *p = kmalloc_node(100, false, node(id));

		memset(p, 1 + (int)id, 100);
		for (size_t size = 200; size < 100 * MIB; size *= 3) {
			p = krealloc(p, size);
			must(p && p[0] == 1 + id && p[99] == 1 + id);
		}
		for (size_t size = 50 * MIB; size > 100; size /= 3) {
			p = krealloc(p, size);
			must(p && p[0] == 1 + id && p[99] == 1 + id);
		}
		kfree(p);
	}
}

/* It is freed elsewhere than it was made: it goes back to its node, not into a slab of another's. */
static void *free_all(void *arg)
{
	void **objects = arg;

	test_cpu = 3;
	for (int i = 0; i < 10000; i++)
		kfree(objects[i]);
	return NULL;
}

static void freed_elsewhere(void)
{
	static void *objects[10000];
	size_t before;

	test_cpu = 1;
	kfree(kmalloc(500));
	before = frames_in_use(1);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 10000; i++)
			must(is_on(objects[i] = kmalloc(500), 1));
		run_thread(free_all, objects);
	}
	thread_flush_all(current_thread);
	must(frames_in_use(1) <= before + 100);
	must(frames_in_use(3) <= 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(home_follows_the_cpu),
		ON_NODES(strange_cpus, 4, "", "", "0/1/2/3"),
		ON_NODES(explicit_nodes, 4, "", "", "0/1/2/3"),
		ON_NODES(counts_add_up, 4, "", "0/16M/0/0", "0/1/2/3"),
		ON_NODES(preferred, 4, "10/20/30/40", "", "0/1/2/3"),
		ON_NODES(bind_to_some, 4, "10/20/30/40", "", "0/1/2/3"),
		ON_NODES(bound_to_full_ones, 4, "", "16M", "0/1/2/3"),
		ON_NODES(interleave, 4, "", "", "0/1/2/3"),
		ON_NODES(caches_with_constructors, 4, "", "", "0/1/2/3"),
		ON_NODES(nolock_with_a_node, 4, "", "", "0/1/2/3"),
		ON_NODES(realloc_from_node_to_node, 4, "", "", "0/1/2/3"),
		ON_NODES(freed_elsewhere, 4, "", "", "0/1/2/3"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
