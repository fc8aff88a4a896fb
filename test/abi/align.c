/* aligned_alloc, memalign, posix_memalign, valloc, pvalloc. */
#include <malloc.h>

#include "proc.h"

static const size_t sizes[] = {
	0, 1, 8, 15, 16, 17, 64, 100, 129, 1000, 4095, 4096, 4097, 10000, 65536, 65537, 200000,
};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* Every byte belongs to the object, and realloc gives the content away from any alignment. */
static void use_and_free(void *p, size_t align, size_t n)
{
	CHECK_THAT(p, "no %zu bytes at %zu", n, align);
	CHECK_THAT(is_aligned(p, align) && is_aligned(p, 16), "%p is not aligned to %zu", p, align);
	CHECK(malloc_usable_size(p) >= n);
	memset(p, 0x3c, n);
	if (n % 2) {
		p = realloc(p, n * 2);
		CHECK(p && all_bytes(p, 0x3c, n));
	}
	free(p);
}

static void every_power_of_two(size_t limit)
{
	for (size_t align = 1; align <= limit; align *= 2) {
		for (size_t i = 0; i < N_SIZES; i++) {
			void *p = NULL;

			use_and_free(memalign(align, sizes[i]), align, sizes[i]);
			use_and_free(aligned_alloc(align, sizes[i]), align, sizes[i]);
			if (align < sizeof(void *))
				continue;
			CHECK(posix_memalign(&p, align, sizes[i]) == 0);
			use_and_free(p, align, sizes[i]);
		}
	}
}

/* Many objects of one alignment live at once and do not touch each other. */
static void neighbours(size_t align, size_t n)
{
	enum { COUNT = 64 };
	unsigned char *p[COUNT];

	for (int i = 0; i < COUNT; i++) {
		p[i] = aligned_alloc(align, n);
		CHECK(p[i] && is_aligned(p[i], align));
		memset(p[i], i, malloc_usable_size(p[i]));
	}
	for (int i = 0; i < COUNT; i++)
		CHECK(all_bytes(p[i], (unsigned char)i, n));
	for (int i = 0; i < COUNT; i++)
		free(p[i]);
}

static void refused(void *p, const char *what, size_t align)
{
	int error = errno;

	/* glibc 2.36 rounds up where its manual and C23 say EINVAL. */
	if (!strict() && p) {
		free(p);
		return;
	}
	CHECK_THAT(!p && error == EINVAL, "%s at %zu gave %p, errno %d", what, align, p, error);
	errno = 0;
}

static void no_power_of_two(void)
{
	static const size_t aligns[] = {
		3,
		5,
		6,
		7,
		9,
		12,
		24,
		48,
		100,
		1000,
		4095,
		4097,
		65535,
		65537,
		(1 << 30) + 1,
		((size_t)1 << 63) + 1,
		SIZE_MAX,
		SIZE_MAX - 1,
	};

	errno = 0;
	for (size_t i = 0; i < sizeof(aligns) / sizeof(aligns[0]); i++) {
		size_t align = opaque_size(aligns[i]);
		void *keep = &keep;
		void *p = keep;

		refused(memalign(align, 100), "memalign", align);
		refused(aligned_alloc(align, 100), "aligned_alloc", align);
		CHECK(posix_memalign(&p, align, 100) == EINVAL && p == keep);
	}
}

/* Powers of two that are no multiple of a pointer's size, and zero. */
static void posix_wants_multiples_of_a_pointer(void)
{
	for (size_t align = 0; align < sizeof(void *); align = align ? align * 2 : 1) {
		void *keep = &keep;
		void *p = keep;

		CHECK(posix_memalign(&p, align, 100) == EINVAL && p == keep);
	}
}

/* Zero is no power of two either; some programs pass it. NULL must then say EINVAL. */
static void zero_alignment(void)
{
	void *p;

	errno = 0;
	p = memalign(opaque_size(0), 100);
	CHECK(p ? is_aligned(p, 16) : errno == EINVAL);
	free(p);
}

static void no_memory(void *p)
{
	CHECK(!p && errno == ENOMEM);
	errno = 0;
}

static void too_big(void)
{
	static const size_t big[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX};

	errno = 0;
	for (size_t i = 0; i < sizeof(big) / sizeof(big[0]); i++) {
		size_t n = opaque_size(big[i]);

		for (size_t align = 16; align <= GIB; align *= 8) {
			void *keep = &keep;
			void *p = keep;

			no_memory(memalign(align, n));
			no_memory(aligned_alloc(align, n));
			CHECK(posix_memalign(&p, align, n) == ENOMEM && p == keep);
			errno = 0;
		}
		no_memory(valloc(n));
		no_memory(pvalloc(n));
	}
	/* The size alone would fit; the sum with the alignment would not. */
	no_memory(memalign(opaque_size((size_t)1 << 62), opaque_size(PTRDIFF_MAX - 4096)));
	no_memory(aligned_alloc(opaque_size((size_t)1 << 62), (size_t)1 << 62));
}

static void page_functions(void)
{
	size_t page = page_bytes();

	for (size_t i = 0; i < N_SIZES; i++) {
		size_t rounded = (sizes[i] + page - 1) & ~(page - 1);
		void *p = pvalloc(sizes[i]);

		use_and_free(valloc(sizes[i]), page, sizes[i]);
		CHECK(p && malloc_usable_size(p) >= rounded);
		use_and_free(p, page, rounded);
	}
}

static void giant_alignments(void)
{
	for (size_t align = 4 * MIB; align <= 4 * GIB; align *= 2) {
		unsigned char *p = aligned_alloc(align, 3 * MIB);
		unsigned char *q = memalign(align, 10);

		CHECK_THAT(p && q, "no memory at an alignment of %zu", align);
		CHECK(is_aligned(p, align) && is_aligned(q, align) && p != q);
		memset(p, 0x11, 3 * MIB);
		memset(q, 0x22, 10);
		p = realloc(p, 5 * MIB);
		CHECK(p && all_bytes(p, 0x11, 3 * MIB) && all_bytes(q, 0x22, 10));
		free(p);
		free(q);
	}
}

int main(void)
{
	every_power_of_two(2 * MIB);
	for (size_t align = 16; align <= 64 * KIB; align *= 2) {
		neighbours(align, align);
		neighbours(align, align / 2 + 1);
		neighbours(align, align * 3);
		neighbours(align, 40);
	}
	no_power_of_two();
	posix_wants_multiples_of_a_pointer();
	zero_alignment();
	too_big();
	page_functions();
	giant_alignments();
	puts("align: ok");
	return 0;
}
