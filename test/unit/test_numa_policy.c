/* The words for where memory is to come from. */
#include "topology.h"

#include "core/numa_policy.h"

static void the_words_are_taken(void **state)
{
	static const struct {
		const char *text;
		enum policy_mode mode;
		const char *nodes;
	} all[] = {
		{"local", POLICY_LOCAL, ""},
		{"preferred:0", POLICY_PREFERRED, "0"},
		{"preferred:1023", POLICY_PREFERRED, "1023"},
		{"preferred:3-3", POLICY_PREFERRED, "3"},
		{"bind:0", POLICY_BIND, "0"},
		{"bind:0,2", POLICY_BIND, "0,2"},
		{"bind:0-1,4,7-9", POLICY_BIND, "0-1,4,7-9"},
		{"bind:0-1023", POLICY_BIND, "0-1023"},
		{"interleave", POLICY_INTERLEAVE, ""},
		{"interleave:2", POLICY_INTERLEAVE, "2"},
		{"interleave:0-3,5", POLICY_INTERLEAVE, "0-3,5"},
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		enum policy_mode mode = POLICY_DEFAULT;
		struct id_set nodes;

		memset(&nodes, 0xff, sizeof(nodes));
		assert_true(policy_parse(all[i].text, strlen(all[i].text), &mode, &nodes));
		assert_int_equal(mode, all[i].mode);
		assert_set(&nodes, all[i].nodes);
	}
}

static void nothing_else_is(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		":0",
		"default",
		"loca",
		"locals",
		"Local",
		"local:",
		"local:0",
		"local ",
		" local",
		"local\n",
		"preferred",
		"preferred:",
		"preferred:x",
		"preferred:0,1",
		"preferred:1024",
		"preferred:-1",
		"preferred:0-1",
		"bind",
		"bind:",
		"bind:0,",
		"bind:,0",
		"bind:0,,1",
		"bind:0-",
		"bind:1-0",
		"bind:1024",
		"bind:0-1024",
		"bind:0:1",
		"bind:all",
		"bind 0",
		"bind,0",
		"interleave:",
		"interleave:x",
		"interleave,0",
		"bind:4294967296",
		"bind:18446744073709551616",
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		enum policy_mode mode = POLICY_DEFAULT;
		struct id_set nodes = {.bits = {6}};

		if (policy_parse(texts[i], strlen(texts[i]), &mode, &nodes))
			fail_msg("'%s' is taken", texts[i]);
		assert_int_equal(mode, POLICY_DEFAULT);
		assert_set(&nodes, "1-2");
	}
}

static void no_more_than_the_length_is_read(void **state)
{
	enum policy_mode mode;
	struct id_set nodes;

	(void)state;
	assert_true(policy_parse("locally", 5, &mode, &nodes));
	assert_true(policy_parse("bind:0,2,stats", 8, &mode, &nodes));
	assert_set(&nodes, "0,2");
	assert_true(policy_parse("bind:12", 6, &mode, &nodes));
	assert_set(&nodes, "1");
	assert_false(policy_parse("local", 0, &mode, &nodes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_words_are_taken),
		cmocka_unit_test(nothing_else_is),
		cmocka_unit_test(no_more_than_the_length_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
