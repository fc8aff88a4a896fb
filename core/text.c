/*
 * Lines of text from any context. Layer: os. Called by options, report, stats.
 */
#include "text.h"
#include "os.h"

void text_add_n(struct text *t, const char *s, size_t n)
{
	while (n-- && t->len < sizeof(t->buf))
		t->buf[t->len++] = *s++;
}

void text_add(struct text *t, const char *s)
{
	text_add_n(t, s, __builtin_strlen(s));
}

static size_t digits(char out[20], uint64_t value, unsigned int base)
{
	size_t n = 0;

	do {
		out[20 - ++n] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	return n;
}

void text_add_number(struct text *t, uint64_t value)
{
	char out[20];
	size_t n = digits(out, value, 10);

	text_add_n(t, out + 20 - n, n);
}

void text_add_hex(struct text *t, uint64_t value)
{
	char out[20];
	size_t n = digits(out, value, 16);

	text_add(t, "0x");
	text_add_n(t, out + 20 - n, n);
}

void text_pad(struct text *t, size_t column)
{
	while (t->len < column && t->len < sizeof(t->buf))
		t->buf[t->len++] = ' ';
}

void text_add_column(struct text *t, uint64_t value, size_t column)
{
	char out[20];
	size_t n = digits(out, value, 10);

	text_add_n(t, " ", 1);
	text_pad(t, column > n ? column - n : 0);
	text_add_n(t, out + 20 - n, n);
}

void text_write_line(struct text *t, int fd)
{
	if (t->len == sizeof(t->buf))
		t->len--;
	t->buf[t->len++] = '\n';
	os_write(fd, t->buf, t->len);
	t->len = 0;
}
