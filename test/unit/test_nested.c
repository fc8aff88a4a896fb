/*
 * Calls that interrupt a call. The interrupted frame is its lock, which the test holds by hand: what a
 * nested call does then is all that a signal handler could. And signal handlers, for good measure.
 */
#include "heap.h"
#include "slabs.h"

#include <sched.h>

#include "core/options.h"

static uint32_t remote_count(const void *p)
{
	return slab_count_remote(slab_of(p));
}

static enum slab_state state_of(const void *p)
{
	return slab_shared(slab_of(p), memory_order_relaxed).state;
}

static void set_all_locks(void (*set)(struct kmem_cache *))
{
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++)
		set(&kmalloc_caches[i]);
}

static void a_busy_class_leads_to_the_next(void **state)
{
	void *objects[8];
	unsigned int first = size_class(64);

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		hold_lock(&kmalloc_caches[first + i]);
		objects[i] = kmalloc(64);
		assert_int_equal(ksize(objects[i]), CLASS_SIZE(first + i + 1));
	}
	for (unsigned int i = 0; i < 8; i++)
		drop_lock(&kmalloc_caches[first + i]);
	for (unsigned int i = 0; i < 8; i++)
		kfree(objects[i]);
	for (unsigned int i = 0; i <= 8; i++)
		assert_int_equal(objects_in_use(&kmalloc_caches[first + i]), 0);
}

static void nesting_keeps_the_alignment(void **state)
{
	void *objects[80];
	unsigned int n = 0;

	(void)state;
	/* Until the last class with that alignment is busy, and once more. */
	while (n < 80) {
		void *p = kmalloc_aligned(100, 128);

		objects[n++] = p;
		assert_int_equal((uintptr_t)p % 128, 0);
		assert_true(ksize(p) >= 128);
		if (!slab_is_of(slab_of(p), current_thread))
			break;
		hold_lock(slab_of(p)->cache);
	}
	assert_true(n > 5 && n < 80);
	assert_int_equal(ksize(objects[n - 1]), 128);
	for (unsigned int i = 0; i < n - 1; i++)
		drop_lock(slab_of(objects[i])->cache);
	while (n--)
		kfree(objects[n]);
}

/* The object is the interrupted frame's slab's: it goes there as another thread's, and the sheaf is left alone. */
static void a_free_while_busy_goes_to_the_slab(void **state)
{
	struct kmem_cache *s = kmalloc_cache(96);
	void *a = kmalloc(96), *b = kmalloc(96);
	struct free_object *sheaf = own_cpu(s)->freelist;
	uint32_t room = sheaf_room(s);
	uint32_t before = remote_count(a);

	(void)state;
	hold_lock(s);
	kfree(a);
	kfree(b);
	assert_int_equal(remote_count(a), before + 2);
	assert_ptr_equal(own_cpu(s)->freelist, sheaf);
	assert_int_equal(sheaf_room(s), room);
	drop_lock(s);
	assert_int_equal(objects_in_use(s), 0);
}

static void such_frees_come_back(void **state)
{
	static void *objects[4096];
	struct kmem_cache *s = kmalloc_cache(160);
	uint64_t slabs;

	(void)state;
	for (unsigned int i = 0; i < 4096; i++)
		objects[i] = kmalloc(160);
	slabs = slabs_of(s);
	for (unsigned int turn = 0; turn < 3; turn++) {
		hold_lock(s);
		for (unsigned int i = 0; i < 4096; i++)
			kfree(objects[i]);
		drop_lock(s);
		assert_int_equal(objects_in_use(s), 0);
		for (unsigned int i = 0; i < 4096; i++)
			objects[i] = kmalloc(160);
		assert_int_equal(objects_in_use(s), 4096);
		assert_true(slabs_of(s) <= slabs + 2);
	}
	for (unsigned int i = 0; i < 4096; i++)
		kfree(objects[i]);
	assert_int_equal(objects_in_use(s), 0);
}

#define NR_BIG 1500U

/* Nobody's full slabs: the first nested free puts them onto the node's list, where they are found again. */
static void a_nested_free_lists_a_full_slab(void **state)
{
	static void *objects[NR_BIG];
	struct kmem_cache *s = kmalloc_cache(32768);
	unsigned int full = 0;
	int32_t listed;

	(void)state;
	for (unsigned int i = 0; i < NR_BIG; i++)
		objects[i] = kmalloc(32768);
	while (state_of(objects[full]) != SLAB_FULL)
		assert_true(++full < NR_BIG);
	listed = get_node(s, &first_node)->nr_partial;
	hold_lock(s);
	kfree(objects[full]);
	assert_int_equal(state_of(objects[full]), SLAB_PARTIAL);
	assert_int_equal(get_node(s, &first_node)->nr_partial, listed + 1);
	assert_ptr_equal(slab_of(objects[full + 1]), slab_of(objects[full]));
	kfree(objects[full + 1]);
	assert_int_equal(get_node(s, &first_node)->nr_partial, listed + 1);
	/* All the rest, so that many of the listed become empty there. */
	for (unsigned int i = 0; i < NR_BIG; i++) {
		if (i != full && i != full + 1)
			kfree(objects[i]);
	}
	drop_lock(s);
	assert_int_equal(objects_in_use(s), 0);
	thread_flush(current_thread, s);
	shrink_node(get_node(s, &first_node));
	assert_int_equal(slabs_of(s), 0);
}

static void when_all_are_busy_it_goes_on(void **state)
{
	static void *objects[3000];
	struct kmem_cache *s = kmalloc_cache(64);
	uint64_t slabs;

	(void)state;
	set_all_locks(hold_lock);
	for (unsigned int i = 0; i < 3000; i++) {
		objects[i] = kmalloc(64);
		assert_non_null(objects[i]);
		assert_int_equal(ksize(objects[i]), 64);
		memset(objects[i], (int)i, 64);
	}
	slabs = slabs_of(s);
	assert_true(slabs <= 3000 / s->objects + 3);
	assert_int_equal(objects_in_use(s), 3000);
	for (unsigned int i = 0; i < 3000; i++) {
		assert_int_equal(*(unsigned char *)objects[i], i % 256);
		kfree(objects[i]);
	}
	assert_int_equal(objects_in_use(s), 0);
	set_all_locks(drop_lock);
	for (unsigned int i = 0; i < 3000; i++)
		objects[i] = kmalloc(64);
	assert_true(slabs_of(s) <= slabs + 2);
	for (unsigned int i = 0; i < 3000; i++)
		kfree(objects[i]);
	assert_int_equal(objects_in_use(s), 0);
}

static void the_shared_path_serves_every_size(void **state)
{
	void *objects[NR_KMALLOC_CACHES];

	(void)state;
	set_all_locks(hold_lock);
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++) {
		objects[i] = kzalloc(CLASS_SIZE(i));
		assert_int_equal(ksize(objects[i]), CLASS_SIZE(i));
		assert_true(is_zero(objects[i], CLASS_SIZE(i)));
		memset(objects[i], 0xff, CLASS_SIZE(i));
	}
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++)
		kfree(objects[i]);
	/* kzalloc() of what was used before. */
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++) {
		objects[i] = kzalloc(CLASS_SIZE(i));
		assert_true(is_zero(objects[i], CLASS_SIZE(i)));
	}
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++)
		kfree(objects[i]);
	set_all_locks(drop_lock);
}

static void realloc_nests_as_well(void **state)
{
	struct kmem_cache *s = kmalloc_cache(48);
	char *p = kmalloc(48);

	(void)state;
	memcpy(p, "carried along", 14);
	hold_lock(s);
	hold_lock(kmalloc_cache(96));
	p = krealloc(p, 96);
	assert_string_equal(p, "carried along");
	assert_int_equal(ksize(p), 112);
	drop_lock(kmalloc_cache(96));
	drop_lock(s);
	kfree(p);
	assert_int_equal(objects_in_use(s), 0);
}

/* Flushing leaves alone what an interrupted frame holds. */
static void a_held_sheaf_is_not_flushed(void **state)
{
	struct kmem_cache *s = kmalloc_cache(48), *other = kmalloc_cache(64);
	uint32_t length;

	(void)state;
	kfree(kmalloc(48));
	kfree(kmalloc(64));
	length = sheaf_length(s);
	assert_true(length > 0);
	hold_lock(s);
	thread_flush_all(current_thread);
	assert_int_equal(sheaf_length(s), length);
	assert_int_equal(sheaf_length(other), 0);
	drop_lock(s);
	thread_flush_all(current_thread);
	assert_int_equal(slabs_of(s), 0);
}

static void double_frees_are_found_by_nested_calls(void **state)
{
	struct kmem_cache *s = kmalloc_cache(48);
	void *p = kmalloc(48);

	(void)state;
	hold_lock(s);
	kfree(p);
	options.on_error = ON_ERROR_IGNORE;
	kfree(p);
	options.on_error = ON_ERROR_ABORT;
	drop_lock(s);
	assert_int_equal(objects_in_use(s), 0);
}

#define NR_SLOTS 64U

static _Atomic bool done;
static _Atomic uint64_t handled;
/* The handler's own objects, which live from one call to the next. */
static void *slots[NR_SLOTS];

static void handler(int sig)
{
	static uint64_t seed = 99;
	void **slot = &slots[random_below(&seed, NR_SLOTS)];

	(void)sig;
	if (*slot) {
		must(*(uint64_t *)*slot == (uintptr_t)*slot);
		kfree(*slot);
		*slot = NULL;
	} else {
		*slot = kmalloc(16 + random_below(&seed, 200));
		*(uint64_t *)*slot = (uintptr_t)*slot;
	}
	atomic_fetch_add(&handled, 1);
}

static void *signal_often(void *arg)
{
	pthread_t *whom = arg;

	while (!atomic_load(&done)) {
		uint64_t seen = atomic_load(&handled);

		must(!pthread_kill(*whom, SIGUSR1));
		/* One at a time: pending signals of a kind are merged anyway. */
		for (unsigned int i = 0; i < 100 && atomic_load(&handled) == seen; i++)
			sched_yield();
	}
	return NULL;
}

/* On a machine that does little else, so many come within a second. */
#define MANY_SIGNALS 300U

static bool is_enough(uint64_t began)
{
	uint64_t ms = now_ms() - began;

	return ms > 60000 || (ms > 1000 && atomic_load(&handled) > MANY_SIGNALS);
}

/* Each object holds its own address while it lives: one handed out twice is seen. */
static void work_until_enough(void)
{
	void *live[NR_SLOTS] = {NULL};
	uint64_t seed = 1, began = now_ms();

	while (!is_enough(began)) {
		for (unsigned int i = 0; i < 200; i++) {
			void **slot = &live[random_below(&seed, NR_SLOTS)];

			if (*slot) {
				must(*(uint64_t *)*slot == (uintptr_t)*slot);
				kfree(*slot);
			}
			*slot = kmalloc(16 + random_below(&seed, 200));
			*(uint64_t *)*slot = (uintptr_t)*slot;
		}
	}
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		kfree(live[i]);
}

static void signal_handlers_allocate_and_free(void **state)
{
	struct sigaction action = {.sa_handler = handler};
	pthread_t self = pthread_self(), thread;

	(void)state;
	assert_false(sigaction(SIGUSR1, &action, NULL));
	assert_false(pthread_create(&thread, NULL, signal_often, &self));
	work_until_enough();
	atomic_store(&done, true);
	pthread_join(thread, NULL);
	assert_true(handled > MANY_SIGNALS);
	for (unsigned int i = 0; i < NR_SLOTS; i++)
		kfree(slots[i]);
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++)
		assert_int_equal(objects_in_use(&kmalloc_caches[i]), 0);
}

/* A free that was noted after a collection had brought it: the note brings a full slab to the node's list. */
static void a_full_slab_on_the_nodes_list_is_passed_over(void **state)
{
	struct kmem_cache *s = kmalloc_cache(8192);
	struct slab *slab = new_slab(s, NO_OWNER, &first_node);
	struct free_object *list;
	void *p;

	(void)state;
	assert_non_null(slab);
	while (slab_take(slab, 1, &list))
		;
	atomic_store(&slab->remote, 1);
	put_slab(slab);
	p = cache_alloc_shared(s, &first_node);
	assert_non_null(p);
	assert_ptr_not_equal(slab_of(p), slab);
	kfree(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_busy_class_leads_to_the_next),
		cmocka_unit_test(nesting_keeps_the_alignment),
		cmocka_unit_test(a_free_while_busy_goes_to_the_slab),
		cmocka_unit_test(such_frees_come_back),
		cmocka_unit_test(a_nested_free_lists_a_full_slab),
		cmocka_unit_test(when_all_are_busy_it_goes_on),
		cmocka_unit_test(the_shared_path_serves_every_size),
		cmocka_unit_test(realloc_nests_as_well),
		cmocka_unit_test(a_held_sheaf_is_not_flushed),
		cmocka_unit_test(double_frees_are_found_by_nested_calls),
		cmocka_unit_test(signal_handlers_allocate_and_free),
		cmocka_unit_test(a_full_slab_on_the_nodes_list_is_passed_over),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
