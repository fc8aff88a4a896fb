/*
 * Holds objects until it exits, and tells what it holds, for tests of the options and of stats:1.
 *   holder [COUNT SIZE LARGE_COUNT LARGE_SIZE]
 * Prints the usable sizes of the objects, and whether the loader runs it in secure mode.
 */
#include <malloc.h>
#include <sys/auxv.h>

#include "check.h"

static void hold(const char *what, size_t count, size_t size)
{
	size_t usable = 0;

	for (size_t i = 0; i < count; i++) {
		char *p = malloc(size);

		CHECK(p);
		p[0] = 1;
		usable = malloc_usable_size(p);
	}
	printf("%s %zu\n", what, usable);
}

int main(int argc, char **argv)
{
	printf("secure %lu\n", getauxval(AT_SECURE));
	printf("euid %d\n", (int)geteuid());
	if (argc == 5) {
		hold("small", strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10));
		hold("large", strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	}
	puts("ok");
	return 0;
}
