/*
 * printf's formats, by the C locale's rules, without stdio, malloc or any state.
 * Layer: siglog. Called by siglog_snprintf() and by whoever makes a record's line.
 */
#include "format.h"

#include <assert.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "uslub/siglog.h"

/* MAX: ll, z, j, t and q. */
enum length { CHAR, SHORT, INT, LONG, MAX, LONG_DOUBLE };

/* A va_list that functions can take from: as a parameter it may be an array. */
struct arguments {
	va_list list;
	int error;
};

size_t siglog_put_head(struct siglog_sink *sink, const struct siglog_spec *spec,
		       const struct siglog_number *number, bool zeros)
{
	size_t length = number->prefix_length + number->length;
	size_t padding = spec->width > length ? spec->width - length : 0;

	if (!spec->left && !zeros)
		siglog_pad(sink, ' ', padding);
	siglog_put(sink, number->prefix, number->prefix_length);
	if (!spec->left && zeros)
		siglog_pad(sink, '0', padding);
	return spec->left ? padding : 0;
}

static void put_padded(struct siglog_sink *sink, const struct siglog_spec *spec, const char *text,
		       size_t length)
{
	struct siglog_number number = {.length = length};
	size_t after = siglog_put_head(sink, spec, &number, false);

	siglog_put(sink, text, length);
	siglog_pad(sink, ' ', after);
}

static unsigned int base_of(char conversion)
{
	switch (conversion) {
	case 'o':
		return 8;
	case 'b':
	case 'B':
		return 2;
	case 'x':
	case 'X':
		return 16;
	default:
		return 10;
	}
}

/* The number's sign or mark stands in its prefix already. */
static void put_integer(struct siglog_sink *sink, const struct siglog_spec *spec,
			struct siglog_number *number, uintmax_t value)
{
	const char *set = spec->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned int base = base_of(spec->conversion);
	char text[sizeof(value) * CHAR_BIT];
	size_t digits = 0, zeros = 0, after;

	if (spec->alternate && value && (base == 16 || base == 2)) {
		number->prefix[number->prefix_length++] = '0';
		number->prefix[number->prefix_length++] = spec->conversion;
	}
	for (; value; value /= base)
		text[sizeof(text) - ++digits] = set[value % base];
	if (!digits && !(spec->has_precision && spec->precision == 0))
		text[sizeof(text) - ++digits] = '0';
	if (spec->has_precision && spec->precision > digits)
		zeros = spec->precision - digits;
	if (spec->alternate && base == 8 && !zeros &&
	    (!digits || text[sizeof(text) - digits] != '0'))
		zeros = 1;
	number->length = zeros + digits;
	after = siglog_put_head(sink, spec, number, spec->zero && !spec->has_precision);
	siglog_pad(sink, '0', zeros);
	siglog_put(sink, text + sizeof(text) - digits, digits);
	siglog_pad(sink, ' ', after);
}

/* On a 64-bit Linux these are all alike. */
static_assert(sizeof(long) == 8 && sizeof(size_t) == 8 && sizeof(ptrdiff_t) == 8 &&
		      sizeof(intmax_t) == 8 && sizeof(long long) == 8,
	      "an LP64 system");

static intmax_t take_signed(struct arguments *args, enum length length)
{
	switch (length) {
	case CHAR:
		return (signed char)va_arg(args->list, int);
	case SHORT:
		return (short)va_arg(args->list, int);
	case INT:
		return va_arg(args->list, int);
	default:
		return va_arg(args->list, long);
	}
}

static uintmax_t take_unsigned(struct arguments *args, enum length length)
{
	switch (length) {
	case CHAR:
		return (unsigned char)va_arg(args->list, unsigned int);
	case SHORT:
		return (unsigned short)va_arg(args->list, unsigned int);
	case INT:
		return va_arg(args->list, unsigned int);
	default:
		return va_arg(args->list, unsigned long);
	}
}

static void put_signed(struct siglog_sink *sink, const struct siglog_spec *spec, intmax_t value)
{
	struct siglog_number number = {.prefix_length = 0};
	uintmax_t magnitude = (uintmax_t)value;

	if (value < 0) {
		number.prefix[number.prefix_length++] = '-';
		magnitude = -magnitude;
	} else if (spec->plus || spec->space) {
		number.prefix[number.prefix_length++] = spec->plus ? '+' : ' ';
	}
	put_integer(sink, spec, &number, magnitude);
}

static void put_unsigned(struct siglog_sink *sink, const struct siglog_spec *spec, uintmax_t value)
{
	struct siglog_number number = {.prefix_length = 0};

	put_integer(sink, spec, &number, value);
}

static void put_pointer(struct siglog_sink *sink, const struct siglog_spec *spec, const void *p)
{
	struct siglog_spec wanted = *spec;
	struct siglog_number number = {.prefix_length = 0};

	if (!p) {
		put_padded(sink, spec, "(nil)", 5);
		return;
	}
	wanted.alternate = true;
	wanted.conversion = 'x';
	if (spec->plus || spec->space)
		number.prefix[number.prefix_length++] = spec->plus ? '+' : ' ';
	put_integer(sink, &wanted, &number, (uintptr_t)p);
}

static void put_string(struct siglog_sink *sink, const struct siglog_spec *spec, const char *text)
{
	size_t limit = spec->has_precision ? spec->precision : SIZE_MAX;

	/* As glibc: all of it or nothing. */
	if (!text)
		text = limit < 6 ? "" : "(null)";
	put_padded(sink, spec, text, strnlen(text, limit));
}

/* Returns the length, 1 to 4; what is no character becomes U+FFFD. */
static size_t utf8(char *text, wchar_t wide)
{
	uint32_t c = (uint32_t)wide;

	if (c < 0x80) {
		text[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		text[0] = (char)(0xc0 | c >> 6);
		text[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		c = 0xfffd;
	if (c < 0x10000) {
		text[0] = (char)(0xe0 | c >> 12);
		text[1] = (char)(0x80 | (c >> 6 & 0x3f));
		text[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	text[0] = (char)(0xf0 | c >> 18);
	text[1] = (char)(0x80 | (c >> 12 & 0x3f));
	text[2] = (char)(0x80 | (c >> 6 & 0x3f));
	text[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* The precision counts bytes, and no character is cut. */
static void put_wide(struct siglog_sink *sink, const struct siglog_spec *spec, const wchar_t *wide)
{
	struct siglog_number number = {.length = 0};
	size_t limit = spec->has_precision ? spec->precision : SIZE_MAX;
	size_t after, n = 0;
	char text[4];

	if (!wide)
		wide = limit < 6 ? L"" : L"(null)";
	for (;; n++) {
		size_t more = number.length < limit && wide[n] ? utf8(text, wide[n]) : 0;

		if (more == 0 || more > limit - number.length)
			break;
		number.length += more;
	}
	after = siglog_put_head(sink, spec, &number, false);
	for (size_t i = 0; i < n; i++)
		siglog_put(sink, text, utf8(text, wide[i]));
	siglog_pad(sink, ' ', after);
}

static void put_error(struct siglog_sink *sink, const struct siglog_spec *spec, int error)
{
	/* Tables of constants, where strerror() has a locale. */
	const char *text = spec->alternate ? strerrorname_np(error) : strerrordesc_np(error);
	char unknown[40];

	if (!text && !(spec->alternate && error == 0)) {
		siglog_snprintf(unknown, sizeof(unknown),
				spec->alternate ? "%d" : "Unknown error %d", error);
		text = unknown;
	}
	put_string(sink, spec, text ? text : "0");
}

static void put_character(struct siglog_sink *sink, const struct siglog_spec *spec,
			  struct arguments *args, bool wide)
{
	char text[4];
	size_t length = 1;

	if (wide)
		length = utf8(text, (wchar_t)va_arg(args->list, wint_t));
	else
		text[0] = (char)va_arg(args->list, int);
	put_padded(sink, spec, text, length);
}

static void put_floating(struct siglog_sink *sink, const struct siglog_spec *spec,
			 struct arguments *args, enum length length)
{
	if (length == LONG_DOUBLE)
		siglog_put_double(sink, spec, (double)va_arg(args->list, long double));
	else
		siglog_put_double(sink, spec, va_arg(args->list, double));
}

static void put_text(struct siglog_sink *sink, const struct siglog_spec *spec, bool wide,
		     struct arguments *args)
{
	if (wide)
		put_wide(sink, spec, va_arg(args->list, const wchar_t *));
	else
		put_string(sink, spec, va_arg(args->list, const char *));
}

/* False where the conversion isn't known: nothing was taken or put then. */
static bool put_conversion(struct siglog_sink *sink, const struct siglog_spec *spec,
			   enum length length, struct arguments *args)
{
	char c = spec->conversion;

	if (!c)
		return false;
	if (strchr("di", c))
		put_signed(sink, spec, take_signed(args, length));
	else if (strchr("uoxXbB", c))
		put_unsigned(sink, spec, take_unsigned(args, length));
	else if (strchr("aAeEfFgG", c))
		put_floating(sink, spec, args, length);
	else if (strchr("sS", c))
		put_text(sink, spec, length == LONG || c == 'S', args);
	else if (strchr("cC", c))
		put_character(sink, spec, args, length == LONG || c == 'C');
	else if (c == 'p')
		put_pointer(sink, spec, va_arg(args->list, const void *));
	else if (c == 'm')
		put_error(sink, spec, args->error);
	else if (c == 'n')
		(void)va_arg(args->list, void *);
	else if (c == '%')
		siglog_put(sink, "%", 1);
	else
		return false;
	return true;
}

static const char *parse_flags(struct siglog_spec *spec, const char *at)
{
	for (;; at++) {
		switch (*at) {
		case '-':
			spec->left = true;
			break;
		case '+':
			spec->plus = true;
			break;
		case ' ':
			spec->space = true;
			break;
		case '#':
			spec->alternate = true;
			break;
		case '0':
			spec->zero = true;
			break;
		case '\'':
		case 'I':
			break;
		default:
			return at;
		}
	}
}

static const char *parse_number(size_t *number, const char *at)
{
	size_t n = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		n = n * 10 + (size_t)(*at - '0');
		if (n > INT_MAX)
			n = INT_MAX;
	}
	*number = n;
	return at;
}

static const char *parse_width(struct siglog_spec *spec, const char *at, struct arguments *args)
{
	if (*at == '*') {
		int width = va_arg(args->list, int);

		spec->left |= width < 0;
		spec->width = width < 0 ? -(size_t)width : (size_t)width;
		at++;
	} else {
		at = parse_number(&spec->width, at);
	}
	if (*at != '.')
		return at;
	at++;
	if (*at == '*') {
		int precision = va_arg(args->list, int);

		spec->has_precision = precision >= 0;
		spec->precision = precision >= 0 ? (size_t)precision : 0;
		return at + 1;
	}
	spec->has_precision = true;
	return parse_number(&spec->precision, at);
}

static const char *parse_length(enum length *length, const char *at)
{
	*length = INT;
	switch (*at) {
	case 'h':
		*length = at[1] == 'h' ? CHAR : SHORT;
		return at + (at[1] == 'h' ? 2 : 1);
	case 'l':
		*length = at[1] == 'l' ? MAX : LONG;
		return at + (at[1] == 'l' ? 2 : 1);
	case 'L':
		*length = LONG_DOUBLE;
		return at + 1;
	case 'q':
	case 'z':
	case 'j':
	case 't':
		*length = MAX;
		return at + 1;
	default:
		return at;
	}
}

void siglog_format(struct siglog_sink *sink, const char *format, va_list list, int error)
{
	struct arguments args = {.error = error};

	va_copy(args.list, list);
	while (*format) {
		const char *mark = strchrnul(format, '%');
		struct siglog_spec spec = {.width = 0};
		enum length length;
		const char *at;

		siglog_put(sink, format, (size_t)(mark - format));
		if (!*mark)
			break;
		at = parse_flags(&spec, mark + 1);
		at = parse_width(&spec, at, &args);
		at = parse_length(&length, at);
		spec.conversion = *at;
		if (!put_conversion(sink, &spec, length, &args)) {
			/* Its arguments can't be known, nor those behind. */
			siglog_put(sink, mark, strlen(mark));
			break;
		}
		format = at + 1;
	}
	va_end(args.list);
}
