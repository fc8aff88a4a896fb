/* From any address to a struct slab, and sections made by threads at once. */
#include "unit.h"

#include "core/map.h"

#define ADDRESSES 100000
#define ADDRESS_MASK ((UINT64_C(1) << OS_ADDRESS_BITS) - 1)

static bool is_in_table(const struct slab *slab, const struct slab *table)
{
	uintptr_t distance = (uintptr_t)slab - (uintptr_t)table;

	return distance < sizeof(address_map.none) && distance % sizeof(*slab) == 0;
}

static bool is_none(const void *addr)
{
	return is_in_table(virt_to_slab(addr), address_map.none);
}

static void check_address(uint64_t addr)
{
	const struct slab *slab = virt_to_slab((const void *)(uintptr_t)addr);
	const struct section *sec = section_find((uintptr_t)addr);

	assert_true(is_in_table(slab, sec ? sec->slabs : address_map.none));
	assert_int_equal(slab - (sec ? sec->slabs : address_map.none),
			 (addr >> FRAME_SHIFT) % SECTION_FRAMES);
	/* The bits above the address space don't count. */
	assert_ptr_equal(slab, virt_to_slab((const void *)(uintptr_t)(addr & ADDRESS_MASK)));
}

static void check_random_addresses(void)
{
	uint64_t seed = 3;

	for (unsigned int i = 0; i < ADDRESSES; i++)
		check_address(random_next(&seed));
	for (unsigned int bit = 0; bit < 64; bit++) {
		check_address(UINT64_C(1) << bit);
		check_address((UINT64_C(1) << bit) - 1);
		check_address(-(UINT64_C(1) << bit));
	}
}

static void every_address_resolves(void **state)
{
	int here;

	(void)state;
	check_random_addresses();
	assert_true(is_none(NULL) && is_none(&here));
	assert_null(section_find((uintptr_t)&here));
}

static void sections_are_made_once(void **state)
{
	uintptr_t addr = (UINT64_C(5) << 40) + 12345;
	struct section *sec = section_get(addr);

	(void)state;
	assert_non_null(sec);
	assert_ptr_equal(section_get(addr), sec);
	assert_ptr_equal(section_find(addr), sec);
	assert_int_equal(sec->base, addr & ~(SECTION_SIZE - 1));
	assert_ptr_equal(section_get(sec->base), sec);
	assert_ptr_equal(section_get(sec->base + SECTION_SIZE - 1), sec);
	assert_null(section_find(sec->base - 1));
	assert_null(section_find(sec->base + SECTION_SIZE));
	check_random_addresses();
}

/* Nothing of a new section may be claimed, and nothing in it is a slab. */
static void new_sections_hold_no_frame(void **state)
{
	struct section *sec = section_get(UINT64_C(6) << 40);

	(void)state;
	assert_int_equal(sec->first_free, SECTION_FRAMES);
	for (uint32_t w = 0; w < SECTION_WORDS; w++) {
		assert_true(sec->used[w] == ~UINT64_C(0));
		assert_true(!sec->reserved[w] && !sec->committed[w] && !sec->dirty[w]);
	}
	assert_true(is_zero(sec->slabs, sizeof(sec->slabs)));
}

static void slabs_follow_the_frames(void **state)
{
	struct section *sec = section_get(UINT64_C(7) << 40);

	(void)state;
	for (uint32_t i = 0; i < SECTION_FRAMES; i++) {
		uintptr_t addr = sec->base + i * FRAME_SIZE;

		assert_ptr_equal(virt_to_slab((void *)addr), &sec->slabs[i]);
		assert_ptr_equal(virt_to_slab((void *)(addr + FRAME_SIZE - 1)), &sec->slabs[i]);
		assert_ptr_equal(frame_to_slab(frame_number(addr)), &sec->slabs[i]);
	}
}

static void tails_lead_to_their_slab(void **state)
{
	struct section *sec = section_get(UINT64_C(8) << 40);

	(void)state;
	sec->slabs[10].kind = FRAME_SLAB;
	for (uint32_t i = 1; i < 4; i++) {
		sec->slabs[10 + i].kind = FRAME_TAIL;
		sec->slabs[10 + i].nr_frames = i;
	}
	for (uint32_t i = 0; i < 4; i++)
		assert_ptr_equal(slab_of((void *)(sec->base + (10 + i) * FRAME_SIZE + 77)),
				 &sec->slabs[10]);
}

#define NR_FOUND 64

struct finder {
	struct section *found[NR_FOUND];
};

static pthread_barrier_t start;

static void *find_all(void *arg)
{
	struct finder *f = arg;

	pthread_barrier_wait(&start);
	for (uintptr_t i = 0; i < NR_FOUND; i++)
		f->found[i] = section_get((UINT64_C(9) << 40) + i * SECTION_SIZE);
	return NULL;
}

static void threads_get_the_same_sections(void **state)
{
	static struct finder finders[4];

	(void)state;
	pthread_barrier_init(&start, NULL, 4);
	run_threads(4, find_all, finders, sizeof(finders[0]));
	for (unsigned int i = 0; i < NR_FOUND; i++) {
		assert_non_null(finders[0].found[i]);
		for (unsigned int k = 1; k < 4; k++)
			assert_ptr_equal(finders[k].found[i], finders[0].found[i]);
		assert_true(i == 0 || finders[0].found[i] != finders[0].found[i - 1]);
	}
}

/* Last: what all of the above resolved to has stayed as it was. */
static void none_stays_zero(void **state)
{
	(void)state;
	assert_true(is_zero(address_map.none, sizeof(address_map.none)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_address_resolves),
		cmocka_unit_test(sections_are_made_once),
		cmocka_unit_test(new_sections_hold_no_frame),
		cmocka_unit_test(slabs_follow_the_frames),
		cmocka_unit_test(tails_lead_to_their_slab),
		cmocka_unit_test(threads_get_the_same_sections),
		cmocka_unit_test(none_stays_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
