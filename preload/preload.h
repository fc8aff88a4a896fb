/*
 * Shared by the files of preload/: the C library's interface over core/kmalloc.h. Layer: preload.
 *
 * Here, and only here, stand the names of the C library, errno, stdio and the C++ runtime.
 */
#ifndef USLUB_PRELOAD_H
#define USLUB_PRELOAD_H

#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Not in the headers of glibc 2.36: C23's, and one that went away. */
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t align, size_t size);
void cfree(void *p);

/* Exported: listed in uslub.map too, which a test compares with the library. */
#define EXPORT __attribute__((visibility("default")))

static inline void *or_enomem(void *p)
{
	if (__builtin_expect(!p, 0))
		errno = ENOMEM;
	return p;
}

static inline bool is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

/*
 * Memory of another allocator in the process, most often the C library's own: what a library got that
 * was loaded with RTLD_DEEPBIND, or that calls __libc_malloc(). The option `foreign` says what is done.
 */
void *foreign_realloc(void *p, size_t size);
size_t foreign_usable_size(void *p);
/* Finds the C library's functions, which are not signal-safe to look for. Called before main. */
void foreign_init(void);

/* Learns whether the program has an operator new or delete of its own. Called before main. */
void operators_init(void);

#endif
