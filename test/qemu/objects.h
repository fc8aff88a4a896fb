/*
 * Objects that know what is in them: whoever holds one can tell whether all its words are those that were written
 * for it. Used by the program of the tests in QEMU.
 */
#ifndef USLUB_TEST_QEMU_OBJECTS_H
#define USLUB_TEST_QEMU_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No smaller than its head; whole words beyond it are all pattern. */
struct object {
	uint32_t size, seed;
	uint64_t pattern[];
};

#define OBJECT_MIN (sizeof(struct object) + sizeof(uint64_t))

static inline uint64_t object_word(uint32_t seed, size_t i)
{
	return ((uint64_t)seed << 32 ^ i) * 0x9e3779b97f4a7c15U;
}

static inline size_t object_words(uint32_t size)
{
	return (size - sizeof(struct object)) / sizeof(uint64_t);
}

static inline void object_fill(struct object *o, uint32_t size, uint32_t seed)
{
	o->size = size;
	o->seed = seed;
	for (size_t i = 0; i < object_words(size); i++)
		o->pattern[i] = object_word(seed, i);
}

/* Whether it is the object of that size and seed, at least as far as `kept` bytes go. */
static inline bool object_kept(const struct object *o, uint32_t size, uint32_t seed, uint32_t kept)
{
	if (o->size != size || o->seed != seed)
		return false;
	for (size_t i = 0; i < object_words(kept < size ? kept : size); i++)
		if (o->pattern[i] != object_word(seed, i))
			return false;
	return true;
}

static inline bool object_intact(const struct object *o, uint32_t size, uint32_t seed)
{
	return object_kept(o, size, seed, size);
}

/* uslub_malloc_node() where the preloaded library has it, malloc() for NO_NODE; NULL: no memory, or no such call. */
#define NO_NODE (-1)
struct object *object_alloc(size_t size, int node);

#endif
