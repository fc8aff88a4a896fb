/*
 * Text into memory of a given size, escaped where it is to stay on one line.
 * Layer: siglog. Called by the formatter and by whoever makes a line.
 */
#include "format.h"

#include <string.h>

static void put_plain(struct siglog_sink *sink, const char *text, size_t length)
{
	size_t left = sink->length < sink->room ? sink->room - sink->length : 0;

	if (left > 0)
		memcpy(sink->at + sink->length, text, length < left ? length : left);
	sink->length += length;
}

static void put_escaped(struct siglog_sink *sink, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	char text[4] = {'\\', 'x', digits[c >> 4], digits[c & 15]};

	if (c == '\r')
		put_plain(sink, "\\r", 2);
	else
		put_plain(sink, text, sizeof(text));
}

static bool is_control(unsigned char c)
{
	return (c < ' ' && c != '\t') || c == 0x7f;
}

void siglog_put(struct siglog_sink *sink, const char *text, size_t length)
{
	if (!sink->escape) {
		put_plain(sink, text, length);
		return;
	}
	while (length > 0) {
		size_t plain = 0;

		if (sink->newline)
			put_plain(sink, "\\n", 2);
		sink->newline = false;
		while (plain < length && !is_control((unsigned char)text[plain]))
			plain++;
		put_plain(sink, text, plain);
		if (plain == length)
			return;
		if (text[plain] == '\n')
			sink->newline = true;
		else
			put_escaped(sink, (unsigned char)text[plain]);
		text += plain + 1;
		length -= plain + 1;
	}
}

void siglog_pad(struct siglog_sink *sink, char c, size_t count)
{
	char text[16];

	memset(text, c, sizeof(text));
	while (count > 0 && (sink->length < sink->room || sink->newline)) {
		size_t n = count < sizeof(text) ? count : sizeof(text);

		siglog_put(sink, text, n);
		count -= n;
	}
	/* Beyond the end a billion costs no more than one. */
	sink->length += count;
}
