/*
 * The sets of nodes, and what follows from them: orders, nearest nodes, turns. Layer: numa; see numa.h. Called by
 * hotplug, under slab_mutex.
 */
#include "numa_state.h"

static void nodes_store(_Atomic uint64_t *set, uint32_t id, bool is)
{
	uint64_t bit = UINT64_C(1) << id % 64;

	/* Release pairs with the acquire in numa_node(), by which readers come to the node. */
	if (is)
		atomic_fetch_or_explicit(&set[id / 64], bit, memory_order_release);
	else
		atomic_fetch_and_explicit(&set[id / 64], ~bit, memory_order_relaxed);
}

struct numa_topology *numa_topology(void)
{
	return numa.topology;
}

static uint32_t distance(uint32_t from, uint32_t to)
{
	uint32_t d = numa.topology->distance[from][to];

	return d ? d : UINT8_MAX;
}

#define for_each_possible(id)                                                          \
	for (uint32_t id = id_set_next(&numa.topology->possible, 0); (id) < MAX_NODES; \
	     (id) = id_set_next(&numa.topology->possible, (id) + 1))

/* Itself, then all that are possible, by distance: a sort by counting. */
static void set_order(struct node *node)
{
	uint16_t at[UINT8_MAX + 2] = {0};
	uint32_t n = 1;

	for_each_possible(id)
	{
		if (id != node->id)
			at[distance(node->id, id) + 1]++;
	}
	for (uint32_t d = 0; d <= UINT8_MAX; d++) {
		uint16_t nearer = at[d + 1];

		at[d] = (uint16_t)n;
		n += nearer;
	}
	atomic_store_explicit(&node->order[0], node->id, memory_order_relaxed);
	for_each_possible(id)
	{
		if (id != node->id)
			atomic_store_explicit(&node->order[at[distance(node->id, id)]++],
					      (uint16_t)id, memory_order_relaxed);
	}
	for (; n < MAX_NODES; n++)
		atomic_store_explicit(&node->order[n], NO_NODE, memory_order_relaxed);
}

static void node_init(struct node *node, uint32_t id)
{
	node->id = (uint16_t)id;
	node->real = numa.topology->real[id];
	node->colour = numa.colours ? numa.nr_nodes % NR_COLOURS * COLOUR_STEP : 0;
	numa.nr_nodes++;
	if (numa.topology->simulated || id_set_has(&numa.added, id))
		atomic_store_explicit(&node->size, numa.topology->size[id], memory_order_relaxed);
	set_order(node);
}

/* The next of the set from `id` on; MAX_NODES: none. */
static uint32_t nodes_next(_Atomic uint64_t *set, uint32_t id)
{
	while (id < MAX_NODES) {
		uint64_t rest = atomic_load_explicit(&set[id / 64], memory_order_relaxed) >>
				id % 64;

		if (rest)
			return id + (uint32_t)__builtin_ctzll(rest);
		id = (id / 64 + 1) * 64;
	}
	return MAX_NODES;
}

/* Of alloc_nodes, the nearest to a possible one. */
static uint16_t find_nearest(uint32_t id)
{
	uint32_t best = NO_NODE, least = UINT32_MAX;

	if (nodes_have(numa.alloc_nodes, id))
		return (uint16_t)id;
	for (uint32_t other = nodes_next(numa.alloc_nodes, 0); other < MAX_NODES;
	     other = nodes_next(numa.alloc_nodes, other + 1)) {
		if (distance(id, other) < least) {
			least = distance(id, other);
			best = other;
		}
	}
	return (uint16_t)best;
}

/* Of slab_nodes, those that the policy names; all where it names none. False: there are none. */
static bool policy_nodes_online(uint64_t words[NODE_WORDS])
{
	uint64_t named = 0, any = 0;

	for (uint32_t w = 0; w < NODE_WORDS; w++)
		named |= numa.policy_nodes.bits[w];
	for (uint32_t w = 0; w < NODE_WORDS; w++) {
		words[w] = atomic_load_explicit(&numa.slab_nodes[w], memory_order_relaxed);
		if (named)
			words[w] &= numa.policy_nodes.bits[w];
		any |= words[w];
	}
	return any != 0;
}

/* First what is new: who walks over them always finds one. */
static void store_alloc_nodes(const uint64_t words[NODE_WORDS])
{
	for (uint32_t w = 0; w < NODE_WORDS; w++)
		atomic_fetch_or_explicit(&numa.alloc_nodes[w], words[w], memory_order_relaxed);
	for (uint32_t w = 0; w < NODE_WORDS; w++)
		atomic_store_explicit(&numa.alloc_nodes[w], words[w], memory_order_relaxed);
}

static void store_turns(const uint64_t words[NODE_WORDS])
{
	uint32_t n = 0;

	for (uint32_t id = 0; id < MAX_NODES; id++) {
		if (words[id / 64] >> id % 64 & 1)
			atomic_store_explicit(&numa.turns[n++], (uint16_t)id, memory_order_relaxed);
	}
	atomic_store_explicit(&numa.nr_turns, n, memory_order_relaxed);
}

/* What follows from slab_nodes and the policy. A policy of whose nodes none is online binds nobody until one is. */
static void follow(void)
{
	uint64_t named[NODE_WORDS], all[NODE_WORDS];
	bool any = policy_nodes_online(named);
	uint32_t lowest;

	for (uint32_t w = 0; w < NODE_WORDS; w++)
		all[w] = atomic_load_explicit(&numa.slab_nodes[w], memory_order_relaxed);
	store_alloc_nodes(any && numa_mode() == POLICY_BIND ? named : all);
	store_turns(any ? named : all);
	lowest = nodes_next(numa.alloc_nodes, 0);
	for (uint32_t id = 0; id < MAX_NODES; id++) {
		bool possible = id_set_has(&numa.topology->possible, id);

		atomic_store_explicit(&numa.nearest[id],
				      possible ? find_nearest(id) : (uint16_t)lowest,
				      memory_order_relaxed);
	}
}

/* Behind all others: it is only added to. */
static void add_to_order(struct node *node, uint32_t id)
{
	uint32_t n = 0;

	while (n < MAX_NODES) {
		uint32_t at = atomic_load_explicit(&node->order[n], memory_order_relaxed);

		if (at == id)
			return;
		if (at == NO_NODE)
			break;
		n++;
	}
	if (n < MAX_NODES)
		atomic_store_explicit(&node->order[n], (uint16_t)id, memory_order_relaxed);
}

static void add_possible(uint32_t id)
{
	struct node *node;

	id_set_add(&numa.topology->possible, id);
	for_each_node(node) add_to_order(node, id);
}

void numa_add_possible(uint32_t id, uint64_t size)
{
	struct numa_topology *t = numa.topology;

	for (uint32_t other = 0; other < MAX_NODES; other++)
		t->distance[id][other] = t->distance[other][id] = REMOTE_DISTANCE;
	t->distance[id][id] = LOCAL_DISTANCE;
	t->real[id] = first_node.real;
	t->size[id] = size;
	id_set_add(&numa.added, id);
	add_possible(id);
}

void numa_update(const struct numa_topology *now)
{
	struct numa_topology *t = numa.topology;
	struct node *node;

	for (uint32_t cpu = 0; cpu < MAX_IDS; cpu++)
		__atomic_store_n(&t->cpu_node[cpu], now->cpu_node[cpu], __ATOMIC_RELAXED);
	for (uint32_t id = 0; id < MAX_NODES; id++) {
		if (!id_set_has(&now->possible, id) || id_set_has(&numa.added, id))
			continue;
		t->cpus[id] = now->cpus[id];
		t->real[id] = now->real[id];
		t->size[id] = now->size[id];
		for (uint32_t other = 0; other < MAX_NODES; other++) {
			if (id_set_has(&now->possible, other))
				t->distance[id][other] = now->distance[id][other];
		}
		if (!id_set_has(&t->possible, id))
			add_possible(id);
	}
	/* Who walks meanwhile may miss one: the last walk before memory is out goes by no order. */
	for_each_node(node) set_order(node);
	follow();
}

static void node_publish(struct node *node)
{
	/* Release pairs with the acquire in numa_node() and numa_last(): publishes *node. */
	atomic_store_explicit(&numa.last, node, memory_order_release);
	atomic_store_explicit(&numa.nodes[node->id], node, memory_order_release);
}

struct node *node_make(uint32_t id)
{
	struct node *node = numa_node(id);

	if (node)
		return node;
	node = os_map(sizeof(*node));
	if (!node)
		return NULL;
	node_init(node, id);
	node->next = numa_last();
	node_publish(node);
	return node;
}

void numa_set_slab_nodes(const struct id_set *nodes, bool are)
{
	for (uint32_t id = 0; id < MAX_NODES; id++) {
		if (id_set_has(nodes, id) && numa_node(id))
			nodes_store(numa.slab_nodes, id, are);
	}
	follow();
	if (!are)
		atomic_fetch_add_explicit(&numa_nr_left, 1, memory_order_release);
}

bool numa_has_other_slab_node(const struct node *node)
{
	for (uint32_t id = 0; id < MAX_NODES; id++) {
		if (id != node->id && nodes_have(numa.slab_nodes, id))
			return true;
	}
	return false;
}

void numa_begin(struct numa_topology *topology, uint32_t first, bool binds, bool colours)
{
	numa.topology = topology;
	numa.binds = binds;
	numa.colours = colours;
	node_init(&first_node, first);
	node_publish(&first_node);
}

void numa_keep_task_policy(void)
{
	numa.task_policy = true;
}

void numa_turn_on(void)
{
	/* Release pairs with the acquire in numa_is_on(). */
	atomic_store_explicit(&numa_on, true, memory_order_release);
}

enum policy_mode numa_policy(struct id_set *nodes)
{
	*nodes = numa.policy_nodes;
	return numa_mode();
}

bool numa_policy_is_possible(const struct numa_topology *t, enum policy_mode mode,
			     const struct id_set *nodes)
{
	bool any = false;

	for (uint32_t id = id_set_next(nodes, 0); id < MAX_IDS; id = id_set_next(nodes, id + 1)) {
		if (!id_set_has(&t->possible, id))
			return false;
		any = true;
	}
	return any || (mode != POLICY_PREFERRED && mode != POLICY_BIND);
}

static void apply_policy(void)
{
	uint32_t lowest = id_set_next(&numa.policy_nodes, 0);

	atomic_store_explicit(&numa.preferred, lowest, memory_order_relaxed);
	atomic_store_explicit(&numa.mode, numa.wanted, memory_order_relaxed);
	follow();
}

void numa_repair(void)
{
	struct node *node;

	for_each_node(node)
		atomic_store_explicit(&numa.nodes[node->id], node, memory_order_release);
	apply_policy();
}

/* In between it is as where no policy is set: no node that it shouldn't be, but by that. */
bool numa_set_policy(enum policy_mode mode, const struct id_set *nodes)
{
	if (!numa_policy_is_possible(numa.topology, mode, nodes))
		return false;
	atomic_store_explicit(&numa.mode, POLICY_LOCAL, memory_order_relaxed);
	numa.wanted = mode;
	numa.policy_nodes = *nodes;
	apply_policy();
	return true;
}
