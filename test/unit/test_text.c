/* Lines of text in a fixed buffer. */
#include "unit.h"

#include "core/text.h"

static void assert_text(const struct text *t, const char *expected)
{
	assert_int_equal(t->len, strlen(expected));
	assert_memory_equal(t->buf, expected, t->len);
}

static void pieces_are_added(void **state)
{
	struct text t = {0};

	(void)state;
	text_add(&t, "slab");
	text_add(&t, "");
	text_add_n(&t, "cache", 2);
	text_add_n(&t, "cache", 0);
	assert_text(&t, "slabca");
}

static void numbers_are_decimal_and_hexadecimal(void **state)
{
	struct text t = {0};

	(void)state;
	text_add_number(&t, 0);
	text_add(&t, " ");
	text_add_number(&t, 1234567890);
	text_add(&t, " ");
	text_add_number(&t, UINT64_MAX);
	text_add(&t, " ");
	text_add_hex(&t, 0);
	text_add(&t, " ");
	text_add_hex(&t, 0x7f00deadbeef);
	text_add(&t, " ");
	text_add_hex(&t, UINT64_MAX);
	assert_text(&t, "0 1234567890 18446744073709551615 0x0 0x7f00deadbeef "
			"0xffffffffffffffff");
}

static void columns_end_where_they_should(void **state)
{
	struct text t = {0};

	(void)state;
	text_add(&t, "name");
	text_pad(&t, 8);
	text_pad(&t, 3);
	text_add_column(&t, 42, 12);
	text_add_column(&t, 7, 14);
	assert_text(&t, "name      42 7");
	/* Too narrow: one space, and the number as it is. */
	text_add_column(&t, 123456, 15);
	text_add_column(&t, 9, 2);
	assert_text(&t, "name      42 7 123456 9");
}

static void what_does_not_fit_is_cut_off(void **state)
{
	struct text t = {0};
	char piece[101];

	(void)state;
	memset(piece, 'a', 100);
	piece[100] = '\0';
	for (unsigned int i = 0; i < 10; i++)
		text_add(&t, piece);
	assert_int_equal(t.len, sizeof(t.buf));
	text_add_number(&t, 5);
	text_add_hex(&t, 5);
	text_add_column(&t, 5, 300);
	text_pad(&t, 1000);
	assert_int_equal(t.len, sizeof(t.buf));
	for (size_t i = 0; i < t.len; i++)
		assert_int_equal(t.buf[i], 'a');
}

static void write_two_lines(void *arg)
{
	struct text *t = arg;

	text_write_line(t, STDERR_FILENO);
	must(t->len == 0);
	text_add(t, "next");
	text_write_line(t, STDERR_FILENO);
}

static void lines_are_written_and_emptied(void **state)
{
	struct text t = {0};
	char out[512];

	(void)state;
	text_add(&t, "first");
	capture_stderr(write_two_lines, &t, out, sizeof(out));
	assert_string_equal(out, "first\nnext\n");
}

/* Of a full buffer the last character makes room for the end of line. */
static void full_lines_end_as_well(void **state)
{
	struct text t = {0};
	char out[512];

	(void)state;
	text_pad(&t, sizeof(t.buf));
	capture_stderr(write_two_lines, &t, out, sizeof(out));
	assert_int_equal(strlen(out), sizeof(t.buf) + 5);
	assert_string_equal(out + sizeof(t.buf) - 1, "\nnext\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_added),
		cmocka_unit_test(numbers_are_decimal_and_hexadecimal),
		cmocka_unit_test(columns_end_where_they_should),
		cmocka_unit_test(what_does_not_fit_is_cut_off),
		cmocka_unit_test(lines_are_written_and_emptied),
		cmocka_unit_test(full_lines_end_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
