/* Large objects that grow and shrink: where they are, to another place, and by moving their pages. */
#include "large.h"

/* The object stays as it was. */
static void growing_too_far_is_refused(void **state)
{
	char *run = kmalloc(MIB), *mapped = kmalloc(40 * MIB);

	(void)state;
	fill(run, MIB);
	fill(mapped, 40 * MIB);
	assert_null(krealloc(run, SIZE_MAX));
	assert_null(krealloc(mapped, (size_t)PTRDIFF_MAX + 1));
	assert_null(krealloc(run, (size_t)1 << OS_ADDRESS_BITS));
	assert_null(krealloc(mapped, (size_t)1 << OS_ADDRESS_BITS));
	assert_null(krealloc(run, ((size_t)1 << OS_ADDRESS_BITS) - 1));
	/* Nor with room to grow: a quarter of this is what would be mapped. */
	assert_null(krealloc(mapped, ((size_t)1 << OS_ADDRESS_BITS) - FRAME_SIZE));
	assert_int_equal(ksize(run), MIB);
	assert_int_equal(ksize(mapped), 40 * MIB);
	check(run, MIB);
	check(mapped, 40 * MIB);
	kfree(run);
	kfree(mapped);
	assert_nothing_large();
}

/* From every size to every other. */
static void realloc_keeps_the_content(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SIZES; i++) {
		for (size_t k = 0; k < NR_SIZES; k++) {
			size_t least = sizes[i] < sizes[k] ? sizes[i] : sizes[k];
			char *p = kmalloc(sizes[i]);

			fill(p, sizes[i]);
			p = krealloc(p, sizes[k]);
			assert_non_null(p);
			assert_true(ksize(p) >= sizes[k]);
			check(p, least);
			fill(p, sizes[k]);
			check(p, sizes[k]);
			kfree(p);
		}
	}
	assert_nothing_large();
}

static void realloc_leads_to_and_from_small(void **state)
{
	char *p = kmalloc(1000);

	(void)state;
	memset(p, 'x', 1000);
	p = krealloc(p, 5 * MIB);
	assert_int_equal(ksize(p), 5 * MIB);
	assert_true(p[0] == 'x' && p[999] == 'x');
	p = krealloc(p, 500);
	assert_int_equal(ksize(p), 512);
	assert_true(p[0] == 'x' && p[499] == 'x');
	kfree(p);
	assert_nothing_large();
}

/* Into free frames behind it: no byte moves. */
static void runs_grow_and_shrink_in_place(void **state)
{
	char *p = kmalloc(RUN_MAX / 2), *q;

	(void)state;
	p = krealloc(p, 100 * KIB);
	fill(p, 100 * KIB);
	q = krealloc(p, 3 * MIB);
	assert_ptr_equal(q, p);
	assert_int_equal(virt_to_slab(p)->nr_frames, 3 * MIB / FRAME_SIZE);
	check(p, 100 * KIB);
	q = krealloc(p, 100 * KIB);
	assert_ptr_equal(q, p);
	assert_int_equal(virt_to_slab(p)->nr_frames, 2);
	check(p, 100 * KIB);
	/* Within its last frame nothing but the size changes. */
	assert_ptr_equal(krealloc(p, 128 * KIB), p);
	assert_int_equal(ksize(p), 128 * KIB);
	kfree(p);
	assert_nothing_large();
}

static char *krealloc_or_new(char *p, size_t size)
{
	p = p ? krealloc(p, size) : kmalloc(size);
	assert_non_null(p);
	return p;
}

/* Two runs of that size, one right behind the other. */
static void make_neighbours(size_t size, char **first, char **second)
{
	uint32_t n = (uint32_t)(size >> FRAME_SHIFT);
	char *both = kmalloc(2 * size);
	struct slab *slab = virt_to_slab(both);

	must(slab->kind == FRAME_RUN);
	/* Made from one, as if they had been claimed one by one. */
	slab->nr_frames = n;
	slab->size = size;
	slab[n] = (struct slab){.kind = FRAME_RUN, .nr_frames = n, .size = size};
	slab[n].base = (uintptr_t)both + size;
	*first = both;
	*second = both + size;
}

static void a_small_blocked_run_is_copied(void **state)
{
	char *first, *second, *moved;

	(void)state;
	make_neighbours(128 * KIB, &first, &second);
	fill(first, 128 * KIB);
	fill(second, 128 * KIB);
	moved = krealloc(first, 256 * KIB);
	assert_ptr_not_equal(moved, first);
	assert_int_equal(virt_to_slab(moved)->kind, FRAME_RUN);
	check(moved, 128 * KIB);
	check(second, 128 * KIB);
	kfree(moved);
	kfree(second);
	assert_nothing_large();
}

static void a_large_blocked_run_takes_its_pages_along(void **state)
{
	char *first, *second, *moved;

	(void)state;
	make_neighbours(4 * MIB, &first, &second);
	fill(first, 4 * MIB);
	fill(second, 4 * MIB);
	/* No memory is at hand that a copy could go to. */
	purge_all();
	moved = krealloc(first, 7 * MIB);
	assert_int_equal(virt_to_slab(moved)->kind, FRAME_MAPPED);
	check(moved, 4 * MIB);
	assert_true(is_zero(moved + 4 * MIB, 3 * MIB));
	assert_int_equal(virt_to_slab(first)->kind, FRAME_NONE);
	assert_int_equal(figures().mapped_bytes, 7 * MIB);
	check(second, 4 * MIB);
	/* As a mapping it grows on, where it is or elsewhere. */
	for (size_t size = 8 * MIB; size <= 32 * MIB; size += 6 * MIB) {
		moved = krealloc(moved, size);
		assert_int_equal(virt_to_slab(moved)->kind, FRAME_MAPPED);
		assert_int_equal(ksize(moved), size);
		check(moved, 4 * MIB);
	}
	assert_int_equal(figures().mapped_bytes, 32 * MIB);
	moved = krealloc(moved, 100 * KIB);
	check(moved, 100 * KIB);
	kfree(moved);
	kfree(second);
	assert_nothing_large();
}

/* Into memory that was in use lately, a copy is cheaper than new pages in the place of moved ones. */
static void where_memory_is_at_hand_a_large_run_is_copied(void **state)
{
	char *first, *second, *moved, *all = kmalloc(RUN_MAX);

	(void)state;
	memset(all, 1, RUN_MAX);
	kfree(all);
	make_neighbours(4 * MIB, &first, &second);
	fill(first, 4 * MIB);
	moved = krealloc(first, 7 * MIB);
	if (virt_to_slab(moved)->kind == FRAME_MAPPED) {
		/* The room it would have was never touched: now it is. */
		kfree(moved);
		all = kmalloc_aligned(RUN_MAX, RUN_MAX);
		memset(all, 1, RUN_MAX);
		kfree(all);
		make_neighbours(4 * MIB, &first, &moved);
		kfree(second);
		second = moved;
		fill(first, 4 * MIB);
		moved = krealloc(first, 7 * MIB);
	}
	assert_int_equal(virt_to_slab(moved)->kind, FRAME_RUN);
	check(moved, 4 * MIB);
	kfree(moved);
	kfree(second);
	assert_nothing_large();
}

#define NR_GROWING 4U

/* Each in the way of the others at first, each finds room when it moves. */
static void growing_runs_keep_out_of_each_others_way(void **state)
{
	char *p[NR_GROWING] = {NULL};
	unsigned int moves = 0;

	(void)state;
	for (size_t size = 40 * KIB; size <= 4 * MIB; size += size / 2) {
		for (unsigned int i = 0; i < NR_GROWING; i++) {
			char *old = p[i];

			p[i] = krealloc_or_new(old, size);
			fill(p[i], size);
			moves += old && p[i] != old;
		}
		for (unsigned int i = 0; i < NR_GROWING; i++)
			check(p[i], size);
	}
	for (unsigned int i = 0; i < NR_GROWING; i++)
		assert_int_equal(virt_to_slab(p[i])->kind, FRAME_RUN);
	/* By half their size at a time they have grown 11 times each. */
	assert_true(moves <= 4 * NR_GROWING);
	for (unsigned int i = 0; i < NR_GROWING; i++)
		kfree(p[i]);
	assert_nothing_large();
}

/* With another mapping right behind it, there is no way but to move. */
static void a_blocked_mapping_takes_its_pages_along(void **state)
{
	char *p = kmalloc(40 * MIB), *moved;

	(void)state;
	fill(p, 40 * MIB);
	/* Refused where something is there already, which blocks as well. */
	os_reserve_at(p + 40 * MIB, 64 * KIB);
	moved = krealloc(p, 50 * MIB);
	assert_ptr_not_equal(moved, p);
	check(moved, 40 * MIB);
	assert_true(is_zero(moved + 40 * MIB, 10 * MIB));
	assert_int_equal(virt_to_slab(p)->kind, FRAME_NONE);
	assert_int_equal(figures().mapped, 1);
	assert_int_equal(figures().mapped_bytes, 50 * MIB);
	kfree(moved);
	assert_nothing_large();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(growing_too_far_is_refused),
		cmocka_unit_test(realloc_keeps_the_content),
		cmocka_unit_test(realloc_leads_to_and_from_small),
		cmocka_unit_test(runs_grow_and_shrink_in_place),
		cmocka_unit_test(a_small_blocked_run_is_copied),
		cmocka_unit_test(a_large_blocked_run_takes_its_pages_along),
		cmocka_unit_test(where_memory_is_at_hand_a_large_run_is_copied),
		cmocka_unit_test(growing_runs_keep_out_of_each_others_way),
		cmocka_unit_test(a_blocked_mapping_takes_its_pages_along),
	};

	/* Nothing is purged behind the tests' backs. */
	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
