/* What the tests of nodes share: topologies, sets as texts, and what holds of every topology. */
#ifndef USLUB_UNIT_TOPOLOGY_H
#define USLUB_UNIT_TOPOLOGY_H

#include "unit.h"

#include "core/numa_topology.h"

/* From calloc(), which a sanitizer watches. */
static inline struct numa_topology *new_topology(void)
{
	struct numa_topology *t = calloc(1, sizeof(*t));

	must(t);
	return t;
}

/* As sysfs writes it; in one of a few buffers. */
static inline const char *set_text(const struct id_set *set)
{
	static char texts[4][24000];
	static unsigned int turn;
	char *text = texts[turn++ % 4], *at = text;
	uint32_t id = 0;

	*text = '\0';
	while ((id = id_set_next(set, id)) < MAX_IDS) {
		uint32_t last = id;

		while (id_set_has(set, last + 1))
			last++;
		at += sprintf(at, "%s%u", at > text ? "," : "", id);
		if (last > id)
			at += sprintf(at, "-%u", last);
		id = last + 1;
	}
	return text;
}

static inline void assert_set(const struct id_set *set, const char *expected)
{
	assert_string_equal(set_text(set), expected);
}

/* The node's distances to the first `n` nodes, each with a space before it. */
static inline void assert_distances(const struct numa_topology *t, uint32_t node, uint32_t n,
				    const char *expected)
{
	char text[64] = "", *at = text;

	for (uint32_t to = 0; to < n; to++)
		at += sprintf(at, " %u", t->distance[node][to]);
	assert_string_equal(text, expected);
}

static inline bool cpus_are_sound(const struct numa_topology *t)
{
	bool sound = true;

	for (uint32_t node = 0; node < MAX_NODES; node++) {
		const struct id_set *cpus = &t->cpus[node];

		sound &= id_set_has(&t->possible, node) || id_set_next(cpus, 0) == MAX_IDS;
		for (uint32_t cpu = id_set_next(cpus, 0); cpu < MAX_IDS;
		     cpu = id_set_next(cpus, cpu + 1))
			sound &= t->cpu_node[cpu] == node;
	}
	for (uint32_t cpu = 0; cpu < MAX_IDS; cpu++)
		sound &= t->cpu_node[cpu] == NO_NODE || id_set_has(&t->possible, t->cpu_node[cpu]);
	return sound;
}

static inline bool distances_are_sound(const struct numa_topology *t)
{
	bool sound = true;

	for (uint32_t from = 0; from < MAX_NODES; from++) {
		for (uint32_t to = 0; id_set_has(&t->possible, from) && to < MAX_NODES; to++)
			sound &= from == to ? t->distance[from][to] == LOCAL_DISTANCE
					    : t->distance[from][to] >= LOCAL_DISTANCE ||
						      !id_set_has(&t->possible, to);
	}
	return sound;
}

/* What holds of all. */
static inline void check_topology(const struct numa_topology *t)
{
	assert_true(id_set_next(&t->memory, 0) < MAX_NODES);
	assert_int_equal(id_set_next(&t->possible, MAX_NODES), MAX_IDS);
	for (uint32_t i = 0; i < MAX_IDS / 64; i++)
		assert_int_equal(t->memory.bits[i] & ~t->possible.bits[i], 0);
	for (uint32_t node = 0; node < MAX_NODES; node++) {
		if (!id_set_has(&t->possible, node))
			assert_int_equal(t->real[node], NO_NODE);
		else
			assert_true(t->simulated || t->real[node] == node);
	}
	assert_true(cpus_are_sound(t));
	assert_true(distances_are_sound(t));
}

#endif
