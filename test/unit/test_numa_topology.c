/* The machine's nodes, read from directories that look like sysfs, or don't. */
#include "sysfs.h"
#include "topology.h"

#include <sched.h>

#include "core/os_file.h"
#include "core/os_numa.h"

/* What the kernel says of the process is the test's: see CMakeLists.txt. */
static struct os_nodes allowed;
static bool tells_allowed;

bool __wrap_os_allowed_nodes(struct os_nodes *nodes);
bool __wrap_os_allowed_nodes(struct os_nodes *nodes)
{
	*nodes = allowed;
	return tells_allowed;
}

static struct numa_topology *topology;

static const struct numa_topology *read_it(bool expected)
{
	free(topology);
	topology = new_topology();
	assert_int_equal(numa_topology_read(topology, sysfs), expected);
	assert_false(topology->simulated);
	check_topology(topology);
	return topology;
}

static void allow(uint64_t bits)
{
	tells_allowed = true;
	allowed = (struct os_nodes){.bits = {bits}};
}

static int set_up(void **state)
{
	(void)state;
	tells_allowed = false;
	make_root();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(topology);
	topology = NULL;
	remove_root();
	return 0;
}

/* All that there is is on it, whatever its number: the files of the node itself aren't read. */
static void one_node_is_read(void **state)
{
	static const uint32_t numbers[] = {0, 7, 1023};

	(void)state;
	put("cpu/online", "0-7\n");
	for (unsigned int i = 0; i < 3; i++) {
		const uint32_t node = numbers[i];
		const struct numa_topology *t;
		char text[8];

		snprintf(text, sizeof(text), "%u", node);
		put("node/possible", text);
		t = read_it(true);
		assert_set(&t->possible, text);
		assert_set(&t->memory, text);
		assert_set(&t->cpus[node], "0-7");
		assert_int_equal(t->size[node], os_memory_size());
		assert_int_equal(t->cpu_node[8], node);
	}
}

static void two_nodes_are_read(void **state)
{
	const struct numa_topology *t;

	(void)state;
	put_sets("0-1\n", "0-1\n", "0-1\n");
	put_node(0, "0-1,4-5\n", "10 21\n", 1000);
	put_node(1, "2-3,6-7\n", "31 10\n", 2000);
	t = read_it(true);
	assert_set(&t->memory, "0-1");
	assert_set(&t->cpus[0], "0-1,4-5");
	assert_set(&t->cpus[1], "2-3,6-7");
	assert_int_equal(t->cpu_node[6], 1);
	assert_int_equal(t->size[1], 2000 * 1024);
	assert_distances(t, 0, 2, " 10 21");
	assert_distances(t, 1, 2, " 31 10");
}

/* Numbers of nodes have gaps; `distance` has a number for each that is online. */
static void sparse_nodes_are_read(void **state)
{
	const struct numa_topology *t;

	(void)state;
	put_sets("0,2,7,1023\n", "0,2,7\n", "0,2,7\n");
	put_node(0, "0\n", "10 12 17\n", 1);
	put_node(2, "1\n", "12 10 25\n", 1);
	put_node(7, "2\n", "17 25 10\n", 1);
	t = read_it(true);
	assert_set(&t->possible, "0,2,7,1023");
	assert_set(&t->memory, "0,2,7");
	assert_int_equal(t->distance[0][2], 12);
	assert_int_equal(t->distance[0][7], 17);
	assert_int_equal(t->distance[2][7], 25);
	assert_int_equal(t->distance[7][0], 17);
	assert_int_equal(t->distance[7][1023], REMOTE_DISTANCE);
	assert_int_equal(t->distance[1023][0], REMOTE_DISTANCE);
	assert_set(&t->cpus[1023], "");
	assert_int_equal(t->size[1023], 0);
}

static void nodes_without_memory_or_cpus_are_possible(void **state)
{
	const struct numa_topology *t;

	(void)state;
	put_sets("0-2\n", "0-2\n", "0,2\n");
	put_node(0, "0-3\n", "10 20 40\n", 5);
	put_node(1, "4-7\n", "20 10 40\n", 0);
	put_node(2, "\n", "40 40 10\n", 7);
	t = read_it(true);
	assert_set(&t->possible, "0-2");
	assert_set(&t->memory, "0,2");
	assert_set(&t->cpus[1], "4-7");
	assert_set(&t->cpus[2], "");
	assert_int_equal(t->size[1], 0);
	assert_int_equal(t->size[2], 7 * 1024);
	assert_int_equal(t->distance[2][1], 40);
}

static void memory_is_what_the_process_may_have(void **state)
{
	(void)state;
	put_sets("0-3\n", "0-2\n", "0-2\n");
	put_node(0, "0\n", "10 20 20\n", 1);
	put_node(1, "1\n", "20 10 20\n", 1);
	put_node(2, "2\n", "20 20 10\n", 1);
	allow(6);
	assert_set(&read_it(true)->memory, "1-2");
	assert_set(&topology->possible, "0-3");
	allow(UINT64_MAX);
	assert_set(&read_it(true)->memory, "0-2");
	/* What can't be is left aside. */
	allow(UINT64_C(1) << 40);
	assert_set(&read_it(true)->memory, "0-2");
	allow(0);
	assert_set(&read_it(true)->memory, "0-2");
	tells_allowed = false;
	assert_set(&read_it(true)->memory, "0-2");
}

static void without_a_directory_there_is_one_node(void **state)
{
	const struct numa_topology *t;

	(void)state;
	put("cpu/online", "0-2,5\n");
	t = read_it(false);
	assert_set(&t->possible, "0");
	assert_set(&t->memory, "0");
	assert_set(&t->cpus[0], "0-2,5");
	assert_int_equal(t->size[0], os_memory_size());
	/* Others that come later are its, too. */
	assert_int_equal(t->cpu_node[4], 0);
	assert_int_equal(t->real[0], 0);
}

static void without_anything_there_is_one_node(void **state)
{
	struct numa_topology *t = new_topology();

	(void)state;
	read_it(false);
	assert_true(id_set_has(&topology->cpus[0], (uint32_t)sched_getcpu()));
	assert_false(numa_topology_read(t, "no-slash-in-it"));
	check_topology(t);
	free(t);
	t = new_topology();
	memset(sysfs, 'x', sizeof(sysfs) - 1);
	assert_false(numa_topology_read(t, sysfs));
	check_topology(t);
	free(t);
}

/* A path that is cut off would be another file's. */
static void long_paths_are_refused(void **state)
{
	const size_t room = 256 - strlen("/possible");
	char path[256];

	(void)state;
	put("node/possible", "0-1\n");
	put("node/possibl", "0-2\n");
	memset(path, '/', sizeof(path));
	memcpy(path, root, strlen(root));
	for (size_t len = room - 1; len < room + 2; len++) {
		memcpy(path + len - 4, "node", 5);
		free(topology);
		topology = new_topology();
		assert_int_equal(numa_topology_read(topology, path), len < room);
		check_topology(topology);
		assert_set(&topology->possible, len < room ? "0-1" : "0");
		memset(path + len - 4, '/', 5);
	}
}

static void missing_files_are_made_up_for(void **state)
{
	const struct numa_topology *t;

	(void)state;
	put("node/possible", "0-2\n");
	t = read_it(true);
	assert_set(&t->memory, "0-2");
	assert_distances(t, 1, 3, " 20 10 20");
	put("node/online", "1,3\n");
	t = read_it(true);
	assert_set(&t->possible, "0-3");
	assert_set(&t->memory, "1,3");
	put_node(3, "5\n", NULL, 9);
	t = read_it(true);
	assert_int_equal(t->cpu_node[5], 3);
	assert_int_equal(t->size[3], 9 * 1024);
	assert_distances(t, 3, 4, " 20 20 20 10");
	drop("node/possible");
	t = read_it(true);
	assert_set(&t->possible, "1,3");
	put("node/has_memory", "3,5\n");
	assert_set(&read_it(true)->memory, "3");
}

static void files_that_contradict_each_other_are_survived(void **state)
{
	const struct numa_topology *t;

	(void)state;
	put_sets("0-1\n", "0-1\n", "0-1\n");
	/* As when a node comes while the files are read: other counts, and a cpu that is on both. */
	put_node(0, "0-4\n", "10 21 21\n", 1);
	put_node(1, "4-7\n", "21\n", 1);
	t = read_it(true);
	assert_distances(t, 0, 2, " 10 20");
	assert_distances(t, 1, 2, " 20 10");
	assert_set(&t->cpus[0], "0-4");
	assert_set(&t->cpus[1], "5-7");
}

static void numbers_out_of_range_are_left_out(void **state)
{
	const struct numa_topology *t;

	(void)state;
	put_sets("0-1,1024,4096-99999999999\n", "0-1,1500\n", "1,1024,2000\n");
	put_node(0, "0,4095-4097,70000,18446744073709551617\n", "9 255\n", 1);
	put_node(1, "1\n", "256 99999999999999999999999\n", UINT64_MAX / 1024 + 1);
	t = read_it(true);
	assert_set(&t->possible, "0-1");
	assert_set(&t->memory, "1");
	assert_set(&t->cpus[0], "0,4095");
	assert_distances(t, 0, 2, " 10 255");
	assert_distances(t, 1, 2, " 20 10");
	assert_int_equal(t->size[1], 0);
	put("node/node1/meminfo", "Node 1 MemTotal: 99999999999999999999999999 kB\n");
	assert_int_equal(read_it(true)->size[1], 0);
	put("node/node1/meminfo", "Node 1 MemTotal:");
	assert_int_equal(read_it(true)->size[1], 0);
	put("node/node1/meminfo", "MemTotal:7");
	assert_int_equal(read_it(true)->size[1], 7 * 1024);
	put("node/node1/distance", "15 15\n");
	assert_distances(read_it(true), 1, 2, " 15 10");
	put("node/node1/distance", "0 -5\n");
	assert_distances(read_it(true), 1, 2, " 20 10");
}

static void text_that_says_nothing_is_one_node(void **state)
{
	static const char *const texts[] = {"\n",     "none\n",	       "-\n",
					    "1024\n", "99999999999\n", "5-2"};

	(void)state;
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put_sets(texts[i], texts[i], texts[i]);
		assert_set(&read_it(false)->memory, "0");
		assert_set(&topology->cpus[0], "0-7");
	}
	/* A directory in a file's place. */
	remove_root();
	make_root();
	put("node/possible/x", "");
	read_it(false);
}

static void any_bytes_are_survived(void **state)
{
	static const char *const names[] = {
		"node/possible",       "node/online",	     "node/has_memory",
		"node/node0/cpulist",  "node/node1/cpulist", "node/node0/distance",
		"node/node1/distance", "node/node0/meminfo", "cpu/online",
	};
	static const char letters[] = "0123456789999---,,,  \n\nMemTotal:\0\377";
	uint64_t seed = 7;
	char bytes[200];

	(void)state;
	for (unsigned int turn = 0; turn < ROUNDS(100); turn++) {
		for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
			size_t len = random_below(&seed, turn % 2 ? 12 : sizeof(bytes));

			for (size_t at = 0; at < len; at++)
				bytes[at] = letters[random_below(&seed, sizeof(letters) - 1)];
			put_bytes(names[i], bytes, len);
		}
		free(topology);
		topology = new_topology();
		numa_topology_read(topology, sysfs);
		check_topology(topology);
	}
}

/* Longer than the buffer: the rest isn't read. */
static void endless_files_are_cut_off(void **state)
{
	const size_t size = 200000;
	char *text = malloc(size + 1);

	(void)state;
	must(text);
	for (size_t i = 0; i < size; i += 4)
		memcpy(text + i, "1,0,", 5);
	put_sets(text, text, text);
	put_node(0, text, text, 1);
	assert_set(&read_it(true)->possible, "0-1");
	memset(text, '7', size);
	put_sets("0-1", "0-1", text);
	put_node(0, text, text, 1);
	put("node/node0/meminfo", text);
	assert_set(&read_it(true)->memory, "0-1");
	assert_int_equal(topology->size[0], 0);
	free(text);
}

static void a_thousand_nodes_are_read(void **state)
{
	static char distances[MAX_NODES * 4 + 1];
	const struct numa_topology *t;
	char cpus[32];

	(void)state;
	put_sets("0-1023\n", "0-1023\n", "0-1023\n");
	for (uint32_t node = 0; node < MAX_NODES; node++) {
		char *at = distances;

		for (uint32_t to = 0; to < MAX_NODES; to++)
			at += sprintf(at, "%u ", node == to ? 10 : 11 + (node + to) % 244);
		snprintf(cpus, sizeof(cpus), "%u-%u\n", 4 * node, 4 * node + 3);
		put_node(node, cpus, distances, node + 1);
	}
	t = read_it(true);
	assert_set(&t->possible, "0-1023");
	assert_set(&t->memory, "0-1023");
	for (uint32_t node = 0; node < MAX_NODES; node++) {
		assert_int_equal(t->size[node], (node + 1) * 1024);
		assert_int_equal(t->cpu_node[4 * node + 3], node);
		for (uint32_t to = 0; to < MAX_NODES; to++)
			assert_int_equal(t->distance[node][to],
					 node == to ? 10 : 11 + (node + to) % 244);
	}
}

/* Most of a thousand could come and aren't there: their files aren't looked for. */
static void possible_nodes_are_cheap(void **state)
{
	const struct numa_topology *t;

	(void)state;
	put_sets("0-1023\n", "0\n", "0\n");
	put_node(0, "0\n", "10\n", 1);
	put_node(500, "1\n", "10\n", 1);
	t = read_it(true);
	assert_set(&t->memory, "0");
	assert_set(&t->cpus[500], "");
	assert_int_equal(t->distance[1023][500], REMOTE_DISTANCE);
}

/* This machine's, whatever it is. */
static void the_real_one_is_read(void **state)
{
	char text[4096] = "";

	(void)state;
	free(topology);
	topology = new_topology();
	if (!numa_topology_read(topology, "/sys/devices/system/node"))
		print_message("this machine shows no nodes\n");
	check_topology(topology);
	/* What is left out of a machine with one node is as its files would say. */
	if (os_read_file("/sys/devices/system/node/possible", text, sizeof(text)) == 2 &&
	    os_read_file("/sys/devices/system/node/node0/meminfo", text, sizeof(text)) > 0)
		assert_int_equal(strtoull(strstr(text, "MemTotal:") + 9, NULL, 10) * 1024,
				 topology->size[0]);
	assert_true(topology->size[id_set_next(&topology->memory, 0)] > 0);
}

static size_t mapped_pages(void)
{
	char text[64] = "";

	must(os_read_file("/proc/self/statm", text, sizeof(text) - 1) > 0);
	return strtoul(text, NULL, 10);
}

static void nothing_is_left_behind(void **state)
{
	struct numa_topology *t = new_topology();
	const int fd = dup(0);
	size_t before;

	(void)state;
	close(fd);
	put_sets("0-1\n", "0\n", "0\n");
	before = mapped_pages();
	for (unsigned int i = 0; i < 10; i++) {
		memset(t, 0, sizeof(*t));
		assert_int_equal(numa_topology_read(t, i % 2 ? sysfs : root), i % 2);
	}
	assert_int_equal(mapped_pages(), before);
	assert_int_equal(dup(0), fd);
	close(fd);
	free(t);
}

#define topology_test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		topology_test(one_node_is_read),
		topology_test(two_nodes_are_read),
		topology_test(sparse_nodes_are_read),
		topology_test(nodes_without_memory_or_cpus_are_possible),
		topology_test(memory_is_what_the_process_may_have),
		topology_test(without_a_directory_there_is_one_node),
		topology_test(without_anything_there_is_one_node),
		topology_test(long_paths_are_refused),
		topology_test(missing_files_are_made_up_for),
		topology_test(files_that_contradict_each_other_are_survived),
		topology_test(numbers_out_of_range_are_left_out),
		topology_test(text_that_says_nothing_is_one_node),
		topology_test(any_bytes_are_survived),
		topology_test(endless_files_are_cut_off),
		topology_test(a_thousand_nodes_are_read),
		topology_test(possible_nodes_are_cheap),
		topology_test(the_real_one_is_read),
		topology_test(nothing_is_left_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
