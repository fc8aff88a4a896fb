/* Caches of the program's own: what an object of one is, merging, constructors, their end. */
#include "heap.h"

#include "core/kmem_cache.h"
#include "core/options.h"

static struct kmem_cache *create(const char *name, size_t size, size_t align, uint32_t flags,
				 void (*ctor)(void *))
{
	struct cache_args args = {name, size, align, flags, ctor};
	struct kmem_cache *s = cache_create(&args);

	must(s);
	return s;
}

static struct kmem_cache *create_own(size_t size, size_t align)
{
	return create("own", size, align, CACHE_NO_MERGE, NULL);
}

static void like_caches_are_one(void **state)
{
	struct kmem_cache *a = create("a", 1000, 16, 0, NULL);
	struct kmem_cache *b = create("b", 1008, 16, 0, NULL);

	(void)state;
	assert_ptr_equal(a, b);
	assert_int_equal(a->refcount, 2);
	assert_string_equal(a->name, "a");
	assert_ptr_not_equal(create("other size", 1024 + 16, 16, 0, NULL), a);
	cache_destroy(a);
	assert_int_equal(b->refcount, 1);
	/* It lives for the other's sake. */
	kfree(cache_alloc(b));
	cache_destroy(b);
	assert_int_equal(b->refcount, 0);
}

/* 1000 and 1008 bytes take the same room: who asked for 1008 may use 1008. */
static void all_of_a_merged_object_can_be_used(void **state)
{
	struct kmem_cache *a = create("a", 1000, 16, 0, NULL);
	struct kmem_cache *b = create("b", 1008, 16, 0, NULL);
	char *p = cache_alloc(b);

	(void)state;
	assert_ptr_equal(a, b);
	assert_true(ksize(p) >= 1008);
	memset(p, 0x77, 1008);
	p = krealloc(p, 5000);
	assert_int_equal(p[1007], 0x77);
	kfree(p);
	cache_destroy(a);
	cache_destroy(b);
}

static void the_size_classes_merge_too(void **state)
{
	struct kmem_cache *s = create("sixty-four", 60, 16, 0, NULL);

	(void)state;
	assert_ptr_equal(s, kmalloc_cache(64));
	cache_destroy(s);
	assert_int_equal(s->refcount, 1);
	kfree(kmalloc(64));
}

static void nothing(void *object)
{
	(void)object;
}

static void some_are_never_merged(void **state)
{
	struct kmem_cache *s[5];

	(void)state;
	s[0] = create("plain", 1040, 16, 0, NULL);
	s[1] = create("alone", 1040, 16, CACHE_NO_MERGE, NULL);
	s[2] = create("alone", 1040, 16, CACHE_NO_MERGE, NULL);
	s[3] = create("constructed", 1040 - 16, 16, 0, nothing);
	s[4] = create("aligned", 1040, 32, 0, NULL);
	for (unsigned int i = 0; i < 5; i++) {
		for (unsigned int k = 0; k < i; k++)
			assert_ptr_not_equal(s[i], s[k]);
	}
	assert_ptr_equal(create("plain too", 1040, 16, 0, NULL), s[0]);
	cache_destroy(s[0]);
	for (unsigned int i = 0; i < 5; i++)
		cache_destroy(s[i]);
}

static void names_are_cut_off(void **state)
{
	struct kmem_cache *s =
		create("0123456789012345678901234567890123456789", 48, 16, CACHE_NO_MERGE, NULL);

	(void)state;
	assert_string_equal(s->name, "0123456789012345678901234567890");
	cache_destroy(s);
}

/* Objects of all sizes and alignments: apart from each other, where they should be, and ours. */
static void check_objects(size_t size, size_t align)
{
	struct kmem_cache *s = create_own(size, align);
	unsigned int n = size > 65536 ? 10 : 40;
	unsigned char *objects[40];

	assert_true((size_t)s->objects * s->size <= s->nr_frames * FRAME_SIZE);
	assert_true(s->objects >= 7);
	for (unsigned int i = 0; i < n; i++) {
		objects[i] = cache_alloc(s);
		assert_non_null(objects[i]);
		assert_int_equal((uintptr_t)objects[i] % align, 0);
		assert_true(ksize(objects[i]) >= size);
		assert_ptr_equal(kmalloc_cache_of(objects[i]), s);
		assert_ptr_equal(kmalloc_cache_of(objects[i] + size - 1), s);
		memset(objects[i], (int)i, size);
	}
	for (unsigned int i = 0; i < n; i++) {
		assert_true(objects[i][0] == i && !memcmp(objects[i], objects[i] + 1, size - 1));
		kfree(objects[i]);
	}
	assert_int_equal(objects_in_use(s), 0);
	cache_destroy(s);
	assert_int_equal(s->nr_slabs, 0);
}

static void every_size_and_alignment(void **state)
{
	static const size_t sizes[] = {1,    15,   16,	  17,	 100,	 777,	 4095,	 4096,
				       4097, 8192, 30000, 65536, 100000, 131072, 262143, 262144};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t align = MIN_ALIGN; align <= CACHE_MAX_ALIGN; align *= 4)
			check_objects(sizes[i], align);
	}
}

static unsigned int constructed;

/* What a freed object must be like, and what the freelist must not touch. */
static void constructor(void *object)
{
	memset(object, 0xc5, 100);
	constructed++;
}

static bool is_constructed(const void *object)
{
	const unsigned char *bytes = object;

	return bytes[0] == 0xc5 && !memcmp(bytes, bytes + 1, 99);
}

#define NR_OBJECTS 2000U

static void objects_are_constructed_once(void **state)
{
	struct kmem_cache *s = create("ctor", 100, 16, 0, constructor);
	void *p;

	(void)state;
	constructed = 0;
	for (unsigned int turn = 0; turn < 10 * NR_OBJECTS; turn++) {
		p = cache_alloc(s);
		assert_true(is_constructed(p));
		kfree(p);
	}
	/* What was carved with it, and no more. */
	assert_int_equal(constructed, CARVE_SIZE / s->size);
	assert_int_equal(slab_of(p)->carved, constructed);
	cache_destroy(s);
}

static void constructed_objects_stay_so(void **state)
{
	static void *objects[NR_OBJECTS];
	struct kmem_cache *s = create("ctor", 100, 16, 0, constructor);

	(void)state;
	constructed = 0;
	for (unsigned int turn = 0; turn < 5; turn++) {
		for (unsigned int i = 0; i < NR_OBJECTS; i++) {
			objects[i] = cache_alloc(s);
			assert_true(is_constructed(objects[i]));
		}
		assert_true(constructed >= NR_OBJECTS);
		for (unsigned int i = 0; i < NR_OBJECTS; i++)
			kfree(objects[i]);
	}
	assert_int_equal(objects_in_use(s), 0);
	cache_destroy(s);
	assert_int_equal(s->nr_slabs, 0);
}

static void kfree_arg(void *p)
{
	kfree(p);
}

static void double_frees_of_constructed_objects_are_found(void **state)
{
	struct kmem_cache *s = create("ctor", 100, 16, 0, constructor);
	char *p = cache_alloc(s), text[256];

	(void)state;
	options.on_error = ON_ERROR_REPORT;
	capture_stderr(kfree_arg, p + 16, text, sizeof(text));
	assert_non_null(strstr(text, "uslub: BUG ctor ("));
	assert_non_null(strstr(text, "not the start of an object"));
	capture_stderr(kfree_arg, p, text, sizeof(text));
	assert_string_equal(text, "");
	capture_stderr(kfree_arg, p, text, sizeof(text));
	assert_non_null(strstr(text, "double free of"));
	options.on_error = ON_ERROR_ABORT;
	assert_int_equal(objects_in_use(s), 0);
	cache_destroy(s);
}

static void *free_from_elsewhere(void *arg)
{
	void **objects = arg;

	for (unsigned int i = 0; i < 500; i++)
		kfree(objects[i]);
	return NULL;
}

static void constructed_objects_cross_threads(void **state)
{
	static void *objects[500];
	struct kmem_cache *s = create("ctor", 100, 16, 0, constructor);

	(void)state;
	for (unsigned int turn = 0; turn < 10; turn++) {
		for (unsigned int i = 0; i < 500; i++) {
			objects[i] = cache_alloc(s);
			assert_true(is_constructed(objects[i]));
		}
		run_thread(free_from_elsewhere, objects);
	}
	assert_int_equal(objects_in_use(s), 0);
	cache_destroy(s);
	assert_int_equal(s->nr_slabs, 0);
}

/* A nested allocation of a user cache has no next bucket: it is served beside the thread. */
static void user_caches_nest(void **state)
{
	static void *objects[600];
	struct kmem_cache *s = create("ctor", 100, 16, 0, constructor);

	(void)state;
	objects[0] = cache_alloc(s);
	hold_lock(s);
	for (unsigned int i = 1; i < 600; i++) {
		objects[i] = cache_alloc(s);
		assert_true(objects[i] && is_constructed(objects[i]));
	}
	assert_int_equal(objects_in_use(s), 600);
	for (unsigned int i = 0; i < 300; i++)
		kfree(objects[i]);
	drop_lock(s);
	for (unsigned int i = 300; i < 600; i++)
		kfree(objects[i]);
	assert_int_equal(objects_in_use(s), 0);
	cache_destroy(s);
	assert_int_equal(s->nr_slabs, 0);
}

static void shrinking_returns_what_went(void **state)
{
	static void *objects[500];
	struct kmem_cache *s = create_own(512, 16);
	uint64_t slabs;

	(void)state;
	assert_int_equal(cache_shrink(s), 0);
	for (unsigned int i = 0; i < 500; i++)
		objects[i] = cache_alloc(s);
	slabs = slabs_of(s);
	assert_int_equal(cache_shrink(s), 0);
	assert_int_equal(slabs_of(s), slabs);
	for (unsigned int i = 0; i < 500; i++)
		kfree(objects[i]);
	cache_shrink(s);
	assert_int_equal(slabs_of(s), 0);
	cache_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_caches_are_one),
		cmocka_unit_test(all_of_a_merged_object_can_be_used),
		cmocka_unit_test(the_size_classes_merge_too),
		cmocka_unit_test(some_are_never_merged),
		cmocka_unit_test(names_are_cut_off),
		cmocka_unit_test(every_size_and_alignment),
		cmocka_unit_test(objects_are_constructed_once),
		cmocka_unit_test(constructed_objects_stay_so),
		cmocka_unit_test(double_frees_of_constructed_objects_are_found),
		cmocka_unit_test(constructed_objects_cross_threads),
		cmocka_unit_test(user_caches_nest),
		cmocka_unit_test(shrinking_returns_what_went),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
