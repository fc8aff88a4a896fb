/*
 * Reports of misuse. Layer: report, over os. Called by kmem_cache, kmalloc and preload.
 *
 * One line by write(2), `uslub: BUG CACHE (PID): WHAT 0xADDRESS`, then what the option on_error says.
 * Safe in any context.
 */
#ifndef USLUB_REPORT_H
#define USLUB_REPORT_H

#include <stdint.h>

#include "text.h"

struct kmem_cache;

/* `kmalloc-SIZE`, or the name that the cache was created with. */
void text_add_cache_name(struct text *t, const struct kmem_cache *s);

/* A bug around an object of `s`; NULL: a large one. Returns only where on_error doesn't say abort. */
void report_object(const struct kmem_cache *s, const char *what, const void *p);
/* The same where the program can go on unharmed: never aborts. */
void report_misuse(const struct kmem_cache *s, const char *what, const void *p);
/* A bug around something else: `where` stands in the place of the cache's name. */
void report_bug(const char *where, const char *what, const void *p);

#endif
