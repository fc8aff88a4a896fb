/* Ranges of bits against the same operations bit by bit, and claims by threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/bitmap.h"

#define BITS 256U

static _Atomic uint64_t map[BITS / 64];
static bool model[BITS];

static void setup_bits(uint64_t seed)
{
	for (uint32_t bit = 0; bit < BITS; bit++) {
		seed = seed * 6364136223846793005U + 1442695040888963407U;
		model[bit] = (seed >> 61) == 0;
	}
	memset(map, 0, sizeof(map));
	for (uint32_t bit = 0; bit < BITS; bit++) {
		if (model[bit])
			bitmap_set(map, bit, 1);
	}
}

static void assert_same_as_model(void)
{
	for (uint32_t bit = 0; bit < BITS; bit++)
		assert_int_equal(map[bit / 64] >> (bit % 64) & 1, model[bit]);
}

static uint32_t count_set(uint32_t start, uint32_t n)
{
	uint32_t count = 0;

	for (uint32_t bit = start; bit < start + n; bit++)
		count += model[bit];
	return count;
}

static void check_range(uint32_t start, uint32_t n)
{
	uint32_t set = count_set(start, n);

	assert_int_equal(bitmap_test(map, start, n, true), set > 0);
	assert_int_equal(bitmap_test(map, start, n, false), set == n);
	assert_int_equal(bitmap_claim(map, start, n), set == 0);
	if (set == 0)
		memset(model + start, true, n);
	assert_same_as_model();
	if (set == 0) {
		bitmap_clear(map, start, n, memory_order_release);
		memset(model + start, false, n);
		assert_same_as_model();
	}
}

static void every_range_is_as_bit_by_bit(void **state)
{
	(void)state;
	for (uint32_t start = 0; start < BITS; start++) {
		setup_bits(start);
		for (uint32_t n = 1; n <= BITS - start; n++)
			check_range(start, n);
	}
}

static uint32_t find_clear_slowly(uint32_t from, uint32_t n, uint32_t align)
{
	for (; from + n <= BITS; from++) {
		if (from % align == 0 && count_set(from, n) == 0)
			return from;
	}
	return BITS;
}

static void finds_the_first_clear_range(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		setup_bits(seed);
		for (uint32_t n = 1; n < 40; n++) {
			for (uint32_t align = 1; align <= 16; align *= 2)
				assert_int_equal(bitmap_find_clear(map, 7, BITS, n, align),
						 find_clear_slowly(7, n, align));
		}
	}
}

/* What holds a bit while it is claimed; plain, so that a second holder is a data race as well. */
static unsigned holders[BITS];

static void *claim_often(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg;
	uintptr_t bad = 0;

	for (uint32_t turn = 0; turn < 20000; turn++) {
		uint32_t start, n;

		seed = seed * 1664525 + 1013904223;
		start = (seed >> 8) % (BITS - 80);
		n = 1 + (seed >> 20) % 80;
		if (!bitmap_claim(map, start, n))
			continue;
		for (uint32_t bit = start; bit < start + n; bit++)
			bad += holders[bit]++;
		for (uint32_t bit = start; bit < start + n; bit++)
			holders[bit]--;
		bitmap_clear(map, start, n, memory_order_release);
	}
	return (void *)bad;
}

static void a_bit_has_one_holder(void **state)
{
	pthread_t threads[4];
	void *bad;

	(void)state;
	memset(map, 0, sizeof(map));
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, claim_often, (void *)(i + 1)),
				 0);
	for (uintptr_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], &bad), 0);
		assert_null(bad);
	}
	for (uint32_t w = 0; w < BITS / 64; w++)
		assert_int_equal(map[w], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_range_is_as_bit_by_bit),
		cmocka_unit_test(finds_the_first_clear_range),
		cmocka_unit_test(a_bit_has_one_holder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
