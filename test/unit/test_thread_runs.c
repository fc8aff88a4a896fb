/* Sheaves of runs: what malloc() and free() of 32 KiB to 256 KiB find there, and what they leave. */
#include "large.h"

#define DELAY 20
#define MOST ((uint32_t)RUN_SHEAF_SIZE << RUN_SHEAF_MAX_GRADE)

static uint64_t runs_in_use(void)
{
	return figures().runs;
}

/* As many as given are allocated and freed, again and again. */
static void swing(unsigned int n, size_t size, unsigned int times)
{
	void *p[16];

	while (times--) {
		for (unsigned int i = 0; i < n; i++)
			assert_non_null(p[i] = kmalloc(size));
		for (unsigned int i = 0; i < n; i++)
			kfree(p[i]);
	}
}

static void each_length_has_its_own(void **state)
{
	(void)state;
	kmalloc_trim();
	for (unsigned int i = 0; i < NR_RUN_LENGTHS; i++) {
		size_t most = (i + 1) * FRAME_SIZE,
		       least = i ? i * FRAME_SIZE + 1 : KMALLOC_MAX_SIZE + 1;
		char *p = kmalloc(least);

		assert_ptr_equal(run_cache(least), &run_caches[i]);
		assert_ptr_equal(run_cache(most), &run_caches[i]);
		assert_int_equal(ksize(p), page_up(least));
		assert_null(kmalloc_cache_of(p));
		memset(p, 1, least);
		kfree(p);
		assert_int_equal(sheaf_length(&run_caches[i]), 1);
		assert_ptr_equal(kmalloc(most), p);
		assert_int_equal(ksize(p), most);
		assert_ptr_equal(large_find(p + most - 1), virt_to_slab(p));
		kfree(p);
		assert_int_equal(sheaf_length(&run_caches[i]), 1);
	}
	assert_int_equal(sheaf_length(&run_caches[NR_RUN_LENGTHS - 1]), 1);
	kfree(kmalloc(RUN_CACHED_MAX + 1));
	assert_int_equal(sheaf_length(&run_caches[NR_RUN_LENGTHS - 1]), 1);
	assert_nothing_large();
	kmalloc_trim();
	for (unsigned int i = 0; i < NR_RUN_LENGTHS; i++)
		assert_int_equal(sheaf_length(&run_caches[i]), 0);
}

/* What lies in a sheaf is nobody's: it counts as free frames, and is found by none. */
static void figures_know_them(void **state)
{
	void *p[5];

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		p[i] = kmalloc(3 * FRAME_SIZE);
	assert_int_equal(runs_in_use(), 5);
	for (unsigned int i = 0; i < 5; i++)
		kfree(p[i]);
	assert_int_equal(sheaf_length(&run_caches[2]), RUN_SHEAF_SIZE);
	assert_nothing_large();
	assert_int_equal(figures().free_frames, 15);
	kmalloc_trim();
	assert_int_equal(figures().free_frames, 0);
}

static void it_grows_where_it_swings(void **state)
{
	struct kmem_cache *s = &run_caches[0];

	(void)state;
	/* The look at what is idle that an earlier test has left due. */
	sleep_ms(DELAY);
	swing(MOST, FRAME_SIZE, 10 * MANY_SWINGS);
	kmalloc_trim();
	swing(MOST, FRAME_SIZE, MANY_SWINGS);
	assert_int_equal(sheaf_size(s), RUN_SHEAF_SIZE);
	swing(MOST, FRAME_SIZE, 1);
	assert_int_equal(sheaf_size(s), 2 * RUN_SHEAF_SIZE);
	swing(2 * MOST, FRAME_SIZE, 10 * MANY_SWINGS);
	assert_int_equal(sheaf_size(s), MOST);
	assert_int_equal(sheaf_length(s), MOST);
	assert_nothing_large();
	kmalloc_trim();
	assert_int_equal(sheaf_size(s), RUN_SHEAF_SIZE);
	/* No more than it takes: nothing to grow for. */
	swing(RUN_SHEAF_SIZE, FRAME_SIZE, 10 * MANY_SWINGS);
	assert_int_equal(sheaf_size(s), RUN_SHEAF_SIZE);
	kmalloc_trim();
}

static void what_is_left_alone_is_given_up(void **state)
{
	(void)state;
	options.purge_delay_ms = DELAY;
	swing(2, 2 * FRAME_SIZE, 1);
	assert_int_equal(sheaf_length(&run_caches[1]), 2);
	for (unsigned int i = 0; i < 8 * DELAY; i++) {
		swing(16, MIB, 1);
		sleep_ms(1);
	}
	assert_int_equal(sheaf_length(&run_caches[1]), 0);
	options.purge_delay_ms = 3600000;
	kmalloc_trim();
}

static void *leave_some(void *arg)
{
	(void)arg;
	must(kmalloc(1));
	for (unsigned int i = 1; i <= NR_RUN_LENGTHS; i++)
		kfree(kmalloc(i * FRAME_SIZE));
	must(sheaf_length(&run_caches[0]) == 1);
	return NULL;
}

static void a_thread_that_ends_leaves_none(void **state)
{
	uint64_t before;

	(void)state;
	kmalloc_trim();
	before = figures().free_frames;
	run_thread(leave_some, NULL);
	for (uint32_t i = 0; i < NR_RUN_LENGTHS; i++)
		assert_int_equal(thread_count_free(&run_caches[i]), 0);
	assert_true(figures().free_frames >= before + 4);
	kmalloc_trim();
}

static void *free_it(void *p)
{
	kfree(p);
	must(thread_has_free(&run_caches[0], p));
	must(kmalloc(FRAME_SIZE) == p);
	return NULL;
}

/* A thread that only frees has a sheaf as well. */
static void another_thread_may_free_it(void **state)
{
	void *p = kmalloc(FRAME_SIZE);

	(void)state;
	run_thread(free_it, p);
	assert_int_equal(runs_in_use(), 1);
	kfree(p);
	assert_nothing_large();
	kmalloc_trim();
}

/* The interrupted frame has the sheaf in its hands: frames serve what is nested. */
static void a_nested_call_does_without(void **state)
{
	struct kmem_cache *s = &run_caches[1];
	void *p = kmalloc(2 * FRAME_SIZE), *q;

	(void)state;
	kfree(p);
	hold_lock(s);
	q = kmalloc(2 * FRAME_SIZE);
	assert_non_null(q);
	assert_ptr_not_equal(q, p);
	kfree(q);
	assert_int_equal(virt_to_slab(q)->kind, FRAME_NONE);
	q = kmalloc(2 * FRAME_SIZE);
	kmalloc_trim();
	drop_lock(s);
	assert_int_equal(sheaf_length(s), 1);
	kfree(q);
	assert_int_equal(sheaf_length(s), 2);
	assert_nothing_large();
	kmalloc_trim();
}

/* It goes with others of its length. */
static void resizing_changes_the_sheaf(void **state)
{
	char *p = kmalloc(FRAME_SIZE + 1), *q;

	(void)state;
	fill(p, FRAME_SIZE + 1);
	assert_ptr_equal(krealloc(p, 2 * FRAME_SIZE), p);
	assert_int_equal(ksize(p), 2 * FRAME_SIZE);
	assert_ptr_equal(krealloc(p, 40000), p);
	assert_int_equal(ksize(p), page_up(40000));
	check(p, 40000 - 8);
	kfree(p);
	assert_int_equal(sheaf_length(&run_caches[1]), 0);
	assert_int_equal(sheaf_length(&run_caches[0]), 1);
	p = kmalloc(50000);
	fill(p, 50000);
	q = krealloc(p, 5 * MIB);
	assert_int_equal(virt_to_slab(q)->limit, 0);
	check(q, 50000 - 8);
	q = krealloc(q, RUN_CACHED_MAX);
	check(q, 50000 - 8);
	kfree(q);
	assert_ptr_equal(kzalloc(RUN_CACHED_MAX), q);
	assert_true(is_zero(q, RUN_CACHED_MAX));
	kfree(q);
	assert_nothing_large();
	kmalloc_trim();
}

static void aligned_ones_are_the_same(void **state)
{
	char *p = kmalloc_aligned(FRAME_SIZE, 4096), *q;

	(void)state;
	kfree(p);
	assert_ptr_equal(kmalloc_aligned(100, FRAME_SIZE), p);
	q = kmalloc_aligned(100000, 2 * FRAME_SIZE);
	assert_int_equal((uintptr_t)q % (2 * FRAME_SIZE), 0);
	kfree(p);
	kfree(q);
	assert_nothing_large();
	kmalloc_trim();
}

static void misuse_is_reported(void **state)
{
	(void)state;
	check_misuse(&run_caches[1], 2);
	assert_nothing_large();
	kmalloc_trim();
}

/* A program may write what free objects hold: then the sheaves are asked, and know better. */
static void the_mark_alone_is_no_proof(void **state)
{
	struct free_object *p = kmalloc(FRAME_SIZE);

	(void)state;
	p->state.mark = FREE_MARK;
	kfree(p);
	assert_nothing_large();
	assert_int_equal(sheaf_length(&run_caches[0]), 1);
	kmalloc_trim();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: later ones are not due for long. */
		cmocka_unit_test(what_is_left_alone_is_given_up),
		cmocka_unit_test(each_length_has_its_own),
		cmocka_unit_test(figures_know_them),
		cmocka_unit_test(it_grows_where_it_swings),
		cmocka_unit_test(a_thread_that_ends_leaves_none),
		cmocka_unit_test(another_thread_may_free_it),
		cmocka_unit_test(a_nested_call_does_without),
		cmocka_unit_test(resizing_changes_the_sheaf),
		cmocka_unit_test(aligned_ones_are_the_same),
		cmocka_unit_test(misuse_is_reported),
		cmocka_unit_test(the_mark_alone_is_no_proof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
