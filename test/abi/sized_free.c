/* free_sized and free_aligned_sized of C23, and cfree as programs of before 2017 call it. */
#include <malloc.h>

#include "proc.h"

#define SENTINEL 4711

void free_sized(void *p, size_t n) __attribute__((weak));
void free_aligned_sized(void *p, size_t align, size_t n) __attribute__((weak));

#if defined(__x86_64__)
__asm__(".symver old_cfree, cfree@GLIBC_2.2.5");
#elif defined(__aarch64__)
__asm__(".symver old_cfree, cfree@GLIBC_2.17");
#else
#error "which version had cfree in this architecture's first glibc?"
#endif
void old_cfree(void *p);

/* Only a free that works keeps these rounds from needing 100 GiB. */
static void many_rounds(size_t n, void (*release)(void *p, size_t n))
{
	for (size_t i = 0; i < 2000; i++) {
		char *p = malloc(n);

		CHECK_THAT(p, "round %zu of %zu bytes", i, n);
		p[0] = 1;
		errno = SENTINEL;
		release(p, n);
		CHECK(errno == SENTINEL);
	}
}

static void with_cfree(void *p, size_t n)
{
	(void)n;
	old_cfree(p);
}

static void aligned(size_t align, size_t n)
{
	char *p = aligned_alloc(align, n);

	CHECK(p && is_aligned(p, align));
	memset(p, 1, n);
	errno = SENTINEL;
	free_aligned_sized(p, align, n);
	CHECK(errno == SENTINEL);
}

int main(void)
{
	static const size_t sizes[] = {0, 1, 64, 1000, 40000, 100000, 50 << 20};
	void (*cfree_by_name)(void *);
	size_t rss = rss_bytes();

	LOOKUP(cfree_by_name, RTLD_DEFAULT, "cfree");
	CHECK(!strict() || (free_sized && free_aligned_sized && cfree_by_name));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		many_rounds(sizes[i], with_cfree);
		if (cfree_by_name)
			cfree_by_name(malloc(sizes[i]));
		if (!free_sized)
			continue;
		many_rounds(sizes[i], free_sized);
		free_sized(calloc(1, sizes[i]), sizes[i]);
		for (size_t align = 1; align <= 4 * MIB; align *= 4)
			aligned(align, sizes[i]);
	}
	if (free_sized) {
		free_sized(opaque(NULL), 100);
		free_aligned_sized(opaque(NULL), 64, 100);
	}
	old_cfree(opaque(NULL));
	CHECK(emulated() || rss_bytes() < rss + 256 * MIB);
	puts(free_sized ? "sized_free: ok" : "sized_free: cfree ok, this libc has no free_sized");
	return 0;
}
