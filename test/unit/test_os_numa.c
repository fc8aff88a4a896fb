/*
 * What the kernel is asked about nodes, on this machine: with one node, with more, or where it says nothing, as an
 * emulator or a container. What other kernels answer is in test_os_numa_answers.c.
 */
#include "unit.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>

#include "core/os.h"
#include "core/os_numa.h"

#define PAGES 16U
#define NOT_AN_ADDRESS ((void *)(UINTPTR_MAX & ~(uintptr_t)0xffff))

/* linux/mempolicy.h's */
enum { PREFERRED = 1, BIND, INTERLEAVE, LOCAL };
#define STATIC_NODES 0x8000
#define RELATIVE_NODES 0x4000

static char *area;
static size_t page_size;

static int map_area(void **state)
{
	(void)state;
	page_size = os_page_size();
	area = mmap(NULL, OS_MOVE_MAX * page_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(area != MAP_FAILED);
	/* A huge page would be there as a whole. */
	madvise(area, OS_MOVE_MAX * page_size, MADV_NOHUGEPAGE);
	errno = 4711;
	return 0;
}

static int unmap_area(void **state)
{
	(void)state;
	assert_int_equal(errno, 4711);
	return munmap(area, OS_MOVE_MAX * page_size);
}

static bool has_node(const struct os_nodes *nodes, uint32_t node)
{
	return nodes->bits[node / 64] >> node % 64 & 1;
}

/* The process's nodes from `node` on; OS_MAX_NODES: no more. */
static uint32_t next_node(const struct os_nodes *nodes, uint32_t node)
{
	while (node < OS_MAX_NODES && !has_node(nodes, node))
		node++;
	return node;
}

/* Skips the test where the kernel tells nothing. */
static uint32_t first_node(struct os_nodes *nodes)
{
	bool told = os_allowed_nodes(nodes);

	skip_if(!told, "the kernel tells nothing of nodes");
	assert_true(next_node(nodes, 0) < OS_MAX_NODES);
	return next_node(nodes, 0);
}

static void touch(uint32_t pages)
{
	for (uint32_t i = 0; i < pages; i++)
		area[i * page_size] = 1;
}

static void the_cpu_is_known(void **state)
{
	struct os_cpus cpus;
	cpu_set_t all, one;

	(void)state;
	assert_true(os_allowed_cpus(&cpus));
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		assert_int_equal(cpus.bits[cpu / 64] >> cpu % 64 & 1, CPU_ISSET(cpu, &all) != 0);
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one) == 0 && !UNDER_EMULATOR)
			assert_int_equal(os_getcpu(), cpu);
		assert_true(os_getcpu() >= 0);
	}
	sched_setaffinity(0, sizeof(all), &all);
	errno = 4711;
}

static void pages_are_on_nodes(void **state)
{
	struct os_nodes nodes;
	int node;

	(void)state;
	assert_true(os_page_node(area) < 0);
	assert_true(os_page_node(NOT_AN_ADDRESS) < 0);
	touch(1);
	node = os_page_node(area);
	first_node(&nodes);
	skip_if(node < 0, "the kernel doesn't tell where pages are");
	assert_true(has_node(&nodes, (uint32_t)node));
	assert_true(os_page_node(area + page_size) < 0);
}

static void memory_is_bound(void **state)
{
	struct os_nodes nodes;
	uint32_t node = first_node(&nodes);
	bool bound = os_bind_preferred(area, PAGES * page_size, node);

	(void)state;
	touch(PAGES);
	skip_if(!bound, "the kernel refuses to bind memory");
	assert_true(os_page_node(area) < 0 || os_page_node(area) == (int)node);
	assert_true(os_bind_interleave(area, PAGES * page_size, &nodes));
	/* Where there is more than one, each is served. */
	for (; next_node(&nodes, node) < OS_MAX_NODES; node++) {
		node = next_node(&nodes, node);
		assert_true(os_bind_preferred(area, PAGES * page_size, node));
		assert_true(os_purge(area, PAGES * page_size));
		touch(PAGES);
		assert_true(os_page_node(area + page_size) < 0 ||
			    os_page_node(area + page_size) == (int)node);
	}
}

static void what_cannot_be_bound_is_memory_all_the_same(void **state)
{
	const struct os_nodes none = {.bits = {0}}, beyond = {.bits = {[15] = UINT64_C(1) << 63}};

	(void)state;
	assert_false(os_bind_preferred(area, page_size, OS_MAX_NODES));
	assert_false(os_bind_preferred(area, page_size, UINT32_MAX));
	assert_false(os_bind_preferred(area, page_size, OS_MAX_NODES - 1));
	assert_false(os_bind_preferred(area + 1, page_size, 0));
	assert_false(os_bind_preferred(NOT_AN_ADDRESS, page_size, 0));
	assert_false(os_bind_interleave(area, page_size, &none));
	assert_false(os_bind_interleave(area, page_size, &beyond));
	touch(1);
}

static void pages_at_home_stay(void **state)
{
	struct os_nodes nodes;
	uint32_t node = first_node(&nodes), failed = 5;

	(void)state;
	assert_int_equal(os_move_pages(area, OS_MOVE_MAX, -1, node, &failed), 0);
	assert_int_equal(os_move_pages(NOT_AN_ADDRESS, OS_MOVE_MAX, -1, node, &failed), 0);
	assert_int_equal(os_move_pages(area, 0, -1, node, &failed), 0);
	assert_int_equal(failed, 5);
	os_bind_preferred(area, PAGES * page_size, node);
	touch(PAGES);
	skip_if(os_page_node(area) != (int)node, "the kernel doesn't tell where pages are");
	assert_int_equal(os_move_pages(area, OS_MOVE_MAX, -1, node, &failed), 0);
	assert_int_equal(failed, 5);
}

static void nobody_moves_to_where_nothing_is(void **state)
{
	uint32_t failed = 0;

	(void)state;
	touch(PAGES);
	assert_int_equal(os_move_pages(area, OS_MOVE_MAX, -1, OS_MAX_NODES - 1, &failed), 0);
	assert_int_equal(failed, os_page_node(area) < 0 ? 0 : PAGES);
	failed = 0;
	assert_int_equal(os_move_pages(area, PAGES, -1, OS_MAX_NODES, &failed), 0);
	assert_int_equal(os_move_pages(area, PAGES, -1, UINT32_MAX, &failed), 0);
	assert_int_equal(failed, 0);
}

static void pages_move(void **state)
{
	struct os_nodes nodes;
	uint32_t from = first_node(&nodes), to = next_node(&nodes, from + 1), failed = 0;

	(void)state;
	skip_if(to == OS_MAX_NODES, "the machine has one node");
	assert_true(os_bind_preferred(area, PAGES * page_size, from));
	touch(PAGES);
	assert_true(os_bind_preferred(area, PAGES * page_size, to));
	assert_int_equal(os_page_node(area), (int)from);
	assert_int_equal(os_move_pages(area, OS_MOVE_MAX, -1, to, &failed), PAGES);
	assert_int_equal(failed, 0);
	for (uint32_t i = 0; i < PAGES; i++) {
		assert_int_equal(os_page_node(area + i * page_size), (int)to);
		assert_int_equal(area[i * page_size], 1);
	}
	assert_int_equal(os_move_pages(area, OS_MOVE_MAX, -1, to, &failed), 0);
}

struct started {
	long mode;
	uint32_t node;
	enum os_policy expected;
	bool has_nodes;
};

static void ask_with_policy(void *arg)
{
	const struct started *s = arg;
	struct os_nodes nodes = {.bits = {0}}, answer;

	nodes.bits[s->node / 64] = UINT64_C(1) << s->node % 64;
	must(!syscall(SYS_set_mempolicy, s->mode, s->has_nodes ? &nodes : NULL,
		      s->has_nodes ? OS_MAX_NODES + 1 : 0));
	errno = 4711;
	memset(&answer, 0xff, sizeof(answer));
	must(os_process_policy(&answer) == s->expected);
	must(errno == 4711);
	if (s->expected == OS_POLICY_LOCAL)
		must(is_zero(&answer, sizeof(answer)));
	else
		must(memcmp(&answer, &nodes, sizeof(nodes)) == 0);
}

static void the_policy_of_the_start_is_known(void **state)
{
	struct os_nodes nodes;
	const uint32_t node = first_node(&nodes);
	struct started all[] = {
		{LOCAL, node, OS_POLICY_LOCAL, false},
		{0, node, OS_POLICY_LOCAL, false},
		{PREFERRED, node, OS_POLICY_LOCAL, false},
		{PREFERRED, node, OS_POLICY_PREFERRED, true},
		{BIND, node, OS_POLICY_BIND, true},
		{BIND | STATIC_NODES, node, OS_POLICY_BIND, true},
		{INTERLEAVE, node, OS_POLICY_INTERLEAVE, true},
		{BIND | RELATIVE_NODES, 0, OS_POLICY_LOCAL, true},
	};
	const bool may = !syscall(SYS_set_mempolicy, 0, NULL, 0);

	(void)state;
	errno = 4711;
	skip_if(!may, "the kernel lets nobody set a policy");
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		run_good_child(ask_with_policy, &all[i]);
}

#define area_test(fn) cmocka_unit_test_setup_teardown(fn, map_area, unmap_area)

int main(void)
{
	const struct CMUnitTest tests[] = {
		area_test(the_cpu_is_known),
		area_test(pages_are_on_nodes),
		area_test(memory_is_bound),
		area_test(what_cannot_be_bound_is_memory_all_the_same),
		area_test(pages_at_home_stay),
		area_test(nobody_moves_to_where_nothing_is),
		area_test(pages_move),
		area_test(the_policy_of_the_start_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
