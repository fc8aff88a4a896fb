/*
 * Nodes for the control files, of a heap that knows no nodes: there is one, 0. Layer: node_control; see
 * node_control.h.
 */
#include "node_control.h"
#include "large.h"
#include "os_file.h"

void node_control_set(enum node_set which, struct id_set *set)
{
	(void)which;
	*set = (struct id_set){.bits = {1}};
}

enum node_state node_control_state(uint32_t node)
{
	return node == 0 ? NODE_ONLINE : NODE_OFFLINE;
}

void node_control_info(uint32_t node, struct node_info *info)
{
	*info = (struct node_info){0};
	if (node != 0)
		return;
	info->size = os_memory_size();
	info->mapped_bytes = atomic_load_explicit(&large_mapped.bytes, memory_order_relaxed);
}

uint32_t node_control_distance(uint32_t from, uint32_t to)
{
	return from == to ? 10 : 20;
}

void node_control_cpus(uint32_t node, struct id_set *cpus)
{
	char text[1024];
	long n = os_read_file("/sys/devices/system/cpu/online", text, sizeof(text));

	*cpus = (struct id_set){.bits = {0}};
	if (node == 0 && n > 0)
		id_set_parse(cpus, text, (size_t)n);
}

enum node_result node_control_online(uint32_t node)
{
	return node == 0 ? NODE_SAME : NODE_UNKNOWN;
}

enum node_result node_control_offline(uint32_t node)
{
	return node == 0 ? NODE_LAST : NODE_UNKNOWN;
}

enum node_result node_control_probe(uint32_t node, uint64_t size)
{
	(void)size;
	return node == 0 ? NODE_EXISTS : NODE_UNKNOWN;
}

uint32_t node_control_of(const void *addr)
{
	(void)addr;
	return 0;
}

uint32_t node_control_poll(void)
{
	return 0;
}
