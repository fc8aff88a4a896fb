/* Free frames go back to the kernel: all of them at once, or those that were idle for the delay. */
#include "unit.h"

#include "core/bitmap.h"
#include "core/frame.h"
#include "core/kmalloc.h"
#include "core/options.h"

#define NR_FRAMES 200U
#define BYTES (NR_FRAMES * FRAME_SIZE)

static char *dirty_frames(void)
{
	bool zeroed;
	char *addr = frame_alloc(NR_FRAMES, 1, &zeroed);

	assert_non_null(addr);
	memset(addr, 1, BYTES);
	return addr;
}

static bool all_resident(const void *addr)
{
	return resident_pages(addr, BYTES) == BYTES / os_page_size();
}

static bool none_resident(const void *addr)
{
	return resident_pages(addr, BYTES) == 0;
}

static void all_is_given_back_at_once(void **state)
{
	char *a;

	(void)state;
	options.purge_delay_ms = 3600000;
	sleep_ms(400);
	purge_poll();
	a = dirty_frames();
	purge_all();
	assert_int_equal(purge_all(), 0);
	frame_free(a, NR_FRAMES);
	assert_true(all_resident(a));
	assert_int_equal(purge_all(), BYTES);
	assert_true(none_resident(a));
	assert_int_equal(purge_all(), 0);
}

/* What is in use stays, in the middle of what is free. */
static void only_what_is_free_is_given_back(void **state)
{
	char *a = dirty_frames();

	(void)state;
	for (uint32_t f = 0; f < NR_FRAMES; f += 2)
		frame_free(a + f * FRAME_SIZE, 1);
	assert_int_equal(purge_all(), BYTES / 2);
	for (uint32_t f = 0; f < NR_FRAMES; f++)
		assert_int_equal(resident_pages(a + f * FRAME_SIZE, FRAME_SIZE),
				 f % 2 ? FRAME_SIZE / os_page_size() : 0);
	for (uint32_t f = 1; f < NR_FRAMES; f += 2) {
		assert_int_equal(a[f * FRAME_SIZE + 77], 1);
		frame_free(a + f * FRAME_SIZE, 1);
	}
	assert_int_equal(purge_all(), BYTES / 2);
}

static void idle_frames_go_after_the_delay(void **state)
{
	char *a = dirty_frames();
	uint64_t freed, limit;

	(void)state;
	options.purge_delay_ms = 200;
	purge_poll();
	frame_free(a, NR_FRAMES);
	freed = now_ms();
	limit = freed + 20000;
	while (!none_resident(a) && now_ms() < limit) {
		sleep_ms(5);
		purge_poll();
	}
	assert_true(none_resident(a));
	assert_false(bitmap_test(section_find((uintptr_t)a)->dirty,
				 ((uintptr_t)a >> FRAME_SHIFT) & (SECTION_FRAMES - 1), NR_FRAMES,
				 true));
	/* Half of the delay they stay at least; the clock is a tick of 10 ms coarse. */
	assert_true(now_ms() - freed >= 90);
}

/* Nobody has to call purge_poll(): objects that come and go do, on their slow paths. */
static void slow_paths_pace_it(void **state)
{
	char *a = dirty_frames();
	uint64_t limit = now_ms() + 20000;
	static void *objects[3000];

	(void)state;
	frame_free(a, NR_FRAMES);
	while (resident_pages(a, BYTES) > BYTES / os_page_size() / 2 && now_ms() < limit) {
		for (unsigned int i = 0; i < 3000; i++)
			assert_non_null(objects[i] = kmalloc(64));
		for (unsigned int i = 0; i < 3000; i++)
			kfree(objects[i]);
	}
	assert_true(now_ms() < limit);
	kmalloc_trim();
}

static void so_do_large_objects(void **state)
{
	char *a = dirty_frames();
	uint64_t limit = now_ms() + 20000;

	(void)state;
	frame_free(a, NR_FRAMES);
	while (resident_pages(a, BYTES) > BYTES / os_page_size() / 2 && now_ms() < limit)
		kfree(kmalloc(100000));
	assert_true(now_ms() < limit);
	kmalloc_trim();
}

#define MANY_FRAMES 1600U

static size_t resident_frames(char *const *frames)
{
	size_t n = 0;

	for (uint32_t i = 0; i < MANY_FRAMES; i++)
		n += resident_pages(frames[i], os_page_size());
	return n;
}

/* However much is idle, a poll gives back a MiB for each ms since the last one, and 8 MiB at most. */
static void no_poll_takes_long(void **state)
{
	static char *frames[MANY_FRAMES];
	uint64_t limit = now_ms() + 20000;
	size_t before = MANY_FRAMES, now, most = 0;
	bool zeroed;

	(void)state;
	for (uint32_t i = 0; i < MANY_FRAMES; i++) {
		frames[i] = frame_alloc(1, 1, &zeroed);
		assert_non_null(frames[i]);
		frames[i][0] = 1;
	}
	for (uint32_t i = 0; i < MANY_FRAMES; i++)
		frame_free(frames[i], 1);
	while (before && now_ms() < limit) {
		purge_poll();
		now = resident_frames(frames);
		assert_true(now <= before);
		if (before - now > most)
			most = before - now;
		before = now;
	}
	assert_int_equal(before, 0);
	/* Each piece is of a MiB, the last of them may go beyond. */
	assert_true(most * FRAME_SIZE <= (size_t)9 << 20);
	/* At the end of a sweep, the next one waits for its time. */
	for (uint32_t i = 0; i < 10; i++)
		purge_poll();
}

/* One round of the test below; false where the machine was too slow for it to say anything. */
static bool claim_between_ticks(char *a)
{
	const uint64_t half = options.purge_delay_ms / 2;
	uint64_t ticked;
	bool zeroed;

	sleep_ms(half + 50);
	ticked = now_ms();
	purge_poll();
	assert_true(all_resident(a));
	assert_ptr_equal(frame_alloc(NR_FRAMES, 1, &zeroed), a);
	frame_free(a, NR_FRAMES);
	return now_ms() - ticked < half;
}

/* What is claimed and freed between two ticks is not idle, however old it is. */
static void frames_that_are_used_again_stay(void **state)
{
	char *a = dirty_frames();

	(void)state;
	options.purge_delay_ms = 600;
	sleep_ms(50);
	purge_poll();
	frame_free(a, NR_FRAMES);
	for (unsigned int i = 0; i < 3; i++) {
		if (!claim_between_ticks(a)) {
			print_message("the machine stood still: tried again\n");
			a = dirty_frames();
			purge_all();
			frame_free(a, NR_FRAMES);
			i = 0;
		}
	}
	sleep_ms(350);
	purge_poll();
	sleep_ms(350);
	/* In pieces. */
	for (unsigned int i = 0; i < 20; i++)
		purge_poll();
	assert_true(none_resident(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_frames_go_after_the_delay),
		cmocka_unit_test(slow_paths_pace_it),
		cmocka_unit_test(so_do_large_objects),
		cmocka_unit_test(no_poll_takes_long),
		cmocka_unit_test(frames_that_are_used_again_stay),
		/* With these the next tick is far away. */
		cmocka_unit_test(all_is_given_back_at_once),
		cmocka_unit_test(only_what_is_free_is_given_back),
	};

	/* Set before the first poll: each tick says when the next one is due. */
	options.purge_delay_ms = 200;
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
