/* The sheaf of runs of 320 KiB to 4 MiB: when it opens, what malloc() finds there, and when it gives up what it holds. */
#include "mixed.h"

#define DELAY 20

static void it_opens_where_it_would_have_served(void **state)
{
	void *p;

	(void)state;
	kmalloc_trim();
	p = run_of(16);
	for (unsigned int i = 0; i < MANY_SWINGS; i++) {
		assert_false(is_open());
		/* Of what is allocated meanwhile it gets nothing. */
		assert_int_equal(virt_to_slab(p)->limit, 0);
		kfree(p);
		p = run_of(16);
	}
	assert_true(is_open());
	kfree(p);
	assert_int_equal(sheaf_length(MIXED), 1);
	assert_nothing_large();
	assert_int_equal(figures().free_frames, 16);
	kmalloc_trim();
	assert_int_equal(figures().free_frames, 0);
	assert_false(is_open());
}

static void other_lengths_dont_open_it(void **state)
{
	(void)state;
	kmalloc_trim();
	for (unsigned int i = 0; i < 20 * MANY_SWINGS; i++)
		kfree(run_of(LEAST + i % 3));
	assert_false(is_open());
	open_anew();
	for (unsigned int i = 0; is_open() && i < 2 * MANY_SWINGS; i++)
		kfree(run_of(LEAST + i % 3));
	assert_false(is_open());
	assert_int_equal(sheaf_length(MIXED), 0);
	/* Two that are allocated in turn do: it has room for both. */
	for (unsigned int i = 0; i < 2 * MANY_SWINGS; i++) {
		void *a = run_of(LEAST), *b = run_of(LEAST + 1);

		kfree(a);
		kfree(b);
	}
	assert_true(is_open());
	assert_int_equal(sheaf_length(MIXED), 2);
	assert_nothing_large();
	kmalloc_trim();
}

static void every_length_is_had_again(void **state)
{
	(void)state;
	open_anew();
	for (uint32_t n = LEAST; n <= RUN_FRAMES_MAX; n++) {
		size_t least = (n - 1) * FRAME_SIZE + 1, most = n * FRAME_SIZE;
		char *p;

		/* Or it would find another length there, and close after some. */
		thread_yield_mixed(current_thread);
		p = kmalloc(least);
		assert_int_equal(ksize(p), page_up(least));
		p[0] = p[least - 1] = 1;
		kfree(p);
		assert_int_equal(sheaf_length(MIXED), 1);
		assert_ptr_equal(kmalloc(most), p);
		assert_int_equal(ksize(p), most);
		assert_int_equal(sheaf_length(MIXED), 0);
		for (size_t at = 16; at < FRAME_SIZE; at *= 2)
			assert_false(slab_object_ok(virt_to_slab(p), at));
		kfree(p);
	}
	kfree(kmalloc(RUN_MIXED_MAX + 1));
	assert_int_equal(sheaf_length(MIXED), 0);
	kfree(kmalloc(RUN_CACHED_MAX));
	assert_int_equal(sheaf_length(MIXED), 0);
	assert_nothing_large();
	kmalloc_trim();
}

static void the_second_is_had_as_well(void **state)
{
	void *a, *b, *c;

	(void)state;
	open_anew();
	a = run_of(5);
	b = run_of(6);
	c = run_of(7);
	kfree(a);
	kfree(b);
	assert_int_equal(sheaf_length(MIXED), 2);
	kfree(c);
	assert_int_equal(virt_to_slab(c)->kind, FRAME_NONE);
	assert_ptr_equal(run_of(5), a);
	assert_int_equal(sheaf_length(MIXED), 1);
	kfree(a);
	assert_ptr_equal(run_of(6), b);
	assert_ptr_equal(run_of(5), a);
	assert_int_equal(sheaf_length(MIXED), 0);
	kfree(a);
	kfree(b);
	assert_nothing_large();
	kmalloc_trim();
}

/* Whatever goes for frames finds there what the sheaf held. */
static void nothing_is_kept_from_who_wants_frames(void **state)
{
	const size_t wanted[] = {7 * FRAME_SIZE, RUN_MIXED_MAX + 1, 40 * MIB, FRAME_SIZE, 5000};
	void *p[64];
	unsigned int n;

	(void)state;
	for (unsigned int i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		open_anew();
		fill_sheaf();
		for (n = 0; n < 64 && sheaf_length(MIXED); n++)
			assert_non_null(p[n] = kmalloc(wanted[i]));
		assert_true(n < 64);
		while (n--)
			kfree(p[n]);
	}
	open_anew();
	p[0] = run_of(5);
	fill_sheaf();
	p[0] = krealloc(p[0], MIB);
	assert_int_equal(sheaf_length(MIXED), 0);
	kfree(p[0]);
	assert_nothing_large();
	kmalloc_trim();
}

/* Bytes from the lowest to the highest address that objects of 0.5 to 2 MB took. */
static size_t span_of_churn(void)
{
	static char *p[64];
	uint64_t seed = 7;
	uintptr_t low = UINTPTR_MAX, high = 0;

	for (unsigned int i = 0; i < 4000; i++) {
		char **one = &p[random_below(&seed, 64)];
		size_t size = 500000 + random_below(&seed, 1500000);

		kfree(*one);
		must(*one = kmalloc(size));
		/* Lest it close: so many lengths are none that it would be open for. */
		own_cpu(MIXED)->swings = 0;
		low = (uintptr_t)*one < low ? (uintptr_t)*one : low;
		high = (uintptr_t)*one + size > high ? (uintptr_t)*one + size : high;
	}
	for (unsigned int i = 0; i < 64; i++) {
		kfree(p[i]);
		p[i] = NULL;
	}
	return high - low;
}

static void mixed_lengths_take_no_more(void **state)
{
	size_t without, with;

	(void)state;
	kmalloc_trim();
	hold_lock(MIXED);
	without = span_of_churn();
	drop_lock(MIXED);
	open_anew();
	with = span_of_churn();
	assert_true(is_open());
	print_message("%zu MiB without the sheaf, %zu with it\n", without / MIB, with / MIB);
	assert_in_range(with, 1, without + without / 20);
	assert_nothing_large();
	kmalloc_trim();
}

static bool goes_by(const void *p, const struct kmem_cache *s)
{
	const struct slab *slab = virt_to_slab(p);

	return slab->limit && slab->cache == s && slab->cpu_offset == s->cpu_offset;
}

/* By its length, which changes. */
static void resizing_changes_the_sheaf(void **state)
{
	char *p;

	(void)state;
	open_anew();
	p = run_of(4);
	fill(p, 4 * FRAME_SIZE);
	assert_true(goes_by(p, &run_caches[3]));
	p = krealloc(p, 5 * FRAME_SIZE);
	assert_true(goes_by(p, MIXED));
	p = krealloc(p, RUN_MIXED_MAX);
	assert_true(goes_by(p, MIXED));
	assert_int_equal(ksize(p), RUN_MIXED_MAX);
	p = krealloc(p, RUN_MIXED_MAX + 1);
	assert_int_equal(virt_to_slab(p)->limit, 0);
	check(p, 4 * FRAME_SIZE - 8);
	kfree(p);
	p = kmalloc(65 * FRAME_SIZE);
	fill(p, 4 * FRAME_SIZE);
	assert_int_equal(virt_to_slab(p)->limit, 0);
	assert_ptr_equal(krealloc(p, RUN_MIXED_MAX), p);
	assert_true(goes_by(p, MIXED));
	assert_ptr_equal(krealloc(p, 4 * FRAME_SIZE + 1), p);
	assert_true(goes_by(p, MIXED));
	assert_ptr_equal(krealloc(p, 4 * FRAME_SIZE), p);
	assert_true(goes_by(p, &run_caches[3]));
	check(p, 4 * FRAME_SIZE - 8);
	kfree(p);
	assert_nothing_large();
	kmalloc_trim();
}

static void callers_of_all_kinds_are_served(void **state)
{
	char *p;

	(void)state;
	open_anew();
	for (size_t size = RUN_CACHED_MAX + 1; size <= RUN_MIXED_MAX; size *= 2) {
		p = kmalloc(size);
		memset(p, 0xff, size);
		kfree(p);
		assert_ptr_equal(kzalloc(size), p);
		assert_true(is_zero(p, size));
		assert_int_equal(ksize(p), page_up(size));
		kfree(p);
	}
	p = run_of(16);
	kfree(p);
	assert_ptr_equal(kmalloc_aligned(MIB, 4096), p);
	kfree(p);
	assert_ptr_equal(kmalloc_aligned(MIB, FRAME_SIZE), p);
	kfree(p);
	p = kmalloc_aligned(MIB, 2 * FRAME_SIZE);
	assert_int_equal((uintptr_t)p % (2 * FRAME_SIZE), 0);
	large_charge(p, 1);
	kfree(p);
	assert_int_equal(atomic_load(&large_accounts[1].objects), 0);
	assert_nothing_large();
	kmalloc_trim();
}

static void misuse_is_reported(void **state)
{
	struct free_object *p;

	(void)state;
	open_anew();
	check_misuse(MIXED, 16);
	p = run_of(16);
	p->state.mark = FREE_MARK;
	kfree(p);
	assert_int_equal(sheaf_length(MIXED), 1);
	assert_nothing_large();
	kmalloc_trim();
}

static void a_nested_call_does_without(void **state)
{
	void *p, *q;

	(void)state;
	open_anew();
	p = run_of(16);
	kfree(p);
	hold_lock(MIXED);
	q = run_of(16);
	assert_ptr_not_equal(q, p);
	kfree(q);
	assert_int_equal(virt_to_slab(q)->kind, FRAME_NONE);
	q = run_of(20);
	kmalloc_trim();
	drop_lock(MIXED);
	assert_int_equal(sheaf_length(MIXED), 1);
	kfree(q);
	assert_int_equal(sheaf_length(MIXED), 2);
	assert_nothing_large();
	kmalloc_trim();
}

static void what_is_left_alone_is_given_up(void **state)
{
	(void)state;
	options.purge_delay_ms = DELAY;
	open_anew();
	fill_sheaf();
	for (unsigned int i = 0; i < 8 * DELAY; i++) {
		kfree(kmalloc(6 * MIB));
		sleep_ms(1);
	}
	assert_int_equal(sheaf_length(MIXED), 0);
	assert_false(is_open());
	options.purge_delay_ms = 3600000;
	/* The next look, which is due soon, takes swings for old. */
	sleep_ms(DELAY);
	large_poll_now();
	kmalloc_trim();
}

/* Who was busy once, and has a large object now and then, has it closed: one call doesn't open it again. */
static void what_is_seldom_used_is_given_up(void **state)
{
	bool closed = false;

	(void)state;
	options.purge_delay_ms = DELAY;
	open_anew();
	for (unsigned int i = 0; i < 8 && !closed; i++) {
		sleep_ms(DELAY);
		current_thread->large_left = 0;
		current_thread->idle_due = 0;
		kfree(kmalloc(MIB));
		closed = !is_open();
	}
	assert_true(closed);
	assert_int_equal(sheaf_length(MIXED), 0);
	options.purge_delay_ms = 3600000;
	kmalloc_trim();
}

static pthread_barrier_t all_have_tried;
static atomic_uint opened;

static void *open_and_stay(void *arg)
{
	must(kmalloc(1));
	if (try_to_open()) {
		atomic_fetch_add(&opened, 1);
		fill_sheaf();
	}
	pthread_barrier_wait(&all_have_tried);
	return arg;
}

/* And a thread that ends leaves nothing, nor keeps another from opening its own: the second time they are as many. */
static void only_so_many_are_open_at_a_time(void **state)
{
	enum { THREADS = 20, MOST = 4 };

	(void)state;
	kmalloc_trim();
	for (unsigned int i = 0; i < 2; i++) {
		atomic_store(&opened, 0);
		pthread_barrier_init(&all_have_tried, NULL, THREADS);
		run_threads(THREADS, open_and_stay, NULL, 0);
		pthread_barrier_destroy(&all_have_tried);
		assert_int_equal(atomic_load(&opened), MOST);
		assert_int_equal(thread_count_free(MIXED), 0);
	}
	open_anew();
	kmalloc_trim();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: later ones are not due for long. */
		cmocka_unit_test(what_is_left_alone_is_given_up),
		cmocka_unit_test(what_is_seldom_used_is_given_up),
		cmocka_unit_test(it_opens_where_it_would_have_served),
		cmocka_unit_test(other_lengths_dont_open_it),
		cmocka_unit_test(every_length_is_had_again),
		cmocka_unit_test(the_second_is_had_as_well),
		cmocka_unit_test(nothing_is_kept_from_who_wants_frames),
		cmocka_unit_test(mixed_lengths_take_no_more),
		cmocka_unit_test(resizing_changes_the_sheaf),
		cmocka_unit_test(callers_of_all_kinds_are_served),
		cmocka_unit_test(misuse_is_reported),
		cmocka_unit_test(a_nested_call_does_without),
		cmocka_unit_test(only_so_many_are_open_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
