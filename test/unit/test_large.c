/* Large objects: their sizes and alignments, growth in all directions, and pages that move. */
#include "heap.h"

#include "core/frame.h"
#include "core/large.h"
#include "core/options.h"

#define KIB ((size_t)1024)
#define MIB ((size_t)1 << 20)
#define RUN_MAX ((size_t)FRAME_RUN_MAX * FRAME_SIZE)

static const size_t sizes[] = {
	KMALLOC_MAX_SIZE + 1, 36863,	36864,	       36865,	    64 * KIB - 1, 64 * KIB,
	64 * KIB + 1,	      MIB,	MIB + 1,       4 * MIB + 5, RUN_MAX - 1,  RUN_MAX,
	RUN_MAX + 1,	      33 * MIB, 40 * MIB + 77,
};
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Words that know where they are, close to each other at the start: what was copied wrongly is seen. */
static size_t next_word(size_t at)
{
	return at + (at < 256 * KIB ? 4096 : 64 * KIB);
}

static void fill(char *p, size_t size)
{
	for (size_t at = 0; at + 8 <= size; at = next_word(at))
		*(uint64_t *)(void *)(p + at) = at * 31 + 7;
	p[size - 1] = 'e';
}

static void check(const char *p, size_t size)
{
	for (size_t at = 0; at + 8 <= size; at = next_word(at)) {
		if (*(const uint64_t *)(const void *)(p + at) != at * 31 + 7)
			fail_msg("wrong content at %zu of %zu", at, size);
	}
}

static struct heap_stats figures(void)
{
	struct heap_stats heap;

	heap_stats(&heap, NULL);
	return heap;
}

static void assert_nothing_large(void)
{
	struct heap_stats heap = figures();

	assert_int_equal(heap.runs, 0);
	assert_int_equal(heap.run_bytes, 0);
	assert_int_equal(heap.mapped, 0);
	assert_int_equal(heap.mapped_bytes, 0);
}

static size_t page_up(size_t size)
{
	return (size + os_page_size() - 1) & ~(os_page_size() - 1);
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
	make_neighbours(2 * MIB, &first, &second);
	fill(first, 2 * MIB);
	fill(second, 2 * MIB);
	moved = krealloc(first, 5 * MIB);
	assert_int_equal(virt_to_slab(moved)->kind, FRAME_MAPPED);
	check(moved, 2 * MIB);
	assert_true(is_zero(moved + 2 * MIB, 3 * MIB));
	assert_int_equal(virt_to_slab(first)->kind, FRAME_NONE);
	assert_int_equal(figures().mapped_bytes, 5 * MIB);
	check(second, 2 * MIB);
	/* As a mapping it grows on, where it is or elsewhere. */
	for (size_t size = 6 * MIB; size <= 30 * MIB; size += 6 * MIB) {
		moved = krealloc(moved, size);
		assert_int_equal(virt_to_slab(moved)->kind, FRAME_MAPPED);
		assert_int_equal(ksize(moved), size);
		check(moved, 2 * MIB);
	}
	assert_int_equal(figures().mapped_bytes, 30 * MIB);
	moved = krealloc(moved, 100 * KIB);
	check(moved, 100 * KIB);
	kfree(moved);
	kfree(second);
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
		cmocka_unit_test(growing_too_far_is_refused),
		cmocka_unit_test(realloc_keeps_the_content),
		cmocka_unit_test(realloc_leads_to_and_from_small),
		cmocka_unit_test(runs_grow_and_shrink_in_place),
		cmocka_unit_test(a_small_blocked_run_is_copied),
		cmocka_unit_test(a_large_blocked_run_takes_its_pages_along),
		cmocka_unit_test(a_blocked_mapping_takes_its_pages_along),
		cmocka_unit_test(fresh_memory_is_zero),
		cmocka_unit_test(an_object_is_found_from_within),
		cmocka_unit_test(the_end_of_a_frame_is_no_object),
		cmocka_unit_test(threads_churn),
	};

	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
