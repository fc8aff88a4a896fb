/*
 * The table of sections. Layer: map. Called by frame and large when address space is added.
 */
#include "map.h"

struct address_map address_map;

static uintptr_t *section_delta(uintptr_t addr)
{
	return &address_map.delta[(addr >> SECTION_SHIFT) & (NR_SECTIONS - 1)];
}

static struct section *delta_to_section(uintptr_t delta)
{
	return delta ? (struct section *)((uintptr_t)address_map.none + delta) : NULL;
}

struct section *section_find(uintptr_t addr)
{
	return delta_to_section(__atomic_load_n(section_delta(addr), __ATOMIC_ACQUIRE));
}

/* All frames of a new section are somebody else's until frame_reserve() says otherwise. */
static struct section *section_create(uintptr_t addr)
{
	struct section *sec = os_map(sizeof(*sec));

	if (!sec)
		return NULL;
	/* Of most sections a few pages are ever touched. */
	os_huge_pages(sec, sizeof(*sec), false);
	for (unsigned int i = 0; i < SECTION_WORDS; i++)
		atomic_init(&sec->used[i], ~UINT64_C(0));
	atomic_init(&sec->first_free, SECTION_FRAMES);
	sec->base = addr & ~(SECTION_SIZE - 1);
	return sec;
}

struct section *section_get(uintptr_t addr)
{
	uintptr_t *slot = section_delta(addr);
	struct section *sec = section_find(addr);
	uintptr_t old = 0;

	if (sec)
		return sec;
	sec = section_create(addr);
	if (!sec)
		return NULL;
	/* Release pairs with the acquire in section_find(): publishes *sec. */
	if (__atomic_compare_exchange_n(slot, &old, (uintptr_t)sec - (uintptr_t)address_map.none,
					false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return sec;
	os_unmap(sec, sizeof(*sec));
	return delta_to_section(old);
}

/* Made where there are none; in one function with its callers, for the stack. */
static inline __attribute__((always_inline)) struct slab_maps *
maps_get(_Atomic(struct slab_maps *) *slot)
{
	struct slab_maps *maps = atomic_load_explicit(slot, memory_order_relaxed), *none = NULL;

	if (!maps) {
		maps = os_map(sizeof(*maps));
		if (!maps)
			return NULL;
		if (!atomic_compare_exchange_strong_explicit(
			    slot, &none, maps, memory_order_relaxed, memory_order_relaxed)) {
			os_unmap(maps, sizeof(*maps));
			maps = none;
		}
	}
	return maps;
}

static _Atomic(struct slab_maps *) *maps_slot(uintptr_t addr)
{
	return &section_find(addr)->maps[frame_number(addr) % SECTION_FRAMES / MAPS_FRAMES];
}

uint64_t *slab_maps_get(uintptr_t addr)
{
	struct slab_maps *maps = maps_get(maps_slot(addr));

	return maps ? maps->free[0].of_frame[frame_number(addr) % MAPS_FRAMES] : NULL;
}

bool slab_maps_make(uintptr_t start, uintptr_t end)
{
	for (; start < end; start = round_up(start + 1, MAPS_FRAMES * FRAME_SIZE)) {
		if (!maps_get(maps_slot(start)))
			return false;
	}
	return true;
}
