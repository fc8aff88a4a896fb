/*
 * From an address to its metadata. Layer: map. Called by everything above.
 *
 * Two loads, no lock, no branch, for any address whatsoever: the high bits pick a section, the rest the
 * frame. The table holds the distance of the section's slabs from `none`, so that a section that does
 * not exist (0) resolves to `none`, whose slabs are all zero: FRAME_NONE, limit 0. As mem_section[] of
 * the kernel's sparse memory model, whose entries carry such an offset as well.
 */
#ifndef USLUB_MAP_H
#define USLUB_MAP_H

#include "types.h"

struct address_map {
	struct slab none[SECTION_FRAMES]; /* never written, so it costs no memory */
	uintptr_t delta[NR_SECTIONS];	  /* CAS from 0, then const */
};

extern struct address_map address_map __attribute__((visibility("hidden")));

/*
 * The struct slab of the frame that holds `addr`. Relaxed: whoever got `addr` from malloc is ordered
 * behind the publication of its section already, and for other addresses any answer of the past will do.
 */
static inline struct slab *virt_to_slab(const void *addr)
{
	uintptr_t a = (uintptr_t)addr;
	uintptr_t nr = (a >> SECTION_SHIFT) & (NR_SECTIONS - 1);
	uintptr_t slabs = (uintptr_t)address_map.none + load_folded(address_map.delta[nr]);

	return (struct slab *)(slabs + ((a >> (FRAME_SHIFT - 7)) & ((SECTION_FRAMES - 1) << 7)));
}

/* The same for an address in any frame of a slab: the slab's first. */
static inline struct slab *slab_of(const void *addr)
{
	struct slab *slab = virt_to_slab(addr);

	return slab->kind == FRAME_TAIL ? slab - slab->nr_frames : slab;
}

static inline uint32_t frame_number(uintptr_t addr)
{
	return (uint32_t)(addr >> FRAME_SHIFT);
}

static inline struct slab *frame_to_slab(uint32_t frame)
{
	return virt_to_slab((void *)((uintptr_t)frame << FRAME_SHIFT));
}

/* The section of an address that is known to be in one. */
static inline struct section *frame_to_section(const void *addr)
{
	return (struct section *)((uintptr_t)address_map.none +
				  load_folded(address_map.delta[((uintptr_t)addr >> SECTION_SHIFT) &
								(NR_SECTIONS - 1)]));
}

/* The section that holds `addr`; NULL where there is none. */
struct section *section_find(uintptr_t addr);
/* The same, made where it is missing; NULL: out of memory. */
struct section *section_get(uintptr_t addr);
/* Where the map of free objects begins of a slab at `addr`, a frame of ours. NULL: out of memory. */
uint64_t *slab_maps_get(uintptr_t addr);
/* Makes the maps of all slabs in [start, end), which may otherwise want memory when there is none. */
bool slab_maps_make(uintptr_t start, uintptr_t end);

#endif
