/* A thread gives up what it holds of caches that it has left alone, and keeps what it uses. */
#include "heap.h"

#include "core/options.h"

#define NR 2000
#define DELAY 20

/* One here and one there: each slab has an object in the sheaf to the end. */
static void use_and_leave(size_t size)
{
	static void *p[NR];
	uint64_t seed = 1;

	for (unsigned int i = 0; i < NR; i++)
		p[i] = kmalloc(size);
	for (unsigned int i = NR; i--;) {
		size_t j = random_below(&seed, i + 1);

		kfree(p[j]);
		p[j] = p[i];
	}
}

/* Goes through refills and flushes of one cache, for that long. */
static void go_on_elsewhere(size_t size, unsigned int ms)
{
	for (unsigned int i = 0; i < ms; i++) {
		use_and_leave(size);
		sleep_ms(1);
	}
}

static void what_is_left_alone_is_given_up(void **state)
{
	struct kmem_cache *left = kmalloc_cache(640);

	(void)state;
	options.purge_delay_ms = DELAY;
	use_and_leave(640);
	assert_true(slabs_of(left) > 1);
	go_on_elsewhere(64, 8 * DELAY);
	assert_int_equal(slabs_of(left), 0);
	assert_int_equal(sheaf_length(left), 0);
}

/* Held by a frame that was interrupted, it is let alone. */
static void what_is_held_stays(void **state)
{
	struct kmem_cache *held = kmalloc_cache(640);
	uint32_t length;

	(void)state;
	options.purge_delay_ms = DELAY;
	use_and_leave(640);
	length = sheaf_length(held);
	assert_true(length > 0);
	hold_lock(held);
	go_on_elsewhere(64, 8 * DELAY);
	assert_int_equal(sheaf_length(held), length);
	drop_lock(held);
	go_on_elsewhere(64, 8 * DELAY);
	assert_int_equal(slabs_of(held), 0);
}

static void what_is_not_due_stays(void **state)
{
	struct kmem_cache *left = kmalloc_cache(640);

	(void)state;
	options.purge_delay_ms = DELAY;
	go_on_elsewhere(64, DELAY);
	options.purge_delay_ms = 3600000;
	go_on_elsewhere(64, DELAY);
	use_and_leave(640);
	go_on_elsewhere(64, 8 * DELAY);
	assert_true(sheaf_length(left) > 0);
}

static void look(void)
{
	current_thread->idle_due = 0;
	thread_poll_idle(current_thread, 0);
}

/* Runs lie at multiples of 64 KiB, some at those of a MiB, and of sixteen: each is known by where it lies. */
static void a_run_anywhere_is_given_up(void **state)
{
	enum { RUNS = 600 };
	static void *p[RUNS];
	unsigned int kept = 0;

	(void)state;
	for (unsigned int i = 0; i < RUNS; i++)
		p[i] = kmalloc(FRAME_SIZE);
	look();
	for (unsigned int i = 0; i < RUNS; i++) {
		kfree(p[i]);
		/* It has come; is idle. */
		look();
		kept += sheaf_length(run_cache(FRAME_SIZE)) == 1;
		look();
		assert_int_equal(sheaf_length(run_cache(FRAME_SIZE)), 0);
	}
	/* Few are taken for the one before. */
	assert_true(kept > RUNS - 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_left_alone_is_given_up),
		cmocka_unit_test(what_is_held_stays),
		cmocka_unit_test(what_is_not_due_stays),
		cmocka_unit_test(a_run_anywhere_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
