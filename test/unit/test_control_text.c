/* Texts of the control files: what is parsed, and what is written. */
#include "heap.h"

#include <errno.h>

#include "core/control_tree.h"

static char text[1 << 18];

static void numbers_are_the_kernels(void **state)
{
	static const struct {
		const char *text;
		int error;
		uint64_t value;
	} all[] = {
		{"0", 0, 0},
		{"100\n", 0, 100},
		{"+7", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", ERANGE, 0},
		{"99999999999999999999999", ERANGE, 0},
		{"", EINVAL, 0},
		{"\n", EINVAL, 0},
		{"+", EINVAL, 0},
		{"-1", EINVAL, 0},
		{"1 ", EINVAL, 0},
		{" 1", EINVAL, 0},
		{"1\n\n", EINVAL, 0},
		{"0x10", EINVAL, 0},
		{"99999999999999999999999x", EINVAL, 0},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint64_t value;
		int error = control_parse(all[i].text, strlen(all[i].text), &value);

		assert_int_equal(error, all[i].error);
		if (!error)
			assert_int_equal(value, all[i].value);
	}
	assert_true(control_is_word("online\n", 7, "online"));
	assert_false(control_is_word("online", 6, "onlin"));
	assert_false(control_is_word("onlin", 5, "online"));
}

static void sets_are_lists(void **state)
{
	static const char *const lists[] = {"\n", "0\n", "0-1,3\n", "1,3,5-4095\n", "0-63,65\n"};

	(void)state;
	for (unsigned int i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct control_out out = {text, sizeof(text) - 1, 0};
		struct id_set set = {.bits = {0}};

		id_set_parse(&set, lists[i], strlen(lists[i]));
		out_ids(&out, &set);
		text[out.len] = '\0';
		assert_string_equal(text, lists[i]);
	}
}

/* The text ends where the buffer does, whatever is written. */
static void answers_have_bounds(void **state)
{
	struct control_out out = {text, 100, 0};

	(void)state;
	memset(text, 'x', 200);
	assert_int_equal(control_show("slabinfo", 8, &out), 0);
	assert_int_equal(out.len, 100);
	assert_int_equal(text[100], 'x');
	out_right(&out, UINT64_MAX, 50);
	out_left(&out, "word", 50);
	assert_int_equal(out.len, 100);
	assert_int_equal(text[100], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_the_kernels),
		cmocka_unit_test(sets_are_lists),
		cmocka_unit_test(answers_have_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
