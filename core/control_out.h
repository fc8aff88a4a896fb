/*
 * Text that a show function makes, as sysfs_emit() does. Layer: control. Called by the control files alone.
 */
#ifndef USLUB_CONTROL_OUT_H
#define USLUB_CONTROL_OUT_H

#include "node_control.h"

/* len <= size always: what doesn't fit is cut off. */
struct control_out {
	char *buf;
	size_t size, len;
};

void out_text_n(struct control_out *out, const char *text, size_t n);
void out_text(struct control_out *out, const char *text);
void out_number(struct control_out *out, uint64_t value);
/* At the right or the left end of so many columns. */
void out_right(struct control_out *out, uint64_t value, size_t columns);
void out_left(struct control_out *out, const char *text, size_t columns);
/* Three octal digits behind a zero, as of a file's mode. */
void out_mode(struct control_out *out, uint32_t mode);
/* `0-1,3`, and the end of line. */
void out_ids(struct control_out *out, const struct id_set *set);

#endif
