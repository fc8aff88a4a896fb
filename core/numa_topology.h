/*
 * Which nodes there are: the machine's, from sysfs, or simulated ones, from options. Layer: numa_topology, over os;
 * called by numa before main, and by the service thread when the machine's nodes have changed.
 */
#ifndef USLUB_NUMA_TOPOLOGY_H
#define USLUB_NUMA_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "id_set.h"

#define NO_NODE UINT16_MAX
/* Distances, as ACPI's tables have them. */
#define LOCAL_DISTANCE 10U
#define REMOTE_DISTANCE 20U

/*
 * As the machine, or who started the process, has it. In a mapping of its own, for it takes more than a megabyte; zero
 * before it is filled, and const from then on.
 */
struct numa_topology {
	struct id_set possible; /* nodes that there are or could be: those that get a directory */
	/* Of them, those that have memory now, and the process may have it. */
	struct id_set memory;
	struct id_set cpus[MAX_NODES]; /* of each node */
	uint16_t cpu_node[MAX_IDS];    /* NO_NODE: of none */
	/* The machine's node that it is on; of one that isn't possible NO_NODE. */
	uint16_t real[MAX_NODES];
	/* Bytes. Of real ones MemTotal, 0 if it isn't known; of simulated ones as told, 0: as much as there is. */
	uint64_t size[MAX_NODES];
	uint8_t distance[MAX_NODES][MAX_NODES]; /* of possible nodes */
	bool simulated;
	bool unsure; /* a file could not be read: what has memory is a guess */
};

/* What USLUB=nodes:N,... asks for; `nodes` 0: the machine's own. */
struct numa_options {
	uint32_t nodes;
	/* Each a text, "" where it isn't given; see numa_simulate.c. */
	char distance[256], sizes[256], cpus[256];
};

/*
 * Fills it from the directory (/sys/devices/system/node, in tests another), and where that knows nothing of nodes, from
 * `cpu` beside it: then it is one node, 0, with all cpus, and the answer is false. A possible node that isn't online
 * has no cpus, and is REMOTE_DISTANCE away.
 */
bool numa_topology_read(struct numa_topology *t, const char *sysfs);
/*
 * Fills it with simulated nodes over `machine`'s. NULL, or what is wrong with the options, in words for the user: the
 * part that was wrong is then as if it had not been given.
 */
const char *numa_topology_simulate(struct numa_topology *t, const struct numa_topology *machine,
				   const struct numa_options *options);

#endif
