/*
 * A line of text in a fixed buffer, for messages from any context: no stdio, no allocation, no locale.
 * Layer: os. What doesn't fit is cut off.
 */
#ifndef USLUB_TEXT_H
#define USLUB_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define STDERR_FD 2

/* len <= sizeof(buf) always; buf is not terminated. */
struct text {
	size_t len;
	char buf[256];
};

void text_add(struct text *t, const char *s);
void text_add_n(struct text *t, const char *s, size_t n);
void text_add_number(struct text *t, uint64_t value);
void text_add_hex(struct text *t, uint64_t value);
/* Pads with spaces until the line is `column` long. */
void text_pad(struct text *t, size_t column);
/* A number that ends at `column`, after at least one space. */
void text_add_column(struct text *t, uint64_t value, size_t column);
/* Adds the end of line, writes the line by one write(2), and empties it. */
void text_write_line(struct text *t, int fd);

#endif
