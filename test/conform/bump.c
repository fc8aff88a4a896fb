/*
 * New memory off the end of one reservation, by one atomic addition. Below every allocator here.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#include "heap.h"

#define RESERVED ((size_t)1 << 42)
#define HEADER ((size_t)16)

static _Atomic(char *) area;
static _Atomic size_t used;

static char *reserved(void)
{
	char *seen = atomic_load(&area);
	char *mine;

	if (seen)
		return seen;
	mine = mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mine == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong(&area, &seen, mine))
		return mine;
	munmap(mine, RESERVED);
	return seen;
}

void *bump(size_t size, size_t align)
{
	char *from = reserved();
	size_t need = (size + HEADER + align + 15) & ~(size_t)15;
	uintptr_t p;

	if (!from || need < size || need > RESERVED / 4)
		return NULL;
	from += atomic_fetch_add(&used, need);
	p = ((uintptr_t)from + HEADER + align - 1) & ~(uintptr_t)(align - 1);
	((size_t *)p)[-1] = size;
	return (void *)p;
}

size_t bump_size(const void *p)
{
	return ((const size_t *)p)[-1];
}

unsigned int size_class(size_t size)
{
	unsigned int class = 0;

	while (((size_t)16 << class) < size)
		class ++;
	return class;
}
