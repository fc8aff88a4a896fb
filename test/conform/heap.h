/*
 * A malloc reduced to taking and giving: what each small allocator of this directory defines, and what
 * they have to build on. family.c makes the C library's interface of it.
 */
#ifndef USLUB_TEST_CONFORM_HEAP_H
#define USLUB_TEST_CONFORM_HEAP_H

#include <stddef.h>

/* Each allocator's own: `size` bytes at a multiple of 16, or NULL; and back. */
void *heap_take(size_t size);
void heap_give(void *p);

/* bump.c: new memory at a multiple of `align`, which is never given back. Right in any context. */
void *bump(size_t size, size_t align);
/* What was asked for. */
size_t bump_size(const void *p);

/* Powers of two from 16 on; the class of a size is at most NR_CLASSES - 1. */
enum { NR_CLASSES = 48 };
unsigned int size_class(size_t size);

#endif
