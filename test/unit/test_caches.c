/* The size classes over every size, and the one multiplication that tells what an object is. */
#include "unit.h"

#include "core/caches.h"
#include "core/slab.h"

static void every_size_has_the_tightest_class(void **state)
{
	(void)state;
	assert_int_equal(size_class(0), 0);
	for (uint32_t size = 1; size <= KMALLOC_MAX_SIZE; size++) {
		unsigned int i = size_class(size);

		assert_int_equal(i, CLASS_OF(size));
		assert_true(i < NR_SIZE_CLASSES);
		assert_true(CLASS_SIZE(i) >= size);
		assert_true(i == 0 || CLASS_SIZE(i - 1) < size);
	}
}

static void at_most_an_eighth_is_waste(void **state)
{
	(void)state;
	for (uint32_t size = 129; size <= KMALLOC_MAX_SIZE; size++)
		assert_true((CLASS_SIZE(size_class(size)) - size) * 8 <= size);
}

static void classes_rise_in_steps_of_16(void **state)
{
	(void)state;
	assert_int_equal(CLASS_SIZE(0), 16);
	assert_int_equal(CLASS_SIZE(NR_SIZE_CLASSES - 1), KMALLOC_MAX_SIZE);
	for (unsigned int i = 0; i < NR_SIZE_CLASSES; i++) {
		assert_int_equal(CLASS_SIZE(i) % MIN_ALIGN, 0);
		assert_true(i == 0 || CLASS_SIZE(i - 1) < CLASS_SIZE(i));
		assert_int_equal(size_class(CLASS_SIZE(i)), i);
	}
}

static void caches_are_made_from_the_classes(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++) {
		const struct kmem_cache *s = cache_by_index(i);
		size_t bytes = s->nr_frames * FRAME_SIZE;

		assert_ptr_equal(s, &kmalloc_caches[i]);
		assert_int_equal(s->size, CLASS_SIZE(i));
		assert_int_equal(s->object_size, s->size);
		assert_int_equal(s->offset, 0);
		assert_null(s->ctor);
		assert_int_equal(s->objects, bytes / s->size);
		assert_true(s->objects >= (i < NR_SIZE_CLASSES ? 2 : 1));
		assert_true(bytes - (size_t)s->objects * s->size < s->size);
		assert_int_equal(s->cpu_offset, offsetof(struct thread, cpu[i]));
		assert_int_equal(s->lists_offset, offsetof(struct thread, lists[i]));
		assert_true(s->sheaf >= 2);
		assert_int_equal(s->index, i);
	}
	assert_null(cache_by_index(NR_KMALLOC_CACHES));
}

/* The end of what a slab of a class may have carved: none, one, some, all. */
static uint32_t carved_count(uint32_t step, uint32_t objects)
{
	static const uint32_t quarters[] = {0, 0, 2, 4};

	return step == 1 ? 1 : objects * quarters[step] / 4;
}

/* Compares with counting up, from offset to offset; returns the first wrong one, `end` where none is. */
static uint32_t first_wrong_offset(const struct slab *slab, uint32_t size, uint32_t end)
{
	uint32_t object = 0, in_object = 0;

	for (uint32_t offset = 0; offset < end; offset++) {
		bool starts = in_object == 0 && object < slab->carved;

		if (slab_object_ok(slab, offset) != starts)
			return offset;
		if (++in_object == size) {
			in_object = 0;
			object++;
		}
	}
	return end;
}

static void check_object_ok(uint32_t size, uint32_t end, uint32_t objects)
{
	struct slab slab = {.inverse = SLAB_INVERSE(size)};

	for (uint32_t step = 0; step < 4; step++) {
		slab.carved = carved_count(step, objects);
		slab.limit = slab.carved * SLAB_RESIDUE(size);
		assert_int_equal(first_wrong_offset(&slab, size, end), end);
	}
}

static void object_ok_in_every_kmalloc_slab(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++) {
		const struct kmem_cache *s = &kmalloc_caches[i];

		assert_true(s->inverse == SLAB_INVERSE(s->size));
		assert_true(s->residue == SLAB_RESIDUE(s->size));
		check_object_ok(s->size, (uint32_t)(s->nr_frames * FRAME_SIZE), s->objects);
	}
}

/* Of user caches: any multiple of 16, in slabs of up to 32 frames. */
static void object_ok_in_slabs_of_user_caches(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (unsigned int i = 0; i < ROUNDS(50); i++) {
		uint32_t size = 16 * (1 + (uint32_t)random_below(&seed, 262144 / 16));

		check_object_ok(size, 1 << 21, (1 << 21) / size);
	}
	check_object_ok(262144, 1 << 21, 8);
}

/* residue lies in 1..size, as the comment in slab.h has it. */
static void residues_are_small(void **state)
{
	(void)state;
	for (uint32_t size = 16; size <= 262144; size += 16) {
		assert_true(SLAB_RESIDUE(size) >= 1 && SLAB_RESIDUE(size) <= size);
		assert_true(SLAB_INVERSE(size) >= UINT64_C(1) << 44);
	}
}

static void slabs_without_limit_have_no_objects(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		assert_false(slab_object_ok(&slab_none, random_next(&seed)));
	assert_false(slab_object_ok(&slab_none, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_has_the_tightest_class),
		cmocka_unit_test(at_most_an_eighth_is_waste),
		cmocka_unit_test(classes_rise_in_steps_of_16),
		cmocka_unit_test(caches_are_made_from_the_classes),
		cmocka_unit_test(object_ok_in_every_kmalloc_slab),
		cmocka_unit_test(object_ok_in_slabs_of_user_caches),
		cmocka_unit_test(residues_are_small),
		cmocka_unit_test(slabs_without_limit_have_no_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
