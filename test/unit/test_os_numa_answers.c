/*
 * What kernels answer that this machine's doesn't: of several nodes, of pages that can't move, and by refusing. The
 * calls of os_numa.c, which is compiled in here, come to a kernel of the test's.
 */
#include "unit.h"

#include <errno.h>

#include "core/os.h"
#include "core/os_syscall.h"

static long kernel(long nr, long a, long b, long c, long d, long e, long f);
static int unknown_cpu(void);
#define os_syscall6 kernel
#define sched_getcpu unknown_cpu
#include "core/os_numa.c"
#undef os_syscall6
#undef sched_getcpu

#define NODES 4
#define PAGE(i) ((void *)(UINT64_C(0x10000000) + (i)*os_page_size()))

/* Of each page the node, or an error of its own. */
static struct fake_kernel {
	int on[OS_MOVE_MAX];
	bool stuck[OS_MOVE_MAX]; /* can't be moved */
	bool fleeting;		 /* what is to be moved is given back meanwhile */
	bool huge;		 /* all pages are one: it moves, but only the first says so */
	long answer;		 /* below 0: to every call */
	long move_answer;	 /* below 0: to calls that move */
	long mode;
	struct os_nodes nodes;
	uint32_t calls, asked_to_move;
} fake;

static long move_page(uint64_t i, int target)
{
	fake.asked_to_move++;
	if (fake.on[i] < 0 || fake.stuck[i])
		return fake.on[i] < 0 ? fake.on[i] : -EBUSY;
	if (!fake.huge) {
		fake.on[i] = fake.fleeting ? -ENOENT : target;
		return fake.on[i];
	}
	for (uint32_t page = 0; page < OS_MOVE_MAX; page++)
		fake.on[page] = target;
	return i ? -EBUSY : target;
}

static long fake_move_pages(unsigned long n, void *const *pages, const int *targets, int *status,
			    long flags)
{
	must(n <= OS_MOVE_MAX && flags == (targets ? 2 : 0));
	for (unsigned long i = 0; i < n; i++) {
		uint64_t page = ((uint64_t)pages[i] - (uint64_t)PAGE(0)) / os_page_size();

		must(page < OS_MOVE_MAX && pages[i] == PAGE(page));
		if (targets && fake.move_answer < 0)
			return fake.move_answer;
		must(!targets || (targets[i] >= 0 && targets[i] < NODES));
		status[i] = targets ? (int)move_page(page, targets[i]) : fake.on[page];
	}
	return 0;
}

/* The kernel takes one off the number of bits, unlike what it answers. */
static long fake_get_mempolicy(int *mode, struct os_nodes *nodes, long bits)
{
	must(bits == OS_NODE_WORDS * 64 + 1);
	if (mode)
		*mode = (int)fake.mode;
	*nodes = fake.nodes;
	return 0;
}

static long kernel(long nr, long a, long b, long c, long d, long e, long f)
{
	fake.calls++;
	if (fake.answer < 0)
		return fake.answer;
	if (nr == SYS_move_pages) {
		must(a == 0);
		return fake_move_pages((unsigned long)b, (void *const *)c, (const int *)d, (int *)e,
				       f);
	}
	if (nr == SYS_get_mempolicy) {
		must(d == 0 && e == (a ? 0 : 4));
		return fake_get_mempolicy((int *)a, (struct os_nodes *)b, c);
	}
	must(nr == SYS_mbind && e == OS_NODE_WORDS * 64 + 1 && f == 0);
	fake.mode = c;
	fake.nodes = *(const struct os_nodes *)d;
	return 0;
}

static int unknown_cpu(void)
{
	errno = ENOSYS;
	return -1;
}

static int reset(void **state)
{
	(void)state;
	fake = (struct fake_kernel){.answer = 0};
	return 0;
}

static void those_on_other_nodes_move(void **state)
{
	uint32_t failed = 0;

	(void)state;
	for (unsigned int i = 0; i < OS_MOVE_MAX; i++)
		fake.on[i] = i % 5 < NODES ? (int)(i % 5) : -ENOENT;
	assert_int_equal(os_move_pages(PAGE(0), 250, -1, 1, &failed), 150);
	assert_int_equal(failed, 0);
	assert_int_equal(fake.asked_to_move, 150);
	for (int i = 0; i < (int)OS_MOVE_MAX; i++)
		assert_int_equal(fake.on[i], i % 5 == 4 ? -ENOENT : i < 250 ? 1 : i % 5);
	assert_int_equal(os_move_pages(PAGE(0), 250, -1, 1, &failed), 0);
	assert_int_equal(fake.asked_to_move, 150);
}

static void those_that_are_stuck_are_counted(void **state)
{
	uint32_t failed = 100;

	(void)state;
	for (unsigned int i = 0; i < OS_MOVE_MAX; i++) {
		fake.on[i] = i == 20 ? -EFAULT : 2;
		fake.stuck[i] = i < 10;
	}
	assert_int_equal(os_move_pages(PAGE(0), 30, -1, 3, &failed), 19);
	assert_int_equal(failed, 110);
}

static void no_more_than_the_most_are_moved(void **state)
{
	uint32_t failed = 0;

	(void)state;
	assert_int_equal(os_move_pages(PAGE(0), OS_MOVE_MAX, -1, 1, &failed), OS_MOVE_MAX);
	assert_int_equal(os_move_pages(PAGE(0), UINT32_MAX, -1, 2, &failed), OS_MOVE_MAX);
	assert_int_equal(failed, 0);
}

/* All but its first page are said to be busy. */
static void huge_pages_move_as_a_whole(void **state)
{
	uint32_t failed = 0;

	(void)state;
	fake.huge = true;
	assert_int_equal(os_move_pages(PAGE(0), OS_MOVE_MAX, -1, 1, &failed), OS_MOVE_MAX);
	assert_int_equal(failed, 0);
}

static void pages_given_back_are_no_failures(void **state)
{
	uint32_t failed = 0;

	(void)state;
	fake.fleeting = true;
	fake.stuck[2] = true;
	assert_int_equal(os_move_pages(PAGE(0), 20, -1, 1, &failed), 0);
	assert_int_equal(failed, 1);
}

static void a_refusal_to_move_is_seen(void **state)
{
	uint32_t failed = 0;

	(void)state;
	fake.on[3] = 2;
	fake.on[4] = -ENOENT;
	fake.move_answer = -ENODEV;
	assert_int_equal(os_move_pages(PAGE(0), 10, -1, 2, &failed), 0);
	assert_int_equal(failed, 8);
}

static void refusals_are_soft(void **state)
{
	static const long errors[] = {-ENOSYS, -EPERM, -EINVAL, -EFAULT, -ENOMEM};

	(void)state;
	for (unsigned int i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct os_nodes nodes;
		uint32_t failed = 0;

		fake.answer = errors[i];
		memset(&nodes, 0xff, sizeof(nodes));
		errno = 4711;
		assert_int_equal(os_move_pages(PAGE(0), 10, -1, 2, &failed), 0);
		assert_int_equal(failed, 0);
		assert_true(os_page_node(PAGE(0)) < 0);
		assert_true(os_getcpu() < 0);
		assert_false(os_bind_preferred(PAGE(0), os_page_size(), 0));
		assert_false(os_bind_interleave(PAGE(0), os_page_size(), &nodes));
		assert_false(os_allowed_nodes(&nodes));
		assert_int_equal(os_process_policy(&nodes), OS_POLICY_LOCAL);
		assert_true(is_zero(&nodes, sizeof(nodes)));
		assert_int_equal(errno, 4711);
	}
	/* Nobody may have memory of no node. */
	reset(NULL);
	assert_false(os_allowed_nodes(&(struct os_nodes){.bits = {0}}));
}

static void ranges_are_bound(void **state)
{
	const struct os_nodes some = {.bits = {5, 0, 1}};

	(void)state;
	assert_true(os_bind_preferred(PAGE(0), os_page_size(), 1023));
	assert_int_equal(fake.mode, 1);
	assert_int_equal(fake.nodes.bits[15], UINT64_C(1) << 63);
	assert_int_equal(fake.nodes.bits[0], 0);
	assert_true(os_bind_interleave(PAGE(0), os_page_size(), &some));
	assert_int_equal(fake.mode, 3);
	assert_memory_equal(&fake.nodes, &some, sizeof(some));
	fake.calls = 0;
	assert_false(os_bind_preferred(PAGE(0), os_page_size(), 1024));
	assert_int_equal(fake.calls, 0);
}

static void policies_are_understood(void **state)
{
	static const struct {
		long mode;
		enum os_policy expected;
	} all[] = {
		{0, OS_POLICY_LOCAL},	       {1, OS_POLICY_PREFERRED},
		{2, OS_POLICY_BIND},	       {3, OS_POLICY_INTERLEAVE},
		{4, OS_POLICY_LOCAL},	       {5, OS_POLICY_PREFERRED},
		{6, OS_POLICY_INTERLEAVE},     {7, OS_POLICY_LOCAL},
		{2 | 0x8000, OS_POLICY_BIND},  {2 | 0x2000, OS_POLICY_BIND},
		{2 | 0x4000, OS_POLICY_LOCAL}, {0x7fffffff, OS_POLICY_LOCAL},
	};
	struct os_nodes nodes;

	(void)state;
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		fake.mode = all[i].mode;
		fake.nodes = (struct os_nodes){.bits = {6, [15] = 1}};
		assert_int_equal(os_process_policy(&nodes), all[i].expected);
		assert_int_equal(nodes.bits[0], all[i].expected == OS_POLICY_LOCAL ? 0 : 6);
		fake.nodes = (struct os_nodes){.bits = {0}};
		assert_int_equal(os_process_policy(&nodes), OS_POLICY_LOCAL);
	}
	fake.nodes.bits[3] = 8;
	assert_true(os_allowed_nodes(&nodes));
	assert_int_equal(nodes.bits[3], 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(those_on_other_nodes_move, reset),
		cmocka_unit_test_setup(those_that_are_stuck_are_counted, reset),
		cmocka_unit_test_setup(no_more_than_the_most_are_moved, reset),
		cmocka_unit_test_setup(huge_pages_move_as_a_whole, reset),
		cmocka_unit_test_setup(pages_given_back_are_no_failures, reset),
		cmocka_unit_test_setup(a_refusal_to_move_is_seen, reset),
		cmocka_unit_test_setup(refusals_are_soft, reset),
		cmocka_unit_test_setup(ranges_are_bound, reset),
		cmocka_unit_test_setup(policies_are_understood, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
