/*
 * The files of devices/system/node. Layer: control. Called through the table of attributes.
 */
#include "control_attr.h"
#include "control_snapshot.h"

#include <errno.h>

/* As the kernel answers a write to a memory block's state. */
static int node_errno(enum node_result result)
{
	switch (result) {
	case NODE_DONE:
		return 0;
	case NODE_SAME:
		return EINVAL;
	case NODE_VETOED:
		return ENOMEM;
	case NODE_LAST:
		return EBUSY;
	case NODE_UNKNOWN:
		return ERANGE;
	case NODE_EXISTS:
		return EEXIST;
	}
	return EINVAL;
}

SHOW(node_set_show)
{
	struct id_set set;

	(void)target;
	node_control_set((enum node_set)a->which, &set);
	out_ids(out, &set);
	return 0;
}

/* `N SIZE`: the size in bytes, or with K, M or G. */
STORE(node_probe_store)
{
	static const char units[] = "KMG";
	size_t first = 0, last = len;
	const char *unit;
	uint64_t node, size;
	int error;

	(void)a;
	(void)target;
	while (first < len && text[first] != ' ')
		first++;
	if (last > first && text[last - 1] == '\n')
		last--;
	if (last < first + 2)
		return EINVAL;
	unit = __builtin_strchr(units, text[last - 1]);
	error = control_parse(text, first, &node);
	if (!error)
		error = control_parse(text + first + 1, last - first - 1 - (unit != NULL), &size);
	if (error)
		return error;
	if (node >= MAX_NODES || (unit && size > UINT64_MAX >> 30))
		return ERANGE;
	if (unit)
		size <<= 10 * (unit - units + 1);
	return node_errno(node_control_probe((uint32_t)node, size));
}

static bool is_empty(const struct id_set *set)
{
	return id_set_next(set, 0) == MAX_IDS;
}

SHOW(node_policy_show)
{
	static const char *const words[] = {
		[POLICY_DEFAULT] = "local",	    [POLICY_LOCAL] = "local",
		[POLICY_PREFERRED] = "preferred",   [POLICY_BIND] = "bind",
		[POLICY_INTERLEAVE] = "interleave",
	};
	struct id_set nodes;
	enum policy_mode mode = node_control_policy(&nodes);

	(void)a;
	(void)target;
	out_text(out, words[mode]);
	if (mode == POLICY_DEFAULT || mode == POLICY_LOCAL || is_empty(&nodes)) {
		out_text(out, "\n");
		return 0;
	}
	out_text(out, ":");
	out_ids(out, &nodes);
	return 0;
}

/* Would it be a policy if its numbers were smaller? Three digits of each are small enough. */
static bool is_policy_beyond(const char *text, size_t len)
{
	char smaller[256];
	size_t n = 0, digits = 0;
	struct id_set nodes;
	enum policy_mode mode;

	for (size_t i = 0; i < len && n < sizeof(smaller); i++) {
		digits = text[i] >= '0' && text[i] <= '9' ? digits + 1 : 0;
		if (digits <= 3)
			smaller[n++] = text[i];
		else
			__builtin_memset(smaller + n - 3, '9', 3);
	}
	return n < sizeof(smaller) && policy_parse(smaller, n, &mode, &nodes);
}

static bool are_possible(const struct id_set *nodes)
{
	struct id_set possible;

	node_control_set(NODES_POSSIBLE, &possible);
	for (uint32_t i = 0; i < MAX_IDS / 64; i++) {
		if (nodes->bits[i] & ~possible.bits[i])
			return false;
	}
	return true;
}

STORE(node_policy_store)
{
	struct id_set nodes;
	enum policy_mode mode;

	(void)a;
	(void)target;
	if (len && text[len - 1] == '\n')
		len--;
	if (!policy_parse(text, len, &mode, &nodes))
		return is_policy_beyond(text, len) ? ERANGE : EINVAL;
	if (!are_possible(&nodes))
		return ERANGE;
	return node_control_set_policy(mode, &nodes) ? 0 : ENOMEM;
}

SHOW(node_state_show)
{
	static const char *const words[] = {
		[NODE_OFFLINE] = "offline\n",
		[NODE_ONLINE] = "online\n",
		[NODE_GOING_OFFLINE] = "going-offline\n",
	};

	(void)a;
	out_text(out, words[node_control_state(target->node)]);
	return 0;
}

STORE(node_state_store)
{
	(void)a;
	if (control_is_word(text, len, "online"))
		return node_errno(node_control_online(target->node));
	if (control_is_word(text, len, "offline"))
		return node_errno(node_control_offline(target->node));
	return EINVAL;
}

static void out_memory(struct control_out *out, uint32_t node, const char *what, uint64_t bytes)
{
	out_text(out, "Node ");
	out_number(out, node);
	out_text(out, " ");
	out_left(out, what, 15);
	out_right(out, bytes >> 10, 8);
	out_text(out, " kB\n");
}

static uint64_t held(const struct node_snapshot *shot)
{
	return shot->slab + shot->runs + shot->threads;
}

/* What the heap holds of the node: used by objects, or kept for them. The rest of the node is free to it. */
SHOW(node_meminfo_show)
{
	struct node_snapshot shot;
	struct node_info info;
	uint64_t used;

	(void)a;
	snapshot_node(target->node, &shot);
	node_control_info(target->node, &info);
	used = held(&shot) + info.mapped_bytes;
	out_memory(out, target->node, "MemTotal:", info.size);
	out_memory(out, target->node, "MemFree:", info.size > used ? info.size - used : 0);
	out_memory(out, target->node, "MemUsed:", used);
	out_memory(out, target->node, "Inactive:", shot.idle);
	out_memory(out, target->node, "AnonPages:", shot.runs + info.mapped_bytes);
	out_memory(out, target->node, "KernelStack:", shot.threads);
	out_memory(out, target->node, "Slab:", shot.slab);
	return 0;
}

static void out_count(struct control_out *out, const char *what, uint64_t count)
{
	out_text(out, what);
	out_number(out, count);
	out_text(out, "\n");
}

/* In frames. Where nobody counts what was allocated there is what is held. */
SHOW(node_numastat_show)
{
	struct node_snapshot shot;
	struct node_info info;

	(void)a;
	node_control_info(target->node, &info);
	if (!info.counts) {
		snapshot_node(target->node, &shot);
		info.hit = info.local = held(&shot) / FRAME_SIZE;
	}
	out_count(out, "numa_hit ", info.hit);
	out_count(out, "numa_miss ", info.miss);
	out_count(out, "numa_foreign ", info.foreign);
	out_count(out, "interleave_hit ", info.interleave_hit);
	out_count(out, "local_node ", info.local);
	out_count(out, "other_node ", info.other);
	return 0;
}

SHOW(node_distance_show)
{
	struct id_set online;
	bool any = false;

	(void)a;
	node_control_set(NODES_ONLINE, &online);
	for (uint32_t node = 0; node < MAX_NODES; node++) {
		if (!id_set_has(&online, node))
			continue;
		if (any)
			out_text(out, " ");
		out_number(out, node_control_distance(target->node, node));
		any = true;
	}
	out_text(out, "\n");
	return 0;
}

SHOW(node_cpulist_show)
{
	struct id_set cpus;

	(void)a;
	node_control_cpus(target->node, &cpus);
	out_ids(out, &cpus);
	return 0;
}
