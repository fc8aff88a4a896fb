/* The table of user caches: all of its slots, their second use, and caches that end with objects in use. */
#include "heap.h"

#include "core/kmem_cache.h"
#include "core/options.h"

static struct kmem_cache *try_create(const char *name, size_t size)
{
	struct cache_args args = {name, size, 16, CACHE_NO_MERGE, NULL};

	return cache_create(&args);
}

static struct kmem_cache *create(const char *name, size_t size)
{
	struct kmem_cache *s = try_create(name, size);

	must(s);
	return s;
}

static void destroy(void *s)
{
	cache_destroy(s);
}

static void every_slot_can_be_used(void **state)
{
	static struct kmem_cache *caches[NR_USER_CACHES];
	static void *objects[NR_USER_CACHES];

	(void)state;
	for (unsigned int turn = 0; turn < 2; turn++) {
		for (unsigned int i = 0; i < NR_USER_CACHES; i++) {
			caches[i] = create("many", 16 + 16 * (i % 100));
			objects[i] = cache_alloc(caches[i]);
			assert_non_null(objects[i]);
			memset(objects[i], 1, caches[i]->size);
		}
		assert_null(try_create("one too many", 16));
		for (unsigned int i = 0; i < NR_USER_CACHES; i++) {
			assert_ptr_equal(kmalloc_cache_of(objects[i]), caches[i]);
			if (i % 32 == 0)
				assert_int_equal(objects_in_use(caches[i]), 1);
			kfree(objects[i]);
			cache_destroy(caches[i]);
			assert_int_equal(caches[i]->nr_slabs, 0);
		}
	}
	assert_int_equal(nr_user_caches, NR_USER_CACHES);
}

static void a_slot_in_use_is_not_taken(void **state)
{
	struct kmem_cache *a = create("a", 32), *b = create("b", 32), *c;

	(void)state;
	assert_ptr_not_equal(a, b);
	cache_destroy(a);
	c = create("c", 48);
	assert_ptr_equal(c, a);
	assert_string_equal(c->name, "c");
	assert_int_equal(c->size, 48);
	cache_destroy(b);
	cache_destroy(c);
}

static void objects_in_use_are_reported_and_stay(void **state)
{
	struct kmem_cache *s = create("leaky", 200), *other;
	unsigned char *p = cache_alloc(s);
	char text[256], expected[256];

	(void)state;
	memset(p, 9, 200);
	options.on_error = ON_ERROR_REPORT;
	capture_stderr(destroy, s, text, sizeof(text));
	options.on_error = ON_ERROR_ABORT;
	snprintf(expected, sizeof(expected),
		 "uslub: BUG leaky (%d): kmem_cache_destroy with objects in use, cache at %p\n",
		 getpid(), (void *)s);
	assert_string_equal(text, expected);
	/* The slot is not another's while the object lives. */
	other = create("other", 200);
	assert_ptr_not_equal(other, s);
	assert_true(p[0] == 9 && p[199] == 9 && ksize(p) >= 200);
	kfree(p);
	cache_destroy(other);
}

/* Of what is no cache any more, and of one that is the library's own. */
static void a_reference_too_many_is_reported(void **state)
{
	struct kmem_cache *s = create("ended", 200), *kmalloc_64 = kmalloc_cache(64);
	char text[256];

	(void)state;
	cache_destroy(s);
	capture_stderr(destroy, s, text, sizeof(text));
	assert_non_null(strstr(text, "uslub: BUG ended ("));
	assert_non_null(strstr(text, "kmem_cache_destroy once too often, cache at 0x"));
	capture_stderr(destroy, kmalloc_64, text, sizeof(text));
	assert_non_null(strstr(text, "uslub: BUG kmalloc-64 ("));
	assert_int_equal(kmalloc_64->refcount, 1);
	kfree(kmalloc(64));
	options.on_error = ON_ERROR_IGNORE;
	capture_stderr(destroy, s, text, sizeof(text));
	options.on_error = ON_ERROR_ABORT;
	assert_string_equal(text, "");
}

/* What was still in use when the cache ended is free now: the next cache finds the slot. */
static void its_slot_is_free_when_they_are(void **state)
{
	struct kmem_cache *s = create("leaky", 200), *other;
	void *p = cache_alloc(s);

	(void)state;
	options.on_error = ON_ERROR_IGNORE;
	cache_destroy(s);
	options.on_error = ON_ERROR_ABORT;
	assert_int_equal(s->nr_slabs, 1);
	kfree(p);
	other = create("other", 208);
	assert_ptr_equal(other, s);
	kfree(cache_alloc(other));
	cache_destroy(other);
	assert_int_equal(other->nr_slabs, 0);
}

struct user {
	struct kmem_cache *s, *other;
	void *object;
	pthread_barrier_t *step;
};

static void *use_and_wait(void *arg)
{
	struct user *u = arg;

	must(u->object = cache_alloc(u->s));
	kfree(u->object);
	pthread_barrier_wait(u->step);
	pthread_barrier_wait(u->step);
	must(u->object = cache_alloc(u->other));
	must(u->s->nr_slabs == 0);
	kfree(u->object);
	return NULL;
}

/* What another thread holds of a destroyed cache it gives up at its next refill, of whatever cache. */
static void other_threads_give_up_theirs(void **state)
{
	struct user user = {.s = create("ends", 80), .other = create("lives", 96)};
	pthread_barrier_t step;
	pthread_t thread;

	(void)state;
	pthread_barrier_init(&step, NULL, 2);
	user.step = &step;
	assert_false(pthread_create(&thread, NULL, use_and_wait, &user));
	pthread_barrier_wait(&step);
	cache_destroy(user.s);
	assert_int_equal(user.s->nr_slabs, 1);
	pthread_barrier_wait(&step);
	pthread_join(thread, NULL);
	assert_int_equal(user.s->nr_slabs, 0);
	cache_destroy(user.other);
	assert_int_equal(user.other->nr_slabs, 0);
}

static struct kmem_cache *fillers[NR_USER_CACHES + 1];

/* Leaves one slot, so that the next cache must take it. */
static void fill_table(void)
{
	unsigned int n = 0;

	while ((fillers[n] = try_create("filler", 16)))
		n++;
	must(n > 0);
	cache_destroy(fillers[--n]);
	fillers[n] = NULL;
}

static void empty_table(void)
{
	for (unsigned int i = 0; fillers[i]; i++)
		cache_destroy(fillers[i]);
}

/* Ends one cache and makes another in its slot, after the thread has used the first. */
static struct kmem_cache *reuse_slot(size_t first, size_t second)
{
	struct kmem_cache *s = create("first", first), *again;

	kfree(cache_alloc(s));
	cache_destroy(s);
	must(s->nr_slabs == 0);
	again = create("second", second);
	must(again == s);
	return again;
}

/* The first would have had another sheaf than the second. */
static void check_second_cache(size_t first, size_t second)
{
	static void *objects[1000];
	struct kmem_cache *s = reuse_slot(first, second);

	for (unsigned int turn = 0; turn < 2; turn++) {
		for (unsigned int i = 0; i < 1000; i++) {
			objects[i] = cache_alloc(s);
			assert_non_null(objects[i]);
		}
		assert_int_equal(objects_in_use(s), 1000);
		for (unsigned int i = 0; i < 1000; i++) {
			kfree(objects[i]);
			assert_true(sheaf_length(s) <= 128);
		}
		assert_int_equal(objects_in_use(s), 0);
	}
	cache_destroy(s);
	assert_int_equal(s->nr_slabs, 0);
}

static void a_slots_second_cache_has_another_size(void **state)
{
	(void)state;
	fill_table();
	check_second_cache(64, 8192);
	check_second_cache(8192, 64);
	check_second_cache(2048, 512);
	empty_table();
}

/* The same, where the thread's first use of the second cache is to free. */
static void *free_all(void *arg)
{
	struct user *u = arg;
	void **objects = u->object;

	kfree(cache_alloc(u->s));
	thread_flush(current_thread, u->s);
	pthread_barrier_wait(u->step);
	pthread_barrier_wait(u->step);
	for (unsigned int i = 0; i < 1000; i++)
		kfree(objects[i]);
	return NULL;
}

static void check_free_into_second(size_t first, size_t second)
{
	static void *objects[1000];
	struct user user = {.s = create("first", first), .object = objects};
	pthread_barrier_t step;
	struct kmem_cache *again;
	pthread_t thread;

	pthread_barrier_init(&step, NULL, 2);
	user.step = &step;
	assert_false(pthread_create(&thread, NULL, free_all, &user));
	pthread_barrier_wait(&step);
	cache_destroy(user.s);
	again = create("second", second);
	assert_ptr_equal(again, user.s);
	for (unsigned int i = 0; i < 1000; i++)
		objects[i] = cache_alloc(again);
	assert_int_equal(objects_in_use(again), 1000);
	pthread_barrier_wait(&step);
	pthread_join(thread, NULL);
	assert_int_equal(objects_in_use(again), 0);
	cache_destroy(again);
	assert_int_equal(again->nr_slabs, 0);
}

static void a_thread_frees_first_into_a_slots_second_cache(void **state)
{
	(void)state;
	fill_table();
	check_free_into_second(8192, 64);
	check_free_into_second(64, 8192);
	empty_table();
}

/* Threads that create, use and destroy side by side. */
static void *churn(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (unsigned int turn = 0; turn < ROUNDS(300); turn++) {
		struct kmem_cache *s = create("churn", 16 + 16 * random_below(&seed, 200));
		void *objects[50];

		for (unsigned int i = 0; i < 50; i++)
			must(objects[i] = cache_alloc(s));
		for (unsigned int i = 0; i < 50; i++)
			memset(objects[i], (int)i, s->size);
		for (unsigned int i = 0; i < 50; i++) {
			must(*(unsigned char *)objects[i] == i);
			kfree(objects[i]);
		}
		cache_destroy(s);
	}
	return NULL;
}

static void threads_create_and_destroy(void **state)
{
	static char ids[4];

	(void)state;
	run_threads(4, churn, ids, 1);
	for (uint32_t i = 0; i < nr_user_caches; i++)
		assert_int_equal(user_caches[i].refcount, 0);
}

/* Ends caches that are in use, which takes some milliseconds under slab_mutex. */
static void *destroy_slowly(void *arg)
{
	_Atomic bool *stop = arg;

	while (!atomic_load(stop)) {
		struct kmem_cache *s = create("slow", 48);
		void *p = cache_alloc(s);

		cache_destroy(s);
		kfree(p);
	}
	return NULL;
}

static void create_and_destroy(void *arg)
{
	struct kmem_cache *s;

	(void)arg;
	alarm(60);
	s = create("child's", 64);
	kfree(cache_alloc(s));
	cache_destroy(s);
}

/* Of a mutex that a thread of the parent held, nobody is left to release it. */
static void a_child_does_not_wait_for_the_parents_threads(void **state)
{
	static struct child child;
	_Atomic bool stop = false;
	pthread_t thread;
	int bad = 0;

	(void)state;
	options.on_error = ON_ERROR_IGNORE;
	must(!pthread_create(&thread, NULL, destroy_slowly, &stop));
	for (unsigned int i = 0; i < 10; i++) {
		run_child(&child, create_and_destroy, NULL);
		bad |= child.status;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	options.on_error = ON_ERROR_ABORT;
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_in_use_is_not_taken),
		cmocka_unit_test(objects_in_use_are_reported_and_stay),
		cmocka_unit_test(a_reference_too_many_is_reported),
		cmocka_unit_test(its_slot_is_free_when_they_are),
		cmocka_unit_test(other_threads_give_up_theirs),
		cmocka_unit_test(a_slots_second_cache_has_another_size),
		cmocka_unit_test(a_thread_frees_first_into_a_slots_second_cache),
		cmocka_unit_test(threads_create_and_destroy),
		cmocka_unit_test(a_child_does_not_wait_for_the_parents_threads),
		cmocka_unit_test(every_slot_can_be_used),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
