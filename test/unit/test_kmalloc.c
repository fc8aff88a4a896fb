/* Allocation by size: what an object is, zeroing, alignment, realloc of small ones, lazily touched pages. */
#include "heap.h"

#include "core/options.h"

static void every_size_holds_its_bytes(void **state)
{
	static unsigned char *objects[3000];
	unsigned int n = 0;

	(void)state;
	for (size_t size = 0; size <= KMALLOC_MAX_SIZE; size += size < 300 ? 1 : 61) {
		unsigned char *p = kmalloc(size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % MIN_ALIGN, 0);
		assert_int_equal(ksize(p), CLASS_SIZE(size_class(size)));
		assert_ptr_equal(kmalloc_cache_of(p), kmalloc_cache(size));
		assert_true(kmalloc_owns(p));
		memset(p, (int)n, ksize(p));
		objects[n++] = p;
	}
	for (unsigned int i = 0; i < n; i++) {
		const unsigned char *p = objects[i];

		assert_true(p[0] == i % 256 && !memcmp(p, p + 1, ksize(p) - 1));
		kfree(objects[i]);
	}
	for (uint32_t i = 0; i < NR_KMALLOC_CACHES; i++)
		assert_int_equal(objects_in_use(&kmalloc_caches[i]), 0);
}

static void no_size_is_a_size(void **state)
{
	void *a = kmalloc(0), *b = kmalloc(0);

	(void)state;
	assert_true(a && b && a != b);
	kfree(a);
	kfree(b);
	kfree(NULL);
}

static void zeroed_is_zero(void **state)
{
	(void)state;
	for (unsigned int turn = 0; turn < 2; turn++) {
		for (size_t size = 1; size <= 2 * KMALLOC_MAX_SIZE; size += 997) {
			char *p = kzalloc(size);

			assert_true(is_zero(p, size));
			memset(p, 0xff, size);
			kfree(p);
		}
	}
}

static void check_alignment(size_t size, size_t align)
{
	unsigned char *p = kmalloc_aligned(size, align), *q = kmalloc_aligned(size, align);

	assert_non_null(p);
	assert_non_null(q);
	assert_true(p != q);
	assert_int_equal((uintptr_t)p % align, 0);
	assert_int_equal((uintptr_t)q % align, 0);
	assert_true(ksize(p) >= size);
	memset(p, 1, size);
	memset(q, 2, size);
	assert_true(size == 0 || (p[0] == 1 && p[size - 1] == 1));
	kfree(p);
	kfree(q);
}

static void every_alignment_at_every_class(void **state)
{
	(void)state;
	for (size_t align = 1; align <= 2 * KMALLOC_MAX_SIZE; align *= 2) {
		check_alignment(0, align);
		for (unsigned int i = 0; i < NR_KMALLOC_CACHES; i++)
			check_alignment(CLASS_SIZE(i), align);
	}
}

/* Objects lie at multiples of their size from a frame: a size that is a multiple of 64 is aligned to it. */
static void sizes_carry_their_alignment(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < NR_KMALLOC_CACHES; i++) {
		size_t align = CLASS_SIZE(i) & -CLASS_SIZE(i);
		void *p = kmalloc(CLASS_SIZE(i));

		assert_int_equal((uintptr_t)p % align, 0);
		kfree(p);
	}
}

static void check_realloc(size_t from, size_t to)
{
	size_t least = from < to ? from : to;
	unsigned char *p = kmalloc(from);

	for (size_t i = 0; i < from; i++)
		p[i] = (unsigned char)(i * 7);
	p = krealloc(p, to);
	assert_non_null(p);
	assert_true(ksize(p) >= to);
	for (size_t i = 0; i < least; i++) {
		if (p[i] != (unsigned char)(i * 7))
			fail_msg("wrong at %zu from %zu to %zu", i, from, to);
	}
	kfree(p);
}

static void realloc_keeps_the_content(void **state)
{
	static const size_t some[] = {0,   1,	 16,   17,   32,   33,	  64,	 100,	128,
				      129, 1000, 1024, 4096, 5000, 32768, 32769, 200000};

	(void)state;
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		for (size_t k = 0; k < sizeof(some) / sizeof(some[0]); k++)
			check_realloc(some[i], some[k]);
	}
}

static void realloc_stays_where_it_pays(void **state)
{
	char *p = kmalloc(1000);

	(void)state;
	assert_ptr_equal(krealloc(p, 1024), p);
	assert_ptr_equal(krealloc(p, 513), p);
	assert_ptr_not_equal(krealloc(p, 512), p);
	p = kmalloc(32);
	assert_ptr_equal(krealloc(p, 1), p);
	kfree(p);
}

static void what_is_not_ours_has_no_size(void **state)
{
	char *p = kmalloc(100);
	int here;

	(void)state;
	assert_int_equal(ksize(&here), 0);
	assert_int_equal(ksize(NULL), 0);
	assert_int_equal(ksize((char *)((uintptr_t)p | UINT64_C(1) << 60)), 0);
	assert_false(kmalloc_owns(&here));
	assert_null(kmalloc_cache_of(&here));
	kfree(p);
}

/* Also from addresses in the frames behind a slab's first. */
static void tails_belong_to_their_slab(void **state)
{
	char *objects[8];

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		objects[i] = kmalloc(32768);
		memset(objects[i], 3, 32768);
		assert_int_equal(ksize(objects[i] + 20000), 32768);
	}
	for (unsigned int i = 0; i < 8; i++)
		kfree(objects[i]);
	assert_int_equal(objects_in_use(kmalloc_cache(32768)), 0);
}

static void *touch_one(void *arg)
{
	size_t size = *(const size_t *)arg;
	char *p = kmalloc(size);
	const struct slab *slab = slab_of(p);
	size_t bytes = slab->nr_frames * FRAME_SIZE,
	       pages = resident_pages((char *)slab->base, bytes);

	/* Of an object larger than a page the links lie in its first one. */
	must(pages == 1);
	kfree(p);
	return NULL;
}

/* A thread that allocates one object touches one page of its slab. */
static void one_object_touches_one_page(void **state)
{
	static const size_t some[] = {16, 64, 100, 1000, 2048, 4096, 6000, 20000};

	(void)state;
	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		kmalloc_trim();
		run_thread(touch_one, (void *)(uintptr_t)&some[i]);
	}
}

#define PER_FRAME (FRAME_SIZE / 64)

static void *touch_many(void *arg)
{
	size_t per_page = os_page_size() / 64;
	char *objects[PER_FRAME];

	for (size_t n = 1; n <= PER_FRAME; n++) {
		const struct slab *slab;

		must(objects[n - 1] = kmalloc(64));
		slab = slab_of(objects[0]);
		must(slab_of(objects[n - 1]) == slab);
		/* A refill is half a sheaf ahead of what was allocated. */
		must(resident_pages((char *)slab->base, FRAME_SIZE) <=
		     (n + 64 + per_page - 1) / per_page);
	}
	for (size_t n = 0; n < PER_FRAME; n++)
		kfree(objects[n]);
	return arg;
}

static void pages_are_touched_as_they_are_needed(void **state)
{
	(void)state;
	kmalloc_trim();
	run_thread(touch_many, NULL);
}

static void trimming_leaves_objects_alone(void **state)
{
	static char *objects[500];

	(void)state;
	for (unsigned int i = 0; i < 500; i++) {
		objects[i] = kmalloc(1000);
		memset(objects[i], (int)(i % 100), 1000);
	}
	for (unsigned int i = 0; i < 500; i += 2)
		kfree(objects[i]);
	kmalloc_trim();
	for (unsigned int i = 1; i < 500; i += 2) {
		assert_int_equal(objects[i][999], i % 100);
		kfree(objects[i]);
	}
	kmalloc_trim();
	assert_int_equal(slabs_of(kmalloc_cache(1000)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_object_touches_one_page),
		cmocka_unit_test(pages_are_touched_as_they_are_needed),
		cmocka_unit_test(every_size_holds_its_bytes),
		cmocka_unit_test(no_size_is_a_size),
		cmocka_unit_test(zeroed_is_zero),
		cmocka_unit_test(every_alignment_at_every_class),
		cmocka_unit_test(sizes_carry_their_alignment),
		cmocka_unit_test(realloc_keeps_the_content),
		cmocka_unit_test(realloc_stays_where_it_pays),
		cmocka_unit_test(what_is_not_ours_has_no_size),
		cmocka_unit_test(tails_belong_to_their_slab),
		cmocka_unit_test(trimming_leaves_objects_alone),
	};

	options.purge_delay_ms = 3600000;
	/* A huge page would count for many. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
