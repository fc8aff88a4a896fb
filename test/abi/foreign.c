/*
 * Memory of glibc's own malloc comes to the preloaded free, realloc and malloc_usable_size.
 *   foreign forward   each goes to where the memory came from
 *   foreign free      one free, whose address is printed first
 *   foreign realloc   one realloc, likewise
 */
#include <malloc.h>

#include "proc.h"

static void *(*libc_malloc)(size_t);
static void (*libc_free)(void *);

static const size_t sizes[] = {0, 1, 24, 100, 1000, 10000, 100000, 200000, 1 << 20, 40 << 20};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void find_libc(void)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	CHECK(libc);
	LOOKUP(libc_malloc, libc, "malloc");
	LOOKUP(libc_free, libc, "free");
	CHECK(libc_malloc && libc_free);
	CHECK(!strict() || libc_malloc != malloc);
}

static void free_is_forwarded(size_t n)
{
	for (int i = 0; i < 200; i++) {
		void *p = libc_malloc(n);

		CHECK(p);
		errno = 4711;
		free(p);
		CHECK(errno == 4711);
	}
}

static void realloc_is_forwarded(size_t n)
{
	unsigned char *p = libc_malloc(n);

	CHECK(p);
	memset(p, 0x44, n);
	p = realloc(p, n + 1000);
	CHECK(p && all_bytes(p, 0x44, n));
	p = realloc(p, n * 3 + 1000);
	CHECK(p && all_bytes(p, 0x44, n));
	p = realloc(p, n / 2 + 1);
	CHECK(p && all_bytes(p, 0x44, n / 2));
	errno = 0;
	CHECK(!realloc(opaque(p), opaque_size(SIZE_MAX)) && errno == ENOMEM);
	CHECK(all_bytes(p, 0x44, n / 2));
	free(p);
	CHECK(!realloc(libc_malloc(n), opaque_size(0)));
}

static void usable_size_is_forwarded(size_t n)
{
	void *p = libc_malloc(n);

	CHECK(p && malloc_usable_size(p) >= n);
	memset(p, 1, malloc_usable_size(p));
	free(p);
}

static void forward(void)
{
	size_t rss = rss_bytes();

	for (size_t i = 0; i < N_SIZES; i++) {
		free_is_forwarded(sizes[i]);
		usable_size_is_forwarded(sizes[i]);
		for (int j = 0; j < 20; j++)
			realloc_is_forwarded(sizes[i]);
	}
	/* A free that did nothing would leave some 10 GiB of address space, much of it touched. */
	CHECK(rss_bytes() < rss + 256 * MIB);
	CHECK(address_space_bytes() < 8 * GIB || !strict());
}

int main(int argc, char **argv)
{
	void *p;

	CHECK_THAT(argc == 2, "usage: foreign forward | free | realloc");
	find_libc();
	if (strcmp(argv[1], "forward") == 0) {
		forward();
		puts("survived");
		return 0;
	}
	p = libc_malloc(5000);
	memset(p, 0x12, 5000);
	printf("address %p\n", p);
	fflush(stdout);
	if (strcmp(argv[1], "free") == 0)
		free(opaque(p));
	else
		p = realloc(p, 9000);
	/* Neither option lets go of it: the owner still can. */
	if (p && strcmp(argv[1], "free") == 0) {
		CHECK(all_bytes(p, 0x12, 5000));
		libc_free(p);
	}
	puts("survived");
	return 0;
}
