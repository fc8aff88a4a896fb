/*
 * Sets of numbers: of nodes, or of cpus. Layer: os, over nothing. Called by options, by numa, and by what the control
 * files show.
 */
#ifndef USLUB_ID_SET_H
#define USLUB_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_NODES 1024U
#define MAX_IDS 4096U

struct id_set {
	uint64_t bits[MAX_IDS / 64];
};

static inline bool id_set_has(const struct id_set *set, uint32_t id)
{
	return id < MAX_IDS && set->bits[id / 64] >> id % 64 & 1;
}

static inline void id_set_add(struct id_set *set, uint32_t id)
{
	if (id < MAX_IDS)
		set->bits[id / 64] |= (uint64_t)1 << id % 64;
}

/* The lowest from `id` on; MAX_IDS: there is none. */
static inline uint32_t id_set_next(const struct id_set *set, uint32_t id)
{
	while (id < MAX_IDS) {
		uint64_t rest = set->bits[id / 64] >> id % 64;

		if (rest)
			return id + (uint32_t)__builtin_ctzll(rest);
		id = (id / 64 + 1) * 64;
	}
	return MAX_IDS;
}

/* A list as sysfs writes it, `0-1,3`, added to the set. What isn't understood in it is left out. */
void id_set_parse(struct id_set *set, const char *text, size_t len);
/*
 * The same, as a user writes it: of a number below `end` at least, and of nothing else. False: it isn't that, and a
 * part may have been added.
 */
bool id_set_parse_strictly(struct id_set *set, const char *text, size_t len, char separator,
			   uint32_t end);

#endif
