/* malloc_usable_size: enough, not wasteful, and all of it the caller's. Every size to 1 MiB. */
#include <malloc.h>

#include "proc.h"

enum { NEIGHBOURS = 4 };

/* At most 12.5 % above the request, for requests above 128 bytes. */
static void check_waste(size_t n, size_t usable)
{
	CHECK_THAT(usable >= n, "%zu usable of %zu requested", usable, n);
	if (n > 128)
		CHECK_THAT(usable - n <= n / 8, "%zu bytes usable for a request of %zu", usable, n);
}

static void fill_neighbours(size_t n)
{
	unsigned char *p[NEIGHBOURS];
	size_t usable[NEIGHBOURS];

	for (int i = 0; i < NEIGHBOURS; i++) {
		p[i] = malloc(n);
		CHECK(p[i]);
		usable[i] = malloc_usable_size(p[i]);
		memset(p[i], i + 1, usable[i]);
	}
	for (int i = 0; i < NEIGHBOURS; i++)
		CHECK_THAT(all_bytes(p[i], (unsigned char)(i + 1), usable[i]),
			   "an object of %zu bytes was overwritten by its neighbour", n);
	for (int i = 0; i < NEIGHBOURS; i++)
		free(p[i]);
}

static size_t one_size(size_t n)
{
	void *p = malloc(n);
	size_t usable = malloc_usable_size(p);

	CHECK_THAT(p && is_aligned(p, 16), "%p for %zu bytes", p, n);
	check_waste(n, usable);
	free(p);
	return usable;
}

static void realloc_in_the_usable_part(void)
{
	for (size_t n = 1; n < 100000; n += n / 10 + 1) {
		unsigned char *p = malloc(n);
		size_t usable = malloc_usable_size(p);

		memset(p, 0x42, usable);
		p = realloc(p, usable);
		CHECK(p && all_bytes(p, 0x42, usable));
		free(p);
	}
}

int main(void)
{
	size_t last = SIZE_MAX;
	int classes = 0;

	CHECK(malloc_usable_size(opaque(NULL)) == 0);
	for (size_t n = 0; n <= MIB; n++) {
		size_t usable = one_size(n);

		if (usable == last)
			continue;
		last = usable;
		classes++;
		if (n < 8 * KIB || n % (16 * KIB) < 16)
			fill_neighbours(n);
	}
	for (size_t n = MIB; n < GIB; n = n * 9 / 8 + 1)
		one_size(n);
	realloc_in_the_usable_part();
	printf("usable: ok, %d distinct sizes to 1 MiB\n", classes);
	return 0;
}
