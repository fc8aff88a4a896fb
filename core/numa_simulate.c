/*
 * Simulated nodes, over whatever nodes the machine has. Layer: numa_topology; see numa_topology.h. Called by numa
 * before main.
 *
 *   option    its parts stand between '/'                                                left out
 *   cpus      for each node the list of its cpus, written 0-1+4, or nothing              equal shares
 *   distance  N numbers: the i-th is that of nodes whose numbers are i apart;            10, others 20
 *             or N * N: each node's row
 *   sizes     one for all nodes, or one for each, 512M or 1G; 0 or nothing: unlimited    unlimited
 */
#include "numa_topology.h"
#include "bits.h"

/* So many numbers of two digits at most are in a text of 255. */
#define MAX_DISTANCES 128U
#define MOST_DISTANCE 254U

static const char bad_nodes[] = "nodes: it takes 1 to 1024";
static const char bad_cpus[] =
	"node_cpus: it takes for each node its cpus, each of one node: 0-1/2/3+5";
static const char bad_distance[] = "distance: it takes for N nodes N numbers or N * N, from 10 to "
				   "254, the node's own 10: 10/20/40";
static const char bad_sizes[] =
	"node_size: it takes one size for all nodes or one for each: 512M/1G";

/* What is left of a text; `at` NULL: nothing. */
struct parts {
	const char *at, *end;
};
struct part {
	const char *s;
	size_t len;
};

static struct parts parts_of(const char *text, size_t size)
{
	const char *end = __builtin_memchr(text, '\0', size);

	return (struct parts){*text ? text : NULL, end ? end : text + size};
}

static bool next_part(struct parts *left, struct part *part)
{
	if (!left->at)
		return false;
	*part = (struct part){left->at, 0};
	while (part->s + part->len < left->end && part->s[part->len] != '/')
		part->len++;
	left->at = part->s + part->len < left->end ? part->s + part->len + 1 : NULL;
	return true;
}

static bool parse_number(struct part part, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < part.len; i++) {
		if (part.s[i] < '0' || part.s[i] > '9' ||
		    __builtin_mul_overflow(*value, 10U, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(part.s[i] - '0'), value))
			return false;
	}
	return part.len > 0;
}

static bool parse_size(struct part part, uint64_t *bytes)
{
	static const char units[] = "KMG";
	const char *unit = part.len ? __builtin_memchr(units, part.s[part.len - 1], 3) : NULL;
	uint64_t one = unit ? UINT64_C(1024) << (10 * (unit - units)) : 1;

	*bytes = 0;
	if (!part.len)
		return true;
	part.len -= unit != NULL;
	return parse_number(part, bytes) && !__builtin_mul_overflow(*bytes, one, bytes);
}

static bool set_cpus(struct numa_topology *t, uint32_t nodes, const char *text, size_t size)
{
	struct parts left = parts_of(text, size);
	struct part part;

	for (uint32_t node = 0; next_part(&left, &part); node++) {
		struct id_set *cpus = &t->cpus[node];

		if (node == nodes ||
		    (part.len && !id_set_parse_strictly(cpus, part.s, part.len, '+', MAX_IDS)))
			return false;
		for (uint32_t cpu = id_set_next(cpus, 0); cpu < MAX_IDS;
		     cpu = id_set_next(cpus, cpu + 1)) {
			if (t->cpu_node[cpu] != NO_NODE)
				return false;
			t->cpu_node[cpu] = (uint16_t)node;
		}
	}
	return true;
}

static void clear_cpus(struct numa_topology *t, uint32_t nodes)
{
	__builtin_memset(t->cpus, 0, nodes * sizeof(t->cpus[0]));
	__builtin_memset(t->cpu_node, 0xff, sizeof(t->cpu_node));
}

/* In blocks, in the order of their numbers. */
static void deal_cpus(struct numa_topology *t, uint32_t nodes, const struct numa_topology *machine)
{
	const struct id_set *possible = &machine->possible;
	struct id_set all = {.bits = {0}};
	uint32_t n = 0, k = 0;

	for (uint32_t m = id_set_next(possible, 0); m < MAX_NODES;
	     m = id_set_next(possible, m + 1)) {
		for (uint32_t i = 0; i < MAX_IDS / 64; i++)
			all.bits[i] |= machine->cpus[m].bits[i];
	}
	for (uint32_t i = 0; i < MAX_IDS / 64; i++)
		n += count_bits(all.bits[i]);
	for (uint32_t cpu = id_set_next(&all, 0); cpu < MAX_IDS; cpu = id_set_next(&all, cpu + 1)) {
		uint32_t node = n >= nodes ? k * nodes / n : k;

		id_set_add(&t->cpus[node], cpu);
		t->cpu_node[cpu] = (uint16_t)node;
		k++;
	}
}

/* How many numbers stand in the text; MAX_DISTANCES + 1: it is something else. */
static uint32_t parse_distances(struct parts left, uint8_t *distances)
{
	struct part part;
	uint64_t value;
	uint32_t n = 0;

	for (; next_part(&left, &part); n++) {
		if (n == MAX_DISTANCES || !parse_number(part, &value) || value < LOCAL_DISTANCE ||
		    value > MOST_DISTANCE)
			return MAX_DISTANCES + 1;
		distances[n] = (uint8_t)value;
	}
	return n;
}

/* False, and nothing is set: they aren't N numbers, or N * N. */
static bool set_distances(struct numa_topology *t, uint32_t nodes, const char *text, size_t size)
{
	uint8_t distances[MAX_DISTANCES];
	uint32_t n = parse_distances(parts_of(text, size), distances);
	bool rows = n == nodes * nodes;

	if (n == 0)
		return true;
	if (n > MAX_DISTANCES || (n != nodes && !rows))
		return false;
	for (uint32_t own = 0; own < n; own += rows ? nodes + 1 : n) {
		if (distances[own] != LOCAL_DISTANCE)
			return false;
	}
	for (uint32_t from = 0; from < nodes; from++) {
		for (uint32_t to = 0; to < nodes; to++) {
			uint32_t apart = from < to ? to - from : from - to;

			t->distance[from][to] = distances[rows ? from * nodes + to : apart];
		}
	}
	return true;
}

static bool set_sizes(struct numa_topology *t, uint32_t nodes, const char *text, size_t size)
{
	struct parts left = parts_of(text, size);
	struct part part;
	uint32_t n = 0;

	for (; next_part(&left, &part); n++) {
		if (n == nodes || !parse_size(part, &t->size[n])) {
			__builtin_memset(t->size, 0, nodes * sizeof(t->size[0]));
			return false;
		}
	}
	for (uint32_t node = 1; n == 1 && node < nodes; node++)
		t->size[node] = t->size[0];
	return true;
}

/* Each of them lies on the machine's nodes with memory in turn. */
static void make_nodes(struct numa_topology *t, uint32_t nodes, const struct numa_topology *machine)
{
	uint32_t real = MAX_IDS;

	__builtin_memset(t->real, 0xff, sizeof(t->real));
	for (uint32_t node = 0; node < nodes; node++) {
		id_set_add(&t->possible, node);
		id_set_add(&t->memory, node);
		real = id_set_next(&machine->memory, real + 1);
		if (real == MAX_IDS)
			real = id_set_next(&machine->memory, 0);
		t->real[node] = real < MAX_NODES ? (uint16_t)real : NO_NODE;
		__builtin_memset(t->distance[node], REMOTE_DISTANCE, nodes);
		t->distance[node][node] = LOCAL_DISTANCE;
	}
}

const char *numa_topology_simulate(struct numa_topology *t, const struct numa_topology *machine,
				   const struct numa_options *options)
{
	uint32_t nodes = options->nodes;
	const char *wrong = NULL;

	if (nodes == 0 || nodes > MAX_NODES) {
		__builtin_memcpy(t, machine, sizeof(*t));
		return bad_nodes;
	}
	t->simulated = true;
	make_nodes(t, nodes, machine);
	clear_cpus(t, nodes);
	if (!set_sizes(t, nodes, options->sizes, sizeof(options->sizes)))
		wrong = bad_sizes;
	if (!set_distances(t, nodes, options->distance, sizeof(options->distance)))
		wrong = bad_distance;
	if (!set_cpus(t, nodes, options->cpus, sizeof(options->cpus))) {
		wrong = bad_cpus;
		clear_cpus(t, nodes);
	}
	if (wrong == bad_cpus || !options->cpus[0])
		deal_cpus(t, nodes, machine);
	return wrong;
}
