/*
 * The formatter's parts: where text goes, what a conversion asks for.
 */
#ifndef SIGLOG_FORMAT_H
#define SIGLOG_FORMAT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define siglog_hidden __attribute__((visibility("hidden")))

/* Text goes to at[0..room-1]; length counts what there would be with room enough. */
struct siglog_sink {
	char *at;
	size_t room;
	size_t length;
	bool escape;  /* control characters become visible ones */
	bool newline; /* escape: one was put, and is shown when more follows */
};

struct siglog_spec {
	bool left, plus, space, alternate, zero;
	size_t width;
	bool has_precision;
	size_t precision;
	char conversion;
};

/* The parts of a number; the digits may be a callback's. */
struct siglog_number {
	char prefix[4]; /* sign, 0x */
	unsigned int prefix_length;
	size_t length; /* of what follows the prefix */
};

siglog_hidden void siglog_put(struct siglog_sink *sink, const char *text, size_t length);
siglog_hidden void siglog_pad(struct siglog_sink *sink, char c, size_t count);
/* Spaces before, prefix and zeros; returns how many spaces are to follow the rest. */
siglog_hidden size_t siglog_put_head(struct siglog_sink *sink, const struct siglog_spec *spec,
				     const struct siglog_number *number, bool zeros);
siglog_hidden void siglog_put_double(struct siglog_sink *sink, const struct siglog_spec *spec,
				     double value);
/* error is what %m shows. */
siglog_hidden void siglog_format(struct siglog_sink *sink, const char *format, va_list args,
				 int error);

#endif
