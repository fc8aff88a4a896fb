/*
 * siglog_snprintf against the C library's snprintf: every conversion, random flags, widths and
 * precisions, edge values and random ones. Doubles are taken by their bits, by short decimals,
 * and exactly between two results. --count says how many of each kind.
 */
#include <float.h>
#include <limits.h>
#include <math.h>
#include <wchar.h>

#include "../stress/stress.h"
#include "uslub/siglog.h"

static struct stress_options options = {.seconds = 60, .threads = 1, .count = 400000};
static struct random rng;
static unsigned long compared;

static void check_same(const char *format, const char *got, int got_length, const char *want,
		       int want_length)
{
	compared++;
	if (got_length == want_length && strcmp(got, want) == 0)
		return;
	check_failed(__FILE__, __LINE__, "\"%s\": got \"%.400s\" (%d), glibc has \"%.400s\" (%d)",
		     format, got, got_length, want, want_length);
}

/* The arguments are evaluated twice. */
#define SAME(format, ...)                                                                   \
	do {                                                                                \
		char got_[4096], want_[4096];                                               \
		int got_length_ = siglog_snprintf(got_, sizeof(got_), format, __VA_ARGS__); \
		int want_length_ = snprintf(want_, sizeof(want_), format, __VA_ARGS__);     \
                                                                                            \
		check_same(format, got_, got_length_, want_, want_length_);                 \
	} while (0)

/* % and flags, a width, a precision: at[0..] is where length and conversion go. */
static char *random_head(char *at, const char *flags, size_t widest, size_t most_precise)
{
	*at++ = '%';
	for (const char *flag = flags; *flag; flag++) {
		if (random_below(&rng, 4) == 0)
			*at++ = *flag;
	}
	if (random_below(&rng, 3) == 0)
		at += sprintf(at, "%zu", 1 + random_below(&rng, widest));
	if (random_below(&rng, 2) == 0)
		at += sprintf(at, ".%zu", random_below(&rng, most_precise));
	else if (random_below(&rng, 16) == 0)
		at += sprintf(at, ".");
	return at;
}

static double random_double(void)
{
	uint64_t bits = random_next(&rng);
	char text[64];
	double value;

	switch (random_below(&rng, 6)) {
	case 0: /* short decimals, as people write them */
		snprintf(text, sizeof(text), "%zu.%02zue%d", random_below(&rng, 1000),
			 random_below(&rng, 100), (int)random_below(&rng, 60) - 30);
		return strtod(text, NULL);
	case 1: /* halves, quarters...: ties */
		value = (double)(int64_t)(bits % 2000001) - 1000000;
		return ldexp(value, -(int)random_below(&rng, 20));
	case 2:
		return (double)(int64_t)bits;
	case 3: /* carries through all digits */
		return nextafter(pow(10, (double)random_below(&rng, 40) - 20),
				 bits & 1 ? HUGE_VAL : 0);
	case 4: /* near 1 and subnormal */
		bits = bits & 1 ? bits & ((UINT64_C(1) << 52) - 1)
				: (bits & ~(UINT64_C(0x7ff) << 52)) |
					  (UINT64_C(1023) - 30 + bits % 60) << 52;
		break;
	default:
		break;
	}
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static void expect(const char *want, const char *format, ...)
{
	char got[200];
	va_list args;
	int length;

	va_start(args, format);
	length = siglog_vsnprintf(got, sizeof(got), format, args);
	va_end(args);
	CHECK_THAT(strcmp(got, want) == 0 && length == (int)strlen(want), "\"%s\": got \"%s\"",
		   format, got);
	compared++;
}

/*
 * "%#g" where all digits carry: glibc 2.36 forgets the zeros then (1.e+06).
 * test_carries() has some of these, by what the C standard says.
 */
static bool carries(const char *format, double value)
{
	const char *point = strchr(format, '.');
	int precision = point ? atoi(point + 1) : 6;
	char text[2000];

	if (!strchr(format, '#') || !strpbrk(format, "gG") || !isfinite(value))
		return false;
	snprintf(text, sizeof(text), "%.*e", precision ? precision - 1 : 0, fabs(value));
	return text[0] == '1' && strspn(text + 1, ".0") + 1 >= strcspn(text, "e");
}

static void test_doubles(void)
{
	static const double edge[] = {0.0,	   -0.0,
				      1.0,	   0.5,
				      1.5,	   2.5,
				      0.1,	   9.5,
				      99.5,	   0.05,
				      9.9999995,   999999.5,
				      1e5,	   1e-5,
				      0.0001,	   123456789,
				      1e22,	   1e23,
				      DBL_MAX,	   DBL_MIN,
				      DBL_EPSILON, 4.9406564584124654e-324,
				      HUGE_VAL,	   -HUGE_VAL,
				      NAN,	   -NAN};
	char format[64];

	for (unsigned long i = 0; i < options.count * 5; i++) {
		size_t n = sizeof(edge) / sizeof(edge[0]);
		double value = i % 8 ? random_double() : edge[random_below(&rng, n)];
		size_t precise = random_below(&rng, 50) ? 24 : 1200;
		char *at = random_head(format, "-+ #0", 60, precise);

		*at++ = "eEfFgGaA"[random_below(&rng, 8)];
		*at = '\0';
		if (!carries(format, value))
			SAME(format, value);
	}
}

/* Those that test_doubles() leaves to the standard. */
static void test_carries(void)
{
	expect("1.00000e+06", "%#g", 999999.9999999999);
	expect("1.00000", "%#g", 0.99999999);
	expect("10.000", "%#.5g", 9.99999);
	expect("1.e+01", "%#.0g", 9.6);
}

static uint64_t random_integer(void)
{
	static const uint64_t edge[] = {0,
					1,
					7,
					8,
					127,
					128,
					255,
					256,
					INT_MAX,
					(uint64_t)INT_MIN,
					UINT_MAX,
					INT64_MAX,
					(uint64_t)INT64_MIN,
					UINT64_MAX};

	if (random_below(&rng, 4) == 0)
		return edge[random_below(&rng, sizeof(edge) / sizeof(edge[0]))];
	return random_next(&rng) >> random_below(&rng, 64);
}

static void test_integers(void)
{
	static const char *const length[] = {"hh", "h", "", "l", "ll", "z", "j", "t"};
	char format[64];

	for (unsigned long i = 0; i < options.count * 3; i++) {
		char conversion = "diuoxX"[random_below(&rng, 6)];
		size_t kind = random_below(&rng, 8);
		uint64_t value = random_integer();
		char *at = random_head(format, strchr("di", conversion) ? "-+ 0" : "-#0", 80, 90);

		sprintf(at, "%s%c", length[kind], conversion);
		if (kind <= 2)
			SAME(format, (int)value);
		else
			SAME(format, (long long)value);
	}
}

static void test_strings(void)
{
	char format[64], text[300];

	for (unsigned long i = 0; i < options.count; i++) {
		size_t length = random_below(&rng, sizeof(text));
		const char *string = random_below(&rng, 10) ? text : NULL;
		void *p = (void *)(uintptr_t)random_integer();
		int byte = (int)random_below(&rng, 256);
		char *at = random_head(format, "-", 200, 200);

		memset(text, 'a' + (int)(i % 26), length);
		text[length < sizeof(text) ? length : sizeof(text) - 1] = '\0';
		strcpy(at, "s");
		SAME(format, string);
		at = random_head(format, "-", 20, 1);
		strcpy(at, "c");
		SAME(format, byte);
		at = random_head(format, "-+ #0", 40, 1);
		/* Precision and p: every C library has its own idea. */
		if (strchr(format, '.'))
			at = strchr(format, '.');
		strcpy(at, "p");
		SAME(format, p);
	}
}

static void test_several(void)
{
	SAME("%d %s %5.2f|%-8x|%c%%", 42, "text", 3.14159, 255u, 'x');
	SAME("%*d|%-*d|%.*f|%*.*e", 8, 42, 8, 42, 3, 2.0 / 3, 20, 4, 1e100);
	SAME("%*d|%.*d|%.*f", -8, 42, -1, 42, -3, 2.5);
	SAME("%s", "");
	SAME("%%|%5d%%", 7);
	SAME("%d %d %d %d %d %d %d %d %g %g %g %g %g %g %g %g %g %s", 1, 2, 3, 4, 5, 6, 7, 8, 1.5,
	     2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, "last");
	SAME("%Lg %.3Lf", (long double)1.25, (long double)-2.5);
}

/* Formats that -Wpedantic would speak about go this way. */
static void same(const char *format, ...)
{
	char got[200], want[200];
	int error = errno, got_length, want_length;
	va_list args;

	va_start(args, format);
	got_length = siglog_vsnprintf(got, sizeof(got), format, args);
	va_end(args);
	errno = error;
	va_start(args, format);
	want_length = vsnprintf(want, sizeof(want), format, args);
	va_end(args);
	check_same(format, got, got_length, want, want_length);
}

static void test_glibc(void)
{
	same("%'d %Id", 1234567, 7);
	for (int error = 0; error < 140; error++) {
		errno = error;
		same("%m|%20m|%.5m");
		errno = error;
		same("%#m|%#20m");
	}
}

/* Where it differs from glibc by intent. */
static void test_own(void)
{
	int untouched = 7;

	expect("a7b", "a%d%nb", 7, &untouched);
	CHECK(untouched == 7);
	expect("5 %1$d %d", "%d %1$d %d", 5, 6);
	expect("5 %y %d", "%d %y %d", 5, 6);
	expect("5 %", "%d %", 5);
	expect("5 %ll", "%d %ll", 5);
	expect("101|0b101|00000101", "%b|%#b|%08b", 5u, 5u, 5u);
	expect("gr\xc3\xbc\xc3\x9f|\xe2\x82\xac|\xf0\x9f\x98\x80", "%ls|%lc|%lc", L"gr\u00fc\u00df",
	       (wint_t)0x20ac, (wint_t)0x1f600);
	expect("gr|(null)|", "%.3ls|%ls|%.2S", L"gr\u00fc\u00df", (wchar_t *)NULL, (wchar_t *)NULL);
	errno = ENOENT;
	expect("ENOENT", "%#m");
}

static void expect_length(int want, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	CHECK(siglog_vsnprintf(NULL, 0, format, args) == want);
	va_end(args);
}

/* Every size of buffer: what fits, a terminating zero, nothing beyond. */
static void test_sizes(void)
{
	char want[64], got[64];
	int length = snprintf(want, sizeof(want), "%08.3f|%-6d|%s", 3.14159, 42, "text");

	for (size_t size = 0; size < sizeof(got); size++) {
		memset(got, 0x7e, sizeof(got));
		CHECK(siglog_snprintf(got, size, "%08.3f|%-6d|%s", 3.14159, 42, "text") == length);
		for (size_t i = size; i < sizeof(got); i++)
			CHECK(got[i] == 0x7e);
		if (size > 0)
			CHECK(strlen(got) == (size <= (size_t)length ? size - 1 : (size_t)length));
		CHECK(size == 0 || strncmp(got, want, strlen(got)) == 0);
	}
	CHECK(siglog_snprintf(NULL, 0, "%d", 12345) == 5);
	expect_length(2000000000, "%2000000000d", 1);
	expect_length(2000000002, "%.2000000000f", 0.1);
	expect_length(INT_MAX, "%2000000000d%2000000000d", 1, 2);
}

int main(int argc, char **argv)
{
	stress_parse(&options, argc, argv);
	stress_watchdog(300);
	random_seed(&rng, options.seed, 0);
	test_several();
	test_carries();
	test_glibc();
	test_own();
	test_sizes();
	test_integers();
	test_strings();
	test_doubles();
	printf("%lu texts compared\n", compared);
	CHECK(compared > options.count * 10);
	return 0;
}
