/* Frames are made accessible in pieces, and a large heap that is filled asks for huge pages. */
#include "unit.h"

#include "core/bitmap.h"
#include "core/frame.h"
#include "core/options.h"

#define MIB ((size_t)1 << 20)
#define HUGE_FRAMES 32U

static char *alloc(uint32_t n)
{
	bool zeroed;
	char *addr = frame_alloc(n, 1, &zeroed);

	must(addr);
	return addr;
}

static bool is_accessible(const void *addr)
{
	struct section *sec = section_find((uintptr_t)addr);

	return bitmap_test(sec->committed, frame_index(addr), 1, false);
}

/* Has the kernel been asked for huge pages anywhere in [addr, last]? The flags of the mappings, as it lists them. */
static bool wants_huge_pages_between(const void *addr, const void *last)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	char line[512];
	bool inside = false, huge = false;
	unsigned long start, end;

	must(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = (uintptr_t)last >= start && (uintptr_t)addr < end;
		else if (inside && !strncmp(line, "VmFlags:", 8))
			huge = huge || strstr(line, " hg");
	}
	fclose(file);
	return huge;
}

static bool wants_huge_pages(const void *addr)
{
	return wants_huge_pages_between(addr, addr);
}

/* Of the 2 MiB that a first touch could make resident at once, a small heap has no more than half. */
static void check_small_heap(void *arg)
{
	char *first = alloc(1);

	(void)arg;
	must(is_accessible(first) && is_accessible(first + 15 * FRAME_SIZE));
	must(!is_accessible(first + 16 * FRAME_SIZE));
	for (uint32_t i = 1; i < 16; i++)
		must(alloc(1) == first + i * FRAME_SIZE);
	must(!is_accessible(first + 16 * FRAME_SIZE));
	must(alloc(1) == first + 16 * FRAME_SIZE && is_accessible(first + 31 * FRAME_SIZE));
	must(!wants_huge_pages(first));
}

/* Fills `percent` of each of so many frames; returns the last. */
static char *fill_frames(uint32_t n, size_t percent)
{
	char *frame = NULL;

	for (uint32_t i = 0; i < n; i++) {
		frame = alloc(1);
		memset(frame, 1, FRAME_SIZE * percent / 100);
	}
	return frame;
}

static void check_filled_heap(void *arg)
{
	char *first = alloc(1);
	char *last = fill_frames((uint32_t)(160 * MIB / FRAME_SIZE), 100);

	(void)arg;
	/* Not all of it, where the first were dear. */
	must(wants_huge_pages_between(first + 64 * MIB, last));
	must(!wants_huge_pages(first));
	must(!wants_huge_pages(first + 32 * MIB));
	/* Whole ones: what is asked for begins and ends with a huge page. */
	must(is_accessible((char *)round_up((uintptr_t)last, HUGE_FRAMES * FRAME_SIZE) - 1));
}

/* What a huge page would add to what is in use is more than a tenth of it. */
static void check_sparse_heap(void *arg)
{
	size_t percent = *(size_t *)arg;

	must(!wants_huge_pages(fill_frames((uint32_t)(160 * MIB / FRAME_SIZE), percent)));
}

/* Of the frames behind this one, those in memory: each is noted as such, or purge would leave it there. */
static uint32_t count_touched_ahead(const char *last)
{
	struct section *sec = section_find((uintptr_t)last);
	uint32_t n = 0;

	for (uint32_t i = frame_index(last) + 1; i % FRAMES_IN_HAND; i++) {
		if (!os_resident(frame_address(sec, i), FRAME_SIZE))
			continue;
		must(bitmap_test(sec->dirty, i, 1, false));
		n++;
	}
	return n;
}

/* But a frame that is had for the first time reads as zero, and is known to. */
static void check_what_is_touched_ahead(void *arg)
{
	uint32_t touched = 0;

	(void)arg;
	for (size_t i = 0; i < 160 * MIB / FRAME_SIZE && !touched; i++) {
		bool zeroed;
		char *frame = frame_alloc(1, 1, &zeroed);

		must(frame && zeroed);
		touched = count_touched_ahead(frame);
		memset(frame, 1, FRAME_SIZE);
	}
	must(touched == HUGE_FRAMES - 1 || touched == HUGE_FRAMES);
}

static void a_small_heap_grows_by_half_a_huge_page(void **state)
{
	(void)state;
	run_good_child(check_small_heap, NULL);
}

static void a_large_heap_asks_for_huge_pages(void **state)
{
	(void)state;
	skip_if(UNDER_EMULATOR, "the emulator's mappings are not ours");
	skip_if(access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0,
		"this kernel has no huge pages");
	run_good_child(check_filled_heap, NULL);
}

static void a_sparse_one_does_not(void **state)
{
	size_t sparse = 2, fairly = 75;

	(void)state;
	skip_if(UNDER_EMULATOR, "the emulator's mappings are not ours");
	run_good_child(check_sparse_heap, &sparse);
	run_good_child(check_sparse_heap, &fairly);
}

static void what_is_touched_ahead_can_be_given_back(void **state)
{
	char *page = os_map(os_page_size());

	(void)state;
	skip_if(UNDER_EMULATOR, "the emulator's mappings are not ours");
	skip_if(!os_populate(page, os_page_size()), "this kernel can't be asked to touch memory");
	run_good_child(check_what_is_touched_ahead, NULL);
	os_unmap(page, os_page_size());
}

static uint32_t times_let_go_by(struct huge_pages *h)
{
	uint32_t n = 0;

	while (!huge_pages_are_due(h))
		n++;
	return n;
}

static void dear_ones_are_not_asked_for_soon(void **state)
{
	struct huge_pages h = {0, 0};
	uint32_t before = 0, times = 0;

	(void)state;
	assert_int_equal(times_let_go_by(&h), 0);
	huge_pages_note(&h, 100000);
	assert_int_equal(times_let_go_by(&h), 0);
	/* Ever more seldom, but again and again. */
	for (int i = 0; i < 20; i++, before = times) {
		huge_pages_note(&h, 5000000);
		times = times_let_go_by(&h);
		assert_true(times >= 16 && times <= 1024);
		assert_true(times >= before);
		assert_int_equal(times_let_go_by(&h), 0);
	}
	assert_int_equal(times, 1024);
	huge_pages_note(&h, 100000);
	assert_int_equal(times_let_go_by(&h), 0);
	huge_pages_note(&h, 5000000);
	assert_int_equal(times_let_go_by(&h), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_heap_grows_by_half_a_huge_page),
		cmocka_unit_test(a_large_heap_asks_for_huge_pages),
		cmocka_unit_test(a_sparse_one_does_not),
		cmocka_unit_test(what_is_touched_ahead_can_be_given_back),
		cmocka_unit_test(dear_ones_are_not_asked_for_soon),
	};

	options.purge_delay_ms = 3600000;
	/* Asking is what is tested: that nothing is handed out unasked keeps the figures apart. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
