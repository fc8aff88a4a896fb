/* Large objects: their sizes and alignments, their zeros, and where they are found. */
#include "large.h"

static void purge_page_range(char *p, size_t size)
{
	assert_true(os_purge(p, page_up(size)));
}

/* One frame, at that address. */
static char *frame_alloc_exact(char *at)
{
	assert_true(frame_extend(at - FRAME_SIZE, 1, 1));
	return at;
}

static void every_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SIZES; i++) {
		char *p = kmalloc(sizes[i]);
		struct heap_stats heap = figures();
		bool is_run = sizes[i] <= RUN_MAX;

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % FRAME_SIZE, 0);
		assert_int_equal(ksize(p), page_up(sizes[i]));
		assert_null(kmalloc_cache_of(p));
		assert_true(kmalloc_owns(p));
		assert_int_equal(virt_to_slab(p)->kind, is_run ? FRAME_RUN : FRAME_MAPPED);
		assert_int_equal(heap.runs, is_run);
		assert_int_equal(is_run ? heap.run_bytes : heap.mapped_bytes, page_up(sizes[i]));
		assert_int_equal(heap.mapped, !is_run);
		fill(p, sizes[i]);
		check(p, sizes[i]);
		kfree(p);
		assert_nothing_large();
	}
}

static void every_alignment(void **state)
{
	static const size_t some[] = {1, 100 * KIB, RUN_MAX, 33 * MIB};

	(void)state;
	for (size_t align = 64 * KIB; align <= 64 * MIB; align *= 2) {
		for (unsigned int i = 0; i < 4; i++) {
			char *p = kmalloc_aligned(some[i], align), *q;

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % align, 0);
			assert_true(ksize(p) >= some[i]);
			fill(p, some[i]);
			q = kmalloc_aligned(some[i], align);
			assert_true(q >= p + some[i] || q + some[i] <= p);
			check(p, some[i]);
			kfree(p);
			kfree(q);
		}
	}
	assert_nothing_large();
}

static void too_large_is_refused(void **state)
{
	(void)state;
	assert_null(kmalloc((size_t)PTRDIFF_MAX + 1));
	assert_null(kmalloc(SIZE_MAX));
	assert_null(kmalloc((size_t)1 << OS_ADDRESS_BITS));
	/* Rounded up to frames this is as much; a count of them in 32 bits must not wrap. */
	assert_null(kmalloc(((size_t)1 << OS_ADDRESS_BITS) - 1));
	assert_null(kmalloc(((size_t)1 << OS_ADDRESS_BITS) - FRAME_SIZE));
	assert_null(kmalloc_aligned(1, (size_t)1 << 63));
	assert_null(kmalloc_aligned((size_t)PTRDIFF_MAX, (size_t)1 << 62));
	assert_nothing_large();
}

static void fresh_memory_is_zero(void **state)
{
	(void)state;
	for (unsigned int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < NR_SIZES; i++) {
			char *p = kzalloc(sizes[i]);

			assert_true(is_zero(p, sizes[i]));
			memset(p, 0xff, sizes[i]);
			kfree(p);
		}
	}
}

/* How far the last owner wrote, and what is left of it for the next, must not show. */
static void cleared_memory_is_zero_however_it_was_used(void **state)
{
	static const size_t lengths[] = {700 * KIB, 2 * MIB, 5 * MIB + 12345, RUN_MAX};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		size_t size = lengths[i], page = os_page_size();

		for (size_t used = 1; used <= size;
		     used = used < size && used * 3 > size ? size : used * 3) {
			char *p = kmalloc(size);

			purge_page_range(p, size);
			memset(p, 0x77, used);
			/* And something far from it. */
			p[size - 1 - page * (used % 5)] = 1;
			p[size / 3 * 2] = 1;
			large_clear(p, size);
			assert_true(is_zero(p, size));
			kfree(p);
		}
	}
}

/* Of an object whose start alone was in use, clearing makes no more resident. */
static void clearing_touches_little_of_what_was_untouched(void **state)
{
	const size_t size = 16 * MIB;
	char *p;

	(void)state;
	skip_if(UNDER_EMULATOR, "the emulator's memory is not ours to count");
	p = kmalloc(size);
	purge_page_range(p, size);
	memset(p, 1, 3 * os_page_size());
	large_clear(p, size);
	assert_true(resident_pages(p, size) <= FRAME_SIZE / os_page_size());
	assert_true(is_zero(p, size));
	memset(p, 1, size);
	large_clear(p, size);
	/* What is in use to the end stays. */
	assert_int_equal(resident_pages(p, size), size / os_page_size());
	kfree(p);
}

/* Exactly as long, freed last: no search, and the processor's cache has it. */
static void what_was_freed_last_is_had_first(void **state)
{
	char *p[3], *low;

	(void)state;
	/* Of none in a sheaf, which an earlier test has opened. */
	kmalloc_trim();
	low = kmalloc(400 * KIB);
	for (unsigned int i = 0; i < 3; i++)
		assert_non_null(p[i] = kmalloc(300 * KIB));
	kfree(low);
	for (unsigned int i = 0; i < 3; i++)
		kfree(p[i]);
	for (unsigned int i = 3; i-- > 0;)
		assert_ptr_equal(kmalloc(300 * KIB), p[i]);
	/* What is somebody else's by now is left alone. */
	kfree(p[0]);
	kfree(p[1]);
	low = frame_alloc_exact(p[1]);
	p[1] = kmalloc(300 * KIB);
	assert_true(p[1] + 300 * KIB <= low || low + FRAME_SIZE <= p[1]);
	frame_free(low, 1);
	kfree(p[1]);
	kfree(p[2]);
	assert_nothing_large();
}

static void *use_large_alone(void *arg)
{
	char *p[3];

	for (unsigned int i = 0; i < 3; i++)
		must((p[i] = kmalloc(300 * KIB)));
	for (unsigned int i = 0; i < 3; i++)
		kfree(p[i]);
	for (unsigned int i = 3; i-- > 0;)
		must(kmalloc(300 * KIB) == p[i]);
	for (unsigned int i = 0; i < 3; i++)
		kfree(p[i]);
	return arg;
}

static void so_it_is_in_a_thread_that_has_nothing_else(void **state)
{
	(void)state;
	run_thread(use_large_alone, NULL);
	assert_nothing_large();
}

static void an_object_is_found_from_within(void **state)
{
	char *run = kmalloc(3 * MIB), *mapped = kmalloc(50 * MIB), *small = kmalloc(100);
	int here;

	(void)state;
	assert_ptr_equal(large_find(run), virt_to_slab(run));
	assert_ptr_equal(large_find(run + 3 * MIB - 1), virt_to_slab(run));
	assert_ptr_equal(large_find(mapped + 1), virt_to_slab(mapped));
	assert_ptr_equal(large_find(mapped + 50 * MIB - 1), virt_to_slab(mapped));
	assert_null(large_find(mapped + 50 * MIB));
	assert_null(large_find(small));
	assert_null(large_find(&here));
	assert_null(large_find(NULL));
	/* Far below all sections, where the search ends at the start of the address space. */
	assert_null(large_find((void *)(3 * FRAME_SIZE)));
	assert_null(large_find((void *)UINTPTR_MAX));
	kfree(run);
	kfree(mapped);
	kmalloc_trim();
	assert_null(large_find(run + MIB));
	assert_null(large_find(mapped + MIB));
	kfree(small);
}

/* Behind the usable size of a run its last frame goes on, and is nobody's. */
static void the_end_of_a_frame_is_no_object(void **state)
{
	size_t size = FRAME_SIZE + os_page_size();
	char *run = kmalloc(size);

	(void)state;
	skip_if(os_page_size() == FRAME_SIZE, "a page is a frame");
	assert_ptr_equal(large_find(run + size - 1), virt_to_slab(run));
	assert_null(large_find(run + size));
	assert_true(kmalloc_owns(run + size));
	assert_int_equal(ksize(run + FRAME_SIZE), 0);
	kfree(run);
}

struct piece {
	char *p;
	size_t size;
};

struct worker {
	uint64_t seed;
	struct piece pieces[4];
};

static void mark(const struct piece *piece, size_t size)
{
	*(uint64_t *)(void *)piece->p = (uintptr_t)piece;
	piece->p[size - 1] = 'e';
}

/*
 * In place of what was there, or grown or shrunk from it. No mappings: ThreadSanitizer doesn't see that
 * the kernel hands an address from one thread to another.
 */
static void renew(struct worker *w, struct piece *piece)
{
	size_t size = KMALLOC_MAX_SIZE + 1 + random_below(&w->seed, 200 * KIB);

	if (piece->p) {
		must(*(uint64_t *)(void *)piece->p == (uintptr_t)piece);
		must(piece->p[piece->size - 1] == 'e');
	}
	if (piece->p && random_next(&w->seed) & 1) {
		must(piece->p = krealloc(piece->p, size));
		must(*(uint64_t *)(void *)piece->p == (uintptr_t)piece);
	} else {
		kfree(piece->p);
		must(piece->p = kmalloc(size));
	}
	mark(piece, size);
	piece->size = size;
}

static void *churn(void *arg)
{
	struct worker *w = arg;

	for (unsigned int turn = 0; turn < ROUNDS(5000); turn++)
		renew(w, &w->pieces[random_below(&w->seed, 4)]);
	for (unsigned int i = 0; i < 4; i++)
		kfree(w->pieces[i].p);
	return NULL;
}

static void threads_churn(void **state)
{
	static struct worker workers[4];

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		workers[i].seed = i;
	run_threads(4, churn, workers, sizeof(workers[0]));
	assert_nothing_large();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size),
		cmocka_unit_test(every_alignment),
		cmocka_unit_test(too_large_is_refused),
		cmocka_unit_test(fresh_memory_is_zero),
		cmocka_unit_test(cleared_memory_is_zero_however_it_was_used),
		cmocka_unit_test(clearing_touches_little_of_what_was_untouched),
		cmocka_unit_test(what_was_freed_last_is_had_first),
		cmocka_unit_test(so_it_is_in_a_thread_that_has_nothing_else),
		cmocka_unit_test(an_object_is_found_from_within),
		cmocka_unit_test(the_end_of_a_frame_is_no_object),
		cmocka_unit_test(threads_churn),
	};

	options.purge_delay_ms = 3600000;
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
