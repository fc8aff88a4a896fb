/*
 * Reports of misuse. Layer: report; see report.h.
 */
#include "report.h"
#include "options.h"
#include "types.h"

#include <stdlib.h>

void text_add_cache_name(struct text *t, const struct kmem_cache *s)
{
	if (s->name[0]) {
		text_add(t, s->name);
		return;
	}
	text_add(t, "kmalloc-");
	text_add_number(t, s->object_size);
}

static void report_line(struct text *line, const char *what, const void *p)
{
	text_add(line, " (");
	text_add_number(line, (uint64_t)os_getpid());
	text_add(line, "): ");
	text_add(line, what);
	text_add(line, " ");
	text_add_hex(line, (uintptr_t)p);
	text_write_line(line, STDERR_FD);
}

static void report(struct text *line, const char *what, const void *p)
{
	report_line(line, what, p);
	if (options.on_error == ON_ERROR_ABORT)
		abort();
}

void report_bug(const char *where, const char *what, const void *p)
{
	struct text line = {0};

	if (options.on_error == ON_ERROR_IGNORE)
		return;
	text_add(&line, "uslub: BUG ");
	text_add(&line, where);
	report(&line, what, p);
}

void report_object(const struct kmem_cache *s, const char *what, const void *p)
{
	struct text line = {0};

	if (!s) {
		report_bug("large", what, p);
		return;
	}
	if (options.on_error == ON_ERROR_IGNORE)
		return;
	text_add(&line, "uslub: BUG ");
	text_add_cache_name(&line, s);
	report(&line, what, p);
}

void report_misuse(const struct kmem_cache *s, const char *what, const void *p)
{
	struct text line = {0};

	if (options.on_error == ON_ERROR_IGNORE)
		return;
	text_add(&line, "uslub: BUG ");
	text_add_cache_name(&line, s);
	report_line(&line, what, p);
}
