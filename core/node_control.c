/*
 * Nodes for the control files. Layer: node_control; see node_control.h.
 */
#include "node_control.h"
#include "frame.h"
#include "os_file.h"

/* A machine whose nodes nobody has asked about. */
static void one_node_cpus(struct id_set *cpus)
{
	char text[1024];
	long n = os_read_file("/sys/devices/system/cpu/online", text, sizeof(text));

	if (n > 0)
		id_set_parse(cpus, text, (size_t)n);
}

static bool has_cpus(const struct numa_topology *t, uint32_t node)
{
	return id_set_next(&t->cpus[node], 0) < MAX_IDS;
}

static bool is_in(enum node_set which, const struct numa_topology *t, uint32_t node)
{
	switch (which) {
	case NODES_POSSIBLE:
		return true;
	case NODES_HAS_CPU:
		return has_cpus(t, node);
	case NODES_ONLINE:
		/* One that has cpus, and never had memory, is online as well. */
		return node_state(node) != NODE_OFFLINE || (!numa_node(node) && has_cpus(t, node));
	case NODES_HAS_MEMORY:
	case NODES_HAS_NORMAL_MEMORY:
		break;
	}
	return node_state(node) == NODE_ONLINE;
}

#define for_each_id(id, set) \
	for (uint32_t id = id_set_next(set, 0); (id) < MAX_NODES; (id) = id_set_next(set, (id) + 1))

void node_control_set(enum node_set which, struct id_set *set)
{
	const struct numa_topology *t = numa_topology();

	*set = (struct id_set){.bits = {0}};
	if (!t) {
		id_set_add(set, first_node.id);
		return;
	}
	for_each_id(id, &t->possible)
	{
		if (is_in(which, t, id))
			id_set_add(set, id);
	}
}

enum node_state node_control_state(uint32_t node)
{
	return node_state(node);
}

static uint64_t counted(const struct node *node, enum node_count which)
{
	return atomic_load_explicit(&node->count[which], memory_order_relaxed);
}

/* As large as told, or as the machine's node; simulated ones without a size share the machine. */
static uint64_t size_of(uint32_t node)
{
	const struct numa_topology *t = numa_topology();
	uint64_t nodes = 0;

	if (!t)
		return os_memory_size();
	if (t->size[node])
		return t->size[node];
	for_each_id(id, &t->possible) nodes++;
	return nodes ? os_memory_size() / nodes : 0;
}

/* Large objects with mappings of their own, whose pages are on the node. */
static uint64_t mapped_on(const struct node *on)
{
	struct node *node;
	uint64_t bytes = 0;

	for_each_node(node)
	{
		if (hotplug_node_of_mapped(node) == on)
			bytes += atomic_load_explicit(&node->mapped, memory_order_relaxed);
	}
	return bytes;
}

void node_control_info(uint32_t id, struct node_info *info)
{
	const struct node *node = numa_is_on() ? numa_node(id) : &first_node;

	*info = (struct node_info){.size = size_of(id), .counts = numa_is_on()};
	if (!node)
		return;
	info->mapped_bytes = mapped_on(node);
	info->hit = counted(node, NUMA_HIT);
	info->miss = counted(node, NUMA_MISS);
	info->foreign = counted(node, NUMA_FOREIGN);
	info->interleave_hit = counted(node, INTERLEAVE_HIT);
	info->local = counted(node, LOCAL_NODE);
	info->other = counted(node, OTHER_NODE);
}

uint32_t node_control_distance(uint32_t from, uint32_t to)
{
	const struct numa_topology *t = numa_topology();

	if (t)
		return t->distance[from][to];
	return from == to ? LOCAL_DISTANCE : REMOTE_DISTANCE;
}

void node_control_cpus(uint32_t node, struct id_set *cpus)
{
	const struct numa_topology *t = numa_topology();

	*cpus = (struct id_set){.bits = {0}};
	if (t)
		*cpus = t->cpus[node];
	else if (node == first_node.id)
		one_node_cpus(cpus);
}

enum node_result node_control_online(uint32_t node)
{
	return node_online(node);
}

enum node_result node_control_offline(uint32_t node)
{
	return node_offline(node);
}

enum node_result node_control_probe(uint32_t node, uint64_t size)
{
	return node_add(node, size);
}

enum policy_mode node_control_policy(struct id_set *nodes)
{
	return numa_policy(nodes);
}

bool node_control_set_policy(enum policy_mode mode, const struct id_set *nodes)
{
	return nodes_set_policy(mode, nodes);
}

uint32_t node_control_of(const void *addr)
{
	return hotplug_node_of(addr)->id;
}

/* A machine that grows tells of each block of its memory. */
#define CHANGES_MS 100U
/*
 * Where nobody tells; and once more after what was told, for the kernel lets cpusets have a node some time after it
 * has told of it, and what caches need there may not have been to be had.
 */
#define AGAIN_MS 1000U

static struct {
	uint64_t last, due; /* in ms; `due` 0: it is not to be looked at */
	bool once_more;
} look;

static void look_from(uint64_t ms)
{
	if (!look.due || ms < look.due)
		look.due = ms;
}

/* Returns in how many ms to do so again. */
static uint32_t look_at_machine(enum node_news news)
{
	uint64_t now = os_clock_ms();
	bool by_clock = news == NODES_UNWATCHED;

	look.once_more |= news == NODES_CHANGED;
	if (news != NODES_QUIET)
		look_from(look.last + (by_clock ? AGAIN_MS : CHANGES_MS));
	if (!look.due || now < look.due)
		return look.due ? (uint32_t)(look.due - now) : 0;
	look.last = now;
	look.due = hotplug_look() && (by_clock || look.once_more) ? now + AGAIN_MS : 0;
	look.once_more = false;
	return look.due ? AGAIN_MS : 0;
}

uint32_t node_control_poll(enum node_news news)
{
	uint32_t moving = hotplug_poll(), looking = look_at_machine(news);

	return moving && (!looking || moving < looking) ? moving : looking;
}
