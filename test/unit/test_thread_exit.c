/* Threads come and go: what they leave is taken over, and their records are used again. */
#include "heap.h"

#include "core/options.h"

#define NR_OBJECTS 200U

static void *left[NR_OBJECTS];

static size_t size_of(unsigned int i)
{
	static const size_t sizes[] = {16, 40, 64, 200, 1000, 5000, 20000};

	return sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
}

static uint64_t bytes_in_use(void)
{
	struct heap_stats heap;

	heap_stats(&heap, NULL);
	return heap.small_used;
}

/* Frees what the thread before it left, and leaves as much. */
static void *free_and_leave(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < NR_OBJECTS; i++) {
		if (left[i])
			must(*(unsigned int *)left[i] == i);
		kfree(left[i]);
		left[i] = kmalloc(size_of(i));
		must(left[i]);
		*(unsigned int *)left[i] = i;
	}
	return NULL;
}

static void a_thousand_threads_in_turn(void **state)
{
	struct heap_stats heap;
	uint64_t reserved, used;

	(void)state;
	run_thread(free_and_leave, NULL);
	run_thread(free_and_leave, NULL);
	used = bytes_in_use();
	heap_stats(&heap, NULL);
	reserved = heap.reserved;
	for (unsigned int i = 0; i < ROUNDS(1000); i++)
		run_thread(free_and_leave, NULL);
	assert_int_equal(bytes_in_use(), used);
	heap_stats(&heap, NULL);
	assert_int_equal(heap.reserved, reserved);
	/* This thread's, if it has one, and that of all the others in turn. */
	assert_true(heap.threads <= 2);
	assert_true(heap.small_used + heap.small_free < 100 * FRAME_SIZE);
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		kfree(left[i]);
	assert_int_equal(bytes_in_use(), 0);
}

static void *use_all_sizes(void *arg)
{
	void *objects[NR_OBJECTS];

	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		must(objects[i] = kmalloc(size_of(i)));
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		kfree(objects[i]);
	return arg;
}

static void records_are_as_many_as_threads_at_once(void **state)
{
	uint64_t before = nr_records();

	(void)state;
	for (unsigned int i = 0; i < ROUNDS(100); i++)
		run_threads(8, use_all_sizes, NULL, 0);
	assert_true(nr_records() <= before + 8);
	assert_int_equal(bytes_in_use(), 0);
}

/* An ended thread holds no slab: what it had is gone, or on a node's list. */
static void nothing_stays_with_an_ended_thread(void **state)
{
	uint64_t slabs = 0;

	(void)state;
	run_thread(use_all_sizes, NULL);
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++) {
		if (current_thread != &thread_fresh)
			thread_flush(current_thread, &kmalloc_caches[i]);
		shrink_node(get_node(&kmalloc_caches[i], &first_node));
		slabs += slabs_of(&kmalloc_caches[i]);
	}
	assert_int_equal(slabs, 0);
}

static pthread_key_t key;
static unsigned int rounds;
static void *late[8];

/* Runs in every round of destructors; the library's own runs in the second. */
static void destructor(void *arg)
{
	bool is_gone = thread_current() == NULL;

	must(late[rounds] = kmalloc(64));
	must(rounds < 2 || is_gone);
	memset(late[rounds], (int)rounds, 64);
	if (rounds)
		kfree(late[rounds - 1]);
	if (++rounds < 3)
		pthread_setspecific(key, arg);
}

static void *set_destructor(void *arg)
{
	must(kmalloc(16));
	must(!pthread_key_create(&key, destructor));
	must(!pthread_setspecific(key, arg));
	return NULL;
}

static void destructors_allocate_to_the_end(void **state)
{
	uint64_t before = bytes_in_use();

	(void)state;
	run_thread(set_destructor, left);
	assert_int_equal(rounds, 3);
	assert_int_equal(bytes_in_use(), before + 16 + 64);
	kfree(late[2]);
	pthread_key_delete(key);
}

/* A thread that only frees has a record as well, and gives it back. */
static void *free_one(void *arg)
{
	kfree(arg);
	return NULL;
}

static void threads_that_only_free(void **state)
{
	uint64_t before, used = bytes_in_use();

	(void)state;
	run_thread(free_one, kmalloc(100));
	before = nr_records();
	for (unsigned int i = 0; i < ROUNDS(300); i++)
		run_thread(free_one, kmalloc(100));
	assert_int_equal(nr_records(), before);
	assert_int_equal(bytes_in_use(), used);
}

#define NR_CROWD 60U

static pthread_barrier_t all_here;

static void *wait_with_objects(void *arg)
{
	void **slot = arg;

	must(*slot = kmalloc(48));
	memset(*slot, 1, 48);
	pthread_barrier_wait(&all_here);
	return NULL;
}

static void a_crowd_of_threads(void **state)
{
	void *objects[NR_CROWD];
	uint64_t used = bytes_in_use();

	(void)state;
	pthread_barrier_init(&all_here, NULL, NR_CROWD);
	run_threads(NR_CROWD, wait_with_objects, objects, sizeof(objects[0]));
	assert_int_equal(bytes_in_use(), used + NR_CROWD * 48);
	for (unsigned int i = 0; i < NR_CROWD; i++) {
		for (unsigned int k = 0; k < i; k++)
			assert_ptr_not_equal(objects[i], objects[k]);
	}
	for (unsigned int i = 0; i < NR_CROWD; i++)
		kfree(objects[i]);
	assert_int_equal(bytes_in_use(), used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thousand_threads_in_turn),
		cmocka_unit_test(records_are_as_many_as_threads_at_once),
		cmocka_unit_test(nothing_stays_with_an_ended_thread),
		cmocka_unit_test(destructors_allocate_to_the_end),
		cmocka_unit_test(threads_that_only_free),
		cmocka_unit_test(a_crowd_of_threads),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
