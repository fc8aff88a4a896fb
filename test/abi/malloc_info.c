/* Writes malloc_info before, with and after live objects to three files, for malloc_info.py. */
#include <malloc.h>

#include "proc.h"

#define SMALL 64000
#define LARGE 64

static void *small[SMALL], *large[LARGE];

static void write_info(const char *path)
{
	FILE *file = fopen(path, "w");

	CHECK_THAT(file, "%s cannot be written", path);
	CHECK(malloc_info(0, file) == 0);
	CHECK(fclose(file) == 0);
}

int main(int argc, char **argv)
{
	CHECK_THAT(argc == 4, "usage: malloc_info BEFORE WITH AFTER");
	CHECK(malloc_info(1, stdout) != 0);
	write_info(argv[1]);
	for (int i = 0; i < SMALL; i++)
		CHECK((small[i] = malloc(1024)));
	for (int i = 0; i < LARGE; i++)
		CHECK((large[i] = malloc(MIB)));
	write_info(argv[2]);
	for (int i = 0; i < SMALL; i++)
		free(small[i]);
	for (int i = 0; i < LARGE; i++)
		free(large[i]);
	malloc_trim(0);
	write_info(argv[3]);
	printf("%d\n", SMALL * 1024 + LARGE * (int)MIB);
	return 0;
}
