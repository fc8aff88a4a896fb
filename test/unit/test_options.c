/* The environment variable USLUB: every key, every value, and what is said of mistakes. */
#include "unit.h"

#include <malloc.h>

#include "core/options.h"

static const struct options defaults = {
	.purge_delay_ms = 1000,
	.on_error = ON_ERROR_ABORT,
	.foreign = FOREIGN_FORWARD,
};

static void parse_it(void *text)
{
	options_parse(text);
}

/* Parses from the defaults; what the parser says comes back. */
static const char *parse(const char *text)
{
	static char said[4096];

	options = defaults;
	capture_stderr(parse_it, (void *)(uintptr_t)text, said, sizeof(said));
	return said;
}

static void assert_defaults(void)
{
	assert_memory_equal(&options, &defaults, sizeof(options));
}

static void defaults_are_as_documented(void **state)
{
	(void)state;
	assert_defaults();
}

static void every_word_is_taken(void **state)
{
	static const struct {
		const char *text;
		uint32_t *value, expected;
	} all[] = {
		{"on_error:abort", &options.on_error, ON_ERROR_ABORT},
		{"on_error:report", &options.on_error, ON_ERROR_REPORT},
		{"on_error:ignore", &options.on_error, ON_ERROR_IGNORE},
		{"foreign:forward", &options.foreign, FOREIGN_FORWARD},
		{"foreign:report", &options.foreign, FOREIGN_REPORT},
		{"foreign:ignore", &options.foreign, FOREIGN_IGNORE},
		{"stats:0", &options.stats, 0},
		{"stats:1", &options.stats, 1},
		{"purge_delay:0", &options.purge_delay_ms, 0},
		{"purge_delay:1", &options.purge_delay_ms, 1},
		{"purge_delay:0000099", &options.purge_delay_ms, 99},
		{"purge_delay:4294967295", &options.purge_delay_ms, UINT32_MAX},
		{"reserve:0", &options.reserve_kib, 0},
		{"reserve:1", &options.reserve_kib, 1},
		{"reserve:4097", &options.reserve_kib, 5},
		{"reserve:3K", &options.reserve_kib, 3},
		{"reserve:16M", &options.reserve_kib, 16384},
		{"reserve:4095G", &options.reserve_kib, 4095U << 20},
		{"nodes:0", &options.nodes, 0},
		{"nodes:4", &options.nodes, 4},
		{"nodes:1024", &options.nodes, 1024},
		{"policy:local", &options.policy, POLICY_LOCAL},
		{"policy:interleave", &options.policy, POLICY_INTERLEAVE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct options expected = defaults;

		assert_string_equal(parse(all[i].text), "");
		assert_int_equal(*all[i].value, all[i].expected);
		/* And nothing else has changed. */
		memcpy((char *)&expected + ((char *)all[i].value - (char *)&options),
		       &all[i].expected, sizeof(uint32_t));
		assert_memory_equal(&options, &expected, sizeof(options));
	}
}

static void pairs_are_separated_by_commas(void **state)
{
	static const struct options expected = {
		.purge_delay_ms = 5,
		.on_error = ON_ERROR_REPORT,
		.foreign = FOREIGN_IGNORE,
		.stats = 1,
	};
	static const char *const texts[] = {
		"on_error:report,foreign:ignore,stats:1,purge_delay:5",
		",,on_error:report,,foreign:ignore,stats:1,purge_delay:5,",
		"stats:0,purge_delay:7,on_error:report,foreign:ignore,stats:1,purge_delay:5",
	};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		assert_string_equal(parse(texts[i]), "");
		assert_memory_equal(&options, &expected, sizeof(options));
	}
	assert_string_equal(parse(""), "");
	assert_string_equal(parse(",,,"), "");
	assert_defaults();
}

static void texts_are_kept(void **state)
{
	static char longest[300];

	(void)state;
	assert_string_equal(parse("distance:10/20/40,node_size:512M/1G,node_cpus:0-1/2/3+5,"
				  "control:/tmp/a:b"),
			    "");
	assert_string_equal(options.distance, "10/20/40");
	assert_string_equal(options.node_sizes, "512M/1G");
	assert_string_equal(options.node_cpus, "0-1/2/3+5");
	assert_string_equal(options.control, "/tmp/a:b");
	strcpy(longest, "distance:");
	memset(longest + 9, '1', 255);
	assert_string_equal(parse(longest), "");
	assert_string_equal(options.distance, longest + 9);
	assert_string_equal(options.node_sizes, "");
	longest[9 + 255] = '1';
	assert_non_null(strstr(parse(longest), "no text of 1 to 255 bytes '111"));
	assert_defaults();
}

/* Lists of nodes have commas in them, which end no option. */
static void policies_have_lists(void **state)
{
	static const struct {
		const char *text;
		enum policy_mode mode;
		const char *nodes;
	} all[] = {
		{"policy:local,stats:1", POLICY_LOCAL, ""},
		{"policy:preferred:1,stats:1", POLICY_PREFERRED, "1"},
		{"policy:bind:0,2,stats:1", POLICY_BIND, "0,2"},
		{"policy:bind:0-3,5,7-9,stats:1", POLICY_BIND, "0-3,5,7-9"},
		{"stats:1,policy:bind:0,2", POLICY_BIND, "0,2"},
		{"policy:bind:0,,stats:1", POLICY_BIND, "0"},
		{"policy:interleave,stats:1", POLICY_INTERLEAVE, ""},
		{"policy:interleave:0-1,3,stats:1,", POLICY_INTERLEAVE, "0-1,3"},
		{"policy:bind:0,2,policy:interleave,stats:1", POLICY_INTERLEAVE, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_string_equal(parse(all[i].text), "");
		assert_int_equal(options.policy, all[i].mode);
		assert_string_equal(options.policy_nodes, all[i].nodes);
		assert_int_equal(options.stats, 1);
	}
}

/* One complaint, of the whole value; what is said behind it counts. */
static void bad_policies_are_named(void **state)
{
	static const char *const values[] = {
		"",	    "lcoal",   "bind",	    "bind:",	     "bind:0,2-",   "bind:x",
		"local:0",  "local,0", "bind:1024", "preferred:0,1", "interleave:", "bind:0,-",
		"bind:0:1", "default",
	};
	static char list[600] = "policy:bind:0";
	char text[64], expected[64];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(text, sizeof(text), "policy:%s,stats:1", values[i]);
		snprintf(expected, sizeof(expected), "bad value '%s' for policy, it takes local, ",
			 values[i]);
		if (!strstr(parse(text), expected))
			fail_msg("'%s' leads to: %s", text, parse(text));
		assert_ptr_equal(strchr(parse(text), '\n'), strrchr(parse(text), '\n'));
		assert_int_equal(options.policy, POLICY_DEFAULT);
		assert_string_equal(options.policy_nodes, "");
		assert_int_equal(options.stats, 1);
	}
	/* What isn't of digits is an option of its own. */
	assert_non_null(strstr(parse("policy:bind:0,1x,stats:1"), "unknown key '1x'"));
	assert_string_equal(options.policy_nodes, "0");
	assert_int_equal(options.stats, 1);
	for (unsigned int i = 0; i < 130; i++)
		strcat(list, ",7");
	assert_non_null(strstr(parse(list), "bad value 'bind:0,7,7"));
	assert_defaults();
	list[strlen("policy:bind:") + 255] = '\0';
	assert_string_equal(parse(list), "");
	assert_int_equal(strlen(options.policy_nodes), 255);
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *said;
	} all[] = {
		{"on_eror:report", "unknown key 'on_eror', the nearest is on_error"},
		{"stat:1", "unknown key 'stat', the nearest is stats"},
		{"purge-delay:1", "unknown key 'purge-delay', the nearest is purge_delay"},
		{"purge", "unknown key 'purge', the nearest is "},
		{"Foreign:report", "unknown key 'Foreign', the nearest is foreign"},
		{":1", "unknown key '', the nearest is "},
		{"on_error:abrot", "unknown value 'abrot' for on_error, the nearest is abort"},
		{"on_error:reports", "unknown value 'reports' for on_error, the nearest is report"},
		{"on_error:", "unknown value '' for on_error, the nearest is "},
		{"foreign:forwards:x", "unknown value 'forwards:x' for foreign, the nearest is "},
		{"stats:2", "unknown value '2' for stats, the nearest is "},
		{"stats:yes", "unknown value 'yes' for stats, the nearest is "},
		{"stats", "no value for 'stats', write it as key:value"},
		{"purge_delay", "no value for 'purge_delay', write it as key:value"},
		{"purge_delay:", "bad number '' for purge_delay, it takes 0 to 4294967295"},
		{"purge_delay:-1", "bad number '-1' for purge_delay, it takes 0 to 4294967295"},
		{"purge_delay:1s", "bad number '1s' for purge_delay, it takes 0 to 4294967295"},
		{"purge_delay: 1", "bad number ' 1' for purge_delay, it takes 0 to 4294967295"},
		{"purge_delay:4294967296",
		 "bad number '4294967296' for purge_delay, it takes 0 to 4294967295"},
		{"reserve:16m",
		 "bad size '16m' for reserve, it takes bytes, or a number and K, M or G"},
		{"reserve:M",
		 "bad size 'M' for reserve, it takes bytes, or a number and K, M or G"},
		{"reserve:4096G",
		 "bad size '4096G' for reserve, it takes bytes, or a number and K, M or G"},
		{"nodes:1025", "bad number '1025' for nodes, it takes 0 to 1024"},
		{"nodes:two", "bad number 'two' for nodes, it takes 0 to 1024"},
		{"node:2", "unknown key 'node', the nearest is nodes"},
		{"distanse:10", "unknown key 'distanse', the nearest is distance"},
		{"distance:", "no text of 1 to 255 bytes '' for distance"},
		{"node_size:", "no text of 1 to 255 bytes '' for node_size"},
		{"policy", "no value for 'policy', write it as key:value"},
		{"policy,bind:0", "no value for 'policy', write it as key:value"},
		{"0,1-2", "unknown key '0', the nearest is "},
		{"policies:local", "unknown key 'policies', the nearest is policy"},
		{"purge_delay:18446744073709551617",
		 "bad number '18446744073709551617' for purge_delay, it takes 0 to 4294967295"},
		{"purge_delay:99999999999999999999999999",
		 "bad number '99999999999999999999999999' for purge_delay, it takes 0 to "
		 "4294967295"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const char *said = parse(all[i].text);

		assert_int_equal(strncmp(said, "uslub: USLUB: ", 14), 0);
		if (!strstr(said, all[i].said))
			fail_msg("'%s' leads to: %s", all[i].text, said);
		assert_int_equal(said[strlen(said) - 1], '\n');
		assert_defaults();
	}
}

static void after_a_mistake_it_goes_on(void **state)
{
	const char *said = parse("nonsense,stats:1,on_error:what,purge_delay:x,foreign:report");
	unsigned int lines = 0;

	(void)state;
	for (; *said; said++)
		lines += *said == '\n';
	assert_int_equal(lines, 3);
	assert_int_equal(options.stats, 1);
	assert_int_equal(options.foreign, FOREIGN_REPORT);
	assert_int_equal(options.on_error, ON_ERROR_ABORT);
	assert_int_equal(options.purge_delay_ms, 1000);
}

/* A text of any length is quoted in part, on one line. */
static void long_texts_are_cut_off(void **state)
{
	static char text[3000];
	const char *said;

	(void)state;
	memset(text, 'q', sizeof(text) - 1);
	said = parse(text);
	assert_true(strlen(said) < 200);
	assert_non_null(strstr(said, "qqq', the nearest is "));
	memcpy(text, "on_error:", 9);
	said = parse(text);
	assert_true(strlen(said) < 200);
	assert_non_null(strstr(said, "qqq' for on_error, the nearest is "));
	assert_defaults();
}

/* Never reads beyond the end, never ends the program. */
static void anything_can_be_parsed(void **state)
{
	static const char letters[] = "onerfgistapudlyc_:,019-:,policy:bind:";
	uint64_t seed = 4;
	char text[40];

	(void)state;
	for (unsigned int turn = 0; turn < 2000; turn++) {
		size_t len = random_below(&seed, sizeof(text) - 1);

		for (size_t i = 0; i < len; i++)
			text[i] = letters[random_below(&seed, sizeof(letters) - 1)];
		if (turn % 2 && len > 12)
			memcpy(text, "policy:bind:", 12);
		text[len] = '\0';
		parse(text);
		assert_true(options.on_error <= ON_ERROR_IGNORE);
		assert_true(options.foreign <= FOREIGN_IGNORE);
		assert_true(options.stats <= 1);
		assert_true(options.policy <= POLICY_INTERLEAVE);
	}
}

static void nothing_is_allocated(void **state)
{
	size_t before = mallinfo2().uordblks;

	(void)state;
	parse("on_error:report,nonsense,stats:7,purge_delay:99999999999");
	assert_int_equal(mallinfo2().uordblks, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_as_documented),
		cmocka_unit_test(every_word_is_taken),
		cmocka_unit_test(pairs_are_separated_by_commas),
		cmocka_unit_test(texts_are_kept),
		cmocka_unit_test(policies_have_lists),
		cmocka_unit_test(bad_policies_are_named),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(after_a_mistake_it_goes_on),
		cmocka_unit_test(long_texts_are_cut_off),
		cmocka_unit_test(anything_can_be_parsed),
		cmocka_unit_test(nothing_is_allocated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
