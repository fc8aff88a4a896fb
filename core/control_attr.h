/*
 * The show and store functions that the table of attributes names. Layer: control.
 */
#ifndef USLUB_CONTROL_ATTR_H
#define USLUB_CONTROL_ATTR_H

#include "control_tree.h"
#include "os_file.h"

#define SHOW(name)                                                               \
	int name(const struct attribute *a, const struct control_target *target, \
		 struct control_out *out)
#define STORE(name)                                                                                \
	int name(const struct attribute *a, const struct control_target *target, const char *text, \
		 size_t len)

/* control_node.c; `which`: enum node_set. */
SHOW(node_set_show);
STORE(node_probe_store);
SHOW(node_policy_show);
STORE(node_policy_store);
SHOW(node_state_show);
STORE(node_state_store);
SHOW(node_meminfo_show);
SHOW(node_numastat_show);
SHOW(node_distance_show);
SHOW(node_cpulist_show);

/* What a cache was made with; `which` of cache_const_show(). */
enum cache_const {
	CONST_OBJECT_SIZE,
	CONST_SLAB_SIZE,
	CONST_OBJS_PER_SLAB,
	CONST_ORDER,
	CONST_ALIGN,
	CONST_ALIASES,
};

/* control_slab.c; `which`: enum cache_const, cache_figure, cache_event. */
SHOW(cache_const_show);
SHOW(cache_ctor_show);
SHOW(cache_figure_show);
SHOW(cache_event_show);
STORE(cache_event_store);
SHOW(cache_min_partial_show);
STORE(cache_min_partial_store);
SHOW(cache_defrag_ratio_show);
STORE(cache_defrag_ratio_store);
SHOW(cache_nothing_show);
STORE(cache_shrink_store);
SHOW(slabinfo_show);

/* control_validate.c */
STORE(cache_validate_store);

#endif
