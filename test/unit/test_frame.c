/* Frames: claims, alignments, runs, growth in place, pages moved out, the end of memory. */
#include "unit.h"

#include <sys/resource.h>

#include "core/bitmap.h"
#include "core/frame.h"
#include "core/options.h"

static uint32_t index_of(const void *addr)
{
	return ((uintptr_t)addr >> FRAME_SHIFT) & (SECTION_FRAMES - 1);
}

static bool is_used(const void *addr, uint32_t n)
{
	return bitmap_test(section_find((uintptr_t)addr)->used, index_of(addr), n, false);
}

static bool is_free(const void *addr, uint32_t n)
{
	return !bitmap_test(section_find((uintptr_t)addr)->used, index_of(addr), n, true);
}

static char *alloc(uint32_t n, uint32_t align)
{
	bool zeroed;
	char *addr = frame_alloc(n, align, &zeroed);

	assert_non_null(addr);
	assert_int_equal((uintptr_t)addr % (align * FRAME_SIZE), 0);
	assert_true(is_used(addr, n));
	assert_true(frame_is_ours(addr) && frame_is_ours(addr + n * FRAME_SIZE - 1));
	return addr;
}

static void frames_are_claimed_and_freed(void **state)
{
	char *a = alloc(1, 1), *b = alloc(1, 1);

	(void)state;
	assert_ptr_not_equal(a, b);
	memset(a, 1, FRAME_SIZE);
	memset(b, 2, FRAME_SIZE);
	assert_int_equal(a[FRAME_SIZE - 1], 1);
	frame_free(a, 1);
	assert_true(is_free(a, 1) && is_used(b, 1));
	assert_int_equal(b[0], 2);
	frame_free(b, 1);
	assert_true(is_free(b, 1));
}

static void the_lowest_is_claimed_first(void **state)
{
	char *a = alloc(1, 1), *b = alloc(1, 1), *c = alloc(1, 1);

	(void)state;
	frame_free(b, 1);
	frame_free(a, 1);
	assert_ptr_equal(alloc(1, 1), a);
	assert_ptr_equal(alloc(1, 1), b);
	frame_free(c, 1);
	assert_ptr_equal(alloc(1, 1), c);
	frame_free(a, 1);
	frame_free(b, 1);
	frame_free(c, 1);
}

static const uint32_t lengths[] = {1, 2, 3, 5, 63, 64, 65, 127, 130, 511, FRAME_RUN_MAX};
#define NR_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))
#define NR_ALIGNS 10

/* Every run keeps its own number at both ends of each of its frames, while all of them live. */
static void runs_of_all_lengths_and_alignments(void **state)
{
	static char *runs[NR_LENGTHS][NR_ALIGNS];

	(void)state;
	for (uint32_t i = 0; i < NR_LENGTHS; i++) {
		for (uint32_t k = 0; k < NR_ALIGNS; k++) {
			runs[i][k] = alloc(lengths[i], 1U << k);
			for (uint32_t f = 0; f < lengths[i]; f++)
				runs[i][k][(f + 1) * FRAME_SIZE - 1] = (char)(i * NR_ALIGNS + k);
		}
	}
	for (uint32_t i = 0; i < NR_LENGTHS; i++) {
		for (uint32_t k = 0; k < NR_ALIGNS; k++) {
			for (uint32_t f = 0; f < lengths[i]; f++)
				assert_int_equal(runs[i][k][(f + 1) * FRAME_SIZE - 1],
						 (char)(i * NR_ALIGNS + k));
			frame_free(runs[i][k], lengths[i]);
		}
	}
}

static void beyond_the_limit_there_is_none(void **state)
{
	bool zeroed;

	(void)state;
	assert_null(frame_alloc(FRAME_RUN_MAX + 1, 1, &zeroed));
	assert_null(frame_alloc(1, 2 * FRAME_RUN_MAX, &zeroed));
}

static void zeroed_says_the_truth(void **state)
{
	bool zeroed;
	char *a = frame_alloc(300, 1, &zeroed), *again;

	(void)state;
	assert_true(!zeroed || is_zero(a, 300 * FRAME_SIZE));
	memset(a, 0x5a, 300 * FRAME_SIZE);
	frame_free(a, 300);
	again = frame_alloc(300, 1, &zeroed);
	assert_ptr_equal(again, a);
	assert_false(zeroed);
	a[0] = 1;
	frame_free(a, 300);
	assert_true(purge_all() >= 300 * FRAME_SIZE);
	again = frame_alloc(300, 1, &zeroed);
	assert_ptr_equal(again, a);
	assert_true(zeroed);
	assert_true(is_zero(a, 300 * FRAME_SIZE));
	frame_free(a, 300);
}

/* One dirty frame among clean ones is enough. */
static void zeroed_is_of_all_frames(void **state)
{
	bool zeroed;
	char *a = alloc(8, 1);

	(void)state;
	frame_free(a, 8);
	purge_all();
	assert_ptr_equal(alloc(8, 1), a);
	frame_free(a, 7);
	purge_all();
	frame_free(a + 7 * FRAME_SIZE, 1);
	assert_ptr_equal(frame_alloc(8, 1, &zeroed), a);
	assert_false(zeroed);
	frame_free(a, 8);
}

static void runs_grow_where_they_are(void **state)
{
	/* So that there is room behind it in this section. */
	char *a = alloc(128, 1);

	(void)state;
	memset(a, 7, 3 * FRAME_SIZE);
	frame_free(a + 3 * FRAME_SIZE, 125);
	assert_true(frame_extend(a, 3, 97));
	assert_true(is_used(a, 100) && is_free(a + 100 * FRAME_SIZE, 28));
	memset(a + 3 * FRAME_SIZE, 8, 97 * FRAME_SIZE);
	assert_int_equal(a[3 * FRAME_SIZE - 1], 7);
	/* Somebody else's, behind it. */
	assert_true(frame_extend(a, 110, 1));
	assert_false(frame_extend(a, 100, 11));
	assert_false(frame_extend(a, 100, 28));
	assert_true(is_free(a + 100 * FRAME_SIZE, 10) && is_free(a + 111 * FRAME_SIZE, 17));
	assert_true(frame_extend(a, 100, 10));
	frame_free(a, 111);
}

/* A hole that is too short for one search is not hidden from the next, which asks for less. */
static void short_holes_are_found(void **state)
{
	static char *runs[60];
	char *a;

	(void)state;
	for (uint32_t i = 0; i < 60; i++)
		runs[i] = alloc(20, 1);
	/* Every other one, but for the last: holes of 20 frames. */
	for (uint32_t i = 0; i < 58; i += 2)
		frame_free(runs[i], 20);
	a = alloc(30, 1);
	for (uint32_t i = 0; i < 58; i += 2)
		assert_ptr_not_equal(a, runs[i]);
	for (uint32_t i = 0; i < 58; i += 2)
		assert_ptr_equal(alloc(20, 1), runs[i]);
	frame_free(a, 30);
	for (uint32_t i = 0; i < 60; i++)
		frame_free(runs[i], 20);
}

static void runs_with_room_stand_apart(void **state)
{
	bool zeroed;
	char *a = frame_alloc_roomy(&first_node, 2, 32, &zeroed),
	     *b = frame_alloc_roomy(&first_node, 3, 32, &zeroed);

	(void)state;
	assert_true(a && b);
	assert_int_equal((uintptr_t)a % (32 * FRAME_SIZE), 0);
	assert_int_equal((uintptr_t)b % (32 * FRAME_SIZE), 0);
	assert_ptr_not_equal(a, b);
	assert_true(is_used(a, 2) && is_free(a + 2 * FRAME_SIZE, 30));
	assert_true(is_used(b, 3) && is_free(b + 3 * FRAME_SIZE, 29));
	assert_true(frame_extend(a, 2, 30) && frame_extend(b, 3, 29));
	assert_null(frame_alloc_roomy(&first_node, 1, 2 * FRAME_RUN_MAX, &zeroed));
	frame_free(a, 32);
	frame_free(b, 32);
}

/* Each area has lines of the bitmaps of its own, and what is below stays for others. */
static void areas_lie_apart(void **state)
{
	const uint32_t size = SECTION_FRAMES / NR_AREAS;
	char *low = alloc(3, 1), *first, *a, *b;
	bool zeroed;

	(void)state;
	first = (char *)section_find((uintptr_t)low)->base;
	a = frame_alloc_apart(&first_node, 3, 5, &zeroed);
	b = frame_alloc_apart(&first_node, 3, 6, &zeroed);
	assert_true(a && b);
	assert_true(a >= first + (size_t)5 * size * FRAME_SIZE);
	assert_true(b >= first + (size_t)6 * size * FRAME_SIZE && b != a);
	assert_int_equal(size % (64 * 8), 0);
	frame_free(low, 3);
	assert_ptr_equal(alloc(3, 1), low);
	assert_null(frame_alloc_apart(&first_node, FRAME_RUN_MAX + 1, 5, &zeroed));
	frame_free(low, 3);
	frame_free(a, 3);
	frame_free(b, 3);
}

static void frames_are_taken_again_while_they_are_warm(void **state)
{
	char *a = alloc(100, 1), *start = a;
	int here;

	(void)state;
	memset(a, 1, 100 * FRAME_SIZE);
	assert_false(frame_retake(a, 1));
	frame_free(a, 100);
	/* Wherever in their words they lie. */
	for (uint32_t n = 1; n <= 64; n += 7, a = start) {
		for (uint32_t i = 0; i + n <= 100; i += 3, a += 3 * FRAME_SIZE) {
			assert_true(frame_retake(a, n));
			assert_true(is_used(a, n));
			assert_false(frame_retake(a, n));
			assert_int_equal(a[n * FRAME_SIZE - 1], 1);
			frame_free(a, n);
		}
	}
	purge_all();
	assert_false(frame_retake(start, 3) || frame_retake(start, 64));
	assert_true(is_free(start, 64));
	assert_false(frame_retake((void *)((uintptr_t)&here & ~(FRAME_SIZE - 1)), 1));
	assert_false(frame_retake((void *)(UINTPTR_MAX & ~(FRAME_SIZE - 1)), 1));
}

static void runs_end_with_the_section(void **state)
{
	static char *runs[4096];
	uint32_t n = 0, last = 0;

	(void)state;
	/* More than a section, so that some run lies at its end. */
	while (n < 4096 && !last) {
		runs[n] = alloc(16, 16);
		if (index_of(runs[n]) == SECTION_FRAMES - 16)
			last = n;
		n++;
	}
	assert_true(last);
	assert_false(frame_extend(runs[last], 16, 1));
	assert_false(frame_extend(runs[last], 16, FRAME_RUN_MAX));
	while (n--)
		frame_free(runs[n], 16);
}

static void sections_are_listed_once(void **state)
{
	struct section *sec, *other;
	uint32_t count = 0;

	(void)state;
	for_each_section(sec, nr) {
		count++;
		assert_ptr_equal(section_find(sec->base), sec);
		for (uint32_t k = 0; k < nr; k++) {
			other = frame_section(k);
			assert_ptr_not_equal(other, sec);
		}
	}
	assert_true(count >= 2);
	assert_null(frame_section(count));
	assert_null(frame_section(UINT32_MAX));
}

static void pages_move_out_and_the_frames_are_free(void **state)
{
	char *a = alloc(5, 1), *to = os_reserve(16 * FRAME_SIZE);
	bool zeroed;

	(void)state;
	assert_non_null(to);
	memset(a, 0x33, 5 * FRAME_SIZE);
	assert_true(frame_move_out(a, 5, to, 16 * FRAME_SIZE));
	assert_int_equal(to[0], 0x33);
	assert_int_equal(to[5 * FRAME_SIZE - 1], 0x33);
	assert_true(is_zero(to + 5 * FRAME_SIZE, 11 * FRAME_SIZE));
	assert_true(is_free(a, 5) && frame_is_ours(a));
	assert_ptr_equal(frame_alloc(5, 1, &zeroed), a);
	assert_true(zeroed);
	assert_true(is_zero(a, 5 * FRAME_SIZE));
	memset(a, 1, 5 * FRAME_SIZE);
	frame_free(a, 5);
	os_unmap(to, 16 * FRAME_SIZE);
}

/* The kernel refuses a range beyond the address space: nothing has changed. */
static void pages_that_cannot_move_stay(void **state)
{
	char *a = alloc(2, 1);

	(void)state;
	memset(a, 0x44, 2 * FRAME_SIZE);
	assert_false(frame_move_out(a, 2, (void *)(UINTPTR_MAX & ~(FRAME_SIZE - 1)), FRAME_SIZE));
	assert_true(is_used(a, 2));
	assert_int_equal(a[2 * FRAME_SIZE - 1], 0x44);
	frame_free(a, 2);
}

static void only_reserved_space_is_ours(void **state)
{
	char *a = alloc(1, 1);
	int here;

	(void)state;
	assert_false(frame_is_ours(&here));
	assert_false(frame_is_ours(NULL));
	assert_false(frame_is_ours((void *)((uintptr_t)a | UINT64_C(1) << 63)));
	frame_free(a, 1);
	assert_true(frame_is_ours(a));
}

/* A hint that claims too much costs a search, and no memory. */
static void a_wrong_hint_hides_nothing(void **state)
{
	char *a = alloc(1, 1), *b;
	struct section *sec;

	(void)state;
	frame_free(a, 1);
	for_each_section(sec, nr)
		atomic_store(&sec->first_free, SECTION_FRAMES);
	b = alloc(1, 1);
	assert_ptr_equal(b, a);
	frame_free(b, 1);
}

static size_t mapped_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	must(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#define NR_LIVE 8192U

/* Fills what the limit leaves, then all live frames are whole, and what is freed can be had again. */
static void use_up_address_space(void *arg)
{
	static char *live[NR_LIVE];
	void *run, *last = NULL;
	struct rlimit limit;
	uint32_t n = 0;
	bool zeroed;

	(void)arg;
	must(!getrlimit(RLIMIT_AS, &limit));
	limit.rlim_cur = mapped_bytes() + ((size_t)48 << 20);
	must(!setrlimit(RLIMIT_AS, &limit));
	while ((run = frame_alloc(FRAME_RUN_MAX, 1, &zeroed)))
		last = run;
	must(last);
	frame_free(last, FRAME_RUN_MAX);
	while (n < NR_LIVE && (live[n] = frame_alloc(1, 1, &zeroed))) {
		memcpy(live[n], &n, sizeof(n));
		n++;
	}
	must(n > 0 && n < NR_LIVE);
	must(!frame_alloc(1, 1, &zeroed) && !frame_alloc(64, 1, &zeroed));
	frame_free(live[n / 2], 1);
	must(frame_alloc(1, 1, &zeroed) == live[n / 2]);
	memcpy(live[n / 2], &(uint32_t){n / 2}, sizeof(n));
	for (uint32_t i = 0; i < n; i++)
		must(!memcmp(live[i], &i, sizeof(i)));
	limit.rlim_cur = limit.rlim_max;
	must(!setrlimit(RLIMIT_AS, &limit));
	must(frame_alloc(64, 1, &zeroed) != NULL);
}

static void the_end_of_memory_is_survived(void **state)
{
	(void)state;
	skip_if(UNDER_EMULATOR, "qemu knows no RLIMIT_AS");
	run_good_child(use_up_address_space, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_claimed_and_freed),
		cmocka_unit_test(the_lowest_is_claimed_first),
		cmocka_unit_test(runs_of_all_lengths_and_alignments),
		cmocka_unit_test(beyond_the_limit_there_is_none),
		cmocka_unit_test(zeroed_says_the_truth),
		cmocka_unit_test(zeroed_is_of_all_frames),
		cmocka_unit_test(runs_grow_where_they_are),
		cmocka_unit_test(short_holes_are_found),
		cmocka_unit_test(runs_with_room_stand_apart),
		cmocka_unit_test(areas_lie_apart),
		cmocka_unit_test(frames_are_taken_again_while_they_are_warm),
		cmocka_unit_test(runs_end_with_the_section),
		cmocka_unit_test(sections_are_listed_once),
		cmocka_unit_test(pages_move_out_and_the_frames_are_free),
		cmocka_unit_test(pages_that_cannot_move_stay),
		cmocka_unit_test(only_reserved_space_is_ours),
		cmocka_unit_test(a_wrong_hint_hides_nothing),
		cmocka_unit_test(the_end_of_memory_is_survived),
	};

	/* Nothing is purged behind the tests' backs. */
	options.purge_delay_ms = 3600000;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
