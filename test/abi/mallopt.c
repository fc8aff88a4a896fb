/* mallopt says what glibc's says, to known parameters and others, and breaks nothing. */
#include <malloc.h>

#include "proc.h"

#define SENTINEL 4711

static void known(int parameter, int value)
{
	int result;

	errno = SENTINEL;
	result = mallopt(parameter, value);
	CHECK_THAT(result == 1, "mallopt(%d, %d) is %d", parameter, value, result);
	CHECK(errno == SENTINEL);
}

static void still_works(void)
{
	for (size_t n = 1; n < 8 * MIB; n = n * 3 / 2 + 1) {
		unsigned char *p = malloc(n);

		CHECK(p);
		memset(p, 1, n);
		p = realloc(p, n * 2);
		CHECK(p && all_bytes(p, 1, n));
		free(p);
	}
}

int main(void)
{
	known(M_MMAP_THRESHOLD, 1 << 20);
	known(M_MMAP_MAX, 100);
	known(M_TRIM_THRESHOLD, 256 * 1024);
	known(M_TOP_PAD, 64 * 1024);
	known(M_ARENA_MAX, 2);
	known(M_ARENA_TEST, 2);
	known(M_MXFAST, 64);
	known(M_CHECK_ACTION, 3);
	still_works();
	known(M_TRIM_THRESHOLD, -1);
	known(M_MMAP_MAX, -1);
	known(M_PERTURB, 0);
	known(12345, 1);
	known(-12345, 1);
	CHECK(mallopt(M_MXFAST, 1 << 20) == 0);
	still_works();
	puts("mallopt: ok");
	return 0;
}
