/*
 * Memory that isn't uslub's. Layer: preload; see preload.h.
 *
 * It is forwarded only where the C library's malloc can have made it: glibc keeps the size of a chunk and
 * three flags in the word before it. An address that fails these checks is a bug of the program, and
 * reported as such, rather than left to crash in the C library.
 */
#include "preload.h"

#include "core/kmalloc.h"
#include "core/options.h"
#include "core/os.h"
#include "core/report.h"

#include <dlfcn.h>
#include <string.h>

#define CHUNK_MAPPED 2UL
#define CHUNK_FLAGS 7UL
#define CHUNK_MIN 32UL

static early_data struct {
	void (*free)(void *);
	void *(*realloc)(void *, size_t);
	size_t (*usable_size)(void *);
} libc;

void foreign_init(void)
{
	/* The cast that POSIX asks for, without one that ISO C forbids. */
	*(void **)&libc.free = dlsym(RTLD_NEXT, "free");
	*(void **)&libc.realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&libc.usable_size = dlsym(RTLD_NEXT, "malloc_usable_size");
}

/* The words before p, if they look like those of a chunk of glibc's. */
static bool is_libc_chunk(void *p)
{
	uintptr_t addr = (uintptr_t)p;
	size_t word, before, size;

	if (addr % 16 || addr < os_page_size() || addr >> OS_ADDRESS_BITS ||
	    !os_is_readable((char *)p - 16) || !os_is_readable((char *)p - 8))
		return false;
	memcpy(&word, (char *)p - sizeof(word), sizeof(word));
	memcpy(&before, (char *)p - 2 * sizeof(word), sizeof(before));
	size = word & ~CHUNK_FLAGS;
	if (word & CHUNK_MAPPED)
		return ((addr - 16 - before) | (before + size)) % os_page_size() == 0;
	return size >= CHUNK_MIN && size % 16 == 0 && size >> OS_ADDRESS_BITS == 0 &&
	       os_is_readable((char *)p + size - 16);
}

/* False: the caller leaves p alone. */
static bool should_forward(void *p, const char *what)
{
	if (!libc.free)
		foreign_init();
	if (options.foreign == FOREIGN_FORWARD && libc.free && is_libc_chunk(p))
		return true;
	if (options.foreign != FOREIGN_IGNORE)
		report_bug("foreign", what, p);
	return false;
}

/* Called by kfree(); overrides the core's. */
void kfree_foreign(void *p)
{
	int saved = errno;

	if (should_forward(p, "free of memory that is not uslub's:"))
		libc.free(p);
	errno = saved;
}

void *foreign_realloc(void *p, size_t size)
{
	if (should_forward(p, "realloc of memory that is not uslub's:"))
		return libc.realloc(p, size);
	return or_enomem(NULL);
}

size_t foreign_usable_size(void *p)
{
	if (should_forward(p, "malloc_usable_size of memory that is not uslub's:"))
		return libc.usable_size(p);
	return 0;
}
