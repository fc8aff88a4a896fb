/* The control files of a heap with nodes: those of the test, which stand in for the core's. */
#include "heap.h"

#include <errno.h>

#include "core/control_snapshot.h"
#include "core/control_tree.h"

/* 0 and 5 are online, 2 is possible, and 1023 goes offline. */
static const uint32_t nodes[] = {0, 2, 5, 1023};
#define NR_NODES 4U

static struct {
	uint32_t node;
	uint64_t size;
	enum node_result result; /* of whatever is asked for */
	const char *what;
} asked;

void __wrap_node_control_set(enum node_set which, struct id_set *set);
enum node_state __wrap_node_control_state(uint32_t node);
void __wrap_node_control_info(uint32_t node, struct node_info *info);
uint32_t __wrap_node_control_distance(uint32_t from, uint32_t to);
void __wrap_node_control_cpus(uint32_t node, struct id_set *cpus);
enum node_result __wrap_node_control_online(uint32_t node);
enum node_result __wrap_node_control_offline(uint32_t node);
enum node_result __wrap_node_control_probe(uint32_t node, uint64_t size);
uint32_t __wrap_node_control_of(const void *addr);

void __wrap_node_control_set(enum node_set which, struct id_set *set)
{
	memset(set, 0, sizeof(*set));
	for (unsigned int i = 0; i < NR_NODES; i++) {
		if (which == NODES_POSSIBLE ||
		    (which == NODES_HAS_CPU ? nodes[i] == 0
					    : __wrap_node_control_state(nodes[i]) == NODE_ONLINE))
			id_set_add(set, nodes[i]);
	}
}

enum node_state __wrap_node_control_state(uint32_t node)
{
	if (node == 1023)
		return NODE_GOING_OFFLINE;
	return node == 2 ? NODE_OFFLINE : NODE_ONLINE;
}

void __wrap_node_control_info(uint32_t node, struct node_info *info)
{
	*info = (struct node_info){
		.size = (uint64_t)node << 20, .counts = true, .hit = node, .miss = 7};
}

uint32_t __wrap_node_control_distance(uint32_t from, uint32_t to)
{
	return from == to ? 10 : 20 + to;
}

void __wrap_node_control_cpus(uint32_t node, struct id_set *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
	for (uint32_t cpu = node; cpu < 2 * node; cpu++)
		id_set_add(cpus, cpu);
}

static enum node_result ask(const char *what, uint32_t node, uint64_t size)
{
	asked.what = what;
	asked.node = node;
	asked.size = size;
	return asked.result;
}

enum node_result __wrap_node_control_online(uint32_t node)
{
	return ask("online", node, 0);
}

enum node_result __wrap_node_control_offline(uint32_t node)
{
	return ask("offline", node, 0);
}

enum node_result __wrap_node_control_probe(uint32_t node, uint64_t size)
{
	return ask("probe", node, size);
}

static struct {
	enum policy_mode mode;
	struct id_set nodes;
	bool refuses; /* to set one */
} policy;

enum policy_mode __wrap_node_control_policy(struct id_set *set);
bool __wrap_node_control_set_policy(enum policy_mode mode, const struct id_set *set);

enum policy_mode __wrap_node_control_policy(struct id_set *set)
{
	*set = policy.nodes;
	return policy.mode;
}

bool __wrap_node_control_set_policy(enum policy_mode mode, const struct id_set *set)
{
	if (policy.refuses)
		return false;
	policy.mode = mode;
	policy.nodes = *set;
	return true;
}

/* Slab by slab. */
uint32_t __wrap_node_control_of(const void *addr)
{
	return nodes[((uintptr_t)addr >> FRAME_SHIFT) % NR_NODES];
}

static char text[1 << 16];

static const char *show(const char *path)
{
	struct control_out out = {text, sizeof(text) - 1, 0};

	assert_int_equal(control_show(path, strlen(path), &out), 0);
	text[out.len] = '\0';
	return text;
}

static int store(const char *path, const char *value)
{
	return control_store(path, strlen(path), value, strlen(value));
}

#define NODE(file) "devices/system/node/" file

static void numbers_may_have_gaps(void **state)
{
	struct control_out out = {text, sizeof(text) - 1, 0};

	(void)state;
	assert_string_equal(show(NODE("possible")), "0,2,5,1023\n");
	assert_string_equal(show(NODE("online")), "0,5\n");
	assert_string_equal(show(NODE("has_cpu")), "0\n");
	assert_int_equal(control_list(NODE(""), strlen(NODE("")), &out), 0);
	text[out.len] = '\0';
	assert_non_null(
		strstr(text, "d 0555 node0\nd 0555 node2\nd 0555 node5\nd 0555 node1023\n"));
	assert_int_equal(control_stat(NODE("node1"), strlen(NODE("node1")), &out), ENOENT);
	assert_string_equal(show(NODE("node2/state")), "offline\n");
	assert_string_equal(show(NODE("node5/state")), "online\n");
	assert_string_equal(show(NODE("node1023/state")), "going-offline\n");
	assert_string_equal(show(NODE("node5/distance")), "20 10\n");
	assert_string_equal(show(NODE("node2/distance")), "20 25\n");
	assert_string_equal(show(NODE("node5/cpulist")), "5-9\n");
	assert_string_equal(show(NODE("node0/cpulist")), "\n");
	assert_non_null(
		strstr(show(NODE("node1023/meminfo")), "Node 1023 MemTotal:       1047552 kB\n"));
	assert_string_equal(show(NODE("node5/numastat")),
			    "numa_hit 5\nnuma_miss 7\nnuma_foreign 0\ninterleave_hit 0\n"
			    "local_node 0\nother_node 0\n");
	/* Nothing has come from it: what it holds by now is no matter. */
	assert_int_equal(strncmp(show(NODE("node0/numastat")), "numa_hit 0\n", 11), 0);
}

static void each_answer_has_its_errno(void **state)
{
	static const struct {
		enum node_result result;
		int error;
	} all[] = {
		{NODE_DONE, 0},	    {NODE_SAME, EINVAL},    {NODE_VETOED, ENOMEM},
		{NODE_LAST, EBUSY}, {NODE_UNKNOWN, ERANGE}, {NODE_EXISTS, EEXIST},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		asked.result = all[i].result;
		assert_int_equal(store(NODE("node5/state"), "offline\n"), all[i].error);
		assert_string_equal(asked.what, "offline");
		assert_int_equal(asked.node, 5);
		assert_int_equal(store(NODE("node2/state"), "online"), all[i].error);
		assert_string_equal(asked.what, "online");
		assert_int_equal(asked.node, 2);
		assert_int_equal(store(NODE("probe"), "17 64M\n"), all[i].error);
		assert_string_equal(asked.what, "probe");
		assert_int_equal(asked.node, 17);
		assert_int_equal(asked.size, 64 << 20);
	}
	asked.what = NULL;
	assert_int_equal(store(NODE("node1/state"), "online"), ENOENT);
	assert_int_equal(store(NODE("node2/state"), "going-offline"), EINVAL);
	assert_int_equal(store(NODE("probe"), "1024 1"), ERANGE);
	assert_null(asked.what);
	asked.result = NODE_DONE;
	assert_int_equal(store(NODE("probe"), "3 1000"), 0);
	assert_int_equal(asked.size, 1000);
	assert_int_equal(store(NODE("probe"), "3 2G"), 0);
	assert_int_equal(asked.size, (uint64_t)2 << 30);
	assert_int_equal(store(NODE("probe"), "3 5K"), 0);
	assert_int_equal(asked.size, 5 << 10);
}

static void a_policy_reads_as_it_was_stored(void **state)
{
	static const char *const good[] = {"interleave\n",	"preferred:5\n", "bind:0,2\n",
					   "bind:0,2,5,1023\n", "bind:1023\n",	 "interleave:0,5\n",
					   "preferred:1023\n",	"local\n"};
	static const struct {
		const char *text;
		int error;
	} bad[] = {
		{"", 0},
		{"\n", EINVAL},
		{"locals", EINVAL},
		{"local\n\n", EINVAL},
		{"local:0", EINVAL},
		{"LOCAL", EINVAL},
		{" local", EINVAL},
		{"preferred", EINVAL},
		{"preferred:", EINVAL},
		{"preferred:-1", EINVAL},
		{"preferred:0,2", EINVAL},
		{"bind", EINVAL},
		{"bind:0,,2", EINVAL},
		{"bind:2-0", EINVAL},
		{"bind:5000-0", EINVAL},
		{"bind:0x2", EINVAL},
		{"other:5000", EINVAL},
		{"preferred:1", ERANGE},
		{"bind:0-2", ERANGE},
		{"bind:1022-1023", ERANGE},
		{"preferred:1024", ERANGE},
		{"preferred:4294967296", ERANGE},
		{"interleave:0,99999999999999999999999999\n", ERANGE},
		{"interleave:0-5000", ERANGE},
	};

	(void)state;
	assert_string_equal(show(NODE("policy")), "local\n");
	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(store(NODE("policy"), good[i]), 0);
		assert_string_equal(show(NODE("policy")), good[i]);
	}
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(store(NODE("policy"), bad[i].text), bad[i].error);
		assert_string_equal(show(NODE("policy")), "local\n");
	}
	policy.refuses = true;
	assert_int_equal(store(NODE("policy"), "interleave"), ENOMEM);
	assert_string_equal(show(NODE("policy")), "local\n");
}

/* Of a figure's line, the sum, and what each node has. */
static uint64_t read_figure(const char *name, uint64_t each[NR_NODES])
{
	uint64_t sum, total = 0;
	char path[64], *at;

	snprintf(path, sizeof(path), "kernel/slab/kmalloc-512/%s", name);
	show(path);
	sum = strtoull(text, &at, 10);
	memset(each, 0, NR_NODES * sizeof(*each));
	for (unsigned int i = 0; *at == ' '; i++) {
		unsigned int node;
		int n;

		assert_int_equal(sscanf(at, " N%u=%n", &node, &n), 1);
		while (i < NR_NODES && nodes[i] != node)
			i++;
		assert_true(i < NR_NODES);
		each[i] = strtoull(at + n, &at, 10);
		assert_true(each[i] > 0);
		total += each[i];
	}
	assert_string_equal(at, "\n");
	assert_int_equal(sum, total);
	return sum;
}

static void figures_are_split_by_node(void **state)
{
	static void *objects[3000];
	struct kmem_cache *s = kmalloc_cache(512);
	uint64_t slabs[NR_NODES], all[NR_NODES], used[NR_NODES], expected[NR_NODES] = {0};

	(void)state;
	for (unsigned int i = 0; i < 3000; i++)
		objects[i] = kmalloc(512);
	assert_int_equal(read_figure("objects", used), 3000);
	assert_int_equal(read_figure("slabs", slabs), slabs_of(s));
	assert_int_equal(read_figure("total_objects", all), slabs_of(s) * s->objects);
	/* What lies in the sheaf is subtracted in proportion. */
	for (unsigned int i = 0; i < NR_NODES; i++) {
		assert_true(slabs[i] > 0);
		assert_int_equal(all[i], slabs[i] * s->objects);
		assert_true(used[i] <= all[i]);
	}
	for (unsigned int i = 0; i < 3000; i += 3)
		kfree(objects[i]);
	assert_int_equal(read_figure("objects", used), 2000);
	/* With nothing in the sheaf each node's are exact. */
	thread_flush_all(current_thread);
	assert_int_equal(read_figure("objects", used), 2000);
	for (unsigned int i = 0; i < 3000; i++) {
		for (unsigned int node = 0; node < NR_NODES && i % 3; node++)
			expected[node] += __wrap_node_control_of(
						  (void *)slab_of(objects[i])->base) == nodes[node];
	}
	assert_memory_equal(used, expected, sizeof(used));
	for (unsigned int i = 0; i < 3000; i++) {
		if (i % 3)
			kfree(objects[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_may_have_gaps),
		cmocka_unit_test(each_answer_has_its_errno),
		cmocka_unit_test(a_policy_reads_as_it_was_stored),
		cmocka_unit_test(figures_are_split_by_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
