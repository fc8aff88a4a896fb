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
