/*
 * Nodes going online and offline. Layer: hotplug; see hotplug.h.
 */
#include "hotplug.h"
#include "bits.h"
#include "frame.h"
#include "kmem_cache.h"
#include "options.h"
#include "os_numa.h"

#define SYSFS "/sys/devices/system/node"

static const char no_such_node[] = "policy: it names a node that there isn't";

/* Under slab_mutex. Read anew now and then, and kept where the machine's nodes are used. */
static struct numa_topology *machine;

/* What who forked was in the middle of, is done again: sets are made anew, moves begin anew. */
static void repair(void)
{
	struct node *node;

	numa_repair();
	move_again();
	for_each_node(node)
	{
		if (numa_is_slab_node(node) ||
		    atomic_load_explicit(&node->pages_on, memory_order_relaxed))
			continue;
		atomic_store_explicit(&node->leaving, true, memory_order_relaxed);
		move_pages_to(node, numa_nearest(node->id));
	}
}

static void nodes_lock(void)
{
	slab_lock();
	if (slab_was_orphaned() && numa_is_on())
		repair();
}

static struct numa_topology *topology_read(void)
{
	struct numa_topology *t = os_map(sizeof(*t));

	/* One node is what there is where nothing is said; later, it says nothing. */
	if (t && !numa_topology_read(t, SYSFS) && numa_is_on()) {
		os_unmap(t, sizeof(*t));
		return NULL;
	}
	return t;
}

static void topology_free(struct numa_topology *t)
{
	if (t)
		os_unmap(t, sizeof(*t));
}

static uint32_t count_ids(const struct id_set *set)
{
	uint32_t n = 0;

	for (uint32_t id = id_set_next(set, 0); id < MAX_IDS; id = id_set_next(set, id + 1))
		n++;
	return n;
}

/* NULL: no memory for it; the machine's is used. */
static struct numa_topology *topology_simulate(const struct numa_topology *real)
{
	struct numa_options wanted = {.nodes = options.nodes};
	struct numa_topology *t = os_map(sizeof(*t));
	const char *wrong;

	if (!t)
		return NULL;
	__builtin_memcpy(wanted.distance, options.distance, sizeof(wanted.distance));
	__builtin_memcpy(wanted.sizes, options.node_sizes, sizeof(wanted.sizes));
	__builtin_memcpy(wanted.cpus, options.node_cpus, sizeof(wanted.cpus));
	wrong = numa_topology_simulate(t, real, &wanted);
	if (wrong)
		options_note(wrong);
	return t;
}

/* That of the cpu, if it has memory, for what was touched so far is most likely there; or else the lowest. */
static uint32_t find_first(const struct numa_topology *t)
{
	int cpu = os_getcpu();
	uint32_t id = cpu >= 0 && cpu < (int)MAX_IDS ? t->cpu_node[cpu] : NO_NODE;

	if (id < MAX_NODES && id_set_has(&t->memory, id))
		return id;
	id = id_set_next(&t->memory, 0);
	return id < MAX_NODES ? id : 0;
}

/* All nodes with memory that a struct node can be had for. */
static void nodes_make(const struct numa_topology *t)
{
	for (uint32_t id = id_set_next(&t->memory, 0); id < MAX_NODES;
	     id = id_set_next(&t->memory, id + 1))
		node_make(id);
	numa_set_slab_nodes(&t->memory, true);
}

static void set_policy_of_process(void)
{
	static const enum policy_mode modes[] = {
		[OS_POLICY_LOCAL] = POLICY_LOCAL,
		[OS_POLICY_PREFERRED] = POLICY_PREFERRED,
		[OS_POLICY_BIND] = POLICY_BIND,
		[OS_POLICY_INTERLEAVE] = POLICY_INTERLEAVE,
	};
	struct id_set set = {.bits = {0}};
	struct os_nodes nodes;
	enum os_policy policy = os_process_policy(&nodes);

	for (uint32_t id = 0; id < OS_MAX_NODES; id++) {
		if (nodes.bits[id / 64] >> id % 64 & 1)
			id_set_add(&set, id);
	}
	/* numactl --membind means that no other node may serve, be it that memory is out. */
	if (policy == OS_POLICY_BIND)
		numa_keep_task_policy();
	numa_set_policy(modes[policy], &set);
}

static void set_policy_of_options(void)
{
	struct id_set set = {.bits = {0}};

	id_set_parse(&set, options.policy_nodes, __builtin_strlen(options.policy_nodes));
	if (!numa_set_policy((enum policy_mode)options.policy, &set))
		options_note(no_such_node);
}

/* What was reserved before anybody knew how large it is to be: what is free of it goes back. */
static void limit_first_node(void)
{
	if (!atomic_load_explicit(&first_node.size, memory_order_relaxed))
		return;
	node_charge_anyway(&first_node, frame_reserved() + atomic_load(&first_node.mapped));
	frame_unreserve_of(&first_node);
}

/*
 * Under slab_mutex. False: out of memory, or there is one node, and nobody has asked for more: as when `wanted` is not
 * set.
 */
static bool turn_on(bool wanted)
{
	struct numa_topology *real, *t = NULL;

	if (numa_is_on())
		return true;
	real = topology_read();
	if (!real || (!wanted && count_ids(&real->memory) < 2)) {
		topology_free(real);
		return false;
	}
	machine = real;
	if (options.nodes)
		t = topology_simulate(real);
	if (!t)
		t = real;
	/* The program's own caches have their kmem_cache_cpu where other colours lead. */
	numa_begin(t, find_first(t), count_ids(&real->possible) > 1,
		   atomic_load_explicit(&nr_user_caches, memory_order_relaxed) == 0);
	limit_first_node();
	nodes_make(t);
	numa_turn_on();
	if (options.policy)
		set_policy_of_options();
	else if (!options.nodes)
		set_policy_of_process();
	frame_bind(&first_node);
	return true;
}

static bool are_several_allowed(void)
{
	struct os_nodes nodes;
	uint32_t n = 0;

	if (!os_allowed_nodes(&nodes))
		return false;
	for (uint32_t w = 0; w < OS_NODE_WORDS; w++)
		n += count_bits(nodes.bits[w]);
	return n > 1;
}

/* With one node there is no choice: but a policy that can't be is said to be none. */
static void check_policy(void)
{
	struct numa_topology *t = topology_read();
	struct id_set set = {.bits = {0}};

	id_set_parse(&set, options.policy_nodes, __builtin_strlen(options.policy_nodes));
	if (t && !numa_policy_is_possible(t, (enum policy_mode)options.policy, &set))
		options_note(no_such_node);
	topology_free(t);
}

void nodes_init(void)
{
	bool simulated = options.nodes != 0;

	if (!simulated && (options.distance[0] || options.node_sizes[0] || options.node_cpus[0]))
		options_note(
			"distance, node_size and node_cpus are of simulated nodes: they want nodes:N");
	/* One call tells most machines that there is nothing to find out. */
	if (simulated || are_several_allowed()) {
		nodes_lock();
		if (!turn_on(simulated) && simulated)
			options_note("nodes: no memory to know them");
		slab_unlock();
	}
	if (options.policy && !numa_is_on())
		check_policy();
}

static bool is_possible(uint32_t id)
{
	struct numa_topology *t = numa_topology();

	return t ? id_set_has(&t->possible, id) : id == first_node.id;
}

enum node_state node_state(uint32_t id)
{
	struct node *node = numa_node(id);

	if (!numa_is_on())
		return id == first_node.id ? NODE_ONLINE : NODE_OFFLINE;
	if (!node)
		return NODE_OFFLINE;
	if (numa_is_slab_node(node))
		return NODE_ONLINE;
	return atomic_load_explicit(&node->leaving, memory_order_relaxed) ? NODE_GOING_OFFLINE
									  : NODE_OFFLINE;
}

static void set_slab_node(uint32_t id, bool is)
{
	struct id_set one = {.bits = {0}};

	id_set_add(&one, id);
	numa_set_slab_nodes(&one, is);
}

/*
 * SLUB's MEM_GOING_ONLINE: first all that caches need there, the kmem_cache_node of each and address space, then the
 * bit. A cache that is created meanwhile has its own in the same mapping.
 */
static enum node_result go_online(uint32_t id)
{
	struct node *node = numa_node(id);

	if (node && numa_is_slab_node(node))
		return NODE_SAME;
	node = node_make(id);
	if (!node || !frame_reserve_first(node))
		return NODE_VETOED;
	if (atomic_load_explicit(&node->pages_on, memory_order_relaxed))
		move_pages_to(node, NULL);
	set_slab_node(id, true);
	return NODE_DONE;
}

enum node_result node_online(uint32_t id)
{
	enum node_result result = NODE_SAME;

	if (!is_possible(id))
		return NODE_UNKNOWN;
	nodes_lock();
	if (numa_is_on())
		result = go_online(id);
	slab_unlock();
	return result;
}

/*
 * SLUB's MEM_GOING_OFFLINE: first the bit, then what can be had back; the kmem_cache_nodes stay. What other nodes, that
 * left before, have there goes on with it.
 */
static enum node_result go_offline(uint32_t id)
{
	struct node *node = numa_node(id), *other;

	if (!node || !numa_is_slab_node(node))
		return NODE_SAME;
	if (!numa_has_other_slab_node(node))
		return NODE_LAST;
	set_slab_node(id, false);
	atomic_store_explicit(&node->leaving, true, memory_order_relaxed);
	move_pages_to(node, numa_nearest(id));
	for_each_node(other)
	{
		if (atomic_load_explicit(&other->pages_on, memory_order_relaxed) == node)
			move_pages_to(other, numa_nearest(other->id));
	}
	return NODE_DONE;
}

enum node_result node_offline(uint32_t id)
{
	enum node_result result = NODE_LAST;

	if (!is_possible(id))
		return NODE_UNKNOWN;
	nodes_lock();
	if (numa_is_on())
		result = go_offline(id);
	slab_unlock();
	return result;
}

enum node_result node_add(uint32_t id, uint64_t size)
{
	enum node_result result = NODE_DONE;

	if (id >= MAX_NODES)
		return NODE_UNKNOWN;
	nodes_lock();
	if (is_possible(id))
		result = NODE_EXISTS;
	else if (!turn_on(true))
		result = NODE_VETOED;
	else
		numa_add_possible(id, size);
	slab_unlock();
	return result;
}

bool nodes_set_policy(enum policy_mode mode, const struct id_set *nodes)
{
	bool done;

	nodes_lock();
	done = turn_on(true) && numa_set_policy(mode, nodes);
	slab_unlock();
	return done;
}

static void set_memory(uint32_t id, bool has)
{
	uint64_t bit = UINT64_C(1) << id % 64;

	machine->memory.bits[id / 64] &= ~bit;
	machine->memory.bits[id / 64] |= has ? bit : 0;
}

/* First those that come, so that there is always one. What is refused is tried again at the next look. */
static void topology_update(const struct numa_topology *now)
{
	numa_update(now);
	for (uint32_t id = 0; id < MAX_NODES; id++) {
		if (id_set_has(&now->memory, id) && !id_set_has(&machine->memory, id) &&
		    go_online(id) != NODE_VETOED)
			set_memory(id, true);
	}
	for (uint32_t id = 0; id < MAX_NODES; id++) {
		if (!id_set_has(&now->memory, id) && id_set_has(&machine->memory, id) &&
		    go_offline(id) != NODE_LAST)
			set_memory(id, false);
	}
}

/* Of the machine's own nodes alone: simulated ones are where they are put. */
static bool watch_machine(void)
{
	struct numa_topology *now;

	if (!numa_is_on()) {
		if (are_several_allowed())
			turn_on(false);
		return true;
	}
	if (numa_topology() != machine)
		return false;
	now = topology_read();
	if (now && !now->unsure &&
	    __builtin_memcmp(&now->memory, &machine->memory, sizeof(now->memory)) != 0)
		topology_update(now);
	topology_free(now);
	return true;
}

uint32_t hotplug_poll(void)
{
	bool moving;

	nodes_lock();
	moving = move_poll();
	slab_unlock();
	return moving ? 1 : 0;
}

bool hotplug_look(void)
{
	bool watched;

	nodes_lock();
	watched = watch_machine();
	slab_unlock();
	return watched;
}
