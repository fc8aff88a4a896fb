/*
 * Text of the control files. Layer: control; see control_out.h.
 */
#include "control_out.h"

void out_text_n(struct control_out *out, const char *text, size_t n)
{
	if (n > out->size - out->len)
		n = out->size - out->len;
	__builtin_memcpy(out->buf + out->len, text, n);
	out->len += n;
}

void out_text(struct control_out *out, const char *text)
{
	out_text_n(out, text, __builtin_strlen(text));
}

static size_t digits(char buf[20], uint64_t value)
{
	size_t n = 0;

	do {
		buf[20 - ++n] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return n;
}

static void out_spaces(struct control_out *out, size_t have, size_t columns)
{
	for (; have < columns; have++)
		out_text_n(out, " ", 1);
}

void out_right(struct control_out *out, uint64_t value, size_t columns)
{
	char buf[20];
	size_t n = digits(buf, value);

	out_spaces(out, n, columns);
	out_text_n(out, buf + 20 - n, n);
}

void out_number(struct control_out *out, uint64_t value)
{
	out_right(out, value, 0);
}

void out_left(struct control_out *out, const char *text, size_t columns)
{
	out_text(out, text);
	out_spaces(out, __builtin_strlen(text), columns);
}

void out_mode(struct control_out *out, uint32_t mode)
{
	char text[4] = {'0', (char)('0' + (mode >> 6 & 7)), (char)('0' + (mode >> 3 & 7)),
			(char)('0' + (mode & 7))};

	out_text_n(out, text, sizeof(text));
}

void out_ids(struct control_out *out, const struct id_set *set)
{
	bool any = false;

	for (uint32_t id = 0; id < MAX_IDS; id++) {
		uint32_t last = id;

		if (!id_set_has(set, id))
			continue;
		while (id_set_has(set, last + 1))
			last++;
		if (any)
			out_text(out, ",");
		out_number(out, id);
		if (last > id) {
			out_text(out, "-");
			out_number(out, last);
		}
		any = true;
		id = last;
	}
	out_text(out, "\n");
}
