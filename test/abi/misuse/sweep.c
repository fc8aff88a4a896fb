/*
 * Every address that is no object start, over all small sizes: none is taken, and no live object
 * harmed.
 *   sweep interior   with on_error:report; prints how many reports there must be
 *   sweep aliases    with on_error:abort; each free ends its process, or the processor does
 */
#include <sys/wait.h>

#include "misuse.h"

#define MAX_SIZE 4096

static int mistakes;

static void bad_free(char *p)
{
	mistakes++;
	free(opaque(p));
}

static void every_inner_address(char *p, size_t usable)
{
	size_t step = usable <= 256 ? 1 : usable / 64 * 2 - 1;

	for (size_t i = 1; i < usable; i += step)
		bad_free(p + i);
}

static void deadly_free(char *p)
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		free(opaque(p));
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_THAT(WIFSIGNALED(status), "free(%p) was taken", (void *)p);
	mistakes++;
}

/* The same address but for one of the bits that no user address has; aarch64 ignores the last 8. */
static void every_high_bit(char *p, size_t usable)
{
#if defined(__aarch64__)
	int bits = 56;
#else
	int bits = 64;
#endif

	(void)usable;
	for (int bit = 48; bit < bits; bit++)
		deadly_free((char *)((uintptr_t)p | (uintptr_t)1 << bit));
}

static void over_all_sizes(void (*abuse)(char *p, size_t usable))
{
	for (size_t n = 1; n <= MAX_SIZE; n += n / 9 + 1) {
		char *p[8];

		for (int i = 0; i < 8; i++) {
			p[i] = malloc(n);
			CHECK(p[i]);
			memset(p[i], i, n);
		}
		abuse(p[3], malloc_usable_size(p[3]));
		for (int i = 0; i < 8; i++) {
			CHECK(all_bytes(p[i], (unsigned char)i, n));
			free(p[i]);
		}
	}
}

int main(int argc, char **argv)
{
	CHECK_THAT(argc == 2, "usage: sweep interior | aliases");
	over_all_sizes(strcmp(argv[1], "aliases") == 0 ? every_high_bit : every_inner_address);
	printf("mistakes %d\n", mistakes);
	return survived();
}
