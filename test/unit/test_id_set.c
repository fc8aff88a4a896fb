/* Sets of numbers, and the lists that sysfs and users write of them. */
#include "topology.h"

static void lists_of_sysfs_are_read(void **state)
{
	static const struct {
		const char *text, *expected;
	} all[] = {
		{"", ""},
		{"\n", ""},
		{"0\n", "0"},
		{"0-1,3\n", "0-1,3"},
		{"0-0", "0"},
		{"7,5,6", "5-7"},
		{"1,1,0-2", "0-2"},
		{"0,2,4-6,4095\n", "0,2,4-6,4095"},
		{"0-4095", "0-4095"},
		/* What no kernel writes: the rest is understood. */
		{"3-1", ""},
		{"-", ""},
		{"-3", "3"},
		{"3-", ""},
		{"1-2-3", "2-3"},
		{"4096", ""},
		{"4090-5000", "4090-4095"},
		{"99999999999999999999", ""},
		{"4294967296", ""},
		{"0-4294967297", "0-4095"},
		{"none", ""},
		{"a1b2,c3", "1-3"},
		{"0x10", "0,10"},
		{",,,5,,", "5"},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct id_set set = {.bits = {0}};

		id_set_parse(&set, all[i].text, strlen(all[i].text));
		assert_set(&set, all[i].expected);
	}
}

static void no_more_than_the_length_is_read(void **state)
{
	struct id_set set = {.bits = {0}};

	(void)state;
	id_set_parse(&set, "1,23", 3);
	assert_set(&set, "1-2");
	id_set_parse(&set, "9", 0);
	assert_set(&set, "1-2");
	assert_true(id_set_parse_strictly(&set, "4-6,x", 3, ',', MAX_IDS));
	assert_set(&set, "1-2,4-6");
}

static void lists_of_users_are_judged(void **state)
{
	static const char *const good[] = {"0", "0-1", "0,2", "0,2-4,63-65", "1023"};
	static const char *const bad[] = {
		"",	" ",	  "x",	  "1 ",		" 1",	"1,",
		",1",	"1,,2",	  "-1",	  "1-",		"2-1",	"1-2-3",
		"1024", "0-1024", "0,1x", "0\n",	"1+2",	"0x1",
		"+1",	"1.5",	  "-",	  "4294967296", "4096", "99999999999999999999999",
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct id_set set = {.bits = {0}};

		assert_true(id_set_parse_strictly(&set, good[i], strlen(good[i]), ',', MAX_NODES));
		assert_set(&set, good[i]);
	}
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct id_set set = {.bits = {0}};

		if (id_set_parse_strictly(&set, bad[i], strlen(bad[i]), ',', MAX_NODES))
			fail_msg("'%s' is taken for %s", bad[i], set_text(&set));
	}
}

static void the_separator_and_the_end_are_the_callers(void **state)
{
	struct id_set set = {.bits = {0}};

	(void)state;
	assert_true(id_set_parse_strictly(&set, "0+2-3", 5, '+', 4));
	assert_set(&set, "0,2-3");
	assert_false(id_set_parse_strictly(&set, "0+2-4", 5, '+', 4));
	assert_false(id_set_parse_strictly(&set, "0,2", 3, '+', 4));
	assert_true(id_set_parse_strictly(&set, "4095", 4, '+', UINT32_MAX));
	assert_false(id_set_parse_strictly(&set, "4096", 4, '+', UINT32_MAX));
}

static void every_number_is_found(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned int turn = 0; turn < 200; turn++) {
		struct id_set set = {.bits = {0}};
		uint32_t expected = 0, found = 0;

		for (unsigned int i = 0; i <= turn; i++)
			id_set_add(&set, (uint32_t)random_below(&seed, MAX_IDS + 10));
		for (uint32_t id = 0; id < MAX_IDS + 64; id++)
			expected += id_set_has(&set, id);
		for (uint32_t id = id_set_next(&set, 0); id < MAX_IDS;
		     id = id_set_next(&set, id + 1)) {
			assert_true(id_set_has(&set, id));
			found++;
		}
		assert_int_equal(found, expected);
	}
}

static void beyond_the_end_there_is_nothing(void **state)
{
	struct id_set set;

	(void)state;
	memset(&set, 0xff, sizeof(set));
	assert_false(id_set_has(&set, MAX_IDS));
	assert_false(id_set_has(&set, UINT32_MAX));
	assert_int_equal(id_set_next(&set, MAX_IDS), MAX_IDS);
	assert_int_equal(id_set_next(&set, MAX_IDS + 1), MAX_IDS);
	assert_int_equal(id_set_next(&set, UINT32_MAX), MAX_IDS);
	assert_int_equal(id_set_next(&set, MAX_IDS - 1), MAX_IDS - 1);
	memset(&set, 0, sizeof(set));
	id_set_add(&set, MAX_IDS);
	id_set_add(&set, UINT32_MAX);
	assert_int_equal(id_set_next(&set, 0), MAX_IDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_sysfs_are_read),
		cmocka_unit_test(no_more_than_the_length_is_read),
		cmocka_unit_test(lists_of_users_are_judged),
		cmocka_unit_test(the_separator_and_the_end_are_the_callers),
		cmocka_unit_test(every_number_is_found),
		cmocka_unit_test(beyond_the_end_there_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
