/* malloc, calloc, realloc and free at the edges of their arguments. */
#include "check.h"

#define SENTINEL 4711
#define TOO_BIG ((size_t)PTRDIFF_MAX + 1)

static void zero_sizes_are_unique(void)
{
	enum { N = 1000 };
	static void *p[N];

	for (int i = 0; i < N; i++) {
		p[i] = i % 2 ? malloc(opaque_size(0)) : calloc(opaque_size(0), 8);
		CHECK(p[i]);
		CHECK(is_aligned(p[i], 16));
		for (int j = 0; j < i; j++)
			CHECK(p[i] != p[j]);
	}
	for (int i = 0; i < N; i++)
		free(p[i]);
}

static void expect_enomem(void *p, const char *call)
{
	int error = errno;

	CHECK_THAT(!p && error == ENOMEM, "%s is %p with errno %d", call, p, error);
	errno = 0;
}
#define FAILS(call) expect_enomem(call, #call)

static void too_big_is_enomem(void)
{
	static const size_t sizes[] = {
		TOO_BIG,       TOO_BIG + 1,  SIZE_MAX - 65536, SIZE_MAX - 4096,
		SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX,
	};

	errno = 0;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = opaque_size(sizes[i]);

		FAILS(malloc(n));
		FAILS(calloc(1, n));
		FAILS(calloc(n, 1));
		FAILS(realloc(NULL, n));
		FAILS(reallocarray(NULL, n, 1));
	}
	/* Allowed by its type, but no address space holds it. */
	FAILS(malloc(opaque_size(PTRDIFF_MAX)));
	FAILS(malloc(opaque_size(PTRDIFF_MAX - 4096)));
}

static void product_overflow_is_enomem(void)
{
	size_t half = opaque_size((size_t)1 << 32);

	errno = 0;
	FAILS(calloc(half, half));
	FAILS(calloc(half + 1, half));
	FAILS(calloc(opaque_size(SIZE_MAX), 2));
	FAILS(calloc(2, opaque_size(SIZE_MAX)));
	FAILS(calloc(opaque_size(SIZE_MAX / 2 + 1), 2));
	/* 2^63 bytes in all: no overflow, but above PTRDIFF_MAX. */
	FAILS(calloc(half, half / 2));
	FAILS(reallocarray(NULL, half, half));
	FAILS(reallocarray(NULL, opaque_size(SIZE_MAX), 16));
}

static void realloc_of_null_allocates(void)
{
	char *p = realloc(NULL, opaque_size(100));
	void *zero = realloc(NULL, opaque_size(0));
	void *other = realloc(NULL, opaque_size(0));

	CHECK(p && zero && other && zero != other);
	memset(p, 1, 100);
	free(p);
	free(zero);
	free(other);
}

/* As the manual has it: realloc(p, 0) is free(p). */
static void realloc_to_zero_frees(void)
{
	static const size_t sizes[] = {1, 64, 1000, 40000, 300000, 1 << 24};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		/* Were it no free, this would need 16 TiB for the last size. */
		for (int round = 0; round < 1000; round++) {
			void *p = malloc(sizes[i]);

			CHECK(p);
			errno = SENTINEL;
			CHECK(!realloc(p, opaque_size(0)));
			CHECK(errno == SENTINEL);
		}
	}
	CHECK(!reallocarray(malloc(10), opaque_size(0), 8));
}

static void failed_realloc_keeps_the_object(void)
{
	static const size_t sizes[] = {1, 100, 5000, 70000, 1 << 20, 1 << 25};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned char *p = malloc(sizes[i]);

		CHECK(p);
		memset(p, 0x5a, sizes[i]);
		errno = 0;
		FAILS(realloc(opaque(p), opaque_size(TOO_BIG)));
		FAILS(realloc(opaque(p), opaque_size(SIZE_MAX)));
		FAILS(realloc(opaque(p), opaque_size(SIZE_MAX - 4096)));
		FAILS(realloc(opaque(p), opaque_size(PTRDIFF_MAX - 100)));
		FAILS(reallocarray(opaque(p), opaque_size(SIZE_MAX), 3));
		CHECK(all_bytes(p, 0x5a, sizes[i]));
		p = realloc(p, sizes[i] + 1);
		CHECK(p && all_bytes(p, 0x5a, sizes[i]));
		free(p);
	}
}

static void realloc_keeps_content_through_all_sizes(void)
{
	size_t old = 1;
	unsigned char *p = malloc(1);

	CHECK(p);
	p[0] = 0x77;
	for (size_t n = 2; n < (size_t)1 << 23; n += n / 7 + 1) {
		p = realloc(p, n);
		CHECK(p && is_aligned(p, 16) && all_bytes(p, 0x77, old));
		memset(p, 0x77, n);
		old = n;
	}
	for (size_t n = old; n > 1; n -= n / 9 + 1) {
		p = realloc(p, n);
		CHECK(p && all_bytes(p, 0x77, n));
	}
	free(p);
}

int main(void)
{
	free(opaque(NULL));
	zero_sizes_are_unique();
	too_big_is_enomem();
	product_overflow_is_enomem();
	realloc_of_null_allocates();
	realloc_to_zero_frees();
	failed_realloc_keeps_the_object();
	realloc_keeps_content_through_all_sizes();
	puts("edges: ok");
	return 0;
}
