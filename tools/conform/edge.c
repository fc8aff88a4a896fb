/*
 * The edge cases: where threads, modules, stacks and processes begin and end, and priorities. Layer:
 * tools; listed in cases.c.
 */
#include "edge.h"
#include "storm_table.h"

void edge_use_the_heap(struct conform_random *r)
{
	struct conform_object own[4], other;

	for (int i = 0; i < 4; i++)
		table_make(&own[i], r);
	object_resize(&own[0], table_size(r));
	table_put(&own[1], r);
	if (table_take(&other, r))
		object_free(&other);
	for (int i = 0; i < 4; i++) {
		if (own[i].p)
			object_free(&own[i]);
	}
}

const struct conform_case edge_cases[] = {
	{"edge.first", "a thread's first malloc, interrupted", 20, edge_first},
	{"edge.destructors", "malloc in and after a thread's destructors", 20, edge_destructors},
	{"edge.past-the-end", "handlers while a thread ends", 20, edge_past_the_end},
	{"edge.tls", "a handler is first to touch a module's TLS", 20, edge_tls},
	{"edge.exit", "malloc in atexit handlers and destructors of modules", 20, edge_exit},
	{"edge.small-stack", "handlers on the smallest stack", 20, edge_small_stack},
	{"edge.deep", "handlers nested 200 deep, all in malloc", 20, edge_deep},
	{"edge.priority", "a SCHED_FIFO thread preempts one that is in malloc", 20, edge_priority},
	{NULL, NULL, 0, NULL},
};
