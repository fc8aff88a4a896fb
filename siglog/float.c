/*
 * Floating-point conversions, exact: the whole decimal value of a double is computed, then rounded once.
 * Layer: siglog. Called by format.c.
 *
 * A double is m * 2^e with an integer m below 2^53. Its integer part has up to 309 digits, its fraction up
 * to 1074. Both are held in limbs of nine digits, the most significant first, 620 bytes in all.
 */
#include "format.h"

#include <stdint.h>
#include <string.h>

enum {
	LIMB_DIGITS = 9,
	/* Either a carry and 309 digits, or a carry, 16 digits and 1074 of the fraction. */
	MAX_LIMBS = 1 + 2 + 120,
	MAX_WORDS = 34,
	BILLION = 1000000000,
};

struct decimal {
	uint32_t limb[MAX_LIMBS]; /* limb[0] is for the carry of rounding */
	unsigned int integer;	  /* limbs of the integer part, limb[0] included */
	unsigned int limbs;
};

static const uint32_t power_of_ten[LIMB_DIGITS + 1] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
};

/* Divides by 10^9; returns the remainder. */
static uint32_t divide(uint32_t *word, unsigned int words)
{
	uint64_t rest = 0;

	while (words-- > 0) {
		rest = rest << 32 | word[words];
		word[words] = (uint32_t)(rest / BILLION);
		rest %= BILLION;
	}
	return (uint32_t)rest;
}

/* Puts m << shift into zeros: 32-bit words, the least significant first. */
static void set_words(uint32_t *word, uint64_t m, unsigned int shift)
{
	uint64_t low = (m & UINT32_MAX) << (shift % 32);
	uint64_t high = (m >> 32) << (shift % 32);

	word += shift / 32;
	word[0] = (uint32_t)low;
	if (low >> 32 | high)
		word[1] = (uint32_t)(low >> 32 | high);
	if (high >> 32)
		word[2] = (uint32_t)(high >> 32);
}

/* Its words are off the stack again when text is put. */
__attribute__((noinline)) static void set_integer(struct decimal *d, uint64_t m, unsigned int shift)
{
	uint32_t word[MAX_WORDS] = {0};
	unsigned int words = MAX_WORDS;
	unsigned int last;

	set_words(word, m, shift);
	d->limbs = 1;
	for (;;) {
		while (words > 0 && !word[words - 1])
			words--;
		if (words == 0)
			break;
		d->limb[d->limbs++] = divide(word, words);
	}
	if (d->limbs == 1)
		d->limb[d->limbs++] = 0;
	d->integer = d->limbs;
	last = d->limbs - 1;
	for (unsigned int i = 1; i < last; i++, last--) {
		uint32_t limb = d->limb[i];

		d->limb[i] = d->limb[last];
		d->limb[last] = limb;
	}
}

/* The fraction m / 2^bits: times 10^9, what carries out is the next limb, until nothing is left. */
__attribute__((noinline)) static void set_fraction(struct decimal *d, uint64_t m, unsigned int bits)
{
	uint32_t word[MAX_WORDS] = {0};
	unsigned int words = (bits + 31) / 32;
	unsigned int low = 0;

	set_words(word, m, words * 32 - bits);
	for (;;) {
		uint64_t carry = 0;

		while (low < words && !word[low])
			low++;
		if (low == words)
			return;
		for (unsigned int i = low; i < words; i++) {
			carry += (uint64_t)word[i] * BILLION;
			word[i] = (uint32_t)carry;
			carry >>= 32;
		}
		d->limb[d->limbs++] = (uint32_t)carry;
	}
}

/* 2^exponent times m. */
static void decimal_set(struct decimal *d, uint64_t m, int exponent)
{
	unsigned int bits = (unsigned int)-exponent;

	d->limb[0] = 0;
	if (exponent >= 0) {
		set_integer(d, m, (unsigned int)exponent);
		return;
	}
	set_integer(d, bits < 64 ? m >> bits : 0, 0);
	set_fraction(d, bits < 64 ? m & ((UINT64_C(1) << bits) - 1) : m, bits);
}

/* Digits are counted from the first of limb[0]. */
static unsigned int decimal_digit(const struct decimal *d, size_t at)
{
	if (at / LIMB_DIGITS >= d->limbs)
		return 0;
	return d->limb[at / LIMB_DIGITS] / power_of_ten[LIMB_DIGITS - 1 - at % LIMB_DIGITS] % 10;
}

static size_t units_digit(const struct decimal *d)
{
	return (size_t)d->integer * LIMB_DIGITS - 1;
}

/* The first that isn't 0, or the units' where all are. */
static size_t first_digit(const struct decimal *d)
{
	size_t at = 0;

	while (at < d->limbs && !d->limb[at])
		at++;
	if (at == d->limbs)
		return units_digit(d);
	at *= LIMB_DIGITS;
	while (!decimal_digit(d, at))
		at++;
	return at;
}

/* How the digits from `at` on compare with half a unit of the digit before: <0, 0, >0. */
static int compare_half(const struct decimal *d, size_t at)
{
	unsigned int digit = decimal_digit(d, at);
	size_t limb = at / LIMB_DIGITS;

	if (digit != 5)
		return digit < 5 ? -1 : 1;
	if (d->limb[limb] % power_of_ten[LIMB_DIGITS - 1 - at % LIMB_DIGITS])
		return 1;
	while (++limb < d->limbs) {
		if (d->limb[limb])
			return 1;
	}
	return 0;
}

/* Keeps the digits before `at`, which is 1 or more. */
static void decimal_round(struct decimal *d, size_t at)
{
	size_t limb = at / LIMB_DIGITS;
	int half;

	if (limb >= d->limbs)
		return;
	half = compare_half(d, at);
	d->limb[limb] -= d->limb[limb] % power_of_ten[LIMB_DIGITS - at % LIMB_DIGITS];
	while (d->limbs > limb + 1)
		d->limb[--d->limbs] = 0;
	if (half < 0 || (half == 0 && decimal_digit(d, at - 1) % 2 == 0))
		return;
	limb = (at - 1) / LIMB_DIGITS;
	d->limb[limb] += power_of_ten[LIMB_DIGITS - 1 - (at - 1) % LIMB_DIGITS];
	while (d->limb[limb] >= BILLION) {
		d->limb[limb] -= BILLION;
		d->limb[--limb]++;
	}
}

static void put_digits(struct siglog_sink *sink, const struct decimal *d, size_t at, size_t count)
{
	size_t end = (size_t)d->limbs * LIMB_DIGITS;

	for (; count > 0 && at < end; at++, count--) {
		char c = (char)('0' + decimal_digit(d, at));

		siglog_put(sink, &c, 1);
	}
	siglog_pad(sink, '0', count);
}

static void put_point(struct siglog_sink *sink, bool point)
{
	if (point)
		siglog_put(sink, ".", 1);
}

static void put_fixed(struct siglog_sink *sink, const struct siglog_spec *spec,
		      struct siglog_number *number, const struct decimal *d, size_t fraction)
{
	size_t first = first_digit(d), units = units_digit(d), after;
	bool point = fraction > 0 || spec->alternate;

	if (first > units)
		first = units;
	number->length = units - first + 1 + point + fraction;
	after = siglog_put_head(sink, spec, number, spec->zero);
	put_digits(sink, d, first, units - first + 1);
	put_point(sink, point);
	put_digits(sink, d, units + 1, fraction);
	siglog_pad(sink, ' ', after);
}

/* e and a sign and at least `least` digits; returns the length. */
static unsigned int exponent_text(char *text, char letter, long exponent, unsigned int least)
{
	unsigned long rest = (unsigned long)(exponent < 0 ? -exponent : exponent);
	unsigned int digits = 1;

	for (unsigned long more = rest; more >= 10; more /= 10)
		digits++;
	if (digits < least)
		digits = least;
	text[0] = letter;
	text[1] = exponent < 0 ? '-' : '+';
	for (unsigned int i = digits; i > 0; i--, rest /= 10)
		text[1 + i] = (char)('0' + rest % 10);
	return digits + 2;
}

static void put_scientific(struct siglog_sink *sink, const struct siglog_spec *spec,
			   struct siglog_number *number, const struct decimal *d, size_t fraction)
{
	size_t first = first_digit(d), after;
	bool point = fraction > 0 || spec->alternate;
	char letter = spec->conversion >= 'a' ? 'e' : 'E';
	char text[8];
	unsigned int length = exponent_text(text, letter, (long)units_digit(d) - (long)first, 2);

	number->length = 1 + point + fraction + length;
	after = siglog_put_head(sink, spec, number, spec->zero);
	put_digits(sink, d, first, 1);
	put_point(sink, point);
	put_digits(sink, d, first + 1, fraction);
	siglog_put(sink, text, length);
	siglog_pad(sink, ' ', after);
}

/* As many significant digits as the precision says; zeros at the end are left out. */
static void put_general(struct siglog_sink *sink, const struct siglog_spec *spec,
			struct siglog_number *number, struct decimal *d)
{
	size_t significant = spec->precision ? spec->precision : 1;
	size_t last, units = units_digit(d);
	long exponent;

	if (significant < (size_t)MAX_LIMBS * LIMB_DIGITS)
		decimal_round(d, first_digit(d) + significant);
	exponent = (long)units - (long)first_digit(d);
	last = first_digit(d) + significant - 1;
	if (!spec->alternate) {
		size_t end = (size_t)d->limbs * LIMB_DIGITS;

		last = last < end ? last : end;
		while (last > first_digit(d) && !decimal_digit(d, last))
			last--;
	}
	if (exponent < -4 || (exponent >= 0 && (size_t)exponent >= significant))
		put_scientific(sink, spec, number, d, last - first_digit(d));
	else
		put_fixed(sink, spec, number, d, last > units ? last - units : 0);
}

static void put_hex(struct siglog_sink *sink, const struct siglog_spec *spec,
		    struct siglog_number *number, uint64_t m, int exponent)
{
	bool upper = spec->conversion == 'A';
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned int shown = 13;
	size_t fraction, after;
	char text[8];
	unsigned int length = exponent_text(text, upper ? 'P' : 'p', exponent, 1);
	bool point;

	if (spec->has_precision && spec->precision < shown) {
		uint64_t unit = UINT64_C(1) << (4 * (13 - spec->precision));
		uint64_t rest = m & (unit - 1);

		shown = (unsigned int)spec->precision;
		m -= rest;
		if (rest > unit / 2 || (rest == unit / 2 && m & unit))
			m += unit;
	}
	while (!spec->has_precision && shown > 0 && !(m >> (4 * (13 - shown)) & 15))
		shown--;
	fraction = spec->has_precision ? spec->precision : shown;
	point = fraction > 0 || spec->alternate;
	number->prefix[number->prefix_length++] = '0';
	number->prefix[number->prefix_length++] = upper ? 'X' : 'x';
	number->length = 1 + point + fraction + length;
	after = siglog_put_head(sink, spec, number, spec->zero);
	siglog_put(sink, &digits[m >> 52], 1);
	put_point(sink, point);
	for (unsigned int i = 1; i <= shown; i++)
		siglog_put(sink, &digits[m >> (4 * (13 - i)) & 15], 1);
	siglog_pad(sink, '0', fraction - shown);
	siglog_put(sink, text, length);
	siglog_pad(sink, ' ', after);
}

static void put_special(struct siglog_sink *sink, const struct siglog_spec *spec,
			struct siglog_number *number, bool nan)
{
	bool upper = spec->conversion < 'a';
	const char *text = nan ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
	size_t after;

	number->length = 3;
	after = siglog_put_head(sink, spec, number, false);
	siglog_put(sink, text, 3);
	siglog_pad(sink, ' ', after);
}

static void put_decimal(struct siglog_sink *sink, const struct siglog_spec *spec,
			struct siglog_number *number, uint64_t m, int exponent)
{
	struct siglog_spec wanted = *spec;
	struct decimal d;
	size_t limit = (size_t)MAX_LIMBS * LIMB_DIGITS;

	if (!wanted.has_precision)
		wanted.precision = 6;
	decimal_set(&d, m, exponent);
	switch (wanted.conversion | 0x20) {
	case 'f':
		if (wanted.precision < limit)
			decimal_round(&d, units_digit(&d) + 1 + wanted.precision);
		put_fixed(sink, &wanted, number, &d, wanted.precision);
		break;
	case 'e':
		if (wanted.precision < limit)
			decimal_round(&d, first_digit(&d) + 1 + wanted.precision);
		put_scientific(sink, &wanted, number, &d, wanted.precision);
		break;
	default:
		put_general(sink, &wanted, number, &d);
	}
}

void siglog_put_double(struct siglog_sink *sink, const struct siglog_spec *spec, double value)
{
	struct siglog_number number = {.prefix_length = 0};
	uint64_t bits, m;
	int exponent;

	memcpy(&bits, &value, sizeof(bits));
	m = bits & ((UINT64_C(1) << 52) - 1);
	exponent = (int)(bits >> 52 & 0x7ff);
	if (bits >> 63)
		number.prefix[number.prefix_length++] = '-';
	else if (spec->plus || spec->space)
		number.prefix[number.prefix_length++] = spec->plus ? '+' : ' ';
	if (exponent == 0x7ff) {
		put_special(sink, spec, &number, m != 0);
		return;
	}
	if (exponent)
		m |= UINT64_C(1) << 52;
	else
		exponent = 1;
	if ((spec->conversion | 0x20) == 'a')
		put_hex(sink, spec, &number, m, m ? exponent - 1023 : 0);
	else
		put_decimal(sink, spec, &number, m, exponent - 1075);
}
