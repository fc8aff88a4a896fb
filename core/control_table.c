/*
 * The table of control files. Layer: control; see control_tree.h.
 */
#include "control_attr.h"
#include "control_snapshot.h"
#include "counters.h"

#define NODES(name, set)                                                    \
	{                                                                   \
		"devices/system/node/" name, 0444, node_set_show, NULL, set \
	}
#define NODE(name, mode, show, store)                                   \
	{                                                               \
		"devices/system/node/node#/" name, mode, show, store, 0 \
	}
#define CACHE(name, mode, show, store)                      \
	{                                                   \
		"kernel/slab/@/" name, mode, show, store, 0 \
	}
#define CACHE_CONST(name, which)                                           \
	{                                                                  \
		"kernel/slab/@/" name, 0400, cache_const_show, NULL, which \
	}
#define CACHE_FIGURE(name, which)                                           \
	{                                                                   \
		"kernel/slab/@/" name, 0400, cache_figure_show, NULL, which \
	}
#define CACHE_EVENT(name, which)                                                        \
	{                                                                               \
		"kernel/slab/@/" name, 0600, cache_event_show, cache_event_store, which \
	}

const struct attribute control_attributes[] = {
	{"slabinfo", 0400, slabinfo_show, NULL, 0},

	NODES("possible", NODES_POSSIBLE),
	NODES("online", NODES_ONLINE),
	NODES("has_memory", NODES_HAS_MEMORY),
	NODES("has_normal_memory", NODES_HAS_NORMAL_MEMORY),
	NODES("has_cpu", NODES_HAS_CPU),
	{"devices/system/node/probe", 0200, NULL, node_probe_store, 0},
	{"devices/system/node/policy", 0644, node_policy_show, node_policy_store, 0},
	NODE("state", 0644, node_state_show, node_state_store),
	NODE("meminfo", 0444, node_meminfo_show, NULL),
	NODE("numastat", 0444, node_numastat_show, NULL),
	NODE("distance", 0444, node_distance_show, NULL),
	NODE("cpulist", 0444, node_cpulist_show, NULL),

	CACHE_CONST("object_size", CONST_OBJECT_SIZE),
	CACHE_CONST("slab_size", CONST_SLAB_SIZE),
	CACHE_CONST("objs_per_slab", CONST_OBJS_PER_SLAB),
	CACHE_CONST("order", CONST_ORDER),
	CACHE_CONST("align", CONST_ALIGN),
	CACHE_CONST("aliases", CONST_ALIASES),
	CACHE("ctor", 0400, cache_ctor_show, NULL),

	CACHE_FIGURE("objects", FIGURE_OBJECTS),
	CACHE_FIGURE("total_objects", FIGURE_TOTAL_OBJECTS),
	CACHE_FIGURE("partial", FIGURE_PARTIAL),
	CACHE_FIGURE("objects_partial", FIGURE_OBJECTS_PARTIAL),
	CACHE_FIGURE("slabs", FIGURE_SLABS),
	CACHE_FIGURE("cpu_slabs", FIGURE_CPU_SLABS),

	CACHE("min_partial", 0600, cache_min_partial_show, cache_min_partial_store),
	CACHE("remote_node_defrag_ratio", 0600, cache_defrag_ratio_show, cache_defrag_ratio_store),
	CACHE("shrink", 0600, cache_nothing_show, cache_shrink_store),
	CACHE("validate", 0600, cache_nothing_show, cache_validate_store),

	CACHE_EVENT("alloc_fastpath", ALLOC_FASTPATH),
	CACHE_EVENT("alloc_slowpath", ALLOC_SLOWPATH),
	CACHE_EVENT("alloc_nested", ALLOC_NESTED),
	CACHE_EVENT("alloc_fallback_bucket", ALLOC_FALLBACK_BUCKET),
	CACHE_EVENT("alloc_from_partial", ALLOC_FROM_PARTIAL),
	CACHE_EVENT("alloc_slab", ALLOC_SLAB),
	CACHE_EVENT("alloc_node_mismatch", ALLOC_NODE_MISMATCH),
	CACHE_EVENT("free_fastpath", FREE_FASTPATH),
	CACHE_EVENT("free_slowpath", FREE_SLOWPATH),
	CACHE_EVENT("free_remote", FREE_REMOTE),
	CACHE_EVENT("free_nested", FREE_NESTED),
	CACHE_EVENT("free_slab", FREE_SLAB),
	{NULL, 0, NULL, NULL, 0},
};
