/* Simulated nodes: what the options ask for is what there is. */
#include "topology.h"

static struct numa_topology *machine, *topology;

static void machine_node(uint32_t node, bool has_memory, const char *cpus)
{
	id_set_add(&machine->possible, node);
	if (has_memory)
		id_set_add(&machine->memory, node);
	id_set_parse(&machine->cpus[node], cpus, strlen(cpus));
	for (uint32_t cpu = id_set_next(&machine->cpus[node], 0); cpu < MAX_IDS;
	     cpu = id_set_next(&machine->cpus[node], cpu + 1))
		machine->cpu_node[cpu] = (uint16_t)node;
	machine->real[node] = (uint16_t)node;
	memset(machine->distance[node], REMOTE_DISTANCE, sizeof(machine->distance[node]));
	machine->distance[node][node] = LOCAL_DISTANCE;
}

static int make_machine(void **state)
{
	(void)state;
	machine = new_topology();
	memset(machine->cpu_node, 0xff, sizeof(machine->cpu_node));
	memset(machine->real, 0xff, sizeof(machine->real));
	return 0;
}

static int drop_machine(void **state)
{
	(void)state;
	free(machine);
	free(topology);
	topology = NULL;
	return 0;
}

static struct numa_options options_of(uint32_t nodes, const char *distance, const char *sizes,
				      const char *cpus)
{
	struct numa_options options = {.nodes = nodes};

	strcpy(options.distance, distance);
	strcpy(options.sizes, sizes);
	strcpy(options.cpus, cpus);
	return options;
}

/* Returns what is said; "": nothing. */
static const char *simulate(uint32_t nodes, const char *distance, const char *sizes,
			    const char *cpus)
{
	struct numa_options options = options_of(nodes, distance, sizes, cpus);
	const char *said;

	free(topology);
	topology = new_topology();
	said = numa_topology_simulate(topology, machine, &options);
	check_topology(topology);
	return said ? said : "";
}

static void nodes_have_equal_shares(void **state)
{
	(void)state;
	machine_node(0, true, "0-7");
	assert_string_equal(simulate(4, "", "", ""), "");
	assert_true(topology->simulated);
	assert_set(&topology->possible, "0-3");
	assert_set(&topology->memory, "0-3");
	for (uint32_t node = 0; node < 4; node++) {
		assert_int_equal(topology->size[node], 0);
		assert_int_equal(topology->real[node], 0);
	}
	assert_set(&topology->cpus[0], "0-1");
	assert_set(&topology->cpus[3], "6-7");
	assert_distances(topology, 2, 4, " 20 20 10 20");
	assert_string_equal(simulate(3, "", "", ""), "");
	assert_set(&topology->cpus[0], "0-2");
	assert_set(&topology->cpus[1], "3-5");
	assert_set(&topology->cpus[2], "6-7");
	assert_string_equal(simulate(1, "", "", ""), "");
	assert_set(&topology->cpus[0], "0-7");
}

static void more_nodes_than_cpus_leave_the_last_without(void **state)
{
	(void)state;
	machine_node(0, true, "0,2");
	assert_string_equal(simulate(4, "", "", ""), "");
	assert_set(&topology->cpus[0], "0");
	assert_set(&topology->cpus[1], "2");
	assert_set(&topology->cpus[2], "");
	assert_int_equal(topology->cpu_node[2], 1);
	assert_int_equal(topology->cpu_node[1], NO_NODE);
}

/* The machine's nodes with memory, in turn; cpus of all its nodes. */
static void nodes_lie_on_the_machines(void **state)
{
	static const uint16_t real[] = {0, 7, 1000, 0, 7};

	(void)state;
	machine_node(0, true, "0,4");
	machine_node(2, false, "1,5");
	machine_node(7, true, "2,6");
	machine_node(1000, true, "");
	assert_string_equal(simulate(5, "", "", ""), "");
	for (uint32_t node = 0; node < 5; node++)
		assert_int_equal(topology->real[node], real[node]);
	assert_set(&topology->possible, "0-4");
	assert_set(&topology->cpus[0], "0-1");
	assert_set(&topology->cpus[4], "6");
	assert_int_equal(topology->cpu_node[3], NO_NODE);
}

static void a_thousand_nodes_are_made(void **state)
{
	(void)state;
	machine_node(0, true, "0-4095");
	assert_string_equal(simulate(1024, "", "1M", ""), "");
	assert_set(&topology->possible, "0-1023");
	assert_set(&topology->cpus[1023], "4092-4095");
	assert_int_equal(topology->size[1023], 1 << 20);
	assert_int_equal(topology->distance[1023][0], 20);
}

static void cpus_are_given(void **state)
{
	(void)state;
	machine_node(0, true, "0-3");
	assert_string_equal(simulate(4, "", "", "0-1/2/3"), "");
	assert_set(&topology->cpus[0], "0-1");
	assert_set(&topology->cpus[2], "3");
	assert_set(&topology->cpus[3], "");
	assert_string_equal(simulate(3, "", "", "/1+3/0+2"), "");
	assert_set(&topology->cpus[0], "");
	assert_set(&topology->cpus[1], "1,3");
	assert_set(&topology->cpus[2], "0,2");
	/* Some of the machine's may be of no node, and some that it hasn't got of one. */
	assert_string_equal(simulate(2, "", "", "0/4095"), "");
	assert_set(&topology->cpus[1], "4095");
	assert_int_equal(topology->cpu_node[1], NO_NODE);
	assert_string_equal(simulate(2, "", "", "/"), "");
	assert_set(&topology->cpus[0], "");
}

static void distances_are_given(void **state)
{
	(void)state;
	machine_node(0, true, "0-3");
	assert_string_equal(simulate(4, "10/20/20/40", "", ""), "");
	assert_distances(topology, 0, 4, " 10 20 20 40");
	assert_distances(topology, 2, 4, " 20 20 10 20");
	assert_distances(topology, 3, 4, " 40 20 20 10");
	assert_string_equal(simulate(3, "10/11/12/21/10/23/31/254/10", "", ""), "");
	assert_distances(topology, 0, 3, " 10 11 12");
	assert_distances(topology, 1, 3, " 21 10 23");
	assert_distances(topology, 2, 3, " 31 254 10");
	assert_string_equal(simulate(1, "10", "", ""), "");
	assert_string_equal(simulate(2, "10/10", "", ""), "");
	assert_distances(topology, 1, 2, " 10 10");
}

static void sizes_are_given(void **state)
{
	static const struct {
		const char *text;
		uint64_t size[3];
	} all[] = {
		{"512M/1G/4096", {UINT64_C(512) << 20, UINT64_C(1) << 30, 4096}},
		{"3K", {3072, 3072, 3072}},
		{"0", {0, 0, 0}},
		{"0/7/0", {0, 7, 0}},
		{"/7", {0, 7, 0}},
		{"//1K", {0, 0, 1024}},
		{"1/2/", {1, 2, 0}},
		{"18446744073709551615/17179869183G/0",
		 {UINT64_MAX, UINT64_MAX - (1 << 30) + 1, 0}},
	};

	(void)state;
	machine_node(0, true, "0");
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_string_equal(simulate(3, "", all[i].text, ""), "");
		for (uint32_t node = 0; node < 3; node++)
			assert_int_equal(topology->size[node], all[i].size[node]);
	}
}

/* Each is named, and is as if it had not been given. */
static void bad_cpus_are_named(void **state)
{
	static const char *const texts[] = {
		"0/1/2", "0/x",	 "0,1", "1-0",	  "0/0",  "0-2/1",
		"4096",	 "0/ 1", "-",	"0-4096", "0++1", "0/1/",
	};

	(void)state;
	machine_node(0, true, "0-3");
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *said = simulate(2, "10/30", "1K", texts[i]);

		if (strncmp(said, "node_cpus: ", 11) != 0)
			fail_msg("'%s' leads to '%s'", texts[i], said);
		assert_set(&topology->cpus[0], "0-1");
		assert_set(&topology->cpus[1], "2-3");
		assert_distances(topology, 0, 2, " 10 30");
		assert_int_equal(topology->size[1], 1024);
	}
}

static void bad_distances_are_named(void **state)
{
	static char many[256];
	const char *const texts[] = {
		"10",
		"10/20/30",
		"20/10",
		"10/20/20/20",
		"10/20/20/10/",
		"10/9",
		"10/255",
		"10/x",
		"10/",
		"/10",
		"/",
		"10,20",
		"10/-20",
		"10/20/30/40",
		"10/ 20",
		many,
		"10/4294967316",
		"10/99999999999999999999999999",
	};

	(void)state;
	for (unsigned int i = 0; i < 85; i++)
		memcpy(many + 3 * i, "10/", 3);
	machine_node(0, true, "0-1");
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *said = simulate(2, texts[i], "1K", "0/1");

		if (strncmp(said, "distance: ", 10) != 0)
			fail_msg("'%s' leads to '%s'", texts[i], said);
		assert_distances(topology, 0, 2, " 10 20");
		assert_distances(topology, 1, 2, " 20 10");
		assert_int_equal(topology->size[1], 1024);
		assert_set(&topology->cpus[1], "1");
	}
}

static void bad_sizes_are_named(void **state)
{
	static const char *const texts[] = {
		"1/2/3",
		"1/2/",
		"x",
		"1/x",
		"M",
		"1m",
		"1MM",
		"-1",
		" ",
		"1.5G",
		"18446744073709551616",
		"17179869184G",
	};

	(void)state;
	machine_node(0, true, "0-1");
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *said = simulate(2, "10/30", texts[i], "0/1");

		if (strncmp(said, "node_size: ", 11) != 0)
			fail_msg("'%s' leads to '%s'", texts[i], said);
		assert_int_equal(topology->size[0], 0);
		assert_int_equal(topology->size[1], 0);
		assert_distances(topology, 1, 2, " 30 10");
		assert_set(&topology->cpus[1], "1");
	}
}

static void of_several_bad_parts_one_is_named(void **state)
{
	(void)state;
	machine_node(0, true, "0-1");
	assert_true(simulate(2, "x", "x", "x")[0]);
	assert_distances(topology, 0, 2, " 10 20");
	assert_int_equal(topology->size[0], 0);
	assert_set(&topology->cpus[0], "0");
}

static void a_bad_number_leaves_the_machines(void **state)
{
	static const uint32_t numbers[] = {0, 1025, 65536, UINT32_MAX};

	(void)state;
	machine_node(3, true, "0-1");
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_int_equal(strncmp(simulate(numbers[i], "10", "1K", "0"), "nodes: ", 7), 0);
		assert_false(topology->simulated);
		assert_memory_equal(topology, machine, sizeof(*machine));
	}
}

/* Texts fill their arrays, and needn't end. */
static void any_text_is_survived(void **state)
{
	static const char letters[] = "0123456789//////--++KMG, x";
	uint64_t seed = 5;

	(void)state;
	machine_node(0, true, "0-5");
	for (unsigned int turn = 0; turn < ROUNDS(3000); turn++) {
		struct numa_options options = {.nodes = 1 + (uint32_t)random_below(&seed, 9)};
		char *texts[] = {options.distance, options.sizes, options.cpus};

		for (unsigned int i = 0; i < 3; i++) {
			size_t len = random_below(&seed, turn % 8 ? 10 : 257);

			for (size_t at = 0; at < len; at++)
				texts[i][at] = letters[random_below(&seed, sizeof(letters) - 1)];
		}
		free(topology);
		topology = new_topology();
		numa_topology_simulate(topology, machine, &options);
		check_topology(topology);
	}
}

#define machine_test(fn) cmocka_unit_test_setup_teardown(fn, make_machine, drop_machine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(nodes_have_equal_shares),
		machine_test(more_nodes_than_cpus_leave_the_last_without),
		machine_test(nodes_lie_on_the_machines),
		machine_test(a_thousand_nodes_are_made),
		machine_test(cpus_are_given),
		machine_test(distances_are_given),
		machine_test(sizes_are_given),
		machine_test(bad_cpus_are_named),
		machine_test(bad_distances_are_named),
		machine_test(bad_sizes_are_named),
		machine_test(of_several_bad_parts_one_is_named),
		machine_test(a_bad_number_leaves_the_machines),
		machine_test(any_text_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
