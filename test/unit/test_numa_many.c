/* Up to 1,024 nodes, and numbers with gaps: each is of use, and they cost an allocation little. */
#include "nodes.h"

/* Of a slow path, on a machine that others use as well. */
#define BOUND_NS 60000U

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The least time of some tries that something takes. */
static uint64_t least_ns(void (*fn)(void))
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 20; i++) {
		uint64_t start = now_ns();

		fn();
		start = now_ns() - start;
		if (start < least)
			least = start;
	}
	return least;
}

static void get_frame(void)
{
	bool zeroed;

	must(frame_alloc(1, 1, &zeroed));
}

static void get_run(void)
{
	bool zeroed;

	must(frame_alloc(4, 1, &zeroed));
}

static void get_objects(void)
{
	for (int i = 0; i < 64; i++)
		must(kmalloc(8192));
}

static void get_of_node_1(void)
{
	for (int i = 0; i < 64; i++)
		must(kmalloc_node(2000, false, node(1)));
}

static void each_is_of_use(void)
{
	for (uint32_t id = 0; id < MAX_NODES; id++) {
		void *p = kmalloc_node(100, true, kmalloc_find_node((int)id));

		must(is_on(p, id));
		kfree(p);
	}
	for (uint32_t cpu = 0; cpu < 4; cpu++) {
		test_cpu = (int)cpu;
		must(is_on(kmalloc(4000 + cpu), cpu));
	}
	must(node_offline(MAX_NODES - 1) == NODE_DONE);
	must(!kmalloc_find_node(MAX_NODES - 1));
}

static void numbers_with_gaps(void)
{
	static const uint32_t ids[] = {3, 64, 500, 1023};

	for (int i = 0; i < 4; i++) {
		void *p;

		must(node_add(ids[i], 0) == NODE_DONE && node_state(ids[i]) == NODE_OFFLINE);
		must(!kmalloc_find_node((int)ids[i]));
		must(node_online(ids[i]) == NODE_DONE);
		p = kmalloc_node(2 * MIB, false, kmalloc_find_node((int)ids[i]));
		must(is_on(p, ids[i]));
		kfree(p);
	}
	must(set_policy("bind:1023"));
	must(is_on(kmalloc(500), 1023));
	must(node_offline(1023) == NODE_DONE);
	pass_slow_path();
	must(!is_on(kmalloc(600), 1023));
	must(node_online(1023) == NODE_DONE);
	must(is_on(kmalloc(700), 1023));
	must(set_policy("interleave:3,500") && !set_policy("interleave:4"));
	for (int i = 0; i < 100; i++) {
		void *p = kmalloc(MIB);

		must(is_on(p, 3) || is_on(p, 500));
	}
}

/* All but the last few are used up. */
static void fill_nodes(uint32_t from, uint32_t to)
{
	bool zeroed;

	for (uint32_t id = from; id < to; id++) {
		while (frame_alloc_on(node(id), 1, &zeroed))
			;
		must(atomic_load(&node(id)->full));
	}
}

/* The nodes are looked at one after the other, and no more than that: it takes less than few system calls do. */
static void full_ones_cost_little(void)
{
	static void (*const get[])(void) = {get_frame, get_run, get_objects};
	uint64_t few[3], many[3];

	for (uint32_t id = 1; id < MAX_NODES - 1; id++)
		atomic_store(&node(id)->size, 4 * MIB);
	fill_nodes(0, 1);
	atomic_store(&node(1)->size, 512 * MIB);
	for (int i = 0; i < 3; i++)
		few[i] = least_ns(get[i]);
	fill_nodes(1, MAX_NODES - 1);
	for (int i = 0; i < 3; i++)
		many[i] = least_ns(get[i]);
	for (int i = 0; i < 3; i++)
		print_message("%d: %zu ns with one full node, %zu with 1,023\n", i, (size_t)few[i],
			      (size_t)many[i]);
	must(many[0] < few[0] + BOUND_NS && many[1] < few[1] + BOUND_NS);
	must(many[2] < few[2] + 8 * BOUND_NS);
}

/* Of one that is asked for, and full, next to nothing. */
static void asked_for_and_full(void)
{
	uint64_t before = least_ns(get_of_node_1), after;

	fill_nodes(0, 2);
	after = least_ns(get_of_node_1);
	must(after < before * 20 + 64 * 1000);
}

static void in_time(void **state)
{
	skip_if(UNDER_TSAN || UNDER_ASAN, "a sanitizer takes the time");
	on_nodes(state);
}

#define IN_TIME(fn, nodes, sizes)                            \
	{                                                    \
#fn, in_time, NULL, NULL, &(struct on_nodes) \
		{                                            \
			fn, nodes, "", sizes, "0/1/2/3"      \
		}                                            \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_NODES(each_is_of_use, MAX_NODES, "", "", "0/1/2/3"),
		ON_NODES(numbers_with_gaps, 2, "", "", "0/1"),
		IN_TIME(full_ones_cost_little, MAX_NODES, "4M/0"),
		IN_TIME(asked_for_and_full, 4, "64M/64M/0/0"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
